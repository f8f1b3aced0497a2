"""Windows of flow triggers: where they lie, what falls into them, and what days do on which clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.engine.chain.windows import Met, Stretch, Window, as_dict, of_dict, stretch_1, stretch_2, window_at, with_met
from podium.flows.models.conditions import TimeWindow
from podium.flows.triggers import Window as Window2

PARIS = ZoneInfo("Europe/Paris")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: tzinfo = PARIS) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def one(zone: tzinfo = UTC, **written: Any) -> Stretch:
    return stretch_1(TimeWindow.model_validate(written), zone)


def two(zone: tzinfo = UTC, **written: Any) -> Stretch:
    return stretch_2(Window2.model_validate(written), zone)


def bounds(stretch: Stretch, at: datetime) -> tuple[datetime, datetime] | None:
    window = window_at(stretch, at)
    return (window.start, window.end) if window else None


# ---- duration windows


@pytest.mark.parametrize(("window", "at", "start", "end"), [
    ("P1D", "2026-03-10T13:37:21", "2026-03-10T00:00", "2026-03-11T00:00"),
    ("PT1H", "2026-03-10T13:37:21", "2026-03-10T13:00", "2026-03-10T14:00"),
    ("PT6H", "2026-03-10T13:37:21", "2026-03-10T13:00", "2026-03-10T19:00"),
    ("PT15M", "2026-03-10T13:37:21", "2026-03-10T13:30", "2026-03-10T13:45"),
    ("PT30S", "2026-03-10T13:37:21", "2026-03-10T13:37:00", "2026-03-10T13:37:30"),
    ("P7D", "2026-03-10T13:37:21", "2026-03-10T00:00", "2026-03-17T00:00"),
])
def test_a_duration_window_is_aligned_to_midnight_the_hour_or_itself(window: str, at: str, start: str, end: str) -> None:
    assert bounds(one(window=window), utc(at)) == (utc(start), utc(end))


@pytest.mark.parametrize(("window", "at", "start"), [
    ("PT6H", "2026-03-10T13:37:21", "2026-03-10T12:00"), ("PT4H", "2026-03-10T23:59", "2026-03-10T20:00"), ("PT45M", "2026-03-10T02:20", "2026-03-10T02:15"),
])
def test_every_of_2_0_counts_from_midnight(window: str, at: str, start: str) -> None:
    found = bounds(two(every=window), utc(at))
    assert found is not None
    assert found[0] == utc(start)


def test_without_a_window_a_day_counts() -> None:
    day = (utc("2026-03-10"), utc("2026-03-11"))
    assert bounds(stretch_1(None, UTC), utc("2026-03-10T23:59:59.999999")) == day
    assert bounds(stretch_2(None, UTC), utc("2026-03-10T00:00")) == day
    assert bounds(one(), utc("2026-03-10T00:00")) == day


def test_the_end_is_outside_and_the_start_inside() -> None:
    stretch = one(window="PT1H")
    first = window_at(stretch, utc("2026-03-10T13:00"))
    assert first is not None
    assert window_at(stretch, utc("2026-03-10T13:59:59.999999"), first) is first
    after = window_at(stretch, utc("2026-03-10T14:00"), first)
    assert after is not None
    assert after.start == utc("2026-03-10T14:00")


@pytest.mark.parametrize(("at", "start"), [
    ("2026-03-10T09:59:59", "2026-03-09T10:00"), ("2026-03-10T10:00", "2026-03-10T10:00"), ("2026-03-10T23:00", "2026-03-10T10:00"),
])
def test_window_advance_and_offset_shift_the_days_and_every_moment_is_in_one(at: str, start: str) -> None:
    begin = utc(start)
    for stretch in (one(window="P1D", windowAdvance="PT10H"), two(every="P1D", offset="PT10H"), one(window="P1D", windowAdvance="-PT14H")):
        assert bounds(stretch, utc(at)) == (begin, begin + timedelta(days=1))


def test_the_older_window_and_advance_of_a_multiple_condition_do_the_same() -> None:
    stretch = stretch_1(None, UTC, length=timedelta(days=1), advance=timedelta(hours=6))
    assert bounds(stretch, utc("2026-03-10T05:00")) == (utc("2026-03-09T06:00"), utc("2026-03-10T06:00"))


def test_days_follow_the_wall_clock_when_clocks_change() -> None:
    day = one(PARIS, window="P1D")
    spring, autumn = bounds(day, local("2026-03-29T12:00")), bounds(day, local("2026-10-25T12:00"))
    assert spring == (local("2026-03-29T00:00"), local("2026-03-30T00:00"))
    assert autumn == (local("2026-10-25T00:00"), local("2026-10-26T00:00"))
    assert spring is not None
    assert autumn is not None
    assert (spring[1] - spring[0], autumn[1] - autumn[0]) == (timedelta(hours=23), timedelta(hours=25))
    shifted = bounds(one(PARIS, window="P1D", windowAdvance="PT10H"), local("2026-03-29T09:00"))
    assert shifted == (local("2026-03-28T10:00"), local("2026-03-29T10:00"))


def test_hours_are_hours_when_clocks_change() -> None:
    first, second = local("2026-10-25T02:30"), local("2026-10-25T02:30").replace(fold=1)
    stretch = one(PARIS, window="PT1H")
    one_hour, other = bounds(stretch, first), bounds(stretch, second)
    assert one_hour is not None
    assert other is not None
    assert other[0] - one_hour[0] == timedelta(hours=1)
    quarters = bounds(two(PARIS, every="PT6H"), local("2026-03-29T12:30"))
    assert quarters == (utc("2026-03-29T04:59:59") + timedelta(seconds=1), utc("2026-03-29T11:00"))


def test_hostile_lengths_end_soon() -> None:
    far = Stretch(kind="every", length=timedelta(seconds=1), offset=timedelta(days=36_500))
    assert bounds(far, utc("2026-03-10T00:00:00.5")) == (utc("2026-03-10"), utc("2026-03-10T00:00:01"))
    with pytest.raises(OverflowError):
        window_at(Stretch(kind="every", length=timedelta(days=900_000_000)), utc("2026-03-10"))
    assert stretch_1(TimeWindow.model_validate({"window": "PT0S"}), UTC).length == timedelta(days=1)


# ---- daily windows


@pytest.mark.parametrize(("at", "inside"), [
    ("2026-03-10T00:00", True), ("2026-03-10T08:59:59.999", True), ("2026-03-10T09:00", False), ("2026-03-10T23:00", False),
])
def test_a_deadline_is_from_midnight_until_then(at: str, inside: bool) -> None:
    for stretch in (one(type="DAILY_TIME_DEADLINE", deadline="09:00:00"), two(deadline="09:00:00")):
        assert bounds(stretch, utc(at)) == ((utc("2026-03-10"), utc("2026-03-10T09:00")) if inside else None)


def test_a_deadline_with_an_offset_has_its_midnight_there() -> None:
    stretch = one(type="DAILY_TIME_DEADLINE", deadline="09:00:00+02:00")
    assert bounds(stretch, utc("2026-03-09T23:00")) == (utc("2026-03-09T22:00"), utc("2026-03-10T07:00"))
    assert bounds(stretch, utc("2026-03-10T08:00")) is None


@pytest.mark.parametrize(("at", "inside"), [("06:00", True), ("08:59:59", True), ("09:00", False), ("05:59:59", False)])
def test_a_daily_range_is_between_its_times(at: str, inside: bool) -> None:
    for stretch in (one(type="DAILY_TIME_WINDOW", startTime="06:00", endTime="09:00:00"), two(**{"from": "06:00:00", "to": "09:00:00"})):
        assert bounds(stretch, utc(f"2026-03-10T{at}")) == ((utc("2026-03-10T06:00"), utc("2026-03-10T09:00")) if inside else None)


@pytest.mark.parametrize(("at", "start"), [
    ("2026-03-10T23:00", "2026-03-10T22:00"), ("2026-03-11T05:59", "2026-03-10T22:00"), ("2026-03-11T06:00", None), ("2026-03-11T21:59", None),
])
def test_a_daily_range_may_go_over_midnight(at: str, start: str | None) -> None:
    found = bounds(one(type="DAILY_TIME_WINDOW", startTime="22:00", endTime="06:00"), utc(at))
    assert (found[0] if found else None) == (utc(start) if start else None)


def test_daily_windows_are_in_the_zone_that_is_named() -> None:
    stretch = two(UTC, deadline="09:00:00", timezone="Europe/Paris")
    assert bounds(stretch, utc("2026-07-01T06:59")) == (local("2026-07-01T00:00"), local("2026-07-01T09:00"))
    assert bounds(stretch, utc("2026-07-01T07:00")) is None
    gap = two(UTC, **{"from": "02:15", "to": "02:45", "timezone": "Europe/Paris"})
    assert bounds(gap, local("2026-03-28T02:30")) is not None


def test_what_is_no_time_or_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="Invalid"):
        one(type="DAILY_TIME_DEADLINE", deadline="soon")
    with pytest.raises(ValueError, match="unknown time zone"):
        two(deadline="09:00", timezone="Europe/Pari")


# ---- lookback


def met(name: str, at: datetime) -> Met:
    return Met(execution_id=name, namespace="n", flow_id=name, at=at)


def test_a_lookback_forgets_what_is_older_than_its_length() -> None:
    for stretch in (one(type="SLIDING_WINDOW", window="PT1H"), two(lookback="PT1H")):
        noon = utc("2026-03-10T12:00")
        first = window_at(stretch, noon)
        assert first is not None
        first = with_met(first, {"a": met("a", noon)})
        later = window_at(stretch, noon + timedelta(minutes=50), first)
        assert later is not None
        later = with_met(later, {"b": met("b", noon + timedelta(minutes=50))})
        assert set(later.results) == {"a", "b"}
        assert later.start == noon
        last = window_at(stretch, noon + timedelta(minutes=60), later)
        assert last is not None
        assert set(last.results) == {"b"}


# ---- stored


def test_windows_survive_being_stored() -> None:
    window = Window(start=utc("2026-03-10"), end=utc("2026-03-11"), results={"a": met("x", utc("2026-03-10T01:02:03.456"))})
    assert of_dict(as_dict(window)) == window
    for bad in (None, {}, {"start": "x", "end": "y", "results": {}}, {"start": 1, "end": 2, "results": []}):
        assert of_dict(bad) is None


@given(
    at=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)),  # noqa: DTZ001 - made aware below
    minutes=st.integers(min_value=1, max_value=60 * 24 * 9), advance=st.integers(min_value=-3000, max_value=3000), midnight=st.booleans(),
)
def test_every_moment_is_in_its_window(at: datetime, minutes: int, advance: int, midnight: bool) -> None:
    moment = at.replace(tzinfo=UTC)
    stretch = Stretch(
        kind="every", zone=PARIS, length=timedelta(minutes=minutes), offset=timedelta(minutes=advance), from_midnight=midnight,
    )
    found = window_at(stretch, moment)
    assert found is not None
    assert found.start <= moment < found.end
