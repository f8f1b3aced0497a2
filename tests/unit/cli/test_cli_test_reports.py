"""Results of flow tests as text and as JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree

import click
from click.testing import CliRunner

from podium.app.testing.results import CaseResult, Checked, Coverage, Report, SuiteResult
from podium.cli.shown import json_text, on_one_line, printable, printable_log
from podium.cli.testing.junit import junit_xml
from podium.cli.testing.text import Text
from podium.flows.suites.load import Problem

WRONG = Checked(
    ok=False, operator="equalTo", what="{{ outputs.a\n  .b }}", actual='"x"', expected="1", description="about <a>", message="", line=7, column=9
)
CASES = [
    CaseResult(id="good", line=5, column=5, outcome="passed", duration_s=0.5),
    CaseResult(
        id="bad & ugly", line=6, column=5, outcome="failed", checks=(WRONG,), execution_id="e1", state="SUCCESS", log=("INFO t: a\x00b\x1b[31m\ud800",),
    ),
    CaseResult(id="broken", line=8, column=5, outcome="error", reason="it did not end within 1 seconds", hint="mock it"),
    CaseResult(id="off", line=9, column=5, outcome="skipped", reason="disabled"),
]
PROBLEM = Problem(file="b.test.yaml", line=1, column=2, path="id", code="missing", message="must not be null", hint="add id:")


def report(*, interrupted: bool = False) -> Report:
    suite = SuiteResult(id="s", namespace="n.m", flow_id="f", file="a.test.yaml", flow_file="f.yaml", cases=CASES)
    coverage = [Coverage(flow="n.m.f", tasks=("a", "b"), missed=("b",))]
    return Report(suites=[suite], problems=[PROBLEM], coverage=coverage, duration_s=1.25, interrupted=interrupted)


def test_junit_counts_and_names_what_happened() -> None:
    root = ElementTree.fromstring(junit_xml(report()))
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "5", "failures": "1", "errors": "2", "skipped": "1", "time": "1.250",
    }
    broken, suite = root.findall("testsuite")
    assert (broken.get("errors"), broken.find("testcase/error").get("type")) == ("1", "missing")  # type: ignore[union-attr]
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("n.m.s", "4", "1", "1")
    cases = {each.get("name"): each for each in suite.findall("testcase")}
    assert list(cases) == ["good", "bad & ugly", "broken", "off"]
    assert list(cases["good"]) == []
    failure = cases["bad & ugly"].find("failure")
    assert failure is not None
    assert failure.get("message") == 'equalTo: expected 1, was "x"'
    assert "a.test.yaml:7:9: equalTo: {{ outputs.a .b }}" in (failure.text or "")
    assert cases["bad & ugly"].get("line") == "6"
    assert cases["broken"].find("error").get("message") == "it did not end within 1 seconds"  # type: ignore[union-attr]
    assert cases["off"].find("skipped") is not None


def test_what_xml_cannot_hold_is_escaped() -> None:
    text = junit_xml(report()).decode("utf-8")
    assert "a\\x00b\\x1b[31m\\ud800" in text
    assert "about &lt;a&gt;" in text


def shown(made: Report, *, verbose: bool = False) -> str:
    @click.command()
    def show() -> None:
        text = Text(verbose=verbose)
        text.problems(made.problems)
        for suite in made.suites:
            for case in suite.cases:
                text.case(suite, case)
        text.summary(made)

    return CliRunner().invoke(show).output


def test_text_says_where_what_was_expected_and_what_there_was() -> None:
    text = shown(report())
    assert "b.test.yaml:1:2: id: must not be null\n    hint: add id:\n" in text
    assert "n.m.s  a.test.yaml\n  ok  good  0.50 s\n  FAILED  bad & ugly" in text
    assert "      a.test.yaml:7:9: equalTo: {{ outputs.a .b }}\n        about <a>\n        expected: 1\n        actual:   \"x\"\n" in text
    assert "INFO t: a\\x00b\\x1b[31m\\ud800" in text
    assert "  skipped  off\n" in text
    assert "n.m.f: 1 of 2 tasks reached; never: b\n1 passed, 1 failed, 1 error, 1 skipped, 1 broken file in 1.2 s\n" in text
    assert "interrupted" in shown(report(interrupted=True))


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("a\tb\nc\x1b[2J\x9b\r\ud83d") == "a\tb\nc\\x1b[2J\\x9b\\r\\ud83d"
    assert on_one_line("a\nb\t\x1b") == "a\\nb\\t\\x1b"

    assert printable_log("\x1b[31mred\x1b[2J\r") == "\x1b[31mred\\x1b[2J\\r\x1b[0m"
    assert printable_log("a\rb") == "a\\rb"


def test_json_is_utf8_whatever_is_in_it() -> None:
    assert json_text(["é"]) == '["é"]'
    assert json_text(["é\udcff"]) == '["\\u00e9\\udcff"]'
