"""Decides in which chunk of its flow's folder each record lies, so that no folder grows. Called by branch.py.

What the branch holds is read once a folder and then kept in memory (the least used are forgotten), so a record that is already there
is found again wherever it lies, and an amendment or a log lies beside its record.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from podium.records.layout import Place, chunk_capacity, chunk_of, parse

Entries = dict[str, tuple[str, str]]
_REMEMBERED_RECORDS_MAX = 100_000


@dataclass(slots=True)
class _Folder:
    chunks: dict[str, int] = field(default_factory=dict)
    """Execution id → chunk."""
    current: int = 0
    filled: int = 0
    """Records in the current chunk."""
    fresh: set[str] = field(default_factory=set)
    """Ids that were not there when the folder was read."""


class Places:
    """read: gives the entries of a folder at the branch's tip. capacity: how many records a chunk takes."""

    def __init__(self, read: Callable[[str], Entries], *, capacity: Callable[[int], int] = chunk_capacity) -> None:
        self._read = read
        self._capacity = capacity
        self._folders: OrderedDict[str, _Folder] = OrderedDict()
        self._count = 0

    def place(self, path: str) -> str:
        """Where a queued file lies, or will lie: its own path, with a chunk for records and logs."""
        asked = parse(path)
        if asked is None or asked.chunk:
            return path
        folder = self._folder(asked.folder)
        chunk = folder.chunks.get(asked.execution_id)
        if chunk is None:
            if folder.filled >= self._capacity(folder.current):
                folder.current, folder.filled = folder.current + 1, 0
            chunk = folder.chunks[asked.execution_id] = folder.current
            folder.fresh.add(asked.execution_id)
            folder.filled += 1
            self._count += 1
            self._forget()
        return replace(asked, chunk=chunk).path

    def may_be_there(self, place: Place) -> bool:
        """Whether files of that execution can be in the branch already: it was not given its place just now."""
        return place.execution_id not in self._folder(place.folder).fresh

    def clear(self) -> None:
        """Forget everything: the branch is not what was remembered (another writer, a commit that failed)."""
        self._folders.clear()
        self._count = 0

    def _folder(self, path: str) -> _Folder:
        known = self._folders.get(path)
        if known is not None:
            self._folders.move_to_end(path)
            return known
        loaded = self._folders[path] = self._load(path)
        self._count += len(loaded.chunks)
        return loaded

    def _load(self, path: str) -> _Folder:
        folder = _Folder()
        entries = self._read(path)
        chunks = {0: entries} | {
            number: self._read(f"{path}/{name}")
            for name, (kind, _) in entries.items()
            if kind == "folder" and (number := chunk_of(name)) is not None
        }
        for number, names in sorted(chunks.items()):
            ids = {name.partition(".")[0] for name, (kind, _) in names.items() if kind == "file"}
            folder.chunks |= dict.fromkeys(ids, number)
            folder.current, folder.filled = number, len(ids)
        return folder

    def _forget(self) -> None:
        while self._count > _REMEMBERED_RECORDS_MAX and len(self._folders) > 1:
            _, dropped = self._folders.popitem(last=False)
            self._count -= len(dropped.chunks)
