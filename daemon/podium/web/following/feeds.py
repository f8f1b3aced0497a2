"""What followers of an execution get, read and encoded once for all of them: its state (StateFeed) and its log lines (LineFeed).

Called by web/live and by the stream of the execution's page. A feed exists as long as somebody follows it. What always holds: a change is
read and encoded once per feed however many follow; a slow follower gets the newest state, and lines from the store in steps, so that nothing
is kept for it; a follower that comes while a feed ends gets a new one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from podium.base.errors import PodiumError
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.conductor.port import Orchestrator, View
from podium.flows.model import TERMINAL
from podium.web.wire import encode

log = get_logger(__name__)

PACE_S = 0.1
"""Least time between two states of one execution; a large one takes five times as long as making and sending it takes."""
BYTES_A_SECOND = 32_000_000
"""What one feed sends to all its followers together, about: a large state with many followers comes less often."""
LINE_PACE_S, LINE_PACE_EACH_S = 0.02, 0.000_3
"""Least time between two batches of lines, and how much longer for each follower. The first line after a pause is sent at once."""
LOOK_S = 2.0
"""A feed looks this often even if nobody told it of a change."""
SETTLE_S = 1.0
"""After an execution ended, how long without a new line until its log counts as complete."""
LINES_A_BATCH = 500
_TAIL_BYTES, _PAGES_BYTES = 2 * 1024 * 1024, 8 * 1024 * 1024


class Changes(Protocol):
    """What a feed hears of changes (live.Subscription)."""

    closed: bool
    lagged: bool

    async def next(self, timeout_s: float) -> dict[str, Any] | None: ...
    def drain(self) -> None: ...


Subscribe = Callable[[str], AbstractAsyncContextManager[Changes]]


class Feed:
    """What is common: who waits for news, and the task that makes them."""

    def __init__(self) -> None:
        self.version = 0
        self.stopped = False
        """The server ends, or the feed broke: no news will come."""
        self.over = False
        """The execution ended and all of it is here."""
        self.watchers: set[asyncio.Event] = set()

    def ring(self) -> None:
        """There is something new."""
        self.version += 1
        self.wake()

    def wake(self) -> None:
        """Have all followers look."""
        for each in self.watchers:
            each.set()

    async def begin(self) -> None:
        """Read what there is. Raises NotFound."""
        raise NotImplementedError

    async def run(self) -> None:
        """Read on, until over, stopped or cancelled."""
        raise NotImplementedError


F = TypeVar("F", bound=Feed)


class _Kept(NamedTuple):
    feed: Feed
    begun: asyncio.Future[None]
    users: list[int]


class Shared(Generic[F]):
    """The feeds of one kind that somebody follows, by what they show."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}
        self._tasks: dict[Feed, asyncio.Task[None]] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._kept)

    @asynccontextmanager
    async def following(self, key: Hashable, make: Callable[[], F], news: asyncio.Event | None = None) -> AsyncIterator[tuple[F, asyncio.Event]]:
        """The feed of `key`, made if nobody follows it yet, and an event that is set at each news. Raises what its `begin` raises.

        news: an event that is set by several feeds.
        """
        kept = self._kept.get(key)
        if kept is None:
            feed: Any = make()
            kept = self._kept[key] = _Kept(feed, asyncio.get_running_loop().create_future(), [0])
            self._tasks[feed] = asyncio.create_task(self._work(key, kept), name="web-feed")
        news = news or asyncio.Event()
        kept.users[0] += 1
        try:
            await asyncio.shield(kept.begun)
            kept.feed.watchers.add(news)
            yield kept.feed, news  # type: ignore[misc]  # one kind of feeds is kept in one of these
        finally:
            kept.feed.watchers.discard(news)
            kept.users[0] -= 1
            if not kept.users[0]:
                self._forget(key, kept)
                if (task := self._tasks.pop(kept.feed, None)) is not None:
                    task.cancel()

    def _forget(self, key: Hashable, kept: _Kept) -> None:
        if self._kept.get(key) is kept:
            del self._kept[key]

    async def _work(self, key: Hashable, kept: _Kept) -> None:
        try:
            try:
                await kept.feed.begin()
            except PodiumError as error:
                self._forget(key, kept)
                kept.begun.set_exception(error)
                kept.begun.exception()  # it counts as seen, also when whoever asked is gone
                return
            kept.begun.set_result(None)
            await kept.feed.run()
        except PodiumError as error:
            log.info("feed_ended", error=error.what)
        except Exception:
            log.exception("feed_broke")
        finally:
            # Who comes later must not get the end of this one: the execution may be restarted meanwhile.
            self._forget(key, kept)
            if not kept.begun.done():
                kept.begun.cancel()
            kept.feed.stopped = True
            kept.feed.wake()


