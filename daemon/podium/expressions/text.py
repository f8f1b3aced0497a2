"""Values as text: Java's toString form, and JSON as the reference writes it.

Used for every `{{ output }}`, by `~` and the text filters, and by other rooms that must print a value like an expression does.
Results are bounded by STRING_CHARS_MAX; a value nested too deeply or too long to print is an ExpressionError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from podium.base.durations import format_duration
from podium.base.limits import STRING_CHARS_MAX
from podium.expressions.runtime import Fault, Meter

_TO_ESCAPE = re.compile(r'[\x00-\x1f"\\]')
_ESCAPES = {code: f"\\u{code:04X}" for code in range(32)} | {ord(char): f"\\{char}" for char in '"\\'}
_ESCAPES |= {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}


class Entry(dict[Any, Any]):
    """An entry of a map in a `for` loop: `.key` and `.value`. Printed as `k=v`, in JSON as a map of one entry."""

    __slots__ = ("key", "value")

    def __init__(self, key: Any, value: Any) -> None:
        super().__init__({key: value})
        self.key = key
        self.value = value


def java_text(value: Any, meter: Meter | None = None) -> str:
    """The value as Java's String.valueOf gives it: `null`, `1.0`, `[1, a]`, `{k=v}`. meter: pays for the items of lists and maps."""
    if not isinstance(value, (list, tuple, set, frozenset, Mapping)):
        return _scalar_text(value)
    writer = _Writer(meter)
    try:
        _write_java(writer, value)
    except RecursionError as exc:
        raise Fault("the value is nested too deeply to print") from exc
    return writer.text()


def output_text(value: Any, *, zone: tzinfo = UTC, dialect: str = "1.x", meter: Meter | None = None) -> str:
    """The value as `{{ … }}` prints it: nothing for null, JSON for lists and maps, else Java's text."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, (list, tuple, set, frozenset, Mapping)) and not isinstance(value, Entry):
        return to_json(value, zone=zone, dialect=dialect, meter=meter)
    return java_text(value, meter)


def to_json(value: Any, *, zone: tzinfo = UTC, dialect: str = "1.x", meter: Meter | None = None) -> str:
    """Compact JSON. Nulls in maps are dropped, doubles are Java's, dates ISO (zoned ones in `zone`), durations decimal seconds.

    meter: pays for the items of lists and maps.
    """
    writer = _Writer(meter)
    try:
        _write_json(writer, value, zone, dialect)
    except RecursionError as exc:
        raise Fault("the value is nested too deeply to print") from exc
    return writer.text()


def double_text(value: float) -> str:
    """A double as Java prints it: at least one decimal, `1.0E7` from 10^7 on and below 10^-3."""
    if value != value:  # noqa: PLR0124  the cheapest test for NaN
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value) if "e" not in repr(value) else format(Decimal(repr(value)), "f")
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    return f"{'-' if sign else ''}{shown[0]}.{shown[1:] or '0'}E{exponent + len(digits) - 1}"


def is_instant(value: datetime) -> bool:
    """Whether the date stands for Java's Instant: it is in UTC itself, not in a zone or offset that happens to be UTC's."""
    return value.tzinfo is UTC


def zone_id(value: datetime) -> str | None:
    """The name of the region a date is in (`Europe/Paris`); None for a fixed offset."""
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo):
        return zone.key
    return None if zone is None or isinstance(zone, timezone) else str(zone)


def offset_text(value: datetime) -> str:
    """The offset of a date: `Z`, `+02:00`."""
    offset = value.utcoffset() or timedelta()
    if not offset:
        return "Z"
    minutes, seconds = divmod(abs(round(offset.total_seconds())), 60)
    text = f"{'-' if offset < timedelta() else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text


def fraction_text(micros: int, *, trim: bool = False) -> str:
    """A fraction of a second: nothing, or a point and 3 or 6 digits (as many as needed with `trim`)."""
    if not micros:
        return ""
    digits = f"{micros:06d}"
    if trim:
        return "." + digits.rstrip("0")
    return "." + (digits[:3] if digits.endswith("000") else digits)


def _time_text(value: datetime | time) -> str:
    """Hours and minutes, seconds only when there are some."""
    text = f"{value.hour:02d}:{value.minute:02d}"
    if value.second or value.microsecond:
        text += f":{value.second:02d}{fraction_text(value.microsecond)}"
    return text


def _date_text(value: date) -> str:
    return f"{value.year:04d}-{value.month:02d}-{value.day:02d}"


def moment_text(value: date | time | timedelta) -> str:
    """A date, time or duration as Java's toString."""
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, time):
        return _time_text(value)
    if not isinstance(value, datetime):
        return _date_text(value)
    if value.tzinfo is None:
        return f"{_date_text(value)}T{_time_text(value)}"
    if is_instant(value):
        return f"{_date_text(value)}T{value:%H:%M:%S}{fraction_text(value.microsecond)}Z"
    region = zone_id(value)
    return f"{_date_text(value)}T{_time_text(value)}{offset_text(value)}" + (f"[{region}]" if region else "")


