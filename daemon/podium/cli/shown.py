"""What commands print, made fit for a terminal and for programs, whatever people put into names and values. Used by all commands."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    """Text that may go to a terminal: control characters are escaped, but for line ends and tabs; so is half a surrogate pair."""
    return "".join(char if char in "\n\t" or _is_plain(char) else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text)


def on_one_line(text: str) -> str:
    """The same, with line ends and tabs escaped too: for names."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON that is UTF-8 whatever is in it (names of files need not be text)."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text if _is_utf8(text) else json.dumps(value, indent=indent)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _is_plain(char: str) -> bool:
    return not (char < " " or "\x7f" <= char < "\xa0" or "\ud800" <= char <= "\udfff")
