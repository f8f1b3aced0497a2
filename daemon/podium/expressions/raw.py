"""`{% raw %}…{% endraw %}`: the content is hidden before a template is read and put back when everything is rendered.

The tags must stand on one line. A stand-in is as long as what it hides, so that columns in messages stay right.
"""

from __future__ import annotations

import re

_RAW = re.compile(r"\{%-*\s*raw\s*-*%\}(.*?)\{%-*\s*endraw\s*-*%\}")
_OPEN, _FILL = "\ue010", "\ue011"


def hide_raw(text: str) -> tuple[str, dict[str, str]]:
    """The text with stand-ins, and what each stands for."""
    if "endraw" not in text:
        return text, {}
    hidden: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        label = f"{_OPEN}{match.start()}_{_fingerprint(match[1])}{_OPEN}"
        label += _FILL * (len(match[0]) - len(label))
        hidden[label] = match[1]
        return label

    return _RAW.sub(stand_in, text), hidden


def restore_raw(text: str, hidden: dict[str, str]) -> str:
    """The text with the hidden contents in their places."""
    for label, content in hidden.items():
        text = text.replace(label, content)
    return text


def _fingerprint(text: str) -> str:
    """Tells contents of the same place in different templates apart."""
    value = 0
    for char in text:
        value = (value * 31 + ord(char)) & 0xFFFFFF
    return f"{value:x}"