def ended(execution: View) -> bool:
    """Whether it is in a state that does not change by itself."""
    return (execution.get("state") or {}).get("current") in TERMINAL


class StateFeed(Feed):
    """An execution as it is now. view: the newest; data: its JSON."""

    def __init__(self, orchestrator: Orchestrator, subscribe: Subscribe, execution_id: str) -> None:
        super().__init__()
        self._orchestrator, self._subscribe, self._id = orchestrator, subscribe, execution_id
        self.view: View = {}
        self._data: bytes | None = None

    @property
    def data(self) -> bytes:
        """The JSON of the newest view, made when first asked for."""
        if self._data is None:
            self._data = encode(self.view)
        return self._data

    async def begin(self) -> None:
        self._take(await self._orchestrator.execution(self._id))

    def _take(self, view: View) -> None:
        self.view, self._data, self.over = view, None, ended(view)

    async def run(self) -> None:
        pace_s = PACE_S
        async with self._subscribe(self._id) as changes:
            await self._look()  # what happened before we listened
            while not self.over and not changes.closed:
                await changes.next(LOOK_S)
                if changes.closed:
                    return
                await asyncio.sleep(pace_s)
                changes.drain()
                started = monotonic_s()
                await self._look()
                sent = (len(self._data) if self._data else 0) * max(1, len(self.watchers)) / BYTES_A_SECOND
                pace_s = max(PACE_S, 5 * (monotonic_s() - started), sent)

    async def _look(self) -> None:
        view = await self._orchestrator.execution(self._id)
        if view != self.view:
            self._take(view)
            self.ring()


class _Chunk(NamedTuple):
    """Lines after `after` up to `last`, each with its seq, and all of them together as events of a stream."""

    after: int
    last: int
    lines: list[tuple[int, bytes]]
    whole: bytes


class Lines(NamedTuple):
    """What a follower is to send next: events, and the seq of the last of them."""

    data: bytes
    last: int


Only = dict[str, Any]
"""What lines are wanted: min_level, task_id, task_run_id, attempt."""
Pack = Callable[[list[dict[str, Any]]], list[tuple[int, bytes]]]
"""Log entries → (seq, event of a stream), in order."""


def as_events(entries: list[dict[str, Any]]) -> list[tuple[int, bytes]]:
    """One event a line, with its seq as id."""
    return [(seq := int(each["seq"]), b"id: %d\ndata: %b\n\n" % (seq, encode(each))) for each in entries]


