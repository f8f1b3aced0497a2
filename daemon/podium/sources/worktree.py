"""A directory deployed as it is on disk (`podium serve --dir`): its files become a throw-away commit in a repository of our own.

Called by watch; `read` is blocking. watchdog's events are only a hint that something changed: what counts is the scan. What
always holds: the user's repository is never written; an unchanged directory makes no new commit; what git ignores is left out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.base.errors import GitError, LimitError
from podium.base.limits import WORK_TREE_BYTES_MAX, WORK_TREE_FILES_MAX
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.git.repo import Repository
from podium.sources.mirror import Snapshot, begin_again
from podium.sources.source import Source

log = get_logger(__name__)
TREE_REF = "refs/heads/work-tree"
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv"})


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was at the last scan."""

    stamp: tuple[int, int, int]
    blob: str


class WorkTree:
    """The directory of one source."""

    def __init__(self, source: Source, home: Path, clock: Clock) -> None:
        assert source.directory is not None
        self._source = source
        self._directory = source.directory.resolve()
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._committed: dict[str, str] | None = None
        self._observer: Any = None
        self.repository = Repository.init_bare(home / "worktrees" / source.name)

    def read(self) -> Snapshot:
        """Scan the directory; a commit with its files. Raises GitError when it is not there, LimitError when it holds too much."""
        if not self._directory.is_dir():
            raise GitError(f"there is no directory {self._directory}", hint="give another with --dir", reason="no-repository")
        now, bodies = self._scan()
        parent = self.repository.resolve(TREE_REF)
        if self._committed is None:
            self._committed = self.repository.files(parent) if parent else {}
        changes: dict[str, bytes | None] = {path: bodies[path] for path, blob in now.items() if self._committed.get(path) != blob}
        changes |= dict.fromkeys(self._committed.keys() - now.keys())
        if parent is None or changes:
            parent = self.repository.commit(
                ref=TREE_REF, parent=parent, changes=changes, message=f"Work tree {self._directory}", at=self._clock.now(),
            )
            self._committed = now
        return Snapshot(commit=parent, dirty=True)

    def repair(self) -> None:
        """Begin a new repository; the next read fills it."""
        self.repository = begin_again(self.repository)
        self._committed, self._seen = None, {}

    def watch(self, changed: Callable[[], None]) -> bool:
        """Call `changed` (from another thread) whenever something happens in the directory; whether the system can tell."""
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        marks = (f"{os.sep}.git{os.sep}", *(f"{os.sep}{name}{os.sep}" for name in _SKIPPED_FOLDERS))

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                path = os.fsdecode(event.src_path) + os.sep
                if event.event_type not in {"opened", "closed_no_write"} and not any(mark in path for mark in marks):
                    changed()

        observer = Observer()
        try:
            observer.schedule(Handler(), str(self._directory), recursive=True)
            observer.start()
        except OSError as error:
            log.warning("work_tree_not_watched", directory=str(self._directory), reason=str(error))
            return False
        self._observer = observer
        return True

    def close(self) -> None:
        """Stop watching and let go of the repository."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
            self._observer = None
        self.repository.close()

    def _scan(self) -> tuple[dict[str, str], dict[str, bytes]]:
        """Path → blob id of every file, and the content of those that may have changed since the last scan."""
        seen: dict[str, _Seen] = {}
        bodies: dict[str, bytes] = {}
        total = 0
        for path in self._paths():
            target = self._directory / path
            try:
                facts = target.stat()
            except OSError:
                continue  # gone meanwhile, or a link that leads nowhere
            if not self._is_ours(target):
                continue
            total += facts.st_size
            self._check_limits(len(seen) + 1, total)
            stamp = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
            known = self._seen.get(path)
            if known is not None and known.stamp == stamp and self._committed is not None and self._committed.get(path) == known.blob:
                seen[path] = known
                continue
            try:
                body = target.read_bytes()
            except OSError as error:
                log.warning("work_tree_file_unreadable", path=path, reason=str(error))
                continue
            blob = hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
            seen[path] = _Seen(stamp, blob)
            bodies[path] = body
        self._seen = seen
        return {path: each.blob for path, each in seen.items()}, bodies

    def _paths(self) -> Iterator[str]:
        tracked = Repository.work_files(self._directory)
        if tracked is not None:
            yield from (path for path in tracked if not path.startswith(".git/"))
            return
        for folder, names, files in os.walk(self._directory):
            names[:] = sorted(name for name in names if not name.startswith(".") and name not in _SKIPPED_FOLDERS)
            for name in sorted(files):
                if not name.startswith("."):
                    yield (Path(folder) / name).relative_to(self._directory).as_posix()

    def _is_ours(self, target: Path) -> bool:
        """An ordinary file, and not a link to something outside the directory."""
        if not target.is_file():
            return False
        return not target.is_symlink() or target.resolve().is_relative_to(self._directory)

    def _check_limits(self, files: int, size: int) -> None:
        if files > WORK_TREE_FILES_MAX:
            raise LimitError(
                f"{self._directory} has more than {WORK_TREE_FILES_MAX} files", limit="WORK_TREE_FILES_MAX",
                hint="serve the folder with the flows, or let .gitignore leave out what is not needed",
            )
        if size > WORK_TREE_BYTES_MAX:
            raise LimitError(
                f"the files of {self._directory} have more than {WORK_TREE_BYTES_MAX} bytes", limit="WORK_TREE_BYTES_MAX",
                hint="serve the folder with the flows, or let .gitignore leave out what is not needed",
            )
