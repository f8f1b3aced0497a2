"""Rules of tasks, mostly of those that hold others. Source: flow-language 5, flow-language-2 3 and 4."""

from __future__ import annotations

from podium.flows.checks.rules import Checked, Rule, is_empty, maps_in, parents, static_text
from podium.flows.models.tasks import (
    AllowFailure,
    Dag,
    EachParallel,
    EachSequential,
    Flowable,
    ForEach,
    If,
    Loop,
    LoopUntil,
    Parallel,
    Pause,
    Sequential,
    Switch,
    WorkingDirectory,
)
from podium.flows.reading.problems import join, key_of
from podium.flows.reading.shape import Seen
from podium.flows.reading.yaml import Fields, Items

_NEED_TASKS = (Sequential, AllowFailure, Parallel, ForEach, EachSequential, EachParallel, LoopUntil)
_NAMED_NEED = (WorkingDirectory, Loop)
"""Those whose message is of their own."""


def list_to_fill(cls: type) -> str | None:
    """The property of a task type that must hold at least one task, or None."""
    if issubclass(cls, If):
        return "then"
    return "tasks" if issubclass(cls, (*_NEED_TASKS, *_NAMED_NEED, Dag)) else None


def _is(seen: Seen, *classes: type[Flowable]) -> bool:
    return seen.cls is not None and issubclass(seen.cls, classes)


def _lists_filled(flow: Checked) -> None:
    for each in flow.shaping.of("task"):
        key = "then" if _is(each, If) else "tasks"
        if not is_empty(each.node.get(key)):
            continue
        at, path = key_of(each.node, key), join(each.path, key)
        if _is(each, *_NEED_TASKS, If):
            flow.problem(at, path, "empty", "must not be empty", "add at least one task")
        elif _is(each, *_NAMED_NEED):
            what = f"{each.node.text('id')}: The 'tasks' property cannot be empty"
            flow.problem(at, path, "empty", what, "add at least one task")
    for node, path in maps_in(flow.root.get("listeners"), "listeners"):
        if is_empty(node.get("tasks")) and "tasks" in node.entries:
            flow.problem(key_of(node, "tasks"), join(path, "tasks"), "empty", "must not be empty", "add at least one task")
    if is_empty(flow.root.get("tasks")) and isinstance(flow.root.get("tasks"), Items):
        flow.problem(key_of(flow.root, "tasks"), "tasks", "empty", "must not be empty", "add at least one task")


def _dags(flow: Checked) -> None:
    for each in flow.shaping.of("task"):
        if _is(each, Dag):
            _dag(flow, each)


def _dag(flow: Checked, dag: Seen) -> None:
    name = dag.node.text("id")
    if is_empty(dag.node.get("tasks")):
        what = f"{name}: No task defined"
        flow.problem(key_of(dag.node, "tasks"), join(dag.path, "tasks"), "empty", what, "add a list of {task, dependsOn}")
        return
    needs: dict[str, list[str]] = {}
    members = list(maps_in(dag.node.get("tasks"), join(dag.path, "tasks")))
    ids = [task.text("id") for node, _ in members if isinstance(task := node.get("task"), Fields)]
    for node, path in members:
        task, wanted = node.get("task"), node.get("dependsOn")
        own = task.text("id") if isinstance(task, Fields) else None
        for index, item in enumerate(wanted.items if isinstance(wanted, Items) else []):
            needed = static_text(item)
            if needed is None:
                continue
            if needed not in ids:
                what = f"{name}: Not existing task id in dependency: {needed}"
                hint = f"tasks of this Dag: {', '.join(each for each in ids if each)}"
                flow.problem(item, f"{path}.dependsOn[{index}]", "dependency", what, hint)
            elif own is not None:
                needs.setdefault(own, []).append(needed)
    cycle = find_cycle(needs)
    if cycle:
        at = next((node for node, _ in members if isinstance(task := node.get("task"), Fields) and task.text("id") == cycle[0]), dag.node)
        what = f"{name}: Cyclic dependency detected: {', '.join(cycle)}"
        flow.problem(key_of(at, "dependsOn"), join(dag.path, "tasks"), "dependency", what, "remove one of these dependencies")


