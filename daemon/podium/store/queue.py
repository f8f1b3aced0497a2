"""Files on their way to the results branch (base/ports.RecordQueue). They stay until they are on the remote."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from podium.base.ports import QueuedFile
from podium.store.db import Database
from podium.store.journal import decode

COUNTED_MAX = 100_000


class Queue:
    """See base/ports.RecordQueue. Once a record is on the remote its execution's events are dropped: the branch has them (invariant I5)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def pending(self, *, after_seq: int, limit: int) -> list[QueuedFile]:
        rows = await self._db.read(
            lambda c: c.execute(
                "SELECT seq, path, body, kind, summary FROM queue WHERE seq > ? AND commit_id IS NULL ORDER BY seq LIMIT ?", (after_seq, limit)
            ).fetchall()
        )
        return [QueuedFile(seq=row[0], path=row[1], body=row[2], kind=row[3], summary=decode(row[4])) for row in rows]

    async def reopen(self) -> int:
        def pending_again(connection: sqlite3.Connection) -> int:
            connection.execute("UPDATE queue SET commit_id = NULL")
            newest: int = connection.execute("SELECT coalesce(max(seq), 0) FROM queue").fetchone()[0]
            return newest

        return await self._db.write(pending_again)

    async def committed(self, seqs: Sequence[int], commit: str) -> None:
        await self._db.write(lambda c: c.executemany("UPDATE queue SET commit_id = ? WHERE seq = ?", [(commit, seq) for seq in seqs]))

    async def pushed(self, up_to_commit: str) -> None:
        """Forget everything committed no later than `up_to_commit`."""

        def drop(connection: sqlite3.Connection) -> None:
            last = connection.execute("SELECT max(seq) FROM queue WHERE commit_id = ?", (up_to_commit,)).fetchone()[0]
            if last is None:
                return
            connection.execute(
                "DELETE FROM events WHERE stream IN (SELECT stream FROM queue WHERE commit_id IS NOT NULL AND seq <= ? AND stream IS NOT NULL)"
                " AND NOT EXISTS (SELECT 1 FROM executions WHERE id = events.stream AND open = 1)"
                " AND NOT EXISTS (SELECT 1 FROM queue AS later WHERE later.stream = events.stream AND later.seq > ?)",
                (last, last),
            )
            connection.execute("DELETE FROM queue WHERE commit_id IS NOT NULL AND seq <= ?", (last,))

        await self._db.write(drop)

    async def unpushed(self) -> tuple[int, datetime | None]:
        """How many, COUNTED_MAX at most, and since when the oldest waits."""
        query = "SELECT (SELECT count(*) FROM (SELECT 1 FROM queue LIMIT ?)), (SELECT queued_at FROM queue ORDER BY seq LIMIT 1)"
        row = await self._db.read(lambda c: c.execute(query, (COUNTED_MAX,)).fetchone())
        return row[0], datetime.fromisoformat(row[1]) if row[1] else None

    async def body(self, path: str) -> tuple[bytes, str | None] | None:
        """A file still queued, newest first, and its commit if it has one."""
        query = "SELECT body, commit_id FROM queue WHERE path = ? ORDER BY seq DESC LIMIT 1"
        row = await self._db.read(lambda c: c.execute(query, (path,)).fetchone())
        return (row[0], row[1]) if row else None
