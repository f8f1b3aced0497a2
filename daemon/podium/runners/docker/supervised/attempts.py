"""An attempt in a container under supervision: the claim of its container, its output, and its end, all in files of the daemon's home.

Called by the Docker runner. What always holds: the claim `<home>/attempts/<attempt>/container/claim` is on disk before the container gets its
job, and a container takes one job, so an attempt starts at most once; `result` says `started` before the command does anything; after a
crash of the daemon the files are read, nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from podium.base.errors import AttemptLost, RunnerError
from podium.base.limits import COMMAND_OUTPUT_BYTES_MAX
from podium.base.system.clock import Clock
from podium.runners.docker import archive
from podium.runners.docker.engine import Engine
from podium.runners.docker.supervised.slots import Slot
from podium.runners.port import Job, OutputSink, too_much
from podium.runners.process.supervisor import write_once
from podium.runners.process.tail import ORDER, Tail
from podium.runners.remote import parcel

_BUSY_S, _QUIET_S, _LOOK_S = 0.02, 0.2, 2.0
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_NAMES = ("stdout", "stderr", "result", ORDER)


@dataclass(frozen=True, slots=True)
class Claim:
    """Which container is an attempt's. image: id. slot: the name of its folder in `<home>/slots`."""

    container: str
    image: str
    slot: str


@dataclass(frozen=True, slots=True)
class End:
    """How the command ended."""

    exit_code: int
    oom_killed: bool


class Attempts:
    """The attempts under `home`."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home.resolve() / "attempts"
        self.slots = home.resolve() / "slots"
        self._clock = clock
        self._connections: dict[str, socket.socket] = {}

    def claim(self, attempt_id: str) -> Claim | None:
        """The container of an attempt, if one was claimed."""
        try:
            return Claim(**json.loads((self._files(attempt_id) / "claim").read_text()))
        except FileNotFoundError:
            return None

    async def begin(self, slot: Slot, job: Job, image: str) -> Claim:
        """Claim the slot and give it the job. What becomes of it `follow` tells. Raises StorageError."""
        claim = Claim(slot.container, image, slot.name)
        self._connections[job.attempt_id] = slot.connection
        with suppress(BrokenPipeError, ConnectionError):  # it has ended: it never starts
            await asyncio.to_thread(self._begin, slot, job, claim)
        return claim

    def _begin(self, slot: Slot, job: Job, claim: Claim) -> None:
        directory = self._files(job.attempt_id)
        with parcel.pack(job) as files:
            outputs: list[int] = []
            try:
                with archive.local_disk("the task's output cannot be kept"):
                    directory.mkdir(parents=True, exist_ok=True)
                    outputs.extend(os.open(directory / name, _FLAGS, 0o600) for name in _NAMES)
                    write_once(str(directory / "claim"), json.dumps(asdict(claim)))
                slot.hand_over(outputs, files)
            finally:
                for each in outputs:
                    os.close(each)

    async def follow(self, engine: Engine, claim: Claim, job: Job, sink: OutputSink) -> End | None:
        """Hand on the output, to the end. None when the command never started and never will. Raises AttemptLost, LimitError, RunnerError."""
        tail = Tail(self._files(job.attempt_id), await sink.cursor(), self._clock)
        connection = self._connections.get(job.attempt_id)
        loop = asyncio.get_running_loop()
        look_at, running = loop.time() + _LOOK_S, True
        while True:
            over = self._result(job.attempt_id).endswith("}") or not running
            if connection is not None and not over and await self._closed(connection, _BUSY_S):
                connection, look_at = None, 0.0
                continue  # it says how it ended before it goes
            moved = await self._hand_on(tail, sink, final=False)
            if over:
                break
            if connection is None and loop.time() >= look_at:
                found = await engine.inspect(claim.container)
                running = found is not None and bool(found["State"].get("Running"))
                look_at = loop.time() + _QUIET_S
            elif connection is None and not moved:
                await asyncio.sleep(_BUSY_S)
        self._close(job.attempt_id)
        while await self._hand_on(tail, sink, final=True):
            pass
        return await self._end(engine, claim, job)

    async def _hand_on(self, tail: Tail, sink: OutputSink, *, final: bool) -> bool:
        lines, cursor = await asyncio.to_thread(lambda: tail.read(final=final))
        if lines:
            await sink.lines(lines, cursor=cursor)
        return bool(lines)

    async def _end(self, engine: Engine, claim: Claim, job: Job) -> End | None:
        text = self._result(job.attempt_id)
        if self.claim(job.attempt_id) is None:
            raise _lost(job)
        if not text:
            return None
        if text.startswith("failed"):
            raise RunnerError(f"the command cannot be run: {text.partition(' ')[2].strip()}", hint="look at the image and the task's files")
        _, _, ended = text.partition("ended ")
        if ended.endswith("}"):
            told: dict[str, Any] = json.loads(ended)
            if told["too_much"]:
                raise too_much(COMMAND_OUTPUT_BYTES_MAX)
            if told["ooms"] == 0:
                return End(told["exit"], False)
            oom = told["ooms"] > 0 or await self._oom(engine, claim)
            return End(told["exit"], oom)
        found = await engine.inspect(claim.container)
        if found is None:
            raise _lost(job)
        return End(int(found["State"].get("ExitCode") or 0) or 137, bool(found["State"].get("OOMKilled")))

    async def _oom(self, engine: Engine, claim: Claim) -> bool:
        found = await engine.inspect(claim.container)
        return found is not None and bool(found["State"].get("OOMKilled"))

    async def _closed(self, connection: socket.socket, within_s: float) -> bool:
        """Whether the supervisor has gone. Waits that long for it."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(within_s):
                return not await asyncio.get_running_loop().sock_recv(connection, 1)
        return False

    def forget(self, attempt_id: str) -> None:
        """Remove its files. Blocks."""
        self._close(attempt_id)
        claim = self.claim(attempt_id)
        if claim is not None:
            shutil.rmtree(self.slots / claim.slot, ignore_errors=True)
        shutil.rmtree(self._files(attempt_id), ignore_errors=True)

    def tidy(self, live_attempts: set[str], waiting: set[str]) -> None:
        """Remove the files of all other attempts, and the folders that no slot sees: neither these attempts' nor those that wait. Blocks."""
        for folder in self._home.glob("*/container"):
            if folder.parent.name not in live_attempts:
                self.forget(folder.parent.name)
        folders = list(self.slots.glob("*"))  # before it is asked what waits: a new one is waiting before its folder is there
        used = waiting | {claim.slot for claim in map(self.claim, live_attempts) if claim is not None}
        for folder in folders:
            if folder.name not in used:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Let go of what runs; it runs on."""
        for attempt_id in tuple(self._connections):
            self._close(attempt_id)

    def _close(self, attempt_id: str) -> None:
        connection = self._connections.pop(attempt_id, None)
        if connection is not None:
            connection.close()

    def _result(self, attempt_id: str) -> str:
        try:
            return (self._files(attempt_id) / "result").read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def _files(self, attempt_id: str) -> Path:
        return self._home / attempt_id / "container"


def _lost(job: Job) -> AttemptLost:
    return AttemptLost(
        "the task's container is gone and with it its exit code", attempt=job.attempt_id,
        hint="somebody removed it (docker rm, system prune): look at what the task did, then restart the execution",
    )
