"""The life of a task run: its beginning by kind, its attempts, its retries, its end. Source: flow-language 4, 5, 9.3."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from podium.base.system import base62
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.decision import Decision, attempt_id, derived_id
from podium.engine.decide.plans import is_loop
from podium.engine.decide.requests import obey
from podium.engine.decide.stopping import stop, stop_waiting
from podium.engine.state import TaskRun
from podium.engine.tree import is_flowable
from podium.flows.model import Approval, If, Launcher, LoopUntil, Pause, Retry, Subflow, Switch, Task, Template, WorkingDirectory


def begin(d: Decision, run_id: str) -> None:
    """Look at a task run that was just made (or is to run again)."""
    run = d.state.runs.get(run_id)
    if run is None or run.state not in ("CREATED", "RESTARTED"):
        return
    task = d.tree.task(run.task_id)
    if task is None:
        d.fail_run(run, f"Task '{run.task_id}' does not exist in revision {d.state.revision} of the flow")
        return
    engine_task = (is_flowable(task) or task.KIND == "timer") and not d.tree.is_mocked(d.state, run)
    if engine_task and task.run_if.strip() not in ("", "true") and "run_if" not in run.notes:
        d.ask(run.id, "runIf")
        return
    if not engine_task:
        open_attempt(d, run)
        return
    start_by_kind(d, run, task)


def start_by_kind(d: Decision, run: TaskRun, task: Task) -> None:
    """Start a task that the engine itself carries out."""
    if task.KIND == "timer":  # RUNNING is its attempt, once the duration is known
        d.ask(run.id, "timer")
        return
    d.move_run(run, "RUNNING")
    if isinstance(task, If):
        d.ask(run.id, "if")
    elif isinstance(task, Switch):
        d.ask(run.id, "switch")
    elif is_loop(task):
        d.ask(run.id, "values")
    elif isinstance(task, Pause):
        d.ask(run.id, "pause")
    elif isinstance(task, Subflow):
        d.ask(run.id, "subflow")
    elif isinstance(task, Launcher):
        d.ask(run.id, "items")
    elif isinstance(task, Approval):
        d.ask(run.id, "approval")
    elif isinstance(task, WorkingDirectory):
        d.effect(fx.OpenWorkspace(run_id=run.id))
    elif isinstance(task, Template):
        d.ask(run.id, "template")
    else:
        if isinstance(task, LoopUntil):
            d.note(run, iteration=0, since=d.now.isoformat())
            d.outputs(run, {"iterationCount": 1})
        d.step(run.id)


def open_attempt(d: Decision, run: TaskRun) -> None:
    """Have a runnable task carried out (once more)."""
    number = len(run.attempts) + 1
    d.emit(ev.AttemptOpened(at=d.now, run_id=run.id, number=number))
    d.effect(fx.RunAttempt(run_id=run.id, number=number))


def attempt_began(d: Decision, command: cmd.AttemptBegan) -> None:
    """The worker is about to start it."""
    run = _live(d, command.run_id, command.number)
    if run is not None and run.attempts[-1].state == "CREATED":
        d.emit(ev.AttemptStarted(at=d.now, run_id=run.id, number=command.number))


def attempt_ended(d: Decision, command: cmd.AttemptEnded) -> None:
    """The worker is done with it."""
    run = _live(d, command.run_id, command.number)
    if run is None:
        return
    if run.attempts[-1].state == "CREATED" and command.state != "SKIPPED":
        d.emit(ev.AttemptStarted(at=d.now, run_id=run.id, number=command.number))
    d.emit(ev.AttemptClosed(
        at=d.now, run_id=run.id, number=command.number, state=command.state, facts=dict(command.facts), error=command.error,
    ))
    if command.outputs or run.outputs:
        d.outputs(run, command.outputs)
    before = d.state.notes.get("stopping")
    for index, (kind, body) in enumerate(command.requests):
        obey(d, run, f"{attempt_id(run.id, command.number)}-{index}", kind, body)
    asked = d.state.notes.get("stopping")
    if asked and not before:
        d.end_run(run, asked)
        if asked == "KILLED":
            stop(d, asked, cascade=bool(d.state.notes.get("cascade")))
        else:
            stop_waiting(d, run)
        return
    conclude(d, run, command.state)


def fail_attempt(d: Decision, run: TaskRun, message: str) -> None:
    """A task that the engine carries out could not start: that counts as a failed attempt, and may be retried."""
    number = len(run.attempts) + 1
    d.log("ERROR", message, run.id)
    d.emit(ev.AttemptOpened(at=d.now, run_id=run.id, number=number))
    d.emit(ev.AttemptStarted(at=d.now, run_id=run.id, number=number))
    d.emit(ev.AttemptClosed(at=d.now, run_id=run.id, number=number, state="FAILED", error=message))
    conclude(d, run, "FAILED")


def _live(d: Decision, run_id: str, number: int) -> TaskRun | None:
    """The run whose attempt `number` is the open one; None for news that came late or twice."""
    run = d.state.runs.get(run_id)
    if run is None or run.ended or not run.attempts or len(run.attempts) != number or run.attempts[-1].state not in ("CREATED", "RUNNING"):
        return None
    return run


def conclude(d: Decision, run: TaskRun, state: str) -> None:
    """End a runnable, Subflow or timer run, or have it tried again."""
    policy = d.retry_policy(run)
    if state == "FAILED" and policy is not None and not d.state.notes.get("stopping") and _retry(d, run, policy):
        return
    if state == "SUCCESS" and policy is not None and policy.warning_on_retry and len(run.attempts) > 1:
        state = "WARNING"
    d.end_run(run, state)


def _retry(d: Decision, run: TaskRun, policy: Retry) -> bool:
    """Arrange another attempt when the policy allows one. Source: flow-language 4.2 (the documented interval × factor^(n−1))."""
    whole = policy.behavior == "CREATE_NEW_EXECUTION"
    if whole and d.state.ended:
        return False
    number = d.state.attempt_number if whole else len(run.attempts)
    if policy.max_attempts is not None and number >= policy.max_attempts:
        return False
    due = next_attempt_at(policy, attempt=number, failed_at=d.now, seed=attempt_id(run.id, number))
    first = (d.state.original_created_at or d.state.created_at) if whole else run.attempts[0].history[0][1]
    if policy.max_duration is not None and due > first + policy.max_duration:
        return False
    if whole:
        d.move_run(run, "RETRIED")
        d.note_execution(retry_due=due.isoformat())
        stop(d, "RETRIED", cascade=False)
        return True
    d.note(run, until=due.isoformat())
    d.move_run(run, "RETRYING")
    d.timer(f"{run.id}:retry:{number}", due=due)
    return True


def next_attempt_at(policy: Retry, *, attempt: int, failed_at: datetime, seed: str) -> datetime:
    """When to try again after attempt number `attempt` (1 for the first) failed at `failed_at`.

    constant: +interval. exponential: +min(maxInterval, interval × delayFactor^(attempt−1)). random: evenly between minInterval and
    maxInterval, drawn from `seed`, so that a decision made again draws the same.
    """
    assert attempt >= 1
    if policy.type == "random":
        low, high = policy.min_interval or timedelta(), policy.max_interval or timedelta()
        share = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=6).digest(), "big") / (1 << 48)
        return failed_at + low + (high - low) * share
    interval = policy.interval or timedelta()
    if policy.type == "exponential":
        factor = min(policy.delay_factor ** min(attempt - 1, 64), 1e9)
        interval = min(timedelta(seconds=min(interval.total_seconds() * factor, 10**9)), policy.max_interval or timedelta.max)
    return failed_at + interval


def timer_fired(d: Decision, key: str) -> None:
    """A moment that was waited for has come; a key nobody waits for any more is ignored."""
    run_id, _, purpose = key.partition(":")
    run = d.state.runs.get(run_id)
    if run is None or run.ended:
        return
    if purpose == f"retry:{len(run.attempts)}" and run.state == "RETRYING":
        d.note(run, until=None)
        d.move_run(run, "CREATED")
        d.begin(run.id)
    elif purpose == "sleep" and run.state == "RUNNING" and run.attempts and run.attempts[-1].state == "RUNNING":
        over = run.notes.get("over")
        state, error = ("SUCCESS", None) if over is None else ("FAILED", f"Timeout after {over}")
        if error is not None:
            d.log("ERROR", error, run.id)
        d.note(run, until=None, over=None)
        d.emit(ev.AttemptClosed(at=d.now, run_id=run.id, number=len(run.attempts), state=state, error=error))
        conclude(d, run, state)


def derived_child_id(d: Decision, run: TaskRun, number: int, *more: object) -> str:
    """Time part of now, so that records sort, and a tail that follows from the attempt (and `more`)."""
    head = int(d.now.timestamp() * 1000)
    tail = derived_id("child", run.id, number, d.state.run_number, *more)
    return encode_time(head, tail)


def retry_id(execution_id: str, attempt_number: int, retried_at: datetime) -> str:
    """The id of the execution that takes the place of one that ended RETRIED. retried_at: counted in whole milliseconds."""
    milliseconds = (retried_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return encode_time(milliseconds, derived_id("retry", execution_id, attempt_number))


def encode_time(milliseconds: int, tail: str) -> str:
    """An id with 48 bits of time in front (as base/system/ids makes them) and the bits behind it out of `tail`."""
    bits = int.from_bytes(hashlib.blake2b(tail.encode(), digest_size=base62.TAIL_BITS // 8).digest(), "big")
    return base62.encode((milliseconds << base62.TAIL_BITS) | bits)
