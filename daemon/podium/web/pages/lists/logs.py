"""Lines of the logs of all executions: by text, level, place and time, newest first; the same as a download.

What always holds: a text is looked for in the newest lines that match otherwise, as many as the page says; a download has an end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from podium.base.limits import LOG_LINES_LOOKED_AT, TOTAL_MAX
from podium.web.context import context
from podium.web.pages.home.chart import RANGES
from podium.web.pages.lists.executions import times
from podium.web.pages.render import page, render
from podium.web.pages.text import plain
from podium.web.params import LEVELS, Query
from podium.web.people.roles import sees, visible

SIZE = 100
_DOWNLOAD_SIZE = 1_000
_DOWNLOAD_MAX = 10_000


async def log_search(request: web.Request) -> web.Response:
    """Lines. ?q= ?minLevel= ?namespace= ?flowId= ?range= or ?startDate= ?endDate="""
    here, query = context(request), Query(request)
    number = query.integer("page", 1, high=TOTAL_MAX // SIZE) or 1
    entries, total = await here.orchestrator.search_logs(**_wanted(request, query), page=number, size=SIZE)
    flows = [each for each in here.orchestrator.flows() if sees(request, each.namespace)]
    filters = {name: query.text(name) or "" for name in ("q", "minLevel", "namespace", "flowId", "range", "startDate", "endDate")}
    return await render(
        request, "lists/logs.html", entries=entries, total=total, page=number, size=SIZE, filters=filters, levels=LEVELS, ranges=list(RANGES),
        filtered=any(filters.values()), looked_at=LOG_LINES_LOOKED_AT, most=TOTAL_MAX, download_max=_DOWNLOAD_MAX,
        namespaces=sorted({each.namespace for each in flows}), flow_ids=sorted({each.flow_id for each in flows})[:2_000],
    )


async def log_download(request: web.Request) -> web.StreamResponse:
    """The newest lines that match, oldest first; ?format=jsonl gives an object a line."""
    here, query = context(request), Query(request)
    found: list[Mapping[str, Any]] = []
    for number in range(1, _DOWNLOAD_MAX // _DOWNLOAD_SIZE + 1):
        entries, _ = await here.orchestrator.search_logs(**_wanted(request, query), page=number, size=_DOWNLOAD_SIZE)
        found += entries
        if len(entries) < _DOWNLOAD_SIZE:
            break
    as_json = query.text("format") == "jsonl"
    name = "logs.jsonl" if as_json else "logs.txt"
    response = web.StreamResponse(headers={
        "Content-Type": "application/x-ndjson" if as_json else "text/plain; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"',
    })
    await response.prepare(request)
    for each in reversed(found):
        line = json.dumps(each, ensure_ascii=False) if as_json else _line(each)
        await response.write(f"{line}\n".encode("utf-8", "replace"))
    await response.write_eof()
    return response


def _line(entry: Mapping[str, Any]) -> str:
    place = f"{entry.get('namespace')}.{entry.get('flowId')} {entry.get('executionId')} {entry.get('taskId') or '-'}"
    return f"{entry.get('timestamp')} {entry.get('level'):5} {place} {plain(str(entry.get('message', '')))}"


def _wanted(request: web.Request, query: Query) -> dict[str, Any]:
    start, end = times(query, context(request).clock.now())
    return {
        "namespace": query.text("namespace"), "flow_id": query.text("flowId"), "query": query.text("q"), "min_level": query.level(),
        "started_after": start, "started_before": end, "namespaces": visible(request),
    }


ROUTES = (
    page("GET", "/logs", log_search),
    page("GET", "/logs/download", log_download),
)
