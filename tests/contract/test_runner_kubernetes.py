"""What the Kubernetes runner promises beyond the contract of all runners, on a real cluster and with the rights of the docs: refusals, limits, losses."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import runner_house
import yaml
from remote_house import Serving

from kubernetes_house import ADMIN, Kubernetes
from podium.base.errors import AttemptLost, RunnerError, RunnerRefused
from podium.base.system.ids import new_id
from podium.runners.kubernetes.manifest import Rules
from podium.runners.port import Finished, Job

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(120)]
INSTANCE = f"bench-kubernetes-{os.getpid()}"


class Sink(runner_house.Sink):
    def of(self, stream: str) -> list[str]:
        return [line.text for line in self.kept if line.stream == stream]

    async def until(self, text: str, timeout_s: float = 30.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not any(text in line.text for line in self.kept):
                await asyncio.sleep(0.02)


class Bench:
    def __init__(self, cluster: Kubernetes, home: Path) -> None:
        self.cluster, self.home = cluster, home

    @asynccontextmanager
    async def serving(self, *, kubeconfig: Path | None = None, home: Path | None = None, **options: Any) -> AsyncIterator[Serving]:
        host = str(kubeconfig or self.cluster.kubeconfig)
        made = Serving(home or self.home, instance=INSTANCE, host=host, address=self.cluster.host_address, kind="kubernetes", **options)
        async with made as serving:
            try:
                yield serving
            finally:
                await serving.runner.close()

    def job(self, script: str, *, image: str | None = None, **extra: Any) -> Job:
        attempt_id = new_id()
        base = self.home / "attempts" / attempt_id
        for name in ("work", "results"):
            (base / name).mkdir(parents=True)
        return Job(
            attempt_id=attempt_id, argv=["/bin/sh", "-c", script], directory=base / "work", results=base / "results",
            image=image or self.cluster.image, **extra,
        )

    async def run(self, script: str, *, rules: Rules | None = None, **extra: Any) -> tuple[Finished, Sink]:
        job, sink = self.job(script, **extra), Sink()
        async with self.serving(rules=rules) as serving:
            return await serving.runner.run(job, sink), sink

    async def nothing_left(self, job: Job) -> None:
        async with asyncio.timeout(20):
            while self.cluster.traces(job.attempt_id):
                await asyncio.sleep(0.1)


@pytest.fixture
async def bench(kubernetes: Kubernetes, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(kubernetes, tmp_path)
    yield made
    async with made.serving() as serving:
        await serving.runner.reap(set())
    wanted = f"podium.instance={INSTANCE},!podium.keep"
    assert not kubernetes.batch.list_namespaced_job(kubernetes.namespace, label_selector=wanted).items


async def test_facts_say_where_it_ran(bench: Bench) -> None:
    finished, _ = await bench.run("true", labels={"podium.flow": "a b/ü"})
    assert finished.exit_code == 0
    assert finished.facts["node"] == "node1"
    assert finished.facts["pod"].startswith("podium-")
    assert finished.facts["kubernetesNamespace"] == bench.cluster.namespace


async def test_nothing_of_the_environment_is_in_the_cluster(bench: Bench) -> None:
    """Environment and arguments go with the files, never into an object that others may read (I7)."""
    job, sink = bench.job("echo $PASSWORD; sleep 30", env={"PASSWORD": "hush-hush"}), Sink()
    async with bench.serving() as serving:
        running = asyncio.create_task(serving.runner.run(job, sink))
        await sink.until("hush")
        core, batch, namespace = bench.cluster.core, bench.cluster.batch, bench.cluster.namespace
        kinds = (batch.list_namespaced_job, core.list_namespaced_pod, core.list_namespaced_secret, core.list_namespaced_config_map, core.list_namespaced_event)
        shown = "".join(each(namespace, _preload_content=False).data.decode() for each in kinds)
        await serving.runner.kill(job.attempt_id)
        await running
    assert job.attempt_id in shown
    assert "hush-hush" not in shown
    assert "aHVzaC1odXNo" not in shown, "nor as base64"


async def test_more_memory_than_the_limit_is_said_to_be_that(bench: Bench) -> None:
    script = "echo begin; head -c 300000000 /dev/zero | tail > /dev/null"
    finished, sink = await bench.run(script, options={"resources": {"limit": {"memory": "48Mi"}}})
    assert finished.oom_killed
    assert finished.exit_code != 0
    assert "begin" in sink.of("stdout")


async def test_an_image_that_the_node_must_not_fetch_is_refused_at_once(bench: Bench) -> None:
    with pytest.raises(RunnerRefused, match="ErrImageNeverPull") as refused:
        await bench.run("true", image="example.invalid/no/such:1", options={"pullPolicy": "NEVER"})
    assert "containerImage" in refused.value.hint


async def test_an_image_that_cannot_be_fetched_is_given_up_with_the_reason(bench: Bench) -> None:
    with pytest.raises(RunnerRefused, match="did not start within waitUntilRunning"):
        await bench.run("true", image="example.invalid/no/such:1", options={"waitUntilRunning": "PT6S"})


async def test_a_pod_without_a_node_says_why_it_waits_and_is_given_up(bench: Bench) -> None:
    job, sink = bench.job("true", options={"nodeSelector": {"no-such": "label"}, "waitUntilRunning": "PT8S"}), Sink()
    async with bench.serving() as serving:
        with pytest.raises(RunnerRefused, match="node affinity"):
            await serving.runner.run(job, sink)
    assert any("waits to be started" in text and "affinity" in text for text in sink.of("runner"))
    await bench.nothing_left(job)


async def test_what_the_cluster_refuses_fails_in_its_words(bench: Bench) -> None:
    with pytest.raises(RunnerRefused, match="quantities") as refused:
        await bench.run("true", options={"resources": {"limit": {"memory": "much"}}})
    assert "taskRunner" in refused.value.hint


async def test_a_pod_that_the_cluster_will_not_make_says_why(bench: Bench) -> None:
    """Job and Pod are made by different parts of a cluster: only the Pod's maker finds that there is no such account."""
    job, sink = bench.job("true", options={"serviceAccountName": "no-such", "waitUntilRunning": "PT12S"}), Sink()
    async with bench.serving() as serving:
        with pytest.raises(RunnerRefused, match="no-such"):
            await serving.runner.run(job, sink)


