"""Reads a part of a Parquet file for a person who looks at it, in a child process: the file may be hostile, and DuckDB takes what it likes.

Called by web (wired by app). What always holds: the child ends with the answer, or when it takes too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.base.errors import InputError
from podium.base.ports import LogLine
from podium.base.redact import Redactor
from podium.base.system.clock import Clock
from podium.plugin import Result, TaskFailed
from podium.workers.children.parent import Forkery
from podium.workers.logs import AttemptLog

TAKES_S_MAX = 20.0
AT_ONCE = 2
_CELL_CHARS = 2_000


class Tables:
    """The reading children of one daemon. environ: what they see of its environment."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._forkery = Forkery(environ)
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def rows(self, path: Path, *, skip: int, limit: int) -> Mapping[str, Any]:
        """{columns: [[name, type]], rows: [[cell]], total} of a Parquet file of this machine. Raises InputError."""
        async with self._turns:
            child = await self._forkery.child(["podium.plugins.sql.duckdb", "duckdb"])
            facts = {"namespace": "", "flow_id": "", "working_dir": str(path.parent / "work")}
            try:
                async with asyncio.timeout(TAKES_S_MAX):
                    end = await child.run(_Order(str(path), skip, limit), facts, _refuse, AttemptLog(_Silent(), Redactor(), self._clock))
            except TimeoutError:
                child.kill()
                raise InputError(f"reading the file takes longer than {TAKES_S_MAX:g} s", hint="download it", input="path") from None
            except BaseException:
                child.kill()
                raise
        if end["state"] == "FAILED":
            raise InputError(f"the file cannot be read as Parquet: {str(end['error'])[:300]}", hint="download it", input="path")
        found: Mapping[str, Any] = end["outputs"]
        return found

    async def close(self) -> None:
        """End the children."""
        await self._forkery.close()


def _refuse(method: str, _given: Any) -> Any:
    raise TaskFailed(f"'{method}' is not for who only reads")


class _Silent:
    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        """See LogSink."""

    async def cursor(self) -> str | None:
        """See LogSink."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What the child is to do."""

    path: str
    skip: int
    limit: int

    def run(self, context: Any) -> Result:
        """Called in the child."""
        from datetime import UTC

        from podium.plugins.sql.cells import as_output
        from podium.plugins.sql.database import SqlError
        from podium.plugins.sql.duckdb import DuckDbSession

        session = DuckDbSession(":memory:", {}, context.working_dir, zone=UTC, machine_zone=UTC)
        try:
            described = [*session.execute("DESCRIBE SELECT * FROM read_parquet($1)", [self.path]).cells]
            total = next(iter(session.execute("SELECT count(*) FROM read_parquet($1)", [self.path]).cells))[0]
            query = "SELECT * FROM read_parquet($1) LIMIT $2 OFFSET $3"
            rows = [[_cell(as_output(each)) for each in row] for row in session.execute(query, [self.path, self.limit, self.skip]).cells]
        except SqlError as error:
            raise TaskFailed(str(error)) from error
        finally:
            session.close()
        return Result(outputs={"columns": [[str(each[0]), str(each[1])] for each in described], "rows": rows, "total": int(total)})


def _cell(value: Any) -> Any:
    return value[:_CELL_CHARS] if isinstance(value, str) else value
