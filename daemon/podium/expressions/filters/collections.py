"""Filters on lists and maps, and `default`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from podium.base.limits import STRING_CHARS_MAX
from podium.expressions.calls import Args, Filter, int_arg
from podium.expressions.emit.checks import is_empty
from podium.expressions.java import units
from podium.expressions.java.hashing import merged
from podium.expressions.operators import is_list, type_name
from podium.expressions.runtime import Fault, Meter, Runtime
from podium.expressions.text import java_text


def _a_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        what = "an array" if isinstance(value, tuple) else type_name(value)
        raise Fault(f"the input must be a list, not {what}")
    return value


def _sequence(value: Any) -> list[Any] | tuple[Any, ...]:
    """A list, an array or a set, in order."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise Fault(f"the input must be a list, not {type_name(value)}")


def _first(rt: Runtime, value: Any, args: Args) -> Any:
    return _end(value, 0)


def _last(rt: Runtime, value: Any, args: Args) -> Any:
    return _end(value, -1)


def _end(value: Any, index: int) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        if not value:
            raise Fault("the input is an empty string")
        return value[index]
    items = _sequence(value)
    return items[index] if items else None


def _join(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    separator = args.get("separator", "")
    if separator is None:
        separator = ""
    if not isinstance(separator, str):
        raise Fault(f"the separator must be a string, not {type_name(separator)}")
    return rt.meter.join([item if type(item) is str else java_text(item, rt.meter) for item in _sequence(value)], separator)


def _length(rt: Runtime, value: Any, args: Args) -> int:
    if isinstance(value, str):
        return units.length(value)
    return len(value) if is_list(value) or isinstance(value, Mapping) else 0


def _merge(rt: Runtime, value: Any, args: Args) -> Any:
    items = args.get("items")
    if value is None or items is None:
        if value is None and items is None:
            raise Fault("both sides are null")
        return items if value is None else value
    rt.meter.spend(len(value) + len(items) if hasattr(value, "__len__") and hasattr(items, "__len__") else 1)
    if isinstance(value, Mapping):
        if isinstance(items, Mapping):
            return merged(value, items)
        if is_list(items):
            return merged(value, {item: item for item in items})
    elif is_list(value) and is_list(items):
        if len(value) + len(items) > STRING_CHARS_MAX:
            raise Fault("the list is too long", hint=f"the limit is {STRING_CHARS_MAX} items", limit="STRING_CHARS_MAX")
        return [*value, *items]
    raise Fault(f"cannot merge {type_name(items)} into {type_name(value)}")


def _reverse(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    items = rt.own(_a_list(value))
    rt.meter.spend(len(items) >> 4)
    items.reverse()
    return items


def _sort(rt: Runtime, value: Any, args: Args) -> Any:
    if isinstance(value, tuple):
        return tuple(_sorted(rt, value, reverse=False))
    return _sorted_in_place(rt, value, reverse=False)


def _rsort(rt: Runtime, value: Any, args: Args) -> Any:
    return _sorted_in_place(rt, value, reverse=True)


def _sorted_in_place(rt: Runtime, value: Any, *, reverse: bool) -> Any:
    if value is None:
        return None
    ordered = _sorted(rt, _a_list(value), reverse=reverse)
    items = rt.own(value)
    items[:] = ordered
    return items


def _sorted(rt: Runtime, items: Any, *, reverse: bool) -> list[Any]:
    rt.meter.spend(len(items))
    if len(items) < 2:
        return list(items)
    kinds = {_order_kind(item) for item in items}
    if len(kinds) > 1:
        raise Fault("only items of one type have an order", hint="make them all numbers or all strings first")
    key = units.sort_key if kinds == {str} and not all(item.isascii() for item in items) else None
    return sorted(items, key=key, reverse=reverse)


def _order_kind(value: Any) -> type:
    """The type whose values an item can be ordered with."""
    for kind in (bool, str, int, float, Decimal, datetime, date, time):
        if isinstance(value, kind):
            return kind
    raise Fault(f"{type_name(value)} has no order")


def _slice(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    if not isinstance(value, (str, list, tuple)):
        raise Fault(f"the input must be a string or a list, not {type_name(value)}")
    size = units.length(value) if isinstance(value, str) else len(value)
    start = int_arg(args, "fromIndex", 0)
    if not 0 <= start <= size:
        raise Fault(f"the argument 'fromIndex' must be between 0 and {size}, not {start}")
    if args.get("toIndex") is None:
        end = size
    else:
        end = int_arg(args, "toIndex")
        if end > size or start >= end:
            raise Fault(f"the argument 'toIndex' must be above {start} and at most {size}, not {end}")
    if isinstance(value, str):
        return units.part(value, start, end)
    rt.meter.spend(end - start)
    return value[start:end]


def _chunk(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    size = int_arg(args, "size")
    if size < 1:
        raise Fault("the argument 'size' must be above 0")
    items = _a_list(value)
    rt.meter.spend(len(items))
    return [items[at : at + size] for at in range(0, len(items), size)]


def _distinct(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return "null"
    kept: dict[Any, Any] = {}
    for item in _a_list(value):
        kept.setdefault(_identity(item, rt.meter), item)
    return list(kept.values())


def _identity(value: Any, meter: Meter) -> Any:
    """A key that is equal for values that Java calls equal: 1 and 1.0 are not."""
    meter.spend(4)
    if isinstance(value, (list, tuple)):
        return list, tuple([_identity(item, meter) for item in value])
    if isinstance(value, Mapping):
        return dict, frozenset([(key, _identity(item, meter)) for key, item in value.items()])
    return type(value), value


def _flatten(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    flat: list[Any] = []
    for item in _a_list(value):
        if is_list(item):
            rt.meter.spend(len(item))
            flat.extend(item)
        else:
            flat.append(item)
    return flat


def _keys(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return list(value)
    if isinstance(value, (list, tuple)):
        return list(range(len(value)))
    raise Fault(f"the input must be a map or a list, not {type_name(value)}")


def _values(rt: Runtime, value: Any, args: Args) -> Any:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Fault(f"the input must be a map, not {type_name(value)}")
    return list(value.values())


def _default(rt: Runtime, value: Any, args: Args) -> Any:
    return args.get("default") if is_empty(value) else value


FILTERS = (
    Filter("first", _first),
    Filter("last", _last),
    Filter("join", _join, ("separator",)),
    Filter("length", _length),
    Filter("merge", _merge, ("items",)),
    Filter("reverse", _reverse),
    Filter("sort", _sort),
    Filter("rsort", _rsort),
    Filter("slice", _slice, ("fromIndex", "toIndex")),
    Filter("chunk", _chunk, ("size",)),
    Filter("distinct", _distinct),
    Filter("flatten", _flatten),
    Filter("keys", _keys),
    Filter("values", _values),
    Filter("default", _default, ("default",), takes_missing=True),
)

