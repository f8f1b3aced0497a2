"""Prefect: its server with SQLite, and flows called in a Python process that reports to it, the quickest of its documented ways."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from benchmarks.peers.common import Absent, Processes, venv
from tools.harness import free_port, run

PROGRAM = """
import asyncio, json, sys, time
from prefect import flow, task

@flow
async def one():
    return 1

@task
async def double(n):
    return 2 * n

@flow
async def fan(count):
    return len(await asyncio.gather(*(double(n) for n in range(count))))

async def rate(count):
    gate = asyncio.Semaphore(16)
    async def single():
        async with gate:
            await one()
    started = time.perf_counter()
    await asyncio.gather(*(single() for _ in range(count)))
    return count / (time.perf_counter() - started)

async def main():
    await one()
    print("ready", flush=True)
    for line in sys.stdin:
        what, count = line.split()
        started = time.perf_counter()
        if what == "rate":
            answer = await rate(int(count))
        else:
            await (one() if what == "one" else fan(int(count)))
            answer = time.perf_counter() - started
        print(json.dumps(answer), flush=True)

asyncio.run(main())
"""
RATE_RUNS = 60


class Prefect:
    """See Peer. The flow's process stays and is warm: how long Python takes to import Prefect is not counted."""

    def __init__(self, *, install: bool) -> None:
        self._bin = venv("prefect", "prefect", install=install)
        self.what = f"Prefect {run(self._bin / 'prefect', '--version')}, SQLite, async flows called in one warm process"
        self._folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
        self._server: Processes | None = None
        self._caller: subprocess.Popen[str] | None = None
        self._env = {"PREFECT_HOME": str(self._folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}

    def start(self, end: float) -> float:
        """See Peer: until /api/health answers."""
        port, started = free_port(), time.perf_counter()
        url = f"http://127.0.0.1:{port}/api"
        argv = (self._bin / "prefect", "server", "start", "--no-ui", "--analytics-off", "--host", "127.0.0.1", "--port", str(port))
        self._server = Processes(*argv, env=self._env, log=self._folder / "server.log")
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
                break
            if self._server.ended() or time.monotonic() > end - 5:
                raise Absent(f"its server does not start: {(self._folder / 'server.log').read_text()[-200:]}")
            time.sleep(0.05)
        took = time.perf_counter() - started
        self._caller = subprocess.Popen(
            [str(self._bin / "python"), "-c", PROGRAM], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **self._env, "PREFECT_API_URL": url, "PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_TO_API_ENABLED": "false"},
        )
        if self._line() != "ready":
            raise Absent("its flows do not run")
        return took

    def _line(self) -> str:
        assert self._caller is not None
        assert self._caller.stdout is not None
        return self._caller.stdout.readline().strip()

    def _ask(self, what: str, count: int) -> float:
        assert self._caller is not None
        assert self._caller.stdin is not None
        self._caller.stdin.write(f"{what} {count}\n")
        self._caller.stdin.flush()
        return float(json.loads(self._line()))

    def resident_mb(self) -> float:
        """See Peer: of the server."""
        return self._server.resident_mb() if self._server else 0.0

    def one(self) -> float:
        """See Peer."""
        return self._ask("one", 1)

    def rate(self, end: float) -> tuple[float, int]:
        """See Peer: 16 at a time."""
        return self._ask("rate", RATE_RUNS), RATE_RUNS

    def fan(self, count: int, end: float) -> float | None:
        """See Peer."""
        return self._ask("fan", count)

    def stop(self) -> None:
        """See Peer."""
        if self._caller is not None:
            self._caller.kill()
            self._caller.wait()
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
