"""Dates: values and texts as moments in a zone, moments as text by a named format or a Java pattern, and calendar arithmetic.

Called by the date filters and functions. A text or value that is no date, an unknown zone, unit or pattern raise Fault.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from podium.expressions.datetimes.names import Names, names_of
from podium.expressions.datetimes.patterns import LENIENT_NAMES, NAMED, STYLES, Item, parse_pattern, without_region
from podium.expressions.datetimes.printing import Moment, print_moment
from podium.expressions.datetimes.reading import NoMatch, Read, read_text
from podium.expressions.datetimes.zones import parse_zone
from podium.expressions.operators import type_name
from podium.expressions.runtime import Fault
from podium.expressions.text import zone_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTC = ZoneInfo("UTC")
_CLOCK_UNITS_NS = {
    "NANOS": 1,
    "MICROS": 1_000,
    "MILLIS": 1_000_000,
    "SECONDS": 1_000_000_000,
    "MINUTES": 60 * 1_000_000_000,
    "HOURS": 3600 * 1_000_000_000,
    "HALF_DAYS": 12 * 3600 * 1_000_000_000,
}
_DAY_UNITS = {"DAYS": 1, "WEEKS": 7}
_MONTH_UNITS = {"MONTHS": 1, "YEARS": 12, "DECADES": 120, "CENTURIES": 1200, "MILLENNIA": 12000}
_ISO_TEXTS = ("iso_date_time", "iso_local_date")


def zone_named(name: str | None, default: tzinfo) -> tzinfo:
    """The zone an argument names, or the default. UTC counts as a region, so that it is printed as one."""
    if name is None:
        return _UTC if default is UTC else default
    zone = parse_zone(name)
    if zone is None:
        raise Fault(f"'{name[:60]}' is not a time zone", hint="write Europe/Paris, UTC or +02:00")
    return zone


def to_moment(value: object, zone: tzinfo, existing_format: str | None = None) -> Moment:
    """The moment that a value means, shown in `zone`.

    Dates and times without a zone are taken as of `zone`, a plain date object at noon, a number as seconds since 1970; a text as
    ISO or as `existing_format` says, a date without time at the start of its day.
    """
    try:
        if isinstance(value, datetime):
            return Moment.of(_local(value, zone) if value.tzinfo is None else value.astimezone(zone))
        if isinstance(value, date):
            return Moment.of(_local(datetime.combine(value, time(12)), zone))
        if isinstance(value, int) and not isinstance(value, bool):
            return Moment.of((_EPOCH + timedelta(seconds=value)).astimezone(zone))
        if isinstance(value, str):
            return _read(value, zone, existing_format)
    except (OverflowError, ValueError) as exc:
        raise Fault("the date is out of range") from exc
    raise Fault(f"{type_name(value)} is not a date", hint="dates are ISO texts, date values or whole seconds since 1970")


def _local(wall: datetime, zone: tzinfo) -> datetime:
    """A wall-clock time in a zone; one that a change of clocks skips moves forward."""
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)


def _read(text: str, zone: tzinfo, existing_format: str | None) -> Moment:
    names = names_of(None)
    if existing_format is None:
        tries: tuple[tuple[tuple[Item, ...], bool], ...] = tuple((NAMED[name], True) for name in _ISO_TEXTS)
    elif existing_format in STYLES:
        raise Fault(f"texts cannot be read by the style '{existing_format}'", hint="give a pattern")
    else:
        items = NAMED.get(existing_format) or parse_pattern(existing_format)
        tries = ((items, existing_format in NAMED and existing_format not in LENIENT_NAMES),)
    for items, strict in tries:
        try:
            return _in_zone(read_text(text, items, names, strict=strict), zone)
        except NoMatch:
            continue
    hint = "write it as 2024-03-05T14:07:09Z, or give its existingFormat" if existing_format is None else "it does not follow existingFormat"
    raise Fault(f"'{text[:60]}' is not a date", hint=hint)


def _in_zone(read: Read, zone: tzinfo) -> Moment:
    if read.clock is None:
        return Moment.of(_local(datetime.combine(read.day, time()), zone))
    wall = datetime.combine(read.day, read.clock) + timedelta(days=read.extra_days)
    if read.zone is None:
        return Moment(_local(wall, zone), read.nano)
    return Moment(wall.replace(tzinfo=read.zone).astimezone(UTC).astimezone(zone), read.nano)


def format_moment(moment: Moment, form: str, locale: str | None = None) -> str:
    """The moment by a named format, a style or a pattern, in a language."""
    names = names_of(locale)
    if form in STYLES:
        return names.styled(moment.when, form)
    if form == "iso_instant":
        return _instant(moment)
    named = NAMED.get(form)
    if named is None:
        return print_moment(moment, parse_pattern(form), names)
    items = named if zone_id(moment.when) else without_region(named)
    return print_moment(moment, items, Names() if form not in LENIENT_NAMES else names)


def _instant(moment: Moment) -> str:
    """In UTC with a fraction of 0, 3, 6 or 9 digits."""
    when = moment.when.astimezone(UTC)
    digits = f"{moment.nano:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{when:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{digits}Z"


def add(moment: Moment, amount: int, unit: str) -> Moment:
    """The moment some units later. Days and longer keep the time of day; months keep the day or take their last one."""
    zone = moment.when.tzinfo or UTC
    try:
        if unit in _CLOCK_UNITS_NS:
            nanos = moment.nano + amount * _CLOCK_UNITS_NS[unit]
            seconds, nano = divmod(nanos, 1_000_000_000)
            later = moment.when.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
            return Moment(later.replace(microsecond=nano // 1000).astimezone(zone), nano)
        wall = moment.when.replace(tzinfo=None)
        if unit in _DAY_UNITS:
            return Moment(_local(wall + timedelta(days=amount * _DAY_UNITS[unit]), zone), moment.nano)
        if unit in _MONTH_UNITS:
            return Moment(_local(_months_later(wall, amount * _MONTH_UNITS[unit]), zone), moment.nano)
    except (OverflowError, ValueError) as exc:
        raise Fault("the date is out of range") from exc
    known = ", ".join([*_CLOCK_UNITS_NS, *_DAY_UNITS, *_MONTH_UNITS])
    raise Fault(f"'{unit[:40]}' is not a unit of time", hint=f"units are {known}")


def _months_later(wall: datetime, months: int) -> datetime:
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    month += 1
    if not 1 <= year <= 9999:
        raise ValueError(year)
    return wall.replace(year=year, month=month, day=min(wall.day, calendar.monthrange(year, month)[1]))


def epoch_nanos(moment: Moment) -> int:
    """Nanoseconds since 1970."""
    whole = moment.when.astimezone(UTC).replace(microsecond=0) - _EPOCH
    return (whole.days * 86400 + whole.seconds) * 1_000_000_000 + moment.nano


def written(text: str) -> tuple[date, time | None]:
    """The date and time of an ISO text as they stand in it, whatever its zone. Raises Fault."""
    for name in _ISO_TEXTS:
        try:
            read = read_text(text, NAMED[name], names_of(None), strict=True)
        except NoMatch:
            continue
        return read.day, read.clock
    raise Fault(f"'{text[:60]}' is not a date", hint="write it as 2024-03-05 or 2024-03-05T14:07:09Z")


def instant(text: str, *, needs_offset: bool = False) -> datetime:
    """The instant an ISO text means, one without a zone as of UTC (refused with needs_offset). Raises Fault."""
    for name in _ISO_TEXTS:
        try:
            read = read_text(text, NAMED[name], names_of(None), strict=True)
        except NoMatch:
            continue
        if needs_offset and (read.clock is None or read.zone is None):
            break
        return _in_zone(read, timezone(timedelta())).when
    hint = "write it with an offset: 2024-03-05T14:07:09Z" if needs_offset else "write it as 2024-03-05 or 2024-03-05T14:07:09Z"
    raise Fault(f"'{text[:60]}' is not a date", hint=hint)


def as_written(text: str) -> datetime:
    """An ISO text with an offset or zone as a date in that zone. Raises Fault."""
    try:
        read = read_text(text, NAMED["iso_zoned_date_time"], names_of(None), strict=True)
    except NoMatch as exc:
        raise Fault(f"'{text[:60]}' is not a date with a zone") from exc
    assert read.zone is not None
    assert read.clock is not None
    return datetime.combine(read.day, read.clock, read.zone)
