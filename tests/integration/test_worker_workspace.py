"""The shared directory of a WorkingDirectory: what is in it, what is kept of it, its cache, and crashes at every point."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import PodiumError, StorageError
from podium.base.system.clock import SystemClock

sys.path.insert(0, str(Path(__file__).parent))
from worker_bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "home")
    yield made
    await made.close()


def folder(bench: Bench, work: Any) -> Path:
    return bench.home / "workspaces" / work.task_run_id / "files"


async def run(bench: Bench, work: Any, *commands: str) -> list[str]:
    task = bench.task("scripts.shell.Commands", commands=list(commands))
    ended, journal = await bench.run(task, shared_directory=work.task_run_id)
    assert ended.state == "SUCCESS", journal.texts()
    return journal.texts("INFO")


async def test_inputs_and_namespace_files_come_in_and_outputs_go_out(bench: Bench) -> None:
    (bench.repository / "lib").mkdir()
    (bench.repository / "lib/a.sh").write_text("echo from lib\n")
    (bench.repository / "other.txt").write_text("unwanted")
    work = bench.workspace(
        input_files={"in/{{ inputs.name }}.txt": "hello {{ inputs.name }}"}, namespace_files={"include": ["lib/**"]},
        output_files=["out/{{ inputs.name }}*", "*.md"], variables={"inputs": {"name": "n"}},
    )
    await bench.worker.open_workspace(work)
    assert await run(bench, work, "cat in/n.txt; echo; sh lib/a.sh; ls", "mkdir out; echo 1 > out/n1.csv; echo 2 > x.md") == [
        "hello n", "from lib", "in", "lib",
    ]
    outputs = await bench.worker.close_workspace(work, collect=True)
    assert {name: bench.stored(uri) for name, uri in outputs["outputFiles"].items()} == {"out/n1.csv": b"1\n", "x.md": b"2\n"}
    assert not folder(bench, work).exists()


async def test_input_files_may_be_a_json_text(bench: Bench) -> None:
    work = bench.workspace(input_files="{{ inputs.files }}", variables={"inputs": {"files": '{"a.txt": "A"}'}})
    await bench.worker.open_workspace(work)
    assert await run(bench, work, "cat a.txt") == ["A"]
    await bench.worker.close_workspace(work, collect=False)
    with pytest.raises(PodiumError, match="inputFiles"):
        await bench.worker.open_workspace(bench.workspace(input_files="not json"))
    with pytest.raises(PodiumError):
        await bench.worker.open_workspace(bench.workspace(input_files={"../x": "y"}))


async def test_opening_and_closing_again_changes_nothing(bench: Bench) -> None:
    """After a crash the conductor repeats both: the files must stay, and the outputs be the same."""
    work = bench.workspace(input_files={"a.txt": "A"}, output_files=["*.txt"])
    await bench.worker.open_workspace(work)
    await run(bench, work, "echo B > a.txt")
    await bench.worker.open_workspace(work)
    assert await run(bench, work, "cat a.txt") == ["B"]
    first = await bench.worker.close_workspace(work, collect=True)
    assert await bench.worker.close_workspace(work, collect=True) == first
    assert bench.stored(first["outputFiles"]["a.txt"]) == b"B\n"


@pytest.mark.parametrize("asked_again", [True, False])
async def test_what_a_crash_left_of_a_closed_workspace_goes(bench: Bench, asked_again: bool) -> None:
    work = bench.workspace(input_files={"a.txt": "A"}, output_files=["*.txt"])
    await bench.worker.open_workspace(work)
    first = await bench.worker.close_workspace(work, collect=True)
    base = folder(bench, work).parent
    folder(bench, work).mkdir()
    (folder(bench, work) / "a.txt").write_text("A")
    (base / "ready.json").write_text("{}")
    if asked_again:
        assert await bench.worker.close_workspace(work, collect=True) == first
    else:
        await bench.worker.reap(set())
    assert [path.name for path in base.iterdir()] == ["outputs.json"]


async def test_a_half_open_workspace_is_begun_anew(bench: Bench) -> None:
    work = bench.workspace(input_files={"a.txt": "A"})
    folder(bench, work).mkdir(parents=True)
    (folder(bench, work) / "half.txt").write_text("left by a crash")
    await bench.worker.open_workspace(work)
    assert await run(bench, work, "ls") == ["a.txt"]


async def test_nothing_of_it_stays_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = bench.workspace(), bench.workspace()
    for work in (first, second):
        await bench.worker.open_workspace(work)
    await bench.worker.close_workspace(first)
    assert (folder(bench, first).parent / "outputs.json").exists()
    monkeypatch.setattr("podium.workers.worker._CLOSED_KEPT", timedelta(seconds=-1))
    await bench.worker.close_workspace(second)
    assert not folder(bench, first).parent.exists()


async def test_a_workspace_that_vanished_is_said_to_be(bench: Bench) -> None:
    with pytest.raises(StorageError, match="gone"):
        await bench.worker.close_workspace(bench.workspace(output_files=["*"]), collect=True)


async def test_links_give_no_foreign_file(bench: Bench) -> None:
    work = bench.workspace(output_files=["*"])
    await bench.worker.open_workspace(work)
    await run(bench, work, "ln -s /etc/hostname leak; echo x > ok; ln -s ok inner; ln -s /etc etc")
    outputs = await bench.worker.close_workspace(work, collect=True)
    assert sorted(outputs["outputFiles"]) == ["inner", "ok"]


async def test_input_files_do_not_follow_links_out(bench: Bench, tmp_path: Path) -> None:
    """A first task lays a link, a second one's inputFiles would write through it onto the host."""
    work = bench.workspace()
    await bench.worker.open_workspace(work)
    outside = tmp_path / "outside"
    outside.mkdir()
    await run(bench, work, f"ln -s {outside} way; ln -s {outside}/b.txt b.txt")
    for name in ("way/a.txt", "b.txt"):
        task = bench.task("scripts.shell.Commands", commands=["true"], input_files={name: "evil"})
        ended, _ = await bench.run(task, shared_directory=work.task_run_id)
        assert ended.state == "FAILED"
    assert list(outside.iterdir()) == []


