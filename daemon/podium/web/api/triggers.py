"""Triggers over the API: what there are, their state, on and off, backfills (flow-language 10.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import FlowNotFound
from podium.base.lists.conditions import all_hold, pick
from podium.base.patterns import RegexBudget
from podium.base.ports import FlowRevision
from podium.flows.model import Trigger
from podium.web.api.looks.finding import in_scope
from podium.web.context import Context, context
from podium.web.errors import BadRequest, Refused
from podium.web.params import Page, Query, label_list, moment, read_object
from podium.web.routes import FLAG, INTEGER, MOMENT, OBJECT, TEXT, Body, Param, Route, paged, ref
from podium.web.wire import answer, dump

Found = tuple[FlowRevision, Trigger]
FILTERS = ("namespace", "flowId", "triggerId", "scope")
"""On which any condition can be set: filters[field][OP]=value."""
_SORTED: Mapping[str, Callable[[Found], Any]] = {
    "triggerId": lambda found: found[1].id, "id": lambda found: found[1].id, "flowId": lambda found: found[0].flow_id,
    "namespace": lambda found: found[0].namespace, "type": lambda found: found[1].type,
}


def every_trigger(here: Context, *, namespace: str | None = None, query: str | None = None) -> Iterator[Found]:
    """The triggers of the flows deployed, in order of namespace, flow and file."""
    wanted = (query or "").lower()
    for flow in here.orchestrator.flows(namespace=namespace):
        for trigger in flow.model.triggers:
            if wanted in f"{flow.namespace} {flow.flow_id} {trigger.id} {trigger.type}".lower():
                yield flow, trigger


async def with_state(here: Context, found: list[Found]) -> list[dict[str, Any]]:
    """Each trigger with its state: {abstractTrigger, triggerContext}."""
    states = await asyncio.gather(*(here.orchestrator.trigger_state(flow.namespace, flow.flow_id, trigger.id) for flow, trigger in found))
    return [
        {"abstractTrigger": dump(trigger), "triggerContext": state_view(flow.namespace, flow.flow_id, trigger, state)}
        for (flow, trigger), state in zip(found, states, strict=True)
    ]


def state_view(namespace: str, flow_id: str, trigger: Trigger, state: Mapping[str, Any] | None) -> dict[str, Any]:
    """A trigger's state with its names; `disabled` when the file or a person says so."""
    known = dict(state or {})
    disabled = bool(trigger.disabled or known.get("disabled"))
    return {**known, "namespace": namespace, "flowId": flow_id, "triggerId": trigger.id, "disabled": disabled}


def trigger_query(request: web.Request) -> Query:
    """The query of a list of triggers."""
    return Query(request, filters=FILTERS)


def find_triggers(query: Query, here: Context) -> list[Found]:
    """The triggers that a query finds: q, namespace (and below), flowId, triggerId, type, and conditions on these."""
    named, budget = [*pick(query.conditions, "namespace", "flowId", "triggerId"), *in_scope(query)], RegexBudget()
    wanted = {name: value for name in ("flowId", "triggerId", "type") if (value := query.text(name))}
    found = []
    for flow, trigger in every_trigger(here, namespace=query.text("namespace"), query=query.text("q")):
        row: dict[str, str | None] = {"namespace": flow.namespace, "flowId": flow.flow_id, "triggerId": trigger.id, "type": trigger.type}
        if all(row[name] == value for name, value in wanted.items()) and all_hold(named, row, budget):
            found.append((flow, trigger))
    return found


async def _search(request: web.Request) -> web.Response:
    query, here = trigger_query(request), context(request)
    page = query.page(sorts=tuple(_SORTED))
    found = page.order(await asyncio.to_thread(find_triggers, query, here), _SORTED)
    return answer({"results": await with_state(here, page.cut(found)), "total": len(found)})


async def _of_flow(request: web.Request) -> web.Response:
    here, page = context(request), Query(request).page()
    flow = await here.orchestrator.flow(request.match_info["namespace"], request.match_info["flow"])
    found: list[Found] = [(flow, trigger) for trigger in flow.model.triggers]
    states = await with_state(here, page.cut(found))
    return answer({"results": [each["triggerContext"] for each in states], "total": len(found)})


