"""The key-value store over the API (flow-language 10.3). A value's type is inferred from what is sent, unless said."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.durations import parse_duration
from podium.base.errors import NotFound
from podium.web.api.editing.rights import check_names
from podium.web.context import context
from podium.web.errors import BadRequest, Expired, Refused
from podium.web.params import Query, duration, moment, parse_json, read_object, read_text
from podium.web.people.roles import Role, sees
from podium.web.routes import FLAG, INTEGER, TEXT, Body, Param, Route, paged, ref
from podium.web.wire import answer

TYPES = ("STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON")
KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,255}")
_DURATION = re.compile(r"[-+]?P[0-9DTHMS.,+-]+", re.IGNORECASE)


def _where(request: web.Request) -> tuple[str, str]:
    return request.match_info["namespace"], request.match_info["key"]


async def _list(request: web.Request) -> web.Response:
    entries = await context(request).orchestrator.kv_list(request.match_info["namespace"])
    return answer([_entry(each) for each in entries])


async def _search(request: web.Request) -> web.Response:
    """Of one namespace and those below it, or of all that the caller sees."""
    query = Query(request)
    page = query.page(sorts=("key", "namespace"))
    found, total = await context(request).orchestrator.kv_search(
        namespace=query.text("namespace"), text=query.text("q") or "", page=page.number, size=page.size
    )
    return answer({"results": found, "total": total})


async def _inherited(request: web.Request) -> web.Response:
    """The keys of the namespaces above, the nearest first; the caller sees those of namespaces that they may read."""
    here, namespace = context(request), request.match_info["namespace"]
    found = []
    while "." in namespace:
        namespace = namespace.rpartition(".")[0]
        if sees(request, namespace):
            found += [{**_entry(each), "namespace": namespace} for each in await here.orchestrator.kv_list(namespace)]
    return answer(found)


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of a list: everything but the value."""
    return {key: value for key, value in entry.items() if key != "value"}


async def _get(request: web.Request) -> web.Response:
    namespace, key = _where(request)
    entry = await context(request).orchestrator.kv(namespace, key)
    if entry is None and await context(request).orchestrator.kv_expired(namespace, key):
        raise Expired(f"the key '{key}' of namespace '{namespace}' has expired", hint="set it again, with a longer ttl", key=key)
    if entry is None:
        raise NotFound(f"namespace '{namespace}' has no key '{key}'", hint=f"list the keys: podium kv list {namespace}", key=key)
    return answer({"type": entry.get("type") or kind_of(entry.get("value")), "value": entry.get("value")})


async def _put(request: web.Request) -> web.Response:
    namespace, key = _where(request)
    check_names(namespace)
    if not KEY.fullmatch(key):
        raise Refused(f"'{key[:80]}' is no valid key", hint="use letters, digits, '.', '_' and '-', beginning with a letter or digit", path="key")
    query = Query(request)
    kind = (query.text("type") or "").upper() or None
    if kind is not None and kind not in TYPES:
        raise Refused(f"'{kind[:40]}' is no type of value", hint=f"use one of {', '.join(TYPES)}", path="type")
    text = await read_text(request, limit=limits.OUTPUT_BYTES_MAX)
    value, found = typed(text, kind) if kind else inferred(text, plain=request.content_type == "text/plain")
    ttl = request.headers.get("ttl") or query.text("ttl")
    ttl_s = duration(ttl, path="ttl").total_seconds() if ttl else None
    if ttl_s is not None and ttl_s <= 0:
        raise Refused("'ttl' must be longer than nothing", hint="write PT1H, for example", path="ttl")
    await context(request).orchestrator.kv_put(namespace, key, value, kind=found, ttl_s=ttl_s)
    return web.Response(status=200)


def inferred(text: str, *, plain: bool) -> tuple[Any, str]:
    """The value and type of a body: a JSON literal, or a date, date-time or duration without quotes; as text when it was sent as plain text."""
    bare = text.strip()
    if is_date(bare):
        return bare, "DATE"
    if re.match(r"\d{4}-\d\d-\d\dT", bare):
        moment(bare, path="value")
        return bare, "DATETIME"
    if _DURATION.fullmatch(bare):
        duration(bare, path="value")
        return bare, "DURATION"
    try:
        value = parse_json(text)
    except BadRequest as error:
        if plain:
            return text, "STRING"
        raise Refused("the value is not a JSON literal", hint='put text in quotes: "hello"', path="value") from error
    return value, kind_of(value)


