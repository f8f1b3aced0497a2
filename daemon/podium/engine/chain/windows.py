"""The stretches of time in which several upstream executions count together, for flow triggers. Pure; the moment is handed in.

Both dialects come here: `preconditions.timeWindow` and MultipleCondition of 1.x, `window` of 2.0. A window is [start, end): what happens
at its end is outside. Days are days of the wall clock: on the days that clocks are changed they have 23 or 25 hours.
Source: flow-language 7.3, flow-language-2 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, Literal

from podium.flows.cron import parse_zone
from podium.flows.models.conditions import TimeWindow
from podium.flows.triggers import Window as Window2

DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How windows lie in time.

    every: windows of `length`, shifted by `offset`; from_midnight: counted from midnight, else from the hour (shorter ones: inside the hour).
    daily: each day from `opens` (None: midnight) to `closes`; when that is not later, to `closes` of the next day.
    lookback: what happened less than `length` ago.
    """

    kind: Literal["every", "daily", "lookback"]
    zone: tzinfo = UTC
    length: timedelta = DAY
    offset: timedelta = timedelta()
    from_midnight: bool = False
    opens: time | None = None
    closes: time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """An execution that met a condition. at: when it reached the state."""

    execution_id: str
    namespace: str
    flow_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window that is open. results: the conditions met so far, by their names. Moments are UTC."""

    start: datetime
    end: datetime
    results: Mapping[str, Met] = field(default_factory=dict)


def stretch_1(window: TimeWindow | None, zone: tzinfo, *, length: timedelta | None = None, advance: timedelta | None = None) -> Stretch:
    """That of a `timeWindow`; without one, that of the older `window` and `windowAdvance`. Raises ValueError for what is no time."""
    if window is None:
        return Stretch(kind="every", zone=zone, length=_positive(length), offset=advance or timedelta())
    match window.type:
        case "SLIDING_WINDOW":
            return Stretch(kind="lookback", zone=zone, length=_positive(window.window))
        case "DAILY_TIME_DEADLINE":
            return Stretch(kind="daily", zone=zone, closes=_time(window.deadline))
        case "DAILY_TIME_WINDOW":
            return Stretch(kind="daily", zone=zone, opens=_time(window.start_time), closes=_time(window.end_time))
        case _:
            return Stretch(kind="every", zone=zone, length=_positive(window.window), offset=window.window_advance or timedelta())


def stretch_2(window: Window2 | None, zone: tzinfo) -> Stretch:
    """That of a `window` of dialect 2.0; without one, days. Raises ValueError for what is no time or zone."""
    if window is None:
        return Stretch(kind="every", zone=zone, from_midnight=True)
    zone = parse_zone(window.timezone) if window.timezone else zone
    if window.lookback is not None:
        return Stretch(kind="lookback", zone=zone, length=_positive(window.lookback))
    if window.deadline is not None:
        return Stretch(kind="daily", zone=zone, closes=_time(window.deadline))
    if window.from_ is not None or window.to is not None:
        return Stretch(kind="daily", zone=zone, opens=_time(window.from_), closes=_time(window.to))
    return Stretch(kind="every", zone=zone, length=_positive(window.every), offset=window.offset or timedelta(), from_midnight=True)


def window_at(stretch: Stretch, at: datetime, stored: Window | None = None) -> Window | None:
    """The window that `at` falls in, with what was met in it before; None outside of any. stored: the one that was open last."""
    at = at.astimezone(UTC)  # two moments of one zone would be compared by the wall clock
    if stretch.kind == "lookback":
        recent = {name: met for name, met in (stored.results if stored else {}).items() if timedelta() <= at - met.at < stretch.length}
        return Window(start=min([at, *(met.at for met in recent.values())]), end=at + stretch.length, results=recent)
    if stored is not None and stored.start <= at < stored.end:
        return stored
    found = _every(stretch, at) if stretch.kind == "every" else _daily(stretch, at)
    return Window(start=found[0].astimezone(UTC), end=found[1].astimezone(UTC)) if found else None


def with_met(window: Window, names: Mapping[str, Met]) -> Window:
    """The window in which these were met too."""
    return replace(window, results={**window.results, **names})


# ---- as documents


def as_dict(window: Window) -> dict[str, Any]:
    """The form that is stored and shown."""
    results = {
        name: {"executionId": met.execution_id, "namespace": met.namespace, "flowId": met.flow_id, "at": met.at.isoformat()}
        for name, met in window.results.items()
    }
    return {"start": window.start.isoformat(), "end": window.end.isoformat(), "results": results}


def of_dict(stored: Any) -> Window | None:
    """The stored form, typed. What cannot be read counts as not there."""
    try:
        results = {
            str(name): Met(execution_id=met["executionId"], namespace=met["namespace"], flow_id=met["flowId"], at=datetime.fromisoformat(met["at"]))
            for name, met in stored["results"].items()
        }
        return Window(start=datetime.fromisoformat(stored["start"]), end=datetime.fromisoformat(stored["end"]), results=results)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


# ---- inside


def _every(stretch: Stretch, at: datetime) -> tuple[datetime, datetime]:
    """The aligned window around `at`. Whole days follow the wall clock, shorter ones the time that passes."""
    local = at.astimezone(stretch.zone)
    length, whole_days = stretch.length, stretch.length % DAY == timedelta()
    start = _floor(local, length, from_midnight=stretch.from_midnight)
    start = _plus(start, stretch.offset, whole_days=whole_days)
    start = _plus(start, (at - start) // length * length, whole_days=whole_days)
    while at < start:
        start = _plus(start, -length, whole_days=whole_days)
    while at >= (end := _plus(start, length, whole_days=whole_days)):
        start = end
    return start, end


def _floor(local: datetime, length: timedelta, *, from_midnight: bool) -> datetime:
    if length >= DAY:
        return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if from_midnight:
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        passed = local.astimezone(UTC) - midnight.astimezone(UTC)
        return _plus(midnight, passed // length * length, whole_days=False)
    hour = local.replace(minute=0, second=0, microsecond=0)
    if length >= _HOUR:
        return hour
    passed = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return _plus(hour, passed // length * length, whole_days=False)


def _plus(moment: datetime, span: timedelta, *, whole_days: bool) -> datetime:
    """whole_days: by the wall clock; else by the time that passes."""
    if whole_days:
        return (moment.replace(tzinfo=None) + span).replace(tzinfo=moment.tzinfo)
    return (moment.astimezone(UTC) + span).astimezone(moment.tzinfo)


def _daily(stretch: Stretch, at: datetime) -> tuple[datetime, datetime] | None:
    """The window of the day of `at`, or the one that began the day before and goes over midnight."""
    assert stretch.closes is not None
    closes = stretch.closes
    opens = stretch.opens if stretch.opens is not None else time(0, 0, tzinfo=closes.tzinfo)
    day = at.astimezone(opens.tzinfo or stretch.zone).date()
    for first in (day, day - DAY, day + DAY):
        start = datetime.combine(first, opens.replace(tzinfo=None), tzinfo=opens.tzinfo or stretch.zone)
        end = datetime.combine(first, closes.replace(tzinfo=None), tzinfo=closes.tzinfo or stretch.zone)
        if stretch.opens is not None and end.astimezone(UTC) <= start.astimezone(UTC):
            end = _plus(end, DAY, whole_days=True)
        if start <= at < end:
            return start, end
    return None


def _time(text: str | None) -> time:
    return time.fromisoformat(str(text).strip())


def _positive(length: timedelta | None) -> timedelta:
    return length if length is not None and length > timedelta() else DAY
