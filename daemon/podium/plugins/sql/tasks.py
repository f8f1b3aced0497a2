"""Query, Queries and Trigger of any database: the properties they share, and how they run. Source: plugins 3.1.

The databases' own modules extend these classes with `using(ctx)`. What always holds: a transaction is committed as a whole or rolled back; an
error names the statement it is about.
"""


from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta, tzinfo
from typing import Any, ClassVar, TypeVar

from pydantic import Field, field_validator

from podium.base.errors import SettingsError
from podium.base.system.zone import zone_of
from podium.flows.dynamic import has_expression
from podium.plugin import Duration, Dyn, Metric, Model, PollContext, Result, RunContext, Task, TaskFailed, Trigger
from podium.plugins.sql import statements
from podium.plugins.sql.cells import FetchType, fetched_outputs
from podium.plugins.sql.database import Caller, Database, Rows, Session, SqlError
from podium.plugins.sql.statements import bind_named, split

T = TypeVar("T")

ONE_STATEMENT = "Query task support only a single SQL statement. Use the Queries task to run multiple statements."


class Connected(Model):
    """What names a database and how moments are read. URL_LIKE: how its addresses look, and begin up to the second colon."""

    URL_LIKE: ClassVar[str] = "jdbc:"
    url: Dyn[str]
    username: Dyn[str] | None = None
    password: Dyn[str] | None = None
    time_zone_id: Dyn[str] | None = None
    connection_pooling: Dyn[bool] = True
    connection_pool_size: Dyn[int] = 10

    @field_validator("url")
    @classmethod
    def _of_this_database(cls, url: str) -> str:
        cls.check_url(url)
        return url

    @classmethod
    def check_url(cls, url: str) -> None:
        """Raises ValueError for an address of something else; one with an expression is not known yet."""
        if not has_expression(url) and not url.strip().startswith(":".join(cls.URL_LIKE.split(":")[:2]) + ":"):
            raise ValueError(f"a URL like {cls.URL_LIKE} is expected")

    def zone(self, ctx: Caller) -> tzinfo:
        """The zone of moments: `timeZoneId`, else the instance's. Raises TaskFailed."""
        if not self.time_zone_id:
            return ctx.zone
        try:
            return zone_of(self.time_zone_id)
        except SettingsError as error:
            raise TaskFailed(f"timeZoneId: {error.what}") from error

    def using(self, ctx: Caller) -> AbstractContextManager[Database]:
        """The database of this task, ready to be opened; what it needs on disk is there for the length of the block."""
        raise NotImplementedError


class Asking(Connected):
    """The properties of a query. The SQL may name places of this very run, so it is rendered when it runs."""

    LATE: ClassVar[tuple[str, ...]] = ("sql", "after_sql")
    sql: str
    fetch_type: Dyn[FetchType] = "NONE"
    fetch_size: Dyn[int] = 10_000
    parameters: Dyn[dict[str, Any]] | None = None
    after_sql: str | None = Field(default=None, alias="afterSQL")
    fetch: bool = False
    fetch_one: bool = False
    store: bool = False

    def same_places(self) -> Mapping[str, Any]:
        """See plugin.Late."""
        listed = getattr(self, "output_files", None) or []
        return {"workingDir": "workingDir", "dbFilePath": "dbFilePath", "outputFiles": {name: name for name in listed}}

    @property
    def how(self) -> FetchType:
        """What becomes of rows; the deprecated booleans come before `fetchType`."""
        if self.fetch:
            return "FETCH"
        if self.fetch_one:
            return "FETCH_ONE"
        return "STORE" if self.store else self.fetch_type

    def metrics(self, size: int) -> list[Metric]:
        """The metric `fetch.size`."""
        fetching = self.how in ("FETCH", "FETCH_ONE")
        tags = {"fetch": str(fetching).lower(), "store": str(self.how == "STORE").lower()}
        return [Metric(name="fetch.size", type="counter", value=size, tags=tags)]

    def rendered(self, ctx: Caller, text: str, database: Database) -> list[str]:
        """The statements in `text` once its expressions are evaluated."""
        return split(str(ctx.render(text, dict(database.variables))), database.dialect)

    def one(self, ctx: Caller) -> dict[str, Any]:
        """Run `sql`, one statement, and `afterSQL` in its transaction: the outputs. Raises TaskFailed."""
        with self.using(ctx) as database:
            found = self.rendered(ctx, self.sql, database)
            after = self.rendered(ctx, self.after_sql, database) if self.after_sql else []
            if len(found) != 1:
                raise TaskFailed(ONE_STATEMENT if found else "sql: there is no statement")
            if len(after) > 1:
                raise TaskFailed("afterSQL: only a single SQL statement is possible")
            with connected(database) as session, transaction(database, session, wanted=bool(after)):
                outputs = self._answer(ctx, database, session, found[0], "") or {}
                for statement in after:
                    self._run(database, session, statement, "afterSQL", lambda rows: [None for _ in rows.cells])
            return {**outputs, **database.keep()}

    def many(self, ctx: Caller, *, in_transaction: bool) -> dict[str, Any]:
        """Run every statement of `sql`: the outputs, with `outputs` of each that gives rows. Raises TaskFailed."""
        outputs: list[dict[str, Any]] = []
        with self.using(ctx) as database:
            found = self.rendered(ctx, self.sql, database)
            if not found:
                raise TaskFailed("sql: there is no statement")
            with connected(database) as session, transaction(database, session, wanted=in_transaction):
                for number, statement in enumerate(found, 1):
                    output = self._answer(ctx, database, session, statement, f"statement {number} of {len(found)}")
                    if output is not None:
                        outputs.append(output)
            return {"outputs": outputs, **database.keep()}

    def _answer(self, ctx: Caller, database: Database, session: Session, statement: str, where: str) -> dict[str, Any] | None:
        """The outputs of one statement; None when it is one that gives no rows."""
        ctx.log.log("DEBUG", f"Starting query: {statements.shown(statement)}")

        def take(rows: Rows) -> dict[str, Any] | None:
            outputs = fetched_outputs(ctx, rows, self.how)
            for _ in rows.cells:  # to its end, so that the statement is carried out and its errors are seen
                pass
            return None if rows.columns is None else outputs

        outputs = self._run(database, session, statement, where, take)
        if outputs is not None and self.how == "NONE":
            ctx.log.log("INFO", "fetchType is set to NONE, no output will be returned")
        return outputs

    def _run(self, database: Database, session: Session, statement: str, where: str, take: Callable[[Rows], T]) -> T:
        bound = bind_named(statement, self.parameters or {}, database.dialect)
        with explained(database, statement, where):
            return take(session.execute(bound.sql, bound.values, fetch_size=self.fetch_size))


