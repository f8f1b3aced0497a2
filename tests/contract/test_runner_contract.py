"""What every runner must do, whatever it is: one suite, run for each (plug-in authors can run it on theirs).

A runner that fails here loses output, files or exit codes, starts a command twice, or leaves something behind.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from remote_house import Serving, docker_runner, traces_in

from podium.base.errors import RunnerError
from podium.base.system.clock import SystemClock
from podium.base.system.ids import new_id
from podium.runners.port import Finished, Job, Line, Runner
from podium.runners.process.runner import ProcessRunner

INSTANCE = f"bench-{os.getpid()}"
DRIVER = Path(__file__).with_name("runner_driver.py")
SETTLES_S = {"swarm": 60.0, "kubernetes": 60.0}
"""How long a scheduler may take to remove what it was told to remove."""


class Sink:
    """Keeps what a runner hands on; as a worker's sink does, lines and cursor together."""

    def __init__(self, cursor: str | None = None) -> None:
        self.kept: list[tuple[str, str]] = []
        self.at = cursor

    async def lines(self, lines: Sequence[Line], *, cursor: str | None) -> None:
        self.kept += [(line.stream, line.text) for line in lines]
        if cursor is not None:
            self.at = cursor

    async def cursor(self) -> str | None:
        return self.at

    def of(self, stream: str) -> list[str]:
        return [text for name, text in self.kept if name == stream]


