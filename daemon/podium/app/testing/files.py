"""Files of flow tests on disk and what is in them. Called by found, and by `podium validate`, for which this imports little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from podium.app.plugins import load_types
from podium.flows.suites.load import ParsedSuite, Problem, parse_suites
from podium.sources.reading.tree import decode, inside_of, is_test, may_be_test, yaml_files

Key = tuple[str, str]
"""Namespace and id, of a suite or a flow."""


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
