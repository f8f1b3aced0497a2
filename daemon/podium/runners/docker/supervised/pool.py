"""Slots that were started ahead, of the kinds that are asked for: how many follows from the demand, within one bound.

Called by `attempts`. What always holds: a slot is given away once; there are never more than `most`, those being made included; the kind that
nobody asked for longest goes first; one that is not asked for at all goes after IDLE_S.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from podium.base.errors import PodiumError
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.runners.docker.supervised.slots import Slot

log = get_logger(__name__)
IDLE_S = 300.0
BURST_S = 2.0
"""As many are kept ready as were asked for within so long."""
_LOOK_S = 1.0
_PAUSE_S = 0.05
"""Before others are started ahead: the task that has just begun is let go first."""
Maker = Callable[[], Awaitable[Slot]]


@dataclass(slots=True)
class _Kind:
    make: Maker
    ready: deque[Slot] = field(default_factory=deque)
    making: int = 0
    asked: deque[float] = field(default_factory=deque)
    last: float = 0.0
    peak: int = 0
    peak_at: float = 0.0
    seen: int = 0

    def wanted(self, now: float) -> int:
        """How many should be ready. A kind that was asked for once only may never be again."""
        if self.seen < 2 or now - self.last > IDLE_S:
            return 0
        while self.asked and now - self.asked[0] > BURST_S:
            self.asked.popleft()
        if len(self.asked) >= self.peak or now - self.peak_at > IDLE_S / 2:
            self.peak, self.peak_at = len(self.asked), now
        return max(self.peak, 1)


class Pool:
    """most: slots at one time, 0 is none. calm: whether the engine has time to start one ahead."""

    def __init__(self, most: int, *, calm: Callable[[], bool]) -> None:
        self._most = most
        self._calm = calm
        self._kinds: dict[str, _Kind] = {}
        self._changed = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None
        self._works: set[asyncio.Task[None]] = set()

    def take(self, key: str, make: Maker) -> Slot | None:
        """One that is ready, or None; either way the demand is noted. make: makes another of this kind."""
        if not self._most:
            return None
        kind = self._kinds.setdefault(key, _Kind(make))
        kind.make, kind.last, kind.seen = make, monotonic_s(), kind.seen + 1
        kind.asked.append(kind.last)
        self._changed.set()
        if self._tending is None:
            self._tending = asyncio.create_task(self._tend())
        while kind.ready:
            slot = kind.ready.popleft()
            if slot.alive():
                return slot
            self._background(self._discard(slot))
        return None

    @property
    def ready(self) -> int:
        """How many wait for their task."""
        return sum(len(kind.ready) for kind in self._kinds.values())

    async def close(self) -> None:
        """Remove all."""
        if self._tending is not None:
            self._tending.cancel()
            with suppress(asyncio.CancelledError):
                await self._tending
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
        slots = [slot for kind in self._kinds.values() for slot in kind.ready]
        self._kinds.clear()
        await asyncio.gather(*(self._discard(slot) for slot in slots))

    async def _tend(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()
            await asyncio.sleep(_PAUSE_S)
            self._changed.clear()
            self._adjust(monotonic_s())

    def _adjust(self, now: float) -> None:
        by_use = sorted(self._kinds.items(), key=lambda item: -item[1].last)
        for key, kind in by_use:
            for slot in [slot for slot in kind.ready if not slot.alive()]:
                kind.ready.remove(slot)
                self._background(self._discard(slot))
            wanted = kind.wanted(now)
            while len(kind.ready) > wanted:
                self._background(self._discard(kind.ready.pop()))
            if not wanted and not kind.making and now - kind.last > IDLE_S:
                del self._kinds[key]
        for _, kind in by_use:
            while len(kind.ready) + kind.making < kind.wanted(now) and self._calm():
                if self._held() >= self._most and not self._make_room(kind, by_use):
                    return
                kind.making += 1
                self._background(self._add(kind))

    def _held(self) -> int:
        return sum(len(kind.ready) + kind.making for kind in self._kinds.values())

    def _make_room(self, wanting: _Kind, by_use: list[tuple[str, _Kind]]) -> bool:
        for _, kind in reversed(by_use):
            if kind is wanting or kind.last + BURST_S > wanting.last:
                return False
            if kind.ready:
                self._background(self._discard(kind.ready.pop()))
                return True
        return False

    async def _add(self, kind: _Kind) -> None:
        try:
            kind.ready.append(await kind.make())
        except PodiumError as error:
            kind.seen = 0  # not again before it is asked for
            log.warning("docker_pool_slot_failed", reason=error.what)
        finally:
            kind.making -= 1
            self._changed.set()

    async def _discard(self, slot: Slot) -> None:
        try:
            await slot.remove()
        except PodiumError as error:
            log.warning("docker_pool_slot_kept", container=slot.container, reason=error.what)

    def _background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
