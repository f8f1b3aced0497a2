"""Who may run, and when: slots for task attempts, concurrency limits of flows, timers of executions, work beside the loop."""

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

from podium.base.errors import FlowNotFound
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.conductor.core.stream import Stream
from podium.conductor.library import Library
from podium.engine.commands import Begin
from podium.flows.model import Concurrency

Job = Callable[[], Awaitable[None]]
Key = tuple[str, str]
"""Namespace and id of a flow."""
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


class FlowLimits:
    """Follows the states of executions in flight. begin: called with the id of a queued execution that may begin.

    What holds is the limit of a flow's newest revision, whatever revision an execution is of.
    """

    def __init__(self, library: Library, begin: Callable[[str], None]) -> None:
        self._library = library
        self._begin = begin
        self._running: dict[Key, set[str]] = {}
        self._queued: dict[Key, dict[str, Stream]] = {}

    def running(self, namespace: str, flow_id: str) -> int:
        """Executions of a flow that hold a slot."""
        return len(self._running.get((namespace, flow_id), ()))

    def admission(self, stream: Stream, *, force: bool = False) -> Begin:
        """The command that lets an execution begin, or queue. One that comes new stands behind those that are queued."""
        state = stream.state
        key = (state.namespace, state.flow_id)
        # An iteration is part of its execution: waiting for a slot that holds would never end.
        limit = self._limit(key, stream) if state.loop is None else None
        if limit is None:
            return Begin(force=force)
        running = self.running(*key)
        if limit.behavior == "QUEUE" and state.state != "QUEUED" and self._queued.get(key):
            running = max(running, limit.limit)
        return Begin(running=running, force=force, limit=limit)

    def _limit(self, key: Key, stream: Stream) -> Concurrency | None:
        try:
            limit: Concurrency | None = self._library.newest(*key).model.concurrency
        except FlowNotFound:
            return stream.tree.flow.concurrency
        return limit

    def follow(self, stream: Stream) -> None:
        """The state of an execution may have changed."""
        state = stream.state
        if state.loop is not None:
            return
        key = (state.namespace, state.flow_id)
        holds = not state.ended and state.state not in ("CREATED", "QUEUED")
        if holds:
            self._running.setdefault(key, set()).add(state.id)
        else:
            self._drop(self._running, key, state.id)
        if state.state == "QUEUED":
            self._queued.setdefault(key, {})[state.id] = stream
        elif key in self._queued:
            self._queued[key].pop(state.id, None)
        if not holds:
            self.admit(key)

    def forget(self, stream: Stream) -> None:
        """An execution is no longer in memory."""
        key = (stream.state.namespace, stream.state.flow_id)
        self._drop(self._running, key, stream.state.id)
        self._queued.get(key, {}).pop(stream.state.id, None)

    def admit(self, key: Key) -> None:
        """Let the oldest queued executions of a flow begin, as far as its limit allows."""
        queued = self._queued.get(key)
        if not queued:
            self._queued.pop(key, None)
            return
        oldest = sorted(queued)
        limit = self._limit(key, queued[oldest[0]])
        free = len(oldest) if limit is None else limit.limit - len(self._running.get(key, ()))
        for execution_id in oldest[: max(free, 0)]:
            self._begin(execution_id)

    def admit_all(self) -> None:
        """After a start: look at every flow with a queue."""
        for key in list(self._queued):
            self.admit(key)

    @staticmethod
    def _drop(groups: dict[Key, set[str]], key: Key, execution_id: str) -> None:
        group = groups.get(key)
        if group is not None:
            group.discard(execution_id)
            if not group:
                del groups[key]


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
