"""The page of syncs: sources, what each deployed commit changed, what was refused and why, and what waits for a confirmation."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from podium.web.api.system import safe_source
from podium.web.context import context
from podium.web.pages.render import page, render
from podium.web.pages.text import commit_url
from podium.web.params import read_form

_SYNCS = 30


async def syncs_page(request: web.Request) -> web.Response:
    """Sources, what their last deployments changed, and the files that were refused."""
    here = context(request)
    sources = [safe_source(each) for each in here.sources.status()]
    syncs = [_sync(each, sources) for each in await here.orchestrator.syncs(limit=_SYNCS)]
    rejected = [{**each, "problems": list(each.get("problems") or ())} for each in here.orchestrator.rejected()]
    for each in sources:
        each["href"] = commit_url(str(each.get("url") or ""), str(each.get("commit") or ""))
    return await render(request, "syncs/syncs.html", sources=sources, syncs=syncs, rejected=rejected)


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
    raise web.HTTPSeeOther("/syncs")


ROUTES = (
    page("GET", "/syncs", syncs_page),
    page("POST", "/syncs/{source}/confirm", confirm),
)
