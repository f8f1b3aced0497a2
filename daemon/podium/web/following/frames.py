"""What the page of an execution gets as it changes, made once for all who look at the same: pieces of the page, and its task runs in few bytes.

Called by pages/executions/live. Both are made from the StateFeed's view. A follower says which version it has and gets what changed since, as events
of a stream; followers that are as far get the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from podium.base.system.clock import monotonic_s
from podium.conductor.port import View
from podium.web.following.feeds import Feed, Feeds, StateFeed
from podium.web.wire import encode

PARTS_PACE_S = 0.4
RUNS_PACE_S = 0.1
_LOOK_S = 5.0


class FrameFeed(Feed):
    """A feed whose versions are sent as events. Made of an execution's state."""

    pace_s = RUNS_PACE_S

    def __init__(self, feeds: Feeds, execution_id: str) -> None:
        super().__init__()
        self._feeds, self._id = feeds, execution_id
        self._frames: dict[int, bytes] = {}

    def frames(self, seen: int) -> bytes:
        """What changed since version `seen` (0: everything)."""
        made = self._frames.get(seen)
        if made is None:
            made = self._frames[seen] = self._made(seen)
        return made

    def ring(self) -> None:
        self._frames = {}
        super().ring()

    async def begin(self) -> None:
        async with self._feeds.state(self._id) as (state, _):
            await self._take(state.view)
            self.version = 1

    async def run(self) -> None:
        async with self._feeds.state(self._id) as (state, news):
            seen, view = -1, None
            while True:
                over = state.over
                if state.version != seen and state.view is not view:
                    seen, view = state.version, state.view
                    started = monotonic_s()
                    if await self._take(view):
                        self.ring()
                    pace_s = max(self.pace_s, 5 * (monotonic_s() - started))
                    if not over:
                        await asyncio.sleep(pace_s)
                        continue
                if over:
                    await self._at_end(state)
                    self.over = True
                    self.wake()
                    return
                if state.stopped:
                    return
                await _either(news, _LOOK_S)

    async def _take(self, view: View) -> bool:
        """Look at a view; whether there is anything new."""
        raise NotImplementedError

    async def _at_end(self, state: StateFeed) -> None:
        """What is still to come when the execution ended."""

    def _made(self, seen: int) -> bytes:
        raise NotImplementedError


async def _either(news: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await news.wait()
    except TimeoutError:
        return
    finally:
        news.clear()


Render = Callable[[View], Awaitable[Mapping[str, str]]]
"""The pieces of a page for a view: id of the element → its markup."""


class PartsFeed(FrameFeed):
    """Pieces of a page. more: tells at the end whether something may still come (the record's commit), which is then looked for some times."""

    pace_s = PARTS_PACE_S

    def __init__(self, feeds: Feeds, execution_id: str, render: Render, *, more: Callable[[], Awaitable[bool]] | None = None) -> None:
        super().__init__(feeds, execution_id)
        self._render, self._more = render, more
        self._parts: dict[str, tuple[int, str]] = {}

    async def _take(self, view: View) -> bool:
        changed = {name: text for name, text in (await self._render(view)).items() if name not in self._parts or self._parts[name][1] != text}
        for name, text in changed.items():
            self._parts[name] = (self.version + 1, text)
        return bool(changed)

    async def _at_end(self, state: StateFeed) -> None:
        waits_s = 0.5
        while self._more is not None and await self._more() and waits_s < 60:
            await asyncio.sleep(waits_s)
            waits_s *= 1.6
            if await self._take(state.view):
                self.ring()

    def _made(self, seen: int) -> bytes:
        return b"".join(
            b"event: part\ndata: %b\n\n" % encode({"id": name, "html": text}) for name, (version, text) in self._parts.items() if version > seen
        )


class RunsFeed(FrameFeed):
    """The task runs of an execution. pack: a run in few bytes, its id first."""

    def __init__(self, feeds: Feeds, execution_id: str, pack: Callable[[Mapping[str, Any]], Sequence[Any]]) -> None:
        super().__init__(feeds, execution_id)
        self._pack = pack
        self._rows: dict[str, tuple[int, Sequence[Any]]] = {}
        self._state: Mapping[str, Any] = {}

    async def _take(self, view: View) -> bool:
        found = False
        if view.get("state") != self._state:
            self._state, found = view.get("state") or {}, True
        for run in view.get("taskRunList") or ():
            row = self._pack(run)
            known = self._rows.get(row[0])
            if known is None or known[1] != row:
                self._rows[row[0]] = (self.version + 1, row)
                found = True
        return found

    def _made(self, seen: int) -> bytes:
        rows = [row for version, row in self._rows.values() if version > seen]
        told = {"all": seen == 0, "state": self._state, "rows": rows}
        return b"event: runs\ndata: %b\n\n" % encode(told)
