"""`{% raw %}…{% endraw %}`: the content is hidden before a template is read and put back when everything is rendered.

The tags must stand on one line. A stand-in is as long as what it hides, so that columns in messages stay right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TAG = re.compile(r"\{%-*\s*(raw|endraw)\s*-*%\}")
_OPEN, _FILL = "\ue010", "\ue011"
_STAND_IN = re.compile(f"{_OPEN}[0-9a-f_]+{_OPEN}{_FILL}*")


def hide_raw(text: str) -> tuple[str, dict[str, str]]:
    """The text with stand-ins, and what each stands for."""
    if "endraw" not in text:
        return text, {}
    hidden: dict[str, str] = {}
    pieces: list[str] = []
    done = 0
    for start, end in _pairs(text):
        content = text[start.end() : end.start()]
        label = f"{_OPEN}{start.start()}_{_fingerprint(content)}{_OPEN}"
        label += _FILL * (end.end() - start.start() - len(label))
        hidden[label] = content
        pieces += (text[done : start.start()], label)
        done = end.end()
    return "".join(pieces) + text[done:], hidden


def _pairs(text: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """Opening and closing tags on one line: each closing one with the first opening one before it."""
    opened: re.Match[str] | None = None
    searched = 0
    for tag in _TAG.finditer(text):
        if opened is not None and text.find("\n", searched, tag.start()) >= 0:
            opened = None
        searched = tag.end()
        if tag[1] == "raw":
            opened = opened or tag
        elif opened is not None:
            yield opened, tag
            opened = None


def restore_raw(text: str, hidden: dict[str, str]) -> str:
    """The text with the hidden contents in their places."""
    return _STAND_IN.sub(lambda match: hidden.get(match[0], match[0]), text) if hidden else text


def _fingerprint(text: str) -> str:
    """Tells contents of the same place in different templates apart."""
    value = 0
    for char in text:
        value = (value * 31 + ord(char)) & 0xFFFFFF
    return f"{value:x}"
