"""A Subflow task: its child execution, and what the end of that means. Source: flow-language 5.9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.decision import Decision
from podium.engine.decide.kinds import many
from podium.engine.decide.tasks import conclude, derived_child_id
from podium.engine.state import TaskRun


def subflow_started(d: Decision, command: cmd.SubflowStarted) -> None:
    """The child exists (or never will)."""
    run = d.state.runs.get(command.run_id)
    if run is None or run.ended:
        return
    if command.index is not None:
        many.item_started(d, run, command.index, command)
        return
    if not _runs(run):
        return
    number = len(run.attempts)
    if command.error is not None:
        d.log("ERROR", command.error, run.id)
        d.emit(ev.AttemptClosed(at=d.now, run_id=run.id, number=number, state="FAILED", error=command.error))
        conclude(d, run, "FAILED")
        return
    child = run.notes.get("child")
    if command.execution_id is not None and command.execution_id == run.notes.get("fresh") != child:
        child = command.execution_id
        d.note(run, child=child)
    if child is None or command.execution_id != child:
        return
    d.outputs(run, {"executionId": child})
    if run.state == "KILLING":
        d.effect(fx.KillSubflow(execution_id=child))
        return
    if not run.notes.get("wait", True):
        d.emit(ev.AttemptClosed(at=d.now, run_id=run.id, number=number, state="SUCCESS"))
        conclude(d, run, "SUCCESS")


def subflow_ended(d: Decision, command: cmd.SubflowEnded) -> None:
    """The child is closed: its outputs and, if asked, its state are taken over. Source: flow-language 5.9."""
    run = d.state.runs.get(command.run_id)
    if run is not None and not run.ended and command.index is not None:
        many.item_ended(d, run, command.index, command)
        return
    if run is None or run.ended or not _runs(run) or command.execution_id not in (run.notes.get("child"), run.notes.get("fresh")):
        return
    if command.execution_id != run.notes.get("child"):  # it ended before this was told that it was made in the place of the former one
        d.note(run, child=command.execution_id)
    if not run.notes.get("wait", True) and run.state != "KILLING":  # it ended before this was told that it exists
        return
    if command.successor is not None:
        d.note(run, child=command.successor)
        d.outputs(run, {"executionId": command.successor})
        if run.state == "KILLING":
            d.effect(fx.KillSubflow(execution_id=command.successor))
        else:  # it may have ended before this one was heard of: have it looked at
            d.effect(fx.StartSubflow(run_id=run.id, execution_id=command.successor, request=run.notes["request"]))
        return
    d.outputs(run, {"executionId": command.execution_id, "state": command.state, "outputs": dict(command.outputs)})
    state = "SUCCESS"
    if run.notes.get("transmit", True) and command.state in ("FAILED", "KILLED", "WARNING", "CANCELLED"):
        state = command.state
    if d.state.notes.get("stopping"):
        state = "KILLED"
    d.emit(ev.AttemptClosed(at=d.now, run_id=run.id, number=len(run.attempts), state=state))
    conclude(d, run, state)


def _runs(run: TaskRun) -> bool:
    """Whether its attempt is open: news that come late or twice mean nothing while it waits to be tried again."""
    return bool(run.attempts) and run.attempts[-1].state == "RUNNING"


def start_child(d: Decision, run: TaskRun, request: Mapping[str, Any]) -> None:
    """The subflow's properties are rendered: have the child made. Its id follows from the attempt, so asking twice makes one.

    After a restart of this execution the child that failed is restarted; `fresh` is the id in case that it cannot be.
    """
    number = len(run.attempts) + 1
    child = derived_child_id(d, run, number)
    former, fresh = run.notes.get("former"), None
    if former is not None:
        child, fresh = former, child
    d.emit(ev.AttemptOpened(at=d.now, run_id=run.id, number=number))
    d.emit(ev.AttemptStarted(at=d.now, run_id=run.id, number=number))
    d.note(
        run, former=None, fresh=fresh, child=child, wait=bool(request["wait"]), transmit=bool(request["transmitFailed"]), request=dict(request),
    )
    d.effect(fx.StartSubflow(run_id=run.id, execution_id=child, request=dict(request), fresh=fresh))
