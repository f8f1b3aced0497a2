"""The index of executions and what lists ask of it. Every query walks an index: none scans all executions."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from podium.engine.shape.view import iso
from podium.store.db import Database, drop_indexes, make_indexes
from podium.store.finding import Asked, Page, find, walks_of
from podium.store.journal import ExecutionRow, _enter_executions, decode

_NEWEST = Asked(page=1, size=1, sort="startDate:desc", count=False)
BULK_FROM = 10_000
"""Executions in the index from which on making its indexes anew costs more than it saves."""
STEP = 1_000
"""Executions that one transaction removes, at most: others wait no longer than that."""


class Views:
    """Queries over executions and metrics."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def find(self, filters: Mapping[str, Any], asked: Asked) -> Page:
        """A page of a list, see store/finding. filters: namespace (and below), flow_id, states, labels, query, after, before, parent."""
        return await self._db.read(lambda c: find(c, filters, asked))

    async def last_of(self, flows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        """The summary of the newest execution of each of these flows that has any."""

        def query(connection: sqlite3.Connection) -> dict[tuple[str, str], dict[str, Any]]:
            found = {pair: find(connection, {"namespace": pair[0], "exactly": True, "flow_id": pair[1]}, _NEWEST).rows for pair in flows}
            return {pair: decode(rows[0][0]) for pair, rows in found.items() if rows}

        return await self._db.read(query)

    async def row(self, execution_id: str) -> tuple[dict[str, Any], str | None] | None:
        """Summary and record path of one execution."""
        row = await self._db.read(lambda c: c.execute("SELECT summary, record_path FROM executions WHERE id = ?", (execution_id,)).fetchone())
        return (decode(row[0]), row[1]) if row else None

    def summary(self, execution_id: str) -> dict[str, Any] | None:
        """The summary, read at once."""
        row = self._db.read_now(lambda c: c.execute("SELECT summary FROM executions WHERE id = ?", (execution_id,)).fetchone())
        return decode(row[0]) if row else None

    def count(self, *, namespace: str | None, flow_id: str | None, states: Sequence[str], start: datetime, end: datetime | None) -> int:
        """Executions created between two moments. namespace: exactly that one."""
        filters = {"namespace": namespace, "exactly": True, "flow_id": flow_id, "states": states, "after": start, "before": end}
        return self._db.read_now(lambda c: sum(walk.count(c) for walk in walks_of(c, filters)))

    async def empty(self) -> bool:
        """Whether there are no executions."""
        return await self._db.read(lambda c: c.execute("SELECT 1 FROM executions LIMIT 1").fetchone()) is None

    async def metrics(self, execution_id: str) -> list[dict[str, Any]]:
        """The metrics of an execution, oldest first."""
        rows = await self._db.read(
            lambda c: c.execute(
                "SELECT namespace, flow_id, task_id, task_run_id, type, name, value, tags, at FROM metrics WHERE execution_id = ? ORDER BY rowid",
                (execution_id,),
            ).fetchall()
        )
        return [
            {"executionId": execution_id, "namespace": row[0], "flowId": row[1], "taskId": row[2], "taskRunId": row[3], "type": row[4],
             "name": row[5], "value": row[6], "tags": decode(row[7]), "timestamp": row[8]}
            for row in rows
        ]

    async def enter(self, rows: Sequence[ExecutionRow]) -> None:
        """Enter executions that come from records (rebuild). Very many: within `bulk`."""
        await self._db.write(lambda connection: _enter_executions(connection, list(rows)))

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[None]:
        """While this is open, rows enter several times as fast and lists cannot be read: for a home that does not serve.

        Indexes are made once, at the end; after a crash before that, at the next start. An index that has many rows already is left as it is.
        """
        few = await self._db.read(lambda c: c.execute("SELECT count(*) FROM (SELECT 1 FROM executions LIMIT ?)", (BULK_FROM,)).fetchone()[0])
        if few == BULK_FROM:
            yield
            return
        await self._db.write(drop_indexes)
        try:
            yield
        finally:
            await self._db.write(make_indexes)

    def purgeable(self, filters: Mapping[str, Any], levels: Sequence[int]) -> dict[str, int]:
        """How many executions, log lines and metrics a purge would remove."""
        where, values = _where(filters)
        inner = f"SELECT id FROM executions {where}"

        def query(connection: sqlite3.Connection) -> dict[str, int]:
            executions = connection.execute(f"SELECT count(*) FROM ({inner})", values).fetchone()[0]
            metrics = connection.execute(f"SELECT count(*) FROM metrics WHERE execution_id IN ({inner})", values).fetchone()[0]
            logs = connection.execute(
                f"SELECT count(*) FROM logs WHERE execution_id IN ({inner}) {_levels(levels)}", (*values, *levels)
            ).fetchone()[0]
            return {"executions": executions, "metrics": metrics, "logs": logs}

        return self._db.read_now(query)

    async def purge(self, filters: Mapping[str, Any], *, executions: bool, logs: bool, metrics: bool) -> list[tuple[str, str, str]]:
        """Remove closed executions (or only their logs or metrics) from the index; (id, namespace, flow id) of each."""
        where, values = _where(filters)
        gone = list[tuple[str, str, str]]()
        last = ("", "")

        def remove(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
            rows = connection.execute(
                f"SELECT id, namespace, flow_id, created_at FROM executions INDEXED BY executions_closed {where} AND (created_at, id) > (?, ?)"
                " ORDER BY created_at, id LIMIT ?", (*values, *last, STEP)
            ).fetchall()
            ids = [(row[0],) for row in rows]
            if logs:
                connection.executemany("DELETE FROM logs WHERE execution_id = ?", ids)
            if metrics:
                connection.executemany("DELETE FROM metrics WHERE execution_id = ?", ids)
            if executions:
                connection.executemany("DELETE FROM execution_labels WHERE execution_id = ?", ids)
                connection.executemany("DELETE FROM executions WHERE id = ?", ids)
            return rows

        while rows := await self._db.write(remove):
            gone.extend(row[:3] for row in rows)
            last = (rows[-1][3], rows[-1][0])
        return gone


def _levels(levels: Sequence[int]) -> str:
    return f"AND level IN ({','.join('?' * len(levels))})" if levels else ""


def _where(filters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Conditions of closed executions, iterations of Loops among them. filters: namespace (and below), flow_id, states, after, before."""
    parts, values = ["open = 0"], list[Any]()
    if namespace := filters.get("namespace"):
        parts.append("(namespace = ? OR (namespace >= ? AND namespace < ?))")
        values.extend((namespace, namespace + ".", namespace + "/"))
    if flow_id := filters.get("flow_id"):
        parts.append("flow_id = ?")
        values.append(flow_id)
    if states := filters.get("states"):
        parts.append(f"state IN ({','.join('?' * len(states))})")
        values.extend(states)
    for part, moment in (("created_at >= ?", filters.get("after")), ("created_at < ?", filters.get("before"))):
        if moment:
            parts.append(part)
            values.append(iso(moment))
    return f"WHERE {' AND '.join(parts)}", values