def local_iso_text(value: datetime | time) -> str:
    """Date and time without zone, with seconds and as much of the fraction as there is."""
    clock = f"{value.hour:02d}:{value.minute:02d}:{value.second:02d}{fraction_text(value.microsecond, trim=True)}"
    return f"{_date_text(value)}T{clock}" if isinstance(value, datetime) else clock


def _json_moment(value: date | time | timedelta, zone: tzinfo, dialect: str) -> str:
    """A date, time or duration as it stands in JSON (without quotes)."""
    if isinstance(value, timedelta):
        micros = round(value / timedelta(microseconds=1))
        return f"{'-' if micros < 0 else ''}{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06d}000"
    if isinstance(value, time):
        return local_iso_text(value)
    if not isinstance(value, datetime):
        return _date_text(value)
    if value.tzinfo is None:
        return local_iso_text(value)
    shown = value if is_instant(value) else value.astimezone(zone)
    fraction = f".{shown.microsecond:06d}" if dialect == "2.0" else fraction_text(shown.microsecond, trim=not is_instant(value))
    return f"{_date_text(shown)}T{shown:%H:%M:%S}{fraction}{offset_text(shown)}"


class _Writer:
    """Collects pieces of text up to the limit; the meter pays for each item of a list or map."""

    __slots__ = ("meter", "pieces", "size")

    def __init__(self, meter: Meter | None) -> None:
        self.pieces: list[str] = []
        self.size = 0
        self.meter = meter or Meter()

    def add(self, piece: str) -> None:
        self.size += len(piece)
        if self.size > STRING_CHARS_MAX:
            raise Fault("the text is too long", hint=f"the limit is {STRING_CHARS_MAX} characters", limit="STRING_CHARS_MAX")
        self.pieces.append(piece)

    def text(self) -> str:
        return "".join(self.pieces)


def _scalar_text(value: Any) -> str:
    """The Java text of anything but a list or map."""
    if isinstance(value, str):
        return str.__str__(value)  # an enum of strings would give its name
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _int_text(value)
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (date, time, timedelta)):
        return moment_text(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def _int_text(value: int) -> str:
    try:
        return str(value)
    except ValueError as exc:
        raise Fault("the number has too many digits to print") from exc


def _write_java(writer: _Writer, value: Any) -> None:
    if isinstance(value, (list, tuple, set, frozenset)):
        writer.add("[")
        for index, item in enumerate(value):
            writer.meter.spend(1)
            if index:
                writer.add(", ")
            _write_java(writer, item)
        writer.add("]")
    elif isinstance(value, Mapping):
        braces = not isinstance(value, Entry)
        writer.add("{" if braces else "")
        for index, (key, item) in enumerate(value.items()):
            writer.meter.spend(1)
            if index:
                writer.add(", ")
            _write_java(writer, key)
            writer.add("=")
            _write_java(writer, item)
        writer.add("}" if braces else "")
    else:
        writer.add(_scalar_text(value))


def json_string(value: str) -> str:
    """A JSON string; non-ASCII characters stay, `/ < > &` too."""
    return f'"{value.translate(_ESCAPES) if _TO_ESCAPE.search(value) else str.__str__(value)}"'


def _write_json(writer: _Writer, value: Any, zone: tzinfo, dialect: str) -> None:
    if isinstance(value, str):
        writer.add(json_string(value))
    elif isinstance(value, Mapping):
        writer.add("{")
        first = True
        for key, item in value.items():
            writer.meter.spend(1)
            if item is None:
                continue
            if key is None:
                raise Fault("a map with the key null cannot be written as JSON")
            writer.add("" if first else ",")
            first = False
            writer.add(json_string(_scalar_text(key) if not isinstance(key, (list, tuple)) else java_text(key)) + ":")
            _write_json(writer, item, zone, dialect)
        writer.add("}")
    elif isinstance(value, (list, tuple, set, frozenset)):
        writer.add("[")
        for index, item in enumerate(value):
            writer.meter.spend(1)
            writer.add("," if index else "")
            _write_json(writer, item, zone, dialect)
        writer.add("]")
    else:
        writer.add(_json_scalar(value, zone, dialect))


def _json_scalar(value: Any, zone: tzinfo, dialect: str) -> str:
    if value is None or isinstance(value, (bool, int)):
        return _scalar_text(value)
    if isinstance(value, float):
        text = double_text(value)
        return text if text[-1].isdigit() else f'"{text}"'
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else f'"{value}"'
    if isinstance(value, timedelta):
        return _json_moment(value, zone, dialect)
    if isinstance(value, (date, time)):
        return f'"{_json_moment(value, zone, dialect)}"'
    return json_string(_scalar_text(value))


def encodable(value: Any) -> Any:
    """`value` with texts as Java writes them in UTF-8, also in maps and lists: half of a surrogate pair becomes a question mark."""
    if isinstance(value, str):
        return value if value.isascii() else _whole(value)
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, (list, tuple)) else value


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return joined.encode("utf-8", "replace").decode()
    return text
