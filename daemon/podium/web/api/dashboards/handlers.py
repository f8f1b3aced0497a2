"""`/dashboards` (flow-language 10.3): list, read, check, write as commits, the rows of charts, and the same as CSV."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import ConflictError, FlowError, NotFound
from podium.base.ports import FileChange
from podium.flows.dashboards.load import ParsedDashboard, parse_chart, parse_dashboard
from podium.flows.dashboards.model import Chart, Dashboard
from podium.web.api.dashboards.boards import Board, board, boards
from podium.web.api.dashboards.drawing import csv_of, file_name, markdown_of, rows_of, scope_of, shown_rows
from podium.web.api.editing.edits import edits_of, said
from podium.web.api.editing.rights import folder_of
from podium.web.context import context
from podium.web.errors import BadRequest, Refused
from podium.web.params import Query, read_object, read_text
from podium.web.people.roles import Role, caller
from podium.web.routes import FLAG, INTEGER, OBJECT, TEXT, Body, Param, Route, paged
from podium.web.wire import answer

_FILTERS = {("namespace", each): "namespace" for each in ("EQUALS", "STARTS_WITH", "PREFIX")} | {
    ("flowId", "EQUALS"): "flowId", ("startDate", "GREATER_THAN_OR_EQUAL_TO"): "startDate", ("startDate", "GREATER_THAN"): "startDate",
    ("endDate", "LESS_THAN_OR_EQUAL_TO"): "endDate", ("endDate", "LESS_THAN"): "endDate", ("timeRange", "EQUALS"): "timeRange",
}


def _brief(found: Board) -> dict[str, Any]:
    shown = {"id": found.dashboard.id, "title": found.dashboard.title, "description": found.dashboard.description or None}
    return shown | ({"source": found.source, "path": found.path, "commit": found.commit} if found.source else {"builtIn": True})


def _whole(found: Board) -> dict[str, Any]:
    board_ = found.dashboard
    window = {"default": _days(board_.default_window), "max": _days(board_.max_window)}
    return _brief(found) | {
        "timeWindow": window, "charts": [dict(each.spec) for each in board_.charts],
        "sourceCode": found.text, "blob": found.blob or None,
    }


def _days(length: Any) -> str:
    seconds = int(length.total_seconds())
    return f"P{seconds // 86_400}D" if seconds % 86_400 == 0 else f"PT{seconds}S"


async def _list(request: web.Request) -> web.Response:
    query = Query(request)
    page, wanted = query.page(), (query.text("q") or "").lower()
    found = [each for each in boards(request) if wanted in f"{each.dashboard.id} {each.dashboard.title} {each.dashboard.description}".lower()]
    return answer({"results": [_brief(each) for each in page.cut(found)], "total": len(found)})


async def _get(request: web.Request) -> web.Response:
    return answer(_whole(board(request, request.match_info["dashboard"])))


async def _parsed(request: web.Request, *, name: str) -> tuple[str, ParsedDashboard]:
    text = await read_text(request, limit=limits.FLOW_BYTES_MAX)
    return text, await asyncio.to_thread(parse_dashboard, text, file="dashboard.yaml", name=name)


async def _validate(request: web.Request) -> web.Response:
    _, parsed = await _parsed(request, name="dashboard")
    verdict: dict[str, Any] = {"index": 0, "problems": [each.as_dict() for each in parsed.problems]}
    if parsed.problems:
        verdict["constraints"] = "\n".join(f"{each.path}: {each.message}" if each.path else each.message for each in parsed.problems)
    return answer(verdict)


# ---- writing


def _checked(parsed: ParsedDashboard) -> Dashboard:
    if parsed.dashboard is None:
        first = str(parsed.problems[0])
        raise FlowError(f"the dashboard is not valid: {first}", hint="mend it, then send it again", problems=list(parsed.problems))
    return parsed.dashboard


def _source(request: web.Request) -> str:
    """The source that is asked for, or the only one that can be written to."""
    edits, wanted = edits_of(request), Query(request).text("source")
    names = [str(each["name"]) for each in context(request).sources.status() if each.get("branch")]
    if wanted:
        return wanted
    usable = [name for name in names if edits.editable(name) is None]
    if len(usable) != 1:
        hint = f"add ?source=…; there are {', '.join(usable)}" if usable else "add a source with a repository to the settings"
        raise ConflictError("it is not said into which repository the dashboard goes", hint=hint)
    return usable[0]


async def _publish(request: web.Request, source: str, change: FileChange, message: str) -> dict[str, Any]:
    edits = edits_of(request)
    if (why := edits.editable(source)) is not None:
        raise ConflictError(f"source '{source}' cannot be written to", hint=why)
    made = await edits.publish(
        source, [change], base=await edits.head(source), message=Query(request).text("message") or message, author=caller(request).author,
    )
    return await said(request, source, made, wait=True)


async def _create(request: web.Request) -> web.Response:
    source = _source(request)
    text, parsed = await _parsed(request, name="")
    dashboard = _checked(parsed)
    name = dashboard.id or re.sub(r"[^a-z0-9]+", "-", dashboard.title.lower()).strip("-")[:80] or "dashboard"
    if any(each.source and each.dashboard.id == name for each in boards(request)):
        raise Refused(f"there is a dashboard '{name}' already", hint=f"replace it: PUT /api/v1/dashboards/{name}", path="id")
    folder = folder_of(request, source)
    path = f"dashboards/{name}.yaml" if folder == "." else f"{folder}/dashboards/{name}.yaml"
    commit = await _publish(request, source, FileChange(path=path, data=text.encode(), blob=""), f"Add dashboard {name}")
    return answer({"id": name, "title": dashboard.title, "source": source, "path": path, "sourceCode": text, **commit})


def _of_source(request: web.Request) -> Board:
    found = board(request, request.match_info["dashboard"])
    if not found.source:
        raise ConflictError("the built-in dashboard is in no repository", hint="add one of your own: POST /api/v1/dashboards")
    return found


async def _replace(request: web.Request) -> web.Response:
    found = _of_source(request)
    text, parsed = await _parsed(request, name=found.dashboard.id)
    dashboard = _checked(parsed)
    if dashboard.id != found.dashboard.id:
        raise Refused(f"the id of a dashboard stays: '{dashboard.id}' is not '{found.dashboard.id}'", hint="make a new one", path="id")
    blob = Query(request).text("blob") or found.blob
    change = FileChange(path=found.path, data=text.encode(), blob=blob)
    commit = await _publish(request, found.source, change, f"Update dashboard {found.dashboard.id}")
    return answer({"id": dashboard.id, "title": dashboard.title, "source": found.source, "path": found.path, "sourceCode": text, **commit})


async def _delete(request: web.Request) -> web.Response:
    found = _of_source(request)
    await _publish(request, found.source, FileChange(path=found.path, data=None, blob=found.blob), f"Remove dashboard {found.dashboard.id}")
    return web.Response(status=204)


# ---- charts


def _chart(found: Dashboard, name: str) -> Chart:
    chart = found.chart(name)
    if chart is None:
        listed = ", ".join(each.id for each in found.charts)
        raise NotFound(f"the dashboard '{found.id}' has no chart '{name[:100]}'", hint=f"charts: {listed}", chart=name[:100])
    return chart


def _asked(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body asks for, also in the newer spelling with `filters`."""
    asked = {name: body.get(name) for name in ("startDate", "endDate", "timeRange", "namespace", "flowId")}
    filters = body.get("filters") or []
    if not isinstance(filters, list):
        raise Refused("'filters' is no list", hint='send [{"field": "namespace", "operation": "EQUALS", "value": "…"}]', path="filters")
    for index, each in enumerate(filters):
        if not isinstance(each, Mapping):
            raise Refused(f"'filters[{index}]' is no filter", hint="send {field, operation, value}", path=f"filters[{index}]")
        name = _FILTERS.get((str(each.get("field")), str(each.get("operation", "EQUALS"))))
        if name is None:
            listed = ", ".join(sorted({f"{field}:{operation}" for field, operation in _FILTERS}))
            raise Refused(f"the filter 'filters[{index}]' is not supported", hint=f"supported: {listed}", path=f"filters[{index}]")
        asked[name] = each.get("value")
    for name, value in asked.items():
        if value is not None and not isinstance(value, str):
            raise Refused(f"'{name}' is no text", hint="send a text", path=name)
    return asked


