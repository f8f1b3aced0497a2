"""The rows of a chart as a caller may see them, for API, pages and CSV.

What always holds: nobody counts what is in a namespace they have no role in; the time asked for is no longer than the dashboard allows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any

from aiohttp import web

from podium.base.errors import FlowNotFound, NotFound
from podium.flows.dashboards.model import Chart, Dashboard, Data
from podium.flows.dashboards.scope import Rows, Scope
from podium.web.api.triggers import every_trigger
from podium.web.context import context
from podium.web.errors import Refused
from podium.web.params import duration, moment
from podium.web.people.roles import visible
from podium.web.wire import encode

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_FILLED_MAX = 1_500
"""Points in time, at most, that a time series gets where there was nothing."""
_STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


def scope_of(request: web.Request, dashboard: Dashboard | None, asked: Mapping[str, Any]) -> Scope:
    """What is looked at. asked: startDate, endDate, timeRange (an ISO duration back from the end), namespace, flowId: texts or None."""
    now = context(request).clock.now()
    end = moment(str(asked["endDate"]), path="endDate") if asked.get("endDate") else now
    most = dashboard.max_window if dashboard is not None else timedelta(days=366)
    default = dashboard.default_window if dashboard is not None else timedelta(days=30)
    try:
        if asked.get("startDate"):
            start = moment(str(asked["startDate"]), path="startDate")
        else:
            start = end - (duration(str(asked["timeRange"]), path="timeRange") if asked.get("timeRange") else default)
    except OverflowError as error:
        raise Refused("'timeRange' reaches too far back", hint="write something like PT24H or P7D", path="timeRange") from error
    if start >= end:
        raise Refused("the time that is asked for is empty: it ends before it begins", hint="give an endDate after startDate", path="endDate")
    if end - start > most + timedelta(seconds=1):
        raise Refused(f"at most {most.days} days can be looked at here", hint="narrow the time, or raise timeWindow.max", path="startDate")
    return Scope(
        start=start, end=end, now=now, visible=visible(request), namespace=str(asked["namespace"]) if asked.get("namespace") else None,
        flow_id=str(asked["flowId"]) if asked.get("flowId") else None,
    )


async def rows_of(request: web.Request, chart: Chart, scope: Scope) -> Rows:
    """The rows of a chart; none for a text."""
    if chart.data is None:
        return Rows(rows=[])
    charts = context(request).charts
    if charts is None:
        raise NotFound("this server has no data for charts", hint="ask the daemon itself")
    if chart.data.kind == "Flows":
        return await charts.rows_of(chart.data, _flows(request), scope)
    if chart.data.kind == "Triggers":
        return await charts.rows_of(chart.data, await _triggers(request, scope), scope)
    found = await charts.rows(chart.data, scope)
    return filled(chart.data, found, scope) if chart.kind == "TimeSeries" else found


def shown_rows(chart: Chart, found: Rows) -> list[dict[str, Any]]:
    """The rows as the API gives them: of a KPI that is a share, per cent."""
    if chart.data is None or not chart.data.kpi:
        return [dict(each) for each in found.rows]
    return [{"value": kpi_value(chart, found)}]


def kpi_value(chart: Chart, found: Rows) -> float | int | None:
    """The one number of a KPI; None when there is nothing to take a share of."""
    row = found.rows[0] if found.rows else {}
    value, whole = row.get("value"), row.get("all")
    if chart.options.number_type == "PERCENTAGE":
        return round(100 * (value or 0) / whole, 2) if whole else None
    return value


async def markdown_of(request: web.Request, chart: Chart) -> str:
    """The text of a Markdown chart."""
    if chart.flow is None:
        return chart.text
    try:
        return (await context(request).orchestrator.flow(*chart.flow)).model.description or ""
    except FlowNotFound as error:
        return f"*{error.what}*"


def _flows(request: web.Request) -> list[dict[str, Any]]:
    found = context(request).orchestrator.known_flows().values()
    return [{"ID": each.flow_id, "NAMESPACE": each.namespace, "REVISION": each.revision} for each in found if not each.deleted]


async def _triggers(request: web.Request, scope: Scope) -> list[dict[str, Any]]:
    here = context(request)
    rows = []
    for flow, trigger in every_trigger(here, namespace=scope.namespace):
        state = await here.orchestrator.trigger_state(flow.namespace, flow.flow_id, trigger.id) or {}
        rows.append({
            "ID": f"{flow.namespace}.{flow.flow_id}.{trigger.id}", "NAMESPACE": flow.namespace, "FLOW_ID": flow.flow_id, "TRIGGER_ID": trigger.id,
            "EXECUTION_ID": state.get("executionId"), "NEXT_EXECUTION_DATE": state.get("nextExecutionDate"), "WORKER_ID": None,
        })
    return rows


# ---- time without rows


def filled(data: Data, found: Rows, scope: Scope) -> Rows:
    """With a row of zeros at each point in time where nothing was counted, so that a line falls to zero there."""
    date_key = next((key for key, column in data.columns.items() if column.agg is None and _is_date(column.field)), None)
    others = [key for key, column in data.columns.items() if column.agg is None and key != date_key]
    if date_key is None or found.cut:
        return found
    there = {str(row[date_key]) for row in found.rows if row[date_key]}
    empty: dict[str, Any] = {key: (0 if column.agg in ("COUNT", "SUM") else None) for key, column in data.columns.items() if column.agg is not None}
    missing = [
        {**{key: (point if key == date_key else None) for key in data.columns}, **empty}
        for point in points(scope.start, scope.end, found.bucket) if point not in there
    ]
    if not missing or (others and not found.rows):
        return found
    rows = [{key: row[key] for key in data.columns} for row in [*found.rows, *missing]]
    if not data.order_by:
        rows.sort(key=lambda row: str(row[date_key] or ""))
    return Rows(rows=rows, cut=found.cut, bucket=found.bucket)


def _is_date(name: str | None) -> bool:
    return name is not None and name.endswith("DATE")


def points(start: datetime, end: datetime, bucket: str) -> list[str]:
    """The points in time of a window as the rows of a chart name them."""
    found: list[str] = []
    if bucket == "month":
        at = date(start.year, start.month, 1)
        with suppress(ValueError):  # the year 9999 ends
            while at < end.date() and len(found) < _FILLED_MAX:
                found.append(at.isoformat())
                at = date(at.year + at.month // 12, at.month % 12 + 1, 1)
        return found
    step = _STEPS[bucket]
    if bucket in ("minute", "hour"):
        moment_ = start.replace(second=0, microsecond=0) if bucket == "minute" else start.replace(minute=0, second=0, microsecond=0)
    else:
        moment_ = start.replace(hour=0, minute=0, second=0, microsecond=0)
        with suppress(OverflowError):  # the first week of the year 1 began before it
            moment_ -= timedelta(days=moment_.weekday()) if bucket == "week" else timedelta(0)
    with suppress(OverflowError):
        while moment_ < end and len(found) < _FILLED_MAX:
            found.append(moment_.strftime("%Y-%m-%dT%H:%M:00Z") if bucket in ("minute", "hour") else moment_.date().isoformat())
            moment_ += step
    return found


# ---- CSV


def csv_of(chart: Chart, found: Rows) -> str:
    """The rows as CSV with a head. What a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    columns = {key: column.display_name or key for key, column in chart.data.columns.items()} if chart.data is not None else {}
    if chart.data is not None and chart.data.kpi:
        columns = {"value": columns["value"] if columns["value"] != "value" else chart.title}
    writer.writerow([_cell(each) for each in columns.values()])
    for row in shown_rows(chart, found):
        writer.writerow([_cell(row.get(key)) for key in columns])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return encode(value).decode()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value


def file_name(parts: Sequence[str]) -> str:
    """A name for a file that is downloaded."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", "-".join(parts))[:100] + ".csv"
