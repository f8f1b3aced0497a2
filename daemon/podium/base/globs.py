"""File patterns of the language (`outputFiles`, `namespaceFiles.include`, cache patterns): Java globs over relative paths.

`*` and `?` stay within a folder, `**` crosses folders (also none: `**/*.txt` matches `a.txt`), `[a-z]`, `[!a]`, `{a,b}`; a leading
`glob:` is allowed, `regex:` means a regular expression over the relative path. Pure. Source: flow-language 5.15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from podium.base import patterns as expressions
from podium.base.errors import FlowError
from podium.base.patterns import RegexBudget

Matches = Callable[[str], bool]
_SPECIAL = frozenset("*?[{\\")


def normalise(pattern: str) -> str:
    """`pattern` relative to the working directory: without `./`, a leading `/` or a `glob:` prefix."""
    text = pattern.strip().removeprefix("glob:")
    while text.startswith(("./", "/")):
        text = text.removeprefix("./").removeprefix("/")
    return text


def compile_globs(patterns: Iterable[str], *, budget: RegexBudget | None = None) -> Matches:
    """Whether a relative path (with `/`) matches any of `patterns`. budget: for all calls together; without one each call has its own.

    Raises FlowError for a pattern that is none; the function it gives raises LimitError for one that takes too long.
    """
    sources = [_source(pattern) for pattern in patterns if pattern.strip()]
    return lambda path: any(expressions.matches(source, path, budget) for source in sources)


def fixed_prefix(pattern: str) -> str:
    """The folders (or the whole path) that every match begins with: `out/**/*.csv` → `out`; `a.txt` → `a.txt`; `*.csv` → ``."""
    if pattern.startswith("regex:"):
        return ""
    fixed: list[str] = []
    for part in normalise(pattern).split("/"):
        if _SPECIAL & set(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def search_roots(patterns: Sequence[str]) -> list[str]:
    """The least set of paths that must be read to find all matches; [""] means the whole directory."""
    roots: list[str] = []
    for prefix in sorted({fixed_prefix(pattern) for pattern in patterns if pattern.strip()}):
        if not any(root in ("", prefix) or prefix.startswith(root + "/") for root in roots):
            roots.append(prefix)
    return roots


def _source(pattern: str) -> str:
    source = pattern.removeprefix("regex:") if pattern.startswith("regex:") else "(?s)" + _Translation(normalise(pattern)).source
    try:
        expressions.compile_java(source)
    except ValueError as exc:
        raise FlowError(f"'{pattern}' is not a file pattern: {exc}", hint="use *, **, ?, [a-z] and {a,b}", pattern=pattern) from exc
    return source


def _plain(text: str) -> str:
    return "".join(char if char.isalnum() or not char.isascii() else f"\\{char}" for char in text)


class _Translation:
    """One glob as the source of a regular expression."""

    def __init__(self, glob: str) -> None:
        self._glob = glob
        self._at = 0
        self._depth = 0
        out: list[str] = []
        while self._at < len(glob):
            out.append(self._next())
        if self._depth:
            raise FlowError(f"'{glob}' is not a file pattern: {{ without }}", hint="close every { with }", pattern=glob)
        self.source = "".join(out)

    def _next(self) -> str:
        glob, at = self._glob, self._at
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            self._at += 3
            return "(?:.*/)?"
        if glob.startswith("**", at):
            self._at += 2
            return ".*"
        if glob[at] == "[" and glob.find("]", at + 2) > 0:
            return self._one_of(glob.find("]", at + 2))
        self._at += 1
        if glob[at] == "\\" and self._at < len(glob):
            self._at += 1
            return _plain(glob[at + 1])
        return self._symbol(glob[at])

    def _symbol(self, char: str) -> str:
        if char == "{":
            self._depth += 1
            return "(?:"
        if self._depth and char == "}":
            self._depth -= 1
            return ")"
        if self._depth and char == ",":
            return "|"
        return {"*": "[^/]*", "?": "[^/]"}.get(char) or _plain(char)

    def _one_of(self, end: int) -> str:
        inner = self._glob[self._at + 1 : end]
        self._at = end + 1
        negated = inner.startswith(("!", "^"))
        if negated:
            inner = inner[1:]
        for meant in ("\\", "[", "&", "|", "~"):
            inner = inner.replace(meant, "\\" + meant)
        return f"(?!/)[{'^' if negated else ''}{inner}]"
