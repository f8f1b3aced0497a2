"""Reads JSON as the reference does: the first value of a text counts, NaN and Infinity are no numbers."""

from __future__ import annotations

import json
from typing import Any

from podium.expressions.runtime import Fault

_SPACE = " \t\n\r\ufeff"


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_constant)


def parse_json(text: str) -> Any:
    """The value. Raises Fault when the text does not begin with one."""
    stripped = text.lstrip(_SPACE)
    try:
        value, end = _DECODER.raw_decode(stripped)
    except RecursionError as exc:
        raise Fault("Invalid json: it is nested too deeply") from exc
    except ValueError as exc:
        raise Fault(f"Invalid json: {exc}") from exc
    if not isinstance(value, (dict, list, str)) and stripped[end : end + 1] not in ("", *_SPACE):
        raise Fault("Invalid json: a value must be followed by a space or the end")
    return value


def is_json(text: str) -> bool:
    """Whether the text begins with a JSON value; blank text counts too, as in the reference."""
    if not text.strip(_SPACE):
        return True
    try:
        parse_json(text)
    except Fault:
        return False
    return True
