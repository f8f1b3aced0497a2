"""Decides in which chunk of its flow's folder each record lies, so that no folder grows. Called by branch.py.

What always holds: a record that may be in the branch already is looked for in it and stays where it is; an amendment lies beside its
record. A record that was never tried before is not looked for: its folder is known by two numbers, so that neither time nor memory
grows with what the branch holds. (It once was all ids of the last 100,000 records, folder by folder: with 500 flows that take turns,
the folder needed next was always the one just forgotten, and each record read all folders of its flow again.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from podium.records.layout import chunk_capacity, chunk_of, parse

Entries = dict[str, tuple[str, str]]
_FOLDERS_MAX = 50_000
_RECENT_MAX = 50_000
"""Records whose chunk is remembered, so that a log that comes a little later lies beside its record; twice that at most."""
_LOOKED_UP_MAX = 300_000
"""Ids remembered of folders that were searched: all of one flow's hour at once, or what a former life left is looked for for ever."""


@dataclass(slots=True)
class _Folder:
    current: int = 0
    filled: int = 0
    """Records in the current chunk."""


class Places:
    """read: gives the entries of a folder at the branch's tip. capacity: how many records a chunk takes."""

    def __init__(self, read: Callable[[str], Entries], *, capacity: Callable[[int], int] = chunk_capacity) -> None:
        self._read = read
        self._capacity = capacity
        self._folders: OrderedDict[str, _Folder] = OrderedDict()
        self._recent: dict[str, int] = {}
        self._less_recent: dict[str, int] = {}
        self._looked_up: OrderedDict[str, dict[str, int]] = OrderedDict()
        self._count = 0

    def place(self, path: str, *, tried: bool) -> tuple[str, bool]:
        """Where a queued file lies, or will lie (its own path, with a chunk for records and logs), and whether it may be there already.

        tried: it may have been given to a commit before, or its record may.
        """
        asked = parse(path)
        if asked is None or asked.chunk:
            return path, True
        name, folder = asked.execution_id, asked.folder
        tried = tried or asked.amend > 0
        chunk = self._recent.get(name)
        if chunk is None:
            chunk = self._less_recent.get(name)
        if chunk is None and tried:
            chunk = self._ids(folder).get(name)
        if chunk is None:
            chunk = self._next(folder)
            if (ids := self._looked_up.get(folder)) is not None:
                ids[name] = chunk
                self._count += 1
        self._remember(name, chunk)
        return (f"{folder}/{chunk:04d}{path[len(folder) :]}" if chunk else path), tried

    def settled(self) -> None:
        """What a former life left is done: the ids that were read to find it are let go."""
        self._looked_up.clear()
        self._count = 0

    def clear(self) -> None:
        """Forget everything: the branch is not what was remembered (another writer, a commit that failed)."""
        self._folders.clear()
        self._recent, self._less_recent = {}, {}
        self.settled()

    def _remember(self, name: str, chunk: int) -> None:
        if len(self._recent) >= _RECENT_MAX:
            self._recent, self._less_recent = {}, self._recent
        self._recent[name] = chunk

    def _next(self, path: str) -> int:
        """The chunk that takes the next record of that folder."""
        folder = self._folders.get(path)
        if folder is None:
            folder = self._folders[path] = self._load(path)
            if len(self._folders) > _FOLDERS_MAX:
                self._folders.popitem(last=False)
        else:
            self._folders.move_to_end(path)
        if folder.filled >= self._capacity(folder.current):
            folder.current, folder.filled = folder.current + 1, 0
        folder.filled += 1
        return folder.current

    def _load(self, path: str) -> _Folder:
        entries = self._read(path)
        last = max(_chunks(entries), default=None)
        if last is None:
            return _Folder(filled=len(_ids_of(entries)))
        number, name = last
        return _Folder(current=number, filled=len(_ids_of(self._read(f"{path}/{name}"))))

    def _ids(self, path: str) -> dict[str, int]:
        """Execution id → chunk, of all that the folder holds at the tip (and what was placed since)."""
        known = self._looked_up.get(path)
        if known is not None:
            self._looked_up.move_to_end(path)
            return known
        entries = self._read(path)
        found = dict.fromkeys(_ids_of(entries), 0)
        for number, name in sorted(_chunks(entries)):
            found |= dict.fromkeys(_ids_of(self._read(f"{path}/{name}")), number)
        self._looked_up[path] = found
        self._count += len(found)
        while self._count > _LOOKED_UP_MAX and len(self._looked_up) > 1:
            self._count -= len(self._looked_up.popitem(last=False)[1])
        return found


def _chunks(entries: Entries) -> list[tuple[int, str]]:
    return [(number, name) for name, (kind, _) in entries.items() if kind == "folder" and (number := chunk_of(name)) is not None]


def _ids_of(entries: Entries) -> set[str]:
    return {name.partition(".")[0] for name, (kind, _) in entries.items() if kind == "file"}
