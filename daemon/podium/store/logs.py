"""The logs of executions: appended durably with the cursor that says how far their source was read."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from podium.engine.shape.view import iso
from podium.store.db import Database
from podium.store.journal import LEVEL_NAMES, LEVELS, LogRow, enter_logs

_COLUMNS = "seq, execution_id, namespace, flow_id, task_id, task_run_id, attempt, trigger_id, at, level, message"


class Logs:
    """Appends and reads log entries."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def append(self, rows: Sequence[LogRow], *, cursor: tuple[str, str] | None = None) -> None:
        """Enter lines and, in the same transaction, (attempt id, cursor)."""

        def enter(connection: sqlite3.Connection) -> None:
            enter_logs(connection, list(rows))
            if cursor is not None:
                connection.execute("INSERT OR REPLACE INTO log_cursors (attempt_id, cursor) VALUES (?, ?)", cursor)

        await self._db.write(enter)

    async def cursor(self, attempt_id: str) -> str | None:
        row = await self._db.read(lambda c: c.execute("SELECT cursor FROM log_cursors WHERE attempt_id = ?", (attempt_id,)).fetchone())
        return row[0] if row else None

    async def forget_cursors(self, attempt_ids: Sequence[str]) -> None:
        await self._db.write(lambda c: c.executemany("DELETE FROM log_cursors WHERE attempt_id = ?", [(each,) for each in attempt_ids]))

    def of(
        self, execution_id: str, *, after_seq: int = 0, min_level: str = "TRACE", task_ids: Sequence[str] = (), task_run_id: str | None = None,
        attempt: int | None = None, limit: int = 10_000,
    ) -> list[dict[str, Any]]:
        """Entries of an execution, in the order they were entered."""
        parts = ["execution_id = ?", "seq > ?", "level >= ?"]
        values: list[Any] = [execution_id, after_seq, LEVELS[min_level]]
        if task_ids:
            parts.append(f"task_id IN ({','.join('?' * len(task_ids))})")
            values.extend(task_ids)
        if task_run_id is not None:
            parts.append("task_run_id = ?")
            values.append(task_run_id)
        if attempt is not None:
            parts.append("attempt = ?")
            values.append(attempt)
        rows = self._db.read_now(
            lambda c: c.execute(
                f"SELECT {_COLUMNS} FROM logs WHERE {' AND '.join(parts)} ORDER BY seq LIMIT ?", (*values, limit)
            ).fetchall()
        )
        return [_entry(row) for row in rows]

    async def search(self, filters: Mapping[str, Any], *, page: int, size: int) -> tuple[list[dict[str, Any]], int]:
        """A page of entries of all executions, newest first, and how many match. filters: namespace, flow_id, query, min_level, after, before."""
        parts, values = _narrowed(filters, exactly=False)
        parts.append("level >= ?")
        values.append(LEVELS[filters.get("min_level") or "TRACE"])
        if query_text := filters.get("query"):
            parts.append("instr(lower(message), lower(?))")
            values.append(query_text)
        where = " AND ".join(parts)

        def query(connection: sqlite3.Connection) -> tuple[list[Any], int]:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM logs WHERE {where} ORDER BY seq DESC LIMIT ? OFFSET ?", (*values, size, (page - 1) * size)
            ).fetchall()
            return rows, connection.execute(f"SELECT count(*) FROM logs WHERE {where}", values).fetchone()[0]

        rows, total = await self._db.read(query)
        return [_entry(row) for row in rows], total

    async def purge(self, filters: Mapping[str, Any], levels: Sequence[str]) -> int:
        """Remove entries; how many. filters: namespace (and below; exactly with flow_id), flow_id, after, before."""
        parts, values = _narrowed(filters, exactly=bool(filters.get("flow_id")))
        if levels:
            parts.append(f"level IN ({','.join('?' * len(levels))})")
            values.extend(LEVELS[level] for level in levels)
        return await self._db.write(lambda c: c.execute(f"DELETE FROM logs WHERE {' AND '.join(parts)}", values).rowcount)


def _narrowed(filters: Mapping[str, Any], *, exactly: bool) -> tuple[list[str], list[Any]]:
    """Conditions of namespace, flow and time, and their values. exactly: only the namespace itself, not those below it."""
    parts, values = ["1"], list[Any]()
    if namespace := filters.get("namespace"):
        parts.append("namespace = ?" if exactly else "(namespace = ? OR (namespace >= ? AND namespace < ?))")
        values.extend((namespace,) if exactly else (namespace, namespace + ".", namespace + "/"))
    if flow_id := filters.get("flow_id"):
        parts.append("flow_id = ?")
        values.append(flow_id)
    for part, moment in (("at >= ?", filters.get("after")), ("at < ?", filters.get("before"))):
        if isinstance(moment, datetime):
            parts.append(part)
            values.append(iso(moment))
    return parts, values


def _entry(row: tuple[Any, ...]) -> dict[str, Any]:
    entry = {
        "seq": row[0], "executionId": row[1], "namespace": row[2], "flowId": row[3], "taskId": row[4], "taskRunId": row[5],
        "attemptNumber": row[6], "triggerId": row[7], "timestamp": row[8], "level": LEVEL_NAMES[row[9]], "message": row[10],
    }
    return {key: value for key, value in entry.items() if value is not None}
