"""A mocked task run is one attempt of the worker's, whatever its task: the seam that flow tests stand on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from engine_driver import Play, ended, ordinary

from podium.engine import effects as fx
from podium.engine.tree import item_values

CORE = "io.kestra.plugin.core"
KINDS = {
    "subflow": f"type: {CORE}.flow.Subflow, namespace: n, flowId: other",
    "items": f"type: {CORE}.flow.ForEachItem, items: 'kestra:///x', namespace: n, flowId: other",
    "approval": f"type: {CORE}.flow.Approval",
    "pause": f"type: {CORE}.flow.Pause, pauseDuration: PT1H",
    "sleep": f"type: {CORE}.flow.Sleep, duration: PT1H",
    "sequential": f"type: {CORE}.flow.Sequential, tasks: [{{id: inner, type: {CORE}.log.Log, message: x}}]",
    "foreach": f"type: {CORE}.flow.ForEach, values: [1], tasks: [{{id: inner, type: {CORE}.log.Log, message: x}}]",
    "loop": f"type: {CORE}.flow.Loop, values: [1], tasks: [{{id: inner, type: {CORE}.log.Log, message: x}}]",
    "until": f"type: {CORE}.flow.LoopUntil, condition: 'false', tasks: [{{id: inner, type: {CORE}.log.Log, message: x}}]",
    "switch": f"type: {CORE}.flow.Switch, value: x, defaults: [{{id: inner, type: {CORE}.log.Log, message: x}}]",
    "directory": f"type: {CORE}.flow.WorkingDirectory, tasks: [{{id: inner, type: {CORE}.log.Log, message: x}}]",
}


def flow(task: str) -> str:
    return f"id: f\nnamespace: n\ntasks:\n  - {{id: a, {task}}}\n  - {{id: b, type: {CORE}.log.Log, message: end}}\n"


def only_a(task_id: str, _values: Sequence[str]) -> bool:
    return task_id == "a"


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_task_is_one_attempt_without_effects_of_its_own(kind: str) -> None:
    play = Play(flow(KINDS[kind]), mocked=only_a).run()
    assert play.started == ["a", "b"]
    assert play.states() == {"a": "SUCCESS", "b": "SUCCESS"}
    assert play.state.state == "SUCCESS"
    assert not play.timers
    assert not play.subflows
    assert not any(isinstance(each, (fx.OpenWorkspace, fx.CloseWorkspace)) for each in play.effects)


@pytest.mark.parametrize("retry", ["on the task", "on the flow"])
def test_a_mocked_failure_is_final(retry: str) -> None:
    policy = "retry: {type: constant, interval: PT1H, maxAttempts: 5}"
    text = flow(f"type: {CORE}.flow.Pause" + (f", {policy}" if retry == "on the task" else ""))
    play = Play(text if retry == "on the task" else text + policy + "\n", mocked=only_a, outcome=lambda _, run: ended(run, "FAILED")).run()
    assert play.state.state == "FAILED"
    assert len(play.run_of("a").attempts) == 1


def test_iterations_that_are_not_mocked_are_as_ever() -> None:
    text = flow(f"type: {CORE}.flow.ForEach, values: [x, y], tasks: [{{id: nap, type: {CORE}.flow.Sleep, duration: PT1M}}]")
    play = Play(text, mocked=lambda task_id, values: task_id == "nap" and "x" in values, outcome=ordinary).run()
    assert play.states()["nap[x]"] == "SUCCESS"
    play.wait(61)
    assert play.started == ["nap[x]", "b"]
    assert play.state.state == "SUCCESS"
    assert play.states()["nap[y]"] == "SUCCESS"


def test_values_of_loops_are_read_from_their_item_outermost_first() -> None:
    assert item_values(None) == ()
    assert item_values({"value": "c", "parents": [{"value": {"k": 1}}, {"value": "a"}]}) == ("a", '{"k":1}', "c")
