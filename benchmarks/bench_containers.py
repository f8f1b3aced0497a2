"""Containers, from the runner's call to the end of the task, against a bare `docker run --rm` of the same image: one at a time, a burst, for a while.

`python -m benchmarks.bench_containers [SECONDS]` measures this alone, sustained load for so long.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Measured, image, median_ms
from podium.base.system.clock import SystemClock
from podium.base.system.ids import new_id, new_token
from podium.runners.docker.runner import DockerRunner
from podium.runners.native import programs
from podium.runners.port import Job, Line

ROUNDS = 15
BURST = 16
CALLERS = 4
SUSTAINED_S = 15.0
PAUSE_S = 0.6
"""Between two tasks one at a time: the pool starts another meanwhile, as it would for a flow that runs every second."""


class _Sink:
    """Counts lines."""

    def __init__(self) -> None:
        self.count = 0

    async def lines(self, lines: Sequence[Line], *, cursor: str | None) -> None:
        del cursor
        self.count += len(lines)

    async def cursor(self) -> str | None:
        return None


class Bench:
    """Runners of every kind on one image, and the bare engine."""

    def __init__(self, home: Path, name: str) -> None:
        self._home, self._image = home, name
        instance = f"bench-{new_token(6)}"
        clock = SystemClock()
        self.plain = DockerRunner(instance=instance, clock=clock, home=home)
        self.supervised = DockerRunner(instance=f"{instance}-s", clock=clock, home=home / "s", supervise=True)
        self.pooled = DockerRunner(instance=f"{instance}-p", clock=clock, home=home / "p", supervise=True, pool=BURST)

    async def bare(self) -> float:
        """Seconds of `docker run --rm`."""
        started = time.perf_counter()
        child = await asyncio.create_subprocess_exec(
            "docker", "run", "--rm", self._image, "/bin/sh", "-c", "echo hi", stdout=asyncio.subprocess.DEVNULL,
        )
        assert await child.wait() == 0
        return time.perf_counter() - started

    async def task(self, runner: DockerRunner) -> float:
        """Seconds of one task, without the removal of its container, which nobody waits for."""
        attempt_id = new_id()
        base = self._home / "attempts" / attempt_id
        for name in ("work", "results"):
            (base / name).mkdir(parents=True)
        sink = _Sink()
        job = Job(attempt_id=attempt_id, argv=["/bin/sh", "-c", "echo hi"], directory=base / "work", results=base / "results", image=self._image)
        started = time.perf_counter()
        ended = await runner.run(job, sink)
        took = time.perf_counter() - started
        assert (ended.exit_code, sink.count) == (0, 1)
        await runner.release(attempt_id)
        return took

    async def close(self) -> None:
        """Remove all."""
        for runner in (self.plain, self.supervised, self.pooled):
            await runner.reap(set())
            await runner.close()


async def _together(work: Callable[[], Awaitable[float]], count: int) -> float:
    """Seconds until so many, begun at once, have ended."""
    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(count)))
    return time.perf_counter() - started


async def _rate(work: Callable[[], Awaitable[float]], seconds: float) -> float:
    """How many a second, so many callers one after another."""
    end, done = time.perf_counter() + seconds, 0
    started = time.perf_counter()

    async def call() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await work()
            done += 1

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return done / (time.perf_counter() - started)


async def _measure(home: Path, name: str, seconds: float) -> list[Measured]:
    bench = Bench(home, name)
    try:
        for _ in range(3):
            for runner in (bench.plain, bench.supervised, bench.pooled):
                await bench.task(runner)
        await asyncio.sleep(2)
        bare, plain, supervised, pooled = [], [], [], []
        for _ in range(ROUNDS):
            bare.append(await bench.bare())
            plain.append(await bench.task(bench.plain))
            supervised.append(await bench.task(bench.supervised))
            await asyncio.sleep(PAUSE_S)
            pooled.append(await bench.task(bench.pooled))
            await asyncio.sleep(PAUSE_S)
        base = statistics.median(bare)
        lines = [
            _line("container out of the pool", pooled, base, 0.05), _line("container, supervised", supervised, base, 1.05),
            _line("container, plain (fallback)", plain, base, None),
        ]
        await _together(lambda: bench.task(bench.pooled), BURST)
        await asyncio.sleep(8)
        ours = await _together(lambda: bench.task(bench.pooled), BURST)
        theirs = await _together(bench.bare, BURST)
        detail = f"{BURST} at once: {ours * 1000:.0f} ms against {theirs * 1000:.0f} ms"
        lines.append(Measured(name="containers, burst", figure=f"{ours / theirs:.2f} ×", budget="", good=True, detail=detail))
        rates = {"bare": 0.0, "supervised": 0.0, "pooled": 0.0}
        for _ in range(2):
            rates["bare"] += await _rate(bench.bare, seconds / 2) / 2
            rates["supervised"] += await _rate(lambda: bench.task(bench.supervised), seconds / 2) / 2
            rates["pooled"] += await _rate(lambda: bench.task(bench.pooled), seconds / 2) / 2
        ratio = rates["pooled"] / rates["bare"]
        detail = f"{CALLERS} callers: with the pool {rates['pooled']:.1f}/s, without {rates['supervised']:.1f}/s, bare {rates['bare']:.1f}/s"
        lines.append(Measured(name="containers, sustained", figure=f"{ratio:.2f} ×", budget="≥ 0.90 ×", good=ratio >= 0.9, detail=detail))
        return lines
    finally:
        await bench.close()


def _line(name: str, took: Sequence[float], base: float, budget: float | None) -> Measured:
    ratio = statistics.median(took) / base
    detail = f"{median_ms(took):.1f} ms against {base * 1000:.0f} ms, {len(took)} rounds, bridge network"
    limit = "" if budget is None else f"≤ {budget:.2f} ×"
    return Measured(name=name, figure=f"{ratio:.3f} ×", budget=limit, good=budget is None or ratio <= budget, detail=detail)


def containers(seconds: float = SUSTAINED_S) -> Iterator[Measured]:
    """See the module's docstring."""
    name = image()
    if name is None or programs.supervise() is None:
        missing = "Docker Engine or image" if name is None else "supervisor (podium-supervise was not built)"
        yield Measured(name="containers", figure="not measured", budget="≤ 0.05 ×", good=True, detail=f"no {missing} here")
        return
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as home:
        yield from asyncio.run(_measure(Path(home), name, seconds))


if __name__ == "__main__":
    for line in containers(*(float(each) for each in sys.argv[1:])):
        sys.stdout.write(f"{line.name}: {line.figure} ({line.budget}) {line.detail}\n")
