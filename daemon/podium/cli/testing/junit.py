"""Results of flow tests as JUnit XML, as CI servers read it: testsuites, testsuite, testcase, failure, error, skipped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from podium.cli.testing.text import failure_lines

if TYPE_CHECKING:
    from podium.app.testing.results import CaseResult, Report, SuiteResult
    from podium.flows.load import Problem

_NOT_XML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 may not hold, or discourages."""


def junit_xml(report: Report) -> bytes:
    """The document, UTF-8. Broken files are suites with one error."""
    counts = report.counts()
    broken = _by_file(report.problems)
    root = ElementTree.Element("testsuites", {
        "name": "podium", "tests": str(sum(counts.values()) + len(broken)), "failures": str(counts["failed"]),
        "errors": str(counts["error"] + len(broken)), "skipped": str(counts["skipped"]), "time": f"{report.duration_s:.3f}",
    })
    for file, problems in broken.items():
        suite = _suite(root, file, file, [], errors=1)
        case = ElementTree.SubElement(suite, "testcase", {"classname": _text(file), "name": "file", "time": "0.000"})
        error = ElementTree.SubElement(case, "error", {"message": _text(problems[0].message), "type": _text(problems[0].code)})
        error.text = _text("\n".join(f"{each}" + (f"\n    hint: {each.hint}" if each.hint else "") for each in problems))
    for result in report.suites:
        suite = _suite(root, f"{result.namespace}.{result.id}", result.file, result.cases)
        for each in result.cases:
            _case(suite, result, each)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'.encode()


def _suite(root: ElementTree.Element, name: str, file: str, cases: Sequence[CaseResult], *, errors: int = 0) -> ElementTree.Element:
    outcomes = [each.outcome for each in cases]
    return ElementTree.SubElement(root, "testsuite", {
        "name": _text(name), "file": _text(file), "tests": str(len(cases) + errors), "failures": str(outcomes.count("failed")),
        "errors": str(outcomes.count("error") + errors), "skipped": str(outcomes.count("skipped")),
        "time": f"{sum(each.duration_s for each in cases):.3f}",
    })


def _case(suite: ElementTree.Element, result: SuiteResult, case: CaseResult) -> None:
    made = ElementTree.SubElement(suite, "testcase", {
        "classname": _text(f"{result.namespace}.{result.id}"), "name": _text(case.id), "file": _text(result.file), "line": str(case.line),
        "time": f"{case.duration_s:.3f}",
    })
    if case.outcome == "skipped":
        ElementTree.SubElement(made, "skipped", {"message": _text(case.reason)})
        return
    if case.outcome == "passed":
        return
    failures = case.failures
    lines = [case.reason, case.hint] if case.reason else []
    lines += [line for each in failures for line in failure_lines(result, each)]
    first = failures[0] if failures else None
    message = case.reason or (f"{first.operator}: expected {first.expected}, was {first.actual}" if first else "")
    if first is not None and first.message and not case.reason:
        message = first.message
    tag = "failure" if case.outcome == "failed" else "error"
    detail = ElementTree.SubElement(made, tag, {"message": _text(message), "type": _text(first.operator if first else case.outcome)})
    detail.text = _text("\n".join(line for line in lines if line))
    if case.log:
        ElementTree.SubElement(made, "system-out").text = _text("\n".join(case.log))


def _by_file(problems: Sequence[Problem]) -> dict[str, list[Problem]]:
    found: dict[str, list[Problem]] = {}
    for each in problems:
        found.setdefault(each.file, []).append(each)
    return found


def _text(text: str) -> str:
    """Text with what XML cannot hold escaped as Python does."""
    return _NOT_XML.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