def _number(body: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Refused(f"'{name}' must be a number from 1 to {most}", hint="leave it out for the default", path=name)
    return value


async def _answer_chart(request: web.Request, dashboard: Dashboard | None, chart: Chart, body: Mapping[str, Any]) -> web.Response:
    size = _number(body, "pageSize", limits.CHART_ROWS_MAX, limits.CHART_ROWS_MAX)
    number = _number(body, "pageNumber", 1, limits.CHART_ROWS_MAX)
    scope = scope_of(request, dashboard, _asked(body))
    if chart.kind == "Markdown":
        return answer({"results": [{"content": await markdown_of(request, chart)}], "total": 1})
    found = await rows_of(request, chart, scope)
    rows = shown_rows(chart, found)
    return answer({"results": rows[(number - 1) * size : number * size], "total": len(rows), "truncated": found.cut, "bucket": found.bucket})


async def _body(request: web.Request) -> dict[str, Any]:
    return await read_object(request, limit=limits.FLOW_BYTES_MAX) if request.can_read_body else {}


async def _data(request: web.Request) -> web.Response:
    found = board(request, request.match_info["dashboard"]).dashboard
    return await _answer_chart(request, found, _chart(found, request.match_info["chart"]), await _body(request))


async def _previewed(request: web.Request) -> tuple[Chart, dict[str, Any]]:
    body = await read_object(request, limit=limits.FLOW_BYTES_MAX)
    text = body.get("chart")
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("the body needs 'chart', the YAML of a chart", hint='send {"chart": "id: a\\ntype: …"}', path="chart")
    chart, problems = await asyncio.to_thread(parse_chart, text)
    if chart is None:
        raise FlowError(f"the chart is not valid: {problems[0]}", hint="mend it, then send it again", problems=list(problems))
    filters = body.get("globalFilter")
    return chart, {**(filters if isinstance(filters, dict) else {}), **{key: value for key, value in body.items() if key != "chart"}}


async def _preview(request: web.Request) -> web.Response:
    chart, body = await _previewed(request)
    return await _answer_chart(request, None, chart, body)


def _csv(text: str, name: str) -> web.Response:
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'})


async def _preview_csv(request: web.Request) -> web.Response:
    chart, body = await _previewed(request)
    return _csv(csv_of(chart, await rows_of(request, chart, scope_of(request, None, _asked(body)))), file_name([chart.id]))


async def _export(request: web.Request) -> web.Response:
    found = board(request, request.match_info["dashboard"]).dashboard
    chart = _chart(found, request.match_info["chart"])
    if chart.data is None:
        raise Refused("a text has no rows", hint="export another chart", path="chart")
    asked = _asked(await _body(request)) if request.method == "POST" else {
        name: Query(request).text(name) for name in ("startDate", "endDate", "timeRange", "namespace", "flowId")
    }
    return _csv(csv_of(chart, await rows_of(request, chart, scope_of(request, found, asked))), file_name([found.id, chart.id]))


async def _export_posted(request: web.Request) -> web.Response:
    return await _export(request)


_YAML = Body(content={"application/x-yaml": TEXT, "text/plain": TEXT, "application/yaml": TEXT}, required=True)
_WINDOW = {
    "startDate": TEXT, "endDate": TEXT, "timeRange": {"type": "string", "description": "back from endDate: P7D"}, "namespace": TEXT, "flowId": TEXT,
    "pageSize": INTEGER, "pageNumber": INTEGER,
    "filters": {
        "type": "array",
        "items": {"type": "object", "properties": {"field": TEXT, "operation": TEXT, "value": {}}},
    },
}
_ASK = Body(content={"application/json": {"type": "object", "properties": _WINDOW}})
_PREVIEW = Body(
    content={"application/json": {"type": "object", "required": ["chart"], "properties": {"chart": TEXT, "globalFilter": OBJECT, **_WINDOW}}},
    required=True,
)
_ROWS = {
    "type": "object", "required": ["results", "total"],
    "properties": {"results": {"type": "array", "items": OBJECT}, "total": INTEGER, "truncated": FLAG, "bucket": TEXT},
}
_TIMES = tuple(Param(name=name) for name in ("startDate", "endDate", "timeRange", "namespace", "flowId"))
_WHERE = (Param(name="source", about="the source whose repository it goes to"), Param(name="message", about="of the commit"))
_ONE, _CHART = "/dashboards/{dashboard}", "/dashboards/{dashboard}/charts/{chart}"

ROUTES = [
    Route(
        method="GET", path="/dashboards", handler=_list, about="Search dashboards", tag="dashboards", answers={200: paged()}, errors=(400, 422),
        query=(Param(name="q", about="part of id, title, description"), Param(name="page", schema=INTEGER), Param(name="size", schema=INTEGER)),
    ),
    Route(
        method="POST", path="/dashboards", handler=_create, about="Add a dashboard, as a commit", tag="dashboards", query=_WHERE, body=_YAML,
        errors=(400, 409, 422), needs=Role.EDITOR, everywhere=True,
    ),
    Route(
        method="POST", path="/dashboards/validate", handler=_validate, about="Check the text of a dashboard", tag="dashboards", body=_YAML,
        errors=(400,), needs=Role.VIEWER, also=("/dashboards/validate/dashboard",),
    ),
    Route(
        method="POST", path="/dashboards/charts/preview", handler=_preview, about="The rows of a chart that is no dashboard's", tag="dashboards",
        body=_PREVIEW, answers={200: _ROWS}, errors=(400, 422), needs=Role.VIEWER,
    ),
    Route(
        method="POST", path="/dashboards/charts/export/to-csv", handler=_preview_csv, about="The same as CSV", tag="dashboards", body=_PREVIEW,
        answers={200: TEXT}, content="text/csv", errors=(400, 422), needs=Role.VIEWER,
    ),
    Route(method="GET", path=_ONE, handler=_get, about="One dashboard with its text", tag="dashboards", errors=(404,)),
    Route(
        method="PUT", path=_ONE, handler=_replace, about="Replace a dashboard, as a commit", tag="dashboards", body=_YAML, needs=Role.EDITOR,
        query=(Param(name="blob", about="what you saw"), *_WHERE[1:]), errors=(400, 404, 409, 422), everywhere=True,
    ),
    Route(
        method="DELETE", path=_ONE, handler=_delete, about="Remove a dashboard, as a commit", tag="dashboards", answers={204: None},
        query=_WHERE[1:], errors=(404, 409), needs=Role.EDITOR, everywhere=True,
    ),
    Route(
        method="POST", path=_CHART, handler=_data, about="The rows of a chart", tag="dashboards", body=_ASK, answers={200: _ROWS},
        errors=(400, 404, 422), needs=Role.VIEWER,
    ),
    Route(
        method="GET", path=f"{_CHART}/export/to-csv", handler=_export, about="The rows of a chart as CSV", tag="dashboards", query=_TIMES,
        answers={200: TEXT}, content="text/csv", errors=(400, 404, 422),
    ),
    Route(
        method="POST", path=f"{_CHART}/export/to-csv", handler=_export_posted, about="The same, asked by a body", tag="dashboards", body=_ASK,
        answers={200: TEXT}, content="text/csv", errors=(400, 404, 422), needs=Role.VIEWER,
    ),
]
