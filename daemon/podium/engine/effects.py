"""What a decision wants done outside. Performed at least once, after the events are durable; every performer is idempotent by id.

Effects are not stored: `recovery.pending` derives those that are still open from the state, so a restart repeats exactly what
may not have happened.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all effects."""


class RunAttempt(Effect, frozen=True, kw_only=True):
    """Carry out attempt `number` of a runnable task. started: it may have started before a crash."""

    run_id: str
    number: int
    started: bool = False


class KillAttempt(Effect, frozen=True, kw_only=True):
    attempt_id: str


class Evaluate(Effect, frozen=True, kw_only=True):
    """Answer the question `key` (engine/questions)."""

    key: str


class SetTimer(Effect, frozen=True, kw_only=True):
    """Send TimerFired(key) at `due` (or at once when that is past)."""

    key: str
    due: datetime


class StartSubflow(Effect, frozen=True, kw_only=True):
    """Start the execution that a Subflow task asks for. request: rendered {namespace, flowId, revision, inputs, labels, scheduleDate}.

    index: which item of a Launcher it is for; its request is the answer to the question `item:<index>`, found when it is made.
    fresh: `execution_id` ended badly and is to be restarted; if it cannot be, this is the id of a new one.
    """

    run_id: str
    execution_id: str
    request: dict[str, Any] = {}
    index: int | None = None
    fresh: str | None = None


class KillSubflow(Effect, frozen=True, kw_only=True):
    execution_id: str


class TellLoop(Effect, frozen=True, kw_only=True):
    """Tell the execution that holds the Loop whether this iteration is PAUSED."""


class OpenWorkspace(Effect, frozen=True, kw_only=True):
    """Prepare the directory of a WorkingDirectory task."""

    run_id: str


class CloseWorkspace(Effect, frozen=True, kw_only=True):
    """Collect the output files of a WorkingDirectory task and remove its directory. collect: False: only remove.

    task_id: of the run, which may be gone by then.
    """

    run_id: str
    task_id: str
    collect: bool = True


class CreateRetry(Effect, frozen=True, kw_only=True):
    """Start a new execution in place of this one (retry with CREATE_NEW_EXECUTION), not before `due`. Done in the round that ends this one."""

    due: datetime


class WriteLog(Effect, frozen=True, kw_only=True):
    """A line of the engine's own in the execution's log; stored with the events."""

    level: str
    message: str
    run_id: str | None = None


class Request(Effect, frozen=True, kw_only=True):
    """What an ended task asks of the orchestrator (plugin.Request) beyond its own execution. id: attempt id and index."""

    id: str
    kind: str
    body: dict[str, Any]
    run_id: str


AnyEffect = (
    RunAttempt | KillAttempt | Evaluate | SetTimer | StartSubflow | KillSubflow | TellLoop | OpenWorkspace | CloseWorkspace | CreateRetry
    | WriteLog | Request
)
