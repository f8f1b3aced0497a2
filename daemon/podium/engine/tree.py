"""A flow as the engine walks it: every task by id, where it stands, and which list of its parent holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podium.expressions.text import to_json
from podium.flows.model import Flow, Flowable, Loop, Retry, Task

if TYPE_CHECKING:
    from podium.engine.state import Execution, TaskRun

Mocked = Callable[[str, Sequence[str]], bool]
"""(task id, values of the loops around a run, its own last) → whether a test mocks it."""


@dataclass(frozen=True, slots=True)
class Node:
    """task: as written. parent: id of the task that holds it. place: name of the list that holds it (tasks, then, cases.x, errors …)."""

    task: Task
    parent: str | None
    place: str


class FlowTree:
    """Index over one revision of a flow. Immutable; shared by all its executions."""

    def __init__(self, flow: Flow, mocked: Mocked | None = None) -> None:
        """mocked: for flow tests. A mocked run of whatever task is one attempt of the worker's, which knows what it gives, and is not retried."""
        self.flow = flow
        self.mocked = mocked
        self.nodes: dict[str, Node] = {}
        own = {"tasks": flow.tasks, "errors": flow.errors, "finally": flow.finally_, "after": flow.after_execution}
        own.update({f"listener:{index}": listener.tasks for index, listener in enumerate(flow.listeners)})
        for place, tasks in own.items():
            self._enter(tasks, None, place)
        self._lists: dict[tuple[str | None, str], list[Task]] = {(None, place): enabled(tasks) for place, tasks in own.items()}

    def _enter(self, tasks: Sequence[Task], parent: str | None, place: str) -> None:
        for task in tasks:
            self.nodes[task.id] = Node(task, parent, place)
            for inner_place, inner in task.lists_of_tasks().items():
                self._enter(inner, task.id, inner_place)

    def task(self, task_id: str) -> Task | None:
        """The task of that id, None when this revision has none (the flow was changed between a run and its restart)."""
        node = self.nodes.get(task_id)
        return node.task if node else None

    def is_mocked(self, state: Execution, run: TaskRun) -> bool:
        """Whether a test says what this run gives."""
        return self.mocked is not None and self.mocked(run.task_id, (*item_values(state.loop), *run.values))

    def list_of(self, task_id: str | None, place: str) -> list[Task]:
        """The enabled tasks of one list: of a task, or of the flow (task_id None)."""
        key = (task_id, place)
        if key not in self._lists:
            node = self.nodes.get(task_id) if task_id else None
            self._lists[key] = enabled(node.task.lists_of_tasks().get(place, [])) if node else []
        return self._lists[key]

    def ancestors(self, task_id: str) -> Iterator[Task]:
        """Parent, its parent, … outermost last."""
        node = self.nodes.get(task_id)
        while node is not None and node.parent is not None:
            node = self.nodes[node.parent]
            yield node.task

    def inherited_retry(self, task_id: str) -> Retry | None:
        """The retry of the nearest ancestor that has one and hands it down (an outer Loop does not), else the flow's."""
        retries = (each.retry for each in self.ancestors(task_id) if each.retry is not None and not isinstance(each, Loop))
        return next(retries, self.flow.retry)


def item_values(item: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The values of the Loops around an iteration as text, outermost first. item: the variable `item`, or what it is made of."""
    if item is None:
        return ()
    holders = [*reversed(item.get("parents") or ()), item]
    return tuple(value if isinstance(value := each.get("value"), str) else to_json(value) for each in holders)


def iteration_of(tree: FlowTree, task_id: str) -> FlowTree:
    """The tree of one iteration of a Loop: its tasks, handlers and outputs in the place of the flow's own; nothing after the end.

    The retry of what holds the Loop, or of the flow, is that of the tasks inside; a new execution (CREATE_NEW_EXECUTION) is one of the whole.
    """
    loop = tree.task(task_id)
    assert isinstance(loop, Loop), f"'{task_id}' is no Loop"
    retry = tree.inherited_retry(task_id)
    if retry is not None and retry.behavior == "CREATE_NEW_EXECUTION":
        retry = None
    return FlowTree(tree.flow.model_copy(update={
        "tasks": loop.tasks, "errors": loop.errors, "finally_": loop.finally_, "outputs": loop.outputs, "retry": retry,
        "after_execution": [], "listeners": [], "sla": [], "checks": [], "concurrency": None,
    }), tree.mocked)


def enabled(tasks: Sequence[Task]) -> list[Task]:
    """Without the disabled ones: they are not part of the graph."""
    return [task for task in tasks if not task.disabled]


def is_flowable(task: Task) -> bool:
    return isinstance(task, Flowable)
