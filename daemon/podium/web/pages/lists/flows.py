"""The list of flows: search, the tree of namespaces, labels, the last states of each, when it runs next.

What always holds: only the flows of the page shown are parsed (and those in which a label is looked for); all else comes from names and indexes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from podium.base.errors import FlowNotFound
from podium.base.ports import FlowRevision
from podium.conductor.port import Orchestrator, View
from podium.flows.model import Trigger
from podium.web.api.triggers import state_view
from podium.web.context import context
from podium.web.pages.render import page, render
from podium.web.params import Query, parse_labels
from podium.web.people.roles import Role, caller, sees

SIZE = 50
STRIP = 12
SORTS = ("name", "last", "next", "deployed")
_NEXT_MAX = 20_000
_ICONS = (("schedule", "clock"), ("webhook", "hook"), (".flow", "flow"))


@dataclass(slots=True, kw_only=True)
class Branch:
    """A part of a namespace's name in the tree. path: the whole name. total: flows in it and below."""

    name: str
    path: str
    total: int = 0
    below: dict[str, Branch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A flow in the list. model: None when it can no longer be read. recent: oldest first. next: a date, or None. key: its name for bulk actions."""

    flow: FlowRevision
    model: Any
    recent: Sequence[View]
    next: str | None
    triggers: Sequence[tuple[str, Trigger]]
    key: str


async def flow_list(request: web.Request) -> web.Response:
    """Flows. ?q= ?namespace= ?label= ?sort= ?state=disabled"""
    here, query = context(request), Query(request)
    orchestrator, who = here.orchestrator, caller(request)
    number, namespace, wanted = query.integer("page", 1, high=1_000_000) or 1, query.text("namespace") or "", (query.text("q") or "").strip()
    labels = parse_labels((query.text("label") or "").replace(",", " ").split(), path="label")
    sort, _, order = (query.text("sort") or "name").partition(":")
    sort, down = sort if sort in SORTS else "name", order == "desc"
    every = [each for each in orchestrator.flows() if sees(request, each.namespace)]
    found = [each for each in every if not namespace or each.namespace == namespace or each.namespace.startswith(f"{namespace}.")]
    found = _labelled(_matching(found, wanted), labels)
    found = await _sorted(orchestrator, found, sort, down=down)
    rows = await _rows(orchestrator, found[(number - 1) * SIZE : number * SIZE])
    spaces = [each.namespace for each in every]
    filters = {"q": wanted, "namespace": namespace, "label": query.text("label") or "", "sort": query.text("sort") or ""}
    return await render(
        request, "lists/flows.html", rows=rows, total=len(found), every=len(every), page=number, size=SIZE, filters=filters, sort=sort, down=down,
        tree=tree(spaces), sources=here.sources.status(), edits=here.edits is not None and who.highest >= Role.EDITOR,
        operates=who.highest >= Role.OPERATOR, filtered=bool(wanted or namespace or labels), strip=STRIP,
    )


def tree(namespaces: Iterable[str]) -> list[Branch]:
    """The namespaces of flows as a tree."""
    root = Branch(name="", path="")
    for namespace in sorted(namespaces):
        at = root
        for part in namespace.split("."):
            at = at.below.setdefault(part, Branch(name=part, path=f"{at.path}.{part}" if at.path else part))
            at.total += 1
    return list(root.below.values())


def _matching(flows: Sequence[FlowRevision], wanted: str) -> list[FlowRevision]:
    """Those that have every word: in their name first, then those that have it in their text."""
    words = wanted.lower().split()
    if not words:
        return list(flows)
    named, texts = list[FlowRevision](), list[FlowRevision]()
    for flow in flows:
        name = f"{flow.namespace}.{flow.flow_id}".lower()
        if all(word in name for word in words):
            named.append(flow)
        elif all(word in name or word in flow.text.lower() for word in words):
            texts.append(flow)
    return [*named, *texts]


def _labelled(flows: list[FlowRevision], labels: dict[str, str]) -> list[FlowRevision]:
    if not labels:
        return flows
    near = (each for each in flows if all(key in each.text and value in each.text for key, value in labels.items()))
    return [each for each in near if (model := _model(each)) and labels.items() <= {key: str(value) for key, value in model.labels.items()}.items()]


async def _sorted(orchestrator: Orchestrator, flows: list[FlowRevision], sort: str, *, down: bool) -> list[FlowRevision]:
    keys: dict[tuple[str, str], str] = {}
    if sort == "last":
        last = await orchestrator.recent_executions([(each.namespace, each.flow_id) for each in flows], most=1)
        keys = {pair: views[0]["state"]["startDate"] for pair, views in last.items()}
    elif sort == "next":
        for each in reversed(orchestrator.upcoming(limit=_NEXT_MAX)):
            keys[each["namespace"], each["flowId"]] = each["nextExecutionDate"]
    elif sort == "deployed":
        keys = {(each.namespace, each.flow_id): each.deployed_at.isoformat() for each in flows}
    elif down:
        return flows[::-1]
    else:
        return flows
    named = [((each.namespace, each.flow_id), each) for each in flows]
    dated = sorted(((keys[name], number) for number, (name, _) in enumerate(named) if name in keys), reverse=down)
    return [*(flows[number] for _, number in dated), *(each for name, each in named if name not in keys)]


async def _rows(orchestrator: Orchestrator, flows: Sequence[FlowRevision]) -> list[Row]:
    recent = await orchestrator.recent_executions([(each.namespace, each.flow_id) for each in flows], most=STRIP)
    rows = []
    for flow in flows:
        model, dates = _model(flow), list[str]()
        triggers: Sequence[Trigger] = model.triggers if model else ()
        for trigger in triggers:
            state = state_view(flow.namespace, flow.flow_id, trigger, await orchestrator.trigger_state(flow.namespace, flow.flow_id, trigger.id))
            if state.get("nextExecutionDate") and not state["disabled"]:
                dates.append(state["nextExecutionDate"])
        rows.append(Row(
            flow=flow, model=model, recent=recent.get((flow.namespace, flow.flow_id), [])[::-1], next=min(dates, default=None),
            triggers=[(_icon(each), each) for each in triggers], key=json.dumps({"namespace": flow.namespace, "id": flow.flow_id}),
        ))
    return rows


def _icon(trigger: Trigger) -> str:
    return next((icon for word, icon in _ICONS if word in str(trigger.type).lower()), "bolt")


def _model(flow: FlowRevision) -> Any:
    try:
        return flow.model
    except FlowNotFound:
        return None


ROUTES = (page("GET", "/flows", flow_list),)
