"""Blocking work in a thread of its own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from podium.base.system.threads import in_own_thread


async def test_it_gives_what_the_work_gives_and_raises_what_it_raises() -> None:
    assert await in_own_thread(lambda a, *, b: a + b, 1, b=2) == 3

    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await in_own_thread(fails)


async def test_many_that_hang_hold_up_no_other() -> None:
    gate = threading.Event()
    hanging = [asyncio.create_task(in_own_thread(gate.wait, 120)) for _ in range(50)]
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 60) == 1
    hanging[0].cancel()
    await asyncio.gather(hanging[0], return_exceptions=True)
    assert hanging[0].cancelled()
    gate.set()
    assert all(await asyncio.gather(*hanging[1:]))


async def test_its_thread_does_not_keep_the_process_alive() -> None:
    assert (await in_own_thread(threading.current_thread)).daemon
