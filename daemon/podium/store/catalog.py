"""Flows as deployed: every accepted revision, and which is the newest. A deployment is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from podium.base.ports import Deployment, KnownFlow
from podium.engine.shape.view import iso
from podium.store.db import Database
from podium.store.journal import Document, Outgoing, decode, encode, enter_document

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRevision:
    """One accepted text of a flow, as stored."""

    namespace: str
    flow_id: str
    revision: int
    source: str
    commit: str
    path: str
    blob: str
    text: str
    defaults: Sequence[Mapping[str, Any]]
    deployed_at: datetime
    deleted: bool
    templates: Sequence[Mapping[str, str]] = ()


_COLUMNS = "namespace, flow_id, revision, source, commit_id, path, blob, text, defaults, deployed_at, deleted, templates"


_INSERT = f"INSERT OR REPLACE INTO flows ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Catalog:
    """Reads and writes the flows table."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def newest(self) -> list[StoredRevision]:
        """The newest revision of every flow, deleted ones included, sorted. For start-up."""
        rows = self._db.read_now(
            lambda c: c.execute(
                f"SELECT {_COLUMNS} FROM flows AS f WHERE revision = (SELECT max(revision) FROM flows WHERE namespace = f.namespace"
                " AND flow_id = f.flow_id) ORDER BY namespace, flow_id"
            ).fetchall()
        )
        return [_revision(row) for row in rows]

    def revision(self, namespace: str, flow_id: str, revision: int) -> StoredRevision | None:
        row = self._db.read_now(
            lambda c: c.execute(
                f"SELECT {_COLUMNS} FROM flows WHERE namespace = ? AND flow_id = ? AND revision = ?",
                (namespace, flow_id, revision),
            ).fetchone()
        )
        return _revision(row) if row else None

    def read_by(self) -> str:
        """What has read all flows without trouble; "" when nothing has. See `mark_read`."""
        row = self._db.read_now(lambda c: c.execute("SELECT value FROM documents WHERE kind = 'library' AND key = 'reader'").fetchone())
        return str(decode(row[0])["reader"]) if row else ""

    async def mark_read(self, reader: str, at: datetime) -> None:
        """Remember who has read all flows without trouble."""
        document = Document(kind="library", namespace="", key="reader", value={"reader": reader})
        await self._db.write(lambda connection: enter_document(connection, document, iso(at)))

    async def revisions(self, namespace: str, flow_id: str) -> list[StoredRevision]:
        """All revisions of a flow, oldest first."""
        rows = await self._db.read(
            lambda c: c.execute(
                f"SELECT {_COLUMNS} FROM flows WHERE namespace = ? AND flow_id = ? ORDER BY revision",
                (namespace, flow_id),
            ).fetchall()
        )
        return [_revision(row) for row in rows]

    async def enter(self, revisions: Sequence[StoredRevision]) -> None:
        """Enter revisions that come from the ledger of a results branch."""
        await self._db.write(lambda connection: connection.executemany(_INSERT, [_row(each) for each in revisions]))

    async def deploy(self, deployment: Deployment, source_state: Mapping[str, Any], outgoing: Outgoing) -> None:
        """Enter what a commit changes, the state of its source and its sync file, in one transaction."""
        await self._db.write(lambda connection: _deploy(connection, deployment, source_state, outgoing))


def _deploy(connection: sqlite3.Connection, deployment: Deployment, source_state: Mapping[str, Any], outgoing: Outgoing) -> None:
    now = iso(deployment.at)
    connection.executemany(
        _INSERT,
        [
            (each.namespace, each.flow_id, each.revision, each.source, each.commit, each.path, each.blob, each.text,
             encode(list(each.defaults)).decode(), iso(each.deployed_at), 0, encode(list(each.templates)).decode())
            for each in (*deployment.accepted, *deployment.moved)
        ],
    )
    connection.executemany(
        _INSERT,
        [
            (each.namespace, each.flow_id, each.revision + 1, each.source, deployment.commit, each.path, each.blob, "", "[]", now, 1, "[]")
            for each in deployment.removed
        ],
    )
    if deployment.dashboards is not None:
        connection.execute("DELETE FROM documents WHERE kind = 'dashboard' AND namespace = ?", (deployment.source,))
        for each in deployment.dashboards:
            enter_document(connection, Document(kind="dashboard", namespace=deployment.source, key=str(each["path"]), value=dict(each)), now)
    enter_document(connection, Document(kind="source", namespace="", key=deployment.source, value=dict(source_state)), now)
    enter_document(connection, Document(kind="sync", namespace="", key=outgoing.path, value=dict(source_state)), now)
    connection.execute(
        "INSERT INTO queue (path, body, kind, summary, queued_at) VALUES (?, ?, ?, ?, ?)",
        (outgoing.path, outgoing.body, outgoing.kind, encode(outgoing.summary).decode(), now),
    )


def _row(each: StoredRevision) -> tuple[Any, ...]:
    return (
        each.namespace, each.flow_id, each.revision, each.source, each.commit, each.path, each.blob, each.text, encode(list(each.defaults)).decode(),
        iso(each.deployed_at), int(each.deleted), encode(list(each.templates)).decode(),
    )


def _revision(row: tuple[Any, ...]) -> StoredRevision:
    return StoredRevision(
        namespace=row[0], flow_id=row[1], revision=row[2], source=row[3], commit=row[4], path=row[5], blob=row[6], text=row[7],
        defaults=decode(row[8]), deployed_at=datetime.fromisoformat(row[9]), deleted=bool(row[10]),
        templates=decode(row[11]),
    )


def known(revision: StoredRevision) -> KnownFlow:
    """Without the text."""
    return KnownFlow(
        namespace=revision.namespace, flow_id=revision.flow_id, revision=revision.revision, source=revision.source, commit=revision.commit,
        path=revision.path, blob=revision.blob, deleted=revision.deleted,
    )
