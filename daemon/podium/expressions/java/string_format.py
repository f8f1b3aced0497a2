"""Java's String.format: `%s %d %05.2f %x %,d %-10s %1$s` and the other conversions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from podium.expressions.java.hashing import hash_code
from podium.expressions.operators import type_name
from podium.expressions.runtime import Fault, Meter
from podium.expressions.text import java_text

_SPECIFIER = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(<]*)(\d+)?(?:\.(\d+))?([tT]?[a-zA-Z%])")
_PRECISION_MAX = 1000
_DATE_PARTS = {
    "Y": "%Y", "m": "%m", "d": "%d", "H": "%H", "M": "%M", "S": "%S", "y": "%y", "j": "%j", "B": "%B", "b": "%b", "A": "%A", "a": "%a",
    "F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "p": "%p", "I": "%I", "Z": "%Z", "z": "%z",
}  # fmt: skip


def string_format(template: str, values: Sequence[Any], meter: Meter) -> str:
    """The template with its specifiers replaced. Raises Fault for a malformed one or a value that does not fit."""
    pieces: list[str] = []
    at = following = last = 0
    for match in _SPECIFIER.finditer(template):
        between = template[at : match.start()]
        _no_stray_percent(between)
        pieces.append(between)
        at = match.end()
        meter.size(int(match[3] or 0) if len(match[3] or "") < 10 else 10**10)
        conversion = match[5]
        if conversion in ("n", "%"):
            pieces.append(_fill("\n" if conversion == "n" else "%", match[2], match[3]))
            continue
        if match[1]:
            index = int(match[1]) - 1
        elif "<" in match[2]:
            index = last
        else:
            index = following
            following += 1
        if not 0 <= index < len(values):
            raise Fault(f"the format '{match[0]}' has no value", hint=f"{len(values)} values were given")
        last = index
        pieces.append(_convert(match, values[index], meter))
    _no_stray_percent(template[at:])
    pieces.append(template[at:])
    return meter.join(pieces)


def _no_stray_percent(text: str) -> None:
    if "%" in text:
        raise Fault(f"the format '{text[text.index('%') :][:20]}' is malformed", hint="write %% for a percent sign")


def _fill(text: str, flags: str, width: str | None) -> str:
    if width is None:
        return text
    return text.ljust(int(width)) if "-" in flags else text.rjust(int(width))


def _convert(match: re.Match[str], value: Any, meter: Meter) -> str:
    flags, width, precision, conversion = match[2], match[3], match[4], match[5]
    if isinstance(value, (list, tuple, Mapping)):
        value = java_text(value, meter)
    digits = None if precision is None else int(precision)
    if digits is not None and digits > _PRECISION_MAX and conversion not in "sSbBhH":
        raise Fault(f"the precision of '{match[0]}' is too large")
    kind = conversion[0].lower()
    convert = _CONVERSIONS.get(kind)
    if convert is None:
        raise Fault(f"the conversion '{match[0]}' is unknown")
    if value is None and kind not in "bt":
        text = "null"[:digits]
    else:
        text = convert(value, flags, digits, conversion)
        if kind in "dxoefg" and "0" in flags and width is not None:
            sign = text[: text[:1] in ("-", "+", " ", "(")]
            text = sign + text[len(sign) :].rjust(int(width) - len(sign), "0")
    return _fill(text.upper() if conversion[0].isupper() else text, flags, width)


def _text(value: Any, flags: str, digits: int | None, conversion: str) -> str:
    text = java_text(value)
    return text if digits is None else text[:digits]


def _boolean(value: Any, flags: str, digits: int | None, conversion: str) -> str:
    text = java_text(value if isinstance(value, bool) else value is not None)
    return text if digits is None else text[:digits]


def _hash(value: Any, flags: str, digits: int | None, conversion: str) -> str:
    return f"{hash_code(value):x}"


def _character(value: Any, flags: str, digits: int | None, conversion: str) -> str:
    if isinstance(value, str) and len(value) == 1:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0x10FFFF:
        return chr(value)
    raise Fault(f"%c needs a character, not {type_name(value)}")


def _integer(value: Any, flags: str, digits: int | None, conversion: str) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Fault(f"%{conversion} needs a whole number, not {java_text(value)[:40]}")
    if digits is not None:
        raise Fault(f"%{conversion} takes no precision")
    if conversion.lower() == "d":
        return _signed(f"{abs(value):,}" if "," in flags else str(abs(value)), flags, negative=value < 0)
    unsigned = value if value >= 0 else value + 2**64
    if conversion.lower() == "x":
        return f"0x{unsigned:x}" if "#" in flags else f"{unsigned:x}"
    return f"0{unsigned:o}" if "#" in flags else f"{unsigned:o}"


def _real(value: Any, flags: str, digits: int | None, conversion: str) -> str:
    if not isinstance(value, (float, Decimal)):
        raise Fault(f"%{conversion} needs a decimal number, not {type_name(value)}", hint="multiply by 1.0")
    number = Decimal(repr(value)) if isinstance(value, float) else value
    if not number.is_finite():
        return java_text(value)
    kind, places = conversion.lower(), 6 if digits is None else digits
    size = abs(number)
    if kind == "g":
        places = max(places, 1)
        rounded = Context(prec=places, rounding=ROUND_HALF_UP).plus(size)
        if size == 0 or Decimal("0.0001") <= rounded < Decimal(10) ** places:
            kind, places = "f", max(0, places - 1 - (rounded.adjusted() if size else 0))
        else:
            kind, places = "e", places - 1
    if kind == "e":
        scaled = Context(prec=places + 1, rounding=ROUND_HALF_UP).plus(size)
        exponent = scaled.adjusted() if size else 0
        text = f"{format(scaled.scaleb(-exponent), f'.{places}f')}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    else:
        fixed = size.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, Context(prec=2 * _PRECISION_MAX))
        text = format(fixed, ",f" if "," in flags else "f")
    return _signed(text, flags, negative=number.is_signed())


def _signed(text: str, flags: str, *, negative: bool) -> str:
    if negative:
        return f"({text})" if "(" in flags else f"-{text}"
    return ("+" if "+" in flags else " " if " " in flags else "") + text


def _moment(value: Any, flags: str, digits: int | None, conversion: str) -> str:
    if value is None:
        return "null"
    pattern = _DATE_PARTS.get(conversion[1:])
    if pattern is None or not isinstance(value, date):
        raise Fault(f"%{conversion} needs a date, not {type_name(value)}", hint="use the date filter")
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001  only its parts are shown
    return moment.strftime(pattern)


_CONVERSIONS: dict[str, Callable[[Any, str, int | None, str], str]] = {
    "s": _text, "b": _boolean, "h": _hash, "c": _character, "d": _integer, "x": _integer, "o": _integer,
    "e": _real, "f": _real, "g": _real, "t": _moment,
}  # fmt: skip

