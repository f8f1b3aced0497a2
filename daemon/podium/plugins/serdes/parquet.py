"""serdes.parquet.ParquetToIon, read by DuckDB. Source: plugins 4."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import ClassVar

from podium.plugin import RunContext, TaskFailed
from podium.plugins.core.files.records import write_records
from podium.plugins.serdes.common import PREFIX, Conversion


class ParquetToIon(Conversion):
    """Reads Parquet into records. Outputs: uri, size. Metric: records."""

    TYPE = PREFIX + "parquet.ParquetToIon"
    ALIASES = (PREFIX + "parquet.ParquetReader",)
    PRELOAD: ClassVar[tuple[str, ...]] = ("duckdb",)

    def convert(self, ctx: RunContext, source: Path, target: Path) -> int:
        """See Conversion."""
        from podium.plugins.sql.database import SqlError
        from podium.plugins.sql.duckdb import DuckDbSession

        session = DuckDbSession(":memory:", {}, ctx.working_dir, zone=ctx.zone, machine_zone=UTC)
        try:
            rows = session.execute("SELECT * FROM read_parquet($1)", [str(source)])
            names = rows.columns or ()
            return write_records(target, (dict(zip(names, cells, strict=True)) for cells in rows.cells))
        except SqlError as error:
            raise TaskFailed(f"the file cannot be read: {error}") from error
        finally:
            session.close()
