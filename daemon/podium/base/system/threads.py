"""Blocking work that may hang (a network file system, a remote, a plug-in) in a thread of its own.

The loop's shared threads are few: a handful of hanging calls would stop everything that needs one. A thread made here is a daemon
thread, so that one that hangs does not keep the process from ending either. Callers bound how many they start.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_own_thread(work: Callable[..., T], *args: Any, **named: Any) -> T:
    """What `work(*args, **named)` gives or raises. Cancelling stops waiting for it, not the work itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # without an error it is a T

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work(*args, **named)
        except BaseException as caught:  # noqa: BLE001 - whatever it is belongs to who waits
            error = caught
        try:
            loop.call_soon_threadsafe(finish, result, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=run, name=f"own {getattr(work, '__name__', 'work')}", daemon=True).start()
    return await done
