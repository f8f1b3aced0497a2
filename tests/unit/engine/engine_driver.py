"""Plays an execution against the engine alone: real flows, real expressions, a clock that is moved by hand, tasks that do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from podium.app.plugins import load_types
from podium.base.errors import PodiumError
from podium.engine import codec
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.context import variables
from podium.engine.decide.entry import decide, pending
from podium.engine.questions import question
from podium.engine.shape.view import execution_view
from podium.engine.state import Execution, TaskRun, fold
from podium.engine.tree import FlowTree, Mocked
from podium.expressions.compile import render_value, truthy
from podium.flows.load import StoredTemplate, parse_flows

Outcome = Callable[["Play", TaskRun], cmd.AttemptEnded | None]


class SmallWorld:
    """A World for expressions that ask nothing of the outside."""

    zone = UTC

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def ended(run: TaskRun, state: str = "SUCCESS", **more: Any) -> cmd.AttemptEnded:
    return cmd.AttemptEnded(run_id=run.id, number=len(run.attempts), state=state, **more)


def ordinary(play: Play, run: TaskRun) -> cmd.AttemptEnded:
    """What the core tasks used in tests would do: Fail fails, Return returns, everything else succeeds; runIf is honoured."""
    task = play.tree.task(run.task_id)
    assert task is not None
    seen = variables(play.tree, play.state, run)
    try:
        if not truthy(render_value(task.run_if, seen, SmallWorld())):
            return ended(run, "SKIPPED")
        if task.type.endswith("Fail"):
            condition = getattr(task, "condition", None)
            if condition is None or truthy(render_value(condition, seen, SmallWorld())):
                return ended(run, "FAILED", error="Task failure")
        if task.type.endswith("Return"):
            return ended(run, outputs={"value": render_value(getattr(task, "format", ""), seen, SmallWorld())})
        if task.type.endswith("Log"):
            play.logged.append(render_value(task.message, seen, SmallWorld()))  # type: ignore[attr-defined]
    except PodiumError as error:
        return ended(run, "FAILED", error=error.what)
    return ended(run)


class Play:
    """One execution. `run()` plays until nothing is left to do but wait for a timer, a subflow or a person."""

    def __init__(
        self, text: str, *, outcome: Outcome = ordinary, inputs: Mapping[str, Any] | None = None, running: int = 0,
        templates: Sequence[StoredTemplate] = (), mocked: Mocked | None = None,
    ) -> None:
        parsed = parse_flows(text, file="flow.yaml", types=load_types(), templates=templates)[0]
        assert parsed.flow is not None, [str(each) for each in parsed.problems]
        self.tree = FlowTree(parsed.flow, mocked)
        self.state = Execution()
        self.now = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
        self.events: list[Any] = []
        self.logged: list[str] = []
        self.engine_log: list[str] = []
        self.timers: dict[str, datetime] = {}
        self.attempts: list[fx.RunAttempt] = []
        self.subflows: list[fx.StartSubflow] = []
        self.effects: list[Any] = []
        self.outcome = outcome
        self.started: list[str] = []
        self.give(cmd.Create(
            id="0" * 22, namespace=parsed.flow.namespace, flow_id=parsed.flow.id, revision=1, inputs=inputs or {}, labels={"a": "b"},
        ))
        self.give(cmd.Begin(running=running))

    def give(self, command: cmd.Command) -> None:
        """Decide one command and everything that follows at once."""
        todo = [command]
        while todo:
            events, effects = decide(self.tree, self.state, todo.pop(0), self.now)
            self.events.extend(events)
            for effect in effects:
                todo.extend(self.perform(effect))

    def perform(self, effect: fx.AnyEffect) -> list[cmd.Command]:
        self.effects.append(effect)
        match effect:
            case fx.Evaluate():
                return [self.answer(effect.key)]
            case fx.SetTimer():
                self.timers[effect.key] = effect.due
            case fx.RunAttempt():
                self.attempts.append(effect)
            case fx.StartSubflow():
                self.subflows.append(effect)
            case fx.WriteLog():
                self.engine_log.append(effect.message)
            case fx.OpenWorkspace():
                return [cmd.WorkspaceOpened(run_id=effect.run_id)]
            case fx.CloseWorkspace():
                return [cmd.WorkspaceClosed(run_id=effect.run_id)] if effect.collect else []
            case fx.KillAttempt():
                for run in self.state.runs.values():
                    if effect.attempt_id == f"{run.id}-{len(run.attempts)}" and not run.ended:
                        return [ended(run, "KILLED")]
        return []

    def answer(self, key: str) -> cmd.Answer:
        asked = question(self.tree, self.state, key)
        assert asked is not None, key
        try:
            seen = variables(self.tree, self.state, asked.run)
            seen.update({name: {**seen.get(name, {}), **more} for name, more in asked.extra.items()})
            return cmd.Answer(key=key, value=asked.finish(render_value(asked.template, seen, SmallWorld(), typed=asked.typed)))
        except (PodiumError, ValueError) as error:
            return cmd.Answer(key=key, error=getattr(error, "what", str(error)))

    def run(self) -> Play:
        """Carry out attempts as they come, first come first served."""
        while self.attempts:
            effect = self.attempts.pop(0)
            run = self.state.runs.get(effect.run_id)
            if run is None or run.ended:
                continue
            self.started.append(run.task_id if run.value is None else f"{run.task_id}[{run.value}]")
            self.give(cmd.AttemptBegan(run_id=run.id, number=effect.number))
            command = self.outcome(self, run)
            if command is not None:
                self.give(command)
        return self

    def wait(self, seconds: float) -> Play:
        """Let time pass: fire the timers that are due, in order."""
        until = self.now + timedelta(seconds=seconds)
        while due := sorted((at, key) for key, at in self.timers.items() if at <= until):
            self.now, key = max(self.now, due[0][0]), due[0][1]
            del self.timers[key]
            self.give(cmd.TimerFired(key=key))
            self.run()
        self.now = until
        return self.run()

    # ---- looking
    def states(self) -> dict[str, str]:
        """task (with value) → state of its runs."""
        return {run.task_id + "".join(f"[{value}]" for value in run.values): run.state for run in self.state.runs.values()}

    def run_of(self, task_id: str) -> TaskRun:
        return next(run for run in self.state.runs.values() if run.task_id == task_id)

    def check(self) -> None:
        """The invariants that hold in every state."""
        again = fold(codec.decode(codec.encode(event)) for event in self.events)
        assert execution_view(again, tree=self.tree) == execution_view(self.state, tree=self.tree)
        assert again.scope.counts == self.state.scope.counts
        assert sum(self.state.tally.values()) == len(self.state.runs)
        for run in self.state.runs.values():
            shown: Any = self.state.output_tree if run.outputs else {run.task_id: {}}
            for key in (run.task_id, *(run.values if run.outputs else ())):
                shown = shown[key]
            assert shown == run.outputs, f"the outputs of {run.task_id}{list(run.values)} are not where expressions look for them"
        if self.state.closed:
            assert self.state.ended
            assert not [run.id for run in self.state.runs.values() if not run.ended]
            assert pending(self.tree, self.state, self.now) == []


def flow(tasks: str, more: str = "") -> str:
    """A flow of these tasks (YAML of a list, indented as it stands)."""
    return f"id: f\nnamespace: n\n{more}\ntasks:\n{tasks}"
