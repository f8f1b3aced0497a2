"""What each tab of an execution's page shows: the values of its template.

Called by the page and by its stream. What always holds: a tab reads a bounded part of logs, task runs, files and records.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from podium.base.errors import FlowNotFound, PodiumError
from podium.conductor.port import Orchestrator, View
from podium.expressions.words.about import FUNCTION_WORDS
from podium.flows.model import TERMINAL
from podium.web.api.graphs.flows import execution_graph
from podium.web.context import context
from podium.web.pages.executions import files, runs
from podium.web.pages.executions.difference import difference
from podium.web.pages.render import flow_url, link, text_for
from podium.web.pages.text import commit_url
from podium.web.pages.timeline import Timeline, moment_of, timeline
from podium.web.params import Query
from podium.web.people.roles import Role, caller
from podium.web.wire import pretty

LOGS_SHOWN = 300
RUNS_SHOWN = 200
_CHILDREN_SHOWN = 20
_OUTPUTS_SHOWN = 200
_RECORD_CHARS = 400_000
_ASKED_CHARS = 600
_BATCH, _BATCHES = 10_000, 10
"""How much of a log is looked through for lines with a text by who has no scripts."""


async def _overview(request: web.Request, execution: View) -> dict[str, Any]:
    here = context(request)
    orchestrator, now = here.orchestrator, here.clock.now()
    failed = runs.cause_of(execution) if execution["state"]["current"] in {"FAILED", "WARNING", "RUNNING", "KILLED"} else None
    line = 0
    if failed is not None:
        grave = await orchestrator.logs(execution["id"], min_level="ERROR", task_run_id=failed[0]["id"], limit=1)
        line = int(grave[0]["seq"]) if grave else 0
    children, _ = await orchestrator.executions(trigger_execution_id=execution["id"], size=_CHILDREN_SHOWN)
    histories = execution["state"].get("histories") or []
    counts = Counter(run["state"]["current"] for run in execution.get("taskRunList") or ())
    return {
        "cause": failed, "cause_line": line, "children": children, "steps": _steps(histories, now, execution["state"]["current"] in TERMINAL),
        "counts": counts.most_common(), "starter": _starter(execution), "mend": _mend(request, execution, failed) if failed else None,
    }


def _mend(request: web.Request, execution: View, failed: tuple[Mapping[str, Any], str]) -> str | None:
    """Where the copilot is asked about a failure, if there is one; nothing is sent by going there."""
    here = context(request)
    if here.copilot is None or here.edits is None or not caller(request).may(Role.EDITOR, execution["namespace"]):
        return None
    asked = text_for("copilot.mend_prompt", task=failed[0]["taskId"], message=" ".join(str(failed[1]).split())[:_ASKED_CHARS])
    return link(f"{flow_url(execution['namespace'], execution['flowId'])}/edit", copilot=asked)


def _steps(histories: list[Mapping[str, Any]], now: Any, over: bool) -> list[dict[str, Any]]:
    """The states with how long each lasted, and where it stands in 1,000 units of the whole; what is short is still seen."""
    moments = [moment_of(each["date"]) or now for each in histories]
    ends = [*moments[1:], moments[-1] if over else now] if moments else []
    lasted = [max((end - start).total_seconds(), 0.0) for start, end in zip(moments, ends, strict=True)]
    whole = sum(lasted) or 1.0
    found, at = [], 0.0
    for each, seconds in zip(histories, lasted, strict=True):
        width = 1000 * seconds / whole
        place = {"x": round(at, 1), "width": round(max(width, 3), 1)}
        found.append({"state": each["state"], "date": each["date"], "took": timedelta(seconds=seconds), **place})
        at += width
    return found


def _starter(execution: View) -> str | None:
    """The execution that started this one."""
    variables = (execution.get("trigger") or {}).get("variables") or {}
    found = (execution.get("loopRun") or variables).get("executionId")
    return found if isinstance(found, str) else None


async def _gantt(request: web.Request, execution: View) -> dict[str, Any]:
    query = Query(request)
    number = query.integer("runs", 1, high=1_000_000) or 1
    tree: Timeline = timeline(execution, context(request).clock.now(), skip=(number - 1) * RUNS_SHOWN, limit=RUNS_SHOWN)
    return {"tree": tree, "runs_page": number, "runs_size": RUNS_SHOWN, "facts_of": runs.facts_of}


async def _logs(request: web.Request, execution: View) -> dict[str, Any]:
    orchestrator, query = context(request).orchestrator, Query(request)
    level, wanted = query.level(), query.text("q") or ""
    only: dict[str, Any] = {"min_level": level, "task_id": query.text("taskId"), "task_run_id": query.text("taskRunId")}
    line = query.integer("line", 0, low=0, high=2**53) or 0
    total, bounds = await orchestrator.log_index(execution["id"], every=LOGS_SHOWN, **only)
    if wanted:
        entries, found = await _lines_with(orchestrator, execution["id"], wanted.lower(), only)
    else:
        begin = bounds[max(0, len(bounds) - 2)] if not line else max((each for each in bounds if each < line), default=0)
        entries = await orchestrator.logs(execution["id"], after_seq=begin, limit=2 * LOGS_SHOWN, **only)
        entries, found = (entries if line else entries[-LOGS_SHOWN:]), total
    task_ids = list(dict.fromkeys(run["taskId"] for run in execution.get("taskRunList") or ()))
    return {
        "entries": entries, "log_total": total, "log_found": found, "level": level, "wanted": wanted, "line": line, "levels": runs.LEVELS,
        "task_id": only["task_id"] or "", "task_run_id": only["task_run_id"] or "", "task_ids": task_ids[:1_000],
    }


async def _lines_with(orchestrator: Orchestrator, execution: str, wanted: str, only: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The last lines with that text, and how many there are."""
    kept: deque[dict[str, Any]] = deque(maxlen=LOGS_SHOWN)
    count = seen = 0
    for _ in range(_BATCHES):
        entries = await orchestrator.logs(execution, after_seq=seen, limit=_BATCH, **only)
        found = [each for each in entries if wanted in str(each.get("message", "")).lower()]
        kept.extend(found)
        count += len(found)
        if len(entries) < _BATCH:
            break
        seen = int(entries[-1]["seq"])
    return list(kept), count