class LineFeed(Feed):
    """The lines of an execution's log as they come. A follower asks `lines(seq)` for what follows after the last one it sent."""

    def __init__(
        self, orchestrator: Orchestrator, subscribe: Subscribe, execution_id: str, only: Only, *, pack: Pack = as_events, batch: int = LINES_A_BATCH
    ) -> None:
        super().__init__()
        self._orchestrator, self._subscribe, self._id, self._only = orchestrator, subscribe, execution_id, only
        self._pack, self._batch = pack, batch
        self._tail: deque[_Chunk] = deque()
        self._tail_bytes = 0
        self._top: int | None = None
        """Everything up to here was read, and what came since the feed began is in the tail. None: nobody has caught up yet."""
        self._pages: OrderedDict[int, _Chunk] = OrderedDict()
        self._pages_bytes = 0
        self._caught_up, self._reading = asyncio.Event(), asyncio.Lock()

    async def begin(self) -> None:
        await self._orchestrator.execution(self._id)

    async def lines(self, seen: int) -> Lines | None:
        """What follows after line `seen`; None when nothing does at present."""
        while True:
            start = self._tail[0].after if self._tail else self._top
            if start is not None and seen >= start:
                return self._from_tail(seen)
            async with self._reading:
                chunk = self._pages.get(seen) or self._keep(await self._read(seen))
            if chunk.lines:
                return Lines(chunk.whole, chunk.last)
            if self._top is None:
                self._top = seen
                self._caught_up.set()
            elif start is not None:  # nothing is between here and the tail
                seen = start

    def _from_tail(self, seen: int) -> Lines | None:
        for chunk in self._tail:
            if chunk.last <= seen:
                continue
            if chunk.after >= seen:
                return Lines(chunk.whole, chunk.last)
            return Lines(b"".join(data for seq, data in chunk.lines if seq > seen), chunk.last)
        return None

    async def _read(self, after: int) -> _Chunk:
        entries = await self._orchestrator.logs(self._id, after_seq=after, limit=self._batch, **self._only)
        lines = self._pack([each for each in entries if int(each["seq"]) > after])
        return _Chunk(after, lines[-1][0] if lines else after, lines, b"".join(data for _, data in lines))

    def _keep(self, chunk: _Chunk) -> _Chunk:
        """Lines of the past: the next follower that begins at the same line gets the same bytes, and goes on from there."""
        if chunk.lines:
            self._pages[chunk.after] = chunk
            self._pages_bytes += len(chunk.whole)
        while self._pages_bytes > _PAGES_BYTES:
            self._pages_bytes -= len(self._pages.popitem(last=False)[1].whole)
        return chunk

    async def run(self) -> None:
        async with self._subscribe(self._id) as changes:
            await self._caught_up.wait()  # whoever has fallen away meanwhile: the next one sets it
            ending = ended(await self._orchestrator.execution(self._id))
            await self._take_new()
            quiet_since = monotonic_s()
            while not changes.closed:
                change = await changes.next(SETTLE_S / 2 if ending else LOOK_S)
                if changes.closed:
                    return
                if change is None or changes.lagged or change.get("state") in TERMINAL:
                    changes.lagged = False
                    ending = ended(await self._orchestrator.execution(self._id))
                if await self._take_new():
                    quiet_since = monotonic_s()
                    await asyncio.sleep(LINE_PACE_S + LINE_PACE_EACH_S * len(self.watchers))
                elif ending and monotonic_s() - quiet_since >= SETTLE_S:
                    self.over = True
                    self.wake()
                    return

    async def _take_new(self) -> bool:
        """Read what came since; whether there was anything."""
        found = False
        while True:
            assert self._top is not None, "somebody has caught up"
            chunk = await self._read(self._top)
            if not chunk.lines:
                return found
            found = True
            self._tail.append(chunk)
            self._tail_bytes += len(chunk.whole)
            self._top = chunk.last
            while self._tail_bytes > _TAIL_BYTES and len(self._tail) > 1:
                self._tail_bytes -= len(self._tail.popleft().whole)
            self.ring()


class Feeds:
    """All feeds of one server."""

    def __init__(self, orchestrator: Orchestrator, subscribe: Subscribe) -> None:
        self._orchestrator, self._subscribe = orchestrator, subscribe
        self._states: Shared[StateFeed] = Shared()
        self._lines: Shared[LineFeed] = Shared()
        self._shown: Shared[Feed] = Shared()

    def state(self, execution_id: str) -> AbstractAsyncContextManager[tuple[StateFeed, asyncio.Event]]:
        """An execution's state for as long as the context is open. Raises NotFound."""
        return self._states.following(execution_id, lambda: StateFeed(self._orchestrator, self._subscribe, execution_id))

    def lines(
        self, execution_id: str, only: Only, *, pack: Pack = as_events, batch: int = LINES_A_BATCH, news: asyncio.Event | None = None
    ) -> AbstractAsyncContextManager[tuple[LineFeed, asyncio.Event]]:
        """An execution's log lines. Raises NotFound."""
        key = (execution_id, pack, batch, *sorted(only.items()))
        return self._lines.following(
            key, lambda: LineFeed(self._orchestrator, self._subscribe, execution_id, only, pack=pack, batch=batch), news
        )

    def shown(
        self, key: Hashable, make: Callable[[Feeds], Feed], news: asyncio.Event | None = None
    ) -> AbstractAsyncContextManager[tuple[Any, asyncio.Event]]:
        """A feed of another kind, of which `key` tells what it shows and to whom."""
        return self._shown.following(key, lambda: make(self), news)

    @property
    def open(self) -> int:
        """How many feeds there are."""
        return self._states.count + self._lines.count + self._shown.count


async def news_or(news: asyncio.Event, timeout_s: float, idle: Callable[[], Awaitable[None]]) -> None:
    """Wait for news; `idle` is called when none came for that long."""
    if not news.is_set():
        try:
            async with asyncio.timeout(timeout_s):
                await news.wait()
        except TimeoutError:
            await idle()
    news.clear()
