"""A results branch with very many records: the real writer from the journal's queue to a remote at a path, then all that reads it.

    python -m benchmarks.bench_results_scale [--total 1000000] [--flows 500] [--folder /where/there/is/room]

Printed for each tenth: records a second, time of the processor per record, packs, memory; then size, fsck, verify, clone, rebuild.
Takes about five minutes for a million records on two quiet cores.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from benchmarks.bench_records import _files
from podium.app.wiring.rebuild import enter_records
from podium.base.ports import QueuedFile
from podium.base.system.clock import SystemClock
from podium.git.repo import Repository
from podium.records.read import ResultsReader
from podium.records.upkeep.verify import verify
from podium.records.writer import ResultsWriter
from podium.store.db import Database
from podium.store.journal import encode
from podium.store.queue import Queue
from podium.store.views import Views

AT_ONCE = 5_000
BEHIND_MAX = 4 * AT_ONCE
"""Files that may wait for their commit: so that the writer always has work, and the queue stays small."""


async def write(folder: Path, total: int, flows: int) -> None:
    """Queue and write all records; a line for each tenth."""
    database = Database.open(folder / "journal.db")
    queue, packs_max = Queue(database), 0
    with Repository.init_bare(folder / "results.git") as repository, Repository.init_bare(folder / "remote.git") as remote:
        committed = 0

        async def count(files: Sequence[QueuedFile], _commit: str) -> None:
            nonlocal committed
            committed += len(files)

        writer = ResultsWriter(
            queue=queue, repository=repository, instance="bench", clock=SystemClock(), remote_url=str(remote.git_dir), on_committed=count,
        )
        running = asyncio.create_task(writer.run())
        since, used = time.perf_counter(), _used()
        for done in range(AT_ONCE, total + 1, AT_ONCE):
            await _queue(database, _files(AT_ONCE, flows, done - AT_ONCE))
            writer.wake()
            while 2 * done - committed > (BEHIND_MAX if done < total else 0):
                packs_max = max(packs_max, repository.packs())
                await asyncio.sleep(0.02)
            if done % max(AT_ONCE, total // 10) == 0:
                now, spent = time.perf_counter(), _used()
                step, memory = max(AT_ONCE, total // 10), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                _say(
                    f"{done:>9} records: {step / (now - since):.0f}/s; {(spent[0] - used[0]) / step * 1e6:.0f} µs of the processor each, and "
                    f"{(spent[1] - used[1]) / step * 1e6:.0f} in git; {repository.packs()} packs (≤ {packs_max}), {memory} MB"
                )
                since, used = now, spent
        assert await writer.drain(timeout_s=1_800)
        _say(f"on the remote {time.perf_counter() - since:.1f} s after the last commit")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    database.close()


async def _queue(database: Database, files: list[QueuedFile]) -> None:
    rows = [(each.path, each.body, each.kind, encode(each.summary).decode(), "2026-01-01T00:00:00.000Z") for each in files]
    await database.write(lambda c: c.executemany("INSERT INTO queue (path, body, kind, summary, queued_at) VALUES (?, ?, ?, ?, ?)", rows))


def read(folder: Path, total: int) -> None:
    """Everything that reads a branch as a whole."""
    with Repository.open(folder / "results.git") as repository:
        size = sum(path.stat().st_size for path in repository.git_dir.rglob("*") if path.is_file())
        _say(f"size {size / 2**20:.0f} MiB, {size / total:.0f} bytes a record")
        with _timed("fsck"):
            repository.fsck()
        with _timed("verify without fsck", total):
            report = verify(repository, objects=False)
        assert report.ok, report.findings[:3]
        assert report.records == total, report.records
    with _timed("clone"):
        subprocess.run(["git", "clone", "--quiet", "--bare", f"file://{folder}/remote.git", str(folder / "clone.git")], check=True)
    with Repository.open(folder / "clone.git") as repository, _timed("rebuild of an index from the clone", total):
        assert asyncio.run(_rebuild(folder / "index.db", repository)) == total


async def _rebuild(path: Path, repository: Repository) -> int:
    database = Database.open(path)
    try:
        return await enter_records(Views(database), ResultsReader(repository).every())
    finally:
        database.close()


@contextlib.contextmanager
def _timed(what: str, records: int = 0) -> Iterator[None]:
    since, used = time.perf_counter(), sum(_used())
    yield
    took, cpu = time.perf_counter() - since, sum(_used()) - used
    rate = f", {records / took:.0f} records/s, {cpu / records * 1e6:.0f} µs of the processor each" if records else f", {cpu:.1f} s of the processor"
    _say(f"{what}: {took:.1f} s{rate}; {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def _used() -> tuple[float, float]:
    """Seconds of the processor: ours, and those of children that ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), ended.ru_utime + ended.ru_stime


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@click.command()
@click.option("--total", default=1_000_000, show_default=True)
@click.option("--flows", default=500, show_default=True)
@click.option("--folder", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Where to write; by default among temporary files.")
def main(total: int, flows: int, folder: Path | None) -> None:
    """Write, then read."""
    with tempfile.TemporaryDirectory(prefix="podium-bench-", dir=folder) as place:
        asyncio.run(write(Path(place), total, flows))
        read(Path(place), total)


if __name__ == "__main__":
    main()
