"""Files in a task's working directory: finding them by pattern, bringing stored ones in, cutting them into parts. Blocking."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from podium.base.errors import LimitError
from podium.base.globs import compile_globs
from podium.base.limits import RESULT_FILES_MAX
from podium.base.system.ids import new_id
from podium.plugin import FileStore, TaskFailed
from podium.storage.uris import check_path

_CHUNK_BYTES = 1024 * 1024
_PIECE_BYTES_MAX = 256 * 1024 * 1024
_STORED = ("kestra://", "nsfile://", "file://")
_UNITS = {"": 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


class Workplace(Protocol):
    """What of a RunContext or PollContext is needed here."""

    @property
    def working_dir(self) -> Path: ...
    @property
    def files(self) -> FileStore: ...


def is_stored(value: Any) -> bool:
    """Whether `value` is the URI of a stored file."""
    return isinstance(value, str) and value.startswith(_STORED)


@contextmanager
def fetched(ctx: Workplace, uri: str) -> Iterator[Path]:
    """A local copy of a stored file, removed after the block."""
    if not is_stored(uri):
        raise TaskFailed(f"{uri[:200]!r} is not an internal storage URI")
    copy = ctx.working_dir / f".fetched-{new_id()}"
    try:
        ctx.files.fetch(uri, copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


@contextmanager
def stored_from(ctx: Workplace) -> Iterator[Path]:
    """A path for a file that is to be stored; what is left of it goes after the block."""
    draft = ctx.working_dir / f".draft-{new_id()}"
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def matching_files(directory: Path, patterns: Iterable[str]) -> dict[str, Path]:
    """Relative path → place of every regular file below `directory` that a pattern names, sorted. Links are not followed."""
    matches = compile_globs(patterns)
    found: dict[str, Path] = {}
    for folder, _folders, names in os.walk(directory):
        for name in names:
            place = Path(folder) / name
            relative = place.relative_to(directory).as_posix()
            if matches(relative) and place.is_file() and not place.is_symlink():
                found[relative] = place
                if len(found) > RESULT_FILES_MAX:
                    what = f"the patterns name over {RESULT_FILES_MAX} files"
                    raise LimitError(what, hint="name fewer, or pack them into an archive", limit=RESULT_FILES_MAX)
    return dict(sorted(found.items()))


def write_inputs(ctx: Workplace, files: Mapping[str, Any], directory: Path | None = None) -> None:
    """Put `path → text or URI of a stored file` into a directory, else the working directory; entries without a value are left out."""
    root = (directory or ctx.working_dir).resolve()
    for name, content in files.items():
        if content is None:
            continue
        place = root / check_path(str(name))
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.parent.resolve().is_relative_to(root) or place.is_symlink():
            raise TaskFailed(f"the file '{name}' would be written outside the working directory")
        if is_stored(content):
            ctx.files.fetch(content, place)
        else:
            place.write_text(str(content), encoding="utf-8", newline="")


def byte_count(text: str | float, what: str) -> int:
    """Bytes meant by `10MB`, `200KB` or a number. Raises TaskFailed naming the property `what`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", str(text).upper())
    count = int(float(match[1]) * _UNITS[match[2] if match[2].endswith("B") or not match[2] else match[2] + "B"]) if match else 0
    if count <= 0:
        raise TaskFailed(f"{what}: {text!r} is not a size; write it like 10MB, 200KB or 4096")
    return count


def split_file(
    source: Path, into: Path, *, bytes_max: int | None = None, partitions: int | None = None, rows: int | None = None,
    separator: str = "\n",
) -> list[Path]:
    """Cut a file between rows into files in `into`: of at most `bytes_max` bytes (a longer row stands alone), or into so many partitions
    (row by row in turn), or of so many rows; the first that is given counts. No part is empty. Raises TaskFailed when none is given.
    """
    if bytes_max is None and partitions is None and rows is None:
        raise TaskFailed("Either `bytes`, `partitions` or `rows` must be set")
    if any(each is not None and each < 1 for each in (bytes_max, partitions, rows)):
        raise TaskFailed("`bytes`, `partitions` and `rows` must be at least 1")
    parts: list[Path] = []
    ending = separator.encode()

    def part(number: int) -> Path:
        while len(parts) <= number:
            parts.append(into / f"part-{len(parts):06d}{source.suffix}")
        return parts[number]

    if bytes_max is None and partitions is not None:
        return _deal(source, ending, partitions, part)
    out: BinaryIO | None = None
    written = count = 0
    try:
        for row in pieces(source, ending):
            size = len(row) + len(ending)
            full = written + size > bytes_max if bytes_max is not None else count == rows
            if out is None or full:
                if out is not None:
                    out.close()
                out = part(len(parts)).open("wb")
                written = count = 0
            out.write(row + ending)
            written += size
            count += 1
    finally:
        if out is not None:
            out.close()
    return parts


def _deal(source: Path, ending: bytes, partitions: int, part: Any) -> list[Path]:
    if partitions > RESULT_FILES_MAX:
        raise TaskFailed(f"partitions: at most {RESULT_FILES_MAX} are possible")
    outs: list[BinaryIO] = []
    used: list[Path] = []
    try:
        for number, row in enumerate(pieces(source, ending)):
            at = number % partitions
            if at == len(outs):
                used.append(part(at))
                outs.append(used[-1].open("wb"))
            outs[at].write(row + ending)
    finally:
        for out in outs:
            out.close()
    return used


def pieces(source: Path, separator: bytes) -> Iterator[bytes]:
    """The pieces of a file between separators, without them; none after a separator at the very end."""
    if not separator:
        raise TaskFailed("separator: it cannot be empty")
    with source.open("rb") as stream:
        rest = b""
        while chunk := stream.read(_CHUNK_BYTES):
            *whole, rest = (rest + chunk).split(separator)
            yield from whole
            if len(rest) > _PIECE_BYTES_MAX:
                raise TaskFailed(f"a row is longer than {_PIECE_BYTES_MAX} bytes: is the separator right?")
        if rest:
            yield rest


def reverse_file(source: Path, target: Path, separator: bytes) -> None:
    """Write the pieces of a file from last to first, each with the separator after it."""
    starts, ends = array("Q"), array("Q")
    at = 0
    for piece in pieces(source, separator):
        starts.append(at)
        ends.append(at + len(piece))
        at += len(piece) + len(separator)
    with source.open("rb") as stream, target.open("wb") as out:
        for start, end in zip(reversed(starts), reversed(ends), strict=True):
            stream.seek(start)
            out.write(stream.read(end - start) + separator)
