"""From pydantic's errors to problems with a line, a column and words that a person can use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from podium.flows.model import INPUT_CLASSES, Flow
from podium.flows.reading.problems import Placed, Report, join
from podium.flows.reading.shape import other_names
from podium.flows.reading.yaml import Fields, Items, Node, Scalar
from podium.flows.types import Types

_NOT_TEMPLATE = "neither a value of the right type"
_NOUNS = {
    "string_type": "text", "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of less than 4300 digits", "float_type": "a number", "float_parsing": "a number",
    "finite_number": "a finite number", "bool_type": "true or false", "bool_parsing": "true or false", "list_type": "a list",
    "tuple_type": "a list", "set_type": "a list", "dict_type": "a map", "model_type": "a map", "model_attributes_type": "a map",
    "dataclass_type": "a map", "datetime_type": "a date and time", "datetime_from_date_parsing": "a date and time",
    "datetime_parsing": "a date and time", "date_type": "a date", "date_parsing": "a date", "date_from_datetime_parsing": "a date",
    "time_type": "a time", "time_parsing": "a time", "none_required": "null",
}
_BOUNDS = {
    "greater_than": ("must be greater than {}", "gt"), "greater_than_equal": ("must be greater than or equal to {}", "ge"),
    "less_than": ("must be less than {}", "lt"), "less_than_equal": ("must be less than or equal to {}", "le"),
    "multiple_of": ("must be a multiple of {}", "multiple_of"),
}


def report_errors(error: ValidationError, root: Fields, types: Types, report: Report, *, cls: type[BaseModel] = Flow, path: str = "") -> None:
    """Add every error to the report. cls, path: of the root. Errors of one place (the branches of a union) become one problem."""
    grouped: dict[tuple[str, int, int], tuple[Placed, Node | None, list[Mapping[str, Any]]]] = {}
    for each in error.errors(include_url=False):
        at, inner, node = _locate(each["loc"], each["type"], root, cls)
        grouped.setdefault((inner, at.line, at.column), (at, node, []))[2].append(each)
    for (inner, _, _), (at, node, errors) in grouped.items():
        code, message, hint = _describe(_without_branches(errors), node, inner, types, report)
        report.problem(at, f"{path}.{inner}" if path and inner and inner[0] != "[" else path + inner, code, message, hint)


def _locate(loc: Sequence[str | int], kind: str, root: Fields, cls: type[BaseModel]) -> tuple[Placed, str, Node | None]:
    """Where an error stands: its place, its path, and the value there (None for a missing one)."""
    node: Node = root
    at: Placed = root
    path = ""
    for index, part in enumerate(loc):
        if isinstance(node, Items) and isinstance(part, int) and part < len(node.items):
            node = at = node.items[part]
            path = f"{path}[{part}]"
            continue
        if not isinstance(node, Fields):
            continue
        key = _written(node, str(part), cls)
        if key is not None:
            at = node.entries[key]
            node = node.entries[key].node
            path = join(path, key)
        elif kind == "missing" and index == len(loc) - 1:
            return node, join(path, str(part)), None
    if kind == "unknown_type" and isinstance(node, Fields):
        at = node.entries["type"].node
    elif isinstance(node, Scalar):
        at = node
    return at, path, node


def _written(node: Fields, name: str, cls: type[BaseModel]) -> str | None:
    if name in node.entries:
        return name
    others = {"id": ("name",), "maxAttempts": ("maxAttempt",), "condition": ("when",), "logLevel": ("minLogLevel",), **other_names(cls)}
    return next((each for each in others.get(name, ()) if each in node.entries), None)


def _without_branches(errors: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without what only says that the text branch of a dynamic property did not fit either."""
    rest = [each for each in errors if not (each["type"] == "value_error" and _NOT_TEMPLATE in each["msg"])]
    if len(rest) > 1:
        rest = [each for each in rest if each["type"] != "string_type" or isinstance(each["input"], (Mapping, list))] or rest
    return rest or errors


def _describe(errors: list[Mapping[str, Any]], node: Node | None, path: str, types: Types, report: Report) -> tuple[str, str, str]:
    """The code, message and hint for the errors of one place."""
    nouns = list(dict.fromkeys(_NOUNS[each["type"]] for each in errors if each["type"] in _NOUNS))
    if nouns and errors[0]["type"] in _NOUNS:
        return "wrong-type", f"Illegal flow yaml: {' or '.join(nouns)} is expected, not {_what(node)}", _type_hint(nouns, node)
    error = errors[0]
    kind, facts = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch" and error["input"] == "":
        return _blank(facts, path, types)
    if kind in {"literal_error", "enum"}:
        return _literal(error, node)
    if kind == "unknown_type" and not report.may_suggest():
        return "unknown-type", f"Invalid type: {facts['name']}", ""
    describe = _BY_TYPE.get(kind)
    if describe is not None:
        return describe(facts, path, types)
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return "out-of-bounds", words.format(facts[key]), ""
    if kind in {"value_error", "assertion_error"}:
        return _value_error(str(facts.get("error", error["msg"])))
    return "invalid-value", f"Illegal flow yaml: {error['msg']}", ""


