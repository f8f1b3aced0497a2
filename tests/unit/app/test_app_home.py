"""The lock of a home, and who is ended for it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podium.app.wiring import home as rooms
from podium.app.wiring.home import Heart, Owner, Watch, home_lock, stand_by, take_home
from podium.base.errors import SettingsError


def test_one_has_a_home_at_a_time(tmp_path: Path) -> None:
    with home_lock(tmp_path / "home"):
        assert take_home(tmp_path / "home") is None
        with pytest.raises(SettingsError, match=rf"another daemon \(process {os.getpid()}\)") as refused, home_lock(tmp_path / "home"):
            pass
        assert refused.value.facts["exit_code"] == 4
    with home_lock(tmp_path / "home"):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_is_told(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SettingsError, match="its file system has no locks") as told, home_lock(tmp_path):
        pass
    assert "local disk" in told.value.hint


def test_a_lock_file_that_was_replaced_is_lost(tmp_path: Path) -> None:
    with home_lock(tmp_path) as hold:
        assert not hold.lost
        (tmp_path / "lock").unlink()
        assert hold.lost
        with home_lock(tmp_path) as other:
            assert hold.lost
            assert not other.lost


def test_only_the_process_that_was_meant_is_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    here = Owner.here()
    owner = Owner(child.pid, rooms._started(child.pid) or "", here.space)
    assert Owner.read(owner.line()) == owner
    assert not Owner(child.pid, owner.started, "pid:[1]").end(), "in another namespace this number is somebody else"
    assert Owner(child.pid, "12", here.space).end(), "the one that was meant is gone"
    assert child.poll() is None
    assert owner.end()
    assert child.wait(10) == -9
    assert owner.end(), "it is gone"


@pytest.mark.parametrize("text", [b"", b"12", b"12\n", b"x y z", b"\xff\n1 2"])
def test_half_a_lock_file_names_nobody(text: bytes) -> None:
    assert Owner.read(text) is None


def test_silence_is_measured_only_while_we_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(rooms, "monotonic_s", lambda: now[0])
    watch = Watch(5.0)

    def after(seconds: float, sign: Any) -> bool:
        now[0] += seconds
        return watch.hangs("owner", sign)

    assert not after(0, 1)
    assert not any(after(0.9, 1) for _ in range(5))
    assert after(0.9, 1), "5.4 s without a sign"
    assert not after(0.1, 2), "a sign"
    assert not any(after(0.9, 2) for _ in range(5))
    assert not after(60, 2), "this machine slept, and so did the other"
    assert not any(after(0.9, 2) for _ in range(5))
    assert after(0.9, 2)


async def test_a_standby_is_noticed_and_gets_the_home(tmp_path: Path) -> None:
    import asyncio

    with home_lock(tmp_path) as hold, Heart(hold) as heart:
        before = (tmp_path / "lock").stat().st_mtime_ns
        await asyncio.sleep(1.3)
        assert not heart.standby
        assert (tmp_path / "lock").stat().st_mtime_ns == before, "nobody waits: nothing is written"
        told: list[Owner] = []
        waiting = asyncio.create_task(stand_by(tmp_path, silent_s=60, waits=told.append))
        async with asyncio.timeout(60):
            while not heart.standby or (tmp_path / "lock").stat().st_mtime_ns <= before:
                await asyncio.sleep(0.05)
        assert told == [Owner.here()]
    async with asyncio.timeout(60):
        (await waiting).close()
