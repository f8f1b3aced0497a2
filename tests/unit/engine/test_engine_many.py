"""Tasks that start an execution for each of many items: Loop, and the batches of a ForEachItem."""

from __future__ import annotations

from typing import Any

import pytest
from engine_driver import Play, flow

from podium.engine import codec
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.context import variables
from podium.engine.decide.entry import pending
from podium.engine.questions import StoredLines, question
from podium.engine.shape.restore import restore
from podium.engine.shape.view import engine_notes, execution_view
from podium.engine.state import Execution
from podium.engine.tree import iteration_of

LOG = "{id: say, type: core.log.Log, message: x}"


def loop(more: str = "", values: str = "[a, b, c, d]", outer: str = "") -> Play:
    return Play(flow(f"- {{id: all, type: core.flow.Loop, values: {values}, tasks: [{LOG}]{more}}}", outer))


def start(play: Play, *indexes: int) -> None:
    for effect in list(play.subflows):
        if effect.index in indexes:
            play.give(cmd.SubflowStarted(run_id=effect.run_id, index=effect.index, execution_id=effect.execution_id))


def end(play: Play, index: int, state: str = "SUCCESS", **more: Any) -> None:
    effect = [each for each in play.subflows if each.index == index][-1]
    play.give(cmd.SubflowEnded(run_id=effect.run_id, index=index, execution_id=effect.execution_id, state=state, **more))


def test_every_item_gets_an_execution_and_the_loop_ends_with_the_last() -> None:
    play = loop()
    assert [each.index for each in play.subflows] == [0, 1, 2, 3]
    assert len({each.execution_id for each in play.subflows}) == 4
    start(play, 0, 1, 2, 3)
    for index in (2, 0, 3):
        end(play, index, outputs={"o": index})
    assert play.run_of("all").outputs == {"iterationCount": 4, "runningIterations": 1, "terminatedIterations": {"SUCCESS": 3}}
    end(play, 1)
    end(play, 1, "FAILED")
    assert (play.state.state, play.run_of("all").outputs["terminatedIterations"]) == ("SUCCESS", {"SUCCESS": 4})
    assert [each["item"] for each in play.run_of("all").outputs["outputs"]] == [
        {"value": "c", "iteration": 2}, {"value": "a", "iteration": 0}, {"value": "d", "iteration": 3}
    ], "those that gave something, in the order of their ends"
    play.check()


def test_no_more_run_at_once_than_the_limit_says() -> None:
    play = loop(", concurrencyLimit: 2")
    for index in range(4):
        assert len(play.subflows) == min(index + 2, 4)
        end(play, index)
    assert play.state.state == "SUCCESS"
    play.check()


@pytest.mark.parametrize(("state", "transmit", "expected"), [
    ("FAILED", True, "FAILED"), ("KILLED", True, "KILLED"), ("FAILED", False, "SUCCESS"), ("WARNING", True, "SUCCESS"),
])
def test_the_end_of_an_iteration_counts_as_it_is_transmitted(state: str, transmit: bool, expected: str) -> None:
    play = loop(f", concurrencyLimit: 1, transmitFailed: {str(transmit).lower()}")
    end(play, 0, state)
    bad = transmit and state != "WARNING"
    assert len(play.subflows) == (1 if bad else 2), "nothing is started after a failure that counts"
    for index in () if bad else (1, 2, 3):
        end(play, index)
    assert play.state.state == expected
    play.check()


def test_a_loop_that_breaks_starts_no_further_iteration() -> None:
    play = loop(", concurrencyLimit: 1, breakWhen: \"{{ iteration.outputs.o == 'enough' and item.index == 1 and iteration.state == 'SUCCESS' }}\"")
    end(play, 0, outputs={"o": "enough"})
    end(play, 1, outputs={"o": "enough"})
    assert (play.state.state, len(play.subflows)) == ("SUCCESS", 2)
    play.check()


