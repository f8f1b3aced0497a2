"""`now`, and the calendar functions of dialect 2.0."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import Any

from podium.expressions import dates
from podium.expressions.calls import Args, Function, optional_text, required
from podium.expressions.filters.moments import format_date
from podium.expressions.runtime import Fault, Runtime
from podium.expressions.text import java_text

NEW = ("2.0",)
_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_POSITIONS = ("FIRST", "SECOND", "THIRD", "FOURTH")


def _now(rt: Runtime, args: Args) -> str:
    return format_date(rt, rt.world.now(), args)


def _text_of(args: Args, name: str) -> str:
    """A date argument as ISO text."""
    value = required(args, name)
    if value is None:
        raise Fault(f"the argument '{name}' must not be null")
    return java_text(value)


def _day(args: Args) -> date:
    return dates.written(_text_of(args, "date"))[0]


def _day_of_week(rt: Runtime, args: Args) -> str:
    return _DAYS[_day(args).weekday()]


def _day_of_month(rt: Runtime, args: Args) -> int:
    return _day(args).day


def _month_of_year(rt: Runtime, args: Args) -> int:
    return _day(args).month


def _hour_of_day(rt: Runtime, args: Args) -> int:
    clock = dates.written(_text_of(args, "date"))[1]
    if clock is None:
        raise Fault("the date has no time of day")
    return clock.hour


def _is_weekend(rt: Runtime, args: Args) -> bool:
    return _day(args).weekday() >= 5


def _weekday(name: str) -> int:
    """0 for MONDAY (any case)."""
    if name.upper() not in _DAYS:
        raise Fault(f"'{name[:40]}' is not a day of the week", hint=", ".join(_DAYS))
    return _DAYS.index(name.upper())


def _is_day_week_in_month(rt: Runtime, args: Args) -> bool:
    day = _day(args)
    weekday, position = _weekday(_text_of(args, "dayOfWeek")), _text_of(args, "position").upper()
    last = calendar.monthrange(day.year, day.month)[1]
    if position == "LAST":
        return day.weekday() == weekday and day.day > last - 7
    if position not in _POSITIONS:
        raise Fault(f"'{position[:40]}' is not a position", hint=", ".join((*_POSITIONS, "LAST")))
    return day.weekday() == weekday and (day.day - 1) // 7 == _POSITIONS.index(position)


def _is_last_working_day(rt: Runtime, args: Args) -> bool:
    day = _day(args)
    given = optional_text(args, "workingDays") or ""
    working = {_weekday(name) for name in re.split(r"[,\s]+", given) if name} or (set(range(5)) if not given.strip() else set())
    if not working:
        raise Fault("the argument 'workingDays' names no day")
    last = day.replace(day=calendar.monthrange(day.year, day.month)[1])
    while last.weekday() not in working:
        last -= timedelta(days=1)
    return day == last


def _is_public_holiday(rt: Runtime, args: Args) -> bool:
    import holidays

    day, country = _day(args), _text_of(args, "countryCode").upper()
    division = optional_text(args, "subDivision")
    try:
        return day in holidays.country_holidays(country, subdiv=division.upper() if division and division.strip() else None, years=day.year)
    except NotImplementedError as exc:
        raise Fault(f"the holidays of '{country[:20]}' ({division or 'all'}) are not known") from exc


def _is_date_between(rt: Runtime, args: Args) -> bool:
    day, after, before = (dates.instant(_text_of(args, name), needs_offset=True) for name in ("date", "after", "before"))
    return after < day < before


def _is_date_after(rt: Runtime, args: Args) -> bool:
    return dates.instant(_text_of(args, "date")) > dates.instant(_text_of(args, "reference"))


def _is_date_before(rt: Runtime, args: Args) -> bool:
    return dates.instant(_text_of(args, "date")) < dates.instant(_text_of(args, "reference"))


def _calendar(name: str, run: Any, *parameters: str) -> Function:
    return Function(name, run, ("date", *parameters), NEW)


FUNCTIONS = (
    Function("now", _now, ("format", "timeZone", "existingFormat", "locale"), pure=False, fuel=50),
    _calendar("dayOfWeek", _day_of_week),
    _calendar("dayOfMonth", _day_of_month),
    _calendar("monthOfYear", _month_of_year),
    _calendar("hourOfDay", _hour_of_day),
    _calendar("isWeekend", _is_weekend),
    _calendar("isDayWeekInMonth", _is_day_week_in_month, "dayOfWeek", "position"),
    _calendar("isLastWorkingDay", _is_last_working_day, "workingDays"),
    _calendar("isPublicHoliday", _is_public_holiday, "countryCode", "subDivision"),
    _calendar("isDateBetween", _is_date_between, "after", "before"),
    _calendar("isDateAfter", _is_date_after, "reference"),
    _calendar("isDateBefore", _is_date_before, "reference"),
)
