"""Template tasks: what the loader puts in their place, and what it says when it cannot. Source: flow-language 5.14."""

from __future__ import annotations

from textwrap import dedent

import pytest

from podium.app.plugins import load_types
from podium.flows.load import Parsed, StoredTemplate, as_stored, parse_flows, parse_templates
from podium.flows.model import Template

NOTIFY = """\
id: notify
namespace: company.team
description: Tells people.
tasks:
  - {id: say, type: core.log.Log, message: "{{ parent.outputs.args.text }}"}
errors:
  - {id: broke, type: core.log.Log, message: broken}
"""


def stored(text: str, name: str, *, path: str = "", trouble: str = "") -> StoredTemplate:
    return StoredTemplate(namespace="company.team", id=name, path=path or f"_templates/{name}.yaml", blob="b" * 40, text=dedent(text), trouble=trouble)


def use(name: str, task_id: str = "t", more: str = "") -> str:
    return f"  - {{id: {task_id}, type: core.flow.Template, namespace: company.team, templateId: {name}{more}}}\n"


def parse(tasks: str, *templates: StoredTemplate, more: str = "") -> Parsed:
    (parsed,) = parse_flows(f"id: f\nnamespace: company.team\ntasks:\n{tasks}{more}", file="f.yaml", types=load_types(), templates=templates)
    return parsed


def only_problem(parsed: Parsed) -> str:
    (problem,) = parsed.problems
    return str(problem)


def test_the_tasks_and_errors_of_the_template_are_those_of_the_task() -> None:
    parsed = parse(use("notify", more=", args: {text: hi}"), stored(NOTIFY, "notify"))
    assert parsed.flow is not None
    (task,) = parsed.flow.tasks
    assert isinstance(task, Template)
    assert [each.id for each in task.tasks] == ["say"]
    assert [each.id for each in task.errors] == ["broke"]
    assert [each.id for each in parsed.templates] == ["notify"]
    assert StoredTemplate(**as_stored(parsed.templates[0])) == stored(NOTIFY, "notify")


def test_a_missing_template_is_told_with_its_place_and_a_suggestion() -> None:
    parsed = parse(use("notifi"), stored(NOTIFY, "notify"))
    assert only_problem(parsed) == "f.yaml:4:64: tasks[0].templateId: Unable to find template 'company.team'.'notifi'"
    assert parsed.problems[0].hint == "did you mean 'company.team.notify'?"
    assert "_templates/" in parse(use("other")).problems[0].hint


def test_a_refused_template_refuses_the_flow_and_says_why() -> None:
    parsed = parse(use("notify"), stored("", "notify", trouble="_templates/notify.yaml:5:3: tasks[0]: Invalid type: x"))
    assert "The template 'company.team.notify' is refused: _templates/notify.yaml:5:3: tasks[0]: Invalid type: x" in only_problem(parsed)


def test_a_template_cannot_stand_in_itself() -> None:
    first = stored(f"id: a\nnamespace: company.team\ntasks:\n{use('b', 'ta')}", "a")
    second = stored(f"id: b\nnamespace: company.team\ntasks:\n{use('a', 'tb')}", "b")
    parsed = parse(use("a"), first, second)
    assert "Recursive call to template [company.team.a > company.team.b > company.team.a]" in only_problem(parsed)
    assert parsed.problems[0].code == "recursion"


def test_a_template_may_have_another_in_it() -> None:
    outer = stored(f"id: outer\nnamespace: company.team\ntasks:\n{use('notify', 'inner')}", "outer")
    parsed = parse(use("outer"), outer, stored(NOTIFY, "notify"))
    assert parsed.problems == ()
    assert [each.id for each in parsed.templates] == ["notify", "outer"]
    assert parsed.flow is not None
    assert [each.id for each in parsed.flow.tasks[0].lists_of_tasks()["tasks"][0].lists_of_tasks()["tasks"]] == ["say"]


@pytest.mark.parametrize("tasks", [use("notify") + "  - {id: say, type: core.log.Log, message: x}\n", use("notify") + use("notify", "again")])
def test_ids_are_unique_over_the_flow_and_its_templates(tasks: str) -> None:
    """The engine keeps runs and outputs by task id."""
    parsed = parse(tasks, stored(NOTIFY, "notify"))
    assert "Invalid Flow: Duplicate task id with name [say" in only_problem(parsed)


def test_the_name_of_a_template_is_no_expression() -> None:
    assert "cannot be expressions" in only_problem(parse(use("'{{ inputs.x }}'"), stored(NOTIFY, "notify")))


def test_the_plugin_defaults_of_the_flow_hold_in_the_template() -> None:
    more = "pluginDefaults:\n  - {type: core.log.Log, values: {level: WARN}}\n"
    parsed = parse(use("notify"), stored(NOTIFY, "notify"), more=more)
    assert parsed.flow is not None
    assert parsed.flow.tasks[0].lists_of_tasks()["tasks"][0].level == "WARN"  # type: ignore[attr-defined]
    broken = parse(use("notify"), stored(NOTIFY, "notify"), more=more.replace("WARN", "LOUD"))
    assert any("In the template 'company.team.notify': _templates/notify.yaml:" in str(each) for each in broken.problems)


def test_tasks_cannot_be_written_into_a_template_task() -> None:
    parsed = parse(use("notify", more=", tasks: []"), stored(NOTIFY, "notify"))
    assert 'Unrecognized field "tasks"' in only_problem(parsed)


def test_without_a_place_to_look_the_name_is_not_looked_for() -> None:
    (parsed,) = parse_flows(f"id: f\nnamespace: company.team\ntasks:\n{use('any')}", file="f.yaml", types=load_types())
    assert parsed.problems == ()


def test_mistakes_of_a_template_have_their_place() -> None:
    text = NOTIFY.replace("description", "descripton") + "triggers: []\n"
    (parsed,) = parse_templates(text, file="_templates/n.yaml", types=load_types())
    assert (parsed.namespace, parsed.id, parsed.line) == ("company.team", "notify", 1)
    assert [(each.line, each.path, each.code) for each in parsed.problems] == [(3, "descripton", "unknown-property"), (8, "triggers", "unknown-property")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", "a template is a map"), ("id: a\nnamespace: n\n", "must not be empty"), ("id: a\nnamespace: n\ntasks: []\n", "must not be empty"),
        ("id: a b\nnamespace: n\ntasks: [{id: x, type: core.log.Log, message: x}]\n", "must match"),
        ("id: a\nnamespace: n\ntasks: [{id: x, type: core.flow.Parallel, tasks: []}]\n", "must not be empty"),
    ],
)
def test_what_is_no_template(text: str, expected: str) -> None:
    (parsed,) = parse_templates(text, file="t.yaml", types=load_types())
    assert any(expected in each.message for each in parsed.problems)
