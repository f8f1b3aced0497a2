"""The index of executions and what lists ask of it. Every query walks an index: none scans all executions."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from podium.engine.shape.view import iso
from podium.store.db import Database
from podium.store.journal import ExecutionRow, _enter_executions, decode

_SORTS = {"startDate": "created_at", "id": "id", "state": "state", "namespace": "namespace", "flowId": "flow_id", "endDate": "ended_at"}


class Views:
    """Queries over executions and metrics."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def find(self, *, filters: Mapping[str, Any], page: int, size: int, sort: str) -> tuple[list[dict[str, Any]], int]:
        """A page of summaries and how many match. filters: namespace (and below), flow_id, states, labels, query, after, before, parent.

        Iterations of a Loop are only found by their parent.
        """
        where, values = _where({**filters, "listed": not filters.get("parent")})
        column, _, direction = sort.partition(":")
        order = f"{_SORTS.get(column, 'created_at')} {'ASC' if direction == 'asc' else 'DESC'}, id {'ASC' if direction == 'asc' else 'DESC'}"

        def query(connection: sqlite3.Connection) -> tuple[list[Any], int]:
            rows = connection.execute(
                f"SELECT summary, record_path FROM executions {where} ORDER BY {order} LIMIT ? OFFSET ?",
                (*values, size, (page - 1) * size),
            ).fetchall()
            total = connection.execute(f"SELECT count(*) FROM executions {where}", values).fetchone()[0]
            return rows, total

        rows, total = await self._db.read(query)
        return [decode(row[0]) for row in rows], total

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
        where, values = _where({"flow_id": flow_id, "states": states, "after": start, "before": end, "listed": True})
        if namespace is not None:
            where, values = f"{where} AND namespace = ?", [*values, namespace]
        return int(self._db.read_now(lambda c: c.execute(f"SELECT count(*) FROM executions {where}", values).fetchone()[0]))

    async def by_state(self) -> dict[str, int]:
        """How many executions are in which state."""
        rows = await self._db.read(lambda c: c.execute("SELECT state, count(*) FROM executions WHERE loop = 0 GROUP BY state").fetchall())
        return dict(rows)

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
        """Enter executions that come from records (rebuild)."""
        await self._db.write(lambda connection: _enter_executions(connection, list(rows)))

    def purgeable(self, filters: Mapping[str, Any], levels: Sequence[int]) -> dict[str, int]:
        """How many executions, log lines and metrics a purge would remove."""
        where, values = _where({**filters, "closed": True})
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
        where, values = _where({**filters, "closed": True})

        def remove(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
            rows = connection.execute(f"SELECT id, namespace, flow_id FROM executions {where}", values).fetchall()
            ids = [(row[0],) for row in rows]
            if logs:
                connection.executemany("DELETE FROM logs WHERE execution_id = ?", ids)
            if metrics:
                connection.executemany("DELETE FROM metrics WHERE execution_id = ?", ids)
            if executions:
                connection.executemany("DELETE FROM execution_labels WHERE execution_id = ?", ids)
                connection.executemany("DELETE FROM executions WHERE id = ?", ids)
            return rows

        return await self._db.write(remove)


def _levels(levels: Sequence[int]) -> str:
    return f"AND level IN ({','.join('?' * len(levels))})" if levels else ""


def _where(filters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []

    def add(part: str, *more: Any) -> None:
        parts.append(part)
        values.extend(more)

    if namespace := filters.get("namespace"):
        add("(namespace = ? OR (namespace >= ? AND namespace < ?))", namespace, namespace + ".", namespace + "/")
    if flow_id := filters.get("flow_id"):
        add("flow_id = ?", flow_id)
    if states := filters.get("states"):
        add(f"state IN ({','.join('?' * len(states))})", *states)
    if parent := filters.get("parent"):
        add("trigger_execution_id = ?", parent)
    if after := filters.get("after"):
        add("created_at >= ?", iso(after))
    if before := filters.get("before"):
        add("created_at < ?", iso(before))
    if query := filters.get("query"):
        add("(id = ? OR instr(lower(flow_id), lower(?)) OR instr(lower(namespace), lower(?)))", query, query, query)
    if filters.get("listed"):
        add("loop = 0")
    if filters.get("closed"):
        add("open = 0")
    for key, value in (filters.get("labels") or {}).items():
        add("id IN (SELECT execution_id FROM execution_labels WHERE key = ? AND value = ?)", key, value)
    return f"WHERE {' AND '.join(parts) or '1'}", values
