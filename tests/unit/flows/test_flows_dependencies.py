"""What flows have to do with each other: by tasks that start, and triggers that listen."""

from __future__ import annotations

from podium.app.plugins import load_types
from podium.flows.graphs.dependencies import Known, graph, links_of
from podium.flows.load import parse_flows
from podium.flows.model import Flow

TYPE = "io.kestra.plugin.core"


def flow(name: str, tasks: str = "", triggers: str = "", namespace: str = "n") -> Flow:
    text = f"id: {name}\nnamespace: {namespace}\ntasks:\n  - {{id: log, type: {TYPE}.log.Log, message: hi}}\n{tasks}\n" + (f"triggers:\n{triggers}" if triggers else "")
    parsed = parse_flows(text, file="flow.yaml", types=load_types())[0]
    assert parsed.flow is not None, parsed.problems
    return parsed.flow


def found(*flows: Flow, around: tuple[str, str] | None = None, **how: bool) -> set[tuple[str, str, str, str]]:
    links = {(each.namespace, each.id): links_of(each) for each in flows}
    return {(each["source"], each["target"], each["relation"], each["by"]) for each in graph(links, around, **how)["edges"]}


def test_a_task_starts_and_a_trigger_listens() -> None:
    child = flow("child")
    parent = flow("parent", f"  - id: p\n    type: {TYPE}.flow.Parallel\n    tasks: [{{id: s, type: {TYPE}.flow.Subflow, namespace: n, flowId: child}}, {{id: dyn, type: {TYPE}.flow.Subflow, namespace: n, flowId: '{{{{ inputs.x }}}}'}}]")
    after = flow("after", "", f"  - {{id: t, type: {TYPE}.trigger.Flow, preconditions: {{id: c, flows: [{{namespace: n, flowId: child}}, {{namespace: n, flowId: gone}}]}}}}")
    old = flow("old", "", f"  - {{id: t, type: {TYPE}.trigger.Flow, conditions: [{{type: {TYPE}.condition.ExecutionNamespace, namespace: other, prefix: true}}]}}")
    far = flow("far", namespace="other.team")
    edges = found(child, parent, after, old, far)
    assert edges == {
        ("n_parent", "n_child", "FLOW_TASK", "s"), ("n_child", "n_after", "FLOW_TRIGGER", "t"), ("n_gone", "n_after", "FLOW_TRIGGER", "t"), ("other.team_far", "n_old", "FLOW_TRIGGER", "t"),
    }
    assert found(child, parent, after, around=("n", "parent")) == {("n_parent", "n_child", "FLOW_TASK", "s")}
    assert len(found(child, parent, after, around=("n", "parent"), whole=True)) == 3
    assert found(child, parent, after, around=("n", "child"), only_from=True) == {("n_child", "n_after", "FLOW_TRIGGER", "t")}


def test_a_flow_that_is_named_and_not_deployed_is_marked_and_a_lone_one_stands_alone() -> None:
    links = {("n", "a"): links_of(flow("a", f"  - {{id: s, type: {TYPE}.flow.Subflow, namespace: n, flowId: gone}}")), ("n", "lone"): ()}
    assert {(each["id"], each["deployed"]) for each in graph(links, ("n", "a"))["nodes"]} == {("a", True), ("gone", False)}
    assert graph(links, ("n", "lone")) == {"nodes": [{"uid": "n_lone", "namespace": "n", "id": "lone", "deployed": True}], "edges": []}


def test_what_was_read_of_a_revision_is_kept() -> None:
    known, asked = Known(), []

    def model() -> Flow:
        asked.append(1)
        return flow("a")

    for revision in (1, 1, 2):
        assert known.links([(("n", "a"), revision, model)]) == {("n", "a"): ()}
    assert len(asked) == 2
    assert known.links([]) == {}


def test_circles_end() -> None:
    one, two = flow("one", f"  - {{id: s, type: {TYPE}.flow.Subflow, namespace: n, flowId: two}}"), flow("two", f"  - {{id: s, type: {TYPE}.flow.Subflow, namespace: n, flowId: one}}")
    assert len(found(one, two, around=("n", "one"), whole=True)) == 2
