"""The logs of executions: appended durably with the cursor that says how far their source was read."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from podium.base.limits import LOG_LINES_LOOKED_AT, TOTAL_MAX
from podium.engine.shape.view import iso
from podium.store.counts.parts import below_any
from podium.store.db import Database
from podium.store.finding import WALKS_MAX, flows_of
from podium.store.journal import LEVEL_NAMES, LEVELS, LogRow, enter_logs

_COLUMNS = "seq, execution_id, namespace, flow_id, task_id, task_run_id, attempt, trigger_id, at, level, message"
_REASONS_LOOKED_AT = 2_000
"""Lines of level ERROR of a flow, from the start of an execution on, that are looked at to find that execution's."""


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

    async def known(self, execution_id: str) -> bool:
        """Whether there is any line of this execution."""
        query = "SELECT 1 FROM logs WHERE execution_id = ? LIMIT 1"
        return bool(await self._db.read(lambda c: c.execute(query, (execution_id,)).fetchone()))

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
        where, values = _of_execution(execution_id, min_level, task_ids, task_run_id, attempt)
        query = f"SELECT {_COLUMNS} FROM logs WHERE {where} AND seq > ? ORDER BY seq LIMIT ?"
        rows = self._db.read_now(lambda c: c.execute(query, (*values, after_seq, limit)).fetchall())
        return [_entry(row) for row in rows]

    async def index(
        self, execution_id: str, *, every: int, min_level: str = "TRACE", task_ids: Sequence[str] = (), task_run_id: str | None = None,
        attempt: int | None = None,
    ) -> tuple[int, list[int]]:
        """How many entries of an execution match, and the seq after which each page of `every` of them begins, the first page's 0."""
        where, values = _of_execution(execution_id, min_level, task_ids, task_run_id, attempt)

        def read(connection: sqlite3.Connection) -> tuple[int, list[int]]:
            numbered = f"SELECT seq, row_number() OVER (ORDER BY seq) AS n FROM logs WHERE {where}"
            rows = connection.execute(f"SELECT seq FROM ({numbered}) WHERE n % ? = 0 ORDER BY seq", (*values, every)).fetchall()
            total = connection.execute(f"SELECT count(*) FROM logs WHERE {where}", values).fetchone()[0]
            bounds = [0, *(row[0] for row in rows)]
            return total, bounds[: max(1, -(-total // every))]

        return await self._db.read(read)

    async def find(
        self, execution_id: str, text: str, *, limit: int, min_level: str = "TRACE", task_ids: Sequence[str] = (), task_run_id: str | None = None,
        attempt: int | None = None,
    ) -> list[tuple[int, int]]:
        """(which of the entries that match otherwise, from 0, and its seq) of those whose message has `text`, in any case."""
        where, values = _of_execution(execution_id, min_level, task_ids, task_run_id, attempt)
        numbered = f"SELECT row_number() OVER (ORDER BY seq) - 1 AS n, seq, message FROM logs WHERE {where}"
        query = f"SELECT n, seq FROM ({numbered}) WHERE instr(lower(message), lower(?)) ORDER BY n LIMIT ?"
        return await self._db.read(lambda c: c.execute(query, (*values, text, limit)).fetchall())

    async def reasons(self, executions: Sequence[tuple[str, str, str, str]]) -> dict[str, str]:
        """The last line of level ERROR of each of these executions that has one: (id, namespace, flow id, created at)."""

        def read(connection: sqlite3.Connection) -> dict[str, str]:
            found = {}
            for identifier, namespace, flow_id, created in executions:
                row = connection.execute(
                    "SELECT message FROM (SELECT seq FROM (SELECT seq FROM logs INDEXED BY logs_grave_by_flow WHERE namespace = ? AND flow_id = ?"
                    " AND level >= 3 AND level = ? AND at >= ? ORDER BY at, seq LIMIT ?) CROSS JOIN logs AS l USING (seq) WHERE l.execution_id = ?"
                    " ORDER BY seq DESC LIMIT 1) CROSS JOIN logs USING (seq)",
                    (namespace, flow_id, LEVELS["ERROR"], created, _REASONS_LOOKED_AT, identifier),
                ).fetchone()
                if row:
                    found[identifier] = row[0]
            return found

        return await self._db.read(read)

    async def search(self, filters: Mapping[str, Any], *, page: int, size: int) -> tuple[list[dict[str, Any]], int]:
        """A page of entries of all executions, newest first, and how many match (from TOTAL_MAX on: at least).

        filters: namespace, namespaces, flow_id, query, min_level, after, before. Text is looked for in the newest LOG_LINES_LOOKED_AT that match
        the others.
        """
        rows, total = await self._db.read(lambda c: _search(c, filters, skip=(page - 1) * size, size=size))
        return [_entry(row) for row in rows], total


def _of_execution(
    execution_id: str, min_level: str, task_ids: Sequence[str], task_run_id: str | None, attempt: int | None
) -> tuple[str, list[Any]]:
    """The condition for entries of one execution, and its values."""
    parts, values = ["execution_id = ?"], list[Any]([execution_id])
    if LEVELS[min_level]:
        parts.append("level >= ?")
        values.append(LEVELS[min_level])
    if task_ids:
        parts.append(f"task_id IN ({','.join('?' * len(task_ids))})")
        values.extend(task_ids)
    for part, value in (("task_run_id = ?", task_run_id), ("attempt = ?", attempt)):
        if value is not None:
            parts.append(part)
            values.append(value)
    return " AND ".join(parts), values


def _search(connection: sqlite3.Connection, filters: Mapping[str, Any], *, skip: int, size: int) -> tuple[list[tuple[Any, ...]], int]:
    """A merge of walks along indexes in the order of time, see store/finding."""
    text, found = filters.get("query"), _walks(connection, filters)
    if text:  # to look through lines is what takes time: once
        every = heapq.merge(*(connection.execute(query, (*values, TOTAL_MAX)) for query, values in found), reverse=True)
        keys = list(islice(every, TOTAL_MAX))
        page, total = keys[skip : skip + size], len(keys)
    else:
        merged = heapq.merge(*(connection.execute(query, (*values, skip + size)) for query, values in found), reverse=True)
        page, total = list(islice(merged, skip, skip + size)), 0
        for query, values in found:
            if total >= TOTAL_MAX:
                break
            total += connection.execute(f"SELECT count(*) FROM ({query})", (*values, TOTAL_MAX - total)).fetchone()[0]
    rows = [connection.execute(f"SELECT {_COLUMNS} FROM logs WHERE seq = ?", (seq,)).fetchone() for _, seq in page]
    followed = not text and total == TOTAL_MAX and len(rows) == size
    return rows, max(total, skip + len(rows) + followed if rows else 0)


def _walks(connection: sqlite3.Connection, filters: Mapping[str, Any]) -> list[tuple[str, tuple[Any, ...]]]:
    """Queries, and their values but for a limit, that together find the (at, seq) of what a search asks for, newest first."""
    least = LEVELS[filters.get("min_level") or "TRACE"]
    flows, text = flows_of(connection, filters, ""), filters.get("query")
    rest, rest_values = list[str](), list[Any]()
    if text and flows is not None and len(flows) > WALKS_MAX:
        rest, rest_values = _narrowed({**filters, "after": None, "before": None}, exactly=False)
        flows = None
    walks: list[tuple[tuple[str, ...], tuple[Any, ...]]] = [(("namespace = ?", "flow_id = ?"), pair) for pair in flows or ()]
    walks = [((), ())] if flows is None else walks
    index = "logs_by_time" if flows is None else "logs_by_flow"
    if least >= LEVELS["WARN"]:
        index = "logs_grave" if flows is None else "logs_grave_by_flow"
        walks = [((*parts, "level >= 3", "level = ?"), (*values, level)) for parts, values in walks for level in range(least, LEVELS["ERROR"] + 1)]
    elif least > LEVELS["TRACE"]:
        rest.append("level >= ?")
        rest_values.append(least)
    if text:
        rest.append("instr(lower(message), lower(?))")
        rest_values.append(text)
    bounds = [(part, iso(moment)) for part, moment in (("at >= ?", filters.get("after")), ("at < ?", filters.get("before"))) if moment]
    most = LOG_LINES_LOOKED_AT // max(len(walks), 1) if text else -1
    columns = "at, seq, level, namespace, flow_id, message" if rest else "at, seq"
    window = tuple(part for part, _ in bounds) or ("at > ''",)
    found = list[tuple[str, tuple[Any, ...]]]()
    for parts, values in walks:
        begin = f"SELECT {columns} FROM logs INDEXED BY {index} WHERE {' AND '.join((*parts, *window))} ORDER BY at DESC, seq DESC LIMIT ?"
        query = f"SELECT at, seq FROM ({begin}) WHERE {' AND '.join(rest or ['1'])} LIMIT ?"
        found.append((query, (*values, *(moment for _, moment in bounds), most, *rest_values)))
    return found


def _narrowed(filters: Mapping[str, Any], *, exactly: bool) -> tuple[list[str], list[Any]]:
    """Conditions of namespace, flow and time, and their values. exactly: only the namespace itself, not those below it."""
    within, inside = below_any("namespace", filters.get("namespaces"))
    parts, values = [within], list[Any](inside)
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
