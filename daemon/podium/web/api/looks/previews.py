"""The content of a file as people look at it: a page of rows, of lines, a tree, markup. Pure: bytes in, data out.

Called by the files tab of an execution. What always holds: what is read and given is bounded; a file that is not what its name says is shown as
text, or named as no text; nothing here is markup, whoever prints it escapes it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from podium.base.limits import LOOP_FUEL_MAX
from podium.expressions.formats.ion_text import read_ion
from podium.expressions.runtime import Meter

ROWS_A_PAGE, COLUMNS_MAX, CELL_CHARS = 100, 200, 2_000
CELL_READ_MAX = 131_072
TABLE_BYTES_MAX = 32 * 1024 * 1024
TEXT_BYTES_A_PAGE = 128 * 1024
TREE_BYTES_MAX = 2 * 1024 * 1024
PICTURE_BYTES_MAX = 20 * 1024 * 1024
PICTURES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp",
    "svg": "image/svg+xml",
}
_KINDS = {
    "csv": "csv", "tsv": "csv", "jsonl": "lines", "ndjson": "lines", "ion": "lines", "parquet": "parquet", "json": "tree", "geojson": "tree",
    "md": "markdown", "markdown": "markdown", **dict.fromkeys(PICTURES, "picture"),
}
ENCODINGS = ("utf-8", "latin-1", "utf-16", "windows-1252", "shift_jis", "gb18030")
_DELIMITERS = ",;\t|"
_TEXT = frozenset(range(32, 256)) | {9, 10, 12, 13, 27}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A page of rows. total: of all rows, None where not all were counted. more: whether rows follow. cut: the file is longer than what was read."""

    columns: list[str]
    rows: list[list[Any]]
    page: int
    total: int | None = None
    more: bool = False
    cut: bool = False
    types: list[str] = field(default_factory=list)


def kind_of(name: str, head: bytes) -> str:
    """How a file is shown: csv, lines, parquet, tree, markdown, picture, text or other."""
    extension = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    kind = _KINDS.get(extension)
    if head.startswith(b"PAR1"):
        return "parquet"
    if kind in {"picture", "parquet"}:
        return kind
    return (kind or "text") if is_text(head) else "other"


def is_text(head: bytes) -> bool:
    """Whether these bytes look like text of some encoding."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or not head:
        return True
    strange = sum(1 for byte in head[:8_192] if byte not in _TEXT)
    return b"\0" not in head and strange <= len(head[:8_192]) // 50


def decoded(data: bytes, encoding: str) -> str:
    """The text; what is no text of that encoding as question marks. Raises LookupError for an unknown encoding."""
    return data.decode(encoding, "replace").removeprefix("\ufeff")


def csv_page(data: bytes, encoding: str, page: int, *, cut: bool) -> Table:
    """A page of a CSV file whose first row names the columns."""
    text = decoded(data, encoding)
    first = text.split("\n", 1)[0]
    found = max(_DELIMITERS, key=first.count)
    delimiter = found if first.count(found) else ","
    rows = _with_short_cells(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    try:
        columns = [each[:CELL_CHARS] for each in next(rows, [])][:COLUMNS_MAX]
        shown, more, total = _page(rows, page)
    except csv.Error:
        return Table(columns=[], rows=[], page=page, cut=cut)
    cells = [[each[:CELL_CHARS] for each in row[:COLUMNS_MAX]] for row in shown]
    return Table(columns=columns, rows=cells, page=page, more=more, total=None if cut else total, cut=cut)


def _with_short_cells(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """Raises csv.Error at a cell that no table has: a quote that is never closed. The reader's own limit is one for the whole process."""
    for row in rows:
        if any(len(cell) > CELL_READ_MAX for cell in row):
            raise csv.Error("a cell is too long")
        yield row


def lines_page(data: bytes, encoding: str, page: int, *, cut: bool) -> Table:
    """A page of JSON lines or Ion: a column for each key; what is no map has the column `value`."""
    shown, more, total = _page((line for line in decoded(data, encoding).splitlines() if line.strip()), page)
    values = [_value(each) for each in shown]
    columns = list(dict.fromkeys(key for each in values for key in (each if isinstance(each, dict) else {"value": 0})))[:COLUMNS_MAX]
    rows = [[_cell(each.get(name, "") if isinstance(each, dict) else each if name == "value" else "") for name in columns] for each in values]
    return Table(columns=[str(each) for each in columns], rows=rows, page=page, more=more, total=None if cut else total, cut=cut)


def _page(rows: Iterable[Any], page: int) -> tuple[list[Any], bool, int]:
    """The rows of a page, whether more follow, and how many there are in all."""
    every = iter(rows)
    skipped = _count(islice(every, (page - 1) * ROWS_A_PAGE))
    shown = list(islice(every, ROWS_A_PAGE))
    rest = _count(every)
    return shown, rest > 0, skipped + len(shown) + rest


def _count(rows: Iterator[Any]) -> int:
    return sum(1 for _ in rows)


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        pass
    if not line.lstrip().startswith(("{", "[", "(")):
        return line
    try:
        return read_ion(line, Meter(LOOP_FUEL_MAX, 0.05), all_rows=False)
    except Exception:  # noqa: BLE001 - it is no Ion either: shown as it is
        return line


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)[:CELL_CHARS]
    return value[:CELL_CHARS] if isinstance(value, str) else value


def tree_of(data: bytes, encoding: str) -> Any:
    """A JSON file's value. Raises ValueError when it is none."""
    try:
        return json.loads(decoded(data, encoding))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


