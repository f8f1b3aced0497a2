"""A task cannot tell whether its container is plain, supervised or out of the pool: each case has one right answer for all kinds."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from remote_house import docker_runner
from runner_house import Sink

from podium.base.system.ids import new_id
from podium.runners.docker.runner import DockerRunner
from podium.runners.port import Finished, Job

pytestmark = pytest.mark.docker
LONG_AGO = 1_000_000_000


class Alike:
    def __init__(self, kind: str, home: Path, image: str, engine: Any) -> None:
        self.kind, self.home, self.image, self.engine = kind, home, image, engine
        self.instance = f"alike-{kind}-{os.getpid()}"
        self.runner: DockerRunner = docker_runner(kind, self.instance, home)

    def job(self, script: str, **extra: Any) -> Job:
        attempt_id = new_id()
        base = self.home / "attempts" / attempt_id
        for name in ("work", "results", "private"):
            (base / name).mkdir(parents=True)
        given: dict[str, Any] = {"argv": ["/bin/sh", "-c", script], "image": self.image, **extra}
        return Job(attempt_id=attempt_id, directory=base / "work", results=base / "results", private=base / "private", **given)

    async def run(self, script: str, **extra: Any) -> tuple[Finished, dict[str, list[str]]]:
        return await self.run_job(self.job(script, **extra), Sink())

    async def run_job(self, job: Job, sink: Sink) -> tuple[Finished, dict[str, list[str]]]:
        await self._park(job)
        finished = await self.runner.run(job, sink)
        assert self.claimed(job) == (self.kind != "docker")
        return finished, {stream: [line.text for line in sink.kept if line.stream == stream] for stream in ("stdout", "stderr")}

    def claimed(self, job: Job) -> bool:
        return (self.home / "attempts" / job.attempt_id / "container" / "claim").exists()

    async def _park(self, job: Job) -> None:
        """Have a container of its kind wait for it, where that is what is tested."""
        if self.kind != "pooled" or self.runner._supervision is None:
            return
        for _ in range(2):
            await self.runner.run(self.job("true", options=job.options, image=job.image), Sink())
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                while not any(each.ready for each in self.runner._supervision._pool._kinds.values()):
                    await asyncio.sleep(0.05)


@pytest.fixture(params=["docker", "supervised", "pooled"])
async def alike(request: Any, docker_engine: Any, images: Mapping[str, str], tmp_path: Path, transfer_program: Path) -> AsyncIterator[Alike]:
    made = Alike(request.param, tmp_path, images["busybox"], docker_engine)
    yield made
    await made.runner.reap(set())
    await made.runner.close()  # after it, so that nothing is in their network any more


@pytest.mark.parametrize("user", ["root", "1000", "nobody"])
async def test_streams_may_be_opened_anew(alike: Alike, user: str) -> None:
    script = "echo a; echo b > /dev/stdout; echo c; echo d > /dev/stderr; echo e >&2; echo f >> /proc/self/fd/1; echo g | tee /dev/stderr"
    finished, printed = await alike.run(script, options={"user": user})
    assert finished.exit_code == 0
    assert printed == {"stdout": ["a", "b", "c", "f", "g"], "stderr": ["d", "e", "g"]}


async def test_both_streams_come_in_the_order_of_their_printing(alike: Alike) -> None:
    job, sink = alike.job("i=0; while [ $i -lt 15 ]; do echo $i; usleep 15000; echo $i >&2; usleep 15000; i=$((i+1)); done"), Sink()
    await alike.run_job(job, sink)
    assert [(line.stream, line.text) for line in sink.kept] == [(stream, str(number)) for number in range(15) for stream in ("stdout", "stderr")]


async def test_files_keep_their_times_their_modes_and_their_links(alike: Alike) -> None:
    script = (
        "stat -c '%a %Y %n' plain run.sh h1 ../private/given; stat -c '%a %n' open; test h1 -ef h2 && echo one; "
        "cat h2; echo; readlink link; ln run.sh again; touch -d @5 new"
    )
    job = alike.job(script, write_back=True)
    work = job.directory
    for name, mode in (("plain", 0o640), ("run.sh", 0o755), ("h1", 0o644)):
        (work / name).write_text(name)
        (work / name).chmod(mode)
        os.utime(work / name, (LONG_AGO, LONG_AGO))
    os.link(work / "h1", work / "h2")
    (work / "link").symlink_to("plain")
    (work / "open").mkdir()
    (work / "open").chmod(0o777)
    assert job.private is not None
    (job.private / "given").write_text("x")
    os.utime(job.private / "given", (LONG_AGO, LONG_AGO))
    _, printed = await alike.run_job(job, Sink())
    assert printed == {"stdout": [
        f"640 {LONG_AGO} plain", f"755 {LONG_AGO} run.sh", f"644 {LONG_AGO} h1", f"644 {LONG_AGO} ../private/given", "777 open", "one", "h1", "plain",
    ], "stderr": []}
    assert (work / "again").samefile(work / "run.sh")
    assert [int((work / name).stat().st_mtime) for name in ("plain", "new", "h2")] == [LONG_AGO, 5, LONG_AGO]
    assert (work / "link").is_symlink()


async def test_any_signal_reaches_the_command_as_the_stop_signal_of_its_image_does(alike: Alike) -> None:
    finished, printed = await alike.run("trap 'echo got; exit 3' USR1; kill -USR1 1; i=0; while [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done")
    assert (finished.exit_code, printed["stdout"]) == (3, ["got"])


async def test_the_process_has_what_every_container_gives_it(alike: Alike) -> None:
    script = (
        "grep -E 'SigBlk|SigIgn|CapEff|CapBnd|NoNewPrivs|Seccomp:|Umask' /proc/self/status | tr '\\t' ' '; pwd; id -u; cat /proc/self/oom_score_adj; "
        "readlink /proc/self/fd/0; ls /proc/self/fd | wc -l; tty; ulimit -c; env | grep -vE 'HOSTNAME|SHLVL|PWD' | sort; echo $EMPTY-"
    )
    env = {"EMPTY": "", "LINES_": "x\ny", "UMLAUT": "ü€", "HOME": "/elsewhere"}
    plain = docker_runner("docker", alike.instance, alike.home)
    job, sink = alike.job(script, env=env), Sink()
    await plain.run(job, sink)
    await plain.close()
    _, printed = await alike.run(script, env=env)
    assert printed["stderr"] == []
    assert printed["stdout"] == sink.texts


@pytest.mark.parametrize(("script", "code"), [("exit 255", 255), ("exit 75", 75), ("kill -9 $$", 137), ("kill -USR2 $$", 140)])
async def test_exit_codes(alike: Alike, script: str, code: int) -> None:
    assert (await alike.run(script))[0].exit_code == code


@pytest.mark.parametrize(("argv", "code"), [("/no/such", 127), ("no-such", 127), ("/etc/passwd", 126)])
async def test_what_cannot_be_run(alike: Alike, argv: str, code: int) -> None:
    finished, printed = await alike.run("", argv=[argv])
    assert finished.exit_code == code
    assert argv in printed["stderr"][0]


async def test_output_of_every_kind(alike: Alike) -> None:
    script = r"printf '\377\376\n\r\n a \r\n\n\n'; printf '\303'; sleep 0.2; printf '\274\n'; seq 1 20000; (sleep 100 &) ; printf 'no end'; exec 2>&-; exit 4"
    finished, printed = await alike.run(script)
    assert finished.exit_code == 4
    assert printed["stdout"] == ["��", "", " a ", "", "", "ü", *map(str, range(1, 20001)), "no end"]


async def test_the_stop_signal_and_the_user_of_an_image_are_kept_and_its_health_check_is_not_waited_for(alike: Alike) -> None:
    tag = f"podium.local/alike-{alike.kind}:{os.getpid()}"
    text = f"FROM {alike.image}\nRUN mkdir /app && chown 1000 /app\nUSER 1000\nWORKDIR /app\nVOLUME /app\nSTOPSIGNAL SIGUSR1\nENV FROM=image OVER=image\n"
    text += "HEALTHCHECK --interval=1s CMD false\nENTRYPOINT [\"/bin/false\"]\n"
    alike.engine.images.build(fileobj=io.BytesIO(text.encode()), tag=tag)
    script = "trap 'echo got; exit 9' USR1; id -u; pwd; touch new /app/new; echo $FROM $OVER; echo ready; i=0; while [ $i -lt 90 ]; do sleep 0.1; i=$((i+1)); done"
    job, sink = alike.job(script, image=tag, env={"OVER": "task"}, output_patterns=["*"]), Sink()
    try:
        running = asyncio.ensure_future(alike.run_job(job, sink))
        async with asyncio.timeout(60):
            while "ready" not in sink.texts:
                await asyncio.sleep(0.05)
        await alike.runner.kill(job.attempt_id, grace_s=8)
        finished, printed = await running
        assert printed["stdout"] == ["1000", "/podium/work", "image task", "ready", "got"]
        assert (finished.exit_code, finished.killed) == (9, True)
        assert [each.name for each in job.results.iterdir()] == ["new"]
    finally:
        await alike.runner.close()
        await alike.runner.reap(set())
        alike.engine.images.remove(tag, force=True)


async def test_a_container_that_is_kept_can_be_looked_at(alike: Alike) -> None:
    job = alike.job("echo kept; echo x > file", options={"delete": False})
    finished = await alike.runner.run(job, Sink())
    await alike.runner.release(job.attempt_id)
    kept = alike.engine.containers.get(f"podium-{job.attempt_id}")
    try:
        assert finished.exit_code == 0
        assert kept.logs() == b"kept\n"
        assert kept.get_archive("/podium/work/file")
    finally:
        kept.remove(force=True)