@pytest.mark.parametrize(("values", "texts", "keys"), [
    ("[a, 1, {x: 1}, a, 1.5]", ["a", "1", '{"x":1}', "1.5"], None),
    ("{k: v, l: 2, m: [1]}", ["v", "2", "[1]"], ["k", "l", "m"]),
    ("'[\"a\", 2, [3], \"a\"]'", ["a", "2", "[3]"], None),
    ("'{{ {\"k\": \"v\"} | toJson }}'", ["v"], ["k"]),
    ("[]", [], None),
])
def test_values_are_texts(values: str, texts: list[str], keys: list[str] | None) -> None:
    play = loop(values=values)
    assert (play.run_of("all").notes["values"], play.run_of("all").notes.get("keys")) == (texts, keys)
    if not texts:
        assert play.state.state == "SUCCESS"


@pytest.mark.parametrize(("values", "problem"), [
    ("[a, null]", "Found a null value"), ("[true]", "Unknown value element type"),
    ("'plain'", "The values must be a list, a map, or an expression that renders to one, but got: 'plain'"), ("'5'", "The values must be"),
])
def test_values_that_are_none_fail_the_task(values: str, problem: str) -> None:
    play = loop(values=values)
    assert play.state.state == "FAILED"
    assert problem in play.engine_log[-1]


def test_a_child_that_cannot_be_made_is_a_failed_iteration() -> None:
    play = loop(", transmitFailed: false", values="[a, b]")
    play.give(cmd.SubflowStarted(run_id=play.subflows[0].run_id, index=0, error="no such flow"))
    end(play, 1)
    assert play.run_of("all").outputs["terminatedIterations"] == {"FAILED": 1, "SUCCESS": 1}
    assert play.state.state == "SUCCESS"


def test_a_kill_reaches_every_child_and_waits_for_them() -> None:
    play = loop(", concurrencyLimit: 2")
    start(play, 0)
    play.give(cmd.Kill())
    killed = {each.execution_id for each in play.effects if isinstance(each, fx.KillSubflow)}
    assert killed == {each.execution_id for each in play.subflows}
    assert play.run_of("all").state == "KILLING"
    start(play, 1)
    for index in (0, 1):
        end(play, index, "KILLED")
    assert (play.state.state, play.run_of("all").state, len(play.subflows)) == ("KILLED", "KILLED", 2)
    play.check()


def test_what_is_open_after_a_crash_is_taken_up() -> None:
    play = loop(", concurrencyLimit: 3")
    start(play, 0)
    end(play, 1)
    open_now = [each for each in pending(play.tree, play.state, play.now) if isinstance(each, fx.StartSubflow)]
    assert sorted(each.index for each in open_now if each.index is not None) == [0, 2, 3]


@pytest.mark.parametrize("from_record", [False, True])
def test_a_restart_restarts_only_what_failed(from_record: bool) -> None:
    play = loop(", concurrencyLimit: 2", outer="errors: [{id: sorry, type: core.log.Log, message: x}]")
    end(play, 1, outputs={"o": 1})
    end(play, 0, "FAILED")
    end(play, 2)
    play.run()
    assert (play.state.state, play.state.closed) == ("FAILED", True)
    failed = play.subflows[0].execution_id
    if from_record:
        state = Execution()
        flow_of = {"source": "", "commit": "", "path": "", "blob": ""}
        restore(state, execution_view(play.state, tree=play.tree), flow_of, engine_notes(play.state, play.tree))
        play.state = state
    play.subflows.clear()
    play.give(cmd.Restart())
    play.give(cmd.Begin(force=True))
    assert [(each.index, each.execution_id == failed, each.fresh is not None) for each in play.subflows] == [(0, True, True), (3, False, False)]
    fresh = play.subflows[0].fresh
    play.give(cmd.SubflowStarted(run_id=play.subflows[0].run_id, index=0, execution_id=fresh))
    play.give(cmd.SubflowEnded(run_id=play.subflows[0].run_id, index=0, execution_id=str(fresh), state="SUCCESS", outputs={"o": 0}))
    end(play, 3)
    assert play.state.state == "SUCCESS"
    assert play.run_of("all").outputs["terminatedIterations"] == {"SUCCESS": 4}
    assert [each["outputs"]["o"] for each in play.run_of("all").outputs["outputs"]] == [1, 0]


