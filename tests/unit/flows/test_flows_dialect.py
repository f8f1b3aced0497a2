"""Which dialect a flow is taken for. Source: flow-language-2 10."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from podium.flows.load import Parsed

Parse = Callable[..., Parsed]
LOG = {"id": "inner", "type": "core.log.Log", "message": "x"}
CORE = "io.kestra.plugin.core"


def flow(**properties: Any) -> str:
    return json.dumps({"id": "a", "namespace": "b", "tasks": [{"id": "x", "type": "core.debug.Return"}]} | properties)


def with_task(**properties: Any) -> str:
    return flow(tasks=[{"id": "x", **properties}])


def with_trigger(**properties: Any) -> str:
    return flow(triggers=[{"id": "t", "type": "core.trigger.Flow", **properties}])


OLD = [
    flow(pluginDefaults=[]), flow(taskDefaults=[]), flow(listeners=[]), flow(inputs=[{"name": "i", "type": "STRING"}]),
    flow(inputs=[{"id": "i", "type": "BOOLEAN"}]), flow(inputs=[{"id": "i", "type": "ENUM", "values": ["a"]}]),
    flow(inputs=[{"id": "i", "type": "MULTISELECT", "options": ["a"]}]), with_trigger(conditions=[]), with_trigger(preconditions={"id": "p"}),
    flow(triggers=[{"id": "t", "type": "core.trigger.Schedule", "cron": "@daily", "scheduleConditions": []}]),
    flow(triggers=[{"id": "t", "type": "core.trigger.Schedule", "cron": "@daily", "minLogLevel": "INFO"}]),
    with_task(type=f"{CORE}.flow.ForEach", values=[1], tasks=[LOG]), with_task(type="core.flow.EachParallel", value=[1], tasks=[LOG]),
    with_task(type=f"{CORE}.flow.WaitFor", condition="x", tasks=[LOG]), with_task(type="io.kestra.core.tasks.log.Log", message="x"),
    with_task(type=f"{CORE}.flow.Pause", delay="PT1S"), with_task(type=f"{CORE}.flow.Subflow", namespace="c", flowId="d", outputs={}),
    with_task(type=f"{CORE}.flow.Sequential", tasks=[{"id": "y", "type": f"{CORE}.flow.ForEach", "values": [1], "tasks": [LOG]}]),
    with_task(type="core.log.Log", message="{{ json(outputs.x) }}"), with_task(type="core.log.Log", message="{{ trigger | json }}"),
    with_task(type="core.log.Log", message="{{ schedule.date }}"), with_task(type="core.log.Log", message="{{ currentEachOutput(outputs.x) }}"),
]
NEW = [
    flow(draft=False), flow(policyRefs=[]), flow(workerSelector={"tags": ["a"]}), with_trigger(when="true"), with_trigger(dependsOn=[{"namespace": "a"}]),
    with_trigger(window={"every": "P1D"}), with_trigger(mode="ANY"), flow(checks=[{"when": "true", "message": "m"}]),
    flow(inputs=[{"id": "i", "type": "FORM", "inputs": [{"id": "j", "type": "INT"}]}]), flow(inputs=[{"id": "i", "type": "ION"}]),
    with_task(type=f"{CORE}.flow.Loop", values=[1], tasks=[LOG]), with_task(type="core.flow.Approval"),
    with_task(type="core.debug.Return", policyRefs=[]), with_task(type=f"{CORE}.flow.Pause", onResume=[{"id": "i", "type": "ION"}]),
    with_task(type="core.log.Log", message="{{ item.value }}"), with_task(type="core.log.Log", message="{% if isWeekend(now()) %}x{% endif %}"),
    with_task(type="core.log.Log", message="{{ loopOutputs(outputs.l.outputs, 'x') }}"), with_task(type="core.log.Log", message="{{ read('a', revision=1) }}"),
]
BOTH = [
    flow(), flow(checks=[{"condition": "true", "message": "m"}]), flow(inputs=[{"id": "i", "type": "BOOL", "prefill": True, "required": False}]),
    with_task(type="core.log.Log", message="print(json(x)); item.value; {{ inputs.x | toJson }}"), with_task(type="core.debug.Return", runIf="true"),
    with_task(type="core.debug.Return", retry={"type": "constant", "interval": 1, "maxAttempt": 2}),
    flow(variables={"conditions": [], "draft": True, "when": "x", "type": "core.flow.Loop"}),
    with_task(type="core.flow.Subflow", namespace="c", flowId="d", inputs={"when": 1, "conditions": 2, "x": {"id": "y", "type": "core.flow.Loop"}}),
]


@pytest.mark.parametrize("text", OLD)
def test_marks_of_1_x(parse: Parse, text: str) -> None:
    assert parse(text).dialect == "1.x"
    mixed = parse(json.dumps({**json.loads(text), "draft": False}))
    assert mixed.dialect == ("2.0" if "{{" in text else "1.x")


@pytest.mark.parametrize("text", NEW)
def test_marks_of_2_0(parse: Parse, text: str) -> None:
    parsed = parse(text)
    assert parsed.dialect == "2.0"
    assert parsed.flow is None or parsed.flow.dialect == "2.0"


@pytest.mark.parametrize("text", BOTH)
def test_without_marks_a_flow_is_taken_as_1_x(parse: Parse, text: str) -> None:
    parsed = parse(text)
    assert parsed.dialect == "1.x"
    assert not any(each.code == "mixed-dialect" for each in parsed.warnings)


def test_marks_of_both_are_named_in_a_warning(parse: Parse) -> None:
    text = flow(pluginDefaults=[], triggers=[{"id": "t", "type": "core.trigger.Flow", "when": "true"}])
    (warning,) = [each for each in parse(text).warnings if each.code == "mixed-dialect"]
    assert warning.message == "this flow mixes the language of 1.x ('pluginDefaults') and of 2.0 ('when')"
    assert warning.path == "triggers[0].when"


def test_defaults_of_the_instance_are_no_marks(parse: Parse) -> None:
    outer = [{"type": "core.trigger.Flow", "values": {"when": "true"}}]
    assert parse(with_trigger(states=["FAILED"]), defaults=outer).dialect == "1.x"
