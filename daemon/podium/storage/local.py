"""Stored files in a directory of this machine. Called by `files` only.

What always holds: a file is there whole or not at all (written aside, synced, renamed), also after a power cut; nothing outside
the root is ever read, written or removed, whatever symbolic links somebody put into it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from podium.base.errors import StorageError
from podium.base.system.ids import new_id
from podium.storage.uris import CACHE, EXECUTIONS, is_id

_DRAFTS = ".drafts"
_TRIES = 100


class LocalBackend:
    """See the module's docstring. Paths are checked by `uris.check_path` before they come here."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)  # what tasks store is nobody else's business
        self._real_root = self.root.resolve()

    def _place(self, path: str) -> Path:
        place = self.root / path
        if not place.parent.resolve().is_relative_to(self._real_root) or place.is_symlink():
            raise StorageError(f"{path!r} leads out of the storage", hint="a symbolic link is in the way: remove it")
        return place

    def write(self, path: str, source: BinaryIO) -> None:
        """Make `path` hold what `source` gives. Raises OSError."""
        place = self._place(path)
        drafts = self.root / _DRAFTS
        drafts.mkdir(exist_ok=True)
        draft = drafts / new_id()
        try:
            with draft.open("wb") as target:
                shutil.copyfileobj(source, target, 1024 * 1024)
                target.flush()
                os.fsync(target.fileno())
            self._move(draft, place)
        finally:
            draft.unlink(missing_ok=True)

    def _move(self, draft: Path, place: Path) -> None:
        """Rename; again when a delete at the same moment removes the directory that it left empty."""
        for tries_left in range(_TRIES - 1, -1, -1):
            try:
                made = self._make_directory(place.parent)
                draft.replace(place)
                break
            except FileNotFoundError:
                if not tries_left:
                    raise
        for directory in {place.parent, *made}:
            _sync_directory(directory)

    def _make_directory(self, directory: Path) -> list[Path]:
        """Make it; the directories whose list of entries changed."""
        missing = []
        while not directory.is_dir():
            missing.append(directory)
            directory = directory.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
        return [each.parent for each in missing]

    def open(self, path: str) -> BinaryIO:
        """The file, open for reading. Raises FileNotFoundError."""
        handle = os.open(self._place(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return os.fdopen(handle, "rb")

    def size(self, path: str) -> int:
        """Its bytes. Raises FileNotFoundError."""
        place = self._place(path)
        if not place.is_file():
            raise FileNotFoundError(path)
        return place.stat().st_size

    def modified_at(self, path: str) -> datetime:
        """When it was written. Raises FileNotFoundError."""
        return datetime.fromtimestamp(self._place(path).stat().st_mtime, UTC)

    def delete(self, path: str) -> bool:
        """Remove it, and the directories that are empty then; whether it was there."""
        place = self._place(path)
        try:
            place.unlink()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return False
        self._prune(place.parent)
        return True

    def _prune(self, directory: Path) -> None:
        while directory != self.root and directory.is_relative_to(self.root):
            try:
                directory.rmdir()
            except OSError:
                return
            directory = directory.parent

    def list(self, folder: str) -> Iterator[str]:
        """The paths of all files below `folder` (which ends in a slash), in no order."""
        top = self._place(folder.rstrip("/"))
        for directory, folders, names in os.walk(top, followlinks=False):
            folders[:] = [each for each in folders if each != _DRAFTS or Path(directory) != self.root]
            for name in names:
                file = Path(directory) / name
                if not file.is_symlink():
                    yield file.relative_to(self.root).as_posix()

    def delete_folder(self, folder: str) -> int:
        """Remove everything below `folder`; how many files there were."""
        top = self._place(folder.rstrip("/"))
        if not top.exists():
            return 0
        count = sum(1 for _ in self.list(folder))
        shutil.rmtree(top, ignore_errors=True)
        self._prune(top.parent)
        return count

    def usage(self, folder: str) -> tuple[int, int]:
        """How many files there are below `folder`, and their bytes."""
        sizes = [self.size(path) for path in self.list(folder)]
        return len(sizes), sum(sizes)

    def execution_folders(self) -> Iterator[str]:
        """The paths of all folders of executions."""
        for directory, folders, _ in _walk(self.root):
            if directory.name == EXECUTIONS:
                found = [each for each in folders if is_id(each)]
                folders[:] = [each for each in folders if not is_id(each)]
                yield from ((directory / each).relative_to(self.root).as_posix() for each in found)

    def caches(self) -> Iterator[str]:
        """The paths of the caches of working directories. Does not look into folders of executions."""
        for directory, folders, names in _walk(self.root):
            if directory.name == EXECUTIONS and any(is_id(each) for each in folders):
                folders.clear()
            elif directory.name == CACHE.parent.name and CACHE.name in names:
                yield (directory / CACHE.name).relative_to(self.root).as_posix()



def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for directory, folders, names in os.walk(root, followlinks=False):
        yield Path(directory), folders, names


def _sync_directory(directory: Path) -> None:
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
