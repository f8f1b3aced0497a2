"""Task runs as rows and bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from podium.base.moments import to_text
from podium.web.pages.timeline import WIDTH, timeline, took

START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def state(current: str, begin: float, end: float | None = None) -> dict[str, Any]:
    found = {"current": current, "startDate": to_text(START + timedelta(seconds=begin))}
    return found if end is None else {**found, "endDate": to_text(START + timedelta(seconds=end))}


def run(name: str, parent: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": name, "taskId": name, "state": state("SUCCESS", 0, 10), **({"parentTaskRunId": parent} if parent else {}), **more}


def names(execution: dict[str, Any]) -> list[tuple[str, int]]:
    return [(row.run["id"], row.depth) for row in timeline(execution, START).rows]


def test_children_stand_below_their_parent_in_order_of_start() -> None:
    late = run("late", "parent", state=state("SUCCESS", 5, 6))
    early = run("early", "parent", state=state("SUCCESS", 1, 2))
    execution = {"state": state("SUCCESS", 0, 10), "taskRunList": [run("parent"), late, run("last", state=state("SUCCESS", 9, 10)), early]}
    assert names(execution) == [("parent", 0), ("early", 1), ("late", 1), ("last", 0)]


def test_no_task_run_is_lost_whatever_the_parents_say() -> None:
    execution = {"state": state("SUCCESS", 0, 10), "taskRunList": [run("a", "b"), run("b", "a"), run("c", "gone"), run("d", "d")]}
    assert sorted(name for name, _ in names(execution)) == ["a", "b", "c", "d"]


def test_bars_are_within_the_width() -> None:
    execution = {"state": state("SUCCESS", 0, 100), "taskRunList": [run("x", state=state("FAILED", 25, 75)), run("y", state=state("SUCCESS", 100, 100))]}
    rows = timeline(execution, START).rows
    assert (rows[0].bars[0].x, rows[0].bars[0].width) == (250, 500)
    assert all(bar.x + bar.width <= WIDTH and bar.width > 0 for row in rows for bar in row.bars)


def test_attempts_have_a_bar_each() -> None:
    attempts = [{"state": state("FAILED", 0, 2)}, {"state": state("SUCCESS", 6, 10)}]
    (row,) = timeline({"state": state("SUCCESS", 0, 10), "taskRunList": [run("x", attempts=attempts)]}, START).rows
    assert [bar.state for bar in row.bars] == ["FAILED", "SUCCESS"]


def test_what_runs_lasts_until_now() -> None:
    now = START + timedelta(seconds=30)
    assert took(state("RUNNING", 10), now) == timedelta(seconds=20)
    assert took(state("SUCCESS", 10, 12), now) == timedelta(seconds=2)
    assert took({"current": "SUCCESS", "startDate": to_text(START), "duration": "PT3S"}, now) == timedelta(seconds=3)
    assert took({"current": "CREATED"}, now) is None


def test_an_execution_without_task_runs_has_no_rows() -> None:
    assert timeline({"state": state("CREATED", 0)}, START).rows == ()
    assert timeline({"state": {}, "taskRunList": None}, START).rows == ()


def test_a_thousand_task_runs_in_a_chain_are_flattened() -> None:
    """Deep nesting must not recurse."""
    runs = [run("r0")] + [run(f"r{n}", f"r{n - 1}") for n in range(1, 5_000)]
    assert len(timeline({"state": state("SUCCESS", 0, 10), "taskRunList": runs}, START).rows) == 5_000
