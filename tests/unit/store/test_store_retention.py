"""What leaves the database goes in small steps, and takes closed executions only."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from podium.store import retention
from podium.store.db import Database
from podium.store.journal import LEVELS, Document, ExecutionRow, LogRow, _enter_executions, enter_document, enter_logs
from podium.store.retention import Closed, Retention
from podium.store.views import Views

START = datetime(2026, 1, 1, tzinfo=UTC)
STATES = ("SUCCESS", "SUCCESS", "FAILED", "RUNNING")


def _row(number: int) -> ExecutionRow:
    chance = random.Random(number)
    at, state = START + timedelta(minutes=number), chance.choice(STATES)
    return ExecutionRow(
        id=f"{number:022d}", namespace=chance.choice(("a", "a.b", "ab")), flow_id=chance.choice(("f", "g")), revision=1, state=state, created_at=at,
        ended_at=None if state == "RUNNING" else at, trigger_id=None, trigger_execution_id=None, parent_id=None, open=state == "RUNNING",
        summary={}, labels={"team": "data"}, loop=number % 10 == 3,
    )


ROWS = [_row(number) for number in range(300)]
LINES = [
    LogRow(execution_id=row.id, namespace=row.namespace, flow_id=row.flow_id, at=row.created_at, level=list(LEVELS)[number % 5], message=str(number))
    for number, row in enumerate(ROWS) for _ in range(3)
]
FILTERS: dict[str, dict[str, Any]] = {
    "all": {}, "before": {"before": START + timedelta(minutes=150)}, "namespace": {"namespace": "a"}, "flow": {"namespace": "a", "flow_id": "f"},
    "state": {"states": ["FAILED"]}, "flow, states": {"namespace": "a", "flow_id": "g", "states": ["SUCCESS", "FAILED"]}, "none": {"namespace": "x"},
    "window": {"after": START + timedelta(minutes=100), "before": START + timedelta(minutes=200), "namespace": "a"},
}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(retention, "STEP", 20)
    monkeypatch.setattr(retention, "ROWS", 25)
    made = Database.open(tmp_path / "journal.db")
    made.read_now(lambda c: _enter_executions(c, ROWS))
    made.read_now(lambda c: enter_logs(c, LINES))
    yield made
    made.close()


def _matches(row: ExecutionRow, wanted: dict[str, Any]) -> bool:
    namespace = wanted.get("namespace")
    return (
        not row.open and (namespace is None or f"{row.namespace}.".startswith(f"{namespace}.")) and wanted.get("flow_id") in (None, row.flow_id)
        and (not wanted.get("states") or row.state in wanted["states"]) and wanted.get("after", START) <= row.created_at
        and ("before" not in wanted or row.created_at < wanted["before"])
    )


@pytest.mark.parametrize("wanted", FILTERS)
async def test_what_a_filter_names_is_removed_and_nothing_else(database: Database, wanted: str) -> None:
    kept = Retention(database)
    expected = {row.id for row in ROWS if _matches(row, FILTERS[wanted])}
    counted = Views(database).purgeable(FILTERS[wanted], [], lines=False)
    assert counted == {"executions": len(expected), "logs": 3 * len(expected), "metrics": 0}
    removed = lines = 0
    async for group in kept.closed(FILTERS[wanted]):
        assert 0 < len(group) <= 20
        while step := await kept.remove_of("logs", group):
            assert step <= 25
            lines += step
        removed += await kept.remove(group, apart=[])
    assert (removed, lines) == (len(expected), 3 * len(expected))
    for table, column in (("executions", "id"), ("execution_labels", "execution_id"), ("logs", "execution_id")):
        left = {row[0] for row in database.read_now(lambda c, t=table, k=column: c.execute(f"SELECT {k} FROM {t}").fetchall())}
        assert left == {row.id for row in ROWS} - expected


async def test_an_execution_that_was_opened_again_meanwhile_stays(database: Database) -> None:
    row = next(row for row in ROWS if not row.open)
    closed = Closed(id=row.id, namespace=row.namespace, flow_id=row.flow_id, created_at="")
    database.read_now(lambda c: c.execute("UPDATE executions SET open = 1 WHERE id = ?", (row.id,)))
    assert await Retention(database).remove([closed], apart=[]) == 0


async def test_old_lines_go_but_not_those_of_open_executions(database: Database) -> None:
    kept, before = Retention(database), START + timedelta(minutes=200)
    removed = 0
    async for group in kept.old("logs", before):
        await kept.remove_old("logs", group)
        removed += len(group)
    assert removed == 3 * sum(1 for row in ROWS if not row.open and row.created_at < before)
    assert [group async for group in kept.old("logs", before)] == []


async def test_lines_are_removed_by_level_and_flow(database: Database) -> None:
    kept, wanted = Retention(database), {"namespace": "a", "before": START + timedelta(minutes=200)}
    expected = [
        number for number, line in enumerate(LINES, start=1) if line.level == "ERROR" and line.namespace in ("a", "a.b") and line.at < wanted["before"]
    ]
    assert Views(database).purgeable(wanted, [4], lines=True)["logs"] == len(expected)
    assert sorted(number for group in kept.lines(wanted, [4]) for number in group) == expected


async def test_files_of_an_upload_wait_for_the_executions_of_their_flow(database: Database) -> None:
    kept, before = Retention(database), START + timedelta(minutes=250)
    for number, flow in enumerate(("f", "other")):
        await kept.set_apart(Closed(id=f"u{number}", namespace="a", flow_id=flow, created_at=f"2026-01-01T00:00:0{number}.000Z"))
    await kept.set_apart(Closed(id="late", namespace="a", flow_id="other", created_at="2026-02-01T00:00:00.000Z"))
    found = [each async for group in kept.apart(before) for each in group]
    assert [each.id for each in found] == ["u1"]
    await kept.forget_apart(found)
    assert [group async for group in kept.apart(before)] == []


async def test_keys_documents_and_syncs_expire_in_steps(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SYNCS_KEPT", 3)
    kept = Retention(database)

    def enter(connection: Any) -> None:
        for number in range(60):
            at = (START + timedelta(days=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            connection.execute("INSERT INTO dedupe VALUES (?, 'x', ?)", (str(number), at))
            enter_document(connection, Document(kind="kv", namespace="n", key=str(number), value=1, expires_at=START + timedelta(days=number)), at)
            if number < 5:
                enter_document(connection, Document(kind="sync", namespace="", key=str(number), value={}), at)
                enter_document(connection, Document(kind="taskCache", namespace="n", key=str(number), value={}), at)

    await database.write(enter)
    before = START + timedelta(days=40)
    for what in ("dedupe", "expired"):
        assert await kept.count(what, before) == 40
        assert [await kept.expire(what, before) for _ in range(3)] == [25, 15, 0]
    assert await kept.old_syncs() == [("", "1"), ("", "0")]
    assert await kept.old_documents("taskCache", START + timedelta(days=2)) == [("n", "0"), ("n", "1")]
    await kept.drop_documents("sync", await kept.old_syncs())
    assert await kept.old_syncs() == []


def test_no_query_of_retention_scans(database: Database) -> None:
    asked: list[tuple[str, tuple[Any, ...]]] = []
    here = database._here

    class Noting:
        def execute(self, query: str, values: Any = ()) -> Any:
            asked.append((query, tuple(values)))
            return here.execute(query, values)

        def executemany(self, query: str, values: Any) -> Any:
            return here.executemany(query, values)

    class Noted:
        async def read(self, function: Any) -> Any:
            return function(Noting())

        async def write(self, function: Any) -> Any:
            return function(Noting())

        def read_now(self, function: Any) -> Any:
            return function(Noting())

    async def ask() -> None:
        kept = Retention(Noted())  # type: ignore[arg-type]
        group = [Closed(id=row.id, namespace=row.namespace, flow_id=row.flow_id, created_at="") for row in ROWS[:3]]
        for wanted in FILTERS.values():
            [each async for each in kept.closed(wanted, begin=("2026", ""))]
            list(kept.closed_now(wanted))
            list(kept.lines(wanted, [4]))
        for table in ("logs", "metrics"):
            kept.count_of(table, group)
            [each async for each in kept.old(table, START)]
            await kept.remove_old(table, [1, 2])
            await kept.remove_of(table, group)
        for what in ("dedupe", "expired"):
            await kept.expire(what, START)
            await kept.count(what, START)
        [each async for each in kept.apart(START)]
        await kept.remove(group, apart=group)
        await kept.unknown(["x"])
        await kept.old_syncs()
        await kept.old_documents("taskCache", START)
        await kept.mark("files")

    asyncio.run(ask())
    whole = ("executions_closed", "executions_open", "documents_synced")  # partial indexes: to walk one is to see what it is for
    for query, values in asked:
        for step in (row[3] for row in here.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()):
            small = "VIRTUAL TABLE" in step or "execution_flows" in step or step.startswith(("SCAN (", "SCAN CONSTANT")) or step.endswith(whole)
            assert small or not step.startswith("SCAN"), (query, step)
            assert "TEMP B-TREE FOR ORDER" not in step, (query, step)
