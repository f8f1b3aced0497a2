"""Restart, marked task runs and early ends in the middle of nested and parallel scopes: nothing hangs, nothing is lost (flow-language 9.4-9.7)."""

from __future__ import annotations

import textwrap
from datetime import timedelta

import pytest
from engine_driver import Play, ended, flow, ordinary

from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.decide import scopes
from podium.engine.decide.entry import pending
from podium.engine.state import TaskRun


def play(tasks: str, more: str = "", **options: object) -> Play:
    result = Play(flow(textwrap.indent(textwrap.dedent(tasks).strip(), "  "), textwrap.dedent(more)), **options)  # type: ignore[arg-type]
    result.run()
    result.check()
    return result


def again(done: Play, command: cmd.Command) -> Play:
    """Give a command that reopens the execution, as the conductor does, and play on."""
    done.give(command)
    done.give(cmd.Begin(force=True))
    done.run()
    done.check()
    return done


class Fails:
    """Fails the tasks named, each once for every value; everything else is ordinary. `later` attempts are kept until told."""

    def __init__(self, *names: str, later: tuple[str, ...] = ()) -> None:
        self.names, self.later, self.kept = list(names), later, []  # type: ignore[var-annotated]

    def __call__(self, play: Play, run: TaskRun) -> cmd.AttemptEnded | None:
        name = run.task_id + "".join(f"[{value}]" for value in run.values)
        if name in self.names:
            self.names.remove(name)
            return ended(run, "FAILED", error="no")
        if name in self.later:
            self.kept.append(run)
            return None
        return ordinary(play, run)


def test_a_marked_run_inside_a_group_lets_the_group_go_on() -> None:
    done = play("""
        - id: s
          type: core.flow.Sequential
          tasks:
            - {id: a, type: core.execution.Fail}
            - {id: b, type: core.debug.Return, format: x}
    """)
    again(done, cmd.SetRunState(run_id=done.run_of("a").id, state="SUCCESS"))
    assert done.states() == {"s": "SUCCESS", "a": "SUCCESS", "b": "SUCCESS"}
    assert done.state.state == "SUCCESS"


def test_groups_of_a_loop_that_were_cut_short_go_on_after_a_restart() -> None:
    outcome = Fails("a[1]", later=("a[2]",))
    done = play("""
        - id: each
          type: core.flow.ForEach
          values: ["1", "2"]
          concurrencyLimit: 0
          tasks:
            - {id: a, type: core.debug.Return, format: x}
            - {id: b, type: core.debug.Return, format: x}
    """, outcome=outcome)
    done.give(ended(outcome.kept[0]))
    assert done.state.state == "FAILED"
    again(done, cmd.Restart())
    assert done.states() == {"each": "SUCCESS", "a[1]": "SUCCESS", "a[2]": "SUCCESS", "b[1]": "SUCCESS", "b[2]": "SUCCESS"}


def test_a_paused_execution_restarts_and_a_marked_pause_goes_on() -> None:
    flow_text = """
        - {id: p, type: core.flow.Pause}
        - {id: b, type: core.debug.Return, format: x}
    """
    done = again(play(flow_text), cmd.Restart())
    assert done.state.state == "PAUSED"
    done.give(cmd.Resume())
    assert done.run().state.state == "SUCCESS"
    marked = play(flow_text)
    again(marked, cmd.SetRunState(run_id=marked.run_of("p").id, state="SUCCESS"))
    assert marked.states() == {"p": "SUCCESS", "b": "SUCCESS"}


