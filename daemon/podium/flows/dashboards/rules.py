"""What the parts of a chart say of each other: columns of their fields, options of the columns. Called by load.py."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from podium.flows.dashboards.fields import FIELDS
from podium.flows.dashboards.model import ChartOptions, Data
from podium.flows.reading.problems import Report, key_of
from podium.flows.reading.yaml import Fields

_LABELS = "labels"


def check_columns(data: Data, node: Fields, path: str, report: Report) -> None:
    """Each column by itself, and the order."""
    columns = node.get("columns")
    assert isinstance(columns, Fields)
    for key, column in data.columns.items():
        inner = columns if data.kpi else columns.get(key)
        if isinstance(inner, Fields):
            _check_column(data, column, inner, f"{path}.columns" if data.kpi else f"{path}.columns.{key}", report)
    for index, order in enumerate(data.order_by):
        if order.column not in data.columns:
            hint = f"columns: {', '.join(data.columns)}"
            at = key_of(node, "orderBy")
            report.problem(at, f"{path}.orderBy[{index}].column", "unknown-column", f"there is no column '{order.column[:80]}'", hint)


def _check_column(data: Data, column: Any, node: Fields, path: str, report: Report) -> None:
    known = FIELDS[data.kind]
    if column.field is None:
        if column.agg != "COUNT":
            hint = f"fields: {', '.join(known)}"
            report.problem(node, f"{path}.field", "missing", "must not be null: only a column with agg: COUNT needs no 'field'", hint)
        return
    holds = known.get(column.field)
    if holds is None:
        close = get_close_matches(column.field.upper(), known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"fields: {', '.join(known)}"
        report.problem(key_of(node, "field"), f"{path}.field", "unknown-field", f"{data.kind} have no field '{column.field[:80]}'", hint)
    elif column.agg in ("AVG", "SUM") and holds != "number":
        numbers = ", ".join(name for name, kind in known.items() if kind == "number") or "none"
        what = f"{column.agg} needs a number, {column.field} is none"
        report.problem(key_of(node, "agg"), f"{path}.agg", "wrong-type", what, f"numbers: {numbers}")
    elif holds == _LABELS and column.label_key is None and (column.agg or data.aggregated):
        report.problem(node, f"{path}.labelKey", "missing", "the field LABELS needs 'labelKey' here", "say which label: labelKey: team")
    if data.kpi and column.agg is None:
        report.problem(node, f"{path}.agg", "missing", "the column of a KPI needs 'agg'", "write agg: COUNT")


def check_options(kind: str, options: ChartOptions, data: Data, *, node: Fields, path: str, report: Report) -> None:
    """Whether the options name columns that fit the kind of chart."""
    at, prefix = key_of(node, "chartOptions"), f"{path}.chartOptions" if path else "chartOptions"
    plain = [key for key, column in data.columns.items() if column.agg is None]
    measured = [key for key, column in data.columns.items() if column.agg is not None]
    for name, value in (("column", options.column), ("colorByColumn", options.color_by_column)):
        if value is not None and value not in data.columns:
            hint = f"columns: {', '.join(data.columns)}"
            report.problem(at, f"{prefix}.{name}", "unknown-column", f"there is no column '{value[:80]}'", hint)
            return
        if value is not None and data.columns[value].agg is not None:
            hint = f"columns without agg: {', '.join(plain) or 'none'}"
            report.problem(at, f"{prefix}.{name}", "invalid-value", f"'{value}' is counted, rows cannot be grouped by it", hint)
            return
    columns = f"{path}.data.columns" if path else "data.columns"
    if kind in ("TimeSeries", "Bar", "Pie") and not measured:
        hint = "add a column with agg: COUNT"
        report.problem(key_of(node, "data"), columns, "missing", f"a {kind} needs a column with 'agg'", hint)
    if kind == "Pie" and len(measured) > 1:
        report.problem(key_of(node, "data"), columns, "invalid-value", "a Pie has one column with 'agg'", f"keep one of {', '.join(measured)}")
    if kind == "TimeSeries":
        axis = options.column
        field = data.columns[axis].field if axis is not None else None
        if field is None:
            report.problem(at, f"{prefix}.column", "missing", "a TimeSeries needs 'column': the column with the date", "write column: date")
        elif FIELDS[data.kind].get(field) not in ("date", None):
            dates = ", ".join(name for name, holds in FIELDS[data.kind].items() if holds == "date") or "none"
            report.problem(at, f"{prefix}.column", "wrong-type", f"the column of a TimeSeries is a date, '{axis}' is {field}", f"dates: {dates}")
    if kind == "KPI" and options.number_type == "PERCENTAGE" and not data.numerator:
        report.problem(node, f"{prefix}.numberType", "missing", "PERCENTAGE needs 'numerator' in data: filters for the share", "write numerator: […]")
