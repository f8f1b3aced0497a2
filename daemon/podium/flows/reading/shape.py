"""From the tree of a text to the data that the models take, guided by the models.

Text stays text where a property wants text (`010`, `yes`, `1.10`), null means absent, and every property that the model does not know
is reported here. On the way each task, trigger, condition, input and task runner is noted in `Shaping.seen`, for the rules.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AliasChoices, BaseModel

from podium.flows.dynamic import has_expression
from podium.flows.models.base import Shaped, Task, Typed
from podium.flows.models.inputs import input_class
from podium.flows.reading.problems import Report, join
from podium.flows.reading.yaml import Fields, Items, Node, Scalar, plain
from podium.flows.types import Types

SECTIONS = ("tasks", "errors", "finally", "afterExecution", "listeners", "triggers")
"""Properties of a flow in the order in which their tasks are told of."""


@dataclass(slots=True)
class Seen:
    """An object whose class is chosen by its `type`. cls: None when the type is not known. via: the property of its parent."""

    what: str
    name: str
    cls: type[BaseModel] | None
    node: Fields
    path: str
    parent: Seen | None
    section: str
    via: str


@dataclass(frozen=True, slots=True)
class Orphan:
    """A task inside a task of unknown type: no model holds it, so it is checked by itself."""

    node: Fields
    path: str
    data: Any


@dataclass(slots=True)
class Shaping:
    """One walk over one document."""

    types: Types
    report: Report
    dialect: str
    seen: list[Seen] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    parent: Seen | None = None
    section: str = ""
    via: str = ""

    def of(self, what: str) -> list[Seen]:
        """The objects of a kind, in the order of SECTIONS, then as written."""
        found = [each for each in self.seen if each.what == what]
        return sorted(found, key=lambda each: SECTIONS.index(each.section) if each.section in SECTIONS else len(SECTIONS))


_NO_TASKS = frozenset({"inputs", "outputs", "labels", "variables", "values", "retry", "taskRunner", "env"})
"""Properties that hold data, in which a `type` means nothing."""

Shaper = Callable[[Node, str, Shaping], Any]


@dataclass(frozen=True, slots=True)
class Property:
    """A property as a model knows it: its YAML name, the other names accepted for it, and how its value is shaped."""

    name: str
    others: tuple[str, ...]
    shaper: Shaper


@cache
def properties(cls: type[BaseModel]) -> dict[str, Property]:
    """Every name that may be written in a map of this class."""
    known: dict[str, Property] = {}
    hidden: frozenset[str] = getattr(cls, "NOT_WRITTEN", frozenset())
    for name, info in cls.model_fields.items():
        alias = info.validation_alias if info.validation_alias is not None else info.alias
        names = [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else [str(alias or name)]
        if name in hidden:
            continue
        found = Property(names[0], tuple(names[1:]), _shaper(info.annotation, tuple(info.metadata)))
        for each in names:
            known.setdefault(each, found)
    return known


@cache
def other_names(cls: type[BaseModel]) -> dict[str, tuple[str, ...]]:
    """For properties with several names: the first → the others."""
    return {each.name: each.others for each in properties(cls).values() if each.others}


def shape_map(cls: type[BaseModel], node: Fields, path: str, shaping: Shaping) -> dict[str, Any]:
    """The data for a model of class `cls`."""
    known = properties(cls)
    data: dict[str, Any] = {}
    for key, entry in node.entries.items():
        found = known.get(key)
        if found is None:
            if not entry.node.given:
                _unknown(cls, node, key, path, shaping)
            continue
        if isinstance(entry.node, Scalar) and entry.node.value is None:
            continue
        if found.name in data:
            hint = f"'{key}' is another name of '{found.name}'; keep one of them"
            shaping.report.problem(entry, join(path, key), "duplicate-key", f"Illegal flow yaml: Duplicate field '{key}'", hint)
        if not path:
            shaping.section = key
        via, shaping.via = shaping.via, found.name
        data[found.name] = found.shaper(entry.node, join(path, key), shaping)
        shaping.via = via
    return data


def _common(base: type[BaseModel], node: Fields, path: str, shaping: Shaping) -> dict[str, Any]:
    """Of an object whose class is not known, what every object of its kind has."""
    known = properties(base)
    return {
        known[key].name: known[key].shaper(entry.node, join(path, key), shaping)
        for key, entry in node.entries.items()
        if key in known and not (isinstance(entry.node, Scalar) and entry.node.value is None)
    }


def _shape_orphans(node: Node, path: str, shaping: Shaping) -> None:
    """Note the tasks that a task of unknown type holds, in whatever list or map."""
    if isinstance(node, Items):
        for index, each in enumerate(node.items):
            _shape_orphan(each, f"{path}[{index}]", shaping)
    elif isinstance(node, Fields):
        for key, entry in node.entries.items():
            if isinstance(entry.node, (Items, Fields)) and key not in _NO_TASKS:
                _shape_orphan(entry.node, join(path, key), shaping)


def _shape_orphan(node: Node, path: str, shaping: Shaping) -> None:
    if not isinstance(node, Fields) or node.text("id") is None or "." not in (node.text("type") or ""):
        _shape_orphans(node, path, shaping)
        return
    shaping.orphans.append(Orphan(node, path, _typed("task", Task)(node, path, shaping)))


def class_name(cls: type[BaseModel]) -> str:
    """What messages call a class: the type of a plug-in, else the model's own name."""
    return str(getattr(cls, "TYPE", "") or cls.__name__)


