"""Which flows start or listen for which: of one flow, and of a namespace (flow-language 10.1)."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from podium.base.ports import FlowRevision
from podium.conductor.port import Orchestrator
from podium.flows.graphs.dependencies import Key, Known, Link, graph
from podium.web.api.flows import namespace_of
from podium.web.context import context, everything
from podium.web.params import Query
from podium.web.routes import FLAG, OBJECT, TEXT, Param, Route, Schema
from podium.web.wire import answer

KNOWN: web.AppKey[Known] = web.AppKey("dependencies", Known)


async def links(request: web.Request, orchestrator: Orchestrator) -> dict[Key, tuple[Link, ...]]:
    """What the flows that the caller may see say of each other."""
    flows = orchestrator.flows()
    seen = {(each.namespace, each.flow_id) for each in flows}
    known = request.app[KNOWN]
    found = await asyncio.to_thread(known.links, [_said(each) for each in flows])
    # Of a flow that the caller may not see not even the name is told.
    deployed = everything(request).orchestrator.known_flows()
    secret = deployed.keys() - seen
    return {key: tuple(link for link in said if (link.namespace, link.flow_id) not in secret) for key, said in found.items()}


def _said(flow: FlowRevision) -> tuple[Key, Any, Any]:
    return (flow.namespace, flow.flow_id), (flow.revision, flow.blob), lambda: flow.model


async def flow_dependencies(request: web.Request, key: Key, *, only_from: bool = False, whole: bool = False) -> dict[str, Any]:
    """The graph around one flow."""
    return graph(await links(request, context(request).orchestrator), key, only_from=only_from, whole=whole)


async def _of_flow(request: web.Request) -> web.Response:
    query, key = Query(request), namespace_of(request)
    await context(request).orchestrator.flow(*key)
    only_from, whole = query.flag("destinationOnly"), query.flag("expandAll")
    return answer(await flow_dependencies(request, key, only_from=only_from, whole=whole))


async def _of_namespace(request: web.Request) -> web.Response:
    namespace = request.match_info["namespace"]
    found = graph(await links(request, context(request).orchestrator))
    inside = {each["uid"] for each in found["nodes"] if each["namespace"] == namespace or each["namespace"].startswith(namespace + ".")}
    edges = [each for each in found["edges"] if each["source"] in inside or each["target"] in inside]
    shown = inside | {each[end] for each in edges for end in ("source", "target")}
    return answer({"nodes": [each for each in found["nodes"] if each["uid"] in shown], "edges": edges})


_NODE: Schema = {"type": "object", "required": ["uid", "namespace", "id"], "properties": {"uid": TEXT, "namespace": TEXT, "id": TEXT}}
_GRAPH: Schema = {
    "type": "object", "required": ["nodes", "edges"],
    "properties": {
        "nodes": {"type": "array", "items": _NODE}, "edges": {"type": "array", "items": OBJECT},
    },
}
ROUTES = (
    Route(
        method="GET", path="/flows/{namespace}/{id}/dependencies", handler=_of_flow, tag="flows",
        about="Flows that start this one, or that it starts", query=(
            Param(name="destinationOnly", schema=FLAG, about="only those it leads to"),
            Param(name="expandAll", schema=FLAG, about="and what is next to them, and so on"),
        ),
        answers={200: _GRAPH}, errors=(404, 422),
    ),
    Route(
        method="GET", path="/namespaces/{namespace}/dependencies", handler=_of_namespace, about="Who starts whom in a namespace", tag="flows",
        answers={200: _GRAPH}, errors=(),
    ),
)
