"""jq functions of texts: formats such as `@base64`, regular expressions, and dates."""

from __future__ import annotations

import base64
import calendar
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from podium.base import patterns
from podium.expressions.jq import values
from podium.expressions.jq.bindings import Closure, Env
from podium.expressions.jq.evaluate import Machine, Results, no_path
from podium.expressions.jq.values import JqError, kind, shown
from podium.expressions.runtime import Meter

_HTML = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&#39;", '"': "&quot;"})
_TSV = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_BLANKS = " \t\n\r\f\v"
_ASCII_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _string(value: Any, doing: str) -> str:
    if not isinstance(value, str):
        raise JqError(f"{shown(value)} cannot be {doing}")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else values.dump(value)


def _row(value: Any, form: str, cell: Callable[[Any], str], separator: str) -> str:
    if not isinstance(value, list):
        raise JqError(f"{shown(value)} cannot be {form}-formatted, only an array can be")
    for item in value:
        if isinstance(item, (list, dict)):
            raise JqError(f"{shown(item)} is not valid in a {form} row")
    return separator.join(cell(item) for item in value)


def _csv_cell(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return "" if value is None else values.dump(value)


def _tsv_cell(value: Any) -> str:
    return "" if value is None else _text(value).translate(_TSV)


def _shell(value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    words = []
    for item in items:
        if isinstance(item, (list, dict)):
            raise JqError(f"{shown(item)} can not be escaped for shell")
        words.append("'" + item.replace("'", "'\\''") + "'" if isinstance(item, str) else values.dump(item))
    return " ".join(words)


def _unbase64(value: Any) -> str:
    text = _text(value).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8", "replace")
    except ValueError as exc:
        raise JqError(f"{shown(value)} is not valid base64 data") from exc


_FORMATS: Mapping[str, Callable[[Any], str]] = {
    "text": _text,
    "json": values.dump,
    "html": lambda value: _text(value).translate(_HTML),
    "uri": lambda value: quote(_text(value), safe="~", errors="replace"),
    "csv": lambda value: _row(value, "csv", _csv_cell, ","),
    "tsv": lambda value: _row(value, "tsv", _tsv_cell, "\t"),
    "sh": _shell,
    "base64": lambda value: base64.b64encode(_text(value).encode("utf-8", "replace")).decode(),
    "base64d": _unbase64,
}


def _format(meter: Meter, value: Any, form: Any) -> Any:
    run = _FORMATS.get(form) if isinstance(form, str) else None
    if run is None:
        raise JqError(f"{form} is not a valid format")
    return meter.text(run(value))


def _split(meter: Meter, value: Any, separator: Any) -> Any:
    return values.divide(_string(value, "split"), _string(separator, "a separator"), meter)


def _split_pattern(meter: Meter, value: Any, pattern: Any, flags: Any) -> Any:
    text = _string(value, "matched, as it is not a string")
    parts, done = [], 0
    for match in _find(meter, text, pattern, "g" + (flags or "")):
        parts.append(text[done : match.start()])
        done = match.end()
    return [*parts, text[done:]]


def _join(meter: Meter, value: Any, separator: Any) -> Any:
    items = [item for _, item in values.iterate(value)]
    if not items:
        return ""
    _string(separator, "used to join")
    texts = []
    for item in items:
        if isinstance(item, (list, dict)):
            raise JqError(f"{shown(item)} cannot be joined")
        texts.append("" if item is None else _text(item))
    return meter.join(texts, separator)


def _find(meter: Meter, text: str, pattern: Any, flags: str) -> list[Any]:
    """The matches of a pattern; only the first one without the flag g."""
    if not isinstance(pattern, str):
        raise JqError(f"{shown(pattern)} cannot be matched, as it is not a string")
    inline = "".join(sorted({"i": "i", "x": "x", "s": "s", "p": "s"}.get(flag, "") for flag in set(flags)))
    for flag in flags:
        if flag not in "gixspnl":
            raise JqError(f"{flags} is not a valid modifier string")
    meter.spend(1 + (len(text) >> 6))
    whole = f"(?{inline}){pattern}" if inline else pattern
    try:
        found = patterns.find_all(whole, text, meter.regex, limit=100_000 if "g" in flags else 1)
    except ValueError as exc:
        raise JqError(f"{pattern[:60]} (at offset 0) is not a valid regex: {exc}") from exc
    meter.spend(len(found))
    return [match for match in found if match.end() > match.start()] if "n" in flags else found


def _match(meter: Meter, value: Any, pattern: Any, flags: Any) -> Any:
    text = _string(value, "matched, as it is not a string")
    if isinstance(pattern, list):
        pattern, flags = (*pattern, None)[:2]
    if flags is not None and not isinstance(flags, str):
        raise JqError(f"{shown(flags)} is not a string")
    return [_described(match) for match in _find(meter, text, pattern, flags or "")]


def _described(match: Any) -> dict[str, Any]:
    names = {number: name for name, number in match.re.groupindex.items()}
    captures = []
    for number in range(1, match.re.groups + 1):
        found = match.group(number)
        offset = match.start(number)
        captures.append({"offset": offset, "length": len(found or ""), "string": found, "name": names.get(number)})
    return {"offset": match.start(), "length": match.end() - match.start(), "string": match.group(0), "captures": captures}


def _sub(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    """`sub(re; text; flags)`: the text is an expression over the named captures."""
    text = _string(value, "matched, as it is not a string")
    for pattern in machine.results(args[0], value):
        for flags in machine.results(args[2], value):
            matches = _find(machine.meter, text, pattern, flags or "")
            for found in _replaced(machine, args[1], text, matches):
                yield found, no_path(path)


def _replaced(machine: Machine, replacement: Closure, text: str, matches: list[Any]) -> Iterator[str]:
    """The text with the matches replaced, for each combination of replacements."""
    pieces: list[list[str]] = []
    done = 0
    for match in matches:
        machine.meter.spend(1)
        captures = {name: match.group(name) for name in match.re.groupindex}
        choices = [_string(found, "added to a string") for found in machine.results(replacement, captures)]
        pieces.append([text[done : match.start()] + choice for choice in choices])
        done = match.end()
    rest = text[done:]
    if all(len(choices) == 1 for choices in pieces):
        yield machine.meter.join([*(choices[0] for choices in pieces), rest])
        return
    heads = [""]
    for choices in pieces:
        machine.meter.size(sum(map(len, heads)) * max(1, len(choices)))
        machine.meter.spend(len(heads) * len(choices))
        heads = [head + choice for choice in choices for head in heads]
    for head in heads:
        yield head + rest


def _trim(*, left: bool, right: bool) -> Callable[[Meter, Any], Any]:
    def run(meter: Meter, value: Any) -> Any:
        text = _string(value, "trimmed")
        text = text.lstrip(_BLANKS) if left else text
        return text.rstrip(_BLANKS) if right else text

    return run


def _startswith(meter: Meter, value: Any, other: Any) -> Any:
    if not (isinstance(value, str) and isinstance(other, str)):
        raise JqError("startswith() requires string inputs")
    return value.startswith(other)


def _endswith(meter: Meter, value: Any, other: Any) -> Any:
    if not (isinstance(value, str) and isinstance(other, str)):
        raise JqError("endswith() requires string inputs")
    return value.endswith(other)


def _ltrimstr(meter: Meter, value: Any, other: Any) -> Any:
    return value.removeprefix(other) if isinstance(value, str) and isinstance(other, str) else value


def _rtrimstr(meter: Meter, value: Any, other: Any) -> Any:
    return value.removesuffix(other) if isinstance(value, str) and isinstance(other, str) else value


def _gmtime(meter: Meter, value: Any) -> Any:
    if kind(value) != "number" or not math.isfinite(value):
        raise JqError("gmtime() requires a number")
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    except OverflowError as exc:
        raise JqError("error converting number of seconds since epoch to datetime") from exc
    return _parts_of(moment)


def _parts_of(moment: datetime) -> list[Any]:
    """jq's broken-down time: month and day of the year from 0, Sunday is day 0."""
    seconds: Any = moment.second + moment.microsecond / 1_000_000 if moment.microsecond else moment.second
    year_day = moment.timetuple().tm_yday - 1
    return [moment.year, moment.month - 1, moment.day, moment.hour, moment.minute, seconds, moment.isoweekday() % 7, year_day]


def _broken_down(value: Any, doing: str) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) < 6 or not all(kind(item) == "number" for item in value):
        raise JqError(f"{doing} requires array of 6 numbers")
    return tuple(int(item) for item in value[:6])


def _mktime(meter: Meter, value: Any) -> Any:
    year, month, day, hour, minute, second = _broken_down(value, "mktime")
    try:
        return calendar.timegm((year, month + 1, day, hour, minute, second))
    except (ValueError, OverflowError) as exc:
        raise JqError("invalid gmtime representation") from exc


def _strftime(meter: Meter, value: Any, form: Any) -> Any:
    parts = _broken_down(_gmtime(meter, value) if kind(value) == "number" else value, "strftime/1")
    year, month, day, hour, minute, second = parts
    try:
        return datetime(year, month + 1, day, hour, minute, second, tzinfo=UTC).strftime(_string(form, "a date format"))
    except ValueError as exc:
        raise JqError("strftime/1: unknown system failure") from exc


def _strptime(meter: Meter, value: Any, form: Any) -> Any:
    text = _string(value, "parsed as a date")
    try:
        found = datetime.strptime(text, _string(form, "a date format")).replace(tzinfo=UTC)
    except (ValueError, re.error) as exc:
        raise JqError(f'date "{text[:60]}" does not match format "{form}"') from exc
    return _parts_of(found)


TEXTS: Mapping[tuple[str, int], Callable[..., Any]] = {
    ("format", 1): _format,
    ("split", 1): _split,
    ("split", 2): _split_pattern,
    ("join", 1): _join,
    ("_match", 2): _match,
    ("trim", 0): _trim(left=True, right=True),
    ("ltrim", 0): _trim(left=True, right=False),
    ("rtrim", 0): _trim(left=False, right=True),
    ("startswith", 1): _startswith,
    ("endswith", 1): _endswith,
    ("ltrimstr", 1): _ltrimstr,
    ("rtrimstr", 1): _rtrimstr,
    ("ascii_downcase", 0): lambda meter, value: _string(value, "lowercased").translate(_ASCII_LOWER),
    ("ascii_upcase", 0): lambda meter, value: _string(value, "uppercased").translate(_ASCII_UPPER),
    ("gmtime", 0): _gmtime,
    ("localtime", 0): _gmtime,
    ("mktime", 0): _mktime,
    ("strftime", 1): _strftime,
    ("strflocaltime", 1): _strftime,
    ("strptime", 1): _strptime,
}
"""By name and number of arguments."""

TEXT_STREAMS = {("sub", 3): _sub}
