"""Git objects made by hand: hashing, the text of commits, and packs with their index. Called by commits.py and repo.py.

Why not git itself: one process per object or per batch costs more than the work (bets.md 3). A pack is written under a
temporary name, synced, and renamed, its index last: a reader sees all of it or nothing, also after a power cut. Until a ref holds its
objects it is marked as kept (as `git fetch` and `git receive-pack` do), so that no repack beside it, whoever's, takes it for garbage.
Formats: gitformat-pack and gitformat-index of the git documentation, version 2, SHA-1.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from podium.base.errors import GitError
from podium.base.system.ids import new_token

Kind = Literal["commit", "tree", "blob"]
_TYPE_NUMBERS: Mapping[Kind, int] = {"commit": 1, "tree": 2, "blob": 3}
_STORED_BYTES_MAX = 0xFFFF
TEMPORARY_PREFIX = "tmp_podium_"
KEPT_BY_PODIUM = "podium: a commit is under way\n"
"""What is in the mark of a pack whose objects no ref holds yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An author or committer. Line breaks and angle brackets are dropped: git cannot hold them."""

    name: str
    email: str

    def line(self, at: datetime) -> str:
        """As in a commit object. at: aware; its offset is kept."""
        offset = at.utcoffset()
        assert offset is not None
        minutes = int(offset.total_seconds()) // 60
        sign = "-" if minutes < 0 else "+"
        zone = f"{sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
        return f"{_plain(self.name) or 'unknown'} <{_plain(self.email)}> {int(at.timestamp())} {zone}"


PODIUM = Identity(name="Podium", email="podium@localhost")


def object_id(kind: Kind, body: bytes) -> str:
    """The id git gives this object."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(body)) + body, usedforsecurity=False).hexdigest()


def commit_body(*, tree: str, parents: Sequence[str], author: Identity, committer: Identity, at: datetime, message: str) -> bytes:
    """The text of a commit object."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {author.line(at)}", f"committer {committer.line(at)}"]
    text = message.replace("\0", "").rstrip() + "\n"
    return ("\n".join(lines) + "\n\n" + text).encode("utf-8", "replace")


class PackWriter:
    """Collects objects and writes them as one pack. Objects given twice are written once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._entries: dict[str, tuple[int, int]] = {}
        self._trees: dict[str, int] = {}
        self._size = 12

    def __len__(self) -> int:
        return len(self._entries)

    def tree(self, name: str) -> bytes | None:
        """The body of a tree that is in this pack."""
        index = self._trees.get(name)
        return None if index is None else zlib.decompress(self._parts[index][_entry_head_size(self._parts[index]) :])

    def add(self, kind: Kind, body: bytes) -> str:
        """Take an object; its id."""
        name = object_id(kind, body)
        if name not in self._entries:
            packed = _entry_head(_TYPE_NUMBERS[kind], len(body)) + (_stored(body) if kind == "tree" else zlib.compress(body, 1))
            self._entries[name] = (self._size, zlib.crc32(packed))
            if kind == "tree":
                self._trees[name] = len(self._parts)
            self._parts.append(packed)
            self._size += len(packed)
        return name

    @contextlib.contextmanager
    def kept(self, git_dir: Path) -> Iterator[None]:
        """Put the pack into the repository, durable within; move the ref that holds its objects there.

        Raises GitError (reason disk-full and others).
        """
        mark = self._write(git_dir)
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def _write(self, git_dir: Path) -> Path:
        head = b"PACK" + struct.pack(">II", 2, len(self._entries))
        digest = hashlib.sha1(head, usedforsecurity=False)
        for part in self._parts:
            digest.update(part)
        checksum = digest.digest()
        folder = git_dir / "objects" / "pack"
        try:
            folder.mkdir(exist_ok=True)
            final = folder / f"pack-{checksum.hex()}"
            with contextlib.ExitStack() as undo:
                mark = final.with_suffix(".keep")
                undo.callback(mark.unlink, missing_ok=True)
                mark.write_text(KEPT_BY_PODIUM)
                _write_durably(final.with_suffix(".pack"), [head, *self._parts, checksum])
                _write_durably(final.with_suffix(".idx"), [_index(self._entries, checksum)])
                sync_folder(folder)
                undo.pop_all()
            return mark
        except OSError as exc:
            raise GitError(
                f"cannot write a pack into {folder}: {exc.strerror}",
                hint="free some disk space, or check the permissions of the folder",
                reason="disk-full" if exc.errno in (28, 122) else "failed",
                repository=str(git_dir),
            ) from exc


def _stored(body: bytes) -> bytes:
    """A zlib stream (RFC 1950) that holds the bytes as they are.

    Trees are half object ids, which do not shrink: packing them took most of the time. A repack makes deltas of them later.
    """
    if len(body) > _STORED_BYTES_MAX:
        return zlib.compress(body, 0)
    size = len(body)
    return b"\x78\x01\x01" + struct.pack("<HH", size, size ^ 0xFFFF) + body + struct.pack(">I", zlib.adler32(body))


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_durably(final: Path, parts: Sequence[bytes]) -> None:
    temporary = final.with_name(TEMPORARY_PREFIX + new_token(9) + final.suffix)
    try:
        with open(temporary, "xb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o444)
        temporary.rename(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _index(entries: Mapping[str, tuple[int, int]], checksum: bytes) -> bytes:
    names = sorted(entries)
    counts = [0] * 256
    for name in names:
        counts[int(name[:2], 16)] += 1
    fanout, total = [], 0
    for count in counts:
        total += count
        fanout.append(total)
    big = [entries[name][0] for name in names if entries[name][0] > 0x7FFFFFFF]
    offsets, seen = [], 0
    for name in names:
        offset = entries[name][0]
        if offset > 0x7FFFFFFF:
            offset, seen = 0x80000000 | seen, seen + 1
        offsets.append(offset)
    body = b"".join(
        (
            b"\377tOc",
            struct.pack(">I", 2),
            struct.pack(">256I", *fanout),
            bytes.fromhex("".join(names)),
            struct.pack(f">{len(names)}I", *(entries[name][1] for name in names)),
            struct.pack(f">{len(names)}I", *offsets),
            struct.pack(f">{len(big)}Q", *big),
            checksum,
        )
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _entry_head(number: int, size: int) -> bytes:
    byte = (number << 4) | (size & 0x0F)
    size >>= 4
    out = bytearray()
    while size:
        out.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    out.append(byte)
    return bytes(out)


def _entry_head_size(packed: bytes) -> int:
    return next(index for index, byte in enumerate(packed) if byte < 0x80) + 1


def _plain(text: str) -> str:
    return "".join(char for char in text if char >= " " and char not in "<>").strip(" .,:;\"'")
