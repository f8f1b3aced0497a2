"""The flowable tasks: those that the engine itself carries out by running others. Source: flow-language 5, flow-language-2 3 and 4.

Import these names from podium.flows.model.
"""


from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, model_validator

from podium.flows.dynamic import Dyn
from podium.flows.models.base import AnyTask, Duration, Labels, Model, Shaped, Task
from podium.flows.models.inputs import AnyInput, Output

_CORE = "io.kestra.plugin.core.flow."
_OLD = "io.kestra.core.tasks.flows."


class Flowable(Task):
    """A task that the engine itself carries out by running others. Source: flow-language 5."""

    KIND = "flowable"
    errors: list[AnyTask] = []
    finally_: list[AnyTask] = Field(default=[], alias="finally")

    def main_lists(self) -> dict[str, list[Task]]:
        """The lists of tasks that count for this task's state."""
        return {}

    def lists_of_tasks(self) -> dict[str, list[Task]]:
        """See Task."""
        return {**self.main_lists(), "errors": self.errors, "finally": self.finally_}


class _TaskList(Flowable):
    tasks: list[AnyTask] = []

    def main_lists(self) -> dict[str, list[Task]]:
        return {"tasks": self.tasks}


class Sequential(_TaskList):
    """Runs its tasks one after the other."""

    TYPE = _CORE + "Sequential"
    ALIASES = (_OLD + "Sequential",)


class AllowFailure(_TaskList):
    """Runs its tasks one after the other; when one fails, the block ends WARNING."""

    TYPE = _CORE + "AllowFailure"
    ALIASES = (_OLD + "AllowFailure",)


class Parallel(_TaskList):
    """Runs its tasks at the same time."""

    TYPE = _CORE + "Parallel"
    ALIASES = (_OLD + "Parallel",)
    concurrent: Annotated[int, Field(ge=0)] = 0


class DagTask(Model):
    """A task of a Dag and the ids of those it waits for."""

    task: AnyTask
    depends_on: list[str] = []


class Dag(Flowable):
    """Runs each task once those it depends on have ended."""

    TYPE = _CORE + "Dag"
    ALIASES = (_OLD + "Dag",)
    tasks: list[DagTask] = []
    concurrent: Annotated[int, Field(ge=0)] = 0

    def main_lists(self) -> dict[str, list[Task]]:
        return {"tasks": [each.task for each in self.tasks]}


class If(Flowable):
    """Runs one of two lists of tasks."""

    TYPE = _CORE + "If"
    ALIASES = (_OLD + "If",)
    condition: str
    then: list[AnyTask] = []
    else_: list[AnyTask] = Field(default=[], alias="else")

    def main_lists(self) -> dict[str, list[Task]]:
        return {"then": self.then, "else": self.else_}


class Switch(Flowable):
    """Runs the list of tasks whose case equals the value."""

    TYPE = _CORE + "Switch"
    ALIASES = (_OLD + "Switch",)
    value: str
    cases: dict[str, list[AnyTask]] = {}
    defaults: list[AnyTask] = []

    def main_lists(self) -> dict[str, list[Task]]:
        return {**{f"cases.{key}": tasks for key, tasks in self.cases.items()}, "defaults": self.defaults}


class ForEach(_TaskList):
    """Runs its tasks for every value."""

    TYPE = _CORE + "ForEach"
    values: str | list[Any]
    concurrency_limit: Annotated[int, Field(ge=0)] = 1


class EachSequential(_TaskList):
    """Runs its tasks for every value, one value after the other."""

    TYPE = _CORE + "EachSequential"
    ALIASES = (_OLD + "EachSequential",)
    DEPRECATED = "use io.kestra.plugin.core.flow.ForEach"
    value: str | list[Any]


class EachParallel(_TaskList):
    """Runs all its tasks for all values at the same time."""

    TYPE = _CORE + "EachParallel"
    ALIASES = (_OLD + "EachParallel",)
    DEPRECATED = "use io.kestra.plugin.core.flow.ForEach with a concurrencyLimit"
    value: str | list[Any]
    concurrent: Annotated[int, Field(ge=0)] = 0


