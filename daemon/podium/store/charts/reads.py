"""Reads for dashboards: the files as deployed, and the rows of a chart. Called by web through its port.

What always holds: a chart is one query that walks an index over the time asked for; it is given up after CHART_S_MAX and gives CHART_ROWS_MAX rows.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any

from podium.base.errors import LimitError, PodiumError
from podium.base.limits import CHART_ROWS_MAX, CHART_S_MAX
from podium.base.patterns import RegexBudget, search
from podium.base.system.clock import monotonic_s
from podium.flows.dashboards.fields import FIELDS
from podium.flows.dashboards.model import Data
from podium.flows.dashboards.scope import Rows, Scope
from podium.store.charts.sql import Sql, bucket_of, build
from podium.store.db import Database
from podium.store.journal import decode

_STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: some tenths of a millisecond."""


class Charts:
    """See the module's docstring."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def stored(self) -> list[dict[str, Any]]:
        """The dashboards as deployed, by source and path: {id, source, path, blob, commit, text}."""
        rows = self._db.read_now(lambda c: c.execute("SELECT value FROM documents WHERE kind = 'dashboard' ORDER BY namespace, key").fetchall())
        return [decode(row[0]) for row in rows]

    async def rows(self, data: Data, scope: Scope) -> Rows:
        """The rows of a chart over executions, logs or metrics. Raises LimitError when it takes too long."""
        query = build(data, scope, limit=CHART_ROWS_MAX + 1)
        return await self._db.read(lambda connection: _run(connection, data, query, scope))

    async def rows_of(self, data: Data, given: Sequence[Mapping[str, Any]], scope: Scope) -> Rows:
        """The same over rows that the caller has, by the names of fields: for flows and triggers."""
        query = build(data, scope, limit=CHART_ROWS_MAX + 1)

        def run() -> Rows:
            with closing(sqlite3.connect(":memory:")) as connection:
                names = [name.lower() for name in FIELDS[data.kind]]
                connection.execute(f"CREATE TABLE given ({', '.join(names)})")
                rows = [[each.get(name) for name in FIELDS[data.kind]] for each in given]
                connection.executemany(f"INSERT INTO given VALUES ({', '.join('?' * len(names))})", rows)
                return _run(connection, data, query, scope)

        return await asyncio.to_thread(run)


def _run(connection: sqlite3.Connection, data: Data, query: Sql, scope: Scope) -> Rows:
    end_s = monotonic_s() + CHART_S_MAX
    trouble: list[PodiumError] = []
    if "podium_regex" in query.text:
        connection.create_function("podium_regex", 2, _matcher(trouble), deterministic=True)
    connection.set_progress_handler(lambda: monotonic_s() > end_s, _STEPS)
    try:
        found = connection.execute(query.text, query.values).fetchall()
    except sqlite3.OperationalError as error:
        if trouble:
            raise trouble[0] from error
        if "interrupted" in str(error):
            hint = "narrow the time or the namespace"
            raise LimitError(f"the chart took longer than {CHART_S_MAX:g} s", hint=hint, limit="CHART_S_MAX") from error
        raise
    finally:
        connection.set_progress_handler(None, 0)
    keys = ["value", "all"] if data.kpi else list(data.columns)
    rows = [dict(zip(keys, row, strict=False)) for row in found[:CHART_ROWS_MAX]]
    for key, column in data.columns.items():
        if column.field == "LABELS" and column.label_key is None:
            for row in rows:
                row[key] = json.loads(row[key] or "{}")
    return Rows(rows=rows, cut=len(found) > CHART_ROWS_MAX, bucket=bucket_of(scope.end - scope.start))


def _matcher(trouble: list[PodiumError]) -> Callable[[str, Any], bool]:
    """What SQLite calls for REGEX: the same few values come again and again. All calls together have the time of one search."""
    budget = RegexBudget()

    @lru_cache(maxsize=4_096)
    def matches(pattern: str, text: Any) -> bool:
        try:
            return text is not None and search(pattern, str(text), budget) is not None
        except PodiumError as error:
            trouble.append(error)
            raise

    return matches
