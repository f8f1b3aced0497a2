"""Regular expressions that users write, in Java's dialect, on the `regex` package with a limit on time.

The only way to run a pattern that comes from a flow, a template or a request: a hostile one ends with a LimitError instead of
holding the daemon. Patterns are translated from Java's syntax (`\\Q…\\E`, POSIX classes, ASCII `\\d \\w \\s`, `\\k<name>`).
A syntax mistake is a ValueError whose text says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import regex

from podium.base.errors import LimitError
from podium.base.limits import PATTERN_CHARS_MAX, REGEX_TIMEOUT_S, STRING_CHARS_MAX
from podium.base.system.clock import monotonic_s

_CLASSES = {
    "d": "0-9",
    "w": "a-zA-Z_0-9",
    "s": " \\t\\n\\x0b\\f\\r",
    "h": " \\t\\xa0\\u1680\\u180e\\u2000-\\u200a\\u202f\\u205f\\u3000",
    "v": "\\n\\x0b\\f\\r\\x85\\u2028\\u2029",
}
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": "\\x00-\\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": "!-/:-@\\[-`{-\\~",
    "Graph": "!-\\~",
    "Print": " -\\~",
    "Blank": " \\t",
    "Cntrl": "\\x00-\\x1f\\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": " \\t\\n\\x0b\\f\\r",
    "javaLowerCase": "\\p{Ll}",
    "javaUpperCase": "\\p{Lu}",
    "javaWhitespace": "\\s",
    "javaAlphabetic": "\\p{Alphabetic}",
}
_SIMPLE_ESCAPES = {"e": "\\x1b", "Z": "(?=\\n?\\Z)", "z": "\\Z"}
_REPETITION = re.compile(r"\{\d+(,\d*)?\}")
_DOT_ALL = re.compile(r"\(\?[a-zA-Z]*s")
_PROPERTY = re.compile(r"[pP](?:\{([^}]*)\}|([A-Z]))|N\{[^}]*\}")
_HEX = re.compile(r"x\{([0-9a-fA-F]{1,6})\}")
_OCTAL = re.compile(r"0([0-3]?[0-7]{1,2})")


class RegexBudget:
    """How long the patterns of one rendering or request may run in all, in seconds."""

    def __init__(self, seconds: float = REGEX_TIMEOUT_S) -> None:
        self.left = seconds

    def run(self, step: Callable[[float], Any]) -> Any:
        """Call `step(timeout_s)` and take the time it needed off the budget. Raises LimitError when it is used up."""
        began = monotonic_s()
        try:
            if self.left <= 0:
                raise TimeoutError
            return step(self.left)
        except TimeoutError as exc:
            self.left = 0
            raise LimitError(
                "a regular expression takes too long", hint=f"simplify it; the limit is {REGEX_TIMEOUT_S} s", limit="REGEX_TIMEOUT_S"
            ) from exc
        finally:
            self.left -= monotonic_s() - began


def search(pattern: str, text: str, budget: RegexBudget | None = None) -> Any | None:
    """The first match anywhere in `text` (with `.group(n)`, `.start()`, `.end()`), or None."""
    compiled = compile_java(pattern)
    return (budget or RegexBudget()).run(lambda timeout: compiled.search(text, timeout=timeout, concurrent=True))


def find_all(pattern: str, text: str, budget: RegexBudget | None = None, *, limit: int = 100_000) -> list[Any]:
    """Every match in `text`, at most `limit` of them."""
    compiled = compile_java(pattern)
    found: list[Any] = (budget or RegexBudget()).run(lambda timeout: list(islice(compiled.finditer(text, timeout=timeout, concurrent=True), limit)))
    return found


def matches(pattern: str, text: str, budget: RegexBudget | None = None) -> bool:
    """Whether the whole of `text` matches."""
    compiled = compile_java(pattern)
    return (budget or RegexBudget()).run(lambda timeout: compiled.fullmatch(text, timeout=timeout, concurrent=True)) is not None


def replace(pattern: str, text: str, replacement: str, budget: RegexBudget | None = None) -> str:
    """`text` with every match replaced. `replacement` holds `$1`, `${name}` and `\\` escapes, as in Java."""
    compiled = compile_java(pattern)
    expand = _expander(replacement, compiled)
    size = 0

    def one(match: Any) -> str:
        nonlocal size
        new = expand(match)
        size += len(new)
        if size > STRING_CHARS_MAX:
            raise LimitError("the replaced text is too long", hint=f"the limit is {STRING_CHARS_MAX} characters", limit="STRING_CHARS_MAX")
        return new

    result: str = (budget or RegexBudget()).run(lambda timeout: compiled.sub(one, text, timeout=timeout, concurrent=True))
    return result


def split(pattern: str, text: str, limit: int = 0, budget: RegexBudget | None = None) -> list[str]:
    """The parts between matches. limit 0: all, without empty parts at the end; below 0: all; above 0: at most so many."""
    compiled = compile_java(pattern)

    def step(timeout: float) -> list[str]:
        parts: list[str] = []
        done = 0
        for match in compiled.finditer(text, timeout=timeout, concurrent=True):
            if limit > 0 and len(parts) == limit - 1:
                break
            if match.end() == 0:
                continue
            parts.append(text[done : match.start()])
            done = match.end()
        parts.append(text[done:])
        if limit == 0:
            while len(parts) > 1 and not parts[-1]:
                parts.pop()
            if parts == [""] and text:
                parts = []
        return parts

    result: list[str] = (budget or RegexBudget()).run(step)
    return result


@lru_cache(maxsize=500)
def compile_java(pattern: str) -> Any:
    """The compiled pattern. Raises ValueError when it is no pattern."""
    if len(pattern) > PATTERN_CHARS_MAX:
        raise ValueError(f"the pattern is longer than {PATTERN_CHARS_MAX} characters")
    try:
        return regex.compile("".join(_translate(pattern)), regex.VERSION1)  # type: ignore[no-untyped-call]  # the package has no types
    except (regex.error, KeyError, IndexError, TypeError, OverflowError, RecursionError, MemoryError) as exc:
        raise ValueError(f"not a regular expression: {exc}") from exc


def _translate(pattern: str) -> Iterator[str]:
    """Java's syntax as the `regex` package reads it, piece by piece."""
    dot = "." if _DOT_ALL.search(pattern) else "[^\\n\\r\\x85\\u2028\\u2029]"
    depth = at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            piece, at = _escape(pattern, at + 1, in_class=depth > 0)
            yield piece
            continue
        if char == "[":
            depth += 1
        elif char == "]" and depth:
            depth -= 1
        elif depth and char in "-~|" and pattern[at + 1 : at + 2] == char:
            yield f"\\{char}\\{char}"
            at += 2
            continue
        elif not depth and char == "{" and not _REPETITION.match(pattern, at):
            raise ValueError(f"not a regular expression: illegal repetition at position {at}")
        elif not depth and char == ".":
            char = dot
        yield char
        at += 1


