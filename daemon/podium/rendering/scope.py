"""On whose behalf something is rendered."""

from __future__ import annotations

from dataclasses import dataclass, field

from podium.base.redact import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """source, commit: the repository and commit the execution is pinned to. redactor: is told every secret that is used.

    brisk: rendering holds up the daemon's loop and ends with TakesLong when it would take more than a moment.
    """

    namespace: str
    flow_id: str
    execution_id: str
    task_run_id: str | None = None
    source: str = ""
    commit: str = ""
    dialect: str = "1.x"
    redactor: Redactor = field(default_factory=Redactor)
    brisk: bool = False
