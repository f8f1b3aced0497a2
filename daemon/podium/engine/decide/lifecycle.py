"""Commands about an execution as a whole: its making and beginning, pause and resume, restart, changed states. Source: flow-language 9."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from podium.base.errors import ConflictError, NothingToDo
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.decision import Decision, attempt_id
from podium.engine.decide.kinds import many
from podium.engine.decide.kinds.approval import waiting_approval
from podium.engine.decide.stopping import release, stop
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree, is_flowable
from podium.flows.model import TERMINAL, Launcher, LoopUntil, Pause, Subflow, WorkingDirectory


def refused(d: Decision, what: str, hint: str) -> ConflictError:
    """The error of a command that the present state does not allow."""
    return ConflictError(what, hint=hint, state=d.state.state)


def create(d: Decision, command: cmd.Create) -> None:
    """Make the execution; it begins when its schedule date has come."""
    assert not d.state.id, "an execution is made once"
    d.emit(ev.ExecutionCreated(
        at=d.now, id=command.id, namespace=command.namespace, flow_id=command.flow_id, revision=command.revision, source=command.source,
        commit=command.commit, path=command.path, blob=command.blob, inputs=dict(command.inputs), labels=dict(command.labels),
        variables=dict(command.variables), trigger=dict(command.trigger) if command.trigger else None, parent_id=command.parent_id,
        original_id=command.original_id, attempt_number=command.attempt_number, original_created_at=command.original_created_at,
        schedule_date=command.schedule_date, depth=command.depth, loop=dict(command.loop) if command.loop else None,
    ))
    for each in command.warnings:
        d.log("WARN", each)
    if command.failed_because is not None:
        d.log("ERROR", command.failed_because)
        d.move_execution("FAILED")
        d.step(None)
        return
    _time_slas(d, d.now)
    _copy_runs(d, command.copied_runs)


def _time_slas(d: Decision, since: datetime) -> None:
    for index, sla in enumerate(d.tree.flow.sla):
        if sla.type == "MAX_DURATION" and sla.duration is not None:
            d.timer(f":sla:{index}", due=since + sla.duration)


def begin(d: Decision, command: cmd.Begin) -> None:
    """Start it, or queue, cancel or fail it by the flow's concurrency limit. Source: flow-language 1.5."""
    if d.state.state not in ("CREATED", "QUEUED", "RESTARTED"):
        return
    if command.instead is not None:
        _turn_away(d, command.instead)
        return
    if not command.force and d.state.schedule_date is not None and d.state.schedule_date > d.now:
        d.timer(":schedule", due=d.state.schedule_date)
        return
    limit = command.limit or d.tree.flow.concurrency
    if limit is not None and not command.force and command.running >= limit.limit:
        if limit.behavior == "QUEUE":
            d.move_execution("QUEUED")
        elif limit.behavior == "CANCEL":
            _turn_away(d, "CANCELLED")
        else:
            d.log("ERROR", "Flow is FAILED due to concurrency limit exceeded")
            _turn_away(d, "FAILED")
        return
    d.move_execution("RUNNING")
    d.settle_execution_state()
    _wake(d)


def _turn_away(d: Decision, state: str) -> None:
    """End it before it began. One that goes on from a task run has task runs already."""
    for run in d.state.runs.values():
        if not run.ended:
            d.move_run(run, "KILLED")
    d.move_execution(state)
    d.step(None)


def _wake(d: Decision) -> None:
    """Have everything looked at that may go on: what has not begun, and the scopes that were cut short."""
    for run in list(d.state.runs.values()):
        if not run.ended:
            fresh = run.state in ("CREATED", "RESTARTED") and not (run.attempts and run.attempts[-1].state in ("CREATED", "RUNNING"))
            (d.begin if fresh else d.step)(run.id)
            if isinstance(d.tree.task(run.task_id), Launcher) and run.attempts and run.attempts[-1].state == "RUNNING":
                many.go_on(d, run)
    d.step(None)


def kill(d: Decision, command: cmd.Kill) -> None:
    """End it; nothing is started any more, no errors or finally tasks run."""
    if d.state.ended or d.state.state == "KILLING":
        return
    stop(d, "KILLED", cascade=command.cascade)


def pause(d: Decision) -> None:
    """Start no new tasks until it is resumed."""
    if d.state.state != "RUNNING":
        raise refused(d, f"execution '{d.state.id}' is {d.state.state}, only a RUNNING one can be paused", "look at its state first")
    d.note_execution(held=True)
    d.move_execution("PAUSED")