def _escape(pattern: str, at: int, *, in_class: bool) -> tuple[str, int]:
    """The translation of the escape whose letter stands at `at`, and where the pattern goes on."""
    letter = pattern[at : at + 1]
    if not letter:
        raise ValueError("not a regular expression: it ends with a backslash")
    if letter == "Q":
        quoted, _, _ = pattern[at + 1 :].partition("\\E")
        plain = "".join(char if char.isalnum() or not char.isascii() else f"\\{char}" for char in quoted)
        return plain, at + 1 + len(quoted) + 2
    if letter.lower() in _CLASSES:
        body = _CLASSES[letter.lower()]
        return (f"[^{body}]" if letter.isupper() else f"[{body}]"), at + 1
    if letter in _SIMPLE_ESCAPES and not in_class:
        return _SIMPLE_ESCAPES[letter], at + 1
    if letter == "k" and (close := pattern.find(">", at)) > at + 1:
        return f"(?P={pattern[at + 2 : close]})", close + 1
    if match := _PROPERTY.match(pattern, at):
        body = _POSIX.get(match[1] or match[2], "")
        return (f"[^{body}]" if letter == "P" else f"[{body}]") if body else f"\\{match[0]}", match.end()
    if match := _HEX.match(pattern, at):
        return f"\\U{int(match[1], 16):08x}", match.end()
    if match := _OCTAL.match(pattern, at):
        return f"\\x{int(match[1], 8):02x}", match.end()
    return f"\\{letter}", at + 1


def _expander(replacement: str, compiled: Any) -> Callable[[Any], str]:
    """What a match is replaced by. Raises ValueError for a replacement that names no group."""
    pieces: list[str | int] = []
    at = 0
    while at < len(replacement):
        char = replacement[at]
        if char == "\\":
            if at + 1 >= len(replacement):
                raise ValueError("the replacement ends with a backslash")
            pieces.append(replacement[at + 1])
            at += 2
        elif char == "$":
            group, at = _group(replacement, at + 1, compiled)
            pieces.append(group)
        else:
            end = at + 1
            while end < len(replacement) and replacement[end] not in "\\$":
                end += 1
            pieces.append(replacement[at:end])
            at = end
    return lambda match: "".join(piece if isinstance(piece, str) else match.group(piece) or "" for piece in pieces)


def _group(replacement: str, at: int, compiled: Any) -> tuple[int, int]:
    """The number of the group named after a `$`, and where the replacement goes on."""
    if replacement[at : at + 1] == "{" and (close := replacement.find("}", at)) > 0:
        name = replacement[at + 1 : close]
        if name not in compiled.groupindex:
            raise ValueError(f"the replacement names the unknown group {name!r}")
        return int(compiled.groupindex[name]), close + 1
    if not replacement[at : at + 1].isdecimal() or not replacement[at].isascii():
        raise ValueError("a $ in the replacement must be followed by a group; write \\$ for a dollar sign")
    group = int(replacement[at])
    if group > compiled.groups:
        raise ValueError(f"the replacement names group {group}, the pattern has {compiled.groups}")
    for digit in replacement[at + 1 :]:
        if digit not in "0123456789" or group * 10 + int(digit) > compiled.groups:
            break
        group = group * 10 + int(digit)
        at += 1
    return group, at + 1
