"""An execution as the world sees it: the one shape of API, command line and record. Source: flow-language 9.2, ruling 16."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from podium.base.durations import format_duration
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree, is_flowable
from podium.flows.model import TERMINAL

_KEPT_NOTES = frozenset({
    "values", "keys", "next", "out", "branch", "iteration", "since", "child", "former", "wait", "transmit", "run_if", "resumed", "collected",
    "opened", "done", "asks", "decision", "outcome", "decides", "store", "base", "bytes",
})
"""What a restart needs; of a name with a colon (one item of many), what stands before it, unless all went well."""


@lru_cache(maxsize=8_192)
def iso(moment: datetime) -> str:
    """ISO text, UTC, milliseconds, `Z`."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def state_view(history: list[tuple[str, datetime]], now: datetime | None = None) -> dict[str, Any]:
    """{current, histories, startDate, endDate?, duration}. now: for the duration of what has only one entry."""
    current = history[-1][0]
    start, last = history[0][1], history[-1][1]
    end = last if len(history) > 1 or now is None else now
    view: dict[str, Any] = {
        "current": current, "histories": [{"state": state, "date": iso(at)} for state, at in history], "startDate": iso(start),
        "duration": format_duration(end - start),
    }
    if current in TERMINAL or current == "PAUSED":
        view["endDate"] = iso(last)
    return view


def execution_view(state: Execution, *, tree: FlowTree | None = None, now: datetime | None = None, runs: bool = True) -> dict[str, Any]:
    """The execution as JSON-like data. tree: tells flowable task runs (whose attempts are made up). runs: False leaves task runs out."""
    view: dict[str, Any] = {
        "id": state.id, "namespace": state.namespace, "flowId": state.flow_id, "flowRevision": state.revision,
        "labels": [{"key": key, "value": value} for key, value in state.labels.items()],
        "state": state_view(state.history, now), "originalId": state.original_id, "deleted": False,
        "metadata": {"attemptNumber": state.attempt_number, "originalCreatedDate": iso(state.original_created_at or state.created_at)},
        "kind": "LOOP" if state.loop else "NORMAL",
    }
    optional: dict[str, Any] = {
        "inputs": state.inputs, "outputs": state.outputs, "variables": state.variables, "parentId": state.parent_id,
        "trigger": state.trigger, "loopRun": state.loop, "scheduleDate": iso(state.schedule_date) if state.schedule_date else None,
    }
    view.update({key: value for key, value in optional.items() if value})
    if runs:
        view["taskRunList"] = [run_view(state, run, tree) for run in state.runs.values()]
    return view


def started_by(view: Mapping[str, Any]) -> str | None:
    """The execution that started the one of this view: as a subflow, by a trigger, or as an iteration of its Loop."""
    starter = (view.get("trigger") or {}).get("variables") or {}
    found = (view.get("loopRun") or starter).get("executionId")
    return str(found) if found else None


def run_view(state: Execution, run: TaskRun, tree: FlowTree | None = None) -> dict[str, Any]:
    """One task run."""
    view: dict[str, Any] = {
        "id": run.id, "executionId": state.id, "namespace": state.namespace, "flowId": state.flow_id, "taskId": run.task_id,
        "attempts": _attempts(run, tree), "outputs": run.outputs, "state": state_view(run.history),
    }
    optional: Mapping[str, Any] = {
        "parentTaskRunId": run.parent_id, "value": run.value, "iteration": run.iteration, "phase": None if run.phase == "main" else run.phase,
    }
    view.update({key: value for key, value in optional.items() if value is not None})
    return view


def _attempts(run: TaskRun, tree: FlowTree | None) -> list[dict[str, Any]]:
    if run.attempts:
        return [
            {"state": state_view(attempt.history), **attempt.facts, **({"error": attempt.error} if attempt.error else {})}
            for attempt in run.attempts
        ]
    task = tree.task(run.task_id) if tree else None
    if task is not None and is_flowable(task) and run.ended and run.state != "SKIPPED":
        return [{"state": state_view(run.history)}]
    return []


def engine_notes(state: Execution, tree: FlowTree) -> dict[str, Any]:
    """What a restart needs beyond the view: phases of task runs and the values of loops. Kept in the record."""
    runs: dict[str, Any] = {}
    for run in state.runs.values():
        done = run.state in ("SUCCESS", "WARNING")
        kept = {
            key: value for key, value in run.notes.items()
            if key.partition(":")[0] in _KEPT_NOTES and not (done and ":" in key)
        }
        if not run.attempts and _attempts(run, tree):
            kept["madeUp"] = True
        if kept:
            runs[run.id] = kept
    return {"runNumber": state.run_number, "depth": state.depth, "runs": runs}
