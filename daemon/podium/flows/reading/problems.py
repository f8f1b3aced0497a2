"""A mistake in a flow, where it is, and the list that the checks fill."""

from __future__ import annotations

from dataclasses import dataclass, field

from podium.flows.reading.yaml import Entry, Fields, Mistake, Node

PROBLEMS_MAX = 1_000
SUGGESTIONS_MAX = 100
"""For so many mistakes of a document it is looked for what was meant, as that takes its time."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place inside a text. line and column count from 1."""

    line: int
    column: int


Placed = Node | Entry | Mistake | Place
"""Whatever has a line and a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake. line and column count from 1; path: the place in the flow, like `tasks[0].message`; code: a stable slug."""

    file: str
    line: int
    column: int
    path: str
    code: str
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, str | int]:
        """As JSON-ready data."""
        return {
            "file": self.file, "line": self.line, "column": self.column, "path": self.path, "code": self.code, "message": self.message,
            "hint": self.hint,
        }

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {place}{self.message}"


@dataclass(slots=True)
class Report:
    """Collects the problems and warnings of one document. Beyond PROBLEMS_MAX no more are kept."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    suggested: int = 0

    def may_suggest(self) -> bool:
        """Whether to look for what was meant by one more mistake."""
        self.suggested += 1
        return self.suggested <= SUGGESTIONS_MAX

    def problem(self, at: Placed, path: str, code: str, message: str, hint: str = "") -> None:
        """A mistake for which the flow is refused."""
        self._add(self.problems, at, path=path, code=code, message=message, hint=hint)

    def warning(self, at: Placed, path: str, code: str, message: str, hint: str = "") -> None:
        """Something to look at; the flow is accepted."""
        self._add(self.warnings, at, path=path, code=code, message=message, hint=hint)

    def mistake(self, mistake: Mistake) -> None:
        """A mistake in the text itself."""
        self.problem(mistake, "", mistake.code, mistake.message, mistake.hint)

    def _add(self, to: list[Problem], at: Placed, *, path: str, code: str, message: str, hint: str) -> None:
        if len(to) < PROBLEMS_MAX:
            to.append(Problem(file=self.file, line=at.line, column=at.column, path=path, code=code, message=message, hint=hint))

    def sorted_problems(self) -> tuple[Problem, ...]:
        """By place; the same said twice is kept once."""
        return _sorted(self.problems)

    def sorted_warnings(self) -> tuple[Problem, ...]:
        """By place; the same said twice is kept once."""
        return _sorted(self.warnings)


def _sorted(problems: list[Problem]) -> tuple[Problem, ...]:
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda each: (each.line, each.column, each.path, each.code, each.message)))


def key_of(node: Fields, key: str) -> Node | Entry:
    """Where `key` stands in the map; the map itself when the key is not there."""
    return node.entries.get(key, node)


def join(path: str, key: str) -> str:
    """The path of a property."""
    return f"{path}.{key}" if path else key
