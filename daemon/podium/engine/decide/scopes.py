"""The life of a scope: the main tasks, then (after a failure) errors, then finally, then its own end.

A scope is the execution or a flowable task run. `step` is called when it begins and whenever one of its children changed; it starts what
is due and, when nothing is left, ends it. Source: flow-language 1.8, 5.0.
"""

from __future__ import annotations

from datetime import datetime

from podium.base.limits import TASK_RUNS_MAX
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.decision import Decision
from podium.engine.decide.kinds import approval
from podium.engine.decide.plans import BROKEN, expected, phase_list, upcoming
from podium.engine.decide.stopping import stop
from podium.engine.state import Scope, TaskRun
from podium.engine.tree import is_flowable
from podium.flows.model import AllowFailure, Approval, Launcher, LoopUntil, Pause, Subflow, WorkingDirectory

_BEFORE_CHILDREN = ("runIf", "if", "switch", "values", "pause", "approval")
"""Purposes of questions without whose answers a scope's children are not known."""


def step(d: Decision, scope_id: str | None, child_id: str | None) -> None:
    """Look at a scope again."""
    run = d.state.runs.get(scope_id) if scope_id else None
    if scope_id is not None and (run is None or run.ended or not _has_children(d, run)):
        return None
    child = d.state.runs.get(child_id) if child_id else None
    if child is not None and not child.ended:
        child = None
    scope = d.state.scope_of(scope_id)
    if run is None and d.state.ended:
        return _after(d, scope)
    stopping = d.state.notes.get("stopping")
    if stopping:
        if not scope.any_open():
            _finish(d, run, stopping)
        return None
    if d.state.notes.get("held") or (run is not None and (run.state == "PAUSED" or not _begun(d, run))):
        return None
    if run is not None and run.notes.get("over"):
        return None if scope.any_open() else _finish(d, run, run.notes["over"])
    return _phases(d, run, scope, child)


def _has_children(d: Decision, run: TaskRun) -> bool:
    """Whether the run is a scope at all: a runnable task, a Subflow and a Launcher end by their attempts."""
    task = d.tree.task(run.task_id)
    return task is not None and is_flowable(task) and not isinstance(task, (Subflow, Launcher))


def _begun(d: Decision, run: TaskRun) -> bool:
    """Whether it is known which children a run has: it has begun, what it asked is answered, its directory is there."""
    if run.state in ("CREATED", "RESTARTED") or any(f"{run.id}:{purpose}" in d.state.asked for purpose in _BEFORE_CHILDREN):
        return False
    return not isinstance(d.tree.task(run.task_id), WorkingDirectory) or bool(run.notes.get("opened"))


def _phases(d: Decision, run: TaskRun | None, scope: Scope, child: TaskRun | None) -> None:
    if scope.total("errors") == 0 and scope.total("finally") == 0:
        _start_main(d, run, child)
    if d.state.notes.get("stopping"):
        return
    broken = scope.has("main", *BROKEN)
    if scope.open("main") or (not broken and scope.total("main") < expected(d.tree, run)) or scope.open("pause"):
        return
    if broken and scope.has("main", "FAILED") and not _sequence(d, run, scope, "errors"):
        return
    if not broken and run is not None and not _settled(d, run):
        return
    if not _sequence(d, run, scope, "finally"):
        return
    _finish(d, run, outcome(d, run, scope))


def _start_main(d: Decision, run: TaskRun | None, child: TaskRun | None) -> None:
    turn = run.notes.get("iteration") if run is not None and isinstance(d.tree.task(run.task_id), LoopUntil) else None
    for each in upcoming(d.tree, d.state, run, child):
        if len(d.state.runs) >= TASK_RUNS_MAX:
            d.log("ERROR", f"An execution has at most {TASK_RUNS_MAX} task runs (TASK_RUNS_MAX): split it with Subflow tasks")
            stop(d, "FAILED", cascade=True)
            return
        iteration = turn if each.iteration is None else each.iteration
        d.create_run(each.task, parent=run, phase="main", value=each.value, iteration=iteration)


def _sequence(d: Decision, run: TaskRun | None, scope: Scope, phase: str) -> bool:
    """Start the next task of the errors or finally list when it is due; True once the list is done (or there is none)."""
    tasks = phase_list(d.tree, run, phase)
    if scope.open(phase):
        return False
    if scope.total(phase) < len(tasks) and not scope.has(phase, *BROKEN):
        d.create_run(tasks[scope.total(phase)], parent=run, phase=phase)
        return False
    return True


