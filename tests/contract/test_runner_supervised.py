"""What containers under podium-supervise promise beyond the contract: what is the supervisor's stays hidden, nothing passes from task to task."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker.types
import pytest
from remote_house import docker_runner

from conftest import absent
from podium.base.errors import LimitError
from podium.base.system.ids import new_id
from podium.runners.docker.runner import DockerRunner
from podium.runners.docker.supervised import slots
from podium.runners.native import programs
from podium.runners.port import Finished, Job, Line

pytestmark = pytest.mark.docker
MIB = 1024 * 1024
INSTANCE = f"bench-supervised-{os.getpid()}"


class Sink:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.at: str | None = None

    async def lines(self, lines: Sequence[Line], *, cursor: str | None) -> None:
        self.texts += [line.text for line in lines]
        self.at = cursor or self.at

    async def cursor(self) -> str | None:
        return self.at


class Bench:
    def __init__(self, home: Path, image: str, engine: Any) -> None:
        self.home, self.image, self.engine = home, image, engine
        self.runners: list[DockerRunner] = []

    def runner(self, kind: str = "supervised") -> DockerRunner:
        self.runners.append(docker_runner(kind, INSTANCE, self.home))
        return self.runners[-1]

    def job(self, script: str, *, image: str | None = None, argv: Sequence[str] = (), **extra: Any) -> Job:
        attempt_id = new_id()
        base = self.home / "attempts" / attempt_id
        for name in ("work", "results"):
            (base / name).mkdir(parents=True)
        argv = argv or ["/bin/sh", "-c", script]
        return Job(attempt_id=attempt_id, argv=argv, directory=base / "work", results=base / "results", image=image or self.image, **extra)

    async def run(self, script: str, *, runner: DockerRunner | None = None, **extra: Any) -> tuple[Finished, Sink]:
        sink, runner, job = Sink(), runner or self.runner(), self.job(script, **extra)
        finished = await runner.run(job, sink)
        assert (self.home / "attempts" / job.attempt_id / "container" / "claim").exists(), "it ran without its supervisor"
        return finished, sink

    def ours(self) -> list[Any]:
        found: list[Any] = self.engine.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.instance={INSTANCE}"})
        return found

    async def parked(self, runner: DockerRunner, **extra: Any) -> None:
        """Run tasks until a container waits for the next one."""
        for _ in range(2):
            await self.run("true", runner=runner, **extra)
        async with asyncio.timeout(60):
            while not [each for each in self.ours() if each.name.startswith("podium-waiting-") and each.status == "running"]:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)


@pytest.fixture
async def bench(docker_engine: Any, images: Mapping[str, str], tmp_path: Path, transfer_program: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, images["busybox"], docker_engine)
    yield made
    for runner in made.runners:
        await runner.close()
        await runner.reap(set())
    last = made.runner()
    await last.reap(set())
    await last.close()
    assert not made.ours()


async def test_nothing_of_a_task_is_there_for_the_next(bench: Bench) -> None:
    runner = bench.runner("pooled")
    await bench.parked(runner)
    leave = "echo x > /tmp/left; echo x > left; echo x > /dev/shm/left; echo x > /podium/out/left; (setsid sleep 301 &); echo $LEFT; hostname"
    _, first = await bench.run(leave, runner=runner, env={"LEFT": "left-by-one"})
    look = "ls /tmp /podium/work /podium/out /podium/private /dev/shm; ps | grep 'sleep 30[1]'; env | grep LEFT; hostname"
    _, second = await bench.run(look, runner=runner)
    assert first.texts[0] == "left-by-one"
    assert not [text for text in second.texts if "left" in text.lower() or "sleep" in text]
    assert first.texts[-1] != second.texts[-1]


async def test_what_is_the_supervisors_cannot_be_seen(bench: Bench) -> None:
    script = (
        "ls -A /.podium | wc -l; cat /proc/1/environ 2>&1 | grep -c 's3cret'; ls /proc/self/fd; "
        "for each in /proc/1/fd/*; do (echo 'ended {}' >> $each) 2>/dev/null && echo forged; done; "
        "kill -9 1; kill -STOP 1; echo alive"
    )
    job, sink, runner = bench.job(script, env={"TOKEN": "s3cret"}), Sink(), bench.runner()
    await runner.run(job, sink)
    assert sink.texts == ["0", "0", "0", "1", "2", "3", "alive"]
    seen = [bench.engine.api.inspect_container(each.id) for each in bench.ours()]
    assert seen
    assert "s3cret" not in json.dumps(seen)


async def test_an_image_without_a_shell_works(bench: Bench) -> None:
    program = programs.supervise()
    assert program is not None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(program, "program")
    tag = f"podium.local/scratch:{os.getpid()}"
    bench.engine.api.import_image_from_data(buffer.getvalue(), repository=tag.partition(":")[0], tag=tag.partition(":")[2])
    try:
        finished, sink = await bench.run("", image=tag, argv=["/program"])
        assert (finished.exit_code, sink.texts) == (64, ["podium-transfer: usage: podium-supervise SOCKET OUTPUT_BYTES_MAX"])
    finally:
        for each in bench.runners:
            await each.reap(set())
        bench.engine.images.remove(tag, force=True)


@pytest.mark.parametrize("user", ["1000", "1000:1000", "nobody"])
async def test_a_user_without_rights_owns_its_files(bench: Bench, user: str) -> None:
    job = bench.job("id -u; cat in.txt; echo more >> in.txt && echo x > new && echo written; touch /.podium/x 2>/dev/null; ls -A /.podium", options={"user": user})
    (job.directory / "in.txt").write_text("given\n")
    sink = Sink()
    finished = await bench.runner().run(job, sink)
    assert finished.exit_code == 0
    assert sink.texts == ["1000" if user != "nobody" else "65534", "given", "written"]


async def test_an_entry_point_of_the_task_is_kept(bench: Bench) -> None:
    _, sink = await bench.run("", argv=["a b"], options={"entryPoint": ["/bin/echo", "says"]})
    assert sink.texts == ["says a b"]


async def test_memory_that_runs_out_is_told(bench: Bench) -> None:
    finished, _ = await bench.run("x=a; while :; do x=$x$x; done", options={"memory": {"memory": "20MB"}})
    assert finished.exit_code != 0
    assert finished.oom_killed
    finished, _ = await bench.run("(x=a; while :; do x=$x$x; done); exit 0", options={"memory": {"memory": "20MB"}})
    assert (finished.exit_code, finished.oom_killed) == (0, True)


async def test_output_without_end_is_ended_though_nobody_reads(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "COMMAND_OUTPUT_BYTES_MAX", 1_000_000)
    with pytest.raises(LimitError):
        await bench.run("yes")


async def test_a_full_disk_holds_the_command_up_and_loses_nothing(bench: Bench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(disk)], capture_output=True, check=False).returncode != 0:
        absent("no file system can be mounted here (root is needed)")
    try:
        bench.home = disk
        job, sink, runner = bench.job("echo ready; sleep 1; seq 100000 399999; echo end; exit 3"), Sink(), bench.runner()
        running = asyncio.ensure_future(runner.run(job, sink))
        async with asyncio.timeout(60):
            while not sink.texts:
                await asyncio.sleep(0.05)
            (disk / "ballast").write_bytes(bytes(5 * MIB))
            while len(sink.texts) < 2:
                await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            assert not running.done()
            (disk / "ballast").unlink()
            assert (await running).exit_code == 3
        assert sink.texts == ["ready", *map(str, range(100000, 400000)), "end"]
        await runner.release(job.attempt_id)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


async def test_forks_without_end_and_closed_streams_do_no_harm(bench: Bench) -> None:
    finished, sink = await bench.run("exec 1>&- 2>&-; f() { f & f & }; f; sleep 1; exit 5")
    assert (finished.exit_code, sink.texts) == (5, [])


async def test_a_background_child_that_holds_stdout_holds_nobody_up(bench: Bench) -> None:
    finished, sink = await asyncio.wait_for(bench.run("sleep 300 & echo done; exit 3"), 60)
    assert (finished.exit_code, sink.texts) == (3, ["done"])


async def test_a_supervisor_that_cannot_run_leaves_plain_containers(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no program")
    monkeypatch.setattr(programs, "supervise", lambda arch=None: broken)
    job, sink, runner = bench.job("echo plain"), Sink(), bench.runner()
    assert (await runner.run(job, sink)).exit_code == 0
    assert sink.texts == ["plain"]
    assert not (bench.home / "attempts" / job.attempt_id / "container").exists()


async def test_a_home_that_the_engine_cannot_see_is_tried_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(docker.types.Mount):  # type: ignore[misc]
        def __init__(self, target: str, source: str, **options: Any) -> None:
            super().__init__(target, f"{source}-elsewhere", **options)

    tries: list[str] = []
    real = slots.make

    async def counted(*given: Any, **named: Any) -> slots.Slot:
        tries.append(named["name"])
        return await real(*given, **named)

    monkeypatch.setattr(docker.types, "Mount", Elsewhere)
    monkeypatch.setattr(slots, "make", counted)
    runner = bench.runner("pooled")
    for _ in range(3):
        job, sink = bench.job("echo plain"), Sink()
        assert (await asyncio.wait_for(runner.run(job, sink), 20)).exit_code == 0
        assert sink.texts == ["plain"]
        assert not (bench.home / "attempts" / job.attempt_id / "container").exists()
    assert len(tries) == 1
    assert not list((bench.home / "slots").iterdir())


async def test_what_waits_ends_with_its_daemon_and_is_reaped(bench: Bench) -> None:
    runner = bench.runner("pooled")
    await bench.parked(runner)
    assert runner._supervision is not None
    pool = runner._supervision._pool
    assert pool._tending is not None
    pool._tending.cancel()
    await asyncio.gather(*pool._works, return_exceptions=True)  # one that is being made will wait too
    waiting = [slot for kind in pool._kinds.values() for slot in kind.ready]
    assert await runner.reap(set()) > 0
    assert {each.id for each in bench.ours()} >= {slot.container for slot in waiting}, "the pool is not reaped by its own daemon"
    for slot in waiting:
        slot.connection.close()
    pool._kinds.clear()
    async with asyncio.timeout(60):
        while [each for each in bench.ours() if each.status == "running"]:
            await asyncio.sleep(0.1)
    assert await bench.runner().reap(set()) == len(waiting)
    assert not bench.ours()
