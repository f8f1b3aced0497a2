"""`podium validate`: every mistake of flow files at once, with file, line and column. Needs no daemon."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.shown import json_text, printable

if TYPE_CHECKING:
    from podium.flows.load import Parsed, Problem
    from podium.flows.suites.load import ParsedSuite
    from podium.flows.types import Types
    from podium.sources.reading.project import Project
    from podium.sources.reading.templates import Templates

    Checked = tuple[list[Parsed], list[Problem]]
    """The flows of a file, and what is wrong beside them."""

_FAILED = 1
_STDIN = "-"
NO_FLOWS: list[Parsed] = []
"""Of a file that is not meant to hold flows."""
_TEXT_HINT = "flows are UTF-8 texts of at most 1 MiB"


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True), metavar="PATH...")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How mistakes are printed.")
@click.option("--warnings", is_flag=True, help="In JSON: also what is no mistake but worth a look, marked by `severity`.")
@click.option("--dialect", type=click.Choice(["1.x", "2.0"]), help="Read every flow in this version of the language; else each says it itself.")
def validate(paths: tuple[str, ...], output: str, warnings: bool, dialect: str | None) -> None:
    """Check flow files, flow tests and dashboards, or all of directories; - reads standard input.

    Exits 0 when all is valid, else 1. Plug-in defaults of the nearest podium.yaml hold.
    """
    from podium.app.plugins import load_types

    types = load_types()
    checker = Checker(types, dialect)
    for name, reason in types.broken:
        click.echo(f"warning: the plug-in '{name}' cannot be loaded: {reason}", err=True)
    problems: list[Problem] = []
    hints: list[Problem] = []
    files = flows = tests = 0
    for path in paths:
        is_folder = path != _STDIN and Path(path).is_dir()
        found, suites = checker.directory(Path(path)) if is_folder else checker.one(path)
        files += len(found)
        tests += len(suites)
        flows += sum(len(parsed) for parsed, _ in found)
        files -= sum(1 for parsed, _ in found if parsed is NO_FLOWS)
        problems += [problem for parsed, more in found for problem in (*more, *(each for one in parsed for each in one.problems))]
        hints += [warning for parsed, _ in found for one in parsed for warning in one.warnings]
        problems += _mistakes_of(suites, [parsed for parsed, _ in found])
        if is_folder:
            problems += _defined_twice([parsed for parsed, _ in found])
        if is_folder and not found and not suites:
            click.echo(f"error: there are no flow files under {path}", err=True)
            sys.exit(_FAILED)
    if output == "json":
        _print_json(problems, hints if warnings else [])
    else:
        _print_text(problems, hints, valid=_counted(flows, files, tests, checker.dashboards))
    sys.exit(_FAILED if problems else 0)


def _print_json(problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    rows: list[dict[str, object]] = [{**each.as_dict()} for each in problems]
    rows += [{**each.as_dict(), "severity": "warning"} for each in warnings]
    click.echo(json_text(rows, indent=2))


def _print_text(problems: Sequence[Problem], warnings: Sequence[Problem], *, valid: str) -> None:
    for each in problems:
        click.echo(printable(str(each)))
        if each.hint:
            click.echo(printable(f"    hint: {each.hint}"))
    for each in warnings:
        place = f"{each.path}: " if each.path else ""
        click.echo(printable(f"{each.file}:{each.line}:{each.column}: warning: {place}{each.message}"), err=True)
    if problems:
        click.echo(f"{len(problems)} mistake{'s' if len(problems) != 1 else ''}", err=True)
    else:
        click.echo(f"valid: {valid}")


def _counted(flows: int, files: int, tests: int, dashboards: int) -> str:
    """What was found to be valid."""
    parts = [f"{flows} flow{'s' if flows != 1 else ''} in {files} file{'s' if files != 1 else ''}"] if files or not (tests or dashboards) else []
    parts += [f"{tests} test suite{'s' if tests != 1 else ''}"] if tests else []
    parts += [f"{dashboards} dashboard{'s' if dashboards != 1 else ''}"] if dashboards else []
    return ", ".join(parts)


class Checker:
    """Reads and checks files; each podium.yaml is read once. dialect: to read every flow in, else each says it itself."""

    def __init__(self, types: Types, dialect: str | None = None) -> None:
        self._types = types
        self._dialect = dialect
        self._projects: dict[Path, Project] = {}
        self._templates: dict[Path, Templates] = {}
        self.dashboards = 0
        """How many were looked at."""

    def directory(self, folder: Path) -> tuple[list[Checked], list[ParsedSuite]]:
        """What files under a directory hold that is meant as flows, and the flow tests there."""
        from podium.app.testing.files import parse_test_file, test_files

        return list(self._flows(folder)), [suite for file, _ in test_files([folder]) for suite in parse_test_file(file)]

    def _flows(self, folder: Path) -> Iterator[Checked]:
        from podium.flows.load import Problem
        from podium.sources.reading.dashboards import is_dashboard_path, looks_like_dashboard
        from podium.sources.reading.templates import FOLDER
        from podium.sources.reading.tree import holds_tests, inside_of, is_flow_path, is_test, looks_like_flow, misplaced_test, yaml_files

        for path in yaml_files(folder):
            inside = inside_of(folder, path)
            if not is_flow_path(inside) and not is_dashboard_path(inside):
                continue
            try:
                body = path.read_bytes()
            except OSError as error:
                yield [], [_unreadable(str(path), f"the file cannot be read: {error.strerror or error}", "check its permissions")]
                continue
            text = body.decode("utf-8-sig", "replace")
            if is_dashboard_path(path.absolute().relative_to("/").as_posix(), anywhere=True) and looks_like_dashboard(text):
                yield self._dashboard(str(path), body)
                continue
            if not is_flow_path(inside) or not looks_like_flow(text) or is_test(inside, text):
                continue
            if holds_tests(inside, text):
                message, hint = misplaced_test(str(path))
                yield [], [Problem(file=str(path), line=1, column=1, path="", code="misplaced-test", message=message, hint=hint)]
            else:
                yield self._parse(str(path), body, self._project(path))
        for place in sorted(folder.rglob(FOLDER)):
            if place.is_dir() and not any(part.startswith(".") for part in place.relative_to(folder).parts):
                for path in yaml_files(place):
                    yield self._template(path)

    def one(self, path: str) -> tuple[list[Checked], list[ParsedSuite]]:
        """What one file, or standard input, holds: flows or flow tests. It is read once, as it may be a pipe."""
        from podium.app.testing.files import parse_tests
        from podium.sources.reading.dashboards import is_dashboard_path, looks_like_dashboard
        from podium.sources.reading.templates import is_template_path
        from podium.sources.reading.tree import holds_tests, looks_like_flow

        file, name = (Path.cwd() / "stdin", "<stdin>") if path == _STDIN else (Path(path), path)
        if path != _STDIN and is_template_path(file.absolute().relative_to("/").as_posix(), anywhere=True):
            return [self._template(file)], []
        body = sys.stdin.buffer.read() if path == _STDIN else file.read_bytes()
        text = body.decode("utf-8-sig", "replace")
        in_folder = path != _STDIN and is_dashboard_path(file.absolute().relative_to("/").as_posix(), anywhere=True)
        if looks_like_dashboard(text) and (in_folder or not looks_like_flow(text)):
            return [self._dashboard(name, body)], []
        if holds_tests(name, text):
            return [], parse_tests(body, name)
        parsed, problems = self._parse(name, body, self._project(file))
        if not parsed and not problems:
            from podium.flows.load import Problem

            what = "Illegal flow yaml: the file is empty"
            problems = [Problem(file=name, line=1, column=1, path="", code="empty", message=what, hint="write id, namespace and tasks")]
        return [(parsed, problems)], []

    def _parse(self, name: str, body: bytes, project: Project) -> Checked:
        from podium.sources.reading.parse import parse_with_defaults
        from podium.sources.reading.tree import decode

        try:
            text = decode(body)
        except ValueError as error:
            return [], [_unreadable(name, str(error), _TEXT_HINT)]
        return [parsed for parsed, _ in parse_with_defaults(text, name, self._types, project, dialect=self._dialect)], list(project.problems)

    def text(self, path: str, text: str) -> list[Parsed]:
        """The flows of a text that is to be the file at `path`."""
        return self._parse(path, text.encode(), self._project(Path.cwd() / "stdin" if path == _STDIN else Path(path)))[0]

    def _dashboard(self, name: str, body: bytes) -> Checked:
        from podium.sources.reading.dashboards import parse_file

        self.dashboards += 1
        return NO_FLOWS, list(parse_file(body, name)[0].problems)

    def _template(self, file: Path) -> Checked:
        """A file of stored templates."""
        from podium.sources.reading.templates import shown

        return [], [each for each in self._project(file).templates.problems() if each.file == shown(file.resolve())]

    def _project(self, file: Path) -> Project:
        """What holds for a file beside its text: the nearest podium.yaml, and the nearest templates."""
        project = self._nearest(file)
        project.load_templates = lambda: self._near_templates(file, project)
        return project

    def _near_templates(self, file: Path, project: Project) -> Templates:
        from podium.sources.reading.templates import near_templates

        folder = file.resolve().parent
        if folder not in self._templates:
            self._templates[folder] = near_templates(file, self._types, project.common)
        return self._templates[folder]

    def _nearest(self, file: Path) -> Project:
        """The nearest podium.yaml above a file, up to the top of its repository. Its own mistakes are told once."""
        from podium.sources.reading.project import Project, parse_project
        from podium.sources.reading.tree import PROJECT_FILE

        for folder in file.resolve().parents:
            if folder in self._projects:
                known = self._projects[folder]
                return Project(known.path, known.blob, known.common, known.by_namespace)
            path = folder / PROJECT_FILE
            if path.is_file():
                self._projects[folder] = parse_project(path.read_bytes(), path=str(path))
                return self._projects[folder]
            if (folder / ".git").exists():
                break
        return Project()


def _unreadable(file: str, message: str, hint: str) -> Problem:
    from podium.flows.load import Problem

    return Problem(file=file, line=1, column=1, path="", code="file-unreadable", message=message, hint=hint)


def _mistakes_of(suites: Sequence[ParsedSuite], flows: Sequence[Sequence[Parsed]]) -> list[Problem]:
    """What is wrong with the suites of a directory, by themselves and in view of the flows there. A flow that is elsewhere is no mistake."""
    from podium.app.testing.files import defined_twice
    from podium.flows.suites.load import mistakes_about

    known = {(each.flow.namespace, each.flow.id): each.flow for parsed in flows for each in parsed if each.flow is not None}
    problems = [problem for each in suites for problem in each.problems]
    for each in suites:
        flow = known.get((each.suite.namespace, each.suite.flow_id)) if each.suite is not None else None
        problems += mistakes_about(each, flow) if flow is not None else []
    return [*problems, *defined_twice(suites)]


def _defined_twice(files: Sequence[Sequence[Parsed]]) -> list[Problem]:
    """Flows that two files of a directory define."""
    from podium.flows.load import Problem

    first: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    for parsed in files:
        for each in parsed:
            if each.flow is None:
                continue
            key = (each.flow.namespace, each.flow.id)
            if key in first:
                what = f"the flow '{key[0]}.{key[1]}' is also defined in {first[key]}"
                hint = "a flow has one file: rename or remove one of them"
                problems.append(
                    Problem(file=each.file, line=each.line, column=each.column, path="id", code="duplicate-flow", message=what, hint=hint)
                )
            else:
                first[key] = f"{each.file}:{each.line}"
    return problems
