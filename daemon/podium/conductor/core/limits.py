"""How many executions of each flow run, and which are queued for a slot of its concurrency limit. Source: flow-language 1.5."""

from __future__ import annotations

from collections.abc import Callable

from podium.base.errors import FlowNotFound
from podium.conductor.core.stream import Stream
from podium.conductor.library import Library
from podium.engine.commands import Begin
from podium.flows.model import Concurrency

Key = tuple[str, str]


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
        limit, running = self._limit(key, stream), self.running(*key)
        if limit is None:
            return Begin(force=force)
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
