"""The pages of the results branch: what is on it, what waits for the remote, checking it, and its folders down to one record.

What always holds: a page reads a bounded part of the branch (records/browsing); who may not see a namespace does not see its folders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from podium.base.errors import NotFound
from podium.base.system.disk import readable
from podium.records.browsing.port import ResultsControls
from podium.records.layout import parse
from podium.web.context import context
from podium.web.pages.navigation import flash
from podium.web.pages.render import link, page, render, text_for
from podium.web.pages.text import commit_url, plain
from podium.web.pages.timeline import length_of_time
from podium.web.params import Query
from podium.web.people.roles import Role, caller

COMMITS_SHOWN, FILES_SHOWN = 20, 200
_FILE_CHARS = 400_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _results(request: web.Request) -> ResultsControls:
    found = context(request).results
    if found is None:
        raise NotFound("this daemon keeps no results branch", hint="it was started without one")
    return found


async def results_page(request: web.Request) -> web.Response:
    """Branches, what waits, the newest commits, the last check."""
    here, query = context(request), Query(request)
    if here.results is None:
        return await render(request, "results/results.html", overview=None)
    overview = await here.results.overview()
    names = [each["name"] for each in overview["branches"]]
    branch = query.text("branch") if query.text("branch") in names else names[0] if names else None
    start = query.text("start")
    # What a commit says names executions of any namespace.
    seen = branch if caller(request).may(Role.VIEWER, "") else None
    commits = await here.results.commits(seen, limit=COMMITS_SHOWN + 1, start=start) if seen else []
    more = commits[COMMITS_SHOWN]["commit"] if len(commits) > COMMITS_SHOWN else None
    unpushed = overview["unpushed"]
    waits = length_of_time(timedelta(seconds=float(unpushed["oldestSeconds"]))) if unpushed.get("oldestSeconds") else ""
    remote = str(overview["remote"] or "")
    return await render(
        request, "results/results.html", overview=overview, branch=branch, commits=commits[:COMMITS_SHOWN], more=more, start=start,
        waits=waits, size=readable(overview["bytes"]), check=here.results.verification(), remote=remote,
        commit_url=lambda commit: commit_url(remote, commit), operates=caller(request).may(Role.OPERATOR, ""),
    )


async def browse_page(request: web.Request) -> web.Response:
    """A folder or file at the tip of a branch."""
    results, query = _results(request), Query(request)
    branch, path = query.required("branch"), (query.text("path") or "").strip("/")
    if day := query.text("day"):
        if _DAY.fullmatch(day) is None:
            raise NotFound(f"'{day[:20]}' is no day", hint="write it as 2026-01-31")
        path = f"executions/{day.replace('-', '/')}"
    _may_see(request, path)
    steps = [{"name": name, "path": "/".join(path.split("/")[: number + 1])} for number, name in enumerate(path.split("/")) if name]
    values: dict[str, Any] = {"branch": branch, "place": path, "steps": steps}
    if path.rsplit("/", 1)[-1].endswith((".json", ".jsonl", ".md")):
        text = (await results.read(branch, path)).decode("utf-8", "replace")
        place = parse(path)
        values |= {"text": plain(text[:_FILE_CHARS]), "cut": len(text) > _FILE_CHARS, "execution_id": place.execution_id if place else None}
        return await render(request, "results/browse.html", **values)
    values["execution_id"] = None
    number = query.integer("page", 1, high=100_000) or 1
    folder = await results.folder(branch, path, skip=(number - 1) * FILES_SHOWN, limit=FILES_SHOWN)
    return await render(request, "results/browse.html", folder=_seen(request, path, folder), page=number, size=FILES_SHOWN, **values)


def _namespace(path: str) -> str | None:
    """The namespace that a path is of, if it is of one."""
    parts = path.split("/")
    if parts[0] == "executions":
        return parts[5] if len(parts) > 5 else None
    return parts[2].removesuffix(".json") if parts[:2] == ["state", "kv"] and len(parts) > 2 else None


def _may_see(request: web.Request, path: str) -> None:
    who = caller(request)
    if who.may(Role.VIEWER, ""):
        return
    namespace = _namespace(path)
    outside = not (path in {"", "executions"} or path.startswith("executions/"))
    if (namespace is not None and not who.may(Role.VIEWER, namespace)) or (outside and namespace is None):
        raise NotFound(f"there is no '{path[:200]}'", hint="go up")


def _seen(request: web.Request, path: str, folder: Mapping[str, Any]) -> dict[str, Any]:
    """The folder without what the caller may not see."""
    who, depth = caller(request), len(path.split("/")) if path else 0
    if who.may(Role.VIEWER, ""):
        return dict(folder)
    folders = folder["folders"]
    if path == "":
        folders = [each for each in folders if each == "executions"]
    elif depth == 5:
        folders = [each for each in folders if who.may(Role.VIEWER, each)]
    return {**folder, "folders": folders, "files": folder["files"] if depth > 5 else [], "total": folder["total"] if depth > 5 else 0}


async def verify(request: web.Request) -> web.StreamResponse:
    """Begin to check the branch."""
    await _results(request).verify()
    response = web.HTTPSeeOther(link("/results") + "#verify")
    flash(response, text_for("results.started"), "ok")
    raise response


async def push(request: web.Request) -> web.StreamResponse:
    """Try again to push what waits."""
    await _results(request).push_now()
    response = web.HTTPSeeOther("/results")
    flash(response, text_for("results.retried"), "ok")
    raise response


ROUTES = (
    page("GET", "/results", results_page),
    page("GET", "/results/browse", browse_page),
    page("POST", "/results/verify", verify, needs=Role.OPERATOR, everywhere=True),
    page("POST", "/results/push", push, needs=Role.OPERATOR, everywhere=True),
)
