"""From what a chart asks for to one SQL query. Called by reads.py. Every value is bound; names are constants of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from podium.engine.shape.view import iso
from podium.flows.dashboards.fields import FIELDS
from podium.flows.dashboards.model import Column, Condition, Data
from podium.flows.dashboards.scope import Scope
from podium.store.journal import LEVELS

_EXECUTIONS = "id, namespace, flow_id, revision, state, created_at, ended_at, trigger_execution_id"
_WINDOW = "loop = 0 AND created_at >= ? AND created_at < ?"
FRAMES: Mapping[str, str] = {
    "Executions": (
        f"(SELECT {_EXECUTIONS} FROM executions INDEXED BY executions_closed WHERE open = 0 AND {_WINDOW}"
        f" UNION ALL SELECT {_EXECUTIONS} FROM executions INDEXED BY executions_open WHERE open = 1 AND {_WINDOW}) AS e"
    ),
    "Logs": "(SELECT * FROM logs INDEXED BY logs_by_time WHERE at >= ? AND at < ?) AS e",
    "Metrics": "(SELECT * FROM metrics INDEXED BY metrics_by_time WHERE at >= ? AND at < ?) AS e",
    "Flows": "given AS e",
    "Triggers": "given AS e",
}
_LEVEL = "CASE level " + " ".join(f"WHEN {number} THEN '{name}'" for name, number in LEVELS.items()) + " END"
_NAMES: Mapping[str, Mapping[str, str]] = {
    "Executions": {
        "ID": "id", "FLOW_REVISION": "revision", "START_DATE": "created_at", "END_DATE": "ended_at",
        "DURATION": "((julianday(coalesce(ended_at, ?)) - julianday(created_at)) * 86400.0)",
    },
    "Logs": {"DATE": "at", "LEVEL": _LEVEL, "ATTEMPT_NUMBER": "attempt"},
    "Metrics": {"DATE": "at"},
    "Flows": {},
    "Triggers": {},
}
_LABEL = "(SELECT l.value FROM execution_labels AS l WHERE l.execution_id = e.id AND l.key = ?)"
_LABELS = "(SELECT json_group_object(l.key, l.value) FROM execution_labels AS l WHERE l.execution_id = e.id)"
_BUCKETS: Mapping[str, str] = {
    "minute": "substr({0}, 1, 16) || ':00Z'", "hour": "substr({0}, 1, 13) || ':00:00Z'", "day": "substr({0}, 1, 10)",
    "week": "date({0}, 'weekday 0', '-6 days')", "month": "substr({0}, 1, 7) || '-01'",
}
_COMPARED = {
    "EQUAL_TO": "{} = ?", "NOT_EQUAL_TO": "{} IS NOT ?", "GREATER_THAN": "{} > ?", "GREATER_THAN_OR_EQUAL_TO": "{} >= ?", "LESS_THAN": "{} < ?",
    "LESS_THAN_OR_EQUAL_TO": "{} <= ?", "CONTAINS": "instr({}, ?) > 0", "REGEX": "podium_regex(?, {})",
}


@dataclass(slots=True)
class Sql:
    """A piece of a query and the values for its question marks, in order."""

    text: str
    values: list[Any] = field(default_factory=list)


def bucket_of(length: timedelta) -> str:
    """How finely a window of that length is divided."""
    if length > timedelta(days=366):
        return "month"
    if length > timedelta(days=183):
        return "week"
    if length > timedelta(days=2):
        return "day"
    return "hour" if length > timedelta(hours=6) else "minute"


def build(data: Data, scope: Scope, *, limit: int, offset: int = 0) -> Sql:
    """The query. Its columns come in the order of `data.columns`; a KPI with a numerator has two: of those, and of all."""
    columns = list(data.columns.values())
    picked = _kpi(data, columns[0], scope) if data.kpi else [_column(data, each, scope) for each in columns]
    where = [*_scope(data, scope), *(_condition(data, each, scope) for each in data.where)]
    text = f"SELECT {', '.join(each.text for each in picked)} FROM {FRAMES[data.kind]}"
    values = [value for each in picked for value in each.values]
    values += [iso(scope.start), iso(scope.end)] * FRAMES[data.kind].count(">= ?")
    if where:
        text += f" WHERE {' AND '.join(each.text for each in where)}"
        values += [value for each in where for value in each.values]
    groups = [str(number) for number, each in enumerate(columns, 1) if each.agg is None]
    if data.aggregated and groups:
        text += f" GROUP BY {', '.join(groups)}"
    text += _order(data)
    return Sql(f"{text} LIMIT ? OFFSET ?", [*values, limit, offset])


def _order(data: Data) -> str:
    keys = list(data.columns)
    asked = [f"{keys.index(each.column) + 1} {each.order}" for each in data.order_by]
    if not asked and not data.kpi:
        dates = [index for index, column in enumerate(data.columns.values(), 1) if _holds(data, column) == "date" and column.agg is None]
        counted = [index for index, column in enumerate(data.columns.values(), 1) if column.agg is not None]
        if data.aggregated:
            asked = [f"{index} ASC" for index in dates[:1]] or [f"{index} DESC" for index in counted[:1]]
        else:
            asked = [f"{index} DESC" for index in dates[:1]]
    return f" ORDER BY {', '.join(asked)}" if asked else ""


def _holds(data: Data, column: Column) -> str | None:
    return FIELDS[data.kind].get(column.field or "")


def _kpi(data: Data, column: Column, scope: Scope) -> list[Sql]:
    whole = _column(data, column, scope)
    if not data.numerator:
        return [whole]
    parts = [_condition(data, each, scope) for each in data.numerator]
    values = [value for each in parts for value in each.values]
    share = Sql(f"{whole.text} FILTER (WHERE {' AND '.join(each.text for each in parts)})", [*whole.values, *values])
    return [share, whole]


def _column(data: Data, column: Column, scope: Scope) -> Sql:
    if column.field is None:
        return Sql("count(*)")
    found = _field(data.kind, column.field, column.label_key, scope)
    if column.agg is not None:
        return Sql(f"{column.agg.lower()}({found.text})", found.values)
    if _holds(data, column) == "date" and data.aggregated:
        return Sql(_BUCKETS[bucket_of(scope.end - scope.start)].format(found.text), found.values)
    return found


def _field(kind: str, name: str, label: str | None, scope: Scope) -> Sql:
    if name == "LABELS":
        return Sql(_LABEL, [label]) if label is not None else Sql(_LABELS)
    text = _NAMES[kind].get(name, name.lower())
    return Sql(text, [iso(scope.now)] * text.count("?"))


def _scope(data: Data, scope: Scope) -> Iterable[Sql]:
    """What the reader may see, and asked to see."""
    if scope.visible is not None:
        yield _any([_within(each) for each in sorted(scope.visible)])
    if scope.namespace:
        yield _within(scope.namespace)
    if scope.flow_id:
        yield Sql("id = ?" if data.kind == "Flows" else "flow_id = ?", [scope.flow_id])


def _within(namespace: str) -> Sql:
    return Sql("(namespace = ? OR (namespace >= ? AND namespace < ?))", [namespace, f"{namespace}.", f"{namespace}/"])


def _any(parts: Sequence[Sql]) -> Sql:
    if not parts:
        return Sql("namespace = ''")  # none has
    return Sql(f"({' OR '.join(each.text for each in parts)})", [value for each in parts for value in each.values])


def _condition(data: Data, condition: Condition, scope: Scope) -> Sql:
    if condition.type == "OR":
        return _any([_condition(data, each, scope) for each in condition.any_of])
    found = _field(data.kind, condition.field, condition.label_key, scope)
    values = [_value(FIELDS[data.kind][condition.field], each) for each in condition.values]
    name, text = condition.type, found.text
    if name in ("IS_NULL", "IS_NOT_NULL"):
        return Sql(f"{text} IS {'NOT ' if name == 'IS_NOT_NULL' else ''}NULL", found.values)
    if name in ("IS_TRUE", "IS_FALSE"):
        return Sql(f"lower({text}) IN ({', '.join(repr(each) for each in (('true', '1') if name == 'IS_TRUE' else ('false', '0')))})", found.values)
    if name in ("IN", "NOT_IN"):
        listed = ", ".join("?" * len(values))
        if name == "IN":
            return Sql(f"{text} IN ({listed})", [*found.values, *values])
        return Sql(f"({text} IS NULL OR {text} NOT IN ({listed}))", [*found.values, *found.values, *values])
    if name == "STARTS_WITH":
        return Sql(f"substr({text}, 1, ?) = ?", [*found.values, len(str(values[0])), str(values[0])])
    if name == "ENDS_WITH":
        wanted = str(values[0])
        return Sql(f"(length({text}) >= ? AND substr({text}, -?) = ?)", [*found.values, len(wanted), *found.values, len(wanted) or 1, wanted]) \
            if wanted else Sql("1")
    if name == "REGEX":
        return Sql(_COMPARED[name].format(text), [str(values[0]), *found.values])
    return Sql(_COMPARED[name].format(text), [*found.values, *values])


def _value(holds: str, value: Any) -> Any:
    """The value as the column holds it."""
    if holds == "number":
        try:
            return float(value)
        except (TypeError, ValueError):
            return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
