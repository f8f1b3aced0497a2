"""The keys of a namespace as a page: add, change, remove, by forms. A value that a form sent wrong stays in the form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base import limits
from podium.base.errors import PodiumError
from podium.web.api.editing.rights import check_names
from podium.web.api.kv import KEY, TYPES, kind_of, typed
from podium.web.context import context
from podium.web.errors import Refused, status_of
from podium.web.pages.navigation import flash
from podium.web.pages.render import hide, page, text_for
from podium.web.params import Query, duration, read_form
from podium.web.people.roles import Role
from podium.web.routes import Route
from podium.web.wire import encode

Show = Callable[..., Awaitable[web.Response]]
SIZE = 50
_SHOWN_CHARS = 200


async def tab(request: web.Request, namespace: str, shown: Any) -> dict[str, Any]:
    """The keys; with ?key= that one in the form."""
    query, orchestrator = Query(request), context(request).orchestrator
    wanted, number, chosen = (query.text("q") or "").lower(), query.integer("page", 1, high=1_000_000) or 1, query.text("key")
    every = [each for each in await orchestrator.kv_list(namespace) if wanted in str(each.get("key", "")).lower()]
    rows = []
    for each in every[(number - 1) * SIZE : number * SIZE]:
        entry = await orchestrator.kv(namespace, str(each["key"]))
        if entry is not None:
            rows.append({**each, "type": entry.get("type") or kind_of(entry.get("value")), "text": _text(hide(entry.get("value")))[:_SHOWN_CHARS]})
    entry = await orchestrator.kv(namespace, chosen) if chosen else None
    form = {"key": chosen or "", "type": "STRING", "value": "", "ttl": ""}
    if entry is not None:
        form |= {"type": entry.get("type") or kind_of(entry.get("value")), "value": _text(hide(entry.get("value")))}
    return {
        "rows": rows, "total": len(every), "page": number, "size": SIZE, "wanted": wanted, "types": TYPES, "form": form,
        "known": entry is not None, "error": None,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def routes(show: Show) -> tuple[Route, ...]:
    """The route that the forms are sent to. show: makes the page again when one is refused."""

    async def change(request: web.Request) -> web.StreamResponse:
        namespace = request.match_info["namespace"]
        async with read_form(request, text_limit=limits.OUTPUT_BYTES_MAX * 2, file_limit=0) as sent:
            form = {name: sent.first(name) for name in ("key", "type", "value", "ttl")}
            remove = sent.first("_do") == "remove"
        try:
            if remove:
                there = await context(request).orchestrator.kv_delete(namespace, form["key"])
                said = text_for("namespaces.key_removed" if there else "namespaces.key_gone", name=form["key"][:100])
            else:
                await _put(request, namespace, form)
                said = text_for("namespaces.key_saved", name=form["key"])
        except PodiumError as error:
            return await show(request, "kv", status=status_of(error), form=form, error=error)
        response = web.HTTPSeeOther(f"/namespaces/{quote(namespace, safe='')}?tab=kv")
        flash(response, said)
        raise response

    return (page("POST", "/namespaces/{namespace}/kv", change, needs=Role.EDITOR),)


async def _put(request: web.Request, namespace: str, form: dict[str, str]) -> None:
    check_names(namespace)
    key, kind, ttl = form["key"].strip(), form["type"].upper(), form["ttl"].strip()
    if not KEY.fullmatch(key):
        raise Refused(f"'{key[:80]}' is no valid key", hint=text_for("namespaces.key_hint"), path="key")
    if kind not in TYPES:
        raise Refused(f"'{kind[:40]}' is no type of value", hint=f"use one of {', '.join(TYPES)}", path="type")
    text = form["value"].replace("\r\n", "\n")
    value, found = (text, kind) if kind == "STRING" else typed(text, kind)
    ttl_s = duration(ttl, path="ttl").total_seconds() if ttl else None
    if ttl_s is not None and ttl_s <= 0:
        raise Refused("'ttl' must be longer than nothing", hint="write PT1H, for example", path="ttl")
    await context(request).orchestrator.kv_put(namespace, key, value, kind=found, ttl_s=ttl_s)
