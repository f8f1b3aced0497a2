"""An event loop in which time is a number: waiting takes none, threads are none, and the same program runs the same way each time."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable
from typing import Any


class _NoWait(selectors.SelectSelector):
    """Moves the loop's time on instead of waiting."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "nothing can ever happen any more"
        self.loop.seconds += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """seconds: where its time stands; goes on from the loop before it."""

    def __init__(self, seconds: float) -> None:
        selector = _NoWait()
        selector.loop = self
        self.seconds = seconds
        super().__init__(selector)

    def time(self) -> float:
        return self.seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Here and now: a thread would make the order of things a matter of luck."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for it
            future.set_exception(error)
        return future

    def abandon(self) -> None:
        """End everything that still runs on it, as far as it lets itself be ended, then close."""
        for _ in range(100):
            tasks = asyncio.all_tasks(self)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RuntimeError):  # whatever ends now may stop the loop: the next round goes on
                self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()
