"""Who uses a repository of ours, and what a killed process left in it. Called by repo.py when it opens a repository of our own.

Git's lock files do not say who made them. So every process that works on the repository, and every git child it starts, holds a
shared flock on `podium.lock`; only whoever gets that lock alone knows that all owners are dead and may clear what they left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from podium.base.system.log import get_logger
from podium.git.objects import TEMPORARY_PREFIX

log = get_logger(__name__)
_LEFTOVER_FILES = (
    "tmp_pack_*",
    "tmp_idx_*",
    "tmp_rev_*",
    "tmp_mtimes_*",
    "tmp_bitmap_*",
    ".tmp-*",
    f"{TEMPORARY_PREFIX}*",
    "multi-pack-index.lock",
)


class Ownership:
    """A share in a repository, held until `close`. The descriptor is inherited by git children."""

    def __init__(self, git_dir: Path) -> None:
        self._handle: int | None = os.open(git_dir / "podium.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            _clear(git_dir)
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def descriptors(self) -> tuple[int, ...]:
        """What a child must inherit to be counted as an owner."""
        return (self._handle,) if self._handle is not None else ()

    def close(self) -> None:
        """Give the share back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _clear(git_dir: Path) -> None:
    for path in _leftovers(git_dir):
        log.info("git_leftover_removed", path=str(path))
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _leftovers(git_dir: Path) -> Iterator[Path]:
    for name in ("HEAD.lock", "config.lock", "packed-refs.lock", "packed-refs.new", "shallow.lock", "index.lock", "gc.pid", "gc.pid.lock"):
        if (git_dir / name).exists():
            yield git_dir / name
    yield from list((git_dir / "refs").rglob("*.lock"))
    objects = git_dir / "objects"
    yield from list(objects.glob("tmp_objdir-*"))
    yield from list(objects.glob("[0-9a-f][0-9a-f]/tmp_obj_*"))
    yield from list(objects.glob("info/*.lock"))
    pack = objects / "pack"
    for pattern in _LEFTOVER_FILES:
        yield from list(pack.glob(pattern))
