"""Which executions may begin: concurrency limits of flows, the limit of the whole machine, and whether everything is paused.

Follows the states of executions, in memory or not; the journal says the same after a restart. What waits is QUEUED and begins flow by flow in
turn, the oldest of a flow first. Subflows and iterations are part of an execution that runs: they wait for their flow's limit only (iterations
for none), never for the machine or the end of a pause, or what they are part of would never end. Every step costs the same however many wait.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from podium.base.errors import FlowNotFound, LimitError
from podium.conductor.library import Library
from podium.conductor.limits.ring import Ring
from podium.conductor.limits.shares import Key, Shares
from podium.engine.commands import Begin
from podium.engine.state import Execution
from podium.flows.model import Concurrency

_HELD = Concurrency(limit=1, behavior="QUEUE")
"""Stands for the limits that no flow has written."""
_SWEEP_AT = 64
_Name = tuple[str, str, bool]
"""Of a line: its flow, and whether it is that of parts."""


@dataclass(slots=True)
class _Line:
    """The queued executions of a flow, oldest first. order: a heap, in which those that left are still found until they are in front."""

    ids: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)
    own: Concurrency | None = None
    """The limit of the revision that was queued last, for a flow that is not deployed any more."""
    called: set[str] = field(default_factory=set)
    """Those that were told to begin and have not yet."""
    part: bool = False
    """Whether they are part of other executions. Those wait in a line of their own, ahead of the others."""

    def enter(self, execution_id: str) -> None:
        if execution_id not in self.ids:
            self.ids.add(execution_id)
            heapq.heappush(self.order, execution_id)

    def leave(self, execution_id: str) -> None:
        self.ids.discard(execution_id)
        if len(self.order) > 2 * len(self.ids) + _SWEEP_AT:
            self.order = sorted(self.ids - self.called)

    def oldest(self) -> str | None:
        """The oldest that was not told to begin."""
        while self.order and (self.order[0] not in self.ids or self.order[0] in self.called):
            heapq.heappop(self.order)
        return self.order[0] if self.order else None


class Admission:
    """begin: called with the id of a queued execution that may begin. The limits: see the settings of the same names.

    What holds of a flow is the limit of its newest revision, whatever revision an execution is of.
    """

    def __init__(
        self, library: Library, begin: Callable[[str], None], *, shares: Shares, running_max: int, queued_per_flow_max: int, open_max: int,
        open_count: Callable[[], int],
    ) -> None:
        self._library = library
        self._begin = begin
        self._shares = shares
        self._running_max = running_max
        self._queued_per_flow_max = queued_per_flow_max
        self._open_max = open_max
        self._open_count = open_count
        self._running: dict[Key, set[str]] = {}
        self._busy: set[str] = set()
        """Executions that run: begun, not ended, not PAUSED."""
        self._whole: set[str] = set()
        """Those of them that are not part of another: what the limit of the machine counts."""
        self._lines: dict[_Name, _Line] = {}
        self._where: dict[str, _Name] = {}
        self._calls = 0
        """Of those called, how many will count for the machine."""
        self._rings: dict[bool, Ring[_Name]] = {True: Ring(), False: Ring()}
        self._ready = False
        self.paused: Mapping[str, Any] | None = None
        """{at, by, reason} while nothing new begins."""

    # ---- what people see
    @property
    def queued(self) -> int:
        """Executions that wait to begin."""
        return len(self._where)

    @property
    def busy(self) -> int:
        """Executions that run."""
        return len(self._busy)

    def running(self, namespace: str, flow_id: str) -> int:
        """Executions of a flow that hold a place."""
        return len(self._running.get((namespace, flow_id), ()))

    def queues(self) -> list[tuple[Key, int, str | None, str]]:
        """Flows with queued executions: how many, the oldest that was not called, and why it waits."""
        return [(name[:2], len(line.ids), line.oldest(), self._why(name, line)) for name, line in self._lines.items()]

    def why(self, execution_id: str) -> str | None:
        """Why a queued execution waits, for people; None when it is not queued."""
        name = self._where.get(execution_id)
        return self._why(name, self._lines[name]) if name is not None else None

    def _why(self, name: _Name, line: _Line) -> str:
        limit = self._limit(name[:2], line.own)
        if limit is not None and len(self._running.get(name[:2], ())) >= limit.limit:
            return f"its flow runs {limit.limit} at one time (concurrency.limit)"
        if line.part or self._room():
            return "it is about to begin"
        if self.paused is not None:
            return "everything is paused (podium resume --all)"
        return f"{self._running_max} executions run at one time (limits.running_executions_max)"

    def _room(self) -> bool:
        """Whether the machine takes another execution that is not part of one."""
        return self.paused is None and len(self._whole) + self._calls < self._running_max

    # ---- before it exists
    def refuse_when_full(self, key: Key) -> None:
        """Raises LimitError when another execution of a flow would be one too many. Nothing was acknowledged yet."""
        line = self._lines.get((*key, False))
        if line is not None and len(line.ids) >= self._queued_per_flow_max:
            raise LimitError(
                f"{len(line.ids)} executions of {'.'.join(key)} are queued (limits.queued_per_flow_max)", retry_after_s=10,
                hint="wait until some have begun, or look at what waits: podium executions queue", limit="limits.queued_per_flow_max",
            )
        if self._open_count() >= self._open_max:
            raise LimitError(
                f"{self._open_count()} executions are open (limits.open_executions_max)", retry_after_s=10,
                hint="wait until some have ended, or look at what waits: podium executions queue", limit="limits.open_executions_max",
            )

    # ---- whether it begins
    def admission(self, state: Execution, own: Concurrency | None, *, force: bool = False) -> Begin:
        """The command that lets an execution begin, or queue. One that comes new stands behind those that are queued."""
        if state.loop is not None:  # part of its execution: waiting for a place that holds would never end
            return Begin(force=force)
        key = (state.namespace, state.flow_id)
        self._answered(state.id)
        limit = self._limit(key, own)
        running = len(self._running.get(key, ()))
        if limit is not None:
            if limit.behavior == "QUEUE" and state.state != "QUEUED" and any((*key, part) in self._lines for part in (True, False)):
                running = max(running, limit.limit)
            if running >= limit.limit:
                return Begin(running=running, force=force, limit=limit)
        if not force and not is_part(state) and not self._room():
            return Begin(running=1, limit=_HELD)
        return Begin(running=running, force=force, limit=limit)

    def _limit(self, key: Key, own: Concurrency | None) -> Concurrency | None:
        try:
            limit: Concurrency | None = self._library.newest(*key).model.concurrency
        except FlowNotFound:
            return own
        return limit

    def _answered(self, execution_id: str) -> None:
        """A queued execution is told to begin, by us or by somebody: it begins now or stands where it stood."""
        name = self._where.get(execution_id)
        if name is None:
            return
        line = self._lines[name]
        if execution_id in line.called:
            line.called.discard(execution_id)
            self._calls -= not line.part
            heapq.heappush(line.order, execution_id)
        self._rings[line.part].push(name, self._shares.of(name[:2]).priority)

    # ---- following
    def follow(self, state: Execution, own: Concurrency | None) -> None:
        """The state of an execution may have changed."""
        if state.loop is not None:
            return
        key = (state.namespace, state.flow_id)
        holds = not state.ended and state.state not in ("CREATED", "QUEUED")
        if holds:
            self._running.setdefault(key, set()).add(state.id)
        freed = not holds and self._leave(key, state.id)
        if holds and state.state != "PAUSED":
            self._busy.add(state.id)
            if not is_part(state):
                self._whole.add(state.id)
        elif state.id in self._busy:
            self._busy.discard(state.id)
            self._whole.discard(state.id)
            freed = True
        if state.state == "QUEUED":
            self._enter((*key, is_part(state)), state.id, own)
            freed = True
        elif self._unqueue(state.id):  # it may have begun and ended at once: then nobody saw it hold the place it was called to
            freed = True
        if freed:
            self._admit(key)

    def _enter(self, name: _Name, execution_id: str, own: Concurrency | None) -> None:
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line(part=name[2])
        line.own = own
        line.enter(execution_id)
        self._where[execution_id] = name

    def forget(self, state: Execution) -> None:
        """An execution is no longer known: a transaction failed, it is read again or never was."""
        self._leave((state.namespace, state.flow_id), state.id)
        self._busy.discard(state.id)
        self._whole.discard(state.id)
        self._unqueue(state.id)

    def _leave(self, key: Key, execution_id: str) -> bool:
        group = self._running.get(key)
        if group is None or execution_id not in group:
            return False
        group.discard(execution_id)
        if not group:
            del self._running[key]
        return True

    def _unqueue(self, execution_id: str) -> bool:
        """Whether it was queued."""
        name = self._where.pop(execution_id, None)
        if name is None:
            return False
        line = self._lines[name]
        if execution_id in line.called:
            line.called.discard(execution_id)
            self._calls -= not line.part
        line.leave(execution_id)
        if not line.ids:
            del self._lines[name]
            self._rings[line.part].discard(name)
        return True

    # ---- letting begin
    def admit_all(self) -> None:
        """Look at every flow with a queue: after a start, when limits are others, when a pause is over."""
        self._ready = True
        for name in self._lines:
            self._rings[name[2]].push(name, self._shares.of(name[:2]).priority)
        self._pump()

    def _admit(self, key: Key) -> None:
        for part, ring in self._rings.items():
            if (*key, part) in self._lines:
                ring.push((*key, part), self._shares.of(key).priority)
        if self._ready:
            self._pump()

    def _pump(self) -> None:
        """Let begin as many as may, flow by flow in turn, parts first. A flow whose limit is reached leaves the ring until one of it ends."""
        for part, ring in self._rings.items():
            while (part or self._room()) and (name := ring.pop()) is not None:
                line = self._lines.get(name)
                execution_id = line.oldest() if line is not None else None
                if line is None or execution_id is None or self._full(name[:2], line.own):
                    continue
                line.called.add(execution_id)
                self._calls += not part
                ring.push(name, self._shares.of(name[:2]).priority)
                self._begin(execution_id)

    def _full(self, key: Key, own: Concurrency | None) -> bool:
        limit = self._limit(key, own)
        if limit is None:
            return False
        called = sum(len(line.called) for part in (True, False) if (line := self._lines.get((*key, part))) is not None)
        return len(self._running.get(key, ())) + called >= limit.limit


def is_part(state: Execution) -> bool:
    """Whether an execution is a subflow or iteration of another."""
    return state.loop is not None or "taskRunId" in (state.trigger or {})
