"""What the rooms above may ask of the orchestrator: the face of the conductor. Pages, API, CLI and triggers use only this.

An execution is always the dict of flow-language 9.2 (`ExecutionView`): id, namespace, flowId, flowRevision, state{current,
histories[{state,date}], startDate, endDate, duration}, labels[{key,value}], inputs, outputs, taskRunList[…], trigger, …;
dates are ISO text, UTC, milliseconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from podium.base.errors import LimitError
from podium.base.ports import Deployment, FlowRevision, KnownFlow

View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """Ask for one execution. inputs: text, typed values, or for FILE a `kestra://` URI or a local path."""

    namespace: str
    flow_id: str
    revision: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    schedule_date: datetime | None = None
    trigger: Mapping[str, Any] | None = None
    """{id, type, variables} when a trigger asks."""
    fail_on_bad_inputs: bool = False
    """True for triggers: an acknowledged event with bad inputs becomes a FAILED execution instead of an InputError."""
    dedupe_key: str | None = None
    """A second request with this key starts nothing and gives the first's execution (webhook delivery, schedule date, file version),
    with `duplicate: True` in the view. Its cursor is stored all the same."""
    cursor: Mapping[str, Any] | None = None
    """Stored with the start, in one transaction, as the trigger's state (document kind `trigger`, key `<flow>/<trigger id>`).

    Merged, as in `remember_trigger`: keys given replace the stored ones, other keys stay (a toggle made meanwhile is kept), None removes.
    `executionId` becomes the id of the execution that is started.
    """
    failed_because: str | None = None
    """A trigger fired and its condition or inputs failed: the execution is created and ends FAILED, with this reason in its log."""
    by: str = ""
    """The account that asks, for the label `system.username`; default who acts (base/access/actor)."""
    masks: Sequence[str] = field(default=(), repr=False)
    """Secrets that the inputs, labels or variables may hold in plain text: masked in all that is shown of the execution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of executions, without task runs. total: how many match; `at_least` so many when not all were counted.

    next: the execution to go on after, None at the end. Of a search that has to look at executions one by one it may come on a page that is not full.
    """

    found: list[View]
    total: int
    at_least: bool = False
    next: str | None = None


class Orchestrator(Protocol):
    """Commands are durable when they return."""

    async def start(self, request: StartRequest) -> View:
        """Create an execution. Raises FlowNotFound, FlowDisabled, InputError, LimitError."""
        ...

    async def wait(self, execution_id: str, *, timeout_s: float | None = None) -> View:
        """The execution once it is terminal (or as it is when the time is up)."""
        ...

    async def kill(self, execution_id: str, *, cascade: bool = True) -> View:
        """End it. cascade: and what it started, also when it has ended itself. Raises NotFound, ConflictError."""
        ...

    async def restart(self, execution_id: str, *, revision: int | None = None) -> View: ...
    async def replay(
        self, execution_id: str, *, task_run_id: str | None = None, revision: int | None = None, inputs: Mapping[str, Any] | None = None,
    ) -> View:
        """A new execution like this one, from a task run on. inputs: values in the place of the former ones. Raises as `start`, ConflictError."""
        ...

    async def pause(self, execution_id: str) -> View: ...
    async def resume(self, execution_id: str, *, inputs: Mapping[str, Any] | None = None) -> View: ...
    async def review(
        self, execution_id: str, decision: Literal["APPROVED", "DENIED"], *, by: str = "", comment: str | None = None,
        inputs: Mapping[str, Any] | None = None, task_run_id: str | None = None,
    ) -> View:
        """Decide about the Approval that waits: the first, or that of the task run. Raises NotFound, ConflictError, InputError."""
        ...

    async def change_status(self, execution_id: str, state: str) -> View: ...
    async def change_task_run_state(self, execution_id: str, task_run_id: str, state: str) -> View:
        """Set one task run's state and go on from there (flow-language 9.7). Raises NotFound, ConflictError."""
        ...

    async def pause_all(self, *, by: str = "", reason: str = "") -> dict[str, Any]:
        """Let no new execution begin: they are accepted and wait, what runs goes on. Outlives a restart. As `queue`."""
        ...

    async def resume_all(self) -> dict[str, Any]:
        """Let begin what waits. As `queue`."""
        ...

    def behind(self) -> LimitError | None:
        """Why nothing more can be accepted just now, to be asked before anything is done for a request; None when it can."""
        ...

    def queue(self) -> dict[str, Any]:
        """What waits, how long and why: {paused: {at, by, reason}|None, executions: {running, queued, oldestSeconds, flows: [{namespace, flowId,
        count, oldest, oldestSeconds, why}]}, taskRuns: {running, slots, waiting, oldestSeconds, flows: […]}, commands: {waiting, oldestSeconds}}."""
        ...

    async def set_labels(self, execution_id: str, labels: Mapping[str, str]) -> View: ...
    async def force_run(self, execution_id: str) -> View: ...
    async def unqueue(self, execution_id: str, *, state: Literal["RUNNING", "CANCELLED", "FAILED"] = "RUNNING") -> View:
        """Begin one that is QUEUED whatever the limit, or end it without having run. Raises NotFound, NothingToDo."""
        ...

    async def validate_inputs(self, request: StartRequest) -> list[dict[str, Any]]:
        """Per input: {input: id, value, enabled, errors: [{message}], choices?: the values of a SELECT, rendered}. Starts nothing."""
        ...

    async def validate_checks(self, request: StartRequest) -> list[dict[str, Any]]:
        """The flow's checks that these inputs fail: {message, style, behavior}. Starts nothing."""
        ...

    async def validate_answers(self, execution_id: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """As validate_inputs, of what the first paused task of an execution asks for. Raises NotFound, ConflictError."""
        ...

    async def deploy(self, deployment: Deployment) -> None:
        """Make a commit's flows the current ones: one transaction."""
        ...

    async def remember_trigger(self, namespace: str, flow_id: str, trigger_id: str, state: Mapping[str, Any]) -> None:
        """Store a trigger's state (next date, ledger, disabled, backfill) durably, without starting anything.

        Merged: keys given replace the stored ones, other keys stay, None removes. A change is told to subscribers as kind `trigger`.
        """
        ...

    # ---- reading
    async def execution(self, execution_id: str) -> View:
        """Raises NotFound."""
        ...

    async def namespace_of(self, execution_id: str) -> str | None:
        """The namespace of an execution, by one indexed query; None when there is no such execution."""
        ...

    async def executions(
        self, *, namespace: str | None = None, flow_id: str | None = None, states: Sequence[str] = (), labels: Mapping[str, str] | None = None,
        query: str | None = None, started_after: datetime | None = None, started_before: datetime | None = None,
        trigger_execution_id: str | None = None, page: int = 1, size: int = 25, sort: str = "startDate:desc",
        namespaces: Collection[str] | None = None,
    ) -> tuple[list[View], int]:
        """A page of executions (without task runs) and how many match, from limits.TOTAL_MAX on at least. Raises InputError past DEEP_MAX.

        namespaces: only those in one of these or below it; None is all.
        """
        ...

    async def list_executions(self, *, after: str | None = None, page: int = 1, size: int = 25, **wanted: Any) -> Listed:
        """As `executions`, and by trigger_id, child (True: started by an execution, False: not), namespaces (only in these and below them).

        after: an execution; the list begins behind its place, which costs the same however deep that is.
        """
        ...

    async def last_executions(self, flows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], View]:
        """The newest execution of each of these (namespace, flow id) that has any."""
        ...

    async def recent_executions(self, flows: Sequence[tuple[str, str]], *, most: int) -> dict[tuple[str, str], list[View]]:
        """The newest executions of each of these flows, newest first, as {id, state: {current, startDate, endDate?}}. One indexed query."""
        ...

    async def tally(
        self, *, start: datetime, end: datetime, steps: int, namespace: str | None = None, flow_id: str | None = None,
        namespaces: Sequence[str] | None = None,
    ) -> list[dict[str, int]]:
        """How many executions were created in each of `steps` equal parts of the time from start to end, by their state now."""
        ...

    async def reasons(self, executions: Sequence[View]) -> dict[str, str]:
        """Why these failed: the last line of level ERROR of each that has one."""
        ...

    def upcoming(self, *, limit: int) -> list[dict[str, Any]]:
        """The next dates on which triggers fire, soonest first: {namespace, flowId, triggerId, nextExecutionDate}. What a person switched off is not
        among them; whether the flow and its trigger are still there is for the caller to see."""
        ...

    async def logs(
        self, execution_id: str, *, after_seq: int = 0, min_level: str = "TRACE", task_id: str | None = None, task_run_id: str | None = None,
        attempt: int | None = None, limit: int = 10_000,
    ) -> list[dict[str, Any]]:
        """Log entries: {seq, timestamp, level, message, taskId, taskRunId, attemptNumber, executionId, namespace, flowId}."""
        ...

    async def log_index(self, execution_id: str, *, every: int, **only: Any) -> tuple[int, list[int]]:
        """How many entries match (only: as for `logs`), and the seq after which each page of `every` of them begins, the first page's 0."""
        ...

    async def log_find(self, execution_id: str, text: str, *, limit: int, **only: Any) -> list[tuple[int, int]]:
        """(number from 0 among those that match otherwise, seq) of entries whose message has `text`, in any case."""
        ...

    async def search_logs(
        self, *, namespace: str | None = None, flow_id: str | None = None, query: str | None = None, min_level: str = "TRACE",
        started_after: datetime | None = None, started_before: datetime | None = None, page: int = 1, size: int = 25,
        namespaces: Collection[str] | None = None,
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of log entries of all executions, newest first, and how many match (dates: of the entry). query: part of the message."""
        ...

    async def metrics(self, execution_id: str) -> list[dict[str, Any]]: ...
    async def evaluate(self, execution_id: str, expression: str, *, task_run_id: str | None = None) -> dict[str, Any]:
        """What a template gives on an execution as it is, {result}, or {error, stackTrace}. Secrets are masks, nothing is called or started.

        task_run_id: as that task run sees it. Raises NotFound, FlowNotFound, InputError.
        """
        ...

    async def record(self, execution_id: str) -> dict[str, Any] | None:
        """The record as committed: {path, commit, body}, or None while it is not committed."""
        ...

    def flows(self, *, namespace: str | None = None, query: str | None = None) -> list[FlowRevision]:
        """The newest revision of every deployed flow, sorted by namespace and id."""
        ...

    async def flow(self, namespace: str, flow_id: str, *, revision: int | None = None) -> FlowRevision:
        """Raises FlowNotFound."""
        ...

    async def revisions(self, namespace: str, flow_id: str) -> list[KnownFlow]: ...
    def known_flows(self) -> Mapping[tuple[str, str], KnownFlow]:
        """Newest revision of every flow, deleted ones included."""
        ...

    async def syncs(self, *, limit: int = 20) -> list[dict[str, Any]]:
        """The newest sync records (what each deployed commit accepted and refused), newest first."""
        ...

    def rejected(self) -> list[dict[str, Any]]:
        """Files refused by the newest sync of each source: {source, commit, path, problems}."""
        ...

    async def trigger_state(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any] | None: ...
    async def kv(self, namespace: str, key: str) -> dict[str, Any] | None:
        """{key, value, type, updateDate, expirationDate?} or None."""
        ...

    async def kv_list(self, namespace: str) -> list[dict[str, Any]]: ...
    async def kv_put(self, namespace: str, key: str, value: Any, *, kind: str | None = None, ttl_s: float | None = None) -> None: ...
    async def kv_delete(self, namespace: str, key: str) -> bool: ...
    async def store_upload(self, namespace: str, flow_id: str, input_id: str, filename: str, data: bytes | Path) -> str:
        """Keep an uploaded input file (its bytes, or a file that is copied); its `kestra://` URI."""
        ...

    async def read_file(self, uri: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes at a `kestra://` URI, from `offset`, at most `length` of them. Raises NotFound."""
        ...

    async def file_size(self, uri: str) -> int:
        """How many bytes are at a `kestra://` URI. Raises NotFound."""
        ...

    # ---- figures
    async def executions_over_time(
        self, *, start: datetime, end: datetime, bucket: str, by: Sequence[str] = (), namespace: str | None = None, flow_id: str | None = None,
        namespaces: Collection[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Executions created in each part of the time, by state and `by`: {at, *by, state, count, min, max, sum: seconds they took}.

        by: of namespace, flow_id. bucket: minute, hour, day, week or month. Parts without any have no row.
        """
        ...

    async def logs_over_time(
        self, *, start: datetime, end: datetime, bucket: str, namespace: str | None = None, flow_id: str | None = None,
        namespaces: Collection[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Log lines in each part of the time: {at, level, count}."""
        ...

    async def metric_names(self, namespace: str, flow_id: str, *, task_id: str | None = None) -> list[str]:
        """The names of the metrics of a flow (or of one task of it)."""
        ...

    async def metric_tasks(self, namespace: str, flow_id: str) -> list[str]:
        """The tasks of a flow that have metrics."""
        ...

    async def metric_values(
        self, namespace: str, flow_id: str, name: str, *, start: datetime, end: datetime, bucket: str, aggregate: str, task_id: str | None = None
    ) -> dict[str, float]:
        """The beginning of each part of the time that has any → sum, avg, min or max of the metric in it."""
        ...

    async def kv_search(
        self, *, namespace: str | None = None, namespaces: Collection[str] | None = None, text: str = "", page: int = 1, size: int = 25
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of keys of a namespace and those below (None: of all), without values, and how many there are."""
        ...

    async def kv_expired(self, namespace: str, key: str) -> bool:
        """Whether there was such a key, and its time is over."""
        ...

    # ---- removing
    async def delete_execution(self, execution_id: str, *, logs: bool = True, metrics: bool = True, files: bool = True) -> None:
        """Remove an execution that has ended from the index, with what of it is named. Its record stays in Git. Raises NotFound, ConflictError."""
        ...

    async def delete_logs(self, execution_id: str) -> None:
        """Remove the log of an execution. What is beside its record stays in Git and is not shown any more. Raises NotFound."""
        ...

    async def delete_flow_logs(self, namespace: str, flow_id: str, *, trigger_id: str | None = None) -> int:
        """Remove the log lines of a flow, or of one trigger of it; how many."""
        ...

    async def collect_garbage(self, *, dry: bool = False) -> dict[str, int]:
        """Remove what is past its time now, and files that nobody knows of; dry: only say what. How many of what, and the bytes of files:
        {executions, logs, metrics, keys, documents, caches, folders, files, bytes}."""
        ...

    async def health(self) -> dict[str, Any]:
        """{status: UP|DEGRADED|STARTING|DOWN, unpushed: {count, oldestSeconds}, runner, flows, executions: {running, queued},
        taskRuns: {state: how many ended so since start}, queueDepth (commands waiting), waiting: as `queue`, sources: […], version,
        disk: {freeBytes, leastBytes, low: whether new executions are refused}}."""
        ...

    def subscribe(self, *, after_seq: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """Changes as they become durable: {seq, kind: execution|flows|trigger, executionId?, namespace?, flowId?, state?}."""
        ...
