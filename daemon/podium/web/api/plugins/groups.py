"""Plug-ins by group, types of inputs, icons, further schemas (flow-language 10.3). One type, and the schema of a flow, are in language.

Icons are our own: the first letters of a type on a colour of its group. What always holds: answers come from what is installed, made once at most.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from podium.base.errors import NotFound
from podium.flows.dashboards.fields import CHART_PREFIX, CHARTS
from podium.flows.dashboards.model import DashboardFile, KpiChart, MarkdownChart, TableChart
from podium.web.api.plugins.language import catalogue, schema_of
from podium.web.pages.plugins.catalogue import Catalogue, Entry
from podium.web.params import Query
from podium.web.routes import FLAG, OBJECT, TEXT, Param, Route
from podium.web.wire import answer

_FLOWABLE = ".flow."
_KINDS = {"task": "tasks", "trigger": "triggers", "condition": "conditions", "runner": "taskRunners"}


async def _known(request: web.Request) -> Catalogue:
    return await asyncio.to_thread(catalogue, request.app)


async def _subgroups(request: web.Request) -> web.Response:
    return answer(_groups((await _known(request)).entries))


def _groups(entries: tuple[Entry, ...]) -> list[dict[str, Any]]:
    """By the group that people look for them under: names of its types of each kind."""
    found: dict[str, dict[str, Any]] = {}
    for each in entries:
        if each.kind in _KINDS:
            names = {"name": each.group, "title": each.group, "group": each.group.split(".")[0], "subGroup": each.group}
            group = found.setdefault(each.group, {**names, **{kind: [] for kind in _KINDS.values()}})
            group[_KINDS[each.kind]].append({"cls": each.name, "deprecated": bool(each.deprecated), "title": each.first_line})
    return [group for _, group in sorted(found.items())]


async def _inputs(request: web.Request) -> web.Response:
    found = [each for each in (await _known(request)).entries if each.kind == "input"]
    return answer([{"type": each.name, "cls": each.name, "title": each.first_line} for each in found])


async def _input(request: web.Request) -> web.Response:
    name = request.match_info["type"].upper()
    found = next((each for each in (await _known(request)).entries if each.kind == "input" and each.name.upper() == name), None)
    if found is None:
        raise NotFound(f"there is no type of input '{name[:80]}'", hint="list them: GET /api/v1/plugins/inputs")
    properties = {
        each.name: {"description": each.about, "value": each.value, "default": each.default, "required": each.required}
        for each in (*found.properties, *found.common)
    }
    required = [each.name for each in (*found.properties, *found.common) if each.required]
    return answer({"type": found.name, "markdown": found.about, "schema": {"type": "object", "properties": properties, "required": required}})


async def _icons(request: web.Request) -> web.Response:
    return answer({each.name: _icon(each) for each in (await _known(request)).entries if each.kind in _KINDS})


async def _icons_of_groups(request: web.Request) -> web.Response:
    groups = _groups((await _known(request)).entries)
    return answer({each["name"]: {"name": each["name"], "icon": picture(each["name"]), "flowable": False} for each in groups})


def _icon(entry: Entry) -> dict[str, Any]:
    return {"name": entry.short.rpartition(".")[2], "icon": picture(entry.short), "flowable": _FLOWABLE in f".{entry.short}"}


def picture(name: str) -> str:
    """An SVG in base64: the first letters of the last part of a name, on the colour of what is before it."""
    group, _, last = name.rpartition(".")
    hue = int(hashlib.sha256((group or last).encode()).hexdigest()[:6], 16) % 360
    letters = escape("".join(char for char in last if char.isupper())[:2] or last[:2].title())
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="hsl({hue} 45% 38%)"/>'
        f'<text x="12" y="16" font-family="sans-serif" font-size="11" text-anchor="middle" fill="#fff">{letters}</text></svg>'
    )
    return base64.b64encode(text.encode()).decode()


async def _plugin_default(request: web.Request) -> web.Response:
    schema = await asyncio.to_thread(schema_of, request.app)
    return _shaped(request, schema["definitions"]["PluginDefault"], schema["definitions"])


async def _dashboard(request: web.Request) -> web.Response:
    whole = DashboardFile.model_json_schema()
    definitions = dict(whole.pop("$defs", {}))
    kinds: dict[str, type[BaseModel]] = {"Markdown": MarkdownChart, "KPI": KpiChart}
    for name in CHARTS:
        chart = kinds.get(name, TableChart).model_json_schema()
        definitions.update(chart.pop("$defs", {}))
        chart["properties"]["type"] = {"const": f"{CHART_PREFIX}{name}"}
        definitions[name] = chart
    charts = {"type": "array", "items": {"anyOf": [{"$ref": f"#/definitions/{name}"} for name in CHARTS]}}
    shaped = json.dumps({"schema": {**whole, "properties": {**whole["properties"], "charts": charts}}, "definitions": definitions})
    found = json.loads(shaped.replace("#/$defs/", "#/definitions/"))
    return _shaped(request, found["schema"], found["definitions"])


def _shaped(request: web.Request, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> web.Response:
    shown = {"type": "array", "items": schema} if Query(request).flag("arrayOf") else dict(schema)
    return answer({"$schema": "http://json-schema.org/draft-07/schema#", **shown, **({"definitions": definitions} if definitions else {})})


_ICON = {"type": "object", "properties": {"name": TEXT, "icon": {"type": "string", "contentEncoding": "base64"}, "flowable": FLAG}}
_ICONS = {"type": "object", "additionalProperties": _ICON}
_LISTED = {"type": "array", "items": {"type": "object", "properties": {"type": TEXT, "cls": TEXT, "title": TEXT}}}
_ARRAY_OF = (Param(name="arrayOf", schema=FLAG, about="the schema of a list of them"),)
ROUTES = (
    Route(
        method="GET", path="/plugins/groups/subgroups", handler=_subgroups, about="Types by the group that people look for them under", tag="plugins",
        answers={200: {"type": "array", "items": OBJECT}}, errors=(),
    ),
    Route(method="GET", path="/plugins/icons", handler=_icons, about="A picture of every type", tag="plugins", answers={200: _ICONS}, errors=()),
    Route(
        method="GET", path="/plugins/icons/groups", handler=_icons_of_groups, about="A picture of every group", tag="plugins", answers={200: _ICONS},
        errors=(),
    ),
    Route(method="GET", path="/plugins/inputs", handler=_inputs, about="Types of inputs", tag="plugins", answers={200: _LISTED}, errors=()),
    Route(
        method="GET", path="/plugins/inputs/{type}", handler=_input, about="One type of input", tag="plugins", answers={200: OBJECT}, errors=(404,),
    ),
    Route(
        method="GET", path="/plugins/schemas/plugindefault", handler=_plugin_default, about="JSON Schema of a plugin default", tag="plugins",
        query=_ARRAY_OF, answers={200: OBJECT}, errors=(422,),
    ),
    Route(
        method="GET", path="/plugins/schemas/dashboard", handler=_dashboard, about="JSON Schema of a dashboard", tag="plugins", query=_ARRAY_OF,
        answers={200: OBJECT}, errors=(422,),
    ),
)
