"""jdbc.postgresql.CopyIn and CopyOut: PostgreSQL's COPY between a table or query and a stored file. Source: plugins 3.1."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from podium.plugin import Dyn, Metric, Result, RunContext, Task, TaskFailed
from podium.plugins.core.fields import Text
from podium.plugins.core.files.workfiles import fetched, stored_from
from podium.plugins.sql.postgres.names import column_name, table_name
from podium.plugins.sql.postgres.tasks import DIALECT, PREFIX, PRELOAD, Postgres
from podium.plugins.sql.statements import split
from podium.plugins.sql.tasks import connected, explained

_CHUNK_BYTES = 256 * 1024
_SUFFIXES = {"CSV": ".csv", "TEXT": ".txt", "BINARY": ".bin"}


class Copying(Postgres):
    """The options of COPY, named as in PostgreSQL."""

    table: Dyn[str] | None = None
    columns: Dyn[list[str]] = []
    format: Dyn[Literal["TEXT", "CSV", "BINARY"]] = "TEXT"
    oids: Dyn[bool] | None = None
    freeze: Dyn[bool] | None = None
    delimiter: Dyn[Text] | None = None
    null_string: Dyn[Text] | None = None
    header: Dyn[bool] | None = None
    quote: Dyn[Text] | None = None
    escape: Dyn[Text] | None = None
    force_quote: Dyn[list[str]] = []
    force_not_null: Dyn[list[str]] = []
    force_null: Dyn[list[str]] = []
    encoding: Dyn[str] | None = None
    socket_timeout: Dyn[int] | None = None

    def statement(self, what: str, direction: str) -> str:
        """The COPY statement. Raises TaskFailed for a name or option that is none."""
        texts = {"DELIMITER": self.delimiter, "QUOTE": self.quote, "ESCAPE": self.escape}
        for name, value in texts.items():
            if value is not None and len(value.encode()) != 1:
                raise TaskFailed(f"{name.lower()}: a single one-byte character is expected, not {value!r}")
        options = [f"FORMAT {self.format}"] if self.format != "TEXT" else []
        options += ["OIDS"] if self.oids else []
        options += ["FREEZE"] if self.freeze else []
        texts |= {"NULL": self.null_string, "ENCODING": self.encoding}
        options += [f"{name} {literal(value)}" for name, value in texts.items() if value is not None]
        options += [f"HEADER {str(self.header).upper()}"] if self.header is not None else []
        lists = {"FORCE_QUOTE": self.force_quote, "FORCE_NOT_NULL": self.force_not_null, "FORCE_NULL": self.force_null}
        options += [f"{name} {'*' if listed == ['*'] else _columns(listed)}" for name, listed in lists.items() if listed]
        return f"COPY {what} {direction}" + (f" WITH ({', '.join(options)})" if options else "")

    def target(self) -> str:
        """The table, with its columns if they are named. Raises TaskFailed."""
        if not self.table:
            raise TaskFailed("table: it must be set")
        return table_name(self.table) + (f" {_columns(self.columns)}" if self.columns else "")

    def address(self) -> Any:
        """See Postgres."""
        address = super().address()
        if self.socket_timeout is not None:
            address.limit_silence(self.socket_timeout)
        return address


class CopyIn(Copying, Task):
    """Copies a stored file into a table of PostgreSQL. Output: rowCount. Metric: rows."""

    TYPE = PREFIX + "CopyIn"
    KIND = "process"
    PRELOAD: ClassVar[tuple[str, ...]] = PRELOAD
    from_: Dyn[str] = Field(alias="from")

    def run(self, ctx: RunContext) -> Result:
        """Send the file."""
        statement = self.statement(self.target(), "FROM STDIN")
        ctx.log.log("DEBUG", f"Starting query: {statement}")
        with fetched(ctx, self.from_) as source, self.using(ctx) as database, connected(database) as session:
            connection: Any = session
            with explained(database, statement, ""), connection.errors(), source.open("rb") as stream:
                cursor = connection.connection.cursor()
                with cursor.copy(statement.encode()) as copy:
                    while chunk := stream.read(_CHUNK_BYTES):
                        copy.write(chunk)
                count = cursor.rowcount
        ctx.log.log("INFO", f"Copied {count} rows into {self.table}")
        return _result({"rowCount": count})


class CopyOut(Copying, Task):
    """Copies a table, or what a query gives, of PostgreSQL into a stored file. Outputs: uri, rowCount. Metric: rows."""

    TYPE = PREFIX + "CopyOut"
    KIND = "process"
    PRELOAD: ClassVar[tuple[str, ...]] = PRELOAD
    sql: Dyn[str] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Receive the file and store it."""
        statement = self.statement(self._source(), "TO STDOUT")
        ctx.log.log("DEBUG", f"Starting query: {statement}")
        with stored_from(ctx) as draft:
            with self.using(ctx) as database, connected(database) as session:
                connection: Any = session
                with explained(database, statement, ""), connection.errors(), draft.open("wb") as out:
                    cursor = connection.connection.cursor()
                    with cursor.copy(statement.encode()) as copy:
                        for chunk in copy:
                            out.write(chunk)
                    count = cursor.rowcount
            uri = ctx.files.put(draft, f"copy{_SUFFIXES[self.format]}")
        ctx.log.log("INFO", f"Copied {count} rows")
        return _result({"uri": uri, "rowCount": count})

    def _source(self) -> str:
        if self.sql is None:
            return self.target()
        if self.table:
            raise TaskFailed("either `table` or `sql` can be set, not both")
        found = split(self.sql, DIALECT)
        if len(found) != 1:
            raise TaskFailed("sql: one statement is expected")
        return f"({found[0]}\n)"


def literal(text: str) -> str:
    """A text as SQL."""
    quoted = text.replace("'", "''")
    return f"'{quoted}'" if "\\" not in text else "E'" + quoted.replace("\\", "\\\\") + "'"


def _columns(names: list[str]) -> str:
    return f"({', '.join(column_name(name) for name in names)})"


def _result(outputs: dict[str, Any]) -> Result:
    return Result(outputs=outputs, metrics=[Metric(name="rows", type="counter", value=outputs["rowCount"])])
