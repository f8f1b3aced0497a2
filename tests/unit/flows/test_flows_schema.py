"""The JSON Schema of the language: complete, consistent, described."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from podium.app.plugins import load_types
from podium.flows.model import INPUT_CLASSES, Flow
from podium.flows.models.words import WORDS
from podium.flows.reading.shape import properties
from podium.flows.schema import json_schema
from podium.flows.types import Types


@pytest.fixture(scope="module")
def schema(types: Types) -> dict[str, Any]:
    return json_schema(types)


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)


def test_it_is_json_and_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    assert json.loads(json.dumps(schema)) == schema
    references = {each["$ref"] for each in walk(schema) if "$ref" in each}
    assert {reference.removeprefix("#/$defs/") for reference in references} <= set(schema["$defs"])


def test_every_type_is_a_choice_under_all_its_names(schema: dict[str, Any], types: Types) -> None:
    for kind, known in (("task", types.tasks), ("trigger", types.triggers), ("condition", types.conditions), ("runner", types.runners)):
        names = schema["$defs"][kind]["properties"]["type"]["enum"]
        assert set(known) <= set(names)
        assert len(schema["$defs"][kind]["allOf"]) == len(known)
    assert "core.flow.Parallel" in schema["$defs"]["task"]["properties"]["type"]["enum"]
    assert "io.kestra.core.tasks.flows.Parallel" in schema["$defs"]["task"]["properties"]["type"]["enum"]
    assert set(schema["$defs"]["input"]["properties"]["type"]["enum"]) == set(INPUT_CLASSES)


def test_a_flow_has_exactly_the_properties_that_the_loader_accepts(schema: dict[str, Any]) -> None:
    assert set(schema["properties"]) == set(properties(Flow))
    assert "dialect" not in schema["properties"]
    assert schema["required"] == ["id", "namespace", "tasks"]
    assert schema["additionalProperties"] is False


def test_lists_of_tasks_refer_to_the_choice(schema: dict[str, Any]) -> None:
    assert schema["properties"]["tasks"]["items"] == {"$ref": "#/$defs/task"}
    parallel = next(each for each in schema["$defs"].values() if each.get("title") == "io.kestra.plugin.core.flow.Parallel")
    assert parallel["properties"]["tasks"]["items"] == {"$ref": "#/$defs/task"}


def test_every_property_of_the_language_itself_is_described() -> None:
    own = json_schema(Types.build())
    silent = [f"{title}.{name}" for title, each in own["$defs"].items() for name, inner in each.get("properties", {}).items() if "description" not in inner]
    assert silent + [name for name, each in own["properties"].items() if "description" not in each] == []


def test_no_words_are_left_over() -> None:
    """A description whose property is gone would mislead."""
    schema = json_schema(load_types())
    names = {name for each in walk(schema) for name in each.get("properties", {})}
    assert [key for key in WORDS if key.rpartition(".")[2] not in names] == []
