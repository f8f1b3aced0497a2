"""Limits and fairness over a real journal: what waits, what begins next, what is refused, what everything costs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conductor_house import House, house

from podium.base.errors import LimitError
from podium.conductor.limits.bounds import Bounds
from podium.conductor.limits.shares import Pool
from podium.conductor.port import StartRequest

SCRIPT = "tasks: [{id: t, type: scripts.shell.Commands, commands: [x]}]\n"


def flow(flow_id: str, more: str = "", tasks: str = SCRIPT) -> str:
    return f"id: {flow_id}\nnamespace: n\n{more}{tasks}"


async def start(h: House, flow_id: str, **more: Any) -> str:
    return str((await h.podium.start(StartRequest(namespace="n", flow_id=flow_id, **more)))["id"])


async def state(h: House, execution_id: str) -> str:
    return str((await h.podium.execution(execution_id))["state"]["current"])


async def until(look: Any, timeout_s: float = 60) -> None:
    async with asyncio.timeout(timeout_s):
        while not look():
            await asyncio.sleep(0.01)


class Told:
    """Attempts run until their task run's flow is let go."""

    def __init__(self) -> None:
        self.go = False
        self.seen: list[str] = []

    def __call__(self, work: Any) -> str | None:
        self.seen.append(work.flow_id)
        return "SUCCESS" if self.go else None

    def release(self, h: House) -> None:
        """End all that runs, as killed attempts do, and what comes after it well."""
        self.go = True
        for work in h.worker.works:
            h.worker.killed.setdefault(work.attempt_id, asyncio.Event()).set()


async def test_the_machine_runs_so_many_and_takes_flows_in_turn(tmp_path: Path) -> None:
    told = Told()
    async with house(tmp_path, tell=told, bounds=Bounds(running_executions_max=2)) as h:
        await h.deploy(flow("big"), flow("small"))
        big = [await start(h, "big") for _ in range(6)]
        small = await start(h, "small")
        assert [await state(h, each) for each in big[:3]] == ["RUNNING", "RUNNING", "QUEUED"]
        view = await h.podium.execution(big[2])
        assert view["waiting"]["why"] == "2 executions run at one time (limits.running_executions_max)"
        queue = h.podium.queue()
        assert (queue["executions"]["running"], queue["executions"]["queued"]) == (2, 5)
        assert [(each["flowId"], each["count"]) for each in queue["executions"]["flows"]] == [("big", 4), ("small", 1)]
        await until(lambda: len(told.seen) == 2)
        told.release(h)
        for each in (*big, small):
            await h.podium.wait(each, timeout_s=60)
        assert told.seen.index("small") <= 4, "it did not wait for all of the other flow"
        assert h.podium.queue()["executions"]["queued"] == 0


async def test_what_is_part_of_a_running_execution_does_not_wait_for_the_machine(tmp_path: Path) -> None:
    calls = "tasks: [{id: c, type: core.flow.Subflow, namespace: n, flowId: child, wait: true}]\n"
    loop = "tasks: [{id: l, type: core.flow.Loop, values: [1, 2], tasks: [{id: t, type: scripts.shell.Commands, commands: [x]}]}]\n"
    async with house(tmp_path, bounds=Bounds(running_executions_max=1)) as h:
        await h.deploy(flow("child"), flow("calls", tasks=calls), flow("loop", tasks=loop), flow("limited", "concurrency: {limit: 1}\n"))
        ids = [await start(h, name) for name in ("calls", "loop", "calls", "loop")]
        for each in ids:
            assert (await h.podium.wait(each, timeout_s=60))["state"]["current"] == "SUCCESS"


async def test_a_pause_of_everything_lets_run_what_runs_and_outlives_a_crash(tmp_path: Path) -> None:
    told = Told()
    async with house(tmp_path, tell=told) as h:
        await h.deploy(flow("f"))
        running = await start(h, "f")
        await until(lambda: told.seen)
        paused = await h.podium.pause_all(by="ada", reason="new disk")
        assert (paused["paused"]["by"], paused["paused"]["reason"]) == ("ada", "new disk")
        waiting = await start(h, "f")
        assert (await h.podium.execution(waiting))["waiting"]["why"] == "everything is paused (podium resume --all)"
        told.release(h)
        await h.podium.wait(running, timeout_s=60)
        forced = await start(h, "f")
        await h.podium.force_run(forced)
        assert (await h.podium.wait(forced, timeout_s=60))["state"]["current"] == "SUCCESS"
    async with house(tmp_path) as h:
        assert h.podium.queue()["paused"]["reason"] == "new disk"
        assert await state(h, waiting) == "QUEUED"
        await h.podium.resume_all()
        assert (await h.podium.wait(waiting, timeout_s=60))["state"]["current"] == "SUCCESS"
        assert h.podium.queue()["paused"] is None
    async with house(tmp_path) as h:
        assert h.podium.queue()["paused"] is None


