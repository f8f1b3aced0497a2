"""Cuts a template into tokens. Called by the parser only; every mistake is an ExpressionError with its place."""

from __future__ import annotations

import re
from typing import NamedTuple

from podium.base.limits import TEMPLATE_TOKENS_MAX
from podium.expressions.runtime import Source

TEXT, PRINT, PRINT_END, TAG, TAG_END = "text", "print", "print end", "tag", "tag end"
NAME, OPERATOR, PUNCTUATION, NUMBER, STRING = "name", "operator", "punctuation", "number", "string"
INTERPOLATION, INTERPOLATION_END, END = "interpolation", "interpolation end", "end of the template"

OPERATOR_WORDS = frozenset({"or", "and", "not", "is", "contains", "equals", "isIn"})
WHITESPACE = " \t\n\x0b\f\r\x1c\x1d\x1e\x1f\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u2028\u2029\u205f\u3000"

_OPENING = re.compile(r"\{[{%#]")
_TRIM = re.compile(r"-\s+", re.ASCII)
_SPACE = re.compile(f"[{re.escape(WHITESPACE)}]*")
_PRINT_CLOSE = re.compile(r"\s*(-?)\}\}", re.ASCII)
_TAG_CLOSE = re.compile(r"\s*(-?)%\}", re.ASCII)
_COMMENT_TRIM = re.compile(r"\s-$", re.ASCII)
_VERBATIM = re.compile(r"\s*verbatim\s*-?%\}", re.ASCII)
_VERBATIM_END = re.compile(r"\{%(-)?\s*endverbatim\s*(-)?%\}", re.ASCII)
_INTERPOLATED = re.compile(r'(?:[^"\\#]|\\.|#(?!\{))*', re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<name>[^\W\d]\w*)
      | (?P<number>[0-9]+L(?!\w)|[0-9]+(?:\.[0-9]+)?)
      | (?P<operator>\?\?\?|\?\?|==|!=|<=|>=|\.\.|[<>+*/%|~-])
      | (?P<punctuation>[()\[\]{}?:.,=])
      | (?P<single>'(?:[^'\\]|\\.)*')
      | (?P<double>"(?:[^"\\#]|\\.|\#(?!\{))*")
      | (?P<quote>")""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    """kind: one of the names above. value: the text it means (strings without quotes). at: offset in the template."""

    kind: str
    value: str
    at: int


def tokenize(source: Source) -> list[Token]:
    """The tokens of a template, with an END token as the last."""
    return _Lexer(source).run()


class _Lexer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.at = 0
        self.tokens: list[Token] = []
        self.trim_next = False
        self.open: list[tuple[str, int]] = []
        """Brackets, quotes and `#{` that are open, with where they were opened."""

    def run(self) -> list[Token]:
        while self.at < len(self.text):
            self._data()
        self._add(END, "", len(self.text))
        return self.tokens

    def _add(self, kind: str, value: str, at: int) -> None:
        if len(self.tokens) >= TEMPLATE_TOKENS_MAX:
            raise self.source.error(at, "The template has too many parts", f"the limit is {TEMPLATE_TOKENS_MAX}", limit="TEMPLATE_TOKENS_MAX")
        self.tokens.append(Token(kind, value, at))

    def _add_text(self, text: str, at: int) -> None:
        if text:
            self._add(TEXT, text, at)

    def _data(self) -> None:
        """Text up to the next opening delimiter, and what that opens."""
        begin = self.at
        opening = _OPENING.search(self.text, begin)
        text = self.text[begin : opening.start() if opening else len(self.text)]
        if self.trim_next:
            text = text.lstrip(WHITESPACE)
            self.trim_next = False
        if opening is None:
            self._add_text(text, begin)
            self.at = len(self.text)
            return
        self.at = opening.end()
        if trim := _TRIM.match(self.text, self.at):
            text = text.rstrip(WHITESPACE)
            self.at = trim.end()
        self._add_text(text, begin)
        kind = opening[0]
        if kind == "{#":
            self._comment(opening.start())
        elif kind == "{{":
            self._add(PRINT, kind, opening.start())
            self._code(PRINT_END, _PRINT_CLOSE, opening.start())
        elif verbatim := _VERBATIM.match(self.text, self.at):
            self._verbatim(opening.start(), verbatim.end())
        else:
            self._add(TAG, kind, opening.start())
            self._code(TAG_END, _TAG_CLOSE, opening.start())

    def _comment(self, opened: int) -> None:
        end = self.text.find("#}", self.at)
        if end < 0:
            raise self.source.error(opened, "Unclosed comment", "end it with #}")
        self.trim_next = _COMMENT_TRIM.search(self.text[self.at : end]) is not None
        self.at = end + 2

    def _verbatim(self, opened: int, begin: int) -> None:
        end = _VERBATIM_END.search(self.text, begin)
        if end is None:
            raise self.source.error(opened, "Unclosed verbatim tag", "end it with {% endverbatim %}")
        text = self.text[begin : end.start()].lstrip(WHITESPACE)
        self._add_text(text.rstrip(WHITESPACE) if end[1] else text, begin)
        self.trim_next = end[2] is not None
        self.at = end.end()

    def _code(self, end_kind: str, closing: re.Pattern[str], opened: int) -> None:
        """The tokens up to the closing delimiter."""
        length = len(self.text)
        while True:
            if not self.open and (close := closing.match(self.text, self.at)):
                self.trim_next = bool(close[1])
                self.at = close.end()
                self._add(end_kind, close[0].strip(), close.end() - 2)
                return
            if self.open and self.open[-1][0] == '"':
                self._string_piece()
                continue
            space = _SPACE.match(self.text, self.at)
            self.at = space.end() if space else self.at
            if self.at >= length:
                bracket, at = self.open[-1] if self.open else (self.text[opened : opened + 2], opened)
                raise self.source.error(at, f'Unclosed "{bracket}"')
            if self.open and self.open[-1][0] == "#{" and self.text[self.at] == "}":
                self.open.pop()
                self._add(INTERPOLATION_END, "}", self.at)
                self.at += 1
            elif self.open or not closing.match(self.text, self.at):
                self._token()

    def _token(self) -> None:
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            char = self.text[self.at]
            what = "Unclosed string" if char == "'" else f"Unexpected character [{char}]"
            raise self.source.error(self.at, what)
        kind, value, at = str(match.lastgroup), match[0], self.at
        self.at = match.end()
        if kind == "name":
            self._add(OPERATOR if value in OPERATOR_WORDS else NAME, value, at)
        elif kind == "single":
            self._add(STRING, value[1:-1].replace("\\'", "'"), at)
        elif kind == "double":
            self._add(STRING, value[1:-1].replace('\\"', '"'), at)
        elif kind == "quote":
            self.open.append(('"', at))
        else:
            if kind == PUNCTUATION:
                self._bracket(value, at)
            self._add(kind, value, at)

    def _bracket(self, value: str, at: int) -> None:
        if value in "([{":
            self.open.append((value, at))
        elif value in ")]}":
            opened = self.open.pop()[0] if self.open else ""
            if _CLOSING.get(opened) != value:
                raise self.source.error(at, f'Unclosed "{opened}", found "{value}"' if opened else f'Unexpected "{value}"')

    def _string_piece(self) -> None:
        """Inside a double-quoted string with `#{…}`: its next piece of text, the next `#{` or its end."""
        match = _INTERPOLATED.match(self.text, self.at)
        assert match is not None
        if match.end() > self.at:
            self._add(STRING, match[0].replace('\\"', '"'), self.at)
            self.at = match.end()
        if self.text.startswith("#{", self.at):
            self._add(INTERPOLATION, "#{", self.at)
            self.open.append(("#{", self.at))
            self.at += 2
        elif self.text.startswith('"', self.at):
            self.open.pop()
            self.at += 1
        else:
            raise self.source.error(self.open[-1][1], "Unclosed string")
