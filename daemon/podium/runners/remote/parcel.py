"""What goes into a container on another machine, and what of it comes back: tar archives and a listing (docs/adr/0014-remote-transfer.md).

The other side is `podium-transfer` (runners/native/transfer). Called by `desk` and `runner` of this room. All functions block. What always
holds: nothing is ever written outside of the host directory it is meant for, whatever the container made of its files.
"""

from __future__ import annotations

import io
import json
import os
import posixpath
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from podium.base.errors import LimitError
from podium.base.limits import LISTING_BYTES_MAX
from podium.runners.collect import Budget, wanted
from podium.runners.docker import archive
from podium.runners.port import Job, Places

PLACES = Places(working="/podium/work", outputs="/podium/out", private="/podium/private")
WORK, OUT, PRIVATE = "work", "out", "private"
_IN_MEMORY_BYTES = 4 * 1024 * 1024
_LINKS_MAX = 8
_RESULT_BYTES_MAX = 4096


# ---- in


def pack(job: Job) -> IO[bytes]:
    """Everything that the container needs, as one archive: first `job`, then the folders work, private and out. The caller closes it."""
    file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed by the caller
    with archive.local_disk("the task's files cannot be read"), tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        order = _order(job)
        entry = tarfile.TarInfo("job")
        entry.size = len(order)
        tar.addfile(entry, io.BytesIO(order))
        for source, target in ((job.directory, WORK), (job.private, PRIVATE), (None, OUT)):
            if source is not None and source.is_dir():
                tar.add(source, arcname=target, filter=_ordinary)
            else:
                folder = tarfile.TarInfo(target)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
        for name, cache in job.caches.items():
            if cache.is_dir():
                tar.add(cache, arcname=f"{PRIVATE}/{name}", filter=_ordinary)
        for path, destination in archive.foreign_links(job.directory).items():
            link = tarfile.TarInfo(f"{WORK}/{path}")
            link.type, link.linkname = tarfile.SYMTYPE, destination
            tar.addfile(link)
    file.seek(0)
    return file


