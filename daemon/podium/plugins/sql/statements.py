"""SQL text without its meaning: where statements end, where parameters stand, and how a statement is shown. Pure.

Called by the tasks of this room. What always holds: what stands in literals, quoted names, comments and dollar quotes is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN_CHARS = 300
_MASKED_CHARS = 20_000
"""How much of a statement is looked through for what must not be shown; far more than is shown of it."""
_WORD = re.compile(r"[A-Za-z_\u0080-\U0010ffff][\w$]*")
_DOLLAR = re.compile(r"\$(?:[A-Za-z_\u0080-\U0010ffff][\w]*)?\$")
_PRIVATE = re.compile(r"\b(password|secret|token|key|key_id|session_token)(\s*(?:=|:=|\s)\s*)(?:E|e)?'(?:[^']|'')*(?:'|$)", re.IGNORECASE)
_BODY_STARTS = re.compile(r"create\s+(?:or\s+replace\s+)?(?:temp\s+|temporary\s+)?trigger\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a database writes what matters here.

    nested_comments: `/* /* */ */` is one comment. backslashes: E'…' holds backslash escapes. trigger_bodies: CREATE TRIGGER … BEGIN …; END.
    brackets: [name] and `name` are quoted names. marker: the n-th positional parameter, from 1.
    """

    nested_comments: bool = False
    backslashes: bool = False
    trigger_bodies: bool = False
    brackets: bool = False
    marker: Callable[[int], str] = "${}".format


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of SQL text. kind: word, quoted (literal, quoted name or dollar quote), comment, space or sign (one character)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement for the driver: its markers in place, and the values in the order of the markers."""

    sql: str
    values: tuple[Any, ...] = ()


def split(sql: str, dialect: Dialect) -> list[str]:
    """The statements of `sql`, without the semicolons between them and without those that are only space or comments."""
    found: list[str] = []
    current: list[str] = []
    empty = True
    depth = 0
    body = _Body(dialect)
    for piece in pieces(sql, dialect):
        if piece.text == ";" and piece.kind == "sign" and depth <= 0 and not body.open:
            if not empty:
                found.append("".join(current).strip())
            current, empty, depth, body = [], True, 0, _Body(dialect)
            continue
        current.append(piece.text)
        if piece.kind in ("space", "comment"):
            continue
        empty = False
        depth += (piece.text == "(") - (piece.text == ")")
        body.take(piece)
    if not empty:
        found.append("".join(current).strip())
    return found


def bind_named(sql: str, values: Mapping[str, Any], dialect: Dialect) -> Bound:
    """`:name` of every name in `values` as a positional parameter. `::`, other names and text in quotes stay as they are."""
    if not values:
        return Bound(sql)
    out: list[str] = []
    bound: list[Any] = []
    listed = list(pieces(sql, dialect))
    at = 0
    while at < len(listed):
        piece = listed[at]
        following = listed[at + 1] if at + 1 < len(listed) else None
        if piece.text == ":" and piece.kind == "sign" and following is not None:
            if following.text == ":":
                out.append("::")
                at += 2
                continue
            if following.kind == "word" and following.text in values:
                bound.append(values[following.text])
                out.append(dialect.marker(len(bound)))
                at += 2
                continue
        out.append(piece.text)
        at += 1
    return Bound("".join(out), tuple(bound))


def bind_questions(sql: str, dialect: Dialect) -> tuple[str, int]:
    """`?` as positional parameters, and how many there are; `??` is one question mark that belongs to the SQL."""
    out: list[str] = []
    count = 0
    listed = list(pieces(sql, dialect))
    at = 0
    while at < len(listed):
        piece = listed[at]
        if piece.text == "?" and piece.kind == "sign":
            if at + 1 < len(listed) and listed[at + 1].text == "?":
                out.append("?")
                at += 2
                continue
            count += 1
            out.append(dialect.marker(count))
        else:
            out.append(piece.text)
        at += 1
    return "".join(out), count


def shown(statement: str) -> str:
    """A statement as messages show it: on one line, not too long, without what follows PASSWORD, SECRET and their like."""
    text = _PRIVATE.sub(lambda match: f"{match[1]}{match[2]}'********'", " ".join(statement[:_MASKED_CHARS].split()))
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def first_word(statement: str, dialect: Dialect) -> str:
    """The first word of a statement in lower case."""
    return next((piece.text.lower() for piece in pieces(statement, dialect) if piece.kind == "word"), "")


def pieces(sql: str, dialect: Dialect) -> Iterator[Piece]:
    """`sql` cut into pieces that together are `sql`. What is never closed reaches to the end."""
    at, length = 0, len(sql)
    while at < length:
        char = sql[at]
        end, kind = at + 1, "sign"
        if char.isspace():
            kind = "space"
            while end < length and sql[end].isspace():
                end += 1
        elif sql.startswith("--", at):
            end, kind = _to(sql, "\n", at), "comment"
        elif sql.startswith("/*", at):
            end, kind = _comment_end(sql, at, nested=dialect.nested_comments), "comment"
        elif char in "'\"" or (dialect.brackets and char in "`["):
            end, kind = _quoted_end(sql, at + 1, "]" if char == "[" else char, backslashes=False), "quoted"
        elif char == "$" and (tag := _DOLLAR.match(sql, at)):
            end, kind = _to(sql, tag[0], tag.end()), "quoted"
        elif dialect.backslashes and char in "eE" and sql.startswith("'", at + 1):
            end, kind = _quoted_end(sql, at + 2, "'", backslashes=True), "quoted"
        elif word := _WORD.match(sql, at):
            end, kind = word.end(), "word"
        elif char.isdigit():
            kind = "number"
            while end < length and (sql[end].isalnum() or sql[end] == "."):
                end += 1
        yield Piece(kind, sql[at:end])
        at = end


class _Body:
    """Follows a statement to know whether it is inside BEGIN … END, where semicolons end no statement."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._head: list[str] = []
        self._is_body = dialect.trigger_bodies
        self._depth = 0
        self._last = ""

    @property
    def open(self) -> bool:
        return self._depth > 0

    def take(self, piece: Piece) -> None:
        word = piece.text.lower() if piece.kind == "word" else ""
        if len(self._head) < 6:
            self._head.append(piece.text)
        if self._depth:
            self._depth += (word == "case" or (word == "begin" and self._last != "end")) - (word == "end")
        elif self._begins(word):
            self._depth = 1
        self._last = word

    def _begins(self, word: str) -> bool:
        if word == "begin":
            return self._is_body and _BODY_STARTS.match(" ".join(self._head)) is not None
        return word == "atomic" and self._last == "begin" and self._dialect.backslashes and self._head[0].lower() == "create"


def _to(sql: str, mark: str, start: int) -> int:
    found = sql.find(mark, start)
    return len(sql) if found < 0 else found + len(mark)


def _comment_end(sql: str, start: int, *, nested: bool) -> int:
    if not nested:
        return _to(sql, "*/", start + 2)
    depth, at = 0, start
    while at < len(sql):
        if sql.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif sql.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
    return at


def _quoted_end(sql: str, start: int, quote: str, *, backslashes: bool) -> int:
    at = start
    while at < len(sql):
        if backslashes and sql[at] == "\\":
            at += 2
        elif sql[at] == quote:
            if not sql.startswith(quote, at + 1) or quote == "]":
                return at + 1
            at += 2
        else:
            at += 1
    return len(sql)
