"""News that come late, twice or out of turn, and commands at awkward moments. Each of these was found by a seed of the simulation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from engine_driver import Play, ended, flow

from podium.base.errors import ConflictError
from podium.engine import commands as cmd
from podium.engine import effects as fx

SUBFLOW = "  - {id: s, type: core.flow.Subflow, namespace: n, flowId: c%s}"
AGAIN = "retry: {type: constant, interval: PT1S, maxAttempts: 3}"


def held(play: Play, run: Any) -> None:
    """A task that runs on."""


def test_a_child_that_ends_before_it_is_known_ends_a_task_that_does_not_wait_only_once() -> None:
    play = Play(flow(SUBFLOW % f", wait: false, {AGAIN}"))
    run, child = play.run_of("s"), play.subflows[0].execution_id
    play.give(cmd.SubflowEnded(run_id=run.id, execution_id=child, state="FAILED"))
    assert run.state == "RUNNING"
    play.give(cmd.SubflowStarted(run_id=run.id, execution_id=child))
    assert (run.state, [each.state for each in run.attempts]) == ("SUCCESS", ["SUCCESS"])
    play.check()


def test_the_end_of_a_child_told_again_means_nothing_while_the_task_waits_for_its_retry() -> None:
    play = Play(flow(SUBFLOW % f", {AGAIN}"))
    run, child = play.run_of("s"), play.subflows[0].execution_id
    for _ in range(2):
        play.give(cmd.SubflowEnded(run_id=run.id, execution_id=child, state="FAILED"))
        assert (run.state, len(run.attempts), run.attempts[0].state) == ("RETRYING", 1, "FAILED")
    play.give(cmd.SubflowStarted(run_id=run.id, execution_id=child))
    play.give(cmd.SubflowStarted(run_id=run.id, error="no such flow"))
    assert (run.state, len(run.attempts)) == ("RETRYING", 1)


def test_a_child_made_in_the_place_of_the_former_one_may_end_before_it_is_known() -> None:
    play = Play(flow(SUBFLOW % ""))
    run = play.run_of("s")
    play.give(cmd.SubflowEnded(run_id=run.id, execution_id=play.subflows[0].execution_id, state="FAILED"))
    play.give(cmd.Restart())
    play.give(cmd.Begin(force=True))
    fresh = play.subflows[1].fresh
    assert fresh is not None
    play.give(cmd.SubflowEnded(run_id=run.id, execution_id=fresh, state="SUCCESS"))
    play.give(cmd.SubflowStarted(run_id=run.id, execution_id=fresh))
    assert (run.state, run.outputs["executionId"], play.state.state) == ("SUCCESS", fresh, "SUCCESS")


@pytest.mark.parametrize(("behavior", "state"), [("CANCEL", "CANCELLED"), ("FAIL", "FAILED")])
def test_a_replay_that_the_limit_turns_away_leaves_no_task_run_open(behavior: str, state: str) -> None:
    play = Play(flow("  - {id: g, type: core.flow.Sequential, tasks: [{id: a, type: core.debug.Return}]}",
                     f"concurrency: {{limit: 1, behavior: {behavior}}}"), running=1)
    other = Play.__new__(Play)
    other.__dict__.update({**play.__dict__, "state": type(play.state)(), "events": [], "effects": []})
    runs = [{"id": "g1", "taskId": "g", "state": "RUNNING"}, {"id": "a1", "taskId": "a", "parentTaskRunId": "g1", "state": "RESTARTED"}]
    other.give(cmd.Create(id="1" * 22, namespace="n", flow_id="f", revision=1, copied_runs=runs))
    other.give(cmd.Begin(running=1))
    assert (other.state.state, other.state.closed, set(other.states().values())) == (state, True, {"KILLED"})
    other.check()


def test_an_sla_does_not_change_how_a_kill_ends() -> None:
    play = Play(flow("  - {id: a, type: scripts.shell.Commands, commands: [x]}", "sla: [{id: m, type: MAX_DURATION, duration: PT5S, behavior: FAIL}]"),
                outcome=held).run()  # type: ignore[arg-type]
    play.effects.clear()
    play.perform = lambda effect: play.effects.append(effect) or []  # type: ignore[method-assign,func-returns-value]
    play.give(cmd.Kill())
    play.give(cmd.TimerFired(key=":sla:0"))
    assert play.state.state == "KILLING"
    play.give(ended(play.run_of("a"), "KILLED"))
    assert (play.state.state, play.state.closed) == ("KILLED", True)


def test_what_runs_in_a_handler_is_ended_when_a_restart_does_the_handler_over() -> None:
    handler = "errors:\n  - {id: w, type: core.flow.WorkingDirectory, tasks: [{id: e, type: scripts.shell.Commands, commands: [x]}]}"
    play = Play(flow("  - {id: a, type: core.execution.Fail}", handler), outcome=lambda play, run: None if run.task_id == "e" else ended(run, "FAILED")).run()
    play.give(cmd.Pause())
    run, directory = play.run_of("e"), play.run_of("w")
    play.effects.clear()
    play.give(cmd.Restart())
    assert fx.KillAttempt(attempt_id=f"{run.id}-1") in play.effects
    assert fx.CloseWorkspace(run_id=directory.id, task_id="w", collect=False) in play.effects
    assert run.id not in play.state.runs


def test_a_restart_runs_again_what_had_itself_retried_as_a_new_execution() -> None:
    task = "  - {id: a, type: core.execution.Fail, retry: {type: constant, interval: PT1S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}}"
    play = Play(flow(task)).run()
    assert (play.state.state, play.states()) == ("RETRIED", {"a": "RETRIED"})
    play.give(cmd.Restart())
    play.give(cmd.Begin(force=True))
    play.run()
    assert (play.state.state, play.states()) == ("FAILED", {"a": "FAILED"}), "it is the second of two now"


def test_what_is_left_of_a_retry_counts_as_a_failure_once_somebody_lets_the_execution_go_on() -> None:
    retry = "retry: {type: constant, interval: PT1S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}"
    tasks = f"{{id: a, type: core.debug.Return}}, {{id: b, type: core.execution.Fail, {retry}}}"
    play = Play(flow(f"  - {{id: p, type: core.flow.Parallel, tasks: [{tasks}]}}")).run()
    assert play.state.state == "RETRIED"
    play.give(cmd.SetRunState(run_id=play.run_of("a").id, state="RUNNING"))
    play.give(cmd.Begin(force=True))
    play.run()
    assert (play.states()["b"], play.state.state) == ("RETRIED", "FAILED"), "nothing takes its place a second time"


@pytest.mark.parametrize("state", ["RETRIED", "SKIPPED", "RUNNING"])
def test_nobody_can_give_an_execution_a_state_that_promises_more(state: str) -> None:
    play = Play(flow("  - {id: a, type: core.debug.Return}")).run()
    with pytest.raises(ConflictError, match="not a terminal state"):
        play.give(cmd.ChangeStatus(state=state))


def test_events_never_go_back_in_time_though_the_clock_does() -> None:
    play = Play(flow("  - {id: a, type: scripts.shell.Commands, commands: [x]}\n  - {id: b, type: scripts.shell.Commands, commands: [x]}"))
    play.now += timedelta(seconds=30)
    play.give(cmd.AttemptBegan(run_id=play.run_of("a").id, number=1))
    play.now -= timedelta(seconds=60)
    play.run()
    moments = [event.at for event in play.events]
    assert moments == sorted(moments)
    assert play.state.state == "SUCCESS"


def test_a_closed_execution_has_no_question_left() -> None:
    play = Play(flow("  - {id: a, type: scripts.shell.Commands, commands: [x]}\n  - {id: p, type: core.flow.Pause}"))
    play.answer = lambda key: cmd.AttemptBegan(run_id="none", number=1)  # type: ignore[method-assign,assignment,return-value]
    play.run()
    assert list(play.state.asked) == [f"{play.run_of('p').id}:pause"]
    play.give(cmd.Kill())
    count = len(play.events)
    play.give(cmd.Answer(key=f"{play.run_of('p').id}:pause", value={}))
    assert (play.state.closed, play.state.asked, len(play.events)) == (True, {}, count)
    play.check()


def test_a_task_whose_branch_is_not_known_yet_does_not_end_because_it_is_looked_at() -> None:
    play = Play(flow("  - {id: a, type: scripts.shell.Commands, commands: [x]}\n  - {id: i, type: core.flow.If, condition: '{{ true }}', then: [{id: b, type: core.debug.Return}]}"))
    answer, play.answer = play.answer, lambda key: cmd.AttemptBegan(run_id="none", number=1)  # type: ignore[method-assign,assignment,return-value]
    play.run()
    key = next(iter(play.state.asked))
    play.give(cmd.Pause())
    play.give(cmd.Resume())
    assert play.states() == {"a": "SUCCESS", "i": "RUNNING"}
    play.answer = answer  # type: ignore[method-assign]
    play.give(play.answer(key))
    play.run()
    assert (play.states(), play.state.state) == ({"a": "SUCCESS", "i": "SUCCESS", "b": "SUCCESS"}, "SUCCESS")


def test_a_pause_whose_tasks_and_on_pause_failed_starts_from_its_beginning() -> None:
    play = Play(flow("  - {id: p, type: core.flow.Pause, onPause: {id: o, type: core.execution.Fail}, tasks: [{id: t, type: core.execution.Fail}]}")).run()
    play.give(cmd.Resume())
    play.run()
    assert play.states() == {"p": "FAILED", "o": "FAILED", "t": "FAILED"}
    play.give(cmd.Restart())
    play.give(cmd.Begin(force=True))
    play.run()
    assert play.states() == {"p": "PAUSED", "o": "FAILED"}


def test_an_sla_still_counts_for_what_runs_on_after_an_exit() -> None:
    tasks = "{id: x, type: core.execution.Exit, state: SUCCESS}, {id: a, type: scripts.shell.Commands, commands: [x]}"
    sla = "sla: [{id: m, type: MAX_DURATION, duration: PT5S, behavior: CANCEL}]"
    exits = {"x": [("exit", {"state": "SUCCESS"})]}
    play = Play(flow(f"  - {{id: g, type: core.flow.Parallel, tasks: [{tasks}]}}", sla),
                outcome=lambda play, run: ended(run, requests=exits["x"]) if run.task_id == "x" else None).run()
    play.give(cmd.TimerFired(key=":sla:0"))
    assert play.state.state == "CANCELLED"


def test_the_timer_of_an_earlier_round_begins_no_other() -> None:
    loop = "{id: l, type: core.flow.LoopUntil, condition: '{{ false }}', checkFrequency: {interval: PT5S, maxIterations: 4}, tasks: [%s]}"
    play = Play(flow("  - " + loop % "{id: a, type: core.debug.Return}")).run().wait(5)
    run = play.run_of("l")
    assert (run.state, run.outputs["iterationCount"]) == ("PAUSED", 2)
    count = len(play.events)
    play.give(cmd.TimerFired(key=f"{run.id}:loop:1"))
    play.give(cmd.TimerFired(key=f"{run.id}:loop:3"))
    assert len(play.events) == count
    play.wait(5)
    assert run.outputs["iterationCount"] == 3


def test_a_round_of_a_loop_takes_away_its_own_outputs_only() -> None:
    rounds = "{id: l, type: core.flow.LoopUntil, condition: '{{ false }}', checkFrequency: {interval: PT5S, maxIterations: 2}, tasks: [%s]}"
    each = "{id: e, type: core.flow.ForEach, values: [x, y], concurrencyLimit: 0, tasks: [%s]}"
    play = Play(flow("  - " + each % (rounds % "{id: a, type: core.debug.Return, format: v}"))).run()
    play.check()
    key = next(iter(play.timers))
    play.give(cmd.TimerFired(key=key))
    assert sorted(play.state.output_tree["a"]) == ["y"], "x is in its next round, y waits with what it has"
    play.run().wait(10)
    assert (sorted(play.state.output_tree["a"]), play.state.state) == (["x", "y"], "SUCCESS")
    play.check()
