"""Removing executions and logs over the API (flow-language 9.7, 10.2, 10.3).

What always holds: what has not ended is never removed as it is; with `includeNonTerminated` it is killed first. Records stay in Git.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import ConflictError
from podium.flows.model import STATES, TERMINAL
from podium.web.api.commands.bulk import IDS, done_to, found_by, named, refuse_wrong
from podium.web.api.executions import execution_id
from podium.web.api.looks.finding import FIND, find_query
from podium.web.context import Context, context
from podium.web.params import Query, read_json
from podium.web.people.roles import Role
from podium.web.routes import FLAG, INTEGER, Body, Param, Route, ref
from podium.web.wire import answer

KILLED_WITHIN_S = 60.0


def _wanted(query: Query) -> dict[str, bool]:
    names = {"logs": "deleteLogs", "metrics": "deleteMetrics", "files": "deleteStorage"}
    return {part: query.flag(name, default=True) for part, name in names.items()}


async def _remove(here: Context, identifier: str, wanted: dict[str, bool], *, kill: bool) -> None:
    view = await here.orchestrator.execution(identifier)
    ended = view["state"]["current"] in TERMINAL
    if kill and not ended:
        await here.orchestrator.kill(identifier, cascade=False)
    if kill or ended:  # what has ended may still have tasks of `afterExecution` before it: its record is written at their end
        view = await here.orchestrator.wait(identifier, timeout_s=KILLED_WITHIN_S if kill else 0.5)
    if view["state"]["current"] not in TERMINAL:
        hint = "kill it first, or give includeNonTerminated=true"
        raise ConflictError(f"execution '{identifier}' is {view['state']['current']}: only what has ended can be deleted", hint=hint)
    await here.orchestrator.delete_execution(identifier, **wanted)


async def _one(request: web.Request) -> web.Response:
    query = Query(request)
    await _remove(context(request), execution_id(request), _wanted(query), kill=query.flag("includeNonTerminated"))
    return web.Response(status=204)


async def _by_ids(request: web.Request) -> web.Response:
    here, query = context(request), Query(request)
    return await _many(here, query, await named(here, await read_json(request, limit=limits.BODY_BYTES_MAX)))


async def _by_query(request: web.Request) -> web.Response:
    here, query = context(request), find_query(request)
    return await _many(here, query, await found_by(here, query, {}))


async def _many(here: Context, query: Query, found: dict[str, Any]) -> web.Response:
    kill, wanted = query.flag("includeNonTerminated"), _wanted(query)
    refuse_wrong("delete", found, frozenset(STATES) if kill else frozenset(TERMINAL))
    return await done_to("delete", list(found), lambda each: _remove(here, each, wanted, kill=kill))


async def _logs(request: web.Request) -> web.Response:
    await context(request).orchestrator.delete_logs(execution_id(request))
    return web.Response(status=204)


async def _flow_logs(request: web.Request) -> web.Response:
    here, names = context(request), request.match_info
    await here.orchestrator.flow(names["namespace"], names["flow"])
    count = await here.orchestrator.delete_flow_logs(names["namespace"], names["flow"], trigger_id=Query(request).text("triggerId"))
    return answer({"count": count})


_PARTS = (
    Param(name="deleteLogs", schema=FLAG, about="default true"), Param(name="deleteMetrics", schema=FLAG, about="default true"),
    Param(name="deleteStorage", schema=FLAG, about="files; default true"),
    Param(name="includeNonTerminated", schema=FLAG, about="kill first what has not ended; default false"),
)
ROUTES = [
    Route(
        method="DELETE", path="/executions/by-ids", handler=_by_ids, about="Remove executions", tag="executions", needs=Role.EDITOR, query=_PARTS,
        body=IDS, answers={200: ref("Count")}, errors=(400, 422),
    ),
    Route(
        method="DELETE", path="/executions/by-query", handler=_by_query, about="Remove the executions that a query finds", tag="executions",
        needs=Role.EDITOR, query=(*FIND, *_PARTS), answers={200: ref("Count")}, errors=(400, 422),
        body=Body(content={"application/json": {}}, about="nothing is read of it"),
    ),
    Route(
        method="DELETE", path="/executions/{execution}", handler=_one, about="Remove an execution that has ended; its record stays in Git",
        tag="executions", needs=Role.EDITOR, query=_PARTS, answers={204: None}, errors=(404, 409, 422),
    ),
    Route(
        method="DELETE", path="/logs/{execution}", handler=_logs, about="Remove the log of an execution", tag="logs", needs=Role.EDITOR,
        answers={204: None}, errors=(404,),
    ),
    Route(
        method="DELETE", path="/logs/{namespace}/{flow}", handler=_flow_logs, about="Remove the logs of a flow, or of one trigger of it", tag="logs",
        needs=Role.EDITOR, query=(Param(name="triggerId"),), errors=(404,),
        answers={200: {"type": "object", "required": ["count"], "properties": {"count": INTEGER}}},
    ),
]