async def test_nodes_are_out_of_reach_unless_the_operator_allows_it(bench: Bench) -> None:
    options = {"podSpec": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "containerSpec": {"volumeMounts": [{"name": "root", "mountPath": "/host"}]}}
    with pytest.raises(RunnerRefused, match="hostPath /"):
        await bench.run("true", options=options)
    finished, sink = await bench.run("ls /host", options=options, rules=Rules(allow_node_access=True))
    assert finished.exit_code == 0
    assert "etc" in sink.of("stdout")


async def test_specs_are_laid_over_ours(bench: Bench) -> None:
    options = {
        "podSpec": {
            "securityContext": {"runAsUser": 1234, "runAsGroup": 1234},
            "volumes": [{"name": "more", "emptyDir": {}}],
            "initContainers": [{
                "name": "first", "image": bench.cluster.image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", "echo made > /more/x"],
                "volumeMounts": [{"name": "more", "mountPath": "/more"}],
            }],
        },
        "containerSpec": {"env": [{"name": "EXTRA", "value": "spec"}], "volumeMounts": [{"name": "more", "mountPath": "/more"}]},
        "labels": {"team": "data"},
    }
    job, sink = bench.job("id -u; echo $EXTRA; cat /more/x; echo ok > made.txt; ls /var/run/secrets", options=options, output_patterns=["made.txt"]), Sink()
    async with bench.serving() as serving:
        finished = await serving.runner.run(job, sink)
    assert sink.of("stdout") == ["1234", "spec", "made"]
    assert finished.exit_code == 1, "no token of the cluster is in the container"
    assert (job.results / "made.txt").read_text() == "ok\n"


async def test_privileges_are_dropped(bench: Bench) -> None:
    _, sink = await bench.run("grep -e CapEff -e NoNewPrivs /proc/self/status")
    assert [text.split() for text in sink.of("stdout")] == [["CapEff:", "0000000000000000"], ["NoNewPrivs:", "1"]]


