"""Retries, kill, pause, restart, concurrency, SLAs, subflows: the life of an execution (flow-language 4.2, 9)."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta

import pytest
from engine_driver import Play, ended, flow

from podium.base.errors import ConflictError
from podium.engine import codec
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.entry import pending
from podium.engine.decide.tasks import next_attempt_at
from podium.flows.model import Retry


def play(tasks: str, more: str = "", **options: object) -> Play:
    result = Play(flow(textwrap.indent(textwrap.dedent(tasks).strip(), "  "), textwrap.dedent(more)), **options)  # type: ignore[arg-type]
    if not options.get("running"):
        result.run()
    result.check()
    return result


def test_constant_retry_waits_and_then_gives_up() -> None:
    done = play("- {id: a, type: core.execution.Fail, retry: {type: constant, interval: PT5S, maxAttempts: 3}}")
    assert done.state.state == "RETRYING"
    assert done.run_of("a").state == "RETRYING"
    done.wait(20)
    assert done.state.state == "FAILED"
    assert len(done.run_of("a").attempts) == 3
    assert [state for state, _ in done.state.history] == ["CREATED", "RUNNING", "RETRYING", "RUNNING", "RETRYING", "RUNNING", "FAILED"]


def test_retry_of_an_ancestor_holds_for_its_children_and_that_of_the_flow_for_all() -> None:
    done = play("""
        - id: s
          type: core.flow.Sequential
          retry: {type: constant, interval: PT1S, maxAttempts: 2}
          tasks: [{id: a, type: core.execution.Fail}]
    """, "retry: {type: constant, interval: PT1S, maxAttempts: 5}").wait(60)
    assert len(done.run_of("a").attempts) == 2
    assert len(play("- {id: a, type: core.execution.Fail}", "retry: {type: constant, interval: PT1S, maxAttempts: 5}").wait(60).run_of("a").attempts) == 5


def test_max_duration_ends_the_retrying() -> None:
    done = play("- {id: a, type: core.execution.Fail, retry: {type: constant, interval: PT4S, maxDuration: PT10S}}").wait(100)
    assert len(done.run_of("a").attempts) == 3


def test_warning_on_retry_and_allowances() -> None:
    def second_time(play: Play, run: object) -> object:
        return ended(run, "FAILED" if len(run.attempts) == 1 else "SUCCESS")  # type: ignore[arg-type, attr-defined]

    done = play(
        "- {id: a, type: core.log.Log, message: x, retry: {type: constant, interval: PT1S, maxAttempts: 2, warningOnRetry: true}}", outcome=second_time
    ).wait(5)
    assert done.state.state == "WARNING"
    assert play("- {id: a, type: core.execution.Fail, allowFailure: true}").state.state == "WARNING"
    assert play("- {id: a, type: core.execution.Fail, allowFailure: true, allowWarning: true}").state.state == "SUCCESS"


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (3, 8), (4, 10), (400, 10)])
def test_exponential_retry_doubles_up_to_its_maximum(attempt: int, seconds: int) -> None:
    start = play("- {id: a, type: core.log.Log, message: x}").now
    policy = Retry(type="exponential", interval=timedelta(seconds=2), max_interval=timedelta(seconds=10))
    assert next_attempt_at(policy, attempt=attempt, failed_at=start, seed="x") == start + timedelta(seconds=seconds)


def test_a_retry_as_a_new_execution_ends_this_one_as_retried() -> None:
    done = play("""
        - id: s
          type: core.flow.Sequential
          tasks: [{id: a, type: core.execution.Fail}]
    """, "retry: {type: constant, interval: PT1S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}")
    assert done.state.state == "RETRIED"
    assert done.states() == {"s": "RETRIED", "a": "RETRIED"}
    assert [effect for effect in done.effects if isinstance(effect, fx.CreateRetry)] == [fx.CreateRetry(due=done.now + timedelta(seconds=1))]


def test_kill_ends_what_runs_and_what_waits() -> None:
    done = play("""
        - id: p
          type: core.flow.Parallel
          tasks:
            - {id: a, type: core.log.Log, message: x}
            - {id: b, type: core.flow.Sleep, duration: PT1H}
            - {id: c, type: core.flow.Pause}
            - {id: d, type: core.execution.Fail, retry: {type: constant, interval: PT1H}}
        - {id: never, type: core.log.Log, message: x}
    """, "finally: [{id: z, type: core.log.Log, message: x}]", outcome=lambda play, run: None if run.task_id == "a" else ended(run, "FAILED"))
    assert done.state.state == "PAUSED"
    done.give(cmd.Kill())
    done.check()
    assert done.state.state == "KILLED"
    assert [state for state, _ in done.state.history][-2:] == ["KILLING", "KILLED"]
    assert set(done.states().values()) == {"KILLED"}
    assert set(done.states()) == {"p", "a", "b", "c", "d"}


def test_late_news_of_a_killed_attempt_changes_nothing() -> None:
    done = play("- {id: a, type: core.log.Log, message: x}", outcome=lambda play, run: None)
    done.give(cmd.Kill())
    before = len(done.events)
    done.give(ended(done.run_of("a"), "SUCCESS"))
    assert len(done.events) == before


def test_pause_waits_and_resume_gives_its_inputs() -> None:
    done = play("""
        - id: wait
          type: core.flow.Pause
          onResume: [{id: who, type: STRING}]
        - {id: after, type: core.log.Log, message: "{{ outputs.wait.onResume.who }}"}
    """)
    assert (done.state.state, done.started) == ("PAUSED", [])
    done.give(cmd.Resume(inputs={"who": "me"}))
    done.run()
    assert done.logged == ["me"]
    assert [state for state, _ in done.state.history] == ["CREATED", "RUNNING", "PAUSED", "RESTARTED", "RUNNING", "SUCCESS"]


@pytest.mark.parametrize(("behavior", "state"), [("RESUME", "SUCCESS"), ("WARN", "WARNING"), ("FAIL", "FAILED"), ("CANCEL", "CANCELLED")])
def test_pause_behaves_as_told_when_its_time_is_up(behavior: str, state: str) -> None:
    done = play(f"""
        - {{id: wait, type: core.flow.Pause, pauseDuration: PT10S, behavior: {behavior}}}
    """).wait(11)
    assert done.state.state == state
    done.check()


def test_pause_timeout_fails_the_task() -> None:
    assert play("- {id: wait, type: core.flow.Pause, timeout: PT1S}").wait(2).state.state == "FAILED"


def test_a_held_execution_starts_nothing_until_it_is_resumed() -> None:
    pending_runs: list[object] = []
    done = play("""
        - {id: a, type: core.log.Log, message: x}
        - {id: b, type: core.log.Log, message: x}
    """, outcome=lambda play, run: pending_runs.append(run))  # type: ignore[func-returns-value]
    done.give(cmd.Pause())
    done.give(ended(done.run_of("a")))
    done.run()
    assert (done.state.state, done.started) == ("PAUSED", ["a"])
    done.outcome = lambda play, run: ended(run)
    done.give(cmd.Resume())
    done.run()
    assert done.started == ["a", "b"]
    assert done.state.state == "SUCCESS"


def test_restart_runs_what_failed_again_in_the_same_execution() -> None:
    done = play("""
        - {id: a, type: core.log.Log, message: x}
        - id: s
          type: core.flow.Sequential
          tasks: [{id: b, type: core.log.Log, message: x}, {id: c, type: core.execution.Fail}]
          errors: [{id: e, type: core.log.Log, message: x}]
        - {id: d, type: core.log.Log, message: x}
    """)
    assert done.state.state == "FAILED"
    assert done.started == ["a", "b", "c", "e"]
    done.outcome = lambda play, run: ended(run)
    done.give(cmd.Restart())
    done.give(cmd.Begin(force=True))
    done.run()
    done.check()
    assert done.started == ["a", "b", "c", "e", "c", "d"]
    assert done.state.state == "SUCCESS"
    assert len(done.run_of("c").attempts) == 2
    assert "e" not in done.states()
    assert done.state.attempt_number == 2


def test_restart_of_a_success_is_refused() -> None:
    done = play("- {id: a, type: core.log.Log, message: x}")
    with pytest.raises(ConflictError, match="No task found to restart"):
        done.give(cmd.Restart())


@pytest.mark.parametrize(("behavior", "state"), [("QUEUE", "QUEUED"), ("CANCEL", "CANCELLED"), ("FAIL", "FAILED")])
def test_concurrency_limit_queues_cancels_or_fails(behavior: str, state: str) -> None:
    done = play("- {id: a, type: core.log.Log, message: x}", f"concurrency: {{limit: 1, behavior: {behavior}}}", running=1)
    assert done.state.state == state
    if state == "QUEUED":
        done.give(cmd.Begin(running=0))
        assert done.run().state.state == "SUCCESS"


def test_sla_acts_once_on_the_first_violation() -> None:
    late = play("- {id: a, type: core.flow.Sleep, duration: PT1H}", """
        sla: [{id: quick, type: MAX_DURATION, duration: PT10S, behavior: FAIL, labels: {late: "yes"}}]
    """).wait(11)
    assert late.state.state == "FAILED"
    assert late.state.labels["late"] == "yes"
    assert late.states() == {"a": "KILLED"}
    holds = play("- {id: a, type: core.log.Log, message: x}", """
        sla: [{id: s, type: EXECUTION_ASSERTION, assert: "{{ inputs.x == 1 }}", behavior: CANCEL}]
    """, inputs={"x": 1})
    assert holds.state.state == "SUCCESS"
    broken = play("- {id: a, type: core.log.Log, message: x}", """
        sla: [{id: s, type: EXECUTION_ASSERTION, assert: "{{ inputs.x == 1 }}", behavior: CANCEL}]
    """, inputs={"x": 2})
    assert broken.state.state == "CANCELLED"


def test_subflow_takes_over_state_and_outputs_of_its_child() -> None:
    done = play("- {id: s, type: core.flow.Subflow, namespace: n, flowId: other}")
    run = done.run_of("s")
    child = done.subflows[0].execution_id
    done.give(cmd.SubflowStarted(run_id=run.id, execution_id=child))
    done.give(cmd.SubflowEnded(run_id=run.id, execution_id="somebody else", state="FAILED"))
    assert not run.ended
    done.give(cmd.SubflowEnded(run_id=run.id, execution_id=child, state="WARNING", outputs={"x": 1}))
    assert run.outputs == {"executionId": child, "state": "WARNING", "outputs": {"x": 1}}
    assert done.state.state == "WARNING"
    lost = play("- {id: s, type: core.flow.Subflow, namespace: n, flowId: other, allowFailure: true}")
    lost.give(cmd.SubflowStarted(run_id=lost.run_of("s").id, error="Unable to find flow"))
    assert lost.state.state == "WARNING"


def test_exit_ends_the_execution_in_its_state() -> None:
    def outcome(play: Play, run: object) -> object:
        return ended(run, requests=[("exit", {"state": "WARNING"})]) if run.task_id == "x" else ended(run)  # type: ignore[attr-defined, arg-type]

    done = play("""
        - id: s
          type: core.flow.Sequential
          tasks: [{id: x, type: core.log.Log, message: x}, {id: never, type: core.log.Log, message: x}]
        - {id: neither, type: core.log.Log, message: x}
    """, outcome=outcome)
    assert done.started == ["x"]
    assert done.states() == {"s": "WARNING", "x": "WARNING"}
    assert done.state.state == "WARNING"


def test_what_a_crash_cut_off_is_derived_from_the_state() -> None:
    done = play("""
        - id: p
          type: core.flow.Parallel
          tasks:
            - {id: a, type: core.log.Log, message: x}
            - {id: b, type: core.flow.Sleep, duration: PT1H}
            - {id: c, type: core.flow.Pause, pauseDuration: PT2H}
            - {id: d, type: core.execution.Fail, retry: {type: constant, interval: PT3H}}
            - {id: e, type: core.flow.Subflow, namespace: n, flowId: o}
            - {id: w, type: core.flow.WorkingDirectory, tasks: [{id: v, type: core.log.Log, message: x}]}
    """, outcome=lambda play, run: ended(run, "FAILED") if run.task_id == "d" else None)
    open_effects = pending(done.tree, done.state, done.now)
    assert {effect.run_id: effect.started for effect in open_effects if isinstance(effect, fx.RunAttempt)} == {
        done.run_of("a").id: True, done.run_of("v").id: True,
    }
    assert {effect.key: effect.due for effect in open_effects if isinstance(effect, fx.SetTimer)} == done.timers
    assert [effect.run_id for effect in open_effects if isinstance(effect, fx.StartSubflow)] == [done.run_of("e").id]


def test_an_event_with_half_a_surrogate_pair_can_be_written() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    written = codec.decode(codec.encode(ev.RunOutputs(at=at, id="r", outputs={"a\ud800": ["\udfff", 1, "é"]})))
    assert written == ev.RunOutputs(at=at, id="r", outputs={"a?": ["?", 1, "é"]})
