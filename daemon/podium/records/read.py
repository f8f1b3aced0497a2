"""Reads the results branch: one record, the newest ones, and everything, to rebuild an index. Blocking. Called by the conductor and the command line.

With rotation there is a branch a period; all of them are read. The highest amendment of an execution is its record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import chain, groupby
from typing import Any, NamedTuple, TypeVar

import msgspec

from podium.base.errors import NotFound
from podium.base.system.ids import id_created_at
from podium.git.repo import CommitInfo, Repository
from podium.records.layout import EXECUTIONS, KV, SYNCS, TRIGGERS, Place, chunk_of, hour_folder, parse

T = TypeVar("T")
_decode = msgspec.json.Decoder().decode


class _Step(msgspec.Struct):
    date: datetime


class _State(msgspec.Struct):
    current: str
    histories: list[_Step]


class _Label(msgspec.Struct):
    key: str
    value: Any


class Facts(msgspec.Struct, rename="camel"):
    """What an index keeps of an execution apart from its summary."""

    state: _State
    flow_revision: int | None = None
    trigger: dict[str, Any] | None = None
    loop_run: dict[str, Any] | None = None
    labels: list[_Label] | None = None
    kind: str | None = None
    parent_id: str | None = None


class _Parts(msgspec.Struct):
    execution: dict[str, msgspec.Raw]


_decode_facts = msgspec.json.Decoder(Facts).decode
_decode_parts = msgspec.json.Decoder(_Parts).decode


class Found(NamedTuple):
    """A record in the branch. commit: the tip it was read at. body: its JSON text."""

    branch: str
    commit: str
    place: Place
    body: bytes

    @property
    def path(self) -> str:
        """The path in the branch."""
        return self.place.path

    def data(self) -> dict[str, Any]:
        """The record: {schema, execution, flow, images, runner, instance, podium}."""
        made: dict[str, Any] = _decode(self.body)
        return made

    def listed(self, *, without: Collection[str]) -> tuple[Facts, msgspec.Raw]:
        """The execution in the record without some of its fields (most of it is usually its task runs): facts, and its JSON text on one line."""
        kept = {key: text for key, text in _decode_parts(self.body).execution.items() if key not in without}
        text = msgspec.json.format(msgspec.json.encode(kept), indent=-1)
        return _decode_facts(text), msgspec.Raw(text)


class _At(NamedTuple):
    branch: str
    commit: str
    place: Place
    blob: str


class ResultsReader:
    """repository: the writer's, or any clone that has the branch. branch: its name, or the prefix of its periods."""

    def __init__(self, repository: Repository, *, branch: str = "results") -> None:
        self._repository = repository
        self._branch = branch

    def tips(self) -> list[tuple[str, str]]:
        """(branch, newest commit) of the branch or of each period, the newest first."""
        refs = self._repository.refs("refs/heads/")
        names = {ref.removeprefix("refs/heads/"): commit for ref, commit in refs.items()}
        ours = [name for name in names if name == self._branch or name.startswith(self._branch + "/")]
        return [(name, names[name]) for name in sorted(ours, reverse=True)]

    def record(self, execution_id: str, *, namespace: str | None = None, flow_id: str | None = None) -> Found | None:
        """The record of an execution as it counts now. Faster with its namespace and flow. None when it is not there (yet)."""
        found = self._versions(execution_id, namespace, flow_id, "json")
        best = max(found, key=lambda item: item.place.amend, default=None)
        return self._read(best) if best else None

    def log(self, execution_id: str, *, namespace: str | None = None, flow_id: str | None = None) -> bytes | None:
        """The task logs beside the record, as JSON lines; None when there are none."""
        found = self._versions(execution_id, namespace, flow_id, "log.jsonl")
        best = max(found, key=lambda item: item.place.amend, default=None)
        return self._repository.read(best.blob) if best else None

    def newest(
        self, *, limit: int, namespace: str | None = None, flow_id: str | None = None, day: str | None = None, before: str | None = None
    ) -> list[Found]:
        """The records created last, newest first. day: only of that one (`2026-01-31`, UTC). before: only older than this execution id."""
        found: list[Found] = []
        for hour in self._hours(day):
            places = sorted(self._of_hour(hour), key=lambda item: (item.place.execution_id, item.place.amend), reverse=True)
            for execution_id, versions in groupby(places, key=lambda item: item.place.execution_id):
                item = next(versions)
                if namespace not in (None, item.place.namespace) or flow_id not in (None, item.place.flow_id):
                    continue
                if before is None or execution_id < before:
                    found.append(self._read(item))
                    if len(found) >= limit:
                        return found
        return found

    def every(self) -> Iterator[Found]:
        """All records, oldest period first. An execution amended in a later period comes again: the later counts. Little is held in memory."""
        for branch, tip in reversed(self.tips()):
            for day in self._days(tip, EXECUTIONS):
                items = _last_versions(_At(branch=branch, commit=tip, place=place, blob=blob) for place, blob in self._records(tip, day))
                for item, body in bodies_of(self._repository, items, lambda item: item.blob):
                    yield Found(branch=branch, commit=tip, place=item.place, body=body)

    def rebuild(self, on_record: Callable[[Found], None]) -> int:
        """Call `on_record` with all records, oldest first (see `every`); how many."""
        count = 0
        for found in self.every():
            on_record(found)
            count += 1
        return count

    def syncs(self, *, limit: int) -> list[dict[str, Any]]:
        """The newest sync records (what deployed commits accepted and refused), the newest day first."""
        found: list[dict[str, Any]] = []
        for _, tip in self.tips():
            for day in reversed(list(self._days(tip, SYNCS))):
                bodies = [_decode(self._repository.read(blob)) for _, blob in self._repository.paths(tip, day)]
                found += sorted(bodies, key=lambda body: str(body.get("at", "")), reverse=True)
                if len(found) >= limit:
                    return found[:limit]
        return found

    def kv(self) -> dict[str, Any]:
        """Namespace → its key-value store, as the writer was given it."""
        for _, tip in self.tips():
            stores = [path for path, _ in self._repository.paths(tip, KV)]
            return {
                path.removeprefix(KV + "/").removesuffix(".json"): _decode(self._repository.read_path(tip, path) or b"null")
                for path in stores
            }
        return {}

    def triggers(self) -> Any:
        """Where triggers stand, as the writer was given it; None when the branch does not say."""
        for _, tip in self.tips():
            body = self._repository.read_path(tip, TRIGGERS)
            return _decode(body) if body is not None else None
        return None

    def commit_of(self, found: Found) -> CommitInfo:
        """The commit that brought a record. Walks the history: for people, not for lists."""
        log = self._repository.log(found.commit, limit=1, path=found.path)
        if not log:
            raise NotFound(f"no commit of {found.branch} brought {found.path}", hint="check the branch with: podium results verify")
        return log[0]

    # ---- helpers

    def _read(self, item: _At) -> Found:
        return Found(branch=item.branch, commit=item.commit, place=item.place, body=self._repository.read(item.blob))

    def _versions(self, execution_id: str, namespace: str | None, flow_id: str | None, kind: str) -> list[_At]:
        try:
            hour = hour_folder(id_created_at(execution_id))
        except ValueError as exc:
            raise NotFound(
                f"{execution_id!r} is no execution id", hint="an id has 22 letters and digits", execution_id=execution_id
            ) from exc
        found = []
        for branch, tip in self.tips():
            namespaces = [namespace] if namespace else self._folders(tip, hour)
            flows = [f"{hour}/{ns}/{flow}" for ns in namespaces for flow in ([flow_id] if flow_id else self._folders(tip, f"{hour}/{ns}"))]
            for folder in flows:
                chunks = [f"{folder}/{name}" for name in self._folders(tip, folder) if chunk_of(name) is not None]
                for part in (folder, *chunks):
                    for name, (_, blob) in self._repository.folder(tip, part).items():
                        place = parse(f"{part}/{name}") if name.startswith(execution_id + ".") else None
                        if place is not None and place.kind == kind:
                            found.append(_At(branch=branch, commit=tip, place=place, blob=blob))
        return found

    def _hours(self, day: str | None) -> list[str]:
        """Folders of all hours (of a day), newest first."""
        hours: set[str] = set()
        for _, tip in self.tips():
            days = [f"{EXECUTIONS}/{day.replace('-', '/')}"] if day else self._days(tip, EXECUTIONS)
            hours.update(f"{folder}/{hour}" for folder in days for hour in self._folders(tip, folder))
        return sorted(hours, reverse=True)

    def _of_hour(self, hour: str) -> Iterable[_At]:
        return chain.from_iterable(
            (_At(branch=branch, commit=tip, place=place, blob=blob) for place, blob in self._records(tip, hour))
            for branch, tip in self.tips()
        )

    def _records(self, tip: str, folder: str) -> Iterator[tuple[Place, str]]:
        for path, blob in self._repository.paths(tip, folder):
            place = parse(path) if path.endswith(".json") else None
            if place is not None:
                yield place, blob

    def _days(self, tip: str, root: str) -> Iterator[str]:
        for year in self._folders(tip, root):
            for month in self._folders(tip, f"{root}/{year}"):
                for day in self._folders(tip, f"{root}/{year}/{month}"):
                    yield f"{root}/{year}/{month}/{day}"

    def _folders(self, tip: str, path: str) -> list[str]:
        return sorted(name for name, (kind, _) in self._repository.folder(tip, path).items() if kind == "folder")


def bodies_of(repository: Repository, items: Iterable[T], blob: Callable[[T], str]) -> Iterator[tuple[T, bytes]]:
    """Each item and the content of its blob, in order; few items are on their way at once."""
    waiting: deque[T] = deque()

    def names() -> Iterator[str]:
        for item in items:
            waiting.append(item)
            yield blob(item)

    for _, body in repository.read_many(names()):
        yield waiting.popleft(), body


def _last_versions(items: Iterable[_At]) -> Iterator[_At]:
    """Of the versions of an execution, which lie side by side, the last."""
    for _, versions in groupby(items, key=lambda item: item.place.execution_id):
        yield max(versions, key=lambda item: item.place.amend)
