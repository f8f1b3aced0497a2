"""Pages as a browser gets them: whole requests of a daemon with 100,000 executions in its index. `python -m benchmarks --only pages`.

One execution has 1,000 task runs. Turn by turn with each page, /health is asked: what a request of this daemon costs anyway.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.index_home import fill
from benchmarks.measure import NAMESPACE, Measured, place
from podium.store.db import Database
from tools.harness import Daemon

EXECUTIONS = 100_000
ROUNDS = 7
VALUES = 1_000
LOOP = f"""id: loop
namespace: {NAMESPACE}
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    concurrencyLimit: 0
    values: "{{{{ range(1, {VALUES}) }}}}"
    tasks: [{{id: say, type: io.kestra.plugin.core.debug.Return, format: "{{{{ taskrun.value }}}}"}}]
"""


def _took(daemon: Daemon, path: str) -> float:
    started = time.perf_counter()
    daemon.get(path)
    return time.perf_counter() - started


def _pages(daemon: Daemon) -> dict[str, str]:
    """Name → path."""
    loop = daemon.call("POST", f"/api/v1/executions/{NAMESPACE}/loop?wait=true")
    assert loop["state"]["current"] == "SUCCESS", loop["state"]
    failed = daemon.get("/api/v1/executions/search?state=FAILED&size=1")["results"][0]["id"]
    return {
        "overview": "/", "executions": "/executions", "executions of a state": "/executions?state=FAILED",
        "executions of a namespace": "/executions?namespace=company.team03", "executions found by text": "/executions?q=flow-1",
        "flows": "/flows", "triggers": "/triggers", "an execution": f"/executions/{failed}",
        "an execution of 1,000 task runs": f"/executions/{loop['id']}", "search": "/search?q=flow-1",
    }


def pages() -> Iterator[Measured]:
    """For the table of `make bench`."""
    with place(1) as where:
        database = Database.open(where.folder / "home" / "journal.db")
        fill(database, EXECUTIONS)
        database.close()
        where.write("loop", LOOP)
        where.push("a loop")
        with where.daemon() as daemon:
            asked = _pages(daemon)
            took: dict[str, list[float]] = {name: [] for name in asked}
            bare: list[float] = []
            for _ in range(ROUNDS):
                for name, path in asked.items():
                    bare.append(_took(daemon, "/health"))
                    took[name].append(_took(daemon, path))
    medians = {name: statistics.median(each) * 1000 for name, each in took.items()}
    big = medians.pop("an execution of 1,000 task runs")
    for name, ms in sorted(medians.items(), key=lambda each: -each[1])[:4]:
        detail = f"{EXECUTIONS:,} executions; {ms / statistics.median(bare) / 1000:.1f} × /health ({statistics.median(bare) * 1000:.1f} ms)"
        yield Measured(name=f"page: {name}", figure=f"{ms:.0f} ms", budget="≤ 100 ms", good=ms <= 100, detail=detail)
    detail = f"the other {len(medians) - 4} pages are quicker than these; median of {ROUNDS}"
    yield Measured(name="page: 1,000 task runs", figure=f"{big:.0f} ms", budget="≤ 100 ms", good=big <= 100, detail=detail)
