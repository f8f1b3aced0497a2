"""The list of namespaces, and one namespace by tabs: overview, flows, files, keys, names of secrets, variables and defaults in force.

What always holds: only namespaces that the caller may see; what is shown of a secret is its name; nothing is parsed but the flows of one page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base.errors import ConflictError, FlowNotFound, NotFound, PodiumError
from podium.base.ports import FlowRevision
from podium.conductor.port import View
from podium.web.api.editing.namespaces.files import Home, home
from podium.web.api.editing.namespaces.secrets import secret_places
from podium.web.api.editing.rights import check_names
from podium.web.context import context
from podium.web.pages.namespaces import files, keys
from podium.web.pages.render import link, page, render, text_for
from podium.web.params import Query
from podium.web.people.roles import Role, caller, sees

SIZE = 50
STRIP = 12
TABS = ("overview", "flows", "files", "kv", "secrets", "variables")


@dataclass(slots=True, kw_only=True)
class Row:
    """A namespace in the list. own, total: flows in it, and with those below. recent: the newest execution of its flows, oldest first."""

    name: str
    own: int = 0
    total: int = 0
    recent: Sequence[View] = ()
    refused: int = 0

    @property
    def depth(self) -> int:
        """How many namespaces are above it."""
        return self.name.count(".")


@dataclass(slots=True, kw_only=True)
class Shown:
    """What the page of a namespace shows around its tabs. home: None where there is no source for it. why: why it cannot be changed."""

    namespace: str
    home: Home | None
    flows: Sequence[FlowRevision]
    below: Sequence[str]
    why: str | None
    more: dict[str, Any] = field(default_factory=dict)


async def namespace_list(request: web.Request) -> web.Response:
    """Namespaces. ?q="""
    here, query = context(request), Query(request)
    wanted, number = (query.text("q") or "").strip().lower(), query.integer("page", 1, high=1_000_000) or 1
    flows = [each for each in here.orchestrator.flows() if sees(request, each.namespace)]
    rows = _tree(flows)
    found = [each for each in rows.values() if wanted in each.name.lower()]
    shown = found[(number - 1) * SIZE : number * SIZE]
    await _fill(request, shown, flows)
    return await render(
        request, "namespaces/list.html", rows=shown, total=len(found), page=number, size=SIZE, filters={"q": wanted}, flows=len(flows), strip=STRIP,
        url=namespace_url, edits=here.edits is not None and caller(request).highest >= Role.EDITOR,
    )


def _tree(flows: Sequence[FlowRevision]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for each in flows:
        parts = each.namespace.split(".")
        for end in range(1, len(parts) + 1):
            row = rows.setdefault(name := ".".join(parts[:end]), Row(name=name))
            row.total += 1
        row.own += 1
    return dict(sorted(rows.items()))


async def _fill(request: web.Request, rows: Sequence[Row], flows: Sequence[FlowRevision]) -> None:
    names = {each.name for each in rows}
    pairs = [(each.namespace, each.flow_id) for each in flows if each.namespace in names]
    recent = await context(request).orchestrator.recent_executions(pairs, most=1) if pairs else {}
    by_name: dict[str, list[View]] = {}
    for (namespace, _), views in recent.items():
        by_name.setdefault(namespace, []).extend(views)
    for row in rows:
        newest = sorted(by_name.get(row.name, ()), key=lambda view: str(view["state"]["startDate"]))
        row.recent = newest[-STRIP:]


def namespace_url(namespace: str, **query: Any) -> str:
    """The page of a namespace."""
    return link(f"/namespaces/{quote(namespace, safe='')}", **query)


async def namespace_page(request: web.Request) -> web.StreamResponse:
    """One namespace."""
    tab = Query(request).text("tab") or "overview"
    if tab not in TABS:
        raise NotFound(f"a namespace has no page '{tab[:40]}'", hint=f"it has {', '.join(TABS)}")
    return await show(request, tab)


async def show(request: web.Request, tab: str, *, status: int = 200, **more: Any) -> web.Response:
    """The page with that tab open. more: of a form that was refused."""
    shown = await _shown(request)
    made = {"overview": _overview, "flows": _flows, "files": files.tab, "kv": keys.tab, "secrets": _secrets, "variables": _in_force}[tab]
    values = {**await made(request, shown.namespace, shown), **more}
    return await render(
        request, f"namespaces/{tab}.html", status=status, tab=tab, shown=shown, namespace=shown.namespace, url=namespace_url,
        tabs=[(key, text_for(f"namespaces.tab_{key}"), namespace_url(shown.namespace, tab=key), _count(key, shown)) for key in TABS],
        edits=caller(request).may(Role.EDITOR, shown.namespace), **values,
    )


async def _shown(request: web.Request) -> Shown:
    namespace = request.match_info["namespace"]
    check_names(namespace)
    every = [each for each in context(request).orchestrator.flows(namespace=namespace) if sees(request, each.namespace)]
    below = sorted({each.namespace for each in every if each.namespace.startswith(f"{namespace}.")})
    own = [each for each in every if each.namespace == namespace]
    edits = context(request).edits
    try:
        place = home(request, namespace)
    except (NotFound, ConflictError):
        place = None
    why = text_for("namespaces.why_no_source") if place is None or edits is None else edits.editable(place.source)
    if why is None and not caller(request).may(Role.EDITOR, namespace):
        why = text_for("namespaces.why_role")
    return Shown(namespace=namespace, home=place, flows=own, below=below, why=why)


def _count(tab: str, shown: Shown) -> int | None:
    return len(shown.flows) if tab == "flows" else None


async def _overview(request: web.Request, namespace: str, shown: Shown) -> dict[str, Any]:
    here = context(request)
    listed = await here.orchestrator.list_executions(namespace=namespace, size=10)
    keys_ = await here.orchestrator.kv_list(namespace)
    refused = [
        each for each in here.orchestrator.rejected() if shown.home is not None and each.get("source") == shown.home.source
        and any(each.get("path") == flow.path for flow in shown.flows)
    ]
    return {
        "executions": listed.found, "keys": len(keys_), "secrets": len(await secret_places(request, namespace)), "refused": refused,
        "source": next((each for each in here.sources.status() if shown.home is not None and each.get("name") == shown.home.source), None),
    }


async def _flows(request: web.Request, namespace: str, shown: Shown) -> dict[str, Any]:
    number = Query(request).integer("page", 1, high=1_000_000) or 1
    part = shown.flows[(number - 1) * SIZE : number * SIZE]
    recent = await context(request).orchestrator.recent_executions([(each.namespace, each.flow_id) for each in part], most=STRIP)
    rows = [{"flow": each, "model": _model(each), "recent": recent.get((each.namespace, each.flow_id), [])[::-1]} for each in part]
    return {"rows": rows, "page": number, "size": SIZE, "strip": STRIP}


def _model(flow: FlowRevision) -> Any:
    try:
        return flow.model
    except FlowNotFound:
        return None


async def _secrets(request: web.Request, namespace: str, shown: Shown) -> dict[str, Any]:
    return {"secrets": await secret_places(request, namespace)}


async def _in_force(request: web.Request, namespace: str, shown: Shown) -> dict[str, Any]:
    edits = context(request).edits
    try:
        found = await edits.in_force(shown.home.source, namespace) if edits is not None and shown.home is not None else []
        trouble = None
    except PodiumError as error:
        found, trouble = [], error.what
    return {
        "found": {kind: [each for each in found if each["kind"] == kind] for kind in ("variables", "labels", "pluginDefaults")},
        "trouble": trouble, "admin": caller(request).may(Role.ADMIN, ""), "reads": caller(request).may(Role.VIEWER, ""),
    }


ROUTES = (
    page("GET", "/namespaces", namespace_list),
    page("GET", "/namespaces/{namespace}", namespace_page),
    *keys.routes(show),
    *files.routes(show),
)
