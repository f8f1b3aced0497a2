"""`Dyn[T]`: a property of a task that may be written as a value of T or as text holding an expression.

A model holds what was written. Before a task runs, `rendering` makes a copy of it in which every `Dyn[T]` field is a T.
So a type checker reads `Dyn[T]` as T, while validation accepts T or a template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, WithJsonSchema

T = TypeVar("T")
CHOICE_MARK = "x-choice-by-type"
"""Stands in a generated JSON Schema where flows/schema puts a reference: to the choice of a kind of plug-in, or to `expression`."""
EXPRESSION_PATTERN = r"\{\{|\{%"
"""What text with an expression or a tag has in it; as `has_expression`."""


class Dynamic:
    """Marks a field whose value is rendered before the task runs. `inner` is the type that rendering must give."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner


def has_expression(text: str) -> bool:
    """Whether `text` holds an expression or a tag."""
    return "{{" in text or "{%" in text


def _require_expression(text: str) -> str:
    if not has_expression(text):
        raise ValueError("neither a value of the right type nor an expression {{ … }}")
    return text


TemplateText = Annotated[str, AfterValidator(_require_expression), WithJsonSchema({CHOICE_MARK: "expression"})]

if TYPE_CHECKING:
    Dyn = Annotated[T, "dynamic"]
else:

    class Dyn:
        """See the module's docstring."""

        def __class_getitem__(cls, inner: Any) -> Any:
            accepted = str if inner is str else inner | TemplateText if not isinstance(inner, str) else inner
            return Annotated[accepted, Dynamic(inner)]
