"""The run form: from the inputs a flow declares to the fields a page shows, and from what a browser sends back to inputs.

Called by the pages of flows and of paused executions. What always holds: every type of input has a field; what was typed and
what was wrong with it are shown again at the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from podium.base.durations import format_duration
from podium.flows.dynamic import has_expression
from podium.flows.inputs import flatten
from podium.web.api.inputs import prop
from podium.web.pages.text import markdown
from podium.web.params import Form
from podium.web.wire import pretty

_OPTIONS_SHOWN_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. control: text, number, select, radio, checks, area, file, date, time, datetime-local, password, email or list."""

    id: str
    type: str
    control: str
    label: str
    description: Markup
    required: bool
    value: str = ""
    values: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    placeholder: str = ""
    note: str = ""
    low: str = ""
    high: str = ""
    accept: str = ""
    depends: bool = False
    enabled: bool = True
    errors: tuple[str, ...] = ()


@dataclass(slots=True)
class Filled:
    """What was typed and what was found wrong. errors: by input id; "" for the form as a whole."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)

    def first(self, name: str) -> str:
        """The first text typed under that name, or ""."""
        return (self.texts.get(name) or [""])[0]


_CONTROLS = {
    "INT": "number", "FLOAT": "number", "BOOLEAN": "select", "BOOL": "select", "SELECT": "select", "ENUM": "select", "MULTISELECT": "checks",
    "ARRAY": "area", "JSON": "area", "YAML": "area", "ION": "area", "OBJECT": "area", "TABLE": "area", "DATETIME": "datetime-local", "DATE": "date",
    "TIME": "time", "FILE": "file", "SECRET": "password", "EMAIL": "email",
}
_NOTES = {
    "ARRAY": "A JSON list, such as [1, 2].", "JSON": "Any JSON value.", "YAML": "Any YAML value.", "OBJECT": "A JSON object.",
    "TABLE": "A JSON list of objects.", "DATETIME": "In UTC.", "DURATION": "Such as PT10S, PT1H30M or P1D.", "URI": "Such as https://example.org/data.",
}


def fields_of(declared: Sequence[Any], filled: Filled | None = None) -> list[Field]:
    """The fields for the inputs declared."""
    return [_fill(_field(identifier, str(each.type), each), filled) for identifier, each in flatten(declared)]


def _field(identifier: str, kind: str, declared: Any) -> Field:
    default = prop(declared, "defaults", prop(declared, "prefill"))
    text = _default_text(default, kind)
    dynamic = isinstance(default, str) and has_expression(default)
    options = _options(declared, kind)
    control = _control(declared, kind, options)
    low, high = (_bound(prop(declared, name)) for name in (("after", "before") if kind in {"DATETIME", "DATE", "TIME"} else ("min", "max")))
    if control == "datetime-local":
        text, low, high = _local(text), _local(low), _local(high)
    note = " ".join(part for part in (_NOTES.get(kind, ""), _rule(declared, low, high)) if part)
    if prop(declared, "expression") and not options:
        note = f"One of the values of {prop(declared, 'expression')}" + (" (a JSON list of them)." if kind == "MULTISELECT" else ".")
    depends = prop(declared, "depends_on")
    if depends is not None:
        asked = ", ".join(prop(depends, "inputs", ()))
        note = f"{note} Asked for depending on {asked}.".strip() if asked else note
    return Field(
        id=identifier, type=kind, control=control, label=str(prop(declared, "display_name") or identifier),
        description=markdown(prop(declared, "description")), required=bool(prop(declared, "required", True)) and default is None,
        value="" if dynamic or kind in {"FILE", "SECRET"} else text, values=tuple(map(str, default)) if isinstance(default, list) else (),
        options=options, placeholder=f"default: {text}" if dynamic else "set in the flow" if kind == "SECRET" and text else "", note=note,
        low=low, high=high,
        accept=",".join(prop(declared, "allowed_file_extensions", ())), depends=depends is not None,
    )


def _rule(declared: Any, low: str, high: str) -> str:
    pattern = prop(declared, "validator")
    if pattern:
        return f"Must match {pattern}."
    if low and high:
        return f"From {low} to {high}."
    return f"From {low}." if low else f"Up to {high}." if high else ""


def _control(declared: Any, kind: str, options: tuple[str, ...]) -> str:
    if kind in {"SELECT", "ENUM"}:
        if not options or prop(declared, "allow_custom_value", False):
            return "list"
        return "radio" if prop(declared, "is_radio", False) else "select"
    if kind == "MULTISELECT" and (not options or prop(declared, "allow_custom_value", False)):
        return "area"
    return _CONTROLS.get(kind, "text")


def _options(declared: Any, kind: str) -> tuple[str, ...]:
    if kind in {"BOOLEAN", "BOOL"}:
        return ("true", "false")
    values = prop(declared, "values", prop(declared, "options", ()))
    return tuple(str(each) for each in values)[:_OPTIONS_SHOWN_MAX] if isinstance(values, Sequence) and not isinstance(values, str) else ()


def _default_text(default: Any, kind: str) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, timedelta):
        return format_duration(default)
    if isinstance(default, (dict, list)) or (kind == "JSON" and not isinstance(default, str)):
        return pretty(default)
    return str(default)


def _bound(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return format_duration(value)
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _local(text: str) -> str:
    """A date-time as the browser's field wants it: without zone and fraction."""
    match = re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", text)
    return match[0].replace(" ", "T") if match else ""


def _fill(shown: Field, filled: Filled | None) -> Field:
    if filled is None:
        return shown
    typed = filled.texts.get(shown.id)
    changed: dict[str, Any] = {"errors": tuple(filled.errors.get(shown.id, ())), "enabled": shown.id not in filled.disabled}
    if typed is not None and shown.type not in {"SECRET", "FILE"}:
        changed |= {"value": typed[-1], "values": tuple(typed)}
    elif filled.texts and shown.control == "checks":
        changed["values"] = ()
    return replace(shown, **changed)


def sent(form: Form) -> tuple[Form, Filled]:
    """A browser's form as inputs: empty fields and fields of our own (their names begin with `_`) left out; and what was typed."""
    filled = Filled()
    for name, value in form.texts:
        filled.texts.setdefault(name, []).append(value)
    texts = [(name, _with_zone(name, value, form)) for name, value in form.texts if not name.startswith("_") and value != ""]
    files = [each for each in form.files if each[1]]
    return Form(texts=texts, files=files), filled


def _with_zone(name: str, value: str, form: Form) -> str:
    """Date-time fields carry no zone; a hidden field of ours names them, and they are meant in UTC."""
    if name in form.all("_moment") and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", value):
        return f"{value}:00Z" if value.count(":") == 1 else f"{value}Z"
    return value


def wrong_inputs(found: Iterable[Mapping[str, Any]], filled: Filled) -> bool:
    """Notes the errors of `Orchestrator.validate_inputs` at their fields; whether there are any."""
    wrong = False
    for each in found:
        name = each.get("input")
        name = str(name.get("id") if isinstance(name, Mapping) else name)
        if each.get("enabled") is False:
            filled.disabled.add(name)
            continue
        for error in each.get("errors") or ():
            filled.errors.setdefault(name, []).append(str(error.get("message") if isinstance(error, Mapping) else error))
            wrong = True
    return wrong
