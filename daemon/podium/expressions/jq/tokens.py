"""Cuts a jq program into tokens. A string's token holds its pieces: texts, and the tokens of each `\\(…)`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from podium.base.limits import TEMPLATE_DEPTH_MAX
from podium.expressions.runtime import Fault

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<field>\.[A-Za-z_]\w*)
      | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)
      | (?P<variable>\$[A-Za-z_]\w*)
      | (?P<name>[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)
      | (?P<format>@[A-Za-z0-9_]+)
      | (?P<quote>")
      | (?P<mark>\?//=?|\?//|//=|\|=|\+=|-=|\*=|/=|%=|==|!=|<=|>=|//|\.\.|[.,:;|=<>+*/%?()\[\]{}-])""",
    re.VERBOSE,
)
_STRING_PIECE = re.compile(r'[^"\\]+')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?")


class Token(NamedTuple):
    """kind: name, number, variable, field, format, string, mark or end. at: offset in the program."""

    kind: str
    value: Any
    at: int


def tokenize(text: str) -> list[Token]:
    """The tokens, with an end token as the last. Raises Fault."""
    return _Lexer(text).tokens(0, closing=None)[0]


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0

    def tokens(self, at: int, closing: str | None) -> tuple[list[Token], int]:
        """Tokens from an offset to the end, or up to the parenthesis that closes an interpolation."""
        self.depth += 1
        if self.depth > TEMPLATE_DEPTH_MAX:
            raise Fault("the jq program is nested too deeply")
        tokens: list[Token] = []
        open_parens = 0
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise Fault(f"jq: unexpected character {self.text[at]!r} at position {at + 1}")
            kind, value = str(match.lastgroup), match[0]
            if kind == "quote":
                parts, end = self._string(match.end())
                tokens.append(Token("string", parts, at))
                at = end
                continue
            if kind == "mark" and closing and value in "()":
                open_parens += 1 if value == "(" else -1
                if open_parens < 0:
                    break
            if kind != "space":
                tokens.append(Token(kind, value, at))
            at = match.end()
        else:
            if closing:
                raise Fault("jq: a string is not closed")
        tokens.append(Token("end", None, at))
        self.depth -= 1
        return tokens, at

    def _string(self, at: int) -> tuple[list[Any], int]:
        """The pieces of a string whose opening quote ends at `at`: texts and token lists of `\\(…)`, and where it ends."""
        parts: list[Any] = []
        while at < len(self.text):
            char = self.text[at]
            if char == '"':
                return parts, at + 1
            if char != "\\":
                match = _STRING_PIECE.match(self.text, at)
                assert match is not None
                parts.append(match[0])
                at = match.end()
                continue
            letter = self.text[at + 1 : at + 2]
            if letter == "(":
                tokens, at = self.tokens(at + 2, closing=")")
                parts.append(tokens)
                at += 1
            elif letter == "u" and (code := _UNICODE.match(self.text, at + 1)):
                pair = bytes.fromhex(code[1] + (code[2] or ""))
                parts.append(pair.decode("utf-16-be", "surrogatepass"))
                at = code.end()
            elif letter in _ESCAPES and letter:
                parts.append(_ESCAPES[letter])
                at += 2
            else:
                raise Fault(f"jq: unknown escape \\{letter} at position {at + 1}")
        raise Fault("jq: a string is not closed")
