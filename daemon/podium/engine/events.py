"""The facts of one execution, in the order they became true. State is their fold; the journal keeps nothing else.

Never renamed: a changed shape gets a new class and an upcast in `codec`. `at` is aware, UTC. Values are JSON-like.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """Base of all events."""

    at: datetime


class ExecutionCreated(Fact, frozen=True, kw_only=True, tag="execution_created"):
    id: str
    namespace: str
    flow_id: str
    revision: int
    source: str = ""
    commit: str = ""
    path: str = ""
    blob: str = ""
    inputs: dict[str, Any] = {}
    labels: dict[str, str] = {}
    variables: dict[str, Any] = {}
    trigger: dict[str, Any] | None = None
    parent_id: str | None = None
    original_id: str | None = None
    attempt_number: int = 1
    original_created_at: datetime | None = None
    schedule_date: datetime | None = None
    depth: int = 0
    """How many executions above started this one as a subflow."""
    loop: dict[str, Any] | None = None
    """An iteration of a Loop: {executionId, taskId, taskRunId, index, value, key?, parents: [{value, index, key?}], nearest first}."""


class ExecutionRestored(Fact, frozen=True, kw_only=True, tag="execution_restored"):
    """The execution as its record tells it, whose own events were dropped. Always the first of a stream."""

    view: dict[str, Any]
    flow: dict[str, Any]
    notes: dict[str, Any]


class ExecutionMoved(Fact, frozen=True, kw_only=True, tag="execution_moved"):
    """The execution entered a state."""

    state: str


class ExecutionNoted(Fact, frozen=True, kw_only=True, tag="execution_noted"):
    """Facts the engine keeps beside the state: phase, exit, held, failed_by …"""

    notes: dict[str, Any]


class RunCreated(Fact, frozen=True, kw_only=True, tag="run_created"):
    """A task run exists. phase: main, errors, finally, after or pause: the list of its parent that it belongs to."""

    id: str
    task_id: str
    phase: str
    parent_id: str | None = None
    value: str | None = None
    iteration: int | None = None
    outputs: dict[str, Any] = {}


class RunMoved(Fact, frozen=True, kw_only=True, tag="run_moved"):
    """A task run entered a state."""

    id: str
    state: str


class RunNoted(Fact, frozen=True, kw_only=True, tag="run_noted"):
    """Facts the engine keeps of a task run: values, until, branch, child …"""

    id: str
    notes: dict[str, Any]


class RunOutputs(Fact, frozen=True, kw_only=True, tag="run_outputs"):
    id: str
    outputs: dict[str, Any]


class RunsRemoved(Fact, frozen=True, kw_only=True, tag="runs_removed"):
    """Task runs that a loop or a restart does over."""

    ids: list[str]


class AttemptOpened(Fact, frozen=True, kw_only=True, tag="attempt_opened"):
    """An attempt is to be carried out; nothing of it has started."""

    run_id: str
    number: int


class AttemptStarted(Fact, frozen=True, kw_only=True, tag="attempt_started"):
    """From here on the attempt may have had effects outside."""

    run_id: str
    number: int


class AttemptClosed(Fact, frozen=True, kw_only=True, tag="attempt_closed"):
    run_id: str
    number: int
    state: str
    facts: dict[str, Any] = {}
    error: str | None = None


class Asked(Fact, frozen=True, kw_only=True, tag="asked"):
    """An expression is to be evaluated; `key` names the run and the purpose (see engine/questions)."""

    key: str


class Answered(Fact, frozen=True, kw_only=True, tag="answered"):
    """The result of an evaluation, so that a replay never evaluates twice."""

    key: str
    value: Any = None
    error: str | None = None


class SecretsUsed(Fact, frozen=True, kw_only=True, tag="secrets_used"):
    """Secrets, encrypted, that values of this execution may hold: what is shown of it is masked by them for ever."""

    sealed: list[str]


class LabelsSet(Fact, frozen=True, kw_only=True, tag="labels_set"):
    labels: dict[str, str]


class VariablesSet(Fact, frozen=True, kw_only=True, tag="variables_set"):
    """The execution's variables as a whole, after a change."""

    variables: dict[str, Any]


class OutputsSet(Fact, frozen=True, kw_only=True, tag="outputs_set"):
    outputs: dict[str, Any]


class ExecutionClosed(Fact, frozen=True, kw_only=True, tag="execution_closed"):
    """Terminal, and its afterExecution tasks are done: the record may be written."""


class ExecutionReopened(Fact, frozen=True, kw_only=True, tag="execution_reopened"):
    """A restart or a changed status starts run number n of the same execution. status_only: nothing of it runs again."""

    number: int
    revision: int | None = None
    status_only: bool = False


Event = (
    ExecutionCreated | ExecutionRestored | ExecutionMoved | ExecutionNoted | RunCreated | RunMoved | RunNoted | RunOutputs | RunsRemoved
    | AttemptOpened | AttemptStarted | AttemptClosed | Asked | Answered | SecretsUsed | LabelsSet | VariablesSet | OutputsSet
    | ExecutionClosed | ExecutionReopened
)
