"""The SQL plug-in: queries, batches and triggers of PostgreSQL, DuckDB and SQLite. Entry point `sql`.

The databases' libraries are imported by the tasks that use them, when they run. Source: plugins 3.
"""

from __future__ import annotations

from podium.plugin import Task, Trigger
from podium.plugins.sql import duckdb, sqlite
from podium.plugins.sql.postgres import copy
from podium.plugins.sql.postgres import tasks as postgres

TASKS: list[type[Task]] = [
    postgres.Query, postgres.Queries, postgres.Batch, copy.CopyIn, copy.CopyOut,
    duckdb.Query, duckdb.Queries,
    sqlite.Query, sqlite.Queries,
]
TRIGGERS: list[type[Trigger]] = [postgres.PostgresTrigger, duckdb.DuckDbTrigger, sqlite.SqliteTrigger]
CONDITIONS: list[type] = []
RUNNERS: list[type] = []
