"""The body of a webhook delivery as variables of a trigger: JSON, text, forms and uploaded files. Called by webhook.

FETCH: `trigger.body` is the JSON object or list, else the text. STORE: the body is a file in storage, `trigger.uri`. NONE: the body is
dropped. Forms: `trigger.formFields` (name → list of texts) and, for uploads, `trigger.parts` (their files are in storage).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from podium.base.errors import LimitError
from podium.base.limits import FORM_FIELDS_MAX
from podium.base.ports import Delivery
from podium.expressions.text import encodable

Store = Callable[[str, bytes], Awaitable[str]]
"""(file name, content) → URI."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a body gives to `trigger.*`."""

    variables: Mapping[str, Any] = field(default_factory=dict)


async def read_payload(delivery: Delivery, fetch_type: str, store: Store) -> Payload:
    """The variables of a delivery's body. Raises LimitError for a form with too many fields."""
    if fetch_type == "NONE" or not delivery.body:
        return Payload()
    kind, charset = _content_type(delivery)
    if kind == "multipart/form-data":
        return Payload(await _multipart(delivery, store))
    if fetch_type == "STORE":
        return Payload({"uri": await store(f"body{_suffix(kind)}", delivery.body)})
    text = _decoded(delivery.body, charset)
    variables: dict[str, Any] = {"body": _parsed(text)}
    if kind == "application/x-www-form-urlencoded":
        variables["formFields"] = _fields(text)
    return Payload(variables)


def _content_type(delivery: Delivery) -> tuple[str, str]:
    message = Message()
    message["Content-Type"] = next((value for name, value in delivery.headers if name.lower() == "content-type"), "text/plain")
    return message.get_content_type(), message.get_content_charset() or "utf-8"


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _parsed(text: str) -> Any:
    """The JSON object or list that the text is, else the text."""
    if text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        return encodable(json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _fields(text: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError as error:
        raise _too_many() from error
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


async def _multipart(delivery: Delivery, store: Store) -> dict[str, Any]:
    kind = next(value for name, value in delivery.headers if name.lower() == "content-type")
    head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode("utf-8", "replace")
    message = await asyncio.to_thread(BytesParser(policy=HTTP).parsebytes, head + delivery.body)
    fields: dict[str, list[str]] = {}
    parts: list[dict[str, Any]] = []
    for number, part in enumerate(message.iter_parts() if message.is_multipart() else ()):
        if number >= FORM_FIELDS_MAX:
            raise _too_many()
        name = str(part.get_param("name", "", header="content-disposition"))
        data = part.get_payload(decode=True)
        content = data if isinstance(data, bytes) else b""
        filename = part.get_filename()
        if filename is None:
            fields.setdefault(name, []).append(_decoded(content, part.get_content_charset() or "utf-8"))
            continue
        shown = filename.replace("\\", "/").rpartition("/")[2] or "file"
        parts.append({
            "name": name, "filename": shown, "contentType": part.get_content_type(), "size": len(content), "uri": await store(shown, content),
        })
    return {"formFields": fields, "parts": parts}


def _too_many() -> LimitError:
    return LimitError(f"the form has more than {FORM_FIELDS_MAX} fields", hint="send fewer, or a JSON body", limit="FORM_FIELDS_MAX")


def _suffix(kind: str) -> str:
    return {"application/json": ".json", "text/plain": ".txt", "text/csv": ".csv", "application/xml": ".xml"}.get(kind, ".bin")
