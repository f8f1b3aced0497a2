"""Finds tests and the flows they test, on disk. Called by `podium test`.

What always holds: a mistake in one file keeps no other from being found; nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from podium.app.testing.files import Key, defined_twice, parse_test_file, test_files
from podium.app.wiring.foreground import Text, flows_under, root_of
from podium.flows.suites.load import ParsedSuite, Problem, mistakes_about


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
