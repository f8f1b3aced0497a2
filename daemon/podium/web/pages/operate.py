"""The pages of triggers and sources, and the buttons on them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from podium.web.api.system import safe_source
from podium.web.api.triggers import every_trigger, find_trigger
from podium.web.auth import safe_next
from podium.web.context import context
from podium.web.errors import BadRequest
from podium.web.pages.flows import trigger_rows
from podium.web.pages.render import render
from podium.web.pages.text import commit_url
from podium.web.params import Form, Query, moment, read_form

_SIZE = 50
_SYNCS = 30


async def triggers_page(request: web.Request) -> web.Response:
    """Every trigger with its state."""
    query = Query(request)
    page, wanted, namespace = query.integer("page", 1, high=1_000_000) or 1, query.text("q"), query.text("namespace")
    found = list(every_trigger(context(request), namespace=namespace, query=wanted))
    rows = await trigger_rows(request, found[(page - 1) * _SIZE : page * _SIZE])
    namespaces = sorted({each.namespace for each in context(request).orchestrator.flows() if each.model.triggers})
    return await render(
        request, "triggers.html", rows=rows, total=len(found), page=page, size=_SIZE, wanted=wanted or "", namespace=namespace or "",
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


async def sources_page(request: web.Request) -> web.Response:
    """Sources, what their last deployments changed, and the files that were refused."""
    here = context(request)
    sources = [safe_source(each) for each in here.sources.status()]
    syncs = [_sync(each, sources) for each in await here.orchestrator.syncs(limit=_SYNCS)]
    rejected = [{**each, "problems": list(each.get("problems") or ())} for each in here.orchestrator.rejected()]
    for each in sources:
        each["href"] = commit_url(str(each.get("url") or ""), str(each.get("commit") or ""))
    return await render(request, "sources.html", sources=sources, syncs=syncs, rejected=rejected)


def _sync(record: dict[str, Any], sources: list[dict[str, Any]]) -> dict[str, Any]:
    """A sync record with its flows by verdict and the page of its commit."""
    by_verdict: dict[str, list[dict[str, Any]]] = {}
    for each in record.get("flows") or ():
        by_verdict.setdefault(str(each.get("verdict")), []).append(each)
    url = str(record.get("url") or next((each.get("url") for each in sources if each.get("name") == record.get("source")), "") or "")
    commit = str(record.get("commit") or "")
    return {**record, "commit": commit, "by_verdict": by_verdict, "rejected": list(record.get("rejected") or ()), "href": commit_url(url, commit)}


async def confirm(request: web.Request) -> web.StreamResponse:
    """Apply what a deployment holds back, if it is still the one that the page showed."""
    here = context(request)
    async with read_form(request, text_limit=here.body_limit, file_limit=0) as form:
        await here.sources.confirm(request.match_info["source"], commit=form.first("_commit") or None)
    raise web.HTTPSeeOther("/sources")
