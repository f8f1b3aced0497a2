"""What the preview of files asks of the workers: reading a table in a child process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class TableReads(Protocol):
    """Implemented by workers/children/tables, wired by app."""

    async def rows(self, path: Path, *, skip: int, limit: int) -> Mapping[str, Any]:
        """{columns: [[name, type]], rows: [[cell]], total} of a Parquet file of this machine. Raises InputError."""
        ...
