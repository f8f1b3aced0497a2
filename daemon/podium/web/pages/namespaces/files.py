"""The files of a namespace as a page: browse, look, upload, move, remove. What is changed is a commit in the caller's name.

What always holds: a file is shown as text and never run; what is no text can only be kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base import limits
from podium.base.errors import PodiumError
from podium.web.api.editing.archive import unpacked, uploads
from podium.web.api.editing.namespaces.files import Files, clean, files_of, missing
from podium.web.api.editing.namespaces.handlers import KEEP, plan_move
from podium.web.context import context
from podium.web.errors import BadRequest, status_of
from podium.web.pages.navigation import flash
from podium.web.pages.render import link, page, text_for
from podium.web.pages.text import coloured
from podium.web.params import Form, Query, read_form
from podium.web.people.roles import Role
from podium.web.routes import Route

Show = Callable[..., Awaitable[web.Response]]
SHOWN_MAX = 1_000
"""Entries of a folder on the page."""
_TEXT_BYTES_MAX = 512 * 1024


async def tab(request: web.Request, namespace: str, shown: Any) -> dict[str, Any]:
    """A folder, or a file: ?path="""
    empty: dict[str, Any] = {"folders": [], "files": [], "folder": "", "file": None, "parts": [], "error": None, "more": 0, "every": 0, "sent": {}}
    if shown.home is None or context(request).files is None:
        return empty
    files = await files_of(request, namespace)
    path = (Query(request).text("path") or "").strip("/")
    path = clean(path) if path else ""
    parts = [(name, "/".join(path.split("/")[: index + 1])) for index, name in enumerate(path.split("/"))] if path else []
    if path in files.paths:
        return {**empty, "file": await _file(files, path), "parts": parts, "every": len(files.paths), "folder": path.rpartition("/")[0]}
    folders, names = files.children(path)
    if path and not folders and not names:
        raise missing(path, namespace)
    within = f"{path}/" if path else ""
    sizes = await files.sizes([f"{within}{name}" for name in names[:SHOWN_MAX]])
    found = [{"name": at.rpartition("/")[2], "path": at, "size": size, "in_git": files.paths[at]} for at, size in sizes.items()]
    below = [{"name": name, "path": f"{within}{name}", "count": len(files.below(f"{within}{name}"))} for name in folders[:SHOWN_MAX]]
    return {
        **empty, "folders": below, "files": found, "folder": path, "parts": parts, "every": len(files.paths),
        "more": max(0, len(names) - SHOWN_MAX) + max(0, len(folders) - SHOWN_MAX),
    }


async def _file(files: Files, path: str) -> dict[str, Any]:
    body = await files.read(path)
    text: str | None = None
    if len(body) <= _TEXT_BYTES_MAX and b"\0" not in body:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            text = None
    place = files.home
    shared = await files.place(path)
    return {
        "path": path, "name": path.rpartition("/")[2], "size": len(body), "in_git": files.paths[path], "repository_path": shared,
        "lines": await asyncio.to_thread(coloured, text, path) if text is not None else None,
        "editor": link(f"/editor/{quote(place.source, safe='')}", path=shared) if files.paths[path] else None,
        "everybody": not shared.startswith(place.own("")),
    }


def routes(show: Show) -> tuple[Route, ...]:
    """The routes that the forms are sent to. show: makes the page again when one is refused."""

    async def change(request: web.Request) -> web.StreamResponse:
        namespace, here = request.match_info["namespace"], context(request)
        sent: dict[str, str] = {}
        try:
            async with read_form(request, text_limit=here.body_limit, file_limit=min(here.upload_limit, limits.EDIT_BYTES_MAX)) as form:
                sent = dict(form.texts)
                folder, said, told = await _apply(await files_of(request, namespace), form)
        except PodiumError as error:
            return await show(request, "files", status=status_of(error), error=error, sent=sent)
        response = web.HTTPSeeOther(link(f"/namespaces/{quote(namespace, safe='')}", tab="files", path=folder))
        late = not told.get("deployed")
        flash(response, f"{said} {text_for('namespaces.deployed_soon')}" if late else said, "warn" if late else "ok")
        raise response

    return (page("POST", "/namespaces/{namespace}/files", change, needs=Role.EDITOR),)


async def _apply(files: Files, form: Form) -> tuple[str, str, Mapping[str, Any]]:
    """(the folder to show, what to say, what became of it) of what a form asks for."""
    do, path = form.first("_do"), form.first("path").strip("/")
    message = form.first("message").strip()
    if do == "upload":
        return await _upload(files, form, path, message)
    if do == "folder":
        inner = clean(f"{path}/{form.first('name')}" if path else form.first("name"))
        told = await files.write({f"{inner}/{KEEP}": b""}, message=message or f"Make folder {inner}")
        return inner, text_for("namespaces.folder_made", path=inner), told
    inner = clean(path)
    if do == "move":
        to = clean(form.first("to"))
        moved = await plan_move(files, inner, to)
        changes: dict[str, bytes | None] = {**dict.fromkeys(moved.values()), **{new: await files.read(old) for new, old in moved.items()}}
        told = await files.write(changes, message=message or f"Move {inner} to {to}", moves=moved)
        return to.rpartition("/")[0], text_for("namespaces.moved", path=inner, to=to), told
    if do == "remove":
        gone = [inner] if inner in files.paths else files.below(inner)
        if not gone:
            raise missing(inner, files.home.namespace)
        told = await files.write(dict.fromkeys(gone), message=message or f"Remove {inner}")
        return _nearest(files, inner.rpartition("/")[0], set(gone)), text_for("namespaces.file_removed", path=inner), told
    raise BadRequest(f"the form asks for '{do[:40]}', which is nothing known", hint="reload the page", path="_do")


def _nearest(files: Files, folder: str, gone: set[str]) -> str:
    """The folder, or the nearest above it that still has files."""
    while folder and not set(files.below(folder)) - gone:
        folder = folder.rpartition("/")[0]
    return folder


async def _upload(files: Files, form: Form, folder: str, message: str) -> tuple[str, str, Mapping[str, Any]]:
    new: dict[str, bytes] = {}
    for name, place in uploads(form, "files"):
        if not name:
            continue
        if name.lower().endswith(".zip") and form.first("unpack"):
            new |= {clean(f"{folder}/{path}" if folder else path): body for path, body in await asyncio.to_thread(unpacked, place)}
        else:
            new[clean(f"{folder}/{name}" if folder else name)] = await asyncio.to_thread(place.read_bytes)
    if not new:
        raise BadRequest(text_for("namespaces.no_file_chosen"), hint=text_for("namespaces.choose_a_file"), path="files")
    word = next(iter(new)) if len(new) == 1 else f"{len(new)} files"
    told = await files.write(new, message=message or f"Upload {word}")
    return folder, text_for("namespaces.uploaded", what=word), told
