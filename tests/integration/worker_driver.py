"""A daemon to kill: runs one attempt with a worker of its own and keeps lines and cursor in a file, each batch in one write."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import worker_bench
import worker_tasks
from worker_bench import Bench

from podium.base.ports import LogLine
from podium.runners.port import Runner


class FileJournal:
    """A LogSink that survives."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        batch = {"lines": [(line.level, line.message) for line in lines], "cursor": cursor}
        self._file.write(json.dumps(batch).encode() + b"\n")

    async def cursor(self) -> str | None:
        return None


def runners(kind: str) -> list[Runner]:
    """What the bench of that kind has beside the process runner."""
    if kind != "docker":
        return []
    from podium.base.system.clock import SystemClock
    from podium.runners.docker.runner import DockerRunner

    return [DockerRunner(instance=worker_bench.INSTANCE, clock=SystemClock())]


PARENT = os.getppid()


async def live_on() -> None:
    """A daemon does not end with a task; this one when the test is gone that was to kill it."""
    while os.getppid() == PARENT:
        await asyncio.sleep(0.2)


async def main(order: dict[str, Any]) -> None:
    types = [*worker_bench.core.TASKS, *worker_bench.scripts.TASKS, *worker_tasks.TASKS]
    worker_bench.TYPES = worker_bench.Types.build(types, [], [], worker_bench.scripts.RUNNERS)
    bench = Bench(Path(order["home"]), runners=runners(order["runner"]), default=order["runner"], images=order["images"])
    work = bench.work(bench.task(order["kind"], **order["properties"]), **order["work"])
    await bench.worker.run(work, FileJournal(Path(order["store"])))
    await live_on()


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    asyncio.run(main(json.loads(base64.b64decode(sys.argv[1]))))
