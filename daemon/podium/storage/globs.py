"""Which paths a list of glob patterns names: `*`, `?`, `[a-z]`, `{a,b}` within one part of a path, `**` across parts.

Called for namespaceFiles, outputFiles, uploads and downloads. What always holds: matching takes time in proportion to the lengths
of pattern and path, whatever the pattern. Source: flow-language 5.15 (the patterns are those of Java's file systems).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from podium.base.errors import LimitError

_ALTERNATIVES_MAX = 256


def matcher(patterns: Iterable[str], *, anywhere: bool = False) -> Callable[[str], bool]:
    """Whether a relative path (no slash in front) matches one of the patterns.

    anywhere: a pattern that begins with a letter, digit or `_` may match in any folder (namespace files), one with a leading
    slash only from the top. Without it every pattern counts from the top (output files).
    """
    compiled = [
        tuple(alternative.split("/"))
        for pattern in patterns
        for alternative in _alternatives(_anchored(pattern.removeprefix("glob:"), anywhere=anywhere))
    ]

    def matches(path: str) -> bool:
        parts = path.split("/")
        return any(_match(each, parts) for each in compiled)

    return matches


def is_pattern(text: str) -> bool:
    """Whether `text` holds a sign that makes it more than a plain path."""
    return any(sign in text for sign in "*?[{")


def _anchored(pattern: str, *, anywhere: bool) -> str:
    if anywhere and re.match(r"\w", pattern):
        return f"**/{pattern}"
    return pattern.removeprefix("./").lstrip("/")


def _alternatives(pattern: str) -> list[str]:
    """`pattern` with every `{a,b}` written out, and `x**y` as the paths it stands for."""
    done: list[str] = []
    todo = [pattern]
    while todo:
        if len(todo) + len(done) > _ALTERNATIVES_MAX:
            raise LimitError(
                f"the pattern {pattern[:100]!r} stands for too many others", hint="use fewer {…} in one pattern", limit=_ALTERNATIVES_MAX
            )
        current = todo.pop()
        braces = re.search(r"\{([^{}]*)\}", current)
        across = re.search(r"[^/]\*\*|\*\*[^/]", current)
        if braces:
            todo.extend(current[: braces.start()] + choice + current[braces.end() :] for choice in braces[1].split(","))
        elif across:
            at = current.index("**", across.start())
            head, tail = current[:at], current[at:].lstrip("*")
            todo.extend([f"{head}*{tail}", f"{head}*/**/*{tail}" if head and not head.endswith("/") else f"{head}**/*{tail}"])
        else:
            done.append(current)
    return done


@lru_cache(maxsize=4096)
def _part(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def _match(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Which prefixes of `parts` the pattern so far can have used up, part by part."""
    reached = {0}
    for each in pattern:
        if each == "**":
            reached = set(range(min(reached), len(parts) + 1))
        else:
            compiled = _part(each)
            reached = {at + 1 for at in reached if at < len(parts) and compiled.match(parts[at])}
        if not reached:
            return False
    return len(parts) in reached
