"""A disk that fills up, a home that cannot be written, a second daemon: refused plainly, gone on from by itself, nothing lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_house import wait_for
from fault_audit import audit
from fault_house import FaultHouse, fault_house

from conftest import absent

PROCESS = '[runner]\ntype = "process"\n'
MIB = 1024 * 1024


@contextlib.contextmanager
def small_disk(at: Path, mib: int) -> Iterator[Path]:
    """A file system of that size. Needs the right to mount."""
    at.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", str(at)], capture_output=True, check=False).returncode != 0:
        absent("no file system can be mounted here (root is needed)")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=False)


def fill(disk: Path) -> Path:
    """Leave no free block."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)
    return ballast


def refused(house: FaultHouse) -> str:
    """The answer to a start that cannot be stored; empty when it was taken."""
    try:
        house.ledger.acknowledged[house.call("POST", "/api/v1/executions/load/one")["id"]] = "one"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    return ""


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path: Path, free_port: int) -> None:
    """What ran meanwhile ends; what was refused left no trace; nobody restarts the daemon."""
    with small_disk(tmp_path / "house" / "home", 48) as disk, fault_house(tmp_path / "house", free_port, PROCESS, kinds={"one": 1}) as house:
        house.begin()
        for _ in range(5):
            house.start_one("one")
        running = [house.start_one("shell"), house.start_one("retried")]
        ballast = fill(disk)
        refusal = wait_for(lambda: refused(house), "a refusal")
        assert refusal.startswith(("503", "507")), refusal
        assert "full" in refusal
        assert "free some space" in refusal
        with pytest.raises(urllib.error.HTTPError) as trouble:
            house.call("GET", "/health")
        assert "full" in trouble.value.read().decode()
        time.sleep(1.5)
        for _ in range(5):
            refused(house)
        assert house.process is not None
        assert house.process.poll() is None, "the daemon ended"
        ballast.unlink()
        wait_for(lambda: not refused(house), "an execution to be taken again", 30)
        assert all(running)
        house.settle(60)
        found = audit(house, lost_allowed=True)
        assert not found.wrong, "\n".join(found.wrong[:20])


@pytest.mark.nightly
def test_a_full_disk_and_kill_9(tmp_path: Path, free_port: int) -> None:
    """Killed while the disk is full: it starts again once there is room, with everything it had acknowledged."""
    with small_disk(tmp_path / "house" / "home", 48) as disk, fault_house(tmp_path / "house", free_port, PROCESS, kinds={"one": 1}) as house:
        house.begin()
        for _ in range(20):
            house.start_one("one")
        ballast = fill(disk)
        for _ in range(5):
            refused(house)
        house.crash()
        ballast.unlink()
        house.again()
        house.settle(60)
        found = audit(house, lost_allowed=True)
        assert not found.wrong, "\n".join(found.wrong[:20])


def test_a_home_that_cannot_be_written_is_refused_plainly(tmp_path: Path, free_port: int) -> None:
    with small_disk(tmp_path / "house" / "home", 16) as disk, fault_house(tmp_path / "house", free_port, PROCESS) as house:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = house.podium("serve", "--config", str(house.config), check=False)
        assert done.returncode == 1
        assert f"the home {house.home} cannot be used: Read-only file system" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_home_that_has_no_room_is_refused_plainly(tmp_path: Path, free_port: int) -> None:
    with small_disk(tmp_path / "house" / "home", 16) as disk, fault_house(tmp_path / "house", free_port, PROCESS) as house:
        fill(disk)
        done = house.podium("serve", "--config", str(house.config), check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr, done.stderr[-2000:]
        assert "No space left" in done.stderr or "full" in done.stderr, done.stderr


def test_a_second_daemon_refuses_and_harms_nothing(tmp_path: Path, free_port: int) -> None:
    with fault_house(tmp_path, free_port, PROCESS) as house:
        house.begin()
        for _ in range(4):
            house.start_one("shell")
        done = house.podium("serve", "--config", str(house.config), "--port", "0", check=False)
        assert done.returncode == 4
        assert "another daemon" in done.stderr
        house.settle(60)
        found = audit(house)
        assert not found.wrong, "\n".join(found.wrong[:20])


def test_a_journal_that_is_no_database_is_told(tmp_path: Path, free_port: int) -> None:
    with fault_house(tmp_path, free_port, PROCESS) as house:
        house.home.mkdir()
        (house.home / "journal.db").write_bytes(os.urandom(8192))
        done = house.podium("serve", "--config", str(house.config), check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr, done.stderr[-2000:]
        assert "journal" in done.stderr
        shutil.rmtree(house.home)
