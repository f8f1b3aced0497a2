"""What types there are and which of them a request is about: BM25 over names, words, properties and examples of our own JSON Schema. Pure.

Made once for a schema; nothing is learnt and nothing leaves the machine.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podium.copilot.words import BASICS, STOP, SYNONYMS

_K1, _B = 1.4, 0.6
_WORD = re.compile(r"[a-z][a-z0-9']+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_SYNONYM_WEIGHT = 0.6
_ALIKE_MAX = 3
"""Types with the same last name that are told of: there is a `Script` in fifteen languages."""
_ABOUT_CHARS, _PROPERTY_CHARS, _EXAMPLE_CHARS = 400, 110, 700
_COMMON = frozenset({
    "id", "type", "description", "retry", "timeout", "disabled", "runIf", "allowFailure", "allowWarning", "logLevel", "logToFile", "version",
    "workerGroup", "workerSelector", "taskCache", "pluginDefaultsRef", "policyRefs", "assets", "conditions", "labels", "when", "stopAfter",
    "failOnTriggerError", "allowConcurrent", "minLogLevel",
})
"""What every task or trigger has: told once, in the rules."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """A type. card: what the model is told of it."""

    name: str
    kind: str
    card: str
    terms: Mapping[str, float] = field(repr=False)
    length: float


class Catalogue:
    """The types of a schema of flows/schema. kinds: type → task, trigger, condition or runner."""

    def __init__(self, schema: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
        definitions = schema["definitions"]
        self._entries = [
            _entry(str(each["title"]), kinds[str(each["title"])], each, definitions) for each in definitions.values() if each.get("title") in kinds
        ]
        self._by_name = {each.name: each for each in self._entries}
        self._average = sum(each.length for each in self._entries) / max(1, len(self._entries))
        self._documents = Counter(term for each in self._entries for term in each.terms)

    def __len__(self) -> int:
        return len(self._entries)

    def others(self, told: Iterable[Entry]) -> str:
        """The names of all other types, for a model that needs one of them: it is told more when it names it."""
        known = {each.name for each in told}
        return ", ".join(each.name for each in self._entries if each.name not in known)

    def find(self, request: str, *, limit: int = 14) -> list[Entry]:
        """The types that a request is about, the best first."""
        wanted = _wanted(request)
        scored = [(self._score(each, wanted), each) for each in self._entries]
        best = sorted((each for each in scored if each[0] > 0), key=lambda each: (-each[0], each[1].name))
        found: list[Entry] = []
        alike: Counter[str] = Counter()
        for _, entry in best:
            last = entry.name.rpartition(".")[2]
            if alike[last] < _ALIKE_MAX and len(found) < limit:
                alike[last] += 1
                found.append(entry)
        return found

    def named(self, names: Iterable[str]) -> list[Entry]:
        """The types of these names, in full or short; what there is not is left out."""
        found = [self._by_name.get(name) or self._by_name.get(f"io.kestra.plugin.{name}") for name in names]
        return list(dict.fromkeys(each for each in found if each is not None))

    def about(self, request: str, flow: str, *, chars: int, limit: int = 14) -> list[Entry]:
        """What goes into a prompt: the basics, those of the present flow, then those that the request is about, up to so many characters."""
        found = [*self.find(request, limit=limit)]
        present = self.named(re.findall(r"^\s*(?:-\s+)?type:\s*[\"']?([a-zA-Z0-9_.]+)", flow, re.MULTILINE))
        chosen: dict[str, Entry] = {}
        used = 0
        for each in [*self.named(BASICS), *present, *found]:
            if each.name not in chosen and used + len(each.card) <= chars:
                chosen[each.name] = each
                used += len(each.card)
        return list(chosen.values())

    def _score(self, entry: Entry, wanted: Mapping[str, float]) -> float:
        score = 0.0
        for term, weight in wanted.items():
            frequency = entry.terms.get(term)
            if frequency:
                rarity = math.log(1 + (len(self._entries) - self._documents[term] + 0.5) / (self._documents[term] + 0.5))
                saturated = frequency * (_K1 + 1) / (frequency + _K1 * (1 - _B + _B * entry.length / self._average))
                score += weight * rarity * saturated
        if "deprecated" in entry.card[:200].lower():
            score *= 0.3
        return score


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "es", "s", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


def _tokens(text: str) -> list[str]:
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in STOP]


def _wanted(request: str) -> dict[str, float]:
    text = request.lower()
    wanted: dict[str, float] = {}
    for word in _WORD.findall(text):
        if word not in STOP:
            wanted[_stem(word)] = max(wanted.get(_stem(word), 0), 1.0)
        for other in SYNONYMS.get(word) or SYNONYMS.get(_stem(word)) or ():
            wanted[_stem(other)] = max(wanted.get(_stem(other), 0), _SYNONYM_WEIGHT)
    for phrase, others in SYNONYMS.items():
        if " " in phrase and phrase in text:
            wanted |= {_stem(other): 1.0 for other in others if _stem(other) not in wanted}
    return wanted


def _entry(name: str, kind: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Entry:
    short = name.removeprefix("io.kestra.plugin.")
    parts = short.split(".")
    about = str(schema.get("description") or schema.get("properties", {}).get("type", {}).get("description") or "")
    properties = {key: _resolved(value, definitions) for key, value in schema.get("properties", {}).items() if key not in _COMMON}
    terms: dict[str, float] = {}

    def add(words: Iterable[str], weight: float) -> None:
        for word in words:
            terms[word] = terms.get(word, 0.0) + weight

    for part in parts[1:]:
        pieces = [piece.lower() for piece in _CAMEL.findall(part)]
        add((_stem(piece) for piece in pieces if piece not in STOP), 2.5 if part != parts[-1] else 4.0)
        if len(pieces) > 1:
            add([_stem(part.lower())], 3.0)
    add([kind], 0.5)
    add(_tokens(about.partition("\n")[0]), 2.0)
    add(_tokens(about.partition("\n")[2]), 0.7)
    for key, value in properties.items():
        add((_stem(piece.lower()) for piece in _CAMEL.findall(key) if piece.lower() not in STOP), 0.5)
        add(_tokens(str(value.get("description", "")).partition("\n")[0]), 0.25)
    card = _card(name, kind, about, properties, schema)
    return Entry(name=name, kind=kind, card=card, terms=terms, length=sum(terms.values()))


def _resolved(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = str(value.get("$ref", ""))
    return definitions.get(reference.removeprefix("#/definitions/"), value) if reference else value


def _card(name: str, kind: str, about: str, properties: Mapping[str, Mapping[str, Any]], schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    deprecated = " (deprecated)" if schema.get("deprecated") or schema.get("deprecationMessage") else ""
    lines = [f"## {kind} {name}{deprecated}", " ".join(about.split())[:_ABOUT_CHARS]]
    for key, value in properties.items():
        words = " ".join(str(value.get("description", "")).split())[:_PROPERTY_CHARS]
        lines.append(f"- {key}{'*' if key in required else ''} ({_kind_of(value)}){': ' + words if words else ''}")
    examples = schema.get("examples") or ()
    if examples:
        text = _yaml(examples[0], 0)
        if len(text) <= _EXAMPLE_CHARS:
            lines += ["e.g.", text]
    return "\n".join(line for line in lines if line) + "\n"


def _kind_of(value: Mapping[str, Any]) -> str:
    if value.get("enum"):
        return "|".join(str(each) for each in value["enum"][:8])
    kind = value.get("type")
    if isinstance(kind, list):
        names = [each for each in kind if each != "null"]
        return "text" if "string" in names else str(names[0]) if names else "any"
    if kind:
        return {"string": "text", "object": "map", "array": "list"}.get(str(kind), str(kind))
    for each in value.get("anyOf", ()):
        if each.get("enum") or each.get("type") not in (None, "null"):
            return _kind_of(each)
    return "any"


def _yaml(value: Any, depth: int) -> str:
    """Plain data as YAML, enough for an example."""
    pad = "  " * depth
    if isinstance(value, Mapping):
        return "\n".join(_yaml_entry(f"{pad}{key}:", item, depth) for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        lines = []
        for item in value:
            text = _yaml(item, depth + 1)
            lines.append(f"{pad}- {text.lstrip()}" if isinstance(item, (Mapping, list)) else f"{pad}- {_scalar(item, depth + 1)}")
        return "\n".join(lines)
    return pad + _scalar(value, depth)


def _yaml_entry(head: str, item: Any, depth: int) -> str:
    if isinstance(item, (Mapping, list)) and item:
        return f"{head}\n{_yaml(item, depth + 1)}"
    return f"{head} {_scalar(item, depth + 1)}"


def _scalar(value: Any, depth: int) -> str:
    if isinstance(value, str):
        if "\n" in value:
            pad = "  " * depth
            return "|\n" + "\n".join(pad + line for line in value.rstrip("\n").split("\n"))
        return f'"{value}"' if not value or value.startswith(("{", "[", "*", "&", "!", "%", "@", "`", "#")) or ": " in value else value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "[]" if value == [] else "{}" if value == {} else str(value)
