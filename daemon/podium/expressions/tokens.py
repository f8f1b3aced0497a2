"""The code inside a template as names, signs and texts with their places: for those who rewrite templates. Called by flows/migrate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from podium.base.errors import ExpressionError
from podium.expressions.runtime import Source
from podium.expressions.syntax import lexer

_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}")
_KINDS: dict[str, Literal["name", "sign", "number", "text", "open", "close", "other"]] = {
    lexer.NAME: "name", lexer.OPERATOR: "sign", lexer.PUNCTUATION: "sign", lexer.NUMBER: "number", lexer.STRING: "text", lexer.PRINT: "open",
    lexer.TAG: "open", lexer.PRINT_END: "close", lexer.TAG_END: "close",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of code. at, end: where it stands; of a text, with its quotes. value: what it means."""

    kind: Literal["name", "sign", "number", "text", "open", "close", "other"]
    value: str
    at: int
    end: int


def code_tokens(template: str) -> list[Token]:
    """The tokens of every `{{ … }}` and `{% … %}`, in order; none for a template that cannot be read. Raw and verbatim parts have none."""
    if "{{" not in template and "{%" not in template:
        return []
    hidden = _RAW.sub(lambda found: " " * len(found[0]), template)
    try:
        found = lexer.tokenize(Source(hidden))
    except ExpressionError:
        return []
    tokens: list[Token] = []
    for token, following in zip(found, [*found[1:], None], strict=True):
        if token.kind in (lexer.TEXT, lexer.END):
            continue
        kind = _KINDS.get(token.kind, "other")
        end = token.at + len(token.value)
        if kind == "text":
            end = _end_of_text(hidden, token.at, following.at if following is not None else len(hidden))
        elif kind == "close":
            end = token.at + 2
        tokens.append(Token(kind, token.value, token.at, end))
    return tokens


def _end_of_text(template: str, at: int, limit: int) -> int:
    """Behind the closing quote. A piece of a text with `#{…}` ends where the next token begins."""
    quote = template[at]
    if quote not in "'\"":
        return limit
    position = at + 1
    while position < limit and template[position] != quote:
        position += 2 if template[position] == "\\" else 1
    return min(position + 1, limit)
