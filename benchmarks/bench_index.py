"""The index at 1,000, 100,000 and 1,000,000 executions: does a commit of the journal, does a page cost more when there are more?

`python -m benchmarks --only index`. It makes homes of that size (about two minutes, 3 GB in the folder for temporary files);
PODIUM_BENCH_EXECUTIONS=100000 makes the largest one smaller. Journal and lists are asked directly: this is server time without HTTP and templates.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.index_home import BEGIN, EVERY_S, fill, rows
from benchmarks.measure import Measured
from podium.store.db import Database
from podium.store.finding import Asked
from podium.store.journal import Batch, Journal
from podium.store.logs import Logs
from podium.store.views import Views

LARGEST = int(os.environ.get("PODIUM_BENCH_EXECUTIONS", "1000000"))
SIZES = tuple(dict.fromkeys((1_000, min(100_000, LARGEST), LARGEST)))
COMMITS = 400
TIMES = 5


def index() -> Iterator[Measured]:
    """The lines of the table."""
    folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
    homes = dict[int, Database]()
    try:
        for size in SIZES:
            homes[size] = Database.open(folder / str(size) / "journal.db")
            fill(homes[size], size)
        yield from asyncio.run(_all(homes))
    finally:
        for each in homes.values():
            each.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _all(homes: Mapping[int, Database]) -> list[Measured]:
    return [await _commits(homes), *await _pages(homes)]


async def _commits(homes: Mapping[int, Database]) -> Measured:
    """One execution begins in each commit; small and large home turn by turn, so that a busy neighbour slows both."""
    small, large = homes[SIZES[0]], homes[SIZES[-1]]
    fresh = [each for _, each in zip(range(2 * COMMITS), rows(2 * COMMITS, seed=99, first=LARGEST), strict=False)]
    now = BEGIN + timedelta(seconds=EVERY_S * LARGEST)
    took: dict[int, list[float]] = {0: [], 1: []}
    for number, (row, line) in enumerate(fresh):
        turn = number % 2
        batch = Batch(events=[(row.id, version, b"x" * 300) for version in (1, 2, 3)], executions={row.id: row}, logs=[line])
        began = time.perf_counter()
        await Journal((small, large)[turn]).commit(batch, now)
        took[turn].append(time.perf_counter() - began)
    few, many = (statistics.median(took[turn]) * 1000 for turn in (0, 1))
    detail = f"median {many:.2f} ms with {SIZES[-1]:,} executions in the index, {few:.2f} ms with {SIZES[0]:,}, {COMMITS} each, turn by turn"
    return Measured(name="index, journal commit", figure=f"{many / few:.2f} ×", budget="≤ 1.50 ×", good=many / few <= 1.5, detail=detail)


def _shapes(size: int) -> dict[str, Mapping[str, Any]]:
    """What people ask lists for."""
    end = BEGIN + timedelta(seconds=EVERY_S * size)
    return {
        "all": {}, "a namespace": {"namespace": "company.team03"}, "a namespace of 1,000 flows": {"namespace": "company"},
        "a flow": {"namespace": "company.team03.etl", "flow_id": "flow-04"}, "a state": {"states": ["FAILED"]},
        "a flow and a state": {"namespace": "company.team03.etl", "flow_id": "flow-04", "states": ["KILLED"]},
        "a namespace and a state": {"namespace": "company", "states": ["FAILED"]}, "a label": {"labels": {"env": "prod"}},
        "a rare label": {"labels": {"rare": "yes"}}, "a label and a state": {"labels": {"env": "prod"}, "states": ["FAILED"]},
        "two labels": {"labels": {"env": "prod", "rare": "yes"}}, "a text": {"query": "flow-1"}, "a text in nothing": {"query": "nothing"},
        "a day": {"after": end - timedelta(days=1)}, "a day, a label": {"labels": {"env": "prod"}, "after": end - timedelta(days=1)},
    }


async def _pages(homes: Mapping[int, Database]) -> list[Measured]:
    """Each list's first page, by time and by end, and a page deep down; searches of logs. The slowest list of each home counts."""
    slowest = dict[int, tuple[float, str]]()
    searches = dict[int, tuple[float, str]]()
    for size, database in homes.items():
        views, logs = Views(database), Logs(database)
        lists = [
            (await _median(partial(views.find, filters, asked)), f"{name}, {words}")
            for name, filters in _shapes(size).items()
            for words, asked in (
                ("newest first", Asked(page=1, size=25, sort="startDate:desc")), ("by end", Asked(page=1, size=25, sort="endDate:desc")),
                ("page 200", Asked(page=200, size=25, sort="startDate:desc")),
            )
        ]
        slowest[size] = max(lists)
        found = [
            (await _median(partial(logs.search, wanted, page=1, size=25)), name)
            for name, wanted in (
                ("all", {}), ("errors", {"min_level": "ERROR"}), ("a flow", {"namespace": "company.team03.etl", "flow_id": "flow-04"}),
                ("a namespace", {"namespace": "company"}), ("a text", {"query": "number 7"}), ("a text in nothing", {"query": "nothing"}),
            )
        ]
        searches[size] = max(found)
    return [_line("lists", slowest), _line("search of logs", searches)]


def _line(name: str, slowest: Mapping[int, tuple[float, str]]) -> Measured:
    middle = slowest[SIZES[1]][0] if len(SIZES) > 1 else slowest[SIZES[0]][0]
    detail = "; ".join(f"{size:,} executions: slowest {ms:.0f} ms ({what})" for size, (ms, what) in slowest.items())
    return Measured(name=f"index, {name}", figure=f"{middle:.0f} ms", budget="≤ 100 ms", good=middle <= 100, detail=detail)


async def _median(ask: Any) -> float:
    """Milliseconds."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000
