"""Values of inputs and outputs by type: from what arrives (text of a form, typed JSON) to what is stored, and the rules of each type.

Called by flows/inputs when an execution starts and by flows/checks for static defaults. Pure. What is wrong is a ValueError whose text
is the detail of the message. Stored values are JSON: dates and times are text. Source: flow-language 2.2, flow-language-2 6.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from podium.base.durations import format_duration, parse_duration
from podium.base.errors import PodiumError
from podium.base.limits import STRING_CHARS_MAX
from podium.base.patterns import matches
from podium.expressions.text import java_text
from podium.flows.models.inputs import (
    ArrayInput,
    DateInput,
    DatetimeInput,
    DurationInput,
    EnumInput,
    FileInput,
    FloatInput,
    Input,
    IntInput,
    MultiselectInput,
    SecretInput,
    SelectInput,
    StringInput,
    TimeInput,
)
from podium.flows.reading.yaml import parse_documents, plain

INT_MAX = 2**63 - 1
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_TIME = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?")
_URI = re.compile(r"[a-z]+://[-\w@:%.+~#=]{1,256}\.[a-zA-Z0-9()]{1,6}\b[-\w()@:%+.~#?&/=]*", re.ASCII)
_EMAIL = re.compile(r"[^@\s]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
URI_SCHEMES = ("kestra://", "nsfile://", "file://")
"""What a FILE may be instead of a path: stored, of the namespace, or of an allowed directory."""


def shown(value: Any) -> str:
    """A value as messages show it, cut at 200 characters."""
    text = value if isinstance(value, str) else java_text(value)
    return text if len(text) <= 200 else text[:199] + "…"


def parse_value(kind: str, value: Any, *, item_type: str = "STRING") -> Any:
    """`value` (not None) as the input type stores it. Raises ValueError with the detail: Expected `T` but received `v` …"""
    try:
        return _PARSERS[kind](value, item_type)
    except PodiumError as error:
        raise ValueError(error.what) from error
    except _Mismatch as error:
        raise ValueError(f"Expected `{kind}` but received `{shown(value)}` with errors: ```{error}```") from error


def check_value(declared: Input, value: Any, choices: Sequence[str] | None = None) -> list[str]:
    """What is wrong with a parsed value by the rules of its input. choices: the values of a SELECT or MULTISELECT."""
    for kind, check in _CHECKS:
        if isinstance(declared, kind):
            return check(declared, value, choices)
    if declared.type == "EMAIL" and value and not _EMAIL.fullmatch(value):
        return ["The input must be a valid email"]
    return []


class _Mismatch(Exception):
    """The value is not of the type."""


# ---- parsing


def _text(value: Any, _item: str) -> str:
    return value if isinstance(value, str) else java_text(value)


def _int(value: Any, _item: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise _Mismatch("not a whole number")
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise _Mismatch(f'For input string: "{shown(value)}"')
    number = int(value)
    if not -INT_MAX - 1 <= number <= INT_MAX:
        raise _Mismatch("more than 64 bits")
    return number


def _float(value: Any, _item: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _Mismatch("not a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise _Mismatch(f'For input string: "{shown(value)}"')
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 - the cheapest test for NaN
        raise _Mismatch("not a finite number")
    return number


def _bool(value: Any, _item: str) -> bool:
    if isinstance(value, (Mapping, list)):
        raise _Mismatch("write true or false")
    return value if isinstance(value, bool) else _text(value, "").lower() == "true"


def parse_instant(value: Any) -> datetime:
    """An aware date-time, UTC. Raises ValueError."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a date-time with its offset, like 2026-01-31T08:30:00Z")
    day, clock, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{offset.upper()}")
    return moment.astimezone(UTC)


def instant_text(moment: datetime) -> str:
    """Java's text of an instant: no fraction, or three or six digits of it."""
    text = moment.astimezone(UTC).replace(tzinfo=None)
    spec = "seconds" if not text.microsecond else "milliseconds" if text.microsecond % 1000 == 0 else "microseconds"
    return text.isoformat(timespec=spec) + "Z"


def _datetime(value: Any, _item: str) -> str:
    try:
        return instant_text(parse_instant(value))
    except (ValueError, OverflowError) as error:
        raise _Mismatch(str(error)) from error


def _date(value: Any, _item: str) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise _Mismatch("write a date like 2026-01-31")
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise _Mismatch(str(error)) from error


def _time(value: Any, _item: str) -> str:
    if isinstance(value, time):
        return value.isoformat()
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise _Mismatch("write a time like 08:30:00")
    try:
        time.fromisoformat(value[:15])
    except ValueError as error:
        raise _Mismatch(str(error)) from error
    return value


def _duration(value: Any, _item: str) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    if not isinstance(value, str) or "P" not in value.upper():
        raise _Mismatch("write an ISO-8601 duration like PT10S or P1DT2H")
    try:
        parse_duration(value)
    except (ValueError, OverflowError) as error:
        raise _Mismatch(str(error)) from error
    return value


def _json(value: Any, _item: str) -> Any:
    if not isinstance(value, str):
        return value
    if len(value) > STRING_CHARS_MAX:
        raise _Mismatch("the text is too long")
    try:
        return json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _Mismatch(str(error)) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _yaml(value: Any, _item: str) -> Any:
    if not isinstance(value, str):
        return value
    documents = parse_documents(value)
    for document in documents:
        for mistake in document.mistakes:
            raise _Mismatch(f"{mistake.message.removeprefix('Illegal flow yaml: ')} (line {mistake.line}, column {mistake.column})")
    root = documents[0].root if documents else None
    return plain(root) if root is not None else None


