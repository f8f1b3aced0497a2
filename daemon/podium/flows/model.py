"""The models of what people write: flows, tasks, flowable tasks, inputs, retries. The face of flows/models: import names from here.

Field names are the language's own names in snake_case; the YAML spelling is their camelCase alias. Source: flow-language 1–5.
Models are immutable once made. Which runnable task and trigger types exist is not known here: the registry (flows/types)
is passed in by whoever parses.
"""


from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from podium.flows.models.base import (
    STATES,
    TERMINAL,
    AnyCondition,
    AnyRunner,
    AnyTask,
    AnyTrigger,
    Condition,
    Duration,
    FlowLabels,
    Labels,
    LogLevel,
    Model,
    Retry,
    Shaped,
    State,
    Task,
    TaskCache,
    TaskRunner,
    Trigger,
    WorkerSelector,
    labels_map,
)
from podium.flows.models.inputs import (
    INPUT_CLASSES,
    AnyInput,
    ArrayInput,
    BooleanInput,
    DateInput,
    DatetimeInput,
    DependsOn,
    DurationInput,
    EnumInput,
    FileInput,
    FloatInput,
    FormInput,
    Input,
    IntInput,
    MultiselectInput,
    ObjectInput,
    Output,
    PlainInput,
    ReusableInputs,
    SecretInput,
    SelectInput,
    StringInput,
    TableInput,
    TimeInput,
)
from podium.flows.models.tasks import (
    FLOWABLES,
    AllowFailure,
    Approval,
    Batch,
    BatchSubflows,
    Cache,
    CheckFrequency,
    Dag,
    DagTask,
    Decisions,
    EachParallel,
    EachSequential,
    Flowable,
    ForEach,
    ForEachItem,
    If,
    Launcher,
    Loop,
    LoopUntil,
    NamespaceFiles,
    Parallel,
    Pause,
    Sequential,
    Subflow,
    Switch,
    TaskTemplate,
    Template,
    WorkingDirectory,
)

__all__ = [
    "FLOWABLES", "INPUT_CLASSES", "STATES", "TERMINAL", "AllowFailure", "AnyCondition", "AnyInput", "AnyRunner", "AnyTask", "AnyTrigger",
    "Approval", "ArrayInput", "Batch", "BatchSubflows", "BooleanInput", "Cache", "Check", "CheckFrequency", "Concurrency", "Condition", "Dag",
    "DagTask",
    "DateInput", "DatetimeInput", "Decisions", "DependsOn", "Duration", "DurationInput", "EachParallel", "EachSequential", "EnumInput",
    "FileInput", "FloatInput", "Flow", "Flowable", "ForEach", "ForEachItem", "FormInput", "If", "Input", "IntInput", "Label", "Labels",
    "Launcher", "Listener", "LogLevel", "Loop", "LoopUntil", "Model", "MultiselectInput", "NamespaceFiles", "ObjectInput", "Output", "Parallel",
    "Pause", "PlainInput", "PluginDefault", "Retry", "ReusableInputs", "SecretInput", "SelectInput", "Sequential", "Shaped", "Sla",
    "State", "StringInput", "Subflow", "Switch", "TableInput", "Task", "TaskCache", "TaskRunner", "TaskTemplate", "Template", "TimeInput", "Trigger",
    "WorkerSelector", "WorkingDirectory", "all_tasks", "labels_map",
]

FLOW_ID_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9._-]*"
NAMESPACE_PATTERN = r"^[a-z0-9][a-z0-9._-]*"


class Label(Model):
    key: str
    value: str


class Concurrency(Model):
    """How many executions of the flow may run at a time, and what happens to the next one."""

    limit: Annotated[int, Field(gt=0)]
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"


class Sla(Model):
    """A promise about every execution, and what happens when it is broken."""

    id: str = Field(min_length=1)
    type: Literal["MAX_DURATION", "EXECUTION_ASSERTION"]
    behavior: Literal["FAIL", "CANCEL", "NONE"]
    labels: Labels = {}
    duration: Duration | None = None
    assert_: str | None = Field(default=None, alias="assert")


class Check(Model):
    """What must hold before an execution is created. `when` is the 2.0 name of `condition`."""

    condition: str = Field(validation_alias=AliasChoices("condition", "when"))
    message: str
    style: Literal["ERROR", "SUCCESS", "WARNING", "INFO"] = "INFO"
    behavior: Literal["BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"] = "BLOCK_EXECUTION"


class PluginDefault(Model):
    """Values for every plug-in of a type. Applied before the models are made: see flows/defaults."""

    type: str = Field(min_length=1)
    forced: bool = False
    values: dict[str, Any] = {}
    ref: str | None = None


class Listener(Model):
    """Tasks that run after an execution for which all conditions hold (deprecated)."""

    description: str | None = None
    conditions: list[AnyCondition] = []
    tasks: list[AnyTask]


class Flow(Model):
    """One flow as written, after plug-in defaults. Source: flow-language 1.1."""

    id: str = Field(pattern=FLOW_ID_PATTERN + "$", min_length=1, max_length=100)
    namespace: str = Field(pattern=NAMESPACE_PATTERN + "$", min_length=1, max_length=150)
    revision: Annotated[int | None, Field(ge=1)] = None
    description: str | None = None
    labels: FlowLabels = {}
    inputs: list[AnyInput] = []
    variables: dict[str, Any] = {}
    tasks: list[AnyTask]
    errors: list[AnyTask] = []
    finally_: list[AnyTask] = Field(default=[], alias="finally")
    after_execution: list[AnyTask] = []
    triggers: list[AnyTrigger] = []
    concurrency: Concurrency | None = None
    outputs: list[Output] = []
    retry: Retry | None = None
    sla: list[Sla] = []
    checks: list[Check] = []
    listeners: list[Listener] = []
    plugin_defaults: list[PluginDefault] = Field(default=[], validation_alias=AliasChoices("pluginDefaults", "taskDefaults"))
    disabled: bool = False
    deleted: bool = False
    draft: bool = False
    tenant_id: str | None = None
    policy_refs: list[str] = []
    quotas: Any = None
    worker_group: dict[str, Any] | None = None
    worker_selector: Annotated[dict[str, Any], Shaped(WorkerSelector)] | None = None
    dialect: Literal["1.x", "2.0"] = "1.x"

    given_variables: dict[str, Any] = Field(default={}, exclude=True)
    """The variables of its namespace (`namespace.*` in expressions), from podium.yaml."""

    NOT_WRITTEN: ClassVar[frozenset[str]] = frozenset({"dialect", "given_variables"})
    """Fields that the loader sets; in a file they are unknown properties."""


def all_tasks(flow: Flow, *, disabled: bool = True, listeners: bool = True) -> Iterator[Task]:
    """Every task of a flow in reading order, parents before children.

    disabled: those that are switched off, and what is in them, too. listeners: those of its listeners, too.
    """
    todo = [*flow.tasks, *flow.errors, *flow.finally_, *flow.after_execution]
    if listeners:
        todo += [task for listener in flow.listeners for task in listener.tasks]
    while todo:
        task = todo.pop(0)
        if task.disabled and not disabled:
            continue
        yield task
        todo[:0] = [inner for tasks in task.lists_of_tasks().values() for inner in tasks]
