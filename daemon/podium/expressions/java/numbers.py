"""Numbers in text, as the reference reads them: hexadecimal, octal, suffixes, and the smallest type that fits."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from podium.expressions.operators import Number
from podium.expressions.runtime import Fault

_WHOLE = re.compile(r"([-+]?)(0[xX]|#|0(?=[0-9]))?([0-9a-fA-F]+)")
_REAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_DIGITS_MAX = 4000


def _no_number(text: str) -> Fault:
    return Fault(f"'{text[:40]}' is not a number")


def whole_number(text: str, bits: int | None = None) -> int:
    """A whole number: decimal, `0x1F`, `#1F` or octal `017`; within `bits` bits if given."""
    match = _WHOLE.fullmatch(text)
    if match is None or len(text) > _DIGITS_MAX:
        raise _no_number(text)
    base = {None: 10, "0": 8}.get(match[2], 16)
    try:
        value = int(match[3], base)
    except ValueError as exc:
        raise _no_number(text) from exc
    value = -value if match[1] == "-" else value
    if bits is not None and not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise Fault(f"{text[:40]} does not fit in {bits} bits")
    return value


def real_number(text: str) -> float:
    """A double."""
    trimmed = text.strip()
    if trimmed[-1:] in ("d", "D", "f", "F"):
        trimmed = trimmed[:-1]
    if _REAL.fullmatch(trimmed) is None:
        raise _no_number(text)
    return float(trimmed)


def decimal_number(text: str) -> Decimal:
    """A decimal that keeps its digits: `1.10`."""
    if _REAL.fullmatch(text) is None or len(text) > _DIGITS_MAX:
        raise _no_number(text)
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise _no_number(text) from exc


def number_in(text: str) -> Number:
    """The number in the smallest type that keeps its value."""
    if text[-1:] in ("l", "L") and text[:-1].lstrip("-").isdecimal():
        return whole_number(text[:-1].lstrip("0") or "0")
    if _WHOLE.fullmatch(text) and (text.lstrip("+-")[:2] in ("0x", "0X") or "#" in text or text.lstrip("+-").isdecimal()):
        return whole_number(text)
    if text[-1:] in ("d", "D", "f", "F"):
        return real_number(text)
    exact = decimal_number(text)
    value = float(text)
    return value if Decimal(repr(value)) == exact else exact
