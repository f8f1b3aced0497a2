"""What may be asked of an execution. Outcomes of effects come back as commands too; late or doubled ones are ignored by `decide`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from podium.flows.model import Concurrency


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make the execution. Everything in it is already checked and resolved."""

    id: str
    namespace: str
    flow_id: str
    revision: int
    source: str = ""
    commit: str = ""
    path: str = ""
    blob: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    trigger: Mapping[str, Any] | None = None
    parent_id: str | None = None
    original_id: str | None = None
    attempt_number: int = 1
    original_created_at: datetime | None = None
    schedule_date: datetime | None = None
    depth: int = 0
    loop: Mapping[str, Any] | None = None
    failed_because: str | None = None
    """Make it and end it FAILED at once, with this line in its log (an acknowledged event with bad inputs)."""
    warnings: Sequence[str] = ()
    """Lines for its log: what is odd about the request."""
    copied_runs: Sequence[Mapping[str, Any]] = ()
    """Replay from a task run: task runs taken over, as `view` shows them, ids new; the chosen one has state RESTARTED."""
    masks: Sequence[str] = field(default=(), repr=False)
    """Secrets that its inputs, variables or item may hold in plain text. Never an event: the conductor has them masked, and keeps them sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Start a CREATED or QUEUED execution. running: how many of the flow are RUNNING or PAUSED now; force: whatever the limit.

    limit: of the flow's newest revision; None: as the execution's own revision says. instead: how a QUEUED one ends without having run.
    """

    running: int = 0
    force: bool = False
    limit: Concurrency | None = None
    instead: Literal["CANCELLED", "FAILED"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptBegan:
    run_id: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    run_id: str
    number: int
    state: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    requests: Sequence[tuple[str, Mapping[str, Any]]] = ()
    """(kind, body) as plugin.Request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of an evaluation, or the error that it ended in."""

    key: str
    value: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubflowStarted:
    """The child execution exists, or could not be made. index: which of a Launcher's items it is for. paused: it waits for somebody."""

    run_id: str
    index: int | None = None
    execution_id: str | None = None
    paused: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubflowEnded:
    """The child execution is closed. successor: it ended RETRIED, and this execution took its place. index: as in SubflowStarted."""

    run_id: str
    index: int | None = None
    execution_id: str
    state: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    successor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationPaused:
    """An iteration of a Loop waits for somebody, or does not any more."""

    run_id: str
    index: int
    execution_id: str
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceOpened:
    run_id: str
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceClosed:
    run_id: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End the execution; running attempts are killed. cascade: also what it started."""

    cascade: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Let running tasks finish and start no new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on after a pause. inputs: values for the Pause task's onResume, already checked."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a reviewer decided about a waiting Approval. by: who that was. inputs: of the review form, already checked."""

    decision: Literal["APPROVED", "DENIED"]
    by: str = ""
    comment: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Run the failed tasks again, in the same execution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStatus:
    """Give a terminal execution another terminal state."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRunState:
    """Give a task run a state (mark success, run again) and go on from there."""

    run_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLabels:
    labels: Mapping[str, str]


Command = (
    Create | Begin | AttemptBegan | AttemptEnded | Answer | TimerFired | SubflowStarted | SubflowEnded | IterationPaused | WorkspaceOpened
    | WorkspaceClosed | Kill | Pause | Resume | Review | Restart | ChangeStatus | SetRunState | SetLabels
)
