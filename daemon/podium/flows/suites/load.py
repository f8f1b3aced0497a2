"""From the text of a test file to its suites, with every mistake at once. Called by cli and app; the same reader as for flows.

Never raises for what is in the text. `mistakes_about` is what is wrong with a suite in view of the flow it tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import ValidationError

from podium.base.errors import PodiumError
from podium.base.patterns import compile_java
from podium.flows.dynamic import has_expression
from podium.flows.inputs import flatten
from podium.flows.model import Flow, all_tasks
from podium.flows.reading.errors import report_errors
from podium.flows.reading.problems import Place, Placed, Problem, Report, key_of
from podium.flows.reading.shape import Shaping, properties, shape_map
from podium.flows.reading.templates import check_templates, texts
from podium.flows.reading.yaml import Document, Fields, Items, Node, Scalar, parse_documents
from podium.flows.suites.model import OPERATORS, UNIT_TEST, Assertion, Suite
from podium.flows.types import Types

__all__ = ["ParsedSuite", "Problem", "mistakes_about", "parse_suites"]

_RENDERED = re.compile(r"testCases\[\d+\]\.(assertions|fixtures\.(inputs|trigger\.variables|tasks\[\d+\]\.(outputs|error)))\b")
"""Where expressions are evaluated: elsewhere braces are only text (the content of a file, a secret)."""
_OPERATOR_NAMES = {*OPERATORS.values(), "equalsTo", "notEqualsTo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedSuite:
    """What one YAML document gave. suite: None when there are problems. namespace, flow_id: as written, also of a broken suite."""

    file: str
    suite: Suite | None
    problems: tuple[Problem, ...]
    root: Fields | None
    namespace: str | None = None
    flow_id: str | None = None

    def at(self, *path: str | int) -> Place:
        """Where a part of the suite is written, like ("testCases", 0, "assertions", 2, "equalTo"): its key, else what stands nearest above it."""
        node: Node | None = self.root
        place: Placed = self.root or Place(1, 1)
        for part in path:
            if isinstance(node, Fields) and isinstance(part, str) and part in node.entries:
                place = node.entries[part]
                node = node.entries[part].node
            elif isinstance(node, Items) and isinstance(part, int) and part < len(node.items):
                place = node = node.items[part]
            else:
                break
        return Place(place.line, place.column)

    def problem(self, path: Sequence[str | int], code: str, message: str, hint: str = "") -> Problem:
        """A mistake in that part of the suite."""
        at = self.at(*path)
        shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
        return Problem(file=self.file, line=at.line, column=at.column, path=shown, code=code, message=message, hint=hint)


def parse_suites(text: str, *, file: str, types: Types) -> list[ParsedSuite]:
    """One result for each YAML document of `text` that is not empty. file: the name that problems carry."""
    return [_document(document, Report(file), text, types) for document in parse_documents(text)]


def _document(document: Document, report: Report, text: str, types: Types) -> ParsedSuite:
    for mistake in document.mistakes:
        report.mistake(mistake)
    root = document.root
    if not isinstance(root, Fields):
        if root is not None:
            report.problem(root, "", "wrong-type", "a test is a map with id, namespace, flowId and testCases", "write id: … in the first line")
        return ParsedSuite(file=report.file, suite=None, problems=report.sorted_problems(), root=None)
    suite: Suite | None = None
    try:
        suite = Suite.model_validate(shape_map(Suite, root, "", Shaping(types, report, "1.x")))
    except ValidationError as error:
        report_errors(error, root, types, report, cls=Suite)
    _check_cases(root, report)
    _check_expressions(root, text, report)
    problems = report.sorted_problems()
    return ParsedSuite(
        file=report.file, suite=suite if not problems else None, problems=problems, root=root, namespace=root.text("namespace"),
        flow_id=root.text("flowId"),
    )


# ---- what a suite says of itself


def _check_cases(root: Fields, report: Report) -> None:
    cases = root.get("testCases")
    seen: dict[str, int] = {}
    for index, case in enumerate(cases.items if isinstance(cases, Items) else ()):
        if not isinstance(case, Fields):
            continue
        path = f"testCases[{index}]"
        name = case.text("id")
        if name is not None and name in seen:
            report.problem(
                key_of(case, "id"), f"{path}.id", "duplicate-id", f"Duplicate id: {name}", f"it is taken in line {seen[name]}; rename one of them"
            )
        elif name is not None:
            seen[name] = key_of(case, "id").line
        kind = case.text("type")
        if kind is not None and kind != UNIT_TEST:
            report.problem(case.entries["type"].node, f"{path}.type", "unknown-type", f"Invalid type: {kind}", f"write type: {UNIT_TEST}")
        _check_ends(case, path, report)
        _check_fixtures(case, path, report)
        assertions = case.get("assertions")
        for number, assertion in enumerate(assertions.items if isinstance(assertions, Items) else ()):
            if isinstance(assertion, Fields):
                _check_assertion(assertion, f"{path}.assertions[{number}]", report)


def _check_ends(case: Fields, path: str, report: Report) -> None:
    """A start that is refused has no end."""
    refused = case.get("refused")
    if not isinstance(refused, Scalar) or refused.value in (None, False):
        return
    for name in ("state", "assertions"):
        written = case.get(name)
        if written is not None and not (isinstance(written, Items) and not written.items):
            hint = "remove one of them: what is refused is never executed"
            report.problem(case.entries[name], f"{path}.{name}", "contradiction", f"'refused' and '{name}' contradict each other", hint)


def _check_fixtures(case: Fields, path: str, report: Report) -> None:
    fixtures = case.get("fixtures")
    tasks = fixtures.get("tasks") if isinstance(fixtures, Fields) else None
    seen: dict[tuple[str, str | None], int] = {}
    for number, fixture in enumerate(tasks.items if isinstance(tasks, Items) else ()):
        if not isinstance(fixture, Fields) or fixture.text("id") is None:
            continue
        key = (str(fixture.text("id")), fixture.text("value"))
        where = f"{path}.fixtures.tasks[{number}]"
        if key in seen:
            hint = f"it is mocked in line {seen[key]}; iterations of a loop are told apart by 'value'"
            report.problem(key_of(fixture, "id"), f"{where}.id", "duplicate-id", f"the task '{key[0]}' is mocked twice", hint)
        else:
            seen[key] = key_of(fixture, "id").line
        if fixture.text("error") is not None and fixture.text("state") != "FAILED":
            hint = "add state: FAILED, or remove the error"
            report.problem(fixture.entries["error"], f"{where}.error", "contradiction", "only a task that is mocked as FAILED has an error", hint)


def _check_assertion(assertion: Fields, path: str, report: Report) -> None:
    written = [name for name in assertion.entries if name in _OPERATOR_NAMES]
    for name in written:
        node = assertion.get(name)
        if isinstance(node, Scalar) and node.value is None:
            hint = "write isNull: true, or isNotNull: true"
            report.problem(assertion.entries[name], f"{path}.{name}", "missing", f"'{name}' does not say what is expected", hint)
    if not written and assertion.entries.keys() <= properties(Assertion).keys():  # else one is misspelt, and that is told
        hint = f"add one of: {', '.join(OPERATORS.values())}"
        report.problem(assertion, path, "missing", "the assertion has no operator, so it asserts nothing", hint)
    pattern = assertion.get("matches")
    if isinstance(pattern, Scalar) and isinstance(pattern.value, str) and not has_expression(pattern.text):
        try:
            compile_java(pattern.text)
        except (PodiumError, ValueError) as error:
            what = error.what if isinstance(error, PodiumError) else str(error)
            report.problem(pattern, f"{path}.matches", "invalid-value", f"the regular expression cannot be read: {what}")


def _check_expressions(root: Fields, text: str, report: Report) -> None:
    """Templates that cannot be read, or that a fixture may not hold. In a test they are mistakes, unlike in a flow."""
    from podium.expressions.compile import compile_template

    found = [(node, path) for node, path in texts(root, text) if _RENDERED.match(path)]
    aside = Report(report.file)
    check_templates(found, text.splitlines(), "1.x", aside)
    report.problems.extend(aside.warnings)
    for node, path in found:
        try:
            slow = "subflow" in compile_template(node.text).functions and ".fixtures." in path
        except PodiumError:
            continue
        if slow:
            hint = "write the result that the other flow would give"
            report.problem(node, path, "expression-invalid", "a fixture cannot call subflow()", hint)


# ---- what a suite says of its flow


def mistakes_about(parsed: ParsedSuite, flow: Flow) -> list[Problem]:
    """What of a good suite does not fit its flow: fixtures and assertions about tasks, inputs and triggers that it does not have."""
    assert parsed.suite is not None
    tasks = dict.fromkeys(task.id for task in all_tasks(flow))
    inputs = dict.fromkeys(name for name, _ in flatten(flow.inputs))
    triggers = {each.id: each.type for each in flow.triggers}
    problems = []
    for index, case in enumerate(parsed.suite.test_cases):
        here = ("testCases", index)
        for number, fixture in enumerate(case.fixtures.tasks):
            if fixture.id not in tasks:
                problems.append(_unknown(parsed, (*here, "fixtures", "tasks", number, "id"), "task", fixture.id, tasks))
        problems += [
            _unknown(parsed, (*here, "fixtures", "inputs", name), "input", name, inputs)
            for name in case.fixtures.inputs
            if name not in inputs and not any(known.startswith(f"{name}.") for known in inputs)
        ]
        trigger = case.fixtures.trigger
        if trigger is not None and trigger.id not in triggers and trigger.type is None:
            problems.append(_unknown(parsed, (*here, "fixtures", "trigger", "id"), "trigger", trigger.id, triggers))
        for number, assertion in enumerate(case.assertions):
            if assertion.task_id is not None and assertion.task_id not in tasks:
                problems.append(_unknown(parsed, (*here, "assertions", number, "taskId"), "task", assertion.task_id, tasks))
    return problems


def _unknown(parsed: ParsedSuite, path: Sequence[str | int], what: str, name: str, known: Mapping[str, object]) -> Problem:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    listed = ", ".join(list(known)[:20]) + (", …" if len(known) > 20 else "")
    hint = f"did you mean '{close[0]}'?" if close else f"its {what}s: {listed}" if known else f"the flow has no {what}s"
    flow = f"{parsed.namespace}.{parsed.flow_id}"
    return parsed.problem(path, f"unknown-{what}", f"the flow '{flow}' has no {what} '{name}'", hint)

