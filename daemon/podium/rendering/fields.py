"""Which fields of a model are rendered before use, and what type each must have then. Called by `renderer`.

Worked out once a class. A field counts when `Dyn[…]` occurs anywhere in its annotation; a field that holds other models is looked
into, but never one that holds tasks: those are rendered when they run themselves.
"""

from __future__ import annotations

import json
import types
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from podium.expressions.text import java_text
from podium.flows.dynamic import Dynamic
from podium.flows.model import Task, TaskRunner

_UNIONS = (Union, types.UnionType)


@dataclass(frozen=True)
class FieldPlan:
    """One field to look at. name: its attribute. path: its name in the language. wanted: its type once rendered, None if only looked into."""

    name: str
    path: str
    wanted: Any
    nullable: bool

    @cached_property
    def text_wanted(self) -> bool:
        """Whether a text is a right value as it is."""
        return _takes_text(self.wanted)

    @cached_property
    def only_text_wanted(self) -> bool:
        """Whether any text at all is right, without a check."""
        return self.wanted is str or (get_origin(self.wanted) in _UNIONS and set(get_args(self.wanted)) == {str, type(None)})

    @cached_property
    def anything_wanted(self) -> bool:
        """Whether a value of any type is right."""
        return any(each is Any for each in _choices(self.wanted))

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """What checks a rendered value."""
        return TypeAdapter(self.wanted)

    def coerced(self, value: Any) -> Any:
        """A rendered value as the field's type. Raises ValueError saying what is wrong."""
        if isinstance(value, str) and self.only_text_wanted:
            return value
        if isinstance(value, str) and not self.text_wanted:
            value = _parsed(value.strip(), self.wanted)
        try:
            return self.adapter.validate_python(_with_texts(value, self.wanted))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "".join(f"[{each!r}]" for each in first["loc"] if isinstance(each, int) or each in _keys_of(value))
            shown = java_text(first["input"]) if isinstance(first["input"], (str, int, float, bool)) else type(first["input"]).__name__
            raise ValueError(f"{where + ' ' if where else ''}{first['msg']} (got {shown[:200]!r})") from error


@lru_cache(maxsize=4096)
def plan(model: type[BaseModel]) -> tuple[FieldPlan, ...]:
    """The fields of a model that have to be looked at."""
    found = []
    for name, info in model.model_fields.items():
        annotation: Any = info.annotation
        for mark in info.metadata:
            if isinstance(mark, Dynamic):
                annotation = Annotated[annotation, mark]
        dynamic = _has_dynamic(annotation)
        if not dynamic and not _holds_models(annotation):
            continue
        wanted = _resolved(annotation) if dynamic else None
        nullable = dynamic and any(each is type(None) for each in _choices(wanted))
        found.append(FieldPlan(name=name, path=info.alias or name, wanted=wanted, nullable=nullable))
    return tuple(found)


def _has_dynamic(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return any(isinstance(mark, Dynamic) for mark in annotation.__metadata__) or _has_dynamic(annotation.__origin__)
    return any(_has_dynamic(each) for each in get_args(annotation))


def _holds_models(annotation: Any) -> bool:
    """Whether some value of this type is a model with fields to look at, and none is a task."""
    classes = list(_classes(annotation))
    if any(issubclass(each, Task) for each in classes):
        return False
    # What stands for a TaskRunner is one of its kinds, with fields of its own.
    return any(issubclass(each, TaskRunner) or (issubclass(each, BaseModel) and bool(plan(each))) for each in classes)


def _classes(annotation: Any) -> list[type]:
    if get_origin(annotation) is Annotated:
        return _classes(annotation.__origin__)
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [found for each in get_args(annotation) for found in _classes(each)]


def _resolved(annotation: Any) -> Any:
    """The annotation with each `Dyn[T]` in it replaced by T."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        for mark in annotation.__metadata__:
            if isinstance(mark, Dynamic):
                return _resolved(mark.inner)
        return annotation
    if not arguments or not _has_dynamic(annotation):
        return annotation
    inner = tuple(_resolved(each) for each in arguments)
    return Union[inner] if origin in _UNIONS else origin[inner]  # noqa: UP007 (a union of what is known only now)


def _choices(annotation: Any) -> list[Any]:
    """The members of a union, or the one type; marks taken off."""
    if get_origin(annotation) is Annotated:
        return _choices(annotation.__origin__)
    if get_origin(annotation) in _UNIONS:
        return [found for each in get_args(annotation) for found in _choices(each)]
    return [annotation]


def _takes_text(annotation: Any) -> bool:
    return any(each is str for each in _choices(annotation))


def _parsed(text: str, wanted: Any) -> Any:
    """Text for a field that wants no text: JSON for lists, maps and models; scalars are left to the check. Raises ValueError."""
    structured = any(
        get_origin(each) in (list, dict, tuple, set) or each in (list, dict) or (isinstance(each, type) and issubclass(each, BaseModel))
        for each in _choices(wanted)
    )
    if not structured or text[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error} (got {text[:200]!r})") from error


def _with_texts(value: Any, wanted: Any) -> Any:
    """`value` with numbers and booleans as text wherever text and nothing else is wanted."""
    choices = [each for each in _choices(wanted) if each is not type(None)]
    if isinstance(value, (bool, int, float)) and choices == [str]:
        return java_text(value)
    for each in choices:
        arguments = get_args(each)
        if isinstance(value, list) and get_origin(each) in (list, tuple, set):
            return [_with_texts(item, arguments[0]) for item in value]
        if isinstance(value, dict) and get_origin(each) is dict:
            return {java_text(key): _with_texts(item, arguments[1]) for key, item in value.items()}
    return value


def _keys_of(value: Any) -> Any:
    return value if isinstance(value, dict) else ()