class Launcher(Flowable):
    """A task of which one task run starts an execution for each of many items, and follows them to their ends."""


class Loop(Launcher):
    """Runs its tasks for every value, each in an isolated sub-execution (language 2.0)."""

    TYPE = _CORE + "Loop"
    tasks: list[AnyTask] = []
    values: str | list[Any] | dict[str, Any]
    concurrency_limit: Annotated[int, Field(ge=0)] = 0
    transmit_failed: bool = True
    outputs: list[Output] = []
    fetch_type: Literal["AUTO", "FETCH", "STORE"] = "AUTO"
    break_when: str | None = None

    def main_lists(self) -> dict[str, list[Task]]:
        return {"tasks": self.tasks}


class CheckFrequency(Model):
    """How often and how long a LoopUntil tries."""

    interval: Dyn[Duration] | None = None
    max_iterations: Dyn[int] | None = None
    max_duration: Dyn[Duration] | None = None


class LoopUntil(_TaskList):
    """Runs its tasks again and again until the condition holds."""

    TYPE = _CORE + "LoopUntil"
    ALIASES = (_CORE + "WaitFor",)
    condition: str
    fail_on_max_reached: Dyn[bool] = False
    check_frequency: CheckFrequency = CheckFrequency()


class Pause(_TaskList):
    """Waits for somebody, or for a length of time."""

    TYPE = _CORE + "Pause"
    ALIASES = (_OLD + "Pause",)
    delay: Dyn[Duration] | None = None
    pause_duration: Dyn[Duration] | None = None
    behavior: Dyn[Literal["RESUME", "WARN", "FAIL", "CANCEL"]] = "RESUME"
    on_resume: list[AnyInput] = []
    on_pause: AnyTask | None = None

    def lists_of_tasks(self) -> dict[str, list[Task]]:
        """See Task."""
        return {**super().lists_of_tasks(), "onPause": [self.on_pause] if self.on_pause is not None else []}


class Decisions(Model):
    """What the two buttons of an approval say."""

    approve: str = "Approve"
    deny: str = "Deny"


Outcome = Literal["CONTINUE", "WARN", "FAIL", "SUCCEED", "CANCEL", "KILL"]


class Approval(Flowable):
    """Waits until a reviewer decides (language 2.0)."""

    TYPE = _CORE + "Approval"
    inputs: list[AnyInput] = []
    decisions: Decisions = Decisions()
    comment_required: Dyn[Literal["NEVER", "ALWAYS", "ON_DENY", "ON_APPROVE"]] = "NEVER"
    auto_approve: Dyn[bool] = False
    approve_behavior: Dyn[Outcome] = "CONTINUE"
    deny_behavior: Dyn[Outcome] = "CANCEL"
    expire_behavior: Dyn[Outcome] = "CANCEL"
    on_wait: list[AnyTask] = []
    on_approve: list[AnyTask] = []
    on_deny: list[AnyTask] = []

    def main_lists(self) -> dict[str, list[Task]]:
        return {"onWait": self.on_wait, "onApprove": self.on_approve, "onDeny": self.on_deny}


class Subflow(Flowable):
    """Starts another flow. One task run, no children of its own in this execution."""

    TYPE = _CORE + "Subflow"
    ALIASES = (_OLD + "Subflow", _OLD + "Flow", _CORE + "Flow")
    namespace: str
    flow_id: str
    revision: Annotated[int | None, Field(ge=1)] = None
    inputs: dict[str, Any] = {}
    labels: Labels = {}
    inherit_labels: Dyn[bool] = False
    wait: Dyn[bool] = True
    transmit_failed: Dyn[bool] = True
    schedule_date: str | None = None
    outputs: dict[str, Any] | None = None
    restart_behavior: Literal["RETRY_FAILED", "NEW_EXECUTION"] = "RETRY_FAILED"


