"""What expressions and inline tasks may read (base/ports.Reads): memory, the round in the making, then one indexed query.

A task sees what the tasks before it wrote, also when all of them run in one round that is not on disk yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from podium.base.errors import InputError
from podium.base.limits import DEEP_MAX
from podium.base.system.clock import Clock
from podium.conductor.core.round import Round
from podium.conductor.lists.figures import IndexFigures
from podium.conductor.port import Listed, View
from podium.engine.shape.view import iso
from podium.store.documents import CLEARED, Documents
from podium.store.finding import Asked
from podium.store.journal import LEVELS, LogRow, decode
from podium.store.logs import Logs
from podium.store.views import Views


class StoreReads:
    """See the module's docstring. `turn` is set by the conductor while it decides."""

    def __init__(self, *, documents: Documents, logs: Logs, views: Views, clock: Clock) -> None:
        self._documents = documents
        self._logs = logs
        self._views = views
        self._clock = clock
        self.turn: Round | None = None
        self.in_flight: Callable[[str], Mapping[str, Any] | None] = lambda _: None

    def _pending(self, kind: str, namespace: str, key: str) -> tuple[bool, Any]:
        turn = self.turn
        document = turn.pending.get((kind, namespace, key)) if turn is not None else None
        if document is None:
            return False, None
        expired = document.expires_at is not None and document.expires_at <= self._clock.now()
        return True, None if expired else document.value

    def kv(self, namespace: str, key: str) -> Mapping[str, Any] | None:
        """See base/ports.Reads."""
        found, value = self._pending("kv", namespace, key)
        if found:
            now = iso(self._clock.now())
            return None if value is None else {"namespace": namespace, "key": key, "creationDate": now, "updateDate": now, **value}
        entry = self._documents.entry("kv", namespace, key)
        return None if entry is None else {**entry, **entry["value"]}

    def kv_keys(self, namespace: str, prefix: str = "") -> list[str]:
        """See base/ports.Reads."""
        keys = {each["key"] for each in self._documents.entries("kv", namespace, prefix=prefix)}
        for (kind, space, key), document in (self.turn.pending if self.turn else {}).items():
            if kind == "kv" and space == namespace and key.startswith(prefix):
                (keys.discard if document.value is None else keys.add)(key)
        return sorted(keys)

    def kv_entries(self, namespace: str | None, *, children: bool = False, expired: bool = False) -> list[dict[str, Any]]:
        """See base/ports.Reads."""
        return [{**each, **each["value"]} for each in self._documents.entries("kv", namespace, children=children, expired=expired)]

    def document(self, kind: str, namespace: str, key: str) -> Any:
        """See base/ports.Reads."""
        found, value = self._pending(kind, namespace, key)
        return value if found else self._documents.get(kind, namespace, key)

    def logs(
        self, execution_id: str, *, min_level: str = "TRACE", task_ids: Sequence[str] = (), attempt: int | None = None, limit: int = 10_000
    ) -> list[dict[str, Any]]:
        """See base/ports.Reads."""
        stored = self._logs.of(execution_id, min_level=min_level, task_ids=task_ids, attempt=attempt, limit=limit)
        fresh = [
            _entry(row) for row in (list(self.turn.batch.logs) if self.turn else [])
            if row.execution_id == execution_id and LEVELS[row.level] >= LEVELS[min_level] and (not task_ids or row.task_id in task_ids)
            and attempt in (None, row.attempt)
        ]
        return [*stored, *fresh][:limit]

    def count_executions(
        self, *, namespace: str | None, flow_id: str | None, states: Sequence[str], start: datetime, end: datetime | None
    ) -> int:
        """See base/ports.Reads."""
        return self._views.count(namespace=namespace, flow_id=flow_id, states=states, start=start, end=end)

    def execution(self, execution_id: str) -> Mapping[str, Any] | None:
        """See base/ports.Reads."""
        return self.in_flight(execution_id) or self._views.summary(execution_id)

    def purgeable(
        self, *, namespace: str | None, flow_id: str | None, states: Sequence[str], levels: Sequence[str], start: datetime | None, end: datetime,
        lines: bool = False,
    ) -> Mapping[str, int]:
        """See base/ports.Reads."""
        filters = {"namespace": namespace, "flow_id": flow_id, "states": states, "after": start, "before": end}
        return {"files": 0, **self._views.purgeable(filters, [LEVELS[each] for each in levels], lines=lines)}


