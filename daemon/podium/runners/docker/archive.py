"""Files into and out of a container, as tar archives through the engine: no host directory is mounted (ruling 9).

All functions block and run in a thread of the engine. What always holds: nothing is ever written outside of the host directory it
is meant for, whatever the container made of its files; a failure of our own disk is a StorageError, never mistaken for the engine's.
"""

from __future__ import annotations

import io
import json
import os
import posixpath
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from podium.base.errors import StorageError
from podium.base.globs import Matches, search_roots
from podium.runners.collect import Budget, wanted
from podium.runners.docker.config import OUTPUTS, PRIVATE, WORKING
from podium.runners.docker.engine import EngineAway
from podium.runners.port import Job

_IN_MEMORY_BYTES = 4 * 1024 * 1024
_LINKS_MAX = 8


def links_file(directory: Path) -> Path:
    """Where the links of a shared directory are kept that mean something inside of a container only."""
    return directory.with_name(directory.name + ".links.json")


@contextmanager
def local_disk(doing: str) -> Iterator[None]:
    """A failure of our own disk within is a StorageError."""
    try:
        yield
    except OSError as exc:
        raise StorageError(f"{doing}: {exc.strerror or exc}", hint="is the disk of the daemon's home full?") from exc


def pack(job: Job, *, user: str) -> IO[bytes]:
    """Everything that the container must find, as one archive for `/`. user: whom the container runs as, empty for root."""
    file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed by the caller
    owner = _Owner(user)
    with local_disk("the task's files cannot be read"), tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(owner.folder("podium"))
        for source, target in ((job.directory, WORKING), (job.private, PRIVATE)):
            if source is not None and source.is_dir():
                tar.add(source, arcname=target.lstrip("/"), filter=owner.adopt)
            else:
                tar.addfile(owner.folder(target.lstrip("/")))
        tar.addfile(owner.folder(OUTPUTS.lstrip("/"), writable=True))
        for name, source in job.caches.items():
            if source.is_dir():
                tar.add(source, arcname=f"{PRIVATE.lstrip('/')}/{name}", filter=owner.adopt)
        for path, target in foreign_links(job.directory).items():
            link = owner.adopt(tarfile.TarInfo(f"{WORKING.lstrip('/')}/{path}"))
            if link is not None:
                link.type, link.linkname = tarfile.SYMTYPE, target
                tar.addfile(link)
    file.seek(0)
    return file


