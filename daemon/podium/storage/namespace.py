"""Namespace files: the files of a repository at the commit an execution is pinned to, or of a work tree for `podium run`.

Called by `reader`, workers and pages. What always holds: what is read belongs to the commit asked for, whatever is pushed meanwhile;
the folder `_files/<namespace>/` lies over the rest for that namespace; `.git`, `.podium` and the other `_files` are not in it (ruling 12).
Calls block: use a thread.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from podium.base.errors import LimitError, NotFound, StorageError
from podium.base.globs import compile_globs
from podium.git.repo import Repository
from podium.storage import uris

_LISTINGS_KEPT = 16
_FILES_MAX = 100_000
_OVERLAYS = "_files/"
_HIDDEN = (".git/", ".podium/", _OVERLAYS)


class NamespaceSource(Protocol):
    """Where namespace files come from: NamespaceFiles or WorkTreeFiles."""

    def read(self, source: str, commit: str, path: str, *, namespace: str = "") -> bytes:
        """The content of a file. Raises NotFound."""
        ...

    def size(self, source: str, commit: str, path: str, *, namespace: str = "") -> int:
        """Its bytes. Raises NotFound."""
        ...

    def paths(self, source: str, commit: str, *, namespace: str = "") -> list[str]:
        """The paths of all files, sorted."""
        ...

    def copy_to(
        self, source: str, commit: str, target: Path, include: Sequence[str] = (), exclude: Sequence[str] = (), *, namespace: str = ""
    ) -> list[str]:
        """Write the files that `include` names (all without it) and `exclude` does not into `target`; their paths."""
        ...


class NamespaceFiles:
    """The files of deployed repositories. See the module's docstring."""

    def __init__(self, repositories: Mapping[str, tuple[Repository, str]]) -> None:
        """repositories: source name → (repository, folder in it that is the root of namespace files, "." for all)."""
        self._repositories = repositories
        self._listings: OrderedDict[tuple[str, str], dict[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, source: str, commit: str, path: str, *, namespace: str = "") -> bytes:
        """See NamespaceSource."""
        blob = self._visible(source, commit, namespace).get(uris.check_path(path))
        if blob is None:
            raise _missing(path, namespace, commit)
        return self._repository(source).read(blob)

    def size(self, source: str, commit: str, path: str, *, namespace: str = "") -> int:
        """See NamespaceSource."""
        return len(self.read(source, commit, path, namespace=namespace))

    def paths(self, source: str, commit: str, *, namespace: str = "") -> list[str]:
        """See NamespaceSource."""
        return sorted(self._visible(source, commit, namespace)) if source in self._repositories else []

    def copy_to(
        self, source: str, commit: str, target: Path, include: Sequence[str] = (), exclude: Sequence[str] = (), *, namespace: str = ""
    ) -> list[str]:
        """See NamespaceSource."""
        if source not in self._repositories:
            return []
        wanted = selection(include, exclude)
        chosen = {path: blob for path, blob in self._visible(source, commit, namespace).items() if wanted(path)}
        bodies = dict(self._repository(source).read_many(sorted(set(chosen.values()))))
        for path, blob in chosen.items():
            write_below(target, path, bodies[blob])
        return sorted(chosen)

    @property
    def list(self) -> Callable[..., list[str]]:
        """The same as `paths`."""
        return self.paths

    def _repository(self, source: str) -> Repository:
        try:
            return self._repositories[source][0]
        except KeyError:
            raise NotFound(f"there is no source {source!r}", hint="is it still in the settings?", source=source) from None

    def _visible(self, source: str, commit: str, namespace: str) -> dict[str, str]:
        """path → blob as the namespace sees it."""
        everything = self._everything(source, commit)
        own = f"{_OVERLAYS}{namespace}/"
        seen = {path: blob for path, blob in everything.items() if not path.startswith(_HIDDEN)}
        if namespace:
            seen.update({path[len(own) :]: blob for path, blob in everything.items() if path.startswith(own)})
        return seen

    def _everything(self, source: str, commit: str) -> dict[str, str]:
        with self._lock:
            known = self._listings.get((source, commit))
            if known is not None:
                self._listings.move_to_end((source, commit))
                return known
        repository, folder = self._repository(source), self._repositories[source][1].strip("/") or "."
        found = repository.files(commit, folder)
        prefix = "" if folder == "." else f"{folder}/"
        listing = {path.removeprefix(prefix): blob for path, blob in found.items() if _usable(path)}
        with self._lock:
            self._listings[source, commit] = listing
            while len(self._listings) > _LISTINGS_KEPT:
                self._listings.popitem(last=False)
        return listing


class WorkTreeFiles:
    """The files of a directory as they are now, whatever source and commit are asked for: for `podium run` outside a repository."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()

    def read(self, source: str, commit: str, path: str, *, namespace: str = "") -> bytes:
        """See NamespaceSource."""
        with _readable(path):
            return self._find(path, namespace, commit).read_bytes()

    def size(self, source: str, commit: str, path: str, *, namespace: str = "") -> int:
        """See NamespaceSource."""
        with _readable(path):
            return self._find(path, namespace, commit).stat().st_size

    def paths(self, source: str, commit: str, *, namespace: str = "") -> list[str]:
        """See NamespaceSource."""
        return sorted(self._visible(namespace))

    def copy_to(
        self, source: str, commit: str, target: Path, include: Sequence[str] = (), exclude: Sequence[str] = (), *, namespace: str = ""
    ) -> list[str]:
        """See NamespaceSource."""
        wanted = selection(include, exclude)
        chosen = {path: place for path, place in self._visible(namespace).items() if wanted(path)}
        for path, place in chosen.items():
            with _readable(path):
                write_below(target, path, place.read_bytes())
        return sorted(chosen)

    @property
    def list(self) -> Callable[..., list[str]]:
        """The same as `paths`."""
        return self.paths

    def _find(self, path: str, namespace: str, commit: str) -> Path:
        inner = uris.check_path(path)
        places = [self._directory / _OVERLAYS / namespace / inner] if namespace else []
        if not f"{inner}/".startswith(_HIDDEN):
            places.append(self._directory / inner)
        for place in places:
            real = place.resolve()
            if real.is_file() and real.is_relative_to(self._directory):
                return real
        raise _missing(path, namespace, commit)

    def _visible(self, namespace: str) -> dict[str, Path]:
        seen: dict[str, Path] = {}
        own = self._directory / _OVERLAYS / namespace
        for top in (self._directory, own) if namespace else (self._directory,):
            for place in self._walk(top):
                path = place.relative_to(top).as_posix()
                if top is own or not path.startswith(_HIDDEN):
                    seen[path] = place
        return seen

    def _walk(self, top: Path) -> Iterator[Path]:
        count = 0
        for directory, folders, names in os.walk(top):
            folders[:] = sorted(each for each in folders if each not in (".git", ".podium"))
            for name in names:
                place = Path(directory) / name
                if _usable(place.as_posix()) and place.is_file() and place.resolve().is_relative_to(self._directory):
                    count += 1
                    if count > _FILES_MAX:
                        raise LimitError(f"{top} holds over {_FILES_MAX} files", hint="run it from a smaller folder", limit=_FILES_MAX)
                    yield place


def selection(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path is wanted: named by `include` (or there is none) and not by `exclude`. Source: flow-language 5.15.

    A pattern that begins with a letter, digit or `_` may match in any folder, one with a leading slash only from the top.
    """
    included, excluded = (compile_globs(_anywhere(each) for each in patterns) for patterns in (include, exclude))
    return lambda path: (not include or included(path)) and not excluded(path)


def _anywhere(pattern: str) -> str:
    return pattern if pattern.startswith(("regex:", "glob:")) or not (pattern[:1].isalnum() or pattern[:1] == "_") else f"**/{pattern}"


def write_below(target: Path, path: str, body: bytes) -> None:
    """Write `body` to `path` below `target`, making directories. Raises StorageError for a path that leads out or is in the way."""
    place = target / uris.check_path(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.parent.resolve().is_relative_to(target.resolve()) or place.is_symlink():
            raise StorageError(f"{path!r} leads out of the working directory", hint="a symbolic link is in the way")
        place.write_bytes(body)
    except OSError as error:
        raise StorageError(f"{path!r} cannot be written: {error.strerror}", hint="does a file have the name of a folder?") from error


def _missing(path: str, namespace: str, commit: str) -> NotFound:
    where = f"namespace '{namespace}'" if namespace else "the namespace"
    return NotFound(
        f"there is no file '{path}' in {where} at commit {commit[:12] or '(work tree)'}",
        hint="commit it; paths count from the source's folder", path=path, namespace=namespace,
    )


def _usable(path: str) -> bool:
    try:
        uris.check_path(path)
    except (StorageError, UnicodeEncodeError):
        return False
    return True


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path!r} cannot be read: {error.strerror}", hint="check the permissions of the file") from error
