"""Makes executions: a flow is found, its inputs resolved and checked, its labels put together, and a Create is submitted.

Nothing is journaled for a request that is refused. Source: flow-language 1.9, 1.10, 2.3, 5.9; ruling 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.base.access.actor import who_acts
from podium.base.durations import parse_duration
from podium.base.errors import ConflictError, ExpressionError, FlowDisabled, FlowError, InputError, LimitError, NotFound, PodiumError
from podium.base.limits import SUBFLOW_DEPTH_MAX
from podium.base.ports import FlowRevision
from podium.base.redact import Redactor
from podium.base.system.clock import Clock
from podium.base.system.ids import new_id
from podium.conductor.core.conductor import Conductor
from podium.conductor.core.requests import merge_trigger
from podium.conductor.core.round import Round
from podium.conductor.core.stream import Stream
from podium.conductor.forms.forms import Forms, stopped_by, undeclared
from podium.conductor.port import StartRequest, View
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.decide.decision import attempt_id
from podium.engine.decide.kinds.many import loop_of
from podium.engine.decide.tasks import retry_id
from podium.engine.questions import parse_moment
from podium.engine.state import Execution, TaskRun
from podium.flows.model import Flow
from podium.rendering.renderer import Renderer
from podium.storage.crypto import Cipher
from podium.storage.files import FileStorage
from podium.store.documents import Documents
from podium.store.journal import Journal

CORRELATION = "system.correlationId"
USERNAME = "system.username"


class Starter:
    """Every way in starts executions through this."""

    def __init__(
        self, *, conductor: Conductor, journal: Journal, documents: Documents, renderer: Renderer, files: FileStorage, cipher: Cipher, clock: Clock,
        existing: Callable[[str], Any], allowed_paths: Sequence[Path] | None = (),
    ) -> None:
        """existing: reads an execution's view by id; raises NotFound.

        allowed_paths: directories of this machine whose files may be given as FILE inputs; None: all, for the person at the keyboard.
        """
        self._conductor = conductor
        self._journal = journal
        self._documents = documents
        self._clock = clock
        self._cipher = cipher
        self._existing = existing
        self.forms = Forms(
            renderer=renderer, files=files, cipher=cipher, commit_of=lambda flow: self._commit(flow, None), allowed_paths=allowed_paths
        )
        self._starting: dict[str, asyncio.Future[View]] = {}
        self.admit: Callable[[], None] = lambda: None
        """Set by wiring: raises StoreError while there is too little room for a new execution."""

    async def start(self, request: StartRequest) -> View:
        """Create an execution; its view once that is on disk. See conductor/port for what is raised."""
        if request.dedupe_key is None:
            return await self._start(request)
        under_way = self._starting.get(request.dedupe_key)
        if under_way is not None:
            first = await asyncio.shield(under_way)
            return {**first, "duplicate": True}
        done: asyncio.Future[View] = asyncio.get_running_loop().create_future()
        self._starting[request.dedupe_key] = done
        try:
            view = await self._start(request)
        except BaseException as error:
            done.set_exception(error if isinstance(error, PodiumError) else ConflictError("the first request failed", hint="send it again"))
            done.exception()
            raise
        else:
            done.set_result(view)
            return view
        finally:
            del self._starting[request.dedupe_key]

    async def _start(self, request: StartRequest) -> View:
        if request.trigger is None and not request.by and (by := who_acts()):
            request = replace(request, by=by)
        if request.dedupe_key is not None:
            known = self._journal.dedupe(request.dedupe_key)
            if known is not None:
                if request.cursor is not None:
                    await self.remember(request)
                try:
                    return {**await self._existing(known), "duplicate": True}
                except NotFound as error:
                    what = f"this was handled before: execution '{known}' was started for it and has been purged since"
                    raise ConflictError(what, hint="send it under a new delivery id to run it again", execution_id=known) from error
        self.admit()
        self._conductor.refuse_when_behind((request.namespace, request.flow_id))
        execution_id = new_id()
        command = await self.prepare(request, execution_id)
        return await self._conductor.submit(execution_id, command, self._extra(request, execution_id))

    async def prepare(self, request: StartRequest, execution_id: str) -> cmd.Create:
        """The command that makes this execution, its inputs resolved and checked. Raises FlowNotFound, FlowDisabled, InputError."""
        revision = self._find(request.namespace, request.flow_id, request.revision)
        failed_because = request.failed_because
        inputs: dict[str, Any] = {}
        warnings: list[str] = []
        redactor = Redactor(request.masks)
        try:
            _refuse_system_labels(request.labels)
            inputs = await self.forms.inputs(revision, execution_id, request.inputs, redactor)
            warnings = undeclared(revision, request.inputs)
            if failed_because is None:
                failed_because = stopped_by(failing := await self.forms.failing_checks(revision, execution_id, inputs))
                warnings += [f"a check of the flow fails: {check.message}" for check in failing]
        except InputError as error:
            if not request.fail_on_bad_inputs:
                raise
            failed_because = failed_because or error.what
        return cmd.Create(
            id=execution_id, namespace=revision.namespace, flow_id=revision.flow_id, revision=revision.revision, source=revision.source,
            commit=self._commit(revision, request.revision), path=revision.path, blob=revision.blob, inputs=inputs,
            labels=labels_for(revision.model, request.labels, execution_id, request.by), trigger=request.trigger, schedule_date=request.schedule_date,
            failed_because=failed_because and redactor.text(failed_because), warnings=warnings, masks=redactor.given,
        )

    def _commit(self, revision: FlowRevision, asked: int | None) -> str:
        """The commit an execution is pinned to: the source's newest, for a revision asked for by number the one that brought it."""
        newest = self._conductor.library.commits.get(revision.source, revision.commit)
        return revision.commit if asked is not None else newest

    def _extra(self, request: StartRequest, execution_id: str) -> Callable[[Round], None]:
        def enter(turn: Round) -> None:
            if request.dedupe_key is not None:
                turn.batch.dedupe.append((request.dedupe_key, execution_id))
            self._cursor(turn, request, execution_id)

        return enter

    def _cursor(self, turn: Round, request: StartRequest, execution_id: str | None) -> None:
        if request.cursor is not None and request.trigger is not None:
            state = {**request.cursor, **({"executionId": execution_id} if execution_id else {})}
            merge_trigger(
                turn, self._documents, namespace=request.namespace, flow_id=request.flow_id, trigger_id=str(request.trigger["id"]), state=state,
            )

    async def remember(self, request: StartRequest) -> None:
        """Store only the cursor of a request whose execution exists."""
        await self._conductor.write(lambda turn: self._cursor(turn, request, None))

    def _find(self, namespace: str, flow_id: str, revision: int | None) -> FlowRevision:
        library = self._conductor.library
        found = library.newest(namespace, flow_id) if revision is None else library.revision(namespace, flow_id, revision)
        if found.model.disabled:
            raise FlowDisabled(
                f"Cannot execute a flow which is disabled: '{namespace}.{flow_id}'", hint="remove `disabled: true` and push", namespace=namespace,
                flow_id=flow_id,
            )
        return found

    # ---- other executions
    async def child(self, run: TaskRun, effect: fx.StartSubflow) -> tuple[str, View | None]:
        """The id that the child of a task run has, and the execution (with `closed` when it ended); None when it is to be made."""
        execution_id = effect.execution_id
        if effect.fresh is not None:
            restarted = await self._restarted(run, execution_id)
            if restarted is not None:
                return execution_id, restarted
            execution_id = effect.fresh
        try:
            return execution_id, dict(await self._existing(execution_id))
        except NotFound:
            return execution_id, None

    async def start_iteration(self, parent: Stream, run: TaskRun, execution_id: str, index: int) -> View:
        """The execution of one item of a Loop: of the same flow and revision, with the same inputs, labels and variables."""
        state = parent.state
        _refuse_depth(state.depth)
        return await self._conductor.submit(execution_id, cmd.Create(
            id=execution_id, namespace=state.namespace, flow_id=state.flow_id, revision=state.revision, source=state.source,
            commit=state.commit, path=state.path, blob=state.blob, inputs=state.inputs, labels=state.labels, variables=state.variables,
            trigger=state.trigger, depth=state.depth + 1, loop=loop_of(state, run, index), masks=parent.redactor.given,
        ), asked=False)

    async def start_child(
        self, parent: Stream, run: TaskRun, execution_id: str, request: Mapping[str, Any], index: int | None = None
    ) -> View:
        """The execution of a Subflow task, or (with an index) of one batch of a ForEachItem."""
        _refuse_depth(parent.state.depth)
        namespace, flow_id = str(request["namespace"]), str(request["flowId"])
        wanted = request.get("revision")
        try:
            revision = self._find(namespace, flow_id, wanted)
        except FlowDisabled:
            raise
        except FlowError as error:
            raise FlowError(
                f"Unable to find flow '{namespace}'.'{flow_id}' with revision '{wanted or 'latest'}'", hint="is it deployed?"
            ) from error
        given = request.get("inputs") or {}
        _refuse_system_labels(request.get("labels") or {})
        redactor = Redactor(parent.redactor.given)
        inputs = await self.forms.inputs(revision, execution_id, given, redactor)
        task = parent.tree.task(run.task_id)
        state = parent.state
        inherited = {key: value for key, value in state.labels.items() if request["inheritLabels"] or key.startswith("system.")}
        labels = {**inherited, **{key: str(value) for key, value in (request.get("labels") or {}).items()}}
        date = request.get("scheduleDate")
        return await self._conductor.submit(execution_id, cmd.Create(
            id=execution_id, namespace=namespace, flow_id=flow_id, revision=revision.revision, source=revision.source,
            commit=state.commit if state.source == revision.source and wanted is None else self._commit(revision, wanted), path=revision.path,
            blob=revision.blob, inputs=inputs, labels=labels_for(revision.model, labels, execution_id), depth=state.depth + 1,
            schedule_date=parse_moment(date) if date else None, warnings=undeclared(revision, given), masks=redactor.given,
            trigger={
                "id": run.task_id, "type": task.type if task else "", "taskRunId": run.id, **({} if index is None else {"index": index}),
                **({"depth": depth} if (depth := chain_depth(state.trigger)) else {}),
                "variables": {"executionId": state.id, "namespace": state.namespace, "flowId": state.flow_id, "flowRevision": state.revision},
            },
        ), asked=False)

    async def _restarted(self, run: TaskRun, execution_id: str) -> View | None:
        """The failed child of a task that is restarted, restarted too, once for each attempt; None when it has to be made anew."""
        key = f"restart:{attempt_id(run.id, len(run.attempts))}"
        try:
            view = dict(await self._existing(execution_id))
            if view["state"]["current"] in ("FAILED", "KILLED", "CANCELLED") and self._journal.dedupe(key) is None:
                return await self._conductor.submit(
                    execution_id, cmd.Restart(), lambda turn: turn.batch.dedupe.append((key, execution_id)), asked=False
                )
        except (ConflictError, NotFound, FlowError):
            return None
        return view

    def call(self, loop: asyncio.AbstractEventLoop, **options: Any) -> Any:
        """The function `subflow()` of expressions: run a flow to its end, from a worker thread: {id, state, outputs, labels}.

        masks: see StartRequest. Raises ExpressionError when it does not end well.
        """
        timeout_s = parse_duration(options.get("timeout") or "PT1H").total_seconds()
        request = StartRequest(
            namespace=str(options["namespace"]), flow_id=str(options["id"]), revision=options.get("revision"), inputs=options.get("inputs") or {},
            labels=options.get("labels") or {}, masks=options.get("masks") or (),
        )

        async def run() -> View:
            view = await self.start(request)
            return await self._conductor.closed(view["id"], timeout_s)

        ended = asyncio.run_coroutine_threadsafe(run(), loop).result()
        if ended["state"]["current"] not in ("SUCCESS", "WARNING"):
            raise ExpressionError(
                f"the subflow {request.namespace}.{request.flow_id} ended {ended['state']['current']}", hint=f"look at execution {ended['id']}"
            )
        return {
            "id": ended["id"], "state": ended["state"]["current"], "outputs": ended.get("outputs") or {},
            "labels": {each["key"]: each["value"] for each in ended.get("labels") or ()},
        }

    def once_more(self, stream: Stream, due: datetime) -> cmd.Create:
        """A new execution in place of one that failed (retry with CREATE_NEW_EXECUTION), begun at `due`. Its id follows from the old one."""
        state = stream.state
        return cmd.Create(
            id=retry_id(state.id, state.attempt_number, state.history[-1][1]), namespace=state.namespace, flow_id=state.flow_id,
            revision=state.revision, source=state.source, commit=state.commit, path=state.path, blob=state.blob, inputs=state.inputs,
            labels=state.labels, trigger=state.trigger, parent_id=state.id, original_id=state.original_id,
            attempt_number=state.attempt_number + 1, original_created_at=state.original_created_at, schedule_date=due, depth=state.depth,
            loop=state.loop, masks=stream.redactor.given,
        )

    def masked_by(self, state: Execution) -> Redactor:
        """What masks the values of an execution that ended, for one that takes them over."""
        return Redactor(map(self._cipher.decrypt, state.secrets))


