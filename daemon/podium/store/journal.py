"""The journal: what the conductor decided, entered in one transaction, and the streams read back after a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from podium.base.errors import StoreError
from podium.engine.shape.view import iso
from podium.store.db import Database

encode = msgspec.json.Encoder(enc_hook=str).encode
decode = msgspec.json.decode


LEVELS = {"TRACE": 0, "DEBUG": 1, "INFO": 2, "WARN": 3, "ERROR": 4}
LEVEL_NAMES = {number: name for name, number in LEVELS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRow:
    """What lists show of an execution. summary: an object, or its JSON text. labels: None leaves those entered before."""

    id: str
    namespace: str
    flow_id: str
    revision: int
    state: str
    created_at: datetime
    ended_at: datetime | None
    trigger_id: str | None
    trigger_execution_id: str | None
    parent_id: str | None
    open: bool
    summary: Mapping[str, Any] | msgspec.Raw
    labels: Mapping[str, str] | None = None
    record_path: str | None = None
    loop: bool = False
    """An iteration of a Loop: left out of lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    execution_id: str
    namespace: str
    flow_id: str
    at: datetime
    level: str
    message: str
    task_id: str | None = None
    task_run_id: str | None = None
    attempt: int = 0
    trigger_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """value: JSON-like; None removes the document."""

    kind: str
    namespace: str
    key: str
    value: Any
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A file for the results branch. stream: the execution whose events may go once this is on the remote."""

    path: str
    body: bytes
    kind: str
    summary: Mapping[str, Any]
    stream: str | None = None


@dataclass(slots=True)
class Batch:
    """Everything one round of decisions changes. Entered as a whole or not at all."""

    events: list[tuple[str, int, bytes]] = field(default_factory=list)
    continues: list[tuple[str, int]] = field(default_factory=list)
    """(execution, version) of events that must still be there: they are dropped once an ended execution's record is on the remote."""
    executions: dict[str, ExecutionRow] = field(default_factory=dict)
    logs: list[LogRow] = field(default_factory=list)
    metrics: list[Mapping[str, Any]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    dedupe: list[tuple[str, str]] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.executions or self.logs or self.metrics or self.documents or self.dedupe or self.outgoing)


class Journal:
    """Writes batches, reads streams."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def commit(self, batch: Batch, now: datetime) -> int:
        """Enter a batch; the sequence number of the newest log line. Raises StoreError, and then nothing of it is entered."""
        return await self._db.write(lambda connection: _enter(connection, batch, iso(now)))

    async def trouble(self) -> StoreError | None:
        """Why nothing can be entered at present, or None."""
        return await self._db.trouble()

    async def open_streams(self) -> list[str]:
        """Executions that are not closed, oldest first."""
        rows = await self._db.read(lambda c: c.execute("SELECT id FROM executions WHERE open = 1 ORDER BY id").fetchall())
        return [row[0] for row in rows]

    async def stream(self, execution_id: str) -> list[bytes]:
        """The events of an execution in order; empty when they were dropped (the record is on the remote) or never were."""
        rows = await self._db.read(
            lambda c: c.execute("SELECT body FROM events WHERE stream = ? ORDER BY version", (execution_id,)).fetchall()
        )
        return [row[0] for row in rows]

    def dedupe(self, key: str) -> str | None:
        """The execution that a request with this key started."""
        row = self._db.read_now(lambda c: c.execute("SELECT execution_id FROM dedupe WHERE key = ?", (key,)).fetchone())
        return row[0] if row else None


def _enter(connection: sqlite3.Connection, batch: Batch, now: str) -> int:
    for stream, version in batch.continues:
        if connection.execute("SELECT 1 FROM events WHERE stream = ? AND version = ?", (stream, version)).fetchone() is None:
            raise StoreError(f"the events of execution '{stream}' were dropped just now: its record was pushed", hint="try again")
    connection.executemany("INSERT INTO events (stream, version, body) VALUES (?, ?, ?)", batch.events)
    if batch.executions:
        _enter_executions(connection, list(batch.executions.values()))
    if batch.logs:
        enter_logs(connection, batch.logs)
    if batch.metrics:
        connection.executemany(
            "INSERT INTO metrics (execution_id, namespace, flow_id, task_id, task_run_id, type, name, value, tags, at)"
            " VALUES (:executionId, :namespace, :flowId, :taskId, :taskRunId, :type, :name, :value, :tags, :timestamp)",
            [{**each, "tags": encode(each["tags"]).decode()} for each in batch.metrics],
        )
    for document in batch.documents:
        enter_document(connection, document, now)
    connection.executemany("INSERT OR IGNORE INTO dedupe (key, execution_id, at) VALUES (?, ?, ?)", [(*each, now) for each in batch.dedupe])
    connection.executemany(
        "INSERT INTO queue (path, body, kind, summary, queued_at, stream) VALUES (?, ?, ?, ?, ?, ?)",
        [(each.path, each.body, each.kind, encode(each.summary).decode(), now, each.stream) for each in batch.outgoing],
    )
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'logs'").fetchone()
    return int(row[0]) if row else 0


def _enter_executions(connection: sqlite3.Connection, rows: list[ExecutionRow]) -> None:
    entered, labels, flows = [], [], set()
    for row in rows:
        created_at, loop = iso(row.created_at), int(row.loop)
        entered.append((
            row.id, row.namespace, row.flow_id, row.revision, row.state, created_at, iso(row.ended_at) if row.ended_at else None, row.trigger_id,
            row.trigger_execution_id, row.parent_id, row.record_path, int(row.open), encode(row.summary), loop,
        ))
        labels += [(row.id, key, value, loop, created_at) for key, value in (row.labels or {}).items()]
        flows.add((row.namespace, row.flow_id))
    connection.executemany(
        "INSERT INTO executions (id, namespace, flow_id, revision, state, created_at, ended_at, trigger_id, trigger_execution_id, parent_id,"
        " record_path, open, summary, loop) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, state = excluded.state, ended_at = excluded.ended_at,"
        " record_path = coalesce(excluded.record_path, record_path), open = excluded.open, summary = excluded.summary",
        entered,
    )
    connection.executemany("INSERT OR IGNORE INTO execution_flows (namespace, flow_id) VALUES (?, ?)", sorted(flows))
    connection.executemany(
        "INSERT INTO execution_labels (execution_id, key, value, loop, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
        labels,
    )


def enter_logs(connection: sqlite3.Connection, rows: list[LogRow]) -> None:
    """Append log lines."""
    connection.executemany(
        "INSERT INTO logs (execution_id, namespace, flow_id, task_id, task_run_id, attempt, trigger_id, at, level, message)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (row.execution_id, row.namespace, row.flow_id, row.task_id, row.task_run_id, row.attempt, row.trigger_id, iso(row.at),
             LEVELS[row.level], row.message)
            for row in rows
        ],
    )


def enter_document(connection: sqlite3.Connection, document: Document, now: str) -> None:
    """Store, replace or remove one document."""
    key = (document.kind, document.namespace, document.key)
    if document.value is None:
        connection.execute("DELETE FROM documents WHERE kind = ? AND namespace = ? AND key = ?", key)
        return
    connection.execute(
        "INSERT INTO documents (kind, namespace, key, value, created_at, updated_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at, expires_at = excluded.expires_at",
        (*key, encode(document.value), now, now, iso(document.expires_at) if document.expires_at else None),
    )
