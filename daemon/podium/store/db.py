"""The SQLite database of a home: one writer thread with group commit, one thread for reads, one connection for tiny reads on the loop.

What comes in: functions of a connection. What always holds: `write` returns after the transaction is on disk (WAL, synchronous=FULL);
functions that wait together share one transaction, and one that fails takes only itself back. Nothing else opens this file. A
database that was opened by its owner (`on_lost`) has an epoch, raised by each owner: a transaction of an earlier one is not made.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from podium.base.errors import StoreError
from podium.base.limits import QUEUED_COMMANDS_MAX
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger

log = get_logger(__name__)
T = TypeVar("T")
SQLITE_VERSION = sqlite3.sqlite_version
Write = Callable[[sqlite3.Connection], T]
BATCH_MAX = 500
"""Functions that share one transaction, at most."""
WAL_BYTES_MAX = 32 * 1024 * 1024
"""Size of the write-ahead log from which on the writer waits for readers, so that it can begin anew."""
WAL_WAIT_S = 0.25
WAL_TRIES_EVERY_S = 2.0
_EPOCH = "SELECT value FROM documents WHERE kind = 'daemon' AND namespace = '' AND key = 'epoch'"


class _Lost(Exception):
    """Another owner has this database by now."""
BUSY_S = 30
"""Seconds that a writer waits for another one."""
SHRINK_FROM = 5
"""A database gives space back when more than one page in so many is unused: the others are used again soon."""
UPGRADED_PER_S = 2_000
"""Executions that an upgrade rewrites in a second, at least. Measured: 8,000 on two busy cores."""


class Database:
    """See the module's docstring. Made by `open`; closed once."""

    def __init__(self, path: Path, epoch: int | None = None, on_lost: Callable[[], None] | None = None) -> None:
        self._path = path
        self._epoch = epoch
        self._on_lost = on_lost
        self._writes: queue.Queue[tuple[Write[Any], Future[Any]] | None] = queue.Queue(maxsize=QUEUED_COMMANDS_MAX)
        self._writer = threading.Thread(target=self._write_loop, name="podium-journal", daemon=True)
        self._readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="podium-read")
        self._local = threading.local()
        self._here = _connect(path)
        self._all: list[sqlite3.Connection] = [self._here]
        self._trouble: StoreError | None = None
        self._log = path.with_name(path.name + "-wal")
        self._log_next_s = 0.0

    @classmethod
    def open(cls, path: Path, *, on_lost: Callable[[], None] | None = None) -> Database:
        """Open or make the database at `path` and bring its tables up to date. Raises StoreError.

        on_lost: makes the caller its owner; called in the writer's thread when another has become that, before anything is written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(path)
            _migrate(connection)
            connection.execute("BEGIN")
            make_indexes(connection)
            connection.execute("COMMIT")
            epoch = _take_over(connection) if on_lost is not None else None
            connection.close()
            database = cls(path, epoch, on_lost)
        except (sqlite3.Error, OSError) as exc:
            raise _error(exc, path) from exc
        database._writer.start()
        return database

    async def write(self, function: Write[T]) -> T:
        """Run `function` in a transaction; its result once that is on disk. Raises StoreError when it could not be written."""
        future: Future[T] = Future()
        if self._writes.full():
            await asyncio.to_thread(self._writes.put, (function, future))
        else:
            self._writes.put_nowait((function, future))
        try:
            result = await asyncio.wrap_future(future)
        except (sqlite3.Error, OSError) as exc:
            self._trouble = _error(exc, self._path)
            raise self._trouble from exc
        self._trouble = None
        return result

    async def trouble(self) -> StoreError | None:
        """Why nothing can be written at present, or None. After a failure it is tried again with a small write."""
        if self._trouble is not None:
            with suppress(StoreError):
                await self.write(_touch)
        return self._trouble

    async def read(self, function: Write[T]) -> T:
        """Run a query on a reader thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: function(self._mine()))
        except (sqlite3.Error, OSError) as exc:
            raise _error(exc, self._path) from exc

    def read_now(self, function: Write[T]) -> T:
        """Run one indexed query here and now. For the loop's thread and for worker threads alike."""
        try:
            return function(self._mine())
        except (sqlite3.Error, OSError) as exc:
            raise _error(exc, self._path) from exc

    @property
    def lost(self) -> bool:
        """Whether another owner has this database. One that cannot be read is not lost. For the loop's thread and for worker threads."""
        try:
            return self._epoch is not None and self.read_now(_epoch) != self._epoch
        except StoreError:
            return False

    def close(self) -> None:
        """Finish what was handed in, then close. Blocks."""
        self._writes.put(None)
        self._writer.join()
        self._readers.shutdown()
        for connection in self._all:
            connection.close()

    def _mine(self) -> sqlite3.Connection:
        if threading.current_thread() is threading.main_thread():
            return self._here
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _connect(self._path)
            self._all.append(connection)
        return connection

    def _write_loop(self) -> None:
        connection = _connect(self._path)
        while True:
            item = self._writes.get()
            if item is None:
                break
            batch = [item]
            while len(batch) < BATCH_MAX:
                try:
                    more = self._writes.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._writes.put(None)
                    break
                batch.append(more)
            # A caller that gave up before its turn takes its function along; from here on it can no longer.
            try:
                _commit(connection, [each for each in batch if each[1].set_running_or_notify_cancel()], self._epoch)
            except _Lost:
                assert self._on_lost is not None
                self._on_lost()
            else:
                self._bound_log(connection)
        connection.close()

    def _bound_log(self, connection: sqlite3.Connection) -> None:
        """Let the write-ahead log begin anew when it is long. It does so by itself once no reader needs it; with readers all the time it would grow.

        A reader that begins meanwhile reads the database alone, so there is only to wait for those that are under way.
        """
        try:
            size = self._log.stat().st_size
        except OSError:
            return
        if size <= WAL_BYTES_MAX or monotonic_s() < self._log_next_s:
            return
        connection.execute(f"PRAGMA busy_timeout={int(WAL_WAIT_S * 1000)}")
        with suppress(sqlite3.Error):  # the next commit meets it again, and tells its caller
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute(f"PRAGMA busy_timeout={BUSY_S * 1000}")
        self._log_next_s = monotonic_s() + WAL_TRIES_EVERY_S


