"""A real Docker Swarm of two nodes on this machine, for tests: two engines, each in a network namespace of its own, no image of nodes needed.

A second engine on the machine's own network would take away the first one's bridge; so neither node ever sees it. Needs root, iproute2 and dockerd.
Node 1 is the manager. From containers on both, `host_address` is this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PREFIX = "podium-swarm-"


class Node:
    """One engine. number: 1 or 2."""

    def __init__(self, home: Path, number: int) -> None:
        self.home = home / f"n{number}"
        self.number = number
        self.name = f"node{number}"
        self.net = f"{_PREFIX}{os.getpid()}-{number}"
        self.cgroup = f"{_PREFIX}{os.getpid()}-{number}"
        self.socket = self.home / "docker.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._client: Any = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def client(self) -> Any:
        import docker

        if self._client is None:
            self._client = docker.DockerClient(base_url=self.url, timeout=60)
        return self._client

    def start(self) -> None:
        self.home.mkdir(exist_ok=True)
        (self.home / "daemon.json").write_text("{}")
        command = (
            f"echo {self.name} > /proc/sys/kernel/hostname; exec dockerd --config-file {self.home}/daemon.json --data-root {self.home}/data "
            f"--exec-root {self.home}/run --pidfile {self.home}/pid -H {self.url} --cgroup-parent /{self.cgroup}"
        )
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.net}", "unshare", "--uts", "sh", "-c", command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"},
            )

    def answers(self) -> bool:
        import docker.errors
        import requests.exceptions

        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"dockerd ended: {(self.home / 'log').read_text()[-800:]}")
        with suppress(docker.errors.DockerException, requests.exceptions.RequestException, OSError):
            return bool(self.client.ping())
        return False

    def containers(self, attempt_id: str) -> list[Any]:
        return list(self.client.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.attempt={attempt_id}"}))

    def cut_off(self) -> None:
        """The node loses its network, as if its cable were pulled."""
        for link in ("eth0", "swarm0"):
            _run("ip", "-n", self.net, "link", "set", link, "down")

    def reconnect(self, gateway: str) -> None:
        for link in ("eth0", "swarm0"):
            _run("ip", "-n", self.net, "link", "set", link, "up")
        _run("ip", "-n", self.net, "route", "replace", "default", "via", gateway)

    def stop(self) -> None:
        if self._client is not None:
            self._client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


class Swarm:
    """Both nodes, joined."""

    def __init__(self, home: Path) -> None:
        number = os.getpid()
        self.home = home
        self.net = f"10.{200 + number % 50}.{number // 50 % 250}"
        self.manager, self.worker = self.nodes = (Node(home, 1), Node(home, 2))
        self.host_address = f"{self.net}.1"
        """Of this machine, for containers of both nodes."""

    def gateway(self, node: Node) -> str:
        return f"{self.net}.{16 * node.number + 1}"

    def build(self) -> None:
        for node in self.nodes:
            _run("ip", "netns", "add", node.net)
            link = f"psw{os.getpid() % 1_000_000}-{node.number}"
            _run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", node.net)
            _run("ip", "addr", "add", f"{self.gateway(node)}/30", "dev", link)
            if node.number == 1:
                _run("ip", "addr", "add", f"{self.host_address}/32", "dev", link)
            _run("ip", "link", "set", link, "up")
            _run("ip", "-n", node.net, "addr", "add", f"{self.net}.{16 * node.number + 2}/30", "dev", "eth0")
            for each in ("lo", "eth0"):
                _run("ip", "-n", node.net, "link", "set", each, "up")
            _run("ip", "-n", node.net, "route", "add", "default", "via", self.gateway(node))
        _run("ip", "-n", self.manager.net, "link", "add", "swarm0", "type", "veth", "peer", "name", "swarm0", "netns", self.worker.net)
        for node in self.nodes:
            _run("ip", "-n", node.net, "addr", "add", f"{self.net}.{128 + node.number}/29", "dev", "swarm0")
            _run("ip", "-n", node.net, "link", "set", "swarm0", "up")
            node.start()
        for node in self.nodes:
            until(node.answers, "an engine of the swarm answers")
        leader = f"{self.net}.129"
        api = self.manager.client.api
        heartbeat = api.create_swarm_spec(dispatcher_heartbeat_period=1_000_000_000)  # a lost node is noticed after 5 s instead of 15
        api.init_swarm(advertise_addr=leader, listen_addr=f"{leader}:2377", swarm_spec=heartbeat)
        token = api.inspect_swarm()["JoinTokens"]["Worker"]
        address = f"{self.net}.130"
        self.worker.client.api.join_swarm([f"{leader}:2377"], token, listen_addr=f"{address}:2377", advertise_addr=address)
        until(lambda: [each["Status"]["State"] for each in api.nodes()] == ["ready", "ready"], "both nodes are ready")

    def load(self, engine: Any, image: str) -> None:
        """Bring an image of this machine's engine to both nodes."""
        data = b"".join(engine.images.get(image).save(named=True))
        for node in self.nodes:
            node.client.images.load(data)

    def destroy(self) -> None:
        _end_groups(os.getpid())  # an engine that stops would give its containers ten seconds
        for node in self.nodes:
            node.stop()
        sweep(os.getpid(), self.home)