class Lists(IndexFigures):
    """What the index gives to pages, API and commands: a part of the Orchestrator."""

    def __init__(self, *, views: Views, logs: Logs, old_log: Callable[[str], Awaitable[list[dict[str, Any]]]]) -> None:
        """old_log: log entries of an execution of which the index has no line."""
        self._views = views
        self._logs = logs
        self.old_log = old_log

    async def executions(
        self, *, namespace: str | None = None, flow_id: str | None = None, states: Sequence[str] = (), labels: Mapping[str, str] | None = None,
        query: str | None = None, started_after: datetime | None = None, started_before: datetime | None = None,
        trigger_execution_id: str | None = None, page: int = 1, size: int = 25, sort: str = "startDate:desc",
        namespaces: Collection[str] | None = None,
    ) -> tuple[list[View], int]:
        filters = {
            "namespace": namespace, "flow_id": flow_id, "states": list(states), "labels": labels, "query": query, "after": started_after,
            "before": started_before, "parent": trigger_execution_id, "namespaces": namespaces,
        }
        listed = await self._find(filters, Asked(page=page, size=size, sort=sort))
        return listed.found, listed.total

    async def list_executions(
        self, *, after: str | None = None, page: int = 1, size: int = 25, sort: str = "startDate:desc", **wanted: Any
    ) -> Listed:
        names = {"started_after": "after", "started_before": "before", "trigger_execution_id": "parent"}
        filters = {names.get(name, name): value for name, value in wanted.items()}
        return await self._find(filters, Asked(page=page, size=size, sort=sort, after=after))

    async def _find(self, filters: Mapping[str, Any], asked: Asked) -> Listed:
        if asked.page * asked.size > DEEP_MAX + asked.size:
            hint = "go on with `after` and the id of the last one, or narrow the list by date"
            raise InputError(f"pages reach {DEEP_MAX} executions deep", hint=hint, input="page")
        if asked.after and asked.column:
            raise InputError("`after` goes with the order of time only", hint="sort by startDate, or leave `after` out", input="after")
        try:
            page = await self._views.find(filters, asked)
        except ValueError as error:
            raise InputError(f"'{str(asked.after)[:40]}' is no execution", hint="give the `next` of the page before", input="after") from error
        return Listed(found=[decode(row[0]) for row in page.rows], total=page.total, at_least=page.at_least, next=page.next)

    async def recent_executions(self, flows: Sequence[tuple[str, str]], *, most: int) -> dict[tuple[str, str], list[View]]:
        return await self._views.recent(flows, most)

    async def tally(
        self, *, start: datetime, end: datetime, steps: int, namespace: str | None = None, flow_id: str | None = None,
        namespaces: Sequence[str] | None = None,
    ) -> list[dict[str, int]]:
        return await self._views.tally(start=start, end=end, steps=steps, namespace=namespace, flow_id=flow_id, namespaces=namespaces)

    async def reasons(self, executions: Sequence[View]) -> dict[str, str]:
        return await self._logs.reasons([(each["id"], each["namespace"], each["flowId"], each["state"]["startDate"]) for each in executions])

    async def last_executions(self, flows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], View]:
        return await self._views.last_of(flows)

    async def logs(
        self, execution_id: str, *, after_seq: int = 0, min_level: str = "TRACE", task_id: str | None = None, task_run_id: str | None = None,
        attempt: int | None = None, limit: int = 10_000,
    ) -> list[dict[str, Any]]:
        found = await asyncio.to_thread(
            self._logs.of, execution_id, after_seq=after_seq, min_level=min_level, task_ids=[task_id] if task_id else [],
            task_run_id=task_run_id, attempt=attempt, limit=limit,
        )
        if found or await self._logs.known(execution_id) or self._documents.get(CLEARED, "", execution_id):
            return found
        wanted = {"taskId": task_id, "taskRunId": task_run_id, "attemptNumber": attempt}
        return [
            each for each in await self.old_log(execution_id)
            if each["seq"] > after_seq and LEVELS[each["level"]] >= LEVELS[min_level]
            and all(value is None or each.get(name) == value for name, value in wanted.items())
        ][:limit]

    async def log_index(self, execution_id: str, *, every: int, **only: Any) -> tuple[int, list[int]]:
        if await self._logs.known(execution_id):
            return await self._logs.index(execution_id, every=every, **_asked(only))
        entries = await self.logs(execution_id, limit=1_000_000, **only)
        return len(entries), [0, *(each["seq"] for each in entries[every - 1 : -1 : every])]

    async def log_find(self, execution_id: str, text: str, *, limit: int, **only: Any) -> list[tuple[int, int]]:
        if await self._logs.known(execution_id):
            return await self._logs.find(execution_id, text, limit=limit, **_asked(only))
        entries = enumerate(await self.logs(execution_id, limit=1_000_000, **only))
        return [(number, each["seq"]) for number, each in entries if text.lower() in each["message"].lower()][:limit]

    async def search_logs(
        self, *, namespace: str | None = None, flow_id: str | None = None, query: str | None = None, min_level: str = "TRACE",
        started_after: datetime | None = None, started_before: datetime | None = None, page: int = 1, size: int = 25,
        namespaces: Collection[str] | None = None,
    ) -> tuple[list[dict[str, Any]], int]:
        filters = {
            "namespaces": namespaces, "namespace": namespace, "flow_id": flow_id, "query": query, "min_level": min_level, "after": started_after,
            "before": started_before,
        }
        return await self._logs.search(filters, page=page, size=size)

    async def metrics(self, execution_id: str) -> list[dict[str, Any]]:
        return await self._views.metrics(execution_id)


def _asked(only: Mapping[str, Any]) -> dict[str, Any]:
    """What `logs` takes, as the store takes it."""
    task_id = only.get("task_id")
    return {**{key: value for key, value in only.items() if key != "task_id"}, "task_ids": [task_id] if task_id else []}


def _entry(row: LogRow) -> dict[str, Any]:
    entry = {
        "executionId": row.execution_id, "namespace": row.namespace, "flowId": row.flow_id, "taskId": row.task_id, "taskRunId": row.task_run_id,
        "attemptNumber": row.attempt, "timestamp": iso(row.at), "level": row.level, "message": row.message,
    }
    return {key: value for key, value in entry.items() if value is not None}
