"""The revisions of a flow as the commits they are: who, when, why; two of them side by side; and what is written back: an earlier text, off, gone.

What is written goes the way of every edit: checked as the deployment will, one commit in the name of who is signed in. What always holds: where the
source cannot be written to, the page gives the commands of git that do the same.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from podium.base.errors import ConflictError, FlowNotFound, NotFound
from podium.base.ports import CommitFacts, FlowRevision, KnownFlow
from podium.flows.reading.documents import switched
from podium.web.api.editing.writing import Saved, Wanted, deletion, save
from podium.web.context import Context, context
from podium.web.pages.navigation import flash
from podium.web.pages.render import flow_url, text_for
from podium.web.pages.text import DiffLine, commit_url, difference
from podium.web.params import Query, read_form
from podium.web.people.roles import Role, caller, require

SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A row of a comparison side by side. Either side may be None."""

    kind: str
    old: DiffLine | None
    new: DiffLine | None


def side_by_side(lines: Sequence[DiffLine]) -> list[Pair]:
    """The lines of a comparison as rows of two columns: what was removed stands beside what was added in its place."""
    rows: list[Pair] = []
    removed: list[DiffLine] = []
    added: list[DiffLine] = []

    def flush() -> None:
        for number in range(max(len(removed), len(added))):
            old, new = (part[number] if number < len(part) else None for part in (removed, added))
            rows.append(Pair(kind="changed" if old and new else "removed" if old else "added", old=old, new=new))
        removed.clear()
        added.clear()

    for line in lines:
        if line.kind == "removed":
            if added:
                flush()
            removed.append(line)
        elif line.kind == "added":
            added.append(line)
        else:
            flush()
            rows.append(Pair(kind=line.kind, old=line, new=line))
    flush()
    return rows


async def revisions(request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """The list of commits and the comparison. ?left= ?right= ?view=unified ?page="""
    here, query = context(request), Query(request)
    orchestrator = here.orchestrator
    known = sorted((each for each in await orchestrator.revisions(flow.namespace, flow.flow_id) if not each.deleted), key=lambda each: -each.revision)
    numbers = [each.revision for each in known]
    right = query.integer("right") or (numbers[0] if numbers else flow.revision)
    left = query.integer("left") or next((number for number in numbers if number < right), right)
    old, new = [await orchestrator.flow(flow.namespace, flow.flow_id, revision=number) for number in (left, right)]
    lines = await asyncio.to_thread(difference, old.text, new.text)
    page = query.integer("page", 1, high=10_000) or 1
    shown = known[(page - 1) * SHOWN : page * SHOWN]
    unified = query.text("view") == "unified"
    return {
        "known": known, "shown": [await _shown(here, each) for each in shown], "left": left, "right": right, "diff": lines, "too_long": lines is None,
        "pairs": side_by_side(lines) if lines and not unified else [], "unified": unified, "left_text": old, "right_text": new, "page": page,
        "size": SHOWN, "why_not": why_not(request, new), "commands": commands(old), "newest_number": numbers[0] if numbers else flow.revision,
    }


async def _shown(here: Context, known: KnownFlow) -> dict[str, Any]:
    facts: Mapping[str, CommitFacts] = await here.sources.commits(known.source, [known.commit])
    source = next((each for each in here.sources.status() if each.get("name") == known.source), {})
    return {
        "revision": known.revision, "commit": known.commit, "path": known.path, "facts": facts.get(known.commit),
        "href": commit_url(str(source.get("url") or ""), known.commit),
    }


def why_not(request: web.Request, flow: FlowRevision) -> str:
    """Why a flow cannot be written from here; "" when it can."""
    edits = context(request).edits
    if edits is None:
        return text_for("flow.no_edits")
    if not caller(request).may(Role.EDITOR, flow.namespace):
        return text_for("flow.needs_editor")
    try:
        return edits.editable(flow.source) or ""
    except NotFound as error:
        return error.what


def commands(flow: FlowRevision) -> str:
    """The commands of git that bring back the text of a revision."""
    path, name = shlex.quote(flow.path), f"{flow.namespace}.{flow.flow_id}"
    return f"git checkout {flow.commit} -- {path}\ngit commit -m {shlex.quote(f'Restore {name} to revision {flow.revision}')} -- {path}\ngit push"


async def change(request: web.Request) -> web.StreamResponse:
    """Restore a revision, switch on or off, delete: by a commit; then the flow's page."""
    orchestrator, names = context(request).orchestrator, request.match_info
    namespace, flow_id, verb = names["namespace"], names["flow"], names["verb"]
    require(request, Role.EDITOR, namespace)
    async with read_form(request, text_limit=context(request).body_limit, file_limit=0) as form:
        revision, note = form.first("_revision") or "", (form.first("_message") or "").strip()
    flow = await orchestrator.flow(namespace, flow_id)
    if reason := why_not(request, flow):
        raise ConflictError(reason, hint="change it in Git and push")
    name, back = f"{namespace}.{flow_id}", flow_url(namespace, flow_id, tab="revisions" if verb == "restore" else None)
    if verb == "restore":
        old = await orchestrator.flow(namespace, flow_id, revision=int(revision) if revision.isdigit() and len(revision) < 10 else None)
        if old.text == flow.text:
            raise ConflictError("the newest revision has this text already", hint="choose another one")
        message = note or f"Restore {name} to revision {old.revision}\n\nAs it was in commit {old.commit}."
        saved = await save(request, [Wanted(namespace=namespace, id=flow_id, text=old.text, seen=flow.blob)], message=message)
    elif verb in {"enable", "disable"}:
        wanted = Wanted(namespace=namespace, id=flow_id, rewrite=lambda text: switched(text, namespace, flow_id, disabled=verb == "disable"))
        saved = await save(request, [wanted], message=note or f"{verb.capitalize()} {name}")
    elif verb == "delete":
        saved, back = await save(request, [deletion(namespace, flow_id)], message=note or f"Delete {name}"), "/flows"
    else:
        raise FlowNotFound(f"a flow has no action '{verb[:40]}'", hint="use the buttons of its page")
    response = web.HTTPSeeOther(back)
    flash(response, _told(saved), "ok" if saved.deployed else "warn")
    raise response


def _told(saved: Saved) -> str:
    commit = next(iter(saved.commits.values()), "")[:8]
    return text_for("flow.committed" if saved.deployed else "flow.committed_waits", commit=commit)
