"""The JSON Schema of the language: complete, consistent, described, and of one mind with the validator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.protocols import Validator

from podium.app.plugins import load_types, load_vocabulary
from podium.flows.load import parse_flows
from podium.flows.model import INPUT_CLASSES, Flow
from podium.flows.models.examples import EXAMPLES
from podium.flows.models.words import WORDS
from podium.flows.reading.shape import properties
from podium.flows.reading.yaml import parse_documents, plain
from podium.flows.schema import DIALECT, json_schema, of_type
from podium.flows.types import Types
from podium.sources.reading.tree import is_flow_path, is_test

ROOT = Path(__file__).resolve().parents[3]
CONFORMANCE = ROOT.parent / "shared" / "conformance" / "flows" / "valids"
PLACE = "#/definitions/"


@pytest.fixture(scope="module")
def schema(types: Types) -> dict[str, Any]:
    return json_schema(types)


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """With every installed plug-in and its words."""
    return json_schema(load_types(), load_vocabulary())


@pytest.fixture(scope="module")
def validator(whole: dict[str, Any]) -> Validator:
    return Draft7Validator(whole)


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)


def documents(text: str) -> list[Any]:
    return [plain(each.root) for each in parse_documents(text) if each.root is not None]


def property_of(schema: dict[str, Any], definition: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = definition["properties"][name]
    return {**schema["definitions"][found["$ref"].removeprefix(PLACE)], **found} if found.get("$ref", "").startswith(PLACE + "property.") else found


def silent(schema: dict[str, Any]) -> list[str]:
    """Properties without a description."""
    return [
        f"{title}.{name}"
        for title, each in (*schema["definitions"].items(), ("flow", schema))
        for name in each.get("properties", {})
        if not property_of(schema, each, name).get("description") and "defaultSnippets" not in each
    ]


def test_it_is_valid_json_schema_and_every_reference_leads_somewhere(whole: dict[str, Any]) -> None:
    assert whole["$schema"] == DIALECT
    assert json.loads(json.dumps(whole)) == whole
    Draft7Validator.check_schema(whole)
    references = {each["$ref"] for each in walk(whole) if isinstance(each.get("$ref"), str)}
    assert {reference.removeprefix(PLACE) for reference in references} <= set(whole["definitions"])


def test_it_is_of_a_size_that_editors_load_at_once(whole: dict[str, Any]) -> None:
    assert len(json.dumps(whole)) < 10_000 + 5_000 * len(load_types().tasks)


def test_every_type_is_a_choice_under_all_its_names(schema: dict[str, Any], types: Types) -> None:
    for kind, known in (("task", types.tasks), ("trigger", types.triggers), ("condition", types.conditions), ("runner", types.runners)):
        choice = schema["definitions"][kind]
        names = choice["properties"]["type"]
        assert set(known) <= set(names["enum"])
        assert len(names["enum"]) == len(names["markdownEnumDescriptions"])
        rules = [each for each in choice["allOf"] if "$ref" in each["then"]]
        assert len(rules) == len(known)
        older = [each["if"]["properties"]["type"]["enum"] for each in choice["allOf"] if each not in rules]
        assert all(types.canonical(name) != name for names in older for name in names)
    task = schema["definitions"]["task"]
    assert {"core.flow.Parallel", "io.kestra.core.tasks.flows.Parallel"} <= set(task["properties"]["type"]["enum"])
    assert task["allOf"][-1]["then"]["properties"]["type"]["deprecated"] is True
    assert set(schema["definitions"]["input"]["properties"]["type"]["enum"]) == set(INPUT_CLASSES)


def test_an_empty_item_is_one_mistake_and_not_one_of_every_type(validator: Validator) -> None:
    """An editor would otherwise bury the person who has just typed a dash."""
    found = list(validator.iter_errors({"id": "a", "namespace": "b", "tasks": [None]}))
    assert [error.json_path for error in found] == ["$.tasks[0]"]


def test_a_flow_has_exactly_the_properties_that_the_loader_accepts(schema: dict[str, Any]) -> None:
    assert set(schema["properties"]) == set(properties(Flow))
    assert "dialect" not in schema["properties"]
    assert schema["required"] == ["id", "namespace", "tasks"]
    assert schema["additionalProperties"] is False


def test_every_type_has_exactly_the_properties_that_the_loader_accepts(whole: dict[str, Any]) -> None:
    types = load_types()
    by_title = {each.get("title"): each for each in whole["definitions"].values()}
    for known in (types.tasks, types.triggers, types.conditions, types.runners):
        for name, cls in known.items():
            assert set(by_title[name]["properties"]) == set(properties(cls)), name
            assert by_title[name]["additionalProperties"] is False


def test_lists_of_tasks_refer_to_the_choice(schema: dict[str, Any]) -> None:
    assert schema["properties"]["tasks"]["items"] == {"$ref": PLACE + "task"}
    parallel = schema["definitions"]["core.flow.Parallel"]
    assert property_of(schema, parallel, "tasks")["items"] == {"$ref": PLACE + "task"}
    assert property_of(schema, parallel, "tasks")["minItems"] == 1


def test_every_property_of_the_language_itself_is_described() -> None:
    assert silent(json_schema(Types.build())) == []


def test_every_property_of_every_installed_type_is_described(whole: dict[str, Any]) -> None:
    """Words are in flows/models/words.py and in the module `words` of each plug-in; a `Field(description=…)` does as well."""
    assert silent(whole) == []


def test_no_words_are_left_over(whole: dict[str, Any]) -> None:
    """A description or example whose subject is gone would mislead."""
    names = {name for each in walk(whole) for name in each.get("properties", {}) if isinstance(name, str)}
    vocabulary = load_vocabulary()
    assert [key for words in (WORDS, *vocabulary.words.values()) for key in words if key.rpartition(".")[2] not in names] == []
    types = load_types()
    assert [key for key in (*EXAMPLES, *vocabulary.examples) if "." in key and types.any(key) is None] == []


def example_flow(kind: str, example: Any) -> dict[str, Any]:
    """A flow that holds the example."""
    log = {"id": "log-of-test", "type": "core.log.Log", "message": "x"}
    flow: dict[str, Any] = {"id": "demo", "namespace": "company.tests", "tasks": [log]}
    match kind:
        case "task":
            flow["tasks"] = [log, example]
        case "trigger":
            flow["triggers"] = [example]
        case "condition":
            schedule = {"id": "t", "type": "core.trigger.Schedule", "cron": "@daily", "conditions": [example]}
            flow |= {"listeners": [{"conditions": [example], "tasks": [{**log, "id": "other"}]}]} if _of_executions(example) else {"triggers": [schedule]}
        case "input":
            flow["inputs"] = [example]
        case _:
            flow["tasks"] = [{"id": "t", "type": "scripts.shell.Commands", "commands": ["true"], "taskRunner": example}]
    return flow


def _of_executions(example: Any) -> bool:
    found = load_types().condition(example["type"])
    return found is not None and found.NEEDS == "execution"


def test_every_type_has_an_example_that_the_validator_accepts(whole: dict[str, Any], validator: Validator) -> None:
    import yaml

    missing, refused = [], []
    for kind in ("task", "trigger", "condition", "input", "runner"):
        snippets = {each["label"]: each["body"] for each in whole["definitions"][kind]["defaultSnippets"]}
        for rule in (each for each in whole["definitions"][kind]["allOf"] if "$ref" in each["then"]):
            name = rule["if"]["properties"]["type"]["enum"][0]
            if name == "REUSABLE_INPUTS":  # an Enterprise feature, refused
                continue
            if name not in snippets:
                missing.append(name)
                continue
            flow = example_flow(kind, snippets[name])
            (parsed,) = parse_flows(yaml.safe_dump(flow, sort_keys=False, allow_unicode=True), file=name, types=load_types())
            wrong = [*parsed.problems, *(each for each in parsed.warnings if each.code == "expression-invalid")]
            refused += [f"{name}: {each.path}: {each.message}" for each in wrong]
            refused += [f"{name}: {error.json_path}: {error.message}" for error in validator.iter_errors(flow)]
    assert missing == []
    assert refused == []


def _mistakes(validator: Validator, path: Path) -> list[str]:
    text = path.read_text("utf-8")
    return [f"{path.name}: {error.json_path}: {error.message[:200]}" for each in documents(text) for error in validator.iter_errors(each)]


def test_all_example_flows_validate(validator: Validator) -> None:
    paths = [each for each in sorted((ROOT / "flows").rglob("*.yaml")) if is_flow_path(each.relative_to(ROOT).as_posix(), "flows")]
    paths = [each for each in paths if not is_test(each.name if each.parent.name != "tests" else f"tests/{each.name}", each.read_text("utf-8"))]
    assert len(paths) > 10
    assert [mistake for path in paths for mistake in _mistakes(validator, path)] == []


@pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="the conformance flows are not here")
def test_all_valid_flows_of_the_conformance_suite_validate(validator: Validator) -> None:
    """Those that our validator accepts: some use types that only Kestra's own tests have."""
    paths = [each for each in sorted(CONFORMANCE.rglob("*.y*ml")) if _accepted(each)]
    assert len(paths) > 40
    assert [mistake for path in paths for mistake in _mistakes(validator, path)] == []


