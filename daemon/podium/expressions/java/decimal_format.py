"""Java's DecimalFormat: numbers by a pattern such as `#,##0.00`, in the symbols of US English."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from podium.expressions.operators import Number
from podium.expressions.runtime import Fault

_DIGITS_MAX = 400
_NUMERIC = "#0,."
DEFAULT_PATTERN = "#,##0.###"


@dataclass(slots=True)
class _Pattern:
    prefix: str
    suffix: str
    negative_prefix: str
    negative_suffix: str
    whole_min: int
    whole_max: int
    fraction_min: int
    fraction_max: int
    grouping: int
    exponent_min: int
    scale: int


def format_decimal(value: Number, pattern: str | None = None) -> str:
    """The number by the pattern (half-even rounding). Raises Fault for a malformed pattern."""
    parsed = _parse(pattern if pattern is not None else DEFAULT_PATTERN)
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    negative = math.copysign(1, value) < 0 if isinstance(value, float) else value < 0
    prefix, suffix = (parsed.negative_prefix, parsed.negative_suffix) if negative else (parsed.prefix, parsed.suffix)
    if isinstance(value, float) and math.isinf(value):
        return f"{prefix}∞{suffix}"
    number = abs(Decimal(value)).scaleb(parsed.scale, Context(prec=2000))
    if number.adjusted() > _DIGITS_MAX:
        raise Fault("the number is too large to format")
    body = _scientific(number, parsed) if parsed.exponent_min else _plain(number, parsed)
    return f"{prefix}{body}{suffix}"


def _plain(number: Decimal, pattern: _Pattern) -> str:
    rounded = number.quantize(Decimal(1).scaleb(-pattern.fraction_max), ROUND_HALF_EVEN, Context(prec=2000))
    whole, _, fraction = format(rounded, "f").partition(".")
    whole = whole.lstrip("0").rjust(pattern.whole_min, "0")
    fraction = fraction.rstrip("0").ljust(pattern.fraction_min, "0")
    if not whole and not fraction:
        whole = "0"
    return _grouped(whole, pattern.grouping) + (f".{fraction}" if fraction else "")


def _grouped(whole: str, size: int) -> str:
    if not size or len(whole) <= size:
        return whole
    head = len(whole) % size
    groups = [whole[:head]] if head else []
    groups += [whole[at : at + size] for at in range(head, len(whole), size)]
    return ",".join(groups)


def _scientific(number: Decimal, pattern: _Pattern) -> str:
    """With an exponent, a multiple of the maximum of whole digits when that is above their minimum."""
    adjusted = number.adjusted() if number else 0
    whole_max = pattern.whole_max
    if whole_max > 1 and whole_max > pattern.whole_min:
        digits = pattern.whole_min + pattern.fraction_max
        rounded = Context(prec=max(digits, 1), rounding=ROUND_HALF_EVEN).plus(number)
        exponent = (rounded.adjusted() if number else 0) // whole_max * whole_max
        mantissa = rounded.scaleb(-exponent)
        whole_min, fraction_min = 1, 0
    else:
        exponent = adjusted - (pattern.whole_min - 1 if pattern.whole_min or pattern.fraction_min else 0)
        mantissa = number.scaleb(-exponent).quantize(Decimal(1).scaleb(-pattern.fraction_max), ROUND_HALF_EVEN, Context(prec=2000))
        if number and mantissa.adjusted() >= max(pattern.whole_min, 1):
            exponent += 1
            mantissa = number.scaleb(-exponent).quantize(Decimal(1).scaleb(-pattern.fraction_max), ROUND_HALF_EVEN, Context(prec=2000))
        whole_min, fraction_min = pattern.whole_min, pattern.fraction_min
    whole, _, fraction = format(mantissa, "f").partition(".")
    whole = whole.lstrip("0").rjust(whole_min, "0")
    fraction = fraction.rstrip("0").ljust(fraction_min, "0")
    shown = (whole or ("0" if not fraction else "")) + (f".{fraction}" if fraction else "")
    power = str(abs(exponent)).rjust(pattern.exponent_min, "0")
    return f"{shown}E{'-' if exponent < 0 else ''}{power}"


def _parse(text: str) -> _Pattern:
    parts = _split_unquoted(text)
    if len(parts) > 2:
        raise Fault(f"the number pattern '{text}' has more than two parts")
    prefix, body, suffix, scale = _affixes(parts[0], text)
    if len(parts) == 2 and parts[1]:
        negative_prefix, _, negative_suffix, _ = _affixes(parts[1], text)
    else:
        negative_prefix, negative_suffix = f"-{prefix}", suffix
    body, mark, exponent = body.partition("E")
    if mark and (not exponent or exponent.strip("0")):
        raise Fault(f"the number pattern '{text}' has a malformed exponent")
    whole, point, fraction = body.partition(".")
    if "." in fraction or "," in fraction or (fraction and fraction.lstrip("0").strip("#")):
        raise Fault(f"the number pattern '{text}' is malformed behind the point")
    digits = whole.replace(",", "")
    if digits.lstrip("#").strip("0") or whole.endswith(",") or (mark and "," in whole):
        raise Fault(f"the number pattern '{text}' is malformed")
    whole_min, fraction_min = digits.count("0"), fraction.count("0")
    if point and not whole_min and not fraction_min and (digits or fraction):  # Java takes the first # of `#.##` and `.##` for a 0
        whole_min, fraction_min = (1, 0) if digits else (0, 1)
    return _Pattern(
        prefix=prefix,
        suffix=suffix,
        negative_prefix=negative_prefix,
        negative_suffix=negative_suffix,
        whole_min=whole_min,
        whole_max=len(digits),
        fraction_min=fraction_min,
        fraction_max=len(fraction) if text else _DIGITS_MAX,
        grouping=len(whole) - whole.rindex(",") - 1 if "," in whole else 0,
        exponent_min=len(exponent),
        scale=scale,
    )


def _split_unquoted(text: str) -> list[str]:
    """The parts between semicolons that are not in quotes."""
    parts, quoted, current = [], False, ""
    for char in text:
        if char == "'":
            quoted = not quoted
        if char == ";" and not quoted:
            parts.append(current)
            current = ""
        else:
            current += char
    return [*parts, current]


def _affixes(part: str, text: str) -> tuple[str, str, str, int]:
    """Prefix, the digits between, suffix, and by which power of ten percent or per mille multiplies."""
    prefix, body, suffix = "", "", ""
    scale, quoted, at = 0, False, 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "'":
            if part[at : at + 1] == "'":
                at += 1
            else:
                quoted = not quoted
                continue
        elif not quoted:
            in_body = char in _NUMERIC or (char == "E" and body and part[at : at + 1] == "0")
            if in_body and suffix:
                raise Fault(f"the number pattern '{text}' has digits behind its suffix")
            if in_body:
                body += char
                continue
            if char in "%‰":
                scale = 2 if char == "%" else 3
            elif char == "¤":
                char = "$"
        if body:
            suffix += char
        else:
            prefix += char
    if quoted:
        raise Fault(f"the number pattern '{text}' has an unclosed quote")
    return prefix, body, suffix, scale
