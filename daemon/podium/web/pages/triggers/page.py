"""The page of triggers, and the buttons on it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from podium.flows.reading.yaml import Fields, parse_documents, plain
from podium.web.api.triggers import Found, every_trigger, find_trigger
from podium.web.context import Context, context
from podium.web.errors import BadRequest
from podium.web.pages.render import page, render
from podium.web.pages.triggers.rows import trigger_rows
from podium.web.params import Form, Query, moment, parse_labels, read_form
from podium.web.people.access import safe_next

_SIZE = 25
STATES = ("on", "off", "backfill", "waits", "error")


async def triggers_page(request: web.Request) -> web.Response:
    """Every trigger with its state. ?q= ?type= ?namespace= ?state="""
    here, query = context(request), Query(request)
    number = query.integer("page", 1, high=1_000_000) or 1
    filters = {name: query.text(name) or "" for name in ("q", "type", "namespace", "state")}
    every = list(every_trigger(here))
    narrow = filters["namespace"] or filters["q"]
    found = list(every_trigger(here, namespace=filters["namespace"] or None, query=filters["q"] or None)) if narrow else every
    found = [each for each in found if filters["type"] in ("", each[1].type)]
    if filters["state"]:
        found = [each for each in found if await _is(here, each, filters["state"])]
    rows = await trigger_rows(request, found[(number - 1) * _SIZE : number * _SIZE])
    return await render(
        request, "triggers/triggers.html", rows=rows, total=len(found), page=number, size=_SIZE, filters=filters, filtered=any(filters.values()),
        namespaces=sorted({flow.namespace for flow, _ in every}), types=sorted({trigger.type for _, trigger in every}), states_shown=STATES,
    )


async def _is(here: Context, found: Found, state: str) -> bool:
    flow, trigger = found
    known = await here.orchestrator.trigger_state(flow.namespace, flow.flow_id, trigger.id) or {}
    off = bool(trigger.disabled or known.get("disabled"))
    return {
        "on": not off, "off": off, "backfill": bool(known.get("backfill")), "waits": bool(known.get("executionId")),
        "error": bool(known.get("error")),
    }.get(state, True)


async def trigger_act(request: web.Request) -> web.StreamResponse:
    """Switch a trigger, or make, pause, go on with, end its backfill; then back to the page the button was on."""
    here, names = context(request), request.match_info
    name = (names["namespace"], names["flow"], names["trigger"])
    async with read_form(request, text_limit=here.body_limit, file_limit=0) as form:
        await find_trigger(here, *name)
        await _trigger_verb(request, name, names["verb"], form)
        raise web.HTTPSeeOther(safe_next(form.first("_next") or "/triggers"))


async def _trigger_verb(request: web.Request, name: tuple[str, str, str], verb: str, form: Form) -> None:
    controls = context(request).triggers
    if verb in {"enable", "disable"}:
        await controls.set_disabled(*name, disabled=verb == "disable")
    elif verb == "backfill":
        end = form.first("_end")
        start = moment(form.first("_start"), path="start")
        labels = parse_labels([line for line in (form.first("_labels") or "").splitlines() if line.strip()], path="labels")
        inputs = _inputs(form.first("_inputs") or "")
        await controls.backfill(*name, start=start, end=moment(end, path="end") if end else None, inputs=inputs, labels=labels)
    elif verb in {"pause", "unpause"}:
        await controls.pause_backfill(*name, paused=verb == "pause")
    elif verb == "end-backfill":
        await controls.delete_backfill(*name)
    elif verb == "unlock":
        await controls.unlock(*name)
    else:
        raise BadRequest(f"there is no action '{verb[:40]}'", hint="use the buttons of the page")


def _inputs(text: str) -> dict[str, Any]:
    """Inputs as they were typed: a YAML map."""
    documents = parse_documents(text)
    if not documents:
        return {}
    root, mistakes = documents[0].root, [mistake for each in documents for mistake in each.mistakes]
    if mistakes or len(documents) > 1 or not isinstance(root, Fields):
        what = f"the inputs cannot be read: line {mistakes[0].line}: {mistakes[0].message}" if mistakes else "the inputs are no map"
        raise BadRequest(what, hint="write one `name: value` a line", path="inputs")
    return dict(plain(root))


ROUTES = (
    page("GET", "/triggers", triggers_page),
    page("POST", "/triggers/{namespace}/{flow}/{trigger}/{verb}", trigger_act),
)
