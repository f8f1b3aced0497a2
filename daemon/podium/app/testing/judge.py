"""Judges an execution that has ended: renders each assertion over what the execution's own expressions would see, and compares.

Called by case. What always holds: an assertion that cannot be evaluated has failed; no secret stands in what is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from podium.app.testing.results import Checked
from podium.base.errors import PodiumError
from podium.conductor.core.stream import Stream
from podium.flows.suites.compare import NotComparable, holds, shown
from podium.flows.suites.load import ParsedSuite
from podium.flows.suites.model import Assertion, Case
from podium.rendering.renderer import Renderer

GOOD = ("SUCCESS", "WARNING")
_STATE = "{{ execution.state }}"


async def judge(
    renderer: Renderer, stream: Stream, parsed: ParsedSuite, index: int, *, logs: Sequence[Mapping[str, Any]], files: Mapping[str, str]
) -> tuple[Checked, ...]:
    """Every operator of every assertion of a case, the end state first. logs: the execution's lines. files: the case's, by name."""
    judging = _Judging(renderer, stream, parsed, index, logs=logs, files=files)
    return await asyncio.to_thread(judging.all)


class _Judging:
    def __init__(
        self, renderer: Renderer, stream: Stream, parsed: ParsedSuite, index: int, *, logs: Sequence[Mapping[str, Any]], files: Mapping[str, str]
    ) -> None:
        assert parsed.suite is not None
        self._renderer, self._stream, self._parsed, self._index, self._logs, self._files = renderer, stream, parsed, index, logs, files
        self._case: Case = parsed.suite.test_cases[index]

    def all(self) -> tuple[Checked, ...]:
        """See `judge`."""
        checks = [self._end_state()]
        for number, assertion in enumerate(self._case.assertions):
            checks += self._assertion(number, assertion)
        return tuple(each for each in checks if each is not None)

    def _end_state(self) -> Checked | None:
        """That the execution ended as it should: as the case says, else well. A case that looks at the state itself, or mocks a failure, may
        see any end."""
        case, state = self._case, self._stream.state.state
        wanted = case.states
        if not wanted:
            looks = any("execution.state" in str(each.value) for each in case.assertions)
            if looks or any(each.state not in (*GOOD, "SKIPPED") for each in case.fixtures.tasks):
                return None
        ok = state in (wanted or GOOD)
        at = self._parsed.at("testCases", self._index, "state")
        failed = self._stream.state.notes.get("failed") or {}
        why = self._stream.redactor.text(f"task '{failed['taskId']}': {failed['message']}") if failed and not ok else ""
        return Checked(
            ok=ok, operator="state", what=_STATE, actual=state, expected=" or ".join(wanted or GOOD), message=why, line=at.line, column=at.column,
            description="" if wanted or ok else "the execution must end well, unless the case expects another state",
        )

    def _assertion(self, number: int, assertion: Assertion) -> list[Checked]:
        operators = assertion.operators()
        variables, wrong = self._variables(assertion)
        if wrong:
            return [self._checked(number, assertion, operator, ok=False, message=wrong) for operator in operators]
        missing_is_null = operators.keys() <= {"isNull", "isNotNull"}
        try:
            actual = self._rendered(assertion.value, variables, missing_is_null=missing_is_null)
        except PodiumError as error:
            message = f"it cannot be evaluated: {error.what}"
            return [self._checked(number, assertion, operator, ok=False, message=message) for operator in operators]
        return [self._compared(number, assertion, operator, actual=actual, variables=variables) for operator in operators]

    def _compared(self, number: int, assertion: Assertion, operator: str, *, actual: Any, variables: Mapping[str, Any]) -> Checked:
        expected = assertion.operators()[operator]
        show = {"actual": self._shown(actual), "expected": self._shown(expected)}
        try:
            expected = self._rendered(expected, variables)
            show["expected"] = self._shown(expected)
            ok, message = holds(operator, actual, expected), ""
        except PodiumError as error:
            ok, message = False, f"what is expected cannot be evaluated: {error.what}"
        except NotComparable as error:
            ok, message = False, str(error)
        if not ok and assertion.error_message:
            message = self._told(assertion.error_message, variables)
        return self._checked(number, assertion, operator, ok=ok, message=message, **show)

    def _checked(self, number: int, assertion: Assertion, operator: str, *, ok: bool, message: str = "", **show: str) -> Checked:
        path = ("testCases", self._index, "assertions", number)
        at = self._parsed.at(*path, operator)
        if at == self._parsed.at(*path) and operator in ("equalTo", "notEqualTo"):
            at = self._parsed.at(*path, operator.replace("ualTo", "ualsTo"))  # as the documentation once spelt them
        return Checked(
            ok=ok, operator=operator, what=str(assertion.value), message=self._stream.redactor.text(message), task_id=assertion.task_id,
            description=assertion.description or "", line=at.line, column=at.column, **show,
        )

    # ---- what expressions see

    def _variables(self, assertion: Assertion) -> tuple[dict[str, Any], str]:
        """The variables, or why there are none."""
        run = None
        if assertion.task_id is not None:
            runs = self._stream.state.by_task.get(assertion.task_id)
            if not runs:
                return {}, f"the task '{assertion.task_id}' did not run"
            run = self._stream.state.runs[runs[-1]]
        variables = self._stream.variables(run)
        if run is not None:
            variables["taskrun"] = {**variables["taskrun"], "state": run.state}
        lines = [each for each in self._logs if assertion.task_id is None or each.get("taskId") == assertion.task_id]
        variables["files"] = self._files
        variables["logs"] = {
            "text": "\n".join(str(each["message"]) for each in lines),
            "errors": "\n".join(str(each["message"]) for each in lines if each["level"] == "ERROR"),
            "entries": [{key: each.get(key) for key in ("level", "message", "taskId")} for each in lines],
        }
        return variables, ""

    def _rendered(self, value: Any, variables: Mapping[str, Any], *, missing_is_null: bool = False) -> Any:
        try:
            return self._renderer.value(value, variables, self._stream.scope(None), typed=True)
        except PodiumError as error:
            if missing_is_null and "name" in error.facts and error.what.startswith("Unable to find"):
                return None
            raise

    def _told(self, message: str, variables: Mapping[str, Any]) -> str:
        try:
            return str(self._renderer.value(message, variables, self._stream.scope(None)))
        except PodiumError:
            return message

    def _shown(self, value: Any) -> str:
        return self._stream.redactor.text(shown(value))
