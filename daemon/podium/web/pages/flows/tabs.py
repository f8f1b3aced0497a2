"""What the tabs of a flow show: overview, topology, source, executions, triggers, dependencies, metrics, logs.

Called by the page of a flow. What always holds: each tab asks indexed queries only, for a bounded number of rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from podium.base.errors import PodiumError
from podium.base.moments import from_text
from podium.base.ports import FlowRevision
from podium.base.system.zone import zone_of
from podium.conductor.port import View
from podium.flows.cron import Cron, parse_zone
from podium.flows.model import STATES, TERMINAL, Task
from podium.flows.triggers import Schedule
from podium.web.api.figures.buckets import bucket_of
from podium.web.api.graphs.dependencies import flow_dependencies
from podium.web.api.graphs.flows import flow_graph
from podium.web.context import context
from podium.web.pages.home.chart import RANGES
from podium.web.pages.text import coloured, markdown
from podium.web.pages.timeline import took
from podium.web.pages.triggers.rows import trigger_rows
from podium.web.params import LEVELS, Query

LAST = 10
CHARTED = 60
"""Executions in the chart of durations."""
SIZE = 50
LOG_SIZE = 200
NEXT = 5
_METRICS_MAX = 12
_HEIGHT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBar:
    """One execution in the chart of durations: its height in percent of the longest."""

    id: str
    state: str
    start: str
    took: timedelta | None
    height: float


async def overview(request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """Description, how the last executions went, what comes next."""
    orchestrator, now = context(request).orchestrator, context(request).clock.now()
    last, total = await orchestrator.executions(namespace=flow.namespace, flow_id=flow.flow_id, size=CHARTED)
    failed, _ = await orchestrator.executions(namespace=flow.namespace, flow_id=flow.flow_id, states=["FAILED"], size=1)
    ended = [each for each in last if each["state"]["current"] in TERMINAL]
    lengths = [found for each in ended if (found := took(each["state"], now)) is not None]
    good = sum(each["state"]["current"] in {"SUCCESS", "WARNING"} for each in ended)
    return {
        "description": markdown(flow.model.description), "last": last[:LAST], "total": total, "outline": outline(flow), "bars": bars(last, now),
        "rate": round(100 * good / len(ended)) if ended else None, "ended": len(ended),
        "usual": sorted(lengths)[len(lengths) // 2] if lengths else None,
        "longest": max(lengths, default=None), "failed": failed[0] if failed else None, "reasons": await orchestrator.reasons(failed),
        "upcoming": await upcoming(request, flow),
    }


def bars(last: Sequence[View], now: datetime) -> list[RunBar]:
    """The chart of durations, oldest first."""
    lengths = [took(each["state"], now) for each in last]
    most = max((each.total_seconds() for each in lengths if each is not None), default=0.0) or 1.0
    return [
        RunBar(
            id=each["id"], state=each["state"]["current"], start=each["state"].get("startDate") or "", took=length,
            height=round(max((length.total_seconds() if length else 0.0) / most * _HEIGHT, 3.0), 2),
        )
        for each, length in zip(last, lengths, strict=True)
    ][::-1]


async def upcoming(request: web.Request, flow: FlowRevision) -> list[tuple[str, datetime]]:
    """The next dates of its schedules: trigger and date, soonest first."""
    orchestrator, now = context(request).orchestrator, context(request).clock.now()
    found: list[tuple[str, datetime]] = []
    for trigger in flow.model.triggers if not flow.model.disabled else ():
        state = await orchestrator.trigger_state(flow.namespace, flow.flow_id, trigger.id) or {}
        if trigger.disabled or state.get("disabled") or not state.get("nextExecutionDate"):
            continue
        try:
            first = from_text(str(state["nextExecutionDate"]))
        except ValueError:
            continue
        found.append((trigger.id, first))
        if not isinstance(trigger, Schedule) or trigger.conditions or trigger.when or trigger.schedule_conditions or state.get("backfill"):
            continue  # which dates its conditions let pass is not known here
        try:
            cron, zone = Cron.parse(trigger.cron, trigger.with_seconds), parse_zone(trigger.timezone) if trigger.timezone else zone_of("")
        except (ValueError, PodiumError):
            continue
        at: datetime | None = max(first, now)
        for _ in range(NEXT - 1):
            at = cron.next(at, zone) if at is not None else None
            if at is None:
                break
            found.append((trigger.id, at))
    return sorted(found, key=lambda each: each[1])[:NEXT]


def outline(flow: FlowRevision) -> list[tuple[str, list[dict[str, Any]]]]:
    """The tasks of each part of the flow: [(part, [{id, type, description, lists: [(name, […])]}])]."""
    model = flow.model
    parts = (("tasks", model.tasks), ("errors", model.errors), ("finally", model.finally_), ("after execution", model.after_execution))
    return [(name, [_outline(task, 0) for task in tasks]) for name, tasks in parts if tasks]


def _outline(task: Task, depth: int) -> dict[str, Any]:
    lists = [(name, [_outline(each, depth + 1) for each in tasks]) for name, tasks in task.lists_of_tasks().items() if tasks] if depth < 20 else []
    return {"id": task.id, "type": task.type, "description": task.description, "disabled": task.disabled, "lists": lists}


async def topology(request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """The graph, and the same as a list."""
    return {"graph": await flow_graph(context(request).orchestrator, flow.model, Query(request).many("subflows")), "outline": outline(flow)}


async def source(_request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """The text as lines of markup."""
    return {"lines": await asyncio.to_thread(coloured, flow.text)}


async def executions(request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """A page of its executions. ?state= ?after= ?page="""
    query = Query(request)
    states, after, number = query.states(), query.text("after"), query.integer("page", 1, high=1_000_000) or 1
    listed = await context(request).orchestrator.list_executions(
        namespace=flow.namespace, flow_id=flow.flow_id, states=states, after=after, page=number, size=SIZE
    )
    return {"listed": listed, "page": number, "size": SIZE, "after": after, "wanted_states": states, "all_states": STATES}


async def triggers(request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """Its triggers."""
    return {"rows": await trigger_rows(request, [(flow, trigger) for trigger in flow.model.triggers])}


async def dependencies(request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """Who starts it, whom it starts. ?all= goes on from there."""
    whole = Query(request).flag("all")
    found = await flow_dependencies(request, (flow.namespace, flow.flow_id), whole=whole)
    nodes = {each["uid"]: each for each in found["nodes"]}
    edges = [{**each, "from": nodes[each["source"]], "to": nodes[each["target"]]} for each in found["edges"]]
    return {"edges": edges, "whole": whole, "graph": _drawn(found)}


def _drawn(found: Mapping[str, Any]) -> dict[str, Any]:
    """The dependencies in the form of a topology: each flow is a node."""
    return {
        "nodes": [
            {
                "uid": each["uid"], "type": "flow", "task": {"id": each["id"], "type": each["namespace"], "disabled": not each["deployed"]},
                "subflow": {"namespace": each["namespace"], "flowId": each["id"]},
            }
            for each in found["nodes"]
        ],
        "edges": [
            {"source": each["source"], "target": each["target"], "relation": {"relationType": "SEQUENTIAL", "value": each["by"]}}
            for each in found["edges"]
        ],
        "clusters": [],
    }


async def metrics(request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """Each metric of the flow over time. ?range= ?aggregation="""
    query, now, orchestrator = Query(request), context(request).clock.now(), context(request).orchestrator
    span = query.text("range") if query.text("range") in RANGES else "7d"
    aggregate = query.text("aggregation") or "sum"
    aggregate = aggregate if aggregate in {"sum", "avg", "min", "max"} else "sum"
    length, _ = RANGES[str(span)]
    bucket = bucket_of(length)
    names = await orchestrator.metric_names(flow.namespace, flow.flow_id)
    charts = []
    for name in names[:_METRICS_MAX]:
        values = await orchestrator.metric_values(
            flow.namespace, flow.flow_id, name, task_id=None, start=now - length, end=now, bucket=bucket, aggregate=aggregate
        )
        charts.append({"name": name, "points": _points(values, now - length, length), "top": max(values.values(), default=0)})
    more = max(len(names) - _METRICS_MAX, 0)
    return {"charts": charts, "names": names, "more": more, "range": span, "ranges": list(RANGES), "aggregation": aggregate}


def _points(values: Mapping[Any, float], start: datetime, length: timedelta) -> list[dict[str, Any]]:
    """Each value with its place in percent: x from the left, height from the bottom."""
    top = max((abs(each) for each in values.values()), default=0) or 1
    found = []
    for moment, value in values.items():
        at = moment if isinstance(moment, datetime) else from_text(str(moment))
        x = min(max((at - start) / length * 100, 0.0), 99.0)
        found.append({"at": at, "value": value, "x": round(x, 2), "height": round(max(abs(value) / top * _HEIGHT, 1.5), 2)})
    return found


async def logs(request: web.Request, flow: FlowRevision) -> dict[str, Any]:
    """Lines of its executions, newest first. ?q= ?minLevel= ?page="""
    query = Query(request)
    number = query.integer("page", 1, high=50) or 1
    entries, total = await context(request).orchestrator.search_logs(
        namespace=flow.namespace, flow_id=flow.flow_id, query=query.text("q"), min_level=query.level(), page=number, size=LOG_SIZE
    )
    return {
        "entries": entries, "total": total, "page": number, "size": LOG_SIZE, "levels": LEVELS, "wanted": query.text("q") or "",
        "level": query.text("minLevel") or "",
    }


VALUES = {
    "overview": overview, "topology": topology, "source": source, "executions": executions, "triggers": triggers, "dependencies": dependencies,
    "metrics": metrics, "logs": logs,
}
