"""Namespace files over the API (flow-language 10.3): read from the deployed commit, written as commits."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.web.api.editing.archive import unpacked, uploads, zip_answer
from podium.web.api.editing.namespaces.files import Files, clean, files_of, missing
from podium.web.context import context
from podium.web.errors import BadRequest, Refused
from podium.web.params import Query, read_form
from podium.web.people.roles import Role
from podium.web.routes import INTEGER, TEXT, Body, Param, Route
from podium.web.wire import answer

KEEP = ".gitkeep"
"""Git knows no empty folders: this file is in those that were made."""


async def _files(request: web.Request) -> Files:
    return await files_of(request, request.match_info["namespace"])


def _folder(request: web.Request) -> str:
    path = (Query(request).text("path") or "/").strip("/")
    return clean(path) if path else ""


async def _get(request: web.Request) -> web.Response:
    path = clean(Query(request).required("path"))
    body = await (await _files(request)).read(path)
    return download(body, path)


def download(body: bytes, path: str) -> web.Response:
    """A file to keep. It is never shown in the browser as a page of ours."""
    name = path.rpartition("/")[2].replace('"', "").encode("ascii", "replace").decode()
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    shown = kind if kind.startswith(("text/", "application/json")) and kind != "text/html" else "application/octet-stream"
    return web.Response(body=body, content_type=shown, headers={"Content-Disposition": f'attachment; filename="{name}"'})


async def _list(request: web.Request) -> web.Response:
    files, folder = await _files(request), _folder(request)
    folders, names = files.children(folder)
    if folder and not folders and not names:
        raise missing(folder, files.home.namespace)
    sizes = await files.sizes([f"{folder}/{name}".strip("/") for name in names])
    found = [{"fileName": name, "type": "Directory", "size": 0} for name in folders]
    found += [
        {"fileName": name, "type": "File", "size": sizes[at], "inGit": files.paths[at]}
        for name in names if (at := f"{folder}/{name}".strip("/")) in sizes
    ]
    return answer(found)


async def _stats(request: web.Request) -> web.Response:
    files, path = await _files(request), _folder(request)
    name = path.rpartition("/")[2]
    if path in files.paths:
        return answer({"fileName": name, "type": "File", "size": (await files.sizes([path]))[path], "inGit": files.paths[path]})
    if path and not files.below(path):
        raise missing(path, files.home.namespace)
    return answer({"fileName": name or "/", "type": "Directory", "size": 0})


async def _search(request: web.Request) -> web.Response:
    wanted = (Query(request).text("q") or "").lower()
    return answer([f"/{path}" for path in (await _files(request)).paths if wanted in path.lower()])


async def _export(request: web.Request) -> web.Response:
    files = await _files(request)
    if len(files.paths) > limits.EDIT_FILES_MAX or sum((await files.sizes(list(files.paths))).values()) > limits.EDIT_BYTES_MAX:
        raise Refused("the namespace has too many files for one archive", hint="clone the repository", path="namespace")
    return await zip_answer({path: await files.read(path) for path in files.paths}, f"{files.home.namespace}_files.zip")


async def _upload(request: web.Request) -> web.Response:
    files, here, query = await _files(request), context(request), Query(request)
    async with read_form(request, text_limit=here.body_limit, file_limit=min(here.upload_limit, limits.EDIT_BYTES_MAX)) as form:
        sent = uploads(form, "fileContent", "file")
        if not sent:
            raise BadRequest("the form needs a file 'fileContent'", hint="send multipart/form-data", path="fileContent")
        new: dict[str, bytes] = {}
        for name, place in sent:
            if name.lower().endswith(".zip"):
                new |= {clean(path): body for path, body in await asyncio.to_thread(unpacked, place)}
            else:
                new[clean(query.text("path") or name)] = await asyncio.to_thread(place.read_bytes)
    return _done(await files.write(new, message=query.text("message") or _said("Upload", new)), list(new))


async def _make_folder(request: web.Request) -> web.Response:
    files, folder = await _files(request), _folder(request)
    if not folder:
        raise BadRequest("the query parameter 'path' is missing", hint="add ?path=…", path="path")
    if files.below(folder) or folder in files.paths:
        return web.Response(status=200)
    keep = f"{folder}/{KEEP}"
    return _done(await files.write({keep: b""}, message=Query(request).text("message") or f"Make folder {folder}"), [keep])


async def _move(request: web.Request) -> web.Response:
    query, files = Query(request), await _files(request)
    old, new = clean(query.required("from")), clean(query.required("to"))
    moved = await plan_move(files, old, new)
    changes: dict[str, bytes | None] = {**dict.fromkeys(moved.values()), **{path: await files.read(was) for path, was in moved.items()}}
    return _done(await files.write(changes, message=query.text("message") or f"Move {old} to {new}", moves=moved), list(moved))


async def plan_move(files: Files, old: str, new: str) -> dict[str, str]:
    """New path → old path of a file, or of all in a folder. Raises NotFound, Refused when something is there."""
    found = {new: old} if old in files.paths else {f"{new}/{path[len(old) + 1:]}": path for path in files.below(old)}
    if not found:
        raise missing(old, files.home.namespace)
    if new == old or f"{new}/".startswith(f"{old}/"):
        raise Refused(f"'{old}' cannot be moved into itself", hint="give another name", path="to")
    taken = next((path for path in found if path in files.paths or files.below(path)), None)
    if taken is not None:
        raise Refused(f"'{taken}' is there already", hint="remove it first, or give another name", path="to")
    return found


async def _delete(request: web.Request) -> web.Response:
    query, files = Query(request), await _files(request)
    path = clean(query.required("path"))
    gone = [path] if path in files.paths else files.below(path)
    if not gone:
        raise missing(path, files.home.namespace)
    told = await files.write(dict.fromkeys(gone), message=query.text("message") or f"Remove {path}")
    return web.Response(status=204) if told.get("deployed") else answer(told, status=202)


def _said(word: str, files: Mapping[str, Any]) -> str:
    return f"{word} {next(iter(files))}" if len(files) == 1 else f"{word} {len(files)} files"


def _done(told: Mapping[str, Any], paths: list[str]) -> web.Response:
    return answer({**told, "files": [f"/{path}" for path in paths]}, status=200 if told.get("deployed") else 202)


_FILES = "/namespaces/{namespace}/files"
_PATH = Param(name="path", about="from the top of the namespace")
_NEEDED = Param(name="path", required=True)
_SAY = Param(name="message", about="of the commit")
_ATTRIBUTES = {
    "type": "object", "required": ["fileName", "type", "size"],
    "properties": {"fileName": TEXT, "type": {"enum": ["File", "Directory"]}, "size": INTEGER, "inGit": {"type": "boolean"}},
}
_BYTES = {"type": "string", "format": "binary"}
_REFUSALS = (400, 404, 409, 422)
_DONE = {200: {"type": "object"}, 202: {"type": "object"}}

ROUTES = [
    Route(
        method="GET", path=_FILES, handler=_get, about="A file of a namespace", tag="files", query=(_NEEDED,), answers={200: _BYTES},
        content="application/octet-stream", errors=_REFUSALS,
    ),
    Route(
        method="POST", path=_FILES, handler=_upload, about="Add or replace files; a ZIP is unpacked", tag="files", query=(_PATH, _SAY), answers=_DONE,
        body=Body(content={"multipart/form-data": {"type": "object", "properties": {"fileContent": _BYTES}}}, required=True), errors=_REFUSALS,
        needs=Role.EDITOR,
    ),
    Route(
        method="PUT", path=_FILES, handler=_move, about="Move a file or folder", tag="files", answers=_DONE, errors=_REFUSALS, needs=Role.EDITOR,
        query=(Param(name="from", required=True), Param(name="to", required=True), _SAY),
    ),
    Route(
        method="DELETE", path=_FILES, handler=_delete, about="Remove a file or folder", tag="files", query=(_NEEDED, _SAY),
        answers={204: None, 202: {"type": "object"}}, errors=_REFUSALS, needs=Role.EDITOR,
    ),
    Route(
        method="GET", path=_FILES + "/directory", handler=_list, about="What is in a folder", tag="files", query=(_PATH,),
        answers={200: {"type": "array", "items": _ATTRIBUTES}}, errors=_REFUSALS,
    ),
    Route(
        method="POST", path=_FILES + "/directory", handler=_make_folder, about="Make a folder", tag="files", query=(_NEEDED, _SAY), answers=_DONE,
        errors=_REFUSALS, needs=Role.EDITOR,
    ),
    Route(
        method="GET", path=_FILES + "/stats", handler=_stats, about="What a path is", tag="files", query=(_PATH,), answers={200: _ATTRIBUTES},
        errors=_REFUSALS,
    ),
    Route(
        method="GET", path=_FILES + "/search", handler=_search, about="Paths that contain a text", tag="files", query=(Param(name="q"),),
        answers={200: {"type": "array", "items": TEXT}}, errors=_REFUSALS,
    ),
    Route(
        method="GET", path=_FILES + "/export", handler=_export, about="All files as a ZIP", tag="files", answers={200: _BYTES},
        content="application/zip", errors=_REFUSALS,
    ),
]
