"""On the PYTHONPATH of a daemon under test: notes what the disk has, and plants the bug that FAULT_PLANT names. Podium has no switch for it.

FAULT_DURABLE: a file that gets (salt 1, salt 2, frames) of the write-ahead log each time a COMMIT with synchronous=FULL has returned:
what a loss of power cannot take. A bug that does not wait for the disk leaves no note. FAULT_CLOCK: a file with seconds by which the
clock is wrong.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import struct
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

Patch = Callable[[ModuleType], None]


def marked_connections(module: ModuleType) -> None:
    """store.db: every connection notes its durable commits."""
    import sqlite3

    target = os.environ["FAULT_DURABLE"]

    class Marked(sqlite3.Connection):
        """A connection that notes what is durable."""

        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            done = super().execute(sql, *arguments)
            if sql == "COMMIT" and super().execute("PRAGMA synchronous").fetchone()[0] >= 2:
                path = super().execute("PRAGMA database_list").fetchone()[2]
                with open(path + "-shm", "rb") as shared:
                    header = shared.read(48)
                frames, (salt1, salt2) = struct.unpack_from("<I", header, 16)[0], struct.unpack_from(">II", header, 32)
                draft = f"{target}.{os.getpid()}"
                with open(draft, "wb") as note:
                    note.write(struct.pack(">III", salt1, salt2, frames))
                os.replace(draft, target)  # noqa: PTH105 - at every commit: pathlib would be half of it
            return done

    original = module._connect

    def connect(path: Any) -> Any:
        module.sqlite3 = _With(sqlite3, connect=lambda *given, **named: sqlite3.connect(*given, **named, factory=Marked))
        try:
            return original(path)
        finally:
            module.sqlite3 = sqlite3

    module._connect = connect


class _With:
    """A module with another connect."""

    def __init__(self, module: ModuleType, connect: Any) -> None:
        self._module, self.connect = module, connect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def set_clock(module: ModuleType) -> None:
    """base.system.clock: the time of the machine and the seconds in the file that FAULT_CLOCK names."""
    from datetime import timedelta

    original, path = module.SystemClock.now, os.environ["FAULT_CLOCK"]

    def now(self: Any) -> Any:
        try:
            with open(path) as file:
                return original(self) + timedelta(seconds=float(file.read() or 0))
        except FileNotFoundError:
            return original(self)

    module.SystemClock.now = now


def no_wait_for_disk(module: ModuleType) -> None:
    """Acknowledges before fsync: the log of the journal is not flushed at a commit."""
    original = module._connect

    def connect(path: Any) -> Any:
        connection = original(path)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    module._connect = connect


def acknowledged_early(module: ModuleType) -> None:
    """Acknowledges before the transaction: what is decided is written half a second later."""
    import asyncio

    original = module.Journal.commit

    async def commit(self: Any, batch: Any, now: Any) -> int:
        async def later() -> None:
            await asyncio.sleep(0.5)
            await original(self, batch, now)

        task = asyncio.get_running_loop().create_task(later())
        self.__dict__.setdefault("late", set()).add(task) if hasattr(self, "__dict__") else None
        return 0

    module.Journal.commit = commit


def dropped_effect(module: ModuleType) -> None:
    """Every tenth attempt is decided and never carried out."""
    original, seen = module.Performer.perform, [0]

    def perform(self: Any, stream: Any, effect: Any) -> None:
        if type(effect).__name__ == "RunAttempt":
            seen[0] += 1
            if seen[0] % 10 == 5:
                return
        original(self, stream, effect)

    module.Performer.perform = perform


def dispatched_twice(module: ModuleType) -> None:
    """What ran before a crash is begun again instead of taken up."""
    original = module.ProcessRunner.attach

    async def attach(self: Any, job: Any, sink: Any) -> Any:
        (self._files(job.attempt_id) / "started").unlink(missing_ok=True)
        return None

    module.ProcessRunner.attach = attach
    assert original is not attach


def lost_last_line(module: ModuleType) -> None:
    """The last line of a command under load is dropped, whichever read brings it."""
    original = module.Tail.read

    def read(self: Any, *, final: bool) -> Any:
        lines, cursor = original(self, final=final)
        return [line for line in lines if not (line.text.startswith("L ") and line.text.endswith(" 5"))], cursor

    module.Tail.read = read


def skipped_amend(module: ModuleType) -> None:
    """The record of a restarted execution is not written."""
    original = module.Closer.close

    def close(self: Any, turn: Any, stream: Any) -> None:
        if stream.state.run_number == 1:
            original(self, turn, stream)

    module.Closer.close = close


def leaked_container(module: ModuleType) -> None:
    """Containers are not removed when their attempt is over."""

    async def release(self: Any, attempt_id: str) -> None:
        self._site_of.pop(attempt_id, None)

    module.DockerRunner.release = release


def forgotten_unpushed(module: ModuleType) -> None:
    """Records are forgotten once committed here, pushed or not; nothing is pushed."""

    def push(self: Any, name: str, commit: str, *, files: int) -> None:
        self._repository.update_ref(f"refs/podium/pushed/{name}", commit)

    module.Branch.push = push


PLANTS: dict[str, tuple[str, Patch]] = {
    "no-wait-for-disk": ("podium.store.db", no_wait_for_disk),
    "acknowledged-early": ("podium.store.journal", acknowledged_early),
    "dropped-effect": ("podium.conductor.core.performing", dropped_effect),
    "dispatched-twice": ("podium.runners.process.runner", dispatched_twice),
    "lost-last-line": ("podium.runners.process.tail", lost_last_line),
    "skipped-amend": ("podium.conductor.closing", skipped_amend),
    "leaked-container": ("podium.runners.docker.runner", leaked_container),
    "forgotten-unpushed": ("podium.records.branch", forgotten_unpushed),
}


class _Finder(importlib.abc.MetaPathFinder):
    """Patches modules as they are imported."""

    def __init__(self, patches: dict[str, list[Patch]]) -> None:
        self._patches = patches

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        patches = self._patches.pop(name, None)
        if patches is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        original = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            original(module)
            for patch in patches:
                patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Prepare what this process asks for."""
    patches: dict[str, list[Patch]] = {}
    if os.environ.get("FAULT_DURABLE"):
        patches["podium.store.db"] = [marked_connections]
    if os.environ.get("FAULT_CLOCK"):
        patches["podium.base.system.clock"] = [set_clock]
    plant = os.environ.get("FAULT_PLANT")
    if plant:
        module, patch = PLANTS[plant]
        patches.setdefault(module, []).append(patch)
    if patches:
        sys.meta_path.insert(0, _Finder(patches))


install()
