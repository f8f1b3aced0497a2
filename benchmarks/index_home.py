"""A home whose index is as if so many executions had been: rows as the conductor enters them, of 1,000 flows in 50 namespaces.

Used by bench_index and by hand: `python -m benchmarks.index_home FOLDER 1000000`. The same number gives the same rows.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from podium.base.system import base62
from podium.engine.shape.view import iso
from podium.store.db import Database, drop_indexes, make_indexes
from podium.store.journal import ExecutionRow, LogRow, _enter_executions, enter_logs

NAMESPACES = [f"company.team{number:02}.{part}" for number in range(25) for part in ("etl", "ml")]
FLOWS = [(namespace, f"flow-{number:02}") for namespace in NAMESPACES for number in range(20)]
STATES = ["SUCCESS"] * 90 + ["FAILED"] * 6 + ["WARNING"] * 2 + ["KILLED", "CANCELLED"]
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
EVERY_S = 15
AT_ONCE = 10_000


def id_at(moment: datetime, tail: int) -> str:
    """The id of an execution created at that moment."""
    return base62.encode((int(moment.timestamp() * 1000) << base62.TAIL_BITS) | tail)


def rows(count: int, *, seed: int = 4, first: int = 0) -> Iterator[tuple[ExecutionRow, LogRow]]:
    """Executions with a line of log each, oldest first. The last 40 run still. first: how many were before them."""
    chance = random.Random(seed)
    parent = ""
    for number in range(count):
        namespace, flow_id = FLOWS[int(chance.random() ** 2 * len(FLOWS))]
        at = BEGIN + timedelta(seconds=EVERY_S * (first + number), milliseconds=chance.randrange(1000))
        state = chance.choice(STATES) if number < count - 40 else "RUNNING"
        identifier, loop = id_at(at, chance.getrandbits(80)), number % 10 == 3
        if number % 10 == 0:
            parent = identifier
        labels = {"system.correlationId": identifier, "env": "prod" if number % 2 else "dev", "run": str(number // 50)}
        if number % 5000 == 7:
            labels["rare"] = "yes"
        end = at + timedelta(milliseconds=chance.randrange(100, 90_000))
        histories = [{"state": "CREATED", "date": iso(at)}, {"state": "RUNNING", "date": iso(at)}]
        if state != "RUNNING":
            histories.append({"state": state, "date": iso(end)})
        summary = {
            "id": identifier, "namespace": namespace, "flowId": flow_id, "flowRevision": 3,
            "labels": [{"key": key, "value": value} for key, value in labels.items()],
            "state": {"current": state, "histories": histories, "startDate": iso(at), "duration": "PT1S", "endDate": iso(end)},
            "originalId": identifier, "deleted": False, "metadata": {"attemptNumber": 1, "originalCreatedDate": iso(at)},
            "kind": "LOOP" if loop else "NORMAL",
            "trigger": {"id": "daily", "type": "io.kestra.plugin.core.trigger.Schedule", "variables": {"date": iso(at)}},
            "git": {"source": "main", "commit": "5d41402abc4b2a76b9719d911017c592", "path": f"{flow_id}.yaml", "blob": "7d793037a0760186574b0282"},
        }
        yield ExecutionRow(
            id=identifier, namespace=namespace, flow_id=flow_id, revision=3, state=state, created_at=at, labels=labels, summary=summary,
            ended_at=None if state == "RUNNING" else end, open=state == "RUNNING", trigger_id="daily", parent_id=None,
            trigger_execution_id=parent if loop else None,
            record_path=None if state == "RUNNING" else f"executions/{at:%Y/%m/%d/%H}/{namespace}/{flow_id}/{identifier}.json", loop=loop,
        ), LogRow(
            execution_id=identifier, namespace=namespace, flow_id=flow_id, at=at, level="ERROR" if state == "FAILED" else "INFO",
            message=f"hello from {flow_id}, number {number}: {chance.getrandbits(160):x}", task_id="say", task_run_id=identifier[::-1],
        )


def fill(database: Database, count: int, *, seed: int = 4) -> None:
    """Enter rows. Not durable until the database is closed, and fast for that."""
    connection = database._here  # noqa: SLF001 - a home for measurements, made without its daemon
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    drop_indexes(connection)
    connection.execute("COMMIT")
    every = rows(count, seed=seed)
    for begin in range(0, count, AT_ONCE):
        some = [each for _, each in zip(range(min(AT_ONCE, count - begin)), every, strict=False)]
        connection.execute("BEGIN")
        _enter_executions(connection, [row for row, _ in some])
        enter_logs(connection, [line for _, line in some])
        connection.execute("COMMIT")
    connection.execute("BEGIN")
    make_indexes(connection)
    connection.execute("COMMIT")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def main() -> None:
    """Make the home."""
    started = time.perf_counter()
    home, count = Path(sys.argv[1]), int(sys.argv[2])
    database = Database.open(home / "journal.db")
    fill(database, count)
    database.close()
    sys.stdout.write(f"{count} executions in {time.perf_counter() - started:.0f} s\n")


if __name__ == "__main__":
    main()
