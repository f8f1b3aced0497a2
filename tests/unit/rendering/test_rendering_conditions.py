"""Every condition of flow-language 7.7."""

from __future__ import annotations

from typing import Any

import pytest

from podium.base.errors import ExpressionError
from podium.flows.models import conditions as models
from podium.rendering.conditions import conditions_hold
from podium.rendering.renderer import Renderer, Scope

UPSTREAM = {
    "id": "E", "namespace": "company.data", "flowId": "load", "state": {"current": "SUCCESS"}, "labels": [{"key": "env", "value": "prod"}, {"key": "n", "value": "1"}],
    "outputs": {"rows": 5},
    "taskRunList": [
        {"attempts": [{"state": {"current": "SUCCESS"}}]}, {"attempts": [{"state": {"current": "FAILED"}}, {"state": {"current": "SUCCESS"}}]},
    ],
}


@pytest.fixture
def holds(renderer: Renderer, scope: Scope) -> Any:
    types = {each.__name__: each for each in models.CONDITIONS}

    def _make(written: dict[str, Any]) -> Any:
        properties = dict(written)
        for name in ("conditions",):
            if isinstance(properties.get(name), list):
                properties[name] = [_make(each) for each in properties[name]]
            elif isinstance(properties.get(name), dict):
                properties[name] = {key: _make(each) for key, each in properties[name].items()}
        kind = types[properties.pop("is")]
        return kind.model_validate({"type": kind.TYPE, **properties})

    def _holds(*conditions: dict[str, Any], date: Any = "2026-01-05T09:30:00+01:00", execution: Any = None, **variables: Any) -> bool:
        seen = {"trigger": {"date": date}, **variables}
        return conditions_hold([_make(each) for each in conditions], seen, scope, renderer, execution=execution)

    return _holds


