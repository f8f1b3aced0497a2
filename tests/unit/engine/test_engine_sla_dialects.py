"""An assertion of an SLA that cannot be evaluated: skipped in 1.x, violated in 2.0. Source: flow-language-2 11."""

from __future__ import annotations

import pytest
from engine_driver import Play, flow

TASKS = "- {id: a, type: core.debug.Return, format: x}\n- {id: b, type: core.flow.Sleep, duration: PT1H}"
SLA = 'sla: [{id: s, type: EXECUTION_ASSERTION, assert: "{{ outputs.a.value == \'%s\' }}", behavior: FAIL}]'


@pytest.mark.parametrize(("mark", "wanted", "state"), [("", "x", "SUCCESS"), ("", "y", "FAILED"), ("draft: false\n", "x", "FAILED")])
def test_what_cannot_be_evaluated_yet(mark: str, wanted: str, state: str) -> None:
    done = Play(flow(TASKS, mark + SLA % wanted)).run().wait(3_601)
    assert done.state.state == state
