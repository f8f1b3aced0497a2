"""Batch of any database: the rows of a stored file through one statement, many rows a time. Source: plugins 3.1.

What always holds: a chunk is one transaction; what is committed is never sent again, unless `resumeOnRetry` is off.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from podium.base.errors import NotFound, StorageError
from podium.plugin import Duration, Dyn, Metric, Result, RunContext, Task, TaskFailed
from podium.plugins.core.files.records import read_records
from podium.plugins.core.files.workfiles import fetched
from podium.plugins.sql.database import Database, Session, SqlError
from podium.plugins.sql.statements import bind_questions, shown
from podium.plugins.sql.tasks import Connected, connected, explained
from podium.storage.uris import file_name

_FIRST = 1


@dataclass(slots=True)
class _Progress:
    """What is committed."""

    rows: int = 0
    updated: int = 0
    chunks: int = 0


class BatchTask(Connected, Task):
    """Writes the rows of a stored file, many at a time. The file holds records (Ion, JSON Lines) or is CSV with a header, by its name."""

    KIND = "process"
    from_: Dyn[str] = Field(alias="from")
    sql: Dyn[str] | None = None
    table: Dyn[str] | None = None
    columns: Dyn[list[str]] = []
    chunk: Dyn[int] = 1_000
    max_retries: Dyn[int] = 3
    retry_backoff: Dyn[Duration] = timedelta(seconds=1)
    input_handling: Dyn[Literal["AUTO", "STREAM", "LOCAL"]] = "AUTO"
    local_buffer_max_bytes: Dyn[int] = 100 * 1024 * 1024
    resume_on_retry: Dyn[bool] = True
    retry_scope: Dyn[Literal["NONE", "INPUT", "ALL"]] = "INPUT"

    def table_sql(self, name: str) -> str:
        """The name of a table as SQL. Raises TaskFailed."""
        raise NotImplementedError

    def column_sql(self, name: str, *, exact: bool) -> str:
        """The name of a column as SQL. exact: it comes from the database, not from a person."""
        raise NotImplementedError

    def columns_of(self, session: Session, table: str) -> list[str]:
        """The columns of a table that can be written, in their order."""
        raise NotImplementedError

    def run(self, ctx: RunContext) -> Result:
        """Read, send, commit, again and again."""
        if (self.sql is None) == (self.table is None):
            raise TaskFailed("either `sql` or `table` must be set")
        if self.chunk < 1:
            raise TaskFailed("chunk: at least 1 is expected")
        done = _Progress()
        with self._source(ctx) as source, self.using(ctx) as database:
            tries = 0
            while True:
                try:
                    with connected(database) as session:
                        self._send(ctx, database, session, source, done)
                    break
                except _AgainError as error:
                    if tries >= self.max_retries or self.retry_scope != "ALL":
                        raise TaskFailed(str(error)) from None
                    tries += 1
                    ctx.log.log("WARN", f"{error}\nTry {tries} of {self.max_retries} to go on")
                    time.sleep(self.retry_backoff.total_seconds())
                    if not self.resume_on_retry:
                        done = _Progress()
        ctx.log.log("INFO", f"Successfully executed {done.rows} bulk queries and updated {done.updated} rows")
        counted = {"records": done.rows, "updated": done.updated, "query": done.chunks}
        return Result(
            outputs={"rowCount": done.rows, "updatedCount": done.updated},
            metrics=[Metric(name=name, type="counter", value=value) for name, value in counted.items()],
        )

    def _send(self, ctx: RunContext, database: Database, session: Session, source: Path, done: _Progress) -> None:
        rows = islice(_rows(source, is_csv=file_name(self.from_).lower().endswith(".csv")), done.rows, None)
        first = next(rows, None)
        if first is None:
            return
        statement, values_of = self._statement(ctx, database, session, first)
        ctx.log.log("DEBUG", f"Starting prepared statement: {shown(statement)}")

        def numbered() -> Iterator[Sequence[Any]]:
            yield values_of(first, done.rows + _FIRST)
            for number, row in enumerate(rows, done.rows + _FIRST + 1):
                yield values_of(row, number)

        everything = numbered()
        while batch := list(islice(everything, self.chunk)):
            where = f"rows {done.rows + _FIRST} to {done.rows + len(batch)}"
            try:
                session.begin()
                updated = session.execute_many(statement, batch)
                session.commit()
            except SqlError as error:
                if error.passing:
                    raise _AgainError(f"{database.name}: {error}\n{where}: {shown(statement)}") from None
                with explained(database, statement, where):
                    raise
            done.rows += len(batch)
            done.updated += updated
            done.chunks += 1

    def _statement(
        self, ctx: RunContext, database: Database, session: Session, first: Any
    ) -> tuple[str, Callable[[Any, int], Sequence[Any]]]:
        """The statement with its markers, and what makes the values for it of a row. Raises TaskFailed."""
        if self.sql is not None:
            statement, count = bind_questions(self.sql.strip().rstrip(";"), database.dialect)
            return statement, lambda row, number: _values(row, self.columns or None, count, number)
        assert self.table is not None
        table = self.table_sql(self.table)
        named, exact = self.columns, False
        if not named:
            with explained(database, f"columns of {table}", ""):
                known = self.columns_of(session, table)
            named, exact = self._matching(ctx, known, first), True
        listed = ", ".join(self.column_sql(name, exact=exact) for name in named)
        markers = ", ".join(database.dialect.marker(at) for at in range(1, len(named) + 1))
        statement = f"INSERT INTO {table} ({listed}) VALUES ({markers})"  # noqa: S608 - names that were checked and quoted
        return statement, lambda row, number: _values(row, named, len(named), number)

    def _matching(self, ctx: RunContext, known: list[str], first: Any) -> list[str]:
        """The columns of the table that the rows have. Raises TaskFailed when there is none."""
        if not isinstance(first, Mapping):
            return known
        keys = {str(key).lower() for key in first}
        named = [name for name in known if name.lower() in keys]
        if not named:
            raise TaskFailed(f"none of the columns of {self.table} ({', '.join(known)}) is in the rows ({', '.join(map(str, first))})")
        left = [str(key) for key in first if str(key).lower() not in {name.lower() for name in known}]
        if left:
            ctx.log.log("WARN", f"{self.table} has no column {', '.join(left)}: left out")
        return named

    @contextmanager
    def _source(self, ctx: RunContext) -> Iterator[Path]:
        """A local copy of the file."""
        tries = 0
        while True:
            fetching = fetched(ctx, self.from_)
            try:
                source = fetching.__enter__()
                break
            except StorageError as error:
                if isinstance(error, NotFound) or self.retry_scope == "NONE" or tries >= self.max_retries:
                    raise
                tries += 1
                ctx.log.log("WARN", f"from: {error.what}; try {tries} of {self.max_retries} to read it")
                time.sleep(self.retry_backoff.total_seconds())
        try:
            yield source
        finally:
            fetching.__exit__(None, None, None)


class _AgainError(Exception):
    """A chunk failed for a reason that may pass."""


def _rows(source: Path, *, is_csv: bool) -> Iterator[Any]:
    if not is_csv:
        yield from (value for value, _ in read_records(source))
        return
    with source.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        for row in reader:
            if None in row or None in row.values():
                raise TaskFailed(f"from: line {reader.line_num} has another number of fields than the header")
            yield {name: value or None for name, value in row.items()}


def _values(row: Any, columns: Sequence[str] | None, count: int, number: int) -> list[Any]:
    """The values of a row for the markers of the statement. Raises TaskFailed when they are not as many."""
    if isinstance(row, Mapping):
        values = list(row.values()) if columns is None else [_named(row, name) for name in columns]
    elif isinstance(row, (list, tuple)):
        values = list(row)
    else:
        raise TaskFailed(f"row {number} is neither a map nor a list")
    if len(values) != count:
        raise TaskFailed(f"row {number} has {len(values)} values, and the statement takes {count}: name them in `columns`")
    return values


def _named(row: Mapping[Any, Any], name: str) -> Any:
    if name in row:
        return row[name]
    plain = name.strip('"').lower()
    return next((value for key, value in row.items() if str(key).lower() == plain), None)
