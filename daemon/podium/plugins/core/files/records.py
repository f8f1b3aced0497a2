"""Files of records: one Ion or JSON value a line, as tasks hand rows to each other. Source: expressions 15, plugins 0.

What is written is JSON wherever JSON can say it (JSON is Ion), else Ion text. What is read may also be binary Ion, or values that
span several lines. Called by tasks; blocking.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from podium.base.errors import LimitError, StorageError
from podium.base.limits import STRING_CHARS_MAX

_BINARY_ION = b"\xe0\x01\x00\xea"


def read_records(path: Path) -> Iterator[tuple[Any, bytes]]:
    """Each value of the file, and the line (with its end) that says the same. Raises StorageError naming the line that cannot be read."""
    with path.open("rb") as source:
        if source.peek(4)[:4] == _BINARY_ION:
            yield from ((value, record_line(value)) for value in _ion_values(source.read()))
            return
        number = 0
        while line := source.readline(STRING_CHARS_MAX + 1):
            number += 1
            if len(line) > STRING_CHARS_MAX:
                what = f"line {number} is longer than {STRING_CHARS_MAX} bytes"
                raise LimitError(what, hint="is it a file of records?", limit=STRING_CHARS_MAX)
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError:
                yield from _from_here(line, source, number)
                return
            yield value, line if line.endswith(b"\n") else line + b"\n"


def write_records(path: Path, values: Iterable[Any]) -> int:
    """Write the values, one a line; how many."""
    count = 0
    with path.open("wb") as out:
        for value in values:
            out.write(record_line(value))
            count += 1
    return count


def record_line(value: Any) -> bytes:
    """One value as a line of Ion text: JSON if that can say it."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError):
        from podium.expressions.formats.ion_text import to_ion
        from podium.expressions.runtime import Meter

        return to_ion(value, Meter()).encode(errors="replace") + b"\n"


def _from_here(line: bytes, source: io.BufferedReader, number: int) -> Iterator[tuple[Any, bytes]]:
    """The rest of a file whose current line is no JSON: line by line as Ion while lines are whole values, then as one Ion text."""
    while True:
        try:
            values = _ion_values(line)
        except Exception as error:  # the Ion library raises many kinds
            rest = line + source.read()
            if rest == line:
                raise StorageError(f"line {number} is neither JSON nor Ion: {line[:80]!r}", hint="records are one value a line") from error
            try:
                values = _ion_values(rest)
            except Exception as worse:
                raise StorageError(f"line {number} is neither JSON nor Ion: {line[:80]!r}", hint="records are one value a line") from worse
            source = io.BufferedReader(io.BytesIO())
        yield from ((value, record_line(value)) for value in values)
        line = source.readline()
        number += 1
        if not line:
            return


def _ion_values(data: bytes) -> list[Any]:
    from amazon.ion import simpleion

    return [_plain(value) for value in simpleion.loads(data, single_value=False)]


def _plain(value: Any) -> Any:
    """An Ion value as Python's own: symbols as text, dates and durations as such, also where they are annotated text."""
    from amazon.ion.simple_types import IonPyBool, IonPyNull, IonPySymbol

    from podium.expressions.formats.ion_text import annotated_value

    if isinstance(value, IonPyNull) or value is None:
        return None
    if isinstance(value, IonPyBool):
        return bool(value)
    if isinstance(value, IonPySymbol):
        return value.text
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, str):
        annotated = annotated_value(value)
        return str(value) if annotated is None else annotated
    plain: Any
    for plain in (int, float, Decimal, bytes):
        if isinstance(value, plain):
            return plain(value)
    return value


def _moment(value: datetime) -> date | datetime:
    from amazon.ion.core import TimestampPrecision

    precision = getattr(value, "precision", None)
    if precision is not None and precision <= TimestampPrecision.DAY:
        return date(value.year, value.month, value.day)
    return datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, tzinfo=value.tzinfo or UTC
    )
