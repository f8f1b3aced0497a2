"""Which task runs a new execution takes over from one that ended: a replay from a task run, a restart on another revision.

Source: flow-language 9.4, 9.5. What comes before the chosen runs stays with its outputs, they run again, what follows them in the graph
is left out. A branch beside them (of a Parallel, a Dag, a loop) stays too; what broke there runs again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from podium.base.errors import NothingToDo
from podium.engine.decide.decision import derived_id
from podium.engine.decide.lifecycle import restartable, whole_of
from podium.engine.decide.plans import BROKEN
from podium.engine.shape.view import state_view
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree
from podium.flows.model import Dag, EachParallel, EachSequential, ForEach, Parallel

_PHASES = ("main", "pause", "errors", "finally", "after")


def copied_runs(state: Execution, tree: FlowTree, new_execution_id: str, task_run_id: str | None = None) -> list[dict[str, Any]]:
    """The task runs of the new execution, ids new, parents first: those chosen RESTARTED, their ancestors RUNNING, the others as they are.

    task_run_id: replay from this run; None: from everything that failed. tree: of the revision that the new execution is of.
    Raises NothingToDo when there is nothing to run again.
    """
    if task_run_id is None:
        chosen = [_whole(state, tree, run) for run in state.runs.values() if restartable(state, run) and _there(state, tree, run)]
    else:
        run = state.runs.get(task_run_id)
        if run is None or not _there(state, tree, run):
            raise NothingToDo(f"No task found to restart execution from: no task run '{task_run_id}'", hint="look up the id in its task runs")
        chosen = [_whole(state, tree, run)]
    if not chosen:
        raise NothingToDo("No task found to restart execution from!", hint="replay the execution instead")
    again = {run.id for run in chosen}
    if task_run_id is not None:
        again |= {run.id for run in state.runs.values() if _broke_beside(state, run, chosen[0])}
    return _Copy(state, tree, new_execution_id, [state.runs[each] for each in again]).runs()


def _whole(state: Execution, tree: FlowTree, run: TaskRun) -> TaskRun:
    """A child of a WorkingDirectory runs again with the whole directory, since its files are gone; an onPause task with its Pause."""
    return whole_of(tree, state, run) or run


def _there(state: Execution, tree: FlowTree, run: TaskRun) -> bool:
    """Whether this revision has the task of a run, and all above it, in the same place."""
    return all(
        each.task_id in tree.nodes and tree.nodes[each.task_id].parent == (state.runs[each.parent_id].task_id if each.parent_id else None)
        for each in (run, *state.ancestors(run))
    )


def _path(state: Execution, run: TaskRun) -> list[TaskRun]:
    return [*reversed(list(state.ancestors(run))), run]


def _broke_beside(state: Execution, run: TaskRun, chosen: TaskRun) -> bool:
    """Whether it broke by itself in another branch, and that made the branch break."""
    if not restartable(state, run):
        return False
    mine, its = _path(state, chosen), _path(state, run)
    common = sum(1 for one, other in zip(mine, its, strict=False) if one is other)
    if common in (len(its), len(mine)) or mine[common].phase != its[common].phase:
        return False
    return all(each.state in BROKEN for each in its[common:])


class _Copy:
    """One copy in the making."""

    def __init__(self, state: Execution, tree: FlowTree, new_execution_id: str, again: list[TaskRun]) -> None:
        self._state, self._tree, self._new = state, tree, new_execution_id
        again = [run for run in again if not any(self._follows(run, _path(state, other)) for other in again if other is not run)]
        self._again = {run.id for run in again}
        self._paths = [_path(state, run) for run in again]
        self._running = {above.id for run in again for above in state.ancestors(run)}

    def runs(self) -> list[dict[str, Any]]:
        kept: dict[str, dict[str, Any]] = {}
        for run in self._state.runs.values():
            if _there(self._state, self._tree, run) and (run.parent_id is None or run.parent_id in kept) and not self._left_out(run):
                kept[run.id] = self._copy(run)
        return [*self._skipped(None), *(each for run_id, copy in kept.items() for each in (copy, *self._skipped(run_id)))]

    def _left_out(self, run: TaskRun) -> bool:
        if run.id in self._again or run.id in self._running:
            return False
        if run.phase in ("errors", "finally", "after") and (run.parent_id is None or run.parent_id in self._running):
            inside = any(each.id == run.id for path in self._paths for each in path)
            if not inside and not any(self._before(run, path) for path in self._paths):
                return True
        return any(self._follows(run, path) for path in self._paths)

    def _before(self, run: TaskRun, path: list[TaskRun]) -> bool:
        """Whether a chosen run is, or is inside, a task of the same list of handlers (`_follows` tells which comes first) or of a later one."""
        mine = _PHASES.index(run.phase)
        return any(each.parent_id == run.parent_id and _PHASES.index(each.phase) >= mine for each in path)

    def _follows(self, run: TaskRun, chosen: list[TaskRun]) -> bool:
        """Whether a run is inside the chosen one (the last of its path) or comes after it in the graph."""
        its = _path(self._state, run)
        common = sum(1 for one, other in zip(chosen, its, strict=False) if one is other)
        if common == len(chosen):
            return len(its) > common
        if common == len(its):
            return False
        one, other = chosen[common], its[common]
        if one.phase != other.phase:
            return _PHASES.index(other.phase) > _PHASES.index(one.phase)
        return self._after(one, other)

    def _after(self, one: TaskRun, other: TaskRun) -> bool:
        """Whether `other` comes after its sibling `one`."""
        holder = self._tree.task(self._state.runs[one.parent_id].task_id) if one.parent_id else None
        if one.phase == "main" and isinstance(holder, (Parallel, EachParallel)):
            return False
        if one.phase == "main" and isinstance(holder, Dag):
            return one.task_id in _needed(holder, other.task_id)
        if isinstance(holder, ForEach) and holder.concurrency_limit != 1 and one.iteration != other.iteration:
            return False
        if isinstance(holder, (ForEach, EachSequential)):
            return (other.iteration or 0, self._place(other)) > (one.iteration or 0, self._place(one))
        return self._place(other) > self._place(one)

    def _place(self, run: TaskRun) -> int:
        node = self._tree.nodes[run.task_id]
        tasks = [each.id for each in self._tree.list_of(node.parent, node.place)]
        return tasks.index(run.task_id) if run.task_id in tasks else len(tasks)

    def _skipped(self, scope_id: str | None) -> Iterable[dict[str, Any]]:
        """SKIPPED runs for tasks that stand before what runs again in this revision and did not exist in the other."""
        for path in self._paths:
            child = next((each for each in path if each.parent_id == scope_id and each.phase == "main"), None)
            holder = self._tree.task(self._state.runs[scope_id].task_id) if scope_id else None
            if child is None or isinstance(holder, (Parallel, Dag, EachParallel, ForEach, EachSequential)):
                continue
            node = self._tree.nodes[child.task_id]
            there = {each.task_id for each in self._state.children(scope_id)}
            for task in self._tree.list_of(node.parent, node.place)[: self._place(child)]:
                if task.id not in there:
                    parent = derived_id(self._new, scope_id) if scope_id else None
                    yield {"id": derived_id(self._new, "skipped", scope_id, task.id), "taskId": task.id, "parentTaskRunId": parent,
                           "phase": "main", "state": "SKIPPED"}
            return

    def _copy(self, run: TaskRun) -> dict[str, Any]:
        state = "RESTARTED" if run.id in self._again else "RUNNING" if run.id in self._running else run.state
        copy: dict[str, Any] = {
            "id": derived_id(self._new, run.id), "taskId": run.task_id, "value": run.value, "iteration": run.iteration, "phase": run.phase,
            "parentTaskRunId": derived_id(self._new, run.parent_id) if run.parent_id else None, "state": state,
        }
        if state != "RESTARTED":
            dropped = ("until", "waits", "child", "former", "request", *(("done", "over", "collected") if state == "RUNNING" else ()))
            if state == "RUNNING" and "decision" not in run.notes:
                dropped = (*dropped, "outcome")
            copy["outputs"] = run.outputs
            copy["notes"] = {key: value for key, value in run.notes.items() if key.partition(":")[0] not in dropped}
            copy["attempts"] = [{"state": state_view(attempt.history)} for attempt in run.attempts]
        return copy


def _needed(dag: Dag, task_id: str) -> set[str]:
    """The tasks that a task of a Dag depends on, directly or through others."""
    needs = {each.task.id: set(each.depends_on) for each in dag.tasks}
    found: set[str] = set()
    todo = [task_id]
    while todo:
        for each in needs.get(todo.pop(), set()) - found:
            found.add(each)
            todo.append(each)
    return found
