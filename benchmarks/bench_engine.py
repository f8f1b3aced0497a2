"""The engine and the language without a daemon: one decision, loops, templates, parsing. `python -m benchmarks --only engine`.

Loops run through the real conductor and journal (the worker does as it is told), so that everything that grows with them shows.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import Measured
from tools.harness import ROOT

sys.path[:0] = [str(ROOT / "tests" / "unit" / "engine"), str(ROOT / "tests" / "integration")]
RUNS = 1_000
VALUES = (100, 1_000, 10_000)
RENDERS = 20_000
TASKS = 100
ROUNDS = 15


def _us(work: Callable[[], object], times: int) -> float:
    """Microseconds of one call, the best of five stretches."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - started) / times)
    return best * 1e6


def decision() -> Iterator[Measured]:
    """Commands on an execution of 1,000 task runs that all run: beginnings and ends, each with what follows from it."""
    from engine_driver import Play, ended, flow

    from podium.engine import commands as cmd

    tasks = "\n".join(f"      - {{id: t{number}, type: scripts.shell.Commands, commands: [x]}}" for number in range(RUNS))
    play = Play(flow(f"  - id: p\n    type: core.flow.Parallel\n    tasks:\n{tasks}"))
    took = []
    for effect in list(play.attempts):
        run = play.state.runs[effect.run_id]
        for command in (cmd.AttemptBegan(run_id=run.id, number=1), ended(run)):
            started = time.perf_counter()
            play.give(command)
            took.append(time.perf_counter() - started)
    assert play.state.state == "SUCCESS"
    worst, median = sorted(took)[-len(took) // 100] * 1000, statistics.median(took) * 1000
    detail = f"median; 99 of 100 within {worst:.3f} ms, {len(took)} commands, Parallel of {RUNS}"
    yield Measured(name="decide, 1,000 task runs", figure=f"{median:.3f} ms", budget="≤ 1 ms", good=median <= 1, detail=detail)


async def _loop(folder: Path, values: int) -> float:
    """Seconds that an execution takes whose ForEach has that many values."""
    from conductor_house import house

    from podium.conductor.port import StartRequest

    text = ("id: f\nnamespace: n\ntasks:\n  - id: l\n    type: core.flow.ForEach\n    concurrencyLimit: 0\n"
            f"    values: '{{{{ range(1, {values}) }}}}'\n"
            "    tasks: [{id: t, type: core.debug.Return, format: '{{ taskrun.value }}'}]\n")
    async with house(folder) as h:
        await h.deploy(text)
        started = time.perf_counter()
        view = await h.podium.start(StartRequest(namespace="n", flow_id="f"))
        ended = await h.podium.wait(view["id"], timeout_s=300)
        took = time.perf_counter() - started
        assert ended["state"]["current"] == "SUCCESS", ended["state"]
        assert len(ended["taskRunList"]) == values + 1
    return took


def loops() -> Iterator[Measured]:
    """ForEach of 100, 1,000 and 10,000 values: what a value costs must not grow."""
    each: dict[int, float] = {}
    for values in VALUES:
        took = []
        for _ in range(5 if values <= 1_000 else 2):
            folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
            try:
                took.append(asyncio.run(_loop(folder, values)))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        each[values] = min(took) / values * 1000
        budget, good = ("≤ 1 s", min(took) <= 1) if values == 1_000 else ("", True)
        detail = f"{each[values]:.3f} ms a value"
        yield Measured(name=f"ForEach, {values:,} values", figure=f"{min(took):.2f} s", budget=budget, good=good, detail=detail)
    ratio = each[VALUES[-1]] / each[VALUES[0]]
    detail = f"a value of {VALUES[-1]:,} against one of {VALUES[0]}"
    yield Measured(name="ForEach, linear", figure=f"{ratio:.2f} ×", budget="≤ 1.30 ×", good=ratio <= 1.3, detail=detail)


def templates() -> Iterator[Measured]:
    """A compiled template rendered."""
    from engine_driver import SmallWorld

    from podium.expressions.compile import render_value

    variables, world = {"inputs": {"name": "Ada"}}, SmallWorld()
    assert render_value("{{ inputs.name }}", variables, world) == "Ada"
    took = _us(lambda: render_value("{{ inputs.name }}", variables, world), RENDERS)
    yield Measured(name="render {{ inputs.name }}", figure=f"{took:.2f} µs", budget="≤ 10 µs", good=took <= 10, detail=f"best of 5 × {RENDERS:,}")


def parsing() -> Iterator[Measured]:
    """A flow of 100 tasks read, made models of and checked."""
    from podium.app.plugins import load_types
    from podium.flows.load import parse_flows

    task = "  - id: t{}\n    type: io.kestra.plugin.core.log.Log\n    message: 'hello {{{{ inputs.name }}}}'\n"
    tasks = "".join(task.format(number) for number in range(TASKS))
    text = f"id: f\nnamespace: bench\ninputs:\n  - {{id: name, type: STRING, defaults: Ada}}\ntasks:\n{tasks}"
    types = load_types()
    took = []
    for number in range(ROUNDS):
        started = time.perf_counter()
        parsed = parse_flows(text.replace("hello", f"hello {number}"), file="flow.yaml", types=types)[0]
        took.append(time.perf_counter() - started)
        assert parsed.flow is not None, parsed.problems
    median = statistics.median(took) * 1000
    detail = f"median of {ROUNDS}, best {min(took) * 1000:.1f} ms"
    yield Measured(name=f"parse and check {TASKS} tasks", figure=f"{median:.1f} ms", budget="≤ 30 ms", good=median <= 30, detail=detail)


def engine() -> Iterator[Measured]:
    """For the table of `make bench`."""
    yield from decision()
    yield from loops()
    yield from templates()
    yield from parsing()
