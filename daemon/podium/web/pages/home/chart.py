"""Executions over time as stacked bars, drawn by the server: places in a drawing, and the same numbers as a table. Pure.

Called by the first page. What always holds: each execution counted is in exactly one segment; a bar with anything in it can be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HEIGHT = 100.0
"""The drawing is so high; each bar is one wide."""
_LEAST = 1.5
ORDER = (
    "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "SKIPPED", "RETRIED", "RESUBMITTED", "RUNNING", "RETRYING", "RESTARTED", "SUBMITTED",
    "KILLING", "CREATED", "QUEUED", "PAUSED", "BREAKPOINT",
)
"""From the bottom of a bar up."""
RANGES: Mapping[str, tuple[timedelta, int]] = {
    "1h": (timedelta(hours=1), 60), "6h": (timedelta(hours=6), 72), "24h": (timedelta(hours=24), 48), "7d": (timedelta(days=7), 56),
    "30d": (timedelta(days=30), 60),
}
"""Lengths of time one can look back, and into how many parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a bar. y: of its upper edge, down from the top."""

    state: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The executions created from start to end."""

    start: datetime
    end: datetime
    total: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """top: the number at the upper edge. totals: by state, those there are, in ORDER. ticks: moments at equal distances from start to end."""

    bars: tuple[Bar, ...]
    top: int
    totals: Mapping[str, int]
    ticks: tuple[datetime, ...]


def window(now: datetime, span: timedelta, steps: int) -> tuple[datetime, datetime]:
    """The time that ends with the part in which now is; parts begin at whole steps of the clock."""
    step = span / steps
    since = now - datetime.min.replace(tzinfo=now.tzinfo)
    end = now + (step - since % step)
    return end - span, end


def chart(parts: Sequence[Mapping[str, int]], start: datetime, end: datetime) -> Chart:
    """The drawing of equal parts of the time from start to end."""
    step = (end - start) / max(len(parts), 1)
    top = _round_up(max((sum(part.values()) for part in parts), default=0))
    bars = []
    for number, part in enumerate(parts):
        y, segments = HEIGHT, []
        for state in ORDER:
            if count := part.get(state, 0):
                height = max(count / top * HEIGHT, _LEAST)
                y -= height
                segments.append(Segment(state=state, count=count, y=round(max(y, 0.0), 2), height=round(height, 2)))
        begin = start + step * number
        bars.append(Bar(start=begin, end=begin + step, total=sum(part.values()), segments=tuple(segments)))
    totals = {state: total for state in ORDER if (total := sum(part.get(state, 0) for part in parts))}
    return Chart(bars=tuple(bars), top=top, totals=totals, ticks=tuple(start + (end - start) * number / 4 for number in range(5)))


def _round_up(number: int) -> int:
    """The next number that reads well: 1, 2, 4, 5, 10, 20, 40, 50 …"""
    size = 1
    while size * 10 < number:
        size *= 10
    return next((size * each for each in (1, 2, 4, 5, 10) if size * each >= number), size * 10) or 1
