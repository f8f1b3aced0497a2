"""What came of flow tests. Made by this room, shown by cli; plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from podium.flows.suites.load import Problem

Outcome = Literal["passed", "failed", "error", "skipped"]
"""error: the case could not be judged, as it never began or did not come to an end."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One operator of one assertion. what: the expression as written. actual, expected: as people read them, secrets masked."""

    ok: bool
    operator: str
    what: str
    actual: str = ""
    expected: str = ""
    message: str = ""
    """Why it does not hold, if that is more than a wrong value; or what the test itself says."""
    description: str = ""
    task_id: str | None = None
    line: int
    column: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "ok": self.ok, "operator": self.operator, "value": self.what, "actual": self.actual, "expected": self.expected,
            "message": self.message, "description": self.description, "taskId": self.task_id, "line": self.line, "column": self.column,
        }


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """One case. line: where its id stands. log: the last lines of the execution's log, for a case that did not pass."""

    id: str
    line: int
    column: int
    outcome: Outcome
    duration_s: float = 0.0
    description: str = ""
    reason: str = ""
    """Why it is an error, or is skipped."""
    hint: str = ""
    execution_id: str | None = None
    state: str | None = None
    checks: tuple[Checked, ...] = ()
    log: tuple[str, ...] = ()
    reached: frozenset[str] = frozenset()
    """Tasks that the execution came to."""

    @property
    def failures(self) -> list[Checked]:
        return [each for each in self.checks if not each.ok]

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "id": self.id, "line": self.line, "column": self.column, "outcome": self.outcome, "durationSeconds": round(self.duration_s, 3),
            "description": self.description, "reason": self.reason, "hint": self.hint, "executionId": self.execution_id, "state": self.state,
            "assertions": [each.as_dict() for each in self.checks], "log": list(self.log), "reached": sorted(self.reached),
        }


@dataclass(kw_only=True)
class SuiteResult:
    """One suite with its cases in the order of the file, as far as they were run."""

    id: str
    namespace: str
    flow_id: str
    file: str
    flow_file: str
    cases: list[CaseResult] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "id": self.id, "namespace": self.namespace, "flowId": self.flow_id, "file": self.file, "flowFile": self.flow_file,
            "cases": [each.as_dict() for each in self.cases],
        }


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Of one flow: its tasks in their order, and those that no case came to."""

    flow: str
    tasks: tuple[str, ...]
    missed: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {"flow": self.flow, "tasks": len(self.tasks), "reached": len(self.tasks) - len(self.missed), "missed": list(self.missed)}


@dataclass(kw_only=True)
class Report:
    """A whole run. problems: mistakes in test files, and of flows that they test; those suites were not run."""

    suites: list[SuiteResult]
    problems: list[Problem]
    coverage: list[Coverage] = field(default_factory=list)
    duration_s: float = 0.0
    interrupted: bool = False

    def cases(self) -> Iterable[CaseResult]:
        """The cases of all suites."""
        return (case for suite in self.suites for case in suite.cases)

    def counts(self) -> Mapping[str, int]:
        """How many cases ended how."""
        found = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
        for case in self.cases():
            found[case.outcome] += 1
        return found

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "summary": {**self.counts(), "broken": len({problem.file for problem in self.problems}), "durationSeconds": round(self.duration_s, 3),
                        "interrupted": self.interrupted},
            "problems": [each.as_dict() for each in self.problems], "suites": [each.as_dict() for each in self.suites],
            "coverage": [each.as_dict() for each in self.coverage],
        }
