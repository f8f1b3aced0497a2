"""What is done to many triggers at once: named in the body, or found by the parameters of search (flow-language 10.3).

What always holds: triggers of which one is not there are refused as a whole; what comes in between is listed, and `count` says how many were done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import FlowNotFound, PodiumError
from podium.web.api.triggers import FIND, find_triggers, name_in, trigger_query
from podium.web.context import Context, context
from podium.web.errors import BadRequest
from podium.web.params import Query, boolean, read_json
from podium.web.routes import FLAG, TEXT, Body, Handler, Param, Route, ref
from podium.web.wire import answer

TRIGGERS_MAX = 5_000
"""Triggers that one request changes, at most."""
Name = tuple[str, str, str]
Act = Callable[[Context, Name, bool], Awaitable[Any]]
_ACTS: Mapping[str, tuple[str, Act]] = {
    "unlock": ("POST", lambda here, name, on: here.triggers.unlock(*name)),
    "set-disabled": ("POST", lambda here, name, on: here.triggers.set_disabled(*name, disabled=on)),
    "backfill/pause": ("POST", lambda here, name, on: here.triggers.pause_backfill(*name, paused=True)),
    "backfill/unpause": ("POST", lambda here, name, on: here.triggers.pause_backfill(*name, paused=False)),
    "backfill/delete": ("POST", lambda here, name, on: here.triggers.delete_backfill(*name)),
}
"""What → the method that Kestra has for it, and how it is done."""


def _handler(verb: str, chosen: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        here = context(request)
        body = await read_json(request, limit=limits.BODY_BYTES_MAX)
        query = trigger_query(request) if chosen == "by-query" else Query(request)
        disabled = _disabled(query, body) if verb == "set-disabled" else False
        if chosen == "by-query":
            found = await asyncio.to_thread(find_triggers, query, here)
            names = [(flow.namespace, flow.flow_id, trigger.id) for flow, trigger in found]
            if len(names) > TRIGGERS_MAX:
                raise BadRequest(f"more than {TRIGGERS_MAX} triggers match", hint="narrow the query", limit=TRIGGERS_MAX)
        else:
            names = await _named(here, verb, body.get("triggers") if isinstance(body, dict) else body)
        return await _done(here, verb, names, disabled)

    return handler


def _disabled(query: Query, body: Any) -> bool:
    said = body.get("disabled") if isinstance(body, dict) else None
    if isinstance(said, bool):
        return said
    return boolean(query.required("disabled"), path="disabled")


async def _named(here: Context, verb: str, listed: Any) -> list[Name]:
    if not isinstance(listed, list) or len(listed) > limits.PAGE_SIZE_MAX:
        hint = 'send [{"namespace": "…", "flowId": "…", "triggerId": "…"}]'
        raise BadRequest(f"the body is not a list of triggers, at most {limits.PAGE_SIZE_MAX}", hint=hint)
    names, invalids = list[Name](), list[dict[str, str]]()
    for each in listed:
        try:
            names.append(await name_in(here, each if isinstance(each, dict) else {}))
        except FlowNotFound as error:
            invalids.append({"message": error.what, "path": "/".join(str(each.get(name)) for name in ("namespace", "flowId", "triggerId"))[:300]})
    if invalids:
        raise _invalid(verb, invalids, len(listed), 0)
    return list(dict.fromkeys(names))


def _invalid(verb: str, invalids: list[dict[str, str]], of: int, count: int) -> BadRequest:
    hint = f"{len(invalids)} of {of} could not be done; `invalids` says why"
    return BadRequest(f"invalid bulk {verb.replace('/', ' ')}", hint=hint, errors=invalids[:200], invalids=invalids[:200], count=count)


async def _done(here: Context, verb: str, names: list[Name], disabled: bool) -> web.Response:
    """Do it to each. A backfill is asked of those only that have one, when they were found by a query or named together with others."""
    act, invalids, count = _ACTS[verb][1], list[dict[str, str]](), 0
    for name in names:
        if verb.startswith("backfill/") and not (await here.orchestrator.trigger_state(*name) or {}).get("backfill"):
            continue
        try:
            await act(here, name, disabled)
            count += 1
        except PodiumError as error:
            invalids.append({"message": error.what, "path": "/".join(name)})
    if invalids:
        raise _invalid(verb, invalids, len(names), count)
    return answer({"count": count})


_NAMED = {
    "type": "object", "required": ["namespace", "flowId", "triggerId"], "properties": {"namespace": TEXT, "flowId": TEXT, "triggerId": TEXT},
}
_LIST = {"type": "array", "items": _NAMED}
_SWITCH = {"type": "object", "required": ["triggers", "disabled"], "properties": {"triggers": _LIST, "disabled": FLAG}}
_DISABLED = Param(name="disabled", schema=FLAG, required=True)
_NOTHING = Body(content={"application/json": {}}, about="nothing is read of it")


def _route(method: str, verb: str, chosen: str) -> Route:
    switches = verb == "set-disabled"
    return Route(
        method=method, path=f"/triggers/{verb}/{chosen}", handler=_handler(verb, chosen), about=f"{verb.replace('/', ' ')}: many triggers at once",
        tag="triggers", answers={200: ref("Count")}, errors=(400, 422),
        query=(*FIND, *((_DISABLED,) if switches else ())) if chosen == "by-query" else (),
        body=_NOTHING if chosen == "by-query" else Body(content={"application/json": _SWITCH if switches else _LIST}, required=True),
    )


ROUTES = [_route(method, verb, chosen) for verb, (method, _) in _ACTS.items() for chosen in ("by-triggers", "by-query")]
ROUTES += [
    Route(method="PUT", path=each.path, handler=each.handler, about=each.about, tag=each.tag, query=each.query, body=each.body, hidden=True)
    for each in ROUTES if "set-disabled" in each.path
]
