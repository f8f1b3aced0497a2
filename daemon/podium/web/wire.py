"""What goes over the wire: JSON, dates and the headers every answer carries.

Called by every handler. What always holds: encoding never fails on what the orchestrator gives (odd Unicode, dates,
durations, unknown objects as text), and dates are ISO text, UTC, milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web
from pydantic import BaseModel

from podium.base.durations import format_duration
from podium.base.moments import to_text
from podium.flows.model import Flow


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_text(value) if value.tzinfo else value.isoformat()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return dump(value)
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def encode(value: Any) -> bytes:
    """`value` as JSON. Infinite numbers and NaN become null; text that is no Unicode is escaped."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, TypeError, OverflowError):
        return json.dumps(_all_plain(value), default=_plain).encode()


def _all_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _all_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_all_plain(item) for item in value]
    return value


def pretty(value: Any) -> str:
    """`value` as indented JSON, for people."""
    return json.dumps(json.loads(encode(value)), indent=2, ensure_ascii=False)


def answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`value` as a JSON answer."""
    return web.Response(status=status, body=encode(value), content_type="application/json", charset="utf-8", headers=headers)


def dump(model: BaseModel) -> dict[str, Any]:
    """A model of the flow language as written: names of the language, what was not set left out."""
    dumped = model.model_dump(mode="python", by_alias=True, exclude_unset=True, serialize_as_any=True)
    return json.loads(encode(dumped))  # type: ignore[no-any-return]  # a model is always a JSON object


def dump_flow(flow: Flow) -> dict[str, Any]:
    """A flow as the API shows it: as written, labels as a list of {key, value}; read again it is the same flow, of the same dialect."""
    dumped = {key: value for key, value in dump(flow).items() if key != "dialect"}
    if flow.dialect == "2.0" and "checks" in dumped:
        dumped["checks"] = [{"when" if key == "condition" else key: value for key, value in each.items()} for each in dumped["checks"]]
    if flow.labels:
        dumped["labels"] = [{"key": key, "value": value} for key, value in flow.labels.items()]
    return {**dumped, "id": flow.id, "namespace": flow.namespace, "disabled": flow.disabled}


def header_text(value: str) -> str:
    """The value of a header as text that can be stored: UTF-8, else Latin-1 as HTTP had it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value
