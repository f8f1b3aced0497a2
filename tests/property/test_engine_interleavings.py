"""The engine over random flows: whatever order tasks end in, every decision is total and the final state is the same."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "engine"))
from engine_driver import Play, ended

from podium.engine import codec
from podium.engine import commands as cmd
from podium.engine.decide.entry import pending
from podium.engine.state import fold


def leaf(counter: list[int], rng: random.Random) -> dict[str, Any]:
    counter[0] += 1
    task: dict[str, Any] = {"id": f"t{counter[0]}", "type": "core.log.Log", "message": "x"}
    if rng.random() < 0.2:
        task["allowFailure"] = True
    if rng.random() < 0.1:
        task["retry"] = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}
    if rng.random() < 0.1:
        task["runIf"] = "{{ 1 == 2 }}" if rng.random() < 0.5 else "{{ 1 == 1 }}"
    return task


def node(counter: list[int], rng: random.Random, depth: int) -> dict[str, Any]:
    if depth == 0 or rng.random() < 0.4:
        return leaf(counter, rng)
    counter[0] += 1
    task: dict[str, Any] = {"id": f"n{counter[0]}"}
    kind = rng.choice(["Sequential", "Parallel", "ForEach", "If", "AllowFailure", "Dag", "EachParallel", "Switch", "WorkingDirectory"])
    task["type"] = f"core.flow.{kind}"
    children = [node(counter, rng, depth - 1) for _ in range(rng.randint(1, 3))]
    if kind == "ForEach":
        task |= {"values": [str(each) for each in range(rng.randint(0, 3))], "concurrencyLimit": rng.randint(0, 2), "tasks": children}
    elif kind == "EachParallel":
        task |= {"value": ["a", "b"], "concurrent": rng.randint(0, 2), "tasks": children}
    elif kind == "If":
        task |= {"condition": rng.choice(["true", "false"]), "then": children, "else": [leaf(counter, rng)]}
    elif kind == "Switch":
        task |= {"value": rng.choice(["x", "y"]), "cases": {"x": children}, "defaults": [leaf(counter, rng)]}
    elif kind == "Dag":
        task["tasks"] = [{"task": each, "dependsOn": [children[index - 1]["id"]] if index else []} for index, each in enumerate(children)]
    elif kind == "WorkingDirectory":
        task["tasks"] = [leaf(counter, rng) for _ in range(2)]
    else:
        task["tasks"] = children
        if kind == "Parallel":
            task["concurrent"] = rng.randint(0, 2)
    if rng.random() < 0.2 and kind in ("Sequential", "Parallel", "ForEach"):
        task["errors"] = [leaf(counter, rng)]
    if rng.random() < 0.1 and kind == "Sequential":
        task["finally"] = [leaf(counter, rng)]
    return task


def random_flow(seed: int) -> str:
    rng = random.Random(seed)
    counter = [0]
    flow: dict[str, Any] = {"id": "f", "namespace": "n", "tasks": [node(counter, rng, 3) for _ in range(rng.randint(1, 3))]}
    if rng.random() < 0.3:
        flow["errors"] = [leaf(counter, rng)]
    if rng.random() < 0.3:
        flow["finally"] = [leaf(counter, rng)]
    if rng.random() < 0.2:
        flow["afterExecution"] = [leaf(counter, rng)]
    return yaml.safe_dump(flow, sort_keys=False)


def fate(task_id: str, value: str | None, attempt: int, seed: int) -> str:
    """Decided by the task alone, so that the order of ends cannot matter."""
    roll = random.Random(f"{task_id}/{value}/{attempt}/{seed}").random()
    return "FAILED" if roll < 0.12 else "WARNING" if roll < 0.18 else "SUCCESS"


def outcome_of(seed: int) -> Any:
    def outcome(play: Play, run: Any) -> cmd.AttemptEnded:
        task = play.tree.task(run.task_id)
        if task is not None and task.run_if.strip() == "{{ 1 == 2 }}":
            return ended(run, "SKIPPED")
        return ended(run, fate(run.task_id, run.value, len(run.attempts), seed))

    return outcome


def play_shuffled(text: str, seed: int, order: int) -> Play:
    """Carry out attempts in an order drawn from `order`."""
    rng = random.Random(order)
    play = Play(text, outcome=outcome_of(seed))
    for _ in range(2_000):
        if not play.attempts:
            if play.timers and not play.state.closed:
                play.wait(1.5)
                continue
            break
        play.attempts.insert(0, play.attempts.pop(rng.randrange(len(play.attempts))))
        effect = play.attempts.pop(0)
        run = play.state.runs.get(effect.run_id)
        if run is None or run.ended:
            continue
        play.give(cmd.AttemptBegan(run_id=run.id, number=effect.number))
        command = play.outcome(play, run)
        assert command is not None
        play.give(command)
        if rng.random() < 0.1:
            play.give(command)  # news may come twice
    return play


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 100_000), order=st.integers(0, 100_000))
def test_every_interleaving_ends_and_holds_the_invariants(seed: int, order: int) -> None:
    play = play_shuffled(random_flow(seed), seed, order)
    assert play.state.closed, play.states()
    play.check()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 100_000))
def test_without_failures_the_order_of_ends_does_not_matter(seed: int) -> None:
    text = random_flow(seed)

    def calm(play: Play, run: Any) -> cmd.AttemptEnded:
        task = play.tree.task(run.task_id)
        return ended(run, "SKIPPED" if task is not None and task.run_if == "{{ 1 == 2 }}" else "SUCCESS")

    first, second = Play(text, outcome=calm).run(), Play(text, outcome=calm)
    second.attempts.reverse()
    second.run()
    assert first.states() == second.states()
    assert first.state.state == second.state.state


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 100_000), order=st.integers(0, 100_000), crashes=st.lists(st.integers(1, 6), max_size=5))
def test_crashes_between_decisions_lose_and_double_nothing(seed: int, order: int, crashes: list[int]) -> None:
    """After a crash the state is folded from the events, and what is still to be done is derived from it alone."""
    rng = random.Random(order)
    play = Play(random_flow(seed), outcome=outcome_of(seed))
    started: set[tuple[str, int]] = set()
    steps = 0
    for _ in range(3_000):
        if crashes and steps >= crashes[0]:
            crashes, steps = crashes[1:], 0
            play.state = fold(codec.decode(codec.encode(event)) for event in play.events)
            play.attempts, play.timers = [], {}
            for effect in pending(play.tree, play.state, play.now):
                for command in play.perform(effect):
                    play.give(command)
        if not play.attempts:
            if play.timers and not play.state.closed:
                play.wait(1.5)
                continue
            break
        effect = play.attempts.pop(rng.randrange(len(play.attempts)))
        run = play.state.runs.get(effect.run_id)
        if run is None or run.ended or len(run.attempts) != effect.number:
            continue
        steps += 1
        if effect.started:
            assert (run.id, effect.number) in started, "taken up although it never started"
        else:
            assert run.attempts[-1].state == "CREATED", "what may have started is taken up as new"
            assert (run.id, effect.number) not in started, "an attempt started twice"
            started.add((run.id, effect.number))
            play.give(cmd.AttemptBegan(run_id=run.id, number=effect.number))
            if crashes and rng.random() < 0.3:
                steps = crashes[0]
                continue
        play.give(play.outcome(play, run))  # type: ignore[arg-type]
    assert play.state.closed, play.states()
    play.check()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 100_000), order=st.integers(0, 100_000), after=st.integers(0, 12))
def test_a_kill_at_any_moment_ends_everything(seed: int, order: int, after: int) -> None:
    rng = random.Random(order)
    play = Play(random_flow(seed), outcome=outcome_of(seed))
    for _ in range(after):
        if not play.attempts:
            break
        effect = play.attempts.pop(rng.randrange(len(play.attempts)))
        run = play.state.runs.get(effect.run_id)
        if run is None or run.ended:
            continue
        play.give(cmd.AttemptBegan(run_id=run.id, number=effect.number))
        if rng.random() < 0.5:
            play.give(play.outcome(play, run))  # type: ignore[arg-type]
    if play.state.ended:  # only afterExecution tasks may still run then, and a kill is refused
        return
    play.give(cmd.Kill())
    play.run()
    assert play.state.closed
    play.check()
