"""The page of triggers, and the buttons on it."""

from __future__ import annotations

from aiohttp import web

from podium.web.api.triggers import every_trigger, find_trigger
from podium.web.context import context
from podium.web.errors import BadRequest
from podium.web.pages.flows.page import trigger_rows
from podium.web.pages.render import page, render
from podium.web.params import Form, Query, moment, read_form
from podium.web.people.access import safe_next

_SIZE = 50


async def triggers_page(request: web.Request) -> web.Response:
    """Every trigger with its state."""
    query = Query(request)
    number, wanted, namespace = query.integer("page", 1, high=1_000_000) or 1, query.text("q"), query.text("namespace")
    found = list(every_trigger(context(request), namespace=namespace, query=wanted))
    rows = await trigger_rows(request, found[(number - 1) * _SIZE : number * _SIZE])
    namespaces = sorted({each.namespace for each in context(request).orchestrator.flows() if each.model.triggers})
    return await render(
        request, "triggers/triggers.html", rows=rows, total=len(found), page=number, size=_SIZE, wanted=wanted or "", namespace=namespace or "",
        namespaces=namespaces
    )


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
        await controls.backfill(*name, start=start, end=moment(end, path="end") if end else None)
    elif verb in {"pause", "unpause"}:
        await controls.pause_backfill(*name, paused=verb == "pause")
    elif verb == "end-backfill":
        await controls.delete_backfill(*name)
    elif verb == "unlock":
        await controls.unlock(*name)
    else:
        raise BadRequest(f"there is no action '{verb[:40]}'", hint="use the buttons of the page")


ROUTES = (
    page("GET", "/triggers", triggers_page),
    page("POST", "/triggers/{namespace}/{flow}/{trigger}/{verb}", trigger_act),
)
