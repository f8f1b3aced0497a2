"""The results writer with real git: nothing lost, nothing twice, nothing forced, whatever the remote does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import records_driver
from records_driver import SqliteQueue

from podium.base.errors import GitError, StoreError
from podium.git import remote as remote_module
from podium.git.remote import is_local
from podium.git.repo import Repository
from podium.records import branch as branch_module
from podium.records import writer as writer_module
from podium.records.layout import parse
from podium.records.writer import ResultsWriter

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RESULTS = "refs/heads/results"


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Repository]:
    with Repository.init_bare(tmp_path / "remote.git") as made:
        yield made


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[SqliteQueue]:
    made = SqliteQueue(tmp_path / "queue.db")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_RETRY_S", 0.05)
    monkeypatch.setattr(writer_module, "_REFUSED_RETRY_S", 0.05)


@contextlib.asynccontextmanager
async def writing(tmp_path: Path, queue: SqliteQueue, remote_url: str | None, clock: Any, *, name: str = "results.git", **options: Any) -> AsyncIterator[ResultsWriter]:
    with Repository.init_bare(tmp_path / name) as repository:
        writer = ResultsWriter(queue=queue, repository=repository, instance=options.pop("instance", "test"), clock=clock, remote_url=remote_url, **options)
        task = asyncio.create_task(writer.run())
        try:
            yield writer
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        await asyncio.sleep(0.02)


def records(repository: Repository, ref: str = RESULTS) -> list[str]:
    """Ids of the records in the branch, each as often as it is there."""
    if repository.resolve(ref) is None:
        return []
    places = [parse(path) for path in repository.files(ref, "executions")]
    return sorted(place.execution_id for place in places if place and place.kind == "json" and place.amend == 0)


async def test_what_waited_long_for_a_remote_has_longer_to_get_there(
    tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push of very much that is ended each time after the time of a small one would never succeed."""
    monkeypatch.setattr(branch_module, "_FILES_A_SECOND", 2)
    given: list[float] = []
    real = remote_module.push

    def push(*arguments: Any, **options: Any) -> None:
        given.append(options["timeout_s"])
        if len(given) == 1:
            raise GitError("away", hint="come back", reason="unreachable")
        real(*arguments, **options)

    monkeypatch.setattr(remote_module, "push", push)
    made = [queue.add_execution() for _ in range(10)]
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    assert records(remote) == sorted(made)
    assert given[-1] == remote_module.NETWORK_TIMEOUT_S + 10  # a record and its log each


