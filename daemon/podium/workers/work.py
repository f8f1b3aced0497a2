"""What the conductor hands to a worker and what comes back. One Work is one attempt of one runnable task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from podium.base.redact import Redactor
from podium.flows.model import Task, WorkingDirectory
from podium.plugin import Metric, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One attempt to be carried out.

    task: as written (templates not rendered). variables: what expressions see (flow-language 0.3), made by the engine.
    source, commit: the repository and commit the execution is pinned to (namespace files).
    shared_directory: id of the WorkingDirectory's workspace this task runs in, or None for one of its own.
    timeout: rendered by the worker from task.timeout.  started: True when this attempt may have started before a crash.
    """

    attempt_id: str
    execution_id: str
    task_run_id: str
    attempt: int
    namespace: str
    flow_id: str
    revision: int
    source: str
    commit: str
    task: Task
    variables: Mapping[str, Any]
    secret_values: Sequence[str] = ()
    """Plain texts that must be masked in logs and errors (SECRET inputs)."""
    redactor: Redactor | None = None
    """The execution's own, if there is one: secrets that rendering uses are added to it."""
    dialect: str = "1.x"
    shared_directory: str | None = None
    started: bool = False
    at_once: bool = False
    """The daemon's loop waits for it: whoever runs it raises TakesLong instead of taking more than a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt ended. state: SUCCESS, WARNING, FAILED, KILLED or SKIPPED (runIf). requests: see plugin.Request."""

    state: str
    started_at: datetime
    ended_at: datetime
    outputs: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()
    requests: Sequence[Request] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    lost: bool = False
    """True for an attempt that may have started before a crash and whose end nobody saw."""

    def storable(self) -> Ended:
        """This, or a failure when it cannot be written down (half a surrogate pair, a number that is none)."""
        try:
            msgspec.json.encode((self.outputs, self.facts, self.error, [each.body for each in self.requests]))
        except (ValueError, TypeError, RecursionError) as error:
            what = f"the outputs cannot be stored: {type(error).__name__}"
            return replace(self, state="FAILED", outputs={}, facts={}, requests=[], error=what)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceWork:
    """A WorkingDirectory task run whose shared directory is to be opened or closed. Fields as of Work."""

    task_run_id: str
    execution_id: str
    namespace: str
    flow_id: str
    revision: int
    source: str
    commit: str
    task: WorkingDirectory
    variables: Mapping[str, Any]
    secret_values: Sequence[str] = ()
    redactor: Redactor | None = None
    dialect: str = "1.x"
