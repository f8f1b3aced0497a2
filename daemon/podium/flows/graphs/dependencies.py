"""What flows have to do with each other: who starts whom by a task, and who listens for whom by a trigger. Pure.

A flow says some of it by name and some by namespace (a trigger may listen to all flows of one); the graph joins what is deployed. What always
holds: names that are expressions say nothing before they are evaluated and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from podium.flows.dynamic import has_expression
from podium.flows.model import Flow, all_tasks
from podium.flows.models.conditions import ExecutionFlow, ExecutionNamespace, MultipleCondition, Or
from podium.flows.triggers import FlowTrigger

Key = tuple[str, str]
"""Namespace and id of a flow."""
Relation = Literal["FLOW_TASK", "FLOW_TRIGGER"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a flow says of others. inward: it listens for them; else it starts them. flow_id: None means every flow that `matches`.

    by: id of the task or trigger that says so.
    """

    namespace: str
    flow_id: str | None
    inward: bool
    relation: Relation
    by: str
    comparison: Literal["EQUALS", "PREFIX", "SUFFIX"] = "EQUALS"

    def matches(self, key: Key) -> bool:
        """Whether that flow is meant."""
        namespace = key[0]
        there = {
            "EQUALS": namespace == self.namespace, "PREFIX": namespace.startswith(self.namespace), "SUFFIX": namespace.endswith(self.namespace),
        }[self.comparison]
        return there and self.flow_id in (None, key[1])


def links_of(flow: Flow) -> tuple[Link, ...]:
    """Everything that a flow says of others by name."""
    return tuple(dict.fromkeys([*_by_tasks(flow), *_by_triggers(flow)]))


def _by_tasks(flow: Flow) -> Iterator[Link]:
    for task in all_tasks(flow, listeners=False):
        namespace, flow_id = getattr(task, "namespace", None), getattr(task, "flow_id", None)
        if task.KIND == "flowable" and _named(namespace) and _named(flow_id):
            yield Link(namespace=str(namespace), flow_id=str(flow_id), inward=False, relation="FLOW_TASK", by=task.id)


def _by_triggers(flow: Flow) -> Iterator[Link]:
    for trigger in flow.triggers:
        if not isinstance(trigger, FlowTrigger):
            continue
        heard: list[tuple[Any, Any, Any]] = [(each.namespace, each.flow_id, "EQUALS") for each in trigger.depends_on]
        if trigger.preconditions is not None:
            heard += [(each.namespace, each.flow_id, "EQUALS") for each in trigger.preconditions.flows]
            heard += [each for where in trigger.preconditions.where if where.operand == "AND" for each in _filtered(where.filters)]
        heard += [each for condition in trigger.conditions for each in _conditioned(condition)]
        for namespace, flow_id, comparison in heard:
            if _named(namespace) and (flow_id is None or _named(flow_id)):
                yield Link(
                    namespace=namespace, flow_id=flow_id, inward=True, relation="FLOW_TRIGGER", by=trigger.id, comparison=comparison,
                )


def _filtered(filters: Sequence[Any]) -> Iterator[tuple[str, str | None, str]]:
    """Filters that name a namespace, together with those that name flows of it."""
    equal = {name: [*(each.values or ()), *([each.value] if each.value else [])] for each in filters
             if each.type in ("EQUAL_TO", "IN") and (name := each.field) in ("NAMESPACE", "FLOW_ID")}
    beginning = [each.value for each in filters if each.field == "NAMESPACE" and each.type == "STARTS_WITH" and each.value]
    for namespace in equal.get("NAMESPACE", []):
        for flow_id in equal.get("FLOW_ID") or [None]:
            yield namespace, flow_id, "EQUALS"
    for namespace in beginning:
        for flow_id in equal.get("FLOW_ID") or [None]:
            yield namespace, flow_id, "PREFIX"


def _conditioned(condition: Any) -> Iterator[tuple[str, str | None, str]]:
    if isinstance(condition, ExecutionFlow):
        yield condition.namespace, condition.flow_id, "EQUALS"
    elif isinstance(condition, ExecutionNamespace):
        yield condition.namespace, None, condition.comparison or ("PREFIX" if condition.prefix else "EQUALS")
    elif isinstance(condition, MultipleCondition):
        for each in condition.conditions.values():
            yield from _conditioned(each)
    elif isinstance(condition, Or):
        for each in condition.conditions:
            yield from _conditioned(each)


def _named(text: Any) -> bool:
    return isinstance(text, str) and bool(text) and not has_expression(text)


def graph(links: Mapping[Key, Sequence[Link]], around: Key | None = None, *, only_from: bool = False, whole: bool = False) -> dict[str, Any]:
    """{nodes: [{uid, namespace, id, deployed}], edges: [{source, target, relation, by}]} of these flows.

    around: only what is next to one flow; whole: and what is next to that, and so on. only_from: only what it leads to.
    """
    edges = list(dict.fromkeys(_edges(links)))
    if around is not None:
        edges = _near(edges, around, only_from=only_from, whole=whole)
    keys = dict.fromkeys([*([around] if around else []), *(key for source, target, *_ in edges for key in (source, target))])
    return {
        "nodes": [{"uid": uid(key), "namespace": key[0], "id": key[1], "deployed": key in links} for key in keys],
        "edges": [{"source": uid(source), "target": uid(target), "relation": relation, "by": by} for source, target, relation, by in edges],
    }


Edge = tuple[Key, Key, str, str]


def _edges(links: Mapping[Key, Sequence[Link]]) -> Iterator[Edge]:
    for key, said in links.items():
        for link in said:
            named: Iterable[Key] = (
                [(link.namespace, link.flow_id)] if link.flow_id is not None and link.comparison == "EQUALS"
                else [other for other in links if other != key and link.matches(other)]
            )
            for other in named:
                yield (other, key, link.relation, link.by) if link.inward else (key, other, link.relation, link.by)


def _near(edges: Sequence[Edge], around: Key, *, only_from: bool, whole: bool) -> list[Edge]:
    reached, waiting, kept = {around}, [around], dict[Edge, None]()
    while waiting:
        here = waiting.pop()
        for edge in edges:
            source, target = edge[0], edge[1]
            if source == here or (target == here and not only_from):
                kept[edge] = None
                other = target if source == here else source
                if whole and other not in reached:
                    reached.add(other)
                    waiting.append(other)
    return list(kept)


def uid(key: Key) -> str:
    """The name of a flow in the graph."""
    return f"{key[0]}_{key[1]}"


class Known:
    """What flows say of each other, kept as long as their revisions stay. revision: anything that changes with the flow's text."""

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[Any, tuple[Link, ...]]] = {}

    def links(self, flows: Iterable[tuple[Key, Any, Callable[[], Flow]]]) -> dict[Key, tuple[Link, ...]]:
        """The links of each flow: (key, revision, how to get its model). Takes a while at first: for a thread."""
        found: dict[Key, tuple[Any, tuple[Link, ...]]] = {}
        for key, revision, model in flows:
            kept = self._kept.get(key)
            found[key] = kept if kept is not None and kept[0] == revision else (revision, links_of(model()))
        self._kept = found
        return {key: links for key, (_, links) in found.items()}
