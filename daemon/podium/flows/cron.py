"""Cron expressions: what they say and when they fire. Pure; shared by the checks of flows and by the schedule triggers.

Five fields `minute hour day-of-month month day-of-week`, or six with the second first, or a nickname (@hourly, @daily, @midnight,
@weekly, @monthly, @yearly, @annually). Day-of-week 0–7 (0 and 7 are Sunday); names JAN…DEC and SUN…SAT; lists, ranges, steps. When
day-of-month and day-of-week are both other than `*`, a day that fits either fires.

Wall-clock rule: a time that does not exist (clocks go forward) fires at the first moment after the gap; a time that exists twice
(clocks go back) fires once, at its first occurrence. Source: flow-language 7.1.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

SEARCH_YEARS = 10
"""How far the next or previous time is looked for."""

_NICKNAMES = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}
_MONTHS = {name.upper(): index for index, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: index for index, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d{1,4}))?", re.ASCII)
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    words: dict[str, int]


_SECOND = _Field("second", 0, 59, {})
_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of month", 1, 31, {})
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of week", 0, 7, _WEEKDAYS)


@dataclass(frozen=True, slots=True)
class Cron:
    """The times that fit, field by field; each a sorted tuple. weekdays: 0 is Sunday. days or weekdays None: every day fits."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...] | None
    months: tuple[int, ...]
    weekdays: tuple[int, ...] | None

    @classmethod
    def parse(cls, text: str, with_seconds: bool = False) -> Cron:
        """The expression meant by `text`. Raises ValueError: invalid cron expression '…': why."""
        try:
            return _parse(text, with_seconds)
        except ValueError as error:
            raise ValueError(f"invalid cron expression '{text}': {error}") from error

    def fits_day(self, day: date) -> bool:
        """Whether it fires on that day at all."""
        if day.month not in self.months:
            return False
        if self.days is None and self.weekdays is None:
            return True
        weekday = day.isoweekday() % 7
        return (self.days is not None and day.day in self.days) or (self.weekdays is not None and weekday in self.weekdays)

    def next(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first time later than `after` (aware), in `zone`; None when there is none within SEARCH_YEARS."""
        assert after.tzinfo is not None
        try:
            return self._next(after, zone)
        except OverflowError:  # at the end of the calendar
            return None

    def _next(self, after: datetime, zone: tzinfo) -> datetime | None:
        moment = after.astimezone(UTC)  # moments of one zone would be compared by their clocks
        local = after.astimezone(zone).replace(tzinfo=None)
        limit = _years_later(local, SEARCH_YEARS)
        candidate = self._at_or_after(local.replace(microsecond=0) + timedelta(seconds=1), limit)
        while candidate is not None:
            fires = _in_zone(candidate, zone)
            if fires.astimezone(UTC) > moment:
                return fires
            candidate = self._at_or_after(candidate + timedelta(seconds=1), limit)
        return None

    def previous(self, before: datetime, zone: tzinfo) -> datetime | None:
        """The last time earlier than `before` (aware), in `zone`; None when there is none within SEARCH_YEARS."""
        assert before.tzinfo is not None
        try:
            return self._previous(before, zone)
        except OverflowError:  # at the beginning of the calendar
            return None

    def _previous(self, before: datetime, zone: tzinfo) -> datetime | None:
        moment = before.astimezone(UTC)
        local = before.astimezone(zone)
        naive = local.replace(tzinfo=None)
        if local.fold:  # times of the first pass may read later on the clock
            naive += _offset(local.replace(fold=0)) - _offset(local)
        limit = _years_later(naive, -SEARCH_YEARS)
        candidate = self._at_or_before(naive, limit)
        while candidate is not None:
            fires = _in_zone(candidate, zone)
            if fires.astimezone(UTC) < moment:
                return fires
            candidate = self._at_or_before(candidate - timedelta(seconds=1), limit)
        return None

    def _at_or_after(self, start: datetime, limit: datetime) -> datetime | None:
        """The first fitting clock time from `start` on."""
        day, earliest = start.date(), start.time()
        while day <= limit.date():
            if day.month not in self.months:
                day = _first_of_next_month(day)
                earliest = time.min
                continue
            if self.fits_day(day):
                found = self._first_time(earliest)
                if found is not None:
                    return datetime.combine(day, found)
            if day == date.max:
                return None
            day += timedelta(days=1)
            earliest = time.min
        return None

    def _at_or_before(self, start: datetime, limit: datetime) -> datetime | None:
        """The last fitting clock time up to `start`."""
        day, latest = start.date(), start.time()
        while day >= limit.date():
            if self.fits_day(day):
                found = self._last_time(latest)
                if found is not None:
                    return datetime.combine(day, found)
            if day == date.min:
                return None
            day -= timedelta(days=1)
            latest = time.max
        return None

    def _first_time(self, earliest: time) -> time | None:
        for hour in self.hours[bisect_left(self.hours, earliest.hour) :]:
            low_minute = earliest.minute if hour == earliest.hour else 0
            for minute in self.minutes[bisect_left(self.minutes, low_minute) :]:
                at_start = hour == earliest.hour and minute == earliest.minute
                index = bisect_left(self.seconds, earliest.second if at_start else 0)
                if index < len(self.seconds):
                    return time(hour, minute, self.seconds[index])
        return None

    def _last_time(self, latest: time) -> time | None:
        for hour in reversed(self.hours[: bisect_right(self.hours, latest.hour)]):
            high_minute = latest.minute if hour == latest.hour else 59
            for minute in reversed(self.minutes[: bisect_right(self.minutes, high_minute)]):
                at_end = hour == latest.hour and minute == latest.minute
                index = bisect_right(self.seconds, latest.second if at_end else 59)
                if index:
                    return time(hour, minute, self.seconds[index - 1])
        return None


def _first_of_next_month(day: date) -> date:
    if day.month == 12:
        return date(day.year + 1, 1, 1) if day.year < date.max.year else date.max
    return date(day.year, day.month + 1, 1)


def _years_later(moment: datetime, years: int) -> datetime:
    year = min(max(moment.year + years, 1), 9999)
    return datetime(year, moment.month, min(moment.day, 28))  # noqa: DTZ001 - a reading of the clock, in no zone


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def _in_zone(clock: datetime, zone: tzinfo) -> datetime:
    """The moment at which the clock of `zone` reads `clock`: the first of two, or the end of the gap it falls into."""
    moment = clock.replace(tzinfo=zone)
    utc = moment.astimezone(UTC)
    if utc.astimezone(zone).replace(tzinfo=None) == clock:
        return moment
    after = _offset(moment.replace(fold=1))
    low = (clock - after).replace(tzinfo=UTC)
    seconds = int((utc - low).total_seconds())
    start = 0
    while start < seconds:  # the first second that has the new offset
        middle = (start + seconds) // 2
        if _offset((low + timedelta(seconds=middle)).astimezone(zone)) == after:
            seconds = middle
        else:
            start = middle + 1
    return (low + timedelta(seconds=start)).astimezone(zone)


@lru_cache(maxsize=2_000)
def _parse(text: str, with_seconds: bool) -> Cron:
    words = text.split()
    if len(words) == 1 and words[0].startswith("@"):
        found = _NICKNAMES.get(words[0].lower())
        if found is None:
            raise ValueError(f"nickname {words[0]} is not one of {', '.join(_NICKNAMES)}")
        words = ["0", *found.split()] if with_seconds else found.split()
    wanted = 6 if with_seconds else 5
    if len(words) != wanted:
        more = "" if len(words) not in (5, 6) else "; set withSeconds: true" if len(words) == 6 else "; the second comes first"
        raise ValueError(f"it has {len(words)} fields, {wanted} are expected{more}")
    seconds = _values(words[0], _SECOND) if with_seconds else (0,)
    minute, hour, day, month, weekday = words[-5:]
    weekdays = None if weekday == "*" else tuple(sorted({each % 7 for each in _values(weekday, _WEEKDAY)}))
    return Cron(
        text=text, seconds=seconds, minutes=_values(minute, _MINUTE), hours=_values(hour, _HOUR),
        days=None if day == "*" else _values(day, _DAY), months=_values(month, _MONTH), weekdays=weekdays,
    )


def _values(text: str, field: _Field) -> tuple[int, ...]:
    values: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"'{item}' is no {field.name} (write a number, a name, *, a-b, */n or a list of them)")
        star, first, last, step = match.groups()
        low = field.low if star else _number(first, field)
        high = field.high if star or (step and not last) else _number(last or first, field)
        if low > high:
            raise ValueError(f"the range {item} of the {field.name} goes backwards")
        by = int(step or 1)
        if not 1 <= by <= field.high - field.low + 1:
            raise ValueError(f"step {by} of the {field.name} is not in 1–{field.high - field.low + 1}")
        if star and field is _WEEKDAY:
            high = 6
        values.update(range(low, high + 1, by))
    return tuple(sorted(values))


def _number(text: str, field: _Field) -> int:
    number = field.words.get(text.upper())
    if number is None:
        if not text.isascii() or not text.isdecimal() or len(text) > 4:
            raise ValueError(f"'{text}' is no {field.name}")
        number = int(text)
    if not field.low <= number <= field.high:
        raise ValueError(f"{number} is not in the range {field.low}–{field.high} of the {field.name}")
    return number


@lru_cache(maxsize=1_000)
def parse_zone(text: str) -> tzinfo:
    """The time zone of an id: `Europe/Paris`, `UTC`, `+02:00`, `GMT+2`. Raises ValueError for an unknown one."""
    if text in ("Z", "UTC", "GMT", "UT"):
        return UTC
    match = _OFFSET.fullmatch(text)
    if match is not None:
        sign, hours, minutes, seconds = match.groups()
        length = timedelta(hours=int(hours), minutes=int(minutes or 0), seconds=int(seconds or 0))
        if length > timedelta(hours=18):
            raise ValueError(f"unknown time zone '{text}': an offset is at most 18 hours")
        return timezone(-length if sign == "-" else length)
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone '{text}'") from error
