"""The pages of the editor: a file of a repository, a new flow, the file of a deployed flow. A form that works by itself; a script makes more of it.

Saving is a commit (ruling 14) in the caller's name, from the commit that they saw. What always holds: what cannot be saved is shown read-only with
the reason; a conflict is shown as a difference and nothing is overwritten; the text that somebody typed is on the page that answers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base import limits
from podium.base.errors import ConflictError, EditConflict, NotFound, PodiumError
from podium.base.ports import EditControls, FileChange, FlowRevision
from podium.web.api.editing.edits import as_content, edits_of, said
from podium.web.api.editing.rights import WHOLE, Rights, rights, status_of
from podium.web.context import context
from podium.web.errors import status_of as http_status
from podium.web.pages.editor.blueprints import BLUEPRINTS, blueprint, empty
from podium.web.pages.render import flow_url, link, page, render, text_for
from podium.web.pages.text import coloured, difference
from podium.web.params import Query, read_form
from podium.web.people.roles import Role, caller

TREE_SHOWN_MAX = 5_000
"""Files of the tree without the script; with it all are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the editor shows. text None: no text (size says how much). blob "": a file that is not there yet. why: why it cannot be saved."""

    source: str
    path: str
    branch: str
    deployed_branch: str
    commit: str = ""
    blob: str = ""
    text: str | None = ""
    size: int = 0
    why: str | None = None
    is_new: bool = False
    directory: bool = False
    """Whether the source is a directory: a save writes the file where it lies, without a commit."""
    flow: tuple[str, str] | None = None

    @property
    def kind(self) -> str:
        """flow, or file: flows get completion, checks and a picture."""
        parts = PurePosixPath(self.path)
        plain = parts.name.lower() not in ("podium.yaml", "podium.yml") and not parts.name.lower().endswith((".test.yaml", ".test.yml"))
        inner = any(each.startswith((".", "_")) for each in parts.parts[:-1]) or parts.parts[:1] == ("dashboards",)
        return "flow" if self.is_new or (parts.suffix.lower() in (".yaml", ".yml") and plain and not inner) else "file"

    @property
    def url(self) -> str:
        """The address of this file."""
        branch = self.branch if self.branch != self.deployed_branch else None
        return link(f"/editor/{quote(self.source, safe='')}", path=self.path, branch=branch)


async def editor_page(request: web.Request) -> web.Response:
    """A file of the repository behind a source; without a path its tree."""
    query, source = Query(request), request.match_info["source"]
    if not query.text("path") and not query.flag("new"):
        return await _tree_page(request, source, query.text("branch"))
    return await _show(request, await _open(request, source, query.text("path") or "", query.text("branch"), new=query.flag("new")))


async def _open(request: web.Request, source: str, path: str, branch: str | None, *, new: bool = False) -> Opened:
    status, allowed = status_of(request, source), rights(request, source)
    edits, deployed = edits_of(request), str(status.get("branch") or "")
    opened = Opened(source=source, path=path, branch=branch or deployed, deployed_branch=deployed, flow=_flow_at(request, source, path),
        directory=bool(status.get("directory")))
    if path and not allowed.may_read(path):
        raise NotFound(f"there is no file '{path[:200]}'", hint="see the tree of the repository")
    why = edits.editable(source) or _may_not(request, allowed, path)
    if new:
        return replace(opened, commit=await edits.head(source, branch), why=why, is_new=False)
    found = await edits.read(source, path, branch)
    content = as_content(found["data"])
    text = content.get("text")
    if text is not None and len(found["data"]) > limits.EDIT_TEXT_SHOWN_MAX * 4:
        text, why = None, text_for("editor.too_large")
    return replace(opened, commit=str(found["commit"]), blob=str(found["blob"]), text=text, size=int(found["size"]), why=why)


def _may_not(request: web.Request, allowed: Rights, path: str) -> str | None:
    who = caller(request)
    if who.may(Role.ADMIN, WHOLE):
        return None
    if path and allowed.admins(path):
        return text_for("editor.why_admin")
    missing = [each for each in sorted(allowed.namespaces(path)) if not who.may(Role.EDITOR, each)] if path else []
    if who.highest < Role.EDITOR or missing:
        return text_for("editor.why_role", namespace=missing[0] if missing and missing[0] else text_for("editor.all_namespaces"))
    return None


def _flow_at(request: web.Request, source: str, path: str) -> tuple[str, str] | None:
    """Namespace and id of the deployed flow in a file: that of the query if it is one of several."""
    everything = context(request).orchestrator.known_flows().values()
    known = [each for each in everything if each.source == source and each.path == path and not each.deleted]
    wanted = request.query.get("flow")
    found = next((each for each in known if each.flow_id == wanted), known[0] if known else None)
    return (found.namespace, found.flow_id) if found is not None else None


async def _tree_page(request: web.Request, source: str, branch: str | None) -> web.Response:
    status, allowed, edits = status_of(request, source), rights(request, source), edits_of(request)
    commit = await edits.head(source, branch)
    files = [each for each in await edits.tree(source, commit) if allowed.may_read(each["path"])] if commit else []
    why = edits.editable(source) or _may_not(request, allowed, "")
    return await render(
        request, "editor/tree.html", source=source, branch=branch or status.get("branch"), deployed=status.get("branch"), commit=commit, why=why,
        branches=await _branches(edits, source), files=files[:TREE_SHOWN_MAX], total=len(files),
    )


async def _branches(edits: EditControls, source: str) -> list[str]:
    try:
        return list(await edits.branches(source))
    except PodiumError:  # the remote is away: the branch that is deployed is there all the same
        return []


async def _show(request: web.Request, opened: Opened, *, status: int = 200, **more: Any) -> web.Response:
    data = {
        "source": opened.source, "path": opened.path, "branch": opened.branch, "deployedBranch": opened.deployed_branch, "commit": opened.commit,
        "blob": opened.blob, "text": opened.text, "kind": opened.kind, "why": opened.why, "isNew": opened.is_new or not opened.blob,
        "flow": list(opened.flow) if opened.flow else None, "person": caller(request).name,
        "askedFlow": request.query.get("flow", ""), "message": more.get("message", ""), "directory": opened.directory,
    }
    about = flow_url(*opened.flow) if opened.flow else None
    return await render(
        request, "editor/editor.html", status=status, opened=opened, data=data, about=about,
        lines=coloured(opened.text) if opened.why and opened.text else (), **{"message": "", "error": None, "conflicts": [], **more},
    )


async def flow_edit_page(request: web.Request) -> web.StreamResponse:
    """The editor for the file of a deployed flow; its text, read-only, where there is no repository to write to."""
    here = context(request)
    flow = await here.orchestrator.flow(request.match_info["namespace"], request.match_info["flow"])
    try:
        place = await edits_of(request).place(flow.namespace, flow.flow_id)
    except (NotFound, ConflictError) as error:
        return await _show(request, _deployed(flow, error.what))
    if place.get("blob"):
        where = f"/editor/{quote(str(place['source']), safe='')}"
        raise web.HTTPFound(link(where, path=place["path"], flow=flow.flow_id, copilot=request.query.get("copilot")))
    return await _show(request, _deployed(flow, text_for("editor.why_gone")))


def _deployed(flow: FlowRevision, why: str) -> Opened:
    return Opened(
        source=flow.source, path=flow.path, branch="", deployed_branch="", commit=flow.commit, blob=flow.blob, text=flow.text, why=why,
        flow=(flow.namespace, flow.flow_id),
    )


async def new_page(request: web.Request) -> web.Response:
    """A new flow: what to start from, then the editor."""
    here, query = context(request), Query(request)
    namespace, flow_id, key = query.text("namespace") or "", query.text("id") or "", query.text("template") or ""
    chosen = blueprint(key)
    if chosen is None and key != "empty":
        known = sorted({each.namespace for each in here.orchestrator.flows()})
        return await render(
            request, "editor/new.html", blueprints=BLUEPRINTS, namespace=namespace, flow_id=flow_id, namespaces=known, edits=here.edits is not None,
        )
    text = chosen.filled(namespace, flow_id) if chosen is not None else empty(namespace, flow_id)
    place = await edits_of(request).place(namespace or "company.team", flow_id or key)
    source = str(place["source"])
    status = status_of(request, source)
    deployed = str(status.get("branch") or "")
    why = edits_of(request).editable(source) or _may_not_write(request, namespace)
    return await _show(request, Opened(
        source=source, path=str(place["path"]), branch=deployed, deployed_branch=deployed, commit=str(place.get("commit") or ""), text=text, why=why,
        is_new=True, directory=bool(status.get("directory")),
    ))


def _may_not_write(request: web.Request, namespace: str) -> str | None:
    allowed = caller(request).may(Role.EDITOR, namespace) if namespace else caller(request).highest >= Role.EDITOR
    return None if allowed else text_for("editor.why_role", namespace=namespace or text_for("editor.all_namespaces"))


async def save(request: web.Request) -> web.StreamResponse:
    """Commit what the form holds (without the script). A mistake answers the page with the text that was sent."""
    source = request.match_info["source"]
    async with read_form(request, text_limit=limits.EDIT_FILE_BYTES_MAX, file_limit=0) as form:
        sent = {name: form.first(name) for name in ("path", "base", "blob", "branch", "new_branch", "message", "text", "newlines")}
    status, allowed, edits = status_of(request, source), rights(request, source), edits_of(request)
    deployed = str(status.get("branch") or "")
    text = sent["text"].replace("\r\n", "\n")  # as forms send it, whatever the file had
    text = text.replace("\n", "\r\n") if sent["newlines"] == "crlf" else text
    change = FileChange(path=sent["path"].strip(), data=text.encode("utf-8", "replace"), blob=sent["blob"])
    opened = Opened(
        source=source, path=change.path, branch=sent["branch"] or deployed, deployed_branch=deployed, commit=sent["base"], blob=sent["blob"],
        text=text, flow=_flow_at(request, source, change.path), directory=bool(status.get("directory")),
    )
    new = sent["new_branch"].strip()
    try:
        await allowed.require_write([change])
        made = await edits.publish(
            source, [change], base=sent["base"], message=sent["message"].strip() or _message(opened), author=caller(request).author,
            branch=new or (sent["branch"] or None), new_branch=bool(new),
        )
    except EditConflict as error:
        return await _show(
            request, opened, status=409, error=error, message=sent["message"], conflicts=_conflicts(error), head=str(error.facts.get("head") or ""),
        )
    except PodiumError as error:
        return await _show(request, opened, status=http_status(error), error=error, message=sent["message"])
    result = await said(request, source, made, wait=True)
    fresh = await _open(request, source, change.path, made.branch if made.branch != deployed else None)
    return await _show(request, fresh, saved=result)


def _message(opened: Opened) -> str:
    return text_for("editor.message_change" if opened.blob else "editor.message_add", path=opened.path)


def _conflicts(error: EditConflict) -> list[dict[str, Any]]:
    """Each file with the difference between what is there now and what was sent."""
    found = error.facts.get("conflicts")
    return [_conflict(each) for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _conflict(each: Mapping[str, Any]) -> dict[str, Any]:
    theirs, ours = _as_text(each.get("theirs")), _as_text(each.get("ours"))
    return {"path": each.get("path"), "gone": theirs is None, "blob": str(each.get("blob") or ""), "diff": difference(theirs or "", ours or "")}


def _as_text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else None


async def editor_home(request: web.Request) -> web.Response:
    """The repositories that can be opened."""
    sources = [each for each in context(request).sources.status() if each.get("branch")]
    if len(sources) == 1:
        raise web.HTTPFound(f"/editor/{quote(str(sources[0]['name']), safe='')}")
    return await render(request, "editor/sources.html", sources=sources)


ROUTES = (
    page("GET", "/editor", editor_home),
    page("GET", "/editor/new", new_page),
    page("GET", "/editor/{source}", editor_page),
    page("POST", "/editor/{source}", save, needs=Role.EDITOR),
    page("GET", "/flows/{namespace}/{flow}/edit", flow_edit_page),
)
