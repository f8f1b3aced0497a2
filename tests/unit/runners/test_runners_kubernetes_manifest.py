"""From a task to the objects that a cluster is asked for."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import RunnerRefused
from podium.base.system.ids import new_id
from podium.runners.kubernetes import manifest
from podium.runners.kubernetes.cluster import check_connection
from podium.runners.kubernetes.manifest import Rules, job_name, kubernetes_job, merged, toleration
from podium.runners.port import Job
from podium.runners.remote.program import TARGET, Program

ATTEMPT = "0353bCDefGHijKLmnOPqrS"


def made(*, rules: Rules | None = None, env: dict[str, str] | None = None, of: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    job = Job(
        attempt_id=ATTEMPT, argv=["sh"], directory=Path("/nowhere"), results=Path("/nowhere"), image="busybox:1", env=env or {}, labels=of or {},
        options=options,
    )
    return kubernetes_job(job, instance="main", argv=[TARGET, "http://d/x", manifest.TOKEN_FILE, "-"], launch="abc", program="prog", rules=rules or Rules())


def pod(**options: Any) -> dict[str, Any]:
    found: dict[str, Any] = made(**options)["spec"]["template"]["spec"]
    return found


def test_a_job_starts_one_pod_once() -> None:
    job = made()
    spec = job["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 0)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "activeDeadlineSeconds" not in spec
    assert job["metadata"]["labels"] == {"podium.instance": "main", "podium.attempt": ATTEMPT} == spec["template"]["metadata"]["labels"]


def test_names_differ_where_ids_differ_in_capitals_only() -> None:
    names = {job_name(each) for each in (ATTEMPT, ATTEMPT.lower(), ATTEMPT.upper(), new_id(), f"{ATTEMPT}-1", f"{ATTEMPT}-12")}
    assert len(names) == 6
    assert all(len(name) <= 63 and name == name.lower() for name in names)


def test_what_the_task_gets_stands_nowhere() -> None:
    text = str(made(env={"PASSWORD": "hush"}))
    assert "hush" not in text
    assert "PASSWORD" not in text


def test_the_secret_goes_with_the_job_and_holds_the_token_only() -> None:
    job = made()
    there = {**job, "metadata": {**job["metadata"], "uid": "u-1"}}
    secret = manifest.secret(there, "the token")
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    assert {key: base64.b64decode(value) for key, value in secret["data"].items()} == {"token": b"the token"}
    mounted = [each["secret"]["secretName"] for each in job["spec"]["template"]["spec"]["volumes"] if "secret" in each]
    assert mounted == [secret["metadata"]["name"]]


def test_the_program_is_named_after_its_content_and_the_instance() -> None:
    found = manifest.program_map(Program(b"\x7fELF", "0123456789ab"), "Main_1")
    assert found["metadata"]["name"] == "podium-transfer-0123456789ab-main-1"
    assert base64.b64decode(found["binaryData"]["podium-transfer"]) == b"\x7fELF"


def test_nothing_is_granted() -> None:
    found = pod()
    assert found["containers"][0]["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert found["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in found
    assert pod(serviceAccountName="worker")["automountServiceAccountToken"] is True


@pytest.mark.parametrize("options", [
    {"podSpec": {"hostNetwork": True}}, {"podSpec": {"hostIPC": True}}, {"podSpec": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}},
    {"containerSpec": {"securityContext": {"privileged": True}}}, {"containerSpec": {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}},
    {"containerSpec": {"ports": [{"containerPort": 80, "hostPort": 80}]}}, {"podSpec": {"initContainers": [{"name": "i", "securityContext": {"privileged": True}}]}},
    {"podSpec": {"containers": [{"name": "side", "securityContext": {"privileged": True}}]}},
])
def test_nodes_are_out_of_reach(options: dict[str, Any]) -> None:
    with pytest.raises(RunnerRefused, match="does not allow") as refused:
        made(**options)
    assert "allow_node_access" in refused.value.hint
    made(rules=Rules(allow_node_access=True), **options)


@pytest.mark.parametrize("key", ["shareProcessNamespace", "hostPID"])
def test_processes_are_never_shared(key: str) -> None:
    """The end of a command ends every process it sees."""
    with pytest.raises(RunnerRefused, match="share"):
        made(rules=Rules(allow_node_access=True), podSpec={key: True})


def test_resources_as_kestra_has_them_and_the_settings_where_the_task_is_silent() -> None:
    rules = Rules(cpus=1.5, memory=256 * 1024**2)
    assert pod(rules=rules)["containers"][0]["resources"] == {"limits": {"cpu": "1.5", "memory": "268435456"}}
    asked = {"request": {"cpu": "500m", "memory": "128Mi"}, "limit": {"memory": "1GB"}}
    assert pod(rules=rules, resources=asked)["containers"][0]["resources"] == {
        "limits": {"cpu": "1.5", "memory": str(1024**3)}, "requests": {"cpu": "500m", "memory": "128Mi"},
    }
    with pytest.raises(RunnerRefused, match="limits"):
        made(resources={"limits": {}})


def test_the_operators_pods() -> None:
    rules = Rules(
        service_account="runner", image_pull_secrets=["registry"], node_selector={"disk": "ssd"}, tolerations=[toleration("dedicated=batch:NoSchedule")],
    )
    found = pod(rules=rules, nodeSelector={"zone": "a"})
    assert found["serviceAccountName"] == "runner"
    assert found["imagePullSecrets"] == [{"name": "registry"}]
    assert found["nodeSelector"] == {"kubernetes.io/os": "linux", "disk": "ssd", "zone": "a"}
    assert found["tolerations"] == [{"key": "dedicated", "operator": "Equal", "value": "batch", "effect": "NoSchedule"}]


@pytest.mark.parametrize(("text", "meant"), [
    ("gpu", {"key": "gpu", "operator": "Exists"}),
    ("gpu:NoExecute", {"key": "gpu", "operator": "Exists", "effect": "NoExecute"}),
    ("gpu=a100", {"key": "gpu", "operator": "Equal", "value": "a100"}),
])
def test_taints_as_kubectl_writes_them(text: str, meant: dict[str, str]) -> None:
    assert toleration(text) == meant


def test_specs_are_laid_over_ours_and_what_makes_it_run_stays() -> None:
    found = pod(
        podSpec={"priorityClassName": "low", "restartPolicy": "Always", "containers": [{"name": "side", "image": "proxy"}], "volumes": [{"name": "more", "emptyDir": {}}]},
        containerSpec={"command": ["mine"], "image": "other:2", "env": [{"name": "A", "value": "1"}], "volumeMounts": [{"name": "more", "mountPath": "/podium"}]},
        containerDefaultSpec={"image": "default:1", "tty": True},
    )
    main, side = found["containers"]
    assert (found["priorityClassName"], found["restartPolicy"], side["name"]) == ("low", "Never", "side")
    assert (main["image"], main["command"][0], main["env"], main["tty"]) == ("other:2", TARGET, [{"name": "A", "value": "1"}], False)
    assert [each["mountPath"] for each in main["volumeMounts"]] == ["/podium", TARGET, "/podium-secret"]
    assert main["volumeMounts"][0]["name"] == "podium-home"
    assert {each["name"] for each in found["volumes"]} == {"podium-home", "podium-program", "podium-token", "more"}


def test_merging_goes_by_name_where_things_have_one() -> None:
    base = {"containers": [{"name": "a", "x": 1, "y": {"p": 1}}, {"name": "b"}], "args": [1, 2]}
    over = {"containers": [{"name": "a", "y": {"q": 2}}, {"name": "c"}], "args": [3]}
    assert merged(base, over) == {"containers": [{"name": "a", "x": 1, "y": {"p": 1, "q": 2}}, {"name": "b"}, {"name": "c"}], "args": [3]}


def test_times() -> None:
    job = made(waitUntilRunning="PT1M", waitUntilCompletion="PT2H")
    assert job["metadata"]["annotations"][manifest.WAIT_UNTIL_RUNNING] == "60"
    assert job["spec"]["activeDeadlineSeconds"] == 7200
    with pytest.raises(RunnerRefused, match="duration"):
        made(waitUntilRunning="soon")


def test_labels_are_what_a_cluster_takes() -> None:
    labels = made(of={"podium.flow": "é b.", "long": "x" * 80})["metadata"]["labels"]
    assert labels["podium.flow"] == "b"
    assert labels["long"] == "x" * 63


def test_a_task_cannot_take_our_labels() -> None:
    assert made(labels={"podium.instance": "other"})["metadata"]["labels"]["podium.instance"] == "main"


@pytest.mark.parametrize("given", [{"masterUrl": "https://x", "caCertFile": "/etc/shadow"}, {"oauthToken": "x"}])
def test_a_connection_that_names_files_or_no_server_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(RunnerRefused, match=r"taskRunner\.config"):
        check_connection(given)