def test_a_restart_does_over_a_nested_finally_and_keeps_that_of_others() -> None:
    done = play("""
        - id: before
          type: core.flow.Sequential
          tasks: [{id: fine, type: core.debug.Return, format: x}]
          finally: [{id: kept, type: core.debug.Return, format: x}]
        - {id: a, type: core.debug.Return, format: x}
    """, """
        finally:
          - id: group
            type: core.flow.Sequential
            tasks: [{id: inside, type: core.debug.Return, format: x}]
    """, outcome=Fails("a", "inside"))
    assert done.state.state == "FAILED"
    again(done, cmd.Restart())
    assert done.states() == {
        "before": "SUCCESS", "fine": "SUCCESS", "kept": "SUCCESS", "a": "SUCCESS", "group": "SUCCESS", "inside": "SUCCESS",
    }
    assert done.state.state == "SUCCESS"
    assert done.started.count("kept") == 1


def test_a_retry_that_comes_due_while_held_runs_after_the_resume() -> None:
    outcome = Fails("b", later=("b",))
    done = play("- {id: b, type: core.debug.Return, format: x, retry: {type: constant, interval: PT1S, maxAttempts: 3}}", outcome=Fails(later=("b",)))
    assert isinstance(done.outcome, Fails)
    done.give(cmd.Pause())
    done.give(ended(done.outcome.kept[0], "FAILED"))
    done.outcome = outcome = Fails()  # type: ignore[assignment]
    done.wait(10)
    assert done.state.state == "PAUSED"
    done.give(cmd.Resume())
    assert done.run().state.state == "SUCCESS", outcome
    done.check()


def test_exit_ends_what_only_waits_and_lets_what_runs_finish() -> None:
    def outcome(play: Play, run: TaskRun) -> cmd.AttemptEnded | None:
        if run.task_id == "x":
            return ended(run, requests=[("exit", {"state": "WARNING"})])
        return Fails("r")(play, run)

    done = play("""
        - id: par
          type: core.flow.Parallel
          tasks:
            - {id: pause, type: core.flow.Pause}
            - {id: sleep, type: core.flow.Sleep, duration: PT10S}
            - {id: r, type: core.debug.Return, format: x, retry: {type: constant, interval: PT1H}}
            - id: loop
              type: core.flow.LoopUntil
              condition: "{{ false }}"
              tasks: [{id: l, type: core.debug.Return, format: x}]
            - {id: x, type: core.execution.Exit, state: WARNING}
    """, outcome=outcome)
    assert done.states()["sleep"] == "RUNNING"
    assert (done.states()["pause"], done.states()["r"], done.states()["loop"]) == ("KILLED", "KILLED", "WARNING")
    done.wait(10)
    assert done.states()["sleep"] == "SUCCESS"
    assert done.state.state == "WARNING"
    done.check()


def test_outputs_outlive_a_changed_status_which_counts_as_no_attempt() -> None:
    done = play("- {id: a, type: core.debug.Return, format: x}", "outputs: [{id: o, type: STRING, value: '{{ outputs.a.value }}'}]")
    done.give(cmd.ChangeStatus(state="FAILED"))
    done.check()
    assert (done.state.state, done.state.outputs, done.state.attempt_number) == ("FAILED", {"o": "x"}, 1)
    assert done.state.run_number == 2


def test_a_task_after_the_end_starts_no_new_execution_and_changes_no_state() -> None:
    done = play("- {id: a, type: core.debug.Return, format: x}", """
        retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}
        afterExecution: [{id: late, type: core.execution.Fail}]
    """)
    assert (done.state.state, done.states()["late"]) == ("SUCCESS", "FAILED")

    def kills(play: Play, run: TaskRun) -> cmd.AttemptEnded:
        return ended(run, requests=[("kill", {})] if run.task_id == "late" else [])

    done = play("- {id: a, type: core.debug.Return, format: x}", "afterExecution: [{id: late, type: core.execution.Kill}]", outcome=kills)
    assert (done.state.state, done.states()["late"], done.state.closed) == ("SUCCESS", "SUCCESS", True)


