"""What is done to many executions at once: named by their ids, or found by the parameters of search (flow-language 10.2).

What always holds, as in Kestra: every one is looked at first, and when one of them is not there or is in a state that the command is not for, nothing
is done to any and the answer is a 400 with `invalids`. What comes in between is listed the same way, and `count` says how many were done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from aiohttp import web

from podium.base import limits
from podium.base.errors import NotFound, PodiumError
from podium.base.system.base62 import LENGTH
from podium.conductor.port import Orchestrator, View
from podium.flows.model import STATES, TERMINAL
from podium.web.api.looks.finding import FIND, find_arguments, find_query
from podium.web.context import Context, context
from podium.web.errors import BadRequest, Refused
from podium.web.params import Page, Query, known_state, label_list, read_json
from podium.web.routes import FLAG, OBJECT, TEXT, Body, Handler, Param, Route, ref
from podium.web.wire import answer

BULK_MAX = 10_000
"""Executions that one request by query changes, at most."""
AT_ONCE = 32
"""Commands that wait for the journal together."""
INVALIDS_MAX = 200
"""Refusals that one answer lists."""
Act = Callable[[Orchestrator, Query, str, Any], Awaitable[Any]]
_ENDED = frozenset(TERMINAL)
_OPEN = frozenset(STATES) - _ENDED
STATES_FOR: Mapping[str, frozenset[str]] = {
    "restart": (_ENDED - {"SUCCESS", "SKIPPED"}) | {"PAUSED"}, "replay": _ENDED, "pause": frozenset({"RUNNING"}), "resume": frozenset({"PAUSED"}),
    "force-run": _OPEN, "unqueue": frozenset({"QUEUED"}), "kill": _OPEN, "change-status": _ENDED, "labels": _ENDED,
}
"""Command → the states that it is for."""


async def _replay(orchestrator: Orchestrator, query: Query, each: str, _body: Any) -> Any:
    revision = None
    if query.flag("latestRevision"):
        view = await orchestrator.execution(each)
        revision = (await orchestrator.flow(view["namespace"], view["flowId"])).revision
    return await orchestrator.replay(each, revision=revision)


def _unqueued_state(query: Query) -> str:
    state = (query.text("state") or "RUNNING").upper()
    if state not in ("RUNNING", "CANCELLED", "FAILED"):
        raise Refused(f"'{state[:40]}' is no state of an unqueued execution", hint="use RUNNING, CANCELLED or FAILED", path="state")
    return state


def _new_status(query: Query) -> str:
    status = known_state((query.text("newStatus") or query.required("status")).upper(), path="newStatus")
    if status not in _ENDED:
        raise Refused(f"{status} is no end", hint=f"use one of {', '.join(sorted(_ENDED))}", path="newStatus")
    return status


_ACTS: dict[str, Act] = {
    "restart": lambda orchestrator, query, each, body: orchestrator.restart(each),
    "replay": _replay,
    "pause": lambda orchestrator, query, each, body: orchestrator.pause(each),
    "resume": lambda orchestrator, query, each, body: orchestrator.resume(each),
    "force-run": lambda orchestrator, query, each, body: orchestrator.force_run(each),
    "unqueue": lambda orchestrator, query, each, body: orchestrator.unqueue(each, state=cast(Any, _unqueued_state(query))),
    "kill": lambda orchestrator, query, each, body: orchestrator.kill(each, cascade=False),
    "change-status": lambda orchestrator, query, each, body: orchestrator.change_status(each, _new_status(query)),
    "labels": lambda orchestrator, query, each, body: orchestrator.set_labels(each, body),
}
_CHECKS: dict[str, Callable[[Query], Any]] = {"change-status": _new_status, "unqueue": _unqueued_state}


def _bulk(verb: str, chosen: str) -> Handler:
    """The handler that does `verb` to many, named by ids or found by a query."""

    async def handler(request: web.Request) -> web.Response:
        here, query = context(request), Query(request) if chosen == "by-ids" else find_query(request)
        body = await read_json(request, limit=limits.BODY_BYTES_MAX)
        labels = None
        if verb == "labels":
            labels = label_list(body.get("executionLabels") if isinstance(body, dict) else body, path="executionLabels")
            body = body.get("executionsId") if isinstance(body, dict) else None
        if verb in _CHECKS:
            _CHECKS[verb](query)
        found = await (named(here, body) if chosen == "by-ids" else found_by(here, query, {} if verb != "unqueue" else {"states": ["QUEUED"]}))
        refuse_wrong(verb, found, STATES_FOR[verb])
        return await done_to(verb, list(found), lambda each: _ACTS[verb](here.orchestrator, query, each, labels))

    return handler


async def named(here: Context, body: Any) -> dict[str, View | None]:
    """The executions of a list of ids, in its order; None for what is not there."""
    if not isinstance(body, list) or not all(isinstance(each, str) for each in body) or len(body) > limits.PAGE_SIZE_MAX:
        raise BadRequest("the body is not a list of execution ids", hint=f'send ["id1", "id2"], at most {limits.PAGE_SIZE_MAX}')
    return {each: await _look(here, each) for each in dict.fromkeys(body)}


async def _look(here: Context, identifier: str) -> View | None:
    """The execution, from the index if it is in lists."""
    if len(identifier) != LENGTH or not identifier.isalnum():
        return None
    listed = await here.orchestrator.list_executions(query=identifier, size=1)
    if listed.found and listed.found[0]["id"] == identifier:
        return listed.found[0]
    try:
        return await here.orchestrator.execution(identifier)
    except NotFound:
        return None


async def found_by(here: Context, query: Query, more: Mapping[str, Any]) -> dict[str, View | None]:
    """The executions that a query finds. Raises BadRequest when they are too many."""
    wanted = {**find_arguments(query, here, Page(number=1, size=limits.PAGE_SIZE_MAX)), "sort": "startDate:desc", **more}
    found: dict[str, View | None] = {}
    after: str | None = None
    while True:
        listed = await here.orchestrator.list_executions(after=after, **wanted)
        found.update({each["id"]: each for each in listed.found})
        if len(found) > BULK_MAX or (listed.next and len(found) == BULK_MAX):
            raise BadRequest(f"more than {BULK_MAX} executions match", hint="narrow the query", limit=BULK_MAX)
        if listed.next is None:
            return found
        after = listed.next


def refuse_wrong(verb: str, found: Mapping[str, View | None], states: frozenset[str]) -> None:
    """Raises BadRequest when one of them is not there or is in another state."""
    invalids = []
    for identifier, view in found.items():
        if view is None:
            invalids.append({"message": "execution not found", "path": identifier[:80], "invalidValue": identifier[:80]})
        elif (state := view["state"]["current"]) not in states:
            invalids.append({"message": f"not possible while the execution is {state}", "path": identifier, "invalidValue": identifier})
    if invalids:
        raise _invalid(verb, invalids, len(found), 0)


def _invalid(verb: str, invalids: Sequence[Mapping[str, Any]], of: int, count: int) -> BadRequest:
    return BadRequest(
        f"invalid bulk {verb}", hint=f"{len(invalids)} of {of} could not be done; `invalids` says why", errors=list(invalids[:INVALIDS_MAX]),
        invalids=list(invalids[:INVALIDS_MAX]), count=count,
    )


async def done_to(verb: str, ids: Sequence[str], act: Callable[[str], Awaitable[Any]]) -> web.Response:
    """Do it to every one, some at once: {count}. Raises BadRequest when some refuse."""
    refused: list[dict[str, Any]] = []
    room = asyncio.Semaphore(AT_ONCE)

    async def one(each: str) -> None:
        async with room:
            try:
                await act(each)
            except PodiumError as error:
                refused.append({"message": error.what, "path": each, "invalidValue": each})

    for begin in range(0, len(ids), limits.PAGE_SIZE_MAX):
        await asyncio.gather(*(one(each) for each in ids[begin : begin + limits.PAGE_SIZE_MAX]))
    if refused:
        raise _invalid(verb, refused, len(ids), len(ids) - len(refused))
    return answer({"count": len(ids)})


IDS = Body(content={"application/json": {"type": "array", "items": TEXT}}, required=True, about="ids of executions")
_LABEL_LIST = {"type": "array", "items": ref("Label")}
_LABELLED = {"type": "object", "required": ["executionsId", "executionLabels"], "properties": {
    "executionsId": {"type": "array", "items": TEXT}, "executionLabels": _LABEL_LIST,
}}
_BODIES = {
    ("labels", "by-query"): Body(content={"application/json": _LABEL_LIST}, required=True),
    ("labels", "by-ids"): Body(content={"application/json": _LABELLED}, required=True),
}
_NEW_STATUS = Param(name="newStatus", required=True, schema={"enum": sorted(_ENDED)})
_MORE = {
    "change-status": (_NEW_STATUS,), "unqueue": (Param(name="state", about="RUNNING (default), CANCELLED or FAILED"),),
    "replay": (Param(name="latestRevision", schema=FLAG, about="of the flow, in the place of the former one"),),
}


def _params(verb: str, chosen: str) -> tuple[Param, ...]:
    more = _MORE.get(verb, ())
    return (*(each for each in (FIND if chosen == "by-query" else ()) if each.name not in {one.name for one in more}), *more)


ROUTES = [
    Route(
        method="DELETE" if verb == "kill" else "POST", path=f"/executions/{verb}/{chosen}", handler=_bulk(verb, chosen), tag="executions",
        about=f"{verb}: many executions at once", answers={200: ref("Count")}, errors=(400, 422), query=_params(verb, chosen),
        body=_BODIES.get((verb, chosen), IDS if chosen == "by-ids" else Body(content={"application/json": OBJECT}, about="nothing is read of it")),
    )
    for verb in _ACTS
    for chosen in ("by-ids", "by-query")
]
