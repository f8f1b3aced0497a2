"""A connection to PostgreSQL: the only module of this room that talks to a server. Called by the tasks through `Database.open`.

What always holds: a connection whose process is gone ends its running statement within a second (PostgreSQL 14 and newer); errors carry the
server's code, detail and place, and no password.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from podium.base.redact import Redactor
from podium.plugin import Logger
from podium.plugins.sql.database import Rows, SqlError
from podium.plugins.sql.postgres import values
from podium.plugins.sql.postgres.address import Address

_LEVELS = {"WARNING": "WARN", "DEBUG": "DEBUG", "LOG": "DEBUG"}
_DEFAULTS = {"application_name": "podium", "client_encoding": "UTF8", "connect_timeout": "10"}
_SESSION = {"DateStyle": "ISO", "IntervalStyle": "postgres"}
"""So that moments and intervals come as they are read here, whatever a role or database prefers."""
_WATCHES_CLIENT = 140_000
"""The version of the server that ends statements whose client is gone."""
_WATCH_MS = "1000"
_PASSING = frozenset({"08", "40", "53", "57"})
"""Classes of errors that may be gone at the next try: connections, rollbacks for others' sake, resources, an operator's hand."""
_JSON_OIDS = frozenset({114, 3802})
_NO_ROWS = "didn't produce a result"
_ROWS_AT_ONCE = 1_000


@contextmanager
def opened(address: Address, *, zone: tzinfo, log: Logger) -> Iterator[PostgresSession]:
    """A session at `address`, closed after the block. zone: of the session, and of moments. Raises SqlError."""
    redactor = Redactor(str(address.parameters[name]) for name in ("password", "sslpassword") if address.parameters.get(name))
    for name in address.unknown:
        log.log("WARN", f"url: the parameter '{name}' is not known and has no effect")
    try:
        connection = psycopg.connect(
            "", **{**_DEFAULTS, **address.parameters}, autocommit=True, cursor_factory=psycopg.RawCursor,
            prepare_threshold=address.prepare_threshold,
        )
    except psycopg.Error as error:
        raise SqlError(f"cannot connect to {address.shown}: {redactor.text(' '.join(str(error).split()))}") from None
    session = PostgresSession(connection, redactor)
    connection.add_notice_handler(lambda notice: log.log(
        _LEVELS.get(notice.severity_nonlocalized or "", "INFO"), f"{notice.severity_nonlocalized}: {notice.message_primary}"
    ))
    try:
        session.set_up(address, zone)
        yield session
    finally:
        session.close()


class PostgresSession:
    """See database.Session."""

    def __init__(self, connection: psycopg.Connection[Any], redactor: Redactor) -> None:
        self.connection = connection
        self._redactor = redactor

    def set_up(self, address: Address, zone: tzinfo) -> None:
        """Make the session what tasks expect. Raises SqlError."""
        settings = {**_SESSION, "TimeZone": getattr(zone, "key", "UTC"), **address.session}
        with self.errors():
            for name, value in settings.items():
                self.connection.execute("select set_config($1, $2, false)", [name, value])
        if self.connection.info.server_version >= _WATCHES_CLIENT:
            try:
                self.connection.execute("select set_config('client_connection_check_interval', $1, false)", [_WATCH_MS])
            except psycopg.Error:  # a server on a platform, or behind a proxy, that cannot: its statements then run to their end
                self.connection.rollback()
        with self.errors():
            values.register(self.connection)

    def execute(self, sql: str, values: Sequence[Any] = (), *, fetch_size: int = 0) -> Rows:
        """See Session. Rows come in batches and are not kept."""
        cursor = self.connection.cursor()
        cells = self._streamed(cursor, sql, values, fetch_size if fetch_size > 1 else _ROWS_AT_ONCE)
        first = next(cells)
        if first is None:
            return Rows()
        columns = [column.name for column in cursor.description or ()]
        return Rows(columns, cells)

    def _streamed(self, cursor: psycopg.Cursor[Any], sql: str, values: Sequence[Any], size: int) -> Generator[Any]:
        """First whether there are rows at all (None: no), then the rows."""
        began = False
        try:
            with self.errors():
                for row in cursor.stream(sql.encode(), list(values) or None, size=size):
                    if not began:
                        began = True
                        yield True
                    yield row
        except _NoRowsError:
            yield None
            return
        if not began:
            yield True

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """See Session. Lists and maps for a JSON parameter are sent as JSON."""
        with self.errors():
            as_json = self._json_parameters(sql)
            if as_json:
                rows = [[Jsonb(value) if at in as_json and value is not None else value for at, value in enumerate(row)] for row in rows]
            cursor = self.connection.cursor()
            cursor.executemany(sql.encode(), rows)
            return max(cursor.rowcount, 0)

    def _json_parameters(self, sql: str) -> frozenset[int]:
        """Which parameters of a statement are JSON, from 0."""
        with self.connection.transaction():
            pgconn = self.connection.pgconn
            pgconn.prepare(b"", sql.encode())
            described = pgconn.describe_prepared(b"")
        return frozenset(at for at in range(described.nparams) if described.param_type(at) in _JSON_OIDS)

    def begin(self) -> None:
        """See Session."""
        self.connection.autocommit = False

    def commit(self) -> None:
        """See Session."""
        with self.errors():
            self.connection.commit()
            self.connection.autocommit = True

    def rollback(self) -> None:
        """See Session."""
        if self.connection.closed:
            return
        with self.errors():
            self.connection.rollback()
            self.connection.autocommit = True

    def close(self) -> None:
        """See Session."""
        self.connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the library's errors into SqlError."""
        try:
            yield
        except psycopg.ProgrammingError as error:
            if error.sqlstate is None and _NO_ROWS in str(error):
                raise _NoRowsError from None
            raise SqlError(self._redactor.text(said(error))) from None
        except psycopg.Error as error:
            passing = self.connection.closed or (error.sqlstate or "")[:2] in _PASSING
            raise SqlError(self._redactor.text(said(error)), passing=passing) from None


class _NoRowsError(Exception):
    """The statement is one that gives no rows; it was carried out."""


def said(error: psycopg.Error) -> str:
    """What the server says, on one line: message, code, detail, hint, context."""
    about = error.diag
    if about.message_primary is None:
        return " ".join(str(error).split()) or type(error).__name__
    parts = [about.message_primary + (f" [{about.sqlstate}]" if about.sqlstate else "")]
    parts += [text for text in (about.message_detail, about.context) if text]
    if about.message_hint:
        parts.append(f"hint: {about.message_hint}")
    return "; ".join(" ".join(part.split()) for part in parts)
