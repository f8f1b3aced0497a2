"""A record queue on SQLite, durable like the store's, and a writer process that tests kill. Run as a program: see `main`."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.base.ports import QueuedFile
from podium.base.system.clock import SystemClock
from podium.base.system.ids import new_id
from podium.git.repo import Repository
from podium.records.layout import log_path, record_path
from podium.records.render import render_log, render_record
from podium.records.writer import ResultsWriter


class SqliteQueue:
    """See base/ports.RecordQueue."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE IF NOT EXISTS queue (seq INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT, body BLOB, kind TEXT, summary TEXT, at TEXT, commit_id TEXT)"
        )

    def add(self, path: str, body: bytes, kind: str, summary: dict[str, Any] | None = None) -> None:
        """Queue a file; durable when it returns."""
        row = (path, body, kind, json.dumps(summary or {}), SystemClock().now().isoformat())
        self._db.execute("INSERT INTO queue (path, body, kind, summary, at) VALUES (?, ?, ?, ?, ?)", row)

    def add_execution(self, *, flow: str = "daily", state: str = "SUCCESS", amend: int = 0, execution_id: str | None = None) -> str:
        """Queue the record and log of a finished execution; its id."""
        made = execution_id or new_id()
        body, log = execution(made, flow, state)
        self._db.execute("BEGIN")
        self.add(record_path(made, "etl", flow, amend=amend), body, "execution", {"id": made, "namespace": "etl", "flowId": flow, "state": state})
        self.add(log_path(made, "etl", flow, amend=amend), log, "log")
        self._db.execute("COMMIT")
        return made

    async def pending(self, *, after_seq: int, limit: int, bytes_max: int = 0) -> list[QueuedFile]:
        rows = self._db.execute(
            "SELECT seq, path, body, kind, summary FROM queue WHERE seq > ? AND commit_id IS NULL ORDER BY seq LIMIT ?", (after_seq, limit)
        ).fetchall()
        return [QueuedFile(seq=row[0], path=row[1], body=row[2], kind=row[3], summary=json.loads(row[4])) for row in rows]

    async def reopen(self) -> int:
        self._db.execute("UPDATE queue SET commit_id = NULL")
        newest: int = self._db.execute("SELECT coalesce(max(seq), 0) FROM queue").fetchone()[0]
        return newest

    async def committed(self, seqs: Sequence[int], commit: str) -> None:
        self._db.execute("BEGIN")
        self._db.executemany("UPDATE queue SET commit_id = ? WHERE seq = ?", [(commit, seq) for seq in seqs])
        self._db.execute("COMMIT")

    async def pushed(self, up_to_commit: str) -> None:
        last = self._db.execute("SELECT max(seq) FROM queue WHERE commit_id = ?", (up_to_commit,)).fetchone()[0]
        assert last is not None, "pushed() names a commit that no file was marked with"
        self._db.execute("DELETE FROM queue WHERE commit_id IS NOT NULL AND seq <= ?", (last,))

    async def unpushed(self) -> tuple[int, datetime | None]:
        count, since = self._db.execute("SELECT count(*), min(at) FROM queue").fetchone()
        return count, datetime.fromisoformat(since) if since else None

    def close(self) -> None:
        """Close the database."""
        self._db.close()


def execution(execution_id: str, flow: str = "daily", state: str = "SUCCESS") -> tuple[bytes, bytes]:
    """A record and a log."""
    ended = {"current": state, "histories": [{"state": name, "date": "2026-01-02T03:04:05.678Z"} for name in ("CREATED", "RUNNING", state)]}
    run = {"id": "1" * 22, "taskId": "hello", "state": ended, "attempts": [{"state": ended}], "outputs": {"value": f"hi {execution_id}"}}
    view = {"id": execution_id, "namespace": "etl", "flowId": flow, "flowRevision": 1, "state": ended, "taskRunList": [run]}
    source = {"commit": "a" * 40, "path": f"flows/{flow}.yaml", "blob": "b" * 40, "revision": 1}
    body = render_record(view, flow=source, instance="test", version="0", runner="process")
    return body, render_log([{"timestamp": "2026-01-02T03:04:05.678Z", "level": "INFO", "taskId": "hello", "message": "hi"}])


async def fold(repository: Repository) -> None:
    """Fold packs together all the time, so that a kill hits a repack too."""
    while True:
        await asyncio.to_thread(repository.tidy, packs_max=8)
        await asyncio.sleep(0.05)


async def main(queue_path: str, repository_path: str, remote: str, acknowledged: str) -> None:
    """Queue executions for ever, writing each id to a file once it is durably queued, while a writer works. Ends by being killed."""
    queue = SqliteQueue(Path(queue_path))
    repository = Repository.init_bare(Path(repository_path))
    writer = ResultsWriter(
        queue=queue, repository=repository, instance="child", clock=SystemClock(), remote_url=remote or None, batch_files_max=20, batch_wait_s=0.005
    )
    with open(acknowledged, "a") as ledger:
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            group.create_task(fold(repository))
            while True:
                made = queue.add_execution()
                ledger.write(made + "\n")
                ledger.flush()
                writer.wake()
                await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
