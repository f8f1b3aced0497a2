"""Runs a bounded number of jobs at once and takes waiting ones in turn: flow by flow, within a flow execution by execution.

Used by the conductor for task attempts, for questions that take long and for children that are made. What waits is bounded by what is open
in the journal; every step costs the same however much waits. A flow whose own gates are full stands aside and keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from podium.base.system.log import get_logger
from podium.conductor.limits.ring import Ring
from podium.conductor.limits.shares import Gate, Key, Share, Shares

Job = Callable[[], Awaitable[None]]
log = get_logger(__name__)


class Place(NamedTuple):
    """Whose job it is."""

    flow: Key
    execution_id: str


@dataclass(slots=True)
class _Group:
    """The waiting jobs of a flow, by execution; the execution in front is next."""

    share: Share
    jobs: OrderedDict[str, OrderedDict[str, Job]] = field(default_factory=OrderedDict)


class Slots:
    """See the module's docstring. what: the setting that gives `limit`, for people."""

    def __init__(self, limit: int, shares: Shares | None = None, *, what: str = "") -> None:
        self._limit = limit
        self._what = what
        self._shares = shares or Shares()
        self._groups: dict[Key, _Group] = {}
        self._ring: Ring[Key] = Ring()
        self._held: dict[Gate, int] = {}
        self._aside: dict[Gate, OrderedDict[Key, None]] = {}
        """Flows that wait for a place at a gate of theirs."""
        self._waiting: OrderedDict[str, tuple[Place, float]] = OrderedDict()
        """Name → whose it is, and since when it waits, by the loop's clock; the oldest first."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    # ---- what people see
    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> set[str]:
        """Names of the jobs that run now."""
        return set(self._running)

    @property
    def limit(self) -> int:
        return self._limit

    def oldest_s(self) -> float:
        """Seconds that the job waits which has waited longest."""
        for _, since in self._waiting.values():
            return asyncio.get_running_loop().time() - since
        return 0.0

    def waits(self, name: str) -> str | None:
        """Why a job waits, for people; None when it does not."""
        found = self._waiting.get(name)
        if found is None:
            return None
        for gate in self._shares.of(found[0].flow).gates:
            if self._held.get(gate, 0) >= gate.limit:
                return f"all {gate.limit} of {gate.name} are taken"
        return f"all {self._limit} of {self._what} are taken"

    def by_flow(self) -> list[tuple[Key, int, str]]:
        """Flows with waiting jobs: how many, and why the next one waits."""
        found = []
        for key, group in self._groups.items():
            name = next(iter(next(iter(group.jobs.values()))))
            found.append((key, sum(map(len, group.jobs.values())), self.waits(name) or ""))
        return found

    # ---- taking turns
    def submit(self, place: Place, name: str, job: Job) -> None:
        """Run `job` when it is its turn. A job of that name that waits or runs already is not doubled."""
        if self._closed or name in self._running or name in self._waiting:
            return
        self._waiting[name] = (place, asyncio.get_running_loop().time())
        group = self._groups.get(place.flow)
        if group is None:
            group = self._groups[place.flow] = _Group(self._shares.of(place.flow))
            self._ring.push(place.flow, group.share.priority)
        group.jobs.setdefault(place.execution_id, OrderedDict())[name] = job
        self._fill()

    def drop(self, name: str) -> None:
        """Forget a job that has not started."""
        found = self._waiting.pop(name, None)
        if found is None:
            return
        place, _ = found
        group = self._groups[place.flow]
        jobs = group.jobs[place.execution_id]
        del jobs[name]
        if not jobs:
            del group.jobs[place.execution_id]
        if not group.jobs:
            self._remove(place.flow, group)
            self._call(group.share.gates)  # it may have been called to a place that is another's now
            self._fill()

    def _remove(self, key: Key, group: _Group) -> None:
        del self._groups[key]
        self._ring.discard(key)
        for gate in group.share.gates:
            if (aside := self._aside.get(gate)) is not None:
                aside.pop(key, None)

    def _fill(self) -> None:
        while len(self._running) < self._limit and not self._closed:
            key = self._ring.pop()
            if key is None:
                return
            group = self._groups[key]
            full = next((gate for gate in group.share.gates if self._held.get(gate, 0) >= gate.limit), None)
            if full is not None:
                self._aside.setdefault(full, OrderedDict())[key] = None
                self._call([gate for gate in group.share.gates if gate is not full])
                continue
            self._start(key, group)

    def _start(self, key: Key, group: _Group) -> None:
        execution_id, jobs = group.jobs.popitem(last=False)
        name, job = jobs.popitem(last=False)
        del self._waiting[name]
        if jobs:
            group.jobs[execution_id] = jobs
        if group.jobs:
            self._ring.push(key, group.share.priority)
        else:
            self._remove(key, group)
        for gate in group.share.gates:
            self._held[gate] = self._held.get(gate, 0) + 1
        task = asyncio.create_task(self._run(name, job), name=f"attempt {name}")
        self._running[name] = task
        task.add_done_callback(partial(self._done, name, group.share.gates))

    async def _run(self, name: str, job: Job) -> None:
        try:
            await job()
        except Exception as error:  # a slot outlives its job; what the job was for is still open in the state
            log.error("attempt_job_failed", attempt=name, exc_info=error)

    def _done(self, name: str, gates: tuple[Gate, ...], _task: asyncio.Task[None]) -> None:
        self._running.pop(name, None)
        for gate in gates:
            self._held[gate] -= 1
            if not self._held[gate]:
                del self._held[gate]
        self._call(gates)
        self._fill()

    def _call(self, gates: Iterable[Gate]) -> None:
        """Let the flow that has stood aside longest at each of these gates, if there is a place, take its turn again."""
        for gate in gates:
            aside = self._aside.get(gate)
            if aside and self._held.get(gate, 0) < gate.limit:
                key, _ = aside.popitem(last=False)
                if key in self._groups:
                    self._ring.push(key, self._groups[key].share.priority)
            if not aside:
                self._aside.pop(gate, None)

    async def close(self, *, cancel: bool) -> None:
        """Start nothing more; wait for what runs, or leave it (the world goes on; a restart takes it up again)."""
        self._closed = True
        self._waiting.clear()
        self._groups.clear()
        self._ring, self._aside = Ring(), {}
        tasks = list(self._running.values())
        if cancel:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
