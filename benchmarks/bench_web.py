"""What following costs, and how soon a line is there. `python -m benchmarks --only web`.

The first line: a script prints the time; a client in another process that follows the log looks at its own clock when the line comes. Followers:
the processor time of the daemon while many follow the state and the log of one execution that prints a line each tenth of a second and whose task
runs change all the time, and while nobody does.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.measure import NAMESPACE, Measured, Place, place
from tools.harness import ROOT, Daemon

ROUNDS = 40
FOLLOWERS = 200
SECONDS = 12
PROCESS = "taskRunner: {type: io.kestra.plugin.core.runner.Process}"
SAYS = f"""id: says
namespace: {NAMESPACE}
tasks:
  - id: say
    type: io.kestra.plugin.scripts.shell.Commands
    {PROCESS}
    commands: ["sleep 0.3; date +'at %s.%N'; sleep 0.2"]
"""
TALKS = f"""id: talks
namespace: {NAMESPACE}
tasks:
  - id: both
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - id: talk
        type: io.kestra.plugin.scripts.shell.Commands
        {PROCESS}
        commands: ["for i in $(seq {SECONDS * 10}); do date +'at %s.%N'; sleep 0.1; done"]
      - id: each
        type: io.kestra.plugin.core.flow.ForEach
        values: "{{{{ range(1, {SECONDS}) }}}}"
        tasks:
          - id: step
            type: io.kestra.plugin.scripts.shell.Commands
            {PROCESS}
            commands: [sleep 0.6]
"""


def _start(daemon: Daemon, flow: str) -> str:
    return str(daemon.call("POST", f"/api/v1/executions/{NAMESPACE}/{flow}")["id"])


def _follow(daemon: Daemon, execution: str, count: int, *more: str) -> subprocess.Popen[str]:
    """Followers in a process of their own, once all their streams are open."""
    argv = [sys.executable, "-m", "benchmarks.web_followers", daemon.url, execution, str(count), *more]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said == "open\n", said
    return process


def _told(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=120)
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def _cpu_s(daemon: Daemon) -> float:
    """Processor seconds of the daemon so far."""
    assert daemon.process is not None
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as file:
        parts = file.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def _first_lines(daemon: Daemon) -> list[float]:
    late = []
    for _ in range(ROUNDS):
        late += _told(_follow(daemon, _start(daemon, "says"), 1))["late"][:1]
    return late


def _cores(daemon: Daemon, followers: int, *more: str) -> tuple[float, dict[str, Any]]:
    """Cores that the daemon uses while an execution talks, from when all follow to its end, and what the followers tell."""
    execution = _start(daemon, "talks")
    process = _follow(daemon, execution, followers, *more) if followers else None
    began, used = time.monotonic(), _cpu_s(daemon)
    told = _told(process) if process is not None else {}
    if process is None:
        daemon.ended(execution, timeout_s=90)
    return (_cpu_s(daemon) - used) / (time.monotonic() - began), told


def _place_flows(where: Place) -> None:
    where.write("says", SAYS)
    where.write("talks", TALKS)
    where.push("flows that talk")


def web() -> Iterator[Measured]:
    """For the table of `make bench`."""
    with place(1) as where:
        _place_flows(where)
        with where.daemon() as daemon:
            _told(_follow(daemon, _start(daemon, "says"), 1))
            late = _first_lines(daemon)
            alone, _ = _cores(daemon, 0)
            cores, told = _cores(daemon, FOLLOWERS)
            in_pages, shown = _cores(daemon, FOLLOWERS, "page")
    p95 = sorted(late)[math.ceil(0.95 * len(late)) - 1] * 1000
    detail = f"p95 of {len(late)}, median {statistics.median(late) * 1000:.0f} ms, from the script's clock to the client's"
    yield Measured(name="first line in the browser", figure=f"{p95:.0f} ms", budget="≤ 150 ms", good=p95 <= 150, detail=detail)
    assert told["ended"] == 2 * FOLLOWERS, told
    assert len(told["lines"]) == 1, "each follower gets each line once"
    detail = f"{alone:.2f} with none; {told['states'] // FOLLOWERS} states and {told['lines'][0] - 1} lines to each"
    detail += f"; lines median {statistics.median(told['late']) * 1000:.0f} ms"
    name = f"{FOLLOWERS} followers of one execution"
    yield Measured(name=name, figure=f"{cores:.2f} cores", budget="≤ 1 core", good=cores <= 1, detail=detail)
    assert shown["ended"] == 2 * FOLLOWERS, shown
    detail = f"{alone:.2f} with none; a Gantt and a log in each; lines median {statistics.median(shown['late']) * 1000:.0f} ms"
    name = f"{FOLLOWERS} browsers at its page, twice"
    yield Measured(name=name, figure=f"{in_pages:.2f} cores", budget="≤ 1 core", good=in_pages <= 1, detail=detail)