async def test_the_cluster_ends_what_takes_longer_than_it_may(bench: Bench) -> None:
    """waitUntilCompletion holds without the daemon."""
    finished, sink = await bench.run("echo up; sleep 100", options={"waitUntilCompletion": "PT4S"})
    assert sink.of("stdout") == ["up"]
    assert finished.exit_code == 143
    assert not finished.killed


async def test_a_pod_that_is_taken_away_is_lost_and_not_started_again(bench: Bench) -> None:
    job, sink = bench.job("trap '' TERM; echo up; while :; do sleep 1; done"), Sink()
    async with bench.serving() as serving:
        running = asyncio.create_task(serving.runner.run(job, sink))
        await sink.until("up")
        pod = bench.cluster.pod(job.attempt_id)
        bench.cluster.core.delete_namespaced_pod(pod.metadata.name, bench.cluster.namespace, grace_period_seconds=1)
        with pytest.raises(AttemptLost):
            await running
    assert sink.of("stdout") == ["up"]
    await bench.nothing_left(job)


async def test_a_job_that_is_kept_stays_and_is_not_reaped(bench: Bench) -> None:
    job, sink = bench.job("echo done", options={"delete": False}), Sink()
    async with bench.serving() as serving:
        await serving.runner.run(job, sink)
        bench.cluster.until(lambda: bench.cluster.pod(job.attempt_id).status.phase == "Succeeded")
        await serving.runner.release(job.attempt_id)
        await serving.runner.reap(set())
        assert [each for each in bench.cluster.traces(job.attempt_id) if each.startswith("job")]
    found = bench.cluster.batch.list_namespaced_job(bench.cluster.namespace, label_selector=f"podium.attempt={job.attempt_id}").items[0]
    assert found.spec.ttl_seconds_after_finished == 24 * 3600
    bench.cluster.batch.delete_namespaced_job(found.metadata.name, bench.cluster.namespace, propagation_policy="Background")


async def test_a_daemon_that_lost_its_home_finds_what_it_left(bench: Bench, tmp_path: Path) -> None:
    job, sink = bench.job("echo up; sleep 300"), Sink()
    async with bench.serving() as serving:
        running = asyncio.create_task(serving.runner.run(job, sink))
        await sink.until("up")
        async with bench.serving(home=tmp_path / "other") as other:
            assert await other.runner.reap({job.attempt_id}) == 0
            assert await other.runner.reap(set()) == 1
        end = (await asyncio.gather(running, return_exceptions=True))[0]
        assert isinstance(end, AttemptLost) or (isinstance(end, Finished) and end.exit_code == 143), "the cluster asks the command to end first"
    await bench.nothing_left(job)


async def test_a_task_may_bring_its_own_cluster(bench: Bench, tmp_path: Path) -> None:
    given = yaml.safe_load(bench.cluster.kubeconfig.read_text())
    cluster = given["clusters"][0]["cluster"]
    config = {
        "masterUrl": cluster["server"], "caCertData": Path(cluster["certificate-authority"]).read_text(), "namespace": bench.cluster.namespace,
        "oauthToken": given["users"][0]["user"]["token"],
    }
    nowhere = tmp_path / "nowhere.conf"
    nowhere.write_text(bench.cluster.kubeconfig.read_text().replace(cluster["server"], "https://127.0.0.1:9"))
    job, sink = bench.job("echo there", options={"config": config}), Sink()
    async with bench.serving(kubeconfig=nowhere) as serving:
        assert (await serving.runner.run(job, sink)).exit_code == 0
        await serving.runner.release(job.attempt_id)
        assert sink.of("stdout") == ["there"]
        await bench.nothing_left(job)
        with pytest.raises(RunnerError, match="cannot be reached"):
            await serving.runner.run(bench.job("true"), Sink())


