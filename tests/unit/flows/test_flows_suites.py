"""The language of flow tests: mistakes with their places, and what operators mean."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from podium.flows.load import parse_flows
from podium.flows.model import all_tasks
from podium.flows.reading.yaml import parse_documents, plain
from podium.flows.schema import suite_schema
from podium.flows.suites.compare import NotComparable, equal, holds, shown
from podium.flows.suites.load import ParsedSuite, mistakes_about, parse_suites
from podium.flows.types import Types

TYPES = Types.build()
HEAD = "id: s\nnamespace: n\nflowId: f\ntestCases:\n"
FLOW = """\
id: f
namespace: n
inputs:
  - {id: amount, type: INT, defaults: 1}
  - {id: form, type: FORM, inputs: [{id: deep, type: STRING, defaults: x}]}
tasks:
  - id: outer
    type: io.kestra.plugin.core.flow.Sequential
    tasks: [{id: inner, type: io.kestra.plugin.core.flow.Pause}]
  - id: gone
    type: io.kestra.plugin.core.flow.Sequential
    disabled: true
    tasks: [{id: within, type: io.kestra.plugin.core.flow.Pause}]
errors: [{id: handler, type: io.kestra.plugin.core.flow.Pause}]
finally: [{id: last, type: io.kestra.plugin.core.flow.Pause}]
afterExecution: [{id: after, type: io.kestra.plugin.core.flow.Pause}]
triggers: [{id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 0 * * *"}]
"""


def suite(cases: str) -> ParsedSuite:
    (parsed,) = parse_suites(HEAD + cases, file="f.test.yaml", types=TYPES)
    return parsed


def told(cases: str) -> list[str]:
    return [f"{each.line}:{each.column} {each.path} {each.code}" for each in suite(cases).problems]


def test_the_example_of_the_documentation_of_kestra_is_read_whole() -> None:
    parsed = suite("""\
  - id: a
    type: io.kestra.core.tests.flow.UnitTest
    description: d
    disabled: false
    fixtures:
      inputs: {x: 1}
      files: {a.json: '{"b": [1]}'}
      trigger: {id: t, type: io.kestra.plugin.core.trigger.Schedule, variables: {date: x}}
      tasks:
        - {id: load, description: no, outputs: {uri: "{{ fileURI('x') }}"}, state: WARNING, value: v, assets: [{id: a}]}
    assertions:
      - {value: "{{ outputs.a }}", taskId: load, equalsTo: 1, description: d, errorMessage: e}
      - {value: "{{ outputs.a }}", in: [a, b], notIn: [c], isNotNull: true, isNull: false}
      - {value: 1, greaterThan: 0, greaterThanOrEqualTo: 1, lessThan: 2, lessThanOrEqualTo: 1, notEqualsTo: 3}
""")
    assert parsed.problems == ()
    assert parsed.suite is not None
    (case,) = parsed.suite.test_cases
    assert case.assertions[0].operators() == {"equalTo": 1}
    assert case.assertions[1].operators() == {"in": ["a", "b"], "notIn": ["c"], "isNull": False, "isNotNull": True}
    assert case.fixtures.files == {"a.json": '{"b": [1]}'}


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ("  - {id: a, fixture: {}}\n", ["5:13 testCases[0].fixture unknown-property"]),
        ("  - {id: a}\n  - {id: a}\n", ["6:6 testCases[1].id duplicate-id"]),
        ("  - {id: a, type: io.kestra.core.tests.flow.Unit}\n", ["5:19 testCases[0].type unknown-type"]),
        ("  - {description: a}\n", ["5:5 testCases[0].id missing"]),
        ("  []\n", ["4:1 testCases empty"]),
        ("  - {id: a, state: FAILD}\n", ["5:20 testCases[0].state not-allowed"]),
        ("  - {id: a, refused: true, state: FAILED}\n", ["5:28 testCases[0].state contradiction"]),
        ("  - {id: a, refused: x, assertions: [{value: 1, equalTo: 1}]}\n", ["5:25 testCases[0].assertions contradiction"]),
        ("  - {id: a, refused: x, assertions: []}\n", []),
        ("  - {id: a, assertions: [{value: 1}]}\n", ["5:26 testCases[0].assertions[0] missing"]),
        ("  - {id: a, assertions: [{equalTo: 1}]}\n", ["5:26 testCases[0].assertions[0].value missing"]),
        ("  - {id: a, assertions: [{value: 1, equalTo: null}]}\n", ["5:37 testCases[0].assertions[0].equalTo missing"]),
        ("  - {id: a, assertions: [{value: 1, matches: '('}]}\n", ["5:46 testCases[0].assertions[0].matches invalid-value"]),
        ("  - {id: a, assertions: [{value: 1, matches: '{{ x }}('}]}\n", []),
        ("  - {id: a, assertions: [{value: '{{ x', equalTo: 1}]}\n", ["5:35 testCases[0].assertions[0].value expression-invalid"]),
        ("  - {id: a, assertions: [{value: 1, equalTo: 1, equalsTo: 2}]}\n", ["5:49 testCases[0].assertions[0].equalsTo duplicate-key"]),
        ("  - {id: a, fixtures: {files: {f: '{{ text'}, secrets: {s: '{{'}}}\n", []),
        ("  - {id: a, fixtures: {tasks: [{id: t, outputs: {x: '{{ subflow(id=1) }}'}}]}}\n",
         ["5:53 testCases[0].fixtures.tasks[0].outputs.x expression-invalid"]),
        ("  - {id: a, fixtures: {tasks: [{id: t}, {id: t}]}}\n", ["5:42 testCases[0].fixtures.tasks[1].id duplicate-id"]),
        ("  - {id: a, fixtures: {tasks: [{id: t}, {id: t, value: 1}]}}\n", []),
        ("  - {id: a, fixtures: {tasks: [{id: t, error: e}]}}\n", ["5:40 testCases[0].fixtures.tasks[0].error contradiction"]),
        ("  - {id: a, fixtures: {tasks: [{id: t, state: RUNNING}]}}\n", ["5:47 testCases[0].fixtures.tasks[0].state not-allowed"]),
        ("  - {id: a, timeout: soon}\n", ["5:22 testCases[0].timeout wrong-type"]),
        ("  - nonsense\n", ["5:5 testCases[0] wrong-type"]),
    ],
)
def test_a_mistake_is_told_with_its_place(cases: str, expected: list[str]) -> None:
    assert told(cases) == expected


@pytest.mark.parametrize(("text", "code"), [("nonsense", "wrong-type"), ("id: [", "yaml-syntax"), ("id: a\nid: b\n", "duplicate-key")])
def test_what_is_no_suite_at_all_is_told(text: str, code: str) -> None:
    (parsed,) = parse_suites(text, file="x", types=TYPES)
    assert parsed.suite is None
    assert code in [each.code for each in parsed.problems]


def test_a_suggestion_is_made_for_a_misspelt_operator_and_nothing_else_is_said() -> None:
    (problem,) = suite("  - {id: a, assertions: [{value: 1, equalTwo: 1}]}\n").problems
    assert problem.hint == "did you mean 'equalTo'?"


def test_what_the_flow_does_not_have_is_told_with_a_suggestion() -> None:
    (flow,) = parse_flows(FLOW, file="f", types=TYPES)
    assert flow.flow is not None, flow.problems
    parsed = suite("""\
  - id: a
    fixtures:
      inputs: {amunt: 1, form.deep: x, form: {deep: x}}
      tasks: [{id: innr}, {id: inner}, {id: handler}, {id: last}, {id: after}, {id: within}]
      trigger: {id: tt}
    assertions: [{value: 1, equalTo: 1, taskId: oter}]
  - id: b
    fixtures: {trigger: {id: other, type: some.Type}}
""")
    assert parsed.problems == ()
    found = mistakes_about(parsed, flow.flow)
    assert [(each.line, each.column, each.code, each.hint) for each in found] == [
        (8, 16, "unknown-task", "did you mean 'inner'?"), (7, 16, "unknown-input", "did you mean 'amount'?"),
        (9, 17, "unknown-trigger", "did you mean 't'?"), (10, 41, "unknown-task", "did you mean 'outer'?"),
    ]


def test_tasks_are_found_wherever_they_are() -> None:
    (flow,) = parse_flows(FLOW, file="f", types=TYPES)
    assert flow.flow is not None
    assert [each.id for each in all_tasks(flow.flow)] == ["outer", "inner", "gone", "within", "handler", "last", "after"]
    assert [each.id for each in all_tasks(flow.flow, disabled=False)] == ["outer", "inner", "handler", "last", "after"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (200, "200", True), ("200", 200, True), (1, 1.0, True), ("1.50", 1.5, True), (True, "true", True), ("False", False, True),
        (True, 1, False), ("a", "a", True), ("a", "A", False), ("", None, False), (None, None, True), (None, "null", False),
        ([1, "2"], ["1", 2], True), ([1], [1, 2], False), ({"a": 1}, {"a": "1"}, True), ({"a": 1}, {"b": 1}, False),
        ([1, 2], "[1, 2]", True), ("[BOWLER HAT, TRILBY HAT]", ["BOWLER HAT", "TRILBY HAT"], True), ('{"a": [1]}', {"a": [1]}, True),
        ([1], "1", False), ([1], 1, False), ("x", [1], False), (float("nan"), float("nan"), True), ("007", 7, True), ("007", "7", False),
        (10**30, str(10**30), True), ("[" * 5000, [1], False), (date(2026, 1, 2), "2026-01-02", True),
    ],
)
def test_values_that_read_the_same_are_equal(one: Any, other: Any, expected: bool) -> None:
    assert equal(one, other) is expected
    assert equal(other, one) is expected


@pytest.mark.parametrize(
    ("operator", "actual", "expected", "holding"),
    [
        ("contains", "abc", "b", True), ("contains", 1234, 23, True), ("contains", ["a", 1], "1", True), ("contains", {"k": 1}, "k", True),
        ("contains", ["abc"], "b", True), ("contains", None, "n", False), ("notContains", None, "n", True), ("notContains", "abc", "b", False),
        ("contains", ["a"], ["a"], False), ("startsWith", "abc", "ab", True), ("startsWith", 123, 12, True), ("startsWith", None, "n", False),
        ("endsWith", "abc", "bc", True), ("matches", "abc", "a.c", True), ("matches", "abcd", "a.c", False), ("matches", "a\nb", "(?s)a.b", True),
        ("greaterThan", "10", 9, True), ("greaterThan", 9, "10", False), ("greaterThanOrEqualTo", 5, 5.0, True), ("lessThan", "1e3", 1001, True),
        ("lessThan", "2026-01-01", "2026-01-01T00:00:01Z", True), ("greaterThan", datetime(2026, 1, 1, tzinfo=UTC), "2025-12-31", True),
        ("lessThanOrEqualTo", date(2026, 1, 1), "2026-01-01", True), ("in", 5, ["4", "5"], True), ("in", 5, "[4, 5]", True),
        ("notIn", "x", ["y"], True), ("isNull", None, True, True), ("isNull", "", True, False), ("isNull", 0, False, True),
        ("isNotNull", None, False, True), ("isNotNull", 0, True, True), ("isTrue", "true", True, True), ("isTrue", 1, True, False),
        ("isFalse", False, True, True), ("isFalse", None, True, False), ("isTrue", False, False, True), ("notEqualTo", 1, "2", True),
    ],
)
def test_operators_mean_what_they_say(operator: str, actual: Any, expected: Any, holding: bool) -> None:
    assert holds(operator, actual, expected) is holding


@pytest.mark.parametrize(
    ("operator", "actual", "expected"),
    [("greaterThan", "abc", 1), ("lessThan", 1, "abc"), ("lessThan", True, 2), ("greaterThan", None, 1), ("in", 1, "x"), ("in", 1, 5), ("matches", "a", "(")],
)
def test_what_cannot_be_compared_is_said(operator: str, actual: Any, expected: Any) -> None:
    with pytest.raises(NotComparable):
        holds(operator, actual, expected)


def test_values_are_shown_on_one_line_and_cut() -> None:
    assert shown("a\nb") == '"a\\nb"'
    assert shown({"a": datetime(2026, 1, 1, tzinfo=UTC)}).startswith('{"a": "2026-01-01')
    assert shown("x" * 5000).endswith("(5002 characters)")


def test_the_schema_describes_every_property() -> None:
    schema = suite_schema()
    for model in (schema, *schema["definitions"].values()):
        assert model["additionalProperties"] is False
        assert [name for name, each in model["properties"].items() if not each.get("description")] == []
    assert {"equalTo", "equalsTo", "in", "isNotNull"} <= schema["definitions"]["Assertion"]["properties"].keys()
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("file", sorted((Path(__file__).resolve().parents[3] / "flows" / "tests").glob("*.yaml")), ids=lambda file: file.name)
def test_the_examples_fit_the_schema(file: Path) -> None:
    checks = Draft7Validator(suite_schema())
    for document in parse_documents(file.read_text("utf-8")):
        assert document.root is not None
        assert [f"{each.json_path}: {each.message}" for each in checks.iter_errors(plain(document.root))] == []


@pytest.mark.parametrize(
    "cases", ["[{id: a, fixture: {}}]", "[{id: a, assertions: [{equalTo: 1}]}]", "[]", "[{id: a, fixtures: {tasks: [{id: a, state: RUNNING}]}}]"]
)
def test_the_schema_refuses_what_the_reader_refuses(cases: str) -> None:
    text = f"id: s\nnamespace: n\nflowId: f\ntestCases: {cases}\n"
    (document,) = parse_documents(text)
    assert document.root is not None
    assert not Draft7Validator(suite_schema()).is_valid(plain(document.root))
    assert parse_suites(text, file="f", types=TYPES)[0].problems
