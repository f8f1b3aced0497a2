"""The measurements. Each gives lines of the table; README.md says what they mean."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import DOCKER_FLOW, FLOW, NAMESPACE, Measured, count_flows, image, median_ms, place
from tools.harness import Daemon, run

ROUNDS = 9
EXECUTIONS = 1000
CALLERS = 16
FLOWS = 1000
LISTENERS = 1000
LISTENS = f"""triggers:
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
    preconditions: {{{{id: p, flows: [{{{{namespace: {NAMESPACE}, flowId: {{to}}}}}}]}}}}
"""


def _start(daemon: Daemon, flow: str, *, wait: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = daemon.call("POST", f"/api/v1/executions/{NAMESPACE}/{flow}" + ("?wait=true" if wait else ""))
    return found


def docker() -> Iterator[Measured]:
    """A container task end to end, against the bare engine."""
    name = image()
    if name is None:
        yield Measured(name="docker", figure="not measured", budget="≤ 1.05 ×", good=True, detail="no Docker Engine or image here")
        return
    with place(1) as where:
        where.write("in-docker", DOCKER_FLOW.format(image=name))
        where.push("a container flow")
        with where.daemon() as daemon:
            bare, ours = [], []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                run("docker", "run", "--rm", name, "/bin/sh", "-c", "echo hi")
                bare.append(time.perf_counter() - started)
                started = time.perf_counter()
                ended = _start(daemon, "in-docker", wait=True)
                ours.append(time.perf_counter() - started)
                assert ended["state"]["current"] == "SUCCESS", ended
    ratio = median_ms(ours) / median_ms(bare)
    detail = f"{median_ms(ours):.0f} ms against {median_ms(bare):.0f} ms, {ROUNDS} rounds, {name}"
    yield Measured(name="docker", figure=f"{ratio:.2f} ×", budget="≤ 1.05 ×", good=ratio <= 1.05, detail=detail)


def _run_all(daemon: Daemon, *, each: int = 1) -> tuple[float, float]:
    """Seconds until EXECUTIONS of the first flow were accepted, and until they ended. each: executions that come of one."""
    with ThreadPoolExecutor(CALLERS) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: _start(daemon, "flow-0000"), range(EXECUTIONS)))
        accepted = time.perf_counter() - started
        path = f"/api/v1/executions/search?namespace={NAMESPACE}&state=SUCCESS&size=1"
        daemon.wait(lambda: daemon.get(path)["total"] == EXECUTIONS * each, what="all executions to end", timeout_s=120, every_s=0.05)
        return accepted, time.perf_counter() - started


def executions() -> Iterator[Measured]:
    """One-task executions per second."""
    with place(1) as where, where.daemon() as daemon:
        accepted, took = _run_all(daemon)
    rate = EXECUTIONS / took
    detail = f"{EXECUTIONS} in {took:.1f} s, accepted at {EXECUTIONS / accepted:.0f}/s"
    yield Measured(name="executions, through HTTP", figure=f"{rate:.0f}/s", budget="≥ 300/s", good=rate >= 300, detail=detail)


def listeners() -> Iterator[Measured]:
    """What flow triggers cost: of others, and one that fires."""
    took = []
    for count in (0, LISTENERS):
        with place(1) as where:
            for number in range(count):
                where.write(f"listens-{number:04}", FLOW.format(id=f"listens-{number:04}", revision=1) + LISTENS.format(to=f"none-{number:04}"))
            if count:
                where.push("flows that listen")
            with where.daemon() as daemon:
                took.append(_run_all(daemon)[1])
    ratio = took[1] / took[0]
    detail = f"{EXECUTIONS} executions, {LISTENERS} flows that listen to others: {took[1]:.1f} s against {took[0]:.1f} s"
    yield Measured(name="listeners", figure=f"{ratio:.2f} ×", budget="≤ 1.20 ×", good=ratio <= 1.2, detail=detail)
    with place(1) as where:
        where.write("next", FLOW.format(id="next", revision=1) + LISTENS.format(to="flow-0000"))
        where.push("a flow that listens")
        with where.daemon() as daemon:
            pairs = EXECUTIONS / _run_all(daemon, each=2)[1]
    yield Measured(name="listeners, pairs", figure=f"{pairs:.0f}/s", budget="≥ 100/s", good=pairs >= 100, detail="each end starts another flow")


def deploy() -> Iterator[Measured]:
    """A push that changes one flow of many."""
    with place(FLOWS) as where, where.daemon() as daemon:
        took = []
        for revision in range(2, 2 + ROUNDS):
            where.write("flow-0000", FLOW.format(id="flow-0000", revision=revision))
            where.push(f"revision {revision}")
            started = time.perf_counter()
            daemon.call("POST", "/api/v1/hooks/main", {})
            daemon.wait(
                lambda revision=revision: daemon.get(f"/api/v1/flows/{NAMESPACE}/flow-0000")["revision"] == revision,  # type: ignore[misc]
                what="the new revision", timeout_s=30, every_s=0.005,
            )
            took.append(time.perf_counter() - started)
    detail = f"worst {max(took) * 1000:.0f} ms of {ROUNDS}, {FLOWS} flows"
    yield Measured(name="deploy", figure=f"{median_ms(took):.0f} ms", budget="≤ 200 ms", good=median_ms(took) <= 200, detail=detail)


def start() -> Iterator[Measured]:
    """Start-up with many flows known, and memory at rest."""
    with place(FLOWS) as where:
        with where.daemon():
            pass
        took, bare, cpu, resident = [], [], [], 0.0
        for _ in range(5):
            started = time.perf_counter()
            run(sys.executable, "-c", "pass")
            bare.append(time.perf_counter() - started)
            with where.daemon() as daemon:
                took.append(daemon.start_s)
                cpu.append(_cpu_s(daemon))
                assert count_flows(daemon) == FLOWS
                time.sleep(1)
                resident = _resident_mb(daemon)
    detail = f"{FLOWS:,} flows, CPU {statistics.median(cpu):.2f} s; a bare `python -c pass` in turn {median_ms(bare):.0f} ms"
    yield Measured(name="cold start", figure=f"{median_ms(took) / 1000:.2f} s", budget="≤ 0.80 s", good=median_ms(took) <= 800, detail=detail)
    yield Measured(name="memory at rest", figure=f"{resident:.0f} MB", budget="≤ 90 MB", good=resident <= 90, detail=f"resident, {FLOWS:,} flows")


def _cpu_s(daemon: Daemon) -> float:
    """Seconds of processor that it has used so far."""
    assert daemon.process is not None
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(daemon: Daemon) -> float:
    assert daemon.process is not None
    text = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the table: a function that gives its lines. usual: whether it is measured when none is named."""

    where: str
    seconds_max: float = 60
    usual: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    def load(self) -> Callable[[], Iterator[Measured]]:
        """The function. Imported when it is its turn: what it needs must not weigh on the others, nor its mistakes."""
        module, _, name = self.where.partition(":")
        found: Callable[..., Iterator[Measured]] = getattr(import_module(module), name)
        return partial(found, **self.options)


SUITE = {
    "start": Part(where="benchmarks.suite:start", seconds_max=90),
    "deploy": Part(where="benchmarks.suite:deploy", seconds_max=60),
    "core": Part(where="benchmarks.bench_core:core", seconds_max=90),
    "executions": Part(where="benchmarks.suite:executions", seconds_max=60),
    "listeners": Part(where="benchmarks.suite:listeners", seconds_max=120, usual=False),
    "docker": Part(where="benchmarks.suite:docker", seconds_max=60),
    "containers": Part(where="benchmarks.bench_containers:containers", seconds_max=150),
    "webhook": Part(where="benchmarks.bench_webhook:webhook", seconds_max=90),
    "records": Part(where="benchmarks.bench_records:records", seconds_max=60),
    "index": Part(where="benchmarks.bench_index:index", seconds_max=180, usual=False),
    "web": Part(where="benchmarks.bench_web:web", seconds_max=120),
    "pages": Part(where="benchmarks.bench_pages:pages", seconds_max=240),
    "engine": Part(where="benchmarks.bench_engine:engine", seconds_max=60),
    "peers": Part(where="benchmarks.peers:peers", seconds_max=330),
}
"""In this order. The usual ones end in less than twelve minutes."""
