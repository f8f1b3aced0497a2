"""What the command palette finds: flows by letters of their name in order, an execution by its id, the last executions of the flow found best.

Called by the script of the shell at each letter typed. What always holds: no flow is parsed; who may not see a namespace finds nothing of it.
"""

from __future__ import annotations

import heapq
from typing import Any

from aiohttp import web

from podium.base.errors import NotFound
from podium.base.ports import FlowRevision
from podium.web.context import context
from podium.web.pages.render import execution_url, flow_url, page
from podium.web.people.roles import Role, caller
from podium.web.wire import answer

_FLOWS_MAX = 12
_RUNS_MAX = 4
_WANTED_CHARS = 100
_ID_CHARS = 22


def score(wanted: str, text: str) -> float | None:
    """How well letters match a text, more is better; None when they do not stand in it in this order. Both in lower case."""
    place = text.find(wanted)
    if place >= 0:
        return 1000.0 - place - len(text) / 100
    at, found = -1, 0.0
    for letter in wanted:
        if letter == " ":
            continue
        next_at = text.find(letter, at + 1)
        if next_at < 0:
            return None
        found += 6.0 if next_at == at + 1 else 4.0 if next_at == 0 or not text[next_at - 1].isalnum() else 1.0
        at = next_at
    return found - len(text) / 100


def best(flows: list[FlowRevision], wanted: str) -> list[FlowRevision]:
    """Those that match best by their id, or by namespace and id."""
    low = wanted.lower()
    scored = []
    for number, flow in enumerate(flows):
        whole = score(low, f"{flow.namespace}.{flow.flow_id}".lower())
        if whole is not None:
            own = score(low, flow.flow_id.lower())
            scored.append((max(whole, own + 50 if own is not None else whole), -number, flow))
    return [each[2] for each in heapq.nlargest(_FLOWS_MAX, scored, key=lambda each: each[:2])]


async def commands(request: web.Request) -> web.Response:
    """Flows and executions for what was typed."""
    orchestrator, who = context(request).orchestrator, caller(request)
    wanted = request.query.get("q", "").strip()[:_WANTED_CHARS]
    flows = best([each for each in orchestrator.flows() if who.may(Role.VIEWER, each.namespace)], wanted)
    executions: list[dict[str, Any]] = []
    if len(wanted) == _ID_CHARS:
        try:
            view = await orchestrator.execution(wanted)
        except NotFound:
            view = None
        if view and who.may(Role.VIEWER, view["namespace"]):
            executions.append(_execution(view, view["namespace"], view["flowId"]))
    if wanted and flows:
        first = (flows[0].namespace, flows[0].flow_id)
        recent = await orchestrator.recent_executions([first], most=_RUNS_MAX)
        executions += [_execution(each, *first) for each in recent.get(first, [])]
    return answer({
        "flows": [
            {"namespace": each.namespace, "id": each.flow_id, "href": flow_url(each.namespace, each.flow_id),
             "run": flow_url(each.namespace, each.flow_id, tab="run") if who.may(Role.OPERATOR, each.namespace) else None}
            for each in flows
        ],
        "executions": executions,
    })


def _execution(view: dict[str, Any], namespace: str, flow_id: str) -> dict[str, Any]:
    return {"id": view["id"], "flow": f"{namespace}.{flow_id}", "state": view["state"]["current"], "href": execution_url(view["id"])}


ROUTES = (page("GET", "/palette", commands),)
