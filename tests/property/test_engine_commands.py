"""The engine over random flows and whatever people do to them meanwhile: every execution can be brought to its end, and nothing is left.

Random flows of all flowables; outcomes arrive in any order; in between come pauses, kills, restarts, states set by hand, crashes.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "engine"))
from engine_driver import Play, ended, ordinary

from podium.base.errors import PodiumError
from podium.engine import codec
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.decide.entry import pending
from podium.engine.state import TaskRun, fold

SEEDS = 120
STEPS_MAX = 5_000


class Writer:
    """Writes a random flow."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0

    def flow(self) -> dict[str, Any]:
        flow = {"id": "f", "namespace": "n", "tasks": self.tasks(3)}
        for name in ("errors", "finally", "afterExecution"):
            if self.rng.random() < 0.3:
                flow[name] = self.tasks(1)
        if self.rng.random() < 0.3:
            flow["outputs"] = [{"id": "o", "type": "STRING", "value": "x"}]
        if self.rng.random() < 0.15:
            behavior = self.rng.choice(["FAIL", "CANCEL", "NONE"])
            flow["sla"] = [{"id": "m", "type": "MAX_DURATION", "duration": f"PT{self.rng.randint(2, 10)}S", "behavior": behavior}]
        return flow

    def tasks(self, depth: int) -> list[dict[str, Any]]:
        return [self.task(depth) for _ in range(self.rng.randint(1, 3))]

    def task(self, depth: int) -> dict[str, Any]:
        task = self._leaf() if depth <= 0 or self.rng.random() < 0.4 else self._group(depth - 1)
        for name, chance in (("allowFailure", 0.15), ("allowWarning", 0.1), ("disabled", 0.05)):
            if self.rng.random() < chance:
                task[name] = True
        if self.rng.random() < 0.1:
            task["runIf"] = self.rng.choice(["{{ false }}", "{{ true }}", "{{ nope.x }}"])
        return task

    def _new(self, kind: str, **more: Any) -> dict[str, Any]:
        self.count += 1
        return {"id": f"t{self.count}", "type": f"core.{kind}", **more}

    def _leaf(self) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choices(["return", "sleep", "subflow", "pause", "exit", "fail"], [45, 15, 10, 10, 5, 15])[0]
        match kind:
            case "sleep":
                task = self._new("flow.Sleep", duration=f"PT{rng.randint(1, 5)}S")
            case "subflow":
                task = self._new("flow.Subflow", namespace="n", flowId="o", wait=rng.random() < 0.7)
            case "pause":
                task = self._new("flow.Pause")
                if rng.random() < 0.5:
                    task.update(pauseDuration="PT3S", behavior=rng.choice(["RESUME", "WARN", "FAIL", "CANCEL"]))
                if rng.random() < 0.4:
                    task["onPause"] = self._new("debug.Return", format="p")
            case "exit":
                task = self._new("execution.Exit", state=rng.choice(["SUCCESS", "WARNING", "KILLED", "FAILED", "CANCELED"]))
            case "fail":
                task = self._new("execution.Fail")
            case _:
                task = self._new("debug.Return", format="x")
        if rng.random() < 0.2:
            behavior = "CREATE_NEW_EXECUTION" if rng.random() < 0.1 else "RETRY_FAILED_TASK"
            task["retry"] = {"type": "constant", "interval": "PT1S", "maxAttempts": 2, "behavior": behavior}
        return task

    def _group(self, depth: int) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choice(["Sequential", "Parallel", "If", "Switch", "ForEach", "EachParallel", "EachSequential", "LoopUntil", "AllowFailure",
                           "Dag", "WorkingDirectory", "Pause"])
        task = self._new(f"flow.{kind}")
        match kind:
            case "If":
                task.update({"condition": rng.choice(["{{ true }}", "{{ false }}", "{{ nope.x }}"]), "then": self.tasks(depth), "else": self.tasks(depth)})
            case "Switch":
                task.update(value=rng.choice("abc"), cases={"a": self.tasks(depth)}, defaults=self.tasks(depth) if rng.random() < 0.7 else [])
            case "ForEach":
                task.update(values=["1", "2", "3"], concurrencyLimit=rng.randint(0, 2), tasks=self.tasks(depth))
            case "EachParallel" | "EachSequential":
                task.update(value=["1", "2"], tasks=self.tasks(depth))
            case "LoopUntil":
                often = {"interval": "PT1S", "maxIterations": 3}
                task.update(condition=f"{{{{ outputs.{task['id']}.iterationCount >= 2 }}}}", checkFrequency=often, tasks=self.tasks(depth))
            case "Dag":
                tasks = self.tasks(depth)
                task["tasks"] = [
                    {"task": each, **({"dependsOn": [tasks[index - 1]["id"]]} if index and rng.random() < 0.6 else {})} for index, each in enumerate(tasks)
                ]
            case "WorkingDirectory":
                task["tasks"] = [self._new("debug.Return", format="x"), self._new("execution.Fail") if rng.random() < 0.3 else self._new("debug.Return")]
            case _:
                task["tasks"] = self.tasks(depth)
        if kind == "Parallel":
            task["concurrent"] = rng.randint(0, 2)
        for name in ("errors", "finally"):
            if rng.random() < 0.2:
                task[name] = self.tasks(depth)
        return task


