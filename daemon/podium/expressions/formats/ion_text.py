"""Ion: reads values of Ion text or binary, writes values as Ion text the way the reference does."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from podium.base.limits import STRING_CHARS_MAX
from podium.expressions.runtime import Fault, Meter
from podium.expressions.text import double_text, is_instant, java_text, moment_text

_IDENTIFIER = re.compile(r"[A-Za-z$_][A-Za-z0-9$_]*")
_KEYWORDS = frozenset({"null", "true", "false", "nan"})
_ESCAPES = {code: f"\\x{code:02x}" for code in [*range(32), 127]}
_ESCAPES |= {0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", ord("\\"): "\\\\"}
_DAY_PRECISION = 2
_SECOND_PRECISION = 3
_TYPES: dict[type[Any], str] = {datetime: "LocalDateTime", time: "LocalTime", timedelta: "Duration"}


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
    value = _plain(row, meter)
    if value is None:
        raise Fault("Invalid ion: there is no value")
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
    if isinstance(value, Mapping):
        return {str(key): _plain(item, meter) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, meter) for item in value]
    kinds: tuple[type[Any], ...] = (int, float, Decimal, bytes)
    return next((kind(value) for kind in kinds if isinstance(value, kind)), str(value))


def _moment(value: Any) -> Any:
    if value.precision < _DAY_PRECISION:
        return f"{value.year:04d}T" if value.precision == 0 else f"{value.year:04d}-{value.month:02d}T"
    if value.precision == _DAY_PRECISION:
        return date(value.year, value.month, value.day)
    plain = datetime(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.tzinfo or UTC)
    try:
        return plain.astimezone(UTC)
    except OverflowError as exc:
        raise Fault("Invalid ion: a timestamp is out of range") from exc


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
            return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
        return f"ZonedDateTime::{_string(moment_text(value))}"
    for kind, name in _TYPES.items():
        if isinstance(value, kind):
            return f"{name}::{_string(moment_text(value))}"
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
