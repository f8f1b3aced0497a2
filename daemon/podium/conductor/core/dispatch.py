"""Slots for task attempts, shared fairly between flows, and the timers of executions."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from podium.base.system.clock import Clock
from podium.base.system.log import get_logger

Job = Callable[[], Awaitable[None]]
log = get_logger(__name__)
SWEEP_AT = 256
"""Timers of ended executions are swept out when there are more than this, and more than of living ones."""
CLOCK_CHECK_S = 5.0
"""A timer is looked at again after this long at most, so that a clock that was set takes effect."""


class Slots:
    """Runs at most `limit` jobs at once; waiting ones are taken turn by turn from the flows that have any."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: OrderedDict[str, deque[tuple[str, Job]]] = OrderedDict()
        self._names: set[str] = set()
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
        if self._closed or name in self._running or name in self._names:
            return
        self._names.add(name)
        self._waiting.setdefault(group, deque()).append((name, job))
        self._fill()

    def drop(self, name: str) -> None:
        """Forget a job that has not started."""
        if name not in self._names:
            return
        self._names.discard(name)
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
            self._names.discard(name)
            if jobs:
                self._waiting[group] = jobs
            task = asyncio.create_task(self._run(name, job), name=f"attempt {name}")
            self._running[name] = task
            task.add_done_callback(partial(self._done, name))

    async def _run(self, name: str, job: Job) -> None:
        try:
            await job()
        except Exception as error:  # a slot outlives its job; what the job was for is still open in the state
            log.error("attempt_job_failed", attempt=name, exc_info=error)

    def _done(self, name: str, _task: asyncio.Task[None]) -> None:
        self._running.pop(name, None)
        self._fill()

    async def close(self, *, cancel: bool) -> None:
        """Start nothing more; wait for what runs, or leave it (the world goes on; a restart takes it up again)."""
        self._closed = True
        self._waiting.clear()
        self._names.clear()
        tasks = list(self._running.values())
        if cancel:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Background:
    """Coroutines that run beside the loop until they end or all are cancelled."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run it; an error that it ends in is logged."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background_task_failed", task=task.get_name(), exc_info=task.exception())

    async def cancel(self) -> None:
        """End all that still run."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Timers:
    """Calls `fire(stream, key)` when a moment has come. Lost with the process: the state says which are due, see engine `pending`."""

    def __init__(self, clock: Clock, fire: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._fire = fire
        self._due: dict[str, dict[str, datetime]] = {}
        self._heap: list[tuple[datetime, int, tuple[str, str]]] = []
        self._count = itertools.count()
        self._dropped = 0
        self._changed = asyncio.Event()

    def set(self, stream: str, key: str, due: datetime) -> None:
        self._due.setdefault(stream, {})[key] = due
        heapq.heappush(self._heap, (due, next(self._count), (stream, key)))
        self._changed.set()

    def __len__(self) -> int:
        """Entries kept, dropped ones that are not swept out yet included."""
        return len(self._heap)

    def forget(self, stream: str) -> None:
        """Drop all timers of a stream that ended."""
        self._dropped += len(self._due.pop(stream, ()))
        if self._dropped > SWEEP_AT and self._dropped * 2 > len(self._heap):
            self._heap = [each for each in self._heap if self._due.get(each[2][0], {}).get(each[2][1]) == each[0]]
            heapq.heapify(self._heap)
            self._dropped = 0

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
            stream, name = key
            mine = self._due.get(stream, {})
            if mine.get(name) == due:
                del mine[name]
                if not mine:
                    self._due.pop(stream, None)
                self._fire(stream, name)
