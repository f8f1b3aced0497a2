"""How a span of time is divided for a chart, as Kestra divides it: its parts, and which span a request means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from podium.base.moments import to_text
from podium.web.errors import BadRequest, Refused
from podium.web.params import moment

DEFAULT_DAYS = 30
SPAN_MAX = timedelta(days=3_660)
_SIZES = ((timedelta(days=365), "month"), (timedelta(days=180), "week"), (timedelta(days=1), "day"), (timedelta(hours=6), "hour"))


def bucket_of(length: timedelta) -> str:
    """How finely a span of that length is divided."""
    return next((name for over, name in _SIZES if length > over), "minute")


def parts_of(start: datetime, end: datetime, bucket: str) -> list[str]:
    """The beginnings of all parts of the span, as text."""
    at = start.replace(second=0, microsecond=0)
    if bucket != "minute":
        at = at.replace(minute=0)
    if bucket in {"day", "week", "month"}:
        at = at.replace(hour=0)
    if bucket == "week":
        at -= timedelta(days=at.weekday())
    if bucket == "month":
        at = at.replace(day=1)
    found = []
    while at < end:
        found.append(to_text(at))
        at = _next(at, bucket)
    return found


def _next(at: datetime, bucket: str) -> datetime:
    if bucket == "month":
        return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return at + {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[bucket]


def span_of(wanted: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """`startDate` and `endDate` of a body or query; default the last 30 days. Raises BadRequest, Refused."""
    for name in ("startDate", "endDate"):
        if not isinstance(wanted.get(name), str | None):
            raise BadRequest(f"'{name}' is not text", hint="write 2026-01-31T08:00:00Z", path=name)
    end = moment(wanted["endDate"], path="endDate") if wanted.get("endDate") else now + timedelta(milliseconds=1)
    if wanted.get("startDate"):
        start = moment(wanted["startDate"], path="startDate")
    elif end.year > 1:
        start = end - timedelta(days=DEFAULT_DAYS)
    else:
        raise Refused("'endDate' is too early", hint="write 2026-01-31T08:00:00Z", path="endDate")
    if start >= end:
        raise Refused("'startDate' is not before 'endDate'", hint="give a later end", path="endDate")
    if end - start > SPAN_MAX or end.year >= 9_999:
        raise Refused(f"the time is over {SPAN_MAX.days} days", hint="give a later 'startDate'", path="startDate")
    return start, end