def _accepted(path: Path) -> bool:
    parsed = parse_flows(path.read_text("utf-8"), file=path.name, types=load_types())
    return bool(parsed) and not any(each.problems for each in parsed)


FLOW = "id: demo\nnamespace: company.team\ntasks:\n  - {id: hello, type: core.log.Log, message: hi}\n"


@pytest.mark.parametrize(
    "text",
    [
        "labels: {a: 1, b: true}", "labels: [{key: a, value: b}]", "inputs:", "description: 12", "disabled: 'true'",
        "concurrency: {limit: '5'}", "taskDefaults: [{type: log, values: {a: 1}}]",
        "errors: [{id: e, type: core.log.Log, message: [a, 1], timeout: '{{ vars.t }}', retry: {type: constant, interval: 5}}]",
        "checks: [{when: '{{ true }}', message: no}]", "checks: [{condition: '{{ true }}', message: no}]", "finally:",
        "inputs: [{name: a, type: BOOL, defaults: true}]", "outputs: [{id: a, type: STRING, value: {b: [1]}}]",
        "afterExecution: [{id: a, type: io.kestra.core.tasks.flows.Sequential, tasks: [{id: b, type: core.flow.Sleep, duration: '{{ 1 }}'}]}]",
        "variables: {a: {b: null}}", "retry: {type: constant, interval: PT1S, maxAttempt: 3}",
    ],
)
def test_what_the_validator_accepts_the_schema_accepts(validator: Validator, text: str) -> None:
    (parsed,) = parse_flows(FLOW + text, file="f.yaml", types=load_types())
    assert parsed.problems == ()
    assert [error.message for each in documents(FLOW + text) for error in validator.iter_errors(each)] == []


