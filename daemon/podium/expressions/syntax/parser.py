"""Expressions: a Pratt parser over the lexer's tokens. `statements` builds on it and is what the compiler calls.

Precedence is the language reference's; `??`, `???` and `isIn` bind as `==` in dialect 2.0 and tighter than `~` before.
Nesting is bounded (TEMPLATE_DEPTH_MAX); every mistake is an ExpressionError with line and column.
"""

from __future__ import annotations

from podium.base.errors import ExpressionError
from podium.base.limits import TEMPLATE_DEPTH_MAX
from podium.expressions.runtime import Source
from podium.expressions.syntax import lexer
from podium.expressions.syntax.lexer import NAME, NUMBER, OPERATOR, PUNCTUATION, STRING, Token
from podium.expressions.syntax.nodes import (
    Arguments,
    Attribute,
    Binary,
    Call,
    Concat,
    FilterCall,
    ListLiteral,
    Literal,
    MapLiteral,
    MethodCall,
    Name,
    Node,
    Ternary,
    TestCall,
    Unary,
)

_BINDING = {
    "or": 10,
    "and": 15,
    "is": 20,
    "contains": 20,
    "==": 30,
    "equals": 30,
    "!=": 30,
    ">": 30,
    "<": 30,
    ">=": 30,
    "<=": 30,
    "+": 40,
    "-": 40,
    "*": 60,
    "/": 60,
    "%": 60,
    "|": 100,
    "~": 110,
    "..": 120,
}
BINDING = {
    "1.x": _BINDING | {"??": 120, "???": 120, "isIn": 120},
    "2.0": _BINDING | {"??": 30, "???": 30, "isIn": 30},
}
"""How tightly each operator binds, by dialect."""

_UNARY = frozenset({"not", "+", "-"})
_UNARY_BINDING = 500
_CONSTANTS = {"true": True, "TRUE": True, "false": False, "FALSE": False} | dict.fromkeys(("null", "NULL", "none", "NONE"))
_RESERVED = frozenset({"true", "false", "null", "none"})
_LONG_MAX = 2**63 - 1