def test_error_names_the_failure_that_counts() -> None:
    done = play("""
        - id: allowed
          type: core.flow.Sequential
          allowFailure: true
          tasks: [{id: harmless, type: core.execution.Fail}]
        - id: group
          type: core.flow.Sequential
          tasks: [{id: culprit, type: core.execution.Fail}]
    """, """errors: [{id: tell, type: core.log.Log, message: "{{ error.taskId }}"}]""")
    assert done.logged == ["culprit"]


def test_a_restart_gives_a_maximum_duration_its_time_again() -> None:
    done = play("- {id: a, type: core.debug.Return, format: x}", "sla: [{id: s, type: MAX_DURATION, duration: PT1H, behavior: FAIL}]", outcome=Fails("a"))
    done.now += timedelta(hours=2)
    done.outcome = Fails(later=("a",))
    again(done, cmd.Restart())
    assert [str(each) for each in pending(done.tree, done.state, done.now) if ":sla" in str(each) and str(done.now.day) not in str(each)] == []
    done.wait(60)
    assert done.state.state == "RUNNING"
    done.wait(3600)
    assert done.state.state == "FAILED"


def test_a_pause_whose_time_is_up_waits_for_its_on_pause_task() -> None:
    outcome = Fails(later=("tell",))
    done = play("""
        - id: p
          type: core.flow.Pause
          pauseDuration: PT1S
          behavior: FAIL
          onPause: {id: tell, type: core.debug.Return, format: x}
    """, outcome=outcome)
    done.wait(5)
    done.check()
    assert done.state.state == "RUNNING"
    done.give(ended(outcome.kept[0]))
    assert (done.state.state, done.states()["p"]) == ("FAILED", "FAILED")


def test_children_of_a_loop_until_count_their_iterations() -> None:
    done = play("""
        - id: loop
          type: core.flow.LoopUntil
          condition: "{{ outputs.l.value == '2' }}"
          tasks: [{id: l, type: core.debug.Return, format: "{{ taskrun.iteration }}"}]
    """)
    done.wait(10)
    assert done.state.state == "SUCCESS"
    assert done.run_of("l").outputs == {"value": "2"}


def test_what_runs_while_an_execution_is_held_goes_on_after_the_resume() -> None:
    done = play("""
        - id: par
          type: core.flow.Parallel
          tasks:
            - {id: command, type: core.debug.Return, format: x}
            - {id: sleep, type: core.flow.Sleep, duration: PT1H}
            - {id: sub, type: core.flow.Subflow, namespace: n, flowId: other}
    """, outcome=Fails(later=("command",)))
    done.give(cmd.Pause())
    done.give(cmd.Resume())
    done.run()
    assert done.states() == {"par": "RUNNING", "command": "RUNNING", "sleep": "RUNNING", "sub": "RUNNING"}
    assert done.state.state == "RUNNING"


SUB = "- {id: sub, type: core.flow.Subflow, namespace: n, flowId: other%s}"


def test_a_restart_restarts_the_failed_subflow_unless_it_is_to_be_new() -> None:
    for more, same in (("", True), (", restartBehavior: NEW_EXECUTION", False)):
        done = play(SUB % more)
        first = done.subflows[0].execution_id
        done.give(cmd.SubflowStarted(run_id=done.subflows[0].run_id, execution_id=first))
        done.give(cmd.SubflowEnded(run_id=done.subflows[0].run_id, execution_id=first, state="FAILED"))
        assert done.state.state == "FAILED"
        again(done, cmd.Restart())
        effect = done.subflows[1]
        assert (effect.execution_id == first, effect.fresh is not None) == (same, same)
        done.give(cmd.SubflowStarted(run_id=effect.run_id, execution_id=effect.execution_id))
        done.give(cmd.SubflowEnded(run_id=effect.run_id, execution_id=effect.execution_id, state="SUCCESS", outputs={"o": 1}))
        assert (done.state.state, done.run_of("sub").outputs["outputs"]) == ("SUCCESS", {"o": 1})
        done.check()


