"""Pages as a browser gets them, and what scripts they load. `python -m benchmarks --only pages`.

Whole requests of a daemon that has 1,000 flows and 100,000 executions in its index; one execution has 1,000 task runs. Turn by turn with each
page, /health is asked: what a request of this daemon costs anyway.
"""

from __future__ import annotations

import gzip
import math
import re
import statistics
import time
import urllib.request
from collections.abc import Iterator, Sequence
from urllib.parse import quote, urljoin

from benchmarks.index_home import FLOWS, fill
from benchmarks.measure import NAMESPACE, Measured, Place, place
from podium.store.db import Database
from tools.harness import Daemon

EXECUTIONS = 100_000
ROUNDS = 20
VALUES = 1_000
SHOWN = 4
"""The slowest pages have a line each."""
SCRIPT_BYTES_MAX = 300_000
LOOP = f"""id: loop
namespace: {NAMESPACE}
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    concurrencyLimit: 0
    values: "{{{{ range(1, {VALUES}) }}}}"
    tasks: [{{id: say, type: io.kestra.plugin.core.debug.Return, format: "{{{{ taskrun.value }}}}"}}]
"""
INDEXED = """id: {flow}
namespace: {namespace}
labels: {{team: data}}
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: hello
triggers:
  - id: daily
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 6 1 1 *"
"""


def _took(daemon: Daemon, path: str) -> float:
    started = time.perf_counter()
    daemon.get(path)
    return time.perf_counter() - started


def _p95(seconds: Sequence[float]) -> float:
    return sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1]


def _pages(daemon: Daemon) -> dict[str, str]:
    """Name → path, of every page but the editor's, which is measured by its scripts."""
    loop = daemon.call("POST", f"/api/v1/executions/{NAMESPACE}/loop?wait=true")
    assert loop["state"]["current"] == "SUCCESS", loop["state"]
    failed = daemon.get("/api/v1/executions/search?state=FAILED&size=1")["results"][0]["id"]
    namespace, flow = FLOWS[0]
    found = {
        "home": "/", "executions": "/executions", "executions of a state": "/executions?state=FAILED",
        "executions of a namespace": "/executions?namespace=company.team03", "executions found by text": "/executions?q=flow-1",
        "flows": "/flows", "flows found by text": "/flows?q=flow-1", "logs": "/logs", "logs found by text": "/logs?q=number", "triggers": "/triggers",
        "webhooks": "/webhooks", "namespaces": "/namespaces", "a namespace": f"/namespaces/{namespace}", "dashboards": "/dashboards",
        "plugins": "/plugins", "results": "/results", "syncs": "/syncs", "settings": "/settings", "system": "/system", "search": "/search?q=flow-1",
        "an execution of 1,000 task runs": f"/executions/{loop['id']}", "Gantt of 1,000 task runs": f"/executions/{loop['id']}?tab=gantt",
    }
    for tab in ("overview", "topology", "source", "revisions", "executions", "triggers", "dependencies", "metrics", "logs", "run"):
        found[f"flow: {tab}"] = f"/flows/{namespace}/{flow}?tab={tab}"
    for tab in ("overview", "logs", "topology", "outputs", "files", "metrics", "trigger", "record"):
        found[f"execution: {tab}"] = f"/executions/{failed}?tab={tab}"
    return found


def _write_indexed(where: Place) -> None:
    """The flows that the executions of the index are of."""
    for namespace, flow in FLOWS:
        path = where.clone / "indexed" / namespace / f"{flow}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(INDEXED.format(namespace=namespace, flow=flow), "utf-8")


def _scripts(daemon: Daemon, path: str) -> int:
    """Bytes of JavaScript, compressed, that a browser gets for a page: its scripts and what they import at once."""
    found: dict[str, int] = {}
    waiting = [urljoin(daemon.url + path, each) for each in re.findall(r'<script[^>]+src="([^"]+)"', _text(daemon.url + path))]
    while waiting:
        url = waiting.pop()
        if url in found:
            continue
        text = _text(url)
        found[url] = len(gzip.compress(text.encode(), 9))
        waiting += [urljoin(url, each) for each in re.findall(r'(?:from|import)\s*"(\.[^"]+)"', text)]
    return sum(found.values())


def _text(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        return str(answer.read().decode())


def pages() -> Iterator[Measured]:
    """For the table of `make bench`."""
    with place(1) as where:
        database = Database.open(where.folder / "home" / "journal.db")
        fill(database, EXECUTIONS)
        database.close()
        where.write("loop", LOOP)
        _write_indexed(where)
        where.push("a loop, and the flows of the index")
        with where.daemon() as daemon:
            asked = _pages(daemon)
            took: dict[str, list[float]] = {name: [] for name in asked}
            bare: list[float] = []
            for _ in range(ROUNDS):
                for name, path in asked.items():
                    bare.append(_took(daemon, "/health"))
                    took[name].append(_took(daemon, path))
            scripts = {name: _scripts(daemon, path) for name, path in asked.items()}
            editor = _scripts(daemon, f"/flows/{quote(FLOWS[0][0])}/{FLOWS[0][1]}/edit")
    slow = {name: _p95(each) * 1000 for name, each in took.items()}
    health = statistics.median(bare) * 1000
    for name, ms in sorted(slow.items(), key=lambda each: -each[1])[:SHOWN]:
        middle = statistics.median(took[name]) * 1000
        detail = f"p95 of {ROUNDS}, median {middle:.0f} ms; /health {health:.1f} ms; {EXECUTIONS:,} executions, 1,000 flows"
        yield Measured(name=f"page: {name}", figure=f"{ms:.0f} ms", budget="≤ 100 ms", good=ms <= 100, detail=detail)
    middle = statistics.median(slow.values())
    detail = f"p95 of the page in the middle of {len(slow)}"
    yield Measured(name="page: in the middle", figure=f"{middle:.0f} ms", budget="≤ 100 ms", good=middle <= 100, detail=detail)
    heavy = max(scripts, key=lambda name: scripts[name])
    detail = f"{heavy}, the heaviest page; the editor: {editor / 1000:.0f} kB"
    good = scripts[heavy] <= SCRIPT_BYTES_MAX
    yield Measured(name="scripts of a page, compressed", figure=f"{scripts[heavy] / 1000:.0f} kB", budget="≤ 300 kB", good=good, detail=detail)
