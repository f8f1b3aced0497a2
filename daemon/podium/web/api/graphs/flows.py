"""Flows and executions as graphs: `graph` of a deployed flow, of a text, and of an execution with the states of its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import FlowError, FlowNotFound
from podium.conductor.port import Orchestrator
from podium.flows.dynamic import has_expression
from podium.flows.graphs.flow import graph_of
from podium.flows.graphs.states import states_of
from podium.flows.model import Flow, Subflow, all_tasks
from podium.web.api.executions import execution_id
from podium.web.api.flows import namespace_of
from podium.web.context import context
from podium.web.params import Query, read_text
from podium.web.people.roles import Role
from podium.web.routes import INTEGER, OBJECT, TEXT, Body, Param, Route, Schema
from podium.web.wire import answer

_OPENED_MAX = 50
_ROUNDS_MAX = 5
"""How deep subflows are looked up."""


async def flow_graph(orchestrator: Orchestrator, flow: Flow, opened: Iterable[str] = ()) -> dict[str, Any]:
    """The graph of a flow with these Subflow nodes opened, as far as their flows are deployed."""
    wanted = frozenset(list(opened)[:_OPENED_MAX])
    known: dict[tuple[str, str, int | None], Flow | None] = {}
    waiting = [flow] if wanted else []
    for _ in range(_ROUNDS_MAX):
        names = {_name(task) for each in waiting for task in all_tasks(each, listeners=False) if isinstance(task, Subflow)} - known.keys()
        for name in names:
            known[name] = await _find(orchestrator, *name)
        waiting = [found for name in names if (found := known[name]) is not None]
    return await asyncio.to_thread(graph_of, flow, find=lambda *name: known.get(name), subflows=wanted)


def _name(task: Subflow) -> tuple[str, str, int | None]:
    return task.namespace, task.flow_id, task.revision


async def _find(orchestrator: Orchestrator, namespace: str, flow_id: str, revision: int | None) -> Flow | None:
    if has_expression(namespace) or has_expression(flow_id):
        return None
    try:
        found: Flow = (await orchestrator.flow(namespace, flow_id, revision=revision)).model
    except FlowNotFound:
        return None
    return found


async def execution_graph(orchestrator: Orchestrator, execution: Mapping[str, Any], opened: Iterable[str] = ()) -> dict[str, Any]:
    """The graph of the revision that an execution runs; `states`: task id → state and counts. Raises FlowNotFound."""
    flow = await orchestrator.flow(execution["namespace"], execution["flowId"], revision=execution.get("flowRevision"))
    graph = await flow_graph(orchestrator, flow.model, opened)
    return {**graph, "states": states_of(execution.get("taskRunList") or ())}


async def _of_flow(request: web.Request) -> web.Response:
    query, orchestrator = Query(request), context(request).orchestrator
    found = await orchestrator.flow(*namespace_of(request), revision=query.integer("revision"))
    return answer(await flow_graph(orchestrator, found.model, query.many("subflows")))


async def _of_text(request: web.Request) -> web.Response:
    here = context(request)
    text = await read_text(request, limit=limits.FLOW_BYTES_MAX)
    parsed = await asyncio.to_thread(here.check_flow, text, "flow.yaml")
    flow = next((each.flow for each in parsed if each.flow is not None), None)
    if flow is None:
        problems = [problem.as_dict() for each in parsed for problem in each.problems]
        nothing = [{"message": "there is no flow in it", "path": ""}]
        raise FlowError("the text is no valid flow", hint="see the list of mistakes", problems=problems or nothing)
    return answer(await flow_graph(here.orchestrator, flow, Query(request).many("subflows")))


async def _of_execution(request: web.Request) -> web.Response:
    orchestrator = context(request).orchestrator
    execution = await orchestrator.execution(execution_id(request))
    return answer(await execution_graph(orchestrator, execution, Query(request).many("subflows")))


_NODE: Schema = {"type": "object", "required": ["uid", "type"], "properties": {"uid": TEXT, "type": TEXT, "task": OBJECT}}
_EDGE: Schema = {"type": "object", "required": ["source", "target"], "properties": {"source": TEXT, "target": TEXT, "relation": OBJECT}}
GRAPH: Schema = {
    "type": "object", "required": ["nodes", "edges", "clusters"],
    "properties": {
        "nodes": {"type": "array", "items": _NODE}, "edges": {"type": "array", "items": _EDGE},
        "clusters": {"type": "array", "items": OBJECT}, "flowables": {"type": "array", "items": TEXT}, "states": OBJECT,
    },
}
_SUBFLOWS = Param(name="subflows", about="uid of a Subflow node to be opened; may repeat")
ROUTES = (
    Route(
        method="GET", path="/flows/{namespace}/{id}/graph", handler=_of_flow, about="A flow as nodes, edges and clusters", tag="flows",
        query=(Param(name="revision", schema=INTEGER, about="default the newest"), _SUBFLOWS), answers={200: GRAPH}, errors=(404, 422),
    ),
    Route(
        method="GET", path="/executions/{execution}/graph", handler=_of_execution, about="The flow of an execution as a graph, with states",
        tag="executions", query=(_SUBFLOWS,), answers={200: GRAPH}, errors=(404, 422),
    ),
)
TEXTS = (
    Route(
        method="POST", path="/flows/graph", handler=_of_text, about="The text of a flow as a graph; nothing is stored", tag="flows",
        needs=Role.VIEWER, query=(_SUBFLOWS,),
        body=Body(content={"application/x-yaml": TEXT, "text/plain": TEXT, "application/yaml": TEXT}, required=True),
        answers={200: GRAPH}, errors=(422,),
    ),
)
