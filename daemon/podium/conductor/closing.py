"""What becomes of an execution that ended: its record and log for the results branch, and how it is read back from there.

The record enters the journal in the transaction that closes the execution; `records` carries it to Git from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec

from podium.base.errors import NotFound, StoreError
from podium.base.system.clock import Clock
from podium.conductor.core.round import Round
from podium.conductor.core.stream import Stream
from podium.engine import codec
from podium.engine import events as ev
from podium.engine.shape.view import engine_notes, execution_view, iso
from podium.engine.state import Execution, fold
from podium.records.layout import TRIGGERS, kv_path, log_path, record_path
from podium.records.render import render_log, render_record
from podium.store.documents import Documents
from podium.store.journal import Batch, Journal, LogRow, Outgoing, decode, encode
from podium.store.logs import Logs
from podium.store.queue import Queue
from podium.store.views import Views

STATE_DELAY_S = 2.0
"""Changes of keys and triggers are gathered this long before they are queued for the branch."""


class Branch(Protocol):
    """What the results branch offers here (records.writer, records.read)."""

    def wake(self) -> None: ...
    async def status(self) -> Mapping[str, Any]: ...
    async def body(self, execution_id: str, path: str) -> tuple[str, str, bytes] | None:
        """(path, commit, bytes) of an execution's newest record. path: where it was queued, without the chunk of its folder."""
        ...

    async def log(self, execution_id: str, path: str) -> bytes | None:
        """The task log beside its newest record, None when there is none. path: of the record."""
        ...


