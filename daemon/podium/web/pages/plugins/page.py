"""The pages of plug-ins: all types with a search, one type with all that is known of it, and those that failed to load with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiohttp import web

from podium.base.errors import NotFound
from podium.web.api.plugins.language import catalogue
from podium.web.context import context
from podium.web.pages.plugins.catalogue import KINDS, Catalogue, Entry, Property
from podium.web.pages.render import page, render
from podium.web.pages.text import coloured, markdown
from podium.web.params import Query

_PARTS_MAX = 60


async def plugins_page(request: web.Request) -> web.Response:
    """Every type by plug-in. ?q= and ?kind= choose."""
    query = Query(request)
    wanted, kind = query.text("q") or "", query.text("kind") or ""
    known = await asyncio.to_thread(catalogue, request.app)
    found = known.search(wanted, kind)
    groups: dict[str, list[Entry]] = {}
    for each in found:
        groups.setdefault(each.group, []).append(each)
    ordered = list(groups.items()) if wanted else sorted(groups.items())
    return await render(
        request, "plugins/plugins.html", groups=ordered, total=len(found), wanted=wanted, kind=kind, kinds=KINDS, broken=known.broken,
        counts={name: sum(each.kind == name for each in known.entries) for name in KINDS},
    )


async def plugin_page(request: web.Request) -> web.Response:
    """One type. It may be named whole, short or by an older name."""
    known, name = await asyncio.to_thread(catalogue, request.app), request.match_info["type"]
    found = known.find(name, context(request).types)
    if found is None:
        near = context(request).types.suggest(name[:200])
        raise NotFound(f"there is no type '{name[:200]}'", hint=f"did you mean {near}?" if near else "see /plugins for every type")
    return await render(
        request, "plugins/plugin.html", entry=found, about=markdown(found.about), parts=list(_parts(known, (*found.properties, *found.common))),
        example=coloured(found.example), words=markdown, names={each.name for each in known.entries},
    )


def _parts(known: Catalogue, properties: tuple[Property, ...]) -> Iterator[tuple[str, str, tuple[Property, ...]]]:
    """What stands inside of these properties, at any depth: (name, words, properties)."""
    waiting, seen = [name for each in properties for name in each.refers], set[str]()
    while waiting and len(seen) < _PARTS_MAX:
        name = waiting.pop(0)
        if name in seen or name not in known.parts:
            continue
        seen.add(name)
        about, inner = known.parts[name]
        yield name, about, inner
        waiting += [each for one in inner for each in one.refers]


ROUTES = (page("GET", "/plugins", plugins_page), page("GET", "/plugins/{type}", plugin_page))
