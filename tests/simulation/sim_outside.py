"""The world outside of the daemon, which goes on when that dies: containers, directories, the disk. And the worker that reaches it.

Outcomes hang on the task and the number of its attempt alone (`fate`), how long things take on the order's own chance: so one story can be
told in many orders.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sim_loop import VirtualLoop

from podium.base.errors import PodiumError, StoreError
from podium.base.ports import LogLine
from podium.base.system.clock import Clock
from podium.expressions.compile import render_value, truthy
from podium.plugin import Request
from podium.store.db import Database, Write, _commit, _connect
from podium.workers.work import Ended, Work

BEGAN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass(slots=True)
class SimClock:
    loop: VirtualLoop | None = None
    seconds: float = 0.0
    offset: float = 0.0

    def now(self) -> datetime:
        seconds = self.loop.seconds if self.loop is not None else self.seconds
        return BEGAN + timedelta(milliseconds=int((seconds + self.offset) * 1000))

    def time_ns(self) -> int:
        return int(self.now().timestamp() * 1000) * 1_000_000


@dataclass(slots=True)
class Remote:
    """The results branch, on the remote at once."""

    bodies: dict[str, bytes] = field(default_factory=dict)

    def wake(self) -> None:
        pass

    async def status(self) -> dict[str, Any]:
        return {}

    async def body(self, _execution_id: str, path: str) -> tuple[str, str, bytes] | None:
        body = self.bodies.get(path)
        return (path, "c" * 40, body) if body is not None else None

    async def log(self, _execution_id: str, path: str) -> bytes | None:
        return self.bodies.get(path.removesuffix(".json") + ".log.jsonl")


@dataclass(slots=True)
class Container:
    """A started attempt. ends: by the loop's time, in seconds."""

    attempt_id: str
    execution_id: str
    ends: float
    state: str
    error: str | None = None
    woken: asyncio.Event | None = None


@dataclass(slots=True)
class Outside:
    """fates: decides how attempts end. order: how long things take. faults: which kinds of trouble there are."""

    seed: str
    order: random.Random
    faults: frozenset[str]
    containers: dict[str, Container] = field(default_factory=dict)
    started: dict[str, str] = field(default_factory=dict)
    """attempt → execution, ever."""
    directories: set[str] = field(default_factory=set)
    spoilt: set[str] = field(default_factory=set)
    """Task runs whose directory could not be opened or collected."""
    lost: set[str] = field(default_factory=set)
    chains: dict[str, list[str]] = field(default_factory=dict)
    """original execution → those that took its place, in order."""
    wrong: list[str] = field(default_factory=list)

    def fate(self, work: Work) -> random.Random:
        """Chance that belongs to this attempt of this task, whenever it comes."""
        execution = work.variables["execution"]
        chain = self.chains.setdefault(execution.get("originalId") or work.execution_id, [])
        if work.execution_id not in chain:
            chain.append(work.execution_id)
        taskrun = work.variables["taskrun"]
        above = [each["taskrun"]["value"] for each in work.variables.get("parents", ()) if "taskrun" in each]
        item = work.variables.get("item") or {}
        above += [item.get("value"), *(each["value"] for each in item.get("parents") or ())]
        key = (self.seed, work.flow_id, work.variables["labels"].get("start"), chain.index(work.execution_id), work.task.id, taskrun.get("value"),
               taskrun.get("iteration"), *above, work.attempt)
        return random.Random("/".join(map(str, key)))

    def crash(self) -> None:
        """The daemon is gone: nobody waits here any more. Some containers may be lost with it."""
        for container in list(self.containers.values()):
            container.woken = None
            if "lost" in self.faults and self.order.random() < 0.1:
                self.lost.add(container.attempt_id)
                del self.containers[container.attempt_id]


