"""Dialect 2.0, fact by fact: what it accepts, what it refuses and in which words. Source: flow-language-2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podium.app.plugins import load_types
from podium.flows.load import Parsed, parse_flows

CORE = "io.kestra.plugin.core"
LOG = {"id": "inner", "type": f"{CORE}.log.Log", "message": "x"}
TYPES = load_types()
NEEDED = {"id": "i", "type": "INT"}


def look(**properties: Any) -> Parsed:
    """The flow with these properties, read as 2.0."""
    body = {"id": "a", "namespace": "b", "tasks": [{"id": "x", "type": f"{CORE}.debug.Return"}]} | properties
    (parsed,) = parse_flows(json.dumps(body), file="f.yaml", types=TYPES, dialect="2.0")
    return parsed


def task(name: str, **properties: Any) -> dict[str, Any]:
    return {"tasks": [{"id": "x", "type": name if name.startswith("io.") else f"{CORE}.{name}", **properties}]}


def trigger(name: str = "Flow", **properties: Any) -> dict[str, Any]:
    own = {"Schedule": {"cron": "@daily"}, "Webhook": {"key": "k"}}.get(name, {})
    return {"triggers": [{"id": "t", "type": f"{CORE}.trigger.{name}", **own, **properties}]}


def given(*inputs: dict[str, Any]) -> dict[str, Any]:
    return {"inputs": list(inputs)}


REFUSED: list[tuple[dict[str, Any], str]] = [
    # §1 the flow
    ({"listeners": []}, 'Unrecognized field "listeners"'),
    ({"pluginDefaults": []}, 'Unrecognized field "pluginDefaults"'),
    ({"taskDefaults": []}, 'Unrecognized field "taskDefaults"'),
    ({"workerGroup": {"key": "a"}}, 'Unrecognized field "workerGroup"'),
    (task("debug.Return", workerGroup={"key": "a"}), 'Unrecognized field "workerGroup"'),
    ({"quotas": [{"duration": "PT1H", "limit": 1, "behavior": "FAIL"}]}, "quotas is an Enterprise Edition functionality"),
    ({"draft": "maybe"}, "true or false is expected"),
    ({"policyRefs": "a"}, "a list is expected"),
    ({"workerSelector": {"match": "ALL"}}, "'match' is only allowed with 'tags'"),
    ({"workerSelector": {"fallback": "WAIT"}}, "'fallback' is only allowed with 'tags'"),
    ({"workerSelector": {"tags": ["A"]}}, "'A' is no worker tag"),
    ({"workerSelector": {"tags": ["a" * 65]}}, "is no worker tag"),
    ({"workerSelector": {"tags": [f"t{number}" for number in range(21)]}}, "size must be between 0 and 20"),
    ({"workerSelector": {"tags": ["a"], "match": "SOME"}}, "is not one of the values accepted: [ALL, ANY]"),
    ({"workerSelector": {"tags": ["a"], "fallback": "LATER"}}, "is not one of the values accepted"),
    (trigger("Schedule", workerSelector={"match": "ANY"}), "'match' is only allowed with 'tags'"),
    # §2 static validation
    (given(NEEDED) | trigger("Schedule"), "Invalid Flow: Missing inputs for Schedule Trigger 't', missing inputs: 'i'"),
    (given(NEEDED) | trigger("Webhook"), "Invalid Flow: Missing inputs for Webhook Trigger 't', missing inputs: 'i'"),
    (given({**NEEDED, "prefill": 3}) | trigger("Schedule"), "missing inputs: 'i'"),
    (given({"id": "f", "type": "FORM", "inputs": [NEEDED]}) | trigger("Schedule"), "missing inputs: 'f.i'"),
    (given({"id": "f", "type": "FORM", "inputs": [NEEDED]}) | trigger("Schedule", inputs={"i": 1}), "missing inputs: 'f.i'"),
    (given({**NEEDED, "defaults": 3, "required": False}), "Inputs with a default value must be required, since the default is always applied."),
    (given({**NEEDED, "defaults": 3, "prefill": 3}), "Inputs with a default value cannot also have a prefill."),
    (given({"id": "f", "type": "FORM", "inputs": [NEEDED], "defaults": {}}), "cannot declare a default value or a prefill"),
    (given({"id": "f", "type": "FORM", "inputs": [NEEDED], "prefill": {"i": 1}}), "cannot declare a default value or a prefill"),
    (given({"id": "f", "type": "FORM", "inputs": [{"id": "g", "type": "FORM", "inputs": [NEEDED]}]}), "A FORM input cannot contain another FORM input"),
    ({"labels": {"Owner": "x"}}, "Invalid label key. A valid key contains only lowercase letters"),
    ({"labels": {"1a": "x"}}, "Invalid label key."),
    ({"labels": {"a b": "x"}}, "Invalid label key."),
    ({"labels": {"a": ""}}, "the label 'a' has no value"),
    (trigger(when="true", labels={"Owner": "x"}), "Invalid label key."),
    ({"triggers": [{"id": "t" * 257, "type": f"{CORE}.trigger.Flow", "when": "true"}]}, "Trigger id must be at most 256 characters"),
    # §3 Loop, §4 Approval and Pause
    (task("flow.Loop", values=[1], tasks=[]), "The 'tasks' property cannot be empty"),
    (task("flow.Loop", tasks=[LOG]), "the property 'values' is required"),
    (task("flow.Loop", values=[1], tasks=[LOG], concurrencyLimit=-1), "must be greater than or equal to 0"),
    (task("flow.Loop", values=[1], tasks=[LOG], concurrencyLimit="{{ 1 }}"), "a whole number is expected"),
    (task("flow.Loop", values=[1], tasks=[LOG], fetchType="NONE"), "is not one of the values accepted: [AUTO, FETCH, STORE]"),
    (task("flow.Loop", values=[1], tasks=[LOG], outputs=[{"id": "o", "type": "STRING"}]), "the property 'value' is required"),
    (task("flow.Loop", values=[1], tasks=[LOG], condition="x"), 'Unrecognized field "condition"'),
    (task("flow.Approval", approveBehavior="STOP"), "is not one of the values accepted: [CONTINUE, WARN, FAIL, SUCCEED, CANCEL, KILL]"),
    (task("flow.Approval", commentRequired="SOMETIMES"), "is not one of the values accepted: [NEVER, ALWAYS, ON_DENY, ON_APPROVE]"),
    (task("flow.Approval", decisions={"maybe": "x"}), 'Unrecognized field "maybe"'),
    (task("flow.Approval", inputs=[{"id": "i", "type": "BOOLEAN"}]), "Invalid type: BOOLEAN"),
    (task("flow.Pause", delay="PT1S"), 'Unrecognized field "delay"'),
    (task("flow.Pause", tasks=[LOG]), 'Unrecognized field "tasks"'),
    # §5 triggers
    (trigger(conditions=[]), 'Unrecognized property "conditions" on trigger "t"'),
    (trigger(preconditions={"id": "p"}), "'dependsOn'"),
    (trigger("Schedule", scheduleConditions=[]), "use 'when'"),
    (trigger("Schedule", backfill={}), 'Unrecognized property "backfill"'),
    (trigger("Schedule", minLogLevel="INFO"), "use 'logLevel'"),
    (trigger("Schedule", workerGroup={"key": "a"}), "use 'workerSelector'"),
    (trigger("Schedule", wehn="true"), 'Unrecognized property "wehn" on trigger "t"'),
    (trigger(mode="AT_LEAST", dependsOn=[{"flowId": "x"}]), "mode AT_LEAST needs 'minSatisfied'"),
    (trigger(mode="AT_LEAST", minSatisfied=2, dependsOn=[{"flowId": "x"}]), "'minSatisfied' is 2, but there are 1 dependencies"),
    (trigger(mode="AT_LEAST", minSatisfied=0, dependsOn=[{"flowId": "x"}]), "must be greater than 0"),
    (trigger(mode="SOME", dependsOn=[{"flowId": "x"}]), "is not one of the values accepted: [ALL, ANY, AT_LEAST]"),
    (trigger(dependsOn=[{"flow": "x"}]), 'Unrecognized field "flow"'),
    (trigger(dependsOn=[{"flowId": "x", "states": ["DONE"]}]), "is not one of the values accepted"),
    (trigger(when="true", window={"deadline": "09:00:00", "every": "PT1H"}), "a window is one of deadline, from and to, every, lookback"),
    (trigger(when="true", window={"lookback": "PT1H", "from": "09:00:00", "to": "10:00:00"}), "a window is one of"),
    (trigger(when="true", window={"from": "09:00:00"}), "'from' needs 'to'"),
    (trigger(when="true", window={"to": "09:00:00"}), "'to' needs 'from'"),
    (trigger(when="true", window={"deadline": "9am"}), "is no time of day"),
    (trigger(when="true", window={"every": "soon"}), "not a duration"),
    (trigger(when="true", window={"every": "P1D", "timezone": "Mars/Base"}), "Mars/Base"),
    (trigger(when="true", window={"fireOnce": True, "every": "P1D"}), 'Unrecognized field "fireOnce"'),
    (trigger(when="true", window={"timezone": "UTC"}), "a window is one of"),
    ({"triggers": [{"id": "t", "type": "io.kestra.core.models.triggers.types.Schedule", "cron": "@daily"}]}, "knows it as io.kestra.plugin.core.trigger.Schedule"),
    # §6 inputs
    (given({"id": "i", "type": "BOOLEAN"}), "Invalid type: BOOLEAN"),
    (given({"id": "i", "type": "ENUM", "values": ["a"]}), "Invalid type: ENUM"),
    (given({"id": "i", "type": "ARRAY", "itemType": "BOOLEAN"}), "Invalid type: BOOLEAN"),
    (given({"name": "i", "type": "INT"}), 'Unrecognized field "name"'),
    (given({"id": "i", "type": "MULTISELECT", "options": ["a"]}), 'Unrecognized field "options"'),
    (given({"id": "i", "type": "FILE", "extension": ".csv"}), 'Unrecognized field "extension"'),
    (given({"id": "i", "type": "REUSABLE_INPUTS", "ref": "x"}), "REUSABLE_INPUTS is an Enterprise Edition functionality"),
    (given({"id": "i", "type": "REUSABLE_INPUTS"}), "the property 'ref' is required"),
    (given({"id": "i", "type": "FORM"}), "the property 'inputs' is required"),
    (given({"id": "i", "type": "OBJECT"}), "the property 'properties' is required"),
    (given({"id": "i", "type": "TABLE"}), "the property 'columns' is required"),
    *[
        (given({"id": "o", "type": "OBJECT", "properties": [{"id": "p", "type": kind, **more}]}), f"an input of type OBJECT cannot hold one of type {kind}")
        for kind, more in (
            ("OBJECT", {"properties": [NEEDED]}), ("TABLE", {"columns": [NEEDED]}), ("ARRAY", {"itemType": "INT"}), ("FORM", {"inputs": [NEEDED]}),
            ("FILE", {}), ("SECRET", {}), ("JSON", {}), ("ION", {}), ("YAML", {}),
        )
    ],
    (given({"id": "o", "type": "OBJECT", "properties": [{**NEEDED, "defaults": 1}]}), "'defaults' cannot stand inside an input of type OBJECT"),
    (given({"id": "o", "type": "OBJECT", "properties": [{**NEEDED, "dependsOn": {"inputs": ["z"]}}]}), "'dependsOn' cannot stand inside"),
    (given({"id": "t", "type": "TABLE", "columns": [NEEDED], "rows": {"min": 3, "max": 1}}), "'min' is more than 'max'"),
    ({"outputs": [{"id": "o", "type": "BOOLEAN", "value": True}]}, "Invalid type: BOOLEAN"),
    ({"outputs": [{"id": "o", "type": "FORM", "value": {}}]}, "an output cannot be of type FORM"),
    # §7 what is removed
    (task("flow.ForEach", values=[1], tasks=[LOG]), "Invalid type: io.kestra.plugin.core.flow.ForEach"),
    (task("flow.EachSequential", value=[1], tasks=[LOG]), "Invalid type"),
    (task("flow.EachParallel", value=[1], tasks=[LOG]), "Invalid type"),
    (task("flow.ForEachItem", items="x", namespace="b", flowId="c"), "Invalid type"),
    (task("flow.WaitFor", condition="x", tasks=[LOG]), "knows it as io.kestra.plugin.core.flow.LoopUntil"),
    (task("flow.Template", namespace="b", templateId="c"), "Invalid type"),
    (task("debug.Echo", format="x"), "Invalid type"),
    (task("state.Get"), "Invalid type"),
    (task("execution.Count", expression="true", startDate="2024-01-01T00:00:00Z", namespaces=["a"]), "language 2.0 does not have this task"),
    (task("execution.Resume"), "language 2.0 does not have this task"),
    (task("trigger.Toggle", trigger="x"), "language 2.0 does not have this task"),
    (task("storage.LocalFiles"), "language 2.0 does not have this task"),
    (task("storage.Purge", endDate="x"), "knows it as io.kestra.plugin.core.execution.PurgeExecutions"),
    (task("io.kestra.core.tasks.log.Log", message="x"), "knows it as io.kestra.plugin.core.log.Log"),
    (task("io.kestra.plugin.fs.http.Request", uri="http://x.y"), "knows it as io.kestra.plugin.core.http.Request"),
    (task("flow.Subflow", namespace="c", flowId="d", outputs={}), 'Unrecognized field "outputs"'),
    (task("http.Request", uri="http://x.y", options={"basicAuthUser": "a"}), 'Unrecognized field "basicAuthUser"'),
    (task("http.Request", uri="http://x.y", options={"connectionPoolIdleTimeout": "PT1S"}), 'Unrecognized field "connectionPoolIdleTimeout"'),
    (task("http.Request", uri="http://x.y", sslOptions={"insecureTrustAllCertificates": True}), 'Unrecognized field "sslOptions"'),
    (task("execution.Exit", state="CANCELED"), "'CANCELED' is not a state of language 2.0"),
    (task("io.kestra.plugin.scripts.shell.Commands", commands=["x"], runner="PROCESS"), 'Unrecognized field "runner"'),
    (task("io.kestra.plugin.scripts.shell.Commands", commands=["x"], docker={"image": "x"}), 'Unrecognized field "docker"'),
    ({"id": "pause"}, "the flow id 'pause' is reserved"),
]

ACCEPTED: list[dict[str, Any]] = [
    {"draft": True}, {"policyRefs": ["a"]}, {"workerSelector": {"tags": ["a-1"], "match": "ANY", "fallback": "IGNORE"}}, {"quotas": []},
    {"checks": [{"when": "true", "message": "m"}]}, {"checks": [{"condition": "true", "message": "m"}]},
    {"labels": {"system.readOnly": "true", "ownerName": "x", "été": "x", "a.b-c_d1": "y"}},
    given(NEEDED) | trigger("Schedule", inputs={"i": 3}), given(NEEDED) | trigger("Flow", when="true"), given({**NEEDED, "required": False}) | trigger("Schedule"),
    given({**NEEDED, "defaults": 3}) | trigger("Webhook"),
    given({"id": "f", "type": "FORM", "inputs": [NEEDED]}) | trigger("Schedule", inputs={"f.i": 1}),
    given({"id": "f", "type": "FORM", "inputs": [NEEDED]}) | trigger("Schedule", inputs={"f": {"i": 1}}),
    given(NEEDED) | {"triggers": [{"id": "t", "type": f"{CORE}.http.Trigger", "uri": "http://x.y"}]},
    task("flow.Loop", values=["a"], tasks=[LOG]), task("flow.Loop", values={"k": 1}, tasks=[LOG], concurrencyLimit=2, transmitFailed=False),
    task("flow.Loop", values="{{ outputs.x.uri }}", tasks=[LOG], fetchType="STORE", breakWhen="{{ item.index > 3 }}", errors=[LOG | {"id": "e"}],
         outputs=[{"id": "o", "type": "STRING", "value": "{{ item.value }}"}], **{"finally": [LOG | {"id": "f"}]}),
    task("flow.Approval"), task("flow.Approval", inputs=[NEEDED], decisions={"approve": "Yes", "deny": "No"}, commentRequired="ON_DENY", autoApprove="{{ true }}",
         approveBehavior="WARN", denyBehavior="FAIL", expireBehavior="KILL", onWait=[LOG], onApprove=[LOG | {"id": "a2"}], onDeny=[LOG | {"id": "d"}], timeout="PT1H"),
    task("flow.Pause", pauseDuration="PT1S"), task("flow.LoopUntil", condition="x", tasks=[LOG]), task("debug.Return", runIf="true"),
    trigger("Schedule", when="{{ isWeekend(trigger.date) }}", logLevel="INFO", policyRefs=["p"], workerSelector={"tags": ["a"]}, labels={"a": "b"},
            stopAfter=["FAILED"], logToFile=True, failOnTriggerError=True, allowConcurrent=True, version="1", assets={}),
    trigger(dependsOn=[{"namespace": "a", "flowId": "b", "states": ["SUCCESS"], "labels": {"k": "v"}, "when": "true"}, {}], window={"every": "PT1H", "offset": "PT5M"}),
    trigger(dependsOn=[{"flowId": "a"}, {"flowId": "b"}], mode="AT_LEAST", minSatisfied=2, window={"lookback": "PT1H"}),
    trigger(dependsOn=[{"flowId": "a"}], window={"from": "09:00", "to": "17:00:00", "timezone": "Europe/Paris"}), trigger(states=["SUCCESS"], when="true"),
    trigger(dependsOn=[{"flowId": "a"}], window={"deadline": "09:00:00", "timezone": "UTC"}),
    given({"id": "i", "type": "ION"}, {"id": "o", "type": "OBJECT", "properties": [NEEDED, {"id": "s", "type": "SELECT", "values": ["a"]}]},
          {"id": "t", "type": "TABLE", "columns": [NEEDED], "rows": {"min": 1, "max": 3}}),
    given({"id": "f", "type": "FORM", "inputs": [NEEDED, {"id": "j", "type": "INT", "dependsOn": {"inputs": ["f.i"]}}]}),
    task("kv.PurgeKV", namespaces=["a"], expiredOnly=True), task("debug.Return", retry={"type": "constant", "interval": 1, "maxAttempt": 2}),
    task("execution.Exit", state="CANCELLED"), task("core.log.Log".removeprefix("core."), message="x"),
]


@pytest.mark.parametrize(("properties", "fragment"), REFUSED, ids=[f"{index}-{fragment[:40]}" for index, (_, fragment) in enumerate(REFUSED)])
def test_what_2_0_refuses(properties: dict[str, Any], fragment: str) -> None:
    problems = look(**properties).problems
    assert fragment in "\n".join(f"{each.message} {each.hint}" for each in problems)
    assert all(each.line >= 1 and each.column >= 1 for each in problems)


@pytest.mark.parametrize("properties", ACCEPTED, ids=[str(index) for index in range(len(ACCEPTED))])
def test_what_2_0_accepts(properties: dict[str, Any]) -> None:
    assert [str(each) for each in look(**properties).problems] == []


WARNED: list[tuple[dict[str, Any], str]] = [
    (task("flow.Loop", values=3, tasks=[LOG]), "The values must be a list, a map, or an expression that renders to one, but got: '3'"),
    (trigger(when="true", window={"deadline": "09:00:00+01:00"}), "'deadline' has an offset"),
    (trigger(states=["SUCCESS"]), "This flow will be triggered for EVERY execution of EVERY flow"),
    (trigger(when="true", window={"offset": "PT1H"}), "'offset' without 'every' shifts a window of one day"),
]


@pytest.mark.parametrize(("properties", "fragment"), WARNED, ids=[fragment[:30] for _, fragment in WARNED])
def test_what_2_0_accepts_with_a_warning(properties: dict[str, Any], fragment: str) -> None:
    parsed = look(**properties)
    assert parsed.problems == ()
    assert any(fragment in each.message for each in parsed.warnings)


REMOVED_WORDS = {
    "{{ inputs.x | json }}": "the filter 'json'", "{{ json(inputs.x) }}": "the function 'json'", "{{ schedule.date }}": "the variable 'schedule'",
    "{{ currentEachOutput(outputs.x) }}": "the function 'currentEachOutput'", "{{ parentOutput() }}": "the function 'parentOutput'",
    "{{ iterationOutput() }}": "the function 'iterationOutput'", "{{ read('a', version=1) }}": "the argument 'version'",
}


@pytest.mark.parametrize("expression", REMOVED_WORDS)
def test_what_expressions_of_2_0_do_not_have_is_told(expression: str) -> None:
    warnings = look(tasks=[LOG | {"message": expression}]).warnings
    assert any(REMOVED_WORDS[expression] in each.message and each.hint for each in warnings)


@pytest.mark.parametrize("expression", ["{{ inputs.x is json }}", "{{ inputs.x | toJson }} json(x)", "{{ fromJson(inputs.x) }}", "{{ inputs.schedule.x }}"])
def test_what_only_looks_like_a_removed_word_is_let_be(expression: str) -> None:
    assert [each for each in look(tasks=[LOG | {"message": expression}]).warnings if each.code == "removed"] == []


def test_defaults_of_the_instance_may_say_what_2_0_does_not_have() -> None:
    text = json.dumps({"id": "a", "namespace": "b", "draft": False, "tasks": [{"id": "x", "type": f"{CORE}.flow.Pause"}]})
    defaults = [{"type": f"{CORE}.flow.Pause", "values": {"delay": "PT1S"}}]
    (parsed,) = parse_flows(text, file="f.yaml", types=TYPES, defaults=defaults)
    assert (parsed.dialect, parsed.problems) == ("2.0", ())
