"""Changes as they become durable, told to whoever listens: pages, triggers, `podium run`. Bounded: a slow listener loses the oldest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any

from podium.base.limits import STREAM_QUEUE_MAX

KEPT = 4_096
"""Changes kept for listeners that come back and say where they were."""


class Broadcast:
    """Numbers changes and hands them on."""

    def __init__(self) -> None:
        self._seq = 0
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()

    def publish(self, changes: Iterable[dict[str, Any]]) -> None:
        """Tell everybody."""
        for change in changes:
            self._seq += 1
            numbered = {"seq": self._seq, **change}
            self._kept.append(numbered)
            for listener in self._listeners:
                if listener.full():
                    listener.get_nowait()
                listener.put_nowait(numbered)

    async def listen(self, after_seq: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """Changes from now on, or those kept after `after_seq` first. Never ends by itself."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=STREAM_QUEUE_MAX)
        if after_seq is not None:
            for change in self._kept:
                if change["seq"] > after_seq:
                    if queue.full():
                        queue.get_nowait()
                    queue.put_nowait(change)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)