class TestCache:
    """A cache is per task (and value of an iteration), saved when a matching file is new or changed, restored while it lives."""

    async def once(self, bench: Bench, *commands: str, value: str | None = None, **cache: Any) -> list[str]:
        variables = {"taskrun": {"value": value}} if value else {}
        work = bench.workspace(cache={"patterns": ["*.txt", "deps/**"], **cache}, variables=variables)
        await bench.worker.open_workspace(work)
        seen = await run(bench, work, *commands)
        await bench.worker.close_workspace(work, collect=True)
        return seen

    async def test_files_come_back_in_the_next_run(self, bench: Bench) -> None:
        make = "mkdir -p deps/x; echo 1 > a.txt; echo 2 > deps/x/b; echo 3 > other.md; chmod 755 a.txt; ls -A"
        await self.once(bench, make)
        assert await self.once(bench, "find . -type f | sort; test -x a.txt && cat a.txt") == ["./a.txt", "./deps/x/b", "1"]

    async def test_it_is_saved_again_only_when_something_changed(self, bench: Bench) -> None:
        await self.once(bench, "echo 1 > a.txt")
        uri = "kestra:///company/team/flow-one/dir/cache/cache.zip"
        saved = bench.stored(uri)
        await self.once(bench, "cat a.txt", "echo x > other.md")
        assert bench.stored(uri) == saved
        await self.once(bench, "echo 2 > a.txt")
        assert bench.stored(uri) != saved
        assert await self.once(bench, "cat a.txt") == ["2"]

    async def test_it_has_a_life_time(self, bench: Bench) -> None:
        await self.once(bench, "echo 1 > a.txt", ttl="PT1H")
        assert await self.once(bench, "ls", ttl="PT1H") == ["a.txt"]
        later = SystemClock().now() + timedelta(hours=2)
        bench.worker._clock = type("Later", (), {"now": lambda self: later})()
        assert await self.once(bench, "ls", ttl="PT1H") == []

    async def test_iterations_have_their_own(self, bench: Bench) -> None:
        await self.once(bench, "echo 1 > a.txt", value="one")
        assert await self.once(bench, "ls", value="two") == []
        assert await self.once(bench, "ls", value="one") == ["a.txt"]

    async def test_a_damaged_one_is_as_none(self, bench: Bench) -> None:
        await self.once(bench, "echo 1 > a.txt")
        bench.storage.put("kestra:///company/team/flow-one/dir/cache/cache.zip", b"not a zip")
        assert await self.once(bench, "ls") == []
