"""The pages of dashboards: the list, one of them, and one chart by itself (what the first leaves out when it takes long).

What always holds: the time, namespace and everything else that is looked at stand in the address; each chart is a table first, and drawn over it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base.durations import format_duration
from podium.base.errors import NotFound, PodiumError
from podium.base.moments import to_text
from podium.flows.dashboards.fields import FIELDS
from podium.flows.dashboards.model import Chart, Dashboard
from podium.flows.dashboards.scope import Rows, Scope
from podium.web.api.dashboards.boards import Board, board, boards
from podium.web.api.dashboards.drawing import kpi_value, markdown_of, rows_of, scope_of
from podium.web.context import context
from podium.web.pages.dashboards.drawn import DRAWING, soon
from podium.web.pages.render import link, page, render
from podium.web.pages.text import markdown
from podium.web.params import Query
from podium.web.people.roles import visible

_RANGES = ("PT1H", "PT24H", "P7D", "P30D", "P90D", "P366D")
_SHOWN_ROWS = 200
"""Rows of a table that a page shows; all of them are in the CSV."""
_ASKED = ("startDate", "endDate", "timeRange", "namespace", "flowId")


async def list_page(request: web.Request) -> web.StreamResponse:
    """All dashboards; the only one at once."""
    wanted = (Query(request).text("q") or "").lower()
    every = boards(request)
    found = [each for each in every if wanted in f"{each.dashboard.id} {each.dashboard.title} {each.dashboard.description}".lower()]
    return await render(request, "dashboards/dashboards.html", boards=found, q=wanted, own=any(each.source for each in every), edits=_edits(request))


async def one_page(request: web.Request) -> web.StreamResponse:
    """A dashboard with all that is drawn in time."""
    found, query = board(request, request.match_info["dashboard"]), Query(request)
    asked = {name: query.text(name) for name in _ASKED}
    trouble: PodiumError | None = None
    try:
        scope = scope_of(request, found.dashboard, asked)
    except PodiumError as error:  # a bad address shows what is wrong with it, above what would be shown without it
        trouble, asked = error, {name: asked[name] if name in ("namespace", "flowId") else None for name in _ASKED}
        scope = scope_of(request, found.dashboard, asked)
    whole = query.flag("whole")
    tasks = {each.id: _begun(request, found, each, scope) for each in found.dashboard.charts}
    if whole:
        await asyncio.wait(tasks.values())
    else:
        await soon(list(tasks.values()))
    charts = [_shown(found, each, scope, tasks[each.id]) for each in found.dashboard.charts]
    return await render(
        request, "dashboards/dashboard.html", board=found, dashboard=found.dashboard, charts_of=charts, asked=asked, trouble=trouble, scope=scope,
        ranges=_ranges(found.dashboard), range=asked["timeRange"] or ("" if asked["startDate"] else format_duration(found.dashboard.default_window)),
        namespaces=sorted({each.namespace for each in context(request).orchestrator.flows()}), late=any(each["late"] for each in charts),
        others=boards(request), edit=_edit(request, found), about=markdown(found.dashboard.description), address=_address(found),
    )


async def chart_part(request: web.Request) -> web.StreamResponse:
    """One chart, for a page that did not wait for it, or by itself."""
    found, query = board(request, request.match_info["dashboard"]), Query(request)
    chart = found.dashboard.chart(request.match_info["chart"])
    if chart is None:
        raise NotFound(f"the dashboard has no chart '{request.match_info['chart'][:100]}'", hint="go back to the dashboard")
    scope = scope_of(request, found.dashboard, {name: query.text(name) for name in _ASKED})
    task = _begun(request, found, chart, scope)
    await asyncio.wait({task})
    template = "dashboards/part.html" if query.flag("part") else "dashboards/alone.html"
    return await render(
        request, template, chart=_shown(found, chart, scope, task), board=found, dashboard=found.dashboard, address=_address(found),
    )


def _address(found: Board) -> str:
    return f"/dashboards/{quote(found.dashboard.id, safe='')}"


def _edits(request: web.Request) -> bool:
    return context(request).edits is not None


def _edit(request: web.Request, found: Board) -> str | None:
    """Where the file is edited."""
    return link(f"/editor/{quote(found.source, safe='')}", path=found.path) if found.source and _edits(request) else None


def _ranges(dashboard: Dashboard) -> list[str]:
    own = format_duration(dashboard.default_window)
    lengths = dict(zip(_RANGES, (*(timedelta(hours=each) for each in (1, 24)), *(timedelta(days=each) for each in (7, 30, 90, 366))), strict=True))
    fit = [name for name, length in lengths.items() if length <= dashboard.max_window]
    return fit if own in fit or dashboard.default_window in lengths.values() else [own, *fit]


# ---- one chart


def _begun(request: web.Request, found: Board, chart: Chart, scope: Scope) -> asyncio.Task[Any]:
    seen = visible(request)
    key = (found.source, found.blob, found.dashboard.id, chart.id, seen, scope.namespace, scope.flow_id, scope.start, scope.end)
    draw = partial(_text_of, request, chart) if chart.kind == "Markdown" else partial(rows_of, request, chart, replace(scope, visible=seen))
    return request.app[DRAWING].begin(key, draw)


async def _text_of(request: web.Request, chart: Chart) -> str:
    return await markdown_of(request, chart)


def _shown(found: Board, chart: Chart, scope: Scope, task: asyncio.Task[Any]) -> dict[str, Any]:
    """What the template prints of a chart."""
    window = {"startDate": to_text(scope.start), "endDate": to_text(scope.end), "namespace": scope.namespace, "flowId": scope.flow_id}
    base = f"{_address(found)}/charts/{quote(chart.id, safe='')}"
    shown: dict[str, Any] = {
        "id": chart.id, "kind": chart.kind, "title": chart.title, "description": chart.options.description, "width": chart.options.width,
        "late": not task.done(), "error": None, "csv": link(f"/api/v1{base}/export/to-csv", **window), "part": link(base, part="true", **window),
        "alone": link(base, **window), "header": chart.options.header.enabled,
    }
    if not task.done():
        return shown
    if (error := task.exception()) is not None:
        if not isinstance(error, PodiumError):
            raise error
        return shown | {"error": error.what, "hint": error.hint}
    if chart.kind == "Markdown":
        return shown | {"text": markdown(task.result())}
    rows: Rows = task.result()
    if chart.kind == "KPI":
        return shown | {"value": kpi_value(chart, rows), "share": chart.options.number_type == "PERCENTAGE"}
    return shown | _table(chart, rows)


def _table(chart: Chart, found: Rows) -> dict[str, Any]:
    assert chart.data is not None
    holds = FIELDS[chart.data.kind]
    columns = [
        {
            "key": key, "name": column.display_name or key, "agg": column.agg, "style": column.graph_style, "field": column.field,
            "number": column.agg in ("COUNT", "SUM", "AVG") or (holds.get(column.field or "") == "number"),
            "align": (column.column_alignment or "").lower(), "state": column.field == "STATE" and column.agg is None,
            "moment": holds.get(column.field or "") == "date" and (column.agg in ("MIN", "MAX") or not chart.data.aggregated),
            "link": column.field if column.agg is None and column.field in ("ID", "EXECUTION_ID", "FLOW_ID", "NAMESPACE") else None,
        }
        for key, column in chart.data.columns.items()
    ]
    plot = {
        "kind": chart.kind, "columns": columns, "rows": found.rows, "axis": _axis(chart), "color": _color(chart), "bucket": found.bucket,
        "legend": chart.options.legend.enabled, "tooltip": chart.options.tooltip, "style": chart.options.graph_style,
    }
    keys = {column["field"]: column["key"] for column in columns if column["agg"] is None}
    return {
        "columns": columns, "rows": found.rows[:_SHOWN_ROWS], "total": len(found.rows), "cut": found.cut,
        "plot": plot if chart.kind != "Table" and found.rows else None, "keys": keys, "data": chart.data.kind,
    }


def _axis(chart: Chart) -> str | None:
    """The column along the axis: as written, else the first that is not counted."""
    assert chart.data is not None
    plain: Mapping[str, Any] = {key: column for key, column in chart.data.columns.items() if column.agg is None}
    named = chart.options.column or (chart.options.color_by_column if chart.kind == "Pie" else None)
    return named or next((key for key in plain if key != chart.options.color_by_column), next(iter(plain), None))


def _color(chart: Chart) -> str | None:
    """The column whose values become series."""
    assert chart.data is not None
    axis = _axis(chart)
    if chart.kind == "Pie":
        return None
    plain = [key for key, column in chart.data.columns.items() if column.agg is None and key != axis]
    return chart.options.color_by_column if chart.options.color_by_column != axis and chart.options.color_by_column else next(iter(plain), None)


ROUTES = (
    page("GET", "/dashboards", list_page),
    page("GET", "/dashboards/{dashboard}", one_page),
    page("GET", "/dashboards/{dashboard}/charts/{chart}", chart_part),
)
