"""The order in which a Java HashMap gives its entries, so that maps made by an expression print as in the reference."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

_LIST_HASH_ITEMS_MAX = 10_000


def hash_code(value: Any) -> int:
    """Java's hashCode of a key, as an unsigned 32-bit number."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return 1231 if value else 1237
    if isinstance(value, str):
        code = 0
        for unit in memoryview(value.encode("utf-16-le", "surrogatepass")).cast("H"):
            code = (31 * code + unit) & 0xFFFFFFFF
        return code
    if isinstance(value, int):
        bits = value & 0xFFFFFFFFFFFFFFFF
        return (bits ^ (bits >> 32)) & 0xFFFFFFFF
    if isinstance(value, float):
        bits = int.from_bytes(struct.pack(">d", value), "big")
        return (bits ^ (bits >> 32)) & 0xFFFFFFFF
    if isinstance(value, (list, tuple)):
        code = 1
        for item in value[:_LIST_HASH_ITEMS_MAX]:
            code = (31 * code + hash_code(item)) & 0xFFFFFFFF
        return code
    return hash_code(str(value))


def in_hash_order(entries: Iterable[tuple[Any, Any]], *, capacity: int = 16) -> dict[Any, Any]:
    """The entries as a dict in the order of a HashMap that was made with `capacity` and filled in the given order."""
    filled = dict(entries)
    if len(filled) < 2:
        return filled
    size = 1
    while size < capacity or len(filled) > size * 3 // 4:
        size *= 2
    return {key: filled[key] for key in sorted(filled, key=lambda key: _bucket(key, size))}


def literal_order(entries: Iterable[tuple[Any, Any]], count: int) -> dict[Any, Any]:
    """The order of a map literal with `count` entries."""
    return in_hash_order(entries, capacity=max(1, -(-count * 4 // 3)))


def merged(*maps: Mapping[Any, Any]) -> dict[Any, Any]:
    """Several maps as one, later ones winning, in hash order."""
    entries: dict[Any, Any] = {}
    for each in maps:
        entries.update(each)
    return in_hash_order(entries.items(), capacity=sum(map(len, maps)) + 16)


def _bucket(key: Any, size: int) -> int:
    code = hash_code(key)
    return (code ^ (code >> 16)) & (size - 1)
