"""The navigation at the side of every page, with what is counted beside its entries, and what one page tells the next after a redirect.

Called by render. What always holds: counting walks indexes and is shared for a moment, so that it costs a page next to nothing; who does not see
the whole instance sees no counts of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from podium.base.system.clock import monotonic_s
from podium.web.context import Context, context
from podium.web.people.roles import Role, caller

FLASH_COOKIE = "podium_flash"
_FLASH_CHARS = 400
_OF_ADMINS = frozenset({"/settings", "/system"})
_SHARED_S = 2.0
"""For how long counts are taken from memory."""
_RUNNING = ("RUNNING", "KILLING", "RETRYING", "RESTARTED", "CREATED", "SUBMITTED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number beside an entry. kind: run, bad or warn. words: key of the text that says what it counts."""

    number: int
    kind: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A page one can go to. name: key of its text. key: what to type for it."""

    href: str
    name: str
    icon: str
    key: str = ""
    counts: tuple[Count, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Entries that belong together. name: key of its text, or nothing for the first."""

    name: str
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class Pulse:
    """The counts as last seen."""

    at_s: float = -1e9
    running: int = 0
    failed: int = 0


PULSE: web.AppKey[Pulse] = web.AppKey("pulse", Pulse)


@dataclass(frozen=True, slots=True)
class Flash:
    """What a page says once. kind: ok, warn or bad."""

    text: str
    kind: str = field(default="ok")


async def navigation(request: web.Request) -> tuple[Group, ...]:
    """The groups for whom asks."""
    here = context(request)
    counts: dict[str, tuple[Count, ...]] = {}
    if caller(request).may(Role.VIEWER, ""):
        pulse = await _pulse(request.app, here)
        counts["/executions"] = (
            Count(number=pulse.running, kind="run", words="shell.running"), Count(number=pulse.failed, kind="bad", words="shell.failed_24h"),
        )
        counts["/syncs"] = (Count(number=len(here.orchestrator.rejected()), kind="warn", words="shell.refused"),)
    return tuple(
        Group(name=group.name, entries=tuple(
            Entry(href=each.href, name=each.name, icon=each.icon, key=each.key, counts=counts.get(each.href, ())) for each in group.entries
            if each.href not in _OF_ADMINS or caller(request).may(Role.ADMIN, "")
        ))
        for group in GROUPS
    )


async def _pulse(app: web.Application, here: Context) -> Pulse:
    pulse = app[PULSE]
    if monotonic_s() - pulse.at_s > _SHARED_S:
        pulse.at_s = monotonic_s()
        day_ago: datetime = here.clock.now() - timedelta(days=1)
        _, pulse.running = await here.orchestrator.executions(states=_RUNNING, size=1)
        _, pulse.failed = await here.orchestrator.executions(states=["FAILED"], started_after=day_ago, size=1)
    return pulse


def flash(response: web.StreamResponse, text: str, kind: str = "ok") -> None:
    """Have the page that `response` leads to say this once. Set it on the redirect before it is raised."""
    value = quote(json.dumps([kind, text[:_FLASH_CHARS]], ensure_ascii=True), safe="")
    response.set_cookie(FLASH_COOKIE, value, max_age=60, httponly=True, samesite="Strict", path="/")


def flashed(request: web.Request) -> Flash | None:
    """What the page before has to say, if anything."""
    raw = request.cookies.get(FLASH_COOKIE)
    if not raw:
        return None
    try:
        found: Any = json.loads(unquote(raw))
    except ValueError:
        return None
    if not (isinstance(found, list) and len(found) == 2 and found[0] in ("ok", "warn", "bad") and isinstance(found[1], str)):
        return None
    return Flash(found[1][:_FLASH_CHARS], found[0])


GROUPS = (
    Group(name="", entries=(
        Entry(href="/", name="shell.nav_home", icon="home", key="g h"),
        Entry(href="/flows", name="shell.nav_flows", icon="flow", key="g f"),
        Entry(href="/executions", name="shell.nav_executions", icon="play", key="g e"),
        Entry(href="/logs", name="shell.nav_logs", icon="log", key="g l"),
        Entry(href="/dashboards", name="shell.nav_dashboards", icon="chart", key="g d"),
    )),
    Group(name="shell.group_setup", entries=(
        Entry(href="/triggers", name="shell.nav_triggers", icon="bolt", key="g t"),
        Entry(href="/webhooks", name="shell.nav_webhooks", icon="hook", key="g w"),
        Entry(href="/namespaces", name="shell.nav_namespaces", icon="folder", key="g n"),
        Entry(href="/plugins", name="shell.nav_plugins", icon="puzzle", key="g p"),
    )),
    Group(name="shell.group_instance", entries=(
        Entry(href="/results", name="shell.nav_results", icon="archive", key="g r"),
        Entry(href="/syncs", name="shell.nav_syncs", icon="sync", key="g s"),
        Entry(href="/settings", name="shell.nav_settings", icon="gear"),
        Entry(href="/system", name="shell.nav_system", icon="server", key="g y"),
    )),
)
