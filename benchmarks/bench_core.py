"""Durable executions without HTTP and without a container, and what one costs: the middle of the daemon as it is wired, in this process.

`python -m benchmarks --only core`. Starts are acknowledged after the journal is synced, ends too; records go into the queue of the results
branch in the same transactions (writing the branch is measured by `records`). In the same run: the same number of rows entered into a
bare SQLite file by one writer, one synced transaction for each start and each end, as an engine without group commit would.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import FLOW, NAMESPACE, Measured
from podium.app.plugins import load_types
from podium.app.settings import load_settings
from podium.app.wiring.core import Core, open_core
from podium.app.wiring.foreground import Text, deployment_of
from podium.conductor.port import StartRequest
from podium.flows.load import parse_flows
from podium.storage.namespace import WorkTreeFiles

EXECUTIONS = 2_000
CALLERS = 64
ROUNDS = 3
SINGLE = 200


async def _deploy(core: Core) -> None:
    text = FLOW.format(id="flow", revision=1)
    parsed = parse_flows(text, file="flow.yaml", types=load_types())[0]
    await core.podium.deploy(deployment_of([Text(Path("flow.yaml"), text, parsed, ())], core.clock.now()))


async def _one(core: Core) -> None:
    begun = await core.podium.start(StartRequest(namespace=NAMESPACE, flow_id="flow"))
    ended = await core.podium.wait(begun["id"], timeout_s=60)
    assert ended["state"]["current"] == "SUCCESS", ended["state"]


async def _many(core: Core, count: int) -> float:
    """Seconds that so many take, CALLERS at a time."""
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            await _one(core)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return time.perf_counter() - started


def _bare(folder: Path, count: int) -> float:
    """Seconds that a bare SQLite file takes for the same number of starts and ends."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    try:
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body BLOB)")
        started = time.perf_counter()
        for _ in range(2 * count):
            connection.execute("INSERT INTO t (body) VALUES (?)", (b"x" * 300,))
        return time.perf_counter() - started
    finally:
        connection.close()


async def _measure(folder: Path) -> tuple[list[float], list[float], list[float], list[float]]:
    """Seconds of each round, of the CPU in it, of the bare one after it, and of single executions."""
    settings = load_settings(None, overrides={"home": folder / "home"})
    async with open_core(settings, namespace_files=WorkTreeFiles(folder)) as core:
        await _deploy(core)
        await _many(core, 200)
        took, cpu, bare, single = [], [], [], []
        for _ in range(ROUNDS):
            before = time.process_time()
            took.append(await _many(core, EXECUTIONS))
            cpu.append(time.process_time() - before)
            bare.append(await asyncio.to_thread(_bare, folder, EXECUTIONS))
        for _ in range(SINGLE):
            started = time.perf_counter()
            await _one(core)
            single.append(time.perf_counter() - started)
    return took, cpu, bare, single


async def rate_in_process(folder: Path) -> float:
    """Executions a second, of one round. For the comparison with peers."""
    settings = load_settings(None, overrides={"home": folder / "home"})
    async with open_core(settings, namespace_files=WorkTreeFiles(folder)) as core:
        await _deploy(core)
        await _many(core, 200)
        return EXECUTIONS / await _many(core, EXECUTIONS)


def core() -> Iterator[Measured]:
    """For the table of `make bench`."""
    folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
    try:
        took, cpu, bare, single = asyncio.run(_measure(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rate, each = EXECUTIONS / statistics.median(took), statistics.median(cpu) / EXECUTIONS * 1000
    ratio = statistics.median(ours / theirs for ours, theirs in zip(took, bare, strict=True))
    detail = f"median of {ROUNDS} × {EXECUTIONS:,}, {CALLERS} callers; {each:.2f} ms of CPU each"
    yield Measured(name="executions, in process", figure=f"{rate:.0f}/s", budget="≥ 1000/s", good=rate >= 1000, detail=detail)
    detail = "the time of bare synced SQLite inserts for the same starts and ends"
    yield Measured(name="executions, against SQLite", figure=f"{ratio:.1f} ×", budget="", good=True, detail=detail)
    detail = f"one after the other, {SINGLE}; worst {max(single) * 1000:.0f} ms"
    yield Measured(name="one execution, in process", figure=f"{statistics.median(single) * 1000:.1f} ms", budget="", good=True, detail=detail)