def restored(play: Play, view: dict[str, Any] | None = None) -> None:
    """Go on from what the record says."""
    state = Execution()
    flow_of = {"source": "", "commit": "", "path": "", "blob": ""}
    restore(state, view or execution_view(play.state, tree=play.tree), flow_of, engine_notes(play.state, play.tree))
    play.state = state
    play.subflows.clear()


@pytest.mark.parametrize("from_record", [False, True])
def test_a_loop_that_went_well_keeps_its_outputs_when_it_is_run_again(from_record: bool) -> None:
    play = loop(values="[a, b]")
    end(play, 1, outputs={"o": 1})
    end(play, 0, outputs={"o": 0})
    outputs = play.run_of("all").outputs
    if from_record:
        restored(play)
    play.give(cmd.SetRunState(run_id=play.run_of("all").id, state="RESTARTED"))
    play.give(cmd.Begin(force=True))
    assert (play.state.state, play.run_of("all").outputs) == ("SUCCESS", outputs)


def test_outputs_that_were_too_large_for_the_record_do_not_spoil_the_figures() -> None:
    play = loop(values="[a, b, c]")
    end(play, 0, outputs={"o": 0})
    end(play, 1, "FAILED")
    end(play, 2, outputs={"o": 2})
    view = execution_view(play.state, tree=play.tree)
    view["taskRunList"][0]["outputs"] = {"podium:omitted": {"bytes": 1, "sha256": ""}}
    restored(play, view)
    play.give(cmd.Restart())
    play.give(cmd.Begin(force=True))
    end(play, 1)
    assert (play.state.state, play.run_of("all").outputs["terminatedIterations"]) == ("SUCCESS", {"SUCCESS": 3})
    assert [each["outputs"]["o"] for each in play.run_of("all").outputs["outputs"]] == [0, 2]


def test_a_restart_does_not_write_what_is_done_again_and_again() -> None:
    count = 50
    play = loop(values="'{{ range(1, 50) }}'", more=", transmitFailed: false, allowFailure: true")
    for index in range(count):
        end(play, index, "SUCCESS" if index % 2 else "FAILED", outputs={"o": "x" * 1000})
    before = len(play.events)
    play.subflows.clear()
    play.give(cmd.SetRunState(run_id=play.run_of("all").id, state="RESTARTED"))
    play.give(cmd.Begin(force=True))
    for effect in list(play.subflows):
        play.give(cmd.SubflowEnded(run_id=effect.run_id, index=effect.index, execution_id=effect.execution_id, state="SUCCESS", outputs={"o": 1}))
    assert play.state.state == "SUCCESS"
    written = sum(len(codec.encode(each)) for each in play.events[before:])
    assert written < 200_000, "the outputs are written once, not with every figure"


def test_outputs_of_many_iterations_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.engine.decide.kinds.many.LAUNCHED_BYTES_MAX", 100)
    play = loop(", concurrencyLimit: 1")
    end(play, 0, outputs={"o": "x" * 60})
    end(play, 1, outputs={"o": "x" * 60})
    assert (play.run_of("all").state, len(play.run_of("all").outputs["outputs"]), len(play.subflows)) == ("FAILED", 1, 2)
    assert "fetchType: STORE" in play.engine_log[-1]
    play.check()


def test_values_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.engine.questions.LAUNCHED_BYTES_MAX", 10)
    play = loop(values="[aaaa, bbbb, cccc]")
    assert play.run_of("all").state == "FAILED"
    assert "LAUNCHED_BYTES_MAX" in play.engine_log[-1]


