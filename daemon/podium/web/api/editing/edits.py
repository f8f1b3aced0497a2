"""`/edits`: the files of the repositories behind the sources, and commits to them in the caller's name (ruling 14). For the editor and scripts.

What always holds: a change names what its writer saw, so that nobody's work is overwritten; without a `base` it goes on top of what is there.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import ConflictError, PodiumError
from podium.base.ports import EditControls, FileChange, Published
from podium.web.api.editing.rights import check_names, rights, status_of
from podium.web.context import context
from podium.web.errors import BadRequest, Refused
from podium.web.params import Query, read_object
from podium.web.people.roles import Role, caller, require
from podium.web.routes import FLAG, INTEGER, LIST, OBJECT, TEXT, Body, Param, Route
from podium.web.wire import answer

WAIT_S = 20.0
"""How long an answer waits for the deployment of its commit."""
_BODY_MAX = limits.EDIT_BYTES_MAX * 3 // 2


def edits_of(request: web.Request) -> EditControls:
    """Writing to repositories. Raises ConflictError where that is not possible at all."""
    found = context(request).edits
    if found is None:
        raise ConflictError("this server has no repositories to write to", hint="add a source to the settings")
    return found


async def _list(request: web.Request) -> web.Response:
    here = context(request)
    if here.edits is None:
        return answer([])
    return answer(await asyncio.gather(*(_about(here.edits, each) for each in here.sources.status() if each.get("branch"))))


async def _about(edits: EditControls, source: Mapping[str, Any]) -> dict[str, Any]:
    name = str(source["name"])
    why = edits.editable(name)
    found: dict[str, Any] = {
        "source": name, "branch": source["branch"], "path": source.get("path") or ".", "head": source.get("commit"), "editable": why is None,
        "why": why, "branches": {}, "url": source.get("page"), "commitUrl": source.get("commitPage"),
    }
    try:
        branches = await edits.branches(name)
    except PodiumError as error:
        return {**found, "error": error.what, "hint": error.hint}
    return {**found, "branches": branches, "head": branches.get(str(source["branch"])) or found["head"]}


async def _tree(request: web.Request) -> web.Response:
    source, ref = request.match_info["source"], Query(request).text("ref")
    status_of(request, source)
    edits, allowed = edits_of(request), rights(request, source)
    commit = await edits.head(source, ref)
    files = await edits.tree(source, commit) if commit else []
    return answer({"commit": commit, "files": [each for each in files if allowed.may_read(each["path"])]})


async def _file(request: web.Request) -> web.Response:
    query, source = Query(request), request.match_info["source"]
    path = query.required("path")
    if not rights(request, source).may_read(path):
        raise Refused(f"'{path[:200]}' is of a namespace that you have no role in", hint="ask an admin", path="path")
    found = await edits_of(request).read(source, path, query.text("ref"))
    return answer({**{key: value for key, value in found.items() if key != "data"}, **as_content(found["data"])})


def as_content(data: bytes) -> dict[str, str]:
    """The bytes of a file as JSON carries them: text, or base64 for what is no UTF-8."""
    try:
        if b"\0" not in data:
            return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        pass
    return {"base64": base64.b64encode(data).decode("ascii")}


async def _place(request: web.Request) -> web.Response:
    query = Query(request)
    namespace, flow_id = query.required("namespace"), query.required("id")
    check_names(namespace, flow_id)
    require(request, Role.VIEWER, namespace)
    return answer(await edits_of(request).place(namespace, flow_id))


async def _check(request: web.Request) -> web.Response:
    source = request.match_info["source"]
    status_of(request, source)
    body = await read_object(request, limit=_BODY_MAX)
    return answer({"problems": await edits_of(request).check(source, _changes(body, base=False), _text(body, "ref"))})


async def _publish(request: web.Request) -> web.Response:
    source = request.match_info["source"]
    allowed, edits = rights(request, source), edits_of(request)
    body = await read_object(request, limit=_BODY_MAX)
    changes = _changes(body, base=True)
    await allowed.require_write(changes)
    branch, new = _text(body, "branch"), _text(body, "newBranch")
    base = _text(body, "base")
    seen = await edits.head(source, base or branch)
    changes = [await _with_blob(edits, source, each, seen) if each.blob is None else each for each in changes]
    made = await edits.publish(
        source, changes, base=seen, message=_text(body, "message") or "", author=caller(request).author, branch=new or branch, new_branch=bool(new),
    )
    return answer(await said(request, source, made, wait=Query(request).flag("wait")))


async def _with_blob(edits: EditControls, source: str, change: FileChange, commit: str) -> FileChange:
    """The change with the blob that its writer saw: that of the commit they began with."""
    known = {each["path"]: str(each["blob"]) for each in await edits.tree(source, commit)} if commit else {}
    return FileChange(path=change.path, data=change.data, executable=change.executable, blob=known.get(change.path, ""))


async def said(request: web.Request, source: str, made: Published, *, wait: bool) -> dict[str, Any]:
    """What is answered for a commit; with what became of it when the caller waits."""
    found: dict[str, Any] = {"commit": made.commit, "branch": made.branch}
    found |= {key: value for key, value in (("url", made.url), ("review", made.review)) if value}
    if wait and made.branch == status_of(request, source).get("branch"):
        found["deployment"] = await edits_of(request).deployed(source, made.commit, timeout_s=WAIT_S)
    return found


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(f"'{name}' is no text", hint="send a text", path=name)
    return value or None


def _changes(body: Mapping[str, Any], *, base: bool) -> list[FileChange]:
    listed = body.get("changes")
    if not isinstance(listed, list) or not listed:
        raise BadRequest("the body needs 'changes', a list of files", hint='send {"changes": [{"path": "a.yaml", "text": "…"}]}', path="changes")
    return [_change(each, f"changes[{index}]") for index, each in enumerate(listed)]


def _change(item: Any, at: str) -> FileChange:
    if not isinstance(item, dict) or not isinstance(item.get("path"), str):
        raise Refused(f"'{at}' has no path", hint='send {"path": "a.yaml", "text": "…"}', path=f"{at}.path")
    blob, executable = item.get("blob"), item.get("executable")
    if not isinstance(blob, str | None) or not isinstance(executable, bool | None):
        raise Refused(f"'{at}' has a blob or executable that is none", hint="send the blob's id as text, executable as true or false", path=at)
    return FileChange(path=item["path"], data=_data(item, at), blob=blob, executable=executable)


def _data(item: Mapping[str, Any], at: str) -> bytes | None:
    if "base64" in item and item["base64"] is not None:
        try:
            return base64.b64decode(str(item["base64"]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused(f"'{at}.base64' is no base64", hint="encode the bytes of the file", path=f"{at}.base64") from error
    if "text" not in item and "base64" not in item:
        raise Refused(f"'{at}' says nothing of the file", hint="send text or base64; null removes the file", path=at)
    text = item.get("text")
    if not isinstance(text, str | None):
        raise Refused(f"'{at}.text' is no text", hint="send a text, or null to remove the file", path=f"{at}.text")
    return text.encode("utf-8", "replace") if text is not None else None


_FILE = {
    "type": "object", "required": ["path", "blob", "size", "kind"],
    "properties": {"path": TEXT, "blob": TEXT, "size": INTEGER, "kind": TEXT, "executable": FLAG},
}
_CHANGE = {
    "type": "object", "required": ["path"],
    "properties": {
        "path": TEXT, "text": {"type": ["string", "null"], "description": "the new content; null removes the file"},
        "base64": {"type": ["string", "null"]}, "blob": {"type": "string", "description": "what you saw; default as in `base`; empty: no such file"},
        "executable": FLAG,
    },
}
_CHANGES = {"type": "array", "items": _CHANGE, "minItems": 1}
_EDIT = {
    "type": "object", "required": ["changes"],
    "properties": {
        "base": {"type": "string", "description": "the commit you saw; default the newest"},
        "branch": {"type": "string", "description": "default the deployed one"},
        "newBranch": {"type": "string", "description": "a branch to make, from base, for review"}, "message": TEXT, "changes": _CHANGES,
    },
}
_PROBLEMS = {"type": "object", "required": ["problems"], "properties": {"problems": LIST}}
_PUBLISHED = {
    "type": "object", "required": ["commit", "branch"],
    "properties": {"commit": TEXT, "branch": TEXT, "url": TEXT, "review": TEXT, "deployment": OBJECT},
}
_REF = Param(name="ref", about="a branch or commit; default the newest of the deployed branch")

ROUTES = [
    Route(method="GET", path="/edits", handler=_list, about="Repositories behind the sources", tag="edits", answers={200: LIST}, errors=()),
    Route(
        method="GET", path="/edits/place", handler=_place, about="Where the file of a flow is, or would be", tag="edits",
        query=(Param(name="namespace", required=True), Param(name="id", required=True)), errors=(400, 404, 409, 422),
    ),
    Route(
        method="GET", path="/edits/{source}/tree", handler=_tree, about="The files of a branch or commit", tag="edits", query=(_REF,),
        answers={200: {"type": "object", "properties": {"commit": TEXT, "files": {"type": "array", "items": _FILE}}}}, errors=(404, 409),
    ),
    Route(
        method="GET", path="/edits/{source}/file", handler=_file, about="One file of a branch or commit", tag="edits",
        query=(Param(name="path", required=True), _REF), errors=(400, 404, 409, 422),
    ),
    Route(
        method="POST", path="/edits/{source}/check", handler=_check, about="What is wrong with files, as the deployment would find", tag="edits",
        body=Body(content={"application/json": _EDIT}, required=True), answers={200: _PROBLEMS}, errors=(400, 404, 409, 422), needs=Role.EDITOR,
    ),
    Route(
        method="POST", path="/edits/{source}", handler=_publish, about="Commit changed files and push them", tag="edits",
        query=(Param(name="wait", schema=FLAG, about="answer when the commit is deployed, with what was refused"),),
        body=Body(content={"application/json": _EDIT}, required=True), answers={200: _PUBLISHED}, errors=(400, 404, 409, 422, 429), needs=Role.EDITOR,
    ),
]