async def test_records_reach_the_remote_with_words_and_trailers(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    ids = [queue.add_execution(), queue.add_execution(state="FAILED", flow="hourly")]
    queue.add("syncs/2026/01/02/" + "c" * 40 + ".json", b"{}\n", "sync")
    placed: list[str] = []

    async def committed(files: Any, _commit: str) -> None:
        placed.extend(file.path for file in files)

    async with writing(tmp_path, queue, str(remote.git_dir), clock, on_committed=committed) as writer:
        assert await writer.drain(timeout_s=60)
        status = await writer.status()
    assert records(remote) == sorted(ids)
    newest, root = remote.log(RESULTS, limit=5)
    assert newest.subject == "2 executions: 1 SUCCESS, 1 FAILED (etl.hourly); 1 sync"
    assert newest.trailers == {"Podium-Executions": "2", "Podium-Instance": "test"}
    assert newest.at == clock.now()
    assert root.subject == "Begin results"
    assert set(placed) | {"README.md"} == set(remote.files(RESULTS))
    assert (status.unpushed, status.error, status.commits) == (0, None, 1)
    remote.fsck()


async def test_nothing_is_left_to_do_twice_after_a_restart(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    """Killed between commit and mark: the same files come again and must not be committed again."""
    queue.add_execution()
    queue.add("state/kv/etl.json", b"{}\n", "state")
    rows = queue._db.execute("SELECT path, body, kind, summary, at FROM queue").fetchall()
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    tip = remote.resolve(RESULTS)
    queue._db.executemany("INSERT INTO queue (path, body, kind, summary, at) VALUES (?, ?, ?, ?, ?)", rows)
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    assert remote.resolve(RESULTS) == tip
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        queue.add_execution()
        queue._db.executemany("INSERT INTO queue (path, body, kind, summary, at) VALUES (?, ?, ?, ?, ?)", rows)
        writer.wake()
        assert await writer.drain(timeout_s=60)
    assert len(remote.log(RESULTS, limit=9)) == 3
    assert len(records(remote)) == 2


async def test_a_lost_local_clone_costs_nothing(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    """What was committed but not pushed is still in the queue."""
    first = queue.add_execution()
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    away = tmp_path / "away.git"
    remote.git_dir.rename(away)
    second = queue.add_execution()
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        await until(lambda: queue._db.execute("SELECT count(*) FROM queue WHERE commit_id IS NOT NULL").fetchone()[0] == 2)
        status = await writer.status()
        assert status.unpushed == 2
    subprocess.run(["rm", "-rf", str(tmp_path / "results.git")], check=True)
    away.rename(remote.git_dir)
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    assert records(remote) == sorted([first, second])
    assert len(remote.log(RESULTS, limit=9)) == 3


async def test_a_damaged_local_clone_is_put_aside(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    """A power cut can leave an empty ref; the queue and the remote have everything."""
    ids = [queue.add_execution()]
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    (tmp_path / "results.git" / "refs" / "heads" / "results").write_bytes(b"")
    ids.append(queue.add_execution())
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    assert records(remote) == sorted(ids)
    assert (tmp_path / "results.git.damaged").is_dir()


async def test_a_remote_that_is_away_is_told_and_caught_up_with(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    """Also with a foreign commit pushed meanwhile and the writer restarted: everything arrives once, nothing is forced."""
    queue.add_execution()
    url = str(remote.git_dir)
    async with writing(tmp_path, queue, url, clock) as writer:
        assert await writer.drain(timeout_s=60)
        away = tmp_path / "away.git"
        remote.git_dir.rename(away)
        for _ in range(30):
            queue.add_execution()
            writer.wake()
            await asyncio.sleep(0.005)
        await until(lambda: not queue._db.execute("SELECT 1 FROM queue WHERE commit_id IS NULL").fetchone())
        await until(lambda: bool(writer._errors))
        clock.advance(90)
        status = await writer.status()
        assert status.unpushed == 60
        assert status.error
        assert "no repository" in status.error
    with Repository.open(away) as there:
        base = there.resolve(RESULTS)
        theirs = there.commit(ref=RESULTS, parent=base, changes={"NOTES.md": b"by hand\n"}, message="A person's note", at=AT)
    async with writing(tmp_path, queue, url, clock) as writer:
        queue.add_execution()
        writer.wake()
        await asyncio.sleep(0.2)
        away.rename(remote.git_dir)
        assert await writer.drain(timeout_s=30)
        assert (await writer.status()).error is None
    remote.close()
    assert len(records(remote)) == len(set(records(remote))) == 32
    assert remote.is_ancestor(theirs, RESULTS)
    assert remote.read_path(RESULTS, "NOTES.md") == b"by hand\n"
    remote.fsck()


async def test_a_foreign_commit_between_two_pushes_is_built_upon(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    async with writing(tmp_path, queue, str(remote.git_dir), clock, push_interval_s=0.0) as writer:
        ids = []
        for number in range(6):
            ids.append(queue.add_execution())
            writer.wake()
            assert await writer.drain(timeout_s=60)
            remote.commit(ref=RESULTS, parent=remote.resolve(RESULTS), changes={f"notes/{number}": b"x"}, message=f"Note {number}", at=AT)
    assert records(remote) == sorted(ids)
    assert len(remote.files(RESULTS, "notes")) == 6
    assert all(len(info.parents) == 1 for info in remote.log(RESULTS, limit=50)[:-1])


async def test_a_hook_that_refuses_loses_nothing(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    hook = remote.git_dir / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho quota reached >&2\nexit 1\n")
    hook.chmod(0o755)
    ids = [queue.add_execution() for _ in range(3)]
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        await until(lambda: "push" in writer._errors)
        status = await writer.status()
        assert status.error
        assert "quota reached" in status.error
        assert status.hint
        assert status.unpushed == 6
        assert records(remote) == []
        hook.unlink()
        assert await writer.drain(timeout_s=60)
        assert (await writer.status()).error is None
    assert records(remote) == sorted(ids)


async def test_two_writers_share_one_branch(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    """Each puts its commits on the other's; the history stays a line and every record is there once."""
    other = SqliteQueue(tmp_path / "other.db")
    ids = []
    async with (
        writing(tmp_path, queue, str(remote.git_dir), clock, instance="a", name="a.git") as one,
        writing(tmp_path, other, str(remote.git_dir), clock, instance="b", name="b.git") as two,
    ):
        for _ in range(40):
            ids += [queue.add_execution(), other.add_execution()]
            one.wake()
            two.wake()
            await asyncio.sleep(0.02)
        assert await one.drain(timeout_s=30)
        assert await two.drain(timeout_s=30)
    other.close()
    assert records(remote) == sorted(ids)
    history = remote.log(RESULTS, limit=1_000)
    assert all(len(info.parents) <= 1 for info in history)
    assert sum(int(info.trailers["Podium-Executions"]) for info in history) == 80
    assert {info.trailers["Podium-Instance"] for info in history} == {"a", "b"}
    remote.fsck()


async def test_a_rewritten_remote_does_not_get_back_what_was_removed(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    """Somebody purged a record from the history by force: only what is new is added."""
    purged = queue.add_execution()
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
        rewritten = remote.commit(ref="refs/heads/other", parent=None, changes={"README.md": b"clean"}, message="Purged", at=AT)
        remote.update_ref(RESULTS, rewritten)
        kept = queue.add_execution()
        writer.wake()
        assert await writer.drain(timeout_s=60)
    assert records(remote) == [kept]
    assert purged != kept
    assert remote.read_path(RESULTS, "README.md") == b"clean"


async def test_a_removed_branch_is_made_again_from_ours(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    ids = [queue.add_execution()]
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
        remote.update_ref(RESULTS, None)
        ids.append(queue.add_execution())
        writer.wake()
        assert await writer.drain(timeout_s=60)
    assert records(remote) == sorted(ids)


async def test_a_new_machine_continues_the_branch(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    first = queue.add_execution()
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    amended = queue.add_execution(execution_id=first, amend=1, state="FAILED")
    second = queue.add_execution()
    async with writing(tmp_path, queue, str(remote.git_dir), clock, name="elsewhere.git") as writer:
        assert await writer.drain(timeout_s=60)
    assert amended == first
    assert records(remote) == sorted([first, second])
    assert len(remote.log(RESULTS, limit=9)) == 3


async def test_months_have_a_branch_each_and_name_the_one_before(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    url = str(remote.git_dir)
    queue.add_execution()
    queue.add("state/kv/etl.json", b'{"a":1}\n', "state")
    async with writing(tmp_path, queue, url, clock, rotate="monthly") as writer:
        assert await writer.drain(timeout_s=60)
        clock.set(datetime(2026, 2, 1, 0, 0, 1, tzinfo=UTC))
        queue.add_execution()
        writer.wake()
        assert await writer.drain(timeout_s=60)
    january = remote.resolve("refs/heads/results/2026-01")
    newest, root = remote.log("refs/heads/results/2026-02", limit=5)
    assert newest.trailers["Podium-Executions"] == "1"
    assert root.parents == ()
    assert root.trailers["Podium-Previous"] == f"results/2026-01 {january} 1"
    assert remote.read_path("refs/heads/results/2026-02", "state/kv/etl.json") == b'{"a":1}\n'
    clock.set(datetime(2026, 3, 1, tzinfo=UTC))
    queue.add_execution()
    async with writing(tmp_path, queue, url, clock, rotate="monthly", name="new-machine.git") as writer:
        assert await writer.drain(timeout_s=60)
    assert remote.log("refs/heads/results/2026-03", limit=5)[-1].trailers["Podium-Previous"].startswith("results/2026-02 ")


async def test_a_branch_in_the_way_of_periods_is_told_with_the_way_out(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    queue.add_execution()
    async with writing(tmp_path, queue, str(remote.git_dir), clock) as writer:
        assert await writer.drain(timeout_s=60)
    queue.add_execution()
    async with writing(tmp_path, queue, str(remote.git_dir), clock, rotate="monthly", name="new.git") as writer:
        await until(lambda: "start" in writer._errors)
        status = await writer.status()
        assert status.hint
        assert "podium results rotate" in status.hint
        assert (await queue.unpushed())[0] == 2


async def test_a_network_remote_is_pushed_to_at_most_at_its_pace(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any) -> None:
    async with writing(tmp_path, queue, str(remote.git_dir), clock, push_interval_s=1.0) as writer:
        started = time.monotonic()
        while time.monotonic() - started < 1.6 or not (await writer.status()).pushes:
            assert time.monotonic() - started < 60, "nothing is pushed"
            queue.add_execution()
            writer.wake()
            await asyncio.sleep(0.05)
        pushes = (await writer.status()).pushes
        assert 1 <= pushes <= 2 + (time.monotonic() - started), "one each second"
        assert await writer.drain(timeout_s=60)
    assert not any(is_local(url) for url in ("https://x/y.git", "ssh://x/y", "git@x:y.git", "host:y"))
    assert all(is_local(url) for url in ("/srv/x.git", "file:///srv/x.git", "./x:y", "x"))


async def test_without_a_remote_results_stay_here(tmp_path: Path, queue: SqliteQueue, clock: Any) -> None:
    made = queue.add_execution()
    async with writing(tmp_path, queue, None, clock) as writer:
        assert await writer.drain(timeout_s=60)
    with Repository.open(tmp_path / "results.git") as repository:
        assert records(repository) == [made]


async def test_a_path_that_git_cannot_hold_stops_nothing(tmp_path: Path, queue: SqliteQueue, clock: Any) -> None:
    queue.add("state/../../etc/passwd", b"x", "state")
    made = queue.add_execution()
    async with writing(tmp_path, queue, None, clock) as writer:
        assert await writer.drain(timeout_s=60)
    with Repository.open(tmp_path / "results.git") as repository:
        assert records(repository) == [made]
        assert len(repository.files(RESULTS, "misplaced")) == 1


async def test_a_full_disk_keeps_everything_queued(tmp_path: Path, queue: SqliteQueue, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, full = os.fsync, [False]

    def fsync(handle: int) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr("podium.git.objects.os.fsync", fsync)
    async with writing(tmp_path, queue, None, clock) as writer:
        full[0] = True
        made = queue.add_execution()
        writer.wake()
        await until(lambda: "commit" in writer._errors)
        assert "No space left" in str((await writer.status()).error)
        full[0] = False
        assert await writer.drain(timeout_s=60)
    with Repository.open(tmp_path / "results.git") as repository:
        assert records(repository) == [made]


async def test_a_journal_that_cannot_be_written_at_the_start_is_waited_for(tmp_path: Path, queue: SqliteQueue, clock: Any) -> None:
    made, real, full = queue.add_execution(), queue.reopen, [True]

    async def reopen() -> int:
        if full[0]:
            raise StoreError("database or disk is full", hint="free some")
        return await real()

    queue.reopen = reopen  # type: ignore[method-assign]
    async with writing(tmp_path, queue, None, clock) as writer:
        await until(lambda: "reopen" in writer._errors)
        full[0] = False
        assert await writer.drain(timeout_s=60)
        assert (await writer.status()).error is None
    with Repository.open(tmp_path / "results.git") as repository:
        assert records(repository) == [made]


def descendants(pid: int) -> list[int]:
    """Ids of the processes that a process started, and they."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, todo = [], [pid]
    while todo:
        found += (below := children.get(todo.pop(), []))
        todo += below
    return found


def _lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("with_remote", [True, False])
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, remote: Repository, queue: SqliteQueue, clock: Any, with_remote: bool) -> None:
    """kill -9 at random moments, over and over on the same files; then every acknowledged execution is in the branch, once."""
    url = str(remote.git_dir) if with_remote else ""
    ledger = tmp_path / "acknowledged"
    arguments = [str(tmp_path / "queue.db"), str(tmp_path / "results.git"), url, str(ledger)]
    chance = random.Random(7)
    for number in range(8):
        child = subprocess.Popen([sys.executable, records_driver.__file__, *arguments], start_new_session=True, stderr=subprocess.DEVNULL)
        before, give_up_at = _lines_of(ledger), time.monotonic() + 60
        while _lines_of(ledger) < before + 10:  # it works: on a busy machine that takes a while
            assert time.monotonic() < give_up_at
            assert child.poll() is None
            time.sleep(0.02)
        time.sleep(chance.random() * 0.7)
        # Every second time git's own processes die too, as in a power cut; else they live on for a moment.
        for pid in [child.pid, *(descendants(child.pid) if number % 2 else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.wait()
    acknowledged = ledger.read_text().split()
    assert len(acknowledged) >= 80

    async def finish() -> None:
        async with writing(tmp_path, queue, url or None, clock) as writer:
            assert await writer.drain(timeout_s=60)

    asyncio.run(finish())
    with Repository.open(remote.git_dir if with_remote else tmp_path / "results.git") as repository:
        found = records(repository)
        assert len(found) == len(set(found))
        assert set(acknowledged) <= set(found)
        repository.fsck()
    for left in ("*.lock", "tmp_*"):
        assert not [path for path in (tmp_path / "results.git").rglob(left) if path.name != "podium.lock"]
