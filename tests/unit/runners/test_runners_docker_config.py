"""What a container is asked to be. A slip here opens the machine to a task."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import RunnerRefused
from podium.runners.docker.config import Policy, container_request, port_bindings, size
from podium.runners.docker.images import HUB, registry_login, registry_of
from podium.runners.port import Job


def request(policy: Policy | None = None, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    job = Job(
        attempt_id="a-1", argv=["sh"], directory=Path("/d"), results=Path("/r"), options=options, labels={"x": "y"}, env={"A": "b"}
    )
    return container_request(job, instance="i", life="l", image="sha256:1", policy=policy or Policy(), network="net", cpus_max=4)


def test_nothing_is_granted_unasked() -> None:
    container, host = request()
    assert host["cap_drop"] == ["ALL"]
    assert host["security_opt"] == ["no-new-privileges"]
    assert host["pids_limit"] > 0
    assert host["network_mode"] == "net"
    assert host["log_config"]["type"] == "json-file"
    assert not {"binds", "privileged", "cap_add", "auto_remove"} & {key for key, value in host.items() if value}
    assert container["name"] == "podium-a-1"
    assert container["entrypoint"] == [""]
    assert container["environment"] == {"A": "b"}
    assert container["labels"] == {"x": "y", "podium.instance": "i", "podium.life": "l", "podium.attempt": "a-1"}


def test_resources_are_the_tasks_own_else_the_operators() -> None:
    _, host = request(Policy(cpus=2, memory=1000))
    assert (host["nano_cpus"], host["mem_limit"], host["memswap_limit"]) == (2_000_000_000, 1000, 1000)
    _, host = request(Policy(cpus=2, memory=1000), cpu={"cpus": 0.5}, memory={"memory": "64MB", "memorySwap": "1g"}, shmSize="8m")
    assert (host["nano_cpus"], host["mem_limit"], host["memswap_limit"], host["shm_size"]) == (500_000_000, 64 << 20, 1 << 30, 8 << 20)
    _, host = request(cpu={"cpus": 64})
    assert host["nano_cpus"] == 4_000_000_000


def test_everything_a_task_may_say_arrives() -> None:
    container, host = request(
        user="1000", entryPoint=["/bin/tini"], extraHosts=["db:10.0.0.1"], portBindings=["8080:80", "127.0.0.1:53:53/udp"],
        deviceRequests=[{"count": -1, "capabilities": [["gpu"]], "driver": "nvidia", "deviceIds": ["0"], "options": {"a": "b"}}],
        memory={"memoryReservation": "1m", "memorySwappiness": "0", "oomKillDisable": True, "kernelMemory": "5m"},
    )
    assert (container["user"], container["entrypoint"]) == ("1000", ["/bin/tini"])
    assert container["ports"] == [("80", "tcp"), ("53", "udp")]
    assert host["extra_hosts"] == ["db:10.0.0.1"]
    assert host["port_bindings"] == {"80/tcp": 8080, "53/udp": ("127.0.0.1", 53)}
    assert host["device_requests"] == [
        {"Count": -1, "Capabilities": [["gpu"]], "Driver": "nvidia", "DeviceIDs": ["0"], "Options": {"a": "b"}}
    ]
    assert (host["mem_reservation"], host["mem_swappiness"], host["oom_kill_disable"], host["kernel_memory"]) == (1 << 20, 0, True, 5 << 20)


def test_privileges_need_the_operator() -> None:
    allowed = Policy(allow_privileged=True, allow_volumes=True, capabilities=["NET_RAW"])
    assert request(allowed, privileged=True)[1]["privileged"] is True
    assert request(allowed, capAdd=["SYS_PTRACE"])[1]["cap_add"] == ["NET_RAW", "SYS_PTRACE"]
    assert request(allowed, volumes=["/a:/b"])[1]["binds"] == ["/a:/b"]
    for options in ({"privileged": True}, {"capAdd": ["SYS_PTRACE"]}, {"volumes": ["/a:/b"]}):
        with pytest.raises(RunnerRefused):
            request(**options)
    with pytest.raises(RunnerRefused, match="source:target"):
        request(allowed, volumes=["justname"])


def test_keep_and_wait() -> None:
    assert request(delete=False)[0]["labels"]["podium.keep"] == "true"
    assert request(wait=False)[1]["auto_remove"] is True
    assert request(wait=False, delete=False)[1]["auto_remove"] is False


@pytest.mark.parametrize(
    ("text", "bytes_"), [("512MB", 512 << 20), ("1g", 1 << 30), ("2GiB", 2 << 30), ("1.5k", 1536), ("100", 100), (7, 7), ("3 TB", 3 << 40)]
)
def test_sizes(text: Any, bytes_: int) -> None:
    assert size(text, where="x") == bytes_


def test_what_is_no_size_or_port_is_refused() -> None:
    for text in ("", "many", "-1", "1 XB"):
        with pytest.raises(RunnerRefused):
            size(text, where="x")
    for text in ("80", "a:80"):
        try:
            assert port_bindings([text]) == {"80/tcp": None}
        except RunnerRefused:
            continue


def test_registry_logins() -> None:
    assert registry_of("python:3") == HUB
    assert registry_of("team/app") == HUB
    assert registry_of("localhost/app") == "localhost"
    assert registry_of("reg.example.org:5000/team/app:1") == "reg.example.org:5000"
    auth = base64.b64encode(b"me:pa:ss").decode()
    assert registry_login("r.example/x", {}) is None
    assert registry_login("r.example/x", {"credentials": {"username": "u", "password": "p"}}) == {
        "serveraddress": "r.example", "username": "u", "password": "p",
    }
    assert registry_login("x", {"credentials": {"auth": auth, "registry": "other"}}) == {
        "serveraddress": "other", "username": "me", "password": "pa:ss",
    }
    config = {"auths": {"https://r.example/v2/": {"auth": auth}, f"https://index.{HUB}/v1/": {"identitytoken": "t"}}}
    assert (registry_login("r.example/x", {"config": config}) or {})["username"] == "me"
    assert (registry_login("python", {"config": config}) or {})["identitytoken"] == "t"
    assert registry_login("other.example/x", {"config": config}) is None
    with pytest.raises(RunnerRefused):
        registry_login("x", {"config": "{not json"})
