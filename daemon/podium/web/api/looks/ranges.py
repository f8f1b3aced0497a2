"""A stored file as an answer: whole, or the one range of bytes that is asked for (RFC 9110, section 14).

Called by the routes of files. What always holds: no more than one chunk is in memory; several ranges at once are answered with the whole file, as a
server may; a range that begins behind the end is a 416.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from aiohttp import web

from podium.web.context import Context
from podium.web.errors import RangeNotThere

CHUNK_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})")


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(first byte, one after the last) of a Range header; None for the whole. Raises RangeNotThere."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or end <= start:
        raise RangeNotThere(f"the file has {size} bytes", hint="ask for a range within it: bytes=0-1023", size=size)
    return start, end


async def send_stored(request: web.Request, here: Context, uri: str, headers: Mapping[str, str]) -> web.StreamResponse:
    """The bytes at a `kestra://` URI. Raises NotFound, RangeNotThere."""
    size = await here.orchestrator.file_size(uri)
    tag = f'"{hashlib.sha256(f"{uri} {size}".encode()).hexdigest()[:24]}"'
    fresh = request.headers.get("If-Range") in (None, tag)
    part = asked_range(request.headers.get("Range"), size) if fresh and request.method == "GET" else None
    start, end = part or (0, size)
    response = web.StreamResponse(
        status=200 if part is None else 206, headers={**headers, "Content-Length": str(end - start), "Accept-Ranges": "bytes", "ETag": tag}
    )
    if part is not None:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    await response.prepare(request)
    while start < end and request.method != "HEAD":
        chunk = await here.orchestrator.read_file(uri, offset=start, length=min(CHUNK_BYTES, end - start))
        if not chunk:
            break
        await response.write(chunk)
        start += len(chunk)
    await response.write_eof()
    return response
