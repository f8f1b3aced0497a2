"""A caller of a runner that a test kills: runs one job and appends every batch of lines with its cursor to a file."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podium.base.system.clock import SystemClock
from podium.runners.port import Job, Line, Runner
from podium.runners.process.runner import ProcessRunner


class FileSink:
    """One write of one line a batch: lines and cursor are stored together or not at all."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    async def lines(self, lines: Sequence[Line], *, cursor: str | None) -> None:
        batch = {"lines": [(line.stream, line.text) for line in lines], "cursor": cursor}
        self._file.write(json.dumps(batch).encode() + b"\n")

    async def cursor(self) -> str | None:
        return None


PARENT = os.getppid()


async def live_on() -> None:
    """A daemon does not end with a task; this one when the test is gone that was to kill it."""
    while os.getppid() == PARENT:
        await asyncio.sleep(0.2)


async def main(order: dict[str, Any]) -> None:
    home, clock = Path(order["home"]), SystemClock()
    runner: Runner
    base = home / "attempts" / order["attempt"]
    job = Job(
        attempt_id=order["attempt"], argv=order["argv"], directory=base / "work", results=base / "results", private=base / "private",
        image=order["image"], output_patterns=order["patterns"],
    )
    if order["kind"] in ("swarm", "kubernetes"):
        from remote_house import Serving

        options = {name: order[name] for name in ("instance", "host", "address", "port", "kind")}
        async with Serving(home, **options) as serving:
            await serving.runner.run(job, FileSink(Path(order["store"])))
            await live_on()
        return
    if order["kind"] == "process":
        runner = ProcessRunner(home=home, instance=order["instance"], clock=clock, environ=dict(os.environ))
    else:
        from remote_house import docker_runner

        runner = docker_runner(order["kind"], order["instance"], home)
    await runner.run(job, FileSink(Path(order["store"])))
    await live_on()


if __name__ == "__main__":
    asyncio.run(main(json.loads(base64.b64decode(sys.argv[1]))))
