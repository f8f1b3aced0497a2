"""How flowable tasks run their children, and what states come of it (flow-language 5)."""

from __future__ import annotations

import textwrap

import pytest
from engine_driver import Play, ended, flow

LOG = "io.kestra.plugin.core.log.Log"
FLOW = "io.kestra.plugin.core.flow"


def play(tasks: str, more: str = "", **options: object) -> Play:
    result = Play(flow(textwrap.indent(textwrap.dedent(tasks).strip(), "  "), textwrap.dedent(more)), **options).run()  # type: ignore[arg-type]
    result.check()
    return result


def test_tasks_of_a_flow_run_one_after_the_other() -> None:
    """A flow would otherwise use outputs that are not there yet."""
    done = play("""
        - {id: a, type: core.debug.Return, format: one}
        - {id: b, type: core.debug.Return, format: "{{ outputs.a.value }} two"}
    """)
    assert done.started == ["a", "b"]
    assert done.state.state == "SUCCESS"
    assert done.run_of("b").outputs == {"value": "one two"}
    assert [state for state, _ in done.state.history] == ["CREATED", "RUNNING", "SUCCESS"]


def test_a_failure_stops_the_list_and_runs_errors_then_finally() -> None:
    done = play("""
        - {id: a, type: core.execution.Fail}
        - {id: b, type: core.log.Log, message: never}
    """, """
        errors:
          - {id: e, type: core.log.Log, message: "{{ error.taskId }}"}
        finally:
          - {id: z, type: core.log.Log, message: last}
    """)
    assert done.started == ["a", "e", "z"]
    assert done.logged == ["a", "last"]
    assert done.state.state == "FAILED"


def test_a_failing_finally_fails_the_execution() -> None:
    done = play("- {id: a, type: core.log.Log, message: x}", """
        finally:
          - {id: z, type: core.execution.Fail}
    """)
    assert done.state.state == "FAILED"


def test_after_execution_sees_the_final_state_and_does_not_change_it() -> None:
    done = play("- {id: a, type: core.log.Log, message: x}", """
        afterExecution:
          - {id: z, type: core.log.Log, message: "{{ execution.state }}"}
          - {id: y, type: core.execution.Fail}
    """)
    assert done.logged == ["x", "SUCCESS"]
    assert done.state.state == "SUCCESS"
    assert done.state.closed


def test_parallel_starts_all_up_to_its_limit_and_waits_for_all() -> None:
    text = """
        - id: p
          type: core.flow.Parallel
          concurrent: {limit}
          tasks:
            - {{id: a, type: core.log.Log, message: a}}
            - {{id: b, type: core.execution.Fail}}
            - {{id: c, type: core.log.Log, message: c}}
    """
    free = play(text.format(limit=0))
    assert free.started == ["a", "b", "c"]
    assert free.states() == {"p": "FAILED", "a": "SUCCESS", "b": "FAILED", "c": "SUCCESS"}
    narrow = play(text.format(limit=1))
    assert narrow.started == ["a", "b"]
    assert narrow.state.state == "FAILED"


def test_dag_starts_a_task_when_all_it_needs_has_ended() -> None:
    done = play("""
        - id: d
          type: core.flow.Dag
          tasks:
            - task: {id: c, type: core.log.Log, message: c}
              dependsOn: [a, b]
            - task: {id: a, type: core.log.Log, message: a}
            - task: {id: b, type: core.log.Log, message: b}
              dependsOn: [a]
    """)
    assert done.started == ["a", "b", "c"]
    assert done.state.state == "SUCCESS"


@pytest.mark.parametrize(("condition", "branch"), [("true", "yes"), ("false", "no"), ("0", "no"), ("no", "yes")])
def test_if_takes_the_branch_of_its_condition(condition: str, branch: str) -> None:
    done = play(f"""
        - id: i
          type: core.flow.If
          condition: "{condition}"
          then: [{{id: "yes", type: core.log.Log, message: x}}]
          else: [{{id: "no", type: core.log.Log, message: x}}]
    """)
    assert done.started == [branch]
    assert done.run_of("i").outputs == {"evaluationResult": branch == "yes"}


def test_switch_without_match_takes_defaults_and_without_defaults_fails() -> None:
    text = """
        - id: s
          type: core.flow.Switch
          value: "{value}"
          cases:
            "true": [{{id: a, type: core.log.Log, message: x}}]
          {defaults}
        - {{id: after, type: core.log.Log, message: x}}
    """
    assert play(text.format(value="true", defaults="")).started == ["a", "after"]
    other = play(text.format(value="z", defaults="defaults: [{id: d, type: core.log.Log, message: x}]"))
    assert other.started == ["d", "after"]
    assert other.run_of("s").outputs == {"value": "z", "defaults": True}
    lost = play(text.format(value="z", defaults=""))
    assert (lost.started, lost.state.state) == ([], "FAILED")


def test_foreach_runs_values_in_order_without_doubles_and_keeps_outputs_by_value() -> None:
    done = play("""
        - id: each
          type: core.flow.ForEach
          values: ["a", "b", "a", 3]
          tasks:
            - {id: x, type: core.debug.Return, format: "{{ taskrun.value }}{{ taskrun.iteration }}"}
            - {id: y, type: core.debug.Return, format: "{{ outputs.x[taskrun.value].value }}!"}
        - {id: end, type: core.log.Log, message: "{{ outputs.y['b'].value }}"}
    """)
    assert done.started == ["x[a]", "y[a]", "x[b]", "y[b]", "x[3]", "y[3]", "end"]
    assert done.logged == ["b1!"]


