"""The triggers that the language itself has, and our file trigger, as models. What rings them is in the triggers room and the engine.

Source: flow-language 7.1–7.4, flow-language-2 5, ruling 18.
"""


from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from podium.flows.dynamic import Dyn
from podium.flows.models.base import AnyCondition, Duration, Labels, Model, State, Trigger
from podium.flows.models.conditions import TimeWindow

_CORE = "io.kestra.plugin.core.trigger."
_OLD = "io.kestra.core.models.triggers.types."
_RECOVER = Literal["ALL", "LAST", "NONE"]


class Schedule(Trigger):
    """Starts the flow at the times of a cron expression."""

    TYPE = _CORE + "Schedule"
    ALIASES = (_OLD + "Schedule",)
    cron: str
    with_seconds: bool = False
    timezone: str | None = None
    late_maximum_delay: Duration | None = None
    recover_missed_schedules: _RECOVER | None = None
    schedule_conditions: list[AnyCondition] = []
    backfill: dict[str, Any] | None = None


class ScheduleOnDates(Trigger):
    """Starts the flow at the given dates."""

    TYPE = _CORE + "ScheduleOnDates"
    dates: Dyn[list[str]]
    timezone: str | None = None
    recover_missed_schedules: _RECOVER | None = None


class UpstreamFlow(Model):
    """An execution of an upstream flow that must have ended so."""

    namespace: str
    flow_id: str | None = None
    states: list[State] | None = None
    labels: Labels | None = None


class Filter(Model):
    """One comparison about an upstream execution."""

    field: Literal["FLOW_ID", "NAMESPACE", "STATE", "EXPRESSION"]
    type: Literal[
        "EQUAL_TO", "NOT_EQUAL_TO", "IN", "NOT_IN", "IS_TRUE", "IS_FALSE", "IS_NULL", "IS_NOT_NULL", "STARTS_WITH", "ENDS_WITH", "REGEX",
        "CONTAINS",
    ]
    value: str | None = None
    values: list[str] | None = None


class Where(Model):
    """Filters joined by AND or OR."""

    id: str
    operand: Literal["AND", "OR"] = "AND"
    filters: list[Filter]


class Preconditions(Model):
    """What must have happened upstream within the time window (dialect 1.x)."""

    id: str
    flows: list[UpstreamFlow] = []
    where: list[Where] = []
    time_window: TimeWindow | None = None
    reset_on_success: bool = True


class Dependency(Model):
    """An upstream execution that must have happened (dialect 2.0)."""

    namespace: str | None = None
    flow_id: str | None = None
    states: list[State] | None = None
    labels: Labels | None = None
    when: str = "true"


class Window(Model):
    """The stretch of time in which dependencies count together (dialect 2.0): exactly one of deadline, from+to, every+offset, lookback."""

    deadline: str | None = None
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    every: Duration | None = None
    offset: Duration | None = None
    lookback: Duration | None = None
    timezone: str | None = None


class OnMiss(Model):
    """What happens when a window ends unfulfilled (dialect 2.0)."""

    behavior: Literal["FAIL"] = "FAIL"
    labels: Labels = {}


class FlowTrigger(Trigger):
    """Starts the flow when executions of other flows reach a state."""

    TYPE = _CORE + "Flow"
    ALIASES = (_OLD + "Flow",)
    states: list[State] | None = None
    preconditions: Preconditions | None = None
    depends_on: list[Dependency] = []
    window: Window | None = None
    mode: Literal["ALL", "ANY", "AT_LEAST"] = "ALL"
    min_satisfied: Annotated[int | None, Field(gt=0)] = None
    on_miss: OnMiss | None = None


class Verify(Model):
    """How the sender of a webhook proves who it is (ours): signature scheme, secrets, and how deliveries are told apart.

    preset: `hmac` is the general one, with header, algorithm, encoding and prefix of the signature; `none` checks nothing.
    tolerance: how old a signed time may be. dedupe: false, or the header whose value names a delivery.
    """

    preset: Literal["none", "github", "gitlab", "gitea", "forgejo", "bitbucket", "slack", "stripe", "standard", "hmac"] = "none"
    secret: str | None = None
    previous_secret: str | None = None
    tolerance: Duration | None = None
    dedupe: str | bool | None = None
    header: str | None = None
    algorithm: Literal["sha1", "sha256", "sha512"] | None = None
    encoding: Literal["hex", "base64"] | None = None
    prefix: str | None = None


class Webhook(Trigger):
    """Starts the flow when its URL is called."""

    TYPE = _CORE + "Webhook"
    ALIASES = (_OLD + "Webhook",)
    key: str = Field(min_length=1, max_length=256)
    wait: bool = False
    return_outputs: bool = False
    response_content_type: Literal["application/json", "text/plain"] | None = None
    response_code: Dyn[int] | None = None
    fetch_type: Literal["FETCH", "STORE", "NONE"] = "FETCH"
    verify: Verify | None = None


class FileTrigger(Trigger):
    """Starts the flow when files appear or change in a directory of this machine (ours)."""

    TYPE = "podium.files.Trigger"
    path: str
    glob: str = "*"
    events: list[Literal["CREATED", "MODIFIED"]] = ["CREATED", "MODIFIED"]
    settle_time: Duration = timedelta(seconds=1)
    action: Literal["NONE", "MOVE", "DELETE"] = "NONE"
    move_to: str | None = None
    recursive: bool = False


TRIGGERS: tuple[type[Trigger], ...] = (Schedule, ScheduleOnDates, FlowTrigger, Webhook, FileTrigger)
"""Every trigger type of the language itself."""
