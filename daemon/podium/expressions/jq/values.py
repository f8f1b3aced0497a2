"""jq's values: order, arithmetic, access, and changes at a path. Values are never changed in place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from podium.base.limits import STRING_CHARS_MAX
from podium.expressions.runtime import Fault, Meter
from podium.expressions.text import java_text, to_json

_LONG = 2**63
_INDEX_MAX = 1_000_000


class JqError(Exception):
    """An error of the program, which `try` catches. value: what `error` was given."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


def plain(value: Any, meter: Meter, zone: tzinfo, dialect: str) -> Any:
    """A value of the template as JSON: dates as text, nulls of maps dropped."""
    meter.spend(3)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {java_text(key): plain(item, meter, zone, dialect) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, meter, zone, dialect) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < _LONG else float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (date, time)):
        return to_json(value, zone=zone, dialect=dialect).strip('"')
    return java_text(value)


def kind(value: Any) -> str:
    """jq's name of the type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def shown(value: Any) -> str:
    """The value in messages."""
    text = dump(value)
    return f"{kind(value)} ({text if len(text) <= 40 else text[:37] + '...'})"


def dump(value: Any) -> str:
    """The value as JSON text; nulls in objects are kept."""
    pieces: list[str] = []
    size = 0

    def write(item: Any) -> None:
        nonlocal size
        if isinstance(item, dict):
            text = "{"
            for index, (key, inner) in enumerate(item.items()):
                pieces.append(text + ("," if index else "") + to_json(key) + ":")
                size += len(pieces[-1])
                text = ""
                write(inner)
            text += "}"
        elif isinstance(item, list):
            text = "["
            for index, inner in enumerate(item):
                pieces.append(text + ("," if index else ""))
                text = ""
                write(inner)
            text += "]"
        else:
            text = "null" if isinstance(item, float) and math.isnan(item) else to_json(item)
        pieces.append(text)
        size += len(text) + 1
        if size > STRING_CHARS_MAX:
            raise Fault("the text is too long", hint=f"the limit is {STRING_CHARS_MAX} characters", limit="STRING_CHARS_MAX")

    write(value)
    return "".join(pieces)


def true(value: Any) -> bool:
    """Everything is true but null and false."""
    return value is not None and value is not False


def rank(value: Any, meter: Meter) -> Any:
    """A key that orders values: null, false, true, numbers, strings, arrays, objects."""
    meter.spend(2)
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (2 if value else 1,)
    if isinstance(value, (int, float)):
        return (3, -math.inf) if isinstance(value, float) and math.isnan(value) else (3, value)
    if isinstance(value, str):
        return (4, value)
    if isinstance(value, list):
        return (5, [rank(item, meter) for item in value])
    keys = sorted(value)
    return (6, keys, [rank(value[key], meter) for key in keys])


def equal(one: Any, other: Any, meter: Meter) -> bool:
    """Whether two values are the same."""
    if type(one) is str or type(other) is str:
        return type(one) is type(other) and bool(one == other)
    return bool(rank(one, meter) == rank(other, meter))


def number(value: float) -> Any:
    """A result of a calculation: whole numbers as integers."""
    if isinstance(value, int):
        return value if -_LONG <= value < _LONG else float(value)
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) < _LONG else value


def _numbers(one: Any, other: Any) -> bool:
    return kind(one) == "number" and kind(other) == "number"


def add(one: Any, other: Any, meter: Meter) -> Any:
    """`+`"""
    if one is None:
        return other
    if other is None:
        return one
    if _numbers(one, other):
        return number(one + other)
    if isinstance(one, str) and isinstance(other, str):
        meter.size(len(one) + len(other))
        return one + other
    if isinstance(one, list) and isinstance(other, list):
        meter.spend(len(one) + len(other) >> 2)
        return one + other
    if isinstance(one, dict) and isinstance(other, dict):
        meter.spend(len(one) + len(other) >> 2)
        return one | other
    raise JqError(f"{shown(one)} and {shown(other)} cannot be added")


def subtract(one: Any, other: Any, meter: Meter) -> Any:
    """`-`"""
    if _numbers(one, other):
        return number(one - other)
    if isinstance(one, list) and isinstance(other, list):
        return [item for item in one if not any(equal(item, each, meter) for each in other)]
    raise JqError(f"{shown(one)} and {shown(other)} cannot be subtracted")


def multiply(one: Any, other: Any, meter: Meter) -> Any:
    """`*`"""
    if _numbers(one, other):
        return number(one * other)
    if isinstance(one, str) != isinstance(other, str) and "number" in (kind(one), kind(other)):
        text, times = (one, other) if isinstance(one, str) else (other, one)
        if times <= 0:
            return None
        count = math.ceil(min(times, STRING_CHARS_MAX + 1))
        meter.size(len(text) * count)
        return text * count
    if isinstance(one, dict) and isinstance(other, dict):
        return _deep_merge(one, other, meter)
    raise JqError(f"{shown(one)} and {shown(other)} cannot be multiplied")


def _deep_merge(one: dict[str, Any], other: dict[str, Any], meter: Meter) -> dict[str, Any]:
    meter.spend(len(one) + len(other))
    merged = dict(one)
    for key, item in other.items():
        old = merged.get(key)
        merged[key] = _deep_merge(old, item, meter) if isinstance(old, dict) and isinstance(item, dict) else item
    return merged


def divide(one: Any, other: Any, meter: Meter) -> Any:
    """`/`"""
    if _numbers(one, other):
        if other == 0:
            raise JqError(f"{shown(one)} and {shown(other)} cannot be divided because the divisor is zero")
        return number(one / other)
    if isinstance(one, str) and isinstance(other, str):
        meter.spend(len(one) >> 2)
        return ([] if not one else one.split(other)) if other else list(one)
    raise JqError(f"{shown(one)} and {shown(other)} cannot be divided")


def remainder(one: Any, other: Any, meter: Meter) -> Any:
    """`%`, of whole numbers, with the sign of the dividend."""
    if not _numbers(one, other):
        raise JqError(f"{shown(one)} and {shown(other)} cannot be divided")
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.nan
    left, right = int(one), int(other)
    if right == 0:
        raise JqError(f"{shown(one)} and {shown(other)} cannot be divided because the divisor is zero")
    return int(math.copysign(1, left)) * (abs(left) % abs(right))


def index(value: Any, key: Any, meter: Meter) -> Any:
    """`.[key]`"""
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list):
        if kind(key) == "number":
            at = math.floor(key) if math.isfinite(key) else len(value)
            at += len(value) if at < 0 else 0
            return value[at] if 0 <= at < len(value) else None
        if isinstance(key, list):
            return indices(value, key, meter)
        if isinstance(key, dict):
            return slice_of(value, key.get("start"), key.get("end"), meter)
    if isinstance(value, str) and isinstance(key, dict):
        return slice_of(value, key.get("start"), key.get("end"), meter)
    if value is None and (key is None or isinstance(key, (str, dict)) or kind(key) == "number"):
        return None
    if isinstance(key, str):
        raise JqError(f'Cannot index {kind(value)} with "{key[:40]}"')
    raise JqError(f"Cannot index {kind(value)} with {kind(key)}")


def bounds(length: int, start: Any, end: Any) -> tuple[int, int]:
    """Where a slice of something so long begins and ends."""
    for bound in (start, end):
        if bound is not None and kind(bound) != "number":
            raise JqError("Start and end indices of an array slice must be numbers")
    first = 0 if start is None else start + length if start < 0 else start
    last = length if end is None else end + length if end < 0 else end
    first = max(0, math.floor(min(first, length)))
    return first, max(first, math.ceil(min(last, length)))


def slice_of(value: Any, start: Any, end: Any, meter: Meter) -> Any:
    """`.[start:end]`"""
    if value is None:
        return None
    if not isinstance(value, (list, str)):
        raise JqError(f"Cannot index {kind(value)} with object")
    first, last = bounds(len(value), start, end)
    meter.spend(last - first >> 4)
    return value[first:last]


def iterate(value: Any) -> Iterator[tuple[Any, Any]]:
    """Key and value of everything in an array or object."""
    if isinstance(value, list):
        yield from enumerate(value)
    elif isinstance(value, dict):
        yield from value.items()
    else:
        raise JqError(f"Cannot iterate over {shown(value) if value is not None else 'null'}")


def indices(value: Any, wanted: Any, meter: Meter) -> Any:
    """Where `wanted` begins in a string or array."""
    if value is None:
        return None
    if isinstance(value, str) and isinstance(wanted, str):
        if not wanted:
            return None
        found, at = [], value.find(wanted)
        while at >= 0:
            meter.spend(1)
            found.append(at)
            at = value.find(wanted, at + 1)
        return found
    if not isinstance(value, list):
        return index(value, wanted, meter)
    if not isinstance(wanted, list):
        return [at for at, item in enumerate(value) if equal(item, wanted, meter)]
    if not wanted:
        return None
    ends = range(len(value) - len(wanted) + 1)
    return [at for at in ends if all(equal(value[at + step], item, meter) for step, item in enumerate(wanted))]


def get_path(value: Any, path: list[Any], meter: Meter) -> Any:
    """What is at a path; null beyond a null."""
    for key in path:
        if value is None:
            return None
        value = index(value, key, meter)
    return value


def set_path(value: Any, path: tuple[Any, ...], new: Any, meter: Meter) -> Any:
    """The value with `new` at a path; what is missing on the way is made."""
    if not path:
        return new
    meter.spend(1)
    key, rest = path[0], path[1:]
    if isinstance(key, dict) and (value is None or isinstance(value, list)):
        items = value or []
        first, last = bounds(len(items), key.get("start"), key.get("end"))
        inner = set_path(items[first:last], rest, new, meter)
        if not isinstance(inner, list):
            raise JqError("A slice of an array can only be assigned another array")
        return items[:first] + inner + items[last:]
    if isinstance(key, str) and (value is None or isinstance(value, dict)):
        entries = dict(value or {})
        meter.spend(len(entries) >> 4)
        entries[key] = set_path(entries.get(key), rest, new, meter)
        return entries
    if kind(key) == "number" and (value is None or isinstance(value, list)):
        items = list(value or [])
        meter.spend(len(items) >> 4)
        at = math.floor(key)
        if at < 0:
            at += len(items)
            if at < 0:
                raise JqError("Out of bounds negative array index")
        if at > _INDEX_MAX:
            raise JqError("Array index too large")
        items.extend([None] * (at + 1 - len(items)))
        items[at] = set_path(items[at], rest, new, meter)
        return items
    index(value, key, meter)
    raise JqError(f"Cannot update field at {kind(key)} index of {kind(value)}")


def delete_paths(value: Any, paths: list[Any], meter: Meter) -> Any:
    """The value without what is at the paths."""
    for path in sorted(paths, key=lambda each: rank(each, meter), reverse=True):
        if not isinstance(path, list):
            raise JqError("Path must be specified as an array")
        value = _delete(value, path, meter)
    return value


def _delete(value: Any, path: list[Any], meter: Meter) -> Any:
    if not path or value is None:
        return None
    meter.spend(1)
    key = path[0]
    if len(path) > 1:
        inner = index(value, key, meter)
        return value if inner is None else set_path(value, (key,), _delete(inner, path[1:], meter), meter)
    if isinstance(value, dict) and isinstance(key, str):
        return {name: item for name, item in value.items() if name != key}
    if isinstance(value, list) and isinstance(key, dict):
        first, last = bounds(len(value), key.get("start"), key.get("end"))
        return value[:first] + value[last:]
    if isinstance(value, list) and kind(key) == "number":
        at = math.floor(key) + (len(value) if key < 0 else 0)
        return value[:at] + value[at + 1 :] if 0 <= at < len(value) else value
    raise JqError(f"Cannot delete field at {'object' if isinstance(key, str) else 'array'} index of {kind(value)}")


def contains(one: Any, other: Any, meter: Meter) -> bool:
    """Whether `other` is somewhere inside `one`, part by part."""
    meter.spend(1)
    if isinstance(one, dict) and isinstance(other, dict):
        return all(key in one and contains(one[key], item, meter) for key, item in other.items())
    if isinstance(one, list) and isinstance(other, list):
        return all(any(contains(item, wanted, meter) for item in one) for wanted in other)
    if isinstance(one, str) and isinstance(other, str):
        return other in one
    if kind(one) == kind(other):
        return equal(one, other, meter)
    raise JqError(f"{shown(one)} and {shown(other)} cannot have their containment checked")
