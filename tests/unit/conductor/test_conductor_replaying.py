"""Which task runs a replay takes over. Each of these was found by a seed of the simulation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
from engine_driver import Play, flow

from podium.conductor.replaying import copied_runs

FAILING = "  - {id: a, type: core.execution.Fail}"


def taken_over(play: Play, task_id: str | None, value: str | None = None) -> dict[str, str]:
    run = next((run for run in play.state.runs.values() if run.task_id == task_id and run.value == value), None)
    copied = copied_runs(play.state, play.tree, "1" * 22, run.id if run else None)
    return {each["taskId"] + (f"[{each['value']}]" if each.get("value") else ""): each["state"] for each in copied}


def test_a_replay_from_a_finally_task_runs_no_main_task_again() -> None:
    loop = "finally:\n  - {id: l, type: core.flow.ForEach, values: [x, y, z], tasks: [{id: t, type: core.debug.Return}]}"
    play = Play(flow(FAILING, loop)).run()
    assert taken_over(play, "t", "z") == {"a": "FAILED", "l": "RUNNING", "t[x]": "SUCCESS", "t[y]": "SUCCESS", "t[z]": "RESTARTED"}


def test_a_replay_from_a_finally_task_keeps_the_errors_tasks_before_it() -> None:
    more: Any = "errors:\n  - {id: e, type: core.debug.Return}\nfinally:\n  - {id: f, type: core.debug.Return}\n  - {id: g, type: core.debug.Return}"
    play = Play(flow(FAILING, more)).run()
    assert taken_over(play, "f") == {"a": "FAILED", "e": "SUCCESS", "f": "RESTARTED"}
    assert taken_over(play, "e") == {"a": "FAILED", "e": "RESTARTED"}


def test_a_replay_from_an_on_pause_task_takes_its_pause_along() -> None:
    play = Play(flow("  - {id: p, type: core.flow.Pause, pauseDuration: PT1S, onPause: {id: o, type: core.debug.Return}}")).run().wait(2)
    assert play.state.closed
    assert taken_over(play, "o") == {"p": "RESTARTED"}


def test_what_follows_another_that_runs_again_is_left_out() -> None:
    play = Play(flow(FAILING, "finally:\n  - {id: f, type: core.execution.Fail}")).run()
    assert taken_over(play, None) == {"a": "RESTARTED"}
