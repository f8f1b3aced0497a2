"""Plug-in defaults: values that a flow, a namespace or the instance gives to every plug-in of a type. Called by flows/load.

Source: flow-language 1.4, with these readings of it. Among several defaults that are not forced the longer type wins, then the earlier
one. Forced ones of the flow are applied before forced ones of the instance, so that the instance has the last word; within one level
the earlier wins. Lists are joined. Parents get their values first, so that an object which a default brings gets its own defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.base.limits import YAML_DEPTH_MAX, YAML_NODES_MAX
from podium.flows.reading.problems import Report, join, key_of
from podium.flows.reading.shape import properties
from podium.flows.reading.yaml import Entry, Fields, Items, Node, Scalar, node_of
from podium.flows.types import PREFIX, Types

NAMES = ("pluginDefaults", "taskDefaults")
"""The property of a flow, and its older name."""


@dataclass(frozen=True, slots=True)
class Default:
    """Values for every plug-in whose type is `type` or begins with it. ref: only for plug-ins that name it in pluginDefaultsRef."""

    type: str
    forced: bool
    values: Fields
    ref: str | None = None


def inject(root: Fields, given: Sequence[Mapping[str, Any]], types: Types, report: Report) -> Fields:
    """The flow with every default merged in; what defaults bring is marked `given`. Mistakes in the flow's own defaults are reported."""
    own = _own_defaults(root, types, report)
    outer = [each for each in map(_outer_default, given) if each is not None]
    if not own and not outer:
        return root
    own, outer = _with_canonical(own, types), _with_canonical(outer, types)
    soft = [each for each in (*own, *outer) if not each.forced]
    hard = [each for level in (own, outer) for each in reversed(level) if each.forced]
    walk = _Walk(soft, hard, types)
    try:
        entries = {
            key: entry if key in NAMES else Entry(entry.line, entry.column, walk.into(entry.node, 1)) for key, entry in root.entries.items()
        }
    except _Endless:
        at = key_of(root, next((name for name in NAMES if name in root.entries), "id"))
        what = "plug-in defaults that bring plug-ins of the same type never end"
        report.problem(at, NAMES[0], "limit-reached", what, "leave out of `values` what has a `type` that the default itself applies to")
        return root
    return Fields(root.line, root.column, entries)


def _own_defaults(root: Fields, types: Types, report: Report) -> list[Default]:
    found: list[Default] = []
    for name in NAMES:
        node = root.get(name)
        for index, each in enumerate(node.items if isinstance(node, Items) else []):
            if isinstance(each, Fields):
                default = _own_default(each, f"{name}[{index}]", types, report)
                if default is not None:
                    found.append(default)
    return found


def _own_default(node: Fields, path: str, types: Types, report: Report) -> Default | None:
    kind, values = node.text("type"), node.get("values")
    if values is None or (isinstance(values, Scalar) and values.value is None):
        report.problem(key_of(node, "values"), join(path, "values"), "plugin-default", "No 'values' provided", "add values:")
        return None
    if not isinstance(values, Fields):
        return None  # the model says what is wrong
    for key, entry in values.entries.items():
        if isinstance(entry.node, Scalar) and entry.node.value is None:
            what = f"No value provided for key '{key}'"
            report.problem(entry, join(path, f"values.{key}"), "plugin-default", what, "write a value or remove the key")
    if not kind:
        return None
    _check_names(kind, values, path, types, report)
    forced = node.get("forced")
    return Default(kind, isinstance(forced, Scalar) and forced.value is True, _as_given(values), node.text("ref"))


def _check_names(kind: str, values: Fields, path: str, types: Types, report: Report) -> None:
    cls = types.any(kind)
    if cls is None:
        return
    known = properties(cls)
    for key, entry in values.entries.items():
        if key not in known:
            what = f"Invalid Plugin Default: No property '{key}' exists in plugin '{kind}'"
            hint = f"known properties: {', '.join(dict.fromkeys(each.name for each in known.values()))}"
            report.problem(entry, join(path, f"values.{key}"), "plugin-default", what, hint)


def _outer_default(given: Mapping[str, Any]) -> Default | None:
    kind, values = given.get("type"), given.get("values")
    if not isinstance(kind, str) or not kind or not isinstance(values, Mapping):
        return None
    node = node_of(dict(values), 0, 0)
    assert isinstance(node, Fields)
    ref = given.get("ref")
    return Default(kind, given.get("forced") is True, node, ref if isinstance(ref, str) else None)


