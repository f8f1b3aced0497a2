"""What the Docker runner promises beyond the contract of all runners: isolation, limits, images, and an engine that goes away."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from runner_house import Sink

from podium.base.errors import AttemptLost, PodiumError, RunnerError, RunnerRefused
from podium.base.system.clock import SystemClock
from podium.base.system.ids import new_id
from podium.runners.docker.config import Policy
from podium.runners.docker.engine import EngineAway
from podium.runners.docker.runner import DockerRunner
from podium.runners.port import Finished, Job

pytestmark = pytest.mark.docker
INSTANCE = f"bench-docker-{os.getpid()}"


class Bench:
    def __init__(self, home: Path, image: str) -> None:
        self.home, self.image = home, image
        self.runners: list[DockerRunner] = []

    def runner(self, **options: Any) -> DockerRunner:
        self.runners.append(DockerRunner(instance=INSTANCE, clock=SystemClock(), **options))
        return self.runners[-1]

    def job(self, script: str, *, image: str | None = None, **extra: Any) -> Job:
        attempt_id = new_id()
        base = self.home / attempt_id
        for name in ("work", "results"):
            (base / name).mkdir(parents=True)
        directory = extra.pop("directory", base / "work")
        return Job(
            attempt_id=attempt_id, argv=["/bin/sh", "-c", script], directory=directory, results=base / "results", image=image or self.image, **extra
        )

    async def run(self, script: str, *, runner: DockerRunner | None = None, **extra: Any) -> tuple[Finished, Sink]:
        sink = Sink()
        return await (runner or self.runner()).run(self.job(script, **extra), sink), sink


@pytest.fixture
async def bench(docker_engine: Any, images: Mapping[str, str], tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, images["busybox"])
    yield made
    for runner in made.runners:
        await runner.reap(set())
        await runner.close()
    assert not docker_engine.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.instance={INSTANCE}"})
    assert not docker_engine.networks.list(filters={"label": f"podium.instance={INSTANCE}"})


async def test_a_container_has_no_privileges(bench: Bench) -> None:
    _, sink = await bench.run("grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status")
    assert [text.split() for text in sink.texts] == [["CapEff:", "0" * 16], ["CapBnd:", "0" * 16], ["NoNewPrivs:", "1"]]


async def test_usual_capabilities_can_be_asked_for_and_others_not(bench: Bench) -> None:
    finished, _ = await bench.run("touch x; chown 1000 x", options={"capAdd": ["CHOWN"]})
    assert finished.exit_code == 0
    with pytest.raises(RunnerRefused, match="SYS_ADMIN"):
        await bench.run("true", options={"capAdd": ["CAP_SYS_ADMIN"]})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"volumes": ["/:/host"]}, "/:/host"),
        ({"privileged": True}, "privileged"),
        ({"networkMode": "container:other"}, "container:other"),
        ({"pullPolicy": "SOMETIMES"}, "SOMETIMES"),
        ({"memory": {"memory": "lots"}}, "lots"),
        ({"portBindings": ["x:y"]}, "x:y"),
    ],
)
async def test_what_is_not_allowed_is_refused_with_a_way_out(bench: Bench, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RunnerRefused) as caught:
        await bench.run("true", options=options)
    assert words in caught.value.what
    assert caught.value.hint


async def test_volumes_work_where_the_operator_allows_them(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/x").write_text("from the host")
    runner = bench.runner(policy=Policy(allow_volumes=True))
    _, sink = await bench.run("cat /in/x", runner=runner, options={"volumes": [f"{tmp_path}/shared:/in:ro"]})
    assert sink.texts == ["from the host"]


async def test_memory_and_processes_are_limited(bench: Bench) -> None:
    finished, _ = await bench.run("x=a; while :; do x=$x$x; done", options={"memory": {"memory": "20MB"}})
    assert finished.exit_code != 0
    assert finished.oom_killed
    assert finished.facts["oomKilled"] is True
    runner = bench.runner(policy=Policy(pids_max=20))
    _, sink = await bench.run("cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null", runner=runner)
    assert sink.texts == ["20"]


async def test_the_record_says_which_image_ran(bench: Bench, docker_engine: Any) -> None:
    finished, _ = await bench.run("true")
    assert finished.facts["image"] == bench.image
    assert finished.facts["imageId"] == docker_engine.images.get(bench.image).id
    assert finished.facts["containerId"]
    assert finished.facts["runner"] == DockerRunner.TYPE


async def test_labels_name_the_attempt(bench: Bench, docker_engine: Any) -> None:
    runner = bench.runner()
    job = bench.job("true", labels={"kestra.io/task-id": "t"})
    await runner.run(job, Sink())
    (found,) = docker_engine.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.attempt={job.attempt_id}"})
    assert found.name == f"podium-{job.attempt_id}"
    assert found.labels["kestra.io/task-id"] == "t"
    assert found.labels["podium.instance"] == INSTANCE


async def test_an_image_that_is_nowhere_is_named_with_what_to_do(bench: Bench) -> None:
    with pytest.raises(RunnerError) as caught:
        await bench.run("true", image="registry.invalid/no/such:1.0")
    assert "registry.invalid/no/such:1.0" in caught.value.what
    assert caught.value.facts["answer"]
    assert "runner.images" in caught.value.hint
    with pytest.raises(RunnerRefused, match="NEVER"):
        await bench.run("true", image="not-here:1.0", options={"pullPolicy": "NEVER"})
    with pytest.raises(RunnerRefused, match="name of an image"):
        await bench.run("true", image="Not A Name")
    nameless = dataclasses.replace(bench.job("true"), image=None)
    with pytest.raises(RunnerRefused, match="no image"):
        await bench.runner().run(nameless, Sink())


@pytest.mark.parametrize("user", ["1000", "1000:1000", "nobody"])
async def test_a_user_without_rights_can_use_its_files(bench: Bench, user: str) -> None:
    job = bench.job("id -u; cat in.txt; echo out > out.txt; mkdir d; echo x > sub/y.txt", options={"user": user}, output_patterns=["**"])
    (job.directory / "in.txt").write_text("in\n")
    (job.directory / "in.txt").chmod(0o600)
    (job.directory / "sub").mkdir(mode=0o700)
    sink = Sink()
    finished = await bench.runner().run(job, sink)
    assert (finished.exit_code, sink.texts[1:]) == (0, ["in"])
    assert sink.texts[0] != "0"
    assert (job.results / "sub/y.txt").read_text() == "x\n"


async def test_containers_of_one_instance_do_not_see_each_other(bench: Bench, docker_engine: Any) -> None:
    runner = bench.runner()
    server, sink = bench.job("hostname -i; while :; do echo hello | nc -l -p 8000; done"), Sink()
    serving = asyncio.create_task(runner.run(server, sink))
    async with asyncio.timeout(60):
        while not sink.texts:
            await asyncio.sleep(0.05)
    (found,) = docker_engine.containers.list(ignore_removed=True, filters={"label": f"podium.attempt={server.attempt_id}"})
    (network,) = found.attrs["NetworkSettings"]["Networks"].values()
    assert docker_engine.networks.get(network["NetworkID"]).name == f"podium-{INSTANCE}"
    _, other = await bench.run(f"nc -w 2 {sink.texts[0]} 8000 </dev/null; echo ended", runner=runner)
    assert "hello" not in other.texts
    await runner.kill(server.attempt_id)
    await serving


async def test_a_task_can_have_no_network_or_one_of_its_own(bench: Bench, docker_engine: Any) -> None:
    _, sink = await bench.run("ls /sys/class/net", options={"networkMode": "none"})
    assert sink.texts == ["lo"]
    runner = bench.runner(isolation="strict")
    job = bench.job("ls /sys/class/net")
    await runner.run(job, Sink())
    assert docker_engine.networks.list(names=[f"podium-{job.attempt_id}"])
    await runner.release(job.attempt_id)
    assert not docker_engine.networks.list(names=[f"podium-{job.attempt_id}"])


async def test_an_engine_without_bridges_falls_back_to_its_default_network(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import docker
    from docker.errors import APIError

    def refuse(*_: object, **__: object) -> None:
        raise APIError("no bridges here")

    monkeypatch.setattr(docker.APIClient, "create_network", refuse)
    finished, _ = await bench.run("true")
    assert finished.exit_code == 0


async def test_a_line_cut_by_docker_is_whole_even_without_its_end(bench: Bench) -> None:
    _, sink = await bench.run("head -c 40000 /dev/zero | tr '\\0' a; head -c 16384 /dev/zero | tr '\\0' b >&2")
    assert sorted(len(text) for text in sink.texts) == [16_384, 40_000]


async def test_hard_links_and_chains_of_links_come_out(bench: Bench) -> None:
    script = "mkdir d; echo one > d/a; ln d/a d/b; ln -s b d/c; ln -s /podium/work/d/c e; ln -s loop2 loop1; ln -s loop1 loop2; ln -s d/gone g"
    job = bench.job(script, output_patterns=["**"])
    sink = Sink()
    await bench.runner().run(job, sink)
    kept = {str(path.relative_to(job.results)): path.read_text() for path in job.results.rglob("*") if path.is_file()}
    assert kept == dict.fromkeys(("d/a", "d/b", "d/c", "e"), "one\n")
    assert any("loop1" in text and "g" in text for text in sink.texts)


async def test_links_that_only_a_container_understands_reach_the_next_one(bench: Bench) -> None:
    """A venv made by one task of a WorkingDirectory points into the image: it must work in the next task, and lead nowhere on the host."""
    runner = bench.runner()
    first = bench.job("ln -s /etc/passwd pw; ln -s ../../x up; mkdir d; ln -s /podium/work/d abs; echo q > d/f; ln d/f d/hard", write_back=True)
    await runner.run(first, Sink())
    assert not any(path.is_symlink() for path in first.directory.rglob("*"))
    assert (first.directory / "d/hard").read_text() == "q\n"
    sink = Sink()
    await runner.run(bench.job("readlink pw; readlink up; cat abs/f; head -c 4 pw", directory=first.directory, write_back=True), sink)
    assert sink.texts == ["/etc/passwd", "../../x", "q", "root"]


async def test_a_removed_container_is_an_attempt_lost(bench: Bench, docker_engine: Any) -> None:
    runner, sink = bench.runner(), Sink()
    job = bench.job("echo up; sleep 100")
    running = asyncio.create_task(runner.run(job, sink))
    async with asyncio.timeout(60):
        while not sink.texts:
            await asyncio.sleep(0.05)
    docker_engine.containers.get(f"podium-{job.attempt_id}").remove(force=True)
    with pytest.raises(AttemptLost) as caught:
        await running
    assert caught.value.hint


async def test_keep_and_do_not_wait(bench: Bench, docker_engine: Any) -> None:
    runner = bench.runner()
    kept = bench.job("true", options={"delete": False})
    await runner.run(kept, Sink())
    await runner.release(kept.attempt_id)
    await runner.reap(set())
    docker_engine.containers.get(f"podium-{kept.attempt_id}").remove()
    gone = bench.job("sleep 1", options={"wait": False})
    finished = await runner.run(gone, Sink())
    assert finished.exit_code == 0
    await runner.release(gone.attempt_id)
    async with asyncio.timeout(60):
        while docker_engine.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.attempt={gone.attempt_id}"}):
            await asyncio.sleep(0.1)


class Gate:
    """A way to the engine that a test can shut: a Unix socket in front of the real one."""

    def __init__(self, path: Path, target: str) -> None:
        self.path, self._target = path, target
        self._pairs: list[socket.socket] = []
        self._open()

    def _open(self) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen(64)
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                inside, _ = server.accept()
            except OSError:
                return
            outside = socket.socket(socket.AF_UNIX)
            outside.connect(self._target)
            self._pairs += [inside, outside]
            for source, sink in ((inside, outside), (outside, inside)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def shut(self) -> None:
        self.path.unlink()
        self._server.close()
        for each in self._pairs:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def reopen(self) -> None:
        self._open()


@pytest.fixture
def gate(docker_engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not where.startswith("unix://"):
        pytest.skip("the engine is not behind a Unix socket")
    return Gate(tmp_path_factory.mktemp("g") / "s", where.removeprefix("unix://"))


async def test_an_engine_that_goes_away_in_mid_task_costs_nothing(bench: Bench, gate: Gate, docker_engine: Any) -> None:
    """Without patience a restart of dockerd would fail every running task; without cursors lines would be doubled or lost."""
    runner, sink = bench.runner(host=f"unix://{gate.path}"), Sink()
    job = bench.job("for i in $(seq 300); do echo $i; sleep 0.01; done; while ! test -e /tmp/go; do sleep 0.1; done; exit 4")
    running = asyncio.create_task(runner.run(job, sink))
    for pause in (50, 150):
        async with asyncio.timeout(60):
            while len(sink.kept) < pause:
                await asyncio.sleep(0.01)
        gate.shut()
        await asyncio.sleep(0.6)
        assert not running.done()
        gate.reopen()
    code, _ = await asyncio.to_thread(docker_engine.containers.get(f"podium-{job.attempt_id}").exec_run, ["touch", "/tmp/go"])
    assert code == 0
    finished = await running
    assert finished.exit_code == 4
    assert sink.texts == [str(i) for i in range(1, 301)]


async def test_an_engine_that_never_answered_fails_the_task_at_once(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(EngineAway) as caught:
        await bench.run("true", runner=bench.runner(host=f"unix://{tmp_path}/none"))
    assert "process" in caught.value.hint


async def test_results_beyond_the_limit_are_an_error_that_names_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.runners.docker.archive.Budget", _small_budget())
    with pytest.raises(PodiumError) as caught:
        await bench.run("for i in $(seq 20); do echo $i > f$i; done", output_patterns=["*"])
    assert caught.value.facts["limit"] == "RESULT_FILES_MAX"


def _small_budget() -> Callable[[], Any]:
    from podium.runners.collect import Budget

    return lambda: Budget(files_max=5)


async def test_a_cursor_is_small(bench: Bench) -> None:
    """It is stored with every batch of lines."""
    _, sink = await bench.run("seq 5000")
    assert sink.at is not None
    assert len(sink.at) < 2_000
    assert json.loads(sink.at)


async def test_a_container_that_was_made_and_never_started_is_made_anew(bench: Bench, docker_engine: Any) -> None:
    """The daemon died between create and start: nothing has run yet, so the attempt may run, once."""
    runner, sink = bench.runner(), Sink()
    job = bench.job("echo once")
    docker_engine.containers.create(
        bench.image, ["sh", "-c", "echo stale"], name=f"podium-{job.attempt_id}",
        labels={"podium.instance": INSTANCE, "podium.attempt": job.attempt_id},
    )
    assert await runner.attach(job, sink) is None
    finished = await runner.run(job, sink)
    assert (finished.exit_code, sink.texts) == (0, ["once"])


async def test_a_start_whose_answer_is_lost_happens_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine started the container and the connection broke before it could say so."""
    import docker
    import requests.exceptions

    real, calls = docker.APIClient.start, []

    def start(self: Any, *arguments: Any, **named: Any) -> None:
        calls.append(arguments)
        real(self, *arguments, **named)
        raise requests.exceptions.ConnectionError("the answer is lost")

    monkeypatch.setattr(docker.APIClient, "start", start)
    finished, sink = await bench.run("echo once; exit 3")
    assert (finished.exit_code, sink.texts, len(calls)) == (3, ["once"], 1)


async def test_a_kill_while_an_image_is_pulled_ends_the_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import docker

    pulling = threading.Event()
    over = threading.Event()

    def pull(self: Any, *arguments: Any, **named: Any) -> list[Any]:
        pulling.set()
        over.wait(120)
        return []

    monkeypatch.setattr(docker.APIClient, "pull", pull)
    runner = bench.runner()
    job = bench.job("true", image="podium.local/not-here:1")
    running = asyncio.create_task(runner.run(job, Sink()))
    await asyncio.to_thread(pulling.wait, 30)
    await runner.kill(job.attempt_id)
    finished = await asyncio.wait_for(running, 60)
    assert finished.killed
    over.set()
