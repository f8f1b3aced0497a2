"""What every page says above its own content when something needs a person: refused files, held deployments, a pause, a full disk, records that wait.

Called by render. What always holds: a page never fails because a fact is absent; who does not see the whole instance is told only what holds them up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiohttp import web

from podium.base.errors import PodiumError
from podium.base.system.disk import readable
from podium.web.context import Context, context
from podium.web.pages.timeline import length_of_time
from podium.web.people.roles import Role, caller

UNPUSHED_OLD_S = 120
"""Records wait this long for their push before a page says so."""
Words = Callable[..., str]


async def banners(request: web.Request, t: Words) -> list[dict[str, Any]]:
    """{kind: bad|warn, text, href, more: what its link says}."""
    here = context(request)
    whole = caller(request).may(Role.VIEWER, "")
    found = _of_sources(here, t) if whole else []
    try:
        health = await here.orchestrator.health()
    except PodiumError as error:
        return [*found, _banner("bad", error.what, "/health", t("shell.health"))]
    if paused := (health.get("waiting") or {}).get("paused"):
        why = f" ({paused['reason']})" if paused.get("reason") else ""
        found.append(_banner("warn", t("shell.everything_paused", why=why), "/executions?state=QUEUED", t("shell.what_waits")))
    disk, unpushed = health.get("disk") or {}, health.get("unpushed") or {}
    if disk.get("low"):
        found.append(_banner("bad", t("shell.disk_low", size=readable(disk["freeBytes"]))))
    if whole and unpushed.get("count") and (unpushed.get("oldestSeconds") or 0) >= UNPUSHED_OLD_S:
        what = t("shell.record") if unpushed["count"] == 1 else t("shell.records", n=unpushed["count"])
        waits = length_of_time(timedelta(seconds=float(unpushed["oldestSeconds"])))
        found.append(_banner("warn", t("shell.unpushed", n=what, time=waits), "/results", t("shell.details")))
    return sorted(found, key=lambda each: each["kind"] != "bad")


def _of_sources(here: Context, t: Words) -> list[dict[str, Any]]:
    found = []
    if rejected := here.orchestrator.rejected():
        what = t("shell.file") if len(rejected) == 1 else t("shell.files", n=len(rejected))
        found.append(_banner("bad", t("shell.banner_refused", n=what), "/syncs#rejected", t("shell.see_why")))
    for source in here.sources.status():
        if source.get("held"):
            found.append(_banner("warn", t("shell.held", name=source["name"], why=source["held"]), "/syncs", t("shell.review")))
        elif source.get("error"):
            found.append(_banner("warn", t("shell.source_error", name=source["name"], what=source["error"]), "/syncs", t("shell.details")))
    return found


def _banner(kind: str, text: str, href: str = "", more: str = "") -> dict[str, Any]:
    return {"kind": kind, "text": text, "href": href, "more": more}