async def name_in(here: Context, body: Mapping[str, Any]) -> tuple[str, str, str]:
    """The trigger that a body names; it must exist."""
    names = [body.get(name) for name in ("namespace", "flowId", "triggerId")]
    if not all(isinstance(name, str) and name for name in names):
        raise BadRequest("the body must name a trigger", hint='send {"namespace": "…", "flowId": "…", "triggerId": "…"}')
    namespace, flow_id, trigger_id = (str(name) for name in names)
    await find_trigger(here, namespace, flow_id, trigger_id)
    return namespace, flow_id, trigger_id


async def find_trigger(here: Context, namespace: str, flow_id: str, trigger_id: str) -> Found:
    """The trigger of that name. Raises FlowNotFound."""
    flow = await here.orchestrator.flow(namespace, flow_id)
    trigger = next((each for each in flow.model.triggers if each.id == trigger_id), None)
    if trigger is None:
        raise FlowNotFound(f"flow '{namespace}.{flow_id}' has no trigger '{trigger_id}'", hint="list them: podium triggers list")
    return flow, trigger


def _shown(name: tuple[str, str, str], state: Mapping[str, Any]) -> web.Response:
    return answer({**state, "namespace": name[0], "flowId": name[1], "triggerId": name[2]})


async def _put(request: web.Request) -> web.Response:
    """The older way: a `backfill` in the body makes one, else `disabled` is set."""
    here, body = context(request), await read_object(request, limit=limits.BODY_BYTES_MAX)
    name = await name_in(here, body)
    if body.get("backfill") is not None:
        return _shown(name, await _make_backfill(here, name, body["backfill"]))
    return _shown(name, await here.triggers.set_disabled(*name, disabled=_disabled(body)))


async def _set_disabled(request: web.Request) -> web.Response:
    here, body = context(request), await read_object(request, limit=limits.BODY_BYTES_MAX)
    name = await name_in(here, body)
    return _shown(name, await here.triggers.set_disabled(*name, disabled=_disabled(body)))


def _disabled(body: Mapping[str, Any]) -> bool:
    value = body.get("disabled")
    if not isinstance(value, bool):
        raise BadRequest("the body needs 'disabled': true or false, or a 'backfill'", hint='send {…, "disabled": true}', path="disabled")
    return value


async def _make_backfill(here: Context, name: tuple[str, str, str], wanted: Any) -> dict[str, Any]:
    if not isinstance(wanted, dict):
        raise BadRequest("'backfill' is not an object", hint='send {"start": "2026-01-01T00:00:00Z"}', path="backfill")
    start = moment(str(wanted.get("start") or ""), path="backfill.start")
    end = moment(str(wanted["end"]), path="backfill.end") if wanted.get("end") else None
    if end is not None and end < start:
        raise Refused("'backfill.end' is before 'backfill.start'", hint="give a later end, or none for now", path="backfill.end")
    inputs = wanted.get("inputs") or {}
    if not isinstance(inputs, dict):
        raise BadRequest("'backfill.inputs' is not an object", hint='send {"name": "value"}', path="backfill.inputs")
    labels = label_list(wanted["labels"], path="backfill.labels") if wanted.get("labels") else None
    return await here.triggers.backfill(*name, start=start, end=end, inputs=inputs, labels=labels)


async def _backfill(request: web.Request) -> web.Response:
    here, body = context(request), await read_object(request, limit=limits.BODY_BYTES_MAX)
    name = await name_in(here, body)
    wanted = body.get("backfill") or {key: body.get(key) for key in ("start", "end", "inputs", "labels")}
    return _shown(name, await _make_backfill(here, name, wanted))


async def _pause_backfill(request: web.Request) -> web.Response:
    here, body = context(request), await read_object(request, limit=limits.BODY_BYTES_MAX)
    name = await name_in(here, body)
    return _shown(name, await here.triggers.pause_backfill(*name, paused=not request.path.endswith("/unpause")))


async def _unpause_backfill(request: web.Request) -> web.Response:
    return await _pause_backfill(request)


async def _delete_backfill(request: web.Request) -> web.Response:
    here, body = context(request), await read_object(request, limit=limits.BODY_BYTES_MAX)
    name = await name_in(here, body)
    return _shown(name, await here.triggers.delete_backfill(*name))


