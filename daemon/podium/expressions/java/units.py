"""Texts measured as Java does: in UTF-16 units, where a character beyond U+FFFF counts twice. And Java's idea of white space."""

from __future__ import annotations

from podium.expressions.syntax.lexer import WHITESPACE

WHITE = frozenset(WHITESPACE)


def length(text: str) -> int:
    """The length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def part(text: str, start: int, end: int | None = None) -> str:
    """The part between two offsets in UTF-16 units."""
    if text.isascii() or max(text, default="") <= "\uffff":
        return text[start:end]
    encoded = text.encode("utf-16-le", "surrogatepass")
    return encoded[2 * start : None if end is None else 2 * end].decode("utf-16-le", "surrogatepass")


def title_case(char: str) -> str:
    """One character in title case; it stays when that would be several."""
    changed = char.title()
    return changed if len(changed) == 1 else char


def sort_key(text: str) -> bytes | str:
    """What orders texts by UTF-16 unit."""
    return text.encode("utf-16-be", "surrogatepass")