def _unknown(cls: type[BaseModel], node: Fields, key: str, path: str, shaping: Shaping) -> None:
    names = list(dict.fromkeys(each.name for each in properties(cls).values()))
    by_field = {name: str(info.alias or name) for name, info in cls.model_fields.items()}
    if key in by_field and by_field[key] in names:
        close = [by_field[key]]
    else:
        close = get_close_matches(key, names, n=1, cutoff=0.6) if shaping.report.may_suggest() else []
    hint = f"did you mean '{close[0]}'?" if close else "use one of these properties, or remove it"
    listed = ", ".join(f'"{each}"' for each in names)
    message = f'Unrecognized field "{key}" (class {class_name(cls)}), not marked as ignorable ({len(names)} known properties: {listed})'
    if shaping.dialect == "2.0" and shaping.parent is not None and shaping.parent.what == "trigger" and shaping.parent.node is node:
        message = f'Unrecognized property "{key}" on trigger "{node.text("id")}" ({shaping.parent.name}): it has no property of that name'
    shaping.report.problem(node.entries[key], join(path, key), "unknown-property", message, hint)


# ---- shapers by annotation


def _any(node: Node, path: str, shaping: Shaping) -> Any:
    return plain(node)


def _text(node: Node, path: str, shaping: Shaping) -> Any:
    if isinstance(node, Scalar):
        return None if node.value is None else node.text
    return plain(node)


def _whole(node: Node, path: str, shaping: Shaping) -> Any:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.text  # so that it is refused: true is not 1
    return plain(node)


def _boolean(node: Node, path: str, shaping: Shaping) -> Any:
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or has_expression(node.text):
        return plain(node)
    if node.text.lower() in {"true", "false"}:
        return node.text.lower() == "true"
    message = f"Illegal flow yaml: true or false is expected, not '{_short(node.text)}'"
    shaping.report.problem(node, path, "wrong-type", message, "only true and false are booleans")
    return False


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"


def _items(inner: Shaper) -> Shaper:
    def shape(node: Node, path: str, shaping: Shaping) -> Any:
        if isinstance(node, Items):
            return [inner(each, f"{path}[{index}]", shaping) for index, each in enumerate(node.items)]
        return plain(node)

    return shape


def _map(inner: Shaper) -> Shaper:
    def shape(node: Node, path: str, shaping: Shaping) -> Any:
        if isinstance(node, Fields):
            return {key: inner(entry.node, join(path, key), shaping) for key, entry in node.entries.items()}
        if isinstance(node, Items) and inner is _text:  # labels as a list
            return [_map(_text)(each, path, shaping) for each in node.items]
        return plain(node)

    return shape


