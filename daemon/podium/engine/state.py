"""The state of one execution: the fold of its events. `apply` is the only thing that changes it.

Beside the facts it keeps what makes every decision O(1) in the number of task runs: per parent and phase how many children are in
which state, and the outputs as expressions see them. Both follow from the events alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from podium.engine import events as ev
from podium.flows.model import TERMINAL


@dataclass(slots=True)
class Attempt:
    number: int
    state: str
    history: list[tuple[str, datetime]]
    facts: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(slots=True)
class Scope:
    """The children of a task run, or of the execution itself."""

    children: list[str] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """phase → state → how many."""
    started: dict[int | None, int] = field(default_factory=dict)
    """main phase: iteration → how many of its tasks were started."""

    def of(self, phase: str) -> dict[str, int]:
        return self.counts.get(phase, {})

    def total(self, phase: str) -> int:
        """Children of this phase so far."""
        return sum(self.of(phase).values())

    def open(self, phase: str) -> int:
        """Children of this phase that have not ended."""
        return sum(count for state, count in self.of(phase).items() if state not in TERMINAL)

    def any_open(self) -> bool:
        return any(self.open(phase) for phase in self.counts)

    def has(self, phase: str, *states: str) -> bool:
        counts = self.of(phase)
        return any(counts.get(state) for state in states)

    def add(self, phase: str, state: str, by: int) -> None:
        counts = self.counts.setdefault(phase, {})
        counts[state] = counts.get(state, 0) + by


@dataclass(slots=True)
class TaskRun:
    id: str
    task_id: str
    parent_id: str | None
    value: str | None
    iteration: int | None
    phase: str
    state: str
    history: list[tuple[str, datetime]]
    values: tuple[str, ...]
    """Values of the iterated ancestors, outermost first, and its own: where its outputs are under `outputs.<task>`."""
    attempts: list[Attempt] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL


@dataclass(slots=True)
class Execution:
    """One execution. `version` counts its events."""

    id: str = ""
    namespace: str = ""
    flow_id: str = ""
    revision: int = 0
    source: str = ""
    commit: str = ""
    path: str = ""
    blob: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    trigger: dict[str, Any] | None = None
    parent_id: str | None = None
    original_id: str = ""
    attempt_number: int = 1
    original_created_at: datetime | None = None
    schedule_date: datetime | None = None
    depth: int = 0
    loop: dict[str, Any] | None = None
    state: str = ""
    history: list[tuple[str, datetime]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, TaskRun] = field(default_factory=dict)
    by_task: dict[str, list[str]] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    asked: dict[str, None] = field(default_factory=dict)
    tally: dict[str, int] = field(default_factory=dict)
    """How many task runs are in which state."""
    closed: bool = False
    run_number: int = 1
    version: int = 0
    at: datetime | None = None
    """When the last event became true."""
    secrets: list[str] = field(default_factory=list)
    """As `SecretsUsed`."""
    output_tree: dict[str, Any] = field(default_factory=dict)
    _owned: set[int] = field(default_factory=set)

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL

    @property
    def created_at(self) -> datetime:
        return self.history[0][1]

    def scope_of(self, run_id: str | None) -> Scope:
        return self.scope if run_id is None else self.runs[run_id].scope

    def children(self, run_id: str | None) -> Iterator[TaskRun]:
        """Children in the order of their creation."""
        return (self.runs[child] for child in self.scope_of(run_id).children)

    def ancestors(self, run: TaskRun) -> Iterator[TaskRun]:
        """Parent, its parent, … up to a task run of the flow itself."""
        while run.parent_id is not None:
            run = self.runs[run.parent_id]
            yield run

    def descendants(self, run_id: str) -> list[TaskRun]:
        """All runs below, parents before children."""
        found: list[TaskRun] = []
        pending = list(self.runs[run_id].scope.children)
        while pending:
            run = self.runs[pending.pop()]
            found.append(run)
            pending.extend(run.scope.children)
        return found

    def share_outputs(self) -> dict[str, Any]:
        """The outputs by task, safe to keep: later changes go to copies."""
        self._owned.clear()
        return self.output_tree

    def put_outputs(self, run: TaskRun) -> None:
        """Enter a run's outputs where expressions look for them. Copies, once, each level that a snapshot may still hold."""
        path = (run.task_id, *run.values)
        node = self.output_tree = self._own(self.output_tree)
        for key in path[:-1]:
            node[key] = self._own(node.get(key, {}))
            node = node[key]
        node[path[-1]] = run.outputs

    def _own(self, level: dict[str, Any]) -> dict[str, Any]:
        if id(level) in self._owned:
            return level
        copy = dict(level)
        self._owned.add(id(copy))
        return copy


def fold(facts: Iterable[ev.Event], state: Execution | None = None) -> Execution:
    """The state after these events."""
    state = state or Execution()
    for fact in facts:
        apply(state, fact)
    return state


