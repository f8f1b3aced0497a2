"""The JSON Schema of the flow language, made from the models: for editors, forms and documentation. Served by web, printed by `podium schema`.

Draft 7, the newest that every editor reads whole. Each type is a definition under its short name (`core.log.Log`); a task is whichever
definition its `type` names. What the loader accepts, the schema accepts: text without quotes, expressions, null for what is optional,
labels as a list, older names (marked deprecated).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from podium.flows.checks.task_rules import list_to_fill
from podium.flows.dynamic import CHOICE_MARK, EXPRESSION_PATTERN
from podium.flows.model import Flow, Model
from podium.flows.models.inputs import INPUT_CLASSES
from podium.flows.models.words import WORDS, Vocabulary
from podium.flows.reading.shape import properties
from podium.flows.reading.yaml import parse_documents, plain
from podium.flows.suites.model import Suite
from podium.flows.types import PREFIX, Types

DIALECT = "http://json-schema.org/draft-07/schema#"
_PLACE = "#/definitions/"
_SOURCE = re.compile(r"\s*Source: [^\n]*")
_SHARED_USES_MIN, _SHARED_CHARS_MIN = 3, 90
DEPRECATED = "Deprecated"
"""How the words about a property begin that should not be used any more."""


def json_schema(types: Types, vocabulary: Vocabulary | None = None) -> dict[str, Any]:
    """The schema of one flow document, with every type of `types`."""
    words = vocabulary or Vocabulary()
    kinds: dict[str, dict[str, type[BaseModel]]] = {
        "task": dict(types.tasks), "trigger": dict(types.triggers), "condition": dict(types.conditions), "runner": dict(types.runners),
        "input": dict(INPUT_CLASSES),
    }
    classes: list[type[BaseModel]] = [Flow, *dict.fromkeys(each for known in kinds.values() for each in known.values())]
    refs, made = models_json_schema([(each, "validation") for each in classes], ref_template=_PLACE + "{model}", schema_generator=_generator(words))
    names = {each: refs[each, "validation"]["$ref"].removeprefix(_PLACE) for each in classes}
    definitions = made["$defs"]
    for kind, known in kinds.items():
        for name, cls in known.items():
            if kind != "input":
                _name(definitions[names[cls]], name, types)
        definitions[kind] = _choice(kind, {name: (names[cls], cls) for name, cls in known.items()}, types, words)
    definitions["expression"] = {"type": "string", "pattern": EXPRESSION_PATTERN, "description": "Text with an expression `{{ … }}`."}
    short = {names[cls]: short_name(name) for kind, known in kinds.items() if kind != "input" for name, cls in known.items()}
    definitions = _with_references({short.get(name, name): each for name, each in definitions.items()}, short)
    for unused in ("Task", "Trigger", "Condition", "TaskRunner", "Input"):
        definitions.pop(unused, None)
    root = definitions.pop(names[Flow])
    _share(definitions)
    return {"$schema": DIALECT, "$id": "urn:podium:flow", **root, "title": "Flow", "definitions": dict(sorted(definitions.items()))}


def of_type(schema: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The schema of one type alone, or None when there is none of that full name. What stands inside as another plug-in may be anything."""
    known = schema["definitions"]
    found = next((each for each in known.values() if each.get("title") == name), None)
    if found is None:
        return None
    wanted: dict[str, Any] = {}
    todo = [found]
    while todo:
        for reference in _references(todo.pop()):
            key = reference.removeprefix(_PLACE)
            if key not in wanted:
                wanted[key] = {"type": "object"} if "defaultSnippets" in known[key] else known[key]
                todo.append(wanted[key])
    return {"$schema": DIALECT, **found, "definitions": dict(sorted(wanted.items()))}


def suite_schema() -> dict[str, Any]:
    """The schema of one document of flow tests."""
    refs, made = models_json_schema([(Suite, "validation")], ref_template=_PLACE + "{model}", schema_generator=_generator(Vocabulary()))
    definitions = made["$defs"]
    root = definitions.pop(refs[Suite, "validation"]["$ref"].removeprefix(_PLACE))
    return {"$schema": DIALECT, "$id": "urn:podium:tests", **root, "title": "Tests", "definitions": dict(sorted(definitions.items()))}


def example_of(definition: Mapping[str, Any]) -> str:
    """The example of a definition as YAML, "" when it has none."""
    if not definition.get("examples"):
        return ""
    return str(yaml.safe_dump(definition["examples"][0], sort_keys=False, allow_unicode=True, width=120))


def short_name(name: str) -> str:
    """A type without the prefix that may be left out."""
    return name.removeprefix(PREFIX)