def _commit(connection: sqlite3.Connection, batch: list[tuple[Write[Any], Future[Any]]], epoch: int | None) -> None:
    """Run the functions of a batch in one transaction, then tell each how it went. Raises _Lost when `epoch` is over; nothing is written."""
    done: list[tuple[Future[Any], Any]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        if epoch is not None and _epoch(connection) != epoch:
            connection.execute("ROLLBACK")
            for _, future in batch:
                future.set_exception(StoreError("another daemon has this home", hint="stop this one"))
            raise _Lost
        for function, future in batch:
            connection.execute("SAVEPOINT one")
            try:
                result = function(connection)
                if isinstance(result, sqlite3.Cursor):  # must not die in the caller's thread while this one uses its statement again
                    result.close()
                    result = None
            except Exception as exc:  # noqa: BLE001 - whatever went wrong belongs to whoever handed it in
                connection.execute("ROLLBACK TO one")
                future.set_exception(exc)
            else:
                done.append((future, result))
            connection.execute("RELEASE one")
        connection.execute("COMMIT")
    except sqlite3.Error as exc:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for _, future in batch:
            if not future.done():
                future.set_exception(exc)
        return
    for future, result in done:
        future.set_result(result)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
    connection.executescript(
        "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
        f" PRAGMA cache_size=-8000; PRAGMA journal_size_limit={WAL_BYTES_MAX};"
    )
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    """Apply the numbered scripts of sql/ that this database has not seen. Forward only."""
    folder = resources.files("podium.store").joinpath("sql")
    scripts = sorted((each for each in folder.iterdir() if each.name[:4].isdigit()), key=lambda each: each.name)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if 0 < version < len(scripts):
        rows = connection.execute("SELECT count(*) FROM executions").fetchone()[0]
        log.info("upgrading_database", scripts=[each.name for each in scripts[version:]], executions=rows, up_to_s=upgrade_s(rows))
    if version > len(scripts):
        raise StoreError(
            f"the database is of version {version}, newer than this Podium knows ({len(scripts)})",
            hint="upgrade Podium, or restore the home it came with",
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.executescript(f"BEGIN;\n{script.read_text()}\nPRAGMA user_version={number};\nCOMMIT;")


def shrink(connection: sqlite3.Connection, *, pages: int) -> int:
    """Give up to so many unused pages back to the file system, when a good part of the database is unused; how many were, or 0 when it is not."""
    unused, every = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
    if unused * SHRINK_FROM < every or not connection.execute("PRAGMA auto_vacuum").fetchone()[0]:
        return 0
    connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
    return int(unused)


def vacuum(path: Path) -> int:
    """Write a database that nobody has open anew, without unused pages; the bytes that this gave back. Raises StoreError."""
    try:
        before = path.stat().st_size
        with closing(_connect(path)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return before - path.stat().st_size
    except (sqlite3.Error, OSError) as exc:
        raise _error(exc, path) from exc


def drop_indexes(connection: sqlite3.Connection) -> None:
    """Note and drop what only lists need; `make_indexes` brings it back."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('executions', 'execution_labels')"
    ).fetchall()
    connection.executemany("INSERT INTO dropped_indexes (name, sql) VALUES (?, ?)", found)
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")


def make_indexes(connection: sqlite3.Connection) -> None:
    """Make the indexes that were dropped."""
    for (sql,) in connection.execute("SELECT sql FROM dropped_indexes").fetchall():
        connection.execute(sql)
    connection.execute("DELETE FROM dropped_indexes")


def upgrade_due(path: Path) -> int | None:
    """How many executions there are to be brought up to date at the next start; None when there is nothing to do or to be known."""
    if not path.exists():
        return None
    try:
        with closing(_connect(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            count = sum(1 for each in resources.files("podium.store").joinpath("sql").iterdir() if each.name[:4].isdigit())
            return connection.execute("SELECT count(*) FROM executions").fetchone()[0] if 0 < version < count else None
    except sqlite3.Error:
        return None


def upgrade_s(executions: int) -> int:
    """Seconds that an upgrade of a database with so many executions takes at most, on a slow disk."""
    return 10 + executions // UPGRADED_PER_S


def _epoch(connection: sqlite3.Connection) -> int:
    row = connection.execute(_EPOCH).fetchone()
    return int(row[0]) if row else 0


def _take_over(connection: sqlite3.Connection) -> int:
    """Begin an epoch; its number."""
    connection.execute("BEGIN IMMEDIATE")
    epoch = _epoch(connection) + 1
    connection.execute(
        "INSERT INTO documents (kind, namespace, key, value, created_at, updated_at)"
        " VALUES ('daemon', '', 'epoch', ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"
        " ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        (str(epoch).encode(),),
    )
    connection.execute("COMMIT")
    return epoch


def _touch(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(f"PRAGMA user_version = {int(version)}")


def _error(exc: Exception, path: Path) -> StoreError:
    text = str(exc)
    hint = "free some space on that disk; nothing acknowledged is lost" if "full" in text else "check the disk and the permissions of the home"
    return StoreError(f"cannot read or write the journal {path}: {text}", hint=hint, path=str(path))
