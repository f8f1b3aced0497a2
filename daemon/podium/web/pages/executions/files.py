"""The files of an execution: the list, a preview of one by pages, and pictures as they are.

What always holds: only files that the execution owns or was given are read; a picture is served so that nothing in it can run; what is no known
kind is for download only.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from podium.base.errors import NotFound, PodiumError
from podium.base.system.disk import readable
from podium.conductor.port import Orchestrator, View
from podium.web.api.executions import execution_id
from podium.web.api.logs import own_file
from podium.web.api.looks import previews
from podium.web.context import Context, context
from podium.web.pages.executions.runs import files_of
from podium.web.pages.render import page
from podium.web.pages.text import markdown, plain
from podium.web.params import Query

FILES_SHOWN = 500
_SIZES_ASKED = 100
_PARQUET_BYTES_MAX = 512 * 1024 * 1024
_CHUNK = 1024 * 1024
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


async def values(request: web.Request, execution: View) -> dict[str, Any]:
    """What the template of the tab shows."""
    here, query = context(request), Query(request)
    found = files_of(execution)
    sizes = await asyncio.gather(*(_size(here.orchestrator, each["uri"]) for each in found[:_SIZES_ASKED]))
    for each, size in zip(found, sizes, strict=False):
        each["size"] = readable(size) if size is not None else "gone"
    for each in found:
        each["shown"] = unquote(each["name"])
    chosen = next((each for each in found if each["uri"] == query.text("path")), None)
    shown = await _preview(here, execution, chosen, query) if chosen is not None else None
    return {
        "listed": found[:FILES_SHOWN], "more_files": max(0, len(found) - FILES_SHOWN), "chosen": chosen, "preview": shown,
        "encodings": previews.ENCODINGS,
    }


async def _size(orchestrator: Orchestrator, uri: str) -> int | None:
    try:
        return await orchestrator.file_size(uri)
    except PodiumError:
        return None


async def _preview(here: Context, execution: View, chosen: dict[str, Any], query: Query) -> dict[str, Any]:
    """{kind, page, encoding, size, …} of one file; {kind: "gone"} when it is not there (any more)."""
    uri, number = chosen["uri"], query.integer("page", 1, high=1_000_000) or 1
    encoding = query.text("encoding") or "utf-8"
    known: dict[str, Any] = {"page": number, "encoding": encoding if encoding in previews.ENCODINGS else "utf-8"}
    try:
        await own_file(here, execution["id"], uri)
        known["size"] = size = await here.orchestrator.file_size(uri)
        head = await here.orchestrator.read_file(uri, length=8_192)
        known["kind"] = previews.kind_of(chosen["shown"], head)
        return known | await _content(here, uri, size, known)
    except PodiumError as error:
        return known | {"kind": "gone", "why": error.what, "hint": error.hint}


async def _content(here: Context, uri: str, size: int, known: dict[str, Any]) -> dict[str, Any]:
    orchestrator, kind, encoding, number = here.orchestrator, known["kind"], known["encoding"], known["page"]
    if kind in {"csv", "lines"}:
        data = await orchestrator.read_file(uri, length=previews.TABLE_BYTES_MAX)
        read = previews.csv_page if kind == "csv" else previews.lines_page
        table = await asyncio.to_thread(read, data, encoding, number, cut=size > previews.TABLE_BYTES_MAX)
        if table.columns:
            return {"table": table}
    if kind == "parquet":
        return {"table": await _parquet(here, uri, size, number)}
    if kind == "picture":
        return {"too_large": size > previews.PICTURE_BYTES_MAX}
    if kind == "tree" and size <= previews.TREE_BYTES_MAX:
        data = await orchestrator.read_file(uri)
        try:
            return {"tree": await asyncio.to_thread(previews.tree_of, data, encoding)}
        except ValueError as error:
            known["note"] = str(error)
    if kind == "markdown" and size <= previews.TEXT_BYTES_A_PAGE:
        return {"markup": markdown(previews.decoded(await orchestrator.read_file(uri), encoding))}
    if kind == "other":
        return {}
    begin = (number - 1) * previews.TEXT_BYTES_A_PAGE
    data = await orchestrator.read_file(uri, offset=begin, length=previews.TEXT_BYTES_A_PAGE)
    pages = max(1, -(-size // previews.TEXT_BYTES_A_PAGE))
    return {"kind": "text", "text": plain(previews.decoded(data, encoding)), "pages": pages, "more": number < pages}


async def _parquet(here: Context, uri: str, size: int, number: int) -> previews.Table:
    """Read by a child process from a copy, as the file may lie on another machine."""
    if here.tables is None or size > _PARQUET_BYTES_MAX:
        raise NotFound("this file cannot be shown as a table", hint=f"download it; at most {readable(_PARQUET_BYTES_MAX)} are read here")
    with tempfile.TemporaryDirectory(prefix="podium-look-") as folder:
        path = Path(folder) / "table.parquet"
        with path.open("wb") as file:
            at = 0
            while chunk := await here.orchestrator.read_file(uri, offset=at, length=_CHUNK):
                await asyncio.to_thread(file.write, chunk)
                at += len(chunk)
        found = await here.tables.rows(path, skip=(number - 1) * previews.ROWS_A_PAGE, limit=previews.ROWS_A_PAGE)
    columns = found["columns"][: previews.COLUMNS_MAX]
    more = number * previews.ROWS_A_PAGE < found["total"]
    rows = [row[: previews.COLUMNS_MAX] for row in found["rows"]]
    return previews.Table(
        columns=[each[0] for each in columns], types=[each[1] for each in columns], rows=rows, page=number, total=found["total"], more=more
    )


async def picture(request: web.Request) -> web.Response:
    """A picture of the execution's files, in a sandbox."""
    here, uri = context(request), Query(request).required("path")
    await own_file(here, execution_id(request), uri)
    kind = previews.PICTURES.get(unquote(uri).rsplit(".", 1)[-1].lower())
    if kind is None:
        raise NotFound("this is no picture", hint="download the file")
    if await here.orchestrator.file_size(uri) > previews.PICTURE_BYTES_MAX:
        raise NotFound(f"pictures are shown up to {readable(previews.PICTURE_BYTES_MAX)}", hint="download the file")
    headers = {
        "Content-Security-Policy": _SANDBOX, "X-Content-Type-Options": "nosniff", "Content-Disposition": "inline",
        "Cache-Control": "private, max-age=60",
    }
    return web.Response(body=await here.orchestrator.read_file(uri), content_type=kind, headers=headers)


ROUTES = (page("GET", "/executions/{execution}/picture", picture),)
