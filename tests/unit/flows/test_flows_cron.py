"""Cron expressions: fields, the next and previous times, and clocks that jump. Source: flow-language 7.1."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from podium.flows.cron import Cron, parse_zone

PARIS = ZoneInfo("Europe/Paris")
NEW_YORK = ZoneInfo("America/New_York")


def following(text: str, after: str, count: int, zone: ZoneInfo | timezone = UTC, *, with_seconds: bool = False) -> list[str]:
    cron = Cron.parse(text, with_seconds)
    found, moment = [], datetime.fromisoformat(after)
    for _ in range(count):
        fires = cron.next(moment, zone)
        assert fires is not None
        assert cron.previous(fires + timedelta(seconds=1), zone) == fires
        found.append(fires.isoformat())
        moment = fires
    return found


def preceding(text: str, before: str, count: int, zone: ZoneInfo | timezone = UTC) -> list[str]:
    cron = Cron.parse(text)
    found, moment = [], datetime.fromisoformat(before)
    for _ in range(count):
        fired = cron.previous(moment, zone)
        assert fired is not None
        found.append(fired.isoformat())
        moment = fired
    return found


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("* * * * *", ["2026-01-05T08:01", "2026-01-05T08:02"]), ("*/15 * * * *", ["2026-01-05T08:15", "2026-01-05T08:30"]),
        ("5/20 * * * *", ["2026-01-05T08:05", "2026-01-05T08:25"]), ("0 9-17/4 * * *", ["2026-01-05T09:00", "2026-01-05T13:00"]),
        ("30 8,20 * * *", ["2026-01-05T08:30", "2026-01-05T20:30"]), ("0 0 * * 0", ["2026-01-11T00:00", "2026-01-18T00:00"]),
        ("0 0 * * 7", ["2026-01-11T00:00", "2026-01-18T00:00"]), ("0 0 * * SUN", ["2026-01-11T00:00", "2026-01-18T00:00"]),
        ("0 0 * * 5-7", ["2026-01-09T00:00", "2026-01-10T00:00"]), ("0 12 * * mon-fri", ["2026-01-05T12:00", "2026-01-06T12:00"]),
        ("0 0 1 JAN,jul *", ["2026-07-01T00:00", "2027-01-01T00:00"]), ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 31 * *", ["2026-01-31T00:00", "2026-03-31T00:00"]), ("0 0 13 * FRI", ["2026-01-09T00:00", "2026-01-13T00:00"]),
        ("0 0 */10 * *", ["2026-01-11T00:00", "2026-01-21T00:00"]), ("59 23 31 12 *", ["2026-12-31T23:59", "2027-12-31T23:59"]),
        ("@hourly", ["2026-01-05T09:00", "2026-01-05T10:00"]), ("@daily", ["2026-01-06T00:00", "2026-01-07T00:00"]),
        ("@midnight", ["2026-01-06T00:00", "2026-01-07T00:00"]), ("@weekly", ["2026-01-11T00:00", "2026-01-18T00:00"]),
        ("@monthly", ["2026-02-01T00:00", "2026-03-01T00:00"]), ("@yearly", ["2027-01-01T00:00", "2028-01-01T00:00"]),
        ("@Annually", ["2027-01-01T00:00", "2028-01-01T00:00"]),
    ],
)
def test_when_an_expression_fires(text: str, times: list[str]) -> None:
    assert following(text, "2026-01-05T08:00:00+00:00", 2) == [f"{each}:00+00:00" for each in times]


def test_seconds_come_first_when_asked_for() -> None:
    assert following("*/20 0 * * * *", "2026-01-05T08:00:00+00:00", 3, with_seconds=True) == [
        "2026-01-05T08:00:20+00:00", "2026-01-05T08:00:40+00:00", "2026-01-05T09:00:00+00:00",
    ]
    assert following("@hourly", "2026-01-05T08:00:00+00:00", 1, with_seconds=True) == ["2026-01-05T09:00:00+00:00"]


def test_the_next_time_is_later_and_the_previous_earlier_than_the_moment_itself() -> None:
    cron = Cron.parse("0 * * * *")
    at = datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert cron.next(at, UTC) == at + timedelta(hours=1)
    assert cron.previous(at, UTC) == at - timedelta(hours=1)
    assert cron.next(at - timedelta(microseconds=1), UTC) == at
    assert cron.previous(at + timedelta(microseconds=1), UTC) == at


def test_a_time_that_does_not_exist_fires_at_the_end_of_the_gap() -> None:
    assert following("30 2 * * *", "2026-03-28T12:00:00+01:00", 2, PARIS) == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    assert preceding("30 2 * * *", "2026-03-29T12:00:00+02:00", 2, PARIS) == ["2026-03-29T03:00:00+02:00", "2026-03-28T02:30:00+01:00"]


def test_many_times_in_the_gap_fire_once() -> None:
    assert following("*/20 * * * *", "2026-03-29T01:40:00+01:00", 3, PARIS) == [
        "2026-03-29T03:00:00+02:00", "2026-03-29T03:20:00+02:00", "2026-03-29T03:40:00+02:00",
    ]
    assert preceding("*/20 * * * *", "2026-03-29T03:20:00+02:00", 2, PARIS) == ["2026-03-29T03:00:00+02:00", "2026-03-29T01:40:00+01:00"]


def test_a_time_that_exists_twice_fires_once_at_its_first_occurrence() -> None:
    assert following("30 2 * * *", "2026-10-24T12:00:00+02:00", 2, PARIS) == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    assert following("30 1 * * *", "2026-10-31T12:00:00-04:00", 2, NEW_YORK) == ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]
    assert preceding("30 2 * * *", "2026-10-25T02:10:00+01:00", 2, PARIS) == ["2026-10-25T02:30:00+02:00", "2026-10-24T02:30:00+02:00"]


def test_between_the_two_occurrences_the_clock_is_not_taken_for_the_moment() -> None:
    """Moments of one zone compare by their clocks in Python; here the second 02:10 is later than the first 02:30."""
    second = datetime(2026, 10, 25, 2, 10, tzinfo=PARIS, fold=1)
    assert Cron.parse("30 2 * * *").next(second, PARIS) == datetime(2026, 10, 26, 2, 30, tzinfo=PARIS)
    assert Cron.parse("30 2 * * *").previous(second, PARIS) == datetime(2026, 10, 25, 2, 30, tzinfo=PARIS)


def test_a_zone_whose_gap_is_half_an_hour_or_a_day() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    assert following("15 2 * * *", "2026-10-03T12:00:00+10:30", 1, lord_howe) == ["2026-10-04T02:30:00+11:00"]
    apia = ZoneInfo("Pacific/Apia")
    assert following("0 12 * * *", "2011-12-29T13:00:00-10:00", 2, apia) == ["2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"]


def test_what_never_fires_has_no_next_and_no_previous() -> None:
    cron = Cron.parse("0 0 30 2 *")
    assert cron.next(datetime(2026, 1, 1, tzinfo=UTC), UTC) is None
    assert cron.previous(datetime(2026, 1, 1, tzinfo=UTC), UTC) is None


def test_the_ends_of_time_are_no_error() -> None:
    cron = Cron.parse("0 0 1 1 *")
    assert cron.next(datetime(9999, 6, 1, tzinfo=UTC), UTC) is None
    assert cron.previous(datetime(1, 1, 1, tzinfo=UTC), UTC) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has 0 fields, 5 are expected"), ("* * * *", "it has 4 fields, 5 are expected"), ("* * * * * *", "it has 6 fields, 5 are expected; set withSeconds: true"),
        ("60 * * * *", "60 is not in the range 0–59 of the minute"), ("* 24 * * *", "24 is not in the range 0–23 of the hour"), ("* * 0 * *", "0 is not in the range 1–31"),
        ("* * * 13 *", "13 is not in the range 1–12 of the month"), ("* * * * 8", "8 is not in the range 0–7 of the day of week"), ("* * * FOO *", "'FOO' is no month"),
        ("*/0 * * * *", "step 0 of the minute is not in 1–60"), ("*/61 * * * *", "step 61"), ("5-1 * * * *", "the range 5-1 of the minute goes backwards"),
        ("1,,2 * * * *", "'' is no minute"), ("1-2-3 * * * *", "'1-2-3' is no minute"), ("* * L * *", "'L' is no day of month"), ("? * * * *", "'?' is no minute"),
        ("* * * * 1#2", "'1#2' is no day of week"), ("@sometimes", "nickname @sometimes is not one of"), ("٣ * * * *", "'٣' is no minute"), ("-5 * * * *", "'-5' is no minute"),
    ],
)
def test_what_is_no_cron_expression(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="invalid cron expression") as caught:
        Cron.parse(text)
    assert str(caught.value).startswith(f"invalid cron expression '{text}': ")
    assert reason in str(caught.value)


def test_five_fields_with_seconds_are_refused() -> None:
    with pytest.raises(ValueError, match="it has 5 fields, 6 are expected; the second comes first"):
        Cron.parse("* * * * *", True)


@pytest.mark.parametrize(("text", "hours"), [("UTC", 0), ("Z", 0), ("+02:00", 2), ("GMT+2", 2), ("UTC-3", -3), ("-0530", -5.5), ("Asia/Tokyo", 9)])
def test_zones(text: str, hours: float) -> None:
    assert datetime(2026, 1, 1, tzinfo=parse_zone(text)).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "Mars/Base", "../../etc/passwd", "/etc/passwd", "+25:00", "a\x00b", "Europe"])
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        parse_zone(text)
