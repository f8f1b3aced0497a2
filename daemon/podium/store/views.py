"""The index of executions and what lists ask of it. Every query walks an index: none scans all executions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from podium.engine.shape.view import iso
from podium.store.counts.counts import Counts
from podium.store.db import Database, drop_indexes, make_indexes
from podium.store.finding import Asked, Page, find, tally, walks_of
from podium.store.journal import ExecutionRow, _enter_executions, decode
from podium.store.retention import Retention

_NEWEST = Asked(page=1, size=1, sort="startDate:desc", count=False)
BULK_FROM = 10_000
"""Executions in the index from which on making its indexes anew costs more than it saves."""


class Views:
    """Queries over executions and metrics."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.counts = Counts(database)
        """What is counted over time."""

    async def find(self, filters: Mapping[str, Any], asked: Asked) -> Page:
        """A page of a list, see store/finding. filters: namespace (and below), flow_id, states, labels, query, after, before, parent."""
        return await self._db.read(lambda c: find(c, filters, asked))

    async def last_of(self, flows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        """The summary of the newest execution of each of these flows that has any."""

        def query(connection: sqlite3.Connection) -> dict[tuple[str, str], dict[str, Any]]:
            found = {pair: find(connection, {"namespace": pair[0], "exactly": True, "flow_id": pair[1]}, _NEWEST).rows for pair in flows}
            return {pair: decode(rows[0][0]) for pair, rows in found.items() if rows}

        return await self._db.read(query)

    async def recent(self, flows: Sequence[tuple[str, str]], most: int) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """The newest executions of each of these flows, newest first: {id, state {current, startDate, endDate?}}. One query."""

        def query(connection: sqlite3.Connection) -> dict[tuple[str, str], list[dict[str, Any]]]:
            rows = connection.execute(
                "SELECT f.value ->> 0, f.value ->> 1, e.id, e.state, e.created_at, e.ended_at FROM json_each(?) AS f CROSS JOIN executions AS e"
                " ON e.row IN (SELECT row FROM executions INDEXED BY executions_by_flow WHERE loop = 0 AND namespace = f.value ->> 0"
                " AND flow_id = f.value ->> 1 ORDER BY created_at DESC, id DESC LIMIT ?) ORDER BY e.created_at DESC, e.id DESC",
                (json.dumps([list(pair) for pair in flows]), most),
            )
            found: dict[tuple[str, str], list[dict[str, Any]]] = {}
            for namespace, flow_id, identifier, state, created, ended in rows:
                shown = {"current": state, "startDate": created, **({"endDate": ended} if ended else {})}
                found.setdefault((namespace, flow_id), []).append({"id": identifier, "state": shown})
            return found

        return await self._db.read(query)

    async def tally(
        self, *, start: datetime, end: datetime, steps: int, namespace: str | None = None, flow_id: str | None = None,
        namespaces: Sequence[str] | None = None,
    ) -> list[dict[str, int]]:
        """How many executions were created in each of `steps` equal parts of the time from start to end, by their state now."""
        filters = {"namespace": namespace, "flow_id": flow_id, "namespaces": namespaces}
        edges = [iso(start + (end - start) * number / steps) for number in range(steps + 1)]
        return await self._db.read(lambda c: tally(c, filters, edges))

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

    async def is_closed(self, execution_id: str) -> bool:
        """Whether an execution that the index has is over, and its record was written."""
        query = "SELECT 1 FROM executions WHERE id = ? AND open = 0"
        return await self._db.read(lambda c: c.execute(query, (execution_id,)).fetchone()) is not None

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

    def purgeable(self, filters: Mapping[str, Any], levels: Sequence[int], *, lines: bool) -> dict[str, int]:
        """How many executions, log lines and metrics a purge would remove; lines: only log lines, by what they say. For a thread."""
        retention = Retention(self._db)
        if lines:
            return {"executions": 0, "metrics": 0, "logs": sum(map(len, retention.lines(filters, levels)))}
        found = {"executions": 0, "metrics": 0, "logs": 0}
        for group in retention.closed_now(filters):
            found["executions"] += len(group)
            for table in ("metrics", "logs"):
                found[table] += retention.count_of(table, group)
        return found