@pytest.mark.parametrize(
    ("condition", "date", "expected"),
    [
        ({"is": "Weekend"}, "2026-01-05T00:00:00Z", False), ({"is": "Weekend"}, "2026-01-04T23:59:59+02:00", True), ({"is": "Weekend"}, "2026-01-03", True),
        ({"is": "DayWeek", "dayOfWeek": "MONDAY"}, "2026-01-05T09:00:00Z", True), ({"is": "DayWeek", "dayOfWeek": "{{ 'TUESDAY' }}"}, "2026-01-05T09:00:00Z", False),
        ({"is": "DayWeek", "dayOfWeek": "MONDAY"}, "2026-01-05T09:00:00+01:00[Europe/Paris]", True),
        ({"is": "DayWeekInMonth", "dayOfWeek": "MONDAY", "dayInMonth": "FIRST"}, "2026-01-05", True),
        ({"is": "DayWeekInMonth", "dayOfWeek": "MONDAY", "dayInMonth": "SECOND"}, "2026-01-05", False),
        ({"is": "DayWeekInMonth", "dayOfWeek": "MONDAY", "dayInMonth": "FOURTH"}, "2026-01-26", True),
        ({"is": "DayWeekInMonth", "dayOfWeek": "MONDAY", "dayInMonth": "LAST"}, "2026-01-26", True),
        ({"is": "DayWeekInMonth", "dayOfWeek": "MONDAY", "dayInMonth": "LAST"}, "2026-01-19", False),
        ({"is": "DayWeekInMonth", "dayOfWeek": "TUESDAY", "dayInMonth": "FIRST"}, "2026-01-05", False),
        ({"is": "PublicHoliday", "country": "FR"}, "2026-07-14", True), ({"is": "PublicHoliday", "country": "FR"}, "2026-07-15", False),
        ({"is": "PublicHoliday", "country": "DE", "subDivision": "BY"}, "2026-01-06", True), ({"is": "PublicHoliday", "country": "DE"}, "2026-01-06", False),
        ({"is": "PublicHoliday", "country": "DE", "subDivision": "DE-BY"}, "2026-01-06", True),
        ({"is": "DateTimeBetween", "after": "2026-01-05T08:29:59Z"}, "2026-01-05T09:30:00+01:00", True),
        ({"is": "DateTimeBetween", "after": "2026-01-05T08:30:00Z"}, "2026-01-05T09:30:00+01:00", False),
        ({"is": "DateTimeBetween", "before": "{{ '2026-01-05T08:30:00Z' }}"}, "2026-01-05T09:30:00+01:00", False),
        ({"is": "DateTimeBetween", "after": "2026-01-01T00:00:00Z", "before": "2026-02-01T00:00:00Z"}, "2026-01-05T09:30:00+01:00", True),
        ({"is": "TimeBetween", "after": "08:29:59Z", "before": "08:30:01Z"}, "2026-01-05T09:30:00+01:00", True),
        ({"is": "TimeBetween", "after": "08:30:00Z"}, "2026-01-05T09:30:00+01:00", False), ({"is": "TimeBetween", "before": "09:30:00+01:00"}, "2026-01-05T09:30:00+01:00", False),
        ({"is": "TimeBetween", "after": "09:29:00+01:00"}, "2026-01-05T08:30:00Z", True),
        ({"is": "Weekend", "date": "{{ '2026-01-03T10:00:00' }}"}, "2026-01-05", True),
    ],
)
def test_dates(holds: Any, condition: dict[str, Any], date: str, expected: bool) -> None:
    assert holds(condition, date=date) is expected


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ({"is": "DateTimeBetween"}, "after or before must be set"), ({"is": "TimeBetween", "after": "{{ '' }}"}, "after or before must be set"),
        ({"is": "DayWeek", "dayOfWeek": "MONTAG"}, "not a day of the week"), ({"is": "DayWeekInMonth", "dayOfWeek": "MONDAY", "dayInMonth": "FIFTH"}, "not a position"),
        ({"is": "PublicHoliday", "country": "XX"}, "no holidays are known of 'XX'"), ({"is": "PublicHoliday"}, "no holidays are known"),
        ({"is": "PublicHoliday", "country": "DE", "subDivision": "ZZ"}, "ZZ"), ({"is": "TimeBetween", "after": "noon"}, "'noon' is not a time"),
        ({"is": "DateTimeBetween", "after": "soon"}, "'soon' is not a date"), ({"is": "Weekend", "date": "someday"}, "'someday' is not a date"),
        ({"is": "Weekend", "date": "{{ gone }}"}, "Unable to find `gone`"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error(holds: Any, condition: dict[str, Any], why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        holds(condition)


@pytest.mark.parametrize(
    ("expression", "expected"), [("{{ x == 1 }}", True), ("{{ x == 2 }}", False), ("0", True), ("  ", False), ("False", True), (" false ", False), ("{{ null }}", False)]
)
def test_expression_is_false_only_when_blank_or_false(holds: Any, expression: str, expected: bool) -> None:
    assert holds({"is": "Expression", "expression": expression}, x=1) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"is": "ExecutionFlow", "namespace": "company.data", "flowId": "load"}, True), ({"is": "ExecutionFlow", "namespace": "company", "flowId": "load"}, False),
        ({"is": "ExecutionNamespace", "namespace": "company.data"}, True), ({"is": "ExecutionNamespace", "namespace": "company"}, False),
        ({"is": "ExecutionNamespace", "namespace": "company", "prefix": True}, True), ({"is": "ExecutionNamespace", "namespace": "comp", "comparison": "PREFIX"}, True),
        ({"is": "ExecutionNamespace", "namespace": ".data", "comparison": "SUFFIX"}, True), ({"is": "ExecutionNamespace", "namespace": "company", "comparison": "SUFFIX"}, False),
        ({"is": "ExecutionStatus", "in": ["SUCCESS", "WARNING"]}, True), ({"is": "ExecutionStatus", "in": ["FAILED"]}, False),
        ({"is": "ExecutionStatus", "notIn": ["SUCCESS"]}, False), ({"is": "ExecutionStatus", "in": ["SUCCESS"], "notIn": ["FAILED"]}, True), ({"is": "ExecutionStatus"}, True),
        ({"is": "ExecutionLabels", "labels": {"env": "prod"}}, True), ({"is": "ExecutionLabels", "labels": {"env": "prod", "n": 1}}, True),
        ({"is": "ExecutionLabels", "labels": [{"key": "env", "value": "dev"}]}, False), ({"is": "ExecutionLabels", "labels": {"gone": "x"}}, False),
        ({"is": "ExecutionOutputs", "expression": "{{ trigger.outputs.rows > 3 }}"}, True), ({"is": "ExecutionOutputs", "expression": "{{ trigger.outputs.rows > 9 }}"}, False),
        ({"is": "HasRetryAttempt", "in": ["FAILED"]}, True), ({"is": "HasRetryAttempt", "in": ["KILLED"]}, False), ({"is": "HasRetryAttempt", "notIn": ["FAILED", "SUCCESS"]}, False),
        ({"is": "MultipleCondition", "id": "m", "conditions": {"a": {"is": "ExecutionStatus", "in": ["SUCCESS"]}, "b": {"is": "ExecutionStatus", "in": ["FAILED"]}}}, False),
    ],
)
def test_executions(holds: Any, condition: dict[str, Any], expected: bool) -> None:
    assert holds(condition, execution=UPSTREAM) is expected