def until(condition: Callable[[], bool], what: str, timeout_s: float = 90.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.05)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def sweep(pid: int, home: Path) -> None:
    """Remove what a test process made: processes in its control groups, mounts, namespaces (their links go with them), folders."""
    _end_groups(pid)
    for number in (1, 2):
        subprocess.run(["ip", "netns", "del", f"{_PREFIX}{pid}-{number}"], capture_output=True, check=False)
    for entry in Path("/proc").iterdir():  # engines and shims that outlived a test that was killed
        with suppress(OSError):
            if entry.name.isdigit() and os.fsencode(str(home) + "/") in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                os.kill(int(entry.name), signal.SIGKILL)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        place = line.split()[1]
        if place.startswith(str(home) + "/"):
            subprocess.run(["umount", "-l", place], capture_output=True, check=False)
    shutil.rmtree(home, ignore_errors=True)


def _end_groups(pid: int) -> None:
    """Kill what runs in the control groups of a test process's nodes, and remove those that are empty."""
    for number in (1, 2):
        groups = [Path(root) for each in Path("/sys/fs/cgroup").glob("*") for root in each.glob(f"{_PREFIX}{pid}-{number}") if root.is_dir()]
        groups += list(Path("/sys/fs/cgroup").glob(f"{_PREFIX}{pid}-{number}"))
        for group in groups:
            for folder, _, _ in sorted(os.walk(group), reverse=True):
                with suppress(OSError):
                    for process in (Path(folder) / "cgroup.procs").read_text().split():
                        os.kill(int(process), signal.SIGKILL)
                for _ in range(20):
                    with suppress(OSError):
                        Path(folder).rmdir()
                        break
                    time.sleep(0.05)


def _sweep_dead() -> None:
    """What earlier test processes left that did not come to their end."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            sweep(int(pid), folder)


@contextmanager
def running_swarm() -> Iterator[Swarm]:
    """The swarm. Raises RuntimeError that says why there can be none here."""
    missing = [each for each in ("ip", "nsenter", "unshare", "dockerd", "containerd") if shutil.which(each) is None]
    if os.geteuid() != 0 or missing:
        raise RuntimeError("it takes root" if os.geteuid() != 0 else f"{', '.join(missing)} not installed")
    _sweep_dead()
    swarm = Swarm(Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")))
    try:
        swarm.build()
        yield swarm
    finally:
        swarm.destroy()


if __name__ == "__main__":
    with running_swarm() as found:
        sys.stdout.write(json.dumps({"manager": found.manager.url, "worker": found.worker.url, "host": found.host_address}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
