"""The directories of attempts and what is put into them: input files, namespace files, scripts; and what is stored of them after.

All functions block. What always holds: nothing is written outside of the directory it is meant for, whatever links lie in it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.base.errors import StorageError
from podium.expressions.text import to_json
from podium.flows.model import NamespaceFiles
from podium.plugin import FileStore
from podium.storage.namespace import write_below
from podium.storage.reader import FileReader, FileScope
from podium.storage.uris import check_path

STORED = ("kestra://", "nsfile://", "file://")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things lie below the daemon's home."""

    home: Path

    @property
    def attempts(self) -> Path:
        """All attempts."""
        return self.home / "attempts"

    @property
    def workspaces(self) -> Path:
        """All shared directories."""
        return self.home / "workspaces"

    def attempt(self, attempt_id: str) -> Path:
        """Everything of one attempt."""
        return self.attempts / check_path(attempt_id)

    def shared(self, workspace_id: str) -> Path:
        """The files of a WorkingDirectory."""
        return self.workspaces / check_path(workspace_id) / "files"

    def cache(self, key: str) -> Path:
        """What runs keep for later ones."""
        return self.home / "cache" / check_path(key)

    def working(self, attempt_id: str, shared_id: str | None) -> Path:
        """The working directory of an attempt."""
        return self.shared(shared_id) if shared_id else self.attempt(attempt_id) / "work"


def write_files(directory: Path, files: Mapping[str, Any], fetch: Callable[[str, Path], None]) -> None:
    """Put `path → text, bytes, a JSON-like value or the URI of a stored file` into `directory`; null entries are left out.

    Raises StorageError for a path that leads out, and what `fetch` raises.
    """
    for name, content in files.items():
        if content is None:
            continue
        if isinstance(content, str) and content.startswith(STORED) and "\n" not in content.strip():
            write_below(directory, name, b"")  # checks the path
            fetch(content.strip(), directory / check_path(name))
            continue
        text = content if isinstance(content, (str, bytes)) else to_json(content)
        write_below(directory, name, text.encode() if isinstance(text, str) else text)


def copy_namespace_files(directory: Path, rules: NamespaceFiles, reader: FileReader, scope: FileScope) -> Iterator[str]:
    """Put the namespace files that `rules` (rendered) want into `directory`; warnings. Raises StorageError (ifExists FAIL, bad path)."""
    if not rules.enabled:
        return
    for namespace in rules.namespaces or [scope.namespace]:
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".namespace-") as folder:
            found = reader.namespace_copy(namespace, scope, Path(folder), include=rules.include, exclude=rules.exclude)
            for path in found:
                target = f"{namespace}/{path}" if rules.folder_per_namespace else path
                place = directory / target
                if place.exists() and rules.if_exists != "OVERWRITE":
                    if rules.if_exists == "FAIL":
                        raise StorageError(
                            f"the namespace file '{target}' is in the working directory already", hint="rename one, or set ifExists"
                        )
                    if rules.if_exists == "WARN":
                        yield f"The namespace file '{target}' is in the working directory already and was not written"
                    continue
                write_below(directory, target, b"")  # checks the path
                shutil.move(Path(folder) / path, place)


def store_results(results: Path, files: FileStore) -> dict[str, str]:
    """Store every file below `results`; relative path → URI, sorted."""
    if not results.is_dir():
        return {}
    found = sorted(path for path in results.rglob("*") if path.is_file() and not path.is_symlink())
    return {name: files.put(path, name) for path in found for name in [path.relative_to(results).as_posix()]}


def keep_only(kept: Path) -> None:
    """Remove all that is beside a file. May be repeated after a crash."""
    for path in kept.parent.iterdir():
        if path != kept:
            remove(path) if path.is_dir() else path.unlink(missing_ok=True)


def remove(directory: Path) -> None:
    """Remove a directory with everything in it, also what is read-only."""
    if not directory.exists():
        return
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        for path in (directory, *directory.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(directory, ignore_errors=True)
