"""jq functions of values: each takes the input and the results of its arguments, and gives one result."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any

from podium.expressions.formats.json_text import parse_json
from podium.expressions.jq import values
from podium.expressions.jq.values import JqError, kind, shown
from podium.expressions.runtime import Fault, Meter

Pure = Callable[..., Any]


def _length(meter: Meter, value: Any) -> Any:
    if value is None:
        return 0
    if isinstance(value, bool):
        raise JqError(f"{shown(value)} has no length")
    return abs(value) if kind(value) == "number" else len(value)


def _byte_length(meter: Meter, value: Any) -> Any:
    if not isinstance(value, str):
        raise JqError(f"{shown(value)} only strings have UTF-8 byte length")
    return len(value.encode("utf-8", "replace"))


def _keys(meter: Meter, value: Any) -> Any:
    return sorted(_keys_unsorted(meter, value))


def _keys_unsorted(meter: Meter, value: Any) -> Any:
    if not isinstance(value, (list, dict)):
        raise JqError(f"{shown(value)} has no keys")
    meter.spend(len(value) >> 2)
    return list(value) if isinstance(value, dict) else list(range(len(value)))


def _has(meter: Meter, value: Any, key: Any) -> Any:
    if isinstance(value, dict) and isinstance(key, str):
        return key in value
    if isinstance(value, list) and kind(key) == "number":
        return 0 <= key < len(value)
    raise JqError(f"Cannot check whether {kind(value)} has a {'string' if isinstance(key, str) else kind(key)} key")


def _contains(meter: Meter, value: Any, other: Any) -> Any:
    return values.contains(value, other, meter)


def _tostring(meter: Meter, value: Any) -> Any:
    return value if isinstance(value, str) else values.dump(value)


def _tonumber(meter: Meter, value: Any) -> Any:
    if kind(value) == "number":
        return value
    if isinstance(value, str):
        text = value.strip()
        try:
            return int(text) if text.lstrip("+-").isdecimal() else float(text)
        except ValueError as exc:
            raise JqError(f"Cannot be parsed as a number: {shown(value)}") from exc
    raise JqError(f"{shown(value)} cannot be parsed as a number")


def _flatten(meter: Meter, value: Any, depth: Any = 1e9) -> Any:
    if kind(depth) != "number" or depth < 0:
        raise JqError("flatten depth must not be negative")
    flat: list[Any] = []
    for _, item in values.iterate(value):
        meter.spend(1)
        if isinstance(item, list) and depth > 0:
            flat.extend(_flatten(meter, item, depth - 1))
        else:
            flat.append(item)
    return flat


def _reverse(meter: Meter, value: Any) -> Any:
    if value is None:
        return []
    if not isinstance(value, (list, str)):
        raise JqError(f"Cannot reverse {shown(value)}")
    meter.spend(len(value) >> 4)
    return value[::-1]


def _transpose(meter: Meter, value: Any) -> Any:
    rows = [row for _, row in values.iterate(value)]
    if not all(isinstance(row, list) for row in rows):
        raise JqError("Only arrays of arrays can be transposed")
    width = max(map(len, rows), default=0)
    meter.spend(width * len(rows))
    return [[row[at] if at < len(row) else None for row in rows] for at in range(width)]


def _setpath(meter: Meter, value: Any, path: Any, new: Any) -> Any:
    if not isinstance(path, list):
        raise JqError("Path must be specified as an array")
    return values.set_path(value, tuple(path), new, meter)


def _delpaths(meter: Meter, value: Any, paths: Any) -> Any:
    if not isinstance(paths, list):
        raise JqError("Paths must be specified as an array")
    return values.delete_paths(value, paths, meter)


def _indices(meter: Meter, value: Any, wanted: Any) -> Any:
    return values.indices(value, wanted, meter)


def _index(meter: Meter, value: Any, wanted: Any) -> Any:
    found = values.indices(value, wanted, meter)
    return found[0] if found else None


def _rindex(meter: Meter, value: Any, wanted: Any) -> Any:
    found = values.indices(value, wanted, meter)
    return found[-1] if found else None


def _bsearch(meter: Meter, value: Any, wanted: Any) -> Any:
    if not isinstance(value, list):
        raise JqError(f"{shown(value)} cannot be searched from")
    ranks = [values.rank(item, meter) for item in value]
    target = values.rank(wanted, meter)
    at = bisect_left(ranks, target)
    return at if at < len(ranks) and ranks[at] == target else -1 - at


def _fromjson(meter: Meter, value: Any) -> Any:
    if not isinstance(value, str):
        raise JqError(f"{shown(value)} cannot be parsed as JSON")
    meter.spend(len(value) >> 4)
    try:
        return parse_json(value)
    except Fault as exc:
        raise JqError(f"{exc.what} (while parsing '{value[:40]}')") from exc


def _tojson(meter: Meter, value: Any) -> Any:
    return meter.text(values.dump(value))


def _explode(meter: Meter, value: Any) -> Any:
    if not isinstance(value, str):
        raise JqError(f"{shown(value)} cannot be exploded")
    meter.spend(len(value))
    return [ord(char) for char in value]


def _implode(meter: Meter, value: Any) -> Any:
    if not isinstance(value, list) or not all(kind(code) == "number" and 0 <= code < 0x110000 for code in value):
        raise JqError(f"{shown(value)} cannot be imploded")
    meter.spend(len(value))
    return "".join(chr(int(code)) for code in value)


def _number_of(value: Any) -> Any:
    if kind(value) != "number":
        raise JqError(f"{shown(value)} number required")
    return value


def _math(function: Callable[[float], float]) -> Pure:
    """A function of one number."""

    def run(meter: Meter, value: Any) -> Any:
        try:
            return values.number(function(_number_of(value)))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return run


def _math2(function: Callable[[float, float], float]) -> Pure:
    """A function of two numbers."""

    def run(meter: Meter, value: Any, one: Any, other: Any) -> Any:
        try:
            return values.number(function(float(_number_of(one)), float(_number_of(other))))
        except (ValueError, ZeroDivisionError):
            return math.nan
        except OverflowError:
            return math.inf

    return run


def _rounded(function: Callable[[float], int]) -> Pure:
    """A whole number near one; infinite and not-a-number stay."""

    def run(meter: Meter, value: Any) -> Any:
        return values.number(function(_number_of(value))) if math.isfinite(_number_of(value)) else value

    return run


def _half_away(value: float) -> int:
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


FUNCTIONS: Mapping[tuple[str, int], Pure] = {
    ("length", 0): _length,
    ("utf8bytelength", 0): _byte_length,
    ("not", 0): lambda meter, value: not values.true(value),
    ("keys", 0): _keys,
    ("keys_unsorted", 0): _keys_unsorted,
    ("has", 1): _has,
    ("contains", 1): _contains,
    ("type", 0): lambda meter, value: kind(value),
    ("tostring", 0): _tostring,
    ("tonumber", 0): _tonumber,
    ("infinite", 0): lambda meter, value: math.inf,
    ("nan", 0): lambda meter, value: math.nan,
    ("null", 0): lambda meter, value: None,
    ("true", 0): lambda meter, value: True,
    ("false", 0): lambda meter, value: False,
    ("isinfinite", 0): lambda meter, value: math.isinf(_number_of(value)),
    ("isnan", 0): lambda meter, value: math.isnan(_number_of(value)),
    ("isnormal", 0): lambda meter, value: math.isfinite(_number_of(value)) and abs(value) >= 2.2250738585072014e-308,
    ("flatten", 0): _flatten,
    ("flatten", 1): _flatten,
    ("reverse", 0): _reverse,
    ("transpose", 0): _transpose,
    ("setpath", 2): _setpath,
    ("delpaths", 1): _delpaths,
    ("indices", 1): _indices,
    ("_indices", 1): _indices,
    ("index", 1): _index,
    ("rindex", 1): _rindex,
    ("bsearch", 1): _bsearch,
    ("fromjson", 0): _fromjson,
    ("tojson", 0): _tojson,
    ("explode", 0): _explode,
    ("implode", 0): _implode,
    ("floor", 0): _rounded(math.floor),
    ("ceil", 0): _rounded(math.ceil),
    ("round", 0): _rounded(_half_away),
    ("trunc", 0): _rounded(math.trunc),
    ("rint", 0): _rounded(round),
    ("nearbyint", 0): _rounded(round),
    ("abs", 0): _math(abs),
    ("fabs", 0): _math(abs),
    ("sqrt", 0): _math(math.sqrt),
    ("cbrt", 0): _math(math.cbrt),
    ("exp", 0): _math(math.exp),
    ("exp2", 0): _math(math.exp2),
    ("exp10", 0): _math(lambda value: 10.0**value),
    ("expm1", 0): _math(math.expm1),
    ("log", 0): _math(lambda value: math.log(value) if value else -math.inf),
    ("log2", 0): _math(lambda value: math.log2(value) if value else -math.inf),
    ("log10", 0): _math(lambda value: math.log10(value) if value else -math.inf),
    ("log1p", 0): _math(math.log1p),
    ("sin", 0): _math(math.sin),
    ("cos", 0): _math(math.cos),
    ("tan", 0): _math(math.tan),
    ("asin", 0): _math(math.asin),
    ("acos", 0): _math(math.acos),
    ("atan", 0): _math(math.atan),
    ("sinh", 0): _math(math.sinh),
    ("cosh", 0): _math(math.cosh),
    ("tanh", 0): _math(math.tanh),
    ("gamma", 0): _math(math.lgamma),
    ("lgamma", 0): _math(math.lgamma),
    ("tgamma", 0): _math(math.gamma),
    ("significand", 0): _math(lambda value: math.frexp(value)[0] * 2),
    ("logb", 0): _math(lambda value: math.frexp(value)[1] - 1),
    ("pow", 2): _math2(math.pow),
    ("atan2", 2): _math2(math.atan2),
    ("fmin", 2): _math2(min),
    ("fmax", 2): _math2(max),
    ("fmod", 2): _math2(math.fmod),
    ("hypot", 2): _math2(math.hypot),
    ("ldexp", 2): _math2(lambda one, other: math.ldexp(one, int(other))),
    ("scalb", 2): _math2(lambda one, other: math.ldexp(one, int(other))),
}
"""By name and number of arguments."""
