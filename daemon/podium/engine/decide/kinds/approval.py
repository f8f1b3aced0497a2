"""An Approval: onWait, then waiting for a reviewer or the end of the time, then the branch of the decision. Source: flow-language-2 4."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from podium.base.errors import ConflictError
from podium.base.moments import to_text
from podium.engine import commands as cmd
from podium.engine.decide.decision import Decision
from podium.engine.decide.stopping import stop, stop_waiting
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree
from podium.flows.model import Approval

_STATES = {"CONTINUE": None, "WARN": "WARNING", "FAIL": "FAILED", "SUCCEED": "SUCCESS", "CANCEL": "CANCELLED", "KILL": "KILLED"}
_BRANCHES = {"APPROVED": "onApprove", "DENIED": "onDeny"}
_NEEDS_COMMENT = {"ALWAYS": ("APPROVED", "DENIED"), "ON_DENY": ("DENIED",), "ON_APPROVE": ("APPROVED",)}


def start(d: Decision, run: TaskRun, value: Mapping[str, Any]) -> None:
    """Its properties are rendered: run onWait, or approve at once."""
    d.note(run, asks=dict(value))
    if value["auto"]:
        _decide(d, run, "APPROVED", {"auto": True})
    else:
        d.step(run.id)


def wait(d: Decision, run: TaskRun) -> None:
    """onWait is done: wait for the decision."""
    seconds = run.notes["asks"].get("timeout")
    outputs: dict[str, Any] = {**run.outputs, "url": f"/executions/{d.state.id}"}
    if seconds is not None:
        due = d.timer(f"{run.id}:expire", after=timedelta(seconds=seconds))
        d.note(run, until=due.isoformat(), waits="expire")
        outputs["due"] = to_text(due)
    d.outputs(run, outputs)
    d.move_run(run, "PAUSED")


def waiting_approval(tree: FlowTree, state: Execution, run_id: str | None = None) -> TaskRun | None:
    """The first Approval task run that waits (or the one named)."""
    for run in state.runs.values():
        if run.state == "PAUSED" and run_id in (None, run.id) and isinstance(tree.task(run.task_id), Approval):
            return run
    return None


def review(d: Decision, command: cmd.Review) -> None:
    """A reviewer decided. Raises ConflictError when nothing waits for that, or the comment is missing that the task wants."""
    run = waiting_approval(d.tree, d.state, command.run_id)
    if run is None:
        what = f"no approval of execution '{d.state.id}' waits for a decision"
        raise ConflictError(what, hint="it was decided, has expired, or is not reached yet", state=d.state.state)
    if not (command.comment or "").strip() and command.decision in _NEEDS_COMMENT.get(run.notes["asks"]["comment"], ()):
        raise ConflictError(f"task '{run.task_id}' wants a comment with this decision", hint="send `comment`", state=d.state.state)
    facts = {"auto": False, "by": command.by or None, "comment": command.comment, "inputs": dict(command.inputs) or None}
    _decide(d, run, command.decision, {key: value for key, value in facts.items() if value is not None})


def expired(d: Decision, run: TaskRun) -> None:
    """Nobody decided in time."""
    if run.state == "PAUSED" and "decision" not in run.notes:
        d.log("WARN", "Nobody decided in time", run.id)
        _decide(d, run, "EXPIRED", {"auto": False})


def _decide(d: Decision, run: TaskRun, decision: str, facts: Mapping[str, Any]) -> None:
    asks = run.notes["asks"]
    behavior = asks[{"APPROVED": "approve", "DENIED": "deny", "EXPIRED": "expire"}[decision]]
    d.note(
        run, decision=decision, branch=_BRANCHES.get(decision), outcome=_STATES[behavior], until=None, waits=None,
        decides=True if behavior in ("SUCCEED", "CANCEL", "KILL") else None,
    )
    d.outputs(run, {**run.outputs, "decision": decision, "on": to_text(d.now), **facts})
    d.move_run(run, "RUNNING")
    d.step(run.id)


def end(d: Decision, run: TaskRun, state: str) -> None:
    """End the run; where its behaviour decides over the whole execution, end that too, unless it has ended."""
    decides = run.notes.get("decides") and state == run.notes.get("outcome")
    if decides and d.state.ended:
        d.log("WARN", f"Task '{run.task_id}' cannot change the state of an execution that ended", run.id)
        decides = False
    if decides:
        d.note_execution(stopping=state)
    d.end_run(run, state)
    if not decides:
        return
    if state == "KILLED":
        stop(d, state, cascade=True)
    else:
        stop_waiting(d, run)
