"""Slots and timers: fair, bounded, and nothing stays of what ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from podium.base.system.clock import SystemClock
from podium.conductor.core.dispatch import SWEEP_AT, Timers
from podium.conductor.limits.slots import Place, Slots


def test_timers_of_ended_executions_do_not_pile_up() -> None:
    timers = Timers(SystemClock(), lambda stream, key: None)
    far = datetime(2099, 1, 1, tzinfo=UTC)
    timers.set("stays", "k", far)
    for number in range(10 * SWEEP_AT):
        timers.set(f"s{number}", "sla", far)
        timers.forget(f"s{number}")
    assert len(timers) <= 2 * SWEEP_AT + 2


async def test_slots_take_turns_between_flows_double_nothing_and_drop_what_waits() -> None:
    slots, ran, gate = Slots(1), [], asyncio.Event()

    def job(name: str) -> None:
        async def work() -> None:
            await gate.wait()
            ran.append(name)

        slots.submit(Place(("n", name[0]), name), name, work)

    for name in ("a1", "a2", "a2", "a3", "b1", "b2"):
        job(name)
    slots.drop("a3")
    assert slots.waiting == 3
    gate.set()
    while slots.running:
        await asyncio.sleep(0)
    assert ran == ["a1", "a2", "b1", "b2"] or ran == ["a1", "b1", "a2", "b2"]