def test_foreach_with_a_limit_runs_that_many_groups_at_once() -> None:
    open_now: list[int] = []

    def outcome(play: Play, run: object) -> object:
        open_now.append(sum(1 for each in play.state.runs.values() if each.task_id in ("x", "y") and not each.ended))
        return ended(run)  # type: ignore[arg-type]

    done = play("""
        - id: each
          type: core.flow.ForEach
          concurrencyLimit: 2
          values: "{{ range(1, 7) }}"
          tasks:
            - {id: x, type: core.log.Log, message: x}
            - {id: y, type: core.log.Log, message: y}
    """, outcome=outcome)
    assert max(open_now) == 2
    assert done.state.state == "SUCCESS"
    assert len(done.started) == 14


def test_foreach_over_nulls_or_nonsense_fails_with_the_reason() -> None:
    done = play("""
        - {id: each, type: core.flow.ForEach, values: '[1, null]', tasks: [{id: x, type: core.log.Log, message: x}]}
    """)
    assert done.state.state == "FAILED"
    assert done.engine_log == ["Found '1' null values on Each, with values=[1, null]"]


def test_a_failure_in_one_value_starts_no_further_value() -> None:
    done = play("""
        - id: each
          type: core.flow.ForEach
          values: [a, b, c]
          tasks: [{id: x, type: core.execution.Fail, condition: "{{ taskrun.value == 'b' }}"}]
    """)
    assert done.started == ["x[a]", "x[b]"]
    assert done.states()["each"] == "FAILED"


def test_each_parallel_starts_all_tasks_of_all_values() -> None:
    done = play("""
        - id: each
          type: core.flow.EachParallel
          value: [a, b]
          tasks: [{id: x, type: core.log.Log, message: x}, {id: y, type: core.log.Log, message: x}]
    """)
    assert done.started == ["x[a]", "y[a]", "x[b]", "y[b]"]


def test_outputs_below_nested_loops_are_reached_by_all_values() -> None:
    done = play("""
        - id: outer
          type: core.flow.ForEach
          values: [a, b]
          tasks:
            - id: inner
              type: core.flow.ForEach
              values: ["1", "2"]
              tasks: [{id: x, type: core.debug.Return, format: "{{ parent.taskrun.value }}{{ taskrun.value }}"}]
        - {id: end, type: core.log.Log, message: "{{ outputs.x['b']['2'].value }}"}
    """)
    assert done.logged == ["b2"]


def test_allow_failure_turns_failed_into_warning_and_goes_on() -> None:
    done = play("""
        - id: block
          type: core.flow.AllowFailure
          tasks: [{id: a, type: core.execution.Fail}, {id: b, type: core.log.Log, message: x}]
        - {id: next, type: core.log.Log, message: x}
    """)
    assert done.started == ["a", "next"]
    assert done.states()["block"] == "WARNING"
    assert done.state.state == "WARNING"


def test_disabled_tasks_are_not_part_of_the_graph() -> None:
    done = play("""
        - id: p
          type: core.flow.Parallel
          tasks: [{id: a, type: core.execution.Fail, disabled: true}]
        - {id: b, type: core.log.Log, message: x, disabled: true}
        - {id: c, type: core.log.Log, message: x}
    """)
    assert done.states() == {"p": "SUCCESS", "c": "SUCCESS"}


def test_run_if_skips_a_whole_subtree() -> None:
    done = play("""
        - id: p
          type: core.flow.Sequential
          runIf: "{{ 1 == 2 }}"
          tasks: [{id: a, type: core.execution.Fail}]
        - {id: c, type: core.log.Log, message: x, runIf: "false"}
    """)
    assert done.states() == {"p": "SKIPPED", "c": "SKIPPED"}
    assert done.state.state == "SUCCESS"


def test_loop_until_repeats_with_a_pause_and_keeps_only_the_last_iteration() -> None:
    waiting = play("""
        - id: loop
          type: core.flow.LoopUntil
          condition: "{{ outputs.x.value == '3' }}"
          checkFrequency: {interval: PT10S}
          tasks: [{id: x, type: core.debug.Return, format: "{{ outputs.loop.iterationCount }}"}]
    """)
    assert waiting.state.state == "PAUSED"
    done = waiting.wait(9)
    assert done.started == ["x"]
    done = done.wait(11)
    assert done.state.state == "SUCCESS"
    assert done.started == ["x", "x", "x"]
    assert len(done.state.runs) == 2
    done.check()


def test_loop_until_fails_at_its_maximum_when_asked_to() -> None:
    done = play("""
        - id: loop
          type: core.flow.LoopUntil
          condition: "false"
          failOnMaxReached: true
          checkFrequency: {interval: PT1S, maxIterations: 2}
          tasks: [{id: x, type: core.log.Log, message: x}]
    """).wait(5)
    assert done.started == ["x", "x"]
    assert done.state.state == "FAILED"


def test_an_expression_that_fails_fails_its_flowable() -> None:
    done = play("""
        - {id: i, type: core.flow.If, condition: "{{ nowhere }}", then: [{id: a, type: core.log.Log, message: x}]}
    """)
    assert done.state.state == "FAILED"
    assert "Unable to find `nowhere`" in done.engine_log[0]