def test_the_upstream_execution_may_be_known_from_the_trigger_alone(renderer: Renderer, scope: Scope) -> None:
    trigger = {"executionId": "E", "namespace": "a.b", "flowId": "f", "state": "FAILED", "executionLabels": {"k": "v"}, "outputs": {"x": 1}}
    written = [
        models.ExecutionFlow(type="x", namespace="a.b", flow_id="f"), models.ExecutionStatus(type="x", in_=["FAILED"]),
        models.ExecutionLabels(type="x", labels={"k": "v"}), models.ExecutionOutputs(type="x", expression="{{ trigger.outputs.x == 1 and trigger.flowId == 'f' }}"),
    ]
    assert conditions_hold(written, {"trigger": trigger}, scope, renderer)
    assert not conditions_hold([models.ExecutionOutputs(type="x", expression="true")], {"trigger": {}}, scope, renderer)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"is": "FlowCondition", "namespace": "company.team", "flowId": "etl"}, True), ({"is": "FlowCondition", "namespace": "company.team", "flowId": "x"}, False),
        ({"is": "FlowNamespaceCondition", "namespace": "company", "prefix": True}, True), ({"is": "FlowNamespaceCondition", "namespace": "company"}, False),
        ({"is": "Not", "conditions": [{"is": "Weekend"}]}, True), ({"is": "Not", "conditions": [{"is": "Weekend"}, {"is": "DayWeek", "dayOfWeek": "MONDAY"}]}, False),
        ({"is": "Or", "conditions": [{"is": "Weekend"}, {"is": "DayWeek", "dayOfWeek": "MONDAY"}]}, True), ({"is": "Or", "conditions": [{"is": "Weekend"}]}, False),
        ({"is": "Not", "conditions": [{"is": "Or", "conditions": [{"is": "Weekend"}]}]}, True),
    ],
)
def test_the_own_flow_and_combinations(holds: Any, condition: dict[str, Any], expected: bool) -> None:
    assert holds(condition) is expected


def test_all_conditions_must_hold(holds: Any) -> None:
    assert holds()
    assert holds({"is": "DayWeek", "dayOfWeek": "MONDAY"}, {"is": "Expression", "expression": "true"})
    assert not holds({"is": "DayWeek", "dayOfWeek": "MONDAY"}, {"is": "Expression", "expression": "false"})
