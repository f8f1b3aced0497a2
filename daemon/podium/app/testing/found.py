"""Finds tests and the flows they test, on disk. Called by `podium test` and, for the tests alone, by `podium validate`.

What always holds: a mistake in one file keeps no other from being found; nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from podium.app.plugins import load_types
from podium.app.wiring.foreground import Text, flows_under, root_of
from podium.flows.suites.load import ParsedSuite, Problem, mistakes_about, parse_suites
from podium.sources.reading.tree import decode, inside_of, is_test, may_be_test, yaml_files

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A good suite and the flow it tests. root: what is deployed beside it; files: top of the namespace's files."""

    parsed: ParsedSuite
    flow: Text
    path: Path
    root: Flows
    files: Path


@dataclass(frozen=True, kw_only=True)
class Flows:
    """The flows of a directory, by namespace and id. problems: of files that cannot be read. texts: what is deployed, the tested one among them."""

    folder: Path
    good: dict[Key, Text] = field(default_factory=dict)
    broken: dict[Key, Text] = field(default_factory=dict)
    problems: Sequence[Problem] = ()

    @property
    def texts(self) -> list[Text]:
        return list(self.good.values())


def test_files(paths: Iterable[Path]) -> Iterator[tuple[Path, Path | None]]:
    """(file, the directory in which it was found) for each test file; None for one that was named itself. Each file once."""
    seen: set[Path] = set()
    for path in paths:
        for file in yaml_files(path) if path.is_dir() else [path]:
            if path.is_dir() and not _holds_tests(file, path):
                continue
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file, path if path.is_dir() else None


def _holds_tests(file: Path, folder: Path) -> bool:
    inside = inside_of(folder, file)
    if not may_be_test(inside):
        return False
    try:
        return is_test(inside, file.read_bytes().decode("utf-8-sig", "replace"))
    except OSError:
        return True  # that it cannot be read is told when it is parsed


def parse_test_file(file: Path) -> list[ParsedSuite]:
    """The suites of a file; what is wrong with the file as a whole is a suite with only that problem."""
    try:
        body = file.read_bytes()
    except OSError as error:
        return [_unreadable(str(file), f"the file cannot be read: {error.strerror or error}", "check its permissions")]
    return parse_tests(body, str(file))


def parse_tests(body: bytes, name: str) -> list[ParsedSuite]:
    """The same of what a file holds. name: what problems carry."""
    try:
        text = decode(body)
    except ValueError as error:
        return [_unreadable(name, str(error), "tests are UTF-8 texts of at most 1 MiB")]
    found = parse_suites(text, file=name, types=load_types())
    return found or [_unreadable(name, "the file is empty", "write id, namespace, flowId and testCases", code="empty")]


def _unreadable(file: str, message: str, hint: str, *, code: str = "file-unreadable") -> ParsedSuite:
    problem = Problem(file=file, line=1, column=1, path="", code=code, message=message, hint=hint)
    return ParsedSuite(file=file, suite=None, problems=(problem,), root=None)


def defined_twice(suites: Iterable[ParsedSuite]) -> list[Problem]:
    """Suites whose id another one of the namespace has."""
    first: dict[Key, str] = {}
    problems = []
    for each in suites:
        if each.suite is None:
            continue
        key = (each.suite.namespace, each.suite.id)
        if key in first:
            what = f"the test '{key[0]}.{key[1]}' is also defined in {first[key]}"
            problems.append(each.problem(("id",), "duplicate-test", what, "give each suite its own id"))
        else:
            first[key] = f"{each.file}:{each.at('id').line}"
    return problems


class Finder:
    """Reads each directory of flows once."""

    def __init__(self, flows: Path | None) -> None:
        """flows: the directory in which the flows are, for all tests."""
        self._flows = flows
        self._known: dict[Path, Flows] = {}

    def find(self, paths: Sequence[Path]) -> tuple[list[Found], list[Problem]]:
        """Every good suite below these paths, and every mistake of the others and of the flows that they test."""
        parsed = [(each, file, folder) for file, folder in test_files(paths) for each in parse_test_file(file)]
        problems = [problem for each, _, _ in parsed for problem in each.problems]
        twice = defined_twice(each for each, _, _ in parsed)
        problems += twice
        found = []
        for each, file, folder in parsed:
            if each.suite is None:
                continue
            good = self._fitting(each, file, self._flows_for(each, file, folder), problems)
            if good is not None and not any(problem.file == each.file for problem in twice):
                found.append(good)
        return found, sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))

    def left_out(self) -> list[str]:
        """Files beside the tested flows with mistakes: what is in them is not there for subflows."""
        files = {str(text.file) for each in self._known.values() for text in each.broken.values()}
        return sorted(files | {problem.file for each in self._known.values() for problem in each.problems})

    def _flows_for(self, parsed: ParsedSuite, file: Path, folder: Path | None) -> Flows:
        """The flows among which a suite's is: of --flows, else below the directory that was given, else of the file's repository."""
        if self._flows is not None:
            return self._of(self._flows)
        key = (str(parsed.namespace), str(parsed.flow_id))
        near = self._of(folder) if folder is not None else None
        return near if near is not None and (key in near.good or key in near.broken) else self._of(_home_of(file))

    def _of(self, folder: Path) -> Flows:
        key = folder.resolve()
        if key not in self._known:
            found = Flows(folder=folder)
            texts, unreadable = flows_under(folder)
            for each in texts:
                names = (str(each.parsed.namespace), str(each.parsed.flow_id))
                (found.broken if each.parsed.flow is None else found.good).setdefault(names, each)
            self._known[key] = Flows(folder=folder, good=found.good, broken=found.broken, problems=unreadable)
        return self._known[key]

    def _fitting(self, parsed: ParsedSuite, file: Path, flows: Flows, problems: list[Problem]) -> Found | None:
        assert parsed.suite is not None
        key = (parsed.suite.namespace, parsed.suite.flow_id)
        text = flows.good.get(key)
        if text is None:
            problems += _no_flow(parsed, key, flows)
            return None
        assert text.parsed.flow is not None
        wrong = mistakes_about(parsed, text.parsed.flow)
        problems += wrong
        top = self._flows or _home_of(file)
        return None if wrong else Found(parsed=parsed, flow=text, path=file, root=flows, files=top)


def _no_flow(parsed: ParsedSuite, key: Key, flows: Flows) -> list[Problem]:
    """Why there is no flow to test: its own mistakes, or that it is nowhere."""
    broken = flows.broken.get(key)
    if broken is not None:
        what = f"the flow '{key[0]}.{key[1]}' has mistakes: see {broken.file}"
        return [*broken.parsed.problems, parsed.problem(("flowId",), "broken-flow", what, f"check it with: podium validate {broken.file}")]
    names = {f"{namespace}.{flow_id}": flow_id for namespace, flow_id in flows.good}
    close = get_close_matches(f"{key[0]}.{key[1]}", names, n=1, cutoff=0.7)
    hint = f"did you mean '{close[0]}'?" if close else "name the directory in which the flows are: --flows DIR"
    return [parsed.problem(("flowId",), "unknown-flow", f"there is no flow '{key[0]}.{key[1]}' in {flows.folder}", hint)]


def _home_of(file: Path) -> Path:
    """Where the flows of a test file are: its repository, else its folder, else the one above `tests`."""
    top = root_of(file)
    if top.name == "tests" and not (top / ".git").exists():
        top = top.parent
    here = Path.cwd()
    return top.relative_to(here) if top.is_relative_to(here) else top
