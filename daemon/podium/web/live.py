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
from podium.base.system.log import get_logger
from podium.conductor.port import Orchestrator
from podium.web.following.feeds import Feeds, news_or
from podium.web.people.roles import sees, unchanged
from podium.web.wire import encode

log = get_logger(__name__)

HEARTBEAT_S = 15.0
BATCH_MAX = 100
"""Executions that one event of a paced stream of changes names; of more it says only that anything may have changed."""
SEND_TIMEOUT_S = 30.0
"""A reader that takes nothing for this long is dropped."""
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

    def taken(self) -> list[dict[str, Any]]:
        """What waits, taken at once. The end stays for `next`."""
        found = list[dict[str, Any]]()
        while not self._queue.empty():
            if (change := self._queue.get_nowait()) is not None:
                found.append(change)
        return found

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
        self._places = 0
        self.feeds = Feeds(orchestrator, self.changes)
        """What many follow is read once."""
        self._listeners: list[Listener] = []
        self._stopped = False

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every change. It must be quick and not raise."""
        self._listeners.append(listener)

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return self._places

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
    async def place(self) -> AsyncIterator[None]:
        """A place for one stream, for as long as the context is open. Raises LimitError when there are too many."""
        if self._places >= self._streams_max:
            raise LimitError(f"{self._streams_max} streams are open already", hint="close one, or ask again later", retry_after_s=10)
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    @asynccontextmanager
    async def subscription(self, execution_id: str | None = None) -> AsyncIterator[Subscription]:
        """A place and a subscription for as long as the context is open. Raises LimitError when there are too many."""
        async with self.place(), self.changes(execution_id) as subscription:
            yield subscription

    @asynccontextmanager
    async def changes(self, execution_id: str | None = None) -> AsyncIterator[Subscription]:
        """A subscription for our own use."""
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

    def __init__(self, response: web.StreamResponse, allowed: Callable[[], bool]) -> None:
        self._response = response
        self._allowed = allowed

    async def send(self, data: Any, *, identifier: str | None = None, event: str | None = None) -> None:
        """Send one event; data as JSON on one line."""
        head = (f"id: {identifier}\n" if identifier else "") + (f"event: {event}\n" if event else "")
        await self._write(head.encode() + b"data: " + encode(data) + b"\n\n")

    async def heartbeat(self) -> None:
        """Send a comment, so that a dead connection is noticed."""
        await self._write(b": \n\n")

    async def pass_on(self, events: bytes) -> None:
        """Send events that are made already."""
        await self._write(events)

    async def _write(self, chunk: bytes) -> None:
        if not self._allowed():  # somebody's access changed: whoever still may comes again
            raise ConnectionAbortedError
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._response.write(chunk)


async def serve_stream(request: web.Request, produce: Callable[[Stream], Awaitable[None]]) -> web.StreamResponse:
    """Answer with an event stream that `produce` fills. A reader that goes away or takes nothing just ends it."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    with suppress(ConnectionError, TimeoutError):
        await produce(Stream(response, unchanged(request)))
        await response.write_eof()
    return response


async def follow_execution(request: web.Request, hub: Hub, execution_id: str) -> web.StreamResponse:
    """The execution now (id `start`), on each change (`progress`) and once terminal (`end`). Raises NotFound."""
    async with hub.place(), hub.feeds.state(execution_id) as (feed, news):

        async def produce(stream: Stream) -> None:
            shown, name = 0, b"start"
            while True:
                if name == b"start" or feed.version != shown:
                    shown, over = feed.version, feed.over
                    if over and name != b"start":
                        name = b"end"
                    await stream.pass_on(b"id: " + name + b"\ndata: " + feed.data + b"\n\n")
                    if over and name == b"start":
                        await stream.pass_on(b"id: end\ndata: " + feed.data + b"\n\n")
                    if over:
                        return
                    name = b"progress"
                if feed.stopped:
                    return
                await news_or(news, HEARTBEAT_S, stream.heartbeat)

        return await serve_stream(request, produce)


async def follow_logs(request: web.Request, hub: Hub, execution_id: str, *, after_seq: int, **only: Any) -> web.StreamResponse:
    """Log entries after `after_seq`, stored ones first, each with its seq as event id; then an event `end` when the execution is over."""
    async with hub.place(), hub.feeds.lines(execution_id, only) as (feed, news):

        async def produce(stream: Stream) -> None:
            seen = after_seq
            while True:
                over = feed.over
                lines = await feed.lines(seen)
                if lines is not None:
                    seen = lines.last
                    await stream.pass_on(lines.data)
                elif over:
                    await stream.send({}, event="end")
                    return
                elif feed.stopped:
                    return
                else:
                    await news_or(news, HEARTBEAT_S, stream.heartbeat)

        return await serve_stream(request, produce)


async def follow_changes(request: web.Request, hub: Hub, execution_id: str | None, *, pace_s: float = 0.0) -> web.StreamResponse:
    """Every change as a small event; `reset` when some were dropped because the reader was slow.

    pace_s: with one, what changed since is one event, a list, at most once in that time: the last of each execution, or `reset` for very many.
    """
    async with hub.subscription(execution_id) as subscription:

        def seen(change: dict[str, Any]) -> bool:
            return "namespace" not in change or sees(request, str(change["namespace"]))

        async def produce(stream: Stream) -> None:
            await stream.heartbeat()
            while not subscription.closed:
                change = await subscription.next(HEARTBEAT_S)
                batch: list[dict[str, Any]] = []
                if change is not None and pace_s:
                    await asyncio.sleep(pace_s)
                    batch = list({str(each.get("executionId") or each): each for each in (change, *subscription.taken()) if seen(each)}.values())
                if subscription.lagged or len(batch) > BATCH_MAX:
                    subscription.lagged = False
                    await stream.send({}, event="reset")
                elif batch:
                    await stream.send(batch, identifier=str(batch[-1].get("seq", "")))
                elif change is not None and not pace_s and seen(change):
                    await stream.send(change, identifier=str(change.get("seq", "")))
                else:
                    await stream.heartbeat()

        return await serve_stream(request, produce)
