"""jq's syntax: the text of a program as nodes. Every mistake is a Fault that says where in the program it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from podium.base.limits import PATTERN_CHARS_MAX, TEMPLATE_DEPTH_MAX
from podium.expressions.jq.tokens import Token, tokenize
from podium.expressions.runtime import Fault

KEYWORDS = frozenset(
    {"def", "if", "then", "elif", "else", "end", "as", "reduce", "foreach", "try", "catch", "label", "and", "or", "import", "include"}
)
_BINARY = {
    "|": (0, "right"), ",": (1, "left"), "//": (2, "right"), "=": (3, "none"), "|=": (3, "none"), "+=": (3, "none"), "-=": (3, "none"),
    "*=": (3, "none"), "/=": (3, "none"), "%=": (3, "none"), "//=": (3, "none"), "or": (4, "left"), "and": (5, "left"),
    "==": (6, "none"), "!=": (6, "none"), "<": (6, "none"), "<=": (6, "none"), ">": (6, "none"), ">=": (6, "none"),
    "+": (7, "left"), "-": (7, "left"), "*": (8, "left"), "/": (8, "left"), "%": (8, "left"),
}  # fmt: skip
_NO_COMMA = 2


@dataclass(slots=True)
class Node:
    """kind says which part of a program it is; value and parts depend on it."""

    kind: str
    value: Any = None
    parts: tuple[Any, ...] = ()


def parse_program(text: str) -> Node:
    """The program. Raises Fault."""
    if len(text) > PATTERN_CHARS_MAX:
        raise Fault("the jq program is too long", hint=f"the limit is {PATTERN_CHARS_MAX} characters", limit="PATTERN_CHARS_MAX")
    try:
        return _Parser(text).program()
    except RecursionError as exc:
        raise Fault("the jq program is nested too deeply") from exc


def parse_definitions(text: str) -> dict[tuple[str, int], Node]:
    """Function definitions by name and number of parameters."""
    parser = _Parser(text)
    found = {}
    while not parser.at("end", None):
        definition = parser.definition()
        found[definition.value, len(definition.parts[0])] = definition
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.depth = 0
        self.tokens = tokenize(text)
        self.position = 0

    def at(self, kind: str, value: Any) -> bool:
        """Whether the next token is this one."""
        token = self.tokens[self.position]
        return token.kind == kind and (value is None or token.value == value)

    def _accept(self, value: str, kind: str = "mark") -> bool:
        if self.at(kind, value):
            self.position += 1
            return True
        return False

    def _expect(self, value: str | None, kind: str = "mark") -> Any:
        if not self.at(kind, value):
            raise self._unexpected(value or kind)
        token = self.tokens[self.position]
        self.position += 1
        return token.value

    def _unexpected(self, wanted: str) -> Fault:
        token = self.tokens[self.position]
        shown = "the end" if token.kind == "end" else "a string" if token.kind == "string" else f"'{token.value}'"
        return Fault(f"jq: unexpected {shown} at position {token.at + 1}, expected {wanted}")

    def program(self) -> Node:
        node = self.pipe()
        if not self.at("end", None):
            raise self._unexpected("the end")
        return node

    def definition(self) -> Node:
        """`def name(params): body;`"""
        self._expect("def", "name")
        name = self._expect(None, "name")
        params: list[str] = []
        if self._accept("("):
            while True:
                params.append(self._expect(None, "variable") if self.at("variable", None) else self._expect(None, "name"))
                if self._accept(")"):
                    break
                self._expect(";")
        self._expect(":")
        body = self.pipe()
        self._expect(";")
        return Node("function", name, (tuple(params), body))

    def pipe(self) -> Node:
        """A whole expression."""
        if self.at("name", "def"):
            definition = self.definition()
            return Node("def", definition, (self.pipe(),))
        return self.binary(0)

    def binary(self, minimum: int) -> Node:
        """An expression of operators that bind at least as tightly as `minimum`."""
        self.depth += 1
        if self.depth > TEMPLATE_DEPTH_MAX:
            raise Fault("the jq program is nested too deeply", hint=f"the limit is {TEMPLATE_DEPTH_MAX} levels")
        left = self._operand()
        while True:
            token = self.tokens[self.position]
            binding = _BINARY.get(token.value) if token.kind in ("mark", "name") and isinstance(token.value, str) else None
            if binding is None or binding[0] < minimum:
                break
            self.position += 1
            level, side = binding
            right = self.pipe() if token.value == "|" else self.binary(level if side == "right" else level + 1)
            left = Node("binary", token.value, (left, right))
            if side == "none":
                following = self.tokens[self.position]
                if following.kind == "mark" and _BINARY.get(following.value, (None,))[0] == level:
                    raise self._unexpected("parentheses, since these operators cannot be chained")
        self.depth -= 1
        return left

    def _operand(self) -> Node:
        token = self.tokens[self.position]
        if token.kind == "mark" and token.value == "-":
            self.position += 1
            return Node("negate", None, (self._operand(),))
        if token.kind == "name" and token.value in ("def", "label", "import", "include"):
            return self._statement(token.value)
        term = self._postfix()
        if self._accept("as", "name"):
            patterns = self._patterns()
            self._expect("|")
            return Node("as", patterns, (term, self.pipe()))
        return term

    def _statement(self, keyword: str) -> Node:
        if keyword == "def":
            return self.pipe()
        self.position += 1
        if keyword == "label":
            name = self._expect(None, "variable")
            self._expect("|")
            return Node("label", name, (self.pipe(),))
        raise Fault("jq: modules cannot be imported here")

    def _patterns(self) -> list[Node]:
        patterns = [self._pattern()]
        while self._accept("?//"):
            patterns.append(self._pattern())
        return patterns

    def _pattern(self) -> Node:
        if self.at("variable", None):
            return Node("bind", self._expect(None, "variable"))
        if self._accept("["):
            items = [self._pattern()]
            while self._accept(","):
                items.append(self._pattern())
            self._expect("]")
            return Node("bind list", None, tuple(items))
        self._expect("{")
        entries: list[tuple[Node | None, Node | None, Node | None]] = []
        while True:
            variable = Node("bind", self._expect(None, "variable")) if self.at("variable", None) else None
            key = self._key() if variable is None else Node("literal", variable.value[1:])
            inner = self._pattern() if (variable is None and self._expect(":")) or self._accept(":") else None
            entries.append((variable, key, inner))
            if not self._accept(","):
                break
        self._expect("}")
        return Node("bind map", None, tuple(entries))

    def _key(self) -> Node:
        """The key of a map: a name, string, or expression in parentheses."""
        token = self.tokens[self.position]
        if token.kind in ("name", "number"):
            self.position += 1
            return Node("literal", token.value)
        if token.kind in ("string", "format"):
            return self._text()
        self._expect("(")
        inner = self.pipe()
        self._expect(")")
        return inner

    def _postfix(self) -> Node:
        node = self._term()
        while True:
            token = self.tokens[self.position]
            if token.kind == "field":
                self.position += 1
                node = Node("index", None, (node, Node("literal", token.value[1:])))
            elif token.kind == "mark" and token.value == "." and self.tokens[self.position + 1].kind == "string":
                self.position += 1
                node = Node("index", None, (node, self._text()))
            elif token.kind == "mark" and token.value == "." and self.tokens[self.position + 1].value == "[":
                self.position += 1
            elif self._accept("["):
                node = self._bracket(node)
            elif self._accept("?"):
                node = Node("try", None, (node, None))
            else:
                return node

    def _bracket(self, base: Node) -> Node:
        if self._accept("]"):
            return Node("iterate", None, (base,))
        if self._accept(":"):
            end = self.pipe()
            self._expect("]")
            return Node("slice", None, (base, None, end))
        start = self.pipe()
        if self._accept(":"):
            end_node = None if self.at("mark", "]") else self.pipe()
            self._expect("]")
            return Node("slice", None, (base, start, end_node))
        self._expect("]")
        return Node("index", None, (base, start))

    def _term(self) -> Node:
        token = self.tokens[self.position]
        if token.kind in ("string", "format"):
            return self._text()
        self.position += 1
        if token.kind == "number":
            return Node("literal", _number(token.value))
        if token.kind == "field":
            return Node("index", None, (Node("identity"), Node("literal", token.value[1:])))
        if token.kind == "variable":
            return Node("variable", token.value)
        if token.kind == "name":
            return self._named(token.value)
        if token.kind == "mark":
            if token.value == ".":
                if self.at("string", None):
                    return Node("index", None, (Node("identity"), self._text()))
                return Node("identity")
            if token.value == "..":
                return Node("call", "recurse", ())
            if token.value == "(":
                inner = self.pipe()
                self._expect(")")
                return inner
            if token.value == "[":
                body = None if self.at("mark", "]") else self.pipe()
                self._expect("]")
                return Node("array", None, (body,))
            if token.value == "{":
                return self._object()
        self.position -= 1
        raise self._unexpected("an expression")

    def _named(self, name: str) -> Node:
        if name == "if":
            return self._if()
        if name in ("reduce", "foreach"):
            return self._fold(name)
        if name == "try":
            body = self._postfix()
            return Node("try", None, (body, self._postfix() if self._accept("catch", "name") else None))
        if name == "break":
            return Node("break", self._expect(None, "variable"))
        if name in KEYWORDS:
            self.position -= 1
            raise self._unexpected("an expression")
        arguments: list[Node] = []
        if self._accept("("):
            arguments.append(self.pipe())
            while self._accept(";"):
                arguments.append(self.pipe())
            self._expect(")")
        return Node("call", name, tuple(arguments))

    def _if(self) -> Node:
        condition = self.pipe()
        self._expect("then", "name")
        yes = self.pipe()
        if self._accept("elif", "name"):
            return Node("if", None, (condition, yes, self._if()))
        no = self.pipe() if self._accept("else", "name") else Node("identity")
        self._expect("end", "name")
        return Node("if", None, (condition, yes, no))

    def _fold(self, name: str) -> Node:
        source = self._postfix()
        self._expect("as", "name")
        patterns = self._patterns()
        self._expect("(")
        parts = [self.pipe()]
        while self._accept(";"):
            parts.append(self.pipe())
        self._expect(")")
        if len(parts) != 2 and not (name == "foreach" and len(parts) == 3):
            raise Fault(f"jq: {name} needs an initial value and an update")
        return Node(name, patterns, (source, *parts))

    def _object(self) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self._accept("}"):
            if entries:
                self._expect(",")
                if self._accept("}"):
                    break
            entries.append(self._entry())
        return Node("object", None, tuple(entries))

    def _entry(self) -> tuple[Node, Node]:
        token = self.tokens[self.position]
        if token.kind == "variable":
            self.position += 1
            return Node("literal", token.value[1:]), Node("variable", token.value)
        in_parens = token.kind == "mark" and token.value == "("
        key = self._key()
        if self._accept(":"):
            value = self.binary(_NO_COMMA)
            while self._accept("|"):
                value = Node("binary", "|", (value, self.binary(_NO_COMMA)))
            return key, value
        if in_parens:
            raise self._unexpected("a value for the key")
        return key, Node("index", None, (Node("identity"), key))

    def _text(self) -> Node:
        """A string, a format, or a format applied to a string."""
        form = self._expect(None, "format") if self.at("format", None) else None
        if not self.at("string", None):
            return Node("format", form)
        pieces = self._expect(None, "string")
        if all(isinstance(piece, str) for piece in pieces):
            return Node("literal", "".join(pieces))
        return Node("text", form, tuple(piece if isinstance(piece, str) else self._inner(piece) for piece in pieces))

    def _inner(self, tokens: list[Token]) -> Node:
        """The expression of an interpolation."""
        outer = self.tokens, self.position
        self.tokens, self.position = tokens, 0
        node = self.program()
        self.tokens, self.position = outer
        return node


def _number(text: str) -> int | float:
    if text.isdecimal():
        return int(text) if len(text) < 400 else float(text)
    return float(text)