def _ion(value: Any, _item: str) -> Any:
    if not isinstance(value, (str, bytes)):
        return value
    from amazon.ion.simpleion import loads

    try:
        return _from_ion(loads(value, single_value=True))
    except Exception as error:
        raise _Mismatch(str(error) or "not Ion") from error


def _from_ion(value: Any) -> Any:
    if value is None or type(value).__name__ == "IonPyNull":
        return None
    if isinstance(value, Mapping):
        return {str(key): _from_ion(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "text"):
        return [_from_ion(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if type(value).__name__ == "IonPyBool":
        return bool(value)
    for plain_type in (str, int, float):
        if isinstance(value, plain_type):
            return plain_type(value)
    if hasattr(value, "text"):  # a symbol
        return str(value.text)
    return float(value)


def _uri(value: Any, _item: str) -> str:
    if not isinstance(value, str) or not _URI.fullmatch(value):
        raise _Mismatch("not a URI")
    return value


def _list(value: Any, item_type: str) -> list[Any]:
    items = _json(value, "") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise _Mismatch("write a list, or a JSON list")
    parsed = []
    for each in items:
        try:
            parsed.append(None if each is None else _PARSERS[item_type](each, "STRING"))
        except _Mismatch as error:
            raise _Mismatch(f"Unable to parse array element as `{item_type}` on `{shown(each)}`") from error
    return parsed


def _map(value: Any, _item: str) -> dict[str, Any]:
    found = _json(value, "")
    if not isinstance(found, Mapping):
        raise _Mismatch("write a map, or a JSON object")
    return {str(key): each for key, each in found.items()}


def _rows(value: Any, _item: str) -> list[dict[str, Any]]:
    found = _json(value, "")
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, Mapping) for each in found):
        raise _Mismatch("write a list of maps, or a JSON list of objects")
    return [{str(key): each for key, each in row.items()} for row in found]


def _file(value: Any, _item: str) -> str:
    if not isinstance(value, str) or not value:
        raise _Mismatch("give a file")
    return value


_PARSERS: dict[str, Callable[[Any, str], Any]] = {
    "STRING": _text, "SELECT": _text, "ENUM": _text, "SECRET": _text, "EMAIL": _text, "INT": _int, "FLOAT": _float, "BOOLEAN": _bool,
    "BOOL": _bool, "DATETIME": _datetime, "DATE": _date, "TIME": _time, "DURATION": _duration, "FILE": _file, "JSON": _json, "YAML": _yaml,
    "ION": _ion, "URI": _uri, "ARRAY": _list, "MULTISELECT": _list, "OBJECT": _map, "TABLE": _rows,
}


# ---- rules


def _check_pattern(declared: StringInput | SecretInput, value: str, _choices: Any) -> list[str]:
    if declared.validator is not None and not matches(declared.validator, value):
        return [f"it must match the pattern `{declared.validator}`"]
    return []


def _check_range(declared: IntInput | FloatInput, value: float, _choices: Any) -> list[str]:
    if declared.min is not None and value < declared.min:
        return [f"it must be more than `{java_text(declared.min)}`"]
    if declared.max is not None and value > declared.max:
        return [f"it must be less than `{java_text(declared.max)}`"]
    return []


def _check_duration(declared: DurationInput, value: str, _choices: Any) -> list[str]:
    length = parse_duration(value)
    if declared.min is not None and length < declared.min:
        return [f"It must be more than `{format_duration(declared.min)}`"]
    if declared.max is not None and length > declared.max:
        return [f"It must be less than `{format_duration(declared.max)}`"]
    return []


def _check_moment(declared: DatetimeInput | DateInput | TimeInput, value: str, _choices: Any) -> list[str]:
    read: Callable[[str], Any] = parse_instant if isinstance(declared, DatetimeInput) else str
    if isinstance(declared, TimeInput):
        read = time.fromisoformat
    if declared.after is not None and read(value) < read(declared.after):
        return [f"it must be after `{declared.after}`"]
    if declared.before is not None and read(value) > read(declared.before):
        return [f"it must be before `{declared.before}`"]
    return []


def _check_choice(declared: SelectInput | EnumInput, value: str, choices: Sequence[str] | None) -> list[str]:
    if getattr(declared, "allow_custom_value", False) or choices is None or value in choices:
        return []
    return [f"it must match the values `[{', '.join(choices)}]`"]


def _check_choices(declared: MultiselectInput, value: list[Any], choices: Sequence[str] | None) -> list[str]:
    if declared.allow_custom_value or choices is None:
        return []
    wrong = [each for each in value if shown(each) not in choices]
    return [f"it must match the values `[{', '.join(choices)}]`"] if wrong else []


def _check_file(declared: FileInput, value: str, _choices: Any) -> list[str]:
    allowed = declared.allowed_file_extensions
    if allowed and not value.lower().endswith(tuple(each.lower() for each in allowed)):
        return [f"it must have one of the extensions `[{', '.join(allowed)}]`"]
    return []


def _check_nothing(_declared: ArrayInput, _value: Any, _choices: Any) -> list[str]:
    return []


_CHECKS: tuple[tuple[Any, Callable[[Any, Any, Any], list[str]]], ...] = (
    ((StringInput, SecretInput), _check_pattern), ((IntInput, FloatInput), _check_range), ((DurationInput,), _check_duration),
    ((DatetimeInput, DateInput, TimeInput), _check_moment), ((SelectInput, EnumInput), _check_choice),
    ((MultiselectInput,), _check_choices), ((FileInput,), _check_file), ((ArrayInput,), _check_nothing),
)
