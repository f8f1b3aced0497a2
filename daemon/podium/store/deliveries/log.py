"""The log of deliveries: a database of its own beside the journal, written behind in batches by one thread.

Made by app/wiring; web notes deliveries and reads them by base/inbound. What always holds: a delivery is masked before it is written; the log
is never larger than its bounds (rows, bytes, days), and deliveries that proved nothing have bounds of their own; when it cannot be written the daemon
goes on and says so. It is no part of the journal: after a power cut the last second of it may be missing, and a file that is broken is begun anew.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from podium.base import limits
from podium.base.errors import StoreError
from podium.base.inbound.deliveries import Delivered, Judged
from podium.base.inbound.masking import mask_pairs, mask_values
from podium.base.moments import from_text, to_text
from podium.base.system.clock import Clock, monotonic_s
from podium.base.system.log import get_logger

log = get_logger(__name__)
T = TypeVar("T")
GATHER_S = 0.2
"""How long the writer waits for more after the first delivery."""
BATCH_MAX = 1_000
PRUNE_EVERY_S = 60.0
STEP = 500
"""Rows that one transaction removes."""
_WARN_EVERY_S = 60.0
_ROW_COSTS_BYTES = 400
_SCHEMA = """
PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2000;
CREATE TABLE IF NOT EXISTS deliveries (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, namespace TEXT NOT NULL, flow_id TEXT NOT NULL, trigger_id TEXT NOT NULL,
  verdict TEXT NOT NULL, reason TEXT NOT NULL, verified INTEGER NOT NULL, status INTEGER NOT NULL, execution_id TEXT NOT NULL, method TEXT NOT NULL,
  path TEXT NOT NULL, query TEXT NOT NULL, headers TEXT NOT NULL, body_bytes INTEGER NOT NULL, whole INTEGER NOT NULL, remote TEXT NOT NULL,
  took_ms REAL NOT NULL, resent_of TEXT NOT NULL, by TEXT NOT NULL, costs INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_of_flow ON deliveries (namespace, flow_id, trigger_id, seq);
CREATE INDEX IF NOT EXISTS deliveries_by_verdict ON deliveries (verdict, seq);
CREATE INDEX IF NOT EXISTS deliveries_unproved ON deliveries (seq) WHERE NOT verified;
CREATE INDEX IF NOT EXISTS deliveries_of_execution ON deliveries (execution_id) WHERE execution_id <> '';
"""
_SHOWN = (
    "id, at, namespace, flow_id, trigger_id, verdict, reason, verified, status, execution_id, method, path, query, headers, body_bytes, whole,"
    " remote, took_ms, resent_of, by"
)
_INSERT = f"INSERT OR IGNORE INTO deliveries ({_SHOWN}, costs, body) VALUES ({', '.join('?' * 22)})"


class StoredDeliveries:
    """See DeliveryLog. days: how long deliveries stay."""

    def __init__(self, path: Path, clock: Clock, *, days: float) -> None:
        self._path = path
        self._clock = clock
        self._days = days
        self._waiting: queue.Queue[Delivered | Future[None] | None] = queue.Queue()
        self._bytes_waiting = 0
        self._dropped = 0
        self._warned_s = float("-inf")
        self._rows, self._bytes = 0, 0
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection
        self._writer: sqlite3.Connection
        self._thread = threading.Thread(target=self._write_loop, name="podium-deliveries", daemon=True)

    def open(self) -> StoredDeliveries:
        """Begin. Blocks. Raises StoreError when nothing can be stored there."""
        try:
            try:
                self._writer = _connect(self._path)
            except sqlite3.DatabaseError as error:
                log.warning("delivery_log_begun_anew", path=str(self._path), error=str(error))
                for tail in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + tail).unlink(missing_ok=True)
                self._writer = _connect(self._path)
            self._reader = _connect(self._path)
            self._count(self._writer)
        except (sqlite3.Error, OSError) as error:
            hint = "check the disk and the permissions of the home"
            raise StoreError(f"cannot open the log of deliveries {self._path}: {error}", hint=hint) from error
        self._thread.start()
        return self

    def close(self) -> None:
        """Write what waits, then end. Blocks."""
        self._waiting.put(None)
        self._thread.join()
        with self._reading:
            self._reader.close()
        self._writer.close()

    # ---- writing
    def note(self, delivered: Delivered) -> None:
        """See DeliveryLog."""
        if self._waiting.qsize() >= limits.DELIVERIES_WAITING_MAX or self._bytes_waiting >= limits.DELIVERIES_WAITING_BYTES_MAX:
            self._dropped += 1
            return
        self._bytes_waiting += len(delivered.body)
        self._waiting.put_nowait(delivered)

    def _write_loop(self) -> None:
        pruned_s = monotonic_s()
        ended = False
        while not ended:
            try:
                first = self._waiting.get(timeout=PRUNE_EVERY_S)
            except queue.Empty:
                first = Future()  # nobody waits for it: it is time to prune
            batch, asked, ended = self._gather(first)
            self._guarded(lambda batch=batch: self._enter(batch))  # type: ignore[misc]  # bound now
            self._bytes_waiting = 0 if self._waiting.empty() else max(0, self._bytes_waiting - sum(len(each.body) for each in batch))
            for each in asked:
                each.set_result(None)
            if monotonic_s() - pruned_s >= PRUNE_EVERY_S or self._bytes > limits.DELIVERIES_BYTES_MAX:
                pruned_s = monotonic_s()
                self._guarded(self.prune)

    def _gather(self, first: Delivered | Future[None] | None) -> tuple[list[Delivered], list[Future[None]], bool]:
        """What is written together, who waits for that, and whether it is the last."""
        batch: list[Delivered] = []
        asked: list[Future[None]] = []
        until_s = monotonic_s() + GATHER_S
        item: Delivered | Future[None] | None = first
        while item is not None:
            if isinstance(item, Delivered):
                batch.append(item)
            else:
                asked.append(item)
                until_s = 0.0
            try:
                item = self._waiting.get(timeout=max(0.0, until_s - monotonic_s())) if len(batch) < BATCH_MAX else self._nothing()
            except queue.Empty:
                return batch, asked, False
        return batch, asked, True

    def _nothing(self) -> Delivered:
        raise queue.Empty

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (sqlite3.Error, OSError, ValueError) as error:
            with suppress(sqlite3.Error):
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
            if monotonic_s() - self._warned_s >= _WARN_EVERY_S:
                self._warned_s = monotonic_s()
                log.warning("deliveries_not_logged", error=str(error), path=str(self._path))

    def _enter(self, batch: Sequence[Delivered]) -> None:
        if not batch:
            return
        rows = [_row(each) for each in batch]
        self._writer.execute("BEGIN IMMEDIATE")
        self._writer.executemany(_INSERT, rows)
        self._writer.execute("COMMIT")
        self._rows += len(rows)
        self._bytes += sum(row[20] for row in rows)

    def prune(self) -> None:
        """Remove what is too much or too old, in small steps. Called by the writer's thread."""
        before = to_text(self._clock.now() - timedelta(days=self._days))
        # What is kept has no gaps in time worth speaking of: the oldest rows are those with the lowest numbers.
        self._remove("SELECT seq FROM deliveries WHERE at < ? ORDER BY seq LIMIT ?", before, STEP)
        for condition, most in (("verified", limits.DELIVERIES_MAX), ("NOT verified", limits.UNPROVED_DELIVERIES_MAX)):
            row = self._writer.execute(f"SELECT seq FROM deliveries WHERE {condition} ORDER BY seq DESC LIMIT 1 OFFSET ?", (most,)).fetchone()
            if row:
                self._remove(f"SELECT seq FROM deliveries WHERE {condition} AND seq <= ? ORDER BY seq LIMIT ?", row[0], STEP)
        self._count(self._writer)
        while self._bytes > limits.DELIVERIES_BYTES_MAX and self._removed("SELECT seq FROM deliveries ORDER BY seq LIMIT ?", STEP):
            self._count(self._writer)
        self._writer.execute("PRAGMA incremental_vacuum(2000)").fetchall()

    def _remove(self, which: str, *values: Any) -> None:
        while self._removed(which, *values) == STEP:
            pass

    def _removed(self, which: str, *values: Any) -> int:
        return self._writer.execute(f"DELETE FROM deliveries WHERE seq IN ({which})", values).rowcount

    def _count(self, connection: sqlite3.Connection) -> None:
        self._rows, self._bytes = connection.execute("SELECT count(*), coalesce(sum(costs), 0) FROM deliveries").fetchone()

    # ---- reading
    async def find(
        self, *, namespaces: Collection[str] | None = None, namespace: str | None = None, flow_id: str | None = None, trigger_id: str | None = None,
        verdicts: Sequence[str] = (), execution_id: str | None = None, after: datetime | None = None, before: datetime | None = None,
        page: int = 1, size: int = 25,
    ) -> tuple[list[Delivered], int]:
        """See DeliveryLog."""
        parts, values = ["1"], list[Any]()
        if namespaces is not None:
            parts.append("(" + " OR ".join(["0", *["(namespace = ? OR (namespace > ? AND namespace < ?))"] * len(namespaces)]) + ")")
            values += [value for name in sorted(namespaces) for value in (name, f"{name}.", f"{name}/")]
        if namespace:
            parts.append("(namespace = ? OR (namespace > ? AND namespace < ?))")
            values += [namespace, f"{namespace}.", f"{namespace}/"]
        for column, value in (("flow_id", flow_id), ("trigger_id", trigger_id), ("execution_id", execution_id)):
            if value:
                parts.append(f"{column} = ?")
                values.append(value)
        if verdicts:
            parts.append(f"verdict IN ({', '.join('?' * len(verdicts))})")
            values += verdicts
        for sign, moment in ((">=", after), ("<", before)):
            if moment is not None:
                parts.append(f"at {sign} ?")
                values.append(to_text(moment))
        where = " AND ".join(parts)

        def read(connection: sqlite3.Connection) -> tuple[list[Any], int]:
            (total,) = connection.execute(f"SELECT count(*) FROM deliveries WHERE {where}", values).fetchone()
            query = f"SELECT {_SHOWN}, x'' FROM deliveries WHERE {where} ORDER BY seq DESC LIMIT ? OFFSET ?"
            return connection.execute(query, [*values, size, (page - 1) * size]).fetchall(), total

        rows, total = await self._read(read)
        return [_delivered(row) for row in rows], total

    async def one(self, identifier: str) -> Delivered | None:
        """See DeliveryLog."""
        row = await self._read(lambda c: c.execute(f"SELECT {_SHOWN}, body FROM deliveries WHERE id = ?", (identifier,)).fetchone())
        return _delivered(row) if row else None

    def facts(self) -> dict[str, Any]:
        """See DeliveryLog."""
        return {"rows": self._rows, "bytes": self._bytes, "dropped": self._dropped, "days": self._days}

    async def _read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """The answer of a query, with all that was noted until now."""
        written: Future[None] = Future()
        self._waiting.put_nowait(written)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(written), 2.0)
        return await asyncio.to_thread(self._read_now, function)

    def _read_now(self, function: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._reading:
                return function(self._reader)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the log of deliveries: {error}", hint="check the disk of the home") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.executescript(_SCHEMA)
    return connection


def _row(each: Delivered) -> tuple[Any, ...]:
    """As it is stored: masked."""
    judged = each.judged
    kept = each.body[: limits.DELIVERY_BODY_BYTES_MAX]
    body = mask_values(kept, judged.masks)
    query, headers = json.dumps(mask_pairs(each.query)), json.dumps(mask_pairs(each.headers, judged.hidden))
    if judged.masks:
        query, headers = (mask_values(text.encode(), judged.masks).decode() for text in (query, headers))
    costs = _ROW_COSTS_BYTES + len(body) + len(query) + len(headers)
    return (
        each.id, to_text(each.at), _text(each.namespace), _text(each.flow_id), judged.trigger_id, judged.verdict, _text(judged.reason),
        judged.verified, each.status, each.execution_id, each.method, _text(each.path), query, headers, each.body_bytes, each.whole and body == kept,
        _text(each.remote), each.took_ms, each.resent_of, _text(each.by), costs, body,
    )


def _text(text: str) -> str:
    return text[:1_000].encode("utf-8", "replace").decode()


def _delivered(row: Sequence[Any]) -> Delivered:
    (identifier, at, namespace, flow_id, trigger_id, verdict, reason, verified, status, execution_id, method, path, query, headers, body_bytes,
     whole, remote, took_ms, resent_of, by, body) = row
    return Delivered(
        id=identifier, at=from_text(at), namespace=namespace, flow_id=flow_id, status=status, execution_id=execution_id, method=method, path=path,
        judged=Judged(verdict=verdict, trigger_id=trigger_id, reason=reason, verified=bool(verified)),
        query=[(name, value) for name, value in json.loads(query)], headers=[(name, value) for name, value in json.loads(headers)], body=bytes(body),
        body_bytes=body_bytes, whole=bool(whole), remote=remote, took_ms=took_ms, resent_of=resent_of, by=by,
    )