def _value_error(message: str) -> tuple[str, str, str]:
    if message.startswith(("not a duration", "a duration")):
        return "wrong-type", f"Illegal flow yaml: {message}", "durations are ISO-8601 (PT10S, PT1H30M, P1D) or a number of seconds"
    return "invalid-value", message, ""


def _missing(facts: Mapping[str, Any], path: str, types: Types) -> tuple[str, str, str]:
    name = path.rpartition(".")[2]
    if name == "type":
        return "missing", "must not be null: missing type id property 'type'", "say which type it is: type: io.kestra.plugin.…"
    if name in ("tasks", "filters"):
        return "empty", "must not be empty", f"add {name}:"
    return "missing", f"must not be null: the property '{name}' is required", f"add {name}:"


def _unknown_type(facts: Mapping[str, Any], path: str, types: Types) -> tuple[str, str, str]:
    name, what = facts["name"], facts["what"]
    if what == "input":
        close = get_close_matches(name.upper(), list(INPUT_CLASSES), n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'?" if close else f"input types: {', '.join(INPUT_CLASSES)}"
        return "unknown-type", f"Invalid type: {name}", hint
    kind = next((each for each in ("task", "trigger", "condition", "runner") if getattr(types, each)(name) is not None), None)
    if kind is not None:
        return "unknown-type", f"Invalid type: {name}", f"this is a {kind}, and a {what} is expected here"
    suggestion = types.suggest(name, what)
    hint = f"did you mean '{suggestion}'?" if suggestion else f"no plug-in offers this {what} type; see `podium schema` for those there are"
    return "unknown-type", f"Invalid type: {name}", hint


def _pattern(facts: Mapping[str, Any], path: str, types: Types) -> tuple[str, str, str]:
    pattern = str(facts["pattern"]).removesuffix("$")
    letters = "letters" if "A-Z" in pattern else "lower-case letters"
    signs = "'.', '-' and '_'" if "." in pattern else "'-' and '_'"
    return "pattern", f'must match "{pattern}"', f"use {letters}, digits, {signs} only, beginning with a letter or digit"


def _literal(error: Mapping[str, Any], node: Node | None) -> tuple[str, str, str]:
    choices = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
    shown = node.text if isinstance(node, Scalar) else str(error["input"])
    close = get_close_matches(shown.upper(), choices, n=1, cutoff=0.6) or get_close_matches(shown.lower(), choices, n=1, cutoff=0.6)
    hint = f"did you mean '{close[0]}'?" if close else ""
    return "not-allowed", f"Illegal flow yaml: {_what(node)} is not one of the values accepted: [{', '.join(choices)}]", hint


def _size(facts: Mapping[str, Any], path: str, types: Types) -> tuple[str, str, str]:
    if re.fullmatch(r"triggers\[\d+\]\.id", path):
        return "out-of-bounds", f"Trigger id must be at most {facts['max_length']} characters", "use a shorter id"
    least = 0 if "field_type" in facts else 1  # of a list, else of a text
    return "out-of-bounds", f"size must be between {least} and {facts['max_length']}", ""


def _empty(facts: Mapping[str, Any], path: str, types: Types) -> tuple[str, str, str]:
    return "empty", "must not be empty", "add at least one item"


def _blank(facts: Mapping[str, Any], path: str, types: Types) -> tuple[str, str, str]:
    return "empty", "must not be blank", "write at least one character"


def _extra(facts: Mapping[str, Any], path: str, types: Types) -> tuple[str, str, str]:
    return "unknown-property", f'Unrecognized field "{path.rpartition(".")[2]}", not marked as ignorable', "remove it"


_BY_TYPE: dict[str, Callable[[Mapping[str, Any], str, Types], tuple[str, str, str]]] = {
    "missing": _missing, "unknown_type": _unknown_type, "string_pattern_mismatch": _pattern,
    "string_too_short": _blank, "string_too_long": _size, "too_short": _empty, "too_long": _size, "extra_forbidden": _extra,
}


def _what(node: Node | None) -> str:
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Fields):
        return "a map"
    assert isinstance(node, Scalar)
    if node.value is None:
        return "null"
    shown = node.text if len(node.text) <= 80 else node.text[:77] + "…"
    return f"'{shown}'"


def _type_hint(nouns: list[str], node: Node | None) -> str:
    if isinstance(node, Scalar) and ("{{" in node.text or "{%" in node.text):
        return "an expression cannot stand here: this property is read when the flow is saved"
    if "a list" in nouns and not isinstance(node, Items):
        return "put each item on a line of its own, after '- '"
    if nouns == ["a map"]:
        return "write 'key: value' lines, indented"
    return ""