def _ordinary(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return entry if entry.isreg() or entry.isdir() or entry.issym() or entry.islnk() else None


def _order(job: Job) -> bytes:
    """argv, environment and the folders to list, each as its length and its members, with a NUL behind everything."""
    lists = (list(job.argv), [f"{name}={value}" for name, value in job.env.items()], _trees(job))
    return b"".join(os.fsencode(text) + b"\0" for each in lists for text in (str(len(each)), *each))


def _trees(job: Job) -> list[str]:
    """The folders whose contents say what is brought back."""
    found = [WORK] if job.output_patterns or job.write_back else []
    found += [OUT] if job.output_directory else []
    return found + [f"{PRIVATE}/{name}" for name, cache in job.caches.items() if not cache.exists()]


# ---- out


class Entry(NamedTuple):
    """One thing that the command left. kind: F file, D folder, L link, X anything else. path: begins with work, out or private."""

    kind: str
    mode: int
    size: int
    path: str
    target: str


@dataclass(slots=True)
class Plan:
    """What is brought back. results: file on the other side → its names below the results. mirrored, cached: whole folders."""

    results: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    mirrored: list[Entry] = field(default_factory=list)
    cached: dict[str, list[Entry]] = field(default_factory=dict)

    def sources(self) -> list[str]:
        """Every regular file that is needed, once."""
        files = [*self.results]
        files += [each.path for entries in (self.mirrored, *self.cached.values()) for each in entries if each.kind == "F"]
        return list(dict.fromkeys(files))


def read_listing(listing: bytes) -> list[Entry]:
    """The entries of a listing. Raises LimitError when it was cut off (podium-transfer ends there), ValueError when it is none."""
    if len(listing) > LISTING_BYTES_MAX:
        raise LimitError("the command left more files than can be listed", hint="remove what is not needed", limit="LISTING_BYTES_MAX")
    parts = listing.split(b"\0")
    entries = []
    for head, target in zip(parts[0::2], parts[1::2], strict=False):
        kind, mode, size, path = os.fsdecode(head).split(" ", 3)
        if path != posixpath.normpath(path) or path.startswith(("/", "../")):
            raise ValueError(path)
        entries.append(Entry(kind, int(mode, 8) & 0o777, int(size), path, os.fsdecode(target)))
    return entries


def plan(job: Job, entries: Sequence[Entry], *, code: int) -> Plan:
    """What of `entries` is brought back. Raises FlowError (bad pattern), LimitError."""
    made, budget = Plan(), Budget()
    by_path = {each.path: each for each in entries}
    _results(made, by_path, WORK, wanted(job.output_patterns, job.unwanted) if job.output_patterns else lambda _: False, budget)
    if job.output_directory:
        _results(made, by_path, OUT, lambda _: True, budget)
    everything = Budget(files_max=1_000_000)
    if job.write_back:
        unwanted = {f"{WORK}/{path}" for path in job.unwanted}
        made.mirrored = [each for each in entries if each.path.startswith(f"{WORK}/") and each.path not in unwanted]
    if code == 0:
        missing = [name for name, cache in job.caches.items() if not cache.exists()]
        made.cached = {name: [each for each in entries if each.path.startswith(f"{PRIVATE}/{name}/")] for name in missing}
    for each in (*made.mirrored, *(entry for found in made.cached.values() for entry in found)):
        if each.kind == "F":
            everything.take(each.path, each.size)
    return made


def _results(made: Plan, by_path: Mapping[str, Entry], home: str, is_wanted: Any, budget: Budget) -> None:
    for entry in by_path.values():
        name = entry.path.removeprefix(f"{home}/")
        if name == entry.path or entry.kind in "DX" or not is_wanted(name):
            continue
        source = _real(by_path, home, entry)
        if source is None:
            made.left_out.append(name)
            continue
        budget.take(name, source.size)
        made.results.setdefault(source.path, []).append(name)


def _real(by_path: Mapping[str, Entry], home: str, entry: Entry) -> Entry | None:
    """The file that an entry means, its links followed within `home`."""
    for _ in range(_LINKS_MAX):
        if entry.kind != "L":
            return entry if entry.kind == "F" else None
        target = posixpath.normpath(posixpath.join("/podium", posixpath.dirname(entry.path), entry.target)).removeprefix("/podium/")
        if not target.startswith(f"{home}/") or target not in by_path:
            return None
        entry = by_path[target]
    return None


def place(job: Job, made: Plan, parcel: Path, staging: Path) -> None:
    """Put what came back where it belongs. staging: a folder for the time of it. May be repeated. Raises StorageError."""
    with archive.local_disk("the task's results cannot be written"):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        expected = set(made.sources())
        with tarfile.open(parcel, mode="r:") as tar:
            for entry in tar:
                if entry.isreg() and entry.name in expected:
                    archive.write_file(staging / entry.name, entry, tar)
        shutil.rmtree(job.results, ignore_errors=True)
        job.results.mkdir(parents=True)
        for source, names in made.results.items():
            for name in names:
                target = job.results / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(staging / source, target)
        if job.write_back:
            fresh = job.directory.with_name(job.directory.name + ".new")
            foreign = _rebuild(made.mirrored, WORK, staging, fresh)
            archive.links_file(job.directory).write_text(json.dumps(foreign))
            archive.swap(fresh, job.directory)
        for name, entries in made.cached.items():
            target = job.caches[name]
            fresh = target.with_name(f"{target.name}.{job.attempt_id}")
            _rebuild(entries, f"{PRIVATE}/{name}", staging, fresh)
            archive.replace_missing(fresh, target)
        shutil.rmtree(staging, ignore_errors=True)


def _rebuild(entries: Sequence[Entry], home: str, staging: Path, fresh: Path) -> dict[str, str]:
    """Make `fresh` what stood at `home`; the links that lead out of it and were not made."""
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    foreign: dict[str, str] = {}
    for each in sorted(entries, key=lambda entry: entry.kind == "L"):  # links last: nothing is written through one
        path = each.path.removeprefix(f"{home}/")
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        if each.kind == "D":
            (fresh / path).mkdir(exist_ok=True)
        elif each.kind == "F":
            shutil.move(staging / each.path, fresh / path)
        elif each.kind == "L" and not archive.make_link(fresh, path, each.target):
            foreign[path] = each.target
    return foreign


def result_of(parcel: Path) -> dict[str, Any]:
    """How the command ended, from the first member of what came back. Raises ValueError when it is none of ours."""
    try:
        with tarfile.open(parcel, mode="r:") as tar:
            first = next(iter(tar), None)
            file = tar.extractfile(first) if first is not None and first.name == "result" else None
            found: dict[str, Any] = json.loads(file.read(_RESULT_BYTES_MAX)) if file else {}
    except tarfile.TarError as error:
        raise ValueError(str(error)) from error
    if not isinstance(found.get("code"), int):
        raise ValueError("no result")
    return found


def chunks(file: IO[bytes], size: int = 256 * 1024) -> Iterator[bytes]:
    """The bytes of an archive, piece by piece."""
    while piece := file.read(size):
        yield piece
