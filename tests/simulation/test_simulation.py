"""Seeds on CI, and that the simulation bites: a planted bug makes it fail. Thousands of seeds: `make simulate SEEDS=2000`."""

from __future__ import annotations

from typing import Any

import pytest
from sim_shrink import judge, smaller
from sim_world import Setup, World

from podium.conductor.core.dispatch import Timers
from podium.engine import effects as fx
from podium.engine.decide import stopping, tasks
from podium.engine.decide.decision import Decision
from podium.engine.decide.kinds import approval, many

SEEDS = 200
BATCH = 20
PLANTED = 60
"""Seeds within which a planted bug must show."""


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_a_world_of_trouble_keeps_every_promise(first: int) -> None:
    """One that fails: `make simulate SEED=n` runs it again and makes it smaller."""
    wrong = [each for each in map(judge, range(first, first + BATCH)) if each.wrong is not None]
    assert wrong == [], f"make simulate SEED={wrong[0].seed}"


def test_a_seed_gives_the_same_world_again() -> None:
    first, second = (World(Setup(seed=3)).run() for _ in range(2))
    assert first.ledger.events == second.ledger.events
    assert {stream: book.history for stream, book in first.ledger.books.items()} == {stream: book.history for stream, book in second.ledger.books.items()}


def no_retry(*_: Any) -> bool:
    return False


def one_retry_too_many(original: Any) -> Any:
    def retry(d: Decision, run: Any, policy: Any) -> Any:
        more = None if policy.max_attempts is None else policy.max_attempts + 1
        return original(d, run, policy.model_copy(update={"max_attempts": more}))

    return retry


def no_kill(original: Any) -> Any:
    def effect(self: Decision, each: Any) -> None:
        if not isinstance(each, fx.KillAttempt):
            original(self, each)

    return effect


def no_directory_removed(original: Any) -> Any:
    def effect(self: Decision, each: Any) -> None:
        if not isinstance(each, fx.CloseWorkspace) or each.collect:
            original(self, each)

    return effect


def no_second_timer(original: Any) -> Any:
    def set_timer(self: Timers, stream: str, key: str, due: Any) -> None:
        if "retry:2" not in key:
            original(self, stream, key, due)

    return set_timer


def gives_nothing_back(*_: Any) -> list[Any]:
    return []


def decides_nothing(d: Decision, run: Any, _: str) -> None:
    d.end_run(run, "SUCCESS")


def stops_nothing(*_: Any, **__: Any) -> None:
    pass


@pytest.mark.parametrize(("owner", "name", "broken"), [
    (tasks, "_retry", lambda _: no_retry), (tasks, "_retry", one_retry_too_many), (Decision, "effect", no_kill),
    (Decision, "effect", no_directory_removed), (Timers, "set", no_second_timer), (stopping, "stop_everything", lambda _: stops_nothing),
    (many, "_given_back", lambda _: gives_nothing_back), (approval, "end", lambda _: decides_nothing),
])
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, broken: Any) -> None:
    """A simulation that passes whatever the engine does would be worth nothing."""
    monkeypatch.setattr(owner, name, broken(getattr(owner, name)))
    assert any(judge(seed).wrong is not None for seed in range(PLANTED))


def test_a_seed_that_fails_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_retry", no_retry)
    seed = next(seed for seed in range(1, PLANTED, 5) if judge(seed).wrong is not None)
    whole = sum(map(len, map(str, World(Setup(seed=seed, faults=frozenset())).flows)))
    setup, wrong = smaller(seed)
    assert sum(map(len, setup.flows)) < whole / 2
    assert "attempt" in wrong
