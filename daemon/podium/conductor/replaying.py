"""Which task runs a replay from a task run takes over. Source: flow-language 9.5."""

from __future__ import annotations

from typing import Any

from podium.base.errors import ConflictError
from podium.engine.decide.decision import derived_id
from podium.engine.shape.view import state_view
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree


def copied_runs(state: Execution, tree: FlowTree, task_run_id: str, new_execution_id: str) -> list[dict[str, Any]]:
    """The runs before the chosen one (with their outputs), its ancestors RUNNING, itself RESTARTED; ids are new. Parents come first.

    Left out: everything after it in the order of the flow, and error handlers. Raises ConflictError when there is no such run.
    """
    chosen = state.runs.get(task_run_id)
    if chosen is None:
        raise ConflictError(f"No task found to restart execution from: no task run '{task_run_id}'", hint="look up the id in its task runs")
    above = {each.id for each in state.ancestors(chosen)}
    position = list(state.runs).index(chosen.id)
    ids = {run_id: derived_id(new_execution_id, run_id) for run_id in state.runs}
    kept: list[dict[str, Any]] = []
    dropped: set[str] = set()
    for index, run in enumerate(state.runs.values()):
        gone = (
            run.task_id not in tree.nodes or run.phase not in ("main", "pause") or run.parent_id in dropped
            or (run.parent_id == chosen.id) or (index > position and run.id not in above and not _beside(state, chosen, run, above))
        )
        if gone:
            dropped.add(run.id)
            continue
        kept.append(_copy(run, ids, "RESTARTED" if run is chosen else "RUNNING" if run.id in above else run.state))
    return kept


def _beside(state: Execution, chosen: TaskRun, run: TaskRun, above: set[str]) -> bool:
    """Whether `run` ended before the chosen one began, although it was created later (another branch of a Parallel)."""
    if any(each.id in above for each in state.ancestors(run)) is False:
        return False
    return run.ended and run.history[-1][1] < chosen.history[0][1]


def _copy(run: TaskRun, ids: dict[str, str], state: str) -> dict[str, Any]:
    copy: dict[str, Any] = {
        "id": ids[run.id], "taskId": run.task_id, "parentTaskRunId": ids.get(run.parent_id or ""), "value": run.value, "iteration": run.iteration,
        "phase": run.phase, "state": state, "outputs": run.outputs if state != "RESTARTED" else {},
    }
    if state != "RESTARTED":
        copy["notes"] = {key: value for key, value in run.notes.items() if key not in ("until", "waits", "child", "request")}
        copy["attempts"] = [{"state": state_view(attempt.history)} for attempt in run.attempts]
    return copy
