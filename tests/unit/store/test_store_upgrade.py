"""A database of an earlier release is brought up to date: what it holds is there after that, and each step is taken once."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from podium.store.db import Database, upgrade_due
from podium.store.finding import Asked
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
