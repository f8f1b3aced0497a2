"""The first page: what runs, what failed and why, what comes next, how the instance is, and how many executions there were; and the search.

What always holds: every number comes from an index; who does not see a namespace sees nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from podium.base.errors import FlowNotFound, NotFound, PodiumError
from podium.base.moments import from_text
from podium.base.ports import FlowRevision
from podium.base.system.disk import readable
from podium.conductor.port import Orchestrator, View
from podium.web.context import Context, context
from podium.web.pages.home import palette
from podium.web.pages.home.chart import RANGES, chart, window
from podium.web.pages.render import ACTIVE, execution_url, page, render
from podium.web.params import Query
from podium.web.people.roles import Role, caller, sees, visible

_SHOWN, _FAILED, _NEXT = 8, 6, 7
_FOUND_MAX = 30
_ASKED_MAX = 200
"""Dates of triggers that are looked through for those whose trigger is there."""
_LATE_S = 300
_WAITING = ("PAUSED", "QUEUED", "BREAKPOINT")
_DONE = ("SUCCESS", "WARNING")


async def overview(request: web.Request) -> web.Response:
    """The first page. ?range= how far back, ?namespace= with those below it."""
    here, query = context(request), Query(request)
    now, orchestrator = here.clock.now(), here.orchestrator
    chosen = query.text("range") or "24h"
    chosen = chosen if chosen in RANGES else "24h"
    namespace = query.text("namespace")
    start, end = window(now, *RANGES[chosen])
    within: dict[str, Any] = {"namespace": namespace, "namespaces": visible(request)}
    parts, running, failed = await asyncio.gather(
        orchestrator.tally(start=start, end=end, steps=RANGES[chosen][1], namespace=namespace, namespaces=_names(request)),
        orchestrator.list_executions(states=ACTIVE, size=_SHOWN, **within),
        orchestrator.list_executions(states=["FAILED"], size=_FAILED, **within),
    )
    flows = [each for each in orchestrator.flows(namespace=namespace) if sees(request, each.namespace)]
    drawn = chart(parts, start, end)
    anything = bool(drawn.totals or running.found or failed.found) or bool((await orchestrator.list_executions(size=1, **within)).found)
    ended = sum(drawn.totals.get(state, 0) for state in (*_DONE, "FAILED"))
    return await render(
        request, "home/home.html", chart=drawn, running=running, failed=failed, reasons=await orchestrator.reasons(failed.found),
        anything=anything, flows=len(flows), coming=_coming(request, orchestrator, namespace), range=chosen, ranges=list(RANGES),
        start=start, end=end,
        rate=100 * sum(drawn.totals.get(state, 0) for state in _DONE) / ended if ended else None, namespace=namespace or "",
        waiting=[state for state in _WAITING if state in drawn.totals], namespaces=_namespaces(request, orchestrator),
        health=await _health(here, now) if caller(request).may(Role.VIEWER, "") else [], sources=here.sources.status(), active=ACTIVE,
        operates=caller(request).highest >= Role.OPERATOR,
    )


def _names(request: web.Request) -> list[str] | None:
    seen = visible(request)
    return None if seen is None else sorted(seen)


def _namespaces(request: web.Request, orchestrator: Orchestrator) -> list[str]:
    return sorted({each.namespace for each in orchestrator.flows() if sees(request, each.namespace)})


def _coming(request: web.Request, orchestrator: Orchestrator, namespace: str | None) -> list[dict[str, Any]]:
    """The next dates of triggers that are there and on."""
    found: list[dict[str, Any]] = []
    deployed = {(each.namespace, each.flow_id): each for each in orchestrator.flows(namespace=namespace)}
    for each in orchestrator.upcoming(limit=_ASKED_MAX):
        flow = deployed.get((each["namespace"], each["flowId"]))
        if flow is not None and sees(request, flow.namespace) and _fires(flow, each["triggerId"]):
            found.append(each)
        if len(found) == _NEXT:
            break
    return found


def _fires(flow: FlowRevision, trigger_id: str) -> bool:
    try:
        return not flow.model.disabled and any(each.id == trigger_id and not each.disabled for each in flow.model.triggers)
    except FlowNotFound:
        return False


async def _health(here: Context, now: datetime) -> list[dict[str, Any]]:
    """What an operator looks at first: {kind: ok|warn|bad, name, key, values, href}, the words by key of strings."""
    try:
        health = await here.orchestrator.health()
    except PodiumError as error:
        return [{"kind": "bad", "name": "home.health_daemon", "text": error.what, "href": "/health"}]
    found = [_source(each, now) for each in here.sources.status()]
    unpushed: Mapping[str, Any] = health.get("unpushed") or {}
    count, oldest = int(unpushed.get("count") or 0), float(unpushed.get("oldestSeconds") or 0)
    found.append({"kind": "warn" if count and oldest > _LATE_S else "ok", "name": "home.health_results", "href": "/results",
                  "key": "home.unpushed" if count else "home.all_pushed", "values": {"n": count}})
    if broken := (health.get("journal") or {}).get("error"):
        found.append({"kind": "bad", "name": "home.health_journal", "text": str(broken), "href": "/health"})
    found.append({"kind": "ok", "name": "home.health_runner", "href": "/system", "text": str(health.get("runner") or "–")})
    disk: Mapping[str, Any] = health.get("disk") or {}
    if "freeBytes" in disk:
        found.append({"kind": "bad" if disk.get("low") else "ok", "name": "home.health_disk", "href": "/system", "key": "home.disk_free",
                      "values": {"size": readable(disk["freeBytes"])}})
    waiting: Mapping[str, Any] = health.get("waiting") or {}
    held = (waiting.get("executions") or {}).get("queued") or 0
    paused = waiting.get("paused")
    found.append({"kind": "warn" if paused else "ok", "name": "home.health_queue", "href": "/system", "values": {"n": held},
                  "key": "home.paused" if paused else "home.queued"})
    return found


def _source(status: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    made: dict[str, Any] = {"kind": "ok", "source": status.get("name"), "href": "/syncs", "key": "home.synced", "values": {}}
    if status.get("error"):
        return {**made, "kind": "bad", "text": str(status["error"])}
    if status.get("held"):
        return {**made, "kind": "warn", "text": str(status["held"])}
    fetched = status.get("fetchedAt")
    if not fetched:
        return {**made, "kind": "warn", "key": "home.never_synced"}
    late = now - from_text(str(fetched)) > timedelta(seconds=_LATE_S + 2 * float(status.get("pollIntervalS") or 0))
    return {**made, "kind": "warn" if late else "ok", "at": fetched, "commit": status.get("commit")}


async def search(request: web.Request) -> web.Response:
    """Flows and executions that match; straight to the one whose id was typed."""
    orchestrator, wanted = context(request).orchestrator, request.query.get("q", "").strip()[:200]
    flows: list[FlowRevision] = []
    found: list[View] = []
    if wanted:
        if await _is_execution(request, orchestrator, wanted):
            raise web.HTTPSeeOther(execution_url(wanted))
        flows = palette.best([each for each in orchestrator.flows() if sees(request, each.namespace)], wanted)[:_FOUND_MAX]
        found = (await orchestrator.list_executions(query=wanted, size=_FOUND_MAX, namespaces=visible(request))).found
    return await render(request, "home/search.html", wanted=wanted, flows=flows, executions=found)


async def _is_execution(request: web.Request, orchestrator: Orchestrator, text: str) -> bool:
    if len(text) < 20:
        return False
    try:
        view = await orchestrator.execution(text)
    except NotFound:
        return False
    return sees(request, view["namespace"])


ROUTES = (
    page("GET", "/", overview),
    page("GET", "/search", search),
    *palette.ROUTES,
)
