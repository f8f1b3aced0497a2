"""No query of the store scans a table that grows: every method is called, and the plan of every query it makes is looked at."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from podium.store.catalog import Catalog
from podium.store.db import Database
from podium.store.documents import Documents
from podium.store.journal import Batch, Document, ExecutionRow, Journal, LogRow, Outgoing
from podium.store.logs import Logs
from podium.store.queue import Queue
from podium.store.views import Views

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = f"{1:022d}"
AT_START = ("UPDATE queue SET commit_id = NULL", "FROM flows AS f WHERE revision")
"""Queries that are made once, at the start."""


class Noted:
    """A database that notes what it is asked."""

    def __init__(self, database: Database) -> None:
        self.here = database._here
        self.asked: list[tuple[str, Any]] = []

    def execute(self, query: str, values: Any = ()) -> sqlite3.Cursor:
        self.asked.append((query, values))
        return self.here.execute(query, values)

    def executemany(self, query: str, values: Any) -> sqlite3.Cursor:
        every = list(values)
        if every:
            self.asked.append((query, every[0]))
        return self.here.executemany(query, every)

    async def read(self, function: Any) -> Any:
        return function(self)

    async def write(self, function: Any) -> Any:
        return function(self)

    def read_now(self, function: Any) -> Any:
        return function(self)


@pytest.fixture
def noted(tmp_path: Path) -> Any:
    database = Database.open(tmp_path / "journal.db")
    yield Noted(database)
    database.close()


async def _ask(noted: Any, clock: Any) -> None:
    journal, logs, queue, views, documents = Journal(noted), Logs(noted), Queue(noted), Views(noted), Documents(noted, clock)
    row = ExecutionRow(
        id=ID, namespace="n", flow_id="f", revision=1, state="RUNNING", created_at=NOW, ended_at=None, trigger_id=None, trigger_execution_id=None,
        parent_id=None, open=True, summary={}, labels={"a": "b"},
    )
    line = LogRow(execution_id=ID, namespace="n", flow_id="f", at=NOW, level="INFO", message="x")
    metric = {"executionId": ID, "namespace": "n", "flowId": "f", "taskId": "t", "taskRunId": "r", "type": "counter", "name": "m", "value": 1,
              "tags": {}, "timestamp": "2026"}
    await journal.commit(Batch(
        events=[(ID, 1, b"{}")], executions={ID: row}, logs=[line], metrics=[metric], dedupe=[("k", ID)],
        documents=[Document(kind="kv", namespace="n", key="k", value=1), Document(kind="kv", namespace="n", key="gone", value=None)],
        outgoing=[Outgoing(path="a/b.json", body=b"{}", kind="execution", summary={}, stream=ID)],
    ), NOW)
    await journal.commit(Batch(events=[(ID, 2, b"{}")], continues=[(ID, 1)]), NOW)
    await journal.open_streams()
    await journal.stream(ID)
    journal.dedupe("k")
    await logs.append([line], cursor=("a", "1"))
    await logs.cursor("a")
    await logs.forget_cursors(["a"])
    logs.of(ID, after_seq=3, min_level="WARN", task_ids=["t"], task_run_id="r", attempt=0)
    (pending,) = await queue.pending(after_seq=0, limit=10)
    await queue.committed([pending.seq], "c" * 40)
    await queue.unpushed()
    await queue.body("a/b.json")
    await queue.reopen()
    await queue.committed([pending.seq], "c" * 40)
    await queue.pushed("c" * 40)
    views.summary(ID)
    await views.row(ID)
    await views.metrics(ID)
    await views.empty()
    await views.last_of([("n", "f"), ("n", "none")])
    views.count(namespace="n", flow_id="f", states=["RUNNING"], start=NOW, end=None)
    documents.get("kv", "n", "k")
    documents.entry("kv", "n", "k")
    for options in ({}, {"namespace": "n"}, {"namespace": "n", "children": True}, {"namespace": "n", "prefix": "k"}, {"expired": True}):
        documents.entries("kv", **options)  # type: ignore[arg-type]
    documents.newest_syncs(20)
    Catalog(noted).newest()
    Catalog(noted).revision("n", "f", 1)
    await Catalog(noted).revisions("n", "f")


async def test_no_query_scans_a_table_that_grows(noted: Any, clock: Any) -> None:
    await _ask(noted, clock)
    assert len(noted.asked) > 40
    for query, values in noted.asked:
        if any(each in query for each in AT_START):
            continue
        steps = [row[3] for row in noted.here.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()]
        for step in steps:
            limited = "LIMIT" in query and "TEMP B-TREE" not in " ".join(steps)
            small = "sqlite_sequence" in step or step == "SCAN CONSTANT ROW" or step.startswith("SCAN (") or limited
            partial = step.endswith(("executions_open", "documents_synced"))
            assert small or partial or not step.startswith("SCAN"), (query, steps)
            assert "TEMP B-TREE FOR ORDER" not in step, (query, steps)


def test_entries_are_those_of_a_namespace_and_below(noted: Any, clock: Any) -> None:
    for namespace in ("a", "a.b", "a.b.c", "a-b", "ab", "a/b", "b"):
        noted.here.execute("INSERT INTO documents VALUES ('kv', ?, 'k1', '1', 'x', 'x', NULL)", (namespace,))
    documents = Documents(noted, clock)
    assert [each["namespace"] for each in documents.entries("kv", "a", children=True)] == ["a", "a.b", "a.b.c"]
    assert [each["namespace"] for each in documents.entries("kv", "a")] == ["a"]
    assert [each["namespace"] for each in documents.entries("kv", "a.b", prefix="k")] == ["a.b"]
    assert documents.entries("kv", "a.b", prefix="l") == []
    assert len(documents.entries("kv")) == 7