async def _topology(request: web.Request, execution: View) -> dict[str, Any]:
    try:
        return {"graph": await execution_graph(context(request).orchestrator, execution)}
    except FlowNotFound as error:
        return {"graph": None, "why": error.what}


async def _outputs(request: web.Request, execution: View) -> dict[str, Any]:
    listed = [run for run in execution.get("taskRunList") or () if run.get("outputs")]
    return {
        "with_outputs": listed[:_OUTPUTS_SHOWN], "more_outputs": max(0, len(listed) - _OUTPUTS_SHOWN), "step": runs.step,
        "names": runs.names_of(execution), "functions": sorted(FUNCTION_WORDS), "run_ids": (execution.get("taskRunList") or [])[:1_000],
        "expression": "", "tried": None, "tried_run": "",
    }


async def _files(request: web.Request, execution: View) -> dict[str, Any]:
    return await files.values(request, execution)


async def _metrics(request: web.Request, execution: View) -> dict[str, Any]:
    found = await context(request).orchestrator.metrics(execution["id"])
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in found:
        groups.setdefault((each["name"], each["type"]), []).append(each)
    charts = [
        {"name": name, "type": kind, "points": points[:60], "most": max(abs(float(each["value"])) for each in points[:60]) or 1.0,
         "sum": sum(float(each["value"]) for each in points), "count": len(points)}
        for (name, kind), points in groups.items() if len(points) > 1
    ]
    return {"metrics": found[:1_000], "more_metrics": max(0, len(found) - 1_000), "charts": charts[:20]}


async def _trigger(request: web.Request, execution: View) -> dict[str, Any]:
    trigger = execution.get("trigger") or {}
    return {"trigger": trigger, "payload": trigger.get("variables") or {}, "starter": _starter(execution), "step": runs.step}


async def _record(request: web.Request, execution: View) -> dict[str, Any]:
    here = context(request)
    record = await here.orchestrator.record(execution["id"])
    body = record.get("body") if record else None
    text = body if isinstance(body, str) else pretty(body) if body is not None else ""
    commit: Mapping[str, Any] | None = None
    if record and record.get("commit") and here.results is not None:
        try:
            commit = await here.results.origin(record["path"], record["commit"])
        except PodiumError as error:
            commit = {"error": error.what}
    href = commit_url(str(commit.get("remote") or ""), commit["commit"]) if commit and "commit" in commit else None
    former = await _former(here.orchestrator, execution)
    changes = await asyncio.to_thread(difference, former, execution, here.clock.now()) if former is not None else []
    shown = {"record": record, "body": text[:_RECORD_CHARS], "cut": len(text) > _RECORD_CHARS}
    return {**shown, "origin": commit, "origin_href": href, "former": former, "changes": changes}


async def _former(orchestrator: Orchestrator, execution: View) -> View | None:
    """The run of this flow before this one."""
    try:
        listed = await orchestrator.list_executions(namespace=execution["namespace"], flow_id=execution["flowId"], after=execution["id"], size=5)
    except PodiumError:
        return None
    found = next((each for each in listed.found if each["namespace"] == execution["namespace"] and each["state"]["current"] in TERMINAL), None)
    return await orchestrator.execution(found["id"]) if found is not None else None


VALUES: Mapping[str, Callable[[web.Request, View], Awaitable[dict[str, Any]]]] = {
    "overview": _overview, "gantt": _gantt, "logs": _logs, "topology": _topology, "outputs": _outputs, "files": _files, "metrics": _metrics,
    "trigger": _trigger, "record": _record,
}
