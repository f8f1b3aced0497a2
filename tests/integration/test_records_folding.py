"""The number of packs stays bounded while a writer works, whatever happens to the folding."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from records_driver import SqliteQueue

from podium.base.errors import GitError
from podium.base.system.clock import SystemClock
from podium.git import process
from podium.git.objects import KEPT_BY_PODIUM
from podium.git.repo import Repository
from podium.records.layout import parse
from podium.records.upkeep import folding
from podium.records.writer import ResultsWriter


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[SqliteQueue]:
    made = SqliteQueue(tmp_path / "queue.db")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def few_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PACKS_FOLD": 6, "PACKS_URGENT": 10, "PACKS_MAX": 14, "_LOOK_AGAIN_S": 0.2}.items():
        monkeypatch.setattr(folding, name, value)


@contextlib.asynccontextmanager
async def writing(tmp_path: Path, queue: SqliteQueue, clock: Any) -> AsyncIterator[ResultsWriter]:
    """A writer whose every batch is two executions, a pack each."""
    with Repository.init_bare(tmp_path / "results.git") as repository:
        writer = ResultsWriter(queue=queue, repository=repository, instance="test", clock=clock, batch_files_max=4, batch_wait_s=0.0)
        task = asyncio.create_task(writer.run())
        try:
            yield writer
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def check(tmp_path: Path, made: list[str]) -> None:
    with Repository.open(tmp_path / "results.git") as repository:
        places = [place for path in repository.files("refs/heads/results", "executions") if (place := parse(path)) and place.kind == "json"]
        assert sorted(place.execution_id for place in places) == sorted(made)
        repository.fsck()


async def test_writing_waits_for_a_folding_that_is_far_behind(tmp_path: Path, queue: SqliteQueue, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [queue.add_execution() for _ in range(80)]
    seen: list[tuple[int, bool]] = []
    real = Repository.tidy

    def slow(self: Repository, *, packs_max: int, urgent: bool) -> bool:
        before = -1
        while (now := self.packs()) != before or (not seen and now < 14):  # as long as the writer goes on
            before = now
            subprocess.run(["sleep", "0.3"], check=True)
        seen.append((before, urgent))
        return real(self, packs_max=packs_max, urgent=urgent)

    monkeypatch.setattr(Repository, "tidy", slow)
    async with writing(tmp_path, queue, clock) as writer:
        assert await writer.drain(timeout_s=60)
    assert max(packs for packs, _ in seen) in (14, 15)
    check(tmp_path, made)


async def test_a_polite_folding_that_writing_waits_for_is_ended_and_an_urgent_one_takes_its_place(
    tmp_path: Path, queue: SqliteQueue, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a folding at low priority may get no time at all."""
    asked: list[bool] = []
    real = process.run_program

    def run_program(command: Sequence[str], **options: Any) -> process.Done:
        if "repack" in command:
            asked.append("nice" not in command)
            if "nice" in command:
                command = ["sleep", "600"]
        return real(command, **options)

    monkeypatch.setattr(process, "run_program", run_program)
    monkeypatch.setattr(folding, "PACKS_URGENT", folding.PACKS_MAX)  # the first is a polite one, however quick the writer is
    made = [queue.add_execution() for _ in range(60)]
    async with writing(tmp_path, queue, clock) as writer:
        assert await writer.drain(timeout_s=60)
        assert (await writer.status()).error is None
    assert asked[:2] == [False, True]
    check(tmp_path, made)


