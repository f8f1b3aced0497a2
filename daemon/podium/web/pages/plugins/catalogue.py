"""What is known of every type, read out of the JSON Schema of the language: kinds, words, properties, outputs, examples, origin.

Called by the pages of plug-ins, by the API and by tools/catalogue.py, which writes docs/types.md. Pure: it takes the schema and the types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from podium.flows.schema import example_of, short_name
from podium.flows.types import PREFIX, Types

PLACE = "#/definitions/"
KINDS = {"task": "Tasks", "trigger": "Triggers", "condition": "Conditions", "runner": "Task runners", "input": "Inputs"}
_OUTPUTS = re.compile(r"(?P<head>Outputs?: |`trigger\.\*`: )(?P<list>.*?)(?:\.(?:\s|$)|; with|$)", re.DOTALL)
_NO_NAME = re.compile(r"(?:as|one)\b")
_SCRIPT_OUTPUTS = ("exitCode", "vars", "outputFiles")
_FLOWABLE = {
    "io.kestra.plugin.core.flow.Subflow": ("executionId", "outputs", "state"), "io.kestra.plugin.core.flow.ForEachItem": ("subflowOutputs",),
    "io.kestra.plugin.core.flow.Pause": ("onResume", "resumed"), "io.kestra.plugin.core.flow.WorkingDirectory": ("outputFiles",),
}
LANGUAGE = "podium"
"""Where a type comes from that no plug-in offers: the language itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property. value: what may be written, in words. dynamic: whether an expression may stand in its place."""

    name: str
    value: str
    required: bool = False
    default: str = ""
    about: str = ""
    dynamic: bool = False
    deprecated: bool = False
    refers: tuple[str, ...] = ()
    """Parts that it is made of, by their name in `Catalogue.parts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One type. name: whole; short: as it is written today. group: the plug-in that people look for it under."""

    kind: str
    name: str
    short: str
    about: str
    properties: tuple[Property, ...] = ()
    common: tuple[Property, ...] = ()
    outputs: tuple[str, ...] = ()
    example: str = ""
    aliases: tuple[str, ...] = ()
    origin: str = LANGUAGE
    deprecated: str = ""

    @property
    def group(self) -> str:
        """`core.flow`, `scripts.python`, `jdbc.duckdb`."""
        return self.short.rpartition(".")[0] or self.kind

    @property
    def first_line(self) -> str:
        """What it does, in one line."""
        return " ".join(self.about.split("\n\n")[0].split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything installed. parts: what stands inside of types, by name: (words, properties). broken: plug-ins that failed to load, and why."""

    entries: tuple[Entry, ...] = ()
    parts: Mapping[str, tuple[str, tuple[Property, ...]]] = field(default_factory=dict)
    broken: tuple[tuple[str, str], ...] = ()

    def find(self, name: str, types: Types) -> Entry | None:
        """The type of that name: whole, short or an older one."""
        full = types.canonical(name)
        return next((each for each in self.entries if each.name in (full, name)), None)

    def search(self, wanted: str, kind: str | None = None) -> list[Entry]:
        """Those that hold every word, in their name, words or older names; the best first: the name, then the rest."""
        words = wanted.lower().split()
        found = [each for each in self.entries if kind in (None, "", each.kind) and all(word in _searched(each) for word in words)]
        return sorted(found, key=lambda each: not all(word in each.short.lower() for word in words)) if words else found


def _searched(each: Entry) -> str:
    return " ".join((each.name, each.about, *each.aliases, *(one.name for one in each.properties))).lower()


def catalogue_of(schema: Mapping[str, Any], types: Types) -> Catalogue:
    """The catalogue of the types in a schema of flows/schema."""
    entries = [each for kind in KINDS for each in _of_kind(schema, kind, types)]
    parts = {
        name: (str(each.get("description", "")), tuple(_properties(schema, each)))
        for name, each in schema.get("definitions", {}).items()
        if "." not in name and "defaultSnippets" not in each and each.get("properties") and not name.endswith("Input")
    }
    return Catalogue(entries=tuple(entries), parts=parts, broken=types.broken)


def names_of(schema: Mapping[str, Any], kind: str) -> list[str]:
    """The definitions of a kind, each once."""
    rules = schema.get("definitions", {}).get(kind, {}).get("allOf", ())
    return list(dict.fromkeys(rule["then"]["$ref"].removeprefix(PLACE) for rule in rules if "$ref" in rule["then"]))


def _of_kind(schema: Mapping[str, Any], kind: str, types: Types) -> Iterator[Entry]:
    known = schema.get("definitions", {})
    rows = {name: {each.name: each for each in _properties(schema, known[name])} for name in names_of(schema, kind)}
    first = next(iter(rows.values()), {})
    shared = {name: each for name, each in first.items() if name not in ("id", "type") and all(row.get(name) == each for row in rows.values())}
    for name, properties in rows.items():
        definition = known[name]
        if kind == "input":
            for each in written_types(definition):
                yield _entry(kind, each, definition, (properties, shared), types)
        else:
            yield _entry(kind, str(definition["title"]), definition, (properties, shared), types)


def _entry(kind: str, name: str, definition: Mapping[str, Any], rows: tuple[Mapping[str, Property], Mapping[str, Property]], types: Types) -> Entry:
    """rows: all properties, and those that every type of the kind has."""
    properties, shared = rows
    about = str(definition.get("description", ""))
    return Entry(
        kind=kind, name=name, short=short_name(name), about=about,
        properties=tuple(each for key, each in properties.items() if key not in shared and key not in ("type",)),
        common=tuple(shared.values()), outputs=outputs_of(name, definition), example=example_of(definition),
        aliases=tuple(sorted(alias for alias, target in types.aliases.items() if target == name)),
        origin=types.origins.get(name, LANGUAGE), deprecated=str(definition.get("deprecationMessage", "")),
    )


def written_types(definition: Mapping[str, Any]) -> list[str]:
    """The values of `type` that a definition is for."""
    kinds = definition["properties"]["type"]
    return [str(kinds["const"])] if "const" in kinds else [str(each) for each in kinds["enum"]]


def outputs_of(name: str, definition: Mapping[str, Any]) -> tuple[str, ...]:
    """What a type gives, as its words list it: tasks their outputs, triggers what `trigger` holds."""
    if name in _FLOWABLE:
        return _FLOWABLE[name]
    match = _OUTPUTS.search(str(definition.get("description", "")))
    if match is None:
        return _SCRIPT_OUTPUTS if name.startswith(f"{PREFIX}scripts.") and "outputFiles" in definition.get("properties", {}) else ()
    bare = re.sub(r"\([^)]*\)|\{[^}]*\}", "", match["list"])
    words = [word.strip().removeprefix("and ").strip() for part in re.split(r"[,;]", bare) for word in re.split(r"\s+(?:or|and)\s+", part)]
    if match["head"] == "Output: ":  # the rest says what it is
        words = words[:1]
    return tuple(dict.fromkeys(found[0] for word in words if not _NO_NAME.match(word) and (found := re.match(r"[a-z][A-Za-z]*", word))))


def _properties(schema: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[Property]:
    needed = set(definition.get("required", ()))
    for name, given in definition["properties"].items():
        found = resolved(schema, given)
        default = json.dumps(found["default"], ensure_ascii=False) if found.get("default") not in (None, [], {}, "") else ""
        yield Property(
            name=name, value=value_words(found), required=name in needed, default=default, about=str(found.get("description", "")),
            dynamic=_dynamic(found), deprecated=bool(found.get("deprecated")), refers=tuple(dict.fromkeys(_refers(found))),
        )


def resolved(schema: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A property, looked up where many types share it."""
    reference = str(given.get("$ref", ""))
    return schema["definitions"][reference.removeprefix(PLACE)] if reference.startswith(f"{PLACE}property.") else given


def _dynamic(found: Mapping[str, Any]) -> bool:
    if found.get("$ref") == f"{PLACE}expression" or "string" in _listed(found):
        return True
    return any(_dynamic(each) for each in found.get("anyOf", ()))


def _refers(found: Mapping[str, Any]) -> Iterator[str]:
    reference = str(found.get("$ref", ""))
    if reference.startswith(PLACE):
        yield reference.removeprefix(PLACE)
    for each in (*found.get("anyOf", ()), found.get("items"), found.get("additionalProperties")):
        if isinstance(each, Mapping):
            yield from _refers(each)


def _listed(found: Mapping[str, Any]) -> list[str]:
    listed = found.get("type", "anything")
    return list(listed) if isinstance(listed, list) else [str(listed)]


def value_words(found: Mapping[str, Any]) -> str:
    """What may be written, in words."""
    reference = found.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix(PLACE)
        return "`{{ }}`" if name == "expression" else name
    if "anyOf" in found:
        words = list(dict.fromkeys(value_words(each) for each in found["anyOf"] if each != {"type": "null"}))
        return ", ".join(words)
    if "const" in found:
        return f"`{found['const']}`"
    if "enum" in found:
        return " ".join(f"`{each}`" for each in found["enum"] if each is not None) if len(found["enum"]) < 20 else "one of many"
    kinds = _listed(found)
    if "array" in kinds:
        return f"list of {value_words(found.get('items', {}))}"
    if "object" in kinds:
        inner = found.get("additionalProperties")
        return f"map to {value_words(inner)}" if isinstance(inner, dict) and inner else "map"
    if {"string", "number", "boolean"} <= set(kinds):
        return "text"
    for kind, word in (("boolean", "true, false"), ("integer", "whole number"), ("number", "number"), ("string", "text")):
        if kind in kinds:
            return word
    return "anything"
