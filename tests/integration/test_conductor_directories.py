"""Directories of WorkingDirectory tasks: none outlives its task run, whatever order opening and closing come in, also after a crash."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import ToldWorker, house
from worker_bench import Bench

from podium.base.errors import PodiumError
from podium.base.system.clock import SystemClock
from podium.conductor.port import StartRequest

FLOW = """id: f
namespace: n
tasks:
  - {id: w, type: core.flow.WorkingDirectory, tasks: [{id: a, type: scripts.shell.Commands, commands: [x]}]}
"""


class Slow(ToldWorker):
    """Takes its time with directories, and knows which there are."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), lambda work: None)
        self.directories: set[str] = set()
        self.opening, self.go = asyncio.Event(), asyncio.Event()

    async def open_workspace(self, work: Any) -> None:
        self.opening.set()
        await self.go.wait()
        self.directories.add(work.task_run_id)

    async def close_workspace(self, work: Any, *, collect: bool = True) -> dict[str, Any]:
        self.directories.discard(work.task_run_id)
        return {}


async def test_a_directory_that_is_being_made_while_its_task_is_killed_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Slow()
    monkeypatch.setattr("conductor_house.ToldWorker", lambda *_: worker)
    async with house(tmp_path) as h:
        await h.deploy(FLOW)
        started = await h.podium.start(StartRequest(namespace="n", flow_id="f"))
        await worker.opening.wait()
        await h.podium.kill(started["id"])
        worker.go.set()
        ended = await h.podium.wait(started["id"], timeout_s=60)
        assert ended["state"]["current"] == "KILLED"
        for _ in range(5_000):
            if not h.conductor._background._tasks or not worker.directories:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert worker.directories == set()


async def test_reaping_spares_open_task_runs_and_no_attempt_that_is_over(tmp_path: Path) -> None:
    """A retry that waits has an attempt behind it: what that left is removed, what its task run shares with others stays."""
    retry = "retry: {type: constant, interval: PT1H, maxAttempts: 2}"
    async with house(tmp_path, tell=lambda work: "FAILED") as h:
        await h.deploy(FLOW.replace("[x]}", "[x], " + retry + "}"))
        started = await h.podium.start(StartRequest(namespace="n", flow_id="f"))
        for _ in range(5_000):
            view = await h.podium.execution(started["id"])
            if view["state"]["current"] == "RETRYING":
                break
            await asyncio.sleep(0.01)
    async with house(tmp_path) as h:
        runs = {each["taskId"]: each["id"] for each in (await h.podium.execution(started["id"]))["taskRunList"]}
        for _ in range(5_000):
            if h.worker.reaped:
                break
            await asyncio.sleep(0.01)
        assert h.worker.reaped == [{runs["w"], runs["a"]}]


async def test_a_directory_nobody_owns_is_reaped(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        lost, kept = (bench.workspace(input_files={"in.txt": "x"}) for _ in range(2))
        for each in (lost, kept):
            await bench.worker.open_workspace(each)
        await bench.worker.reap({kept.task_run_id})
        left = {path.name for path in (tmp_path / "workspaces").iterdir()}
        assert left == {kept.task_run_id}
        with pytest.raises(PodiumError):
            await bench.worker.close_workspace(lost)
    finally:
        await bench.close()