def find_cycle(needs: dict[str, list[str]]) -> list[str]:
    """The names on some cycle, in order; empty when there is none."""
    done: set[str] = set()
    for start in needs:
        trail: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, index = stack.pop()
            if index == 0:
                if name in done:
                    continue
                trail.append(name)
            following = needs.get(name, [])
            if index >= len(following):
                done.add(trail.pop())
                continue
            stack.append((name, index + 1))
            target = following[index]
            if target in trail:
                return trail[trail.index(target) :]
            stack.append((target, 0))
    return []


def _switches(flow: Checked) -> None:
    for each in flow.shaping.of("task"):
        if not _is(each, Switch):
            continue
        cases, defaults = each.node.get("cases"), each.node.get("defaults")
        some = isinstance(cases, Fields) and any(not is_empty(entry.node) for entry in cases.entries.values())
        if not some and is_empty(defaults):
            what = f"{each.node.text('id')}: No task defined, neither cases or default have any tasks"
            flow.problem(key_of(each.node, "cases"), each.path, "empty", what, "add cases or defaults")


def _working_directories(flow: Checked) -> None:
    for each in flow.shaping.of("task"):
        outer = each.parent
        if outer is None or not _is(outer, WorkingDirectory) or each.via != "tasks":
            continue
        name = outer.node.text("id")
        if each.cls is not None and issubclass(each.cls, Flowable):
            what = f"{name}: Only runnable tasks are allowed as children of a WorkingDirectory task"
            flow.problem(key_of(each.node, "type"), each.path, "working-directory", what, "move it out of the WorkingDirectory")
        if not is_empty(each.node.get("workerGroup")):
            what = f"{name}: Cannot set a Worker Group in any WorkingDirectory sub-tasks, it is only supported at the WorkingDirectory level"
            flow.problem(key_of(each.node, "workerGroup"), join(each.path, "workerGroup"), "enterprise", what, "remove it")


def _pauses(flow: Checked) -> None:
    for each in flow.shaping.of("task"):
        outer = each.parent
        if outer is not None and _is(outer, Pause) and each.via == "onPause" and each.cls is not None and issubclass(each.cls, Flowable):
            what = f"{outer.node.text('id')}: Only a runnable task is allowed as 'onPause'"
            flow.problem(key_of(each.node, "type"), each.path, "pause", what, "use a task that does not hold others")
        if _is(each, Pause) and flow.dialect != "2.0":
            for name, now in (("delay", "use 'pauseDuration'"), ("tasks", "put the tasks after the Pause")):
                if name in each.node.entries:
                    flow.warning(key_of(each.node, name), join(each.path, name), "deprecated", f"'{name}' of a Pause is deprecated", now)


def _caches(flow: Checked) -> None:
    """taskCache means something for runnable tasks only."""
    for each in flow.shaping.of("task"):
        if each.cls is not None and issubclass(each.cls, Flowable) and not is_empty(each.node.get("taskCache")):
            at, path = key_of(each.node, "taskCache"), join(each.path, "taskCache")
            flow.warning(at, path, "no-effect", "'taskCache' has no effect on a task that holds others", "set it on the tasks inside")


def _loop_values(flow: Checked) -> None:
    """A text that can be no list, map or file of values."""
    for each in flow.shaping.of("task"):
        text = static_text(each.node.get("values")) if _is(each, Loop) else None
        if text is not None and not text.lstrip().startswith(("[", "{")) and "://" not in text:
            what = f"The values must be a list, a map, or an expression that renders to one, but got: '{text[:80]}'"
            flow.warning(key_of(each.node, "values"), join(each.path, "values"), "loop-values", what, "write a list: [a, b]")


def _unreachable_outer(flow: Checked) -> None:
    """A Loop inside a 1.x loop mixes two ways to name the item."""
    for each in flow.shaping.of("task"):
        if _is(each, Loop) and any(_is(outer, ForEach, EachParallel, EachSequential) for outer in parents(each)):
            what = "a Loop inside a ForEach starts a sub-execution, which cannot see 'taskrun.value'"
            flow.warning(key_of(each.node, "type"), each.path, "mixed-loops", what, "use Loop for both")


RULES: tuple[Rule, ...] = (
    _lists_filled, _dags, _switches, _working_directories, _pauses, _caches, _loop_values, _unreachable_outer,
)
