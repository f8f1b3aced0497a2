"""Writes a moment by the items of a date pattern."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from podium.expressions.datetimes.names import ABBREVIATED, NARROW, WIDE, Names
from podium.expressions.datetimes.patterns import CLOSE, FRACTION, LITERAL, OFFSET_ID, OPEN, PAD, ZONE_ID, Item
from podium.expressions.text import offset_text, zone_id

_WIDTHS = {1: ABBREVIATED, 2: ABBREVIATED, 3: ABBREVIATED, 4: WIDE, 5: NARROW}
_PERIOD_WIDTHS = {1: ABBREVIATED, 4: WIDE, 5: NARROW}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time in a zone. when: aware.  nano: nanoseconds of the second, whose microseconds `when` has as well."""

    when: datetime
    nano: int

    @classmethod
    def of(cls, when: datetime) -> Moment:
        """A moment without more than microseconds."""
        return cls(when, when.microsecond * 1000)


def print_moment(moment: Moment, items: tuple[Item, ...], names: Names) -> str:
    """The moment by the items, in the language of `names`."""
    pieces: list[str] = []
    pad = 0
    for item in items:
        if item.letter == PAD:
            pad = item.times
            continue
        piece = _piece(moment, item, names)
        pieces.append(piece.rjust(pad) if pad else piece)
        pad = 0
    return "".join(pieces)


def _piece(moment: Moment, item: Item, names: Names) -> str:
    letter, count, when = item.letter, item.times, moment.when
    if letter == LITERAL:
        return item.text
    if letter in (OPEN, CLOSE):
        return ""
    if letter in _NUMBERS:
        return str(_NUMBERS[letter](moment)).rjust(count, "0")
    if letter in ("u", "y"):
        return _year(when.year, count)
    if letter in "YwWec":
        return _week_piece(when, letter, count, names)
    if letter in "MLQqEGaB":
        return _name_piece(when, letter, count, names)
    if letter == "S":
        return f"{moment.nano:09d}"[:count]
    return _zone_piece(moment, letter, count, names)


_NUMBERS: dict[str, Callable[[Moment], int]] = {
    "d": lambda m: m.when.day,
    "D": lambda m: m.when.timetuple().tm_yday,
    "F": lambda m: (m.when.day - 1) // 7 + 1,
    "g": lambda m: m.when.date().toordinal() - 678576,
    "h": lambda m: (m.when.hour - 1) % 12 + 1,
    "H": lambda m: m.when.hour,
    "k": lambda m: m.when.hour or 24,
    "K": lambda m: m.when.hour % 12,
    "m": lambda m: m.when.minute,
    "s": lambda m: m.when.second,
    "n": lambda m: m.nano,
    "A": lambda m: _second_of_day(m) * 1000 + m.nano // 1_000_000,
    "N": lambda m: _second_of_day(m) * 1_000_000_000 + m.nano,
    "isoweekyear": lambda m: m.when.isocalendar().year,
    "isoweek": lambda m: m.when.isocalendar().week,
    "isoday": lambda m: m.when.isoweekday(),
}


def _second_of_day(moment: Moment) -> int:
    return moment.when.hour * 3600 + moment.when.minute * 60 + moment.when.second


def _year(year: int, count: int) -> str:
    if count == 2:
        return f"{year % 100:02d}"
    return str(year).rjust(count, "0")


def week_of(day: date, names: Names) -> tuple[int, int]:
    """Week-based year and week of a day where weeks begin on names.first_day."""
    for year in (day.year + 1, day.year, day.year - 1):
        if not 1 <= year <= 9999:
            continue
        start = first_week_start(year, names)
        if day.toordinal() >= start:
            return year, (day.toordinal() - start) // 7 + 1
    return day.year, 1


def first_week_start(year: int, names: Names) -> int:
    """The ordinal of the day that begins the first week of a year."""
    first = date(year, 1, 1)
    since_start = (first.isoweekday() - names.first_day) % 7
    start = first.toordinal() - since_start
    return start if 7 - since_start >= names.minimal_days else start + 7


def _week_of_month(day: date, names: Names) -> int:
    """The week of the month; 0 for days before its first week that is long enough."""
    before_first = (day.replace(day=1).isoweekday() - names.first_day) % 7
    return (day.day - 1 + before_first) // 7 + (7 - before_first >= names.minimal_days)


def _week_piece(when: datetime, letter: str, count: int, names: Names) -> str:
    if letter in "ec":
        if count >= 3:
            return names.day(when.isoweekday(), _WIDTHS[count], standalone=letter == "c")
        return str((when.isoweekday() - names.first_day) % 7 + 1).rjust(count, "0")
    if letter == "W":
        return str(_week_of_month(when.date(), names)).rjust(count, "0")
    year, week = week_of(when.date(), names)
    return _year(year, count) if letter == "Y" else str(week).rjust(count, "0")


def _name_piece(when: datetime, letter: str, count: int, names: Names) -> str:
    if letter in "ML":
        if count < 3:
            return str(when.month).rjust(count, "0")
        return names.month(when.month, _WIDTHS[count], standalone=letter == "L")
    if letter in "Qq":
        number = (when.month - 1) // 3 + 1
        return str(number).rjust(count, "0") if count < 3 else names.quarter(number, _WIDTHS[count], standalone=letter == "q")
    if letter == "E":
        return names.day(when.isoweekday(), _WIDTHS[count])
    if letter == "G":
        return names.era(_WIDTHS[count])
    return names.day_period(when, count) if letter == "B" else names.period(when.hour, _PERIOD_WIDTHS[count])


def _zone_piece(moment: Moment, letter: str, count: int, names: Names) -> str:
    when = moment.when
    if letter == FRACTION:
        return ("." + f"{moment.nano:09d}".rstrip("0")) if moment.nano else ""
    if letter == OFFSET_ID:
        return offset_text(when)
    if letter in (ZONE_ID, "V"):
        return zone_id(when) or offset_text(when)
    if letter in "zv":
        return names.zone(when, WIDE if count == 4 else ABBREVIATED)
    offset = when.utcoffset() or timedelta()
    if letter == "rfcoffset":
        return "GMT" if not offset else _offset(offset, 2)
    if letter == "O" or (letter == "Z" and count == 4):
        return _localized_offset(offset, short=letter == "O" and count == 1)
    if letter == "Z":
        return _offset(offset, 2) if count < 4 else "Z" if not offset else _offset(offset, 5)
    return "Z" if letter == "X" and not offset else _offset(offset, count)


def _offset(offset: timedelta, form: int) -> str:
    """form: 1 `+01` or `+0130`, 2 `+0100`, 3 `+01:00`, 4 `+0100` and 5 `+01:00` with seconds when there are some."""
    sign = "-" if offset < timedelta() else "+"
    minutes, seconds = divmod(abs(round(offset.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    colon = ":" if form in (3, 5) else ""
    text = f"{sign}{hours:02d}"
    if form > 1 or minutes:
        text += f"{colon}{minutes:02d}"
    return f"{text}{colon}{seconds:02d}" if form > 3 and seconds else text


def _localized_offset(offset: timedelta, *, short: bool) -> str:
    """`GMT+5:30` or `GMT+05:30`."""
    if not offset:
        return "GMT"
    full = _offset(offset, 5)
    if not short:
        return f"GMT{full}"
    return f"GMT{full[0]}{int(full[1:3])}" + (full[3:] if full[3:6] != ":00" or len(full) > 6 else "")
