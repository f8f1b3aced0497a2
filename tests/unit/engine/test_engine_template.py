"""A Template task runs the tasks of a stored template like a Sequential, with its args as its output. Source: flow-language 5.14."""

from __future__ import annotations

from engine_driver import Play, flow

from podium.flows.load import StoredTemplate

TEMPLATE = StoredTemplate(
    namespace="n", id="shared", path="_templates/shared.yaml", text="""\
id: shared
namespace: n
tasks:
  - {id: first, type: core.debug.Return, format: "{{ parent.outputs.args.name }}"}
  - {id: second, type: core.execution.Fail, runIf: "{{ outputs.t.args.fails }}"}
  - {id: third, type: core.debug.Return, format: "{{ outputs.first.value }}"}
errors:
  - {id: broke, type: core.log.Log, message: "{{ parent.outputs.args.name }} broke"}
""")
TASKS = """\
  - {id: t, type: core.flow.Template, namespace: n, templateId: shared, args: {name: "{{ inputs.name }}", fails: %s, n: 5}}
  - {id: after, type: core.debug.Return, format: "{{ outputs.third.value }}"}
"""


def play(fails: str) -> Play:
    done = Play(flow(TASKS % fails), inputs={"name": "ada"}, templates=[TEMPLATE]).run()
    done.check()
    return done


def test_the_tasks_run_in_its_place_and_read_its_args() -> None:
    done = play("'0'")
    assert done.state.state == "SUCCESS"
    assert done.run_of("t").outputs == {"args": {"name": "ada", "fails": "0", "n": "5"}}
    assert done.run_of("first").outputs == {"value": "ada"}
    assert done.run_of("second").state == "SKIPPED"
    assert done.run_of("first").parent_id == done.run_of("t").id
    assert done.run_of("after").outputs == {"value": "ada"}


def test_a_failure_runs_the_errors_of_the_template_and_fails_the_task() -> None:
    done = play("'1'")
    assert done.state.state == "FAILED"
    assert done.run_of("t").state == "FAILED"
    assert done.logged == ["ada broke"]
    assert "third" not in done.started
    assert "after" not in done.started


def test_args_that_cannot_be_rendered_fail_the_task() -> None:
    done = play("'{{ inputs.gone }}'")
    assert done.run_of("t").state == "FAILED"
    assert done.started == []