class QueryTask(Asking, Task):
    """Runs one statement. Outputs: row, rows or uri, and size, as `fetchType` says. Metric: fetch.size."""

    KIND = "process"

    def run(self, ctx: RunContext) -> Result:
        """Connect, run, fetch."""
        outputs = self.one(ctx)
        return Result(outputs=outputs, metrics=self.metrics(outputs.get("size", 0)))


class QueriesTask(Asking, Task):
    """Runs several statements, in one transaction unless told otherwise. Output: outputs, one of {row, rows or uri, size} for each
    statement that gives rows. Metric: fetch.size, of all.
    """

    KIND = "process"
    transaction: Dyn[bool] = True

    def run(self, ctx: RunContext) -> Result:
        """Connect, run, fetch."""
        outputs = self.many(ctx, in_transaction=self.transaction)
        return Result(outputs=outputs, metrics=self.metrics(sum(each.get("size", 0) for each in outputs["outputs"])))


class QueryTrigger(Asking, Trigger):
    """Runs one statement every `interval` and starts the flow when it gives rows. `trigger.*`: row, rows or uri, and size."""

    IN_CHILD: ClassVar[bool] = True
    interval: Duration = timedelta(seconds=60)
    fetch_type: Dyn[FetchType] = "FETCH"

    @field_validator("fetch_type")
    @classmethod
    def _something(cls, how: str) -> str:
        if how == "NONE":
            raise ValueError("a trigger needs FETCH, FETCH_ONE or STORE")
        return how

    def poll(self, ctx: PollContext) -> Mapping[str, Any] | None:
        """One query. None when there are no rows."""
        if self.how == "NONE":
            raise TaskFailed("fetchType: a trigger needs FETCH, FETCH_ONE or STORE")
        outputs = self.one(ctx)
        return outputs if outputs.get("size") else None


@contextmanager
def connected(database: Database) -> Iterator[Session]:
    """A session. Raises TaskFailed when there is none to be had."""
    try:
        with database.open() as session:
            yield session
    except SqlError as error:
        raise TaskFailed(f"{database.name}: {error}") from None


@contextmanager
def transaction(database: Database, session: Session, *, wanted: bool) -> Iterator[None]:
    """One transaction around the block, if wanted. A block that fails is rolled back by the end of its session."""
    if wanted:
        session.begin()
    yield
    if wanted:
        with explained(database, "COMMIT", ""):
            session.commit()


@contextmanager
def explained(database: Database, statement: str, where: str) -> Iterator[None]:
    """Turn a SqlError into a TaskFailed that names the statement and what to do."""
    try:
        yield
    except SqlError as error:
        message = str(error)
        hint = next((f" ({hint})" for words, hint in database.hints.items() if words in message), "")
        raise TaskFailed(f"{database.name}: {message}{hint}\n{where or 'statement'}: {statements.shown(statement)}") from None
