"""What authors of plug-ins import: Task, Trigger, RunContext, Result and the requests a task may make.

A task type is a subclass of Task with a `TYPE`, registered under the entry point group `podium.plugins` (a module or a
list of classes). Its `run(ctx)` is called on a copy of itself in which every `Dyn` property is rendered. KIND says where:

    inline    in the daemon's loop: no I/O, no waiting, microseconds; with `BLOCKING = True` on a thread of the daemon, for a task that
              reads much by query
    process   in a child process that a timeout or a kill ends; any I/O; only what ctx offers, no orchestrator
    command   `command(ctx)` gives a CommandSpec and the task's runner (Docker, process, …) runs it
    timer     nothing runs: the engine ends the task after its `duration`
    delegate  `becomes(ctx)` gives another task, already rendered, that is carried out in its place with the same ids
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from podium.flows.dynamic import Dyn
from podium.flows.model import Duration, Model, NamespaceFiles, Task, Trigger
from podium.runners.port import Places
from podium.storage.uris import NamespaceFile

__all__ = [
    "Cached", "CommandContext", "CommandSpec", "Commanding", "Delegating", "Duration", "Dyn", "FileStore", "Late", "Logger", "Metric", "Model",
    "NamespaceFile", "PollContext", "Polling", "Request", "Result", "RunContext", "Runnable", "Task", "TaskFailed", "Trigger",
]


class TaskFailed(Exception):
    """The task ends FAILED. Outputs and metrics given here are kept."""

    def __init__(self, message: str, *, outputs: Mapping[str, Any] | None = None, metrics: Sequence[Metric] = ()) -> None:
        super().__init__(message)
        self.outputs = dict(outputs or {})
        self.metrics = list(metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that a task publishes. A timer's value is in seconds."""

    name: str
    type: Literal["counter", "timer", "gauge"]
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Something a task asks of the orchestrator; enters the journal in the same transaction as the task's end.

    kind: set_labels {labels} · set_variables {variables, overwrite} · unset_variables {names, ignoreMissing} · exit {state} ·
    kill {executionId} · resume {executionId, inputs} · kv_put {namespace, key, value, type, ttl_s} · kv_delete {namespace, key} ·
    state_put / state_delete {key, value} · toggle_trigger {namespace, flowId, triggerId, enabled} ·
    purge_executions {namespace, flowId, states, startDate, endDate, executions, logs, metrics, files} ·
    purge_logs {namespace, flowId, levels, startDate, endDate} · task_cache_put {key, value, ttl_s} (the worker's own)
    """

    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a task ended well. state: SUCCESS or WARNING; SKIPPED is the worker's."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    state: str = "SUCCESS"
    metrics: Sequence[Metric] = ()
    requests: Sequence[Request] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the record says of the attempt beside outputs: exitCode, containerId, image, imageId, runner."""
    secret_outputs: Sequence[str] = ()
    """Names of outputs whose values are stored encrypted (`storage.crypto.Cipher.seal`) and masked in logs."""


class Logger(Protocol):
    """Writes to the task's log. Lines longer than the limit are split; secrets are masked."""

    def log(self, level: str, message: str) -> None:
        """level: ERROR, WARN, INFO, DEBUG or TRACE."""
        ...


class FileStore(Protocol):
    """Internal storage as a task sees it: `kestra://` URIs. `podium.storage.task_files.TaskFiles` is the real one."""

    def put(self, source: Path, name: str) -> str:
        """Store a file of this task under `name`; its URI."""
        ...

    def fetch(self, uri: str, target: Path) -> None:
        """Copy the file at `uri` (kestra://, nsfile:// or file://) to `target`. Raises StorageError when it is not there or not allowed."""
        ...

    def size(self, uri: str) -> int:
        """Bytes of the file at `uri`. Raises as `fetch`."""
        ...

    def exists(self, uri: str) -> bool:
        """Whether there is a file at `uri`. Raises StorageError when it may not be read."""
        ...

    def delete(self, uri: str) -> bool:
        """Remove a file of this execution; whether it was there. Raises StorageError for a file of anybody else."""
        ...

    def own_files(self) -> list[str]:
        """The URIs of all files of this execution, sorted."""
        ...

    def namespace_list(self, namespace: str) -> list[NamespaceFile]:
        """The files of a namespace: the repository's at the pinned commit, and what tasks uploaded."""
        ...

    def namespace_put(self, namespace: str, path: str, source: Path) -> str:
        """Upload a file over the namespace's files; its URI. It is not in Git."""
        ...

    def namespace_delete(self, namespace: str, path: str) -> bool:
        """Remove an uploaded file; whether there was one. The repository's own files stay."""
        ...


class RunContext(Protocol):
    """What `run` gets."""

    @property
    def execution_id(self) -> str: ...
    @property
    def task_run_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def namespace(self) -> str: ...
    @property
    def flow_id(self) -> str: ...
    @property
    def working_dir(self) -> Path:
        """A directory of this attempt's own (shared inside a WorkingDirectory), made when first asked for."""
        ...

    @property
    def log(self) -> Logger: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def zone(self) -> tzinfo:
        """The instance's time zone."""
        ...

    @property
    def variables(self) -> Mapping[str, Any]:
        """The variables that expressions see."""
        ...

    def render(self, template: Any, extra: Mapping[str, Any] | None = None) -> Any:
        """Text (or list, map) with its expressions evaluated over the variables and `extra`. For properties that are not Dyn."""
        ...

    def query(self, what: str, **arguments: Any) -> Any:
        """Read the orchestrator's state (inline tasks only). Each is the method of base/ports.Reads with the same keyword arguments:

        kv(namespace, key) · kv_keys(namespace, prefix) · kv_entries(namespace, children, expired) · state(namespace, key): the document of
        that kind · logs(execution_id, min_level, task_ids, limit) · executions(namespace, flow_id, states, start, end): count_executions ·
        execution(execution_id) · purgeable(namespace, flow_id, states, levels, start, end)
        """
        ...


@runtime_checkable
class Runnable(Protocol):
    """What a task of kind inline or process offers."""

    def run(self, ctx: RunContext) -> Result:
        """Do the work. Raises TaskFailed, or anything else: the task then ends FAILED with the error in its log."""
        ...


@runtime_checkable
class Late(Protocol):
    """A task that renders some properties itself when it runs, because they name places that are not known before.

    LATE: their attributes. same_places: stand-ins for those places, so that two runs can be compared (taskCache).
    """

    LATE: tuple[str, ...]

    def same_places(self) -> Mapping[str, Any]:
        """The extra variables."""
        ...


@runtime_checkable
class Delegating(Protocol):
    """What a task of kind delegate offers."""

    def becomes(self, ctx: RunContext) -> Task:
        """The runnable task to carry out instead. Raises TaskFailed."""
        ...


class PollContext(Protocol):
    """What `poll` gets. state: what the trigger remembers from poll to poll; changes are stored with the start they cause."""

    @property
    def namespace(self) -> str: ...
    @property
    def flow_id(self) -> str: ...
    @property
    def log(self) -> Logger: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def zone(self) -> tzinfo:
        """The instance's time zone."""
        ...

    @property
    def working_dir(self) -> Path:
        """A directory of this poll's own, gone with it."""
        ...

    @property
    def state(self) -> dict[str, Any]: ...
    def render(self, template: Any, extra: Mapping[str, Any] | None = None) -> Any:
        """Text (or list, map) with its expressions evaluated over the trigger's variables and `extra`. For properties that are not Dyn."""
        ...


class Polling(Protocol):
    """What a polling trigger offers: called every `interval` on a copy of the trigger whose Dyn properties are rendered.

    With the class variable `IN_CHILD = True` it is called in a child process, which the daemon can end: for libraries that hang or are large.
    `SECRET_VARIABLES` names variables that are recorded encrypted.
    """

    interval: Duration

    def poll(self, ctx: PollContext) -> Mapping[str, Any] | None:
        """The variables `trigger.*` of one execution, or None when there is nothing. Any I/O; never twice at once."""
        ...


class CommandContext(RunContext, Protocol):
    """What `command` gets. Calls block; `command` runs in a thread."""

    @property
    def places(self) -> Places:
        """Where the command will see its directories: working, outputs (`{{ outputDir }}`) and private."""
        ...

    @property
    def runner_type(self) -> str:
        """The full type of the task runner that will run the command."""
        ...

    def local_copies(self, text: str) -> str:
        """`text` with every literal `kestra://` URI replaced by the path of a copy that the command can read. Raises StorageError."""
        ...


@runtime_checkable
class Commanding(Protocol):
    """What a task of kind command offers."""

    def runner_options(self) -> Mapping[str, Any] | None:
        """The task runner as written, with its `type`; None means the runner of the settings. Asked before and after rendering."""
        ...

    def command(self, ctx: CommandContext) -> CommandSpec:
        """The command to run. Raises TaskFailed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """A directory below the private one that is kept from run to run under `key` (letters, digits, dashes), once a run succeeded."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A command for a runner, already rendered. Paths inside it are relative to the working directory or come from `ctx.places`."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    runner: Mapping[str, Any] = field(default_factory=dict)
    """The task runner's own properties, by their names in the language."""
    input_files: Mapping[str, Any] = field(default_factory=dict)
    """Relative path → text, bytes, or the URI of a stored file."""
    namespace_files: NamespaceFiles | None = None
    script_files: Mapping[str, str] = field(default_factory=dict)
    """Relative path → text; in the working directory like input files, but never a result."""
    private_files: Mapping[str, str] = field(default_factory=dict)
    """File name → text, below `ctx.places.private`: what the command needs and the task must not see among its files."""
    cached: Sequence[Cached] = ()
    output_patterns: Sequence[str] = ()
    output_directory: bool = False
    warning_on_stderr: bool = False
