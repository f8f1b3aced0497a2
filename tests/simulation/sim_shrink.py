"""Runs seeds, and makes what fails smaller: fewer kinds of trouble, fewer tasks, as long as it still fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sim_rules import results
from sim_world import FAULTS, Setup, World

TRIES_MAX = 150
ORDERLY_EVERY = 5
"""Each how many seeds one story is told in several orders and compared."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """wrong: None when all is well. events: that were checked."""

    seed: int
    wrong: str | None = None
    events: int = 0
    lives: int = 0
    executions: int = 0


def setups(seed: int) -> list[Setup]:
    """What is run for a seed: a world with all kinds of trouble, with none, only with people, or one story in three orders."""
    if seed % ORDERLY_EVERY == 0:
        return [Setup(seed=seed, order=order, faults=frozenset(faults), orderly=True) for order, faults in enumerate(((), (), ("crash", "again", "push")))]
    if seed % ORDERLY_EVERY == 1:
        return [Setup(seed=seed, faults=frozenset())]
    if seed % ORDERLY_EVERY == 2:
        return [Setup(seed=seed, faults=frozenset({"people", "again", "push"}))]
    return [Setup(seed=seed)] if seed % 2 else [Setup(seed=seed, faults=frozenset(FAULTS) - {"people"})]


def judge(seed: int) -> Verdict:
    """Run everything of a seed."""
    worlds = []
    try:
        for setup in setups(seed):
            worlds.append(World(setup))
            worlds[-1].run()
        for world in worlds[1:]:
            same_end(worlds[0], world)
        wrong = None
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed failed
        wrong = f"{type(error).__name__}: {error}"
    return Verdict(seed, wrong, sum(each.ledger.events for each in worlds), sum(each.lives for each in worlds),
                   sum(len(each.ledger.books) for each in worlds))


def same_end(first: World, second: World) -> None:
    """The same story ends the same way in another order: every execution that was asked for, and all there is where nothing broke.

    How much of what follows a failure had begun before it depends on the order: siblings, and what they start.
    """
    ours, theirs = (sorted(results(world.ledger.books)) for world in (first, second))
    states = [[each[:3] for each in found if each[0] != "-"] for found in (ours, theirs)]
    assert states[0] == states[1], f"another order, other ends: {_differences(states[0], states[1])}"
    if not any(_broken(each) for each in (*ours, *theirs)):
        assert ours == theirs, f"another order, other task runs: {_differences(ours, theirs)}"


def _broken(result: tuple[str, str, str, tuple[tuple[str, str], ...]]) -> bool:
    return any(state in ("FAILED", "KILLED", "CANCELLED") for state in (result[2], *(state for _, state in result[3])))


def _differences(ours: list[Any], theirs: list[Any]) -> str:
    return f"{[each for each in ours if each not in theirs]} against {[each for each in theirs if each not in ours]}"


def smaller(seed: int) -> tuple[Setup, str]:
    """The smallest setup found that still fails, and how it fails. For a seed of which one world fails by itself."""
    setup = next((each for each in setups(seed) if fails(each) is not None), setups(seed)[0])
    wrong = fails(setup) or "only in comparison with another order"
    for fault in sorted(setup.faults):
        less = replace(setup, faults=setup.faults - {fault})
        wrong, setup = (found, less) if (found := fails(less)) else (wrong, setup)
    setup = replace(setup, flows=tuple(json.dumps(each) for each in World(setup).flows))
    tries = 0
    shrunk = True
    while shrunk and tries < TRIES_MAX:
        shrunk = False
        for flows in _cut(setup.flows):
            tries += 1
            found = fails(replace(setup, flows=flows))
            if found:
                setup, wrong, shrunk = replace(setup, flows=flows), found, True
                break
            if tries >= TRIES_MAX:
                break
    return setup, wrong


def fails(setup: Setup) -> str | None:
    """How it fails; None when it does not, or is no valid world."""
    try:
        World(setup).run()
    except AssertionError as error:
        return None if "Problem" in str(error) else f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - as above
        return f"{type(error).__name__}: {error}"
    return None


def _cut(flows: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The flows with one task, or one other part, less."""
    for number, text in enumerate(flows):
        for path in _parts(json.loads(text)):
            flow = json.loads(text)
            holder: Any = flow
            for step in path[:-1]:
                holder = holder[step]
            del holder[path[-1]]
            yield (*flows[:number], json.dumps(flow), *flows[number + 1:])


def _parts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all tasks and of all optional properties, outer ones first."""
    items: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, item in items:
        here = (*path, key)
        listed = isinstance(value, list) and len(value) > 1 and isinstance(item, dict)
        optional = key in ("errors", "finally", "afterExecution", "retry", "sla", "concurrency", "checks", "outputs", "timeout", "runIf", "onPause",
                           "allowFailure", "allowWarning", "disabled")
        if listed or optional:
            yield here
    for key, item in items:
        yield from _parts(item, (*path, key))