def resume(d: Decision, command: cmd.Resume) -> None:
    """Go on after a manual pause, or end the waiting of a Pause task."""
    afterwards = d.state.ended and not d.state.closed and paused_run(d.tree, d.state, command.run_id) is not None
    if d.state.state != "PAUSED" and not afterwards:
        raise refused(d, f"execution '{d.state.id}' is {d.state.state}, not PAUSED", "only a paused execution can be resumed")
    if d.state.notes.get("held"):
        d.note_execution(held=None)
        d.settle_execution_state()
        _wake(d)
        return
    waiting = paused_run(d.tree, d.state, command.run_id)
    if waiting is None:
        asks = waiting_approval(d.tree, d.state) is not None
        iteration = next((entry[0] for run in d.state.runs.values() if run.state == "PAUSED" for _, entry in many.open_children(run)), None)
        hint = "it waits for a decision: podium executions review" if asks else "it goes on by itself"
        if iteration is not None:
            hint = f"an iteration of its Loop waits: look at execution '{iteration}' and the others"
        raise refused(d, f"execution '{d.state.id}' has no paused task that a resume would end", hint)
    d.outputs(waiting, {"onResume": dict(command.inputs)})
    go_on(d, waiting, None)


def paused_run(tree: FlowTree, state: Execution, run_id: str | None = None) -> TaskRun | None:
    """The first Pause task run that waits (or the one named): the one that a resume would end."""
    for run in state.runs.values():
        if run.state == "PAUSED" and run_id in (None, run.id) and isinstance(tree.task(run.task_id), Pause):
            return run
    return None


def go_on(d: Decision, run: TaskRun, forced: str | None) -> None:
    """End the waiting of a Pause: its tasks run now, if it has any."""
    d.note(run, resumed=True, until=None, outcome=forced)
    d.move_run(run, "RUNNING")
    d.step(run.id)


def pause_over(d: Decision, run: TaskRun, purpose: str) -> None:
    """The time of a Pause task is up: behave as it says. Source: flow-language 5.13."""
    if run.state != "PAUSED" or not isinstance(d.tree.task(run.task_id), Pause):
        return
    behavior = run.notes.get("behavior", "RESUME")
    if purpose == "timeout" or behavior in ("CANCEL", "FAIL"):
        if purpose == "timeout":
            d.log("ERROR", "Timeout reached while waiting to be resumed", run.id)
        elif behavior == "FAIL":
            d.log("ERROR", "Pause duration is over and its behavior is FAIL", run.id)
        d.note(run, until=None, over="CANCELLED" if purpose != "timeout" and behavior == "CANCEL" else "FAILED")
        d.move_run(run, "RUNNING")
        d.step(run.id)
    else:
        task = d.tree.task(run.task_id)
        if isinstance(task, Pause) and task.on_resume and "onResume" not in run.outputs:
            d.outputs(run, {"onResume": run.notes.get("defaults", {})})
        go_on(d, run, "WARNING" if behavior == "WARN" else None)


def restart(d: Decision) -> None:
    """Run what failed again, in the same execution. Source: flow-language 9.4."""
    if not (d.state.ended or d.state.state == "PAUSED"):
        raise refused(d, f"Execution must be terminated to be restarted, current state is '{d.state.state}' !", "wait for its end or kill it")
    refuse_before_the_end(d.state)
    failed = [run for run in d.state.runs.values() if restartable(d.state, run)]
    if not failed:
        raise NothingToDo("No task found to restart execution from!", hint="replay the execution instead", state=d.state.state)
    _reopen_execution(d)
    reopen(d, failed)


def refuse_before_the_end(state: Execution) -> None:
    """Raises ConflictError while tasks that run after the end of an execution are not done."""
    if state.ended and not state.closed:
        what = f"tasks after the end of execution '{state.id}' still run"
        raise ConflictError(what, hint="wait for them: afterExecution, listeners", state=state.state)


def restartable(state: Execution, run: TaskRun) -> bool:
    """Whether it broke or waits by itself, not because of a child. Error handlers are not restarted, they run anew if need be."""
    if run.state not in AGAIN or _waits_for_others(run) or any(each.phase in ("errors", "after") for each in (run, *state.ancestors(run))):
        return False
    return not any(child.state in AGAIN for child in state.children(run.id) if child.phase != "errors")


def _waits_for_others(run: TaskRun) -> bool:
    """Whether it is a Loop that is PAUSED because iterations are: its attempt goes on."""
    return run.state == "PAUSED" and bool(run.attempts) and run.attempts[-1].state == "RUNNING"


AGAIN = ("FAILED", "PAUSED", "KILLED", "CANCELLED", "RETRIED")
"""States of task runs that a restart runs again."""


