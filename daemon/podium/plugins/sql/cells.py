"""Values of a database as outputs have them, and the rows of a statement as the outputs row, rows or uri. Source: plugins 3.1.

Called by the query tasks of this room. What always holds: rows that go to outputs are JSON-like and bounded; rows that are stored keep
every digit and every microsecond.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

from podium.base.durations import format_duration
from podium.base.limits import OUTPUT_BYTES_MAX
from podium.plugin import TaskFailed
from podium.plugins.core.files.records import write_records
from podium.plugins.core.files.workfiles import stored_from
from podium.plugins.sql.database import Caller, Rows

FetchType = Literal["FETCH", "FETCH_ONE", "STORE", "NONE"]


def as_output(value: Any) -> Any:
    """A cell as an output: moments as ISO text with their offset, bytes in base64, what no JSON number can be as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _not_finite(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return _not_finite(float(value))
        return int(value) if int(value.as_tuple().exponent) >= 0 else float(value)
    if isinstance(value, (datetime, time)):
        return _iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): as_output(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_output(item) for item in value]
    return str(value)


def fetched_outputs(ctx: Caller, rows: Rows, how: FetchType) -> dict[str, Any]:
    """The outputs for what a statement gave back: {rows, size}, {row, size}, {uri, size}; nothing for NONE or without rows."""
    if rows.columns is None or how == "NONE":
        return {}
    if how == "STORE":
        with stored_from(ctx) as draft:
            count = write_records(draft, _maps(rows))
            return {"uri": ctx.files.put(draft, "rows.ion"), "size": count}
    if how == "FETCH_ONE":
        row = next(_maps(rows), None)
        return {"size": 0} if row is None else {"row": as_output(row), "size": 1}
    found: list[Any] = []
    size = 0
    for row in _maps(rows):
        shown = as_output(row)
        size += len(json.dumps(shown, ensure_ascii=False))
        if size > OUTPUT_BYTES_MAX:
            what = f"the rows are larger than an output may be ({OUTPUT_BYTES_MAX} bytes, OUTPUT_BYTES_MAX; row {len(found) + 1})"
            raise TaskFailed(f"{what}: use fetchType STORE, which writes them to a file")
        found.append(shown)
    return {"rows": found, "size": len(found)}


def _maps(rows: Rows) -> Iterator[dict[str, Any]]:
    columns = rows.columns or ()
    return (dict(zip(columns, cells, strict=True)) for cells in rows.cells)


def _iso(value: datetime | time) -> str:
    """ISO text with as many digits of a second as there are; an instant has three or six."""
    text = value.isoformat().replace("+00:00", "Z")
    if not value.microsecond:
        return text
    whole = f".{value.microsecond:06d}"
    short = f".{value.microsecond:06d}".rstrip("0")
    if isinstance(value, datetime) and value.tzinfo is UTC:
        short = short.ljust(4, "0") if len(short) <= 4 else whole
    return text.replace(whole, short, 1)


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
