"""A flow as a graph: every task is a node once, edges join what follows each other, clusters hold what belongs together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podium.app.plugins import load_types
from podium.flows.graphs.flow import graph_of
from podium.flows.graphs.states import states_of
from podium.flows.load import parse_flows
from podium.flows.model import Flow

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted([*(ROOT / "flows").glob("*.yaml"), *(ROOT / "tools/ui/flows/company").rglob("*.yaml")])
LOG = "type: io.kestra.plugin.core.log.Log, message: hi"


def flow_of(text: str) -> Flow:
    parsed = parse_flows(text, file="flow.yaml", types=load_types())[0]
    assert parsed.flow is not None, parsed.problems
    return parsed.flow


def graph(tasks: str, more: str = "") -> dict[str, Any]:
    return graph_of(flow_of(f"id: f\nnamespace: n\ntasks:\n{tasks}\n{more}"))


def edges(found: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    return {(each["source"], each["target"], (each.get("relation") or {}).get("relationType", ""), (each.get("relation") or {}).get("value", "")) for each in found["edges"]}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_task_is_a_node_once_and_every_edge_joins_nodes(path: Path) -> None:
    for parsed in parse_flows(path.read_text("utf-8"), file=path.name, types=load_types()):
        if parsed.flow is None:
            continue
        found = graph_of(parsed.flow)
        uids = [each["uid"] for each in found["nodes"]]
        assert len(uids) == len(set(uids))
        assert {end for each in found["edges"] for end in (each["source"], each["target"])} <= set(uids)
        clusters = {each["cluster"]["uid"]: each for each in found["clusters"]}
        inside = [uid for each in clusters.values() for uid in each["nodes"]]
        assert sorted(inside) == sorted(uids)
        assert all(parent in clusters for each in clusters.values() for parent in each["parents"])
        # From its beginning every node but triggers can be reached.
        reached, waiting = {"root.start"}, ["root.start"]
        while waiting:
            here = waiting.pop()
            fresh = {each["target"] for each in found["edges"] if each["source"] == here} - reached
            reached |= fresh
            waiting += fresh
        assert reached == {uid for uid in uids if ".Triggers." not in uid}


def test_tasks_follow_each_other_and_errors_and_finally_stand_apart() -> None:
    found = graph(f"  - {{id: a, {LOG}}}\n  - {{id: b, {LOG}}}", f"errors: [{{id: e, {LOG}}}]\nfinally: [{{id: f, {LOG}}}]\nafterExecution: [{{id: x, {LOG}}}]\ntriggers: [{{id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 0 * * *'}}]")
    assert edges(found) == {
        ("root.start", "root.a", "SEQUENTIAL", ""), ("root.a", "root.b", "SEQUENTIAL", ""), ("root.start", "root.e", "ERROR", "errors"),
        ("root.b", "root.finally", "", ""), ("root.e", "root.finally", "", ""), ("root.finally", "root.f", "FINALLY", ""), ("root.f", "root.end", "", ""),
        ("root.end", "root.afterExecution", "AFTER_EXECUTION", ""), ("root.afterExecution", "root.x", "AFTER_EXECUTION", ""), ("root.Triggers.t", "root.start", "", ""),
    }
    (task,) = [each["task"] for each in found["nodes"] if each["uid"] == "root.a"]
    assert task == {"id": "a", "type": "io.kestra.plugin.core.log.Log", "message": "hi"}


def test_branches_name_their_choice_and_an_absent_else_goes_on() -> None:
    found = graph(f"  - id: i\n    type: io.kestra.plugin.core.flow.If\n    condition: 'true'\n    then: [{{id: a, {LOG}}}]")
    assert {("root.i.task", "root.i.a", "CHOICE", "then"), ("root.i.a", "root.i.end", "", ""), ("root.i.task", "root.i.end", "", "")} <= edges(found)
    found = graph(f"  - id: s\n    type: io.kestra.plugin.core.flow.Switch\n    value: x\n    cases: {{one: [{{id: a, {LOG}}}], two: [{{id: b, {LOG}}}]}}\n    defaults: [{{id: c, {LOG}}}]")
    assert {(target, value) for _, target, kind, value in edges(found) if kind == "CHOICE"} == {("root.s.a", "one"), ("root.s.b", "two"), ("root.s.c", "defaults")}
    assert ("root.s.task", "root.s.end", "", "") not in edges(found)


def test_a_dag_and_a_parallel_and_a_loop() -> None:
    found = graph(f"  - id: d\n    type: io.kestra.plugin.core.flow.Dag\n    tasks:\n      - task: {{id: a, {LOG}}}\n      - {{task: {{id: b, {LOG}}}, dependsOn: [a]}}\n      - {{task: {{id: c, {LOG}}}, dependsOn: [a]}}\n      - {{task: {{id: e, {LOG}}}, dependsOn: [b, c]}}")
    inner = {(a, b) for a, b, *_ in edges(found)}
    assert {("root.d.task", "root.d.a"), ("root.d.a", "root.d.b"), ("root.d.a", "root.d.c"), ("root.d.b", "root.d.e"), ("root.d.c", "root.d.e"), ("root.d.e", "root.d.end")} <= inner
    assert ("root.d.task", "root.d.e") not in inner
    found = graph(f"  - id: p\n    type: io.kestra.plugin.core.flow.Parallel\n    tasks: [{{id: a, {LOG}}}, {{id: b, {LOG}}}]")
    assert {(target, kind) for source, target, kind, _ in edges(found) if source == "root.p.task"} == {("root.p.a", "PARALLEL"), ("root.p.b", "PARALLEL")}
    found = graph(f"  - id: l\n    type: io.kestra.plugin.core.flow.ForEach\n    values: [1]\n    tasks: [{{id: a, {LOG}}}, {{id: b, {LOG}}}]")
    assert ("root.l.task", "root.l.a", "DYNAMIC", "") in edges(found)
    assert ("root.l.a", "root.l.b", "SEQUENTIAL", "") in edges(found)
    assert found["flowables"] == ["l"]


def test_subflows_are_opened_when_wanted() -> None:
    inner = flow_of(f"id: inner\nnamespace: n\ntasks: [{{id: deep, {LOG}}}]")
    outer = flow_of("id: outer\nnamespace: n\ntasks: [{id: s, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: inner}]")
    shut = graph_of(outer, find=lambda *_: inner)
    (node,) = [each for each in shut["nodes"] if each["uid"] == "root.s"]
    assert node["subflow"] == {"namespace": "n", "flowId": "inner"}
    opened = graph_of(outer, find=lambda *_: inner, subflows=["root.s"])
    assert "root.s.deep" in {each["uid"] for each in opened["nodes"]}
    assert "root.s" in {each["uid"] for each in graph_of(outer, find=lambda *_: None, subflows=["root.s"])["nodes"]}
    everything = ["root" + ".s" * depth for depth in range(1, 20)]
    assert len(graph_of(outer, find=lambda *_: outer, subflows=everything)["nodes"]) < 30


def test_the_loudest_state_of_many_runs_is_shown_and_all_are_counted() -> None:
    runs = [{"id": str(number), "taskId": "a", "state": {"current": state}} for number, state in enumerate(["SUCCESS", "FAILED", "SUCCESS", "RUNNING"])]
    assert states_of([*runs, {"id": "9", "taskId": "b", "state": {"current": "NEWER"}}]) == {
        "a": {"state": "FAILED", "counts": {"SUCCESS": 2, "FAILED": 1, "RUNNING": 1}, "taskRunId": "1"}, "b": {"state": "NEWER", "counts": {"NEWER": 1}, "taskRunId": "9"},
    }