class _Owner:
    """Makes what goes in belong to the container's user; one that is known by name only may do everything with it instead."""

    def __init__(self, user: str) -> None:
        uid, _, gid = (user or "0").partition(":")
        self._open_to_all = not uid.isdigit()
        self._uid = int(uid) if uid.isdigit() else 0
        self._gid = int(gid) if gid.isdigit() else 0

    def folder(self, name: str, *, writable: bool = False) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        return (self.adopt(entry) if writable or name != "podium" else None) or entry

    def adopt(self, entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
            return None
        entry.uid, entry.gid, entry.uname, entry.gname = self._uid, self._gid, "", ""
        if self._open_to_all:
            entry.mode |= 0o777 if entry.isdir() or entry.mode & 0o100 else 0o666
        elif entry.isdir():
            entry.mode |= 0o700
        return entry


def bring_back(api: Any, container: str, job: Job) -> list[str]:
    """Fill `job.results` with the files that match; the links that were left out. May be repeated."""
    with local_disk("the task's results cannot be written"):
        shutil.rmtree(job.results, ignore_errors=True)
        job.results.mkdir(parents=True)
    fetch = _Fetch(api, container, job.results)
    left_out = fetch.run(WORKING, search_roots(job.output_patterns), wanted(job.output_patterns, job.unwanted))
    if job.output_directory:
        left_out += fetch.run(OUTPUTS, [""], wanted(["**"], ()))
    return left_out


class _Fetch:
    """Takes files out of one container into `results`, within one budget."""

    def __init__(self, api: Any, container: str, results: Path) -> None:
        self._api, self._container, self._results = api, container, results
        self._budget = Budget()

    def run(self, home: str, roots: list[str], is_wanted: Matches) -> list[str]:
        """Fetch what is wanted below `roots` (relative to `home`; "" is all); the links left out."""
        links: dict[str, str] = {}
        for root in roots:
            above = posixpath.dirname(root if root else home)
            for path, entry, tar in _entries(self._api, self._container, home, root):
                if not is_wanted(path):
                    continue
                if entry.isreg():
                    self._write(path, entry, tar)
                elif entry.issym():
                    links[path] = posixpath.normpath(posixpath.join(home, posixpath.dirname(path), entry.linkname))
                elif entry.islnk():
                    links[path] = posixpath.join(home, above, entry.linkname)
        return [path for path, target in sorted(links.items()) if not self._follow(home, path, target, hops=_LINKS_MAX)]

    def _follow(self, home: str, path: str, target: str, *, hops: int) -> bool:
        if hops == 0 or not target.startswith(home + "/"):
            return False
        for _, entry, tar in _entries(self._api, self._container, home, target.removeprefix(home + "/")):
            if entry.isreg():
                self._write(path, entry, tar)
                return True
            if entry.issym():
                further = posixpath.normpath(posixpath.join(posixpath.dirname(target), entry.linkname))
                return self._follow(home, path, further, hops=hops - 1)
            return False
        return False

    def _write(self, path: str, entry: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        self._budget.take(path, entry.size)
        write_file(self._results / path, entry, tar)


def write_back(api: Any, container: str, job: Job) -> None:
    """Make `job.directory` what the container's working directory is now. May be repeated."""
    fresh = job.directory.with_name(job.directory.name + ".new")
    foreign = _copy_tree(api, container, WORKING, fresh, unwanted=job.unwanted)
    with local_disk("the shared directory cannot be written"):
        links_file(job.directory).write_text(json.dumps(foreign))
        swap(fresh, job.directory)


def keep_caches(api: Any, container: str, job: Job) -> None:
    """Make the caches that are missing from what the command left."""
    for name, target in job.caches.items():
        if not target.exists():
            fresh = target.with_name(f"{target.name}.{job.attempt_id}")
            _copy_tree(api, container, f"{PRIVATE}/{name}", fresh)
            with local_disk("the cache cannot be written"):
                replace_missing(fresh, target)


def replace_missing(fresh: Path, target: Path) -> None:
    """Move `fresh` to `target`, unless another attempt was first or there is nothing in it."""
    if not any(fresh.iterdir()) or target.exists():
        shutil.rmtree(fresh)
    else:
        fresh.rename(target)


def _copy_tree(api: Any, container: str, home: str, fresh: Path, *, unwanted: Sequence[str] = ()) -> dict[str, str]:
    """Make `fresh` a copy of a container's directory; the links that lead out of it and were not made."""
    with local_disk("the files of a task cannot be written"):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
    links: dict[str, str] = {}
    budget = Budget(files_max=1_000_000)
    for path, entry, tar in _entries(api, container, home, ""):
        if path == "" or path in unwanted:
            continue
        if entry.isreg():
            budget.take(path, entry.size)
            write_file(fresh / path, entry, tar)
        elif entry.issym():
            links[path] = entry.linkname
        with local_disk("the files of a task cannot be written"):
            if entry.isdir():
                (fresh / path).mkdir(parents=True, exist_ok=True)
            elif entry.islnk():
                os.link(fresh / posixpath.relpath(entry.linkname, posixpath.basename(home)), fresh / path)
    with local_disk("the files of a task cannot be written"):
        return {path: target for path, target in links.items() if not make_link(fresh, path, target)}


def swap(fresh: Path, directory: Path) -> None:
    """Put `fresh` in the place of `directory`; whatever a crash leaves, one of both is there under its name or `<name>.new`."""
    old = directory.with_name(directory.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if directory.exists():
        directory.rename(old)
    fresh.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def make_link(root: Path, path: str, target: str) -> bool:
    """Make a link that stays inside of `root`; whether it does."""
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if target.startswith("/") or meant == ".." or meant.startswith("../"):
        return False
    (root / path).symlink_to(target)
    return True


def foreign_links(directory: Path) -> dict[str, str]:
    """What `links_file` of a shared directory holds: path → target."""
    try:
        found: dict[str, str] = json.loads(links_file(directory).read_text())
    except FileNotFoundError:
        return {}
    return found


def write_file(target: Path, entry: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
    """A regular member as a file, with its mode and time. Raises StorageError."""
    source = tar.extractfile(entry)
    assert source is not None
    with local_disk(f"'{target.name}' cannot be written"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(source, file, 1024 * 1024)
        target.chmod(entry.mode & 0o777 | 0o600)
        os.utime(target, (entry.mtime, entry.mtime))


def _entries(api: Any, container: str, home: str, root: str) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """What is at `home/root` in the container, with paths relative to `home`; nothing when it is not there."""
    import docker.errors

    try:
        chunks, _ = api.get_archive(container, posixpath.join(home, root) if root else home)
    except docker.errors.APIError as exc:
        if exc.status_code == 404 or "too many links" in str(exc.explanation):
            return
        raise
    base = posixpath.dirname(root) if root else ""
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Stream(chunks), 1024 * 1024), mode="r|") as tar:
            for entry in tar:
                name = entry.name if root else posixpath.relpath(entry.name, posixpath.basename(home))
                path = posixpath.normpath(posixpath.join(base, name))
                if path.startswith(("/", "../")) or path == "..":
                    continue
                yield ("" if path == "." else path), entry, tar
    except tarfile.TarError as exc:
        raise EngineAway(f"an archive from the Docker Engine broke off: {exc}", hint="it is asked for again") from exc


class _Stream(io.RawIOBase):
    """The chunks of a response as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        import requests.exceptions

        while not self._rest:
            try:
                self._rest = next(self._chunks, b"") or b""
            except requests.exceptions.RequestException as exc:
                raise EngineAway(f"the connection to the Docker Engine broke: {exc}", hint="it is taken up again") from exc
            if not self._rest:
                return 0
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken
