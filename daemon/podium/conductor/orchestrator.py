"""The face of the conductor (port.Orchestrator): what pages, API, command line and triggers may ask."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from podium.base.errors import ConflictError, InputError, NotFound, NothingToDo
from podium.base.ports import Deployment, FlowRevision, KnownFlow
from podium.base.system.clock import Clock
from podium.base.system.disk import Room
from podium.base.system.ids import new_id
from podium.conductor.closing import Closer
from podium.conductor.core.conductor import Conductor
from podium.conductor.core.requests import merge_trigger, put_kv
from podium.conductor.core.round import Round
from podium.conductor.core.stream import Stream
from podium.conductor.forms.evaluating import Evaluating
from podium.conductor.forms.forms import as_seen
from podium.conductor.limits.resting import started_by
from podium.conductor.limits.waiting import Waiting
from podium.conductor.lists.removing import Remover
from podium.conductor.port import StartRequest, View
from podium.conductor.reads import Lists, StoreReads
from podium.conductor.replaying import copied_runs
from podium.conductor.starting import Starter, labels_for
from podium.conductor.upkeep import Upkeep
from podium.engine import commands as cmd
from podium.engine.decide.kinds.approval import waiting_approval
from podium.engine.decide.lifecycle import paused_run, refuse_before_the_end
from podium.flows.model import TERMINAL, Approval, Pause
from podium.storage.files import FileStorage
from podium.storage.uris import input_file_uri
from podium.store.catalog import Catalog, known
from podium.store.documents import Documents
from podium.store.journal import Outgoing, decode
from podium.store.logs import Logs
from podium.store.views import Views


class Podium(Lists, Waiting, Remover):
    """Implements port.Orchestrator. Commands are durable when they return."""

    def __init__(
        self, *, conductor: Conductor, closer: Closer, reads: StoreReads, documents: Documents, catalog: Catalog,
        views: Views, logs: Logs, files: FileStorage, clock: Clock, version: str, runner: str,
    ) -> None:
        Lists.__init__(self, views=views, logs=logs, old_log=closer.old_log)
        Waiting.__init__(self, conductor, clock)
        self._conductor = conductor
        self._closer = closer
        self._reads = reads
        self._documents = documents
        self._catalog = catalog
        self._files = files
        self._clock = clock
        self._version = version
        self._runner = runner
        self._deploying = asyncio.Lock()
        self.source_status: Any = list
        """Set by wiring: gives the state of every source for `health`."""
        self.standby: Callable[[], bool] = lambda: False
        """Set by wiring: whether another daemon waits to take over."""
        self.starter: Starter | None = None
        """Set by wiring: the two know each other."""
        self.evaluating: Evaluating | None = None
        self.upkeep: Upkeep | None = None  # these three are set by wiring
        self.room: Room | None = None
        self.shown: Callable[[tuple[str, str, str], Mapping[str, Any] | None], dict[str, Any] | None] = _as_stored
        """Set by wiring: the state of a trigger as people see it."""

    @property
    def _start(self) -> Starter:
        assert self.starter is not None
        return self.starter

    # ---- commands
    async def start(self, request: StartRequest) -> View:
        return await self._start.start(request)

    async def wait(self, execution_id: str, *, timeout_s: float | None = None) -> View:
        return _public(await self._conductor.closed(execution_id, timeout_s))

    async def kill(self, execution_id: str, *, cascade: bool = True) -> View:
        view = await self.execution(execution_id)
        current = view["state"]["current"]
        if current in TERMINAL:
            if not cascade:
                raise ConflictError("Execution is already finished, can't kill it", hint="its state is terminal", state=current)
            await self._kill_children(execution_id)
            return await self.execution(execution_id)
        return await self._conductor.submit(execution_id, cmd.Kill(cascade=cascade))

    async def _kill_children(self, execution_id: str) -> None:
        """End what an ended execution started and did not wait for, and what that started."""
        known = [each.state.id for each in self._conductor.in_flight.values() if started_by(each.state.trigger) == execution_id]
        for child in (*known, *self._conductor.rest.children(execution_id)):
            with contextlib.suppress(ConflictError):
                await self._conductor.submit(child, cmd.Kill(cascade=True))

    async def restart(self, execution_id: str, *, revision: int | None = None) -> View:
        if revision is not None:
            return await self._again(execution_id, revision=revision, task_run_id=None, whole=False)
        await self.execution(execution_id)
        return await self._conductor.submit(execution_id, cmd.Restart())

    async def replay(
        self, execution_id: str, *, task_run_id: str | None = None, revision: int | None = None, inputs: Mapping[str, Any] | None = None,
    ) -> View:
        return await self._again(execution_id, revision=revision, task_run_id=task_run_id, whole=task_run_id is None, given=inputs)

    async def _again(
        self, execution_id: str, *, revision: int | None, task_run_id: str | None, whole: bool, given: Mapping[str, Any] | None = None
    ) -> View:
        """A new execution in the place of one that ended. whole: from the beginning, else from a task run (None: from what failed).

        given: inputs in the place of the former ones.
        """
        await self.execution(execution_id)
        state = live.state if (live := self._conductor.stream(execution_id)) is not None else await self._closer.state_of(execution_id)
        if not state.ended:
            raise ConflictError(f"execution '{execution_id}' is {state.state}", hint="wait for its end or kill it", state=state.state)
        if not whole:
            refuse_before_the_end(state)
        if state.loop is not None:
            hint = f"replay or restart the execution that holds the loop: {state.loop['executionId']}"
            raise ConflictError(f"execution '{execution_id}' is an iteration of a Loop", hint=hint, state=state.state)
        wanted = self._conductor.library.revision(state.namespace, state.flow_id, revision or state.revision)
        self._start.admit()
        new = new_id()
        tree = self._conductor.library.tree(state.namespace, state.flow_id, wanted.revision)
        runs = [] if whole else copied_runs(state, tree, new, task_run_id)
        redactor = self._start.masked_by(state)
        inputs = state.inputs if given is None else await self._start.forms.changed(wanted, new, state.inputs, given, redactor)
        labels = {key: value for key, value in state.labels.items() if key != "system.correlationId" or value != execution_id}
        return await self._conductor.submit(new, cmd.Create(
            id=new, namespace=state.namespace, flow_id=state.flow_id, revision=wanted.revision, source=state.source,
            commit=state.commit if revision is None else wanted.commit, path=wanted.path, blob=wanted.blob, inputs=inputs,
            labels=labels_for(wanted.model, labels, new), trigger=state.trigger, parent_id=execution_id, original_id=state.original_id,
            attempt_number=state.attempt_number + 1, original_created_at=state.original_created_at, copied_runs=runs,
            variables={} if whole else state.variables, masks=redactor.given,
        ))

    async def pause(self, execution_id: str) -> View:
        view = await self.execution(execution_id)
        if view["state"]["current"] in TERMINAL:
            raise ConflictError(f"execution '{execution_id}' is ended, only a RUNNING one can be paused", hint="restart or replay it")
        return await self._conductor.submit(execution_id, cmd.Pause())

    async def resume(self, execution_id: str, *, inputs: Mapping[str, Any] | None = None) -> View:
        await self.execution(execution_id)
        stream, task = self._waiting(execution_id)
        if stream is None:
            raise ConflictError(f"execution '{execution_id}' is not PAUSED", hint="only a paused execution can be resumed")
        values = await self._answers(stream, task.on_resume, inputs or {}) if task is not None else {}
        return await self._conductor.submit(execution_id, cmd.Resume(inputs=values))

    def _waiting(self, execution_id: str) -> tuple[Stream | None, Pause | None]:
        """An execution in flight and the Pause of it that a resume would end."""
        stream = self._conductor.stream(execution_id)
        run = paused_run(stream.tree, stream.state) if stream is not None and not stream.state.notes.get("held") else None
        task = stream.tree.task(run.task_id) if stream is not None and run is not None else None
        return stream, task if isinstance(task, Pause) else None

    async def review(
        self, execution_id: str, decision: Literal["APPROVED", "DENIED"], *, by: str = "", comment: str | None = None,
        inputs: Mapping[str, Any] | None = None, task_run_id: str | None = None,
    ) -> View:
        await self.execution(execution_id)
        stream = self._conductor.stream(execution_id)
        run = waiting_approval(stream.tree, stream.state, task_run_id) if stream is not None else None
        if stream is None or run is None:
            raise ConflictError(f"no approval of execution '{execution_id}' waits for a decision", hint="it was decided, or is not reached yet")
        task = stream.tree.task(run.task_id)
        assert isinstance(task, Approval)
        values = await self._answers(stream, task.inputs, inputs or {}) if decision == "APPROVED" or inputs else {}
        return await self._conductor.submit(
            execution_id, cmd.Review(run_id=run.id, decision=decision, by=by, comment=comment, inputs=values)
        )

    async def _answers(self, stream: Stream, declared: Sequence[Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a form that a waiting task shows. Raises InputError."""
        if not declared:
            return {}
        state = stream.state
        revision = self._conductor.library.revision(state.namespace, state.flow_id, state.revision)
        return await self._start.forms.answers(declared, revision, state.id, inputs, stream.redactor)

    async def change_status(self, execution_id: str, state: str) -> View:
        await self.execution(execution_id)
        return await self._conductor.submit(execution_id, cmd.ChangeStatus(state=state))

    async def change_task_run_state(self, execution_id: str, task_run_id: str, state: str) -> View:
        await self.execution(execution_id)
        return await self._conductor.submit(execution_id, cmd.SetRunState(run_id=task_run_id, state=state))

    async def set_labels(self, execution_id: str, labels: Mapping[str, str]) -> View:
        view = await self.execution(execution_id)
        if view["state"]["current"] not in TERMINAL:
            raise ConflictError("labels can be set on a terminated execution only", hint="wait for its end")
        if any(key.startswith("system.") for key in labels):
            raise InputError("system labels cannot be set", hint="use a key that does not begin with 'system.'", input="labels")
        return await self._conductor.submit(execution_id, cmd.SetLabels(labels=dict(labels)))

    async def force_run(self, execution_id: str) -> View:
        view = await self.execution(execution_id)
        if view["state"]["current"] == "PAUSED":
            return await self.resume(execution_id)
        if view["state"]["current"] in TERMINAL:
            raise NothingToDo("a terminated execution cannot be forced to run", hint="restart or replay it")
        return await self._conductor.submit(execution_id, cmd.Begin(force=True))

    async def unqueue(self, execution_id: str, *, state: Literal["RUNNING", "CANCELLED", "FAILED"] = "RUNNING") -> View:
        view = await self.execution(execution_id)
        current = view["state"]["current"]
        if current != "QUEUED":
            raise NothingToDo(f"Only QUEUED execution can be unqueued, this one is {current}", hint="force-run begins any that waits", state=current)
        return await self._conductor.submit(execution_id, cmd.Begin(force=True, instead=None if state == "RUNNING" else state))

    async def validate_inputs(self, request: StartRequest) -> list[dict[str, Any]]:
        revision = self._conductor.library.newest(request.namespace, request.flow_id)
        return [as_seen(each) for each in await self._start.forms.examine(revision, request.inputs)]

    async def validate_checks(self, request: StartRequest) -> list[dict[str, Any]]:
        revision = self._conductor.library.newest(request.namespace, request.flow_id)
        failing = await self._start.forms.examine_checks(revision, await self._start.forms.examine(revision, request.inputs))
        return [{"message": each.message, "style": each.style, "behavior": each.behavior} for each in failing]

    async def validate_answers(self, execution_id: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        await self.execution(execution_id)
        stream, task = self._waiting(execution_id)
        if stream is None or task is None:
            raise ConflictError(f"execution '{execution_id}' is not PAUSED", hint="only a paused execution can be resumed")
        revision = self._conductor.library.revision(stream.state.namespace, stream.state.flow_id, stream.state.revision)
        return [as_seen(each) for each in await self._start.forms.examine(revision, inputs, task.on_resume)]

    async def deploy(self, deployment: Deployment) -> None:
        async with self._deploying:
            state = {
                "source": deployment.source, "commit": deployment.commit, "at": deployment.at.isoformat(), "held": deployment.held,
                "rejected": [dict(each) for each in deployment.rejected], "sync": decode(deployment.sync_body), "path": deployment.sync_path,
            }
            outgoing = Outgoing(
                path=deployment.sync_path, body=deployment.sync_body, kind="sync",
                summary={"source": deployment.source, "commit": deployment.commit, "accepted": len(deployment.accepted),
                         "removed": len(deployment.removed), "rejected": len(deployment.rejected)},
            )
            await self._catalog.deploy(deployment, state, outgoing)
            self._conductor.library.apply(deployment)
        self._conductor.limits_changed()
        self._conductor.live.publish([{"kind": "flows", "source": deployment.source, "commit": deployment.commit}])
        self._closer.wake()

    async def remember_trigger(self, namespace: str, flow_id: str, trigger_id: str, state: Mapping[str, Any]) -> None:
        def enter(turn: Round) -> None:
            merge_trigger(turn, self._documents, namespace=namespace, flow_id=flow_id, trigger_id=trigger_id, state=state)

        await self._conductor.write(enter)

    # ---- reading executions
    async def execution(self, execution_id: str) -> View:
        return self.with_reasons(_public(await self._conductor.view(execution_id)))

    async def evaluate(self, execution_id: str, expression: str, *, task_run_id: str | None = None) -> dict[str, Any]:
        assert self.evaluating is not None
        return await self.evaluating.evaluate(execution_id, expression, task_run_id)

    async def namespace_of(self, execution_id: str) -> str | None:
        stream = self._conductor.stream(execution_id)
        if stream is not None:
            return stream.state.namespace
        found = self._reads.execution(execution_id)
        return str(found["namespace"]) if found is not None else None

    async def record(self, execution_id: str) -> dict[str, Any] | None:
        return await self._closer.record_of(execution_id)

    # ---- reading flows
    def flows(self, *, namespace: str | None = None, query: str | None = None) -> list[FlowRevision]:
        found = self._conductor.library.flows()
        if namespace:
            found = [each for each in found if each.namespace == namespace or each.namespace.startswith(namespace + ".")]
        if query:
            text = query.lower()
            found = [each for each in found if text in f"{each.namespace}.{each.flow_id}".lower()]
        return found

    async def flow(self, namespace: str, flow_id: str, *, revision: int | None = None) -> FlowRevision:
        library = self._conductor.library
        return library.newest(namespace, flow_id) if revision is None else library.revision(namespace, flow_id, revision)

    async def revisions(self, namespace: str, flow_id: str) -> list[KnownFlow]:
        return [known(each) for each in await self._catalog.revisions(namespace, flow_id)]

    def known_flows(self) -> Mapping[tuple[str, str], KnownFlow]:
        return self._conductor.library.known()

    async def syncs(self, *, limit: int = 20) -> list[dict[str, Any]]:
        return [each["sync"] for each in self._documents.newest_syncs(limit)]

    def rejected(self) -> list[dict[str, Any]]:
        return [
            {"source": each["value"]["source"], "commit": each["value"]["commit"], **problem}
            for each in self._documents.entries("source") for problem in each["value"]["rejected"]
        ]

    # ---- small state
    async def trigger_state(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any] | None:
        state = self._documents.get("trigger", namespace, f"{flow_id}/{trigger_id}")
        return self.shown((namespace, flow_id, trigger_id), state)

    def upcoming(self, *, limit: int) -> list[dict[str, Any]]:
        return self._documents.upcoming(limit)

    async def kv(self, namespace: str, key: str) -> dict[str, Any] | None:
        entry = self._reads.kv(namespace, key)
        return dict(entry) if entry is not None else None

    async def kv_list(self, namespace: str) -> list[dict[str, Any]]:
        return self._reads.kv_entries(namespace)

    async def kv_put(self, namespace: str, key: str, value: Any, *, kind: str | None = None, ttl_s: float | None = None) -> None:
        await self._conductor.write(lambda turn: put_kv(turn, namespace, key, value, kind=kind, ttl_s=ttl_s))

    async def kv_delete(self, namespace: str, key: str) -> bool:
        there = self._reads.kv(namespace, key) is not None
        await self._conductor.write(lambda turn: turn.drop_kv(namespace, key))
        return there

    # ---- files
    async def store_upload(self, namespace: str, flow_id: str, input_id: str, filename: str, data: bytes | Path) -> str:
        upload = new_id()
        if self.upkeep is not None:
            await self.upkeep.uploaded(namespace, flow_id, upload)
        uri = input_file_uri(namespace, flow_id, upload, input_id=input_id, name=filename)
        return await asyncio.to_thread(self._files.put, uri, data)

    async def read_file(self, uri: str, *, offset: int = 0, length: int | None = None) -> bytes:
        return await asyncio.to_thread(self._read, uri, offset, length)

    def _read(self, uri: str, offset: int, length: int | None) -> bytes:
        if not self._files.exists(uri):
            raise NotFound(f"there is no file at {uri}", hint="it may have been removed by retention", uri=uri)
        with self._files.open(uri) as stream:
            stream.seek(offset)
            return bytes(stream.read() if length is None else stream.read(length))

    async def file_size(self, uri: str) -> int:
        if not await asyncio.to_thread(self._files.exists, uri):
            raise NotFound(f"there is no file at {uri}", hint="it may have been removed by retention", uri=uri)
        return await asyncio.to_thread(self._files.size, uri)

    async def collect_garbage(self, *, dry: bool = False) -> dict[str, int]:
        assert self.upkeep is not None
        return asdict(await self.upkeep.once(dry=dry, sweep=True))

    # ---- watching
    async def health(self) -> dict[str, Any]:
        broken = await self._closer.journal_trouble()
        if broken is None and self.room is not None and self.room.full:
            broken = self.room.trouble
        journal = {"error": broken.what if broken else None, "hint": broken.hint if broken else None}
        count, oldest = await self._closer.unpushed()
        age = (self._clock.now() - oldest).total_seconds() if oldest else 0.0
        running = sum(1 for each in self._conductor.in_flight.values() if each.state.state not in ("CREATED", "QUEUED"))
        sources = self.source_status()
        low = self.room is not None and self.room.low
        results = await self._closer.writer_status()
        troubled = age > UNPUSHED_TOO_LONG_S or low or bool(results.get("held")) or any(each.get("error") for each in sources)
        free, least = self.room.look() if self.room is not None else (0, 0)
        return {
            "status": "DOWN" if broken else "DEGRADED" if troubled else "UP", "journal": journal, "version": self._version, "runner": self._runner,
            "flows": len(self._conductor.library),
            "unpushed": {"count": count, "oldestSeconds": round(age, 3)},
            "executions": {"running": running, "queued": len(self._conductor.in_flight) - running + len(self._conductor.rest)},
            "taskRuns": dict(self._conductor.ended_runs), "queueDepth": self._conductor.queue_depth, "waiting": self.queue(), "sources": sources,
            "disk": {"freeBytes": free, "leastBytes": least, "low": low},
            "results": results, "standby": self.standby(),
        }

    def subscribe(self, *, after_seq: int | None = None) -> AsyncIterator[dict[str, Any]]:
        return self._conductor.live.listen(after_seq)


UNPUSHED_TOO_LONG_S = 300.0
"""Records that wait longer than this for the remote make the daemon DEGRADED."""


def _as_stored(_place: tuple[str, str, str], state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(state) if state is not None else None


def _public(view: View) -> View:
    """Without what only the conductor's own rooms need: whether the record may be written."""
    view.pop("closed", None)
    return view
