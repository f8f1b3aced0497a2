"""Settings: what is in force, where each value comes from, what it means and where to change it. For admins."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

from aiohttp import web

from podium.web.context import context
from podium.web.pages.render import page, render
from podium.web.params import Query
from podium.web.people.roles import Role
from podium.web.routes import Route


async def settings_page(request: web.Request) -> web.StreamResponse:
    """Every setting by section, or those that differ from the defaults."""
    about, query = context(request).about, Query(request)
    wanted, changed = (query.text("q") or "").lower(), query.flag("changed")
    rows = [_row(each) for each in await about.settings()] if about is not None else []
    shown = [
        each for each in rows
        if (each["changed"] or not changed) and wanted in f"{each['key']} {each['about']}".lower()
    ]
    sections = [(name, list(group)) for name, group in groupby(sorted(shown, key=lambda row: row["section"]), key=lambda row: str(row["section"]))]
    return await render(
        request, "instance/settings.html", sections=sections, places=about.places() if about is not None else None, changed=changed,
        wanted=query.text("q") or "", differ=sum(1 for each in rows if each["changed"]), count=len(rows),
    )


def _row(row: Any) -> dict[str, Any]:
    value = row["value"]
    empty = value in (None, "", [], {})
    text = "" if empty else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return {**row, "text": text, "empty": empty, "name": row["key"].removeprefix(f"{row['section']}."), "variable": _variable(row["key"])}


def _variable(key: str) -> str:
    return "PODIUM_" + key.replace(".", "__").upper().replace("-", "_")


ROUTES: tuple[Route, ...] = (page("GET", "/settings", settings_page, needs=Role.ADMIN),)