def _model(cls: type[BaseModel]) -> Shaper:
    def shape(node: Node, path: str, shaping: Shaping) -> Any:
        return shape_map(cls, node, path, shaping) if isinstance(node, Fields) else plain(node)

    return shape


def _typed(what: str, base: type[BaseModel]) -> Shaper:
    def shape(node: Node, path: str, shaping: Shaping) -> Any:
        if not isinstance(node, Fields):
            return plain(node)
        name = node.text("type")
        cls: type[BaseModel] | None = None
        if name is not None:
            cls = input_class(name) if what == "input" else getattr(shaping.types, what)(name)
        seen = Seen(what, name or "", cls, node, path, shaping.parent, shaping.section, shaping.via)
        shaping.seen.append(seen)
        outer, shaping.parent = shaping.parent, seen
        try:
            if cls is not None:
                return shape_map(cls, node, path, shaping)
            if what == "task":
                _shape_orphans(node, path, shaping)
            return _common(base, node, path, shaping)
        finally:
            shaping.parent = outer

    return shape


def _union(members: Iterable[tuple[Any, tuple[Any, ...]]]) -> Shaper:
    parts = [(annotation, _shaper(annotation, metadata), bool(metadata)) for annotation, metadata in members]
    bases = [annotation for annotation, _, _ in parts]
    plain_text = any(annotation is str and not marked for annotation, _, marked in parts)
    lists = [shaper for annotation, shaper, _ in parts if _origin(annotation) in (list, tuple, set, frozenset)]
    maps = [shaper for annotation, shaper, _ in parts if _origin(annotation) is dict or _is_model(annotation)]
    numbers = any(each in (int, float, Any, object) for each in bases)

    def shape(node: Node, path: str, shaping: Shaping) -> Any:
        if isinstance(node, Items):
            return lists[0](node, path, shaping) if len(lists) == 1 else plain(node)
        if isinstance(node, Fields):
            return maps[0](node, path, shaping) if len(maps) == 1 else plain(node)
        assert isinstance(node, Scalar)
        if isinstance(node.value, bool):
            return node.value if bool in bases or Any in bases else node.text
        if isinstance(node.value, str) and bool in bases and not plain_text and not numbers:
            return _boolean(node, path, shaping)
        return node.value if node.value is None or isinstance(node.value, str) or numbers else node.text

    return shape


def _origin(annotation: Any) -> Any:
    return get_origin(annotation) or annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _shaper(annotation: Any, metadata: tuple[Any, ...]) -> Shaper:
    for mark in metadata:
        if isinstance(mark, Typed):
            return _typed(mark.what, annotation)
        if isinstance(mark, Shaped):
            return _model(mark.model)
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        return _shaper(inner, (*marks, *metadata))
    if origin in (typing.Union, types.UnionType):
        members = list(_members(annotation))
        return _shaper(*members[0]) if len(members) == 1 else _union(members)
    if origin in (list, tuple, set, frozenset):
        args = get_args(annotation)
        return _items(_shaper(args[0], ()) if args else _any)
    if origin is dict:
        args = get_args(annotation)
        return _map(_shaper(args[1], ()) if len(args) == 2 else _any)
    if _is_model(annotation):
        return _model(annotation)
    if annotation in (Any, object, dict, list) or isinstance(annotation, typing.TypeVar):
        return _any
    if annotation is bool:
        return _boolean
    if annotation in (int, float):
        return _whole
    if origin is Literal and not all(isinstance(each, str) for each in get_args(annotation)):
        return _any
    return _text


def _members(annotation: Any, marks: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The members of a union without their Annotated shells, and their marks; unions inside are opened; null is left out."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        marks = (*more, *marks)
    if get_origin(annotation) in (typing.Union, types.UnionType):
        for each in get_args(annotation):
            yield from _members(each)
    elif annotation is not type(None):
        yield annotation, marks