@pytest.mark.parametrize(
    "text",
    [
        "labels: [a]", "inputs: [{id: a, type: NUMBER}]", "disabled: maybe", "concurrency: {limit: 0}", "concurrency: {}", "tasts: []",
        "errors: [{id: e, type: core.log.Lag, message: a}]", "errors: [{id: e, type: core.log.Log}]", "errors: [{id: e, type: core.flow.If, condition: a}]",
        "errors: [{id: 'a b', type: core.log.Log, message: a}]", "errors: [{id: e, type: core.log.Log, message: a, level: LOUD}]",
        "errors: [{id: e, type: core.log.Log, message: a, allowFailure: 3}]", "errors: [{id: e, type: core.flow.Parallel, tasks: []}]",
        "checks: [{message: no}]", "outputs: [{id: a, value: 1}]", "retry: {type: linear, interval: PT1S}", "tasks: []", "finally: {}",
        "triggers: [{id: t, type: core.trigger.Schedule}]", "triggers: [{id: t, type: core.trigger.Webhook, key: ''}]",
        "triggers: [{id: t, type: core.trigger.Schedule, cron: '@daily', conditions: [{type: core.condition.Weekday}]}]",
    ],
)
def test_what_the_validator_refuses_the_schema_refuses(validator: Validator, text: str) -> None:
    text = FLOW.partition("tasks:")[0] + text if text.startswith("tasks") else FLOW + text
    (parsed,) = parse_flows(text, file="f.yaml", types=load_types())
    assert parsed.problems != ()
    assert [error for each in documents(text) for error in validator.iter_errors(each)] != []


def test_older_names_and_what_should_not_be_used_are_marked(whole: dict[str, Any]) -> None:
    definitions = whole["definitions"]
    assert definitions["core.debug.Echo"]["deprecated"] is True
    assert "core.log.Log" in definitions["core.debug.Echo"]["deprecationMessage"]
    assert property_of(whole, definitions["Retry"], "maxAttempt")["deprecated"] is True
    assert "deprecated" not in property_of(whole, definitions["Retry"], "maxAttempts")
    assert "deprecated" not in property_of(whole, definitions["Check"], "when")


def test_one_type_stands_alone(whole: dict[str, Any]) -> None:
    alone = of_type(whole, "io.kestra.plugin.core.flow.Parallel")
    assert alone is not None
    Draft7Validator.check_schema(alone)
    validator = Draft7Validator(alone)
    task = {"id": "p", "type": "core.flow.Parallel", "tasks": [{"id": "x", "type": "any.thing"}]}
    assert validator.is_valid(task)
    assert not validator.is_valid({**task, "concurrent": "many"})
    assert len(json.dumps(alone)) < 20_000
    assert of_type(whole, "io.kestra.plugin.core.flow.Serial") is None
