"""The table of `make bench`: what a share of a budget is, and that a part that fails is a line of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.__main__ import _lines
from benchmarks.measure import Measured
from benchmarks.suite import SUITE, Part


@pytest.mark.parametrize(("figure", "budget", "share"), [
    ("50 ms", "≤ 100 ms", 0.5), ("2,000/s", "≥ 1,000/s", 0.5), ("500/s", "≥ 1000/s", 2.0), ("0.04 ×", "≤ 0.05 ×", 0.8),
    ("0 lost", "0 lost, 429", None), ("12 ms", "", None), ("not measured", "≤ 1 ms", None),
])
def test_a_share_is_how_much_of_its_budget_a_figure_takes(figure: str, budget: str, share: float | None) -> None:
    found = Measured(name="x", figure=figure, budget=budget, good=True).of_budget()
    assert found == (None if share is None else pytest.approx(share))


class _Part(Part):
    """One that is made of a function."""

    made: Callable[[], Iterator[Measured]]

    def load(self) -> Callable[[], Iterator[Measured]]:
        return self.made


def _part(made: Callable[[], Iterator[Any]], seconds_max: float = 5) -> Part:
    return type("Made", (_Part,), {"made": staticmethod(made)})(where="", seconds_max=seconds_max)


def test_a_part_that_fails_is_a_line_after_those_it_gave() -> None:
    def fails() -> Iterator[Measured]:
        yield Measured(name="first", figure="1 ms", budget="", good=True)
        raise OSError("the disk is gone")

    first, last = _lines("part", _part(fails), left_s=60)
    assert first.name == "first"
    assert (last.name, last.figure, last.good, last.detail) == ("part", "not measured", False, "OSError: the disk is gone")


def test_a_part_that_takes_too_long_is_ended() -> None:
    def hangs() -> Iterator[Measured]:
        time.sleep(30)
        yield Measured(name="never", figure="", budget="", good=True)

    (line,) = _lines("part", _part(hangs, seconds_max=0.05), left_s=60)
    assert line.figure == "not measured"
    assert "TooLong" in line.detail


def test_a_part_for_which_no_time_is_left_says_so() -> None:
    (line,) = _lines("part", _part(lambda: iter(())), left_s=1)
    assert line.figure == "no time left"


@pytest.mark.parametrize("name", sorted(SUITE))
def test_every_part_is_there(name: str) -> None:
    assert callable(SUITE[name].load())
