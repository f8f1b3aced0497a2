"""Which child comes next: how each kind of flowable task hands out its tasks. Source: flow-language 5.

A plan looks only at its own scope (counts, and for loops the iterations), never at all runs: its cost does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from podium.engine.state import Execution, Scope, TaskRun
from podium.engine.tree import FlowTree, enabled
from podium.flows.model import Approval, Dag, EachParallel, EachSequential, ForEach, If, Parallel, Switch, Task

BROKEN = ("FAILED", "KILLED", "CANCELLED", "RETRIED")
"""States of a child after which its siblings are not started."""


@dataclass(frozen=True, slots=True)
class Next:
    """A child to start now."""

    task: Task
    value: str | None = None
    iteration: int | None = None


def main_list(tree: FlowTree, run: TaskRun | None) -> list[Task]:
    """The enabled tasks of the main phase: of the flow, or of a flowable run (for If and Switch the branch that was taken)."""
    if run is None:
        return tree.list_of(None, "tasks")
    task = tree.task(run.task_id)
    if isinstance(task, (If, Switch)):
        branch = run.notes.get("branch")
        return tree.list_of(run.task_id, branch) if branch else []
    if isinstance(task, Approval):
        branch, asks = run.notes.get("branch"), run.notes.get("asks")
        before = tree.list_of(run.task_id, "onWait") if asks and not asks["auto"] else []
        return [*before, *(tree.list_of(run.task_id, branch) if branch else ())]
    if isinstance(task, Dag):
        return [each.task for each in task.tasks if not each.task.disabled]
    return tree.list_of(run.task_id, "tasks")


def is_loop(task: Task | None) -> bool:
    """Whether the tasks are run once for each of several values."""
    return isinstance(task, (ForEach, EachSequential, EachParallel))


def expected(tree: FlowTree, run: TaskRun | None) -> int:
    """How many children the main phase has in all."""
    count = len(main_list(tree, run))
    if run is not None and is_loop(tree.task(run.task_id)):
        return count * len(run.notes.get("values", ()))
    return count


def upcoming(tree: FlowTree, state: Execution, run: TaskRun | None, child: TaskRun | None) -> Iterator[Next]:
    """Children of the main phase to start now, given that `child` just ended (None: look at everything).

    The caller starts each before it takes the next, so the counts move on.
    """
    scope = run.scope if run else state.scope
    task = tree.task(run.task_id) if run else None
    if isinstance(task, Parallel):
        begun = {each.task_id for each in state.children(run.id if run else None) if each.phase == "main"}
        yield from _side_by_side([Next(each) for each in main_list(tree, run) if each.id not in begun], scope, task.concurrent)
    elif isinstance(task, Dag):
        children = state.children(run.id if run else None)
        yield from _graph(task, scope, {each.task_id: each.ended for each in children if each.phase == "main"})
    elif isinstance(task, EachParallel) and run is not None:
        tasks = main_list(tree, run)
        values = run.notes.get("values", ())
        places = (divmod(number, len(tasks)) for number in range(scope.total("main"), len(tasks) * len(values)))
        yield from _side_by_side((Next(tasks[place], values[index], index) for index, place in places), scope, task.concurrent)
    elif isinstance(task, (ForEach, EachSequential)) and run is not None:
        limit = 1 if isinstance(task, EachSequential) else task.concurrency_limit
        busy = set() if child else {each.iteration for each in state.children(run.id) if each.phase == "main" and not each.ended}
        groups = [child.iteration] if child else [group for group in scope.started if group not in busy]
        yield from _groups(main_list(tree, run), run.notes.get("values", ()), scope, limit, groups)
    else:
        tasks = main_list(tree, run)
        while scope.open("main") == 0 and scope.total("main") < len(tasks) and not scope.has("main", *BROKEN):
            yield Next(tasks[scope.total("main")])


def _side_by_side(pairs: Iterable[Next], scope: Scope, limit: int) -> Iterator[Next]:
    for each in pairs:
        if scope.has("main", *BROKEN) or (limit and scope.open("main") >= limit):
            return
        yield each


def _graph(task: Dag, scope: Scope, ended: dict[str, bool]) -> Iterator[Next]:
    for each in task.tasks:
        if each.task.disabled or each.task.id in ended:
            continue
        if scope.has("main", *BROKEN) or (task.concurrent and scope.open("main") >= task.concurrent):
            return
        disabled = {other.task.id for other in task.tasks if other.task.disabled}
        if all(ended.get(need) or need in disabled for need in each.depends_on):
            yield Next(each.task)


def _groups(tasks: list[Task], values: list[str], scope: Scope, limit: int, idle: list[int | None]) -> Iterator[Next]:
    """One group of tasks, in sequence, for each value; at most `limit` groups (0: all) at once.

    idle: the groups begun of which no task runs (a child that ended leaves its own group idle, and no other).
    """
    if not tasks:
        return
    if limit == 1:
        while scope.open("main") == 0 and scope.total("main") < len(tasks) * len(values) and not scope.has("main", *BROKEN):
            index, position = divmod(scope.total("main"), len(tasks))
            yield Next(tasks[position], values[index], index)
        return
    for group in idle:
        if scope.has("main", *BROKEN):
            return
        if group is not None and scope.started.get(group, 0) < len(tasks):
            yield Next(tasks[scope.started[group]], values[group], group)
    while len(scope.started) < len(values) and not scope.has("main", *BROKEN) and (limit == 0 or scope.open("main") < limit):
        index = len(scope.started)
        yield Next(tasks[0], values[index], index)


def phase_list(tree: FlowTree, run: TaskRun | None, phase: str) -> list[Task]:
    """The tasks of the errors, finally, after or pause list."""
    if phase == "pause":
        task = tree.task(run.task_id) if run else None
        inner = getattr(task, "on_pause", None)
        return enabled([inner]) if inner is not None else []
    return tree.list_of(run.task_id if run else None, phase)