class Life(Play):
    """A play in which outcomes wait until they are delivered, in any order."""

    def __init__(self, text: str, rng: random.Random) -> None:
        self.rng = rng
        self.kills: list[str] = []
        self.workspaces: list[Any] = []
        self.child_kills: list[str] = []
        self.running: list[fx.RunAttempt] = []
        self.children: list[fx.StartSubflow] = []
        super().__init__(text, outcome=self._outcome)  # type: ignore[arg-type]

    @staticmethod
    def _outcome(play: Play, run: TaskRun) -> cmd.AttemptEnded:
        assert isinstance(play, Life)
        task = play.tree.task(run.task_id)
        if task is not None and task.type.endswith("Exit"):
            return ended(run, requests=[("exit", {"state": task.state})])  # type: ignore[attr-defined]
        return ended(run, "FAILED", error="chance") if play.rng.random() < 0.07 else ordinary(play, run)

    def perform(self, effect: fx.AnyEffect) -> list[cmd.Command]:
        match effect:
            case fx.OpenWorkspace() | fx.CloseWorkspace():
                self.workspaces.append(effect)
            case fx.KillAttempt():
                self.kills.append(effect.attempt_id)
            case fx.KillSubflow():
                self.child_kills.append(effect.execution_id)
            case _:
                return super().perform(effect)
        return []

    # ---- the world
    def deliver(self) -> bool:
        """One outcome, whichever; False when there is none."""
        ways = [way for waiting, way in (
            (self.attempts, self._attempt), (self.kills, self._kill), (self.workspaces, self._workspace), (self.subflows, self._child),
            (self.child_kills, self._kill_child),
        ) if waiting]
        if ways:
            self.rng.choice(ways)()
        return bool(ways)

    def _attempt(self) -> None:
        effect = self.attempts.pop(self.rng.randrange(len(self.attempts)))
        self.give(cmd.AttemptBegan(run_id=effect.run_id, number=effect.number))
        self.running.append(effect)
        if self.rng.random() < 0.7:
            self.end_attempt()

    def end_attempt(self) -> None:
        effect = self.running.pop()
        run = self.state.runs.get(effect.run_id)
        if run is not None and not run.ended and len(run.attempts) == effect.number:
            self.give(self._outcome(self, run))

    def _kill(self) -> None:
        attempt = self.kills.pop()
        for run in list(self.state.runs.values()):
            if attempt == f"{run.id}-{len(run.attempts)}" and not run.ended:
                self.give(ended(run, "KILLED"))

    def _workspace(self) -> None:
        effect = self.workspaces.pop(0)
        if isinstance(effect, fx.OpenWorkspace):
            self.give(cmd.WorkspaceOpened(run_id=effect.run_id, error="no room" if self.rng.random() < 0.05 else None))
        elif effect.collect:
            self.give(cmd.WorkspaceClosed(run_id=effect.run_id))

    def _child(self) -> None:
        effect = self.subflows.pop(0)
        if self.rng.random() < 0.1:
            self.give(cmd.SubflowStarted(run_id=effect.run_id, error="no such flow"))
            return
        self.give(cmd.SubflowStarted(run_id=effect.run_id, execution_id=effect.execution_id))
        self.children.append(effect)
        if self.rng.random() < 0.6:
            self.end_child(self.rng.choice(["SUCCESS", "FAILED", "WARNING", "KILLED"]))

    def end_child(self, state: str) -> None:
        effect = self.children.pop()
        self.give(cmd.SubflowEnded(run_id=effect.run_id, execution_id=effect.execution_id, state=state))

    def _kill_child(self) -> None:
        execution_id = self.child_kills.pop(0)
        for effect in [each for each in self.children if each.execution_id == execution_id]:
            self.children.remove(effect)
            self.give(cmd.SubflowEnded(run_id=effect.run_id, execution_id=execution_id, state="KILLED"))

    def let_time_pass(self) -> bool:
        if self.timers:
            due, key = min((at, key) for key, at in self.timers.items())
            del self.timers[key]
            self.now = max(self.now, due)
            self.give(cmd.TimerFired(key=key))
            return True
        return False

    def crash(self) -> None:
        """Forget all that is not in the events, and take up what they leave open."""
        self.state = fold(codec.decode(codec.encode(event)) for event in self.events)
        for waiting in (self.attempts, self.kills, self.workspaces, self.child_kills, self.running, self.children, self.subflows):
            waiting.clear()  # type: ignore[attr-defined]
        self.timers.clear()
        for effect in pending(self.tree, self.state, self.now):
            for command in self.perform(effect):
                self.give(command)

    # ---- people
    def meddle(self) -> None:
        """Somebody does something; a refusal is fine."""
        choices: list[cmd.Command] = [
            cmd.Pause(), cmd.Resume(), cmd.Restart(), cmd.ChangeStatus(state=self.rng.choice(["SUCCESS", "FAILED"])), cmd.SetLabels(labels={"a": "b"}),
        ]
        if self.state.runs:
            run_id = self.rng.choice(list(self.state.runs))
            choices += [cmd.SetRunState(run_id=run_id, state=self.rng.choice(["SUCCESS", "FAILED", "RUNNING"]))] * 2
        if self.rng.random() < 0.3:
            choices.append(cmd.Kill())
        command = self.rng.choice(choices)
        with contextlib.suppress(PodiumError):
            self.give(command)
            if isinstance(command, (cmd.Restart, cmd.SetRunState)):
                self.give(cmd.Begin(force=True))

    def finish(self) -> None:
        """All that can happen by itself happens, then people resume what is paused."""
        for _ in range(STEPS_MAX):
            if self.state.closed:
                return
            if self.deliver():
                continue
            if self.running:
                self.end_attempt()
            elif self.children:
                self.end_child("SUCCESS")
            elif not self.let_time_pass():
                self.give(cmd.Resume())
        raise AssertionError("it does not come to an end")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_people_do_an_execution_comes_to_its_end(seed: int) -> None:
    rng = random.Random(seed)
    life = Life(json.dumps(Writer(rng).flow()), rng)
    for _ in range(rng.randint(0, 40)):
        chance = rng.random()
        if chance < 0.6:
            life.deliver()
        elif chance < 0.7:
            life.let_time_pass()
        elif chance < 0.73:
            life.crash()
        else:
            life.meddle()
    life.finish()
    life.check()