def _reopen_execution(d: Decision) -> None:
    d.emit(ev.ExecutionReopened(at=d.now, number=d.state.run_number + 1))
    d.move_execution("RESTARTED")
    if any(sla.type == "MAX_DURATION" for sla in d.tree.flow.sla):
        d.note_execution(sla_since=d.now.isoformat())
        _time_slas(d, d.now)


def reopen(d: Decision, runs: list[TaskRun], state: str = "RESTARTED") -> None:
    """Prepare task runs to run again from their beginning, their ancestors to go on.

    Handlers (errors, finally, afterExecution) of what goes on vanish; a child of a WorkingDirectory takes the whole directory with it,
    the onPause task its Pause.
    """
    again: dict[str, TaskRun] = {}
    for run in runs:
        chosen = whole_of(d.tree, d.state, run) or run
        again[chosen.id] = chosen
    _let_ancestors_go_on(d, again)
    _remove(d, {each.id for run in again.values() if run.id in d.state.runs for each in d.state.descendants(run.id)})
    for run in again.values():
        if run.id in d.state.runs:
            task, child = d.tree.task(run.task_id), run.notes.get("child")
            kept: dict[str, Any] = {}
            if getattr(task, "restart_behavior", "RETRY_FAILED") == "RETRY_FAILED":
                if child and isinstance(task, Subflow):
                    kept = {"former": child}
                elif isinstance(task, Launcher) and "values" in run.notes:
                    kept = many.again(run)
            d.note(run, **{**dict.fromkeys(run.notes), **kept})
            d.move_run(run, state)


def _let_ancestors_go_on(d: Decision, runs: Mapping[str, TaskRun]) -> None:
    """Ancestors of `runs` are RUNNING again, without their handlers."""
    above = {each.id: each for run in runs.values() for each in d.state.ancestors(run)}
    handlers = [run for run in d.state.runs.values()
                if run.phase in ("errors", "finally", "after") and (run.parent_id is None or run.parent_id in above)]
    _remove(d, {each.id for run in handlers for each in (run, *d.state.descendants(run.id))})
    for run in above.values():
        if run.id in d.state.runs and run.id not in runs:
            # What was decided about an Approval still holds; how any other scope ends is found anew.
            d.note(run, outcome=run.notes.get("outcome") if "decision" in run.notes else None, done=None, over=None)
            d.move_run(run, "RUNNING")


def _remove(d: Decision, gone: set[str]) -> None:
    """Forget task runs that are done over; what still runs of them outside is ended."""
    if not gone:
        return
    for run in [run for run in d.state.runs.values() if run.id in gone and not run.ended]:
        release(d, run)
    d.emit(ev.RunsRemoved(at=d.now, ids=[run_id for run_id in d.state.runs if run_id in gone]))


def whole_of(tree: FlowTree, state: Execution, run: TaskRun) -> TaskRun | None:
    """The WorkingDirectory or Pause without which a run inside it cannot run again."""
    for below, above in pairwise((run, *state.ancestors(run))):
        if below.phase == "pause" or isinstance(tree.task(above.task_id), WorkingDirectory):
            return above
    return None


def change_status(d: Decision, command: cmd.ChangeStatus) -> None:
    """Give a terminal execution another terminal state."""
    if not d.state.ended:
        raise refused(d, f"execution '{d.state.id}' is {d.state.state}, not terminal", "kill it or wait for its end")
    if command.state not in TERMINAL or command.state in ("RETRIED", "SKIPPED"):
        raise refused(d, f"'{command.state}' is not a terminal state of executions", "use SUCCESS, WARNING, FAILED, KILLED or CANCELLED")
    refuse_before_the_end(d.state)
    if command.state == d.state.state:
        return
    d.emit(ev.ExecutionReopened(at=d.now, number=d.state.run_number + 1, status_only=True))
    d.move_execution(command.state)
    d.emit(ev.ExecutionClosed(at=d.now))


def set_labels(d: Decision, command: cmd.SetLabels) -> None:
    """Merge labels. What is recorded already is recorded anew, as an amendment."""
    recorded = d.state.closed
    if recorded:
        d.emit(ev.ExecutionReopened(at=d.now, number=d.state.run_number + 1, status_only=True))
    d.emit(ev.LabelsSet(at=d.now, labels=dict(command.labels)))
    if recorded:
        d.emit(ev.ExecutionClosed(at=d.now))


