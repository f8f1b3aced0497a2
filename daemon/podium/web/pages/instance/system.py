"""System: how the daemon does, what waits and why, its process, home, runner and versions; pausing everything and removing what is past its time.

For admins. What always holds: the page reads what is known anyway; what takes seconds (the checks of the machine) is done when asked for only.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from podium.base.errors import PodiumError
from podium.base.system.disk import readable
from podium.web.context import context
from podium.web.pages.navigation import flash
from podium.web.pages.render import page, render, text_for
from podium.web.params import Query, read_form
from podium.web.people.roles import Role, caller
from podium.web.routes import Route

_FORM_BYTES = 64 * 1024
_FLOWS_SHOWN = 100
_WORDS_MAX = 500


async def system_page(request: web.Request) -> web.StreamResponse:
    """The whole of it; `check` examines the machine too."""
    here, query = context(request), Query(request)
    facts = await here.about.facts() if here.about is not None else None
    try:
        health: dict[str, Any] = await here.orchestrator.health()
    except PodiumError as error:
        health = {"status": "DOWN", "message": error.what, "hint": error.hint}
    waiting = health.get("waiting") or here.orchestrator.queue()
    waits = [
        {**each, "what": part} for part in ("executions", "taskRuns") for each in ((waiting.get(part) or {}).get("flows") or [])[:_FLOWS_SHOWN]
    ]
    checks = await here.about.checks() if here.about is not None and query.flag("check") else None
    would = await here.orchestrator.collect_garbage(dry=True) if query.flag("gc") else None
    return await render(
        request, "instance/system.html", facts=facts, health=health, waiting=waiting, waits=waits, checks=checks, readable=readable,
        would=_collected(would) if would is not None else None, streams=here.hub.open_streams,
    )


async def pause(request: web.Request) -> web.StreamResponse:
    """Let nothing new begin."""
    async with read_form(request, text_limit=_FORM_BYTES, file_limit=0) as form:
        reason = form.first("reason").strip()[:_WORDS_MAX]
    await context(request).orchestrator.pause_all(by=caller(request).name, reason=reason)
    raise web.HTTPSeeOther("/system")


async def resume(request: web.Request) -> web.StreamResponse:
    """Let begin what waits."""
    await context(request).orchestrator.resume_all()
    raise web.HTTPSeeOther("/system")


async def collect(request: web.Request) -> web.StreamResponse:
    """Remove what is past its time."""
    done = await asyncio.shield(context(request).orchestrator.collect_garbage())
    response = web.HTTPSeeOther("/system")
    found = _collected(done)
    said = ", ".join(f"{number} {name}" for name, number in found)
    flash(response, text_for("instance.removed", what=said) if found else text_for("instance.nothing_to_collect"))
    raise response


def _collected(done: dict[str, int]) -> list[tuple[str, str]]:
    """(what, how much) of what there is any of."""
    return [(name, readable(number) if name == "bytes" else f"{number:,}") for name, number in done.items() if number]


ROUTES: tuple[Route, ...] = (
    page("GET", "/system", system_page, needs=Role.ADMIN),
    page("POST", "/system/pause", pause, needs=Role.ADMIN),
    page("POST", "/system/resume", resume, needs=Role.ADMIN),
    page("POST", "/system/gc", collect, needs=Role.ADMIN),
)