def _name(schema: dict[str, Any], name: str, types: Types) -> None:
    schema["title"] = name
    about = " ".join(filter(None, (schema.get("description", ""), schema.get("deprecationMessage", ""))))
    schema.setdefault("properties", {})["type"] = {"enum": [*_current(name), *_older(name, types)], "description": about}


def _current(name: str) -> list[str]:
    """How the type is written today: short and whole."""
    return list(dict.fromkeys((short_name(name), name)))


def _older(name: str, types: Types) -> list[str]:
    return sorted(alias for alias, target in types.aliases.items() if target == name)


def _choice(kind: str, known: Mapping[str, tuple[str, type[BaseModel]]], types: Types, words: Vocabulary) -> dict[str, Any]:
    """An object whose class is chosen by `type`: one rule a type, so that an editor names the mistakes of that type."""
    ordered = sorted(known.items())
    written = {each: _first_line(cls) for name, (_, cls) in ordered for each in _current(name)}
    older = {each: f"An older name of `{name}`." for name, _ in ordered for each in _older(name, types)}
    names = {"enum": [*written, *older], "markdownEnumDescriptions": [*written.values(), *older.values()]}
    rules = [
        {
            "if": {"type": "object", "required": ["type"], "properties": {"type": {"enum": [*_current(name), *_older(name, types)]}}},
            "then": {"$ref": _PLACE + definition},
        }
        for name, (definition, _) in ordered
    ]
    if older:
        old = {"deprecated": True, "deprecationMessage": "An older name: `podium validate` says the current one."}
        is_old = {"type": "object", "required": ["type"], "properties": {"type": {"enum": [*older]}}}
        rules.append({"if": is_old, "then": {"properties": {"type": old}}})
    fields = {"id": {"type": ["string", "number", "boolean"], "description": WORDS["id"]}} if kind in ("task", "trigger", "input") else {}
    snippets = [
        {"label": short_name(name), "description": _first_line(cls), "body": example}
        for name, (_, cls) in ordered
        if (example := _example(cls, words, name if kind == "input" else None)) is not None
    ]
    return {
        "type": "object", "required": ["type"], "description": f"One {kind}; which one is said by its `type`.",
        "properties": {**fields, "type": names},
        "allOf": rules, "defaultSnippets": snippets,
    }


def _first_line(cls: type[BaseModel]) -> str:
    return " ".join(_SOURCE.sub("", cls.__doc__ or "").split("\n\n")[0].split())


def _example(cls: type[BaseModel], words: Vocabulary, input_type: str | None = None) -> Any:
    text = words.example(cls)
    if text is None:
        return None
    root = parse_documents(text)[0].root
    assert root is not None, text
    found = plain(root)
    if input_type is not None and found["type"] != input_type:  # one model for several types of input
        return {"id": found["id"], "type": input_type}
    return found


# ---- one model


class _Generator(GenerateJsonSchema):
    """What the loader accepts of each kind of value, and what the properties mean."""

    words: Vocabulary

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        cls = schema["cls"]
        made = super().model_schema(schema)
        return _described(made, cls, self.words) if issubclass(cls, Model) else made

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value  # as declared: the order in which people write

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])  # null is added to all that is optional

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return {**super().str_schema(schema), "type": ["string", "number", "boolean"]}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return {**super().int_schema(schema), "type": ["integer", "string"], "pattern": "^[-+]?[0-9]+$"}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return {**super().float_schema(schema), "type": ["number", "string"], "pattern": "^[-+.0-9eE]+$"}

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return {"type": ["boolean", "string"], "pattern": "^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$"}


def _generator(words: Vocabulary) -> type[_Generator]:
    return type("_WithWords", (_Generator,), {"words": words})


def _described(schema: JsonSchemaValue, cls: type[BaseModel], words: Vocabulary) -> JsonSchemaValue:
    """With what each property means, the other accepted spellings, and without what the loader sets itself."""
    known = properties(cls)
    described: dict[str, Any] = {}
    filled = "tasks" if cls is Flow else list_to_fill(cls)
    needed = {*schema.get("required", []), *([filled] if filled else [])}
    for name, inner in schema.get("properties", {}).items():
        if name not in known:
            continue
        made = _property(inner, needed=name in needed)
        described[name] = {**made, **_meaning(cls, name, words, made), **({"minItems": 1} if name == filled else {})}
        for other in known[name].others:
            own = words.meaning(cls, other)
            described[other] = {**made, **(_meaning(cls, other, words, {}) if own else _deprecated(f"use `{name}`"))}
    result = {key: each for key, each in schema.items() if key not in ("required", "title")}
    result["description"] = _SOURCE.sub("", result.get("description", ""))
    required = [name for name in described if name in needed]
    result |= {"properties": described, "additionalProperties": False}
    result |= {"required": alone} if (alone := [name for name in required if not known[name].others]) else {}
    any_name = [{"anyOf": [{"required": [each]} for each in (name, *known[name].others)]} for name in required if known[name].others]
    result |= {"allOf": any_name} if any_name else {}
    if reason := getattr(cls, "DEPRECATED", ""):
        result |= _deprecated(reason, result.get("description", ""))
    if reason := getattr(cls, "PENDING", ""):
        result["description"] = f"{result.get('description', '')} Not carried out yet: {reason}."
    example = _example(cls, words) if cls is not Flow or words.examples else None
    return {**result, "examples": [example]} if example is not None else result


