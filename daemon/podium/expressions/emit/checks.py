"""The tests of `is` and `is not`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from podium.expressions.formats.json_text import is_json
from podium.expressions.operators import type_name
from podium.expressions.runtime import Fault


def is_empty(value: Any) -> bool:
    """Null, a blank string, an empty list or map."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, (list, tuple, set, frozenset, Mapping)) and not value)


def _even(value: Any) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Fault(f"only whole numbers are even or odd, not {type_name(value)}")
    return value % 2 == 0


def _json(value: Any) -> bool:
    if not isinstance(value, str):
        raise Fault(f"the test 'json' needs a string, not {type_name(value)}")
    return is_json(value)


CHECKS: dict[str, Callable[[Any], bool]] = {
    "defined": lambda value: value is not None,
    "null": lambda value: value is None,
    "empty": is_empty,
    "even": _even,
    "odd": lambda value: not _even(value),
    "iterable": lambda value: isinstance(value, (list, tuple, set, frozenset)),
    "map": lambda value: isinstance(value, Mapping),
    "json": _json,
}
"""By name. `defined` is also true to its word when the name is missing: see the emitter."""