class Parser:
    """Reads expressions from a list of tokens."""

    def __init__(self, source: Source, dialect: str) -> None:
        self.source = source
        self.tokens = lexer.tokenize(source)
        self.position = 0
        self.depth = 0
        self.binding = BINDING[dialect]

    @property
    def current(self) -> Token:
        """The token that is read next."""
        return self.tokens[self.position]

    def advance(self) -> Token:
        """Take the current token. The last one, END, is never passed."""
        token = self.tokens[self.position]
        if token.kind != lexer.END:
            self.position += 1
        return token

    def at(self, kind: str, value: str | None = None) -> bool:
        """Whether the current token is of this kind (and value)."""
        token = self.tokens[self.position]
        return token.kind == kind and (value is None or token.value == value)

    def accept(self, kind: str, value: str | None = None) -> bool:
        """Take the current token if it is the one named."""
        if self.at(kind, value):
            self.position += 1
            return True
        return False

    def expect(self, kind: str, value: str | None = None) -> Token:
        """Take the current token, which must be the one named."""
        if not self.at(kind, value):
            raise self.unexpected(f'expected "{value}"' if value else f"expected a {kind}")
        return self.advance()

    def unexpected(self, hint: str = "") -> ExpressionError:
        """The error of a token that cannot stand here."""
        token = self.current
        shown = token.value if token.kind not in (STRING, lexer.TEXT) else token.kind
        what = f"Unexpected {token.kind}" if token.kind == lexer.END or not shown else f'Unexpected "{shown}"'
        return self.source.error(token.at, what, hint)

    def enter(self) -> None:
        """Go one level deeper; `self.depth -= 1` comes back."""
        self.depth += 1
        if self.depth > TEMPLATE_DEPTH_MAX:
            raise self.source.error(
                self.current.at, "Nested too deeply", f"the limit is {TEMPLATE_DEPTH_MAX} levels", limit="TEMPLATE_DEPTH_MAX"
            )

    def new_name(self) -> str:
        """The name of something that is being defined."""
        token = self.expect(NAME)
        if token.value in _RESERVED:
            raise self.source.error(token.at, f"Can not assign a value to {token.value}")
        return token.value

    def expression(self, minimum: int = 0) -> Node:
        """An expression whose operators bind at least as tightly as `minimum`. Only a full one (0) may be a ternary."""
        self.enter()
        left = self._operand()
        while True:
            token = self.current
            if token.kind != OPERATOR or (binding := self.binding.get(token.value, -1)) < minimum or binding < 0:
                break
            self.position += 1
            left = self._right_side(left, token, binding)
        if minimum == 0 and self.at(PUNCTUATION, "?"):
            at = self.advance().at
            yes = self.expression()
            self.expect(PUNCTUATION, ":")
            left = Ternary(at, left, yes, self.expression())
        self.depth -= 1
        return left

    def _right_side(self, left: Node, operator: Token, binding: int) -> Node:
        """What stands right of an operator, joined with what stands left."""
        if operator.value == "|":
            name = self.expect(NAME)
            return FilterCall(name.at, left, name.value, self.optional_arguments())
        if operator.value == "is":
            negated = self.accept(OPERATOR, "not")
            name = self.expect(NAME)
            return TestCall(name.at, left, name.value, self.optional_arguments(), negated)
        right = self.expression(binding + 1)
        if operator.value == "~":
            if isinstance(left, Concat):  # joining texts is associative: one flat node for the whole chain
                left.parts.append(right)
                return left
            return Concat(operator.at, [left, right])
        return Binary(operator.at, operator.value, left, right)

    def _operand(self) -> Node:
        token = self.current
        if token.kind == OPERATOR and token.value in _UNARY:
            self.position += 1
            return Unary(token.at, token.value, self.expression(_UNARY_BINDING))
        if token.kind == PUNCTUATION:
            if token.value == "(":
                self.position += 1
                inner = self.expression()
                self.expect(PUNCTUATION, ")")
                return self._postfix(inner)
            if token.value == "[":
                return self._list()
            if token.value == "{":
                return self._map()
        return self._postfix(self._simple(token))

    def _simple(self, token: Token) -> Node:
        if token.kind == NAME:
            self.position += 1
            if token.value in _CONSTANTS:
                return Literal(token.at, _CONSTANTS[token.value])
            if self.at(PUNCTUATION, "("):
                return Call(token.at, token.value, self.arguments())
            return Name(token.at, token.value)
        if token.kind == NUMBER:
            self.position += 1
            return Literal(token.at, self._number(token))
        if token.kind in (STRING, lexer.INTERPOLATION):
            return self._string()
        raise self.unexpected("an expression belongs here")

    def _number(self, token: Token) -> int | float:
        if "." in token.value:
            return float(token.value)
        digits = token.value.removesuffix("L").lstrip("0") or "0"
        if len(digits) > len(str(_LONG_MAX)) or int(digits) > _LONG_MAX:
            raise self.source.error(token.at, f"The number {digits[:40]} does not fit in 64 bits")
        return int(digits)

    def _string(self) -> Node:
        """A string, or pieces of text and `#{…}` in turn."""
        at = self.current.at
        parts: list[Node] = []
        after_text = False
        while True:
            if self.at(STRING) and not after_text:
                token = self.advance()
                parts.append(Literal(token.at, token.value))
                after_text = True
            elif self.accept(lexer.INTERPOLATION):
                parts.append(self.expression())
                self.expect(lexer.INTERPOLATION_END)
                after_text = False
            else:
                break
        return parts[0] if len(parts) == 1 else Concat(at, parts)

    def _postfix(self, node: Node) -> Node:
        """`.name`, `[key]` and `.name(…)` behind an operand."""
        while True:
            token = self.current
            if token.kind != PUNCTUATION or token.value not in (".", "["):
                if token.kind == PUNCTUATION and token.value == "(":
                    raise self.unexpected("only a name can be called")
                return node
            self.position += 1
            if token.value == "[":
                node = Attribute(token.at, node, self.expression())
                self.expect(PUNCTUATION, "]")
                continue
            if not (self.at(NAME) or (self.at(OPERATOR) and self.current.value in lexer.OPERATOR_WORDS)):
                raise self.unexpected('a name belongs behind the "."; for other keys write m["key"], for a list l[0]')
            name = self.advance()
            if self.at(PUNCTUATION, "("):
                arguments = self.arguments()
                if arguments.named:
                    raise self.source.error(name.at, "Can not use named arguments when calling a method")
                node = MethodCall(name.at, node, name.value, arguments)
            else:
                node = Attribute(name.at, node, Literal(name.at, name.value))

    def optional_arguments(self) -> Arguments:
        """Arguments in parentheses if there are any."""
        return self.arguments() if self.at(PUNCTUATION, "(") else Arguments()

    def arguments(self) -> Arguments:
        """Arguments in parentheses, positional ones before named ones."""
        self.expect(PUNCTUATION, "(")
        found = Arguments()
        while not self.at(PUNCTUATION, ")"):
            if found.positional or found.named:
                self.expect(PUNCTUATION, ",")
            following = self.tokens[min(self.position + 1, len(self.tokens) - 1)]
            if following.kind == PUNCTUATION and following.value == "=":
                name = self.new_name()
                self.expect(PUNCTUATION, "=")
                found.named.append((name, self.expression()))
                continue
            at = self.current.at
            value = self.expression()
            if found.named:
                raise self.source.error(at, "Positional arguments must be declared before any named arguments")
            found.positional.append(value)
        self.advance()
        return found

    def _list(self) -> Node:
        at = self.advance().at
        items: list[Node] = []
        if self.accept(PUNCTUATION, "]"):
            return ListLiteral(at, items)
        while True:
            items.append(self.expression())
            if self.accept(PUNCTUATION, "]"):
                return ListLiteral(at, items)
            self.expect(PUNCTUATION, ",")

    def _map(self) -> Node:
        at = self.advance().at
        entries: list[tuple[Node, Node]] = []
        if self.accept(PUNCTUATION, "}"):
            return MapLiteral(at, entries)
        while True:
            key = self.expression()
            self.expect(PUNCTUATION, ":")
            entries.append((key, self.expression()))
            if self.accept(PUNCTUATION, "}"):
                return MapLiteral(at, entries)
            self.expect(PUNCTUATION, ",")

