"""kill -9 of the daemon in mid-task, on the process and the Docker runner: one start, every line and output once, the right end."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from podium.base.ports import LogLine
from podium.base.system.clock import SystemClock
from podium.plugin import Metric
from podium.workers.work import Ended, Work

sys.path.insert(0, str(Path(__file__).parent))
import worker_bench
import worker_driver
import worker_tasks
from worker_bench import Bench, Journal


class Life:
    """One daemon's life, to be ended at will, and the next one."""

    def __init__(self, home: Path, runner: str, images: dict[str, str], kind: str, properties: dict[str, Any]) -> None:
        self.bench = Bench(home, runners=worker_driver.runners(runner), default=runner, images=images)
        self.work: Work = self.bench.work(self.bench.task(kind, **properties), started=True)
        self.store = home / "store.jsonl"
        order = {
            "home": str(home), "runner": runner, "images": images, "kind": kind, "properties": properties, "store": str(self.store),
            "work": {name: getattr(self.work, name) for name in ("attempt_id", "execution_id", "task_run_id")},
        }
        text = base64.b64encode(json.dumps(order).encode()).decode()
        self.process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("worker_driver.py")), text])

    def batches(self) -> list[dict[str, Any]]:
        if not self.store.exists():
            return []
        return [json.loads(line) for line in self.store.read_bytes().rpartition(b"\n")[0].splitlines()]

    async def until(self, condition: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(90):
            while not condition([text for batch in self.batches() for _, text in batch["lines"]]):
                assert self.process.poll() is None, "the daemon ended by itself"
                await asyncio.sleep(0.02)

    def die(self) -> Journal:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        journal, now = Journal(), SystemClock().now()
        for batch in self.batches():
            journal.kept += [LogLine(at=now, level=level, message=text) for level, text in batch["lines"]]
            journal.at = batch["cursor"] or journal.at
        return journal

    async def next_life(self, journal: Journal) -> Ended:
        ended = await self.bench.worker.run(self.work, journal)
        await self.bench.worker.release(self.work.attempt_id)
        return ended


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
async def life(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Life]]:
    images: dict[str, str] = {}
    if request.param == "docker":
        images = {"ubuntu*": request.getfixturevalue("images")["busybox"]}
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    types = [*worker_bench.core.TASKS, *worker_bench.scripts.TASKS, *worker_tasks.TASKS]
    monkeypatch.setattr(worker_bench, "TYPES", worker_bench.Types.build(types, [], [], worker_bench.scripts.RUNNERS))
    made: list[Life] = []

    def start(kind: str, **properties: Any) -> Life:
        made.append(Life(tmp_path, request.param, images, kind, properties))
        return made[-1]

    yield start
    for each in made:
        if each.process.poll() is None:
            each.die()
        await each.bench.close()


COUNT = [
    'echo \'::{"outputs":{"early":1},"metrics":[{"name":"m","type":"counter","value":1}]}::\'; echo started; date +%s%N > stamp',
    "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; sleep 0.01; done",
    'echo \'::{"outputs":{"late":{{ 1 + 1 }}}}::\'; echo done > out.txt; exit 3',
]


@pytest.mark.parametrize("lines", [1, 80])
async def test_a_command_is_taken_up_where_it_was_left(life: Callable[..., Life], lines: int) -> None:
    first = life("scripts.shell.Commands", commands=COUNT, output_files=["out.txt"])
    await first.until(lambda texts: len(texts) > lines)
    journal = first.die()
    ended = await first.next_life(journal)
    assert (ended.state, ended.error, ended.lost) == ("FAILED", "Command failed with exit code 3", False)
    assert journal.texts("INFO") == ["started", *map(str, range(1, 201))]
    assert ended.outputs["vars"] == {"early": 1, "late": 2}
    assert list(ended.metrics) == [Metric(name="m", type="counter", value=1.0)]
    assert first.bench.stored(ended.outputs["outputFiles"]["out.txt"]) == b"done\n"


async def test_a_timeout_goes_on_through_a_crash(life: Callable[..., Life]) -> None:
    first = life("scripts.shell.Commands", commands=["echo up", "sleep 300"], timeout="PT8S")
    await first.until(lambda texts: "up" in texts)
    ended = await first.next_life(first.die())
    assert (ended.state, ended.error) == ("FAILED", "Timeout after PT8S")


async def test_secrets_stay_masked_after_a_crash(life: Callable[..., Life]) -> None:
    first = life("scripts.shell.Commands", commands=["echo up; sleep 2; echo {{ secret('TOKEN') }}"])
    await first.until(lambda texts: "up" in texts)
    journal = first.die()
    await first.next_life(journal)
    assert journal.texts("INFO") == ["up", "********"]


async def test_no_secret_lies_on_disk_for_the_next_life(life: Callable[..., Life]) -> None:
    first = life("scripts.shell.Commands", commands=["echo up; sleep 100"], env={"T": "{{ secret('TOKEN') }}"})
    await first.until(lambda texts: "up" in texts)
    journal = first.die()
    launch = (first.bench.home / "attempts" / first.work.attempt_id / "launch.json").read_text()
    assert "s3cr3t" not in launch
    again = asyncio.create_task(first.next_life(journal))
    await asyncio.sleep(0.5)
    await first.bench.worker.kill(first.work.attempt_id)
    assert (await again).state == "KILLED"


async def test_a_child_process_dies_with_its_daemon_and_is_lost(life: Callable[..., Life], tmp_path: Path) -> None:
    """It must not go on having effects that nobody sees."""
    first = life("test.Probe", does="hang", value=str(tmp_path))
    await first.until(lambda texts: "up" in texts)
    journal = first.die()
    pid = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(60):
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]:
            await asyncio.sleep(0.05)
    ended = await first.next_life(journal)
    assert (ended.state, ended.lost) == ("FAILED", True)
    assert "nobody saw" in (ended.error or "")
