"""What the operators do with values: arithmetic of 64-bit integers, doubles and decimals, equality, order, truth, membership.

Called by the compiled closures. Values that an operator does not take raise Fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

from podium.base.limits import STRING_CHARS_MAX
from podium.expressions.runtime import Fault, Meter, Runtime
from podium.expressions.text import java_text

_LONG = 2**63
_DECIMAL128 = Context(prec=34)
_DECIMAL_DIGITS_MAX = 10_000
_SIGNS = {"-": "subtract", "*": "multiply", "/": "divide", "%": "take the remainder of"}
Number = int | float | Decimal


def type_name(value: Any) -> str:
    """What messages call a value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "a list"
    return f"a {type(value).__name__}"


def is_number(value: Any) -> bool:
    """Whether the value is a number (a boolean is none)."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def is_list(value: Any) -> bool:
    """Whether the value is a list, an array (the result of `split`) or a set."""
    return isinstance(value, (list, tuple, set, frozenset))


def map_key(value: Any) -> Any:
    """A key of a map as it is kept: booleans and decimals as text, since Python would take true for 1."""
    return java_text(value) if isinstance(value, (bool, float)) else value


def wrap(value: int, *operands: Number) -> int:
    """An integer result as a 64-bit one, unless an operand was bigger than that already."""
    if -_LONG <= value < _LONG or any(not -_LONG <= operand < _LONG for operand in operands):
        return value
    return (value + _LONG) % (2 * _LONG) - _LONG


def truth(value: Any) -> bool:
    """The value as a condition. Null, lists, maps and dates are none."""
    if value is True or value is False:
        return value
    if isinstance(value, str):
        return value != ""
    if is_number(value):
        return bool(value != 0)
    raise Fault(f"{type_name(value)} is not a condition", hint="compare it, or use a test such as `is defined` or `is empty`")


def equal(left: Any, right: Any) -> bool:
    """The `==` operator: numbers by value, anything else by type and value."""
    if is_number(left) and is_number(right):
        return float_of(left) == float_of(right)
    return same(left, right)


def same(left: Any, right: Any, meter: Meter | None = None) -> bool:
    """Java's equals, as lists and maps compare their items: 1 and 1.0 differ."""
    if left is right:
        return not (isinstance(left, float) and math.isnan(left))
    meter = meter or Meter()
    meter.spend(2)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        if len(left) != len(right):
            return False
        return all(key in right and same(item, right[key], meter) for key, item in left.items())
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(same(one, other, meter) for one, other in zip(left, right, strict=True))
    if is_number(left) or is_number(right) or isinstance(left, bool) or isinstance(right, bool):
        return type(left) is type(right) and bool(left == right)
    return bool(left == right)


