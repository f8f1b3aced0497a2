"""What the swarm runner promises beyond the contract of all runners, on a real swarm of two nodes: where tasks run, limits, refusals, lost nodes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from remote_house import Serving, traces_in
from runner_house import Sink

from podium.base.errors import AttemptLost, PodiumError, RunnerError, RunnerRefused
from podium.base.system.ids import new_id
from podium.runners.docker.config import Policy
from podium.runners.port import Finished, Job
from podium.runners.remote import runner as remote

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
INSTANCE = f"bench-swarm-{os.getpid()}"
ON = "node.hostname=="


class Bench:
    def __init__(self, swarm: Any, home: Path, image: str, engine: Any) -> None:
        self.swarm, self.home, self.image, self.engine = swarm, home, image, engine

    def serving(self, **options: Any) -> Serving:
        return Serving(self.home, instance=INSTANCE, host=self.swarm.manager.url, address=self.swarm.host_address, **options)

    def job(self, script: str, *, image: str | None = None, **extra: Any) -> Job:
        attempt_id = new_id()
        base = self.home / "attempts" / attempt_id
        for name in ("work", "results"):
            (base / name).mkdir(parents=True)
        argv = extra.pop("argv", ["/bin/sh", "-c", script])
        return Job(attempt_id=attempt_id, argv=argv, directory=base / "work", results=base / "results", image=image or self.image, **extra)

    async def run(self, script: str, *, serving: Serving | None = None, **extra: Any) -> tuple[Finished, Sink]:
        job, sink = self.job(script, **extra), Sink()
        if serving is not None:
            return await serving.runner.run(job, sink), sink
        async with self.serving() as own:
            return await own.runner.run(job, sink), sink

    async def nothing_left(self, job: Job) -> None:
        async with asyncio.timeout(120):
            while traces_in(self.swarm, job.attempt_id):
                await asyncio.sleep(0.1)


@pytest.fixture
async def bench(swarm: Any, tmp_path: Path, images: Mapping[str, str], docker_engine: Any) -> AsyncIterator[Bench]:
    made = Bench(swarm, tmp_path, images["busybox"], docker_engine)
    yield made
    async with made.serving() as serving:
        await serving.runner.reap(set())
        await serving.runner.close()
    api = swarm.manager.client.api
    wanted = {"label": [f"podium.instance={INSTANCE}"]}
    assert not api.services(filters=wanted)
    assert not api.secrets(filters=wanted)
    if serving.launcher._config is not None:
        assert not api.configs(filters=wanted)


async def started(sink: Sink, timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not sink.kept:
            await asyncio.sleep(0.02)


async def test_a_task_runs_on_the_second_node_with_files_in_and_out(bench: Bench) -> None:
    job = bench.job("hostname; cat in.txt > out.txt; date > here", output_patterns=["out.txt"], options={"constraints": [f"{ON}node2"]})
    (job.directory / "in.txt").write_text("there and back\n")
    sink = Sink()
    async with bench.serving() as serving:
        running = asyncio.create_task(serving.runner.run(job, sink))
        async with asyncio.timeout(120):
            while not (on_worker := bench.swarm.worker.containers(job.attempt_id)):
                await asyncio.sleep(0.02)
        finished = await running
        assert not bench.swarm.manager.containers(job.attempt_id)
        assert finished.exit_code == 0
        assert finished.facts["node"] == "node2"
        assert on_worker[0].id.startswith(sink.texts[0]), "its host name is the id of the container on that node"
        assert (job.results / "out.txt").read_text() == "there and back\n"
        await serving.runner.release(job.attempt_id)
    await bench.nothing_left(job)


async def test_no_secret_of_the_task_is_in_what_the_swarm_shows(bench: Bench) -> None:
    """Environment and arguments go with the files, never into the service, its secret or its container (I7)."""
    job, sink = bench.job("echo $PASSWORD; sleep 30", env={"PASSWORD": "hush-hush"}), Sink()
    async with bench.serving() as serving:
        running = asyncio.create_task(serving.runner.run(job, sink))
        await started(sink)
        api = bench.swarm.manager.client.api
        shown = str(api.services()) + str(api.tasks()) + str(api.secrets()) + str([each.attrs for n in bench.swarm.nodes for each in n.containers(job.attempt_id)])
        await serving.runner.kill(job.attempt_id)
        await running
    assert sink.texts == ["hush-hush"]
    assert job.attempt_id in shown
    assert "hush-hush" not in shown
    token = (serving.desk.folder(job.attempt_id) / "token").read_text()
    assert len(token) == 64, "only a hash of it is kept"


async def test_a_container_has_no_privileges_and_its_own_user(bench: Bench) -> None:
    _, sink = await bench.run("id -u; id -g; touch made; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; ls /proc/1/fd", options={"user": "nobody"})
    uid, gid, *rest = sink.texts
    assert (uid, gid) == ("65534", "65534")
    caps = dict(text.split() for text in rest if ":\t" in text)
    assert caps["CapEff:"] == "0" * 16
    assert caps["NoNewPrivs:"] == "1"
    assert any("denied" in text for text in rest), "the entry point cannot be looked into: it knows the token"


async def test_out_of_memory_is_seen(bench: Bench) -> None:
    finished, _ = await bench.run("head -c 80000000 /dev/zero | tail -c 60000000 > /dev/null; exit 1", options={"memory": {"memory": "20MB"}})
    assert finished.oom_killed
    assert finished.exit_code != 0


async def test_an_image_without_a_shell_works(bench: Bench) -> None:
    """Nothing in the image is needed but the program itself."""
    import io
    import tarfile

    busybox = bench.engine.containers.create(bench.image)
    try:
        data = b"".join(busybox.get_archive("/bin/busybox")[0])
    finally:
        busybox.remove()
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as source, tarfile.open(fileobj=packed, mode="w") as target:
        program = source.extractfile("busybox")
        assert program is not None
        for entry, content in ((tarfile.TarInfo("echo"), program.read()),):
            entry.size, entry.mode = len(content), 0o755
            target.addfile(entry, io.BytesIO(content))
    for node in bench.swarm.nodes:
        node.client.api.import_image_from_data(packed.getvalue(), repository="podium.local/bare", tag="test")
    finished, sink = await bench.run("", argv=["/echo", "bare"], image="podium.local/bare:test", options={"constraints": [f"{ON}node1"]})
    assert (finished.exit_code, sink.texts) == (0, ["bare"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"capAdd": ["SYS_ADMIN"]}, "SYS_ADMIN"),
        ({"secrets": ["of-others"]}, "of-others"),
        ({"pullPolicy": "SOMETIMES"}, "SOMETIMES"),
        ({"memory": {"memory": "lots"}}, "lots"),
        ({"networkMode": "none"}, "none"),
        ({"networkMode": "no-such-network"}, "no-such-network"),
        ({"constraints": ["nonsense"]}, "constraint"),
        ({"user": "no-such-person"}, "no-such-person"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_way_out(bench: Bench, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RunnerError) as caught:
        await bench.run("true", options=options)
    assert words in caught.value.what
    assert caught.value.hint


async def test_an_image_that_no_node_has_is_a_clear_error(bench: Bench) -> None:
    with pytest.raises(RunnerRefused, match="not on the swarm's manager"):
        await bench.run("true", image="podium.local/nowhere:1", options={"pullPolicy": "NEVER"})
    bench.swarm.manager.client.images.get(bench.image).tag("podium.local/only-here", "1")
    image = bench.swarm.manager.client.api.import_image_from_data(b"\0" * 1024, repository="podium.local/only-here", tag="1")
    assert image
    with pytest.raises(RunnerRefused, match=r"(?i)node2.*no such image"):
        await bench.run("true", image="podium.local/only-here:1", options={"constraints": [f"{ON}node2"]})


async def test_a_daemon_that_nodes_cannot_reach_is_a_clear_error(bench: Bench) -> None:
    async with bench.serving() as serving:
        serving.launcher._url = ""
        with pytest.raises(RunnerRefused, match=r"runner\.remote_url"):
            await bench.run("true", serving=serving)
        assert await serving.launcher.present() == set()


async def test_a_task_that_no_node_can_take_says_why_it_waits_and_can_be_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TOLD_AFTER_S", 0.5)
    job, sink = bench.job("true", options={"constraints": ["node.labels.gpu==yes"]}), Sink()
    async with bench.serving() as serving:
        running = asyncio.create_task(serving.runner.run(job, sink))
        await started(sink)
        await serving.runner.kill(job.attempt_id)
        assert (await running).killed
    assert "no suitable node" in sink.texts[0]
    await bench.nothing_left(job)


async def test_secrets_of_the_swarm_are_mounted_where_the_operator_allows_them(bench: Bench) -> None:
    made = bench.swarm.manager.client.api.create_secret("api-key", b"sesame")
    try:
        async with bench.serving(secrets=["api-key"], policy=Policy(memory=64 * 1024 * 1024)) as serving:
            _, sink = await bench.run("cat /run/secrets/api-key", serving=serving, options={"secrets": ["api-key"]})
            await serving.runner.reap(set())
        assert sink.texts == ["sesame"]
    finally:
        bench.swarm.manager.client.api.remove_secret(made["ID"])


async def test_the_desk_takes_nothing_from_strangers(bench: Bench) -> None:
    import aiohttp

    job, sink = bench.job("echo up; sleep 60"), Sink()
    async with bench.serving() as serving, aiohttp.ClientSession(f"http://{serving.address}:{serving.port}") as session:
        running = asyncio.create_task(serving.runner.run(job, sink))
        await started(sink)
        at = f"/api/v1/transfers/{job.attempt_id}"
        for method, path in (("GET", "input?by=x"), ("PUT", "result?by=x"), ("POST", "output?by=x&stream=stdout&offset=0"), ("GET", "orders?by=x")):
            async with session.request(method, f"{at}/{path}", headers={"Authorization": "Bearer wrong"}) as answer:
                assert answer.status == 401
        token = serving.desk.open(job)  # even who knows a token gets nothing of an attempt that a container runs
        for path, status in (("input?by=other", 409), ("orders?by=other", 410)):
            async with session.get(f"{at}/{path}", headers={"Authorization": f"Bearer {token}"}) as answer:
                assert answer.status == status
        async with session.get("/api/v1/transfers/..%2F..%2Fx/input?by=other", headers={"Authorization": f"Bearer {token}"}) as answer:
            assert answer.status == 410
        running.cancel()


async def test_the_end_waits_for_a_daemon_that_is_away(bench: Bench) -> None:
    """Output, files and exit code of a command that ended while nobody listened."""
    job, sink = bench.job("echo one; sleep 1; echo two; echo x > late.txt; exit 9", output_patterns=["late.txt"]), Sink()
    async with bench.serving() as serving:
        running = asyncio.create_task(serving.runner.run(job, sink))
        await started(sink)
        running.cancel()
    await asyncio.sleep(2.0)
    async with bench.serving(port=serving.port) as again:
        finished = await again.runner.attach(job, sink)
    assert finished is not None
    assert finished.exit_code == 9
    assert sink.texts == ["one", "two"]
    assert (job.results / "late.txt").read_text() == "x\n"


async def test_a_node_that_is_lost_loses_its_attempt_and_nothing_runs_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The swarm notices after some 15 s, and starts the task's container elsewhere: that one must not run the command."""
    monkeypatch.setattr(remote, "SILENT_S", 5.0)
    job, sink = bench.job("echo up; sleep 300", options={"constraints": []}), Sink()
    worker = bench.swarm.worker
    api = bench.swarm.manager.client.api
    manager = next(each["ID"] for each in api.nodes() if each["Spec"]["Role"] == "manager")
    _availability(api, manager, "drain")
    try:
        async with bench.serving() as serving:
            running = asyncio.create_task(serving.runner.run(job, sink))
            await started(sink)
            assert worker.containers(job.attempt_id)
            _availability(api, manager, "active")
            worker.cut_off()
            with pytest.raises(AttemptLost) as caught:
                await asyncio.wait_for(running, 120)
            await serving.runner.release(job.attempt_id)
    finally:
        _availability(api, manager, "active")
        worker.reconnect(bench.swarm.gateway(worker))
    assert isinstance(caught.value, PodiumError)
    assert "node2" in caught.value.what
    assert sink.texts == ["up"]
    async with asyncio.timeout(120):  # once it is back, the node ends what nobody wants any more
        while [each["Status"]["State"] for each in api.nodes()] != ["ready", "ready"] or traces_in(bench.swarm, job.attempt_id):
            await asyncio.sleep(0.2)


def _availability(api: Any, node: str, wanted: str) -> None:
    for _ in range(50):
        found = api.inspect_node(node)
        try:
            api.update_node(node, found["Version"]["Index"], {**found["Spec"], "Availability": wanted})
        except APIError as error:
            if "out of sequence" not in str(error):
                raise
            continue  # the swarm wrote down something about the node in between
        return
    raise AssertionError("the node changes all the time")