async def test_what_waits_long_rests_outside_of_memory_and_can_do_all_the_same(tmp_path: Path) -> None:
    bounds = Bounds(waiting_in_memory_max=1)
    told = Told()
    later = {"schedule_date": None}
    async with house(tmp_path, tell=told, bounds=bounds) as h:
        later["schedule_date"] = h.clock.now() + timedelta(days=365)
        await h.deploy(flow("f", "concurrency: {limit: 1}\n"), flow("later"))
        ids = [await start(h, "f") for _ in range(6)]
        delayed = await start(h, "later", **later)
        await until(lambda: len(h.conductor.rest) == 5)
        assert set(h.conductor.in_flight) == {ids[0], ids[1]}
        assert (await h.podium.execution(ids[3]))["state"]["current"] == "QUEUED"
        assert (await h.podium.execution(ids[3]))["waiting"]["why"] == "its flow runs 1 at one time (concurrency.limit)"
        assert h.conductor.commits_in_use() == {"main": {"c" * 40}}
        await h.podium.kill(ids[2])
        assert await state(h, ids[2]) == "KILLED"
        waits = asyncio.create_task(h.podium.wait(ids[5], timeout_s=60))
        await h.podium.unqueue(ids[4], state="CANCELLED")
        assert await state(h, ids[4]) == "CANCELLED"
        told.release(h)
        assert (await waits)["state"]["current"] == "SUCCESS"
        assert await state(h, delayed) == "CREATED"
        told.go = False
        more = [await start(h, "f") for _ in range(4)]
    async with house(tmp_path, bounds=bounds) as h:  # after a crash
        for each in more:
            assert (await h.podium.wait(each, timeout_s=60))["state"]["current"] == "SUCCESS"
        assert await state(h, delayed) == "CREATED"
        await h.podium.force_run(delayed)
        assert (await h.podium.wait(delayed, timeout_s=60))["state"]["current"] == "SUCCESS"
        assert (len(h.conductor.in_flight), len(h.conductor.rest)) == (0, 0)


async def test_a_full_queue_refuses_by_the_limits_name_and_loses_nothing(tmp_path: Path) -> None:
    told = Told()
    async with house(tmp_path, tell=told, bounds=Bounds(queued_per_flow_max=2, open_executions_max=5)) as h:
        await h.deploy(flow("f", "concurrency: {limit: 1}\n"), flow("g"))
        ids = [await start(h, "f") for _ in range(3)]
        with pytest.raises(LimitError, match="queued_per_flow_max") as refused:
            await start(h, "f")
        assert refused.value.facts["retry_after_s"] >= 1
        ids += [await start(h, "g") for _ in range(2)]
        with pytest.raises(LimitError, match="open_executions_max"):
            await start(h, "g")
        await until(lambda: len(told.seen) == 3)
        told.release(h)
        for each in ids:
            await h.podium.wait(each, timeout_s=60)
        assert (await h.podium.executions(size=100))[1] == len(ids)


async def test_many_starts_at_once_are_accepted_or_refused_and_none_is_lost(tmp_path: Path) -> None:
    async with house(tmp_path, bounds=Bounds(queued_commands_max=20)) as h:
        await h.deploy(flow("f", tasks="tasks: [{id: t, type: core.debug.Return, format: x}]\n"))
        told = await asyncio.gather(*(start(h, "f") for _ in range(300)), return_exceptions=True)
        accepted = [each for each in told if isinstance(each, str)]
        assert {type(each) for each in told if not isinstance(each, str)} == {LimitError}
        assert len(accepted) >= 20
        for each in accepted:
            assert (await h.podium.wait(each, timeout_s=60))["state"]["current"] == "SUCCESS"
        assert (await h.podium.executions(size=1000))[1] == len(accepted)


async def test_a_long_loop_keeps_another_flow_waiting_for_a_slot_no_longer_than_one_turn(tmp_path: Path) -> None:
    each = "tasks: [{id: l, type: core.flow.ForEach, values: '{{ range(1, 300) }}', concurrencyLimit: 0, tasks: [{id: t, type: scripts.shell.Commands, commands: [x]}]}]\n"
    told = Told()
    async with house(tmp_path, tell=told, bounds=Bounds(attempts_max=4)) as h:
        await h.deploy(flow("big", tasks=each), flow("small"))
        await start(h, "big")
        await until(lambda: h.conductor.slots.waiting >= 290)
        small = await start(h, "small")
        view = await h.podium.execution(small)
        assert view["waiting"]["why"] == "all 4 of runner.concurrency are taken"
        told.release(h)
        assert (await h.podium.wait(small, timeout_s=60))["state"]["current"] == "SUCCESS"
        assert told.seen.index("small") <= 4 + 2, "after those that ran already, at most a turn of the other flow"


async def test_pools_hold_their_flows_and_their_priority_counts(tmp_path: Path) -> None:
    told = Told()
    pools = {"heavy": Pool(flows=["n.a*"], slots=1), "first": Pool(flows=["n.urgent"], priority=5)}
    async with house(tmp_path, tell=told, bounds=Bounds(attempts_max=2, pools=pools)) as h:
        await h.deploy(flow("a1"), flow("a2"), flow("b"), flow("urgent"))
        ids = [await start(h, name) for name in ("a1", "a2", "b", "b", "b", "urgent")]
        await until(lambda: len(told.seen) == 2)
        assert told.seen == ["a1", "b"]
        assert (await h.podium.execution(ids[1]))["waiting"]["why"] == "all 1 of pools.heavy.slots are taken"
        told.release(h)
        for each in ids:
            await h.podium.wait(each, timeout_s=60)
        assert told.seen.index("urgent") == 2


async def test_queued_executions_that_end_at_once_let_the_next_begin(tmp_path: Path) -> None:
    at_once = "tasks: [{id: t, type: core.debug.Return, format: x}]\n"
    async with house(tmp_path) as h:
        await h.deploy(flow("f", "concurrency: {limit: 1}\n", at_once), flow("g", tasks=at_once))
        await h.podium.pause_all()
        ids = [await start(h, name) for name in ("f", "f", "f", "g")]
        await h.podium.resume_all()
        for each in ids:
            assert (await h.podium.wait(each, timeout_s=60))["state"]["current"] == "SUCCESS"
