"""What leaves the database, in steps that no commit waits long for. Called by conductor/upkeep.

What is to go is found along an index by a reader; the writer then only deletes by key, so many at a time. What is still open is never taken.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from podium.engine.shape.view import iso
from podium.store.db import Database, shrink
from podium.store.finding import Key, flows_of
from podium.store.journal import Document, decode, enter_document

STEP = 200
"""Executions that one transaction removes, at most."""
ROWS = 2_000
"""Small rows that one transaction removes, at most: log lines, metrics, keys."""
SHRUNK = 500
"""Pages that one transaction gives back."""
SYNCS_KEPT = 1_000
"""What the newest deployments changed; all of them are on the results branch."""
_EXPIRED: Mapping[str, tuple[str, str, str]] = {
    "dedupe": ("dedupe", "key", "SELECT key FROM dedupe WHERE at < ? LIMIT ?"),
    "expired": ("documents", "(kind, namespace, key)", "SELECT kind, namespace, key FROM documents WHERE expires_at < ? LIMIT ?"),
}
"""What expires by itself: its table, the key of that, and the query for the oldest."""
_NUMBER = {"logs": "seq", "metrics": "rowid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """An execution that ended, or (in `apart`) whose files outlive what the index knows of it."""

    id: str
    namespace: str
    flow_id: str
    created_at: str

    @property
    def key(self) -> Key:
        """Its place among all, the oldest first."""
        return (self.created_at, self.id)


class Retention:
    """See the module's docstring. Each call is one step, or finds what the next steps are about."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # ---- executions
    async def closed(self, filters: Mapping[str, Any], *, begin: Key = ("", "")) -> AsyncIterator[list[Closed]]:
        """Executions that ended, iterations of Loops among them, in groups. filters: namespace (and below), flow_id, states, after, before."""
        for place in await self._db.read(lambda c: _ranges(c, filters)):
            last = begin
            while rows := await self._db.read(partial(_page, place=place, filters=filters, last=last)):
                last = (rows[-1][3], rows[-1][0])
                if found := _closed(rows):
                    yield found

    async def remove(self, gone: Sequence[Closed], *, apart: Sequence[Closed]) -> int:
        """Remove the rows of executions, not their logs and metrics; how many. apart: those whose files stay for now."""
        ids = json.dumps([each.id for each in gone])

        def remove(connection: sqlite3.Connection) -> int:
            connection.executemany("INSERT OR IGNORE INTO apart (created_at, execution_id, namespace, flow_id) VALUES (?, ?, ?, ?)", [
                (each.created_at, each.id, each.namespace, each.flow_id) for each in apart
            ])
            chosen = "(SELECT e.id FROM json_each(?) AS j CROSS JOIN executions AS e ON e.id = j.value WHERE e.open = 0)"
            connection.execute(f"DELETE FROM execution_labels WHERE execution_id IN {chosen}", (ids,))
            return connection.execute(f"DELETE FROM executions WHERE id IN {chosen}", (ids,)).rowcount

        return await self._db.write(remove)

    async def remove_of(self, table: str, gone: Sequence[Closed]) -> int:
        """Remove up to ROWS `logs` or `metrics` of these executions; how many."""
        ids, key = json.dumps([each.id for each in gone]), _NUMBER[table]
        query = (
            f"DELETE FROM {table} WHERE {key} IN"
            f" (SELECT t.{key} FROM json_each(?) AS j CROSS JOIN {table} AS t ON t.execution_id = j.value LIMIT ?)"
        )
        return await self._db.write(lambda c: c.execute(query, (ids, ROWS)).rowcount)

    def count_of(self, table: str, gone: Sequence[Closed]) -> int:
        """How many `logs` or `metrics` these executions have. For a thread."""
        query = f"SELECT count(*) FROM json_each(?) AS j CROSS JOIN {table} AS t ON t.execution_id = j.value"
        return int(self._db.read_now(lambda c: c.execute(query, (json.dumps([each.id for each in gone]),)).fetchone()[0]))

    def closed_now(self, filters: Mapping[str, Any]) -> Iterator[list[Closed]]:
        """As `closed`. For a thread."""
        for place in self._db.read_now(lambda c: _ranges(c, filters)):
            last = ("", "")
            while rows := self._db.read_now(partial(_page, place=place, filters=filters, last=last)):
                last = (rows[-1][3], rows[-1][0])
                yield _closed(rows)

    # ---- files that the index has no execution of
    async def set_apart(self, row: Closed) -> None:
        """Note files whose execution is not known yet (an upload), or not any more."""
        await self._db.write(lambda c: c.execute(
            "INSERT OR IGNORE INTO apart (created_at, execution_id, namespace, flow_id) VALUES (?, ?, ?, ?)",
            (row.created_at, row.id, row.namespace, row.flow_id),
        ))

    async def apart(self, before: datetime) -> AsyncIterator[list[Closed]]:
        """Those noted before a moment, in groups; not those of a flow that has an execution open since then: it may have them as inputs."""
        query = (
            "SELECT execution_id, namespace, flow_id, created_at, 0 FROM apart AS a WHERE created_at < ? AND (created_at, execution_id) > (?, ?)"
            " ORDER BY created_at, execution_id LIMIT ?"
        )
        busy = await self.busy(before)
        last = ("", "")
        while rows := await self._db.read(partial(_rows, query=query, values=(iso(before), *last, STEP))):
            last = (rows[-1][3], rows[-1][0])
            if found := [each for each in _closed(rows) if (each.namespace, each.flow_id) not in busy]:
                yield found

    async def forget_apart(self, gone: Sequence[Closed]) -> None:
        """Their files were removed."""
        await self._db.write(lambda c: c.executemany(
            "DELETE FROM apart WHERE created_at = ? AND execution_id = ?", [each.key for each in gone]
        ))

    async def busy(self, before: datetime) -> set[tuple[str, str]]:
        """(namespace, flow id) of flows that have an execution open since before a moment."""
        query = "SELECT DISTINCT namespace, flow_id FROM executions INDEXED BY executions_open WHERE open = 1 AND created_at < ?"
        return set(await self._db.read(partial(_rows, query=query, values=(iso(before),))))

    async def unknown(self, ids: Sequence[str]) -> set[str]:
        """Those of these ids that the index has no execution of."""
        query = "SELECT j.value FROM json_each(?) AS j WHERE NOT EXISTS (SELECT 1 FROM executions WHERE id = j.value)"
        return {row[0] for row in await self._db.read(lambda c: c.execute(query, (json.dumps(list(ids)),)).fetchall())}

    # ---- what is old
    async def expire(self, what: str, before: datetime) -> int:
        """Remove up to ROWS of `dedupe` keys or `expired` documents that are older than a moment; how many."""
        table, key, found = _EXPIRED[what]
        return await self._db.write(lambda c: c.execute(f"DELETE FROM {table} WHERE {key} IN ({found})", (iso(before), ROWS)).rowcount)

    async def count(self, what: str, before: datetime) -> int:
        """How many `expire` would remove in all."""
        return await self._db.read(lambda c: int(c.execute(f"SELECT count(*) FROM ({_EXPIRED[what][2]})", (iso(before), -1)).fetchone()[0]))

    async def old(self, table: str, before: datetime) -> AsyncIterator[list[int]]:
        """The numbers of `logs` or `metrics` that are older than a moment and not of an execution that is open, in groups."""
        number = _NUMBER[table]
        query = (
            f"SELECT at, {number}, EXISTS (SELECT 1 FROM executions AS e WHERE e.id = {table}.execution_id AND e.open = 1)"
            f" FROM {table} INDEXED BY {table}_by_time WHERE at < ? AND (at, {number}) > (?, ?) ORDER BY at, {number} LIMIT ?"
        )
        last: tuple[str, int] = ("", 0)
        while rows := await self._db.read(partial(_rows, query=query, values=(iso(before), *last, ROWS))):
            last = rows[-1][:2]
            if found := [row[1] for row in rows if not row[2]]:
                yield found

    async def remove_old(self, table: str, numbers: Sequence[int]) -> None:
        """Remove `logs` or `metrics` by their numbers."""
        query = f"DELETE FROM {table} WHERE {_NUMBER[table]} IN (SELECT value FROM json_each(?))"
        await self._db.write(lambda c: c.execute(query, (json.dumps(list(numbers)),)))

    async def old_documents(self, kind: str, before: datetime) -> list[tuple[str, str]]:
        """(namespace, key) of documents of a kind that nobody wrote since a moment."""
        query = "SELECT namespace, key FROM documents WHERE kind = ? AND updated_at < ?"
        return await self._db.read(lambda c: c.execute(query, (kind, iso(before))).fetchall())

    async def old_syncs(self) -> list[tuple[str, str]]:
        """(namespace, key) of the documents of all but the newest deployments."""
        query = (
            "SELECT namespace, key FROM documents INDEXED BY documents_synced WHERE kind = 'sync' ORDER BY updated_at DESC, key DESC"
            " LIMIT -1 OFFSET ?"
        )
        return await self._db.read(lambda c: c.execute(query, (SYNCS_KEPT,)).fetchall())

    async def drop_documents(self, kind: str, keys: Sequence[tuple[str, str]]) -> None:
        """Remove documents; up to ROWS at a time."""
        await self._db.write(lambda c: c.executemany(
            "DELETE FROM documents WHERE kind = ? AND namespace = ? AND key = ?", [(kind, *each) for each in keys]
        ))

    # ---- lines of a log, by what they say
    def lines(self, filters: Mapping[str, Any], levels: Sequence[int]) -> Iterator[list[int]]:
        """The numbers of log lines, in groups, as many as are looked at in one go. filters: namespace (and below; exactly with flow_id),
        flow_id, after, before. For a thread."""
        flows = self._db.read_now(lambda c: flows_of(c, {**filters, "exactly": bool(filters.get("flow_id"))}, ""))
        window = [(part, iso(moment)) for part, moment in (("at >= ?", filters.get("after")), ("at < ?", filters.get("before"))) if moment]
        for flow in [None] if flows is None else flows:
            parts = [*(() if flow is None else ("namespace = ?", "flow_id = ?")), *(part for part, _ in window), "(at, seq) > (?, ?)"]
            values = [*(flow or ()), *(moment for _, moment in window)]
            query = (
                f"SELECT at, seq, level FROM logs INDEXED BY {'logs_by_time' if flow is None else 'logs_by_flow'} WHERE {' AND '.join(parts)}"
                " ORDER BY at, seq LIMIT ?"
            )
            last: tuple[str, int] = ("", 0)
            while rows := self._db.read_now(partial(_rows, query=query, values=(*values, *last, ROWS))):
                last = rows[-1][:2]
                yield [seq for _, seq, level in rows if not levels or level in levels]

    async def shrink(self) -> int:
        """Give some unused space back to the disk, see db.shrink."""
        return await self._db.write(lambda c: shrink(c, pages=SHRUNK))

    # ---- how far we are
    async def mark(self, what: str) -> Key:
        """Up to where `what` was done."""
        query = "SELECT value FROM documents WHERE kind = 'upkeep' AND namespace = '' AND key = ?"
        rows = await self._db.read(partial(_rows, query=query, values=(what,)))
        at, execution_id = decode(rows[0][0]) if rows else ("", "")
        return (at, execution_id)

    async def set_mark(self, what: str, key: Key, now: datetime) -> None:
        """Remember it."""
        await self._db.write(lambda c: enter_document(c, Document(kind="upkeep", namespace="", key=what, value=list(key)), iso(now)))


