"""Logs, metrics and files of executions over the API (flow-language 10.2, 10.3)."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from aiohttp import web

from podium.base import limits
from podium.base.errors import NotFound
from podium.web.api.executions import execution_id
from podium.web.api.looks.ranges import send_stored
from podium.web.context import Context, base_url, context
from podium.web.errors import Refused
from podium.web.live import follow_logs
from podium.web.params import Page, Query
from podium.web.routes import INTEGER, MOMENT, TEXT, Param, Route, paged, ref
from podium.web.wire import answer

_CHUNK_BYTES = 1024 * 1024
PREVIEW_ROWS, PREVIEW_ROWS_MAX = 100, 5_000
_IMAGES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp"})
_LINES = frozenset({"jsonl", "ndjson", "ion"})


def _only(query: Query) -> dict[str, Any]:
    return {"task_id": query.text("taskId"), "task_run_id": query.text("taskRunId"), "attempt": query.integer("attempt", low=0)}


async def _logs(request: web.Request) -> web.Response:
    query, here = Query(request), context(request)
    await here.orchestrator.execution(execution_id(request))
    after = query.integer("afterSeq", 0, low=0, high=2**53) or 0
    found = await here.orchestrator.logs(execution_id(request), after_seq=after, min_level=query.level(), **_only(query))
    return answer(found)


async def _search(request: web.Request) -> web.Response:
    query, here = Query(request), context(request)
    page = query.page()
    start, end = query.window(here.clock.now())
    found, total = await here.orchestrator.search_logs(
        namespace=query.text("namespace"), flow_id=query.text("flowId"), query=query.text("q"), min_level=query.level(), started_after=start,
        started_before=end, page=page.number, size=page.size,
    )
    return answer({"results": found, "total": total})


async def _download(request: web.Request) -> web.StreamResponse:
    query, here, identifier = Query(request), context(request), execution_id(request)
    await here.orchestrator.execution(identifier)
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8", "Content-Disposition": _attachment(f"{identifier}.log")})
    level, only, seen = query.level(), _only(query), 0
    await response.prepare(request)
    while entries := await here.orchestrator.logs(identifier, after_seq=seen, min_level=level, limit=1_000, **only):
        await response.write("".join(_line(entry) for entry in entries).encode("utf-8", "replace"))
        newest = max(int(entry.get("seq", 0)) for entry in entries)
        if newest <= seen:
            break
        seen = newest
    await response.write_eof()
    return response


def _line(entry: dict[str, Any]) -> str:
    return f"{entry.get('timestamp', '')} {entry.get('level', ''):<5} {entry.get('taskId') or '-'} {entry.get('message', '')}\n"


async def _follow(request: web.Request) -> web.StreamResponse:
    query, here = Query(request), context(request)
    last = request.headers.get("Last-Event-ID", "")
    after = int(last) if last.isdigit() and len(last) < 17 else query.integer("afterSeq", 0, low=0, high=2**53) or 0
    return await follow_logs(
        request, here.hub, execution_id(request), after_seq=after, min_level=query.level(), **_only(query)
    )


async def _metrics(request: web.Request) -> web.Response:
    query, orchestrator = Query(request), context(request).orchestrator
    page: Page = query.page()
    await orchestrator.execution(execution_id(request))
    wanted = {"taskRunId": query.text("taskRunId"), "taskId": query.text("taskId")}
    found = [
        each for each in await orchestrator.metrics(execution_id(request))
        if all(value is None or each.get(key) == value for key, value in wanted.items())
    ]
    return answer({"results": page.cut(found), "total": len(found)})


async def own_file(here: Context, identifier: str, uri: str) -> str | None:
    """Checks that `uri` is a file of the execution, or an input of it; the execution that owns it instead, when it is another's.

    Raises NotFound for everything else in storage.
    """
    execution = await here.orchestrator.execution(identifier)
    owner = owner_of(uri)
    if owner is not None and _holds(execution.get("inputs"), uri):
        return None
    if owner == identifier:
        namespace = "/" + str(execution["namespace"]).replace(".", "/") + "/"
        if urlsplit(uri).path.startswith(namespace):
            return None
    elif owner is not None:
        await here.orchestrator.execution(owner)
        return owner
    raise NotFound(f"execution {identifier} has no file {uri[:200]}", hint="the path is an output that begins kestra:///", uri=uri[:200])


def _holds(value: Any, text: str) -> bool:
    """Whether `text` is among the values in `value`. An upload is stored before the execution it is for has an id."""
    if isinstance(value, dict):
        return any(_holds(item, text) for item in value.values())
    return any(_holds(item, text) for item in value) if isinstance(value, list) else bool(value == text)


def owner_of(uri: str) -> str | None:
    """The execution whose file `uri` names: kestra:///<namespace>/<flow>/executions/<id>/…; None for anything else."""
    parts = urlsplit(uri)
    segments = parts.path.split("/")
    plain = unquote(parts.path)
    if parts.scheme != "kestra" or parts.netloc or {"", ".", ".."} & {*segments[1:], *plain.split("/")[1:]} or "\0" in plain:
        return None
    return next((segments[at + 1] for at in range(2, len(segments) - 2) if segments[at] == "executions"), None)


async def _file(request: web.Request) -> web.StreamResponse:
    here, identifier, uri = context(request), execution_id(request), Query(request).required("path")
    owner = await own_file(here, identifier, uri)
    if owner is not None:
        raise web.HTTPFound(f"{base_url(request)}/api/v1/executions/{quote(owner)}/file?path={quote(uri, safe='')}")
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": _attachment(unquote(uri.rsplit("/", 1)[-1]))}
    return await send_stored(request, here, uri, headers)