async def _restart(request: web.Request) -> web.Response:
    """A trigger here has no process of its own to be started again: what keeps it from its next evaluation is forgotten."""
    return await _unlock(request)


async def _unlock(request: web.Request) -> web.Response:
    here = context(request)
    name = (request.match_info["namespace"], request.match_info["flow"], request.match_info["trigger"])
    await find_trigger(here, *name)
    return _shown(name, await here.triggers.unlock(*name))


def page_of(number: int) -> Page:
    """A page of the size that pages show."""
    return Page(number=number, size=50)


_NAME = {"namespace": TEXT, "flowId": TEXT, "triggerId": TEXT}
_NAMED = {"type": "object", "required": list(_NAME), "properties": _NAME}
_BODY = Body(content={"application/json": _NAMED}, required=True)
_SPAN = {"start": MOMENT, "end": MOMENT, "inputs": OBJECT, "labels": {}}


def _with(**properties: Any) -> Body:
    return Body(content={"application/json": {**_NAMED, "properties": {**_NAME, **properties}}}, required=True)


FIND = (
    Param(name="q", about="part of namespace, flow, trigger or type"), Param(name="namespace", about="a namespace and those below it"),
    Param(name="flowId"), Param(name="triggerId"), Param(name="type"), Param(name="scope", schema={"enum": ["USER", "SYSTEM"]}),
)
_PAGING = (Param(name="page", schema=INTEGER), Param(name="size", schema=INTEGER))
_STATE = ref("TriggerState")
_WITH_STATE = {"type": "object", "properties": {"abstractTrigger": OBJECT, "triggerContext": _STATE}}
_ERRORS = (400, 404, 409, 422)
ROUTES = [
    Route(
        method="GET", path="/triggers/search", handler=_search, about="Search triggers", tag="triggers", answers={200: paged(_WITH_STATE)},
        errors=(422,),
        query=(*FIND, *_PAGING, Param(name="sort", about="field:asc or field:desc, field one of " + ", ".join(_SORTED))),
    ),
    Route(
        method="PUT", path="/triggers", handler=_put, about="Switch a trigger on or off, or backfill it", tag="triggers", errors=_ERRORS,
        body=_with(disabled=FLAG, backfill={"type": "object", "properties": _SPAN}), answers={200: _STATE},
    ),
    Route(
        method="PUT", path="/triggers/set-disabled", handler=_set_disabled, about="Switch a trigger on or off", tag="triggers", errors=_ERRORS,
        body=_with(disabled=FLAG), answers={200: _STATE},
    ),
    Route(
        method="PUT", path="/triggers/backfill/create", handler=_backfill, about="Run the dates of a schedule that are over", tag="triggers",
        body=_with(backfill={"type": "object", "properties": _SPAN}), errors=_ERRORS, answers={200: _STATE},
    ),
    Route(
        method="PUT", path="/triggers/backfill/pause", handler=_pause_backfill, about="Pause a backfill", tag="triggers", body=_BODY,
        errors=_ERRORS, answers={200: _STATE},
    ),
    Route(
        method="PUT", path="/triggers/backfill/unpause", handler=_unpause_backfill, about="Go on with a backfill", tag="triggers",
        body=_BODY, errors=_ERRORS, answers={200: _STATE},
    ),
    Route(
        method="POST", path="/triggers/backfill/delete", handler=_delete_backfill, about="End a backfill", tag="triggers", body=_BODY,
        errors=_ERRORS, answers={200: _STATE},
    ),
    Route(
        method="POST", path="/triggers/{namespace}/{flow}/{trigger}/unlock", handler=_unlock, about="Forget that an evaluation is under way",
        tag="triggers", errors=(404, 409), answers={200: _STATE},
    ),
    Route(
        method="POST", path="/triggers/{namespace}/{flow}/{trigger}/restart", handler=_restart, about="Let a trigger be evaluated again",
        tag="triggers", errors=(404, 409), answers={200: _STATE},
    ),
    Route(
        method="GET", path="/triggers/{namespace}/{flow}", handler=_of_flow, about="Triggers of a flow with their state", tag="triggers",
        query=_PAGING, answers={200: paged(_STATE)}, errors=(404, 422),
    ),
]
