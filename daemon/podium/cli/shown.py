"""What commands print, made fit for a terminal and for programs, whatever people put into names and values. Used by all commands."""

from __future__ import annotations

import json
import re
from typing import Any

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_BUT_COLOURS = re.compile(f"(\x1b\\[[0-9;]*m)|{_CONTROL.pattern}")
_RESET = "\x1b[0m"


def printable(text: str) -> str:
    """Text that may go to a terminal: control characters are escaped, but for line ends and tabs; so is half a surrogate pair."""
    return _CONTROL.sub(lambda match: _escaped(match[0]), text)


def printable_log(text: str) -> str:
    """The same for what a task wrote: its colours stay, and end with it."""
    if "\x1b" not in text:
        return printable(text)
    return _CONTROL_BUT_COLOURS.sub(lambda match: match[1] or _escaped(match[0]), text) + _RESET


def on_one_line(text: str) -> str:
    """As `printable`, with line ends and tabs escaped too: for names."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON that is UTF-8 whatever is in it (names of files need not be text)."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