def float_of(number: Number) -> float:
    """A number as a double; infinite when it is beyond."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def compare(operator: str, left: Any, right: Any, dialect: str) -> bool:
    """`< > <= >=`: numbers, and strings in 2.0. Null on either side is false."""
    if left is None or right is None:
        return False
    if is_number(left) and is_number(right):
        one, other = float_of(left), float_of(right)
    elif dialect == "2.0" and isinstance(left, str) and isinstance(right, str):
        one, other = left, right  # type: ignore[assignment]  # both are texts then
    else:
        raise Fault(f"cannot compare {type_name(left)} with {type_name(right)} by `{operator}`", hint="only numbers have an order")
    if operator == "<":
        return one < other
    if operator == ">":
        return one > other
    return one <= other if operator == "<=" else one >= other


def add(rt: Runtime, left: Any, right: Any) -> Any:
    """The `+` operator: sum, joined text, or a list with more items."""
    if type(left) is int and type(right) is int:
        return wrap(left + right, left, right)
    if isinstance(left, str) or isinstance(right, str):
        return rt.meter.text(java_text(left, rt.meter) + java_text(right, rt.meter))
    if isinstance(left, list):
        more = list(right) if is_list(right) else [right]
        rt.meter.spend(len(more))
        if rt.dialect == "2.0":
            rt.meter.spend(len(left))
            return [*left, *more]
        items = rt.own(left)
        if len(items) + len(more) > STRING_CHARS_MAX:
            raise Fault("the list is too long", hint=f"the limit is {STRING_CHARS_MAX} items", limit="STRING_CHARS_MAX")
        items.extend(more)
        return items
    return arithmetic("+", left, right, rt.dialect)


def subtract(rt: Runtime, left: Any, right: Any) -> Any:
    """The `-` operator: difference, or a list without the items equal to `right` (or to an item of it)."""
    if type(left) is int and type(right) is int:
        return wrap(left - right, left, right)
    if isinstance(left, list):
        unwanted = list(right) if is_list(right) else [right]
        kept = [item for item in left if not any(same(item, other, rt.meter) for other in unwanted)]
        if rt.dialect == "2.0":
            return kept
        items = rt.own(left)
        items[:] = kept
        return items
    return arithmetic("-", left, right, rt.dialect)


def arithmetic(operator: str, left: Any, right: Any, dialect: str) -> Number:
    """`+ - * / %` of two numbers; in 2.0 all but `+` also read numbers in strings."""
    if dialect == "2.0" and operator != "+":
        left, right = _number_in(left), _number_in(right)
    if not is_number(left) or not is_number(right):
        raise Fault(f"cannot {_SIGNS.get(operator, 'add')} {type_name(left)} and {type_name(right)}", hint="both sides must be numbers")
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return _decimal(operator, left, right)
    if isinstance(left, float) or isinstance(right, float):
        return _double(operator, float_of(left), float_of(right))
    return _integer(operator, left, right)


def _integer(operator: str, left: int, right: int) -> int:
    if operator == "+":
        return wrap(left + right, left, right)
    if operator == "-":
        return wrap(left - right, left, right)
    if operator == "*":
        if left.bit_length() + right.bit_length() > STRING_CHARS_MAX:
            raise Fault("the number is too large")
        return wrap(left * right, left, right)
    if right == 0:
        raise Fault("division by zero")
    quotient = abs(left) // abs(right)
    if (left < 0) != (right < 0):
        quotient = -quotient
    return wrap(quotient, left, right) if operator == "/" else left - quotient * right


def _double(operator: str, left: float, right: float) -> float:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        if right == 0:
            if left == 0 or math.isnan(left):
                return math.nan
            return math.copysign(math.inf, left) * math.copysign(1.0, right)
        return left / right
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


def _decimal(operator: str, left: Number, right: Number) -> Decimal:
    one, other = _as_decimal(left), _as_decimal(right)
    if not (one.is_finite() and other.is_finite()):
        raise Fault("a decimal number must be finite")
    spread = abs(one.adjusted()) + abs(other.adjusted()) + len(one.as_tuple().digits) + len(other.as_tuple().digits)
    if spread > _DECIMAL_DIGITS_MAX:
        raise Fault("the decimal number has too many digits")
    exact = Context(prec=_DECIMAL_DIGITS_MAX)
    if operator == "+":
        return exact.add(one, other)
    if operator == "-":
        return exact.subtract(one, other)
    if operator == "*":
        return exact.multiply(one, other)
    if other == 0:
        raise Fault("division by zero")
    return _DECIMAL128.divide(one, other) if operator == "/" else exact.remainder(one, other)


def _as_decimal(value: Number) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _number_in(value: Any) -> Any:
    """The number a string holds (dialect 2.0), else the value."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        return float(text) if any(char in text for char in ".eE") else int(text)
    except ValueError as exc:
        raise Fault("a string that is no number cannot be calculated with") from exc


def negate(value: Any) -> Number:
    """Unary minus."""
    if not is_number(value):
        raise Fault(f"cannot negate {type_name(value)}")
    return wrap(-value, value) if isinstance(value, int) else -value


def positive(value: Any) -> Number:
    """Unary plus."""
    if not is_number(value):
        raise Fault(f"unary + needs a number, not {type_name(value)}")
    return value  # type: ignore[no-any-return]  # is_number narrows it


def contains(rt: Runtime, left: Any, right: Any) -> bool:
    """Membership of a list (of all items of a list), a key of a map, a part of a string."""
    if left is None:
        return False
    if is_list(left):
        wanted = list(right) if is_list(right) else [right]
        return all(any(same(item, each, rt.meter) for item in left) for each in wanted)
    if isinstance(left, Mapping):
        return _hashable(right) and map_key(right) in left
    if isinstance(left, str):
        return java_text(right, rt.meter) in left
    raise Fault(f"`contains` needs a list, map or string on its left, not {type_name(left)}")


def is_in(rt: Runtime, left: Any, right: Any) -> bool:
    """`isIn`: whether the text of left is the text of an item of a list, or of a key or value of a map."""
    if left is None or right is None:
        return False
    if isinstance(right, Mapping):
        candidates: list[Any] = [*right.keys(), *right.values()]
    elif is_list(right):
        candidates = list(right)
    else:
        return False
    rt.meter.spend(len(candidates))
    text = java_text(left, rt.meter)
    return any(java_text(candidate, rt.meter) == text for candidate in candidates)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def value_range(rt: Runtime, start: Any, end: Any, step: Any, limit: int) -> list[Any]:
    """The numbers or characters from `start` to `end`, both included. Descending needs a negative step."""
    if isinstance(start, str) and isinstance(end, str) and len(start) == 1 and len(end) == 1:
        return [chr(code) for code in value_range(rt, ord(start), ord(end), step, limit)]
    if not is_number(start) or not is_number(end) or not is_number(step):
        raise Fault(f"a range goes from number to number or from character to character, not from {type_name(start)} to {type_name(end)}")
    if not all(math.isfinite(float_of(number)) for number in (start, end, step)):
        raise Fault("the ends of a range must be finite")
    first, last, width = int(start), int(end), int(step)
    if width == 0:
        raise Fault("the increment of a range must not be 0")
    count = max(0, (last - first) // width + 1)
    if count > limit:
        raise Fault(f"the range has {count} items", hint=f"the limit is {limit} items", limit="RANGE_ITEMS_MAX")
    rt.meter.spend(count >> 4)
    return list(range(first, first + count * width, width))