def test_a_retry_starts_failed_items_anew() -> None:
    play = loop(", retry: {type: constant, interval: PT1S, maxAttempts: 2}", values="[a, b]")
    end(play, 0, "FAILED")
    end(play, 1)
    first = play.subflows[0].execution_id
    play.wait(2)
    assert (play.subflows[-1].index, play.subflows[-1].execution_id == first, len(play.subflows)) == (0, False, 3)
    end(play, 0)
    assert play.state.state == "SUCCESS"
    play.check()


def test_the_successor_of_a_retried_child_is_followed() -> None:
    play = loop(values="[a]")
    end(play, 0, "RETRIED", successor="next")
    assert play.subflows[-1].execution_id == "next"
    end(play, 0)
    assert play.state.state == "SUCCESS"


def test_an_iteration_runs_the_tasks_of_its_loop_and_sees_its_items() -> None:
    play = Play(flow(
        "- {id: out, type: core.flow.Loop, values: {k: a}, retry: {type: constant, interval: PT1S, maxAttempts: 9}, tasks: [\n"
        "    {id: seq, type: core.flow.Sequential, retry: {type: constant, interval: PT1S, maxAttempts: 2}, tasks: [\n"
        f"    {{id: in, type: core.flow.Loop, values: [b], outputs: [{{id: o, type: STRING, value: x}}], tasks: [{LOG}]}}]}}]}}",
        "outputs: [{id: whole, type: STRING, value: x}]",
    ))
    tree = iteration_of(play.tree, "in")
    assert ([each.id for each in tree.flow.tasks], [each.id for each in tree.flow.outputs]) == (["say"], ["o"])
    assert tree.flow.retry is not None
    assert tree.flow.retry.max_attempts == 2, "the nearest retry above is that of the tasks inside; that of a Loop is its own"
    assert iteration_of(play.tree, "out").flow.retry is None
    inner = Execution(loop={"value": "b", "index": 0, "parents": [{"value": "a", "index": 0, "key": "k"}]}, history=[("CREATED", play.now)])
    item = variables(tree, inner)["item"]
    assert (item["value"], item["index"], item["parent"]["key"], item["parents"][0]["value"]) == ("b", 0, "k", "a")


BATCHES = "- {id: each, type: core.flow.ForEachItem, items: 'kestra:///f', namespace: n, flowId: child, inputs: {n: '{{ taskrun.iteration }}'}%s}"


def batches(more: str = "", count: int = 3) -> Play:
    """Played up to where the batches are launched."""
    play = Play(flow(BATCHES % more))
    held: list[str] = []
    answer = play.answer
    play.answer = lambda key: answer(key) if not key.endswith(":items") else held.append(key) or cmd.Answer(key="")  # type: ignore[func-returns-value,method-assign]
    play.run()
    asked = question(play.tree, play.state, held[0])
    assert asked is not None
    lines = StoredLines(f"kestra:///b{index}" for index in range(count))
    play.give(cmd.Answer(key=held[0], value={**asked.finish({**asked.template, "values": lines}), "base": "kestra:///base"}))
    return play


def test_a_batch_is_asked_for_by_its_file_and_number() -> None:
    play = batches()
    assert play.states() == {"each": "RUNNING", "each_split": "SUCCESS", "each_items": "RUNNING"}
    asked = question(play.tree, play.state, f"{play.run_of('each_items').id}:item:1")
    assert asked is not None
    assert (asked.extra["taskrun"], asked.template["flowId"]) == ({"items": "kestra:///b1", "iteration": 1}, "child")