def _settled(d: Decision, run: TaskRun) -> bool:
    """Whether a scope whose main tasks went well has nothing of its own left to do; starts that when it has."""
    task = d.tree.task(run.task_id)
    if isinstance(task, LoopUntil) and not run.notes.get("done"):
        if f"{run.id}:loop" not in d.state.asked:
            d.ask(run.id, "loop")
        return False
    if isinstance(task, Pause) and not run.notes.get("resumed"):
        return False
    if isinstance(task, Approval) and not run.notes.get("decision"):
        approval.wait(d, run)
        return False
    if isinstance(task, WorkingDirectory) and not run.notes.get("collected"):
        if not run.notes.get("collecting"):
            d.note(run, collecting=True)
            d.effect(fx.CloseWorkspace(run_id=run.id, task_id=run.task_id, collect=True))
        return False
    return True


def outcome(d: Decision, run: TaskRun | None, scope: Scope) -> str:
    """The state of a scope from its main children: killed before failed before warning. Source: flow-language 5.0."""
    if scope.has("main", "KILLED"):
        state = "KILLED"
    elif scope.has("main", "FAILED") or scope.has("finally", "FAILED"):
        state = "FAILED"
    elif scope.has("main", "CANCELLED"):
        state = "CANCELLED"
    elif scope.has("main", "RETRIED"):
        state = "RETRIED"
    elif scope.has("main", "WARNING") or scope.has("finally", "WARNING"):
        state = "WARNING"
    else:
        state = "SUCCESS"
    if run is None:  # what was retried ended this execution before; it goes on without another in its place
        return "FAILED" if state == "RETRIED" else state
    forced = run.notes.get("outcome")
    if state in ("SUCCESS", "WARNING") and forced:
        state = forced
    if state == "FAILED" and isinstance(d.tree.task(run.task_id), AllowFailure):
        state = "WARNING"
    return state


def _finish(d: Decision, run: TaskRun | None, state: str) -> None:
    if run is None:
        return finish_execution(d, state)
    task = d.tree.task(run.task_id)
    if isinstance(task, WorkingDirectory) and not run.notes.get("collecting"):
        d.effect(fx.CloseWorkspace(run_id=run.id, task_id=run.task_id, collect=False))
    if isinstance(task, Approval):
        return approval.end(d, run, state)
    return d.end_run(run, state)


def finish_execution(d: Decision, state: str) -> None:
    """End the execution: its outputs first, then the terminal state, then afterExecution."""
    if d.tree.flow.outputs and state not in ("KILLED", "CANCELLED", "RETRIED") and "guess" not in d.state.notes:
        d.note_execution(guess=state)
        d.ask(None, "outputs")
        return
    if ":outputs" in d.state.asked:
        return
    if d.state.notes.get("stopping") or d.state.notes.get("held"):
        d.note_execution(stopping=None, held=None)
    d.move_execution(state)
    d.step(None)


def _after(d: Decision, scope: Scope) -> None:
    """The execution is terminal: run afterExecution and listeners, then close it."""
    if d.state.closed:
        return
    if d.state.state != "RETRIED":
        if scope.open("after") or _afterwards(d, "after") or any(_listens(d, index) for index in range(len(d.tree.flow.listeners))):
            return
    elif "retry_due" in d.state.notes:
        d.effect(fx.CreateRetry(due=datetime.fromisoformat(d.state.notes["retry_due"])))
    d.emit(ev.ExecutionClosed(at=d.now))


def _afterwards(d: Decision, place: str) -> bool:
    """Start the next task of a list that runs after the end; False once the list is done, or one of its tasks broke."""
    tasks = {task.id: task for task in d.tree.list_of(None, place)}
    runs = [run for run in d.state.children(None) if run.phase == "after" and run.task_id in tasks]
    if len(runs) == len(tasks) or any(run.state in BROKEN for run in runs):
        return False
    d.create_run(list(tasks.values())[len(runs)], parent=None, phase="after")
    return True


def _listens(d: Decision, index: int) -> bool:
    """Have the conditions of a listener looked at, then its tasks run; False once nothing of it is left to do. Source: flow-language 1.1."""
    purpose = f"listener:{index}"
    holds = d.state.notes.get(purpose)
    if holds is None and f":{purpose}" not in d.state.asked:
        d.ask(None, purpose)
    return holds is None or (holds and _afterwards(d, purpose))
