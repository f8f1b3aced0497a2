"""What follows from an evaluated expression. The purposes are those of engine/questions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from podium.base.durations import format_duration
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide import tasks
from podium.engine.decide.decision import Decision
from podium.engine.decide.kinds import approval, many
from podium.engine.decide.kinds.subflow import start_child
from podium.engine.decide.scopes import finish_execution
from podium.engine.decide.stopping import stop
from podium.engine.state import TaskRun
from podium.flows.model import LoopUntil, Pause, Switch, WorkingDirectory


def answer(d: Decision, key: str, value: Any, error: str | None) -> None:
    """Enter an answer and go on from it. One that nobody asked for (any more) is ignored."""
    if key not in d.state.asked:
        return
    kept = value if error is None else None
    d.emit(ev.Answered(at=d.now, key=key, value=kept, error=error))
    run_id, _, purpose = key.partition(":")
    if not run_id:
        _of_execution(d, purpose, value, error)
        return
    run = d.state.runs.get(run_id)
    if run is None or run.ended:
        return
    if purpose.startswith("break:"):
        many.judged(d, run, int(purpose.removeprefix("break:")), value, error)
    elif d.state.notes.get("stopping"):
        return
    elif error is None:
        _HANDLERS[purpose](d, run, value)
    elif purpose in ("subflow", "timer", "items"):
        tasks.fail_attempt(d, run, error)
    else:
        d.fail_run(run, error)


def _of_execution(d: Decision, purpose: str, value: Any, error: str | None) -> None:
    if purpose == "outputs":
        if error is None:
            if value:
                d.emit(ev.OutputsSet(at=d.now, outputs=value))
            finish_execution(d, d.state.notes.get("stopping") or d.state.notes.get("guess", "SUCCESS"))
        else:
            d.log("ERROR", f"Failed to render output values: {error}")
            finish_execution(d, d.state.notes.get("stopping") or "FAILED")
    elif purpose.startswith("listener:"):
        if error is not None:
            d.log("WARN", f"The conditions of a listener cannot be evaluated: {error}")
        d.note_execution(**{purpose: bool(value) and error is None})
        d.step(None)
    elif purpose.startswith("sla:") and not d.state.ended:
        index = int(purpose.removeprefix("sla:"))
        skipped = error is not None and d.tree.flow.dialect == "1.x"  # what cannot be evaluated is no violation there: flow-language-2 11
        if not value and not skipped and index < len(d.tree.flow.sla):
            violate_sla(d, index, error or f"assertion is false: {d.tree.flow.sla[index].assert_}")


def violate_sla(d: Decision, index: int, reason: str) -> None:
    """Act on the first violation of an SLA (by its place in the flow): label, then fail or cancel. Source: flow-language 1.7."""
    if d.state.ended or d.state.state == "KILLING" or d.state.notes.get("sla") or index >= len(d.tree.flow.sla):
        return
    sla = d.tree.flow.sla[index]
    d.note_execution(sla=sla.id)
    if sla.labels:
        d.emit(ev.LabelsSet(at=d.now, labels={key: str(value) for key, value in sla.labels.items()}))
    if sla.behavior == "NONE":
        d.log("WARN", f"SLA '{sla.id}' violated: {reason}")
        return
    verb = "failed" if sla.behavior == "FAIL" else "cancelled"
    d.log("ERROR", f"Execution {verb} due to SLA '{sla.id}' violated: {reason}")
    stop(d, "FAILED" if sla.behavior == "FAIL" else "CANCELLED", cascade=False)


def _run_if(d: Decision, run: TaskRun, value: Any) -> None:
    task = d.tree.task(run.task_id)
    if task is None or not value:
        d.end_run(run, "SKIPPED")
        return
    d.note(run, run_if=True)
    tasks.start_by_kind(d, run, task)


def _if(d: Decision, run: TaskRun, value: Any) -> None:
    d.note(run, branch="then" if value else "else")
    d.outputs(run, {"evaluationResult": bool(value)})
    d.step(run.id)


def _template(d: Decision, run: TaskRun, value: Any) -> None:
    d.outputs(run, {"args": value})
    d.step(run.id)


def _switch(d: Decision, run: TaskRun, value: Any) -> None:
    task = d.tree.task(run.task_id)
    assert isinstance(task, Switch)
    matched = value in task.cases
    if not matched and not task.defaults:
        d.fail_run(run, f"No case equals '{value}' and there are no defaults")
        return
    d.note(run, branch=f"cases.{value}" if matched else "defaults")
    d.outputs(run, {"value": value, "defaults": not matched})
    d.step(run.id)


def _values(d: Decision, run: TaskRun, value: Any) -> None:
    d.note(run, values=value)
    d.step(run.id)


def _timer(d: Decision, run: TaskRun, value: Any) -> None:
    number = len(run.attempts) + 1
    d.emit(ev.AttemptOpened(at=d.now, run_id=run.id, number=number))
    d.emit(ev.AttemptStarted(at=d.now, run_id=run.id, number=number))
    wait, limit = value["duration"], value["timeout"]
    over = limit is not None and limit < wait
    d.log("INFO", f"Waiting for {format_duration(timedelta(seconds=wait))}", run.id)
    due = d.timer(f"{run.id}:sleep", after=timedelta(seconds=limit if over else wait))
    d.note(run, until=due.isoformat(), over=format_duration(timedelta(seconds=limit)) if over else None)


def _pause(d: Decision, run: TaskRun, value: Any) -> None:
    task = d.tree.task(run.task_id)
    assert isinstance(task, Pause)
    notes: dict[str, Any] = {"behavior": value.get("behavior") or "RESUME", "defaults": value.get("defaults") or None}
    for purpose in ("delay", "timeout"):
        if value.get(purpose) is not None:
            due = d.timer(f"{run.id}:{purpose}", after=timedelta(seconds=value[purpose]))
            notes["until"], notes["waits"] = due.isoformat(), purpose
            break
    d.note(run, **notes)
    if task.on_pause is not None and not task.on_pause.disabled:
        d.create_run(task.on_pause, parent=run, phase="pause")
    d.move_run(run, "PAUSED")


def _loop(d: Decision, run: TaskRun, value: Any) -> None:
    task = d.tree.task(run.task_id)
    assert isinstance(task, LoopUntil)
    done = run.notes.get("iteration", 0) + 1
    if value["condition"]:
        d.note(run, done=True)
        d.step(run.id)
        return
    since = datetime.fromisoformat(run.notes["since"])
    too_often = value["maxIterations"] is not None and done >= value["maxIterations"]
    too_long = value["maxDuration"] is not None and d.now - since >= timedelta(seconds=value["maxDuration"])
    if too_often or too_long:
        limit = f"{value['maxIterations']} iterations" if too_often else f"the maximum duration of {value['maxDuration']:g} s"
        d.log("WARN", f"Loop stopped after {limit} although its condition does not hold", run.id)
        d.note(run, done=True, outcome="FAILED" if value["failOnMaxReached"] else None)
        d.step(run.id)
        return
    due = d.timer(f"{run.id}:loop:{done}", after=timedelta(seconds=value["interval"]))
    d.note(run, until=due.isoformat())
    d.move_run(run, "PAUSED")


def next_iteration(d: Decision, run: TaskRun) -> None:
    """Do the children of a LoopUntil over. Only the last iteration stays visible."""
    done = run.notes.get("iteration", 0) + 1
    d.emit(ev.RunsRemoved(at=d.now, ids=[each.id for each in d.state.descendants(run.id)]))
    d.note(run, iteration=done, until=None)
    d.outputs(run, {"iterationCount": done + 1})
    d.move_run(run, "RUNNING")
    d.step(run.id)


def workspace_opened(d: Decision, run_id: str, error: str | None) -> None:
    run = d.state.runs.get(run_id)
    if run is None or run.ended or run.notes.get("opened") or not isinstance(d.tree.task(run.task_id), WorkingDirectory):
        return
    if error is not None:
        d.effect(fx.CloseWorkspace(run_id=run.id, task_id=run.task_id, collect=False))
        d.fail_run(run, error)
        return
    d.note(run, opened=True)
    d.step(run.id)


def workspace_closed(d: Decision, run_id: str, outputs: dict[str, Any], error: str | None) -> None:
    run = d.state.runs.get(run_id)
    if run is None or run.ended or not run.notes.get("collecting"):
        return
    if error is not None:
        d.log("ERROR", error, run.id)
    if outputs:
        d.outputs(run, outputs)
    d.note(run, collected=True, outcome="FAILED" if error is not None else None)
    d.step(run.id)


_HANDLERS = {"runIf": _run_if, "if": _if, "switch": _switch, "values": _values, "timer": _timer, "subflow": start_child, "pause": _pause,
             "loop": _loop, "items": many.start, "approval": approval.start, "template": _template}
