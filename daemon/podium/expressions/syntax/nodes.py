"""What a template consists of, as the parser gives it. `at` is always the offset of the node in the template, for messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Node:
    """Any part of a template."""

    at: int


@dataclass(slots=True)
class Literal(Node):
    """A text, number, boolean or null."""

    value: Any


@dataclass(slots=True)
class Name(Node):
    """A variable."""

    name: str


@dataclass(slots=True)
class ListLiteral(Node):
    items: list[Node]


@dataclass(slots=True)
class MapLiteral(Node):
    entries: list[tuple[Node, Node]]


@dataclass(slots=True)
class Attribute(Node):
    """`base.key` or `base[key]`."""

    base: Node
    key: Node


@dataclass(slots=True)
class Arguments:
    """The arguments of a call: positional ones, then named ones."""

    positional: list[Node] = field(default_factory=list)
    named: list[tuple[str, Node]] = field(default_factory=list)


@dataclass(slots=True)
class Call(Node):
    """`name(arguments)`: a function or macro."""

    name: str
    arguments: Arguments


@dataclass(slots=True)
class MethodCall(Node):
    """`base.name(arguments)`."""

    base: Node
    name: str
    arguments: Arguments


@dataclass(slots=True)
class FilterCall(Node):
    """`base | name(arguments)`."""

    base: Node
    name: str
    arguments: Arguments


@dataclass(slots=True)
class TestCall(Node):
    """`base is name(arguments)`, or `is not`."""

    base: Node
    name: str
    arguments: Arguments
    negated: bool


@dataclass(slots=True)
class Unary(Node):
    """`not x`, `+x`, `-x`."""

    operator: str
    operand: Node


@dataclass(slots=True)
class Binary(Node):
    """Two operands and what stands between them."""

    operator: str
    left: Node
    right: Node


@dataclass(slots=True)
class Concat(Node):
    """`a ~ b ~ c`, and texts with `#{…}` in them."""

    parts: list[Node]


@dataclass(slots=True)
class Ternary(Node):
    condition: Node
    yes: Node
    no: Node


@dataclass(slots=True)
class Text(Node):
    """Text outside of tags, printed as it is."""

    text: str


@dataclass(slots=True)
class Print(Node):
    """`{{ value }}`."""

    value: Node


@dataclass(slots=True)
class If(Node):
    """branches: condition and body of `if` and each `elseif`."""

    branches: list[tuple[Node, list[Node]]]
    otherwise: list[Node] | None


@dataclass(slots=True)
class For(Node):
    variable: str
    items: Node
    body: list[Node]
    otherwise: list[Node] | None


@dataclass(slots=True)
class Set(Node):
    name: str
    value: Node


@dataclass(slots=True)
class Macro(Node):
    """parameters: names with their default, or None."""

    name: str
    parameters: list[tuple[str, Node | None]]
    body: list[Node]


@dataclass(slots=True)
class Block(Node):
    name: str
    body: list[Node]


@dataclass(slots=True)
class FilterBlock(Node):
    """`{% filter a | b %}body{% endfilter %}`: the filters in order of application."""

    filters: list[tuple[int, str, Arguments]]
    body: list[Node]


@dataclass(slots=True)
class Parsed:
    """A whole template. macros and blocks by name, wherever they stand."""

    body: list[Node]
    macros: dict[str, Macro]
    blocks: dict[str, Block]
