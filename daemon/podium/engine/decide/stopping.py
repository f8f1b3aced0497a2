"""Ending an execution before its time: kill, cancel, SLA, exit, a retry as a new execution. Source: flow-language 9.6."""

from __future__ import annotations

from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.decision import Decision, attempt_id
from podium.engine.state import TaskRun
from podium.engine.tree import is_flowable
from podium.flows.model import TERMINAL, Launcher, Loop, Subflow, WorkingDirectory


def stop(d: Decision, outcome: str, *, cascade: bool) -> None:
    """Kill what runs and end the execution as `outcome` once that has ended."""
    d.note_execution(stopping=outcome, held=None, cascade=cascade)
    if outcome == "KILLED":
        d.move_execution("KILLING")
    stop_everything(d, cascade=cascade)
    d.step(None)


def stop_everything(d: Decision, *, cascade: bool) -> None:
    """End at once what has not started or only waits; tell what runs to end."""
    for run in reversed(list(d.state.runs.values())):
        if not run.ended and (run.phase != "after" or not d.state.ended):
            _stop_run(d, run, cascade)
        elif cascade and run.ended and not run.notes.get("wait", True):
            for child in _started(run):
                d.effect(fx.KillSubflow(execution_id=child))


def _started(run: TaskRun) -> list[str]:
    """The executions that a Subflow or a Launcher has started and not seen end."""
    many = [entry[0] for name, entry in run.notes.items() if name.startswith("child:") and entry[1] not in TERMINAL]
    return [run.notes["child"], *many] if "child" in run.notes else many


def stop_waiting(d: Decision, run: TaskRun) -> None:
    """After an exit by `run`: end what only waits (a pause, also in an iteration, a retry, a question); what runs may finish, its parents too."""
    spared = {run.id, *(above.id for above in d.state.ancestors(run))}
    for each in reversed(list(d.state.runs.values())):
        runs = bool(each.attempts) and each.attempts[-1].state in ("CREATED", "RUNNING")
        if not (each.ended or each.phase == "after" or each.id in spared or each.scope.any_open() or runs):
            _stop_run(d, each, cascade=False)
        elif each.state == "PAUSED" and runs and each.id not in spared:
            for name in each.notes:
                if name.startswith("paused:"):
                    d.effect(fx.KillSubflow(execution_id=each.notes[f"child:{name.removeprefix('paused:')}"][0]))


def release(d: Decision, run: TaskRun) -> None:
    """End what runs outside for a task run that is to be forgotten before its end."""
    task = d.tree.task(run.task_id)
    going_on = bool(run.attempts) and run.attempts[-1].state in ("CREATED", "RUNNING")
    if isinstance(task, WorkingDirectory):
        d.effect(fx.CloseWorkspace(run_id=run.id, task_id=run.task_id, collect=False))
    elif isinstance(task, (Subflow, Launcher)) and going_on:
        for child in _started(run):
            d.effect(fx.KillSubflow(execution_id=child))
    elif going_on and task is not None and not is_flowable(task) and task.KIND != "timer":
        d.effect(fx.KillAttempt(attempt_id=attempt_id(run.id, len(run.attempts))))


def _stop_run(d: Decision, run: TaskRun, cascade: bool) -> None:
    task = d.tree.task(run.task_id)
    started = bool(run.attempts) and run.attempts[-1].state == "RUNNING"
    if run.scope.children:
        if run.scope.any_open():
            d.move_run(run, "KILLING")
        d.step(run.id)
        return
    if isinstance(task, (Subflow, Launcher)) and started and (cascade or isinstance(task, Loop)):
        for child in _started(run):
            d.effect(fx.KillSubflow(execution_id=child))
        if run.notes.get("open", 1):
            d.move_run(run, "KILLING")
            return
    if started and task is not None and not is_flowable(task) and task.KIND != "timer":
        d.effect(fx.KillAttempt(attempt_id=attempt_id(run.id, len(run.attempts))))
        d.move_run(run, "KILLING")
        return
    if run.attempts and run.attempts[-1].state in ("CREATED", "RUNNING"):
        if not started:
            d.effect(fx.KillAttempt(attempt_id=attempt_id(run.id, len(run.attempts))))
        d.emit(ev.AttemptClosed(at=d.now, run_id=run.id, number=len(run.attempts), state="KILLED"))
    if isinstance(task, WorkingDirectory):
        d.effect(fx.CloseWorkspace(run_id=run.id, task_id=run.task_id, collect=False))
    d.end_run(run, "KILLED")
