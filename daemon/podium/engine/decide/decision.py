"""One decision in the making: the state, what was emitted so far, and what is still to be looked at.

`emit` enters an event into the state at once, so every later step of the same decision sees it. Steps that follow from one another are
queued (`begin`, `step`), not called: the order of task runs is the order of the queue, and depth is no concern.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from podium.base.system import base62
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.state import Execution, TaskRun, apply
from podium.engine.tree import FlowTree
from podium.flows.model import Loop, Retry, Task


def derived_id(*parts: object) -> str:
    """An id of 22 base-62 characters that follows from `parts`: a decision made again gives the same ids."""
    number = int.from_bytes(hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).digest(), "big")
    return base62.encode(number)


def attempt_id(run_id: str, number: int) -> str:
    """The id of an attempt, everywhere outside: container name, directory, log cursor."""
    return f"{run_id}-{number}"


class Decision:
    """Collects the events and effects of one command."""

    def __init__(self, tree: FlowTree, state: Execution, now: datetime) -> None:
        self.tree = tree
        self.state = state
        self.now = now
        self.events: list[ev.Event] = []
        self.effects: list[fx.AnyEffect] = []
        self.todo: deque[tuple[str, str | None, str | None]] = deque()

    # ---- emitting
    def emit(self, fact: ev.Event) -> None:
        self.events.append(fact)
        apply(self.state, fact)

    def effect(self, effect: fx.AnyEffect) -> None:
        self.effects.append(effect)

    def log(self, level: str, message: str, run_id: str | None = None) -> None:
        self.effect(fx.WriteLog(level=level, message=message, run_id=run_id))

    # ---- queueing
    def begin(self, run_id: str) -> None:
        """Look at a new task run: run it, or start its children."""
        self.todo.append(("begin", run_id, None))

    def step(self, scope_id: str | None, child_id: str | None = None) -> None:
        """Look at the children of a task run (None: of the execution) again, because `child_id` changed."""
        self.todo.append(("step", scope_id, child_id))

    # ---- execution
    def move_execution(self, state: str) -> None:
        """Enter a state; entering the present one is nothing."""
        before = self.state.state
        if before != state:
            self.emit(ev.ExecutionMoved(at=self.now, state=state))
            if self.state.loop is not None and "PAUSED" in (before, state):
                self.effect(fx.TellLoop())

    def note_execution(self, **notes: Any) -> None:
        self.emit(ev.ExecutionNoted(at=self.now, notes=notes))

    def settle_execution_state(self) -> None:
        """Between RUNNING, PAUSED and RETRYING, from what its runs are doing. Leaves all other states alone."""
        if self.state.state not in ("RUNNING", "PAUSED", "RETRYING"):
            return None
        if self.state.notes.get("held"):
            return self.move_execution("PAUSED")
        if self.state.tally.get("PAUSED"):
            self.move_execution("PAUSED")
        elif self.state.tally.get("RETRYING"):
            self.move_execution("RETRYING")
        else:
            if self.state.state == "PAUSED":
                self.move_execution("RESTARTED")
            self.move_execution("RUNNING")
        return None

    # ---- task runs
    def create_run(
        self, task: Task, *, parent: TaskRun | None, phase: str, value: str | None = None, iteration: int | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> TaskRun:
        """Make a task run and queue its beginning."""
        parent_id = parent.id if parent else None
        number = self.state.run_number * 1_000_000 + (parent.notes.get("iteration", 0) if parent else 0)
        run_id = derived_id(self.state.id, task.id, parent_id, value, iteration, number)
        if iteration is None and parent is not None:
            iteration = parent.iteration
        self.emit(ev.RunCreated(
            at=self.now, id=run_id, task_id=task.id, parent_id=parent_id, value=value, iteration=iteration, phase=phase,
            outputs=dict(outputs or {}),
        ))
        self.begin(run_id)
        return self.state.runs[run_id]

    def move_run(self, run: TaskRun, state: str) -> None:
        before = run.state
        if before != state:
            self.emit(ev.RunMoved(at=self.now, id=run.id, state=state))
            if {before, state} & {"PAUSED", "RETRYING"}:
                self.settle_execution_state()

    def note(self, run: TaskRun, **notes: Any) -> None:
        """Keep facts of a run; None removes one."""
        self.emit(ev.RunNoted(at=self.now, id=run.id, notes=notes))

    def outputs(self, run: TaskRun, outputs: Mapping[str, Any]) -> None:
        self.emit(ev.RunOutputs(at=self.now, id=run.id, outputs=dict(outputs)))

    def end_run(self, run: TaskRun, state: str) -> None:
        """End a run in a terminal state, after its task's allowances, and have its parent looked at."""
        task = self.tree.task(run.task_id)
        final = allowed(state, task)
        if state == "FAILED" and not self.state.ended:
            self._note_failure(run, harmless=final != "FAILED")
        self.move_run(run, final)
        self.step(run.parent_id, run.id)

    def _note_failure(self, run: TaskRun, *, harmless: bool) -> None:
        """Keep the first failure that counts, for the variable `error`; one that is allowed further up does not."""
        if harmless:
            if "failed" in self.state.notes and run.scope.has("main", "FAILED"):
                self.note_execution(failed=None)
        elif "failed" not in self.state.notes:
            self.note_execution(failed={"taskId": run.task_id, "message": last_error(run) or f"Task '{run.task_id}' failed"})

    def fail_run(self, run: TaskRun, message: str) -> None:
        """End a run FAILED with the reason in its log."""
        self.log("ERROR", message, run.id)
        self.end_run(run, "FAILED")

    def ask(self, run_id: str | None, purpose: str) -> None:
        """Have an expression evaluated; the answer comes as a command."""
        key = f"{run_id or ''}:{purpose}"
        self.emit(ev.Asked(at=self.now, key=key))
        self.effect(fx.Evaluate(key=key))

    def timer(self, key: str, after: timedelta | None = None, due: datetime | None = None) -> datetime:
        """Ask for TimerFired(key); the moment it is due."""
        moment = due or self.now + (after or timedelta())
        self.effect(fx.SetTimer(key=key, due=moment))
        return moment

    def retry_policy(self, run: TaskRun) -> Retry | None:
        """Own retry, else the nearest ancestor's, else the flow's; none for a mocked run. Source: flow-language 4.2.

        What a Loop inherits is that of the tasks inside its iterations (`tree.iteration_of`), unless it means the whole execution.
        """
        if self.tree.is_mocked(self.state, run):
            return None
        task = self.tree.task(run.task_id)
        if task is not None and task.retry is not None:
            return task.retry
        inherited = self.tree.inherited_retry(run.task_id)
        if isinstance(task, Loop) and inherited is not None and inherited.behavior != "CREATE_NEW_EXECUTION":
            return None
        return inherited


def allowed(state: str, task: Task | None) -> str:
    """The state after allowFailure and allowWarning. Source: flow-language 4.1."""
    if task is None:
        return state
    if state == "FAILED" and task.allow_failure:
        state = "WARNING"
    if state == "WARNING" and task.allow_warning:
        state = "SUCCESS"
    return state


def last_error(run: TaskRun) -> str | None:
    """Why the last attempt failed."""
    return run.attempts[-1].error if run.attempts else None
