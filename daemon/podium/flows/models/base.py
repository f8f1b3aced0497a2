"""What every model of the language stands on: the base class, common value types, Task, Trigger, Condition, TaskRunner, Retry.

Field names are the language's own in snake_case; the YAML spelling is their camelCase alias. Models are immutable. A list of
tasks holds `AnyTask`: while a flow is loaded, the class is found by `type` in the registry (flows/types) that the loader
passes as the validation context. Import these names from podium.flows.model.
"""


from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, ValidationError, core_schema

from podium.base.durations import parse_duration
from podium.flows.dynamic import CHOICE_MARK, Dyn

ID_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9_-]*"
"""What the id of a task or trigger looks like."""
ID_CHARS_MAX = 256

STATES = (
    "CREATED", "SUBMITTED", "RUNNING", "PAUSED", "RESTARTED", "QUEUED", "RETRYING", "KILLING", "BREAKPOINT", "RESUBMITTED",
    "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED",
)
TERMINAL = frozenset({"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED"})
"""States that nothing follows, of an execution or a task run."""

LogLevel = Literal["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]
State = Literal[
    "CREATED", "SUBMITTED", "RUNNING", "PAUSED", "RESTARTED", "QUEUED", "RETRYING", "KILLING", "BREAKPOINT", "RESUBMITTED",
    "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED",
]


def read_duration(value: Any) -> timedelta:
    """A duration, whatever it was written as. Raises ValueError."""
    if not isinstance(value, (str, int, float, timedelta)):
        raise ValueError("a duration is expected here (PT10S, PT1H30M, P1D or a number of seconds)")
    try:
        return parse_duration(value)
    except OverflowError:
        raise ValueError(f"a duration of {value!r} is too long") from None


_DURATION_SCHEMA = {"anyOf": [{"type": "string", "examples": ["PT10S", "PT1H30M"]}, {"type": "number"}]}
Duration = Annotated[timedelta, BeforeValidator(read_duration), WithJsonSchema(_DURATION_SCHEMA)]
"""A length of time; written as ISO-8601 (`PT10S`) or as a number of seconds."""


def labels_map(value: Any) -> Any:
    """Labels as a map, whether written as a map or as a list of {key, value}; the first of equal keys wins."""
    if not isinstance(value, list):
        return value
    labels: dict[str, Any] = {}
    for each in value:
        if not isinstance(each, Mapping) or set(each) != {"key", "value"}:
            raise ValueError("labels are a map, or a list of {key, value}")
        labels.setdefault(str(each["key"]), each["value"])
    return labels


def _scalar_labels(value: Any) -> Any:
    labels = labels_map(value)
    if isinstance(labels, Mapping):
        for key, each in labels.items():
            if isinstance(each, (Mapping, list)):
                raise ValueError(f"the value of label '{key}' must be text, a number or a boolean")
    return labels


_LABELS_SCHEMA = {
    "anyOf": [
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
        {
            "type": "array",
            "items": {
                "type": "object", "required": ["key", "value"], "additionalProperties": False,
                "properties": {"key": {"type": "string"}, "value": {"type": ["string", "number", "boolean"]}},
            },
        },
    ]
}
FlowLabels = Annotated[dict[str, str], BeforeValidator(labels_map), WithJsonSchema(_LABELS_SCHEMA)]
"""Labels of a flow: text, as written."""
Labels = Annotated[dict[str, Any], BeforeValidator(_scalar_labels), WithJsonSchema(_LABELS_SCHEMA)]
"""Labels, always a map once validated; values may hold expressions where the place allows it."""


class Shaped:
    """Marks a `dict[str, Any]` field that must look like `model` and yet stays a plain dict with the language's own keys."""

    def __init__(self, model: "type[Model]") -> None:
        self.model = model

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], core_schema.CoreSchema]) -> core_schema.CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Callable[[Any], Any]) -> Any:
        return handler(self.model.__pydantic_core_schema__)

    def _check(self, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        self.model.model_validate(value, context=info.context)
        return value


_camel = cache(to_camel)
"""Types inherit fields, so that each name is asked for by hundreds of them."""


class Model(BaseModel):
    """Base of everything people write. Unknown properties are errors. A type is built when first used, by one thread at a time."""

    model_config = ConfigDict(
        alias_generator=_camel, populate_by_name=True, extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True,
    )


class Retry(Model):
    """How a failed attempt is tried again. Source: flow-language 4.2."""

    type: Literal["constant", "exponential", "random"]
    max_attempts: Annotated[int | None, Field(ge=1)] = Field(default=None, validation_alias=AliasChoices("maxAttempts", "maxAttempt"))
    max_duration: Duration | None = None
    warning_on_retry: bool = False
    behavior: Literal["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"] = "RETRY_FAILED_TASK"
    interval: Duration | None = None
    max_interval: Duration | None = None
    delay_factor: float = 2.0
    min_interval: Duration | None = None


class WorkerSelector(Model):
    """Which workers may run the task: accepted, checked and without effect, as one daemon is the only worker. Source: flow-language-2 1."""

    tags: list[str] = []
    match: Literal["ALL", "ANY"] | None = None
    fallback: Literal["FAIL", "WAIT", "CANCEL", "IGNORE"] | None = None


class TaskCache(Model):
    """Reuse of the outputs of an earlier run with the same properties."""

    enabled: bool
    ttl: Duration | None = None


class Task(Model):
    """What every task has. A plug-in's task class extends it and names its `type` in `TYPE`. Source: flow-language 4."""

    TYPE: ClassVar[str] = ""
    ALIASES: ClassVar[tuple[str, ...]] = ()
    DEPRECATED: ClassVar[str] = ""
    """Not empty: the type still works, and this says what to use instead."""
    PENDING: ClassVar[str] = ""
    """Not empty: the type is checked and not carried out by this version, and this says what happens instead."""
    KIND: ClassVar[str] = "process"
    """How it is run: flowable (by the engine), inline (in the daemon, no I/O), process (in a killable child), command (by a runner)."""
    IDEMPOTENT: ClassVar[bool] = False
    """Whether an attempt lost in a crash may be run again."""

    id: str = Field(pattern=ID_PATTERN + "$", max_length=ID_CHARS_MAX)
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
    worker_selector: Annotated[dict[str, Any], Shaped(WorkerSelector)] | None = None
    task_cache: Annotated[dict[str, Any], Shaped(TaskCache)] | None = None
    plugin_defaults_ref: str | None = None
    policy_refs: list[str] = []
    assets: Any = None

    def lists_of_tasks(self) -> "dict[str, list[Task]]":
        """The tasks inside this one, by the path of the property that holds them; empty for a runnable task."""
        return {}


class Condition(Model):
    """What every condition of a trigger or listener has. Evaluated by the triggers room and the engine. Source: flow-language 7.7."""

    TYPE: ClassVar[str] = ""
    ALIASES: ClassVar[tuple[str, ...]] = ()
    NEEDS: ClassVar[str] = ""
    """`schedule`: may stand on a Schedule; `execution`: needs an execution; `both`; empty: about the flow that owns the trigger."""

    type: str


class TaskRunner(Model):
    """What every task runner has: where a command runs. A plug-in's runner options extend it. Source: flow-language 8.4."""

    TYPE: ClassVar[str] = ""
    ALIASES: ClassVar[tuple[str, ...]] = ()

    type: str


class Registry(Protocol):
    """What a model needs of flows/types to find the class of a nested object."""

    def task(self, name: str) -> type[Task] | None: ...
    def trigger(self, name: str) -> "type[Trigger] | None": ...
    def condition(self, name: str) -> type[Condition] | None: ...
    def runner(self, name: str) -> type[Model] | None: ...


class Typed:
    """Marks a field whose class is chosen by `type`. what: the registry's method: task, trigger, condition, or input."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Callable[[Any], Any]) -> Any:
        return {CHOICE_MARK: self.what}


def _by_type(what: str) -> WrapValidator:
    def validate(value: Any, handler: Callable[[Any], Any], info: ValidationInfo) -> Any:
        if not isinstance(value, Mapping) or not info.context:
            return handler(value)
        name = value.get("type")
        if not isinstance(name, str):
            return handler(value)
        found = getattr(info.context["types"], what)(name)
        if found is None:
            raise unknown_type(name, what, value, handler)
        return found.model_validate(value, context=info.context)

    return WrapValidator(validate)


def unknown_type(name: str, what: str, value: Mapping[str, Any], validate: Callable[[Any], Any]) -> ValidationError:
    """The error for a `type` that nobody offers, with the mistakes in what every object of the kind has. validate: by the common class."""
    errors: list[InitErrorDetails] = []
    try:
        validate(value)
    except ValidationError as error:
        errors = [_again(each) for each in error.errors(include_url=False) if each["type"] != "extra_forbidden"]
    errors.append({"type": _unknown({"name": name, "what": what}), "loc": (), "input": value})
    return ValidationError.from_exception_data(name, errors)


def _unknown(facts: dict[str, Any]) -> PydanticCustomError:
    return PydanticCustomError("unknown_type", "Invalid type: {name}", facts)


def _again(error: ErrorDetails) -> InitErrorDetails:
    facts = error.get("ctx", {})
    kind = _unknown(facts) if error["type"] == "unknown_type" else error["type"]
    return {"type": kind, "loc": error["loc"], "input": error["input"], "ctx": facts}


AnyTask = SerializeAsAny[Annotated[Task, _by_type("task"), Typed("task")]]
"""A task of any known type."""
AnyRunner = SerializeAsAny[Annotated[TaskRunner, _by_type("runner"), Typed("runner")]]
"""The options of a task runner of any known type."""
AnyCondition = SerializeAsAny[Annotated[Condition, _by_type("condition"), Typed("condition")]]
"""A condition of any known type."""


class Trigger(Model):
    """What every trigger has. A trigger class extends it and names its `type` in `TYPE`. Source: flow-language 7.0."""

    TYPE: ClassVar[str] = ""
    ALIASES: ClassVar[tuple[str, ...]] = ()
    DEPRECATED: ClassVar[str] = ""
    PENDING: ClassVar[str] = ""

    id: str = Field(pattern=ID_PATTERN + "$", max_length=ID_CHARS_MAX)
    type: str
    description: str | None = None
    conditions: list[AnyCondition] = []
    when: str | None = None
    disabled: bool = False
    labels: Labels = {}
    stop_after: list[State] = []
    inputs: dict[str, Any] = {}
    log_level: LogLevel | None = Field(default=None, validation_alias=AliasChoices("logLevel", "minLogLevel"))
    log_to_file: bool = False
    fail_on_trigger_error: bool = False
    allow_concurrent: bool = False
    version: str | None = None
    worker_group: dict[str, Any] | None = None
    worker_selector: Annotated[dict[str, Any], Shaped(WorkerSelector)] | None = None
    policy_refs: list[str] = []
    assets: Any = None


AnyTrigger = SerializeAsAny[Annotated[Trigger, _by_type("trigger"), Typed("trigger")]]
"""A trigger of any known type."""
