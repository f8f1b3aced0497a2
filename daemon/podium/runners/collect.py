"""Takes the files that a task wants kept out of a directory. Called by the runners and by `workers` for shared workspaces.

What always holds: only regular files leave, a link is followed only within the directory, and count and size are bounded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from podium.base.errors import LimitError
from podium.base.globs import Matches, compile_globs, search_roots
from podium.base.limits import RESULT_BYTES_MAX, RESULT_FILES_MAX


class Budget:
    """Counts the files and bytes that one attempt brings back. Raises LimitError beyond the limits."""

    def __init__(self, *, files_max: int = RESULT_FILES_MAX, bytes_max: int = RESULT_BYTES_MAX) -> None:
        self._files_left = files_max
        self._bytes_left = bytes_max

    def take(self, path: str, size: int) -> None:
        """One more file of `size` bytes."""
        self._files_left -= 1
        self._bytes_left -= size
        if self._files_left < 0:
            raise LimitError(
                f"more than {RESULT_FILES_MAX} files match the task's outputFiles",
                hint="use a narrower pattern, or pack them into one archive", limit="RESULT_FILES_MAX",
            )
        if self._bytes_left < 0:
            raise LimitError(
                f"the files of the task's outputFiles are larger than {RESULT_BYTES_MAX} bytes together (at '{path}')",
                hint="keep less, or upload large files from within the task", limit="RESULT_BYTES_MAX",
            )


def wanted(patterns: Sequence[str], unwanted: Sequence[str]) -> Matches:
    """Whether a relative path is a result. Raises FlowError for a bad pattern."""
    matches, never = compile_globs(patterns), frozenset(unwanted)
    return lambda path: path not in never and matches(path)


def copy_matching(
    directory: Path, results: Path, patterns: Sequence[str], *, unwanted: Sequence[str] = (), budget: Budget | None = None
) -> list[str]:
    """Copy the files below `directory` that match into `results`, with their relative paths; the links that were left out.

    Raises FlowError (bad pattern), LimitError.
    """
    budget = budget or Budget()
    is_wanted = wanted(patterns, unwanted)
    left_out: list[str] = []
    for root in search_roots(patterns):
        for path in _files_below(directory, root):
            if not is_wanted(path):
                continue
            source = (directory / path).resolve()
            if not inside(directory, source) or not source.is_file():
                left_out.append(path)
                continue
            budget.take(path, source.stat().st_size)
            target = results / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return left_out


def _files_below(directory: Path, root: str) -> Iterator[str]:
    start = directory / root if root else directory
    if not inside(directory, start.parent if root else start):
        return
    if start.is_file() or start.is_symlink():
        yield root
        return
    for folder, _folders, names in os.walk(start, followlinks=False):
        below = Path(folder)
        yield from (str((below / name).relative_to(directory)) for name in names if (below / name).exists())


def inside(directory: Path, path: Path) -> bool:
    """Whether `path`, with its links followed, is `directory` or below it."""
    home, real = os.path.realpath(directory), os.path.realpath(path)
    return real == home or real.startswith(home + os.sep)
