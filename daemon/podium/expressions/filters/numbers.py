"""Filters on numbers, and `className`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from podium.expressions.calls import Args, Filter, optional_text, text
from podium.expressions.java.decimal_format import format_decimal
from podium.expressions.java.numbers import decimal_number, number_in, real_number, whole_number
from podium.expressions.operators import is_number, type_name, wrap
from podium.expressions.runtime import Fault, Runtime
from podium.expressions.text import is_instant

_READERS: Mapping[str, Callable[[str], Any]] = {
    "INT": lambda found: whole_number(found, 32),
    "LONG": lambda found: whole_number(found, 64),
    "BIGINTEGER": whole_number,
    "FLOAT": real_number,
    "DOUBLE": real_number,
    "BIGDECIMAL": decimal_number,
}


def _a_number(value: Any) -> Any:
    if not is_number(value):
        raise Fault(f"the input must be a number, not {type_name(value)}")
    return value


def _abs(rt: Runtime, value: Any, args: Args) -> Any:
    number = abs(_a_number(value))
    return wrap(number, value) if isinstance(number, int) else number


def _number_format(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else format_decimal(_a_number(value), optional_text(args, "format"))


def _number(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    found = text(value, "the input")
    kind = (optional_text(args, "type") or "").upper()
    return _READERS.get(kind, number_in)(found)


def _class_name(rt: Runtime, value: Any, args: Args) -> Any:
    return None if value is None else class_name(value)


def class_name(value: Any) -> str:
    """The name of the Java class that holds such a value in the reference."""
    if isinstance(value, bool):
        return "java.lang.Boolean"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            return "java.math.BigInteger"
        return "java.lang.Integer" if -(2**31) <= value < 2**31 else "java.lang.Long"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return "java.time.LocalDateTime"
        return "java.time.Instant" if is_instant(value) else "java.time.ZonedDateTime"
    names: tuple[tuple[type, str], ...] = (
        (str, "java.lang.String"),
        (float, "java.lang.Double"),
        (Decimal, "java.math.BigDecimal"),
        (date, "java.time.LocalDate"),
        (time, "java.time.LocalTime"),
        (timedelta, "java.time.Duration"),
        (list, "java.util.ArrayList"),
        (tuple, "[Ljava.lang.String;"),
        (bytes, "[B"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "java.util.HashMap")


FILTERS = (
    Filter("abs", _abs),
    Filter("numberFormat", _number_format, ("format",), fuel=30),
    Filter("number", _number, ("type",), fuel=5),
    Filter("className", _class_name),
)
