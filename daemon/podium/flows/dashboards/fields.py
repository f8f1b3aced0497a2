"""What charts may ask for: the kinds of data, their fields, how fields are put together, and what filters there are. Source: flow-language 6.8."""

from __future__ import annotations

from collections.abc import Mapping

CHARTS = ("TimeSeries", "Bar", "Pie", "Table", "KPI", "Markdown")
"""Kinds of charts; written in full as `io.kestra.plugin.core.dashboard.chart.<kind>`."""
CHART_PREFIX = "io.kestra.plugin.core.dashboard.chart."
DATA_PREFIX = "io.kestra.plugin.core.dashboard.data."

FIELDS: Mapping[str, Mapping[str, str]] = {
    "Executions": {
        "ID": "text", "NAMESPACE": "text", "FLOW_ID": "text", "FLOW_REVISION": "number", "STATE": "text", "DURATION": "number", "LABELS": "labels",
        "START_DATE": "date", "END_DATE": "date", "TRIGGER_EXECUTION_ID": "text",
    },
    "Logs": {
        "NAMESPACE": "text", "FLOW_ID": "text", "EXECUTION_ID": "text", "TASK_ID": "text", "DATE": "date", "TASK_RUN_ID": "text",
        "ATTEMPT_NUMBER": "number", "TRIGGER_ID": "text", "LEVEL": "text", "MESSAGE": "text",
    },
    "Metrics": {
        "NAMESPACE": "text", "FLOW_ID": "text", "TASK_ID": "text", "EXECUTION_ID": "text", "TASK_RUN_ID": "text", "TYPE": "text", "NAME": "text",
        "VALUE": "number", "DATE": "date",
    },
    "Flows": {"ID": "text", "NAMESPACE": "text", "REVISION": "number"},
    "Triggers": {
        "ID": "text", "NAMESPACE": "text", "FLOW_ID": "text", "TRIGGER_ID": "text", "EXECUTION_ID": "text", "NEXT_EXECUTION_DATE": "date",
        "WORKER_ID": "text",
    },
}
"""Kind of data → its fields and what each holds. DURATION is in seconds."""
KPI_SUFFIX = "KPI"
AGGREGATIONS = ("AVG", "MAX", "MIN", "SUM", "COUNT")
ONE_VALUE = frozenset({
    "CONTAINS", "ENDS_WITH", "EQUAL_TO", "GREATER_THAN", "GREATER_THAN_OR_EQUAL_TO", "LESS_THAN", "LESS_THAN_OR_EQUAL_TO", "NOT_EQUAL_TO", "REGEX",
    "STARTS_WITH",
})
MANY_VALUES = frozenset({"IN", "NOT_IN"})
NO_VALUE = frozenset({"IS_FALSE", "IS_NOT_NULL", "IS_NULL", "IS_TRUE"})
FILTERS = tuple(sorted(ONE_VALUE | MANY_VALUES | NO_VALUE | {"OR"}))


def chart_kind(name: str) -> str | None:
    """The kind of chart that a `type` names, in full or short, or None."""
    return _short(name, CHART_PREFIX, CHARTS)


def data_kind(name: str) -> tuple[str, bool] | None:
    """The kind of data that a `type` names, and whether it is that of a KPI; None for what there is not."""
    kinds = (*FIELDS, *(f"{each}{KPI_SUFFIX}" for each in FIELDS))
    found = _short(name, DATA_PREFIX, kinds)
    return None if found is None else (found.removesuffix(KPI_SUFFIX), found.endswith(KPI_SUFFIX))


def _short(name: str, prefix: str, known: tuple[str, ...]) -> str | None:
    """`Bar`, `chart.Bar`, `core.dashboard.chart.Bar` and the whole name are one; other folders are not."""
    folder, _, last = name.rpartition(".")
    return last if last in known and (not folder or f".{prefix}".endswith(f".{folder}.")) else None
