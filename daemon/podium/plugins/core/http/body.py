"""Bodies of HTTP requests: text, forms, and multipart forms whose files are streamed from disk. Called by `tasks`."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from podium.base.system.ids import new_token
from podium.expressions.text import java_text
from podium.plugins.core.http.client import Body, content_type_of

_FILE_SCHEMES = ("kestra://", "nsfile://", "file://")
_CHUNK_BYTES = 256 * 1024
Fetch = Callable[[str], Path]
"""URI of a stored file → a local copy of it."""


def text_body(text: str, content_type: str | None, charset: str) -> Body:
    """A body of text. Without a content type it is taken for JSON when it looks like it."""
    named = content_type or ("application/json" if text.lstrip()[:1] in ("{", "[") else "text/plain")
    own_charset = content_type_of(named)[1]
    if own_charset is None and named.startswith("text/"):
        named = f"{named}; charset={charset}"
    return Body.of(text.encode(own_charset or charset), named)


def form_body(fields: Mapping[str, Any], content_type: str | None) -> Body:
    """A form as browsers send it; a list gives its name several values."""
    pairs = [(name, java_text(each)) for name, value in fields.items() for each in (value if isinstance(value, list) else [value])]
    return Body.of(urlencode(pairs).encode(), content_type or "application/x-www-form-urlencoded")


def multipart_body(fields: Mapping[str, Any], fetch: Fetch) -> Body:
    """A multipart form: a stored file's URI, or {name, content: URI}, uploads the file; other maps and lists go as JSON."""
    boundary = "podium-" + new_token(18)
    pieces: list[bytes | Path] = []
    for name, value in fields.items():
        head, content = _part(name, value, fetch)
        pieces += [f"--{boundary}\r\n{head}\r\n\r\n".encode(), content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    length = sum(len(each) if isinstance(each, bytes) else each.stat().st_size for each in pieces)
    return Body(f"multipart/form-data; boundary={boundary}", length, lambda: _stream(pieces))


def _part(name: str, value: Any, fetch: Fetch) -> tuple[str, bytes | Path]:
    if _is_file(value):
        return _file_part(name, _last_segment(value), fetch(value))
    if isinstance(value, Mapping) and isinstance(value.get("content"), str) and "name" in value:
        content = value["content"]
        if _is_file(content):
            return _file_part(name, str(value["name"]), fetch(content))
        return _file_part(name, str(value["name"]), content.encode())
    if isinstance(value, (Mapping, list)):
        return f"{_disposition(name)}\r\nContent-Type: application/json", json.dumps(value, ensure_ascii=False, default=str).encode()
    return f"{_disposition(name)}\r\nContent-Type: text/plain; charset=UTF-8", java_text(value).encode()


def _file_part(name: str, file_name: str, content: bytes | Path) -> tuple[str, bytes | Path]:
    guessed = mimetypes.guess_type(file_name)[0] or "application/octet-stream"
    return f"{_disposition(name, file_name)}\r\nContent-Type: {guessed}", content


def _disposition(name: str, file_name: str | None = None) -> str:
    text = f'Content-Disposition: form-data; name="{_escaped(name)}"'
    return text + (f'; filename="{_escaped(file_name)}"' if file_name is not None else "")


def _escaped(text: str) -> str:
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_FILE_SCHEMES)


def _last_segment(uri: str) -> str:
    return unquote(urlsplit(uri).path).rpartition("/")[2] or "file"


def _stream(pieces: list[bytes | Path]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        with piece.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk
