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
from flow_writer import Writer

from podium.base.errors import PodiumError
from podium.engine import codec
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.decide.entry import pending
from podium.engine.decide.kinds.approval import waiting_approval
from podium.engine.state import TaskRun, fold

SEEDS = 120
STEPS_MAX = 5_000


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
        run = self.state.runs.get(effect.run_id)
        known = run is not None and run.notes.get(f"child:{effect.index}", ("", "CREATED"))[1] != "CREATED"
        if not known and self.rng.random() < 0.1:
            self.give(cmd.SubflowStarted(run_id=effect.run_id, index=effect.index, error="no such flow"))
            return
        self.give(cmd.SubflowStarted(run_id=effect.run_id, index=effect.index, execution_id=effect.execution_id, paused=self.rng.random() < 0.1))
        self.children.append(effect)
        if effect.index is not None and self.rng.random() < 0.3:
            paused = self.rng.random() < 0.7
            self.give(cmd.IterationPaused(run_id=effect.run_id, index=effect.index, execution_id=effect.execution_id, paused=paused))
        if self.rng.random() < 0.6:
            self.end_child(self.rng.choice(["SUCCESS", "FAILED", "WARNING", "KILLED"]))

    def end_child(self, state: str) -> None:
        effect = self.children.pop()
        self.give(cmd.SubflowEnded(run_id=effect.run_id, index=effect.index, execution_id=effect.execution_id, state=state))

    def _kill_child(self) -> None:
        execution_id = self.child_kills.pop(0)
        for effect in [each for each in self.children if each.execution_id == execution_id]:
            self.children.remove(effect)
            self.give(cmd.SubflowEnded(run_id=effect.run_id, index=effect.index, execution_id=execution_id, state="KILLED"))

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
            self._review(),
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
                self.give(cmd.Resume() if waiting_approval(self.tree, self.state) is None else self._review())
        raise AssertionError("it does not come to an end")

    def _review(self) -> cmd.Review:
        return cmd.Review(decision=self.rng.choice(["APPROVED", "DENIED"]), by="me")


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
