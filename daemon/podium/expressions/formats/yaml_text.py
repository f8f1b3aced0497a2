"""YAML: reads the first document of a text by the rules of YAML 1.1, writes values the way the reference does."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import yaml
from yaml.emitter import Emitter

from podium.base.limits import YAML_DEPTH_MAX
from podium.expressions.runtime import Fault, Meter
from podium.expressions.text import double_text, java_text, to_json

_BOOLEANS = dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)")
_SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
_RESERVED = frozenset(
    each
    for word in ("false", "no", "null", "on", "off", "true", "yes", "n", "y")
    for each in (word, word.capitalize(), word.upper())
)
_QUOTABLE = re.compile(r"[\[\]{},]|(?:^|[ \t])#|:(?:[ \t]|$)")
_NODE_FUEL = 10


def read_yaml(text: str, meter: Meter) -> Any:
    """The first document. Dates stay strings, an alias is its own name. Raises Fault."""
    meter.spend(len(text) >> 3)
    reader = _Reader(meter)
    try:
        return reader.read(text)
    except yaml.YAMLError as exc:
        raise Fault(f"Invalid yaml: {' '.join(str(exc).split())[:300]}") from exc


class _Reader:
    """Builds values from the parser's events, without recursion of its own beyond YAML_DEPTH_MAX."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def read(self, text: str) -> Any:
        events = yaml.parse(text, Loader=yaml.CSafeLoader)
        event = next(events)
        while isinstance(event, (yaml.StreamStartEvent, yaml.DocumentStartEvent)):
            event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            raise Fault("Invalid yaml: there is no document")
        return self._node(event, events, 0)

    def _node(self, event: Any, events: Any, depth: int) -> Any:
        self.meter.spend(1)
        if depth > YAML_DEPTH_MAX:
            raise Fault("Invalid yaml: it is nested too deeply", hint=f"the limit is {YAML_DEPTH_MAX} levels", limit="YAML_DEPTH_MAX")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.AliasEvent):
            return event.anchor
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self._node(event, events, depth + 1))
            return items
        entries: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
                raise Fault("Invalid yaml: a list or map cannot be a key")
            key = str(event.value if isinstance(event, yaml.ScalarEvent) else event.anchor)
            entries[key] = self._node(next(events), events, depth + 1)
        return entries


def _scalar(event: Any) -> Any:
    """The value of a scalar: plain ones by their form, quoted and tagged ones by their tag."""
    text: str = event.value
    tag = (event.tag or "").rpartition(":")[2]
    if tag in ("str", "!") or (not tag and event.style):
        return text
    if text.lower() in _BOOLEANS and text in (text.lower(), text.capitalize(), text.upper()):
        return _BOOLEANS[text.lower()]
    if text in _NULLS:
        return None
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return _SPECIAL.get(text.lower(), text)


def _integer(text: str) -> Any:
    digits = text.replace("_", "").lstrip("+-")
    base = {"0b": 2, "0x": 16}.get(digits[:2], 8 if digits.startswith("0") and len(digits) > 1 else 10)
    try:
        value = int(digits[2:] if base in (2, 16) else digits, base)
    except ValueError:
        return text
    return -value if text.startswith("-") else value


class _IndentedItems(Emitter):
    """PyYAML's emitter with one space before the dash of a list item, as the reference writes."""

    def expect_block_sequence_item(self, first: bool = False) -> None:
        if not first and isinstance(self.event, yaml.SequenceEndEvent):
            super().expect_block_sequence_item(first)
            return
        self.write_indent()
        self.stream.write(" ")
        self.column += 1
        self.write_indicator("-", True, indention=True)
        self.states.append(self.expect_block_sequence_item)
        self.expect_node(sequence=True)


def write_yaml(value: Any, meter: Meter, *, zone: tzinfo, dialect: str) -> str:
    """The value as YAML text that ends with a newline; strings are quoted only where they must be."""
    stream = io.StringIO()
    emitter = _IndentedItems(stream, allow_unicode=True, width=2**31)
    emit = emitter.emit
    emit(yaml.StreamStartEvent())
    emit(yaml.DocumentStartEvent(explicit=False))
    _emit_node(emit, value, meter, zone, dialect)
    emit(yaml.DocumentEndEvent(explicit=False))
    emit(yaml.StreamEndEvent())
    text = stream.getvalue()
    return meter.text(text.removesuffix("...\n"))


def _emit_node(emit: Any, value: Any, meter: Meter, zone: tzinfo, dialect: str) -> None:
    meter.spend(_NODE_FUEL)
    if isinstance(value, Mapping):
        emit(yaml.MappingStartEvent(None, None, True, flow_style=not value))
        for key, item in value.items():
            name = java_text(key)
            emit(_string(name, '"' if _reserved(name) else None))
            _emit_node(emit, item, meter, zone, dialect)
        emit(yaml.MappingEndEvent())
    elif isinstance(value, (list, tuple, set, frozenset)):
        emit(yaml.SequenceStartEvent(None, None, True, flow_style=not value))
        for item in value:
            _emit_node(emit, item, meter, zone, dialect)
        emit(yaml.SequenceEndEvent())
    elif isinstance(value, str):
        meter.spend(len(value) >> 3)
        emit(_string(value, _style(value)))
    else:
        emit(_string(_plain_text(value, zone, dialect), None))


def _string(text: str, style: str | None) -> yaml.ScalarEvent:
    return yaml.ScalarEvent(None, None, (True, True), text, style=style)


def _style(text: str) -> str | None:
    if not text or _reserved(text) or _QUOTABLE.search(text):
        return '"'
    return "|" if "\n" in text else None


def _reserved(text: str) -> bool:
    return not text or text in _RESERVED or text.startswith("~")


def _plain_text(value: Any, zone: tzinfo, dialect: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, float):
        text = double_text(value)
        return text if text[-1].isdigit() else {"NaN": ".NaN", "Infinity": ".inf", "-Infinity": "-.inf"}[text]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (date, time, timedelta)):
        return to_json(value, zone=zone, dialect=dialect).strip('"')
    return java_text(value)
