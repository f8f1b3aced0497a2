"""Files on their way to the results branch (base/ports.RecordQueue). They stay until they are on the remote."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from podium.base.limits import COMMIT_BYTES_MAX
from podium.base.ports import QueuedFile
from podium.store.db import Database
from podium.store.journal import decode

COUNTED_MAX = 100_000
ROWS_AT_ONCE = 1_000
"""Rows changed in one transaction: after a remote was away for long there may be a million, and the journal goes on meanwhile."""


class Queue:
    """See base/ports.RecordQueue. Once a record is on the remote its execution's events are dropped: the branch has them (invariant I5)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def pending(self, *, after_seq: int, limit: int, bytes_max: int = COMMIT_BYTES_MAX) -> list[QueuedFile]:
        query = "SELECT seq, path, body, kind, summary FROM queue WHERE seq > ? AND commit_id IS NULL ORDER BY seq LIMIT ?"

        def read(connection: sqlite3.Connection) -> list[QueuedFile]:
            found, size = [], 0
            for seq, path, body, kind, summary in connection.execute(query, (after_seq, limit)):
                found.append(QueuedFile(seq=seq, path=path, body=body, kind=kind, summary=decode(summary)))
                size += len(body)
                if size >= bytes_max:
                    break
            return found

        return await self._db.read(read)

    async def reopen(self) -> int:
        while await self._db.write(_some_pending_again) == ROWS_AT_ONCE:
            pass
        newest: int = (await self._db.read(lambda c: c.execute("SELECT coalesce(max(seq), 0) FROM queue").fetchone()))[0]
        return newest

    async def committed(self, seqs: Sequence[int], commit: str) -> None:
        for start in range(0, len(seqs), ROWS_AT_ONCE):
            marks = [(commit, seq) for seq in seqs[start : start + ROWS_AT_ONCE]]
            await self._db.write(lambda c, marks=marks: c.executemany("UPDATE queue SET commit_id = ? WHERE seq = ?", marks))  # type: ignore[misc]

    async def pushed(self, up_to_commit: str) -> None:
        """Forget everything committed no later than `up_to_commit`."""
        last = (await self._db.read(lambda c: c.execute("SELECT max(seq) FROM queue WHERE commit_id = ?", (up_to_commit,)).fetchone()))[0]
        while last is not None and await self._db.write(lambda c: _drop_some(c, last)) == ROWS_AT_ONCE:
            pass

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


def _some_pending_again(connection: sqlite3.Connection) -> int:
    query = "UPDATE queue SET commit_id = NULL WHERE seq IN (SELECT seq FROM queue WHERE commit_id IS NOT NULL LIMIT ?)"
    return connection.execute(query, (ROWS_AT_ONCE,)).rowcount


def _drop_some(connection: sqlite3.Connection, up_to: int) -> int:
    """Forget the oldest committed files, and the events of executions whose last file is among them; how many files."""
    query = "SELECT max(seq) FROM (SELECT seq FROM queue WHERE commit_id IS NOT NULL AND seq <= ? ORDER BY seq LIMIT ?)"
    last = connection.execute(query, (up_to, ROWS_AT_ONCE)).fetchone()[0]
    connection.execute(
        "DELETE FROM events WHERE stream IN (SELECT stream FROM queue WHERE commit_id IS NOT NULL AND seq <= ? AND stream IS NOT NULL)"
        " AND NOT EXISTS (SELECT 1 FROM executions WHERE id = events.stream AND open = 1)"
        " AND NOT EXISTS (SELECT 1 FROM queue AS later WHERE later.stream = events.stream AND later.seq > ?)",
        (last, last),
    )
    return connection.execute("DELETE FROM queue WHERE commit_id IS NOT NULL AND seq <= ?", (last,)).rowcount
