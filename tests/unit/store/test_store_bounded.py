"""The files of the database stay bounded: its log begins anew under load, and what is deleted is given back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.base.system.clock import SystemClock
from podium.store import db
from podium.store.db import Database, vacuum
from podium.store.journal import Batch, Journal, Outgoing
from podium.store.queue import Queue
from podium.store.retention import Retention


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database.open(tmp_path / "journal.db")
    yield made
    made.close()


async def _write(database: Database, count: int, size: int = 40_000) -> None:
    for number in range(count):
        await database.write(lambda c, n=number: c.execute("INSERT OR REPLACE INTO events VALUES (?, 1, ?)", (str(n), b"x" * size)))  # type: ignore[misc]


async def test_the_log_begins_anew_although_somebody_always_reads(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that overlap: without waiting for them the log would never begin anew."""
    monkeypatch.setattr(db, "WAL_BYTES_MAX", 4_000_000)
    monkeypatch.setattr(db, "WAL_TRIES_EVERY_S", 0.0)
    over, largest = threading.Event(), 0

    def read(offset_s: float) -> None:
        time.sleep(offset_s)
        connection = db._connect(tmp_path / "journal.db")
        while not over.is_set():
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM events").fetchone()
            time.sleep(0.04)
            connection.execute("COMMIT")
        connection.close()

    readers = [threading.Thread(target=read, args=(offset,)) for offset in (0.0, 0.02)]
    for each in readers:
        each.start()
    try:
        for _ in range(20):
            await _write(database, 30)
            largest = max(largest, (tmp_path / "journal.db-wal").stat().st_size)
    finally:
        over.set()
        for each in readers:
            each.join()
    assert largest < 12_000_000, largest  # 24 MB were written


async def test_what_is_deleted_is_given_back_in_steps(database: Database, tmp_path: Path) -> None:
    await _write(database, 200)
    await database.write(lambda c: c.execute("DELETE FROM events"))
    steps = 0
    while await Retention(database).shrink():
        steps += 1
    assert steps > 1
    await asyncio.to_thread(database.read_now, lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
    assert (tmp_path / "journal.db").stat().st_size < 1_000_000


def test_a_database_of_before_gives_back_when_it_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    database = Database.open(path)
    asyncio.run(_write(database, 100))
    database.read_now(lambda c: c.execute("DELETE FROM events"))
    database.close()
    assert vacuum(path) > 3_000_000
    database = Database.open(path)
    assert database.read_now(lambda c: c.execute("PRAGMA auto_vacuum").fetchone()[0]) == 2
    database.close()


async def test_a_commit_takes_no_more_files_once_it_is_large(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "journal.db")
    queue, journal = Queue(database), Journal(database)
    await journal.commit(Batch(outgoing=[
        Outgoing(path=f"a/{number}.json", body=b"x" * 10, kind="execution", summary={}) for number in range(5)
    ]), SystemClock().now())
    assert [each.path for each in await queue.pending(after_seq=0, limit=10, bytes_max=25)] == ["a/0.json", "a/1.json", "a/2.json"]
    assert [each.path for each in await queue.pending(after_seq=3, limit=10, bytes_max=1)] == ["a/3.json"]
    assert len(await queue.pending(after_seq=0, limit=4)) == 4
    database.close()


async def test_very_many_files_are_marked_and_forgotten_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is a transaction of its own, and no file or event goes that is not pushed."""
    monkeypatch.setattr("podium.store.queue.ROWS_AT_ONCE", 4)
    database = Database.open(tmp_path / "journal.db")
    queue, journal = Queue(database), Journal(database)
    await journal.commit(Batch(
        events=[(f"e{number // 2}", number % 2 + 1, b"{}") for number in range(24)],
        outgoing=[Outgoing(path=f"a/{number}.json", body=b"x", kind="execution", summary={}, stream=f"e{number // 2}") for number in range(24)],
    ), SystemClock().now())
    await queue.committed([each.seq for each in await queue.pending(after_seq=0, limit=11)], "c" * 40)
    assert await queue.reopen() == 24
    files = await queue.pending(after_seq=0, limit=100)
    assert len(files) == 24
    await queue.committed([each.seq for each in files[:10]], "c" * 40)
    await queue.committed([each.seq for each in files[10:17]], "d" * 40)
    await queue.pushed("d" * 40)
    assert [each.path for each in await queue.pending(after_seq=0, limit=100)] == [f"a/{number}.json" for number in range(17, 24)]
    assert [bool(await journal.stream(f"e{number}")) for number in range(12)] == [False] * 8 + [True] * 4
    await queue.pushed("e" * 40)
    assert (await queue.unpushed())[0] == 7
    database.close()