def apply(state: Execution, fact: ev.Event) -> None:  # noqa: C901, PLR0912, PLR0915 - one flat case an event reads better than a table
    """Enter one event into the state."""
    state.version, state.at = state.version + 1, fact.at
    match fact:
        case ev.ExecutionCreated():
            _created(state, fact)
        case ev.ExecutionRestored():
            from podium.engine.shape.restore import restore

            restore(state, fact.view, fact.flow, fact.notes)
        case ev.ExecutionMoved():
            state.state = fact.state
            state.history.append((fact.state, fact.at))
        case ev.ExecutionNoted():
            _note(state.notes, fact.notes)
        case ev.RunCreated():
            _run_created(state, fact)
        case ev.RunMoved():
            _move(state, state.runs[fact.id], fact.state, fact.at)
        case ev.RunNoted():
            _note(state.runs[fact.id].notes, fact.notes)
        case ev.RunOutputs():
            run = state.runs[fact.id]
            run.outputs = fact.outputs
            state.put_outputs(run)
        case ev.RunsRemoved():
            _removed(state, fact.ids)
        case ev.AttemptOpened():
            run = state.runs[fact.run_id]
            run.attempts.append(Attempt(fact.number, "CREATED", [("CREATED", fact.at)]))
            if run.state not in ("CREATED", "RUNNING"):  # RUNNING: the engine carries it out itself, and opens the attempt on the way
                _move(state, run, "CREATED", fact.at)
        case ev.AttemptStarted():
            run = state.runs[fact.run_id]
            _attempt(run, fact.number, "RUNNING", fact.at)
            if run.state != "RUNNING":
                _move(state, run, "RUNNING", fact.at)
        case ev.AttemptClosed():
            attempt = _attempt(state.runs[fact.run_id], fact.number, fact.state, fact.at)
            attempt.facts, attempt.error = fact.facts, fact.error
        case ev.Asked():
            state.asked[fact.key] = None
        case ev.Answered():
            state.asked.pop(fact.key, None)
        case ev.SecretsUsed():
            state.secrets = [*state.secrets, *fact.sealed]
        case ev.LabelsSet():
            state.labels = {**state.labels, **fact.labels}
        case ev.VariablesSet():
            state.variables = fact.variables
        case ev.OutputsSet():
            state.outputs = fact.outputs
        case ev.ExecutionClosed():
            state.closed, state.asked = True, {}  # what was asked by runs that were stopped: nobody wants to know any more
        case ev.ExecutionReopened():
            state.closed = False
            state.run_number = fact.number
            state.notes = {}
            if not fact.status_only:
                state.attempt_number += 1
                state.outputs = {}
            state.revision = fact.revision or state.revision
        case _:
            assert_never(fact)


def _note(notes: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if value is None:
            notes.pop(key, None)
        else:
            notes[key] = value


def _created(state: Execution, fact: ev.ExecutionCreated) -> None:
    for name in ("id", "namespace", "flow_id", "revision", "source", "commit", "path", "blob", "inputs", "labels", "variables", "trigger",
                 "parent_id", "attempt_number", "schedule_date", "depth", "loop"):
        setattr(state, name, getattr(fact, name))
    state.original_id = fact.original_id or fact.id
    state.original_created_at = fact.original_created_at or fact.at
    state.state = "CREATED"
    state.history.append(("CREATED", fact.at))


def _run_created(state: Execution, fact: ev.RunCreated) -> None:
    above: tuple[str, ...] = state.runs[fact.parent_id].values if fact.parent_id else ()
    run = TaskRun(
        id=fact.id, task_id=fact.task_id, parent_id=fact.parent_id, value=fact.value, iteration=fact.iteration, phase=fact.phase,
        state="CREATED", history=[("CREATED", fact.at)], values=above if fact.value is None else (*above, fact.value), outputs=fact.outputs,
    )
    assert run.id not in state.runs, f"task run {run.id} exists"
    state.runs[run.id] = run
    state.by_task.setdefault(run.task_id, []).append(run.id)
    scope = state.scope_of(run.parent_id)
    scope.children.append(run.id)
    scope.add(run.phase, "CREATED", 1)
    state.tally["CREATED"] = state.tally.get("CREATED", 0) + 1
    if run.phase == "main":
        scope.started[run.iteration] = scope.started.get(run.iteration, 0) + 1
    if run.outputs:
        state.put_outputs(run)


def _move(state: Execution, run: TaskRun, to: str, at: datetime) -> None:
    scope = state.scope_of(run.parent_id)
    scope.add(run.phase, run.state, -1)
    scope.add(run.phase, to, 1)
    state.tally[run.state] -= 1
    state.tally[to] = state.tally.get(to, 0) + 1
    run.state = to
    run.history.append((to, at))


def _attempt(run: TaskRun, number: int, state: str, at: datetime) -> Attempt:
    attempt = run.attempts[number - 1]
    attempt.state = state
    attempt.history.append((state, at))
    return attempt


def _removed(state: Execution, ids: list[str]) -> None:
    gone = set(ids)
    parents = {state.runs[each].parent_id for each in ids}
    tasks = {state.runs[each].task_id for each in ids}
    for each in ids:
        run = state.runs[each]
        scope = state.scope_of(run.parent_id) if run.parent_id not in gone else run.scope
        scope.add(run.phase, run.state, -1)
        state.tally[run.state] -= 1
        if run.phase == "main" and run.iteration in scope.started:
            scope.started[run.iteration] -= 1
    for parent in parents - gone:
        scope = state.scope_of(parent)
        scope.children = [child for child in scope.children if child not in gone]
        scope.started = {key: count for key, count in scope.started.items() if count > 0}
    for each in ids:
        del state.runs[each]
    for task in tasks:
        state.by_task[task] = [each for each in state.by_task[task] if each not in gone]
        state.share_outputs()
        state.output_tree = {key: value for key, value in state.output_tree.items() if key != task}
        for left in state.by_task[task]:
            if state.runs[left].outputs:
                state.put_outputs(state.runs[left])
