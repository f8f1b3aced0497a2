"""Performs effects: attempts by the worker, subflows, timers, requests. What can be done without waiting is done in the same round."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from podium.base.errors import FlowError, LimitError, NotFound, PodiumError, StoreError, TakesLong
from podium.base.limits import QUESTIONS_AT_ONCE_MAX
from podium.base.system.faults import point
from podium.base.system.log import get_logger
from podium.conductor.core.evaluate import Evaluator, is_slow
from podium.conductor.core.requests import Requests
from podium.conductor.core.round import Round
from podium.conductor.core.sinks import AttemptSink, RoundSink
from podium.conductor.core.stream import Stream
from podium.conductor.limits.slots import Slots
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.decide.decision import attempt_id
from podium.engine.decide.tasks import retry_id
from podium.engine.shape.view import execution_view
from podium.engine.state import TaskRun
from podium.flows.model import Loop, Task, WorkingDirectory
from podium.plugins.core.files.records import record_line
from podium.storage.files import FileStorage
from podium.store.logs import Logs
from podium.workers.work import Ended, Work
from podium.workers.worker import Worker, WorkspaceWork

if TYPE_CHECKING:
    from podium.conductor.core.conductor import Conductor
    from podium.conductor.starting import Starter

log = get_logger(__name__)
REAP_S_MAX = 60.0
LAUNCHED_AT_ONCE = 64
"""Children that are being made at the same time."""


class Performer:
    """Knows how each effect is done. Its owner is the conductor, to whom outcomes go back as commands."""

    def __init__(
        self, conductor: Conductor, *, worker: Worker, evaluator: Evaluator, logs: Logs, requests: Requests, files: FileStorage
    ) -> None:
        self._conductor = conductor
        self._worker = worker
        self._evaluator = evaluator
        self._logs = logs
        self._requests = requests
        self._files = files
        self.launches = Slots(LAUNCHED_AT_ONCE, conductor.shares, what="the children that are made at one time")
        self.questions = Slots(QUESTIONS_AT_ONCE_MAX, conductor.shares, what="the questions that are answered at one time")
        self._count = itertools.count()
        self.starter: Starter | None = None
        self._slow: dict[int, tuple[Task, bool]] = {}
        self._reaped = asyncio.Event()
        """Set once nothing of a former life is left: until then no attempt begins, so that reaping can take none for an old one."""
        self._directories: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By task run: what becomes of a directory is done one after the other, in the order in which it was decided."""

    # ---- in the round
    async def at_once(self, turn: Round, stream: Stream, effect: fx.AnyEffect) -> list[cmd.Command] | None:
        """Commands that follow when the effect could be done in this round, None when it has to wait until the round is on disk."""
        match effect:
            case fx.WriteLog():
                turn.log(stream, effect.level, effect.message, effect.run_id)
                return []
            case fx.Evaluate():
                answer = self._evaluator.answer_now(stream, effect.key)
                return None if answer is None else [answer]
            case fx.Request() if self._requests.enter(turn, stream, effect):
                return []
            case fx.RunAttempt():
                return await self._inline(turn, stream, effect)
            case fx.CreateRetry():
                await self._retry(turn, stream, effect.due)
                return []
            case _:
                return None

    async def _inline(self, turn: Round, stream: Stream, effect: fx.RunAttempt) -> list[cmd.Command] | None:
        found = self._open_attempt(stream.state.id, effect, "CREATED")
        if found is None:
            return []
        _, run, task = found
        if task.KIND != "inline" or getattr(task, "BLOCKING", False) or self._is_slow(stream, task):
            return None
        sink = RoundSink(turn, stream, run, effect.number)
        try:
            ended = (await self._worker.run(replace(self._work(stream, run, task, effect), at_once=True), sink)).storable()
        except TakesLong:
            return None
        self._metrics(turn, stream, run, ended)
        return [_ended(run, effect.number, ended)]

    def _is_slow(self, stream: Stream, task: Task) -> bool:
        known = self._slow.get(id(task))
        if known is None or known[0] is not task:
            if len(self._slow) > 10_000:
                self._slow.clear()
            known = self._slow[id(task)] = (task, is_slow(task.model_dump(mode="json", by_alias=True), stream.tree.flow.dialect))
        return known[1]

    # ---- after the round
    def perform(self, stream: Stream, effect: fx.AnyEffect) -> None:
        """Start doing it; its outcome comes back as a command."""
        match effect:
            case fx.RunAttempt():
                name = attempt_id(effect.run_id, effect.number)
                self._conductor.slots.submit(stream.place, name, lambda: self._attempt(stream.state.id, effect))
            case fx.KillAttempt():
                self._conductor.slots.drop(effect.attempt_id)
                self._conductor.spawn(self._worker.kill(effect.attempt_id), "kill")
            case fx.Evaluate():
                self.questions.submit(stream.place, f"question {next(self._count)}", lambda: self._answer(stream, effect.key))
            case fx.SetTimer():
                self._conductor.timers.set(stream.state.id, effect.key, effect.due)
            case fx.StartSubflow():
                self.launches.submit(stream.place, f"child {next(self._count)}", lambda: self._launch(stream, effect))
            case fx.TellLoop():
                self._conductor.spawn(self._tell_loop(stream), "tell loop")
            case fx.KillSubflow():
                self._conductor.spawn(self._kill_subflow(stream, effect.execution_id), "kill subflow")
            case fx.OpenWorkspace():
                self._conductor.spawn(self._open(stream, effect.run_id), "open workspace")
            case fx.CloseWorkspace():
                self._conductor.spawn(self._close(stream, effect), "close workspace")
            case fx.Request():
                self._conductor.spawn(self._requests.carry_out(stream, effect), "request")
            case fx.WriteLog() | fx.CreateRetry():
                raise AssertionError("done in the round")

    def _open_attempt(self, execution_id: str, effect: fx.RunAttempt, state: str) -> tuple[Stream, TaskRun, Task] | None:
        """The execution, run and task of an attempt as they are now, if it is the open one and in that state."""
        stream = self._conductor.stream(execution_id)
        run = stream.state.runs.get(effect.run_id) if stream is not None else None
        task = stream.tree.task(run.task_id) if stream is not None and run is not None else None
        if stream is None or run is None or task is None or run.ended or len(run.attempts) != effect.number or run.attempts[-1].state != state:
            return None
        return stream, run, task

    async def _attempt(self, execution_id: str, effect: fx.RunAttempt) -> None:
        """One attempt from its slot to its end. That it starts is on disk before it does; that it ended, before anything is removed."""
        name = attempt_id(effect.run_id, effect.number)
        await self._reaped.wait()
        if not effect.started:
            if self._open_attempt(execution_id, effect, "CREATED") is None:
                return
            await self._until_taken(execution_id, cmd.AttemptBegan(run_id=effect.run_id, number=effect.number))
            point("attempt-began")
        found = self._open_attempt(execution_id, effect, "RUNNING")
        if found is not None:
            stream, run, task = found
            sink = AttemptSink(self._logs, self._conductor, stream, run, effect.number)
            ended = (await self._worker.run(self._work(stream, run, task, effect), sink)).storable()
            await self._report(execution_id, run, effect.number, ended)
        await self._worker.release(name)
        await self._logs.forget_cursors([name])

    async def _report(self, execution_id: str, run: TaskRun, number: int, ended: Ended) -> None:
        """Have the end of an attempt entered. One that cannot be is a failure, not a standstill."""

        def metrics(turn: Round) -> None:
            stream = self._conductor.stream(execution_id)
            if stream is not None:
                self._metrics(turn, stream, run, ended)

        try:
            await self._conductor.insist(execution_id, _ended(run, number, ended), metrics)
        except NotFound:
            log.info("attempt_outlived_execution", execution_id=execution_id, task_run_id=run.id)
        except PodiumError as error:
            await self._until_taken(execution_id, cmd.AttemptEnded(run_id=run.id, number=number, state="FAILED", error=error.what))

    async def _until_taken(self, execution_id: str, command: cmd.Command) -> None:
        """Insist on a command; that its execution is gone meanwhile is as good."""
        try:
            await self._conductor.insist(execution_id, command)
        except NotFound:
            log.info("execution_gone", execution_id=execution_id, command=type(command).__name__)

    def _work(self, stream: Stream, run: TaskRun, task: Task, effect: fx.RunAttempt) -> Work:
        state = stream.state
        directory = next((above.id for above in state.ancestors(run) if isinstance(stream.tree.task(above.task_id), WorkingDirectory)), None)
        return Work(
            attempt_id=attempt_id(run.id, effect.number), execution_id=state.id, task_run_id=run.id, attempt=effect.number,
            namespace=state.namespace, flow_id=state.flow_id, revision=state.revision, source=state.source, commit=state.commit, task=task,
            variables=stream.variables(run), redactor=stream.redactor, dialect=stream.tree.flow.dialect, shared_directory=directory,
            started=effect.started,
        )

    def _metrics(self, turn: Round, stream: Stream, run: TaskRun, ended: Ended) -> None:
        state, redactor = stream.state, stream.redactor
        turn.batch.metrics.extend(
            {"executionId": state.id, "namespace": state.namespace, "flowId": state.flow_id, "taskId": run.task_id, "taskRunId": run.id,
             "type": each.type, "name": redactor.text(each.name), "value": each.value, "tags": redactor.value(dict(each.tags)),
             "timestamp": turn.now.isoformat()}
            for each in ended.metrics
        )

    async def _answer(self, stream: Stream, key: str) -> None:
        self._conductor.post(stream.state.id, await self._evaluator.answer_later(stream, key))

    # ---- subflows
    async def _launch(self, stream: Stream, effect: fx.StartSubflow) -> None:
        parent, run_id, index = stream.state.id, effect.run_id, effect.index
        try:
            child = await self._insisted(stream, effect)
        except Exception as error:  # whatever it is, the task that waits for the child must hear of it
            if not isinstance(error, PodiumError):
                log.error("subflow_not_started", execution_id=parent, exc_info=error)
            what = error.what if isinstance(error, PodiumError) else f"the subflow could not be started: {error}"
            await self._until_taken(parent, cmd.SubflowStarted(run_id=run_id, index=index, error=stream.redactor.text(what)))
            return
        if child is None:
            return
        paused = child["state"]["current"] == "PAUSED"
        await self._until_taken(parent, cmd.SubflowStarted(run_id=run_id, index=index, execution_id=child["id"], paused=paused))
        if child.get("closed"):
            await self._until_taken(parent, await self._child_ended(stream, run_id, index, child))

    async def _insisted(self, stream: Stream, effect: fx.StartSubflow) -> Mapping[str, Any] | None:
        """As _child: a full queue or a full disk only delays it. None when the task run does not wait for it any more."""
        delay = 0.05
        while True:
            run = stream.state.runs.get(effect.run_id)
            if run is None or run.ended:
                return None
            try:
                return await self._child(stream, run, effect)
            except (StoreError, LimitError) as error:
                if isinstance(error, LimitError) and "retry_after_s" not in error.facts:
                    raise
                log.warning("subflow_waits", execution_id=stream.state.id, task=run.task_id, error=error.what)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)

    async def _child(self, stream: Stream, run: TaskRun, effect: fx.StartSubflow) -> Mapping[str, Any]:
        """The execution that a task run has asked for: as it is, or made now."""
        assert self.starter is not None
        execution_id, there = await self.starter.child(run, effect)
        if there is not None:
            return there
        if effect.index is None:
            return await self.starter.start_child(stream, run, execution_id, effect.request)
        if isinstance(stream.tree.task(run.task_id), Loop):
            return await self.starter.start_iteration(stream, run, execution_id, effect.index)
        key = f"{run.id}:item:{effect.index}"
        answer = self._evaluator.answer_now(stream, key) or await self._evaluator.answer_later(stream, key)
        if answer.error is not None:
            raise FlowError(answer.error, hint="look at the properties of the task")
        return await self.starter.start_child(stream, run, execution_id, answer.value, effect.index)

    async def _child_ended(self, stream: Stream | None, run_id: str, index: int | None, child: Mapping[str, Any]) -> cmd.SubflowEnded:
        """What a closed child means for the run that started it. Outputs that are to be kept as files are stored first."""
        ended = _child_ended(run_id, child, index)
        run = stream.state.runs.get(run_id) if stream is not None else None
        if stream is None or run is None or index is None or not ended.outputs or not run.notes.get("wait", True):
            return ended
        loop = isinstance(stream.tree.task(run.task_id), Loop)
        if loop and not run.notes.get("store"):
            return ended
        uri = f"{run.notes['base']}/{index}/outputs.ion"
        await asyncio.to_thread(self._files.put, uri, record_line(ended.outputs))
        return replace(ended, outputs={"uri": uri} if loop else {})

    async def _tell_loop(self, stream: Stream) -> None:
        """Tell the execution that holds the Loop whether an iteration is PAUSED, until what was told last is what is."""
        assert stream.state.loop is not None
        holder, run_id, index = (stream.state.loop[name] for name in ("executionId", "taskRunId", "index"))
        told = None
        while (paused := stream.state.state == "PAUSED") != told:
            await self._until_taken(holder, cmd.IterationPaused(run_id=run_id, index=index, execution_id=stream.state.id, paused=paused))
            told = paused

    async def _kill_subflow(self, stream: Stream, execution_id: str) -> None:
        try:
            await self._conductor.insist(execution_id, cmd.Kill())
        except NotFound:
            log.info("subflow_gone", execution_id=stream.state.id, subflow=execution_id)

    def closed(self, stream: Stream) -> None:
        """An execution is closed: tell the task that started it as a subflow."""
        trigger = stream.state.trigger or {}
        parent, run_id, index = (trigger.get("variables") or {}).get("executionId"), trigger.get("taskRunId"), trigger.get("index")
        if stream.state.loop is not None:
            parent, run_id, index = (stream.state.loop[name] for name in ("executionId", "taskRunId", "index"))
        if run_id and parent:
            child = execution_view(stream.state, runs=False)
            self._conductor.spawn(self._tell(parent, run_id, index, child, stream.redactor.given), "child ended")

    async def _tell(self, parent: str, run_id: str, index: int | None, child: Mapping[str, Any], secrets: Sequence[str]) -> None:
        """secrets: that the outputs of the child may hold."""
        above = self._conductor.stream(parent)
        if above is not None:
            above.redactor.add(secrets)
        delay = 0.05
        while True:
            try:
                command = await self._child_ended(self._conductor.stream(parent), run_id, index, child)
                break
            except PodiumError as error:  # the storage is away or full: the parent waits for it
                log.warning("outputs_not_stored", execution_id=child["id"], error=error.what)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
        await self._until_taken(parent, command)

    async def _retry(self, turn: Round, stream: Stream, due: datetime) -> None:
        """The execution that takes the place of one that ended RETRIED: made in the same transaction."""
        assert self.starter is not None
        try:
            command = self.starter.once_more(stream, due)
            await self._conductor.also(turn, command.id, command)
        except PodiumError as error:
            turn.log(stream, "ERROR", f"The new execution could not be made: {error.what}")

    # ---- working directories
    async def _open(self, stream: Stream, run_id: str) -> None:
        run = stream.state.runs.get(run_id)
        if run is None:
            return
        await self._reaped.wait()
        error, work = None, self._workspace(stream, run, run_id=run_id, task_id=run.task_id)
        async with self._directory(run_id):
            try:
                await self._worker.open_workspace(work)
            except PodiumError as failure:
                error = stream.redactor.text(failure.what)
        await self._until_taken(stream.state.id, cmd.WorkspaceOpened(run_id=run_id, error=error))

    async def _close(self, stream: Stream, effect: fx.CloseWorkspace) -> None:
        outputs: Mapping[str, Any] = {}
        error = None
        async with self._directory(effect.run_id):
            run = stream.state.runs.get(effect.run_id)  # none once a restart does the directory over
            work = self._workspace(stream, run, run_id=effect.run_id, task_id=effect.task_id)
            try:
                outputs = await self._worker.close_workspace(work, collect=effect.collect and run is not None)
            except PodiumError as failure:
                error = stream.redactor.text(failure.what)
        if effect.collect:
            await self._until_taken(stream.state.id, cmd.WorkspaceClosed(run_id=effect.run_id, outputs=outputs, error=error))

    def _directory(self, run_id: str) -> asyncio.Lock:
        lock = self._directories.get(run_id)
        if lock is None:
            lock = self._directories[run_id] = asyncio.Lock()
        return lock

    def _workspace(self, stream: Stream, run: TaskRun | None, *, run_id: str, task_id: str) -> WorkspaceWork:
        state = stream.state
        task = stream.tree.task(task_id)
        assert isinstance(task, WorkingDirectory)
        return WorkspaceWork(
            task_run_id=run_id, execution_id=state.id, namespace=state.namespace, flow_id=state.flow_id, revision=state.revision,
            source=state.source, commit=state.commit, task=task, variables=stream.variables(run),
            redactor=stream.redactor, dialect=stream.tree.flow.dialect,
        )

    async def close(self) -> None:
        """Make no more children, answer no more questions: they are taken up again at the next start."""
        await self.launches.close(cancel=True)
        await self.questions.close(cancel=True)

    async def reap(self, live: set[str]) -> None:
        """Remove what attempts of a former life left behind."""
        try:
            async with asyncio.timeout(REAP_S_MAX):
                await self._worker.reap(live)
        except (PodiumError, TimeoutError) as error:
            log.warning("reap_failed", error=str(error))
        finally:
            self._reaped.set()


def _child_ended(run_id: str, child: Mapping[str, Any], index: int | None = None) -> cmd.SubflowEnded:
    """What a closed execution, as `engine.shape.view` shows it, means for the task that started it."""
    state, metadata = child["state"], child.get("metadata") or {}
    successor = None
    if state["current"] == "RETRIED":
        successor = retry_id(child["id"], metadata.get("attemptNumber", 1), datetime.fromisoformat(state["histories"][-1]["date"]))
    return cmd.SubflowEnded(
        run_id=run_id, index=index, execution_id=child["id"], state=state["current"], outputs=child.get("outputs") or {}, successor=successor,
    )


def _ended(run: TaskRun, number: int, ended: Ended) -> cmd.AttemptEnded:
    return cmd.AttemptEnded(
        run_id=run.id, number=number, state=ended.state, outputs=ended.outputs, facts=ended.facts, error=ended.error,
        requests=[(each.kind, each.body) for each in ended.requests],
    )


