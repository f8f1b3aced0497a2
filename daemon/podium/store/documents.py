"""Reads of small JSON documents: the key-value store, task state, trigger state, syncs. Writes go through the journal's batches."""

from __future__ import annotations

from typing import Any

from podium.base.system.clock import Clock
from podium.engine.shape.view import iso
from podium.store.db import Database
from podium.store.journal import decode

CLEARED = "logs_cleared"
"""The kind of document that says that an execution's log was removed, so that the lines beside its record are not shown in its place."""


class Documents:
    """All reads are one indexed query. An expired document is as good as none."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def get(self, kind: str, namespace: str, key: str) -> Any:
        """The document's value, or None."""
        row = self._db.read_now(
            lambda c: c.execute(
                "SELECT value FROM documents WHERE kind = ? AND namespace = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)",
                (kind, namespace, key, iso(self._clock.now())),
            ).fetchone()
        )
        return decode(row[0]) if row else None

    def entry(self, kind: str, namespace: str, key: str, *, expired: bool = False) -> dict[str, Any] | None:
        """{key, value, creationDate, updateDate, expirationDate?}, or None. expired: also one that has expired."""
        row = self._db.read_now(
            lambda c: c.execute(
                "SELECT value, created_at, updated_at, expires_at FROM documents WHERE kind = ? AND namespace = ? AND key = ?"
                " AND (? OR expires_at IS NULL OR expires_at > ?)",
                (kind, namespace, key, expired, iso(self._clock.now())),
            ).fetchone()
        )
        if row is None:
            return None
        shown = {"namespace": namespace, "key": key, "value": decode(row[0]), "creationDate": row[1], "updateDate": row[2]}
        return {**shown, "expirationDate": row[3]} if row[3] else shown

    def entries(
        self, kind: str, namespace: str | None = None, *, children: bool = False, expired: bool = False, prefix: str = ""
    ) -> list[dict[str, Any]]:
        """As `entry`, of a namespace (and those below), or of all (None), sorted by namespace and key."""
        parts, values = ["kind = ?"], list[Any]([kind])
        if namespace is not None and children:  # all that begins so is one range of the key; a few in it are of others
            parts.append("namespace >= ? AND namespace < ? AND (namespace = ? OR namespace >= ?)")
            values += [namespace, namespace + "/", namespace, namespace + "."]
        elif namespace is not None:
            parts.append("namespace = ?")
            values.append(namespace)
        if prefix:
            parts.append("key >= ? AND substr(key, 1, ?) = ?")
            values += [prefix, len(prefix), prefix]
        if not expired:
            parts.append("(expires_at IS NULL OR expires_at > ?)")
            values.append(iso(self._clock.now()))
        query = (
            f"SELECT namespace, key, value, created_at, updated_at, expires_at FROM documents WHERE {' AND '.join(parts)} ORDER BY namespace, key"
        )
        rows = self._db.read_now(lambda c: c.execute(query, values).fetchall())
        return [
            {"namespace": row[0], "key": row[1], "value": decode(row[2]), "creationDate": row[3], "updateDate": row[4],
             **({"expirationDate": row[5]} if row[5] else {})}
            for row in rows
        ]

    def upcoming(self, limit: int) -> list[dict[str, Any]]:
        """{namespace, flowId, triggerId, nextExecutionDate} of triggers that are not switched off, soonest first."""
        query = (
            "SELECT namespace, key, CAST(value AS TEXT) ->> '$.nextExecutionDate' AS next FROM documents WHERE kind = 'trigger'"
            " AND next IS NOT NULL AND NOT coalesce(CAST(value AS TEXT) ->> '$.disabled', 0) ORDER BY next LIMIT ?"
        )
        rows = self._db.read_now(lambda c: c.execute(query, (limit,)).fetchall())
        found = ((row[0], *str(row[1]).partition("/")[::2], row[2]) for row in rows)
        return [{"namespace": each[0], "flowId": each[1], "triggerId": each[2], "nextExecutionDate": each[3]} for each in found]

    def newest_syncs(self, limit: int) -> list[Any]:
        """Values of documents of kind `sync`, those changed last first."""
        query = "SELECT value FROM documents INDEXED BY documents_synced WHERE kind = 'sync' ORDER BY updated_at DESC, key DESC LIMIT ?"
        rows = self._db.read_now(lambda c: c.execute(query, (limit,)).fetchall())
        return [decode(row[0]) for row in rows]
