"""The first page and the search."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aiohttp import web

from podium.base.errors import NotFound
from podium.base.ports import FlowRevision
from podium.conductor.port import Orchestrator, View
from podium.web.context import context
from podium.web.pages.render import ACTIVE, execution_url, page, render

_SHOWN, _STRIP = 12, 60
_FOUND_MAX = 30


async def overview(request: web.Request) -> web.Response:
    """What goes on now, what failed lately, what ran last."""
    orchestrator, now = context(request).orchestrator, context(request).clock.now()
    day_ago = now - timedelta(days=1)
    (last, total), (running, running_total), (_, failed), (_, good), (_, day) = await asyncio.gather(
        orchestrator.executions(size=_STRIP),
        orchestrator.executions(states=ACTIVE, size=_SHOWN),
        orchestrator.executions(states=["FAILED"], started_after=day_ago, size=1),
        orchestrator.executions(states=["SUCCESS", "WARNING"], started_after=day_ago, size=1),
        orchestrator.executions(started_after=day_ago, size=1),
    )
    flows = orchestrator.flows()
    return await render(
        request, "home/home.html", last=last[:_SHOWN], strip=list(reversed(last)), total=total, running=running, running_total=running_total,
        failed=failed,
        good=good, day=day, flows=len(flows), day_ago=day_ago, rejected=orchestrator.rejected(), sources=context(request).sources.status(),
    )


async def search(request: web.Request) -> web.Response:
    """Flows and executions that match; straight to the one whose id was typed."""
    orchestrator, wanted = context(request).orchestrator, request.query.get("q", "").strip()[:200]
    flows: list[FlowRevision] = []
    found: list[View] = []
    if wanted:
        if await _is_execution(orchestrator, wanted):
            raise web.HTTPSeeOther(execution_url(wanted))
        flows = orchestrator.flows(query=wanted)[:_FOUND_MAX]
        found, _ = await orchestrator.executions(query=wanted, size=_FOUND_MAX)
    return await render(request, "home/search.html", wanted=wanted, flows=flows, executions=found)


async def _is_execution(orchestrator: Orchestrator, text: str) -> bool:
    if len(text) < 20:
        return False
    try:
        await orchestrator.execution(text)
    except NotFound:
        return False
    return True


ROUTES = (
    page("GET", "/", overview),
    page("GET", "/search", search),
)
