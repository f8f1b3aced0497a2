"""What the API shows of a flow can be read again, as JSON and as YAML, and is the same flow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.app.plugins import load_types
from podium.flows.load import parse_flows
from podium.flows.model import Flow
from podium.flows.models.examples import EXAMPLES
from podium.web.wire import dump_flow

TYPES = load_types()
ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "conformance" / "flows" / "valids"
FILES = sorted([*(ROOT / "flows").glob("*.yaml"), *CORPUS.glob("*.y*ml")])
CORE = "io.kestra.plugin.core"
DURATIONS = st.sampled_from(["PT1S", "PT0.25S", "P1D", "PT1H30M", 3, 1.5, "90", "P1DT2H", "PT0.000001S"])
TEXTS = st.sampled_from(["x", "010", "yes", "1.10", "null", "true", "{{ inputs.x }}", " a ", "a: b # c", "ü\n  y\n", "12:30", "", "'", '"', "\t", "- a"])


def flows_of(text: str) -> list[Flow]:
    return [each.flow for each in parse_flows(text, file="f.yaml", types=TYPES) if each.flow is not None]


def assert_same(flow: Flow) -> None:
    shown = dump_flow(flow)
    for printed in (json.dumps(shown), json.dumps(shown, ensure_ascii=False, indent=2), yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)):
        (again,) = parse_flows(printed, file="again.yaml", types=TYPES)
        assert [str(each) for each in again.problems] == []
        assert again.flow is not None
        assert plain(again.flow) == plain(flow)


def plain(flow: Flow) -> dict[str, Any]:
    return flow.model_dump(mode="json", by_alias=True, exclude={"revision"})


@pytest.mark.parametrize("file", FILES, ids=[each.name for each in FILES])
def test_what_is_shown_of_a_file_is_the_same_flow(file: Path) -> None:
    for flow in flows_of(file.read_bytes().decode()):
        assert_same(flow)


labels = st.one_of(
    st.dictionaries(st.sampled_from(["a", "b.c"]), TEXTS.filter(bool), max_size=2), st.lists(st.fixed_dictionaries({"key": st.just("k"), "value": TEXTS.filter(bool)}), max_size=1),
)
inputs = st.lists(st.one_of(
    st.fixed_dictionaries({"id": st.just("i"), "type": st.just("INT"), "defaults": st.integers(-9, 9)}, optional={"min": st.just(-9), "max": st.just(9)}),
    st.fixed_dictionaries({"id": st.just("s"), "type": st.just("STRING")}, optional={"prefill": TEXTS, "description": TEXTS, "required": st.just(False)}),
    st.fixed_dictionaries({"id": st.just("d"), "type": st.just("DURATION")}, optional={"min": st.just("PT1S"), "max": st.just("P1D")}),
    st.fixed_dictionaries({"id": st.just("t"), "type": st.just("DATETIME")}, optional={"after": st.just("2024-01-01T00:00:00Z")}),
    st.fixed_dictionaries({"id": st.just("m"), "type": st.just("MULTISELECT"), "values": st.just(["a", "010"])}, optional={"defaults": st.just(["010"])}),
    st.fixed_dictionaries({"id": st.just("f"), "type": st.just("FORM"), "inputs": st.just([{"id": "x", "type": "BOOL", "defaults": True}])}),
    st.fixed_dictionaries({"id": st.just("o"), "type": st.just("OBJECT"), "properties": st.just([{"id": "x", "type": "FLOAT", "max": 1.5}])}),
), max_size=4, unique_by=lambda each: each["id"])
retry = st.one_of(
    st.fixed_dictionaries({"type": st.just("constant"), "interval": DURATIONS}, optional={"maxAttempts": st.just(3), "warningOnRetry": st.booleans()}),
    st.fixed_dictionaries({"type": st.just("exponential"), "interval": st.just("PT0.0000001S"), "maxInterval": st.just("P2D")}, optional={"delayFactor": st.just(1.5)}),
)
some_tasks = st.lists(st.one_of(
    st.fixed_dictionaries({"type": st.just(f"{CORE}.log.Log"), "message": st.one_of(TEXTS, st.lists(TEXTS, min_size=1, max_size=2))}, optional={"timeout": DURATIONS, "retry": retry}),
    st.fixed_dictionaries({"type": st.just(f"{CORE}.flow.Sleep"), "duration": DURATIONS}, optional={"description": TEXTS, "disabled": st.booleans()}),
    st.fixed_dictionaries({"type": st.just(f"{CORE}.flow.Loop"), "values": st.one_of(st.just({"a": 1}), st.lists(TEXTS, max_size=2)), "tasks": st.just([
        {"id": "inner", "type": f"{CORE}.debug.Return", "format": "010"}])}, optional={"breakWhen": TEXTS, "fetchType": st.just("STORE")}),
    st.fixed_dictionaries({"type": st.just(f"{CORE}.flow.Pause")}, optional={"pauseDuration": DURATIONS, "onResume": inputs}),
    st.fixed_dictionaries({"type": st.just(f"{CORE}.http.Request"), "uri": st.just("http://x.y")}, optional={"headers": st.just({"a": "1"}), "options": st.just({"timeout": {"connectTimeout": "PT1S"}})}),
    st.fixed_dictionaries({"type": st.just(f"{CORE}.kv.Set"), "key": st.just("k"), "value": st.one_of(TEXTS, st.integers(), st.just([1, None, {"a": 1.5}]))}, optional={"ttl": DURATIONS}),
    st.fixed_dictionaries({"type": st.just("io.kestra.plugin.scripts.shell.Commands"), "commands": st.lists(TEXTS, min_size=1, max_size=2)},
                          optional={"env": st.just({"A": "010"}), "taskRunner": st.just({"type": f"{CORE}.runner.Process"})}),
), min_size=1, max_size=3)
triggers = st.lists(st.one_of(
    st.fixed_dictionaries({"type": st.just(f"{CORE}.trigger.Schedule"), "cron": st.just("0 9 * * *")}, optional={"lateMaximumDelay": DURATIONS, "when": TEXTS}),
    st.fixed_dictionaries({"type": st.just(f"{CORE}.trigger.Flow"), "dependsOn": st.just([{"flowId": "a", "labels": {"k": "v"}}])}, optional={
        "window": st.sampled_from([{"every": "PT1H", "offset": 60}, {"lookback": "P1D"}, {"from": "09:00", "to": "10:00"}]), "states": st.just(["SUCCESS"])}),
    st.fixed_dictionaries({"type": st.just(f"{CORE}.trigger.Flow"), "conditions": st.just([{"type": f"{CORE}.condition.ExecutionStatus", "in": ["SUCCESS"]}])}),
    st.fixed_dictionaries({"type": st.just(f"{CORE}.trigger.Webhook"), "key": st.just("k")}, optional={"responseCode": st.just(201), "labels": labels}),
), max_size=2)
flows = st.fixed_dictionaries(
    {"id": st.just("f"), "namespace": st.just("a.b"), "tasks": some_tasks},
    optional={
        "labels": labels, "inputs": inputs, "triggers": triggers, "variables": st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=2), "retry": retry, "description": TEXTS,
        "sla": st.just([{"id": "s", "type": "MAX_DURATION", "behavior": "FAIL", "duration": "PT1H", "labels": {"a": "b"}}]), "disabled": st.booleans(),
        "concurrency": st.just({"limit": 2}), "outputs": st.just([{"id": "o", "type": "STRING", "value": "{{ 1 }}"}]), "pluginDefaults": st.just([{"type": f"{CORE}.log", "values": {"level": "WARN"}}]),
        "checks": st.just([{"when": "true", "message": "m"}]),
    },
)


@given(flows)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_shown_is_the_same_flow(written: dict[str, Any]) -> None:
    for part in ("tasks", "triggers"):
        written[part] = [{"id": f"{part}{index}", **each} for index, each in enumerate(written.get(part, []))]
        for index, each in enumerate(written[part]):
            for inner in each.get("tasks", []):
                each["tasks"] = [{**inner, "id": f"inner{index}"}]
    (parsed,) = parse_flows(json.dumps(written), file="f.yaml", types=TYPES)
    if parsed.flow is not None:
        assert_same(parsed.flow)


def test_every_example_of_a_type_is_shown_as_it_is() -> None:
    shown = 0
    for name, example in EXAMPLES.items():
        section = "tasks" if TYPES.task(name) is not None else "triggers" if TYPES.trigger(name) is not None else ""
        if section and not name.endswith(".Template"):  # which is shown with the tasks that stand in its place
            body = {"id": "f", "namespace": "a", "tasks": [{"id": "z", "type": f"{CORE}.log.Log", "message": "x"}], section: [yaml.safe_load(example)]}
            for flow in flows_of(json.dumps(body, default=str)):
                assert_same(flow)
                shown += 1
    assert shown > 15
