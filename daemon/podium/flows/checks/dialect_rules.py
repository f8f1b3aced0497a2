"""Dialect 2.0: what language 1.x had and 2.0 has not is refused, with what to write instead. Source: flow-language-2 1, 5, 6, 7 and 8.

In expressions it is a warning, as they fail where they are rendered. What plug-in defaults bring is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from podium.flows.checks.rules import Checked, Rule, maps_in
from podium.flows.reading.dialect import INSIDE
from podium.flows.reading.problems import join
from podium.flows.reading.removed import (
    EXPRESSIONS,
    FLOW,
    GONE_TASKS,
    HTTP_OPTIONS,
    INPUT,
    INPUT_TYPES,
    REPLACED_TASKS,
    TASK,
    TRIGGER,
)
from podium.flows.reading.shape import Seen
from podium.flows.reading.templates import texts
from podium.flows.reading.yaml import Fields, Scalar
from podium.flows.types import PREFIX

_CORE = "io.kestra.plugin.core."
_PATTERNS = tuple((re.compile(pattern), what, hint) for pattern, what, hint in EXPRESSIONS)
_MIGRATE = "`podium migrate` rewrites it"


def _removed(flow: Checked, node: Fields, path: str, names: Mapping[str, str], owner: str) -> None:
    """Report the properties of a map that 2.0 does not have. owner: what messages call the map."""
    for name, now in names.items():
        entry = node.entries.get(name)
        if entry is None or entry.node.given:
            continue
        what = f'Unrecognized field "{name}" ({owner}): language 2.0 does not have it'
        flow.problem(entry, join(path, name), "removed", what, f"{now}; {_MIGRATE}")


def _flow_itself(flow: Checked) -> None:
    _removed(flow, flow.root, "", FLOW, "class Flow")


def _triggers(flow: Checked) -> None:
    for each in flow.shaping.of("trigger"):
        for name, now in TRIGGER.items():
            entry = each.node.entries.get(name)
            if entry is not None and not entry.node.given:
                what = f'Unrecognized property "{name}" on trigger "{each.node.text("id")}" ({each.name}): language 2.0 does not have it, {now}'
                flow.problem(entry, join(each.path, name), "removed", what, f"{now}; {_MIGRATE}")


def _types(flow: Checked) -> None:
    """Old names of types, and types that are gone. Conditions are refused with the property that holds them."""
    for each in flow.shaping.seen:
        kind = each.node.get("type")
        if each.what in ("input", "condition") or not isinstance(kind, Scalar) or kind.given:
            continue
        current = flow.types.canonical(each.name)
        short = current.removeprefix(_CORE)
        if current in GONE_TASKS or (short != current and short in GONE_TASKS):
            hint = GONE_TASKS.get(short) or GONE_TASKS[current]
            flow.problem(kind, each.path, "removed", f"Invalid type: {each.name}: language 2.0 does not have this task", hint)
        elif short != current and short in REPLACED_TASKS:
            now = f"{_CORE}{REPLACED_TASKS[short]}"
            what = f"Invalid type: {each.name}: language 2.0 does not have this task"
            flow.problem(kind, each.path, "removed", what, f"write {now} instead; {_MIGRATE}")
        elif each.cls is not None and current not in (each.name, PREFIX + each.name):
            what = f"Invalid type: {each.name}: language 2.0 knows it as {current} only"
            flow.problem(kind, each.path, "removed", what, f"write type: {current}; {_MIGRATE}")


def _tasks(flow: Checked) -> None:
    for each in flow.shaping.seen:
        if each.what not in ("task", "trigger") or each.cls is None:
            continue
        name = flow.types.canonical(each.name).removeprefix(PREFIX)
        for beginning, names in TASK.items():
            if name.startswith(beginning) and (each.what == "task" or beginning):
                _removed(flow, each.node, each.path, names, f"class {each.name}")
        options = each.node.get("options")
        if name.startswith("core.http.") and isinstance(options, Fields):
            _removed(flow, options, join(each.path, "options"), HTTP_OPTIONS, "class HttpOptions")
        state = each.node.get("state")
        if name == "core.execution.Exit" and isinstance(state, Scalar) and state.text == "CANCELED" and not state.given:
            what = "Illegal flow yaml: 'CANCELED' is not a state of language 2.0"
            flow.problem(state, join(each.path, "state"), "removed", what, f"write CANCELLED; {_MIGRATE}")


def _inputs(flow: Checked) -> None:
    for each in flow.shaping.of("input"):
        wanted = {name: now for name, now in INPUT.items() if _of_input(name, each)}
        _removed(flow, each.node, each.path, wanted, f"input of type {each.name}")
        _input_types(flow, each.node, each.path, ("type", "itemType"))
    for node, path in maps_in(flow.root.get("outputs"), "outputs"):
        _input_types(flow, node, path, ("type",))


def _of_input(name: str, seen: Seen) -> bool:
    return {"options": seen.name == "MULTISELECT", "extension": seen.name == "FILE"}.get(name, True)


def _input_types(flow: Checked, node: Fields, path: str, keys: Iterable[str]) -> None:
    for key in keys:
        kind = node.get(key)
        if isinstance(kind, Scalar) and not kind.given and kind.text in INPUT_TYPES:
            now = INPUT_TYPES[kind.text]
            what = f"Invalid type: {kind.text}: language 2.0 does not have it"
            flow.problem(kind, join(path, key), "removed", what, f"write {key}: {now}; {_MIGRATE}")


def _expressions(flow: Checked) -> None:
    for scalar, path in texts(flow.root, "{{"):
        for inside in INSIDE.findall(scalar.text):
            for pattern, what, hint in _PATTERNS:
                if pattern.search(inside) and not scalar.given:
                    flow.warning(scalar, path, "removed", f"{what} does not exist in language 2.0: rendering this fails", hint)


def _in_2_0(rule: Rule) -> Rule:
    def check(flow: Checked) -> None:
        if flow.dialect == "2.0":
            rule(flow)

    return check


RULES: tuple[Rule, ...] = tuple(map(_in_2_0, (_flow_itself, _triggers, _types, _tasks, _inputs, _expressions)))
