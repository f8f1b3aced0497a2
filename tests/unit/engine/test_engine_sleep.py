"""Sleep: the engine's own timer, with timeout and retry. Loops over more values than an execution may have task runs."""

from __future__ import annotations

from engine_driver import Play, flow


def play(tasks: str) -> Play:
    return Play(flow(tasks)).run()


def states(run_history: list[tuple[str, object]]) -> list[str]:
    return [state for state, _ in run_history]


def test_sleep_is_created_then_runs_then_succeeds() -> None:
    done = play("- {id: a, type: core.flow.Sleep, duration: PT5S}").wait(6)
    assert done.state.state == "SUCCESS"
    assert states(done.run_of("a").history) == ["CREATED", "RUNNING", "SUCCESS"]


def test_sleep_longer_than_its_timeout_fails_then() -> None:
    done = play("- {id: a, type: core.flow.Sleep, duration: PT1H, timeout: '{{ \"PT5S\" }}'}").wait(4)
    assert done.states() == {"a": "RUNNING"}
    done.wait(2)
    assert done.state.state == "FAILED"
    assert done.run_of("a").attempts[0].error == "Timeout after PT5S"


def test_sleep_that_timed_out_is_tried_again() -> None:
    done = play("- {id: a, type: core.flow.Sleep, duration: PT1H, timeout: PT5S, retry: {type: constant, interval: PT1S, maxAttempts: 2}}")
    done.wait(5).wait(1).wait(5)
    assert done.state.state == "FAILED"
    assert [attempt.state for attempt in done.run_of("a").attempts] == ["FAILED", "FAILED"]
    assert states(done.run_of("a").history) == ["CREATED", "RUNNING", "RETRYING", "CREATED", "RUNNING", "FAILED"]


def test_sleep_shorter_than_its_timeout_succeeds() -> None:
    done = play("- {id: a, type: core.flow.Sleep, duration: PT2S, timeout: PT5S}").wait(3)
    assert done.state.state == "SUCCESS"


def test_more_values_than_task_runs_are_refused_before_any_starts() -> None:
    done = play("- {id: a, type: core.flow.ForEach, values: '{{ range(1, 100001) }}', tasks: [{id: b, type: core.log.Log, message: x}]}")
    assert done.state.state == "FAILED"
    assert done.states() == {"a": "FAILED"}


def test_a_subflow_is_created_once_and_then_runs() -> None:
    done = play("- {id: a, type: core.flow.Subflow, namespace: n, flowId: child}")
    assert states(done.run_of("a").history)[:2] == ["CREATED", "RUNNING"]
    assert "CREATED" not in states(done.run_of("a").history)[1:]
