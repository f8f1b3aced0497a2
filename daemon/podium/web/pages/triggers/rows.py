"""Triggers as rows of a page: state, what makes them fire, how far a backfill is, what the last execution became.

Called by the pages of triggers and of flows. What always holds: counting the dates of a backfill is bounded, and done once for each of its steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base.errors import PodiumError
from podium.base.moments import from_text
from podium.base.ports import FlowRevision
from podium.base.system.ids import id_created_at
from podium.base.system.zone import zone_of
from podium.flows.cron import Cron, parse_zone
from podium.flows.dynamic import has_expression
from podium.flows.model import Trigger
from podium.flows.triggers import FlowTrigger, Schedule, Webhook
from podium.web.api.triggers import state_view
from podium.web.context import Context, base_url, context
from podium.web.pages.timeline import length_of_time
from podium.web.people.roles import Role, caller

Found = tuple[FlowRevision, Trigger]
COUNTED_MAX = 20_000
"""Dates of a backfill that are counted; of more it says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a backfill is. total: dates in all, at least so many when `more`. rate: dates a minute; left_s: seconds until it is done, if known."""

    done: int
    total: int
    more: bool
    failed: int
    rate: float
    left_s: float | None


async def trigger_rows(request: web.Request, found: Sequence[Found]) -> list[dict[str, Any]]:
    """What pages show of triggers."""
    here = context(request)
    states = await asyncio.gather(*(here.orchestrator.trigger_state(flow.namespace, flow.flow_id, trigger.id) for flow, trigger in found))
    newest = await here.orchestrator.last_executions(list({(flow.namespace, flow.flow_id) for flow, _ in found}))
    last = await asyncio.gather(*(_last(here, flow, trigger, newest.get((flow.namespace, flow.flow_id))) for flow, trigger in found))
    return [
        {
            "flow": flow, "trigger": trigger, "state": state_view(flow.namespace, flow.flow_id, trigger, state), "when": _fires(trigger),
            "webhook": _webhook_url(request, flow, trigger), "schedule": getattr(trigger, "cron", None) is not None, "in_file": trigger.disabled,
            "progress": await _progress(here, flow, trigger, (state or {}).get("backfill")), "last": ended,
            "windows": (state or {}).get("windows") or (),
            "operates": caller(request).may(Role.OPERATOR, flow.namespace), "waits": isinstance(trigger, FlowTrigger),
            "error": (state or {}).get("error"),
        }
        for (flow, trigger), state, ended in zip(found, states, last, strict=True)
    ]


async def _last(here: Context, flow: FlowRevision, trigger: Trigger, newest: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The newest execution that the trigger started: mostly the newest of the flow; looking for another counts them, which takes longer."""
    if newest is None or (newest.get("trigger") or {}).get("id") == trigger.id:
        return newest
    listed = await here.orchestrator.list_executions(namespace=flow.namespace, flow_id=flow.flow_id, trigger_id=trigger.id, size=1)
    return listed.found[0] if listed.found else None


def _fires(trigger: Trigger) -> str:
    """What makes it fire, in a few words."""
    cron, zone, interval = (getattr(trigger, name, None) for name in ("cron", "timezone", "interval"))
    if cron:
        return f"{cron} ({zone})" if zone else str(cron)
    if isinstance(interval, timedelta):
        return f"every {length_of_time(interval)}"
    path = getattr(trigger, "path", None)
    if isinstance(path, str):
        return f"{path.rstrip('/')}/{getattr(trigger, 'glob', None) or '*'}"
    return ""


def _webhook_url(request: web.Request, flow: FlowRevision, trigger: Trigger) -> str:
    if not isinstance(trigger, Webhook):
        return ""
    shown = "<key>" if has_expression(trigger.key) or not caller(request).may(Role.OPERATOR, flow.namespace) else quote(trigger.key, safe="")
    return f"{base_url(request)}/api/v1/executions/webhook/{quote(flow.namespace, safe='')}/{quote(flow.flow_id, safe='')}/{shown}"


async def _progress(here: Context, flow: FlowRevision, trigger: Trigger, backfill: Mapping[str, Any] | None) -> Progress | None:
    if not backfill or not isinstance(trigger, Schedule):
        return None
    try:
        start, end = from_text(str(backfill.get("start"))), from_text(str(backfill.get("end")))
        current = from_text(str(backfill["currentDate"])) if backfill.get("currentDate") else None
        dates = _Dates(cron=trigger.cron, with_seconds=trigger.with_seconds, zone=trigger.timezone or "")
        total = await asyncio.to_thread(_count, dates, start, end)
        done = total if current is None else await asyncio.to_thread(_count, dates, start, current - timedelta(microseconds=1))
        began = id_created_at(str(backfill.get("id")))
    except (ValueError, PodiumError):
        return None
    failed = await here.orchestrator.list_executions(
        namespace=flow.namespace, flow_id=flow.flow_id, trigger_id=trigger.id, states=("FAILED",), started_after=began, size=1
    )
    past_s = max((here.clock.now() - began).total_seconds(), 0.001)
    ended = max(done - 1, 0)  # the one that was begun last is likely under way
    left_s = None if backfill.get("paused") or not ended or total > COUNTED_MAX else (total - done) * past_s / ended
    return Progress(
        done=min(done, COUNTED_MAX), total=min(total, COUNTED_MAX), more=total > COUNTED_MAX, failed=failed.total,
        rate=0.0 if backfill.get("paused") else ended * 60 / past_s, left_s=left_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dates:
    """When a schedule fires. zone: "" is the server's."""

    cron: str
    with_seconds: bool
    zone: str


@lru_cache(maxsize=256)
def _count(dates: _Dates, start: datetime, end: datetime) -> int:
    """How many dates there are from start to end, both included; at most COUNTED_MAX + 1."""
    zone = parse_zone(dates.zone) if dates.zone else zone_of("")
    return sum(1 for _ in islice(_between(Cron.parse(dates.cron, dates.with_seconds), zone, start, end), COUNTED_MAX + 1))


def _between(cron: Cron, zone: tzinfo, start: datetime, end: datetime) -> Iterator[datetime]:
    at = cron.next(start - timedelta(microseconds=1), zone)
    while at is not None and at <= end:
        yield at
        at = cron.next(at, zone)
