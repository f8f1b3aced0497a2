"""Timers of executions, those who wait for their ends, and work beside the loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any

from podium.base.system.clock import Clock
from podium.base.system.log import get_logger

log = get_logger(__name__)
SWEEP_AT = 256
"""Timers of ended executions are swept out when there are more than this, and more than of living ones."""
CLOCK_CHECK_S = 5.0
"""A timer is looked at again after this long at most, so that a clock that was set takes effect."""


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


class Waiters:
    """Those who wait until an execution is closed."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def wait(self, execution_id: str, timeout_s: float | None) -> None:
        """Until it is woken, or the time is up."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(execution_id, set())
        waiting.add(done)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await done
        finally:
            waiting.discard(done)
            if not waiting and self._waiting.get(execution_id) is waiting:
                del self._waiting[execution_id]

    def wake(self, execution_id: str) -> None:
        """It is closed."""
        for each in self._waiting.pop(execution_id, ()):
            if not each.done():
                each.set_result(None)


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
