"""The machine's own bells and clock: what the manual ones of the unit tests stand for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from podium.base.system.clock import SystemClock
from podium.triggers.bell import Bell
from podium.triggers.board import TriggerBoard
from trigger_house import House, flow_with, until


async def test_a_schedule_of_seconds_fires_every_second(tmp_path: Path) -> None:
    house = House(tmp_path, SystemClock())
    board = TriggerBoard(
        orchestrator=house.orchestrator, renderer=house.renderer, types=house.types, clock=house.clock, zone=house.zone, home=tmp_path,
    )
    running = asyncio.create_task(board.run())
    try:
        trigger = "type: io.kestra.plugin.core.trigger.Schedule\ncron: '* * * * * *'\nwithSeconds: true\nallowConcurrent: true\n"
        house.orchestrator.install(house.flow(flow_with(trigger)))
        late: list[timedelta] = []

        def look() -> bool:
            late.extend(house.clock.now() - request.schedule_date for request in house.started[len(late):] if request.schedule_date)
            return len(late) >= 3

        await until(look, "three seconds")
        dates = house.dates()
        assert len(dates) == len(set(dates))
        assert min(late) < timedelta(seconds=1), "on time, but for what holds up the whole machine"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_bell_rings_while_the_last_ring_is_still_at_work() -> None:
    tasks: list[asyncio.Task[None]] = []

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        tasks.append(asyncio.create_task(work))

    bell = Bell(spawn)
    clock = SystemClock()
    rings: list[str] = []
    gate = asyncio.Event()

    async def slow() -> None:
        rings.append("slow")
        await gate.wait()

    async def quick() -> None:
        rings.append("quick")

    bell.start()
    try:
        bell.ring_at("a", clock.now(), slow)
        await until(lambda: rings == ["slow"], "the first ring")
        bell.ring_at("a", clock.now() - timedelta(hours=1), quick)
        await until(lambda: rings == ["slow", "quick"], "a second ring of the same bell, late as it is")
        bell.ring_at("b", clock.now() + timedelta(seconds=0.2), quick)
        bell.silence("b")
        bell.silence("nobody")
        await asyncio.sleep(0.4)
        assert rings == ["slow", "quick"]
        gate.set()
    finally:
        bell.stop()
        await asyncio.gather(*tasks)