def _with_canonical(defaults: list[Default], types: Types) -> list[Default]:
    """With a copy under the current name of each default whose type is an alias."""
    copies = [(each, types.canonical(each.type)) for each in defaults]
    return [*defaults, *(Default(name, each.forced, each.values, each.ref) for each, name in copies if name != each.type)]


def _as_given(node: Node) -> Any:
    """A copy at the same places, marked as not written at its target."""
    copy: Node
    if isinstance(node, Fields):
        entries = {key: Entry(each.line, each.column, _as_given(each.node)) for key, each in node.entries.items()}
        copy = Fields(node.line, node.column, entries)
    elif isinstance(node, Items):
        copy = Items(node.line, node.column, [_as_given(each) for each in node.items])
    else:
        assert isinstance(node, Scalar)
        copy = Scalar(node.line, node.column, node.text, node.value, plain=node.plain, block=node.block)
    copy.given = True
    return copy


class _Endless(Exception):
    """Defaults bring plug-ins to which they apply again, without end."""


class _Walk:
    """Goes through a tree and merges the defaults into every map with a `type`."""

    def __init__(self, soft: list[Default], hard: list[Default], types: Types) -> None:
        self._soft = sorted(soft, key=lambda each: -len(_full(each.type)))
        self._hard = hard
        self._types = types
        self._nodes = 0

    def into(self, node: Node, depth: int) -> Node:
        self._nodes += 1
        if depth > 2 * YAML_DEPTH_MAX or self._nodes > 2 * YAML_NODES_MAX:
            raise _Endless
        if isinstance(node, Items):
            items = Items(node.line, node.column, [self.into(each, depth + 1) for each in node.items])
            items.given = node.given
            return items
        if not isinstance(node, Fields):
            return node
        merged = self._merged(node)
        entries = {key: Entry(each.line, each.column, self.into(each.node, depth + 1)) for key, each in merged.entries.items()}
        fields = Fields(node.line, node.column, entries)
        fields.given = node.given
        return fields

    def _merged(self, node: Fields) -> Fields:
        kind = node.get("type")
        if not isinstance(kind, Scalar) or not isinstance(kind.value, str):
            return node
        names = (kind.value, PREFIX + kind.value) if self._types.any(kind.value) is not None else (kind.value,)
        place = node.entries["type"]
        for default in self._soft:
            if _matches(default, names, node):
                node = _merge(_placed(default.values, place), node, node)
        for default in self._hard:
            if _matches(default, names, node):
                node = _merge(node, _placed(default.values, place), node)
        return node


def _matches(default: Default, names: tuple[str, ...], node: Fields) -> bool:
    if default.ref is not None and node.text("pluginDefaultsRef") != default.ref:
        return False
    return any(name.startswith((default.type, _full(default.type))) for name in names)


def _full(name: str) -> str:
    """A type or its beginning with the prefix that may be left out."""
    return name if name.startswith(("io.", "podium.")) else PREFIX + name


def _placed(values: Fields, place: Entry) -> Fields:
    """Values that were not written in this file stand where the `type` of their target stands."""
    if values.line:
        return values
    node = _as_given(values)
    stack: list[Node] = [node]
    while stack:
        each = stack.pop()
        each.line, each.column = place.line, place.column
        if isinstance(each, Items):
            stack.extend(each.items)
        elif isinstance(each, Fields):
            for entry in each.entries.values():
                entry.line, entry.column = place.line, place.column
                stack.append(entry.node)
    assert isinstance(node, Fields)
    return node


def _merge(left: Node, right: Node, place: Node) -> Any:
    """Maps merge, lists are joined (left first), null on the right changes nothing, else the right one wins."""
    if isinstance(left, Fields) and isinstance(right, Fields):
        entries = dict(left.entries)
        for key, entry in right.entries.items():
            old = entries.get(key)
            node = entry.node if old is None else _merge(old.node, entry.node, entry.node)
            entries[key] = Entry(entry.line, entry.column, node)
        merged = Fields(place.line, place.column, entries)
        merged.given = left.given and right.given
        return merged
    if isinstance(left, Items) and isinstance(right, Items):
        joined = Items(place.line, place.column, [*left.items, *right.items])
        joined.given = left.given and right.given
        return joined
    if isinstance(right, Scalar) and right.value is None:
        return left
    return right