def _attachment(name: str) -> str:
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name) or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


async def _file_metas(request: web.Request) -> web.Response:
    here, uri = context(request), Query(request).required("path")
    await own_file(here, execution_id(request), uri)
    return answer({"size": await here.orchestrator.file_size(uri)})


async def _file_preview(request: web.Request) -> web.Response:
    here, query = context(request), Query(request)
    uri, encoding = query.required("path"), query.text("encoding") or "utf-8"
    rows = query.integer("maxRows", PREVIEW_ROWS, high=PREVIEW_ROWS_MAX) or PREVIEW_ROWS
    try:
        "".encode(encoding)
    except LookupError as error:
        raise Refused(f"'{encoding[:40]}' is no known encoding", hint="use utf-8", path="encoding") from error
    await own_file(here, execution_id(request), uri)
    return answer(preview(await here.orchestrator.read_file(uri, length=_CHUNK_BYTES + 1), uri.rsplit(".", 1)[-1].lower(), rows, encoding))


def preview(data: bytes, extension: str, rows: int, encoding: str = "utf-8") -> dict[str, Any]:
    """The beginning of a file: a list of rows, text, or a picture in base64. data: at most a little over 1 MiB is looked at."""
    whole = len(data) <= _CHUNK_BYTES
    data = data[:_CHUNK_BYTES]
    if extension in _IMAGES:
        return {"extension": extension, "type": "IMAGE", "content": base64.b64encode(data).decode(), "truncated": not whole}
    try:
        text = data.decode(encoding, "replace")
    except (LookupError, ValueError):
        text = data.decode("utf-8", "replace")
    lines = text.splitlines()
    if extension == "csv":
        try:
            content = [dict(row) for _, row in zip(range(rows), csv.DictReader(io.StringIO(text), restkey="…"), strict=False)]
        except csv.Error:
            content = []
        if content:
            return {"extension": extension, "type": "LIST", "content": content, "truncated": not whole or len(lines) - 1 > rows}
    if extension in _LINES:
        items = [_json_or_text(line) for line in lines[:rows] if line.strip()]
        return {"extension": extension, "type": "LIST", "content": items, "truncated": not whole or len(lines) > rows}
    kind = "MARKDOWN" if extension in {"md", "markdown"} else "TEXT"
    return {"extension": extension, "type": kind, "content": "\n".join(lines[:rows]), "truncated": not whole or len(lines) > rows}


def _json_or_text(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


_ONE_LOG = "/logs/{execution}"
_WHICH = (Param(name="minLevel"), Param(name="taskId"), Param(name="taskRunId"), Param(name="attempt", schema=INTEGER))
_AFTER = Param(name="afterSeq", schema=INTEGER, about="only entries after this seq")
_BYTES = {"type": "string", "format": "binary"}
_PATH = Param(name="path", required=True, about="kestra:///…")
_FILE = "/executions/{execution}/file"
ROUTES = [
    Route(
        method="GET", path="/logs/search", handler=_search, about="Search log entries", tag="logs", answers={200: paged(ref("LogEntry"))},
        errors=(422,),
        query=(
            Param(name="q"), Param(name="namespace"), Param(name="flowId"), Param(name="minLevel"), Param(name="startDate", schema=MOMENT),
            Param(name="endDate", schema=MOMENT), Param(name="page", schema=INTEGER), Param(name="size", schema=INTEGER),
        ),
    ),
    Route(
        method="GET", path=_ONE_LOG, handler=_logs, about=f"Log of an execution, oldest first, at most {limits.PAGE_SIZE_MAX * 10:,} entries",
        tag="logs", query=(*_WHICH, _AFTER), answers={200: {"type": "array", "items": ref("LogEntry")}}, errors=(404, 422),
    ),
    Route(
        method="GET", path=_ONE_LOG + "/download", handler=_download, about="Log as text", tag="logs", query=_WHICH, content="text/plain",
        answers={200: TEXT}, errors=(404, 422),
    ),
    Route(
        method="GET", path=_ONE_LOG + "/follow", handler=_follow, about="Log as it grows; the event id is the seq, Last-Event-ID resumes", tag="logs",
        query=(*_WHICH, _AFTER), content="text/event-stream", answers={200: TEXT}, errors=(404, 422, 429), stream=True,
    ),
    Route(
        method="GET", path="/metrics/{execution}", handler=_metrics, about="Metrics that tasks published", tag="metrics",
        answers={200: paged(ref("MetricEntry"))},
        query=(Param(name="taskId"), Param(name="taskRunId"), Param(name="page", schema=INTEGER), Param(name="size", schema=INTEGER)),
        errors=(404, 422),
    ),
    Route(
        method="GET", path=_FILE, handler=_file, about="A file of an execution", tag="files", query=(_PATH,), content="application/octet-stream",
        answers={200: _BYTES, 206: _BYTES, 302: None}, errors=(400, 404, 416), stream=True,
    ),
    Route(method="GET", path=_FILE + "/metas", handler=_file_metas, about="Size of a file", tag="files", query=(_PATH,),
        answers={200: ref("FileMetas")}, errors=(400, 404),
   ),
    Route(
        method="GET", path=_FILE + "/preview", handler=_file_preview, about="Beginning of a file", tag="files", errors=(400, 404, 422),
        answers={200: ref("FilePreview")},
        query=(_PATH, Param(name="maxRows", schema=INTEGER), Param(name="encoding")),
    ),
]
