"""Fixtures that every folder of tests may use.

What always holds: a test sees none of the caller's Podium, Git or secret settings; a service that is absent is a skip at
home and a failure when CI=true, so that a green run on CI has tested everything.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kubernetes_house import BUSYBOX, Kubernetes
from postgres_house import Postgres, running_postgres
from swarm_house import Swarm, running_swarm

_FOREIGN = ("PODIUM_", "SECRET_", "ENV_", "KESTRA_", "GIT_", "NOTIFY_", "LISTEN_", "WATCHDOG_", "CREDENTIALS_", "STATE_DIRECTORY", "XDG_")
_KEPT = frozenset({"GIT_SSL_CAINFO", "XDG_CACHE_HOME"})
_STAND_INS = {
    "busybox": ("podium.local/busybox:latest", "busybox:latest"),
    "debian": ("podium.local/debian:bookworm", "debian:bookworm-slim"),
    "python": ("podium.local/python:bookworm", "python:3.11-slim"),
    "node": ("podium.local/node:bookworm",),
}


class ManualClock:
    """A Clock that only moves when a test says so. Starts at 2026-01-05 08:00 UTC, a Monday."""

    def __init__(self, at: datetime = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)) -> None:
        self._now = at

    def now(self) -> datetime:
        """The moment set last, aware, UTC."""
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move on by `seconds` (back when negative: a stepped clock); the new moment."""
        self._now += timedelta(seconds=seconds)
        return self._now

    def set(self, at: datetime) -> None:
        """Jump to `at` (aware)."""
        assert at.tzinfo is not None
        self._now = at.astimezone(UTC)


NIGHTLY = os.environ.get("FAULTS_NIGHTLY") == "1"
KUBERNETES = os.environ.get("KUBERNETES_TESTS") == "1"
"""Set by `make kubernetes`, which has started a cluster: building one takes longer than other runs have."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Fault tests are slow; those marked `nightly` are only for the long run (make faults NIGHTLY=1)."""
    left_out = []
    for item in items:
        if "faults" in item.path.parts:
            item.add_marker("faults")
            item.add_marker("slow")
        if (item.get_closest_marker("nightly") and not NIGHTLY) or (item.get_closest_marker("kubernetes") and not KUBERNETES):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def seed() -> int:
    """What chance begins with in fault tests; shown when one fails. FAULTS_SEED repeats the choices, not the timing."""
    chosen = int(os.environ.get("FAULTS_SEED") or int.from_bytes(os.urandom(4), "big"))
    sys.stdout.write(f"FAULTS_SEED={chosen}\n")
    return chosen


@pytest.fixture
def rounds() -> int:
    """How often fault tests kill the daemon."""
    return int(os.environ.get("FAULTS_ROUNDS") or (200 if NIGHTLY else 20))


def on_ci() -> bool:
    """Whether an absent service is a failure."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def absent(what: str) -> None:
    """Skip the test at home, fail it on CI."""
    if on_ci():
        pytest.fail(f"{what}, and CI=true allows no gap (`make test` sets everything up)")
    pytest.skip(what)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting of the caller reaches a test; Git has an identity and reads nobody's configuration."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) and name not in _KEPT:
            monkeypatch.delenv(name)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test Person")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "init.defaultBranch")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "main")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))


@pytest.fixture
def clock() -> ManualClock:
    """A clock moved by hand: `.now()`, `.advance(seconds)`, `.set(at)`."""
    return ManualClock()


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has. The system hands out none of its kind, so it stays free while its daemon is away."""
    handed_out = Path("/proc/sys/net/ipv4/ip_local_port_range")
    below = min(int(handed_out.read_text().split()[0]), 32_768) if handed_out.exists() else 32_768
    for port in (*random.sample(range(15_000, below), 50), 0) if below > 20_000 else (0,):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise AssertionError("no port is free")


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Any]:
    """A `docker.DockerClient` of a reachable engine. Mark the test `docker`."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except (DockerException, OSError) as error:
        absent(f"no Docker Engine is reachable ({type(error).__name__})")
        raise
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(docker_engine: Any) -> Mapping[str, str]:
    """The image to use for each of busybox, debian, python, node: made by `podium images build`, else an official one that is here."""
    here = {tag for image in docker_engine.images.list() for tag in image.tags}
    found = {name: next((tag for tag in tags if tag in here), "") for name, tags in _STAND_INS.items()}
    if not found["busybox"] or not found["python"]:
        absent("images are missing: run `podium images build busybox python shell node`")
    return found


@pytest.fixture(scope="session")
def transfer_program() -> Path:
    """podium-transfer, built now if it was not when Podium was installed."""
    from podium.runners.native import programs
    from podium.runners.native.build import build

    try:
        build(arches=[platform.machine()])
        found = programs.transfer()
        assert found is not None
        return found
    except (RuntimeError, OSError) as error:
        absent(f"the programs of runners/native cannot be built ({str(error)[-300:]})")
        raise


@pytest.fixture(scope="session")
def kubernetes(transfer_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubernetes:
    """The cluster that `make kubernetes` has started. Mark the test `kubernetes`."""
    found = Kubernetes(tmp_path_factory.mktemp("kubernetes"), BUSYBOX)
    found.prepare()
    return found


@pytest.fixture(scope="session")
def swarm(docker_engine: Any, images: Mapping[str, str], transfer_program: Path) -> Iterator[Swarm]:
    """A Docker Swarm of two nodes, both with the image busybox. Mark the test `docker`."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(running_swarm())
            found.load(docker_engine, images["busybox"])
        except (RuntimeError, OSError) as error:
            absent(f"no swarm can be made ({error})")
            raise
        yield found


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL server: `.url(database)`, `.database()` for a new one, `.connect(database)`."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except (RuntimeError, OSError) as error:
            absent(f"no PostgreSQL can be started ({error})")
            raise
        yield server


@pytest.fixture(scope="session")
def systemd_analyze() -> Path:
    """The program of that name. Mark the test `systemd`."""
    found = shutil.which("systemd-analyze")
    if found is None:
        absent("systemd-analyze is not installed")
    assert found is not None
    return Path(found)