class OutsideWorker:
    """The conductor's worker for one life of the daemon. alive: False once that ended: whatever is asked then never returns."""

    def __init__(self, outside: Outside, clock: Clock) -> None:
        self.outside = outside
        self.clock = clock
        self.alive = True
        self.killed: set[str] = set()

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not self.alive:
            await asyncio.Event().wait()

    def _ended(self, state: str, **more: Any) -> Ended:
        now = self.clock.now()
        return Ended(state=state, started_at=now, ended_at=now, **more)

    async def run(self, work: Work, sink: Any) -> Ended:
        kind = work.task.type.rpartition(".")[2]
        if work.task.KIND == "inline":
            return self._inline(work, kind)
        fate = self.outside.fate(work)
        fresh = work.attempt_id not in self.outside.started
        if not fresh and not work.started:
            self.outside.wrong.append(f"attempt {work.attempt_id} of {work.task.id} started twice")
        if fresh:
            await self._wait(self.outside.order.uniform(0, 0.05))
            if work.attempt_id in self.killed:
                return self._ended("KILLED")
            skipped = self._wanted(work)
            if skipped is not None:
                return skipped
            self._start(work, fate)
        container = self.outside.containers.get(work.attempt_id)
        if container is None:
            return self._ended("FAILED", error="attempt lost", lost=True)
        await sink.append([LogLine(at=self.clock.now(), level="INFO", message=f"runs {work.task.id}")])
        await self._until_end(container)
        outputs = {"exitCode": 0} if container.state != "KILLED" else {}
        return self._ended(container.state, outputs=outputs, error=container.error)

    def _start(self, work: Work, fate: random.Random) -> None:
        attempt_id, outside = work.attempt_id, self.outside
        outside.started[attempt_id] = work.execution_id
        state = fate.choices(["SUCCESS", "FAILED", "WARNING"], [70, 22, 8])[0]
        takes, error = outside.order.uniform(0, 3), "chance" if state == "FAILED" else None
        timeout = work.task.timeout
        if timeout is not None:
            takes, error = (2.0, "Timeout after PT2S") if state == "FAILED" else (min(takes, 1.9), None)
        loop = asyncio.get_running_loop()
        outside.containers[attempt_id] = Container(attempt_id, work.execution_id, loop.time() + takes, state, error)

    async def _until_end(self, container: Container) -> None:
        loop = asyncio.get_running_loop()
        while container.ends > loop.time():
            container.woken = asyncio.Event()
            try:
                async with asyncio.timeout_at(container.ends):
                    await container.woken.wait()
            except TimeoutError:
                break
        await self._wait(0)

    def _wanted(self, work: Work) -> Ended | None:
        """The end of an attempt that its runIf forbids; None when it may start."""
        try:
            wanted = work.task.run_if == "true" or truthy(render_value(work.task.run_if, work.variables, self))
        except PodiumError as error:
            return self._ended("FAILED", error=error.what)
        return None if wanted else self._ended("SKIPPED")

    def _inline(self, work: Work, kind: str) -> Ended:
        skipped = self._wanted(work)
        if skipped is not None:
            return skipped
        task: Any = work.task
        match kind:
            case "Fail":
                return self._ended("FAILED", error="Task failure")
            case "Exit":
                return self._ended("SUCCESS", requests=[Request(kind="exit", body={"state": task.state})])
            case "Labels":
                return self._ended("SUCCESS", requests=[Request(kind="set_labels", body={"labels": task.labels})])
            case "SetVariables":
                return self._ended("SUCCESS", requests=[Request(kind="set_variables", body={"variables": task.variables})])
            case _:
                return self._ended("SUCCESS", outputs={"value": "x"})

    async def kill(self, attempt_id: str) -> None:
        self.killed.add(attempt_id)
        await self._wait(self.outside.order.uniform(0, 0.3))
        container = self.outside.containers.get(attempt_id)
        loop = asyncio.get_running_loop()
        if container is not None and container.ends > loop.time():
            container.ends, container.state, container.error = loop.time(), "KILLED", None
            if container.woken is not None:
                container.woken.set()

    async def release(self, attempt_id: str) -> None:
        await self._wait(self.outside.order.uniform(0, 0.02))
        container = self.outside.containers.pop(attempt_id, None)
        if container is not None and container.ends > asyncio.get_running_loop().time():
            self.outside.wrong.append(f"attempt {attempt_id} was released while it ran")

    async def reap(self, live: set[str]) -> None:
        await self._wait(self.outside.order.uniform(0, 0.02))
        for attempt_id in set(self.outside.containers) - live:
            del self.outside.containers[attempt_id]
        self.outside.directories &= live

    async def open_workspace(self, work: Any) -> None:
        await self._wait(self.outside.order.uniform(0, 0.1))
        if "spoilt" in self.outside.faults and self.outside.order.random() < 0.05:
            self.outside.spoilt.add(work.task_run_id)
            raise PodiumError("no room for a directory", hint="free some")
        self.outside.directories.add(work.task_run_id)

    async def close_workspace(self, work: Any, *, collect: bool = True) -> dict[str, Any]:
        await self._wait(self.outside.order.uniform(0, 0.1))
        self.outside.directories.discard(work.task_run_id)
        if collect and "spoilt" in self.outside.faults and self.outside.order.random() < 0.05:
            self.outside.spoilt.add(work.task_run_id)
            raise PodiumError("the files cannot be stored", hint="free some space")
        return {}

    # ---- as a World for runIf
    @property
    def zone(self) -> Any:
        return self.clock.now().tzinfo

    def now(self) -> Any:
        return self.clock.now()


class Disk(Database):
    """The real database, without threads. before, after: called around each transaction; may raise, or end the daemon's life."""

    def __init__(self, path: Path, before: Callable[[], bool], after: Callable[[], bool]) -> None:
        super().__init__(path)
        self._before, self._after = before, after
        self._own = _connect(path)
        self.dead = False

    async def write(self, function: Write[Any]) -> Any:
        """As of Database. The daemon's life ends before or after the transaction when `before` or `after` says so."""
        if self.dead or self._before():
            await self._never()
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        _commit(self._own, [(function, future)], None)
        if self._after():
            await self._never()
        await asyncio.sleep(0.001)
        if self.dead:
            await self._never()
        result = future.result()
        self._trouble = None
        return result

    async def _never(self) -> None:
        self.dead = True
        await asyncio.Event().wait()

    async def read(self, function: Write[Any]) -> Any:
        if self.dead:
            await self._never()
        return function(self._here)

    def read_now(self, function: Write[Any]) -> Any:
        return function(self._here)

    def close(self) -> None:
        self._readers.shutdown()
        for connection in (self._own, *self._all):
            connection.close()


def full_disk() -> StoreError:
    return StoreError("database or disk is full", hint="free some space")
