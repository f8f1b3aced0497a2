"""jdbc.duckdb.Query, Queries and Trigger: DuckDB inside of the task's own process. Source: plugins 3.3."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from podium.base.redact import Redactor
from podium.base.system.ids import new_id
from podium.plugin import Dyn, TaskFailed
from podium.plugins.core.fields import json_value
from podium.plugins.sql.cells import FetchType
from podium.plugins.sql.database import Caller, Database, Rows, Session, SqlError
from podium.plugins.sql.statements import Dialect, pieces, shown
from podium.plugins.sql.tasks import Asking, QueriesTask, QueryTask, QueryTrigger
from podium.plugins.sql.workfiles import Workplace, remove_database, workplace

PREFIX = "io.kestra.plugin.jdbc.duckdb."
DIALECT = Dialect(nested_comments=True, backslashes=True)
URL = "jdbc:duckdb:"
HINTS = {
    "Cannot open file": "is it among `inputFiles`? Names without a folder are looked for in the working directory",
    "No files found that match the pattern": "is it among `inputFiles`? Names without a folder are looked for in the working directory",
    "Could not set lock on file": "another task has this database open",
}
_DEFAULT_EXTENSIONS = ("ion",)
_EXTENSION = re.compile(r"[A-Za-z0-9_]+")
_WITH_FILE_NAMES = re.compile(r"\bfilename\s*=\s*(?:true|1)\b", re.IGNORECASE)
_MEMORY = (":memory:", "memory:")
_TEXT_TYPES = ("HUGEINT", "UHUGEINT", "BIGNUM", "VARINT")
_SECRET_SETTING = re.compile("token|secret|password|key", re.IGNORECASE)
_INSTALL = re.compile(r"install\s+'?([A-Za-z0-9_]+)'?", re.IGNORECASE)
_ROWS_AT_ONCE = 1_000
_KNOWN = (bool, int, float, str, bytes, Decimal, date, time, timedelta, type(None))
"""What rows may hold; all else is shown as text."""


class DuckDb(Asking):
    """A DuckDB database: a throw-away one, a file (`jdbc:duckdb:/path/file.db`), a stored file (`databaseUri`) or MotherDuck (`md:`).

    The SQL may use {{ workingDir }}, {{ dbFilePath }} and {{ outputFiles.<name> }}.
    """

    URL_LIKE: ClassVar[str] = "jdbc:duckdb:/path/file.db"
    url: Dyn[str] = URL
    input_files: Dyn[Any] = None
    output_files: Dyn[list[str]] | None = None
    database_uri: Dyn[str] | None = None
    output_db_file: Dyn[bool] = False
    community_extensions: Dyn[list[str]] | None = None

    def using(self, ctx: Caller) -> AbstractContextManager[Database]:
        """See Connected."""
        return self._using(ctx)

    @contextmanager
    def _using(self, ctx: Caller) -> Iterator[Database]:
        path, config = self._place()
        directory = Path(path).parent if path.startswith("/") else ctx.working_dir
        inputs = json_value(self.input_files, "inputFiles") if isinstance(self.input_files, str) and self.input_files.strip() else self.input_files
        with workplace(ctx, directory.resolve(), inputs=inputs, outputs=self.output_files or ()) as place:
            file = self._file(place, path)
            temporary = file is not None and not path
            target = path if file is None else str(file)
            keep = file if self.output_db_file else None
            variables = {"workingDir": str(place.directory), "outputFiles": place.outputs, **({"dbFilePath": str(file)} if file else {})}
            sql = f"{self.sql}\n{self.after_sql or ''}"

            @contextmanager
            def connect() -> Iterator[Session]:
                session = DuckDbSession(target, config, place.directory, zone=self.zone(ctx), machine_zone=ctx.zone)
                try:
                    session.set_up(relative_names=bool(_WITH_FILE_NAMES.search(sql)))
                    self._load_extensions(ctx, session, sql)
                    yield session
                finally:
                    session.close()

            try:
                yield Database(
                    name="DuckDB", dialect=DIALECT, open=connect, hints=HINTS, variables=variables, keep=lambda: place.kept(keep)
                )
            finally:
                if temporary and file is not None:
                    remove_database(file)

    def _place(self) -> tuple[str, dict[str, str]]:
        """What stands in the URL: a path, `:memory:` or `md:…`, and settings. Raises TaskFailed."""
        url = self.url.strip()
        if not url.startswith(URL):
            raise TaskFailed("url: a URL like jdbc:duckdb: or jdbc:duckdb:/path/file.db is expected")
        place, _, query = re.sub(r"[;?]", "?", url.removeprefix(URL), count=1).partition("?")
        config = {name.removeprefix("duckdb."): value for name, value in parse_qsl(query.replace(";", "&"), keep_blank_values=True)}
        if config.pop("read_only", "false").lower() == "true":
            config["access_mode"] = "READ_ONLY"
        if self.database_uri and place:
            raise TaskFailed("either a path in `url` or `databaseUri` can be set, not both")
        return place, config

    def _file(self, place: Workplace, path: str) -> Path | None:
        """The database file; None for one in memory or elsewhere. Raises TaskFailed."""
        if path in _MEMORY or path.startswith("md:"):
            if self.output_db_file:
                raise TaskFailed("outputDbFile: this database has no file")
            return None
        name = f"duckdb-{new_id()}.db"
        if self.database_uri:
            return place.database_file(self.database_uri, name)
        return place.directory / (path or name)

    def _load_extensions(self, ctx: Caller, session: DuckDbSession, sql: str) -> None:
        """Load community extensions; one that cannot be had is only told of. Those nobody named are loaded where the SQL speaks of them."""
        named = self.community_extensions
        wanted = named if named is not None else [name for name in _DEFAULT_EXTENSIONS if re.search(rf"\b(?:read_)?{name}\b", sql, re.IGNORECASE)]
        for name in wanted:
            if not _EXTENSION.fullmatch(name):
                ctx.log.log("WARN", f"communityExtensions: {name!r} is not the name of an extension")
                continue
            try:
                session.load_extension(name)
            except SqlError as error:
                ctx.log.log("WARN" if named is not None else "DEBUG", f"The DuckDB extension {name} cannot be loaded: {error}")


class Query(DuckDb, QueryTask):
    """Runs one statement in DuckDB. Outputs: row, rows or uri, and size; outputFiles, databaseUri. Metric: fetch.size."""

    TYPE = PREFIX + "Query"
    PRELOAD: ClassVar[tuple[str, ...]] = ("duckdb",)


class Queries(DuckDb, QueriesTask):
    """Runs several statements in DuckDB, in one transaction unless told otherwise. Outputs: outputs, one of {row, rows or uri, size} for
    each statement that gives rows; outputFiles, databaseUri. Metric: fetch.size, of all.
    """

    TYPE = PREFIX + "Queries"
    PRELOAD: ClassVar[tuple[str, ...]] = ("duckdb",)


class DuckDbTrigger(DuckDb, QueryTrigger):
    """Runs one statement in DuckDB every `interval` and starts the flow when it gives rows. `trigger.*`: row, rows or uri, and size."""

    TYPE = PREFIX + "Trigger"
    PRELOAD: ClassVar[tuple[str, ...]] = ("duckdb",)
    fetch_type: Dyn[FetchType] = "FETCH"


class DuckDbSession:
    """See database.Session. zone: of moments; machine_zone: what wall clock times without a zone stand for."""

    def __init__(self, target: str, config: Mapping[str, str], directory: Path, *, zone: tzinfo, machine_zone: tzinfo) -> None:
        import duckdb

        self._duckdb = duckdb
        self._directory = directory
        self._zone, self._machine_zone = zone, machine_zone
        self._relative_names = False
        self._redactor = Redactor(value for name, value in config.items() if _SECRET_SETTING.search(name))
        with self._errors():
            self._connection = duckdb.connect(target, config=dict(config))

    def set_up(self, *, relative_names: bool) -> None:
        """Have bare file names found in the working directory, and temporary files lie there."""
        self._relative_names = relative_names
        folder = str(self._directory).replace("'", "''")
        with self._errors():
            self._connection.execute(f"SET file_search_path='{folder}'")
            self._connection.execute(f"SET temp_directory='{folder}/.duckdb-temporary'")
            self._connection.execute(f"SET TimeZone='{getattr(self._zone, 'key', 'UTC')}'")

    def load_extension(self, name: str) -> None:
        """Load an extension, from the community's repository if it is not here yet."""
        try:
            with self._errors():
                self._connection.execute(f"LOAD {name}")
        except SqlError:
            with self._errors():
                self._connection.execute(f"INSTALL {name} FROM community")
                self._connection.execute(f"LOAD {name}")

    def execute(self, sql: str, values: Sequence[Any] = (), *, fetch_size: int = 0) -> Rows:
        """See Session."""
        with self._errors():
            if (named := _INSTALL.fullmatch(sql.strip())) and self._has(named[1]):
                return Rows()  # no network is asked for what is there
            parsed = self._connection.extract_statements(sql)
            if len(parsed) != 1:
                raise SqlError(f"one statement is expected: {shown(sql)}")
            gives_rows = self._gives_rows(parsed[0], sql)
            cursor = self._connection.execute(parsed[0], list(values) or None)
            described = cursor.description or []
        if not gives_rows:
            return Rows()
        names = [column[0] for column in described]
        kinds = [str(column[1]) for column in described]
        return Rows(names, self._cells(cursor, names, kinds, fetch_size if fetch_size > 0 else _ROWS_AT_ONCE))

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """See Session."""
        with self._errors():
            self._connection.executemany(sql, rows)
        return len(rows)

    def begin(self) -> None:
        """See Session."""
        with self._errors():
            self._connection.begin()

    def commit(self) -> None:
        """See Session. A statement of the SQL may have ended the transaction."""
        with self._errors():
            try:
                self._connection.commit()
            except self._duckdb.TransactionException as error:
                if "no transaction is active" not in str(error):
                    raise

    def rollback(self) -> None:
        """See Session."""
        with self._errors():
            self._connection.rollback()

    def close(self) -> None:
        """See Session."""
        self._connection.close()

    def _has(self, extension: str) -> bool:
        """Whether an extension is part of this DuckDB, or loaded."""
        found = self._connection.execute("SELECT loaded FROM duckdb_extensions() WHERE extension_name = ?", [extension.lower()]).fetchone()
        return bool(found and found[0])

    def _gives_rows(self, parsed: Any, sql: str) -> bool:
        kinds = {each.name for each in parsed.expected_result_type}
        if "CHANGED_ROWS" not in kinds or parsed.type.name == "MULTI":
            return "QUERY_RESULT" in kinds
        return any(piece.kind == "word" and piece.text.lower() == "returning" for piece in pieces(sql, DIALECT))

    def _cells(self, cursor: Any, names: Sequence[str], kinds: Sequence[str], size: int) -> Iterator[Sequence[Any]]:
        while True:
            with self._errors():
                batch = cursor.fetchmany(size)
            if not batch:
                return
            for row in batch:
                yield [self._cell(name, kind, value) for name, kind, value in zip(names, kinds, row, strict=True)]

    def _cell(self, name: str, kind: str, value: Any) -> Any:
        if value is None:
            return None
        if kind in _TEXT_TYPES:
            return str(value)
        if kind == "JSON":
            return json_value(value, name)
        if self._relative_names and name == "filename" and isinstance(value, str):
            return value.removeprefix(f"{self._directory}/")
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, datetime):
            try:
                return (value if value.tzinfo else value.replace(tzinfo=self._machine_zone)).astimezone(self._zone)
            except OverflowError:  # infinity
                return value.replace(tzinfo=UTC)
        if isinstance(value, dict):
            return {str(key): self._plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._plain(item) for item in value]
        return value if isinstance(value, _KNOWN) else str(value)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._duckdb.Error as error:
            raise SqlError(self._redactor.text(" ".join(str(error).split()))) from None
