"""The stream of an execution's page, one a tab, and the lines of its log by the page: what the page's scripts ask for.

What always holds: whatever many look at is made once (web/following); a reader that comes again says with Last-Event-ID where it was; one that is
slow gets the newest state and the lines it lacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from podium.base.errors import NotFound
from podium.base.limits import FOUND_LINES_MAX
from podium.conductor.port import Orchestrator, View
from podium.web.api.executions import execution_id
from podium.web.context import everything
from podium.web.following.feeds import Feeds, LineFeed, news_or
from podium.web.following.frames import FrameFeed, PartsFeed, RunsFeed
from podium.web.live import HEARTBEAT_S, Stream, serve_stream
from podium.web.pages.executions.page import parts_of, tab_of
from podium.web.pages.executions.runs import as_lines, compact, line_of
from podium.web.pages.render import page
from podium.web.params import Query
from podium.web.people.roles import caller
from podium.web.wire import answer

PAGE_LINES = 1_000
LINES_MAX = 5_000


async def stream(request: web.Request) -> web.StreamResponse:
    """Events: `part` {id, html}; `runs` {all, state, rows} for Gantt and topology; `line` for the log, its seq as id; `end`."""
    here, identifier, query = everything(request), execution_id(request), Query(request)
    tab = tab_of(query)
    last = request.headers.get("Last-Event-ID", "")
    after = int(last) if last.isdigit() and len(last) < 17 else query.integer("afterSeq", 0, low=0, high=2**53) or 0
    news = asyncio.Event()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.hub.place())
        feeds = here.hub.feeds
        frames: list[FrameFeed] = []
        key = ("parts", identifier, tab, _shown(request), frozenset(caller(request).roles.items()))
        parts, _ = await stack.enter_async_context(feeds.shown(key, lambda feeds: _parts(feeds, request, identifier, tab), news))
        frames.append(parts)
        if tab in {"gantt", "topology"}:
            feed, _ = await stack.enter_async_context(feeds.shown(("runs", identifier), lambda feeds: RunsFeed(feeds, identifier, compact), news))
            frames.append(feed)
        lines: LineFeed | None = None
        if tab == "logs":
            lines, _ = await stack.enter_async_context(feeds.lines(identifier, {"min_level": "TRACE"}, pack=as_lines, news=news))
        return await serve_stream(request, lambda out: _tell(out, frames, lines, after, news))


def _shown(request: web.Request) -> tuple[tuple[str, str], ...]:
    """What of the query decides what is shown, and not where a reader is."""
    return tuple(sorted((name, value) for name, value in request.query.items() if name not in {"afterSeq", "line"}))


def _parts(feeds: Feeds, request: web.Request, identifier: str, tab: str) -> PartsFeed:
    """The pieces of the page as this caller and all with the same roles see them."""

    async def draw(view: View) -> Mapping[str, str]:
        return await parts_of(request, view, tab)

    async def more() -> bool:
        record = await everything(request).orchestrator.record(identifier)
        return record is None or not record.get("commit")

    return PartsFeed(feeds, identifier, draw, more=more if tab == "record" else None)


async def _tell(out: Stream, frames: list[FrameFeed], lines: LineFeed | None, after: int, news: asyncio.Event) -> None:
    seen = [0] * len(frames)
    while True:
        over = all(each.over for each in frames) and (lines is None or lines.over)
        told = b""
        for number, feed in enumerate(frames):
            if feed.version != seen[number]:
                told += feed.frames(seen[number])
                seen[number] = feed.version
        found = await lines.lines(after) if lines is not None else None
        if found is not None:
            told, after = told + found.data, found.last
        if told:
            await out.pass_on(told)
            continue
        if over:
            await out.send({}, event="end")
            return
        if any(each.stopped and not each.over for each in frames) or (lines is not None and lines.stopped and not lines.over):
            return
        await news_or(news, HEARTBEAT_S, out.heartbeat)


def _only(query: Query) -> dict[str, Any]:
    return {"min_level": query.level(), "task_id": query.text("taskId"), "task_run_id": query.text("taskRunId")}


async def _there(request: web.Request) -> Orchestrator:
    """Raises NotFound where there is no such execution."""
    orchestrator, identifier = everything(request).orchestrator, execution_id(request)
    if await orchestrator.namespace_of(identifier) is None:
        raise NotFound(f"no execution '{identifier[:40]}'", hint="list them: GET /api/v1/executions/search")
    return orchestrator


async def lines(request: web.Request) -> web.Response:
    """Lines after `after`: a list of [seq, moment, level, task, task run, attempt, message]."""
    query = Query(request)
    after, limit = query.integer("after", 0, low=0, high=2**53) or 0, query.integer("limit", PAGE_LINES, high=LINES_MAX) or PAGE_LINES
    found = await (await _there(request)).logs(execution_id(request), after_seq=after, limit=limit, **_only(query))
    return answer([line_of(each) for each in found])


async def lines_index(request: web.Request) -> web.Response:
    """How many lines match, and after which seq each page of `every` begins: {total, every, after}."""
    query = Query(request)
    every = query.integer("every", PAGE_LINES, low=100, high=LINES_MAX) or PAGE_LINES
    total, after = await (await _there(request)).log_index(execution_id(request), every=every, **_only(query))
    return answer({"total": total, "every": every, "after": after})


async def lines_found(request: web.Request) -> web.Response:
    """Which of the lines that match otherwise have the text q: {found: [[number from 0, seq]…], more}."""
    query = Query(request)
    text = (query.text("q") or "")[:1_000]
    found = await (await _there(request)).log_find(execution_id(request), text, limit=FOUND_LINES_MAX + 1, **_only(query)) if text else []
    return answer({"found": found[:FOUND_LINES_MAX], "more": len(found) > FOUND_LINES_MAX})


ROUTES = (
    page("GET", "/executions/{execution}/live", stream),
    page("GET", "/executions/{execution}/lines", lines),
    page("GET", "/executions/{execution}/lines/index", lines_index),
    page("GET", "/executions/{execution}/lines/found", lines_found),
)