def set_run_state(d: Decision, command: cmd.SetRunState) -> None:
    """Mark a task run (success, failed …) or have it run again, and go on from there."""
    run = d.state.runs.get(command.run_id)
    if run is None:
        raise refused(d, f"No task run '{command.run_id}' in execution '{d.state.id}'", "look up the id in its task runs")
    if not (d.state.ended or d.state.state == "PAUSED"):
        raise refused(d, f"execution '{d.state.id}' is {d.state.state}", "wait for its end or kill it")
    refuse_before_the_end(d.state)
    if not (run.ended or run.state == "PAUSED") or run.scope.any_open() or _waits_for_others(run):
        raise refused(d, f"task run '{run.id}' is {run.state}, or tasks inside it run", "wait for its end")
    marked = command.state in TERMINAL
    whole = whole_of(d.tree, d.state, run)
    if whole is not None and (marked or not (whole.ended or whole.state == "PAUSED") or whole.scope.any_open()):
        raise refused(d, f"task run '{run.id}' is nothing by itself", f"set the state of what holds it: task run '{whole.id}'")
    _reopen_execution(d)
    if not marked:
        reopen(d, [run])
        return
    _let_ancestors_go_on(d, {run.id: run})
    if run.id in d.state.runs:
        d.move_run(run, command.state)


def _copy_runs(d: Decision, copied: Any) -> None:
    """Take over task runs of another execution (replay from a task run): ids are new already."""
    for each in copied:
        d.emit(ev.RunCreated(
            at=d.now, id=each["id"], task_id=each["taskId"], parent_id=each.get("parentTaskRunId"), value=each.get("value"),
            iteration=each.get("iteration"), phase=each.get("phase", "main"), outputs=dict(each.get("outputs") or {}),
        ))
        run = d.state.runs[each["id"]]
        if each.get("notes"):
            d.note(run, **each["notes"])
        for number in range(1, len(each.get("attempts") or ()) + 1):
            d.emit(ev.AttemptOpened(at=d.now, run_id=run.id, number=number))
            d.emit(ev.AttemptClosed(at=d.now, run_id=run.id, number=number, state=each["attempts"][number - 1]["state"]["current"]))
        d.move_run(run, each["state"])


def pending(d: Decision) -> None:
    """The effects that are still open in this state: what a restart of the daemon has to do again. Nothing is decided here."""
    state = d.state
    if state.ended and state.closed:
        return
    if state.state in ("CREATED", "QUEUED") and state.schedule_date is not None and state.schedule_date > d.now:
        d.timer(":schedule", due=state.schedule_date)
    for key in state.asked:
        d.effect(fx.Evaluate(key=key))
    if not state.ended:
        since = state.notes.get("sla_since")
        _time_slas(d, datetime.fromisoformat(since) if since else state.created_at)
    for run in state.runs.values():
        if not run.ended:
            _pending_run(d, run)


def _pending_run(d: Decision, run: TaskRun) -> None:
    task = d.tree.task(run.task_id)
    number = len(run.attempts)
    until = run.notes.get("until")
    if until is not None:
        if run.state == "RETRYING":
            key = f"retry:{number}"
        elif isinstance(task, LoopUntil):
            key = f"loop:{run.notes.get('iteration', 0) + 1}"
        else:
            key = run.notes.get("waits", "sleep")
        d.timer(f"{run.id}:{key}", due=datetime.fromisoformat(until))
        return
    if isinstance(task, Launcher) and number and run.attempts[-1].state == "RUNNING":
        for index, entry in many.open_children(run):
            d.effect(many.start_effect(run, index, entry))
            if run.state == "KILLING":
                d.effect(fx.KillSubflow(execution_id=entry[0]))
    elif isinstance(task, Subflow) and run.notes.get("child"):
        child, fresh = run.notes["child"], run.notes.get("fresh")
        d.effect(fx.StartSubflow(run_id=run.id, execution_id=child, request=run.notes["request"], fresh=fresh if fresh != child else None))
        if run.state == "KILLING":
            d.effect(fx.KillSubflow(execution_id=run.notes["child"]))
    elif isinstance(task, WorkingDirectory) and run.state == "RUNNING":
        if not run.notes.get("opened"):
            d.effect(fx.OpenWorkspace(run_id=run.id))
        elif run.notes.get("collecting"):
            d.effect(fx.CloseWorkspace(run_id=run.id, task_id=run.task_id, collect=True))
    elif task is not None and not is_flowable(task) and number and run.attempts[-1].state in ("CREATED", "RUNNING"):
        started = run.attempts[-1].state == "RUNNING"
        d.effect(fx.RunAttempt(run_id=run.id, number=number, started=started))
        if run.state == "KILLING":
            d.effect(fx.KillAttempt(attempt_id=attempt_id(run.id, number)))
