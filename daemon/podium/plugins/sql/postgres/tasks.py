"""jdbc.postgresql.Query, Queries, Batch and Trigger. Source: plugins 3.2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Literal

from podium.base.errors import SettingsError
from podium.plugin import Dyn, TaskFailed
from podium.plugins.sql.batch import BatchTask
from podium.plugins.sql.database import Caller, Database, Session
from podium.plugins.sql.postgres.address import Address, with_certificates
from podium.plugins.sql.postgres.names import column_name, quoted, table_name
from podium.plugins.sql.statements import Dialect
from podium.plugins.sql.tasks import Connected, QueriesTask, QueryTask, QueryTrigger

PREFIX = "io.kestra.plugin.jdbc.postgresql."
DIALECT = Dialect(nested_comments=True, backslashes=True)
PRELOAD = ("psycopg", "podium.plugins.sql.postgres.session")
HINTS = {
    "cannot run inside a transaction block": "set `transaction: false`",
    "cannot be executed from a function": "run it by itself with jdbc.postgresql.Query",
    "COPY cannot be used": "use jdbc.postgresql.CopyIn or CopyOut",
}
SslMode = Literal["DISABLE", "ALLOW", "PREFER", "REQUIRE", "VERIFY_CA", "VERIFY_FULL"]


class Postgres(Connected):
    """How to reach a PostgreSQL server. Certificates and the key are PEM texts, not paths."""

    URL_LIKE: ClassVar[str] = "jdbc:postgresql://host:5432/database"
    ssl: Dyn[bool] = False
    ssl_mode: Dyn[SslMode] | None = None
    ssl_root_cert: Dyn[str] | None = None
    ssl_cert: Dyn[str] | None = None
    ssl_key: Dyn[str] | None = None
    ssl_key_password: Dyn[str] | None = None

    def using(self, ctx: Caller) -> AbstractContextManager[Database]:
        """See Connected."""
        return self._using(ctx)

    def address(self) -> Address:
        """Where to connect. Raises TaskFailed."""
        try:
            address = Address(self.url)
        except SettingsError as error:
            raise TaskFailed(error.what) from None
        given = {"user": self.username, "password": self.password}
        address.parameters.update({name: value for name, value in given.items() if value})
        return address

    @contextmanager
    def _using(self, ctx: Caller) -> Iterator[Database]:
        from podium.plugins.sql.postgres.session import opened

        address = self.address()
        zone = self.zone(ctx)
        pems = {"sslrootcert": self.ssl_root_cert, "sslcert": self.ssl_cert, "sslkey": self.ssl_key}
        with with_certificates(address, ssl_on=self.ssl, mode=self.ssl_mode, pems=pems, key_password=self.ssl_key_password):

            def connect() -> AbstractContextManager[Session]:
                return opened(address, zone=zone, log=ctx.log)

            yield Database(name="PostgreSQL", dialect=DIALECT, open=connect, hints=HINTS)


class Query(Postgres, QueryTask):
    """Runs one statement in PostgreSQL. Outputs: row, rows or uri, and size, as `fetchType` says. Metric: fetch.size."""

    TYPE = PREFIX + "Query"
    PRELOAD: ClassVar[tuple[str, ...]] = PRELOAD
    output_files: Dyn[list[str]] | None = None


class Queries(Postgres, QueriesTask):
    """Runs several statements in PostgreSQL, in one transaction unless told otherwise. Output: outputs, one of {row, rows or uri, size}
    for each statement that gives rows. Metric: fetch.size, of all.
    """

    TYPE = PREFIX + "Queries"
    PRELOAD: ClassVar[tuple[str, ...]] = PRELOAD
    output_files: Dyn[list[str]] | None = None


class PostgresTrigger(Postgres, QueryTrigger):
    """Runs one statement in PostgreSQL every `interval` and starts the flow when it gives rows. `trigger.*`: row, rows or uri, and size."""

    TYPE = PREFIX + "Trigger"
    PRELOAD: ClassVar[tuple[str, ...]] = PRELOAD


class Batch(Postgres, BatchTask):
    """Writes the rows of a stored file into PostgreSQL, many at a time. Outputs: rowCount, updatedCount. Metrics: records, updated, query."""

    TYPE = PREFIX + "Batch"
    PRELOAD: ClassVar[tuple[str, ...]] = PRELOAD

    def table_sql(self, name: str) -> str:
        """See BatchTask."""
        return table_name(name)

    def column_sql(self, name: str, *, exact: bool) -> str:
        """See BatchTask."""
        return quoted(name) if exact else column_name(name)

    def columns_of(self, session: Session, table: str) -> list[str]:
        """See BatchTask."""
        rows = session.execute(
            "select attname from pg_catalog.pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped "
            "and attgenerated = '' and attidentity <> 'a' order by attnum", [table],
        )
        return [str(name) for (name,) in rows.cells]