async def test_missing_rights_are_named(bench: Bench, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.conf"
    given = yaml.safe_load(bench.cluster.kubeconfig.read_text())
    given["users"][0]["user"]["token"] = "nobody"
    wrong.write_text(yaml.safe_dump(given))
    async with bench.serving(kubeconfig=wrong) as serving:
        with pytest.raises(RunnerRefused, match="Unauthorized") as refused:
            await serving.runner.run(bench.job("true"), Sink())
        with pytest.raises(RunnerRefused, match="elsewhere"):
            await bench.run("true", options={"namespace": "elsewhere"})
    assert "Role" in refused.value.hint


@asynccontextmanager
async def proxy(target: tuple[str, int]) -> AsyncIterator[Any]:
    """A way to the API server that can be cut: `.cut()`, `.mend()`, `.port`."""

    class Way:
        def __init__(self) -> None:
            self.port, self.open = 0, True
            self.writers: set[asyncio.StreamWriter] = set()

        def cut(self) -> None:
            self.open = False
            for writer in self.writers:
                writer.transport.abort()

        def mend(self) -> None:
            self.open = True

    way = Way()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not way.open:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*target)
        way.writers |= {writer, back}
        await asyncio.gather(pump(reader, back), pump(there, writer))
        way.writers -= {writer, back}

    server = await asyncio.start_server(serve, "127.0.0.1", 0, family=socket.AF_INET)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        way.cut()
        server.close()


async def test_without_the_api_server_a_task_goes_on_to_its_end(bench: Bench, tmp_path: Path) -> None:
    given = yaml.safe_load(bench.cluster.kubeconfig.read_text())
    host, _, port = given["clusters"][0]["cluster"]["server"].removeprefix("https://").partition(":")
    async with proxy((host, int(port))) as way:
        given["clusters"][0]["cluster"] |= {"server": f"https://127.0.0.1:{way.port}", "tls-server-name": host}
        config = tmp_path / "proxy.conf"
        config.write_text(yaml.safe_dump(given))
        job, sink = bench.job("echo up; sleep 6; echo down; exit 3"), Sink()
        async with bench.serving(kubeconfig=config) as serving:
            running = asyncio.create_task(serving.runner.run(job, sink))
            await sink.until("up")
            way.cut()
            assert (await running).exit_code == 3
            assert sink.of("stdout") == ["up", "down"]
            with pytest.raises(RunnerError):
                await serving.runner.release(job.attempt_id)
            later = asyncio.create_task(serving.runner.run(bench.job("echo later"), second := Sink()))
            await asyncio.sleep(1.5)
            way.mend()
            await serving.runner.release(job.attempt_id)
            assert (await later).exit_code == 0, "a new task waits for it"
            assert second.of("stdout") == ["later"]
    await bench.nothing_left(job)


async def test_two_pods_of_one_attempt_run_it_once(bench: Bench) -> None:
    """Should the cluster start another Pod (it may, after a partition), that one gets no files and ends."""
    job, sink = bench.job("echo once; sleep 4"), Sink()
    async with bench.serving() as serving:
        running = asyncio.create_task(serving.runner.run(job, sink))
        await sink.until("once")
        first = bench.cluster.core.api_client.sanitize_for_serialization(bench.cluster.pod(job.attempt_id))
        spec: Mapping[str, Any] = {key: value for key, value in first["spec"].items() if key != "nodeName"}
        labels = {key: value for key, value in first["metadata"]["labels"].items() if key.startswith("podium.")}
        twin = {"metadata": {"name": "twin", "labels": labels}, "spec": spec}
        bench.cluster.core.create_namespaced_pod(bench.cluster.namespace, json.loads(json.dumps(twin)))
        try:
            assert (await running).exit_code == 0
            assert sink.of("stdout") == ["once"]
            ended = bench.cluster.until(lambda: bench.cluster.core.read_namespaced_pod("twin", bench.cluster.namespace).status.container_statuses)
            assert ended[0].state.terminated.exit_code == 75
        finally:
            bench.cluster.core.delete_namespaced_pod("twin", bench.cluster.namespace, grace_period_seconds=0)


def test_the_rights_of_the_docs_are_those_that_are_tested(kubernetes: Kubernetes) -> None:
    """The tests' own account is no administrator."""
    given = yaml.safe_load(kubernetes.kubeconfig.read_text())
    assert given["users"][0]["user"]["token"] not in ADMIN.read_text()