def test_a_subflow_that_cannot_be_restarted_is_started_anew() -> None:
    done = play(SUB % "")
    effect = done.subflows[0]
    done.give(cmd.SubflowEnded(run_id=effect.run_id, execution_id=effect.execution_id, state="FAILED"))
    again(done, cmd.Restart())
    fresh = done.subflows[1].fresh
    done.give(cmd.SubflowStarted(run_id=effect.run_id, execution_id=fresh))
    done.give(cmd.SubflowEnded(run_id=effect.run_id, execution_id=effect.execution_id, state="FAILED"))
    assert done.state.state == "RUNNING"
    done.give(cmd.SubflowEnded(run_id=effect.run_id, execution_id=fresh, state="SUCCESS"))
    assert done.state.state == "SUCCESS"


def test_a_subflow_that_retries_as_a_new_execution_is_followed() -> None:
    done = play(SUB % "")
    effect = done.subflows[0]
    done.give(cmd.SubflowEnded(run_id=effect.run_id, execution_id=effect.execution_id, state="RETRIED", successor="next"))
    assert (done.state.state, done.run_of("sub").outputs) == ("RUNNING", {"executionId": "next"})
    assert done.subflows[-1].execution_id == "next", "it is looked at: it may have ended before"
    done.give(cmd.SubflowEnded(run_id=effect.run_id, execution_id="next", state="SUCCESS"))
    assert done.state.state == "SUCCESS"


def test_a_kill_reaches_subflows_nobody_waits_for_and_those_that_start_meanwhile() -> None:
    done = play("""
        - {id: free, type: core.flow.Subflow, namespace: n, flowId: other, wait: false}
        - {id: sub, type: core.flow.Subflow, namespace: n, flowId: other}
    """)
    done.give(cmd.SubflowStarted(run_id=done.subflows[0].run_id, execution_id=done.subflows[0].execution_id))
    done.give(cmd.Kill())
    killed = [each.execution_id for each in done.effects if isinstance(each, fx.KillSubflow)]
    assert sorted(killed) == sorted(each.execution_id for each in done.subflows)
    done.effects.clear()
    done.give(cmd.SubflowStarted(run_id=done.subflows[1].run_id, execution_id=done.subflows[1].execution_id))
    assert [each for each in done.effects if isinstance(each, fx.KillSubflow)]


def test_variables_set_by_a_task_are_merged_deeply_over_those_of_the_flow() -> None:
    def outcome(play: Play, run: TaskRun) -> cmd.AttemptEnded:
        if run.task_id == "s":
            return ended(run, requests=[("set_variables", {"variables": {"a": {"b": 9}}})])
        return ordinary(play, run)

    done = play("""
        - {id: s, type: core.execution.SetVariables, variables: {a: {b: 9}}}
        - {id: l, type: core.log.Log, message: "{{ vars.a.b }} {{ vars.a.c }}"}
    """, "variables: {a: {b: 1, c: 2}}", outcome=outcome)
    assert done.logged == ["9 2"]


def test_a_pause_that_resumes_by_itself_has_the_defaults_of_its_inputs() -> None:
    done = play("""
        - id: p
          type: core.flow.Pause
          pauseDuration: PT1S
          onResume: [{id: ok, type: BOOLEAN, defaults: true}, {id: n, type: INT, defaults: 3}, {id: need, type: STRING}]
        - {id: l, type: core.log.Log, message: "{{ outputs.p.onResume.ok }} {{ outputs.p.onResume.n + 1 }}"}
    """)
    done.wait(2)
    assert done.logged == ["true 4"]


def test_an_execution_with_too_many_task_runs_is_ended_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "TASK_RUNS_MAX", 10)
    done = play("""
        - id: e
          type: core.flow.ForEach
          values: "{{ range(1, 20) }}"
          concurrencyLimit: 0
          tasks: [{id: r, type: core.debug.Return, format: x}]
    """)
    assert (done.state.state, len(done.state.runs)) == ("FAILED", 10)
    assert "at most 10 task runs" in done.engine_log[0]
