"""For containers on other machines: they fetch their task's files here and bring what it printed, how it ended and the files that are kept.

What always holds: each attempt has a token of its own, which opens nothing else; bodies are read up to a limit only. What is answered is decided by
runners/remote/desk, as its other side is a program of ours (runners/native/transfer), not a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO

from aiohttp import web

from podium.base.limits import LISTING_BYTES_MAX
from podium.base.ports import Answer
from podium.runners.remote.desk import FAILURE_BYTES_MAX, OUTPUT_PIECE_BYTES_MAX, Desk
from podium.web.context import context
from podium.web.params import read_bytes, read_pieces
from podium.web.people.identify import given_token
from podium.web.routes import Handler, Route

_PIECE_BYTES = 256 * 1024


def _desk(request: web.Request) -> Desk:
    desk = context(request).transfers
    if desk is None:
        raise web.HTTPNotFound
    return desk


def _admitted(handler: Handler) -> Handler:
    """Only who shows the attempt's token is let in."""

    async def admitted(request: web.Request) -> web.StreamResponse:
        refusal = await asyncio.to_thread(_desk(request).admit, request.match_info["attempt"], given_token(request) or "")
        return _reply(refusal) if refusal is not None else await handler(request)

    return admitted


def _reply(answer: Answer) -> web.Response:
    body = answer.body.encode() if isinstance(answer.body, str) else answer.body
    return web.Response(status=answer.status, body=body, content_type=answer.content_type)


def _who(request: web.Request) -> tuple[str, str]:
    return request.match_info["attempt"], request.query.get("by", "")


def _number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "")
    if not text.isdigit() or len(text) > 15:
        raise web.HTTPBadRequest
    return int(text)


async def _input(request: web.Request) -> web.StreamResponse:
    found = await _desk(request).input(*_who(request))
    if isinstance(found, Answer):
        return _reply(found)
    with found:
        response = web.StreamResponse(headers={"Content-Type": "application/x-tar", "Content-Length": str(await asyncio.to_thread(_size, found))})
        await response.prepare(request)
        while piece := await asyncio.to_thread(found.read, _PIECE_BYTES):
            await response.write(piece)
        await response.write_eof()
    return response


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


async def _output(request: web.Request) -> web.StreamResponse:
    data = await read_bytes(request, limit=OUTPUT_PIECE_BYTES_MAX)
    return _reply(await _desk(request).output(*_who(request), request.query.get("stream", ""), _number(request, "offset"), data))


async def _orders(request: web.Request) -> web.StreamResponse:
    return _reply(await _desk(request).orders(*_who(request)))


async def _listing(request: web.Request) -> web.StreamResponse:
    # One byte over the limit comes through: that it was cut off is said where the task's log is.
    listing = await read_bytes(request, limit=2 * LISTING_BYTES_MAX)
    return _reply(await _desk(request).list_files(*_who(request), _number(request, "code"), listing))


async def _result(request: web.Request) -> web.StreamResponse:
    pieces: AsyncIterator[bytes] = read_pieces(request)
    return _reply(await _desk(request).result(*_who(request), pieces, request.content_length))


async def _failed(request: web.Request) -> web.StreamResponse:
    return _reply(await _desk(request).failure(*_who(request), await read_bytes(request, limit=FAILURE_BYTES_MAX)))


_AT = "/transfers/{attempt}"
ROUTES = [
    Route(
        method=method, path=f"{_AT}/{path}", handler=_admitted(handler), about=about, tag="transfers", open=True, hidden=True,
        stream=path == "orders",
    )
    for method, path, handler, about in (
        ("GET", "input", _input, "The files of an attempt"),
        ("POST", "output", _output, "Bytes that the command printed"),
        ("GET", "orders", _orders, "Wait for the order to end"),
        ("POST", "listing", _listing, "What the command left, answered with what is wanted of it"),
        ("PUT", "result", _result, "How the command ended, and its files"),
        ("POST", "failed", _failed, "Why the command cannot be run"),
    )
]
