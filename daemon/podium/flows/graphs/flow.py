"""A flow as a graph: nodes, edges and clusters, for the topology of pages and for `GET /flows/{namespace}/{id}/graph`. Pure.

The shape is Kestra's FlowGraph (flow-language 10.1): a cluster has a node where it begins and one where it ends; a flowable stands in a cluster of
its own; edges say how they came about. What always holds: every task of the flow is a node exactly once, uids are unique, and every edge
joins two nodes that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from podium.flows.model import Dag, EachParallel, Flow, Flowable, If, Parallel, Subflow, Switch, Task, all_tasks

Relation = Literal["SEQUENTIAL", "CHOICE", "ERROR", "FINALLY", "AFTER_EXECUTION", "PARALLEL", "DYNAMIC"]
FindFlow = Callable[[str, str, int | None], Flow | None]
"""(namespace, id, revision or None for the newest) → the flow, or None where it is not known or the id is an expression."""

_PACKAGE = "io.kestra.core.models.hierarchies."
_DEPTH_MAX = 5
"""How deep subflows are opened."""
_SIDE: Mapping[str, Relation] = {"errors": "ERROR", "onPause": "SEQUENTIAL", "finally": "FINALLY"}
"""Lists beside the main ones, in the order in which they join it."""
_DYNAMIC = ("ForEach", "EachSequential", "EachParallel", "Loop", "ForEachItem", "LoopUntil")


@dataclass(slots=True)
class _Graph:
    nodes: list[dict[str, Any]] = field(default_factory=list)
    edges: list[dict[str, Any]] = field(default_factory=list)
    clusters: list[dict[str, Any]] = field(default_factory=list)

    def node(self, uid: str, kind: str, cluster: _Cluster, **more: Any) -> str:
        self.nodes.append({"uid": uid, "type": _PACKAGE + kind, **more})
        cluster.nodes.append(uid)
        return uid

    def edge(self, source: str, target: str, relation: Relation | None, value: str | None = None) -> None:
        facts = {"relationType": relation, **({"value": value} if value is not None else {})} if relation else None
        self.edges.append({"source": source, "target": target, **({"relation": facts} if facts else {})})


@dataclass(slots=True)
class _Cluster:
    uid: str
    start: str
    end: str
    parents: tuple[str, ...] = ()
    nodes: list[str] = field(default_factory=list)


def graph_of(flow: Flow, *, find: FindFlow | None = None, subflows: Iterable[str] = ()) -> dict[str, Any]:
    """{nodes, edges, clusters, flowables: ids} of a flow. subflows: uids of Subflow nodes to be opened; find: where their flows are looked up.

    A node of a task has `task` (as written, without the tasks inside it) and `uid` (`root.` and the ids of the tasks around it).
    """
    builder = _Builder(find, frozenset(subflows))
    builder.flow(flow, "root", None, 0)
    return {
        "nodes": builder.graph.nodes, "edges": builder.graph.edges, "clusters": builder.graph.clusters,
        "flowables": [each.id for each in all_tasks(flow, listeners=False) if isinstance(each, Flowable)],
    }


class _Builder:
    def __init__(self, find: FindFlow | None, opened: frozenset[str]) -> None:
        self.graph = _Graph()
        self._find = find
        self._opened = opened

    def flow(self, flow: Flow, uid: str, parent: _Cluster | None, depth: int) -> _Cluster:
        """The cluster of a whole flow."""
        cluster = self._cluster(uid, parent, "GraphCluster", entered=depth > 0)
        last = self._chain(flow.tasks, cluster, [cluster.start], depth)
        ends = self._chain(flow.errors, cluster, [cluster.start], depth, relation="ERROR", value="errors") if flow.errors else []
        if flow.finally_:
            done = self.graph.node(f"{uid}.finally", "GraphClusterFinally", cluster)
            self._join([*last, *ends], done, None)
            last, ends = self._chain(flow.finally_, cluster, [done], depth, relation="FINALLY"), []
        self._join([*last, *ends], cluster.end, None)
        if flow.after_execution:
            after = self.graph.node(f"{uid}.afterExecution", "GraphClusterAfterExecution", cluster)
            self.graph.edge(cluster.end, after, "AFTER_EXECUTION")
            self._chain(flow.after_execution, cluster, [after], depth, relation="AFTER_EXECUTION")
        if flow.triggers:
            self._triggers(flow, cluster)
        return cluster

    def _cluster(self, uid: str, parent: _Cluster | None, kind: str, *, entered: bool = True, task: Task | None = None) -> _Cluster:
        cluster = _Cluster(uid=uid, start=f"{uid}.start", end=f"{uid}.end", parents=(*parent.parents, parent.uid) if parent else ())
        self.graph.node(cluster.start, "GraphClusterRoot", cluster)
        self.graph.node(cluster.end, "GraphClusterEnd", cluster)
        self.graph.clusters.append({
            "cluster": {"uid": f"cluster_{uid}", "type": _PACKAGE + kind, **({"taskNode": {"uid": uid, "task": facts_of(task)}} if task else {})},
            "nodes": cluster.nodes, "parents": [f"cluster_{each}" for each in cluster.parents], "start": cluster.start, "end": cluster.end,
        })
        return cluster

    def _triggers(self, flow: Flow, cluster: _Cluster) -> None:
        names = []
        for trigger in flow.triggers:
            facts = {"id": trigger.id, "type": trigger.type, "disabled": trigger.disabled}
            uid = f"{cluster.uid}.Triggers.{trigger.id}"
            self.graph.nodes.append({"uid": uid, "type": _PACKAGE + "GraphTrigger", "trigger": {"id": trigger.id}, "triggerDeclaration": facts})
            self.graph.edge(uid, cluster.start, None)
            names.append(uid)
        self.graph.clusters.append({
            "cluster": {"uid": f"cluster_{cluster.uid}.Triggers", "type": _PACKAGE + "GraphCluster"}, "nodes": names, "parents": [],
            "start": names[0], "end": names[-1],
        })

    def _chain(
        self, tasks: Sequence[Task], cluster: _Cluster, before: list[str], depth: int, *, relation: Relation = "SEQUENTIAL",
        value: str | None = None,
    ) -> list[str]:
        """Tasks one after the other; the nodes after the last, `before` when there is none."""
        for task in tasks:
            start, end = self._task(task, cluster, depth)
            self._join(before, start, relation, value)
            before, value, relation = [end], None, "SEQUENTIAL"
        return before

    def _join(self, before: Iterable[str], target: str, relation: Relation | None, value: str | None = None) -> None:
        for source in before:
            self.graph.edge(source, target, relation, value)

    def _task(self, task: Task, cluster: _Cluster, depth: int) -> tuple[str, str]:
        """Where a task begins and where it ends."""
        uid = f"{cluster.uid}.{task.id}"
        if not isinstance(task, Flowable):
            return (node := self.graph.node(uid, "GraphTask", cluster, task=facts_of(task))), node
        if isinstance(task, Subflow):
            return self._subflow(task, uid, cluster, depth)
        if not any(task.lists_of_tasks().values()):
            return (node := self.graph.node(uid, "GraphTask", cluster, task=facts_of(task))), node
        return self._flowable(task, uid, cluster, depth)

    def _subflow(self, task: Subflow, uid: str, cluster: _Cluster, depth: int) -> tuple[str, str]:
        names = {"namespace": task.namespace, "flowId": task.flow_id, **({"revision": task.revision} if task.revision else {})}
        inner = self._find(task.namespace, task.flow_id, task.revision) if self._find and uid in self._opened and depth < _DEPTH_MAX else None
        if inner is None:
            return (node := self.graph.node(uid, "SubflowGraphTask", cluster, task=facts_of(task), subflow=names)), node
        within = self.flow(inner, uid, cluster, depth + 1)
        node = self.graph.node(f"{uid}.task", "SubflowGraphTask", within, task=facts_of(task), subflow=names)
        self.graph.edge(node, within.start, "SEQUENTIAL")
        return node, within.end

    def _flowable(self, task: Flowable, uid: str, cluster: _Cluster, depth: int) -> tuple[str, str]:
        within = self._cluster(uid, cluster, "GraphCluster", task=task)
        head = self.graph.node(f"{uid}.task", "GraphTask", within, task=facts_of(task))
        self.graph.edge(within.start, head, "SEQUENTIAL")
        lists, main = task.lists_of_tasks(), task.main_lists()
        ends = self._dag(task, within, head, depth) if isinstance(task, Dag) else self._main(task, main, within, head, depth)
        for name, relation in _SIDE.items():
            if tasks := lists.get(name, []):
                after = self._chain(tasks, within, ends if name == "finally" else [head], depth, relation=relation, value=name)
                ends = after if name == "finally" else [*ends, *after]
        self._join(ends, within.end, None)
        return within.start, within.end

    def _main(self, task: Flowable, main: Mapping[str, list[Task]], within: _Cluster, head: str, depth: int) -> list[str]:
        if isinstance(task, (Parallel, EachParallel)):
            ends = []
            for each in main.get("tasks", []):
                ends += self._chain([each], within, [head], depth, relation="PARALLEL")
            return ends or [head]
        choice = isinstance(task, (If, Switch)) or len(main) > 1
        ends, skipped = [], False
        for name, tasks in main.items():
            if choice and tasks:
                ends += self._chain(tasks, within, [head], depth, relation="CHOICE", value=name.removeprefix("cases."))
            elif choice:
                skipped = True
            else:
                dynamic = type(task).__name__ in _DYNAMIC
                ends += self._chain(tasks, within, [head], depth, relation="DYNAMIC" if dynamic else "SEQUENTIAL")
        return [*ends, head] if skipped or not ends else ends

    def _dag(self, task: Dag, within: _Cluster, head: str, depth: int) -> list[str]:
        places = {each.task.id: self._task(each.task, within, depth) for each in task.tasks}
        needed: set[str] = set()
        for each in task.tasks:
            waits = [name for name in each.depends_on if name in places and name != each.task.id]
            needed.update(waits)
            self._join([places[name][1] for name in waits] or [head], places[each.task.id][0], "SEQUENTIAL" if waits else "PARALLEL")
        return [end for name, (_, end) in places.items() if name not in needed] or [head]


def facts_of(task: Task) -> dict[str, Any]:
    """What a node says of its task: its own properties as written, without the tasks inside it."""
    inside = {name.partition(".")[0] for name in task.lists_of_tasks()}
    dumped: dict[str, Any] = task.model_dump(mode="json", by_alias=True, exclude_unset=True, serialize_as_any=True, fallback=str)
    return {name: value for name, value in dumped.items() if name not in inside}
