"""Attributes: what `base.key`, `base[key]` and `base.name()` mean for each kind of value. No Python attribute is reachable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from podium.expressions.operators import is_number, map_key, type_name
from podium.expressions.runtime import Fault
from podium.expressions.text import Entry, java_text

ABSENT = object()
"""Stands for: there is no such attribute."""


class ContextHandle:
    """What `_context` gives: it can be passed on, but nothing can be read from it."""

    def __str__(self) -> str:
        return ""


_TEXT_MEMBERS: dict[str, Callable[[str], Any]] = {
    "length": lambda value: len(value.encode("utf-16-le", "surrogatepass")) // 2,
    "isEmpty": lambda value: not value,
    "empty": lambda value: not value,
    "isBlank": lambda value: not value.strip(),
    "blank": lambda value: not value.strip(),
    "toUpperCase": str.upper,
    "toLowerCase": str.lower,
    "trim": str.strip,
    "strip": str.strip,
}
_LIST_MEMBERS: dict[str, Callable[[Any], Any]] = {
    "size": len,
    "length": len,
    "isEmpty": lambda value: not value,
    "empty": lambda value: not value,
}
_DATE_MEMBERS: dict[str, Callable[[Any], Any]] = {
    "year": lambda value: value.year,
    "monthValue": lambda value: value.month,
    "month": lambda value: value.strftime("%B").upper(),
    "dayOfMonth": lambda value: value.day,
    "dayOfYear": lambda value: value.timetuple().tm_yday,
    "dayOfWeek": lambda value: ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")[value.weekday()],
}
_TIME_MEMBERS: dict[str, Callable[[Any], Any]] = {
    "hour": lambda value: value.hour,
    "minute": lambda value: value.minute,
    "second": lambda value: value.second,
    "nano": lambda value: value.microsecond * 1000,
}
_MAP_METHODS: dict[str, Callable[[Mapping[Any, Any]], Any]] = {
    "size": len,
    "isEmpty": lambda value: not value,
    "keySet": list,
    "values": lambda value: list(value.values()),
}


def attribute(base: Any, key: Any) -> Any:
    """The attribute of a value, or ABSENT. `base` is not None."""
    if isinstance(base, Entry) and key in ("key", "value"):
        return base.key if key == "key" else base.value
    if isinstance(base, Mapping):
        return _map_value(base, key)
    if isinstance(base, (list, tuple)) and (index := _index(key)) is not None:
        return base[index] if index < len(base) else ABSENT
    if isinstance(base, ContextHandle):
        raise Fault("names cannot be read from `_context`", hint="pass what the macro needs as arguments")
    return _member(base, key)


def _map_value(base: Mapping[Any, Any], key: Any) -> Any:
    if is_number(key) and isinstance(next(iter(base), None), str):
        raise Fault("a map with text keys has no number as a key", hint=f"write ['{java_text(key)}']")
    try:
        return base[map_key(key)]
    except (KeyError, TypeError):
        return ABSENT


def _index(key: Any) -> int | None:
    """The index that a key of a list means; None when it means none."""
    if isinstance(key, str):
        if not (key.isascii() and key.isdecimal()) or len(key) > 10:
            return None
        return int(key)
    return key if isinstance(key, int) and not isinstance(key, bool) and key >= 0 else None


def _member(base: Any, key: Any) -> Any:
    """A member that Java's types have and templates use."""
    members: Mapping[str, Callable[[Any], Any]] = {}
    if isinstance(base, str):
        members = _TEXT_MEMBERS
    elif isinstance(base, (list, tuple, set, frozenset)):
        members = _LIST_MEMBERS
    elif isinstance(base, date):
        members = _DATE_MEMBERS | _TIME_MEMBERS if isinstance(base, datetime) else _DATE_MEMBERS
    member = members.get(key) if isinstance(key, str) else None
    return ABSENT if member is None else member(base)


def method(base: Any, name: str, arguments: list[Any]) -> Any:
    """`base.name()`: the members that Java's types have, without arguments."""
    if not arguments:
        if isinstance(base, Mapping) and name in _MAP_METHODS:
            return _MAP_METHODS[name](base)
        if not isinstance(base, Mapping):
            shortened = name[3:4].lower() + name[4:] if name.startswith("get") else name
            found = _member(base, name)
            found = _member(base, shortened) if found is ABSENT else found
            if found is not ABSENT:
                return found
    raise Fault(f"{type_name(base)} has no method `{name}` with {len(arguments)} arguments", hint="use a filter instead")