def _meaning(cls: type[BaseModel], name: str, words: Vocabulary, made: Mapping[str, Any]) -> dict[str, Any]:
    own = next((each.description for each in cls.model_fields.values() if name in (each.alias, each.validation_alias)), None)
    text = own or words.meaning(cls, name) or made.get("description")
    if not text:
        return {}
    return _deprecated(text.removeprefix(DEPRECATED).lstrip(": ")) if text.startswith(DEPRECATED) else {"description": text}


def _deprecated(instead: str, about: str = "") -> dict[str, Any]:
    what = f"{DEPRECATED}: {instead.rstrip('.')}."
    return {"description": f"{about} {what}".strip(), "deprecated": True, "deprecationMessage": what}


def _property(inner: Mapping[str, Any], *, needed: bool) -> dict[str, Any]:
    made = {key: each for key, each in inner.items() if key != "title" and not (key == "default" and (each is None or isinstance(each, dict)))}
    if needed:
        return made
    if "type" in made:
        listed = made["type"] if isinstance(made["type"], list) else [made["type"]]
        return {**made, "type": [*listed, "null"], **({"enum": [*made["enum"], None]} if "enum" in made else {})}
    if "enum" in made:
        return {**made, "enum": [*made["enum"], None]}
    if "const" in made:
        return {**{key: each for key, each in made.items() if key != "const"}, "enum": [made["const"], None]}
    if "anyOf" in made:
        return {**made, "anyOf": [*made["anyOf"], {"type": "null"}]}
    reference = next((key for key in ("$ref", CHOICE_MARK) if key in made), None)
    if reference is None:
        return made
    beside = {key: each for key, each in made.items() if key != reference}
    return {**beside, "anyOf": [{reference: made[reference]}, {"type": "null"}]}


# ---- the whole


def _with_references(value: Any, short: Mapping[str, str]) -> Any:
    """With `$ref` where the generator left the mark of a choice by type, and the definitions under their short names."""
    if isinstance(value, list):
        return [_with_references(each, short) for each in value]
    if not isinstance(value, dict):
        return value
    if CHOICE_MARK in value:
        beside = {key: each for key, each in value.items() if key != CHOICE_MARK}
        return {"$ref": _PLACE + value[CHOICE_MARK], **beside}
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith(_PLACE):
        name = reference.removeprefix(_PLACE)
        return {**value, "$ref": _PLACE + short.get(name, name)}
    return {key: _with_references(each, short) for key, each in value.items()}


def _share(definitions: dict[str, Any]) -> None:
    """Say once, as `property.<name>`, what many types have: half of the size."""
    places = [(each["properties"], name) for each in definitions.values() for name in each.get("properties", {})]
    texts = {id(fields[name]): json.dumps(fields[name], sort_keys=True) for fields, name in places}
    uses = Counter((name, texts[id(fields[name])]) for fields, name in places)
    named: dict[tuple[str, str], str] = {}
    per_name: Counter[str] = Counter()
    for fields, name in places:
        key = (name, texts[id(fields[name])])
        if uses[key] < _SHARED_USES_MIN or len(key[1]) < _SHARED_CHARS_MIN:
            continue
        if key not in named:
            per_name[name] += 1
            named[key] = f"property.{name}" + (f".{per_name[name]}" if per_name[name] > 1 else "")
            definitions[named[key]] = fields[name]
        fields[name] = {"$ref": _PLACE + named[key]}


def _references(value: Any) -> list[str]:
    found: list[str] = []
    _visit(value, lambda each: found.append(each["$ref"]) if isinstance(each.get("$ref"), str) else None)
    return found


def _visit(value: Any, see: Callable[[dict[str, Any]], None]) -> None:
    if isinstance(value, dict):
        see(value)
        for each in value.values():
            _visit(each, see)
    elif isinstance(value, list):
        for each in value:
            _visit(each, see)
