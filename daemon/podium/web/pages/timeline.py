"""The task runs of an execution as a tree with bars in time, and the words for moments and lengths of time. Pure: no template, no request.

Called by the pages and by the command line. What always holds: every task run is in exactly one row, also one whose parent is
not there or whose parents form a ring; bars are within 0 and WIDTH.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from podium.base.durations import parse_duration
from podium.base.moments import from_text
from podium.flows.model import TERMINAL

WIDTH = 1000
_BAR_MIN = 4
_DEPTH_MAX = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of time in units of WIDTH, and the state to colour it by."""

    x: float
    width: float
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A task run. depth: from 0. bars: one per attempt, or one for the whole run."""

    run: Mapping[str, Any]
    depth: int
    state: str
    bars: tuple[Bar, ...]
    took: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Rows in the order of start within each parent, how many there are in all, and the span of time they share."""

    rows: tuple[Row, ...]
    total: int
    start: datetime
    end: datetime


def moment_of(text: Any) -> datetime | None:
    """A date of a view, or None."""
    if not isinstance(text, str):
        return None
    try:
        return from_text(text)
    except ValueError:
        return None


def span_of(state: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime] | None:
    """From when to when something was in being; until now when it has not ended. None without a start."""
    start = moment_of(state.get("startDate"))
    if start is None:
        return None
    ended = state.get("current") in TERMINAL
    end = moment_of(state.get("endDate")) if ended else now
    if end is None and ended:
        end = start + _duration(state)
    return start, max(start, end or now)


def _duration(state: Mapping[str, Any]) -> timedelta:
    try:
        return parse_duration(state.get("duration") or 0)
    except (ValueError, OverflowError):
        return timedelta(0)


def took(state: Mapping[str, Any], now: datetime) -> timedelta | None:
    """How long something took, or has been going on."""
    span = span_of(state, now)
    return None if span is None else span[1] - span[0]


def timeline(execution: Mapping[str, Any], now: datetime, *, skip: int = 0, limit: int | None = None) -> Timeline:
    """The rows of `execution` as of `now`; at most `limit` of them after the first `skip`."""
    runs: list[Mapping[str, Any]] = list(execution.get("taskRunList") or [])
    whole = span_of(execution.get("state") or {}, now)
    start, end = whole or (now, now)
    for run in runs:
        span = span_of(run["state"], now)
        if span is not None:
            start, end = min(start, span[0]), max(end, span[1])
    scale = WIDTH / max((end - start).total_seconds(), 0.001)
    ordered = _ordered(runs)
    shown = ordered[skip : None if limit is None else skip + limit]
    rows = [
        Row(
            run=run, depth=min(depth, _DEPTH_MAX), state=run["state"]["current"], bars=_bars(run, start, scale, now), took=took(run["state"], now),
        )
        for run, depth in shown
    ]
    return Timeline(rows=tuple(rows), total=len(ordered), start=start, end=end)


def _ordered(runs: list[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], int]]:
    """Every task run once, with its depth, children after their parent."""
    children: dict[str | None, list[Mapping[str, Any]]] = {}
    known = {run["id"] for run in runs}
    for run in runs:
        parent = run.get("parentTaskRunId")
        children.setdefault(parent if parent in known and parent != run["id"] else None, []).append(run)
    for group in children.values():
        group.sort(key=lambda run: (run["state"].get("startDate") or "9", _iteration(run)))
    found: list[tuple[Mapping[str, Any], int]] = []
    seen: set[str] = set()
    waiting = [(run, 0) for run in reversed(children.get(None, []))]
    rings = list(reversed(runs))
    while waiting or rings:
        run, depth = waiting.pop() if waiting else (rings.pop(), 0)
        if run["id"] in seen:
            continue
        seen.add(run["id"])
        found.append((run, depth))
        waiting += [(child, depth + 1) for child in reversed(children.get(run["id"], []))]
    return found


def _iteration(run: Mapping[str, Any]) -> int:
    value = run.get("iteration")
    return value if isinstance(value, int) else 0


def _bars(run: Mapping[str, Any], start: datetime, scale: float, now: datetime) -> tuple[Bar, ...]:
    states = [attempt["state"] for attempt in run.get("attempts") or [] if isinstance(attempt.get("state"), Mapping)]
    whole = run["state"]
    bars = [_bar(state, start, scale, now) for state in (states if len(states) > 1 else [whole])]
    return tuple(bar for bar in bars if bar is not None)


def _bar(state: Mapping[str, Any], start: datetime, scale: float, now: datetime) -> Bar | None:
    span = span_of(state, now)
    if span is None:
        return None
    width = max((span[1] - span[0]).total_seconds() * scale, _BAR_MIN)
    x = min(max((span[0] - start).total_seconds() * scale, 0), WIDTH - _BAR_MIN)
    return Bar(x=round(x, 1), width=round(min(width, WIDTH - x), 1), state=str(state.get("current")))


def clock_text(value: Any) -> str:
    """A moment as `2026-01-05 08:00:03` (UTC)."""
    moment = value if isinstance(value, datetime) else moment_of(value)
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def length_of_time(value: Any) -> str:
    """A duration for people: 120 ms, 3.4 s, 2 min 5 s, 1 h 2 min, 3 d 4 h."""
    if value is None or value == "":
        return "–"
    if not isinstance(value, timedelta):
        try:
            value = parse_duration(value)
        except (ValueError, OverflowError):
            return str(value)
    seconds = value.total_seconds()
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [f"{days} d", f"{hour} h"] if days else [f"{hour} h", f"{minute} min"] if hours else [f"{minute} min", f"{second} s"]
    return " ".join(part for part in parts if not part.startswith("0 "))


def ago(moment: datetime, now: datetime) -> str:
    """How far a moment is from now: `just now`, `5 min ago`, `in 2 h`."""
    seconds = (now - moment).total_seconds()
    size = abs(seconds)
    if size < 10:
        return "just now"
    unit, name = next((unit, name) for unit, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")) if size >= unit)
    text = f"{int(size // unit)} {name}"
    return f"{text} ago" if seconds > 0 else f"in {text}"
