"""What changes, as it changes: one subscription to the orchestrator, fanned out to bounded queues, and event streams (SSE) made from them.

Called by api/ and by the pages' script. What always holds: a slow reader costs a bounded queue and then loses details, never
the daemon's memory; a stream ends when the server stops; the number of streams is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import LimitError
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.conductor.port import Orchestrator, View
from podium.flows.model import TERMINAL
from podium.web.wire import encode

log = get_logger(__name__)

HEARTBEAT_S = 15.0
SEND_TIMEOUT_S = 30.0
"""A reader that takes nothing for this long is dropped."""
PACE_S = 0.1
"""Least time between two states of one execution in one stream; a large one takes five times as long as making it took."""
LOG_POLL_S = 0.3
LOG_BATCH = 500
SETTLE_S = 1.0
"""After an execution ended, how long without a new line until its log counts as complete."""
Listener = Callable[[dict[str, Any]], None]


class Subscription:
    """The changes one reader cares about. At most STREAM_QUEUE_MAX wait; beyond it they are dropped and `lagged` is set."""

    def __init__(self, execution_id: str | None) -> None:
        self.execution_id = execution_id
        self.lagged = False
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(limits.STREAM_QUEUE_MAX)
        self.closed = False

    def offer(self, change: dict[str, Any] | None) -> None:
        """Take a change, or None for the end."""
        if change is None:
            self.closed = True
        elif self.execution_id is not None and change.get("executionId") != self.execution_id:
            return
        if self._queue.full():
            self.lagged = True
            while not self._queue.empty():
                self._queue.get_nowait()
        self._queue.put_nowait(change)

    async def next(self, timeout_s: float) -> dict[str, Any] | None:
        """The next change, or None when the time is up or the end has come (`closed`)."""
        if self.closed and self._queue.empty():
            return None
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    def drain(self) -> None:
        """Forget what waits: the reader is about to look at the present."""
        while not self._queue.empty():
            self._queue.get_nowait()


class Hub:
    """Reads the orchestrator's changes once and hands them on."""

    def __init__(self, orchestrator: Orchestrator, *, streams_max: int = limits.STREAMS_MAX) -> None:
        self._orchestrator = orchestrator
        self._streams_max = streams_max
        self._open: set[Subscription] = set()
        self._listeners: list[Listener] = []
        self._stopped = False

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every change. It must be quick and not raise."""
        self._listeners.append(listener)

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._open)

    async def run(self) -> None:
        """Read changes until cancelled. A broken subscription is taken up again from the last change seen."""
        seen: int | None = None
        while True:
            try:
                async for change in self._orchestrator.subscribe(after_seq=seen):
                    seen = change.get("seq", seen)
                    self._publish(change)
            except Exception:
                log.exception("changes_subscription_broke", after_seq=seen)
            await asyncio.sleep(1)

    def _publish(self, change: dict[str, Any]) -> None:
        for listener in self._listeners:
            listener(change)
        for subscription in list(self._open):
            subscription.offer(change)

    def stop(self) -> None:
        """End every stream."""
        self._stopped = True
        for subscription in list(self._open):
            subscription.offer(None)

    @asynccontextmanager
    async def subscription(self, execution_id: str | None = None) -> AsyncIterator[Subscription]:
        """A subscription for as long as the context is open. Raises LimitError when there are too many."""
        if len(self._open) >= self._streams_max:
            raise LimitError(f"{self._streams_max} streams are open already", hint="close one, or ask again later", retry_after_s=10)
        subscription = Subscription(execution_id)
        if self._stopped:
            subscription.offer(None)
        self._open.add(subscription)
        try:
            yield subscription
        finally:
            self._open.discard(subscription)


class Stream:
    """One open event stream."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response

    async def send(self, data: Any, *, identifier: str | None = None, event: str | None = None) -> None:
        """Send one event; data as JSON on one line."""
        head = (f"id: {identifier}\n" if identifier else "") + (f"event: {event}\n" if event else "")
        await self._write(head.encode() + b"data: " + encode(data) + b"\n\n")

    async def heartbeat(self) -> None:
        """Send a comment, so that a dead connection is noticed."""
        await self._write(b": \n\n")

    async def _write(self, chunk: bytes) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._response.write(chunk)


async def serve_stream(request: web.Request, produce: Callable[[Stream], Awaitable[None]]) -> web.StreamResponse:
    """Answer with an event stream that `produce` fills. A reader that goes away or takes nothing just ends it."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    with suppress(ConnectionError, TimeoutError):
        await produce(Stream(response))
        await response.write_eof()
    return response


async def follow_execution(request: web.Request, hub: Hub, orchestrator: Orchestrator, execution_id: str) -> web.StreamResponse:
    """The execution now (id `start`), on each change (`progress`) and once terminal (`end`). Raises NotFound."""
    async with hub.subscription(execution_id) as subscription:
        first = await orchestrator.execution(execution_id)

        async def produce(stream: Stream) -> None:
            shown, pace_s = first, PACE_S
            await stream.send(shown, identifier="start")
            while not _ended(shown):
                await subscription.next(HEARTBEAT_S)
                if subscription.closed:
                    return
                await asyncio.sleep(pace_s)
                subscription.drain()
                started = monotonic_s()
                now = await orchestrator.execution(execution_id)
                if now == shown:
                    await stream.heartbeat()
                    continue
                shown = now
                if not _ended(shown):
                    await stream.send(shown, identifier="progress")
                pace_s = max(PACE_S, 5 * (monotonic_s() - started))
            await stream.send(shown, identifier="end")

        return await serve_stream(request, produce)


def _ended(execution: View) -> bool:
    return (execution.get("state") or {}).get("current") in TERMINAL


async def follow_logs(
    request: web.Request, hub: Hub, orchestrator: Orchestrator, execution_id: str, *, after_seq: int, min_level: str, **only: Any
) -> web.StreamResponse:
    """Log entries after `after_seq`, stored ones first, each with its seq as event id; then an event `end` when the execution is over."""
    async with hub.subscription(execution_id) as subscription:
        await orchestrator.execution(execution_id)

        async def produce(stream: Stream) -> None:
            seen, over = after_seq, False
            sent_at = quiet_since = monotonic_s()
            while True:
                entries = await orchestrator.logs(execution_id, after_seq=seen, min_level=min_level, limit=LOG_BATCH, **only)
                for entry in entries:
                    seen = max(seen, int(entry.get("seq", seen)))
                    await stream.send(entry, identifier=str(seen))
                now = monotonic_s()
                if entries:
                    sent_at = quiet_since = now
                    continue
                if not over and _ended(await orchestrator.execution(execution_id)):
                    over, quiet_since = True, now
                if over and now - quiet_since >= SETTLE_S:
                    await stream.send({}, event="end")
                    return
                if now - sent_at >= HEARTBEAT_S:
                    sent_at = now
                    await stream.heartbeat()
                await subscription.next(LOG_POLL_S)
                if subscription.closed:
                    return

        return await serve_stream(request, produce)


async def follow_changes(request: web.Request, hub: Hub, execution_id: str | None) -> web.StreamResponse:
    """Every change as a small event; `reset` when some were dropped because the reader was slow."""
    async with hub.subscription(execution_id) as subscription:

        async def produce(stream: Stream) -> None:
            await stream.heartbeat()
            while not subscription.closed:
                change = await subscription.next(HEARTBEAT_S)
                if subscription.lagged:
                    subscription.lagged = False
                    await stream.send({}, event="reset")
                elif change is not None:
                    await stream.send(change, identifier=str(change.get("seq", "")))
                else:
                    await stream.heartbeat()

        return await serve_stream(request, produce)
