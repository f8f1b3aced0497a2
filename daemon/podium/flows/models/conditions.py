"""The conditions of triggers and listeners as models. Whether one holds is decided by the engine and the triggers room.

Every text may hold expressions unless said otherwise. Source: flow-language 7.7.
"""


from typing import Literal

from pydantic import Field

from podium.flows.models.base import AnyCondition, Condition, Duration, Labels, Model, State

_CORE = "io.kestra.plugin.core.condition."
_OLD = "io.kestra.core.models.conditions.types."

Weekday = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]


def _aliases(name: str) -> tuple[str, ...]:
    return (_OLD + name + "Condition", _CORE + name + "Condition")


class _Dated(Condition):
    NEEDS = "schedule"
    date: str = "{{ trigger.date }}"


class DateTimeBetween(_Dated):
    """The date is strictly after and before the given ones."""

    TYPE = _CORE + "DateTimeBetween"
    ALIASES = _aliases("DateTimeBetween")
    after: str | None = None
    before: str | None = None


class DayWeek(_Dated):
    """The date falls on that day of the week."""

    TYPE = _CORE + "DayWeek"
    ALIASES = _aliases("DayWeek")
    day_of_week: str


class DayWeekInMonth(_Dated):
    """The date is the first, second, …, last such weekday of its month."""

    TYPE = _CORE + "DayWeekInMonth"
    ALIASES = _aliases("DayWeekInMonth")
    day_of_week: str
    day_in_month: str


class TimeBetween(_Dated):
    """The time of day is strictly after and before the given ones (with offset, like 16:19:12Z)."""

    TYPE = _CORE + "TimeBetween"
    ALIASES = _aliases("TimeBetween")
    after: str | None = None
    before: str | None = None


class Weekend(_Dated):
    """The date is a Saturday or Sunday."""

    TYPE = _CORE + "Weekend"
    ALIASES = _aliases("Weekend")


class PublicHoliday(_Dated):
    """The date is a public holiday of the country (ISO code)."""

    TYPE = _CORE + "PublicHoliday"
    ALIASES = _aliases("PublicHoliday")
    country: str | None = None
    sub_division: str | None = None


class ExecutionFlow(Condition):
    """The execution is of that flow."""

    TYPE = _CORE + "ExecutionFlow"
    ALIASES = _aliases("ExecutionFlow")
    NEEDS = "execution"
    namespace: str
    flow_id: str


class ExecutionNamespace(Condition):
    """The execution's namespace equals, begins with or ends with the given text."""

    TYPE = _CORE + "ExecutionNamespace"
    ALIASES = _aliases("ExecutionNamespace")
    NEEDS = "execution"
    namespace: str
    comparison: Literal["EQUALS", "PREFIX", "SUFFIX"] | None = None
    prefix: bool = False


class ExecutionStatus(Condition):
    """The execution's state is in the one list and not in the other."""

    TYPE = _CORE + "ExecutionStatus"
    ALIASES = _aliases("ExecutionStatus")
    NEEDS = "execution"
    in_: list[State] | None = Field(default=None, alias="in")
    not_in: list[State] | None = None


class ExecutionLabels(Condition):
    """The execution has all these labels with these values."""

    TYPE = _CORE + "ExecutionLabels"
    ALIASES = _aliases("ExecutionLabels")
    NEEDS = "execution"
    labels: Labels


class ExecutionOutputs(Condition):
    """The expression over `trigger.outputs` is neither blank nor `false`."""

    TYPE = _CORE + "ExecutionOutputs"
    ALIASES = _aliases("ExecutionOutputs")
    NEEDS = "both"
    expression: str


class Expression(Condition):
    """The expression is neither blank nor `false`."""

    TYPE = _CORE + "Expression"
    ALIASES = (_OLD + "VariableCondition", _CORE + "ExpressionCondition", _OLD + "ExpressionCondition")
    NEEDS = "both"
    expression: str


class HasRetryAttempt(Condition):
    """Some task run with more than one attempt has an attempt in (not in) these states."""

    TYPE = _CORE + "HasRetryAttempt"
    ALIASES = _aliases("HasRetryAttempt")
    NEEDS = "execution"
    in_: list[State] | None = Field(default=None, alias="in")
    not_in: list[State] | None = None


class FlowCondition(Condition):
    """The flow that owns the trigger is this one."""

    TYPE = _CORE + "FlowCondition"
    ALIASES = (_OLD + "FlowCondition",)
    namespace: str
    flow_id: str


class FlowNamespaceCondition(Condition):
    """The flow that owns the trigger is in this namespace."""

    TYPE = _CORE + "FlowNamespaceCondition"
    ALIASES = (_OLD + "FlowNamespaceCondition",)
    namespace: str
    prefix: bool = False


class Not(Condition):
    """None of the conditions holds."""

    TYPE = _CORE + "Not"
    ALIASES = _aliases("Not")
    NEEDS = "schedule"
    conditions: list[AnyCondition]


class Or(Condition):
    """Some of the conditions holds."""

    TYPE = _CORE + "Or"
    ALIASES = _aliases("Or")
    NEEDS = "schedule"
    conditions: list[AnyCondition]


class TimeWindow(Model):
    """The stretch of time in which several upstream executions count together. Source: flow-language 7.3."""

    type: Literal["DURATION_WINDOW", "SLIDING_WINDOW", "DAILY_TIME_DEADLINE", "DAILY_TIME_WINDOW"] = "DURATION_WINDOW"
    window: Duration | None = None
    window_advance: Duration | None = None
    deadline: str | None = None
    start_time: str | None = None
    end_time: str | None = None


class MultipleCondition(Condition):
    """Each named condition held for some execution within the window (the older form of preconditions)."""

    TYPE = _CORE + "MultipleCondition"
    ALIASES = (_OLD + "MultipleCondition",)
    NEEDS = "execution"
    id: str
    conditions: dict[str, AnyCondition]
    time_window: TimeWindow | None = None
    reset_on_success: bool = True
    window: Duration | None = None
    window_advance: Duration | None = None


CONDITIONS: tuple[type[Condition], ...] = (
    DateTimeBetween, DayWeek, DayWeekInMonth, TimeBetween, Weekend, PublicHoliday, ExecutionFlow, ExecutionNamespace, ExecutionStatus,
    ExecutionLabels, ExecutionOutputs, Expression, HasRetryAttempt, FlowCondition, FlowNamespaceCondition, Not, Or, MultipleCondition,
)
"""Every condition type of the language."""
