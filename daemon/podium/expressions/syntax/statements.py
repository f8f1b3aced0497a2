"""Tags: `parse` gives a whole template as nodes. Called by the compiler."""

from __future__ import annotations

from collections.abc import Callable

from podium.base.errors import ExpressionError
from podium.expressions.runtime import Source
from podium.expressions.syntax import lexer
from podium.expressions.syntax.lexer import NAME, OPERATOR, PUNCTUATION
from podium.expressions.syntax.nodes import Arguments, Block, FilterBlock, For, If, Macro, Node, Parsed, Print, Set, Text
from podium.expressions.syntax.parser import Parser

_CONTINUATIONS = frozenset({"else", "elseif", "endif", "endfor", "endmacro", "endblock", "endfilter", "endverbatim"})


def parse(source: Source, dialect: str) -> Parsed:
    """The template as nodes. Raises ExpressionError."""
    return _Statements(source, dialect).parse()


class _Statements(Parser):
    def __init__(self, source: Source, dialect: str) -> None:
        super().__init__(source, dialect)
        self.macros: dict[str, Macro] = {}
        self.blocks: dict[str, Block] = {}
        self.tags: dict[str, Callable[[int], Node]] = {
            "if": self._if,
            "for": self._for,
            "set": self._set,
            "macro": self._macro,
            "block": self._block,
            "filter": self._filter,
        }

    def parse(self) -> Parsed:
        body, closing = self._body(frozenset())
        assert closing == ""
        return Parsed(body, self.macros, self.blocks)

    def _body(self, closings: frozenset[str]) -> tuple[list[Node], str]:
        """Nodes up to a tag of `closings`, whose name is taken and returned; up to the end without closings."""
        self.enter()
        nodes: list[Node] = []
        opened = self.current.at
        while not self.at(lexer.END):
            token = self.advance()
            if token.kind == lexer.TEXT:
                nodes.append(Text(token.at, token.value))
            elif token.kind == lexer.PRINT:
                nodes.append(Print(token.at, self.expression()))
                self.expect(lexer.PRINT_END)
            else:
                name = self._tag_name()
                if name in closings:
                    self.depth -= 1
                    return nodes, name
                handler = self.tags.get(name)
                if handler is None:
                    raise self._unknown_tag(token.at, name)
                nodes.append(handler(token.at))
        if closings:
            wanted = " or ".join(sorted(name for name in closings if name.startswith("end")))
            raise self.source.error(opened, f"Missing tag {wanted}")
        self.depth -= 1
        return nodes, ""

    def _tag_name(self) -> str:
        if self.at(NAME) or self.at(OPERATOR):
            return self.advance().value
        raise self.unexpected("a tag begins with its name")

    def _unknown_tag(self, at: int, name: str) -> ExpressionError:
        hint = "tags are set, if, for, macro, block, filter, verbatim and raw (on one line)"
        if name in _CONTINUATIONS:
            hint = f"no tag is open that {name} could continue"
        return self.source.error(at, f'Unexpected tag name "{name}"', hint)

    def _close_tag(self) -> None:
        self.expect(lexer.TAG_END)

    def _if(self, at: int) -> Node:
        branches: list[tuple[Node, list[Node]]] = []
        otherwise: list[Node] | None = None
        continuing = "elseif"
        while continuing == "elseif":
            condition = self.expression()
            self._close_tag()
            body, continuing = self._body(frozenset({"elseif", "else", "endif"}))
            branches.append((condition, body))
        if continuing == "else":
            self._close_tag()
            otherwise, _ = self._body(frozenset({"endif"}))
        self._close_tag()
        return If(at, branches, otherwise)

    def _for(self, at: int) -> Node:
        variable = self.new_name()
        keyword = self.current
        if not self.accept(NAME, "in"):
            raise self.source.error(keyword.at, 'Expected "in" in the for tag', "write {% for item in items %}")
        items = self.expression()
        self._close_tag()
        body, continuing = self._body(frozenset({"else", "endfor"}))
        otherwise: list[Node] | None = None
        if continuing == "else":
            self._close_tag()
            otherwise, _ = self._body(frozenset({"endfor"}))
        self._close_tag()
        return For(at, variable, items, body, otherwise)

    def _set(self, at: int) -> Node:
        name = self.new_name()
        if not self.at(PUNCTUATION, "="):
            raise self.unexpected("write {% set name = value %}")
        self.advance()
        value = self.expression()
        self._close_tag()
        return Set(at, name, value)

    def _macro(self, at: int) -> Node:
        name = self.expect(NAME).value
        if name in self.macros:
            raise self.source.error(at, f"More than one macro can not share the same name: {name}")
        parameters: list[tuple[str, Node | None]] = []
        self.expect(PUNCTUATION, "(")
        while not self.accept(PUNCTUATION, ")"):
            if parameters:
                self.expect(PUNCTUATION, ",")
            parameter = self.new_name()
            parameters.append((parameter, self.expression() if self.accept(PUNCTUATION, "=") else None))
        self._close_tag()
        macro = Macro(at, name, parameters, [])
        self.macros[name] = macro
        macro.body, _ = self._body(frozenset({"endmacro"}))
        self._close_tag()
        return Text(at, "")

    def _block(self, at: int) -> Node:
        token = self.advance()
        if token.kind not in (NAME, lexer.STRING):
            raise self.source.error(token.at, "A block needs a name")
        if token.value in self.blocks:
            raise self.source.error(at, f"More than one block can not share the same name: {token.value}")
        block = Block(at, token.value, [])
        self.blocks[token.value] = block
        self._close_tag()
        block.body, _ = self._body(frozenset({"endblock"}))
        if self.at(NAME) or self.at(lexer.STRING):
            ending = self.advance()
            if ending.value != block.name:
                raise self.source.error(ending.at, f'The block "{block.name}" is ended as "{ending.value}"')
        self._close_tag()
        return block

    def _filter(self, at: int) -> Node:
        filters: list[tuple[int, str, Arguments]] = []
        while True:
            name = self.expect(NAME)
            filters.append((name.at, name.value, self.optional_arguments()))
            if not self.accept(OPERATOR, "|"):
                break
        self._close_tag()
        body, _ = self._body(frozenset({"endfilter"}))
        self._close_tag()
        return FilterBlock(at, filters, body)
