"""A state made from a record, so that an execution whose events were dropped can be restarted or replayed (ruling 6). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from podium.engine.state import Attempt, Execution, TaskRun
from podium.flows.model import TERMINAL


def restore(state: Execution, view: Mapping[str, Any], flow: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Fill an empty state. view: the execution of the record; flow: its {source, commit, path, blob}; notes: `view.engine_notes`."""
    assert not state.id, "only an empty state can be filled"
    state.id, state.namespace, state.flow_id = view["id"], view["namespace"], view["flowId"]
    state.revision = view["flowRevision"]
    state.source, state.commit = flow.get("source", ""), flow.get("commit", "")
    state.path, state.blob = flow.get("path", ""), flow.get("blob", "")
    state.inputs = dict(view.get("inputs") or {})
    state.labels = {each["key"]: each["value"] for each in view.get("labels") or ()}
    state.variables = dict(view.get("variables") or {})
    state.trigger = view.get("trigger")
    state.loop = view.get("loopRun")
    state.parent_id = view.get("parentId")
    state.original_id = view.get("originalId") or state.id
    metadata = view.get("metadata") or {}
    state.attempt_number = metadata.get("attemptNumber", 1)
    state.history = _history(view["state"])
    state.state = state.history[-1][0]
    state.at = max(state.at, state.history[-1][1]) if state.at is not None else state.history[-1][1]
    created = metadata.get("originalCreatedDate")
    state.original_created_at = _moment(created) if created else state.created_at
    state.outputs = dict(view.get("outputs") or {})
    state.run_number = notes.get("runNumber", 1)
    state.depth = notes.get("depth", 0)
    state.closed = state.state in TERMINAL
    kept = notes.get("runs") or {}
    for each in view.get("taskRunList") or ():
        _run(state, each, kept.get(each["id"]) or {})


def _run(state: Execution, view: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    parent_id, value = view.get("parentTaskRunId"), view.get("value")
    above: tuple[str, ...] = state.runs[parent_id].values if parent_id in state.runs else ()
    history = _history(view["state"])
    run = TaskRun(
        id=view["id"], task_id=view["taskId"], parent_id=parent_id, value=value, iteration=view.get("iteration"), phase=view.get("phase", "main"),
        state=history[-1][0], history=history, values=above if value is None else (*above, value), outputs=dict(view.get("outputs") or {}),
        notes=dict(notes),
    )
    if not notes.get("madeUp"):
        run.attempts = [
            Attempt(number, _history(each["state"])[-1][0], _history(each["state"]),
                    {key: item for key, item in each.items() if key not in ("state", "error")}, each.get("error"))
            for number, each in enumerate(view.get("attempts") or (), start=1)
        ]
    run.notes.pop("madeUp", None)
    state.runs[run.id] = run
    state.by_task.setdefault(run.task_id, []).append(run.id)
    scope = state.scope_of(parent_id)
    scope.children.append(run.id)
    scope.add(run.phase, run.state, 1)
    state.tally[run.state] = state.tally.get(run.state, 0) + 1
    if run.phase == "main":
        scope.started[run.iteration] = scope.started.get(run.iteration, 0) + 1
    if run.outputs:
        state.put_outputs(run)


def _history(view: Mapping[str, Any]) -> list[tuple[str, datetime]]:
    return [(each["state"], _moment(each["date"])) for each in view["histories"]]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