class Batch(Model):
    """How a file is cut into batches: by bytes, else into partitions, else by rows."""

    rows: Dyn[int] | None = None
    partitions: Dyn[int] | None = None
    bytes: str | None = None
    separator: str = "\n"


class _Batches(Flowable):
    """Which flow is started for each batch, and what its end means."""

    namespace: str
    flow_id: str
    revision: Annotated[int | None, Field(ge=1)] = None
    inputs: dict[str, Any] = {}
    labels: Labels = {}
    inherit_labels: Dyn[bool] = False
    wait: Dyn[bool] = True
    transmit_failed: Dyn[bool] = True
    schedule_date: str | None = None
    restart_behavior: Literal["RETRY_FAILED", "NEW_EXECUTION"] = "RETRY_FAILED"


class ForEachItem(_Batches):
    """Starts another flow for every batch of lines of a stored file. Its children are `<id>_split`, `<id>_items`, `<id>_merge`.

    The type of that name in the registry is the core plug-in's, which adds the tasks that cut and merge files.
    """

    TYPE = _CORE + "ForEachItem"
    ALIASES = (_OLD + "ForEachItem",)
    items: str
    batch: Batch = Batch()


class BatchSubflows(_Batches, Launcher):
    """The task `<id>_items` inside a ForEachItem: one execution for each line of the file that its sibling `<id>_split` made."""

    TYPE = ForEachItem.TYPE + "$ForEachItemExecutable"


class TaskTemplate(Model):
    """A stored template: tasks that flows put in the place of a Template task. A file in `_templates/` of a source."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", min_length=1, max_length=100)
    namespace: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", min_length=1, max_length=150)
    description: str | None = None
    tasks: list[AnyTask] = Field(min_length=1)
    errors: list[AnyTask] = []


class Template(_TaskList):
    """Puts the tasks of a stored template here."""

    TYPE = _CORE + "Template"
    ALIASES = (_OLD + "Template",)
    DEPRECATED = "use io.kestra.plugin.core.flow.Subflow"
    NOT_WRITTEN: ClassVar[frozenset[str]] = frozenset({"tasks"})
    namespace: str
    template_id: str
    args: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _with_stored_tasks(cls, data: Any, info: ValidationInfo) -> Any:
        templates = (info.context or {}).get("templates")
        if templates is None or not isinstance(data, Mapping):
            return data
        tasks, errors = templates.tasks_of(data.get("namespace"), data.get("templateId"))
        return {**data, "tasks": tasks, **({"errors": errors} if errors else {})}


class NamespaceFiles(Model):
    """Which files of the namespace a task finds in its working directory. Source: flow-language 5.15."""

    enabled: Dyn[bool] = True
    include: Dyn[list[str]] = []
    exclude: Dyn[list[str]] = []
    namespaces: Dyn[list[str]] = []
    if_exists: Dyn[Literal["OVERWRITE", "FAIL", "WARN", "IGNORE"]] = "OVERWRITE"
    folder_per_namespace: Dyn[bool] = False


class Cache(Model):
    """Files of a working directory that are kept for its next run."""

    patterns: list[str]
    ttl: Duration | None = None


class WorkingDirectory(_TaskList):
    """Runs its children one after the other in one shared directory."""

    TYPE = _CORE + "WorkingDirectory"
    ALIASES = (_OLD + "WorkingDirectory", _OLD + "Worker", _CORE + "Worker")
    input_files: Any = None
    namespace_files: Annotated[dict[str, Any], Shaped(NamespaceFiles)] | None = None
    output_files: Any = None
    cache: Annotated[dict[str, Any], Shaped(Cache)] | None = None


FLOWABLES: tuple[type[Flowable], ...] = (
    Sequential, AllowFailure, Parallel, Dag, If, Switch, ForEach, EachSequential, EachParallel, Loop, LoopUntil, Pause, Approval, Subflow,
    Template, WorkingDirectory,
)
"""Every flowable type of the language but ForEachItem, which works on files: a plug-in's."""
