"""What is asked before an execution starts or goes on: undeclared inputs, checks, the form of a pause (flow-language 1.9, 2.3, 5.13)."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import House, house

from podium.base.errors import ConflictError, InputError
from podium.conductor.port import StartRequest

FLOW = """id: f
namespace: n
inputs:
  - {id: n, type: INT, defaults: 1}
  - {id: a.b, type: STRING, required: false}
checks:
  - {condition: "{{ inputs.n < 10 }}", message: too big, style: ERROR}
  - {condition: "{{ inputs.n < 5 }}", message: big, behavior: FAIL_EXECUTION}
  - {condition: "{{ inputs.n < 3 }}", message: hm, behavior: CREATE_EXECUTION, style: WARNING}
tasks:
  - {id: t, type: core.log.Log, message: x}
"""
PAUSE = """id: p
namespace: n
tasks:
  - {id: t, type: core.flow.Pause, onResume: [{id: ok, type: BOOL}, {id: n, type: INT, defaults: 3}]}
"""


def request(**inputs: Any) -> StartRequest:
    return StartRequest(namespace="n", flow_id="f", inputs=inputs)


async def warned(h: House, view: dict[str, Any]) -> list[str]:
    done = await h.podium.wait(view["id"], timeout_s=60)
    return [entry["message"] for entry in await h.podium.logs(done["id"], min_level="WARN")]


async def test_an_input_that_the_flow_does_not_declare_is_ignored_with_a_warning(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(FLOW)
        view = await h.podium.start(request(zzz="1", a={"b": "x"}))
        assert view["inputs"] == {"n": 1, "a": {"b": "x"}}
        assert await warned(h, view) == ["the input 'zzz' is ignored: the flow n.f declares no such input"]


async def test_the_strictest_failing_check_decides_and_all_can_be_asked_for(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(FLOW)
        assert await h.podium.validate_checks(request(n=1)) == []
        assert [each["message"] for each in await h.podium.validate_checks(request(n=4))] == ["hm"]
        assert await h.podium.validate_checks(request(n="x")) == []
        assert (await h.podium.validate_checks(request(n=12)))[0] == {"message": "too big", "style": "ERROR", "behavior": "BLOCK_EXECUTION"}
        assert await warned(h, await h.podium.start(request(n=4))) == ["a check of the flow fails: hm"]
        failed = await h.podium.start(request(n=7))
        assert (await h.podium.wait(failed["id"], timeout_s=60))["state"]["current"] == "FAILED"
        with pytest.raises(InputError, match="too big"):
            await h.podium.start(request(n=12))


async def test_the_answers_of_a_pause_can_be_tried_without_resuming(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(PAUSE)
        view = await h.podium.start(StartRequest(namespace="n", flow_id="p"))
        while (await h.podium.execution(view["id"]))["state"]["current"] != "PAUSED":
            await asyncio.sleep(0.01)
        found = await h.podium.validate_answers(view["id"], {"n": "x"})
        assert [(each["input"], each["errors"] == []) for each in found] == [("ok", False), ("n", False)]
        assert [each["value"] for each in await h.podium.validate_answers(view["id"], {"ok": "true"})] == [True, 3]
        assert (await h.podium.execution(view["id"]))["state"]["current"] == "PAUSED"
        await h.podium.resume(view["id"], inputs={"ok": "true"})
        await h.podium.wait(view["id"], timeout_s=60)
        with pytest.raises(ConflictError):
            await h.podium.validate_answers(view["id"], {})


async def test_callers_set_no_system_label_but_the_correlation_id(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(FLOW)
        with pytest.raises(InputError, match=r"offending label: system\.foo=1"):
            await h.podium.start(replace(request(), labels={"system.foo": "1"}))
        view = await h.podium.start(replace(request(), labels={"system.correlationId": "abc"}))
        assert {"key": "system.correlationId", "value": "abc"} in view["labels"]
