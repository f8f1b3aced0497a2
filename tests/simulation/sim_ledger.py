"""The auditor's own book of what became durable: made from the events alone, by its own rules, without the engine's fold.

`enter` takes each event as it reaches the disk and checks at once what must hold of the order of things; sim_rules looks at whole executions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from podium.engine import events as ev

TERMINAL = frozenset({"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED"})
HOLDING = frozenset({"RUNNING", "PAUSED", "RESTARTED", "RETRYING", "KILLING"})
"""States in which an execution counts for the limit of its flow."""
MOVES = {
    "CREATED": {"RUNNING", "QUEUED", "CANCELLED", "FAILED", "KILLING", "KILLED"},
    "QUEUED": {"RUNNING", "KILLING", "CANCELLED", "FAILED", "KILLED"},
    "RUNNING": {"SUCCESS", "WARNING", "FAILED", "PAUSED", "RETRYING", "RETRIED", "KILLING", "CANCELLED", "KILLED"},
    "PAUSED": {"RESTARTED", "RUNNING", "KILLING", "FAILED", "CANCELLED", "RETRYING", "RETRIED", "SUCCESS", "WARNING", "KILLED"},
    "RESTARTED": {"RUNNING", "KILLING", "PAUSED", "CANCELLED", "FAILED"},
    "RETRYING": {"RUNNING", "PAUSED", "KILLING", "FAILED", "CANCELLED", "RETRIED", "SUCCESS", "WARNING", "KILLED"},
    "KILLING": {"KILLED"},
}
"""flow-language 9.1; PAUSED and RETRYING also end by what their other branches do. After a terminal state: only what reopens."""


class Violation(AssertionError):
    """Something that must always hold does not."""


@dataclass(slots=True)
class Attempt:
    number: int
    opened: datetime
    started: datetime | None = None
    closed: datetime | None = None
    state: str = "CREATED"


@dataclass(slots=True)
class Run:
    """born, died: places in the ledger. cut: the execution was being stopped before it ended. marked: somebody gave it its state.

    again: it ran, ended and was opened again. copied: taken over from another execution. tries: the execution's number when it ended.
    """

    id: str
    task_id: str
    parent_id: str | None
    phase: str
    value: str | None
    iteration: int | None
    born: int
    died: int = 0
    tries: int = 1
    state: str = "CREATED"
    history: list[tuple[str, datetime]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    cut: bool = False
    marked: bool = False
    again: bool = False
    copied: bool = False


@dataclass(slots=True)
class Book:
    """One execution. born, died: places in the ledger. given: its state was chosen by a command (checks, the limit, a changed status), not by its tasks."""

    made: ev.ExecutionCreated
    at: datetime
    state: str = "CREATED"
    history: list[tuple[str, datetime]] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    version: int = 0
    number: int = 1
    tries: int = 1
    closed: bool = False
    given: bool = False
    stopping: str | None = None
    stopped: bool = False
    stops: set[str] = field(default_factory=set)
    disturbed: bool = False
    began: int = 0
    born: int = 0
    died: int = 0


class Ledger:
    """All executions of a world."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.dismissed: set[str] = set()
        """Attempts of task runs that were removed: they may end later than their execution."""
        self.place = 0
        self.events = 0

    def enter(self, stream: str, version: int, fact: ev.Event) -> Book:
        """Take one durable event."""
        self.place += 1
        self.events += 1
        book = self.books.get(stream)
        if isinstance(fact, ev.ExecutionCreated):
            self._must(book is None, stream, "it was made twice")
            book = self.books[stream] = Book(fact, fact.at, history=[("CREATED", fact.at)], labels=dict(fact.labels), tries=fact.attempt_number,
                                             born=self.place)
        assert book is not None, f"{stream}: an event before it was made"
        restored = isinstance(fact, ev.ExecutionRestored)
        self._must(version == (1 if restored else book.version + 1), stream, f"event {version} follows {book.version}")
        self._must(fact.at >= book.at or restored, stream, f"time ran backwards at event {version}")
        book.version, book.at = version, fact.at
        if book.closed and not restored:
            self._must(isinstance(fact, ev.ExecutionReopened), stream, f"{type(fact).__name__} after it was closed")
        self._execution(stream, book, fact)
        self._run(stream, book, fact)
        return book

    def _must(self, holds: bool, stream: str, what: str) -> None:
        if not holds:
            raise Violation(f"execution {stream}: {what}")

    def _execution(self, stream: str, book: Book, fact: ev.Event) -> None:
        match fact:
            case ev.ExecutionRestored():
                self._must(book.closed, stream, "restored while it is open")
                self._must(fact.view["state"]["current"] == book.state, stream, f"restored as {fact.view['state']['current']}, it was {book.state}")
                kept = {each["id"]: each["state"]["current"] for each in fact.view.get("taskRunList") or ()}
                self._must(kept == {run.id: run.state for run in book.runs.values()}, stream, "its record has other task runs")
            case ev.ExecutionMoved():
                self._must(fact.state != book.state, stream, f"moved to {fact.state} twice")
                allowed = MOVES.get(book.state, set()) if book.history[-1][0] != "reopened" else {"RESTARTED", *TERMINAL}
                self._must(fact.state in allowed, stream, f"went from {book.history[-1][0]} ({book.state}) to {fact.state}")
                book.given = book.given or (fact.state in TERMINAL and not book.began)
                book.began = book.began or (self.place if fact.state == "RUNNING" else 0)
                book.state = fact.state
                book.history.append((fact.state, fact.at))
            case ev.ExecutionNoted():
                if "stopping" in fact.notes:
                    book.stopping = fact.notes["stopping"] or None
                    if book.stopping:
                        book.stopped = True
                        book.stops.add(book.stopping)
                        for run in book.runs.values():
                            run.cut = run.cut or run.state not in TERMINAL
                if fact.notes.get("held"):
                    book.disturbed = True
            case ev.LabelsSet():
                book.labels.update(fact.labels)
            case ev.ExecutionClosed():
                self._must(book.state in TERMINAL and not book.closed, stream, f"closed while {book.state}")
                open_runs = [f"{run.task_id} {run.state}" for run in book.runs.values() if run.state not in TERMINAL]
                self._must(not open_runs, stream, f"closed as {book.state} with open task runs: {open_runs}")
                book.asked.clear()
                book.closed, book.died = True, self.place
            case ev.ExecutionReopened():
                self._must(fact.number == book.number + 1, stream, f"run number {fact.number} follows {book.number}")
                self._must(book.closed or book.state == "PAUSED", stream, f"reopened while {book.state}")
                book.number, book.closed, book.stopping, book.disturbed = fact.number, False, None, True
                book.given = fact.status_only
                if not fact.status_only:
                    book.stopped, book.began, book.tries = False, 0, book.tries + 1
                book.history.append(("reopened", fact.at))
                if fact.status_only and book.state not in TERMINAL:
                    self._must(False, stream, "a status was changed before the end")

    def _run(self, stream: str, book: Book, fact: ev.Event) -> None:
        match fact:
            case ev.RunCreated():
                self._must(fact.id not in book.runs, stream, f"task run {fact.id} of {fact.task_id} was made twice")
                self._must(fact.parent_id is None or fact.parent_id in book.runs, stream, f"task run of {fact.task_id} has no parent")
                if not self._afterwards(book, fact):
                    self._must(book.state not in TERMINAL or not book.began, stream, f"{fact.task_id} was made after the end ({book.state})")
                run = Run(fact.id, fact.task_id, fact.parent_id, fact.phase, fact.value, fact.iteration, self.place, outputs=dict(fact.outputs))
                run.history.append(("CREATED", fact.at))
                run.copied = not book.began and book.number == 1
                run.cut = bool(book.stopping)
                book.runs[fact.id] = run
            case ev.RunMoved():
                self._move(stream, book, book.runs[fact.id], fact.state, fact.at)
            case ev.RunNoted():
                book.runs[fact.id].notes.update(fact.notes)
            case ev.RunOutputs():
                book.runs[fact.id].outputs = fact.outputs
            case ev.RunsRemoved():
                for each in fact.ids:
                    run = book.runs.pop(each)
                    self.dismissed.update(f"{run.id}-{attempt.number}" for attempt in run.attempts)
                    self._must(run.state in TERMINAL or book.history[-1][0] in ("reopened", "RESTARTED", "PAUSED"), stream,
                               f"{run.task_id} was removed while {run.state}")
            case ev.AttemptOpened():
                run = book.runs[fact.run_id]
                last = run.attempts[-1] if run.attempts else None
                self._must(fact.number == len(run.attempts) + 1, stream, f"attempt {fact.number} of {run.task_id} follows {len(run.attempts)}")
                self._must(last is None or last.closed is not None, stream, f"{run.task_id} has two attempts at once")
                run.attempts.append(Attempt(fact.number, fact.at))
                if run.state != "CREATED":
                    self._move(stream, book, run, "CREATED", fact.at)
            case ev.AttemptStarted():
                run = book.runs[fact.run_id]
                attempt = run.attempts[fact.number - 1]
                self._must(attempt.state == "CREATED", stream, f"attempt {fact.number} of {run.task_id} started when {attempt.state}")
                attempt.started, attempt.state = fact.at, "RUNNING"
                self._move(stream, book, run, "RUNNING", fact.at)
            case ev.AttemptClosed():
                run = book.runs[fact.run_id]
                attempt = run.attempts[fact.number - 1]
                self._must(attempt.closed is None, stream, f"attempt {fact.number} of {run.task_id} ended twice")
                attempt.closed, attempt.state = fact.at, fact.state
            case ev.Asked():
                self._must(fact.key not in book.asked, stream, f"{fact.key} is asked twice")
                book.asked.add(fact.key)
            case ev.Answered():
                self._must(fact.key in book.asked, stream, f"{fact.key} is answered and was not asked")
                book.asked.discard(fact.key)

    @staticmethod
    def _afterwards(book: Book, fact: ev.RunCreated) -> bool:
        """Whether it belongs to the tasks that run after the end."""
        phase, above = fact.phase, fact.parent_id
        while above is not None:
            phase, above = book.runs[above].phase, book.runs[above].parent_id
        return phase == "after"

    def _move(self, stream: str, book: Book, run: Run, state: str, at: datetime) -> None:
        if run.state in TERMINAL:
            fresh = book.history[-1][0] in ("reopened", "RESTARTED") or (run.copied and not book.began)
            self._must(fresh, stream, f"{run.task_id} went from {run.state} to {state}")
            if state not in TERMINAL:
                run.cut, run.marked, run.again = False, False, True
            else:
                run.marked = True
        elif state in TERMINAL and book.history[-1][0] in ("reopened", "RESTARTED") and run.state == "PAUSED":
            run.marked = True
        if state in TERMINAL:
            last = run.attempts[-1] if run.attempts else None
            self._must(last is None or last.closed is not None, stream, f"{run.task_id} ended {state} and its attempt did not")
            run.died, run.tries = self.place, book.tries
        run.state = state
        run.history.append((state, at))

    # ---- over all executions
    def holding(self, namespace: str, flow_id: str, without: str) -> int:
        """How many other executions of a flow hold a place of its limit."""
        return sum(
            1 for stream, book in self.books.items()
            if stream != without and book.made.loop is None and (book.made.namespace, book.made.flow_id) == (namespace, flow_id) and book.state in HOLDING
        )

    def iterations(self, run_id: str) -> dict[int, list[Book]]:
        """The executions that a Loop's task run started, by the index of their item, the oldest first."""
        found: dict[int, list[Book]] = {}
        for book in self.books.values():
            if book.made.loop is not None and book.made.loop["taskRunId"] == run_id:
                found.setdefault(book.made.loop["index"], []).append(book)
        return found

    def states(self) -> Counter[str]:
        return Counter(book.state for book in self.books.values())
