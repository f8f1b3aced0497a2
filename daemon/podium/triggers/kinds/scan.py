"""What lies in a watched directory, and what has fired already. Blocking file-system work and plain data; called by files.

A file is known by its path inside the directory and its stamp (size, time of change, inode). Where only the inode differs (file
systems that make them up at each mount) the content decides. Links are not followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from podium.base.errors import LimitError
from podium.base.globs import compile_globs
from podium.base.limits import FIRED_FILES_MAX, UPLOAD_BYTES_MAX, WATCHED_FILES_MAX

VANISHED_KEPT = timedelta(days=7)
"""How long a file that is gone is remembered: the directory may only be unmounted."""
_HASH_CHUNK = 1024 * 1024
_NAMES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells two states of a file apart. mtime_ns: nanoseconds since 1970."""

    size: int
    mtime_ns: int
    inode: int

    def key(self) -> str:
        """The stamp as text."""
        return f"{self.size}:{self.mtime_ns}:{self.inode}"


@dataclass(slots=True)
class Fired:
    """A file that has been dealt with. digest: of its content, "" if not known. seen_s: when it was seen last, seconds since 1970.

    owes: its execution is durable and the file is still to be moved or deleted.
    """

    stamp: Stamp
    digest: str
    seen_s: int
    owes: bool = False


class Ledger:
    """The files that have fired, by path."""

    def __init__(self, stored: Any = None) -> None:
        self.files: dict[str, Fired] = {}
        self.changed = False
        for path, entry in (stored if isinstance(stored, Mapping) else {}).items():
            if isinstance(entry, list) and len(entry) == 6:
                size, mtime_ns, inode, digest, seen_s, owes = entry
                self.files[path] = Fired(Stamp(int(size), int(mtime_ns), int(inode)), str(digest), int(seen_s), bool(owes))

    def as_dict(self) -> dict[str, list[Any]]:
        """The form that is stored."""
        return {
            path: [each.stamp.size, each.stamp.mtime_ns, each.stamp.inode, each.digest, each.seen_s, int(each.owes)]
            for path, each in self.files.items()
        }

    def add(self, path: str, stamp: Stamp, digest: str, now: datetime, *, owes: bool = False) -> None:
        """Remember a file."""
        self.files[path] = Fired(stamp, digest, int(now.timestamp()), owes)
        self.changed = True

    def forget(self, path: str) -> None:
        """Forget a file that was moved away or deleted by us."""
        if self.files.pop(path, None) is not None:
            self.changed = True

    def prune(self, present: Mapping[str, Stamp], now: datetime) -> None:
        """Mark what is there; drop what is gone for long, and the longest gone when there are too many."""
        now_s = int(now.timestamp())
        oldest_s = now_s - int(VANISHED_KEPT.total_seconds())
        for path in present.keys() & self.files.keys():
            self.files[path].seen_s = now_s
        gone = [path for path, each in self.files.items() if path not in present and each.seen_s < oldest_s]
        for path in gone:
            self.forget(path)
        excess = len(self.files) - FIRED_FILES_MAX
        if excess > 0:
            vanished = sorted((path for path in self.files if path not in present), key=lambda path: self.files[path].seen_s)
            for path in vanished[:excess]:
                self.forget(path)


def name_matcher(glob: str) -> Callable[[str], bool]:
    """Whether a path inside the directory is meant by `glob`. Without a slash it is about the name alone. Raises FlowError."""
    matches = compile_globs([glob])
    hidden = glob.startswith(".")

    def meant(path: str) -> bool:
        name = path.rpartition("/")[2]
        if name.startswith(".") and not hidden:
            return False
        return matches(path if "/" in glob else name)

    return meant


def scan(directory: Path, meant: Callable[[str], bool], *, recursive: bool, without: Path | None = None) -> dict[str, Stamp]:
    """Path inside `directory` → stamp of every ordinary file that is meant, sorted. without: a folder to leave out.

    Raises OSError when the directory cannot be read, LimitError when it holds too many files.
    """
    found: dict[str, Stamp] = {}
    for path, facts in _walk(directory, "", recursive=recursive, without=without):
        if meant(path):
            found[path] = Stamp(facts.st_size, facts.st_mtime_ns, facts.st_ino)
            if len(found) > WATCHED_FILES_MAX:
                raise LimitError(
                    f"{directory} holds more than {WATCHED_FILES_MAX} files", limit="WATCHED_FILES_MAX",
                    hint="move or delete what is done (`action`), or narrow `glob`",
                )
    return dict(sorted(found.items()))


def _walk(directory: Path, prefix: str, *, recursive: bool, without: Path | None) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(facts.st_mode):
                yield prefix + entry.name, facts
            elif recursive and stat.S_ISDIR(facts.st_mode) and Path(entry.path) != without:
                try:
                    yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", recursive=True, without=without)
                except (FileNotFoundError, PermissionError):
                    continue


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of an ordinary file, None when it is gone or something else."""
    try:
        facts = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return Stamp(facts.st_size, facts.st_mtime_ns, facts.st_ino) if stat.S_ISREG(facts.st_mode) else None


def digest_of(path: Path) -> str:
    """SHA-256 of the content, the first 32 hex digits; "" for a file that is too large or gone."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > UPLOAD_BYTES_MAX:
                return ""
            while chunk := file.read(_HASH_CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()[:32]


def remove(path: Path, stamp: Stamp) -> bool:
    """Delete the file if it is still as it was; whether it is gone. Raises OSError."""
    if stamp_of(path) != stamp:
        return False
    path.unlink()
    return True


def move(path: Path, stamp: Stamp, folder: Path) -> bool:
    """Move the file into `folder` (made if need be) if it is still as it was; whether it did.

    A name that is taken gets a number. Raises OSError.
    """
    if stamp_of(path) != stamp:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(_NAMES_MAX):
        target = folder / (path.name if number == 0 else f"{path.stem}-{number}{path.suffix}")
        try:
            reserved = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        os.close(reserved)
        try:
            _replace(path, target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return True
    raise FileExistsError(f"{folder} has {_NAMES_MAX} files named like {path.name}")


def _replace(path: Path, target: Path) -> None:
    """Put the file in the place of `target` at once, also from another file system."""
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(f".{target.name}.part")
        shutil.copy2(path, part)
        part.replace(target)
        path.unlink()
