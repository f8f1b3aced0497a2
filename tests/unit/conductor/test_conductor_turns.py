"""Whose turn it is: rings, slots with gates, lanes. Every step must cost the same however much waits."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import pytest

from podium.base.errors import LimitError
from podium.conductor.limits.lanes import MANY, Lanes
from podium.conductor.limits.ring import OTHERS_EVERY, Ring
from podium.conductor.limits.shares import Pool, Shares
from podium.conductor.limits.slots import Place, Slots


def test_a_ring_goes_round_by_priority_and_lets_nobody_wait_for_ever() -> None:
    ring: Ring[str] = Ring()
    for name in ("a", "b", "a"):
        ring.push(name)
    assert [ring.pop(), ring.pop(), ring.pop()] == ["a", "b", None]
    ring.push("low", -1)
    turns = 0
    while True:
        turns += 1
        ring.push("high", 1)
        if ring.pop() == "low":
            break
    assert turns <= OTHERS_EVERY
    assert "low" not in ring
    assert "high" in ring
    ring.discard("high")
    assert (len(ring), ring.pop()) == (0, None)


def test_the_first_pool_that_names_a_flow_has_it() -> None:
    shares = Shares({"etl": Pool(flows=["company.etl.*"], slots=2, priority=-1), "all": Pool(flows=["*"], priority=3)}, task_runs_per_flow_max=5)
    etl, other = shares.of(("company.etl", "load")), shares.of(("company", "load"))
    assert (etl.priority, [gate.limit for gate in etl.gates]) == (-1, [5, 2])
    assert (other.priority, [gate.limit for gate in other.gates]) == (3, [5])


class Jobs:
    """Jobs that end when they are told."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}

    def add(self, flow: str, execution: str, *names: str) -> None:
        for name in names:
            self.slots.submit(Place(("n", flow), execution), name, lambda name=name: self._run(name))

    async def _run(self, name: str) -> None:
        self.begun.append(name)
        await self.ends.setdefault(name, asyncio.Event()).wait()

    async def end(self, *names: str) -> None:
        for name in names:
            self.ends.setdefault(name, asyncio.Event()).set()
        for _ in range(4):
            await asyncio.sleep(0)


async def test_slots_take_turns_between_flows_and_between_executions_of_a_flow() -> None:
    jobs = Jobs(Slots(1, what="runner.concurrency"))
    jobs.add("big", "e1", *(f"a{number}" for number in range(100)))
    jobs.add("big", "e2", "b0", "b1")
    jobs.add("small", "e3", "c0")
    await jobs.end()
    assert jobs.slots.waits("c0") == "all 1 of runner.concurrency are taken"
    assert jobs.slots.waits("a0") is None
    await jobs.end(*(f"a{number}" for number in range(100)), "b0", "b1", "c0")
    while jobs.slots.running:
        await asyncio.sleep(0)
    assert jobs.begun.index("c0") <= 2, "a flow with one task run waits for one slot, not for all of the other's"
    assert jobs.begun.index("b1") <= 6
    assert len(jobs.begun) == 103


async def test_a_full_gate_keeps_only_its_own_flows_waiting() -> None:
    shares = Shares({"heavy": Pool(flows=["n.a", "n.b"], slots=1)}, task_runs_per_flow_max=2)
    jobs = Jobs(Slots(10, shares, what="x"))
    jobs.add("a", "e1", "a0", "a1")
    jobs.add("b", "e2", "b0", "b1")
    jobs.add("c", "e3", "c0", "c1", "c2")
    await jobs.end()
    assert jobs.begun == ["a0", "c0", "c1"]
    assert jobs.slots.waits("b0") == "all 1 of pools.heavy.slots are taken"
    assert "task_runs_per_flow_max" in (jobs.slots.waits("c2") or "")
    assert sorted(count for _, count, _ in jobs.slots.by_flow()) == [1, 1, 2]
    await jobs.end("a0")
    assert len(jobs.begun) == 4
    jobs.slots.drop("a1")  # whoever was called in its place must not be forgotten
    jobs.slots.drop("b0")
    await jobs.end("a1", "b0", "b1", "c0", "c1", "c2")
    await jobs.end()
    assert (jobs.slots.waiting, jobs.slots.running) == (0, set())
    assert {"b1", "c2"} <= set(jobs.begun)


async def test_a_job_dropped_after_its_flow_was_called_passes_the_place_on() -> None:
    shares = Shares({"heavy": Pool(flows=["*"], slots=1)})
    jobs = Jobs(Slots(1, shares))
    jobs.add("a", "e", "a0")
    await jobs.end()
    jobs.add("b", "e", "b0")
    jobs.add("c", "e", "c0")
    jobs.slots.drop("b0")
    await jobs.end("a0", "c0")
    await jobs.end()
    assert jobs.begun == ["a0", "c0"]


async def test_slots_cost_the_same_however_many_wait() -> None:
    def cost(count: int) -> float:
        slots = Slots(1)
        jobs = Jobs(slots)
        jobs.add("other", "e", "first")
        jobs.add("big", "e", *(f"j{number}" for number in range(count)))
        started = time.perf_counter()
        for number in range(count - 1_000, count):
            slots.drop(f"j{number}")
        return time.perf_counter() - started

    gc.disable()
    try:
        few, many = min(cost(2_000) for _ in range(5)), min(cost(40_000) for _ in range(3))
    finally:
        gc.enable()
    assert many < few * 8, "dropping one of many must not look at all of them"


async def test_lanes_take_turns_and_refuse_only_what_is_asked() -> None:
    now = [0.0]
    lanes: Lanes[Any] = Lanes(lambda: now[0], requests_max=MANY + 50, wait_s_max=1.0)
    for number in range(MANY + 50):
        lanes.request(f"r{number}")
    with pytest.raises(LimitError, match="queued_commands_max") as refused:
        lanes.request("one more")
    assert refused.value.facts["retry_after_s"] == 1
    lanes.outcome("o0")
    lanes.outcome("o1")
    assert [lanes.take() for _ in range(5)] == ["o0", "r0", "o1", "r1", "r2"]
    now[0] = 2.0
    assert lanes.oldest_s == 2.0
    with pytest.raises(LimitError, match="command_wait_s_max"):
        lanes.request("late")
    while len(lanes) >= MANY:
        lanes.take()
    lanes.request("few wait: a slow disk alone refuses nobody")
    while lanes.take() is not None:
        pass
    assert len(lanes) == 0
