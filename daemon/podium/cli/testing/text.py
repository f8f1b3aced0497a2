"""Results of flow tests as text: what went wrong, where it is asserted, expected and actual; a summary; tasks that no case came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from podium.cli.shown import on_one_line, printable

if TYPE_CHECKING:
    from podium.app.testing.results import CaseResult, Checked, Report, SuiteResult
    from podium.flows.load import Problem

_MARKS = {"passed": ("ok", "green"), "failed": ("FAILED", "red"), "error": ("ERROR", "red"), "skipped": ("skipped", "yellow")}
_MISSED_SHOWN_MAX = 20


class Text:
    """Prints results to standard output as they come."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._suite: SuiteResult | None = None

    def problems(self, problems: Sequence[Problem]) -> None:
        """Mistakes, as `podium validate` prints them."""
        for each in problems:
            click.echo(printable(str(each)))
            if each.hint:
                click.echo(printable(f"    hint: {each.hint}"))

    def case(self, suite: SuiteResult, case: CaseResult) -> None:
        """One result; the name of its suite before the first one."""
        if suite is not self._suite:
            self._suite = suite
            click.echo(click.style(on_one_line(f"{suite.namespace}.{suite.id}"), bold=True) + printable(f"  {suite.file}"))
        mark, colour = _MARKS[case.outcome]
        took = f"  {case.duration_s:.2f} s" if case.outcome != "skipped" else ""
        click.echo(f"  {click.style(mark, fg=colour)}  {on_one_line(case.id)}{took}")
        if case.outcome in ("failed", "error"):
            self._why(suite, case)
        elif self._verbose:
            for each in case.checks:
                click.echo(printable(f"      {each.operator}  {each.what}: {each.actual}"))

    def _why(self, suite: SuiteResult, case: CaseResult) -> None:
        if case.description:
            click.echo(printable(f"      {case.description}"))
        if case.reason:
            click.echo(printable(f"      {suite.file}:{case.line}:{case.column}: {case.reason}"))
            if case.hint:
                click.echo(printable(f"        hint: {case.hint}"))
        for each in case.failures:
            click.echo(printable("\n".join(failure_lines(suite, each, indent="      "))))
        if case.execution_id is not None and case.log:
            click.echo(f"      log of execution {case.execution_id} ({case.state}):")
            for line in case.log:
                click.echo(printable("\n".join(f"        {part}" for part in line.splitlines() or [""])))

    def summary(self, report: Report) -> None:
        """Coverage and counts."""
        for each in report.coverage:
            reached = len(each.tasks) - len(each.missed)
            if each.missed or self._verbose:
                more = len(each.missed) - _MISSED_SHOWN_MAX
                names = ", ".join(each.missed[:_MISSED_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
                tail = f"; never: {names}" if names else ""
                click.echo(printable(f"{each.flow}: {reached} of {len(each.tasks)} tasks reached{tail}"))
        broken = len({problem.file for problem in report.problems})
        counts = [(number, word) for word, number in report.counts().items() if number]
        words = [f"{number} {'errors' if word == 'error' and number > 1 else word}" for number, word in counts]
        if broken:
            words.append(f"{broken} broken file{'s' if broken > 1 else ''}")
        if report.interrupted:
            words.append("interrupted")
        good = not broken and not report.interrupted and not any(word in ("failed", "error") for _, word in counts)
        line = f"{', '.join(words) or 'nothing run'} in {report.duration_s:.1f} s"
        click.echo(click.style(line, fg="green" if good else "red", bold=True))


def failure_lines(suite: SuiteResult, check: Checked, *, indent: str = "") -> list[str]:
    """What was asserted and what came of it."""
    task = f" (task {check.task_id})" if check.task_id else ""
    lines = [f"{suite.file}:{check.line}:{check.column}: {check.operator}{task}: {_one_line(check.what)}"]
    if check.description:
        lines.append(f"  {check.description}")
    if check.message:
        lines.append(f"  {check.message}")
    if check.expected or check.actual:
        lines += [f"  expected: {check.expected}", f"  actual:   {check.actual}"]
    return [indent + part for line in lines for part in line.splitlines() or [""]]


def _one_line(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= 200 else f"{joined[:199]}…"
