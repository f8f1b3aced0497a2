"""The models of what people write: flows, tasks, flowable tasks, retries.

Field names are the language's own names in snake_case; the YAML spelling is their camelCase alias. Source: flow-language 1–5.
Models are immutable once made. Which runnable task and trigger types exist is not known here: the registry (flows/types)
is passed in by whoever parses.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from podium.base.durations import parse_duration
from podium.flows.dynamic import Dyn

Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A length of time; written as ISO-8601 (`PT10S`) or as a number of seconds."""

LogLevel = Literal["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]
STATES = (
    "CREATED", "SUBMITTED", "RUNNING", "PAUSED", "RESTARTED", "QUEUED", "RETRYING", "KILLING", "BREAKPOINT", "RESUBMITTED",
    "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED",
)
TERMINAL = frozenset({"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED"})
"""States that nothing follows, of an execution or a task run."""


class Model(BaseModel):
    """Base of everything people write. Unknown properties are errors."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Retry(Model):
    """How a failed attempt is tried again. Source: flow-language 4.2."""

    type: Literal["constant", "exponential", "random"]
    max_attempts: Annotated[int | None, Field(ge=1)] = None
    max_duration: Duration | None = None
    warning_on_retry: bool = False
    behavior: Literal["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"] = "RETRY_FAILED_TASK"
    interval: Duration | None = None
    max_interval: Duration | None = None
    delay_factor: float = 2.0
    min_interval: Duration | None = None


class Task(Model):
    """What every task has. A plug-in's task class extends it and names its `type` in `TYPE`. Source: flow-language 4."""

    TYPE: ClassVar[str] = ""
    ALIASES: ClassVar[tuple[str, ...]] = ()
    KIND: ClassVar[str] = "process"
    """How it is run: flowable (by the engine), inline (in the daemon, no I/O), process (in a killable child), command (by a runner)."""
    IDEMPOTENT: ClassVar[bool] = False
    """Whether an attempt lost in a crash may be run again."""

    id: str
    type: str
    description: str | None = None
    retry: Retry | None = None
    timeout: Dyn[Duration] | None = None
    disabled: bool = False
    run_if: str = "true"
    allow_failure: bool = False
    allow_warning: bool = False
    log_level: LogLevel | None = None
    log_to_file: bool = False
    version: str | None = None
    worker_group: dict[str, Any] | None = None
    worker_selector: dict[str, Any] | None = None
    task_cache: dict[str, Any] | None = None
    plugin_defaults_ref: str | None = None
    assets: Any = None

    def lists_of_tasks(self) -> dict[str, list[Task]]:
        """The tasks inside this one, by the path of the property that holds them; empty for a runnable task."""
        return {}


class Flowable(Task):
    """A task that the engine itself carries out by running others. Source: flow-language 5."""

    KIND: ClassVar[str] = "flowable"
    errors: list[Task] = []
    finally_: list[Task] = Field(default=[], alias="finally")

    def main_lists(self) -> dict[str, list[Task]]:
        """The lists of tasks that count for this task's state."""
        return {}

    def lists_of_tasks(self) -> dict[str, list[Task]]:
        """See Task."""
        return {**self.main_lists(), "errors": self.errors, "finally": self.finally_}


class _TaskList(Flowable):
    tasks: list[Task] = []

    def main_lists(self) -> dict[str, list[Task]]:
        return {"tasks": self.tasks}


class Sequential(_TaskList):
    TYPE = "io.kestra.plugin.core.flow.Sequential"


class AllowFailure(_TaskList):
    TYPE = "io.kestra.plugin.core.flow.AllowFailure"


class Parallel(_TaskList):
    TYPE = "io.kestra.plugin.core.flow.Parallel"
    concurrent: Annotated[int, Field(ge=0)] = 0


class DagTask(Model):
    task: Task
    depends_on: list[str] = []


class Dag(Flowable):
    TYPE = "io.kestra.plugin.core.flow.Dag"
    tasks: list[DagTask] = []
    concurrent: Annotated[int, Field(ge=0)] = 0

    def main_lists(self) -> dict[str, list[Task]]:
        return {"tasks": [each.task for each in self.tasks]}


class If(Flowable):
    TYPE = "io.kestra.plugin.core.flow.If"
    condition: str
    then: list[Task] = []
    else_: list[Task] = Field(default=[], alias="else")

    def main_lists(self) -> dict[str, list[Task]]:
        return {"then": self.then, "else": self.else_}


class Switch(Flowable):
    TYPE = "io.kestra.plugin.core.flow.Switch"
    value: str
    cases: dict[str, list[Task]] = {}
    defaults: list[Task] = []

    def main_lists(self) -> dict[str, list[Task]]:
        return {**{f"cases.{key}": tasks for key, tasks in self.cases.items()}, "defaults": self.defaults}


class ForEach(_TaskList):
    TYPE = "io.kestra.plugin.core.flow.ForEach"
    values: str | list[Any]
    concurrency_limit: Annotated[int, Field(ge=0)] = 1


class EachSequential(_TaskList):
    TYPE = "io.kestra.plugin.core.flow.EachSequential"
    value: str | list[Any]


class EachParallel(_TaskList):
    TYPE = "io.kestra.plugin.core.flow.EachParallel"
    value: str | list[Any]
    concurrent: Annotated[int, Field(ge=0)] = 0


class CheckFrequency(Model):
    interval: Dyn[Duration] | None = None
    max_iterations: Dyn[int] | None = None
    max_duration: Dyn[Duration] | None = None


class LoopUntil(_TaskList):
    TYPE = "io.kestra.plugin.core.flow.LoopUntil"
    condition: str
    fail_on_max_reached: Dyn[bool] = False
    check_frequency: CheckFrequency = CheckFrequency()


class Pause(_TaskList):
    TYPE = "io.kestra.plugin.core.flow.Pause"
    delay: Dyn[Duration] | None = None
    pause_duration: Dyn[Duration] | None = None
    behavior: Dyn[Literal["RESUME", "WARN", "FAIL", "CANCEL"]] = "RESUME"
    on_resume: list[Any] = []
    on_pause: Task | None = None


class Subflow(Flowable):
    """Starts another flow. One task run, no children of its own in this execution."""

    TYPE = "io.kestra.plugin.core.flow.Subflow"
    namespace: str
    flow_id: str
    revision: int | None = None
    inputs: dict[str, Any] = {}
    labels: dict[str, Any] | list[Any] = {}
    inherit_labels: Dyn[bool] = False
    wait: Dyn[bool] = True
    transmit_failed: Dyn[bool] = True
    schedule_date: str | None = None
    outputs: dict[str, Any] | None = None
    restart_behavior: Literal["RETRY_FAILED", "NEW_EXECUTION"] = "RETRY_FAILED"


class WorkingDirectory(_TaskList):
    """Runs its children one after the other in one shared directory."""

    TYPE = "io.kestra.plugin.core.flow.WorkingDirectory"
    input_files: Any = None
    namespace_files: dict[str, Any] | None = None
    output_files: Any = None
    cache: dict[str, Any] | None = None


class Label(Model):
    key: str
    value: str


class Concurrency(Model):
    limit: Annotated[int, Field(gt=0)]
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"


class Sla(Model):
    id: str
    type: Literal["MAX_DURATION", "EXECUTION_ASSERTION"]
    behavior: Literal["FAIL", "CANCEL", "NONE"]
    labels: dict[str, Any] | list[Any] = {}
    duration: Duration | None = None
    assert_: str | None = Field(default=None, alias="assert")


class Check(Model):
    condition: str
    message: str
    style: Literal["ERROR", "SUCCESS", "WARNING", "INFO"] = "INFO"
    behavior: Literal["BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"] = "BLOCK_EXECUTION"


class Output(Model):
    id: str
    type: str
    value: Any
    description: str | None = None
    display_name: str | None = None
    required: bool = True


class Trigger(Model):
    """What every trigger has. A trigger class extends it and names its `type` in `TYPE`. Source: flow-language 7.0."""

    TYPE: ClassVar[str] = ""
    ALIASES: ClassVar[tuple[str, ...]] = ()

    id: str
    type: str
    description: str | None = None
    conditions: list[Any] = []
    when: str | None = None
    disabled: bool = False
    labels: dict[str, Any] | list[Any] = {}
    stop_after: list[str] = []
    inputs: dict[str, Any] = {}
    log_level: LogLevel | None = None
    log_to_file: bool = False
    fail_on_trigger_error: bool = False
    allow_concurrent: bool = False


class Flow(Model):
    """One flow as written, after plug-in defaults. Source: flow-language 1.1."""

    id: str
    namespace: str
    revision: int | None = None
    description: str | None = None
    labels: dict[str, str] = {}
    inputs: list[Any] = []
    variables: dict[str, Any] = {}
    tasks: list[Task]
    errors: list[Task] = []
    finally_: list[Task] = Field(default=[], alias="finally")
    after_execution: list[Task] = []
    triggers: list[Trigger] = []
    concurrency: Concurrency | None = None
    outputs: list[Output] = []
    retry: Retry | None = None
    sla: list[Sla] = []
    checks: list[Check] = []
    disabled: bool = False
    dialect: Literal["1.x", "2.0"] = "1.x"
