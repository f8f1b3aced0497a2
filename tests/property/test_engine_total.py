"""`decide` is total: in no state that can be reached does any command make it raise, but for refusals of what people ask.

Random flows are brought into some state; then come commands of every kind, about task runs that are, were and never will be, with numbers that
are past, present and to come; and in the end the execution still comes to its end.
"""

from __future__ import annotations

import dataclasses
import json
import random
import sys
import typing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "engine"))
sys.path.insert(0, str(Path(__file__).parent))
from flow_writer import Writer
from test_engine_commands import Life

from podium.base.errors import ConflictError
from podium.engine import commands as cmd
from podium.engine.decide.entry import pending

STATES = ("SUCCESS", "FAILED", "WARNING", "KILLED", "CANCELLED", "SKIPPED", "RETRIED", "RUNNING", "CREATED", "PAUSED", "RESTARTED")
PURPOSES = ("runIf", "if", "switch", "values", "pause", "subflow", "timer", "loop", "sleep", "delay", "timeout", "loop:1", "loop:2", "retry:1",
            "retry:2", "items", "item:0", "approval")
PEOPLE = (cmd.Kill, cmd.Pause, cmd.Resume, cmd.Review, cmd.Restart, cmd.ChangeStatus, cmd.SetRunState, cmd.SetLabels)
KINDS = [kind for kind in typing.get_args(cmd.Command) if kind is not cmd.Create]

MAPS: tuple[dict[str, Any], ...] = ({}, {"a": "b"})
CHOICES: dict[str, tuple[Any, ...]] = {
    "state": STATES, "index": (None, 0, 1, 9), "decision": ("APPROVED", "DENIED"), "instead": (None, "CANCELLED", "FAILED"),
    "error": (None, "it broke"), "running": (0, 1, 2), "paused": (True, False), "force": (True, False), "cascade": (True, False), "by": ("me",), "comment": ("me",),
    "labels": MAPS, "outputs": MAPS, "inputs": MAPS, "facts": MAPS,
}


class Stranger:
    """Knows every name there is or was, and understands none of it."""

    def __init__(self, life: Life, rng: random.Random) -> None:
        self.life, self.rng = life, rng
        self.seen: set[str] = set()

    def command(self) -> cmd.Command:
        """Any command about anything."""
        kind = self.rng.choice(KINDS)
        return kind(**{each.name: value for each in dataclasses.fields(kind) if (value := self._value(kind, each)) is not ...})

    def _value(self, kind: Any, field: dataclasses.Field[Any]) -> Any:
        rng, run = self.rng, self._run()
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if optional and rng.random() < 0.4:
            return ...
        if field.name == "run_id":
            return None if optional and rng.random() < 0.3 else run
        if field.name == "number":
            return rng.randint(0, 4)
        if field.name == "key":
            timer = rng.choice([f"{run}:{rng.choice(PURPOSES)}", ":sla:0", ":sla:7", ":schedule"])
            return timer if kind is cmd.TimerFired else self._question(run)
        if field.name in ("execution_id", "successor"):
            return rng.choice(["0" * 22, *(effect.execution_id for effect in self.life.effects if hasattr(effect, "execution_id"))])
        return rng.choice(CHOICES[field.name]) if field.name in CHOICES else ...

    def _run(self) -> str:
        self.seen |= set(self.life.state.runs)
        return self.rng.choice([*sorted(self.seen), "1" * 22])

    def _question(self, run: str) -> str:
        """One that nobody asked: the answers of those that are open come from the driver, in their shape."""
        return self.rng.choice([key for key in (f"{run}:{self.rng.choice(PURPOSES)}", ":outputs", ":sla:0") if key not in self.life.state.asked] or ["x:if"])


def strange(life: Life, rng: random.Random, stranger: Stranger) -> None:
    command = stranger.command()
    before = life.state.version
    try:
        life.give(command)
        if isinstance(command, (cmd.Restart, cmd.SetRunState)):
            life.give(cmd.Begin(force=True))
    except ConflictError:
        assert isinstance(command, PEOPLE), f"{command} is no person's and was refused"
        assert life.state.version == before, f"{command} was refused after it had done something"
    pending(life.tree, life.state, life.now)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 1_000_000), steps=st.integers(0, 60))
def test_no_command_makes_decide_raise_in_any_state(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    life = Life(json.dumps(Writer(rng).flow()), rng)
    stranger = Stranger(life, rng)
    for _ in range(steps):
        chance = rng.random()
        if chance < 0.45:
            life.deliver()
        elif chance < 0.55:
            life.let_time_pass()
        elif chance < 0.58:
            life.crash()
        else:
            strange(life, rng, stranger)
    life.crash()
    life.finish()
    life.check()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 1_000_000))
def test_a_closed_execution_ignores_all_news(seed: int) -> None:
    rng = random.Random(seed)
    life = Life(json.dumps(Writer(rng).flow()), rng)
    life.finish()
    stranger = Stranger(life, rng)
    version, state = life.state.version, life.state.state
    for _ in range(30):
        command = stranger.command()
        if not isinstance(command, PEOPLE):
            life.give(command)
    assert (life.state.version, life.state.state) == (version, state)