async def test_a_folding_that_fails_is_told_and_holds_up_nothing(tmp_path: Path, queue: SqliteQueue, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [queue.add_execution() for _ in range(60)]
    full = [True]
    real = Repository.tidy

    def tidy(self: Repository, *, packs_max: int, urgent: bool) -> bool:
        if full[0]:
            raise GitError("git repack failed: No space left on device", hint="free some disk space", reason="disk-full")
        return real(self, packs_max=packs_max, urgent=urgent)

    monkeypatch.setattr(Repository, "tidy", tidy)
    async with writing(tmp_path, queue, clock) as writer:
        assert await writer.drain(timeout_s=60)
        async with asyncio.timeout(60):
            while "No space left" not in str((await writer.status()).error):
                await asyncio.sleep(0.05)
            full[0] = False
            while (await writer.status()).error is not None:
                await asyncio.sleep(0.05)
        assert writer._folding.packs < 14
    with Repository.open(tmp_path / "results.git") as repository:
        assert repository.packs() < 14
    check(tmp_path, made)


async def test_gc_by_a_person_at_the_same_time_loses_nothing(tmp_path: Path, queue: SqliteQueue, clock: Any) -> None:
    made: list[str] = []
    async with writing(tmp_path, queue, clock) as writer:
        for _ in range(4):
            made += [queue.add_execution() for _ in range(30)]
            writer.wake()
            gc = await asyncio.create_subprocess_exec("git", "--git-dir", str(tmp_path / "results.git"), "gc", "--quiet", stderr=asyncio.subprocess.DEVNULL)
            await gc.wait()
        assert await writer.drain(timeout_s=60)
    check(tmp_path, made)


def some_packs(repository: Repository) -> None:
    parent = None
    for number in range(8):
        parent = repository.commit(
            ref="refs/heads/results", parent=parent, changes={f"f{number}": b"%d" % number}, message="m", at=SystemClock().now()
        )


def test_a_commit_that_no_ref_holds_yet_survives_any_repack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that keeps nothing unreachable: the objects of a commit under way are not garbage."""
    with Repository.init_bare(tmp_path / "results.git") as repository:
        some_packs(repository)
        real = repository.update_refs

        def update_refs(moves: Any) -> None:
            subprocess.run(["git", "--git-dir", str(repository.git_dir), "gc", "--quiet", "--prune=now"], check=True)
            real(moves)

        monkeypatch.setattr(repository, "update_refs", update_refs)
        tip = repository.resolve("refs/heads/results")
        repository.commit(ref="refs/heads/results", parent=tip, changes={"new": b"new"}, message="m", at=SystemClock().now())
        assert repository.read_path("refs/heads/results", "new") == b"new"
        repository.fsck()


def test_folding_and_gc_leave_each_other_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Repository.init_bare(tmp_path / "results.git") as repository:
        some_packs(repository)
        asked: list[str] = []
        real = process.run_program

        def run_program(command: Sequence[str], **options: Any) -> process.Done:
            if "repack" in command:
                gc = subprocess.run(["git", "--git-dir", str(repository.git_dir), "gc"], check=False, capture_output=True, text=True)
                asked.append(gc.stderr)
            return real(command, **options)

        monkeypatch.setattr(process, "run_program", run_program)
        holder = repository.git_dir / "gc.pid"
        with subprocess.Popen(["sleep", "600"]) as somebody:
            holder.write_text(f"{somebody.pid} {socket.gethostname()}")
            assert not repository.tidy(packs_max=5)
            somebody.kill()
        assert repository.tidy(packs_max=5)
        assert len(asked) == 1
        assert "gc is already running" in asked[0]
        assert not holder.exists()
        repository.fsck()


def test_what_a_killed_folding_left_does_not_end_all_folding(tmp_path: Path) -> None:
    """A git child that was killed alone (out of memory) leaves its lock and half a pack, while the daemon lives on."""
    with Repository.init_bare(tmp_path / "results.git") as repository:
        some_packs(repository)
        packs = repository.git_dir / "objects" / "pack"
        young, old = packs / "tmp_pack_young", packs / ".tmp-123-pack-old"
        lock = packs / "multi-pack-index.lock"
        for path in (young, old, lock):
            path.write_bytes(b"half")
        for path in (old, lock):
            os.utime(path, (1, 1))
        assert repository.tidy(packs_max=5)
        assert young.exists()
        assert not old.exists()
        assert not lock.exists()
        assert repository.packs() < 5
        repository.fsck()


def test_what_a_killed_daemon_marked_is_free_again_at_the_next_start(tmp_path: Path) -> None:
    with Repository.init_bare(tmp_path / "results.git") as repository:
        some_packs(repository)
        ours, theirs = sorted((repository.git_dir / "objects" / "pack").glob("*.pack"))[:2]
    ours.with_suffix(".keep").write_text(KEPT_BY_PODIUM)
    theirs.with_suffix(".keep").write_text("never lose this\n")
    holder = repository.git_dir / "gc.pid"
    holder.write_text(f"{os.getpid()} {socket.gethostname()}")
    with Repository.init_bare(tmp_path / "results.git"):
        assert not holder.exists()
        assert not ours.with_suffix(".keep").exists()
        assert theirs.with_suffix(".keep").exists()

