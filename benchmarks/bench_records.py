"""Records a second onto the results branch, early against late, and how fast an index is rebuilt from it.

    python -m benchmarks.bench_records [--total 20000] [--batch 10 --batch 200] [--flows 1 --flows 500] [--namespaces]

Each record is a one-task execution with its log (two files). Everything a daemon does is done: chunks, trees, a synced pack and a
synced ref a batch, a geometric repack every 200 packs in the background. Early = records 1,000 to 2,000, late = 1,000 after the
last, commit by commit in turns, compared by processor time of the writer: what a neighbour takes falls on either.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.measure import Measured
from podium.base.ports import QueuedFile
from podium.base.system.clock import SystemClock
from podium.base.system.ids import id_created_at, new_id
from podium.git.repo import Repository
from podium.records.branch import Branch
from podium.records.layout import log_path, record_path
from podium.records.read import Found, ResultsReader
from podium.records.render import render_log, render_record

WINDOW = 1_000
PACKS_MAX = 200


def _execution(execution_id: str, flow: str) -> tuple[bytes, bytes]:
    at = id_created_at(execution_id)
    dates = [f"{at + timedelta(milliseconds=step):%Y-%m-%dT%H:%M:%S.%f}"[:23] + "Z" for step in (0, 3, 47)]
    states = [{"state": name, "date": date} for name, date in zip(("CREATED", "RUNNING", "SUCCESS"), dates, strict=True)]
    state = {"current": "SUCCESS", "histories": states, "startDate": dates[0], "endDate": dates[2], "duration": "PT0.047S"}
    run = {
        "id": new_id(), "executionId": execution_id, "namespace": "bench", "flowId": flow, "taskId": "say", "state": state,
        "attempts": [{"state": state}], "outputs": {"exitCode": 0, "vars": {}},
    }
    view: dict[str, Any] = {
        "id": execution_id, "namespace": "bench", "flowId": flow, "flowRevision": 1, "labels": [], "state": state, "originalId": execution_id,
        "taskRunList": [run], "trigger": {"id": "each-minute", "type": "io.kestra.plugin.core.trigger.Schedule", "variables": {"date": dates[0]}},
    }
    source = {"commit": "0" * 40, "path": f"{flow}.yaml", "blob": "1" * 40, "revision": 1}
    log = [{"timestamp": dates[1], "level": "INFO", "taskId": "say", "taskRunId": run["id"], "attemptNumber": 0, "message": f"hello from {flow}"}]
    return render_record(view, flow=source, instance="bench", version="0", runner="process"), render_log(log)


def _files(count: int, flows: int, done: int, *, namespaces: bool = False) -> list[QueuedFile]:
    files = []
    for number in range(done, done + count):
        flow, made = f"flow-{number % flows:03}", new_id()
        namespace = f"bench.n{number % flows:03}" if namespaces else "bench"
        body, log = _execution(made, flow)
        summary = {"id": made, "namespace": namespace, "flowId": flow, "state": "SUCCESS"}
        files.append(QueuedFile(seq=2 * number, path=record_path(made, namespace, flow), body=body, kind="execution", summary=summary))
        files.append(QueuedFile(seq=2 * number + 1, path=log_path(made, namespace, flow), body=log, kind="log", summary=summary))
    return files


class _Took(NamedTuple):
    """Seconds of a commit: on the clock, and of the processor."""

    wall: float
    cpu: float


class _Writer:
    """A results branch that is written batch by batch, and folded together in the background, as by a daemon."""

    def __init__(self, folder: Path, flows: int, *, namespaces: bool = False) -> None:
        self.repository = Repository.init_bare(folder)
        self._branch = Branch(self.repository, branch="results", url=None, credentials=None, instance="bench")
        self._branch.continue_after(-1)
        self._flows, self._namespaces = flows, namespaces
        self._background = ThreadPoolExecutor(1)
        self._tidying: Future[bool] | None = None
        self.written = 0
        self._commits = 0

    def write(self, count: int) -> _Took:
        """Commit that many records at once (rendering not counted)."""
        files = _files(count, self._flows, self.written, namespaces=self._namespaces)
        started, worked = time.perf_counter(), time.thread_time()
        self._branch.commit(files, SystemClock().now())
        took = _Took(time.perf_counter() - started, time.thread_time() - worked)
        self.written += count
        self._commits += 1
        if self._commits % PACKS_MAX == 0 and (self._tidying is None or self._tidying.done()):
            self._tidying = self._background.submit(self.repository.tidy, packs_max=PACKS_MAX - 1)
        return took

    def close(self) -> None:
        """Wait for the background and close."""
        self._background.shutdown()
        self.repository.close()


def measure(total: int, batch: int, flows: int, *, namespaces: bool = False) -> Iterator[Measured]:
    """The lines of one combination."""
    folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
    old, young = (_Writer(folder / name, flows, namespaces=namespaces) for name in ("old.git", "young.git"))
    name = f"records, batch {batch}, {flows} {'namespaces' if namespaces else 'flows'}"
    try:
        took = [old.write(batch) for _ in range(total // batch)]
        rate = old.written / sum(each.wall for each in took)
        size = sum(path.stat().st_size for path in old.repository.git_dir.rglob("*") if path.is_file())
        budget = "≥ 5000/s" if batch >= WINDOW // 5 else ""
        detail = f"{old.written} records, {old.repository.packs()} packs, {size / old.written:.0f} bytes each"
        yield Measured(name=name, figure=f"{rate:.0f}/s", budget=budget, good=not budget or rate >= 5000, detail=detail)
        for _ in range(WINDOW // batch):
            young.write(batch)
        # Turn by turn, so that a busy neighbour slows both.
        pairs = [(old.write(batch), young.write(batch)) for _ in range(max(10, WINDOW // batch))]
        walls = [statistics.median(each.wall for each in times) * 1000 for times in zip(*pairs, strict=True)]
        late, early = (statistics.median(each.cpu for each in times) * 1000 for times in zip(*pairs, strict=True))
        clock = f"{walls[0]:.1f} and {walls[1]:.1f} ms on the clock"
        detail = f"{late:.1f} ms of the processor a commit after {total} records, {early:.1f} after {WINDOW}; {clock}"
        yield Measured(name=f"{name}, late / early", figure=f"{late / early:.2f} ×", budget="≤ 1.20 ×", good=late / early <= 1.2, detail=detail)
        started = time.perf_counter()
        found = ResultsReader(old.repository).rebuild(_take)
        rebuilt = found / (time.perf_counter() - started)
        assert found == old.written, found
        yield Measured(name=f"{name}, rebuild", figure=f"{rebuilt:.0f}/s", budget="≥ 30000/s", good=rebuilt >= 30000)
    finally:
        old.close()
        young.close()
        shutil.rmtree(folder, ignore_errors=True)


def _take(found: Found) -> None:
    found.data()


def records() -> Iterator[Measured]:
    """For the table of `make bench`: what a busy daemon does."""
    yield from measure(20_000, 200, 1)


@click.command()
@click.option("--total", default=20_000, show_default=True)
@click.option("--batch", "batches", multiple=True, type=int, default=(10, 200), show_default=True)
@click.option("--flows", "flow_counts", multiple=True, type=int, default=(1, 500), show_default=True)
@click.option("--namespaces", is_flag=True, help="Each flow has a namespace of its own.")
def main(total: int, batches: tuple[int, ...], flow_counts: tuple[int, ...], namespaces: bool) -> None:
    """Measure all combinations."""
    for flows in flow_counts:
        for batch in batches:
            for line in measure(total, batch, flows, namespaces=namespaces):
                sys.stdout.write(f"{line.name:<45} {line.figure:>10}  {line.budget:<10} {line.detail}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