Place = tuple[str, tuple[str, ...], tuple[Any, ...]]


def _ranges(connection: sqlite3.Connection, filters: Mapping[str, Any]) -> list[Place]:
    """(index, conditions, values): ranges that together hold what the filters name, closed or not."""
    states = list(filters.get("states") or ())
    flows = flows_of(connection, filters, "")
    if flows is None and not states:
        return [("executions_closed", ("open = 0",), ())]
    found = list[Place]()
    for loop in (0, 1):
        if flows is None:
            found += [("executions_by_state", ("loop = ?", "state = ?"), (loop, state)) for state in states]
        elif not states:
            found += [("executions_by_flow", ("loop = ?", "namespace = ?", "flow_id = ?"), (loop, *flow)) for flow in flows]
        else:
            parts = ("loop = ?", "namespace = ?", "flow_id = ?", "state = ?")
            found += [("executions_by_flow_state", parts, (loop, *flow, state)) for flow in flows for state in states]
    return found


def _rows(connection: sqlite3.Connection, *, query: str, values: Sequence[Any]) -> list[Any]:
    return connection.execute(query, tuple(values)).fetchall()


def _page(connection: sqlite3.Connection, *, place: Place, filters: Mapping[str, Any], last: Key) -> list[tuple[str, str, str, str, int]]:
    index, parts, values = place
    bounds = (("created_at >= ?", filters.get("after")), ("created_at < ?", filters.get("before")))
    window = [(part, iso(moment)) for part, moment in bounds if moment]
    conditions = " AND ".join((*parts, *(part for part, _ in window), "(created_at, id) > (?, ?)"))
    return connection.execute(
        f"SELECT id, namespace, flow_id, created_at, open FROM executions INDEXED BY {index} WHERE {conditions} ORDER BY created_at, id LIMIT ?",
        (*values, *(moment for _, moment in window), *last, STEP),
    ).fetchall()


def _closed(rows: Sequence[tuple[str, str, str, str, int]]) -> list[Closed]:
    return [Closed(id=row[0], namespace=row[1], flow_id=row[2], created_at=row[3]) for row in rows if not row[4]]
