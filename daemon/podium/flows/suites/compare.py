"""What the operators of an assertion mean. Pure; called with rendered values.

Values are compared as a person would who reads them: `200` and `"200"` are equal, and so are a list and its JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from podium.base.errors import PodiumError
from podium.base.patterns import matches
from podium.expressions.text import java_text, to_json


class NotComparable(Exception):
    """The operator means nothing for this value."""


def holds(operator: str, actual: Any, expected: Any) -> bool:
    """Whether it is so. Raises NotComparable."""
    return _OPERATORS[operator](actual, expected)


def text_of(value: Any) -> str:
    """A value as text: as expressions print it, lists and maps as JSON."""
    if isinstance(value, str):
        return value
    return to_json(value) if isinstance(value, (Mapping, list, tuple)) or value is None else java_text(value)


def equal(actual: Any, expected: Any) -> bool:
    """Whether two values read the same."""
    if actual is None or expected is None:
        return actual is expected
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        return actual.keys() == expected.keys() and all(equal(actual[key], expected[key]) for key in actual)
    if _is_list(actual) and _is_list(expected):
        return len(actual) == len(expected) and all(equal(one, other) for one, other in zip(actual, expected, strict=True))
    if _is_nested(actual) or _is_nested(expected):
        return _equal_to_text(actual, expected) if _is_nested(actual) else _equal_to_text(expected, actual)
    if isinstance(actual, bool) or isinstance(expected, bool):
        return text_of(actual).lower() == text_of(expected).lower()
    if isinstance(actual, (int, float, Decimal)) or isinstance(expected, (int, float, Decimal)):
        one, other = _number(actual), _number(expected)
        if one is not None and other is not None:
            return one == other
    return text_of(actual) == text_of(expected)


def _equal_to_text(nested: Any, text: Any) -> bool:
    """A list or map and what somebody wrote for it: its JSON, or what an expression prints of it."""
    if not isinstance(text, str):
        return False
    if text == java_text(nested):
        return True
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return _is_nested(parsed) and equal(nested, parsed)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_nested(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple))


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - UTC is entered below
    else:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(actual: Any, expected: Any) -> bool:
        one, other = _number(actual), _number(expected)
        if one is not None and other is not None:
            return test(one, other)
        first, second = _moment(actual), _moment(expected)
        if first is not None and second is not None:
            return test(first, second)
        wrong = actual if one is None and first is None else expected
        raise NotComparable(f"{shown(wrong)} is no number and no date")

    return compare


def shown(value: Any, chars_max: int = 2_000) -> str:
    """A value as reports show it: text in quotes, the rest as JSON; the end of a long one is left out."""
    if isinstance(value, (datetime, date)):
        value = text_of(value)
    try:
        text = json.dumps(value, ensure_ascii=False, default=text_of)
    except (ValueError, TypeError, RecursionError):
        text = text_of(value)
    return text if len(text) <= chars_max else f"{text[:chars_max]}… ({len(text)} characters)"


def _contains(actual: Any, expected: Any) -> bool:
    if actual is None:
        return False
    if isinstance(actual, Mapping) and any(equal(key, expected) for key in actual):
        return True
    if _is_list(actual) and any(equal(each, expected) for each in actual):
        return True
    return not _is_nested(expected) and text_of(expected) in text_of(actual)


def _among(actual: Any, expected: Any) -> bool:
    choices = expected
    if isinstance(expected, str):
        try:
            choices = json.loads(expected)
        except (ValueError, RecursionError):
            choices = None
    if not isinstance(choices, Sequence) or isinstance(choices, str):
        raise NotComparable(f"a list is expected, not {shown(expected)}")
    return any(equal(actual, each) for each in choices)


def _matches(actual: Any, expected: Any) -> bool:
    if actual is None:
        return False
    try:
        return matches(text_of(expected), text_of(actual))
    except (PodiumError, ValueError) as error:
        raise NotComparable(error.what if isinstance(error, PodiumError) else str(error)) from None


def _is_true(actual: Any) -> bool:
    return actual is True or (isinstance(actual, str) and actual.strip().lower() == "true")


def _is_false(actual: Any) -> bool:
    return actual is False or (isinstance(actual, str) and actual.strip().lower() == "false")


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equalTo": equal,
    "notEqualTo": lambda actual, expected: not equal(actual, expected),
    "contains": _contains,
    "notContains": lambda actual, expected: not _contains(actual, expected),
    "startsWith": lambda actual, expected: actual is not None and text_of(actual).startswith(text_of(expected)),
    "endsWith": lambda actual, expected: actual is not None and text_of(actual).endswith(text_of(expected)),
    "matches": _matches,
    "greaterThan": _ordered(lambda actual, expected: actual > expected),
    "greaterThanOrEqualTo": _ordered(lambda actual, expected: actual >= expected),
    "lessThan": _ordered(lambda actual, expected: actual < expected),
    "lessThanOrEqualTo": _ordered(lambda actual, expected: actual <= expected),
    "in": _among,
    "notIn": lambda actual, expected: not _among(actual, expected),
    "isNull": lambda actual, expected: (actual is None) == expected,
    "isNotNull": lambda actual, expected: (actual is not None) == expected,
    "isTrue": lambda actual, expected: _is_true(actual) == expected,
    "isFalse": lambda actual, expected: _is_false(actual) == expected,
}
