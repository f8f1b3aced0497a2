"""The epoch of a journal: who lost it writes nothing any more."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import StoreError
from podium.store.db import Database

INSERT = "INSERT INTO dedupe (key, execution_id, at) VALUES (?, 'e', 'now')"


def keys(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = [row[0] for row in connection.execute("SELECT key FROM dedupe ORDER BY key")]
    connection.close()
    return found


async def test_an_owner_that_was_followed_writes_nothing(tmp_path: Path) -> None:
    path, told = tmp_path / "journal.db", []
    first = Database.open(path, on_lost=lambda: told.append("first"))
    await first.write(lambda c: c.execute(INSERT, ("before",)))
    assert not first.lost
    second = Database.open(path, on_lost=lambda: told.append("second"))
    assert first.lost
    assert not second.lost
    with pytest.raises(StoreError, match="another daemon has this home"):
        await first.write(lambda c: c.execute(INSERT, ("after",)))
    await second.write(lambda c: c.execute(INSERT, ("second",)))
    assert told == ["first"]
    assert keys(path) == ["before", "second"]
    first.close()
    second.close()


async def test_nobody_loses_it_to_one_that_only_looks(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    told: list[Any] = []
    owner = Database.open(path, on_lost=lambda: told.append(1))
    other = Database.open(path)
    await other.write(lambda c: c.execute(INSERT, ("other",)))
    await owner.write(lambda c: c.execute(INSERT, ("owner",)))
    assert not told
    assert not owner.lost
    assert not other.lost
    owner.close()
    other.close()
