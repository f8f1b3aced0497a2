"""Finds what must not be sent to a provider: values of the secrets store, and what looks like a key, token or password. Pure.

What always holds: nothing that is found is repeated in a message: it is named by its kind and line. With the writer's consent each is put behind a
placeholder before anything is sent, and put back into the answer here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podium.base.redact import Redactor

SHORTEST = 6
"""Characters that a known secret must have to be looked for: shorter ones stand in any text."""
_KINDS: tuple[tuple[str, str], ...] = (
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})\b"),
    ("a GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|agent)-[A-Za-z0-9_-]{16,}"),
    ("a Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("a Slack webhook", r"https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"),
    ("an API key", r"\b(?:sk|rk|pk)[-_](?:live[-_]|test[-_]|proj[-_]|ant[-_])?[A-Za-z0-9_-]{20,}"),
    ("a Google API key", r"\bAIza[0-9A-Za-z_-]{30,}"),
    ("a package registry token", r"\b(?:npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,})"),
    ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    ("the password of an address", r"(?<=://)[^\s/:@{}]*:[^\s/@{}]{3,}(?=@)"),
    ("a token of an Authorization header", r"(?i)\b(?:bearer|basic)\s+(?!\{\{)(?=[A-Za-z0-9+/=_.~-]*[0-9])[A-Za-z0-9+/=_.~-]{12,}"),
    (
        "a password or key",
        (r"(?i)[\"']?[a-z0-9_.-]*(?:passw(?:or)?d|passwd|passphrase|secret|(?:api|access|private)[_-]?key|token)[\"']?"
        r"\s*(?:[:=]|\bis\b)\s*(?P<value>\"[^\"\n]{6,}\"|'[^'\n]{6,}'|[^\s\"'{}\[\],;]{6,})"),
    ),
    ("a password or key", r"(?i)\b(?:password|passwd|passphrase|api key|token)\s+(?P<value>(?=[^\s]*[0-9])(?=[^\s]*[a-z])[^\s\"'{}\[\],;()]{6,})"),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
_LONG = re.compile(r"(?<![A-Za-z0-9+/=_:-])[A-Za-z0-9+/_-]{32,}={0,2}(?![A-Za-z0-9+/_-])")
_NO_SECRET = re.compile(
    r"(?i)^(?:\{\{|\$\{|\$[A-Z_]|<|x{4,}|\*{3,}|your[-_ ]|example|changeme|placeholder|redacted|PODIUM_MASKED|secret\(|(?:string|required|optional)$)"
)
_ENTROPY_MIN = 4.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One secret. place: prompt or flow. line: counted from 1. start, end: where in the text."""

    kind: str
    place: str
    line: int
    start: int
    end: int

    @property
    def message(self) -> str:
        """What is said of it; never the secret itself."""
        return f"line {self.line} of the {self.place} holds {self.kind}"


def find_secrets(text: str, *, place: str, known: Mapping[str, str]) -> list[Found]:
    """What of a text must not leave. known: name → value of secrets."""
    spans: list[tuple[int, int, str]] = []
    for name, value in known.items():
        if len(value.strip()) < SHORTEST:
            continue
        forms = sorted((each for each in Redactor([value]).values if len(each) >= SHORTEST), key=len, reverse=True)
        spans += [(at.start(), at.end(), f"the value of the secret '{name}'") for form in forms for at in re.finditer(re.escape(form), text)]
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            group = "value" if "value" in pattern.groupindex else 0
            start, end = match.span(group)
            bare = text[start:end].strip("\"'")
            if not _NO_SECRET.match(bare) and "{{" not in bare and (group == 0 or _may_be_password(bare)):
                spans.append((start, end, kind))
    spans += [(match.start(), match.end(), "what looks like a key") for match in _LONG.finditer(text) if _is_random(match[0])]
    kept: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(spans, key=lambda each: (each[0], -each[1])):
        if kept and start < kept[-1][1]:
            if end > kept[-1][1]:
                kept[-1] = (kept[-1][0], end, kept[-1][2])
            continue
        kept.append((start, end, kind))
    return [Found(kind=kind, place=place, line=text.count("\n", 0, start) + 1, start=start, end=end) for start, end, kind in kept]


def _may_be_password(text: str) -> bool:
    """Whether a value after `password:` may be one: names of things are lower-case words, types and references."""
    return bool(re.search(r"[0-9!#$%^&*+=?@~]", text)) and not re.fullmatch(r"[A-Za-z]+(?:[._-][A-Za-z]+)*\(?", text) and "(" not in text


def _is_random(text: str) -> bool:
    mixed = all(re.search(each, text) for each in ("[a-z]", "[A-Z]", "[0-9]"))
    if not mixed or text.count("/") > 2:
        return False
    counts = Counter(text)
    return -sum(number / len(text) * math.log2(number / len(text)) for number in counts.values()) >= _ENTROPY_MIN


class Mask:
    """Placeholders for what was found, the same for the same text."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def hide(self, text: str, found: Sequence[Found]) -> str:
        """The text with each of `found` behind a placeholder."""
        for each in sorted(found, key=lambda one: -one.start):
            secret = text[each.start : each.end]
            name = self._names.setdefault(secret, f"PODIUM_MASKED_{len(self._names) + 1}")
            text = text[: each.start] + name + text[each.end :]
        return text

    def show(self, text: str) -> str:
        """The text with every placeholder as it was."""
        for secret, name in sorted(self._names.items(), key=lambda each: -len(each[1])):
            text = re.sub(rf"{name}(?![0-9])", secret.replace("\\", "\\\\"), text)
        return text
