"""The page of one flow: its head with what can be done, and a tab below; the run form; export. The list is in pages/lists.

What always holds: a flow that can no longer be read still has its source and its revisions.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base.errors import FlowNotFound
from podium.base.ports import FlowRevision
from podium.web.context import context
from podium.web.pages.flows import history, tabs
from podium.web.pages.flows.fields import Filled
from podium.web.pages.flows.running import run_values, started
from podium.web.pages.render import execution_url, form_page, page, render
from podium.web.pages.text import commit_url
from podium.web.params import Query
from podium.web.people.roles import Role, caller

TABS = ("overview", "topology", "source", "revisions", "executions", "triggers", "dependencies", "metrics", "logs", "run")
_NEEDS_NO_MODEL = frozenset({"source", "revisions", "executions", "logs"})


async def flow_page(request: web.Request) -> web.Response:
    """One flow. ?tab= and ?revision= choose what is shown."""
    return await _flow_page(request, tab=request.query.get("tab", "overview"))


async def _flow_page(request: web.Request, *, tab: str, filled: Filled | None = None, status: int = 200) -> web.Response:
    here, query = context(request), Query(request)
    namespace, flow_id = request.match_info["namespace"], request.match_info["flow"]
    if tab not in TABS:
        raise FlowNotFound(f"a flow has no page '{tab[:40]}'", hint=f"there are {', '.join(TABS)}")
    known = [each for each in await here.orchestrator.revisions(namespace, flow_id) if not each.deleted]
    flow = await here.orchestrator.flow(namespace, flow_id, revision=query.integer("revision"))
    newest = max((each.revision for each in known), default=flow.revision)
    facts = (await here.sources.commits(flow.source, [flow.commit])).get(flow.commit)
    source = next((each for each in here.sources.status() if each.get("name") == flow.source), {})
    return await render(
        request, "flows/flow.html", status=status, flow=flow, model=_model(flow, tab), tab=tab, newest=newest, revisions=len(known), tabs=TABS,
        commit_href=commit_url(str(source.get("url") or ""), flow.commit), commit=facts, operates=caller(request).may(Role.OPERATOR, namespace),
        cannot_edit=history.why_not(request, flow), **await _values(request, flow, tab, filled),
    )


def _model(flow: FlowRevision, tab: str) -> Any:
    """The flow; None where its text can no longer be read and the tab does without. Raises FlowNotFound."""
    try:
        return flow.model
    except FlowNotFound:
        if tab in _NEEDS_NO_MODEL:
            return None
        raise


async def _values(request: web.Request, flow: FlowRevision, tab: str, filled: Filled | None) -> dict[str, Any]:
    if tab == "run":
        return await run_values(request, flow, filled)
    if tab == "revisions":
        return await history.revisions(request, flow)
    return await tabs.VALUES[tab](request, flow)


async def run(request: web.Request) -> web.StreamResponse:
    """Start an execution from the form; with mistakes, the form again with each at its field."""
    flow = await context(request).orchestrator.flow(request.match_info["namespace"], request.match_info["flow"])
    execution, filled = await started(request, flow)
    if execution is None:
        return await _flow_page(request, tab="run", filled=filled, status=422)
    raise web.HTTPSeeOther(execution_url(execution["id"]))


async def export(request: web.Request) -> web.Response:
    """The text of a flow as a file."""
    names = request.match_info
    flow = await context(request).orchestrator.flow(names["namespace"], names["flow"], revision=Query(request).integer("revision"))
    name = quote(f"{flow.namespace}.{flow.flow_id}.yml", safe="")
    return web.Response(
        body=flow.text.encode("utf-8", "replace"), content_type="application/yaml", charset="utf-8",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )


ROUTES = (
    page("GET", "/flows/{namespace}/{flow}", flow_page),
    page("POST", "/flows/{namespace}/{flow}/run", run),
    page("GET", "/flows/{namespace}/{flow}/run", form_page),
    page("GET", "/flows/{namespace}/{flow}/export", export),
    page("POST", "/flows/{namespace}/{flow}/change/{verb}", history.change, needs=Role.EDITOR),
)