class Bench:
    """One runner under test and a way to make jobs for it."""

    def __init__(self, kind: str, runner: Runner, home: Path, image: str | None, engine: Any) -> None:
        self.kind, self.runner, self.home, self.image, self.engine = kind, runner, home, image, engine
        self.swarm: Any = None
        self.kubernetes: Any = None
        self.serving: Serving | None = None

    def job(self, script: str, *, files: dict[str, bytes | str] | None = None, **extra: Any) -> Job:
        attempt_id = extra.pop("attempt_id", None) or new_id()
        base = self.home / "attempts" / attempt_id
        for name in ("work", "results", "private"):
            (base / name).mkdir(parents=True, exist_ok=True)
        for path, content in (files or {}).items():
            target = base / "work" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        argv = extra.pop("argv", None) or ["/bin/sh", "-c", script]
        return Job(
            attempt_id=attempt_id, argv=argv, directory=base / "work", results=base / "results", private=base / "private", image=self.image, **extra
        )

    async def run(self, script: str, **extra: Any) -> tuple[Finished, Sink, Job]:
        job, sink = self.job(script, **extra), Sink()
        finished = await self.runner.run(job, sink)
        return finished, sink, job

    def traces(self, attempt_id: str) -> list[str]:
        """What exists of an attempt outside of the worker's own folder."""
        found = [str(path) for name in ("process", "remote", "container") for path in (self.home / "attempts" / attempt_id).glob(name)]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if f"PODIUM_ATTEMPT={INSTANCE}:{attempt_id}".encode() in (entry / "environ").read_bytes():
                        found.append(f"process {entry.name}")
                except OSError:
                    continue
        if self.engine is not None:
            found += [each.name for each in self.engine.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.attempt={attempt_id}"})]
        if self.swarm is not None:
            found += traces_in(self.swarm, attempt_id)
        if self.kubernetes is not None:
            found += self.kubernetes.traces(attempt_id)
        return found

    async def gone(self, attempt_id: str) -> bool:
        """Whether nothing is left of an attempt, once its scheduler has had time."""
        until = asyncio.get_running_loop().time() + SETTLES_S.get(self.kind, 0.0)
        while found := self.traces(attempt_id):
            if asyncio.get_running_loop().time() > until:
                raise AssertionError(found)
            await asyncio.sleep(0.1)
        return True


@pytest.fixture(params=[
    "process", pytest.param("docker", marks=pytest.mark.docker), pytest.param("supervised", marks=pytest.mark.docker),
    pytest.param("pooled", marks=pytest.mark.docker), pytest.param("swarm", marks=pytest.mark.docker),
    pytest.param("kubernetes", marks=pytest.mark.kubernetes),
])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "process":
        runner: Runner = ProcessRunner(home=tmp_path, instance=INSTANCE, clock=SystemClock(), environ=dict(os.environ))
        yield Bench("process", runner, tmp_path, None, None)
    elif request.param == "kubernetes":
        cluster = request.getfixturevalue("kubernetes")
        async with Serving(tmp_path, instance=INSTANCE, host=str(cluster.kubeconfig), address=cluster.host_address, kind="kubernetes") as serving:
            runner = serving.runner
            bench = Bench("kubernetes", runner, tmp_path, cluster.image, None)
            bench.kubernetes, bench.serving = cluster, serving
            yield bench
            await runner.reap(set())
    elif request.param == "swarm":
        swarm, images = request.getfixturevalue("swarm"), request.getfixturevalue("images")
        async with Serving(tmp_path, instance=INSTANCE, host=swarm.manager.url, address=swarm.host_address) as serving:
            runner = serving.runner
            bench = Bench("swarm", runner, tmp_path, images["busybox"], None)
            bench.swarm, bench.serving = swarm, serving
            yield bench
            await runner.reap(set())
    else:
        engine = request.getfixturevalue("docker_engine")
        images = request.getfixturevalue("images")
        request.getfixturevalue("transfer_program") if request.param != "docker" else None
        runner = docker_runner(request.param, INSTANCE, tmp_path)
        bench = Bench(request.param, runner, tmp_path, images["busybox"], engine)
        if request.param == "pooled":
            for _ in range(2):
                await runner.release((await bench.run("true"))[2].attempt_id)
            async with asyncio.timeout(60):
                while not engine.containers.list(ignore_removed=True, filters={"label": ["podium.supervised", f"podium.instance={INSTANCE}"], "name": "podium-waiting-"}):
                    await asyncio.sleep(0.1)
        yield bench
    await runner.reap(set())
    await runner.close()


async def test_both_streams_arrive_in_order_and_apart(bench: Bench) -> None:
    finished, sink, _ = await bench.run("for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; done")
    assert finished.exit_code == 0
    assert sink.of("stdout") == [f"out{i}" for i in range(1, 6)]
    assert sink.of("stderr") == [f"err{i}" for i in range(1, 6)]


async def test_a_last_line_without_newline_is_kept(bench: Bench) -> None:
    _, sink, _ = await bench.run("printf 'one\\n\\ntwo'; printf 'bad' >&2")
    assert sink.of("stdout") == ["one", "", "two"]
    assert sink.of("stderr") == ["bad"]


async def test_text_that_is_not_utf8_and_carriage_returns_do_no_harm(bench: Bench) -> None:
    _, sink, _ = await bench.run("printf 'a\\377b\\r\\n'; printf 'é ✓\\n'")
    assert sink.of("stdout") == ["a\ufffdb", "é ✓"]


@pytest.mark.parametrize("code", [0, 1, 3, 125, 255])
async def test_exit_codes_are_the_commands_own(bench: Bench, code: int) -> None:
    finished, _, _ = await bench.run(f"exit {code}")
    assert finished.exit_code == code
    assert not finished.killed


async def test_a_command_ended_by_a_signal_says_which(bench: Bench) -> None:
    finished, _, _ = await bench.run("kill -KILL $$")
    assert finished.exit_code == 128 + signal.SIGKILL


async def test_a_program_that_is_not_there_is_127_with_its_name(bench: Bench) -> None:
    finished, sink, _ = await bench.run("", argv=["no-such-program", "x"])
    assert finished.exit_code == 127
    assert any("no-such-program" in text for _, text in sink.kept)


async def test_a_file_that_cannot_be_executed_is_126(bench: Bench) -> None:
    finished, _, _ = await bench.run("./plain.txt", files={"plain.txt": "hello"})
    assert finished.exit_code == 126


async def test_a_hundred_thousand_lines_all_arrive(bench: Bench) -> None:
    finished, sink, _ = await bench.run("seq 1 100000")
    assert finished.exit_code == 0
    assert sink.of("stdout") == [str(i) for i in range(1, 100_001)]


async def test_one_very_long_line_stays_one_line(bench: Bench) -> None:
    """The outputs protocol needs its line whole, however Docker cuts it."""
    _, sink, _ = await bench.run("head -c 300000 /dev/zero | tr '\\0' x; echo; echo end")
    assert [len(text) for text in sink.of("stdout")] == [300_000, 3]


async def test_environment_and_directory_reach_the_command(bench: Bench) -> None:
    job = bench.job("pwd; echo \"$GREETING\"; cat data/in.txt", files={"data/in.txt": "content\n"}, env={"GREETING": "hello 'w' \"x\" $y"})
    sink = Sink()
    await bench.runner.run(job, sink)
    assert job.private is not None
    where = bench.runner.places(job.directory, job.private).working
    assert sink.of("stdout") == [where, "hello 'w' \"x\" $y", "content"]


async def test_the_daemons_secrets_do_not_reach_the_command(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_DB", "c2VjcmV0")
    monkeypatch.setenv("PODIUM_SERVER__TOKEN", "token")
    if bench.kind == "process":
        bench.runner = ProcessRunner(home=tmp_path, instance=INSTANCE, clock=SystemClock(), environ=dict(os.environ))
    _, sink, _ = await bench.run("env")
    assert not [text for text in sink.of("stdout") if "SECRET_DB" in text or "TOKEN" in text]


async def test_files_go_in_and_matching_files_come_out(bench: Bench) -> None:
    blob = bytes(range(256)) * 300
    script = "mkdir -p out/deep; cp in/blob.bin out/deep/copy.bin; echo 1 > out/a.csv; echo 2 > out/b.txt; echo 3 > top.csv; : > out/empty.csv"
    finished, _, job = await bench.run(script, files={"in/blob.bin": blob}, output_patterns=["out/**/*.csv", "out/deep/*.bin", "top.csv"])
    assert finished.exit_code == 0
    kept = {str(path.relative_to(job.results)): path.read_bytes() for path in job.results.rglob("*") if path.is_file()}
    assert kept == {"out/a.csv": b"1\n", "out/empty.csv": b"", "out/deep/copy.bin": blob, "top.csv": b"3\n"}


async def test_files_come_out_of_a_command_that_failed(bench: Bench) -> None:
    finished, _, job = await bench.run("echo partial > report.txt; exit 9", output_patterns=["report.txt", "never.txt"])
    assert finished.exit_code == 9
    assert (job.results / "report.txt").read_text() == "partial\n"
    assert not (job.results / "never.txt").exists()


async def test_unusual_names_survive(bench: Bench) -> None:
    name = "a b'c\"d$é*.txt"
    finished, _, job = await bench.run("for f in *; do cat \"$f\" > \"out-$f\"; done", files={name: "x"}, output_patterns=["out-*"])
    assert finished.exit_code == 0
    assert (job.results / f"out-{name}").read_text() == "x"


async def test_executable_files_stay_executable(bench: Bench) -> None:
    job = bench.job("./run.sh", files={"run.sh": "#!/bin/sh\necho ran\n"})
    (job.directory / "run.sh").chmod(0o755)
    sink = Sink()
    assert (await bench.runner.run(job, sink)).exit_code == 0
    assert sink.of("stdout") == ["ran"]


async def test_the_output_directory_is_brought_back_whole(bench: Bench) -> None:
    job = bench.job("", output_directory=True)
    assert job.private is not None
    places = bench.runner.places(job.directory, job.private)
    job = bench.job(f"mkdir -p {places.outputs}/x; echo 1 > {places.outputs}/x/y.txt", attempt_id=job.attempt_id, output_directory=True)
    await bench.runner.run(job, Sink())
    assert (job.results / "x/y.txt").read_text() == "1\n"


async def test_private_files_are_readable_where_the_runner_says(bench: Bench) -> None:
    job = bench.job("")
    assert job.private is not None
    (job.private / "commands").write_text("echo from the file")
    where = bench.runner.places(job.directory, job.private).private
    job = bench.job(f". {where}/commands", attempt_id=job.attempt_id)
    sink = Sink()
    await bench.runner.run(job, sink)
    assert sink.of("stdout") == ["from the file"]


async def test_links_out_of_the_directory_give_no_foreign_file(bench: Bench) -> None:
    """A task must not be able to publish a file of the host by a link to it."""
    secret = bench.home / "host-secret.txt"
    secret.write_text("host secret")
    script = f"ln -s {secret} abs.txt; ln -s ../../../../../../../etc/hostname up.txt; echo ok > real.txt; ln -s real.txt good.txt; ln -s /etc etc"
    _, sink, job = await bench.run(script, output_patterns=["*.txt", "etc/*"])
    kept = {path.name: path.read_text() for path in job.results.rglob("*") if path.is_file()}
    assert kept == {"real.txt": "ok\n", "good.txt": "ok\n"}
    assert any("abs.txt" in text and "up.txt" in text for text in sink.of("runner"))


async def test_unwanted_files_are_no_results(bench: Bench) -> None:
    _, _, job = await bench.run("true", files={"script-1.sh": "x", "a.sh": "y"}, output_patterns=["*.sh"], unwanted=["script-1.sh"])
    assert [path.name for path in job.results.iterdir()] == ["a.sh"]


async def test_write_back_mirrors_the_directory(bench: Bench) -> None:
    """The next task of a WorkingDirectory must see what this one added, changed and removed, links and empty folders included."""
    script = "rm old.txt; echo changed > keep.txt; mkdir -p new/empty; echo n > new/n.txt; ln -s n.txt new/link; chmod 755 keep.txt; rm -r gone"
    job = bench.job(script, files={"old.txt": "o", "keep.txt": "k", "gone/x": "x", "same.txt": "s"}, write_back=True)
    assert (await bench.runner.run(job, Sink())).exit_code == 0
    found = {str(path.relative_to(job.directory)) for path in job.directory.rglob("*")}
    assert found == {"keep.txt", "same.txt", "new", "new/empty", "new/n.txt", "new/link"}
    assert (job.directory / "keep.txt").read_text() == "changed\n"
    assert os.access(job.directory / "keep.txt", os.X_OK)
    assert (job.directory / "new/link").read_text() == "n\n"


async def started(sink: Sink, *, lines: int = 1, timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while len(sink.kept) < lines:
            await asyncio.sleep(0.02)


async def test_output_is_live(bench: Bench) -> None:
    job, sink = bench.job("echo early; sleep 60"), Sink()
    running = asyncio.create_task(bench.runner.run(job, sink))
    await started(sink)
    assert not running.done()
    await bench.runner.kill(job.attempt_id)
    assert (await running).killed


async def test_kill_ends_every_descendant(bench: Bench) -> None:
    """Background processes, and those in a session of their own, must end too."""
    job, sink = bench.job("(trap '' TERM; setsid sleep 300 &) ; sleep 300 & echo up; trap '' TERM; sleep 300; sleep 300"), Sink()
    running = asyncio.create_task(bench.runner.run(job, sink))
    await started(sink)
    await bench.runner.kill(job.attempt_id)
    finished = await running
    assert finished.killed
    assert finished.exit_code == 137
    assert [each for each in bench.traces(job.attempt_id) if each.startswith("process ")] == []


async def test_a_grace_lets_the_command_tidy_up(bench: Bench) -> None:
    job, sink = bench.job("trap 'echo tidy; exit 7' TERM; echo up; while :; do sleep 0.1; done"), Sink()
    running = asyncio.create_task(bench.runner.run(job, sink))
    await started(sink)
    await bench.runner.kill(job.attempt_id, grace_s=20)
    finished = await running
    assert (finished.exit_code, finished.killed) == (7, True)
    assert sink.of("stdout") == ["up", "tidy"]


async def test_a_command_deaf_to_term_is_killed_after_the_grace(bench: Bench) -> None:
    job, sink = bench.job("trap '' TERM; echo up; while :; do sleep 0.1; done"), Sink()
    running = asyncio.create_task(bench.runner.run(job, sink))
    await started(sink)
    await bench.runner.kill(job.attempt_id, grace_s=1)
    finished = await running
    assert (finished.exit_code, finished.killed) == (137, True)


async def test_killed_before_it_started_it_never_starts(bench: Bench) -> None:
    job, sink = bench.job("echo never; touch ran", output_patterns=["ran"]), Sink()
    await bench.runner.kill(job.attempt_id)
    finished = await bench.runner.run(job, sink)
    assert finished.killed
    assert sink.of("stdout") == []
    assert not (job.results / "ran").exists()


async def test_killing_what_is_not_there_does_nothing(bench: Bench) -> None:
    await bench.runner.kill(new_id())
    await bench.runner.release(new_id())


async def test_processes_left_behind_end_with_the_command(bench: Bench) -> None:
    _, _, job = await bench.run("setsid sleep 300 >/dev/null 2>&1 & echo done")
    assert [each for each in bench.traces(job.attempt_id) if each.startswith("process ")] == []


async def test_release_leaves_nothing(bench: Bench) -> None:
    _, _, job = await bench.run("echo x")
    assert bench.traces(job.attempt_id)
    await bench.runner.release(job.attempt_id)
    assert await bench.gone(job.attempt_id)


async def test_reap_removes_what_no_live_attempt_owns(bench: Bench) -> None:
    dead, alive = bench.job("echo up; sleep 300"), bench.job("echo up; sleep 300")
    sinks = [Sink(), Sink()]
    running = [asyncio.create_task(bench.runner.run(job, sink)) for job, sink in zip((dead, alive), sinks, strict=True)]
    for sink in sinks:
        await started(sink)
    assert await bench.runner.reap({alive.attempt_id}) >= 1
    assert await bench.gone(dead.attempt_id)
    assert bench.traces(alive.attempt_id)
    end = (await asyncio.gather(running[0], return_exceptions=True))[0]
    gone = isinstance(end, RunnerError) or (isinstance(end, Finished) and (end.killed or end.exit_code == 137))
    assert gone, "whoever waits for it learns that it is gone: its removal, or the signal that came before"
    assert not running[1].done()
    await bench.runner.kill(alive.attempt_id)
    await running[1]
    assert await bench.runner.reap(set()) >= 1
    assert await bench.gone(alive.attempt_id)


async def test_attach_finds_nothing_that_never_started(bench: Bench) -> None:
    assert await bench.runner.attach(bench.job("echo x"), Sink()) is None


async def test_a_second_run_of_an_attempt_starts_nothing(bench: Bench) -> None:
    job, first, second = bench.job("echo once; date +%N > stamp", output_patterns=["stamp"]), Sink(), Sink()
    await bench.runner.run(job, first)
    stamp = (job.results / "stamp").read_text()
    finished = await bench.runner.run(job, second)
    assert finished.exit_code == 0
    assert second.of("stdout") == ["once"]
    assert (job.results / "stamp").read_text() == stamp


class Caller:
    """A daemon of our own to kill: runs one job in a child Python and stores lines with their cursor, as the journal does."""

    def __init__(self, bench: Bench, job: Job) -> None:
        self.store = bench.home / f"{job.attempt_id}.jsonl"
        order = {
            "kind": bench.kind, "instance": INSTANCE, "home": str(bench.home), "attempt": job.attempt_id, "argv": list(job.argv), "image": bench.image,
            "patterns": list(job.output_patterns), "store": str(self.store),
        }
        if bench.serving is not None:
            order |= bench.serving.handed_over()
        text = base64.b64encode(json.dumps(order).encode()).decode()
        self.process = subprocess.Popen([sys.executable, str(DRIVER), text])

    def stored(self) -> list[dict[str, Any]]:
        if not self.store.exists():
            return []
        whole = self.store.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    async def until(self, condition: Callable[[list[dict[str, Any]]], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition(self.stored()):
                assert self.process.poll() is None, "the caller ended by itself"
                await asyncio.sleep(0.02)

    def die(self) -> Sink:
        """kill -9; what was stored, as the sink of the next life."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        sink = Sink()
        for batch in self.stored():
            sink.kept += [(stream, text) for stream, text in batch["lines"]]
            sink.at = batch["cursor"] or sink.at
        return sink


COUNT = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo out$i; echo err$i >&2; sleep 0.01; done; echo x > made.txt; printf last; exit 5"


@pytest.mark.parametrize("lines_before", [1, 150, 500])
async def test_after_kill_minus_9_no_line_is_lost_or_doubled(bench: Bench, lines_before: int) -> None:
    job = bench.job(COUNT, output_patterns=["made.txt"])
    caller = Caller(bench, job)
    await caller.until(lambda batches: sum(len(batch["lines"]) for batch in batches) >= lines_before)
    sink = caller.die()
    finished = await bench.runner.attach(job, sink)
    assert finished is not None
    assert (finished.exit_code, finished.killed) == (5, False)
    assert sink.of("stdout") == [*(f"out{i}" for i in range(1, 401)), "last"]
    assert sink.of("stderr") == [f"err{i}" for i in range(1, 401)]
    assert (job.results / "made.txt").read_text() == "x\n"


async def test_an_end_nobody_saw_is_found(bench: Bench, tmp_path: Path) -> None:
    """The command ends while no daemon runs: its output, files and exit code must still be there."""
    job = bench.job("echo start; sleep 0.5; echo end; echo y > late.txt; exit 6", output_patterns=["late.txt"])
    caller = Caller(bench, job)
    await caller.until(bool)
    sink = caller.die()
    await asyncio.sleep(1.5)
    finished = await bench.runner.attach(job, sink)
    assert finished is not None
    assert finished.exit_code == 6
    assert sink.of("stdout") == ["start", "end"]
    assert (job.results / "late.txt").read_text() == "y\n"


async def test_a_command_can_be_killed_after_a_crash(bench: Bench) -> None:
    job = bench.job("echo up; sleep 300")
    caller = Caller(bench, job)
    await caller.until(bool)
    sink = caller.die()
    again = asyncio.create_task(bench.runner.attach(job, sink))
    await asyncio.sleep(0.1)
    await bench.runner.kill(job.attempt_id)
    finished = await again
    assert finished is not None
    assert (finished.killed, finished.exit_code) == (True, 137)


async def test_many_at_once(bench: Bench) -> None:
    jobs = [bench.job(f"echo {i}; exit {i}") for i in range(8)]
    sinks = [Sink() for _ in jobs]
    ends = await asyncio.gather(*(bench.runner.run(job, sink) for job, sink in zip(jobs, sinks, strict=True)))
    assert [end.exit_code for end in ends] == list(range(8))
    assert [sink.of("stdout") for sink in sinks] == [[str(i)] for i in range(8)]


async def test_what_is_cached_is_there_in_the_next_run(bench: Bench) -> None:
    cache = bench.home / "cache" / "key"
    cache.parent.mkdir()
    seen = []
    for code in (1, 0, 0):
        job = bench.job("")
        assert job.private is not None
        place = bench.runner.places(job.directory, job.private).private + "/deps"
        script = f"cat {place}/sub/x 2>/dev/null || {{ mkdir -p {place}/sub; echo made > {place}/sub/x; }}; exit {code}"
        sink = Sink()
        await bench.runner.run(bench.job(script, attempt_id=job.attempt_id, caches={"deps": cache}), sink)
        seen.append((sink.of("stdout"), cache.is_dir()))
    assert seen == [([], False), ([], True), (["made"], True)]
