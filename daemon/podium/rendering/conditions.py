"""Whether conditions of a trigger or listener hold. Called by triggers and the conductor. Source: flow-language 7.7.

An execution is what flow-language 9.2 shows. When none is given, it is what `trigger.*` says of the upstream one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from podium.base.errors import ExpressionError
from podium.expressions.text import java_text
from podium.flows.model import Condition, labels_map
from podium.flows.models import conditions as models
from podium.rendering.renderer import Renderer
from podium.rendering.scope import Scope

_WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_WEEKS = {"FIRST": 0, "SECOND": 1, "THIRD": 2, "FOURTH": 3}


def conditions_hold(
    conditions: Sequence[Condition], variables: Mapping[str, Any], scope: Scope, renderer: Renderer, *,
    execution: Mapping[str, Any] | None = None,
) -> bool:
    """Whether all of them hold. scope: of the flow that owns the trigger. Raises ExpressionError when one cannot be evaluated."""
    asking = _Asking(variables, scope, renderer, execution)
    return all(asking.holds(condition) for condition in conditions)


evaluate = conditions_hold


@dataclass(frozen=True, slots=True)
class _Asking:
    variables: Mapping[str, Any]
    scope: Scope
    renderer: Renderer
    given: Mapping[str, Any] | None

    def holds(self, condition: Condition) -> bool:
        """Whether one condition holds."""
        match condition:
            case models.Not():
                return not any(map(self.holds, condition.conditions))
            case models.Or():
                return any(map(self.holds, condition.conditions))
            case models.Expression():
                return _not_false(self.text(condition.expression))
            case models.ExecutionOutputs():
                outputs = self.execution.get("outputs") or _under(self.variables, "trigger", "outputs")
                return bool(outputs) and _not_false(self.text(condition.expression, {"trigger": {**self._trigger(), "outputs": outputs}}))
            case models.FlowCondition():
                return (self.scope.namespace, self.scope.flow_id) == (self.text(condition.namespace), self.text(condition.flow_id))
            case models.FlowNamespaceCondition():
                namespace = self.text(condition.namespace)
                return self.scope.namespace.startswith(namespace) if condition.prefix else self.scope.namespace == namespace
            case models.MultipleCondition():
                return all(map(self.holds, condition.conditions.values()))
            case models.Weekend() | models.DayWeek() | models.DayWeekInMonth() | models.PublicHoliday():
                return self._on_day(condition)
            case models.DateTimeBetween() | models.TimeBetween():
                return self._between(condition)
            case _:
                return self._of_execution(condition)

    # ---- dates

    def _on_day(self, condition: models.Weekend | models.DayWeek | models.DayWeekInMonth | models.PublicHoliday) -> bool:
        day = self._day(condition.date)
        match condition:
            case models.Weekend():
                return day.weekday() >= 5
            case models.DayWeek():
                return day.weekday() == self._weekday(condition.day_of_week)
            case models.DayWeekInMonth():
                return day.weekday() == self._weekday(condition.day_of_week) and self._in_week(day, condition.day_in_month)
            case models.PublicHoliday():
                return self._is_holiday(day, condition)

    def _weekday(self, written: str) -> int:
        name = self.text(written).strip().upper()
        if name not in _WEEKDAYS:
            raise ExpressionError(f"dayOfWeek: '{name}' is not a day of the week", hint=f"one of {', '.join(_WEEKDAYS)}")
        return _WEEKDAYS.index(name)

    def _in_week(self, day: date, written: str) -> bool:
        position = self.text(written).strip().upper()
        if position == "LAST":
            return (day + timedelta(days=7)).month != day.month
        if position not in _WEEKS:
            raise ExpressionError(f"dayInMonth: '{position}' is not a position", hint="one of FIRST, SECOND, THIRD, FOURTH, LAST")
        return (day.day - 1) // 7 == _WEEKS[position]

    def _is_holiday(self, day: date, condition: models.PublicHoliday) -> bool:
        import holidays

        country = self.text(condition.country or "").strip().upper()
        division = self.text(condition.sub_division or "").strip() or None
        try:
            known = holidays.country_holidays(country, subdiv=_division(country, division), years=day.year)
        except NotImplementedError as error:
            raise ExpressionError(
                f"PublicHoliday: no holidays are known of '{country}'{f' and {division!r}' if division else ''}", hint="use ISO codes, like FR"
            ) from error
        return day in known

    def _between(self, condition: models.DateTimeBetween | models.TimeBetween) -> bool:
        kind = type(condition).__name__
        after, before = (self.text(each) if each is not None else "" for each in (condition.after, condition.before))
        if not after.strip() and not before.strip():
            raise ExpressionError(f"{kind}: after or before must be set", hint="give at least one of them")
        moment = self._moment(condition.date)
        if isinstance(condition, models.DateTimeBetween):
            return (not after.strip() or moment > self._parsed(after)) and (not before.strip() or moment < self._parsed(before))
        return (not after.strip() or _at_offset(moment, self._time(after))) and (
            not before.strip() or _at_offset(moment, self._time(before), earlier=True)
        )

    def _day(self, written: str) -> date:
        value = self._value(written)
        if isinstance(value, str) and len(value.strip()) == 10:
            try:
                return date.fromisoformat(value.strip())
            except ValueError:
                pass
        elif isinstance(value, date) and not isinstance(value, datetime):
            return value
        return (value if isinstance(value, datetime) else self._parsed(java_text(value))).date()

    def _moment(self, written: str) -> datetime:
        value = self._value(written)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=self.renderer.world(self.scope).zone)
        return self._parsed(java_text(value))

    def _value(self, written: str) -> Any:
        return self.renderer.value(written, self.variables, self.scope, typed=True)

    def _parsed(self, text: str) -> datetime:
        """ISO date-time with offset or zone, or local ones in the server's zone."""
        plain = text.strip().split("[")[0]
        try:
            moment = datetime.fromisoformat(plain)
        except ValueError as error:
            raise ExpressionError(f"'{text[:100]}' is not a date", hint="write it like 2026-01-05T08:00:00Z") from error
        return moment if moment.tzinfo else moment.replace(tzinfo=self.renderer.world(self.scope).zone)

    def _time(self, text: str) -> time:
        try:
            return time.fromisoformat(text.strip())
        except ValueError as error:
            raise ExpressionError(f"'{text[:100]}' is not a time", hint="write it with its offset, like 16:19:12Z") from error

    # ---- executions

    @property
    def execution(self) -> Mapping[str, Any]:
        """The upstream execution, as far as it is known."""
        if self.given is not None:
            return self.given
        trigger = self._trigger()
        state = trigger.get("state")
        return {
            "id": trigger.get("executionId"), "namespace": trigger.get("namespace"), "flowId": trigger.get("flowId"),
            "state": state if isinstance(state, Mapping) else {"current": state}, "labels": trigger.get("executionLabels") or {},
            "outputs": trigger.get("outputs") or {}, "taskRunList": trigger.get("taskRunList") or [],
        }

    def _of_execution(self, condition: Condition) -> bool:
        execution = self.execution
        namespace, flow_id = str(execution.get("namespace") or ""), str(execution.get("flowId") or "")
        match condition:
            case models.ExecutionFlow():
                return (namespace, flow_id) == (self.text(condition.namespace), self.text(condition.flow_id))
            case models.ExecutionNamespace():
                return _compares(namespace, self.text(condition.namespace), condition.comparison or ("PREFIX" if condition.prefix else "EQUALS"))
            case models.ExecutionStatus():
                current = (execution.get("state") or {}).get("current")
                return (condition.in_ is None or current in condition.in_) and (condition.not_in is None or current not in condition.not_in)
            case models.ExecutionLabels():
                present = labels_map(execution.get("labels") or {})
                return all(
                    key in present and java_text(present[key]) == self.text(java_text(value)) for key, value in condition.labels.items()
                )
            case models.HasRetryAttempt():
                return self._has_retry(execution, condition)
            case _:
                raise ExpressionError(f"conditions of type {condition.type} are not known", hint="see docs/tasks.md")

    @staticmethod
    def _has_retry(execution: Mapping[str, Any], condition: models.HasRetryAttempt) -> bool:
        for run in execution.get("taskRunList") or []:
            attempts = run.get("attempts") or []
            states = [(attempt.get("state") or {}).get("current") for attempt in attempts]
            if len(states) > 1 and any(
                (condition.in_ is None or state in condition.in_) and (condition.not_in is None or state not in condition.not_in)
                for state in states
            ):
                return True
        return False

    # ---- helpers

    def text(self, written: str, extra: Mapping[str, Any] | None = None) -> str:
        """A property, rendered."""
        return str(self.renderer.value(written, self.variables, self.scope, extra=extra))

    def _trigger(self) -> Mapping[str, Any]:
        trigger = self.variables.get("trigger")
        return trigger if isinstance(trigger, Mapping) else {}


def _not_false(text: str) -> bool:
    """The rule of two conditions: false only if blank or `false` (so `0` is true). Source: flow-language 0.2."""
    return text.strip() not in ("", "false")


def _under(variables: Mapping[str, Any], *names: str) -> Any:
    value: Any = variables
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _compares(namespace: str, wanted: str, comparison: str) -> bool:
    match comparison:
        case "PREFIX":
            return namespace.startswith(wanted)
        case "SUFFIX":
            return namespace.endswith(wanted)
        case _:
            return namespace == wanted


def _at_offset(moment: datetime, limit: time, *, earlier: bool = False) -> bool:
    """Whether the moment's time of day is strictly later (earlier) than `limit`, both in the offset of `limit`."""
    shown = moment.astimezone(limit.tzinfo).time() if limit.tzinfo else moment.time()
    bound = limit.replace(tzinfo=None)
    return shown < bound if earlier else shown > bound


def _division(country: str, division: str | None) -> str | None:
    """`FR-ARA` and `ARA` both name a part of FR."""
    return division.removeprefix(f"{country}-") if division else None
