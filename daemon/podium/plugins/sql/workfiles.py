"""Files beside an embedded database (DuckDB, SQLite): input files, output files, and the database file itself. Source: plugins 3.1, 3.3.

What always holds: what a task made in its working directory without being asked for is gone when the task is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podium.base.system.ids import new_id
from podium.plugin import TaskFailed
from podium.plugins.core.fields import json_value
from podium.plugins.core.files.workfiles import write_inputs
from podium.plugins.sql.database import Caller
from podium.storage.uris import check_path, file_name


@dataclass
class Workplace:
    """Where an embedded database works. outputs: the names of output files → the paths that the SQL writes to."""

    ctx: Caller
    directory: Path
    outputs: dict[str, str] = field(default_factory=dict)

    def database_file(self, uri: str, name: str) -> Path:
        """A stored database file, brought here under `name`."""
        target = self.directory / name
        self.ctx.files.fetch(uri, target)
        return target

    def kept(self, database_file: Path | None) -> dict[str, Any]:
        """The outputs of files: `outputFiles`, and `databaseUri` for a database file that is to be kept."""
        kept: dict[str, Any] = {}
        for name, path in self.outputs.items():
            if not Path(path).exists():
                self.ctx.log.log("WARN", f"outputFiles: the SQL did not write '{name}'")
                Path(path).touch()
            kept.setdefault("outputFiles", {})[name] = self.ctx.files.put(Path(path), name)
        if database_file is not None:
            database_file.touch()
            kept["databaseUri"] = self.ctx.files.put(database_file, file_name(database_file.name))
        return kept


@contextmanager
def workplace(ctx: Caller, directory: Path, *, inputs: Any = None, outputs: Sequence[str] = ()) -> Iterator[Workplace]:
    """`directory` with the input files in it, and places for the output files. Raises TaskFailed, StorageError."""
    directory.mkdir(parents=True, exist_ok=True)
    files = json_value(inputs, "inputFiles") if inputs else {}
    if not isinstance(files, Mapping):
        raise TaskFailed("inputFiles: a map of name → content or URI is expected, or a JSON text of one")
    write_inputs(ctx, files, directory)
    drafts = directory / f".outputs-{new_id()}"
    paths: dict[str, str] = {}
    try:
        for name in outputs:
            path = drafts / check_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            paths[name] = str(path)
        yield Workplace(ctx, directory, paths)
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def remove_database(path: Path) -> None:
    """Remove a database file with what its engine put beside it."""
    for each in path.parent.glob(f"{path.name}*"):
        if each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink(missing_ok=True)
