"""The page of syncs: sources, what each deployed commit changed, what was refused and why, and what waits for a confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from podium.base.errors import NotFound
from podium.web.api.system import safe_source
from podium.web.context import Context, context
from podium.web.pages.render import page, render
from podium.web.pages.text import commit_url
from podium.web.params import Query, read_form
from podium.web.people.roles import Role

_SHOWN = 30
_FOUND_MAX = 2_000
"""How far back a filter looks, and how many pages there are."""
_VERDICTS = ("accepted", "moved", "deleted", "held")


async def syncs_page(request: web.Request) -> web.Response:
    """Sources, what their last deployments changed, and the files that were refused."""
    here, query = context(request), Query(request)
    number, wanted = query.integer("page", 1, high=_FOUND_MAX) or 1, query.text("source")
    sources = [safe_source(each) for each in here.sources.status()]
    for each in sources:
        each["href"] = commit_url(str(each.get("url") or ""), str(each.get("commit") or ""))
    found = [each for each in await here.orchestrator.syncs(limit=_FOUND_MAX) if wanted in (None, each.get("source"))]
    shown = [_sync(each, sources) for each in found[(number - 1) * _SHOWN : number * _SHOWN]]
    for each in shown:
        each["facts"] = (await here.sources.commits(str(each["source"]), [each["commit"]])).get(each["commit"])
    rejected = [{**each, "problems": list(each.get("problems") or ())} for each in here.orchestrator.rejected()]
    return await render(
        request, "syncs/syncs.html", sources=sources, syncs=shown, rejected=rejected,
        total=len(found), page=number, size=_SHOWN, source=wanted or "",
    )


async def sync_page(request: web.Request) -> web.Response:
    """What one deployed commit changed, flow by flow."""
    here = context(request)
    name, commit = request.match_info["source"], request.match_info["commit"]
    record = await _record(here, name, commit)
    sync = _sync(record, [safe_source(each) for each in here.sources.status()])
    facts = await here.sources.commits(name, [commit])
    return await render(request, "syncs/sync.html", sync=sync, verdicts=_VERDICTS, commit=facts.get(commit))


async def _record(here: Context, source: str, commit: str) -> Mapping[str, Any]:
    for each in await here.orchestrator.syncs(limit=_FOUND_MAX):
        if each.get("source") == source and str(each.get("commit", "")) == commit:
            return each
    raise NotFound(f"source '{source[:80]}' has no sync of commit {commit[:64]}", hint="see /syncs; older ones are on the results branch")


def _sync(record: Mapping[str, Any], sources: list[dict[str, Any]]) -> dict[str, Any]:
    """A sync record with its flows by verdict and the page of its commit."""
    by_verdict: dict[str, list[dict[str, Any]]] = {}
    for each in record.get("flows") or ():
        by_verdict.setdefault(str(each.get("verdict")), []).append(each)
    url = str(record.get("url") or next((each.get("url") for each in sources if each.get("name") == record.get("source")), "") or "")
    commit = str(record.get("commit") or "")
    return {
        **record, "commit": commit, "by_verdict": by_verdict, "rejected": list(record.get("rejected") or ()), "href": commit_url(url, commit),
        "warnings": list(record.get("warnings") or ()),
    }


async def look(request: web.Request) -> web.StreamResponse:
    """Look for new commits now."""
    await context(request).sources.notify(request.match_info["source"], (), b"", trusted=True)
    raise web.HTTPSeeOther("/syncs")


async def confirm(request: web.Request) -> web.StreamResponse:
    """Apply what a deployment holds back, if it is still the one that the page showed."""
    here = context(request)
    async with read_form(request, text_limit=here.body_limit, file_limit=0) as form:
        await here.sources.confirm(request.match_info["source"], commit=form.first("_commit") or None)
    raise web.HTTPSeeOther("/syncs")


ROUTES = (
    page("GET", "/syncs", syncs_page),
    page("GET", "/syncs/{source}/{commit}", sync_page),
    page("POST", "/syncs/{source}/look", look, needs=Role.OPERATOR, everywhere=True),
    page("POST", "/syncs/{source}/confirm", confirm, needs=Role.EDITOR, everywhere=True),
)