def _refuse_depth(depth: int) -> None:
    if depth >= SUBFLOW_DEPTH_MAX:
        raise LimitError(f"subflows are nested more than {SUBFLOW_DEPTH_MAX} deep", hint="does the flow call itself?", limit="SUBFLOW_DEPTH_MAX")


def chain_depth(trigger: Mapping[str, Any] | None) -> int:
    """How many flow triggers in a row led to an execution that this started it; a subflow counts as what it is a part of."""
    depth = (trigger or {}).get("depth", 0)
    return depth if isinstance(depth, int) else 0


def _refuse_system_labels(labels: Mapping[str, Any]) -> None:
    """Callers may say what an execution belongs to, and no other system label. Source: flow-language 1.10."""
    for key, value in labels.items():
        if key.startswith("system.") and key != CORRELATION:
            what = f"System labels can only be set by Kestra itself, offending label: {key}={value}"
            raise InputError(what, hint="use a key that does not begin with 'system.'", input="labels")


def labels_for(flow: Flow, supplied: Mapping[str, str], execution_id: str, by: str | None = None) -> dict[str, str]:
    """Labels of a new execution: the flow's, those supplied, a correlation id, and the account that asked for it. Source: flow-language 1.10.

    by: None is who acts.
    """
    labels = {key: value for key, value in flow.labels.items() if not key.startswith("system.")}
    labels.update({key: str(value) for key, value in supplied.items()})
    labels.setdefault(CORRELATION, execution_id)
    if by := who_acts() if by is None else by:
        labels[USERNAME] = by
    return labels
