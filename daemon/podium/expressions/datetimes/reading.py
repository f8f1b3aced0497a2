"""Reads text by the items of a date pattern, into the fields it names and then into a date, a time and a zone."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, field
from datetime import date, time, timedelta, timezone, tzinfo

from podium.expressions.datetimes.names import ABBREVIATED, NARROW, WIDE, Names
from podium.expressions.datetimes.patterns import CLOSE, FRACTION, LITERAL, OFFSET_ID, OPEN, PAD, ZONE_ID, Item
from podium.expressions.datetimes.printing import first_week_start
from podium.expressions.datetimes.zones import parse_zone

_OFFSET = re.compile(r"[zZ]|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?")
_OFFSET_STRICT = re.compile(r"[zZ]|([+-])(\d\d)(?::(\d\d)(?::(\d\d))?)?")
_FRACTION = re.compile(r"\.(\d{1,9})")
_HOURS = re.compile(r"([+-])(\d\d)()()")
_LOCALIZED = re.compile(r"GMT(?:([+-])(\d{1,2})(?::(\d\d)(?::(\d\d))?)?)?")
_REGION = re.compile(r"[A-Za-z][A-Za-z0-9~/._+-]*(?::\d\d)?|[+-]\d\d(?::?\d\d)?|Z")
_NUMERIC = frozenset("uyYDdwecFhKkHmsSAnNMLQqg")
_WIDTHS = {3: ABBREVIATED, 4: WIDE, 5: NARROW}
_ZULU = timezone(timedelta(), "Z")


class NoMatch(Exception):
    """The text does not follow the pattern, or means no date."""


@dataclass(slots=True)
class Fields:
    """What was read: numbers by pattern letter, and the zone."""

    numbers: dict[str, int] = field(default_factory=dict)
    zone: tzinfo | None = None
    offset: timezone | None = None

    def put(self, name: str, value: int) -> None:
        """Keep a number; another one for the same field must be equal."""
        if self.numbers.setdefault(name, value) != value:
            raise NoMatch


@dataclass(frozen=True, slots=True)
class Read:
    """A date with the time of day (None if the text has none) and the zone (None likewise). nano: nanoseconds of the second."""

    day: date
    clock: time | None
    nano: int
    zone: tzinfo | None
    extra_days: int = 0


def read_text(text: str, items: tuple[Item, ...], names: Names, *, strict: bool) -> Read:
    """The date that `text` means. strict: no day that the month does not have. Raises NoMatch."""
    fields = Fields()
    end = _section(text, 0, items, fields, names)
    if end != len(text):
        raise NoMatch
    try:
        return _resolve(fields, names, strict=strict)
    except (ValueError, OverflowError) as exc:
        raise NoMatch from exc


def _section(text: str, at: int, items: tuple[Item, ...], fields: Fields, names: Names) -> int:
    index = 0
    while index < len(items):
        item = items[index]
        if item.letter == OPEN:
            close = _closing(items, index)
            trial = Fields(dict(fields.numbers), fields.zone, fields.offset)
            try:
                at = _section(text, at, items[index + 1 : close], trial, names)
                fields.numbers, fields.zone, fields.offset = trial.numbers, trial.zone, trial.offset
            except NoMatch:
                pass
            index = close + 1
            continue
        if item.letter not in (CLOSE, PAD):
            at = _read_item(text, at, item, fields, names, reserved=_reserved(items, index))
        index += 1
    return at


def _closing(items: tuple[Item, ...], at: int) -> int:
    depth = 0
    for index in range(at, len(items)):
        depth += {OPEN: 1, CLOSE: -1}.get(items[index].letter, 0)
        if not depth:
            return index
    return len(items)


def _is_number(item: Item) -> bool:
    return item.letter in _NUMERIC and not (item.letter in "MLQqec" and item.times >= 3)


def _reserved(items: tuple[Item, ...], index: int) -> int:
    """How many digits the fixed-width numbers right behind a number need."""
    total = 0
    for item in items[index + 1 :]:
        if not _is_number(item) or (item.times < 2 and item.letter != "S"):
            break
        total += item.times
    return total


def _read_item(text: str, at: int, item: Item, fields: Fields, names: Names, *, reserved: int) -> int:
    letter = item.letter
    if letter == LITERAL:
        if not text.startswith(item.text, at):
            raise NoMatch
        return at + len(item.text)
    if letter == FRACTION:
        match = _FRACTION.match(text, at)
        if match is None:
            raise NoMatch
        fields.put("n", int(match[1].ljust(9, "0")))
        return match.end()
    if letter in (OFFSET_ID, ZONE_ID, "rfcoffset") or letter in "XxZOVzv":
        return _read_zone(text, at, item, fields)
    if _is_number(item) or letter in ("isoweekyear", "isoweek", "isoday"):
        return _read_number(text, at, item, fields, reserved=reserved)
    return _read_name(text, at, item, fields, names)


def _read_number(text: str, at: int, item: Item, fields: Fields, *, reserved: int) -> int:
    letter, count = item.letter, item.times
    sign = 1
    if letter in "uyY" and count != 2 and text[at : at + 1] in ("-", "+"):
        sign = -1 if text[at] == "-" else 1
        at += 1
    end = at
    while end < len(text) and text[end] in "0123456789" and end - at < 19:
        end += 1
    found = end - at
    if letter == "S" or letter in ("isoweekyear", "isoweek", "isoday") or (letter in "uyY" and count >= 4):
        width = count
    elif count == 1:
        width = max(1, found - reserved)
    else:
        width = count
    if found < width or width == 0:
        raise NoMatch
    digits = text[at : at + width]
    value = sign * int(digits)
    if letter == "S":
        fields.put("n", int(digits.ljust(9, "0")))
    elif letter in "uyY" and count == 2:
        fields.put("Y" if letter == "Y" else "y", 2000 + value)
    else:
        fields.put({"u": "y", "L": "M", "q": "Q", "c": "e"}.get(letter, letter), value)
    return at + width


def _read_name(text: str, at: int, item: Item, fields: Fields, names: Names) -> int:
    letter, width = item.letter, _WIDTHS.get(item.times, ABBREVIATED)
    if letter in "ML":
        return _one_of(text, at, [names.month(n, width, standalone=letter == "L") for n in range(1, 13)], fields, "M")
    if letter in "Eec":
        return _one_of(text, at, [names.day(n, width, standalone=letter == "c") for n in range(1, 8)], fields, "E")
    if letter in "Qq":
        return _one_of(text, at, [names.quarter(n, width) for n in range(1, 5)], fields, "Q")
    if letter == "a":
        return _one_of(text, at, [names.period(0, ABBREVIATED), names.period(12, ABBREVIATED)], fields, "a")
    if letter == "G":
        return _one_of(text, at, [names.era(width)], fields, "G")
    raise NoMatch


def _one_of(text: str, at: int, choices: list[str], fields: Fields, name: str) -> int:
    for choice in sorted(choices, key=len, reverse=True):
        if text.startswith(choice, at):
            fields.put(name, choices.index(choice) + 1)
            return at + len(choice)
    raise NoMatch


def _read_zone(text: str, at: int, item: Item, fields: Fields) -> int:
    letter, count = item.letter, item.times
    if letter in (ZONE_ID, "V", "z", "v"):
        match = _REGION.match(text, at)
        zone = parse_zone(match[0]) if match else None
        if match is None or zone is None:
            raise NoMatch
        fields.zone = zone
        return match.end()
    if letter == "rfcoffset" and text.startswith("GMT", at):
        fields.offset = timezone(timedelta())
        return at + 3
    localized = letter == "O" or (letter == "Z" and count == 4)
    colon = letter == OFFSET_ID or (letter in "Xx" and count in (3, 5)) or (letter == "Z" and count == 5)
    match = (_LOCALIZED if localized else _OFFSET_STRICT if colon else _OFFSET).match(text, at)
    if match is None or (match[0] in ("z", "Z") and (letter == "x" or (letter == "Z" and count < 4) or letter == "rfcoffset")):
        raise NoMatch
    if not localized and match[0] not in ("z", "Z"):
        with_minutes = match[3] is not None
        if (letter in "Xx" and count > 1 and not with_minutes) or (letter == "Z" and not with_minutes):
            raise NoMatch
        if not colon and ":" in match[0]:
            match = _HOURS.match(text, at) if letter in "Xx" and count == 1 else None
            if match is None:
                raise NoMatch
    seconds = int(match[2] or 0) * 3600 + int(match[3] or 0) * 60 + int(match[4] or 0)
    if seconds > 18 * 3600:
        raise NoMatch
    fields.offset = timezone(timedelta(seconds=-seconds if match[1] == "-" else seconds)) if seconds else _ZULU
    return match.end()


def _resolve(fields: Fields, names: Names, *, strict: bool) -> Read:
    numbers = fields.numbers
    day = _resolve_date(numbers, names, strict=strict)
    if "E" in numbers and day.isoweekday() != numbers["E"]:
        raise NoMatch
    clock, extra = _resolve_time(numbers)
    nano = numbers.get("n", numbers.get("N", numbers.get("A", 0) % 1000 * 1_000_000) % 1_000_000_000)
    zone = fields.zone or fields.offset
    return Read(day, None if clock is None else clock.replace(microsecond=nano // 1000), nano, zone, extra)


def _resolve_date(numbers: dict[str, int], names: Names, *, strict: bool) -> date:
    if "isoweekyear" in numbers:
        return date.fromisocalendar(numbers["isoweekyear"], numbers["isoweek"], numbers["isoday"])
    if "y" in numbers:
        year = numbers["y"]
        if "D" in numbers:
            if not 1 <= numbers["D"] <= 365 + calendar.isleap(year):
                raise NoMatch
            return date(year, 1, 1) + timedelta(days=numbers["D"] - 1)
        if "M" in numbers and "d" in numbers:
            month, day = numbers["M"], numbers["d"]
            if not strict and 1 <= month <= 12 and 28 < day <= 31:
                day = min(day, calendar.monthrange(year, month)[1])
            return date(year, month, day)
    if "Y" in numbers and "w" in numbers and ("e" in numbers or "E" in numbers):
        weekday = numbers["e"] - 1 if "e" in numbers else (numbers["E"] - names.first_day) % 7
        return date.fromordinal(first_week_start(numbers["Y"], names) + (numbers["w"] - 1) * 7 + weekday)
    raise NoMatch


def _resolve_time(numbers: dict[str, int]) -> tuple[time | None, int]:
    """The time of day, and a day more for 24:00."""
    if "N" in numbers or "A" in numbers:
        seconds = numbers["N"] // 1_000_000_000 if "N" in numbers else numbers["A"] // 1000
        return time(seconds // 3600, seconds // 60 % 60, seconds % 60), 0
    hour = _hour(numbers)
    if hour is None:
        return None, 0
    minute, second = numbers.get("m", 0), numbers.get("s", 0)
    if hour == 24 and not minute and not second and not numbers.get("n", 0):
        return time(), 1
    return time(hour, minute, second), 0


def _hour(numbers: dict[str, int]) -> int | None:
    if "H" in numbers:
        return numbers["H"]
    if "k" in numbers:
        if not 1 <= numbers["k"] <= 24:
            raise NoMatch
        return numbers["k"] % 24
    half = numbers["h"] % 12 if "h" in numbers and 1 <= numbers["h"] <= 12 else numbers.get("K")
    if half is None or "a" not in numbers:
        if "h" in numbers and not 1 <= numbers["h"] <= 12:
            raise NoMatch
        return None
    if not 0 <= half <= 11:
        raise NoMatch
    return half + 12 * (numbers["a"] - 1)
