"""Conditions of a list (base/lists/conditions) as SQL over a row of executions, `e`. Called by store/finding and counts. Every value is bound."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from podium.base.errors import InputError
from podium.base.lists.conditions import NEGATIVE, Condition
from podium.engine.shape.view import iso

_COLUMNS = {"triggerId": "e.trigger_id", "triggerExecutionId": "e.trigger_execution_id"}
_COMPARED = {
    "EQUALS": "=", "NOT_EQUALS": "<>", "GREATER_THAN": ">", "GREATER_THAN_OR_EQUAL_TO": ">=", "LESS_THAN": "<", "LESS_THAN_OR_EQUAL_TO": "<=",
}
_DATES = {"startDate": "e.created_at", "endDate": "e.ended_at"}

Part = tuple[str, tuple[Any, ...]]


def below_any(column: str, namespaces: Collection[str] | None) -> tuple[str, tuple[Any, ...]]:
    """The condition that a namespace is one of these or below one of them, and its values. None: any; of no namespaces nothing is found."""
    if namespaces is None:
        return "1", ()
    names = sorted(namespaces)
    part = " OR ".join(f"{column} = ? OR ({column} >= ? AND {column} < ?)" for _ in names)
    if not names:  # bound: SQLite finds no plan for a query that says INDEXED BY and is false as it stands
        return "(? = 1)", (0,)
    return f"({part})", tuple(each for name in names for each in (name, name + ".", name + "/"))


def row_conditions(conditions: Iterable[Condition]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """The conditions on neither namespace nor flow id: their texts and values."""
    found = [_part(each) for each in conditions if each.field not in {"namespace", "flowId"}]
    return tuple(text for text, _ in found), tuple(value for _, values in found for value in values)


def _part(condition: Condition) -> Part:
    if condition.field == "labels":
        return _label(condition)
    if condition.field in _DATES and condition.moment is not None:
        return f"{_DATES[condition.field]} {_COMPARED[condition.op]} ?", (iso(condition.moment),)
    column = _COLUMNS.get(condition.field)
    if column is None:
        raise InputError(f"executions have no '{condition.field}' to filter by", hint="see docs/api.md for the fields", input=condition.field)
    text, values = _text(column, condition)
    return (f"({column} IS NULL OR {text})", values) if condition.op in NEGATIVE else (text, values)


def _text(column: str, condition: Condition) -> Part:
    value, listed = condition.value, ",".join("?" * len(condition.values))
    if condition.op in {"EQUALS", "IN"}:
        return f"{column} IN ({listed})", condition.values
    if condition.op in NEGATIVE:
        return f"{column} NOT IN ({listed})", condition.values
    if condition.op == "CONTAINS":
        return f"instr({column}, ?) > 0", (value,)
    if condition.op == "STARTS_WITH":
        return f"substr({column}, 1, ?) = ?", (len(value), value)
    if condition.op == "ENDS_WITH":
        return f"(length({column}) >= ? AND substr({column}, -?) = ?)", (len(value), max(len(value), 1), value)
    raise InputError(f"'{condition.field}' cannot be compared by {condition.op}", hint="see docs/api.md for the operators", input=condition.field)


def _label(condition: Condition) -> Part:
    """An execution has no label twice."""
    positive = {"NOT_EQUALS": "EQUALS", "NOT_IN": "IN"}.get(condition.op, condition.op)
    text, values = _text("l.value", Condition(field="labels", op=positive, values=condition.values))
    exists = f"EXISTS (SELECT 1 FROM execution_labels AS l WHERE l.execution_id = e.id AND l.key = ? AND {text})"
    return f"{'NOT ' if condition.op in NEGATIVE else ''}{exists}", (condition.key, *values)
