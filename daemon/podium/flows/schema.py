"""The JSON Schema of the flow language, made from the models: for editors, forms and documentation. Served by web, printed by `podium schema`.

Every known type is a definition under `$defs`; a task is whichever definition its `type` names.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from podium.flows.model import Flow, Model
from podium.flows.models.base import CHOICE_MARK
from podium.flows.models.inputs import INPUT_CLASSES
from podium.flows.models.words import WORDS
from podium.flows.reading.shape import properties
from podium.flows.types import Types

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEMPLATE = "#/$defs/{model}"


def json_schema(types: Types) -> dict[str, Any]:
    """The schema of one flow document, with every type of `types`."""
    kinds: dict[str, dict[str, type[BaseModel]]] = {
        "task": dict(types.tasks), "trigger": dict(types.triggers), "condition": dict(types.conditions), "runner": dict(types.runners),
        "input": dict(INPUT_CLASSES),
    }
    classes: list[type[BaseModel]] = [Flow, *dict.fromkeys(each for known in kinds.values() for each in known.values())]
    refs, made = models_json_schema([(each, "validation") for each in classes], ref_template=_TEMPLATE, schema_generator=_Generator)
    names = {each: refs[each, "validation"]["$ref"].rpartition("/")[2] for each in classes}
    definitions = made["$defs"]
    for kind, known in kinds.items():
        for name, cls in known.items():
            if kind != "input":
                _name(definitions[names[cls]], name, types)
        definitions[kind] = _choice({name: names[cls] for name, cls in known.items()}, types)
    definitions = _with_references(definitions)
    root = definitions.pop(names[Flow])
    return {"$schema": DIALECT, "$id": "urn:podium:flow", **root, "title": "Flow", "$defs": dict(sorted(definitions.items()))}


def _name(schema: dict[str, Any], name: str, types: Types) -> None:
    spellings = [name, *sorted(_spellings(name, types))]
    schema["title"] = name
    schema.setdefault("properties", {})["type"] = {"enum": spellings, "description": WORDS["type"]}


def _spellings(name: str, types: Types) -> set[str]:
    """Other names under which the type may be written."""
    others = {alias for alias, target in types.aliases.items() if target == name}
    short = name.removeprefix("io.kestra.plugin.")
    return others | ({short} if short != name else set())


def _choice(known: dict[str, str], types: Types) -> dict[str, Any]:
    """An object whose class is chosen by `type`: one rule a type, so that an editor names the mistakes of that type."""
    names = sorted({spelling for name in known for spelling in (name, *_spellings(name, types))})
    rules = [
        {
            "if": {"required": ["type"], "properties": {"type": {"enum": [name, *sorted(_spellings(name, types))]}}},
            "then": {"$ref": _TEMPLATE.format(model=definition)},
        }
        for name, definition in sorted(known.items())
    ]
    return {"type": "object", "required": ["type"], "properties": {"type": {"enum": names, "description": WORDS["type"]}}, "allOf": rules}


def _with_references(value: Any) -> Any:
    """With `$ref` where the generator left the mark of a choice by type."""
    if isinstance(value, dict):
        if CHOICE_MARK in value:
            beside = {key: each for key, each in value.items() if key != CHOICE_MARK}
            return {"$ref": _TEMPLATE.format(model=value[CHOICE_MARK]), **beside}
        return {key: _with_references(each) for key, each in value.items()}
    return [_with_references(each) for each in value] if isinstance(value, list) else value


def _described(schema: JsonSchemaValue, cls: type[BaseModel]) -> JsonSchemaValue:
    """With what each property means, the other accepted spellings, and without what the loader sets itself."""
    known = properties(cls)
    owners = [each.__name__ for each in cls.__mro__ if issubclass(each, BaseModel)]
    described: dict[str, Any] = {}
    for name, inner in schema.get("properties", {}).items():
        if name not in known:
            continue
        words = next((WORDS[f"{owner}.{name}"] for owner in owners if f"{owner}.{name}" in WORDS), WORDS.get(name))
        made = {key: each for key, each in inner.items() if key != "title"}
        described[name] = {**made, "description": words} if words and "description" not in inner else made
        for other in known[name].others:
            described[other] = {**made, "deprecated": True, "description": f"Another name of `{name}`."}
    required = [name for name in schema.get("required", []) if name in known and not known[name].others]
    result = {**schema, "properties": described, "additionalProperties": False}
    result.pop("required", None)
    return {**result, "required": required} if required else result


class _Generator(GenerateJsonSchema):
    """Text may be written without quotes, so a number or boolean is accepted for it."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        cls = schema["cls"]
        made = super().model_schema(schema)
        return _described(made, cls) if issubclass(cls, Model) else made

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return {**super().str_schema(schema), "type": ["string", "number", "boolean"]}
