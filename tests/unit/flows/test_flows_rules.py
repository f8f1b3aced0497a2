"""Every rule of the language has a case here: a flow that breaks it and the fragment of the message. Source: flow-language 1–7."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest

from podium.flows.load import Parsed

Check = Callable[..., list[str]]
Parse = Callable[..., Parsed]

LOG = "io.kestra.plugin.core.log.Log"
FLOWS = "io.kestra.plugin.core.flow"
CONDITIONS = "io.kestra.plugin.core.condition"
TRIGGERS = "io.kestra.plugin.core.trigger"


def task(**properties: Any) -> str:
    """A second task as one flow-style YAML line (JSON)."""
    import json

    return f"  - {json.dumps({'id': 'second', **properties})}\n"


def section(name: str, *items: dict[str, Any]) -> str:
    import json

    return f"{name}:\n" + "".join(f"  - {json.dumps(each)}\n" for each in items)


# ---- the flow itself


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("namespace: a\ntasks: [{id: a, type: core.debug.Return}]\n", "id: must not be null: the property 'id' is required"),
        ("id: ''\nnamespace: a\ntasks: [{id: a, type: core.debug.Return}]\n", "id: must not be blank"),
        ("id: a b\nnamespace: a\ntasks: [{id: a, type: core.debug.Return}]\n", 'id: must match "^[a-zA-Z0-9][a-zA-Z0-9._-]*"'),
        (f"id: {'x' * 101}\nnamespace: a\ntasks: [{{id: a, type: core.debug.Return}}]\n", "id: size must be between 1 and 100"),
        ("id: a\ntasks: [{id: a, type: core.debug.Return}]\n", "namespace: must not be null"),
        ("id: a\nnamespace: A.b\ntasks: [{id: a, type: core.debug.Return}]\n", 'namespace: must match "^[a-z0-9][a-z0-9._-]*"'),
        (f"id: a\nnamespace: {'x' * 151}\ntasks: [{{id: a, type: core.debug.Return}}]\n", "namespace: size must be between 1 and 150"),
        ("id: a\nnamespace: a\n", "tasks: must not be empty"),
        ("id: a\nnamespace: a\ntasks: []\n", "tasks: must not be empty"),
        ("id: a\nnamespace: a\ntasks: null\n", "tasks: must not be empty"),
        ("id: a\nnamespace: a\ntasks: x\n", "tasks: Illegal flow yaml: a list is expected, not 'x'"),
        ("id: a\nnamespace: a\ntasks: [null]\n", "tasks[0]: Illegal flow yaml: a map is expected, not null"),
        ("- a\n- b\n", ": Illegal flow yaml: a flow is a map with id, namespace and tasks"),
        ("just text\n", ": Illegal flow yaml: a flow is a map with id, namespace and tasks"),
    ],
)
def test_what_a_flow_must_have(parse: Parse, text: str, expected: str) -> None:
    assert any(f"{each.path}: {each.message}".startswith(expected) for each in parse(text).problems), parse(text).problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("revision: 0\n", "revision: must be greater than or equal to 1"),
        ("disabled: yes\n", "disabled: Illegal flow yaml: true or false is expected, not 'yes'"),
        ("disabled: '{{ inputs.x }}'\n", "disabled: Illegal flow yaml: true or false is expected"),
        ("labels: {a: [1]}\n", "labels.a: Illegal flow yaml: text is expected, not a list"),
        ("labels: [{key: a}]\n", "labels: labels are a map, or a list of {key, value}"),
        ("labels: {a: null}\n", "labels.a: the label 'a' has no value"),
        ("labels: {system.x: y}\n", "labels.system.x: System labels can only be set by Kestra itself, offending label: system.x=y"),
        ("labels: [{key: system.y, value: z}]\n", "labels[0]: System labels can only be set by Kestra itself, offending label: system.y=z"),
        ("variables: 5\n", "variables: Illegal flow yaml: a map is expected, not '5'"),
        ("concurrency: {}\n", "concurrency.limit: must not be null"),
        ("concurrency: {limit: 0}\n", "concurrency.limit: must be greater than 0"),
        ("concurrency: {limit: 1, behavior: WAIT}\n", "concurrency.behavior: Illegal flow yaml: 'WAIT' is not one of the values accepted: [QUEUE, CANCEL, FAIL]"),
        ("workerGroup: {key: a}\n", "workerGroup: Worker Group is an Enterprise Edition functionality"),
        ("quotas: [{duration: PT1H, limit: 1, behavior: FAIL}]\n", "quotas: quotas is an Enterprise Edition functionality"),
        ("workerSelector: {match: ANY}\n", "workerSelector.match: 'match' is only allowed with 'tags'"),
        ("workerSelector: {fallback: WAIT, tags: []}\n", "workerSelector.fallback: 'fallback' is only allowed with 'tags'"),
        ("workerSelector: {tags: [Big_Box]}\n", "workerSelector.tags[0]: 'Big_Box' is no worker tag"),
        (f"workerSelector: {{tags: {[f't{n}' for n in range(21)]}}}\n", "workerSelector.tags: size must be between 0 and 20"),
        ("workerSelector: {tags: [a], fallback: STOP}\n", "workerSelector.fallback: Illegal flow yaml: 'STOP' is not one of"),
        ("timeout: PT1S\n", 'timeout: Unrecognized field "timeout" (class Flow), not marked as ignorable'),
        ("dialect: '2.0'\n", 'dialect: Unrecognized field "dialect"'),
        ("listeners: [{tasks: []}]\n", "listeners[0].tasks: must not be empty"),
        ("listeners: [{description: x}]\n", "listeners[0].tasks: must not be empty"),
        ("checks: [{message: m}]\n", "checks[0].condition: must not be null"),
        ("checks: [{condition: x, message: m, style: LOUD}]\n", "checks[0].style: Illegal flow yaml: 'LOUD' is not one of"),
        ("outputs: [{id: a, type: STRING}]\n", "outputs[0].value: must not be null"),
        ("outputs: [{id: a, type: STRANGE, value: 1}]\n", "outputs[0].type: Illegal flow yaml: 'STRANGE' is not one of"),
        ("outputs: [{id: a, type: FORM, value: 1}]\n", "outputs[0].type: an output cannot be of type FORM"),
        ("outputs: [{id: a, type: INT, value: 1}, {id: a, type: INT, value: 1}]\n", "outputs: Invalid Flow: Duplicate output with name [a]"),
    ],
)
def test_properties_of_a_flow(check: Check, text: str, expected: str) -> None:
    assert any(each.startswith(expected) for each in check(text)), check(text)


def test_task_ids_are_unique_over_the_whole_tree(check: Check) -> None:
    inner = {"id": "inner", "type": f"{FLOWS}.Sequential", "tasks": [{"id": "hello", "type": LOG, "message": "x"}]}
    text = task(**inner) + section("errors", {"id": "second", "type": LOG, "message": "x"}, {"id": "inner", "type": LOG, "message": "x"})
    assert "tasks: Invalid Flow: Duplicate task id with name [hello, inner]" in check(text)
    for name in ("finally", "afterExecution"):
        text = section(name, {"id": "hello", "type": LOG, "message": "x"})
        assert "tasks: Invalid Flow: Duplicate task id with name [hello]" in check(text)
    listener = {"tasks": [{"id": "hello", "type": LOG, "message": "x"}]}
    assert "tasks: Invalid Flow: Duplicate task id with name [hello]" in check(section("listeners", listener))


def test_a_trigger_may_have_the_id_of_a_task_but_not_of_a_trigger(check: Check) -> None:
    webhook = {"type": f"{TRIGGERS}.Webhook", "key": "abcdefgh"}
    assert check(section("triggers", {"id": "hello", **webhook})) == []
    assert check(section("triggers", {"id": "a", **webhook}, {"id": "a", **webhook})) == [
        "triggers: Invalid Flow: Duplicate trigger id with name [a]"
    ]


@pytest.mark.parametrize("kind", ["Subflow", "ForEachItem"])
def test_a_flow_cannot_call_itself_unless_the_name_is_an_expression(check: Check, kind: str) -> None:
    own = {"type": f"{FLOWS}.{kind}", "items": "{{ x }}"} if kind == "ForEachItem" else {"type": f"{FLOWS}.{kind}"}
    expected = "tasks[1]: Invalid Flow: Recursive call to flow [company.team.demo]"
    assert check(task(**own, namespace="company.team", flowId="demo")) == [expected]
    assert check(task(**own, namespace="company.team", flowId="{{ flow.id }}")) == []


@pytest.mark.parametrize("reserved", ["pause", "resume", "force-run", "change-status", "kill", "executions", "search", "source", "disable", "enable"])
def test_reserved_ids_are_a_warning_in_1_x_and_a_mistake_in_2_0(parse: Parse, reserved: str) -> None:
    text = f"id: {reserved}\nnamespace: a\ntasks: [{{id: a, type: core.debug.Return}}]\n"
    assert [each.code for each in parse(text).warnings] == ["reserved-id"]
    assert [each.code for each in parse(text + "draft: false\n").problems] == ["reserved-id"]


def test_label_keys_have_a_form_in_2_0_only(check: Check) -> None:
    assert check("labels: {Team: a}\n") == []
    assert any("Invalid label key. A valid key contains only lowercase letters" in each for each in check("labels: {Team: a}\ndraft: false\n"))
    assert check("labels: {teamName: a}\ndraft: false\n") == []


# ---- tasks


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"type": LOG, "message": "x", "id": "a.b"}, 'tasks[1].id: must match "^[a-zA-Z0-9][a-zA-Z0-9_-]*"'),
        ({"type": LOG, "message": "x", "id": "x" * 257}, "tasks[1].id: size must be between 1 and 256"),
        ({"message": "x"}, "tasks[1].type: must not be null: missing type id property 'type'"),
        ({"type": "io.kestra.plugin.core.log.Lag"}, "tasks[1]: Invalid type: io.kestra.plugin.core.log.Lag"),
        ({"type": f"{TRIGGERS}.Schedule"}, f"tasks[1]: Invalid type: {TRIGGERS}.Schedule"),
        ({"type": LOG}, "tasks[1].message: must not be null: the property 'message' is required"),
        ({"type": LOG, "message": None}, "tasks[1].message: must not be null"),
        ({"type": LOG, "message": {"a": 1}}, "tasks[1].message: Illegal flow yaml: text or a list is expected, not a map"),
        ({"type": LOG, "message": "x", "mesage": "y"}, f'tasks[1].mesage: Unrecognized field "mesage" (class {LOG}), not marked as ignorable (20 known'),
        ({"type": LOG, "message": "x", "run_if": "y"}, 'tasks[1].run_if: Unrecognized field "run_if"'),
        ({"type": LOG, "message": "x", "level": "LOUD"}, "tasks[1].level: Illegal flow yaml: 'LOUD' is not one of the values accepted"),
        ({"type": LOG, "message": "x", "logLevel": "info"}, "tasks[1].logLevel: Illegal flow yaml: 'info' is not one of the values accepted"),
        ({"type": LOG, "message": "x", "timeout": "soon"}, "tasks[1].timeout: Illegal flow yaml: not a duration: 'soon'"),
        ({"type": LOG, "message": "x", "timeout": "P1M"}, "tasks[1].timeout: Illegal flow yaml: not a duration: 'P1M'"),
        ({"type": LOG, "message": "x", "timeout": [1]}, "tasks[1].timeout: Illegal flow yaml: "),
        ({"type": LOG, "message": "x", "allowFailure": "maybe"}, "tasks[1].allowFailure: Illegal flow yaml: true or false is expected, not 'maybe'"),
        ({"type": LOG, "message": "x", "workerGroup": {"key": "a"}}, "tasks[1].workerGroup: Worker Group is an Enterprise Edition functionality"),
        ({"type": LOG, "message": "x", "taskCache": {"ttl": "PT1H"}}, "tasks[1].taskCache.enabled: must not be null"),
        ({"type": LOG, "message": "x", "taskCache": {"enabled": True, "tll": 1}}, 'tasks[1].taskCache.tll: Unrecognized field "tll"'),
        ({"type": "scripts.shell.Commands", "commands": "ls"}, "tasks[1].commands: Illegal flow yaml: a list is expected, not 'ls'"),
        ({"type": "scripts.shell.Commands", "commands": [], "count": "two"}, "tasks[1].count: Illegal flow yaml: a whole number is expected, not 'two'"),
        ({"type": "scripts.shell.Commands", "commands": [], "count": True}, "tasks[1].count: Illegal flow yaml: a whole number is expected"),
        ({"type": "scripts.shell.Commands", "commands": [], "ratio": "{{ x }}"}, "tasks[1].ratio: Illegal flow yaml: a number is expected"),
        ({"type": "scripts.shell.Commands", "commands": [], "env": {"A": {}}}, "tasks[1].env.A: Illegal flow yaml: text is expected, not a map"),
        ({"type": "scripts.shell.Commands", "commands": [], "taskRunner": {"type": "a.B"}}, "tasks[1].taskRunner: Invalid type: a.B"),
        ({"type": "scripts.shell.Commands", "commands": [], "taskRunner": {}}, "tasks[1].taskRunner.type: must not be null"),
        (
            {"type": "scripts.shell.Commands", "commands": [], "taskRunner": {"type": "scripts.runner.docker.Docker", "pullPolicy": "SOMETIMES"}},
            "tasks[1].taskRunner.pullPolicy: Illegal flow yaml: 'SOMETIMES' is not one of",
        ),
        (
            {"type": "scripts.shell.Commands", "commands": [], "taskRunner": {"type": "scripts.runner.docker.Docker", "image": "x"}},
            'tasks[1].taskRunner.image: Unrecognized field "image" (class io.kestra.plugin.scripts.runner.docker.Docker)',
        ),
    ],
)
def test_properties_of_tasks(check: Check, properties: dict[str, Any], expected: str) -> None:
    found = check(task(**properties))
    assert any(each.startswith(expected) for each in found), found


def test_dynamic_properties_take_a_value_or_an_expression(parse: Parse) -> None:
    written = {"commands": "{{ inputs.list }}", "count": "{{ 1 + 1 }}", "failFast": "{{ inputs.fast }}", "timeout": "{{ inputs.t }}"}
    text = "id: a\nnamespace: b\ntasks:\n" + task(type="scripts.shell.Commands", **written)
    assert parse(text).problems == ()


def retry(**properties: Any) -> str:
    return task(type=LOG, message="x", retry=properties)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (retry(type="sometimes"), "tasks[1].retry.type: Illegal flow yaml: 'sometimes' is not one of the values accepted: [constant, exponential, random]"),
        (retry(interval="PT1S"), "tasks[1].retry.type: must not be null"),
        (retry(type="constant"), "tasks[1].retry.interval: must not be null: a retry of type constant needs 'interval'"),
        (retry(type="exponential", interval="PT1S"), "tasks[1].retry.maxInterval: must not be null"),
        (retry(type="random", maxInterval="PT1S"), "tasks[1].retry.minInterval: must not be null"),
        (retry(type="constant", interval="PT1S", maxAttempts=0), "tasks[1].retry.maxAttempts: must be greater than or equal to 1"),
        (retry(type="constant", interval="PT1S", maxAttempt=0), "tasks[1].retry.maxAttempt: must be greater than or equal to 1"),
        (retry(type="constant", interval="PT1S", maxAttempt=2, maxAttempts=2), "tasks[1].retry.maxAttempts: Illegal flow yaml: Duplicate field"),
        (retry(type="constant", interval="PT1S", minInterval="PT1S"), 'tasks[1].retry.minInterval: Unrecognized field "minInterval"'),
        (retry(type="random", minInterval="PT1S", maxInterval="PT2S", interval="PT1S"), 'tasks[1].retry.interval: Unrecognized field "interval"'),
        (retry(type="constant", interval="PT1H", maxDuration="PT1M"), "tasks[1].retry: 'interval' must be less than 'maxDuration' but is PT1H"),
        (retry(type="exponential", interval="PT10S", maxInterval="PT5S"), "tasks[1].retry: 'interval' must be less than 'maxInterval' but is PT10S"),
        (retry(type="random", minInterval="PT5S", maxInterval="PT5S"), "tasks[1].retry: 'minInterval' must be less than 'maxInterval' but is PT5S"),
        (retry(type="random", minInterval="PT1S", maxInterval="PT5S", maxDuration="PT5S"), "tasks[1].retry: 'maxInterval' must be less than 'maxDuration'"),
        ("retry: {type: constant}\n", "retry.interval: must not be null"),
    ],
)
def test_retries(check: Check, text: str, expected: str) -> None:
    assert any(each.startswith(expected) for each in check(text)), check(text)


@pytest.mark.parametrize("kind", ["Sequential", "AllowFailure", "Parallel", "ForEach", "EachSequential", "EachParallel", "LoopUntil", "WaitFor"])
@pytest.mark.parametrize("tasks", [None, []])
def test_tasks_that_hold_others_hold_some(check: Check, kind: str, tasks: Any) -> None:
    extra: dict[str, Any] = {"values": [1]} if kind == "ForEach" else {"value": [1]} if kind.startswith("Each") else {}
    extra |= {"condition": "x"} if kind in ("LoopUntil", "WaitFor") else {}
    assert check(task(type=f"{FLOWS}.{kind}", tasks=tasks, **extra)) == ["tasks[1].tasks: must not be empty"]


def dag(*tasks: Any) -> str:
    return task(type=f"{FLOWS}.Dag", tasks=list(tasks))


def member(name: str, *needs: str) -> dict[str, Any]:
    return {"task": {"id": name, "type": LOG, "message": "x"}, "dependsOn": list(needs)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (task(type=f"{FLOWS}.If", condition="x", then=[]), "tasks[1].then: must not be empty"),
        (task(type=f"{FLOWS}.If", then=[{"id": "a", "type": LOG, "message": "x"}]), "tasks[1].condition: must not be null"),
        (task(type=f"{FLOWS}.WorkingDirectory"), "tasks[1].tasks: second: The 'tasks' property cannot be empty"),
        (task(type=f"{FLOWS}.Loop", values=[1]), "tasks[1].tasks: second: The 'tasks' property cannot be empty"),
        (task(type=f"{FLOWS}.Switch", value="x"), "tasks[1]: second: No task defined, neither cases or default have any tasks"),
        (task(type=f"{FLOWS}.Switch", value="x", cases={"a": []}, defaults=None), "tasks[1]: second: No task defined, neither cases or default"),
        (task(type=f"{FLOWS}.Switch", cases={"a": []}), "tasks[1].value: must not be null"),
        (task(type=f"{FLOWS}.ForEach", tasks=[{"id": "a", "type": LOG, "message": "x"}]), "tasks[1].values: must not be null"),
        (
            task(type=f"{FLOWS}.ForEach", values=[1], concurrencyLimit=-1, tasks=[{"id": "a", "type": LOG, "message": "x"}]),
            "tasks[1].concurrencyLimit: must be greater than or equal to 0",
        ),
        (
            task(type=f"{FLOWS}.Loop", values=[1], concurrencyLimit="{{ x }}", tasks=[{"id": "a", "type": LOG, "message": "x"}]),
            "tasks[1].concurrencyLimit: Illegal flow yaml: a whole number is expected",
        ),
        (dag(), "tasks[1].tasks: second: No task defined"),
        (dag(member("a"), member("b", "zz")), "tasks[1].tasks[1].dependsOn[0]: second: Not existing task id in dependency: zz"),
        (dag(member("a", "b"), member("b", "a")), "tasks[1].tasks: second: Cyclic dependency detected: a, b"),
        (dag(member("a", "a")), "tasks[1].tasks: second: Cyclic dependency detected: a"),
        (dag({"dependsOn": []}), "tasks[1].tasks[0].task: must not be null"),
        (
            task(type=f"{FLOWS}.WorkingDirectory", tasks=[{"id": "s", "type": f"{FLOWS}.Sequential", "tasks": [{"id": "a", "type": LOG, "message": "x"}]}]),
            "tasks[1].tasks[0]: second: Only runnable tasks are allowed as children of a WorkingDirectory task",
        ),
        (
            task(type=f"{FLOWS}.WorkingDirectory", tasks=[{"id": "a", "type": LOG, "message": "x", "workerGroup": {"key": "k"}}]),
            "tasks[1].tasks[0].workerGroup: second: Cannot set a Worker Group in any WorkingDirectory sub-tasks",
        ),
        (
            task(type=f"{FLOWS}.WorkingDirectory", tasks=[{"id": "a", "type": LOG, "message": "x"}], cache={"ttl": "PT1H"}),
            "tasks[1].cache.patterns: must not be null",
        ),
        (
            task(type=f"{FLOWS}.WorkingDirectory", tasks=[{"id": "a", "type": LOG, "message": "x"}], namespaceFiles={"includes": []}),
            'tasks[1].namespaceFiles.includes: Unrecognized field "includes"',
        ),
        (
            task(type=f"{FLOWS}.WorkingDirectory", tasks=[{"id": "a", "type": LOG, "message": "x"}], namespaceFiles={"ifExists": "REPLACE"}),
            "tasks[1].namespaceFiles.ifExists: Illegal flow yaml: 'REPLACE' is not one of",
        ),
        (task(type=f"{FLOWS}.Subflow", namespace="a"), "tasks[1].flowId: must not be null"),
        (task(type=f"{FLOWS}.Subflow", namespace="a", flowId="b", revision=0), "tasks[1].revision: must be greater than or equal to 1"),
        (task(type=f"{FLOWS}.Subflow", namespace="a", flowId="b", labels={"system.x": "y"}), "tasks[1].labels.system.x: System labels can only be set"),
        (task(type=f"{FLOWS}.Subflow", namespace="a", flowId="b", labels={"a": {"b": 1}}), "tasks[1].labels: the value of label 'a' must be text"),
        (task(type=f"{FLOWS}.ForEachItem", namespace="a", flowId="b"), "tasks[1].items: must not be null"),
        (
            task(type=f"{FLOWS}.ForEachItem", namespace="a", flowId="b", items="{{ x }}", batch={"lines": 1}),
            'tasks[1].batch.lines: Unrecognized field "lines" (class Batch)',
        ),
        (task(type=f"{FLOWS}.LoopUntil", tasks=[{"id": "a", "type": LOG, "message": "x"}]), "tasks[1].condition: must not be null"),
        (
            task(type=f"{FLOWS}.LoopUntil", condition="x", tasks=[{"id": "a", "type": LOG, "message": "x"}], checkFrequency={"interval": "often"}),
            "tasks[1].checkFrequency.interval: Illegal flow yaml: not a duration: 'often'",
        ),
        (task(type=f"{FLOWS}.Pause", behavior="STOP"), "tasks[1].behavior: Illegal flow yaml: 'STOP' is not one of the values accepted: [RESUME, WARN, FAIL, CANCEL]"),
        (task(type=f"{FLOWS}.Pause", onResume=[{"id": "a"}]), "tasks[1].onResume[0].type: must not be null"),
        (
            task(type=f"{FLOWS}.Pause", onPause={"id": "p", "type": f"{FLOWS}.Parallel", "tasks": [{"id": "a", "type": LOG, "message": "x"}]}),
            "tasks[1].onPause: second: Only a runnable task is allowed as 'onPause'",
        ),
        (task(type=f"{FLOWS}.Approval", commentRequired="OFTEN"), "tasks[1].commentRequired: Illegal flow yaml: 'OFTEN' is not one of"),
        (task(type=f"{FLOWS}.Template", namespace="a"), "tasks[1].templateId: must not be null"),
    ],
)
def test_tasks_that_hold_others(check: Check, text: str, expected: str) -> None:
    found = check(text)
    assert any(each.startswith(expected) for each in found), found


# ---- inputs


def inputs(*items: dict[str, Any]) -> str:
    return section("inputs", *items)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (inputs({"id": "a"}), "inputs[0].type: must not be null"),
        (inputs({"type": "STRING"}), "inputs[0].id: must not be null"),
        (inputs({"id": "a", "type": "TEXT"}), "inputs[0]: Invalid type: TEXT"),
        (inputs({"id": "-a", "type": "STRING"}), 'inputs[0].id: must match "^[a-zA-Z0-9][.a-zA-Z0-9_-]*"'),
        (inputs({"id": "a", "type": "STRING", "min": 1}), 'inputs[0].min: Unrecognized field "min" (class StringInput)'),
        (inputs({"id": "a", "type": "INT"}, {"name": "a", "type": "INT"}), "inputs: Invalid Flow: Duplicate input with name [a]"),
        (inputs({"id": "a", "type": "STRING", "validator": "["}), "inputs[0].validator: invalid pattern [[]"),
        (inputs({"id": "a", "type": "SECRET", "validator": "(a"}), "inputs[0].validator: invalid pattern [(a]"),
        (inputs({"id": "a", "type": "SELECT"}), "inputs[0].values: you must define `values` or `expression`"),
        (inputs({"id": "a", "type": "MULTISELECT", "values": ["x"], "options": ["y"]}), "inputs[0].options: you can't define both `values` and `options`"),
        (inputs({"id": "a", "type": "MULTISELECT", "values": ["x"], "itemType": "ARRAY"}), "inputs[0].itemType: Illegal flow yaml: 'ARRAY' is not one of"),
        (inputs({"id": "a", "type": "ENUM"}), "inputs[0].values: must not be null"),
        (inputs({"id": "a", "type": "ENUM", "values": []}), "inputs[0].values: must not be empty"),
        (inputs({"id": "a", "type": "ARRAY"}), "inputs[0].itemType: must not be null"),
        (inputs({"id": "a", "type": "ARRAY", "itemType": "ARRAY"}), "inputs[0].itemType: `itemType` cannot be `ARRAY`"),
        (inputs({"id": "a", "type": "ARRAY", "itemType": "FORM"}), "inputs[0].itemType: `itemType` cannot be `FORM`"),
        (inputs({"id": "a", "type": "INT", "min": 5, "max": 1}), "inputs[0].max: no value can be both more than 5 and less than 1"),
        (inputs({"id": "a", "type": "DATE", "after": "tomorrow"}), "inputs[0].after: Illegal flow yaml: Expected `DATE` but received `tomorrow`"),
        (inputs({"id": "a", "type": "DURATION", "min": "x"}), "inputs[0].min: Illegal flow yaml: not a duration: 'x'"),
        (inputs({"id": "a", "type": "INT", "defaults": "x"}), "inputs[0].defaults: Illegal flow yaml: the default cannot be read: Expected `INT` but received `x`"),
        (inputs({"id": "a", "type": "BOOL", "defaults": []}), "inputs[0].defaults: Illegal flow yaml: the default cannot be read: Expected `BOOL`"),
        (inputs({"id": "a", "type": "STRING", "defaults": [1]}), "inputs[0].defaults: Illegal flow yaml: text is expected, not a list"),
        (inputs({"id": "a", "type": "JSON", "defaults": "{"}), "inputs[0].defaults: Illegal flow yaml: the default cannot be read: Expected `JSON`"),
        (inputs({"id": "a", "type": "ARRAY", "itemType": "INT", "defaults": ["x"]}), "inputs[0].defaults: Illegal flow yaml: the default cannot be read"),
        (inputs({"id": "a", "type": "DATETIME", "defaults": "2020-01-01"}), "inputs[0].defaults: Illegal flow yaml: the default cannot be read: Expected `DATETIME`"),
        (inputs({"id": "a", "type": "FILE", "defaults": "a.txt"}), "inputs[0].defaults: no `defaults` can be set for inputs of type 'FILE'"),
        (inputs({"id": "a", "type": "STRING", "defaults": "x", "prefill": "y"}), "inputs[0].prefill: Inputs with a default value cannot also have a prefill."),
        (inputs({"id": "a", "type": "STRING", "dependsOn": {"inputs": ["b"]}}), "inputs[0].dependsOn.inputs[0]: Input with id 'a' depends on a non-existent input 'b'."),
        (
            inputs({"id": "a", "type": "INT", "dependsOn": {"inputs": ["b"]}}, {"id": "b", "type": "INT", "dependsOn": {"inputs": ["a"]}}),
            "inputs[0].dependsOn: Cycle dependency detected for input with id 'a': [a, b]",
        ),
        (inputs({"id": "a", "type": "INT", "dependsOn": {"input": ["b"]}}), 'inputs[0].dependsOn.input: Unrecognized field "input"'),
        (inputs({"id": "a", "type": "FORM"}), "inputs[0].inputs: must not be null"),
        (inputs({"id": "a", "type": "FORM", "inputs": []}), "inputs[0].inputs: must not be empty"),
        (
            inputs({"id": "a", "type": "FORM", "defaults": 1, "inputs": [{"id": "b", "type": "INT"}]}),
            "inputs[0]: A FORM input groups other inputs and cannot declare a default value or a prefill.",
        ),
        (
            inputs({"id": "a", "type": "FORM", "inputs": [{"id": "b", "type": "FORM", "inputs": [{"id": "c", "type": "INT"}]}]}),
            "inputs[0].inputs[0]: A FORM input cannot contain another FORM input; grouping is limited to a single level.",
        ),
        (
            inputs({"id": "a", "type": "FORM", "inputs": [{"id": "b", "type": "INT", "dependsOn": {"inputs": ["c"]}}]}),
            "inputs[0].inputs[0].dependsOn.inputs[0]: Input with id 'a.b' depends on a non-existent input 'c'.",
        ),
        (inputs({"id": "a", "type": "REUSABLE_INPUTS", "ref": "x"}), "inputs[0]: REUSABLE_INPUTS is an Enterprise Edition functionality"),
        (
            inputs({"id": "a", "type": "OBJECT", "properties": [{"id": "b", "type": "JSON"}]}),
            "inputs[0].properties[0]: an input of type OBJECT cannot hold one of type JSON",
        ),
        (
            inputs({"id": "a", "type": "TABLE", "columns": [{"id": "b", "type": "INT", "defaults": 1}]}),
            "inputs[0].columns[0].defaults: 'defaults' cannot stand inside an input of type TABLE",
        ),
    ],
)
def test_inputs(check: Check, text: str, expected: str) -> None:
    found = check(text)
    assert any(each.startswith(expected) for each in found), found


@pytest.mark.parametrize(
    "item",
    [
        {"type": "STRING", "validator": "[a-z]+", "defaults": "abc"}, {"type": "INT", "min": 1, "max": 5, "defaults": 3},
        {"type": "INT", "defaults": "{{ 1 }}"}, {"type": "FLOAT", "defaults": 1}, {"type": "SELECT", "values": ["a", 1, True]},
        {"type": "SELECT", "expression": "{{ x }}"}, {"type": "FILE", "defaults": "nsfile:///a.txt"}, {"type": "FILE", "defaults": "{{ x }}"},
        {"type": "FILE", "allowedFileExtensions": [".md"], "required": False}, {"type": "JSON", "defaults": {"a": 1}}, {"type": "YAML", "defaults": "a: 1"},
        {"type": "URI", "defaults": "https://example.org"}, {"type": "SECRET", "defaults": "x"}, {"type": "EMAIL", "defaults": "a@b.c"},
        {"type": "DURATION", "min": "PT1S", "defaults": "PT5S"}, {"type": "TIME", "defaults": "10:00"}, {"type": "BOOLEAN", "defaults": False},
        {"type": "FORM", "inputs": [{"id": "c", "type": "INT"}, {"id": "d", "type": "INT", "dependsOn": {"inputs": ["a.c"]}}]},
        {"type": "TABLE", "columns": [{"id": "c", "type": "INT"}], "rows": {"min": 1, "max": 3}}, {"type": "ION"},
        {"type": "OBJECT", "properties": [{"id": "c", "type": "DATE"}]}, {"type": "STRING", "displayName": "A name", "prefill": "x", "required": False},
    ],
)
def test_inputs_that_are_right(check: Check, item: dict[str, Any]) -> None:
    assert check(inputs({"id": "a", **item})) == []


def test_an_optional_input_with_a_default_is_a_warning_in_1_x_and_a_mistake_in_2_0(warn: Check, check: Check) -> None:
    text = inputs({"id": "a", "type": "STRING", "required": False, "defaults": "x"})
    what = "inputs[0].required: Inputs with a default value must be required, since the default is always applied."
    assert warn(text) == [what]
    assert check(text + "draft: false\n") == [what]


@pytest.mark.parametrize(
    ("item", "detail"),
    [
        ({"type": "STRING", "validator": "[0-9]+", "defaults": "x"}, "it must match the pattern `[0-9]+`"),
        ({"type": "INT", "max": 3, "defaults": 4}, "it must be less than `3`"),
        ({"type": "SELECT", "values": ["a"], "defaults": "b"}, "it must match the values `[a]`"),
        ({"type": "MULTISELECT", "values": ["a"], "defaults": ["b"]}, "it must match the values `[a]`"),
        ({"type": "EMAIL", "defaults": "nobody"}, "The input must be a valid email"),
    ],
)
def test_a_default_that_its_own_rule_refuses_is_a_warning(warn: Check, item: dict[str, Any], detail: str) -> None:
    assert warn(inputs({"id": "a", **item})) == [f"inputs[0].defaults: the default is refused when it is used: {detail}"]


def test_an_input_that_is_a_value_and_a_map_is_a_warning(warn: Check) -> None:
    text = inputs({"id": "a", "type": "STRING"}, {"id": "a.b", "type": "STRING"})
    assert warn(text) == ["inputs[1]: Conflict at key: a: an input cannot be a value and hold 'a.b'"]


# ---- triggers


def trigger(kind: str, **properties: Any) -> str:
    return section("triggers", {"id": "t", "type": f"{TRIGGERS}.{kind}", **properties})


def condition(kind: str, **properties: Any) -> str:
    return trigger("Schedule", cron="0 0 * * *", conditions=[{"type": f"{CONDITIONS}.{kind}", **properties}])


def window(**properties: Any) -> str:
    return trigger("Flow", preconditions={"id": "p", "flows": [{"namespace": "a"}], "timeWindow": properties})


def filtered(**properties: Any) -> str:
    return trigger("Flow", preconditions={"id": "p", "where": [{"id": "w", "filters": [properties]}]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (section("triggers", {"id": "t", "type": "a.B"}), "triggers[0]: Invalid type: a.B"),
        (section("triggers", {"id": "a.b", "type": f"{TRIGGERS}.Webhook", "key": "k"}), 'triggers[0].id: must match "^[a-zA-Z0-9][a-zA-Z0-9_-]*"'),
        (section("triggers", {"id": "t", "type": "core.http.Trigger"}), "triggers[0].uri: must not be null"),
        (section("triggers", {"id": "x" * 257, "type": f"{TRIGGERS}.Webhook", "key": "k"}), "triggers[0].id: Trigger id must be at most 256 characters"),
        (trigger("Schedule"), "triggers[0].cron: must not be null"),
        (trigger("Schedule", cron="* * * *"), "triggers[0].cron: invalid cron expression '* * * *': it has 4 fields, 5 are expected"),
        (trigger("Schedule", cron="* * * * * *"), "triggers[0].cron: invalid cron expression '* * * * * *': it has 6 fields"),
        (trigger("Schedule", cron="0 0 * * *", withSeconds=True), "triggers[0].cron: invalid cron expression '0 0 * * *'"),
        (trigger("Schedule", cron="99 * * * *"), "triggers[0].cron: invalid cron expression '99 * * * *': 99 is not in the range 0–59 of the minute"),
        (trigger("Schedule", cron="@hourly", timezone="Mars/Base"), "triggers[0].timezone: unknown time zone 'Mars/Base'"),
        (trigger("Schedule", cron="@hourly", recoverMissedSchedules="SOME"), "triggers[0].recoverMissedSchedules: Illegal flow yaml: 'SOME' is not one of"),
        (trigger("Schedule", cron="@hourly", lateMaximumDelay="x"), "triggers[0].lateMaximumDelay: Illegal flow yaml: not a duration"),
        (trigger("Schedule", cron="@hourly", stopAfter=["DONE"]), "triggers[0].stopAfter[0]: Illegal flow yaml: 'DONE' is not one of"),
        (trigger("Schedule", cron="@hourly", labels={"system.a": "b"}), "triggers[0].labels.system.a: System labels can only be set"),
        (trigger("Schedule", cron="@hourly", workerGroup={"key": "a"}), "triggers[0].workerGroup: Worker Group is an Enterprise Edition functionality"),
        (trigger("ScheduleOnDates"), "triggers[0].dates: must not be null"),
        (trigger("ScheduleOnDates", dates=["today"]), "triggers[0].dates[0]: Illegal flow yaml: 'today' is no date-time"),
        (trigger("Webhook"), "triggers[0].key: must not be null"),
        (trigger("Webhook", key="k" * 257), "triggers[0].key: size must be between 1 and 256"),
        (trigger("Webhook", key="k", fetchType="KEEP"), "triggers[0].fetchType: Illegal flow yaml: 'KEEP' is not one of"),
        (trigger("Webhook", key="k", responseContentType="text/html"), "triggers[0].responseContentType: Illegal flow yaml: 'text/html' is not one of"),
        (trigger("Webhook", key="k", verify={"preset": "github"}), "triggers[0].verify.secret: must not be null: the preset 'github' needs 'secret'"),
        (trigger("Webhook", key="k", verify={"preset": "hmac", "secret": "s"}), "triggers[0].verify.header: must not be null"),
        (trigger("Webhook", key="k", verify={"preset": "guthib", "secret": "s"}), "triggers[0].verify.preset: Illegal flow yaml: 'guthib' is not one of"),
        (
            trigger("Webhook", key="k", conditions=[{"type": f"{CONDITIONS}.MultipleCondition", "id": "m", "conditions": {"a": {"type": f"{CONDITIONS}.Weekend"}}}]),
            "triggers[0].conditions[0]: invalid webhook: conditions of type MultipleCondition are not supported",
        ),
        (trigger("Flow", preconditions={"flows": [{"namespace": "a"}]}), "triggers[0].preconditions.id: must not be null"),
        (trigger("Flow", preconditions={"id": "p", "flows": [{"flowId": "a"}]}), "triggers[0].preconditions.flows[0].namespace: must not be null"),
        (trigger("Flow", preconditions={"id": "p", "where": [{"id": "w", "filters": []}]}), "triggers[0].preconditions.where[0].filters: must not be empty"),
        (filtered(field="FLOW_ID", type="IN", value="x"), "triggers[0].preconditions.where[0].filters[0].values: `values` must be set for a filter of type IN"),
        (filtered(field="FLOW_ID", type="IN", values=["x"], value="x"), "triggers[0].preconditions.where[0].filters[0].value: `value` cannot be set"),
        (filtered(field="FLOW_ID", type="EQUAL_TO"), "triggers[0].preconditions.where[0].filters[0].value: `value` must be set"),
        (filtered(field="FLOW_ID", type="EQUAL_TO", value="a", values=["x"]), "triggers[0].preconditions.where[0].filters[0].values: `values` cannot be set"),
        (filtered(field="NAME", type="EQUAL_TO", value="a"), "triggers[0].preconditions.where[0].filters[0].field: Illegal flow yaml: 'NAME' is not one of"),
        (window(deadline="09:00:00"), "triggers[0].preconditions.timeWindow.deadline: Time window of type DURATION_WINDOW cannot have a deadline"),
        (window(type="SLIDING_WINDOW", windowAdvance="PT1H"), "triggers[0].preconditions.timeWindow.windowAdvance: Time window of type SLIDING_WINDOW cannot have a windowAdvance"),
        (window(type="DAILY_TIME_DEADLINE"), "triggers[0].preconditions.timeWindow.deadline: Time window of type DAILY_TIME_DEADLINE must have a deadline"),
        (window(type="DAILY_TIME_DEADLINE", deadline="9"), "triggers[0].preconditions.timeWindow.deadline: Illegal flow yaml: '9' is no time of day"),
        (window(type="DAILY_TIME_WINDOW", startTime="09:00:00"), "triggers[0].preconditions.timeWindow.endTime: Time window of type DAILY_TIME_WINDOW must have a endTime"),
        (window(type="WEEKLY"), "triggers[0].preconditions.timeWindow.type: Illegal flow yaml: 'WEEKLY' is not one of"),
        (trigger("Flow", dependsOn=[{"namespace": "a"}], window={"lookback": "PT1H", "deadline": "09:00:00"}), "triggers[0].window: a window is one of"),
        (trigger("Flow", dependsOn=[{"namespace": "a"}], window={"from": "09:00:00"}), "triggers[0].window.to: must not be null: 'from' needs 'to'"),
        (trigger("Flow", dependsOn=[{"namespace": "a"}], window={"deadline": "25:00:00"}), "triggers[0].window.deadline: Illegal flow yaml"),
        (trigger("Flow", dependsOn=[{"namespace": "a"}], window={"deadline": "05:00:00", "timezone": "X"}), "triggers[0].window.timezone: unknown time zone"),
        (trigger("Flow", dependsOn=[{"namespace": "a"}], mode="AT_LEAST"), "triggers[0].minSatisfied: must not be null: mode AT_LEAST needs 'minSatisfied'"),
        (trigger("Flow", dependsOn=[{"namespace": "a"}], mode="AT_LEAST", minSatisfied=2), "triggers[0].minSatisfied: 'minSatisfied' is 2, but there are 1"),
        (trigger("Flow", dependsOn=[{"namespace": "a"}], mode="SOME"), "triggers[0].mode: Illegal flow yaml: 'SOME' is not one of"),
        (trigger("Flow", dependsOn=[{"namespace": "a"}], wait=1), 'triggers[0].wait: Unrecognized property "wait" on trigger "t" (io.kestra.plugin.core.trigger.Flow)'),
        (condition("Weekendd"), f"triggers[0].conditions[0]: Invalid type: {CONDITIONS}.Weekendd"),
        (condition("DayWeek"), "triggers[0].conditions[0].dayOfWeek: must not be null"),
        (condition("DayWeek", dayOfWeek="Monday"), "triggers[0].conditions[0].dayOfWeek: Illegal flow yaml: 'Monday' is not one of"),
        (condition("DayWeekInMonth", dayOfWeek="MONDAY", dayInMonth="FIFTH"), "triggers[0].conditions[0].dayInMonth: Illegal flow yaml: 'FIFTH' is not one of"),
        (condition("DateTimeBetween"), "triggers[0].conditions[0]: DateTimeBetween needs 'after' or 'before'"),
        (condition("DateTimeBetween", after="soon"), "triggers[0].conditions[0].after: Illegal flow yaml: 'soon' is no date-time"),
        (condition("TimeBetween", after="9 am"), "triggers[0].conditions[0].after: Illegal flow yaml: '9 am' is no time of day"),
        (condition("Not", conditions=[]), "triggers[0].conditions[0].conditions: must not be empty"),
        (condition("Not", conditions=[{"type": f"{CONDITIONS}.Wekend"}]), f"triggers[0].conditions[0].conditions[0]: Invalid type: {CONDITIONS}.Wekend"),
        (condition("Expression"), "triggers[0].conditions[0].expression: must not be null"),
        (section("triggers", {"id": "t", "type": "podium.files.Trigger"}), "triggers[0].path: must not be null"),
        (section("triggers", {"id": "t", "type": "podium.files.Trigger", "path": ""}), "triggers[0].path: must not be blank"),
        (section("triggers", {"id": "t", "type": "podium.files.Trigger", "path": "/a", "action": "MOVE"}), "triggers[0].moveTo: must not be null"),
        (section("triggers", {"id": "t", "type": "podium.files.Trigger", "path": "/a", "events": []}), "triggers[0].events: must not be empty"),
        (section("triggers", {"id": "t", "type": "podium.files.Trigger", "path": "/a", "events": ["GONE"]}), "triggers[0].events[0]: Illegal flow yaml"),
    ],
)
def test_triggers(check: Check, text: str, expected: str) -> None:
    found = check(text)
    assert any(each.startswith(expected) for each in found), found


@pytest.mark.parametrize(
    "text",
    [
        trigger("Schedule", cron="*/5 9-17 * * MON-FRI", timezone="Europe/Paris", inputs={"a": "b"}, stopAfter=["FAILED"]),
        trigger("Schedule", cron="0 0 0 1 1 *", withSeconds=True), trigger("Schedule", cron="@daily", timezone="+02:00", backfill={"start": "2020-01-01"}),
        trigger("Schedule", cron="@daily", scheduleConditions=[{"type": f"{CONDITIONS}.Weekend"}], minLogLevel="INFO"),
        trigger("ScheduleOnDates", dates=["2026-01-31T08:30:00+01:00[Europe/Paris]"]), trigger("ScheduleOnDates", dates="{{ vars.dates }}"),
        trigger("Webhook", key="{{ secret('K') }}", wait=True, returnOutputs=True, responseCode=202, verify={"preset": "slack", "secret": "s", "tolerance": "PT5M"}),
        trigger("Flow", states=["FAILED"], conditions=[{"type": f"{CONDITIONS}.ExecutionNamespace", "namespace": "a", "comparison": "PREFIX"}]),
        filtered(field="EXPRESSION", type="IS_TRUE", value="{{ x }}"), filtered(field="STATE", type="IS_NOT_NULL"),
        window(type="DAILY_TIME_WINDOW", startTime="06:00:00", endTime="09:00:00+01:00"), window(window="PT2H", windowAdvance="PT1H"),
        trigger("Flow", dependsOn=[{"namespace": "a", "flowId": "b", "states": ["SUCCESS"], "labels": {"x": "y"}, "when": "true"}], window={"every": "PT6H", "offset": "PT1H"}),
        trigger("Flow", when="{{ true }}", mode="ANY", onMiss={"behavior": "FAIL", "labels": {"late": "yes"}}, dependsOn=[{"namespace": "a"}]),
        condition("DateTimeBetween", after="2026-01-01T00:00:00Z", before="{{ now() }}"), condition("TimeBetween", before="16:19:12Z"),
        condition("PublicHoliday", country="FR", subDivision="A"), condition("Or", conditions=[{"type": "core.condition.Weekend"}]),
        section("triggers", {"id": "t", "type": "podium.files.Trigger", "path": "/in", "glob": "*.csv", "action": "MOVE", "moveTo": "/done", "recursive": True}),
    ],
)
def test_triggers_that_are_right(check: Check, text: str) -> None:
    assert check(text) == []


def test_a_flow_trigger_without_any_condition_is_a_warning(warn: Check) -> None:
    every = "triggers[0]: This flow will be triggered for EVERY execution of EVERY flow on your instance. We recommend adding at least one condition"
    assert every in warn(trigger("Flow"))
    assert every not in warn(trigger("Flow", when="{{ true }}"))
    assert any("hold for every execution of every flow" in each for each in warn(trigger("Flow", preconditions={"id": "p"})))


def test_values_beside_an_expression_are_a_warning(warn: Check) -> None:
    text = inputs({"id": "a", "type": "SELECT", "values": ["x"], "expression": "{{ y }}"})
    assert warn(text) == ["inputs[0].values: 'values' has no effect beside 'expression'"]


def test_a_schedule_that_never_fires_is_a_warning(warn: Check) -> None:
    assert warn(trigger("Schedule", cron="0 0 30 2 *")) == ["triggers[0].cron: the schedule '0 0 30 2 *' never fires: no month it names has a day 30"]


def test_a_condition_about_executions_on_a_schedule_is_a_warning(warn: Check) -> None:
    (found,) = warn(condition("ExecutionStatus", **{"in": ["FAILED"]}))
    assert "looks at an execution, and a schedule has none" in found


@pytest.mark.parametrize(("kind", "properties"), [("Schedule", {"cron": "@daily"}), ("Webhook", {"key": "abc"})])
def test_in_2_0_an_unwatched_trigger_gives_every_needed_input(check: Check, kind: str, properties: dict[str, Any]) -> None:
    needed = inputs(
        {"id": "a", "type": "STRING"}, {"id": "b", "type": "STRING", "defaults": "x"}, {"id": "c", "type": "STRING", "required": False},
        {"id": "f", "type": "FORM", "inputs": [{"id": "d", "type": "INT"}]},
    )
    what = f"triggers[0].inputs: Invalid Flow: Missing inputs for {kind} Trigger 't', missing inputs: 'a', 'f.d'"
    assert check(needed + trigger(kind, **properties)) == [what]
    assert check(needed + trigger(kind, inputs={"a": "x", "f.d": 1}, **properties)) == []
    assert check(needed + trigger(kind, inputs={"a": "x", "f": {"d": 1}}, **properties)) == []
    assert check(inputs({"id": "a", "type": "STRING"}) + trigger(kind, **properties)) == []


# ---- sla


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "MAX_DURATION", "behavior": "FAIL", "duration": "PT1H"}, "sla[0].id: must not be null"),
        ({"id": "", "type": "MAX_DURATION", "behavior": "FAIL", "duration": "PT1H"}, "sla[0].id: must not be blank"),
        ({"id": "a", "type": "MAX_DURATION", "behavior": "FAIL"}, "sla[0].duration: must not be null: an SLA of type MAX_DURATION needs 'duration'"),
        ({"id": "a", "type": "EXECUTION_ASSERTION", "behavior": "FAIL"}, "sla[0].assert: must not be null"),
        ({"id": "a", "type": "EXECUTION_ASSERTION", "behavior": "FAIL", "assert": "x", "duration": "PT1H"}, 'sla[0].duration: Unrecognized field "duration"'),
        ({"id": "a", "type": "MAX_DURATION", "behavior": "STOP", "duration": "PT1H"}, "sla[0].behavior: Illegal flow yaml: 'STOP' is not one of"),
        ({"id": "a", "type": "MAX_DURATION", "behavior": "FAIL", "duration": "PT1H", "labels": {"system.a": "b"}}, "sla[0].labels.system.a: System labels"),
    ],
)
def test_slas(check: Check, item: dict[str, Any], expected: str) -> None:
    found = check(section("sla", item))
    assert any(each.startswith(expected) for each in found), found


# ---- all of it together


def test_one_bad_task_hides_nothing(parse: Parse) -> None:
    text = dedent("""\
        id: many mistakes
        namespace: Company
        labels: {system.a: b}
        tasks:
          - id: first
            type: io.kestra.plugin.core.log.Logg
            timeout: soon
          - id: first
            type: io.kestra.plugin.core.log.Log
            mesage: hi
          - id: wd
            type: io.kestra.plugin.core.flow.WorkingDirectory
        triggers:
          - id: t
            type: io.kestra.plugin.core.trigger.Schedule
            cron: never
        """)
    assert [(each.line, each.code) for each in parse(text).problems] == [
        (1, "pattern"), (2, "pattern"), (3, "system-label"), (6, "unknown-type"), (7, "wrong-type"), (8, "duplicate-id"), (8, "missing"),
        (10, "unknown-property"), (11, "empty"), (16, "cron"),
    ]


def test_a_container_of_unknown_type_does_not_hide_what_it_holds(check: Check) -> None:
    inner = [{"id": "a", "type": LOG, "mesage": "x"}, {"id": "hello", "type": f"{FLOWS}.Parallel"}, {"id": "b", "type": "no.Such"}]
    found = check(task(type=f"{FLOWS}.Paralell", tasks=inner, cases={"x": [{"id": "c", "type": LOG}]}, inputs=[{"type": LOG}]))
    for expected in (
        f"tasks[1]: Invalid type: {FLOWS}.Paralell", "tasks[1].tasks[0].message: must not be null", 'tasks[1].tasks[0].mesage: Unrecognized field "mesage"',
        "tasks[1].tasks[1].tasks: must not be empty", "tasks[1].tasks[2]: Invalid type: no.Such", "tasks[1].cases.x[0].message: must not be null", "tasks: Invalid Flow: Duplicate task id with name [hello]",
    ):
        assert any(each.startswith(expected) for each in found), (expected, found)
    assert not any("inputs" in each for each in found)


def test_a_bad_document_leaves_the_others_alone(types: Any) -> None:
    from podium.flows.load import parse_flows

    good = "id: good\nnamespace: a\ntasks: [{id: a, type: core.debug.Return}]\n"
    found = parse_flows(f"{good}---\nid: bad\nnamespace: a\n---\n{good.replace('good', 'other')}", file="f.yaml", types=types)
    assert [(each.flow_id, each.flow is not None) for each in found] == [("good", True), ("bad", False), ("other", True)]
    assert found[1].namespace == "a"
    assert [each.line for each in found[1].problems] == [5]


def test_a_problem_reads_file_line_column_path_message(parse: Parse) -> None:
    (problem,) = parse("id: a\nnamespace: b\ntasks:\n  - id: x\n    type: a.B\n").problems
    assert str(problem) == "flow.yaml:5:11: tasks[0]: Invalid type: a.B"
    assert problem.as_dict() == {
        "file": "flow.yaml", "line": 5, "column": 11, "path": "tasks[0]", "code": "unknown-type", "message": "Invalid type: a.B",
        "hint": "no plug-in offers this task type; see `podium schema` for those there are",
    }


def test_hints_suggest_what_was_probably_meant(parse: Parse) -> None:
    text = dedent("""\
        id: a
        namespace: b
        tasks:
          - id: x
            type: io.kestra.plugin.core.log.Lag
          - id: y
            type: io.kestra.plugin.core.log.Log
            mesage: hi
            logLevel: WARNING
        inputs:
          - {id: i, type: string}
        """)
    hints = [each.hint for each in parse(text).problems if each.hint.startswith("did you mean")]
    assert hints == ["did you mean 'io.kestra.plugin.core.log.Log'?", "did you mean 'message'?", "did you mean 'WARN'?", "did you mean 'STRING'?"]


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("'hi {{ a b }}'", (6, 23)), ("hi {{ a b }}", (6, 22)), ("|\n      one\n      {{ a b }}", (8, 12)), (">\n      a\n\n      {{ a b }}", None),
        ("|2\n        {{ a b }}", (7, 14)),
    ],
)
def test_a_template_that_cannot_be_read_is_a_warning_with_its_place(parse: Parse, message: str, place: tuple[int, int] | None) -> None:
    parsed = parse(f"id: a\nnamespace: b\ntasks:\n  - id: x\n    type: core.log.Log\n    message: {message}\n")
    assert parsed.problems == ()
    (warning,) = parsed.warnings
    assert warning.code == "expression-invalid"
    assert "\n" not in warning.message
    assert place is None or (warning.line, warning.column) == place


def test_descriptions_are_not_templates(parse: Parse) -> None:
    assert parse("id: a\nnamespace: b\ndescription: 'use {{ a b }}'\ntasks: [{id: a, type: core.debug.Return, description: '{{ a b }}'}]\n").warnings == ()