class Closer:
    """See the module's docstring."""

    def __init__(
        self, *, journal: Journal, documents: Documents, queue: Queue, views: Views, logs: Logs, clock: Clock, branch: Branch, instance: str,
        version: str, log_cap_bytes: int,
    ) -> None:
        self._journal = journal
        self._documents = documents
        self._queue = queue
        self._views = views
        self._logs = logs
        self._clock = clock
        self._branch = branch
        self._instance = instance
        self._version = version
        self._log_cap_bytes = log_cap_bytes
        self._namespaces: set[str] = set()
        self._triggers = False
        self._dirty = asyncio.Event()

    # ---- writing
    def close(self, turn: Round, stream: Stream) -> None:
        """Queue the record and the log of an execution that is closed now."""
        state = stream.state
        amend = state.run_number - 1
        view = {**execution_view(state, tree=stream.tree), "engine": engine_notes(state, stream.tree)}
        flow = {"source": state.source, "commit": state.commit, "path": state.path, "blob": state.blob, "revision": state.revision}
        view["engine"]["source"] = state.source
        body = render_record(
            view, flow=flow, instance=self._instance, version=self._version, images=_images(state), runner=_runner(state),
            redactor=stream.redactor,
        )
        summary = {"id": state.id, "namespace": state.namespace, "flowId": state.flow_id, "state": state.state}
        turn.batch.outgoing.append(Outgoing(path=record_of(state), body=body, kind="execution", summary=summary, stream=state.id))
        log = render_log(self._log_entries(turn, stream), cap_bytes=self._log_cap_bytes, redactor=stream.redactor)
        if log:
            path = log_path(state.id, state.namespace, state.flow_id, amend=amend)
            turn.batch.outgoing.append(Outgoing(path=path, body=log, kind="log", summary=summary, stream=state.id))

    def _log_entries(self, turn: Round, stream: Stream) -> Iterable[Mapping[str, Any]]:
        state = stream.state
        if stream.born != turn.number:
            yield from self._logs.of(state.id, limit=1_000_000)
        for row in turn.batch.logs:
            if row.execution_id == state.id:
                yield {
                    "timestamp": iso(row.at), "level": row.level, "taskId": row.task_id, "taskRunId": row.task_run_id,
                    "attemptNumber": row.attempt, "message": row.message,
                }

    def record_path(self, stream: Stream) -> str:
        """Where the record of a closed execution was queued."""
        return record_of(stream.state)

    def wake(self) -> None:
        """There is something for the branch."""
        self._branch.wake()

    def state_changed(self, namespaces: Iterable[str], *, triggers: bool) -> None:
        """Keys of these namespaces, or triggers, changed: their files on the branch are to follow (ruling 1)."""
        self._namespaces.update(namespaces)
        self._triggers = self._triggers or triggers
        self._dirty.set()

    async def run(self) -> None:
        """Queue state files as they change. Until cancelled."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(STATE_DELAY_S)
            await self.flush_state()

    async def flush_state(self) -> None:
        """Queue what changed since the last time."""
        self._dirty.clear()
        namespaces, self._namespaces = self._namespaces, set()
        triggers, self._triggers = self._triggers, False
        batch = Batch()
        for namespace in sorted(namespaces):
            entries = {each["key"]: {key: item for key, item in {**each, **each["value"]}.items() if key not in ("namespace", "key")}
                       for each in self._documents.entries("kv", namespace)}
            batch.outgoing.append(_state_file(kv_path(namespace), entries))
        if triggers:
            states = {f"{each['namespace']}/{each['key']}": each["value"] for each in self._documents.entries("trigger")}
            batch.outgoing.append(_state_file(TRIGGERS, states))
        if batch:
            await self._journal.commit(batch, self._clock.now())
            self.wake()

    # ---- reading
    async def view_of(self, execution_id: str) -> dict[str, Any]:
        """A closed execution. Raises NotFound."""
        found = await self._views.row(execution_id)
        if found is None:
            raise NotFound(f"there is no execution '{execution_id}'", hint="list them: podium executions list", execution_id=execution_id)
        record = await self._record_at(execution_id, found[1])
        if record is None:
            return {**found[0], "closed": True}
        view, flow = dict(record["body"]["execution"]), record["body"]["flow"]
        notes = view.pop("engine", {})
        return {**view, "git": {"source": notes.get("source", ""), **{key: flow.get(key) for key in ("commit", "path", "blob")}}, "closed": True}

    async def record_of(self, execution_id: str) -> dict[str, Any] | None:
        """{path, commit, body} of the newest record; commit None while it is queued. None when there is none (yet)."""
        found = await self._views.row(execution_id)
        if found is None:
            raise NotFound(f"there is no execution '{execution_id}'", hint="list them: podium executions list", execution_id=execution_id)
        return await self._record_at(execution_id, found[1])

    async def _record_at(self, execution_id: str, path: str | None) -> dict[str, Any] | None:
        if path is None:
            return None
        queued = await self._queue.body(path)
        if queued is not None:
            return {"path": path, "commit": queued[1], "body": decode(queued[0])}
        kept = await self._branch.body(execution_id, path)
        return {"path": kept[0], "commit": kept[1], "body": decode(kept[2])} if kept else None

    async def old_log(self, execution_id: str) -> list[dict[str, Any]]:
        """Log entries of an execution whose lines are not in the index (any more): those beside its record, capped as they are there."""
        found = await self._views.row(execution_id)
        body = await self._branch.log(execution_id, found[1]) if found is not None and found[1] is not None else None
        place = {key: found[0].get(key) for key in ("namespace", "flowId")} if found is not None else {}
        entries: list[dict[str, Any]] = []
        for number, line in enumerate((body or b"").splitlines(), start=1):
            entry = decode(line)
            if omitted := entry.get("omitted"):
                text = f"({omitted['lines']} lines of {omitted['bytes']} bytes are not kept with the record)"
                entry = {"level": "INFO", "timestamp": entries[-1]["timestamp"] if entries else iso(self._clock.now()), "message": text}
            entries.append({"seq": number, "executionId": execution_id, **place, **entry})
        return entries

    async def _log_back(self, execution_id: str) -> None:
        """Have the lines in the index again, so that what an execution logs from now on follows them, there and in its next record."""
        if not await self._logs.known(execution_id):
            await self._logs.append([_row(each) for each in await self.old_log(execution_id)])

    async def restored(self, execution_id: str) -> ev.ExecutionRestored:
        """The first event of a new stream, for an execution whose events were dropped. Raises NotFound."""
        await self._log_back(execution_id)
        return await self.remembered(execution_id)

    async def remembered(self, execution_id: str) -> ev.ExecutionRestored:
        """The same, to look at only."""
        record = await self.record_of(execution_id)
        if record is None:
            hint = "fetch the results branch: podium results rebuild"
            raise NotFound(f"the record of execution '{execution_id}' is not to be found", hint=hint)
        view = dict(record["body"]["execution"])
        notes = view.pop("engine", {})
        flow = {**record["body"]["flow"], "source": notes.get("source", "")}
        return ev.ExecutionRestored(at=self._clock.now(), view=view, flow=flow, notes=notes)

    async def state_of(self, execution_id: str) -> Execution:
        """The state of an execution that ended. Raises NotFound."""
        bodies = await self._journal.stream(execution_id)
        return fold(map(codec.decode, bodies)) if bodies else fold([await self.restored(execution_id)])

    async def state_to_look_at(self, execution_id: str) -> Execution:
        """The same, without making ready for more. Raises NotFound."""
        bodies = await self._journal.stream(execution_id)
        return fold(map(codec.decode, bodies)) if bodies else fold([await self.remembered(execution_id)])

    async def unpushed(self) -> tuple[int, datetime | None]:
        """How many files wait for the remote, and since when the oldest does."""
        return await self._queue.unpushed()

    async def journal_trouble(self) -> StoreError | None:
        """Why the journal cannot be written at present, or None."""
        return await self._journal.trouble()

    async def writer_status(self) -> dict[str, Any]:
        """What the writer of the branch says of itself."""
        return dict(await self._branch.status())


def record_of(state: Execution) -> str:
    """The path of an execution's record, before the writer adds its chunk."""
    return record_path(state.id, state.namespace, state.flow_id, amend=state.run_number - 1)


def _row(entry: Mapping[str, Any]) -> LogRow:
    return LogRow(
        execution_id=entry["executionId"], namespace=entry["namespace"], flow_id=entry["flowId"], at=datetime.fromisoformat(entry["timestamp"]),
        level=entry["level"], message=entry["message"], task_id=entry.get("taskId"), task_run_id=entry.get("taskRunId"),
        attempt=entry.get("attemptNumber") or 0,
    )


def _state_file(path: str, content: Mapping[str, Any]) -> Outgoing:
    return Outgoing(path=path, body=msgspec.json.format(encode(content), indent=2) + b"\n", kind="state", summary={"path": path})


def _facts(state: Execution) -> Iterable[Mapping[str, Any]]:
    return (attempt.facts for run in state.runs.values() for attempt in run.attempts if attempt.facts)


def _images(state: Execution) -> dict[str, str]:
    return {str(facts["image"]): str(facts["imageId"]) for facts in _facts(state) if facts.get("image") and facts.get("imageId")}


def _runner(state: Execution) -> str | None:
    return next((str(facts["runner"]) for facts in _facts(state) if facts.get("runner")), None)


