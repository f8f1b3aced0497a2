"""jdbc.sqlite.Query, Queries and Trigger: SQLite inside of the task's own process. Source: plugins 3.2."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote

from podium.base.system.ids import new_id
from podium.plugin import Dyn, TaskFailed
from podium.plugins.sql.cells import FetchType
from podium.plugins.sql.database import Caller, Database, Rows, Session, SqlError
from podium.plugins.sql.statements import Dialect
from podium.plugins.sql.tasks import Asking, QueriesTask, QueryTask, QueryTrigger
from podium.plugins.sql.workfiles import workplace

PREFIX = "io.kestra.plugin.jdbc.sqlite."
URL = "jdbc:sqlite:"
HINTS = {
    "cannot VACUUM from within a transaction": "set `transaction: false`",
    "database is locked": "another task writes to it; `?busy_timeout=<ms>` in the URL waits longer",
}


def _question(_: int) -> str:
    return "?"


DIALECT = Dialect(trigger_bodies=True, brackets=True, marker=_question)
_PRAGMAS = frozenset({
    "application_id", "auto_vacuum", "busy_timeout", "cache_size", "case_sensitive_like", "encoding", "foreign_keys", "journal_mode",
    "journal_size_limit", "locking_mode", "mmap_size", "page_size", "read_uncommitted", "recursive_triggers", "secure_delete", "synchronous",
    "temp_store", "user_version",
})
_WAIT_S = 30.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Sqlite(Asking):
    """A SQLite database: one in memory, a file (`jdbc:sqlite:file.db`, below the working directory unless absolute), or a stored file.

    The SQL may use {{ workingDir }} and {{ outputFiles.<name> }}.
    """

    URL_LIKE: ClassVar[str] = "jdbc:sqlite:file.db"
    url: Dyn[str] = URL
    sqlite_file: Dyn[str] | None = None
    output_db_file: Dyn[bool] = False
    output_files: Dyn[list[str]] | None = None

    def using(self, ctx: Caller) -> AbstractContextManager[Database]:
        """See Connected."""
        return self._using(ctx)

    @contextmanager
    def _using(self, ctx: Caller) -> Iterator[Database]:
        path, pragmas = self._place(ctx)
        with workplace(ctx, ctx.working_dir.resolve(), outputs=self.output_files or ()) as place:
            in_memory = path in ("", ":memory:")
            target = ":memory:" if in_memory else path
            if self.sqlite_file or self.output_db_file:
                name = ("" if in_memory else PurePosixPath(path).name) or f"sqlite-{new_id()}.db"
                target = str(place.directory / name)
            if self.sqlite_file:
                place.database_file(self.sqlite_file, Path(target).name)
            keep = Path(target) if self.output_db_file else None

            @contextmanager
            def connect() -> Iterator[Session]:
                session = SqliteSession(str(place.directory / target) if target != ":memory:" else target, self.zone(ctx))
                try:
                    session.set_up(pragmas)
                    yield session
                finally:
                    session.close()

            yield Database(
                name="SQLite", dialect=DIALECT, open=connect, hints=HINTS, keep=lambda: place.kept(keep),
                variables={"workingDir": str(place.directory), "outputFiles": place.outputs},
            )

    def _place(self, ctx: Caller) -> tuple[str, dict[str, str]]:
        """The path in the URL, and pragmas. Raises TaskFailed."""
        url = self.url.strip()
        if not url.startswith(URL):
            raise TaskFailed("url: a URL like jdbc:sqlite:file.db is expected")
        place, _, query = url.removeprefix(URL).partition("?")
        given = dict(parse_qsl(query))
        if place.startswith("file:"):
            place = unquote(place.removeprefix("file:"))
            place = place[place.startswith("//") and 2 :]
            if given.pop("mode", "") == "memory":
                place = ""
        for name in set(given) - _PRAGMAS:
            ctx.log.log("WARN", f"url: the parameter '{name}' is not known and has no effect")
        return place, {name: value for name, value in given.items() if name in _PRAGMAS}


class Query(Sqlite, QueryTask):
    """Runs one statement in SQLite. Outputs: row, rows or uri, and size; outputFiles, databaseUri. Metric: fetch.size."""

    TYPE = PREFIX + "Query"


class Queries(Sqlite, QueriesTask):
    """Runs several statements in SQLite, in one transaction unless told otherwise. Outputs: outputs, one of {row, rows or uri, size} for
    each statement that gives rows; outputFiles, databaseUri. Metric: fetch.size, of all.
    """

    TYPE = PREFIX + "Queries"


class SqliteTrigger(Sqlite, QueryTrigger):
    """Runs one statement in SQLite every `interval` and starts the flow when it gives rows. `trigger.*`: row, rows or uri, and size."""

    TYPE = PREFIX + "Trigger"
    fetch_type: Dyn[FetchType] = "FETCH"


class SqliteSession:
    """See database.Session. Columns declared as date, time, datetime or timestamp come as such; `zone`: of those that name none."""

    def __init__(self, path: str, zone: tzinfo) -> None:
        for name, read in _readers(zone).items():
            sqlite3.register_converter(name, read)
        with _errors():
            self._connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES)

    def set_up(self, pragmas: dict[str, str]) -> None:
        """Set what the URL asks for. Raises SqlError."""
        with _errors():
            for name, value in pragmas.items():
                quoted = value.replace("'", "''")
                self._connection.execute(f"PRAGMA {name} = '{quoted}'" if not value.lstrip("-").isdigit() else f"PRAGMA {name} = {value}")

    def execute(self, sql: str, values: Sequence[Any] = (), *, fetch_size: int = 0) -> Rows:
        """See Session."""
        with _errors():
            cursor = self._connection.execute(sql, [_sent(value) for value in values])
        if cursor.description is None:
            return Rows(changed=max(cursor.rowcount, 0))
        return Rows([column[0] for column in cursor.description], _read(cursor))

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """See Session."""
        with _errors():
            return max(self._connection.executemany(sql, [[_sent(value) for value in row] for row in rows]).rowcount, 0)

    def begin(self) -> None:
        """See Session."""
        with _errors():
            self._connection.execute("BEGIN")

    def commit(self) -> None:
        """See Session. A statement of the SQL may have ended the transaction."""
        with _errors():
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """See Session."""
        with _errors():
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """See Session."""
        self._connection.close()


def _read(cursor: sqlite3.Cursor) -> Iterator[Sequence[Any]]:
    with _errors():
        yield from cursor


def _readers(zone: tzinfo) -> dict[str, Callable[[bytes], Any]]:
    """Declared type → how its text is read. What is no such text stays as it is."""

    def moment(text: str) -> Any:
        if text.lstrip("-").isdigit() and len(text) > 8:
            return _EPOCH + timedelta(milliseconds=int(text))
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)

    def lenient(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
        def reading(raw: bytes) -> Any:
            text = raw.decode(errors="replace")
            try:
                return read(text)
            except (ValueError, OverflowError):
                return text

        return reading

    return {"date": lenient(date.fromisoformat), "time": lenient(time.fromisoformat), "datetime": lenient(moment), "timestamp": lenient(moment)}


def _sent(value: Any) -> Any:
    """A value that SQLite can store."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value) if isinstance(value, (date, time, Decimal)) else value


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        named = getattr(error, "sqlite_errorname", None)
        raise SqlError(f"{error}" + (f" [{named}]" if named else "")) from None
    except OverflowError as error:
        raise SqlError(str(error)) from None
