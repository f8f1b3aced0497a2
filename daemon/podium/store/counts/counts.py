"""What is counted over time: executions by state, log lines by level, the values of metrics; and keys by a text. Called by conductor/lists.

What always holds: each is one walk along an index over the time asked for, and no execution, log line or metric itself is read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from podium.engine.shape.view import iso
from podium.store.counts.parts import below_any
from podium.store.db import Database
from podium.store.journal import LEVEL_NAMES

BUCKETS: Mapping[str, str] = {
    "minute": "substr({0}, 1, 16) || ':00.000Z'", "hour": "substr({0}, 1, 13) || ':00:00.000Z'", "day": "substr({0}, 1, 10) || 'T00:00:00.000Z'",
    "week": "date({0}, 'weekday 0', '-6 days') || 'T00:00:00.000Z'", "month": "substr({0}, 1, 7) || '-01T00:00:00.000Z'",
}
"""How finely time is divided → the beginning of the part a moment is in, as text."""
_FIELDS = "namespace, flow_id, state, created_at, ended_at"
_EXECUTIONS = (
    f"(SELECT {_FIELDS} FROM executions INDEXED BY executions_closed WHERE open = 0 AND created_at >= ? AND created_at < ? AND loop = 0"
    f" UNION ALL SELECT {_FIELDS} FROM executions INDEXED BY executions_open WHERE open = 1 AND created_at >= ? AND created_at < ? AND loop = 0)"
)
_TOOK = "(julianday(coalesce(ended_at, ?)) - julianday(created_at)) * 86400.0"
_AGGREGATES = {"sum": "sum", "avg": "avg", "min": "min", "max": "max"}


class Counts:
    """See the module's docstring."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def executions(
        self, filters: Mapping[str, Any], *, start: datetime, end: datetime, bucket: str, now: datetime, by: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Rows {at, *by, state, count, min, max, sum: seconds}. by: of namespace, flow_id. filters: namespace (and below), namespaces, flow_id."""
        where, values = _where(filters)
        groups = ", ".join((BUCKETS[bucket].format("created_at"), *by, "state"))
        query = (
            f"SELECT {groups}, count(*), min({_TOOK}), max({_TOOK}), sum({_TOOK}) FROM {_EXECUTIONS} WHERE {where}"
            f" GROUP BY {', '.join(str(number) for number in range(1, len(by) + 3))} ORDER BY 1"
        )
        bound = (iso(now), iso(now), iso(now), *(iso(start), iso(end)) * 2, *values)
        names = ("at", *by, "state", "count", "min", "max", "sum")
        rows = await self._db.read(lambda c: c.execute(query, bound).fetchall())
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def logs(self, filters: Mapping[str, Any], *, start: datetime, end: datetime, bucket: str) -> list[dict[str, Any]]:
        """Rows {at, level, count}."""
        where, values = _where(filters)
        index = "logs_by_flow" if filters.get("flow_id") and filters.get("namespace") else "logs_by_time"
        query = (
            f"SELECT {BUCKETS[bucket].format('at')}, level, count(*) FROM logs INDEXED BY {index} WHERE at >= ? AND at < ? AND {where}"
            " GROUP BY 1, 2 ORDER BY 1"
        )
        rows = await self._db.read(lambda c: c.execute(query, (iso(start), iso(end), *values)).fetchall())
        return [{"at": row[0], "level": LEVEL_NAMES[row[1]], "count": row[2]} for row in rows]

    async def metric_names(self, namespace: str, flow_id: str, *, task_id: str | None = None) -> list[str]:
        """The names of the metrics that executions of a flow (and of one task) published, sorted."""
        parts, values = _of_flow(namespace, flow_id, task_id)
        query = f"SELECT DISTINCT name FROM metrics INDEXED BY metrics_by_flow WHERE {parts} ORDER BY name"
        return [row[0] for row in await self._db.read(lambda c: c.execute(query, values).fetchall())]

    async def metric_tasks(self, namespace: str, flow_id: str) -> list[str]:
        """The tasks of a flow that published metrics, sorted."""
        query = "SELECT DISTINCT task_id FROM metrics INDEXED BY metrics_by_flow WHERE namespace = ? AND flow_id = ? ORDER BY task_id"
        return [row[0] for row in await self._db.read(lambda c: c.execute(query, (namespace, flow_id)).fetchall())]

    async def metric_values(
        self, namespace: str, flow_id: str, name: str, *, task_id: str | None, start: datetime, end: datetime, bucket: str, aggregate: str
    ) -> dict[str, float]:
        """The beginning of each part of the time that has any → the sum, avg, min or max of the values in it."""
        parts, values = _of_flow(namespace, flow_id, task_id)
        query = (
            f"SELECT {BUCKETS[bucket].format('at')}, {_AGGREGATES[aggregate]}(value) FROM metrics INDEXED BY metrics_by_flow"
            f" WHERE {parts} AND name = ? AND at >= ? AND at < ? GROUP BY 1 ORDER BY 1"
        )
        rows = await self._db.read(lambda c: c.execute(query, (*values, name, iso(start), iso(end))).fetchall())
        return dict(rows)

    async def keys(
        self, *, namespace: str | None, namespaces: Collection[str] | None, text: str, now: datetime, page: int, size: int
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of the keys of the store, without values, by namespace and key, and how many there are. text: part of the key."""
        where, values = _where({"namespace": namespace, "namespaces": namespaces})
        place = f"FROM documents WHERE kind = 'kv' AND {where} AND (expires_at IS NULL OR expires_at > ?) AND instr(lower(key), lower(?)) > 0"
        bound = (*values, iso(now), text)
        columns = "namespace, key, created_at, updated_at, expires_at, CAST(value AS TEXT) ->> '$.type'"

        def read(connection: sqlite3.Connection) -> tuple[list[Any], int]:
            rows = connection.execute(f"SELECT {columns} {place} ORDER BY namespace, key LIMIT ? OFFSET ?", (*bound, size, (page - 1) * size))
            return rows.fetchall(), int(connection.execute(f"SELECT count(*) {place}", bound).fetchone()[0])

        rows, total = await self._db.read(read)
        names = ("namespace", "key", "creationDate", "updateDate", "expirationDate", "type")
        return [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows], total

    async def flow_lines(self, namespace: str, flow_id: str, trigger_id: str | None, most: int) -> list[int]:
        """The numbers of up to `most` log lines of a flow, or of one trigger of it."""
        parts, values = "namespace = ? AND flow_id = ?", [namespace, flow_id]
        if trigger_id is not None:
            parts += " AND trigger_id = ?"
            values.append(trigger_id)
        query = f"SELECT seq FROM logs INDEXED BY logs_by_flow WHERE {parts} LIMIT ?"
        return [row[0] for row in await self._db.read(lambda c: c.execute(query, (*values, most)).fetchall())]


def _of_flow(namespace: str, flow_id: str, task_id: str | None) -> tuple[str, tuple[str, ...]]:
    parts, values = "namespace = ? AND flow_id = ?", (namespace, flow_id)
    return (parts, values) if task_id is None else (f"{parts} AND task_id = ?", (*values, task_id))


def _where(filters: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """The condition for namespace (and below), namespaces and flow, and its values."""
    within, inside = below_any("namespace", filters.get("namespaces"))
    parts, values = [within], list[Any](inside)
    if namespace := filters.get("namespace"):
        exactly = bool(filters.get("flow_id"))
        parts.append("namespace = ?" if exactly else "(namespace = ? OR (namespace >= ? AND namespace < ?))")
        values.extend((namespace,) if exactly else (namespace, f"{namespace}.", f"{namespace}/"))
    if flow_id := filters.get("flow_id"):
        parts.append("flow_id = ?")
        values.append(flow_id)
    return " AND ".join(parts), tuple(values)
