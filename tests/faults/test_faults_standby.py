"""A standby takes over: from a daemon that is killed, stopped in order, or hangs. One that lost its home and wakes writes nothing."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from daemon_house import PODIUM, wait_for
from fault_audit import audit
from fault_house import FaultHouse, Rounds, fault_house

PROCESS = '[runner]\ntype = "process"\n'
TAKEOVER_S_MAX = 30.0
"""Seconds without an answer, at most, on a busy machine. The usual time is printed."""


class Crew:
    """A fault house with standbys; `house.process` is the daemon that serves."""

    def __init__(self, house: FaultHouse) -> None:
        self.house = house
        self.standbys: list[subprocess.Popen[bytes]] = []
        self.took: list[float] = []

    def add(self, *arguments: str) -> subprocess.Popen[bytes]:
        """One more standby, which waits when this returns."""
        with self.house.log.open("ab") as log:
            made = subprocess.Popen(
                [*PODIUM, "serve", "--standby", "--config", str(self.house.config), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={**os.environ, **self.house.environ},
            )
        self.standbys.append(made)
        wait_for(lambda: self.house.log.read_text("utf-8", "replace").count("Podium stands by") >= len(self.made), "a standby to wait")
        return made

    @property
    def made(self) -> list[int]:
        """Every standby there ever was."""
        return [*range(len(self.standbys) + len(self.took))]

    def followed(self, end: Callable[[], object], timeout_s: float = TAKEOVER_S_MAX) -> float:
        """End the daemon that serves; how long nobody answered until a standby did."""
        before, self.house.process = self.house.process, None
        assert before is not None
        began = time.monotonic()
        end()
        wait_for(lambda: self.owner() not in (None, before.pid), "a standby to have the home", timeout_s)
        serving = self.owner()
        self.house.process = next(each for each in self.standbys if each.pid == serving)
        self.standbys.remove(self.house.process)
        wait_for(self.house._serving, "the standby to serve", timeout_s)
        self.took.append(time.monotonic() - began)
        before.wait(60)
        return self.took[-1]

    def owner(self) -> int | None:
        """The process that the lock file names."""
        words = (self.house.home / "lock").read_text().split()
        return int(words[0]) if words else None

    def close(self) -> None:
        for each in self.standbys:
            with contextlib.suppress(ProcessLookupError):
                each.send_signal(signal.SIGCONT)
            each.terminate()
            each.wait(60)


@contextlib.contextmanager
def crew(root: Path, port: int, settings: str = PROCESS, kinds: Mapping[str, int] | None = None) -> Iterator[Crew]:
    with fault_house(root, port, settings, kinds=kinds) as house, contextlib.closing(Crew(house)) as found:
        yield found


def sure(found: Any) -> None:
    assert not found.wrong, "\n".join(found.wrong[:20])


@pytest.mark.docker
@pytest.mark.timeout(2_400)
def test_a_standby_takes_over_from_one_that_is_killed_under_load(
    tmp_path: Path, free_port: int, docker_engine: Any, images: Mapping[str, str], seed: int, rounds: int
) -> None:
    """Two stand by; one of them takes over each time, takes up what runs, and nothing is lost or done twice."""
    rng = random.Random(seed)
    with crew(tmp_path, free_port, f'{PROCESS}[runner.images]\n"busybox*" = "{images["busybox"]}"\n') as standbys:
        house = standbys.house
        house.watch(docker_engine)
        house.begin()
        standbys.add()
        with house.load(rng):
            budget = Rounds(max(rounds // 5, 4), least=4)
            while budget.more():
                standbys.add()
                time.sleep(rng.uniform(0.3, 2.0))
                assert house.process is not None
                house.kills += 1
                standbys.followed(house.process.kill)
        while standbys.standbys:
            standbys.standbys.pop().terminate()
        house.settle(300)
        found = audit(house, docker=docker_engine)
        took = sorted(standbys.took)
        house.say(f"standby: {len(took)} times taken over after {took[0]:.2f} to {took[-1]:.2f} s, median {took[len(took) // 2]:.2f}: {dict(found.figures)}")
        sure(found)


def test_a_stop_hands_over_to_a_standby(tmp_path: Path, free_port: int, seed: int) -> None:
    """SIGTERM under load: running tasks go on and are taken up by the standby; a standby that is stopped disturbs nobody."""
    rng = random.Random(seed)
    with crew(tmp_path, free_port, kinds={"one": 3, "shell": 3, "parent": 1, "shared": 1, "request": 1}) as standbys:
        house = standbys.house
        house.begin()
        with house.load(rng):
            for _ in range(2):
                standbys.add()
                time.sleep(rng.uniform(0.5, 1.5))
                assert house.process is not None
                first = house.process
                standbys.followed(first.terminate, 30)
                assert first.returncode == 0
            bored = standbys.add()
            assert wait_for(lambda: house.call("GET", "/health")["standby"], "the daemon to know of its standby")
            bored.terminate()
            assert bored.wait(60) == 0
            wait_for(lambda: not house.call("GET", "/health")["standby"], "the daemon to know that it is gone")
        house.settle()
        sure(audit(house))


def test_a_daemon_that_hangs_is_ended_by_its_standby(tmp_path: Path, free_port: int, seed: int) -> None:
    """SIGSTOP under load: after `takeover_s` the standby ends it and takes over; it never wakes again."""
    rng = random.Random(seed)
    with crew(tmp_path, free_port, kinds={"one": 2, "shell": 3, "loop": 1}) as standbys:
        house = standbys.house
        house.config.write_text(house.config.read_text().replace("[server]\n", "[server]\ntakeover_s = 5\n"))
        house.begin()
        standbys.add()
        with house.load(rng):
            time.sleep(2.5)
            assert standbys.owner() == house.process.pid if house.process else False, "a daemon that answers was taken for one that hangs"
            hanging = house.process
            assert hanging is not None
            took = standbys.followed(lambda: hanging.send_signal(signal.SIGSTOP), 30)
            assert took > 4
            assert hanging.returncode == -signal.SIGKILL
            time.sleep(1)
        house.settle()
        sure(audit(house))


def test_a_busy_daemon_is_left_alone(tmp_path: Path, free_port: int, seed: int) -> None:
    """Short stops are no hang."""
    with crew(tmp_path, free_port, kinds={"one": 1}) as standbys:
        house = standbys.house
        house.config.write_text(house.config.read_text().replace("[server]\n", "[server]\ntakeover_s = 5\n"))
        house.begin()
        standbys.add()
        assert house.process is not None
        for _ in range(3):
            house.process.send_signal(signal.SIGSTOP)
            time.sleep(2.0)
            house.process.send_signal(signal.SIGCONT)
            time.sleep(1.5)
        assert standbys.owner() == house.process.pid
        assert house.ended(str(house.start_one("one")))["state"]["current"] == "SUCCESS"


def test_one_that_lost_its_home_while_it_slept_writes_nothing(tmp_path: Path, free_port: int) -> None:
    """Its lock was deleted under it and another daemon began: woken, it ends at once, and the journal has nothing of it."""
    with crew(tmp_path, free_port, kinds={"one": 1}) as standbys:
        house = standbys.house
        house.begin()
        house.ended(str(house.start_one("one")))
        wait_for(lambda: house.call("GET", "/health")["unpushed"]["count"] == 0, "quiet")
        first, port = house.process, house.port
        assert first is not None
        with house.opened("GET", "/ping", b"", {}) as answer:
            assert answer.status == 200
        first.send_signal(signal.SIGSTOP)
        (house.home / "lock").unlink()
        (house.home / "podium.sock").unlink()
        house.process = None
        text = house.config.read_text()
        house.config.write_text(text.replace(f"port = {port}", "port = 0"))
        house.again_elsewhere()
        for _ in range(3):
            assert house.start_one("one")
        house.settle()
        first.send_signal(signal.SIGCONT)
        assert first.wait(60) == 4
        log = house.log.read_text()
        assert "home_taken" in log
        assert "Traceback" not in log
        assert (house.home / "podium.sock").exists(), "the old daemon took the new one's socket away"
        house.ended(str(house.start_one("one")))
        house.settle()
        sure(audit(house))