def is_date(text: str) -> bool:
    """Whether `text` is a date without a time."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def kind_of(value: Any) -> str:
    """The type of a JSON value; text is STRING."""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, (int, float)):
        return "NUMBER"
    return "STRING" if isinstance(value, str) else "JSON"


def typed(text: str, kind: str) -> tuple[Any, str]:
    """The value of a body whose type is said. Text may stand with or without JSON's quotes."""
    bare = text.strip()
    unquoted = parse_json(text) if bare.startswith('"') else text if kind == "STRING" else bare
    if kind == "STRING":
        return str(unquoted), kind
    try:
        if kind == "DATETIME":
            moment(str(unquoted), path="value")
            return unquoted, kind
        if kind == "DURATION":
            parse_duration(str(unquoted))
            return unquoted, kind
        if kind == "DATE" and is_date(str(unquoted)):
            return unquoted, kind
        value = parse_json(text)
        if kind == "JSON" or (kind != "DATE" and kind_of(value) == kind):
            return value, kind
    except (ValueError, BadRequest) as error:
        raise Refused(f"the value is no {kind}: '{bare[:80]}'", hint="see docs/api.md for how each type is written", path="value") from error
    raise Refused(f"the value is no {kind}: '{bare[:80]}'", hint="see docs/api.md for how each type is written", path="value")


async def _delete(request: web.Request) -> web.Response:
    return answer(await context(request).orchestrator.kv_delete(*_where(request)))


async def _delete_many(request: web.Request) -> web.Response:
    keys = (await read_object(request, limit=limits.BODY_BYTES_MAX)).get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(keys) > limits.PAGE_SIZE_MAX:
        raise BadRequest("the body needs 'keys', a list of texts", hint='send {"keys": ["a", "b"]}', path="keys")
    namespace = request.match_info["namespace"]
    orchestrator = context(request).orchestrator
    gone = [key for key in dict.fromkeys(keys) if await orchestrator.kv_delete(namespace, key)]
    return answer({"keys": gone})


_ALL, _ONE = "/namespaces/{namespace}/kv", "/namespaces/{namespace}/kv/{key}"
_KEYS = {"type": "object", "required": ["keys"], "properties": {"keys": {"type": "array", "items": TEXT}}}
_VALUE = Body(content={"application/json": {}, "text/plain": TEXT}, required=True, about="a JSON literal, or a date, date-time or duration")
ROUTES = [
    Route(
        method="GET", path=_ALL, handler=_list, about="Keys of a namespace", tag="kv", answers={200: {"type": "array", "items": ref("KV")}},
        errors=(),
    ),
    Route(
        method="DELETE", path=_ALL, needs=Role.EDITOR, handler=_delete_many, about="Remove several keys", tag="kv", errors=(400,),
        answers={200: _KEYS},
        body=Body(content={"application/json": _KEYS}, required=True),
    ),
    Route(
        method="GET", path="/kv", handler=_search, about="Search keys", tag="kv", answers={200: paged(ref("KV"))}, errors=(400, 422),
        query=(
            Param(name="namespace", about="this and those below it; default all"), Param(name="q", about="part of the key"),
            Param(name="page", schema=INTEGER), Param(name="size", schema=INTEGER),
        ),
    ),
    Route(
        method="GET", path=_ALL + "/inheritance", handler=_inherited, about="Keys of the namespaces above", tag="kv", errors=(),
        answers={200: {"type": "array", "items": ref("KV")}},
    ),
    Route(method="GET", path=_ONE, handler=_get, about="One value with its type", tag="kv", answers={200: ref("KVValue")}, errors=(404, 410)),
    Route(
        method="PUT", path=_ONE, needs=Role.EDITOR, handler=_put, about="Set a value", tag="kv", body=_VALUE, answers={200: None}, errors=(400, 422),
        query=(
            Param(name="ttl", place="header", about="how long it lives: PT1H"),
            Param(name="type", about=f"one of {', '.join(TYPES)}; default by the value"),
        ),
    ),
    Route(
        needs=Role.EDITOR,
        method="DELETE", path=_ONE, handler=_delete, about="Remove a key; whether it was there", tag="kv", answers={200: FLAG}, errors=(),
    ),
]
