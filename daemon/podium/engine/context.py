"""What expressions see: the variables of flow-language 0.3, made from the state of an execution. Pure; big parts are shared, not copied.

`envs`, `globals` and `secret()` are the renderer's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podium.engine.decide.requests import merged
from podium.engine.questions import loop_item
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree
from podium.flows.model import ForEachItem, WorkingDirectory


class TaskStates(Mapping[str, Any]):
    """`tasks.<id>.state`, or `tasks.<id>[<value>].state` for runs of a loop. Made when asked for."""

    def __init__(self, state: Execution) -> None:
        self._state = state

    def __getitem__(self, task_id: str) -> Any:
        runs = [self._state.runs[each] for each in self._state.by_task[task_id] if each in self._state.runs]
        if not runs:
            raise KeyError(task_id)
        if all(run.value is None for run in runs):
            return {"state": runs[-1].state}
        return {run.value: {"state": run.state} for run in runs if run.value is not None}

    def __iter__(self) -> Iterator[str]:
        return iter([task_id for task_id, runs in self._state.by_task.items() if runs])

    def __len__(self) -> int:
        return sum(1 for runs in self._state.by_task.values() if runs)


def variables(tree: FlowTree, state: Execution, run: TaskRun | None = None, *, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The variables for a template of `run` (None: of the flow itself). inputs: decrypted, nested; default: as stored."""
    flow = tree.flow
    result: dict[str, Any] = {
        "flow": {"id": state.flow_id, "namespace": state.namespace, "revision": state.revision},
        "execution": _execution(state),
        "inputs": state.inputs if inputs is None else inputs,
        "outputs": state.share_outputs(),
        "tasks": TaskStates(state),
        "vars": merged(flow.variables, state.variables) if state.variables else flow.variables,
        "labels": nested_labels(state.labels),
    }
    if flow.given_variables:
        result["namespace"] = flow.given_variables
    if state.trigger is not None:
        result["trigger"] = dict(state.trigger.get("variables") or {})
        if "date" in result["trigger"]:
            result["schedule"] = result["trigger"]
    failed = state.notes.get("failed")
    if failed is not None:
        result["error"] = failed
    if state.loop is not None:
        result["item"] = loop_item(state.loop)
    if run is not None:
        _of_run(result, tree, state, run)
    return result


def _execution(state: Execution) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": state.id, "startDate": state.created_at, "originalId": state.original_id, "state": state.state,
    }
    if state.ended:
        shown["outputs"] = state.outputs
        shown["endDate"] = state.history[-1][1]
    return shown


def _of_run(result: dict[str, Any], tree: FlowTree, state: Execution, run: TaskRun) -> None:
    task = tree.task(run.task_id)
    result["task"] = {"id": run.task_id, "type": task.type if task else ""}
    closed = sum(1 for attempt in run.attempts if attempt.state not in ("CREATED", "RUNNING"))
    shown: dict[str, Any] = {"id": run.id, "startDate": run.history[0][1], "attemptsCount": closed}
    if run.parent_id is not None:
        shown["parentId"] = run.parent_id
    value = run.value if run.value is not None else _value_of_holder(tree, state, run)
    if value is not None:
        shown["value"] = value
    if run.iteration is not None:
        shown["iteration"] = run.iteration
    result["taskrun"] = shown
    parents = []
    for above in state.ancestors(run):
        entry: dict[str, Any] = {}
        if above.value is not None:
            entry["taskrun"] = {"value": above.value}
        if above.outputs:
            entry["outputs"] = above.outputs
        if entry:
            parents.append(entry)
    if parents:
        result["parents"] = parents
        result["parent"] = parents[0]


def _value_of_holder(tree: FlowTree, state: Execution, run: TaskRun) -> str | None:
    """A child of a WorkingDirectory or a ForEachItem sees the value that its parent was made for."""
    parent = state.runs.get(run.parent_id) if run.parent_id else None
    return parent.value if parent is not None and isinstance(tree.task(parent.task_id), (WorkingDirectory, ForEachItem)) else None


def nested_labels(labels: Mapping[str, str]) -> dict[str, Any]:
    """Labels as expressions see them: `system.x` is `labels.system.x` (the documented form, flow-language 13 #11)."""
    result: dict[str, Any] = {}
    for key, value in labels.items():
        head, dot, rest = key.partition(".")
        if dot and head == "system":
            result.setdefault("system", {})[rest] = value
        else:
            result[key] = value
    return result
