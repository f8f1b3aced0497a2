"""A database of an earlier release is brought up to date: what it holds is there after that, and each step is taken once."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from podium.store.db import Database, drop_indexes, upgrade_due
from podium.store.finding import Asked
from podium.store.journal import ExecutionRow
from podium.store.views import Views


def earlier(path: Path, scripts: int) -> sqlite3.Connection:
    """A database as the release with so many scripts made it."""
    connection = sqlite3.connect(path, isolation_level=None)
    folder = resources.files("podium.store").joinpath("sql")
    for script in sorted(each.name for each in folder.iterdir() if each.name[:4].isdigit())[:scripts]:
        connection.executescript(folder.joinpath(script).read_text())
    connection.execute(f"PRAGMA user_version = {scripts}")
    return connection


async def test_executions_their_labels_and_what_iterates_are_there_after_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    connection = earlier(path, 3)
    for number in range(6):
        identifier, at = f"{number:022d}", f"2026-01-0{number + 1}T00:00:00.000Z"
        connection.execute(
            "INSERT INTO executions (id, namespace, flow_id, revision, state, created_at, ended_at, trigger_id, trigger_execution_id, parent_id,"
            " record_path, open, summary, loop) VALUES (?, 'n', ?, 1, 'SUCCESS', ?, ?, NULL, ?, NULL, 'a/b.json', ?, ?, ?)",
            (identifier, f"f{number % 2}", at, at, f"{0:022d}" if number == 3 else None, int(number == 5), b'{"id":"%d"}' % number, int(number == 3)),
        )
        connection.execute("INSERT INTO execution_labels VALUES (?, 'team', 'data')", (identifier,))
    connection.close()
    assert upgrade_due(path) == 6
    database = Database.open(path)
    try:
        assert upgrade_due(path) is None
        views = Views(database)
        newest = Asked(page=1, size=10, sort="startDate:desc")
        every = [b'{"id":"%d"}' % number for number in (5, 4, 2, 1, 0)]
        assert [row[0] for row in (await views.find({}, newest)).rows] == every
        assert [row[0] for row in (await views.find({"labels": {"team": "data"}}, newest)).rows] == every
        assert [row[0] for row in (await views.find({"flow_id": "f1"}, newest)).rows] == [b'{"id":"5"}', b'{"id":"1"}']
        assert [row[0] for row in (await views.find({"parent": f"{0:022d}"}, newest)).rows] == [b'{"id":"3"}']
        assert (await views.find({"before": datetime(2026, 1, 2, tzinfo=UTC)}, newest)).rows == [(b'{"id":"0"}', "a/b.json")]
        assert (await views.row(f"{1:022d}")) == ({"id": "1"}, "a/b.json")
    finally:
        database.close()


def test_nothing_is_due_for_a_new_home(tmp_path: Path) -> None:
    assert upgrade_due(tmp_path / "journal.db") is None
    Database.open(tmp_path / "journal.db").close()
    assert upgrade_due(tmp_path / "journal.db") is None


async def test_rows_in_bulk_are_in_every_list_at_the_end_and_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    database = Database.open(path)
    views, newest = Views(database), Asked(page=1, size=10, sort="startDate:desc")
    before = database.read_now(_indexes)
    async with views.bulk():
        await views.enter([_row(1), _row(2)])
        assert len(database.read_now(_indexes)) < len(before)
    assert database.read_now(_indexes) == before
    await database.write(drop_indexes)
    await views.enter([_row(3)])
    database.close()  # as if it had been killed here
    database = Database.open(path)
    try:
        assert database.read_now(_indexes) == before
        found = await Views(database).find({"labels": {"team": "data"}}, newest)
        assert [row[0] for row in found.rows] == [b'{"id":3}', b'{"id":2}', b'{"id":1}']
    finally:
        database.close()


def _indexes(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name").fetchall()]


def _row(number: int) -> ExecutionRow:
    at = datetime(2026, 1, number, tzinfo=UTC)
    return ExecutionRow(
        id=f"{number:022d}", namespace="n", flow_id="f", revision=1, state="SUCCESS", created_at=at, ended_at=at, trigger_id=None, parent_id=None,
        trigger_execution_id=None, open=False, summary={"id": number}, labels={"team": "data"},
    )
