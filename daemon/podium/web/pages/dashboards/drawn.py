"""Charts of a page that are being drawn: begun once, waited for a moment, and taken up again by whoever asks for the same next.

What always holds: a page is there soon however slow its charts are; what is late comes by itself (charts.ts) or on a page of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from podium.base.system.clock import monotonic_s

KEPT_S = 10.0
KEPT_MAX = 256
_PATIENCE_S = 0.05
Key = tuple[Any, ...]


class Drawing:
    """The charts under way or just drawn, of one server."""

    def __init__(self) -> None:
        self._tasks: dict[Key, tuple[asyncio.Task[Any], float]] = {}

    def begin(self, key: Key, make: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
        """The task that draws this chart: one that is there already, or a new one."""
        now = monotonic_s()
        for old in [name for name, (task, at) in self._tasks.items() if task.done() and now - at > KEPT_S]:
            del self._tasks[old]
        if key not in self._tasks:
            if len(self._tasks) >= KEPT_MAX:
                self._tasks.pop(next(iter(self._tasks)))
            task = asyncio.ensure_future(_awaited(make))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waits raises it; nobody may be left
            self._tasks[key] = (task, now)
        return self._tasks[key][0]


async def _awaited(make: Callable[[], Awaitable[Any]]) -> Any:
    return await make()


async def soon(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for them, but not long."""
    if tasks:
        await asyncio.wait(tasks, timeout=_PATIENCE_S)


DRAWING: web.AppKey[Drawing] = web.AppKey("drawing", Drawing)
