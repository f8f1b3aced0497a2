"""`decide`: one command on one execution → events and effects. Total and deterministic; no clock, chance or I/O.

Raises ConflictError for a command that a person gave and the state does not allow; outcomes that come late or twice give nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide import answers, lifecycle, scopes, tasks
from podium.engine.decide.decision import Decision
from podium.engine.decide.kinds import approval, many, subflow
from podium.engine.state import Execution
from podium.engine.tree import FlowTree
from podium.flows.model import LoopUntil

STEPS_MAX = 1_000_000
"""More steps than this from one command means that the engine runs in a circle."""


def decide(tree: FlowTree, state: Execution, command: cmd.Command, now: datetime) -> tuple[list[ev.Event], list[fx.AnyEffect]]:
    """What follows from `command`. The events are entered into `state` already.

    now: aware, UTC; never before the execution's last event (a clock that stepped back is held).
    """
    if state.at is not None:
        now = max(now, state.at)
    d = Decision(tree, state, now)
    _dispatch(d, command)
    _drain(d)
    _watch_slas(d)
    return d.events, d.effects


def pending(tree: FlowTree, state: Execution, now: datetime) -> list[fx.AnyEffect]:
    """The effects that are still open, for a daemon that starts."""
    d = Decision(tree, state, now)
    lifecycle.pending(d)
    return d.effects


def _dispatch(d: Decision, command: cmd.Command) -> None:  # noqa: C901, PLR0912 - one flat case a command reads better than a table
    match command:
        case cmd.Create():
            lifecycle.create(d, command)
        case cmd.Begin():
            lifecycle.begin(d, command)
        case cmd.AttemptBegan():
            tasks.attempt_began(d, command)
        case cmd.AttemptEnded():
            tasks.attempt_ended(d, command)
        case cmd.Answer():
            answers.answer(d, command.key, command.value, command.error)
        case cmd.TimerFired():
            _timer(d, command.key)
        case cmd.SubflowStarted():
            subflow.subflow_started(d, command)
        case cmd.SubflowEnded():
            subflow.subflow_ended(d, command)
        case cmd.IterationPaused():
            many.iteration_paused(d, command)
        case cmd.WorkspaceOpened():
            answers.workspace_opened(d, command.run_id, command.error)
        case cmd.WorkspaceClosed():
            answers.workspace_closed(d, command.run_id, dict(command.outputs), command.error)
        case cmd.Kill():
            lifecycle.kill(d, command)
        case cmd.Pause():
            lifecycle.pause(d)
        case cmd.Resume():
            lifecycle.resume(d, command)
        case cmd.Review():
            approval.review(d, command)
        case cmd.Restart():
            lifecycle.restart(d)
        case cmd.ChangeStatus():
            lifecycle.change_status(d, command)
        case cmd.SetRunState():
            lifecycle.set_run_state(d, command)
        case cmd.SetLabels():
            lifecycle.set_labels(d, command)
        case _:
            assert_never(command)


def _timer(d: Decision, key: str) -> None:
    run_id, _, purpose = key.partition(":")
    if not run_id:
        if purpose.startswith("sla:"):
            answers.violate_sla(d, int(purpose.removeprefix("sla:")), "execution duration is over its maximum")
        return
    run = d.state.runs.get(run_id)
    if run is None or run.ended or (d.state.notes.get("stopping") and purpose != "sleep"):
        return
    if purpose in ("delay", "timeout"):
        lifecycle.pause_over(d, run, purpose)
    elif purpose == "expire":
        approval.expired(d, run)
    elif purpose == f"loop:{run.notes.get('iteration', 0) + 1}" and run.state == "PAUSED" and isinstance(d.tree.task(run.task_id), LoopUntil):
        answers.next_iteration(d, run)
    else:
        tasks.timer_fired(d, key)


def _drain(d: Decision) -> None:
    for _ in range(STEPS_MAX):
        if not d.todo:
            return
        kind, scope_id, child_id = d.todo.popleft()
        if kind == "begin":
            assert scope_id is not None
            if not d.state.notes.get("held"):
                tasks.begin(d, scope_id)
        else:
            scopes.step(d, scope_id, child_id)
    raise AssertionError("a decision does not come to an end")


def _watch_slas(d: Decision) -> None:
    """An EXECUTION_ASSERTION is looked at after every change of an execution that has not ended. Source: flow-language 1.7."""
    if not d.events or d.state.ended or d.state.notes.get("sla"):
        return
    if isinstance(d.events[-1], ev.Answered) and len(d.events) == 1:
        return
    for index, sla in enumerate(d.tree.flow.sla):
        if sla.type == "EXECUTION_ASSERTION" and f":sla:{index}" not in d.state.asked:
            d.ask(None, f"sla:{index}")
