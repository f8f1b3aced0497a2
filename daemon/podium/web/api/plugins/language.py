"""`/plugins`: the JSON Schema of the language, every installed type, the words of expressions. For editors, forms and scripts.

What always holds: plug-ins change only when the daemon starts, so each answer is made once, kept packed, and named by an ETag that browsers ask with.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from aiohttp import web

from podium.base.errors import NotFound
from podium.expressions.words.about import vocabulary
from podium.flows.schema import of_type
from podium.web.context import CONTEXT, context
from podium.web.pages.plugins.catalogue import Catalogue, Entry, catalogue_of
from podium.web.routes import LIST, OBJECT, Route
from podium.web.wire import encode

_GROUPS_KIND = {"task": "tasks", "trigger": "triggers", "condition": "conditions", "runner": "taskRunners"}


@dataclass(slots=True)
class _Kept:
    """What was made of the schema. lock: two that ask at once make it once."""

    schema: dict[str, Any] | None = None
    catalogue: Catalogue | None = None
    bodies: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Name → its ETag and the packed JSON."""
    lock: Lock = field(default_factory=Lock)


_KEPT: web.AppKey[_Kept] = web.AppKey("language", _Kept)


def keep(app: web.Application) -> None:
    """Called once, when the application is made."""
    app[_KEPT] = _Kept()


def schema_of(app: web.Application) -> dict[str, Any]:
    """The schema of a flow. Takes about a second the first time: not on the loop."""
    kept = app[_KEPT]
    with kept.lock:
        if kept.schema is None:
            kept.schema = dict(app[CONTEXT].flow_schema())
        return kept.schema


def catalogue(app: web.Application) -> Catalogue:
    """Every type that is installed. As slow as the schema the first time."""
    schema, kept = schema_of(app), app[_KEPT]
    with kept.lock:
        if kept.catalogue is None:
            kept.catalogue = catalogue_of(schema, app[CONTEXT].types)
        return kept.catalogue


async def _kept_answer(request: web.Request, name: str, make: Callable[[], Any]) -> web.Response:
    kept = request.app[_KEPT]
    if name not in kept.bodies:
        kept.bodies[name] = await asyncio.to_thread(_packed, make)
    tag, body = kept.bodies[name]
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=body, headers={**headers, "Content-Encoding": "gzip"}, content_type="application/json", charset="utf-8")
    return web.Response(body=gzip.decompress(body), headers=headers, content_type="application/json", charset="utf-8")


def _packed(make: Callable[[], Any]) -> tuple[str, bytes]:
    body = encode(make())
    return hashlib.sha256(body).hexdigest()[:20], gzip.compress(body, 6, mtime=0)


async def _schema(request: web.Request) -> web.Response:
    return await _kept_answer(request, "flow", lambda: schema_of(request.app))


async def _schema_of_kind(request: web.Request) -> web.Response:
    """Of one kind: a task, a trigger; or of one type by its name."""
    name = request.match_info["kind"]
    schema = await asyncio.to_thread(schema_of, request.app)
    if name in _GROUPS_KIND and name in schema["definitions"]:
        return await _kept_answer(request, name, lambda: {**schema["definitions"][name], "definitions": schema["definitions"]})
    found = of_type(schema, context(request).types.canonical(name))
    if found is None:
        raise NotFound(f"there is no schema of '{name[:200]}'", hint=f"name a type, or one of flow, {', '.join(_GROUPS_KIND)}")
    return await _kept_answer(request, f"type {found['title']}", lambda: found)


async def _expressions(request: web.Request) -> web.Response:
    def make() -> dict[str, Any]:
        entries = catalogue(request.app).entries
        outputs = {each.name: list(each.outputs) for each in entries if each.outputs}
        return {**vocabulary(), "outputs": outputs}

    return await _kept_answer(request, "expressions", make)


async def _list(request: web.Request) -> web.Response:
    return await _kept_answer(request, "plugins", lambda: _plugins(catalogue(request.app)))


def _plugins(known: Catalogue) -> list[dict[str, Any]]:
    """By package: its types of each kind; those that failed to load with their error."""
    groups: dict[str, list[Entry]] = {}
    for each in known.entries:
        if each.kind in _GROUPS_KIND:
            groups.setdefault(each.origin, []).append(each)
    made: list[dict[str, Any]] = []
    for origin, entries in sorted(groups.items()):
        name, _, version = origin.partition(" ")
        kinds = {words: [_class(each) for each in entries if each.kind == kind] for kind, words in _GROUPS_KIND.items()}
        aliases = [alias for each in entries for alias in each.aliases]
        made.append({"name": name, "title": name, "version": version, "group": name, **kinds, "aliases": aliases})
    return made + [{"name": name, "title": name, "group": name, "error": reason} for name, reason in known.broken]


def _class(entry: Entry) -> dict[str, Any]:
    return {"cls": entry.name, "deprecated": bool(entry.deprecated)}


async def _one(request: web.Request) -> web.Response:
    name = request.match_info["type"]
    found = (await asyncio.to_thread(catalogue, request.app)).find(name, context(request).types)
    schema = of_type(schema_of(request.app), found.name) if found is not None else None
    if found is None or (schema is None and found.kind != "input"):
        raise NotFound(f"there is no type '{name[:200]}'", hint="see /api/v1/plugins for every type")
    properties = [
        {
            "name": each.name, "value": each.value, "required": each.required, "default": each.default, "dynamic": each.dynamic,
            "description": each.about,
        }
        for each in (*found.properties, *found.common)
    ]
    return await _kept_answer(request, f"one {found.name}", lambda: {
        "type": found.name, "title": found.short, "markdown": found.about, "origin": found.origin, "aliases": found.aliases, "example": found.example,
        "outputs": found.outputs, "properties": properties,
        "schema": {"properties": schema, "outputs": {}, "definitions": (schema or {}).get("definitions", {})},
    })


ROUTES = (
    Route(
        method="GET", path="/plugins/schemas/flow", handler=_schema, about="JSON Schema of a flow, for editors", tag="plugins",
        answers={200: OBJECT}, errors=(),
    ),
    Route(
        method="GET", path="/plugins/schemas/{kind}", handler=_schema_of_kind, about="JSON Schema of a kind of types, or of one type",
        tag="plugins", answers={200: OBJECT}, errors=(404,),
    ),
    Route(
        method="GET", path="/plugins/expressions", handler=_expressions, about="What expressions can call and name; outputs of types",
        tag="plugins", answers={200: OBJECT}, errors=(),
    ),
    Route(method="GET", path="/plugins", handler=_list, about="Installed plug-ins and their types", tag="plugins", answers={200: LIST}, errors=()),
    Route(
        method="GET", path="/plugins/{type}", handler=_one, about="One type: words, properties, outputs, example, schema", tag="plugins",
        answers={200: OBJECT}, errors=(404,),
    ),
)
