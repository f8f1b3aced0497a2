"""Performs effects: attempts by the worker, subflows, timers, requests. What can be done without waiting is done in the same round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from podium.base.errors import NotFound, PodiumError
from podium.base.system.log import get_logger
from podium.conductor.core.evaluate import Evaluator, is_slow
from podium.conductor.core.requests import Requests
from podium.conductor.core.round import Round
from podium.conductor.core.sinks import AttemptSink, RoundSink
from podium.conductor.core.stream import Stream
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.decide.decision import attempt_id
from podium.engine.state import TaskRun
from podium.flows.model import Task, WorkingDirectory
from podium.store.logs import Logs
from podium.workers.work import Ended, Work
from podium.workers.worker import Worker, WorkspaceWork

if TYPE_CHECKING:
    from podium.conductor.core.conductor import Conductor
    from podium.conductor.starting import Starter

log = get_logger(__name__)


class Performer:
    """Knows how each effect is done. Its owner is the conductor, to whom outcomes go back as commands."""

    def __init__(self, conductor: Conductor, *, worker: Worker, evaluator: Evaluator, logs: Logs, requests: Requests) -> None:
        self._conductor = conductor
        self._worker = worker
        self._evaluator = evaluator
        self._logs = logs
        self._requests = requests
        self.starter: Starter | None = None
        self._slow: dict[int, bool] = {}

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
            case _:
                return None

    async def _inline(self, turn: Round, stream: Stream, effect: fx.RunAttempt) -> list[cmd.Command] | None:
        run = stream.state.runs[effect.run_id]
        task = stream.tree.task(run.task_id)
        if task is None or task.KIND != "inline" or getattr(task, "BLOCKING", False) or self._is_slow(stream, task):
            return None
        sink = RoundSink(turn, stream, run, effect.number)
        ended = await self._worker.run(self._work(stream, run, task, effect), sink)
        self._metrics(turn, stream, run, ended)
        return [_ended(run, effect.number, ended)]

    def _is_slow(self, stream: Stream, task: Task) -> bool:
        if id(task) not in self._slow:
            if len(self._slow) > 10_000:
                self._slow.clear()
            self._slow[id(task)] = is_slow(task.model_dump(mode="json", by_alias=True), stream.tree.flow.dialect)
        return self._slow[id(task)]

    # ---- after the round
    def perform(self, stream: Stream, effects: Sequence[fx.AnyEffect]) -> None:
        """Start doing these; outcomes come back as commands."""
        execution_id = stream.state.id
        for effect in effects:
            match effect:
                case fx.RunAttempt():
                    self._run(stream, effect)
                case fx.KillAttempt():
                    self._conductor.slots.drop(effect.attempt_id)
                    self._conductor.spawn(self._worker.kill(effect.attempt_id), "kill")
                case fx.Evaluate():
                    self._conductor.spawn(self._answer(stream, effect.key), "evaluate")
                case fx.SetTimer():
                    self._conductor.timers.set(execution_id, effect.key, effect.due)
                case fx.StartSubflow():
                    self._conductor.spawn(self._subflow(stream, effect), "subflow")
                case fx.KillSubflow():
                    self._conductor.spawn(self._kill_subflow(stream, effect.execution_id), "kill subflow")
                case fx.OpenWorkspace():
                    self._conductor.spawn(self._open(stream, effect.run_id), "open workspace")
                case fx.CloseWorkspace():
                    self._conductor.spawn(self._close(stream, effect), "close workspace")
                case fx.CreateRetry():
                    self._conductor.spawn(self._retry(stream, effect.due), "retry")
                case fx.Request():
                    self._conductor.spawn(self._requests.carry_out(stream, effect), "request")
                case fx.WriteLog():
                    self._conductor.spawn(self._logs.append([]), "log")

    def _run(self, stream: Stream, effect: fx.RunAttempt) -> None:
        run = stream.state.runs[effect.run_id]
        task = stream.tree.task(run.task_id)
        if task is None:
            return
        name = attempt_id(run.id, effect.number)
        group = f"{stream.state.namespace}.{stream.state.flow_id}"
        self._conductor.slots.submit(group, name, lambda: self._attempt(stream, run, task, effect))

    async def _attempt(self, stream: Stream, run: TaskRun, task: Task, effect: fx.RunAttempt) -> None:
        """One attempt from its slot to its end. That it starts is on disk before it does; that it ended, before anything is removed."""
        number, execution_id = effect.number, stream.state.id
        name = attempt_id(run.id, number)
        if not effect.started:
            await self._until_taken(execution_id, cmd.AttemptBegan(run_id=run.id, number=number))
            if run.ended or len(run.attempts) != number or run.attempts[-1].state != "RUNNING":
                return
        sink = AttemptSink(self._logs, self._conductor, stream, run, number)
        ended = await self._worker.run(self._work(stream, run, task, effect), sink)
        await self._until_taken(
            execution_id, _ended(run, number, ended), lambda turn: self._metrics(turn, stream, run, ended)
        )
        await self._worker.release(name)
        await self._logs.forget_cursors([name])

    async def _until_taken(self, execution_id: str, command: cmd.Command, extra: Any = None) -> None:
        await self._conductor.insist(execution_id, command, extra)

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
        state = stream.state
        turn.batch.metrics.extend(
            {"executionId": state.id, "namespace": state.namespace, "flowId": state.flow_id, "taskId": run.task_id, "taskRunId": run.id,
             "type": each.type, "name": each.name, "value": each.value, "tags": dict(each.tags), "timestamp": turn.now.isoformat()}
            for each in ended.metrics
        )

    async def _answer(self, stream: Stream, key: str) -> None:
        self._conductor.post(stream.state.id, await self._evaluator.answer_later(stream, key))

    # ---- subflows
    async def _subflow(self, stream: Stream, effect: fx.StartSubflow) -> None:
        assert self.starter is not None
        run = stream.state.runs[effect.run_id]
        try:
            child = await self.starter.start_child(stream, run, effect.execution_id, effect.request)
        except PodiumError as error:
            await self._conductor.insist(stream.state.id, cmd.SubflowStarted(run_id=run.id, error=error.what))
            return
        await self._conductor.insist(stream.state.id, cmd.SubflowStarted(run_id=run.id, execution_id=child["id"]))
        if child.get("closed"):
            await self._conductor.insist(stream.state.id, cmd.SubflowEnded(
                run_id=run.id, execution_id=child["id"], state=child["state"]["current"], outputs=child.get("outputs") or {},
            ))

    async def _kill_subflow(self, stream: Stream, execution_id: str) -> None:
        try:
            await self._conductor.insist(execution_id, cmd.Kill())
        except NotFound:
            log.info("subflow_gone", execution_id=stream.state.id, subflow=execution_id)

    def closed(self, stream: Stream) -> None:
        """An execution is closed: tell the task that started it as a subflow."""
        trigger = stream.state.trigger or {}
        parent = (trigger.get("variables") or {}).get("executionId")
        if trigger.get("taskRunId") and parent:
            self._conductor.post(parent, cmd.SubflowEnded(
                run_id=trigger["taskRunId"], execution_id=stream.state.id, state=stream.state.state, outputs=stream.state.outputs,
            ))

    async def _retry(self, stream: Stream, due: datetime) -> None:
        assert self.starter is not None
        await self.starter.start_again(stream, due)

    # ---- working directories
    async def _open(self, stream: Stream, run_id: str) -> None:
        run = stream.state.runs[run_id]
        error = None
        try:
            await self._worker.open_workspace(self._workspace(stream, run))
        except PodiumError as failure:
            error = stream.redactor.text(failure.what)
        await self._conductor.insist(stream.state.id, cmd.WorkspaceOpened(run_id=run_id, error=error))

    async def _close(self, stream: Stream, effect: fx.CloseWorkspace) -> None:
        run = stream.state.runs.get(effect.run_id)
        if run is None:
            return
        outputs: Mapping[str, Any] = {}
        error = None
        try:
            outputs = await self._worker.close_workspace(self._workspace(stream, run), collect=effect.collect)
        except PodiumError as failure:
            error = stream.redactor.text(failure.what)
        if effect.collect:
            await self._conductor.insist(stream.state.id, cmd.WorkspaceClosed(run_id=run.id, outputs=outputs, error=error))

    def _workspace(self, stream: Stream, run: TaskRun) -> WorkspaceWork:
        state = stream.state
        task = stream.tree.task(run.task_id)
        assert isinstance(task, WorkingDirectory)
        return WorkspaceWork(
            task_run_id=run.id, execution_id=state.id, namespace=state.namespace, flow_id=state.flow_id, revision=state.revision,
            source=state.source, commit=state.commit, task=task, variables=stream.variables(run),
            redactor=stream.redactor, dialect=stream.tree.flow.dialect,
        )

    async def reap(self, live: set[str]) -> None:
        """Remove what attempts of a former life left behind."""
        try:
            await self._worker.reap(live)
        except PodiumError as error:
            log.warning("reap_failed", error=error.what)


def _ended(run: TaskRun, number: int, ended: Ended) -> cmd.AttemptEnded:
    return cmd.AttemptEnded(
        run_id=run.id, number=number, state=ended.state, outputs=ended.outputs, facts=ended.facts, error=ended.error,
        requests=[(each.kind, each.body) for each in ended.requests],
    )


