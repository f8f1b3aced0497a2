"""Values of inputs: types, rules, dependencies, defaults; outputs by type. Source: flow-language 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from podium.base.errors import ExpressionError
from podium.flows.inputs import coerce_output, examine_inputs, resolve_inputs
from podium.flows.model import INPUT_CLASSES, Input, Output


def declare(**properties: Any) -> Input:
    return INPUT_CLASSES[properties["type"]].model_validate({"id": "x", **properties}, context={"types": None})


def render(value: Any, variables: Mapping[str, Any]) -> Any:
    """A stand-in for the renderer that knows `{{ a }}` with a dotted path, `{{ a == 'b' }}`, and `{{ fail }}`."""
    if isinstance(value, list):
        return [render(each, variables) for each in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    inside = value.strip().removeprefix("{{").removesuffix("}}").strip()
    if inside == "fail":
        raise ExpressionError("it does not work")
    left, _, right = inside.partition(" == ")
    found: Any = variables
    for part in left.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found == right.strip("'") if right else found


def resolve(declared: list[Input], **supplied: Any) -> tuple[dict[str, Any], list[str]]:
    values, problems = resolve_inputs(declared, supplied, render, encrypt=lambda text: {"sealed": text}, store_file=lambda name, path: f"kestra:///{name}/{path}")
    return values, [each.message for each in problems]


@pytest.mark.parametrize(
    ("declared", "given", "stored"),
    [
        ({"type": "STRING"}, "a", "a"), ({"type": "STRING"}, "", ""), ({"type": "STRING"}, 5, "5"), ({"type": "STRING"}, True, "true"),
        ({"type": "STRING", "validator": "[a-z]+"}, "abc", "abc"), ({"type": "STRING"}, 1.0, "1.0"),
        ({"type": "INT"}, "42", 42), ({"type": "INT"}, -7, -7), ({"type": "INT"}, "+7", 7), ({"type": "INT", "min": 1, "max": 5}, 1, 1), ({"type": "INT", "min": 1, "max": 5}, 5, 5),
        ({"type": "FLOAT"}, "1.5", 1.5), ({"type": "FLOAT"}, 2, 2.0), ({"type": "FLOAT"}, "1e3", 1000.0), ({"type": "FLOAT", "max": 1.5}, 1.5, 1.5),
        ({"type": "BOOLEAN"}, "TRUE", True), ({"type": "BOOLEAN"}, "yes", False), ({"type": "BOOLEAN"}, True, True), ({"type": "BOOL"}, "false", False),
        ({"type": "SELECT", "values": ["a", "b"]}, "b", "b"), ({"type": "SELECT", "values": ["a"], "allowCustomValue": True}, "z", "z"),
        ({"type": "ENUM", "values": ["1"]}, 1, "1"), ({"type": "MULTISELECT", "values": ["a", "b"]}, ["b"], ["b"]),
        ({"type": "MULTISELECT", "options": ["a", "b"]}, '["a", "b"]', ["a", "b"]), ({"type": "MULTISELECT", "values": ["1"], "itemType": "INT"}, ["1"], [1]),
        ({"type": "ARRAY", "itemType": "INT"}, "[1, 2]", [1, 2]), ({"type": "ARRAY", "itemType": "INT"}, ["3"], [3]), ({"type": "ARRAY", "itemType": "JSON"}, ['{"a": 1}'], [{"a": 1}]),
        ({"type": "DATETIME"}, "2026-01-31T08:30:00Z", "2026-01-31T08:30:00Z"), ({"type": "DATETIME"}, "2026-01-31T08:30:00.500+01:00", "2026-01-31T07:30:00.500Z"),
        ({"type": "DATETIME"}, datetime(2026, 1, 31, 8, 30, tzinfo=UTC), "2026-01-31T08:30:00Z"),
        ({"type": "DATE"}, "2026-01-31", "2026-01-31"), ({"type": "DATE", "after": "2026-01-01"}, "2026-01-01", "2026-01-01"), ({"type": "DATE"}, date(2026, 1, 31), "2026-01-31"),
        ({"type": "TIME"}, "08:30", "08:30"), ({"type": "TIME", "before": "09:00:00"}, "08:59:59.999", "08:59:59.999"), ({"type": "TIME"}, time(8, 30), "08:30:00"),
        ({"type": "DURATION"}, "PT1H", "PT1H"), ({"type": "DURATION", "max": "PT1H"}, "PT60M", "PT60M"), ({"type": "DURATION"}, timedelta(hours=1), "PT1H"),
        ({"type": "JSON"}, '{"a": [1]}', {"a": [1]}), ({"type": "JSON"}, {"a": 1}, {"a": 1}), ({"type": "JSON"}, "[1]", [1]), ({"type": "JSON"}, "5", 5),
        ({"type": "YAML"}, "a: [1, yes]", {"a": [1, "yes"]}), ({"type": "YAML"}, {"a": 1}, {"a": 1}),
        ({"type": "URI"}, "https://www.example.org/a?b=c", "https://www.example.org/a?b=c"), ({"type": "EMAIL"}, "ada@example.org", "ada@example.org"), ({"type": "EMAIL"}, "", ""),
        ({"type": "SECRET"}, "s3cret", {"sealed": "s3cret"}), ({"type": "FILE"}, "kestra:///a/b.txt", "kestra:///a/b.txt"), ({"type": "FILE"}, "local.txt", "kestra:///x/local.txt"),
        ({"type": "FILE"}, "nsfile:///a.txt", "nsfile:///a.txt"), ({"type": "FILE", "allowedFileExtensions": [".MD"]}, "a.md", "kestra:///x/a.md"),
        ({"type": "ION"}, "{a: 1, b: sym, c: [2.5, null]}", {"a": 1, "b": "sym", "c": [2.5, None]}), ({"type": "ION"}, [1], [1]),
        ({"type": "OBJECT", "properties": [{"id": "p", "type": "INT"}, {"id": "q", "type": "STRING", "required": False}]}, '{"p": "5", "z": 1}', {"p": 5, "q": None}),
        ({"type": "TABLE", "columns": [{"id": "p", "type": "INT"}], "rows": {"min": 1, "max": 1}}, [{"p": 1}], [{"p": 1}]),
    ],
)
def test_what_is_accepted_and_stored(declared: dict[str, Any], given: Any, stored: Any) -> None:
    values, problems = resolve([declare(**declared)], x=given)
    assert problems == []
    assert values == {"x": stored}
    assert type(values["x"]) is type(stored)


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        ({"type": "STRING", "validator": "[a-z]+"}, "a1", "Invalid input for `x`, it must match the pattern `[a-z]+`, but received `a1`"),
        ({"type": "INT"}, "5.0", "Expected `INT` but received `5.0` with errors"), ({"type": "INT"}, "", "Expected `INT` but received ``"), ({"type": "INT"}, True, "Expected `INT`"),
        ({"type": "INT"}, 1.5, "Expected `INT`"), ({"type": "INT"}, " 5", "Expected `INT`"), ({"type": "INT"}, "٣", "Expected `INT`"), ({"type": "INT"}, 2**63, "Expected `INT`"),
        ({"type": "INT", "min": 1}, 0, "Invalid input for `x`, it must be more than `1`, but received `0`"),
        ({"type": "INT", "max": 5}, "6", "Invalid input for `x`, it must be less than `5`, but received `6`"),
        ({"type": "FLOAT", "min": 0.5}, 0.4, "it must be more than `0.5`"), ({"type": "FLOAT"}, "NaN", "Expected `FLOAT`"), ({"type": "FLOAT"}, "1e999", "Expected `FLOAT`"),
        ({"type": "FLOAT"}, 10**400, "Expected `FLOAT`"),
        ({"type": "SELECT", "values": ["a", "b"]}, "c", "it must match the values `[a, b]`"), ({"type": "ENUM", "values": ["a"]}, "c", "it must match the values `[a]`"),
        ({"type": "SELECT", "values": ["a"], "required": False}, "c", "it must match the values `[a]`"),
        ({"type": "MULTISELECT", "values": ["a"]}, ["a", "c"], "it must match the values `[a]`"), ({"type": "MULTISELECT", "values": ["a"]}, "a", "Expected `MULTISELECT`"),
        ({"type": "ARRAY", "itemType": "INT"}, ["x"], "Unable to parse array element as `INT` on `x`"), ({"type": "ARRAY", "itemType": "INT"}, "5", "Expected `ARRAY`"),
        ({"type": "DATETIME"}, "2026-01-31", "Expected `DATETIME`"), ({"type": "DATETIME"}, "2026-01-31T08:30:00", "Expected `DATETIME`"),
        ({"type": "DATETIME", "after": "2026-01-31T08:30:00Z"}, "2026-01-31T09:00:00+01:00", "it must be after `2026-01-31T08:30:00Z`"),
        ({"type": "DATE"}, "2026-02-30", "Expected `DATE`"), ({"type": "DATE", "before": "2026-01-01"}, "2026-01-02", "it must be before `2026-01-01`"),
        ({"type": "TIME"}, "25:00", "Expected `TIME`"), ({"type": "TIME", "after": "10:00"}, "09:59", "it must be after `10:00`"),
        ({"type": "DURATION"}, "1 hour", "Expected `DURATION`"), ({"type": "DURATION"}, "30", "Expected `DURATION`"), ({"type": "DURATION", "min": "PT1H"}, "PT1M", "It must be more than `PT1H`"),
        ({"type": "DURATION", "max": "PT1H"}, "P1D", "It must be less than `PT1H`"),
        ({"type": "JSON"}, "{", "Expected `JSON`"), ({"type": "JSON"}, "NaN", "Expected `JSON`"), ({"type": "YAML"}, "a: [", "Expected `YAML`"), ({"type": "YAML"}, "a: !!python/none x", "tags are not allowed"),
        ({"type": "URI"}, "http://localhost:8080", "Expected `URI` but received `http://localhost:8080`"), ({"type": "URI"}, "example.org", "Expected `URI`"),
        ({"type": "EMAIL"}, "nobody", "Invalid input for `x`, The input must be a valid email, but received `nobody`"),
        ({"type": "FILE", "allowedFileExtensions": [".md"]}, "a.txt", "it must have one of the extensions `[.md]`"), ({"type": "FILE"}, 5, "Expected `FILE`"),
        ({"type": "OBJECT", "properties": [{"id": "p", "type": "INT"}]}, {}, "missing required property `p`"), ({"type": "OBJECT", "properties": []}, "[1]", "Expected `OBJECT`"),
        ({"type": "OBJECT", "properties": [{"id": "p", "type": "INT", "max": 1}]}, {"p": 2}, "`p`: it must be less than `1`"),
        ({"type": "TABLE", "columns": [{"id": "p", "type": "INT"}], "rows": {"min": 2}}, [{"p": 1}], "it must have at least `2` rows"),
        ({"type": "TABLE", "columns": [{"id": "p", "type": "INT"}], "rows": {"max": 0}}, [{"p": 1}], "it must have at most `0` rows"),
        ({"type": "STRING"}, None, "Invalid input for `x`, missing required input, but received `null`"),
        ({"type": "ION"}, "{a:", "Expected `ION`"),
    ],
)
def test_what_is_refused(declared: dict[str, Any], given: Any, message: str) -> None:
    values, problems = resolve([declare(**declared)], x=given)
    assert "x" not in values
    assert len(problems) == 1
    assert message in problems[0]
    assert problems[0].startswith("Invalid input for `x`, ")


def test_a_secret_is_in_no_message() -> None:
    values, problems = resolve([declare(type="SECRET", validator="[0-9]+")], x="hunter2")
    assert values == {}
    assert "hunter2" not in problems[0]
    _, (problem,) = resolve_inputs([declare(type="SECRET")], {"x": "hunter2"}, render)
    assert problem.detail == "Unable to use a `SECRET` input/output as encryption is not configured"
    assert "hunter2" not in problem.message


def test_missing_optional_inputs_are_null_and_undeclared_ones_ignored() -> None:
    assert resolve([declare(type="STRING", required=False)], other=1) == ({"x": None}, [])
    assert resolve([declare(type="INT", required=False)], x="") == ({"x": None}, [])


def test_defaults_are_rendered_and_parsed() -> None:
    assert resolve([declare(type="INT", defaults="5")]) == ({"x": 5}, [])
    assert resolve([declare(type="INT", defaults="{{ inputs.y }}", dependsOn={"inputs": ["y"]}), declare(id="y", type="INT")], y=7) == ({"x": 7, "y": 7}, [])
    _, (problem,) = resolve([declare(type="INT", defaults="{{ fail }}")])
    assert problem == "Invalid input for `x`, it does not work, but received `null`"


def test_dotted_ids_nest_and_conflicts_are_told() -> None:
    both = [declare(id="a.b", type="INT"), declare(id="a.c", type="INT")]
    assert resolve(both, **{"a.b": 1, "a": {"c": 2}}) == ({"a": {"b": 1, "c": 2}}, [])
    _, (problem,) = resolve([declare(id="a", type="INT"), declare(id="a.b", type="INT")], **{"a": 1, "a.b": 2})
    assert "Conflict at key: a" in problem


def test_a_form_nests_its_inputs() -> None:
    form = declare(id="f", type="FORM", inputs=[{"id": "a", "type": "INT"}, {"id": "b", "type": "INT", "defaults": 2}])
    assert resolve([form], f={"a": 1}) == ({"f": {"a": 1, "b": 2}}, [])
    assert resolve([form], **{"f.a": 1}) == ({"f": {"a": 1, "b": 2}}, [])
    assert resolve([form])[1] == ["Invalid input for `f.a`, missing required input, but received `null`"]


def test_an_input_counts_only_when_its_condition_holds() -> None:
    declared = [declare(id="kind", type="STRING"), declare(type="INT", dependsOn={"inputs": ["kind"], "condition": "{{ inputs.kind == 'a' }}"})]
    assert resolve(declared, kind="a", x=1) == ({"kind": "a", "x": 1}, [])
    assert resolve(declared, kind="b", x="not even a number") == ({"kind": "b"}, [])
    assert resolve(declared, kind="a")[1] == ["Invalid input for `x`, missing required input, but received `null`"]


def test_a_condition_must_be_true_itself_not_a_text() -> None:
    declared = [declare(id="y", type="STRING"), declare(type="INT", dependsOn={"inputs": ["y"], "condition": "{{ inputs.y }}"})]
    assert resolve(declared, y="true", x=1) == ({"y": "true"}, [])


def test_what_depends_on_a_disabled_input_is_disabled() -> None:
    declared = [
        declare(id="c", type="INT", dependsOn={"inputs": ["b"]}), declare(id="b", type="INT", dependsOn={"inputs": ["a"], "condition": "{{ inputs.a == 'x' }}"}),
        declare(id="a", type="STRING"),
    ]
    assert resolve(declared, a="y", b=1, c=1) == ({"a": "y"}, [])
    assert resolve(declared, a="x", b=1, c=1) == ({"c": 1, "b": 1, "a": "x"}, [])


def test_a_condition_that_fails_disables_and_is_told() -> None:
    found = examine_inputs([declare(id="a", type="INT"), declare(type="INT", dependsOn={"inputs": ["a"], "condition": "{{ fail }}"})], {"a": 1, "x": 1}, render)
    assert [(each.id, each.enabled) for each in found] == [("a", True), ("x", False)]
    assert found[1].problems[0].detail == "Invalid condition: it does not work"


def test_a_condition_sees_the_text_of_a_secret() -> None:
    declared = [declare(id="s", type="SECRET", defaults="abc"), declare(type="INT", dependsOn={"inputs": ["s"], "condition": "{{ inputs.s == 'abc' }}"})]
    assert resolve(declared, x=1) == ({"s": {"sealed": "abc"}, "x": 1}, [])


def test_an_unknown_prerequisite_is_ignored_and_a_cycle_ends() -> None:
    assert resolve([declare(type="INT", dependsOn={"inputs": ["gone"]})], x=1) == ({"x": 1}, [])
    cycle = [declare(id="a", type="INT", dependsOn={"inputs": ["b"]}), declare(id="b", type="INT", dependsOn={"inputs": ["a"]})]
    assert examine_inputs(cycle, {"a": 1, "b": 2}, render)[0].value == 1


def test_choices_may_come_from_an_expression() -> None:
    declared = [declare(id="list", type="JSON"), declare(type="SELECT", expression="{{ inputs.list }}", dependsOn={"inputs": ["list"]})]
    assert resolve(declared, list=["a", 1], x="1")[1] == []
    assert "it must match the values `[a, 1]`" in resolve(declared, list=["a", 1], x="z")[1][0]
    assert "Invalid expression result. Expected a list of strings, but received 5" in resolve(declared, list=5, x="z")[1][0]
    assert "Cannot render 'expression'. Cause: it does not work" in resolve([declare(type="SELECT", expression="{{ fail }}")], x="z")[1][0]


def test_the_first_choice_may_be_the_default() -> None:
    assert resolve([declare(type="SELECT", values=["a", "b"], autoSelectFirst=True)]) == ({"x": "a"}, [])
    assert resolve([declare(type="MULTISELECT", values=["a", "b"], autoSelectFirst=True)]) == ({"x": ["a"]}, [])


def test_a_hostile_pattern_is_an_error_of_that_input() -> None:
    _, (problem,) = resolve([declare(type="STRING", validator="(a|a)*b\\1")], x="a" * 40)
    assert problem.startswith("Invalid input for `x`, ")


def test_a_file_without_a_store_is_refused() -> None:
    _, (problem,) = resolve_inputs([declare(type="FILE")], {"x": "local.txt"}, render)
    assert "a file must be uploaded" in problem.message


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [("STRING", 5, "5"), ("INT", "5", 5), ("BOOL", "true", True), ("ARRAY", ["a", 1], ["a", "1"]), ("JSON", '{"a": 1}', {"a": 1}), ("DATE", "2026-01-31", "2026-01-31"), ("SECRET", "s", "s"), ("FILE", "kestra:///a", "kestra:///a")],
)
def test_outputs_are_made_what_their_type_says(kind: str, value: Any, stored: Any) -> None:
    assert coerce_output(kind, value) == stored
    assert coerce_output(Output(id="o", type=kind, value=""), value) == stored


def test_outputs_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="Invalid output for `o`, Expected `INT` but received `x`"):
        coerce_output(Output(id="o", type="INT", value=""), "x")
    with pytest.raises(ValueError, match="Invalid output for `o`, missing required output, but received `null`"):
        coerce_output(Output(id="o", type="INT", value=""), None)
    assert coerce_output(Output(id="o", type="INT", value="", required=False), None) is None
    assert coerce_output("INT", None) is None
