"""What the tasks of this room ask of a database: `Database` says how to connect, `Session` runs statements, `Rows` are what comes back.

postgres/, duckdb and sqlite implement it. What always holds: an error of a driver comes out as SqlError, with no password in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, Protocol

from podium.plugin import FileStore, Logger
from podium.plugins.sql.statements import Dialect


class SqlError(Exception):
    """A statement, or the connection, failed. The message is the database's own, with its code and place. passing: it may go better again."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class Caller(Protocol):
    """What of a RunContext or PollContext the tasks of this room need."""

    @property
    def working_dir(self) -> Path: ...
    @property
    def log(self) -> Logger: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def zone(self) -> tzinfo: ...
    def render(self, template: Any, extra: Mapping[str, Any] | None = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement gave back. columns: labels, in order; None when the statement gives no rows at all.

    cells: the rows, each a sequence of None, bool, int, float, Decimal, str, bytes, date, time, datetime, lists and maps of these. May
    raise SqlError while it is read. changed: how many rows the statement changed, where the database tells.
    """

    columns: Sequence[str] | None = None
    cells: Iterator[Sequence[Any]] = field(default_factory=lambda: iter(()))
    changed: int = 0


class Session(Protocol):
    """A connection. Begins outside of a transaction: each statement commits itself until `begin`."""

    def execute(self, sql: str, values: Sequence[Any] = (), *, fetch_size: int = 0) -> Rows:
        """Run one statement. fetch_size: rows a time for large results, 0 for all at once. Rows must be read before the next one."""
        ...

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run one statement with each row of values; how many rows changed in all."""
        ...

    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """How to work with a database. open: connects; leaving the block closes. hints: words of an error → what the reader can do.

    keep: called after the session is closed, the outputs of files that are to be kept.
    """

    name: str
    dialect: Dialect
    open: Callable[[], AbstractContextManager[Session]]
    hints: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    """What the SQL may use in expressions beside the variables of the flow."""
    keep: Callable[[], dict[str, Any]] = dict
