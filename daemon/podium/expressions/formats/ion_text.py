"""Ion: reads values of Ion text or binary, writes values as Ion text the way the reference does."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from podium.base.durations import parse_duration
from podium.base.limits import STRING_CHARS_MAX
from podium.expressions.dates import as_written
from podium.expressions.runtime import Fault, Meter
from podium.expressions.text import double_text, is_instant, java_text, local_iso_text, moment_text, offset_text, zone_id

_IDENTIFIER = re.compile(r"[A-Za-z$_][A-Za-z0-9$_]*")
_KEYWORDS = frozenset({"null", "true", "false", "nan"})
_ESCAPES = {code: f"\\x{code:02x}" for code in [*range(32), 127]}
_ESCAPES |= {0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", ord("\\"): "\\\\"}
_READERS: dict[str, Callable[[str], Any]] = {
    "Instant": lambda text: as_written(text).astimezone(UTC),
    "OffsetDateTime": as_written,
    "ZonedDateTime": as_written,
    "LocalDateTime": datetime.fromisoformat,
    "LocalDate": date.fromisoformat,
    "LocalTime": time.fromisoformat,
    "Duration": parse_duration,
}
"""How strings with these annotations are read."""


def read_ion(data: str | bytes, meter: Meter, *, all_rows: bool) -> Any:
    """The first value, or all of them as a list. Symbols become strings, timestamps dates. Raises Fault."""
    from amazon.ion import simpleion
    from amazon.ion.exceptions import IonException

    raw = data.encode("utf-8", "replace") if isinstance(data, str) else bytes(data)
    meter.spend(len(raw) >> 3)
    if len(raw) > STRING_CHARS_MAX:
        raise Fault("the Ion text is too long", hint=f"the limit is {STRING_CHARS_MAX} bytes", limit="STRING_CHARS_MAX")
    try:
        load: Any = simpleion.load
        rows = load(io.BytesIO(raw), single_value=False, parse_eagerly=False, text_buffer_size_limit=max(len(raw), 4096))
        if all_rows:
            return [_plain(row, meter) for row in rows]
        row = next(iter(rows), None)
    except (IonException, StopIteration, RecursionError, MemoryError) as exc:
        raise Fault(f"Invalid ion: {exc}") from exc
    if row is None:
        return None
    value = _plain(row, meter)
    if value is None:
        raise Fault("Invalid ion: the value is null")
    return value


def _plain(value: Any, meter: Meter) -> Any:
    """A value of the Ion library as a plain one."""
    from amazon.ion.core import Timestamp
    from amazon.ion.simple_types import IonPyBool, IonPyNull
    from amazon.ion.symbols import SymbolToken

    meter.spend(1)
    if value is None or isinstance(value, IonPyNull):
        return None
    if isinstance(value, (bool, IonPyBool)):
        return bool(value)
    if isinstance(value, SymbolToken):
        return value.text
    if isinstance(value, Timestamp):
        return _moment(value)
    if isinstance(value, str) and (annotated := annotated_value(value)) is not None:
        return annotated
    if isinstance(value, Mapping):
        return {str(key): _plain(item, meter) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, meter) for item in value]
    kinds: tuple[type[Any], ...] = (int, float, Decimal, bytes)
    return next((kind(value) for kind in kinds if isinstance(value, kind)), str(value))


def annotated_value(value: Any) -> Any:
    """The moment or duration that a string of the Ion library with an annotation means (`ZonedDateTime::"…"`), or None."""
    for annotation in getattr(value, "ion_annotations", ()) or ():
        reader = _READERS.get(getattr(annotation, "text", annotation))
        if reader is not None:
            try:
                return reader(str(value))
            except ValueError as exc:
                raise Fault(f"Invalid ion: '{str(value)[:60]}' is not a date") from exc
    return None


def _moment(value: Any) -> Any:
    """An instant; a plain date when that is midnight UTC; a date in its offset when it has one."""
    offset = value.utcoffset()
    plain = datetime(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)  # noqa: DTZ001
    if offset:
        return plain.replace(tzinfo=timezone(offset))
    return plain.replace(tzinfo=UTC) if plain.time() != time() else plain.date()


def to_ion(value: Any, meter: Meter) -> str:
    """The value as Ion text: `{a:1,'my key':"v"}`, nulls kept."""
    pieces: list[str] = []
    size = 0

    def add(piece: str) -> None:
        nonlocal size
        size += len(piece)
        if size > STRING_CHARS_MAX:
            raise Fault("the text is too long", hint=f"the limit is {STRING_CHARS_MAX} characters", limit="STRING_CHARS_MAX")
        pieces.append(piece)

    def write(item: Any) -> None:
        meter.spend(3)
        if isinstance(item, Mapping):
            add("{")
            for index, (key, inner) in enumerate(item.items()):
                add(("," if index else "") + _symbol(java_text(key)) + ":")
                write(inner)
            add("}")
        elif isinstance(item, (list, tuple, set, frozenset)):
            add("[")
            for index, inner in enumerate(item):
                add("," if index else "")
                write(inner)
            add("]")
        else:
            add(_scalar(item))

    write(value)
    return "".join(pieces)


def _symbol(text: str) -> str:
    if _IDENTIFIER.fullmatch(text) and text not in _KEYWORDS:
        return text
    return "'" + text.translate(_ESCAPES).replace("'", "\\'") + "'"


def _string(text: str) -> str:
    return '"' + text.translate(_ESCAPES).replace('"', '\\"') + '"'


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, (bool, int)):
        return java_text(value)
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        if is_instant(value):
            fraction = f"{value.microsecond:06d}" if value.microsecond % 1000 else f"{value.microsecond // 1000:03d}"
            return f"{value.year:04d}-{value:%m-%dT%H:%M:%S}.{fraction}Z"
        region = zone_id(value)
        return f"ZonedDateTime::{_string(local_iso_text(value) + offset_text(value) + (f'[{region}]' if region else ''))}"
    if isinstance(value, datetime):
        return f"LocalDateTime::{_string(local_iso_text(value))}"
    if isinstance(value, time):
        return f"LocalTime::{_string(local_iso_text(value))}"
    if isinstance(value, timedelta):
        return f"Duration::{_string(moment_text(value))}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return "{{" + base64.b64encode(value).decode() + "}}"
    return _string(java_text(value))


def _double(value: float) -> str:
    text = double_text(value)
    if not text[-1].isdigit():
        return {"NaN": "nan", "Infinity": "+inf", "-Infinity": "-inf"}[text]
    text = text.removesuffix(".0")
    return text if "E" in text else text + "e0"


def _decimal(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise Fault("a decimal number must be finite")
    text = "".join(map(str, digits))
    minus = "-" if sign else ""
    if exponent == 0:
        return f"{minus}{text}."
    if exponent < 0 and value.adjusted() >= -6:
        return format(value, "f")
    return f"{minus}{text}d{exponent}"