def test_the_figures_of_batches_are_kept_while_they_run() -> None:
    play = batches()
    start(play, 0, 1)
    end(play, 0)
    assert play.run_of("each_items").outputs == {"iterations": {"CREATED": 1, "RUNNING": 1, "SUCCESS": 1}, "numberOfBatches": 3}
    end(play, 1, "WARNING")
    end(play, 2)
    play.run()
    assert play.run_of("each_items").outputs == {
        "iterations": {"CREATED": 0, "RUNNING": 0, "SUCCESS": 2, "WARNING": 1}, "numberOfBatches": 3, "subflowOutputsBaseUri": "kestra:///base",
    }
    assert play.states() == {"each": "WARNING", "each_split": "SUCCESS", "each_items": "WARNING", "each_merge": "SUCCESS"}
    play.check()


def test_batches_that_are_not_waited_for_count_once_they_are_started() -> None:
    play = batches(", wait: false")
    start(play, 0, 1, 2)
    play.run()
    assert play.run_of("each_items").outputs["iterations"] == {"SUCCESS": 3}
    assert play.state.state == "SUCCESS"


def test_a_failed_batch_fails_the_task_after_all_have_ended() -> None:
    for more, expected in (("", "FAILED"), (", allowFailure: true", "WARNING"), (", transmitFailed: false", "SUCCESS")):
        play = batches(more)
        end(play, 0, "FAILED")
        assert play.run_of("each_items").state == "RUNNING"
        end(play, 1)
        end(play, 2)
        play.run()
        assert (play.state.state, "each_merge" in play.states()) == (expected, expected != "FAILED")
        play.check()


def test_no_batch_is_a_success() -> None:
    play = batches(count=0)
    play.run()
    assert play.state.state == "SUCCESS"
    assert play.run_of("each_items").outputs["numberOfBatches"] == 0


def test_a_breach_of_an_sla_ends_the_iterations_before_the_loop() -> None:
    play = loop(values="[a, b]", outer="sla: [{id: fast, type: MAX_DURATION, duration: PT1H, behavior: FAIL}]")
    start(play, 0, 1)
    play.wait(3_601)
    assert [each.execution_id for each in play.effects if isinstance(each, fx.KillSubflow)] == [each.execution_id for each in play.subflows]
    for index in (0, 1):
        end(play, index, "KILLED")
    assert (play.state.state, play.run_of("all").state) == ("FAILED", "KILLED")
    play.check()


def test_an_execution_that_is_held_starts_no_further_iteration_until_it_is_resumed() -> None:
    play = loop(", concurrencyLimit: 1", values="[a, b]")
    play.give(cmd.Pause())
    end(play, 0)
    assert (len(play.subflows), play.state.state) == (1, "PAUSED")
    play.give(cmd.Resume())
    assert len(play.subflows) == 2
    end(play, 1)
    assert play.state.state == "SUCCESS"
    play.check()


def test_a_kill_while_nothing_runs_but_a_question_ends_the_loop() -> None:
    play = loop(", concurrencyLimit: 1, breakWhen: '{{ false }}'")
    answer, play.answer = play.answer, lambda key: cmd.Answer(key="later")  # type: ignore[method-assign]
    end(play, 0)
    assert play.state.asked
    play.give(cmd.Kill())
    assert (play.state.state, play.run_of("all").state) == ("KILLED", "KILLED")
    del answer
    play.check()


def test_an_exit_beside_a_loop_lets_its_iterations_finish() -> None:
    def outcome(play: Play, run: Any) -> Any:
        return cmd.AttemptEnded(run_id=run.id, number=1, state="SUCCESS", requests=[("exit", {"state": "WARNING"})])

    play = Play(flow(
        f"- {{id: both, type: core.flow.Parallel, tasks: [{{id: all, type: core.flow.Loop, values: [a, b, c], concurrencyLimit: 1,\n"
        f"   breakWhen: '{{{{ false }}}}', tasks: [{LOG}]}}, {{id: leave, type: core.execution.Exit}}]}}"
    ), outcome=outcome).run()
    assert play.run_of("all").state == "RUNNING"
    end(play, 0)
    assert (len(play.subflows), play.state.state) == (1, "WARNING")
    play.check()
