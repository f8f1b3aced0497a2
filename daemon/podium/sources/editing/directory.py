"""Saving files of a source that is a directory: they are written where they lie, and committing them stays with the person. Called by publish.

What always holds: the repository around the directory is not touched; nothing is written through a link or outside; a file that is not what the
person saw is a conflict; either all files are written or, should one fail, those before it are put back. Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podium.base.errors import GitError
from podium.base.ports import FileChange
from podium.base.system.ids import new_token
from podium.git.objects import object_id, sync_folder
from podium.git.repo import Repository
from podium.sources.editing.state import PathRefused, sides

_MODE, _MODE_EXECUTABLE = 0o644, 0o755


def why_not_writable(directory: Path) -> str | None:
    """Why no file can be saved in it, or None."""
    if not directory.is_dir():
        return f"there is no directory {directory}"
    return None if os.access(directory, os.W_OK | os.X_OK) else f"Podium's user may not write to {directory}"


def conflicts_on_disk(directory: Path, repository: Repository, changes: Sequence[FileChange]) -> list[dict[str, Any]]:
    """As state.conflicts_of, with what is on disk now as theirs. Raises PathRefused where something stands in the way."""
    found = []
    for each in changes:
        there = _content(_place(directory, each.path, writes=each.data is not None))
        blob = object_id("blob", there) if there is not None else ""
        if each.blob is None or blob == each.blob or there == each.data:
            continue
        found.append(sides(each, base=repository.read(each.blob) if each.blob and repository.has(each.blob) else None, theirs=there, blob=blob))
    return found


def write_files(directory: Path, changes: Sequence[FileChange]) -> None:
    """Write or remove them. Raises GitError (reason disk-full, failed) with everything as it was."""
    before: list[tuple[Path, bytes | None, int]] = []
    try:
        for each in changes:
            place = _place(directory, each.path, writes=each.data is not None)
            old = _content(place)
            mode = place.stat().st_mode & 0o777 if old is not None else _MODE
            before.append((place, old, mode))
            if each.data is None:
                place.unlink(missing_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(place, each.data, mode if each.executable is None else _MODE_EXECUTABLE if each.executable else _MODE)
    except OSError as error:
        for place, old, mode in reversed(before):
            _put_back(place, old, mode)
        raise GitError(
            f"{directory} cannot be written: {error.strerror}", hint="free some space, or check the permissions; nothing was changed",
            reason="disk-full" if error.errno in (28, 122) else "failed",
        ) from error


def _put_back(place: Path, old: bytes | None, mode: int) -> None:
    try:
        if old is None:
            place.unlink(missing_ok=True)
        else:
            _write(place, old, mode)
    except OSError:  # what made the write fail may keep us from this too
        return


def _write(place: Path, data: bytes, mode: int) -> None:
    draft = place.with_name(f".{place.name[:100]}.{new_token(6)}.podium")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        draft.replace(place)
        sync_folder(place.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _place(directory: Path, path: str, *, writes: bool) -> Path:
    """Where the file is. Raises PathRefused when a link, a file or a folder is in the way."""
    root, place = directory.resolve(), directory.resolve() / path
    for parent in reversed(place.relative_to(root).parents):
        above = root / parent
        if above.is_symlink() or (above.exists() and not above.is_dir()):
            raise PathRefused(f"'{path}' cannot be written: '{parent}' is no folder", hint="choose another folder", path=path)
    if (place.is_symlink() and writes) or (place.exists() and not place.is_file() and not place.is_symlink()):
        raise PathRefused(f"'{path}' cannot be written: it is no ordinary file", hint="choose another name", path=path)
    return place


def _content(place: Path) -> bytes | None:
    try:
        return place.read_bytes() if not place.is_symlink() else os.fsencode(place.readlink())
    except FileNotFoundError:
        return None
