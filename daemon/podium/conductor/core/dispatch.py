"""Slots for task attempts, shared fairly between flows, and the timers of executions."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial

from podium.base.system.clock import Clock

Job = Callable[[], Awaitable[None]]
CLOCK_CHECK_S = 5.0
"""A timer is looked at again after this long at most, so that a clock that was set takes effect."""


class Slots:
    """Runs at most `limit` jobs at once; waiting ones are taken turn by turn from the flows that have any."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: OrderedDict[str, deque[tuple[str, Job]]] = OrderedDict()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    @property
    def waiting(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    @property
    def running(self) -> set[str]:
        """Names of the jobs that run now."""
        return set(self._running)

    def submit(self, group: str, name: str, job: Job) -> None:
        """Run `job` when it is `group`'s turn. A job of that name that waits or runs already is not doubled."""
        if self._closed or name in self._running or any(name == each for each, _ in self._waiting.get(group, ())):
            return
        self._waiting.setdefault(group, deque()).append((name, job))
        self._fill()

    def drop(self, name: str) -> None:
        """Forget a job that has not started."""
        for group, jobs in list(self._waiting.items()):
            kept = deque(each for each in jobs if each[0] != name)
            if len(kept) != len(jobs):
                self._put(group, kept)

    def _put(self, group: str, jobs: deque[tuple[str, Job]]) -> None:
        if jobs:
            self._waiting[group] = jobs
        else:
            self._waiting.pop(group, None)

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._limit and not self._closed:
            group, jobs = self._waiting.popitem(last=False)
            name, job = jobs.popleft()
            if jobs:
                self._waiting[group] = jobs
            task = asyncio.create_task(self._run(job), name=f"attempt {name}")
            self._running[name] = task
            task.add_done_callback(partial(self._done, name))

    async def _run(self, job: Job) -> None:
        await job()

    def _done(self, name: str, _task: asyncio.Task[None]) -> None:
        self._running.pop(name, None)
        self._fill()

    async def close(self, *, cancel: bool) -> None:
        """Start nothing more; wait for what runs, or leave it (the world goes on; a restart takes it up again)."""
        self._closed = True
        self._waiting.clear()
        tasks = list(self._running.values())
        if cancel:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Timers:
    """Calls `fire(stream, key)` when a moment has come. Lost with the process: the state says which are due, see engine `pending`."""

    def __init__(self, clock: Clock, fire: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._fire = fire
        self._due: dict[tuple[str, str], datetime] = {}
        self._heap: list[tuple[datetime, int, tuple[str, str]]] = []
        self._count = itertools.count()
        self._changed = asyncio.Event()

    def set(self, stream: str, key: str, due: datetime) -> None:
        self._due[stream, key] = due
        heapq.heappush(self._heap, (due, next(self._count), (stream, key)))
        self._changed.set()

    def forget(self, stream: str) -> None:
        """Drop all timers of a stream that ended."""
        for key in [each for each in self._due if each[0] == stream]:
            del self._due[key]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            self._fire_due()
            wait = CLOCK_CHECK_S
            if self._heap:
                wait = min(wait, max((self._heap[0][0] - self._clock.now()).total_seconds(), 0.001))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    def _fire_due(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self._fire(*key)
