"""What must be true of an execution that is closed, written from flow-language.md 1.8, 4 and 5 and from nothing else.

It reads the flow as plain data and the auditor's book; it shares no line with the engine. Where people or an end before its time set a state,
only what still must hold is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sim_ledger import TERMINAL, Book, Run, Violation

BROKEN = frozenset({"FAILED", "KILLED", "CANCELLED", "RETRIED"})
SLACK = timedelta(milliseconds=120)
"""How late something may be in a world without trouble: the latency of the disk, one thing after the other."""
KILL = timedelta(milliseconds=300)
"""How long a container takes to be killed, at most."""


def kind(task: Mapping[str, Any]) -> str:
    return str(task["type"]).rpartition(".")[2]


def seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text.removeprefix("PT").removesuffix("S")))


@dataclass(slots=True)
class Facts:
    """A flow, read for the rules: tasks by id and the task each stands in. loop_once: values of the loops are literal lists."""

    flow: Mapping[str, Any]
    tasks: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    above: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, flow: Mapping[str, Any]) -> Facts:
        facts = cls(flow)
        for name in ("tasks", "errors", "finally", "afterExecution"):
            facts._enter(flow.get(name, ()), None)
        return facts

    def _enter(self, tasks: Any, above: str | None) -> None:
        for each in tasks:
            task = each.get("task", each)
            self.tasks[task["id"]], self.above[task["id"]] = task, above
            for name in ("tasks", "errors", "finally", "then", "else", "defaults", "onWait", "onApprove", "onDeny"):
                self._enter(task.get(name) or (), task["id"])
            for case in (task.get("cases") or {}).values():
                self._enter(case, task["id"])
            if "onPause" in task:
                self._enter([task["onPause"]], task["id"])

    def retry(self, task_id: str) -> Mapping[str, Any] | None:
        """Own, else the nearest ancestor's, else the flow's (4.2). A Loop takes what is around it only where it means the whole execution."""
        if "retry" in self.tasks[task_id]:
            return dict(self.tasks[task_id]["retry"])
        found = self._around(task_id)
        of_inside = kind(self.tasks[task_id]) == "Loop" and found is not None and not whole(found)
        return None if of_inside else found

    def _around(self, task_id: str) -> Mapping[str, Any] | None:
        where = self.above[task_id]
        while where is not None:
            if "retry" in self.tasks[where]:
                return dict(self.tasks[where]["retry"])
            where = self.above[where]
        return self.flow.get("retry")

    def iteration(self, loop_id: str) -> Facts:
        """The flow that an iteration of a Loop runs: what is around the Loop passes its retry on, unless it means the whole execution."""
        holder, where = self, self.above[loop_id]
        while where is not None:
            if kind(self.tasks[where]) == "Loop":
                holder = self.iteration(where)
                break
            where = self.above[where]
        loop, retry = holder.tasks[loop_id], holder._around(loop_id)
        flow = {"id": self.flow["id"], "tasks": loop["tasks"], **{name: loop[name] for name in ("errors", "finally", "outputs") if name in loop}}
        return Facts.of({**flow, "retry": retry} if retry is not None and not whole(retry) else flow)


def whole(retry: Mapping[str, Any]) -> bool:
    """Whether it is the execution that is tried again."""
    return retry.get("behavior") == "CREATE_NEW_EXECUTION"


def enabled(tasks: Any) -> list[Mapping[str, Any]]:
    return [task for task in (each.get("task", each) for each in tasks or ()) if not task.get("disabled")]


class Rules:
    """Checks one closed execution. calm: nobody meddles and nothing fails outside, so that times are exact.

    timely: the daemon lives on, its disk and clock are well. spoilt: task runs whose directory failed.
    iterations: of a Loop's task run, by the index of the item.
    """

    def __init__(
        self, facts: Facts, book: Book, stream: str, *, calm: bool, timely: bool, spoilt: set[str], iterations: Callable[[str], dict[int, list[Book]]],
    ) -> None:
        self.facts, self.book, self.stream, self.calm, self.timely, self.spoilt = facts, book, stream, calm, timely, spoilt
        self.iterations = iterations
        self.children: dict[str | None, list[Run]] = {}
        for run in book.runs.values():
            self.children.setdefault(run.parent_id, []).append(run)

    def check(self) -> None:
        for run in self.book.runs.values():
            self._run(run)
        if not self.book.given and not self.book.stopped:
            main = self._phase(None, "main")
            wanted = self._default(None)  # a retry of the whole is told by `stopped`: what is left of an earlier one is a failure
            self._equal("the execution", self.book.state, {"FAILED" if wanted == "RETRIED" else wanted}, main)
            self._handlers("the execution", None, self.facts.flow)
            if not any(run.marked for run in main):
                self._sequence("the execution", main, enabled(self.facts.flow["tasks"]))
        if self.calm:
            self._sla()

    # ---- one task run
    def _run(self, run: Run) -> None:
        task = self.facts.tasks[run.task_id]
        if kind(task) == "Loop":
            self._launched(run, task)
        if run.marked or (run.copied and not run.again):
            return
        if self.timely and run.attempts:
            self._killed_soon(run)
        if run.cut:
            ends = {self.book.state, *self.book.stops, "KILLED", *(attempt.state for attempt in run.attempts[-1:])}
            allowed = {*ends, *(final for state in ends for final in self._allowances(task, state))} | self._own(run, task)
            if self.book.stopped and not run.again and not self.book.disturbed:
                self._must(run.state in allowed | {"SKIPPED"}, f"{run.task_id} was cut off and is {run.state}, of {allowed}")
            return
        self._equal(run.task_id, run.state, self._own(run, task), self.children.get(run.id, []))
        if run.state != "SKIPPED" and run.id in self.children:
            self._scope(run, task)
        if run.attempts and not run.copied:
            self._attempts(run, task)

    def _own(self, run: Run, task: Mapping[str, Any]) -> set[str]:
        """The states that a run may have ended in."""
        wanted = task.get("runIf", "{{ true }}")
        if "false" in wanted:
            return {"SKIPPED"}
        if "nope" in wanted:
            return self._allowances(task, "FAILED") if not run.attempts else self._of_attempts(run, task)
        if kind(task) in ("Commands", "Return", "Fail", "Sleep", "Exit", "Labels", "SetVariables", "Subflow", "Loop"):
            return self._of_attempts(run, task)
        states = self._of_scope(run, task)
        if run.id in self.spoilt:
            states = states | {"FAILED"}
        return {final for state in states for final in self._allowances(task, state)}

    def _of_scope(self, run: Run, task: Mapping[str, Any]) -> set[str]:
        default = self._default(run.id)
        match kind(task):
            case "If" if "nope" in task["condition"]:
                return {"FAILED"}
            case "Switch" if task["value"] not in task["cases"] and not task["defaults"]:
                return {"FAILED"}
            case "AllowFailure":
                return {"WARNING" if default == "FAILED" else default}
            case "Pause":
                return self._of_pause(run, task, default)
            case "Approval" if default in ("SUCCESS", "WARNING") and run.outputs.get("decision"):
                behavior = task[{"APPROVED": "approveBehavior", "DENIED": "denyBehavior", "EXPIRED": "expireBehavior"}[run.outputs["decision"]]]
                return {{"CONTINUE": default, "WARN": "WARNING", "FAIL": "FAILED", "SUCCEED": "SUCCESS", "CANCEL": "CANCELLED", "KILL": "KILLED"}[behavior]}
            case _:
                return {default}

    def _of_pause(self, run: Run, task: Mapping[str, Any], default: str) -> set[str]:
        if "pauseDuration" in task:
            over = {"RESUME": default, "WARN": "WARNING" if default == "SUCCESS" else default, "FAIL": "FAILED", "CANCEL": "CANCELLED"}[task["behavior"]]
        elif "timeout" in task:
            over = "FAILED"
        else:
            return {default}
        return {over} if self.calm else {over, default}

    def _of_attempts(self, run: Run, task: Mapping[str, Any]) -> set[str]:
        """4.1: from the last attempt."""
        if not run.attempts:
            return self._allowances(task, "FAILED") if "nope" in task.get("runIf", "") else {"nothing: it has no attempt"}
        state = run.attempts[-1].state
        policy = self.facts.retry(run.task_id)
        anew = policy and whole(policy) and run.tries < policy["maxAttempts"]
        if state == "FAILED" and anew and policy and not self._afterwards(run):
            return {"RETRIED"} if "maxDuration" not in policy else {"RETRIED", *self._allowances(task, state)}
        if state == "SUCCESS" and policy and policy.get("warningOnRetry") and len(run.attempts) > 1:
            state = "WARNING"
        return self._allowances(task, state)

    def _afterwards(self, run: Run) -> bool:
        while run.parent_id is not None:
            run = self.book.runs[run.parent_id]
        return run.phase == "after"

    @staticmethod
    def _allowances(task: Mapping[str, Any], state: str) -> set[str]:
        if state == "FAILED" and task.get("allowFailure"):
            state = "WARNING"
        if state == "WARNING" and task.get("allowWarning"):
            state = "SUCCESS"
        return {state}

    def _killed_soon(self, run: Run) -> None:
        """9.6: what runs is interrupted, not waited for."""
        told = next((at for state, at in run.history if state == "KILLING"), None)
        if told is not None and not run.again and kind(self.facts.tasks[run.task_id]) != "Subflow":
            took = run.history[-1][1] - told
            self._must(took <= KILL + SLACK, f"{run.task_id} ended {took} after it was killed")

    # ---- the children of one scope
    def _phase(self, run_id: str | None, phase: str) -> list[Run]:
        return [run for run in self.children.get(run_id, ()) if run.phase == phase]

    def _default(self, run_id: str | None) -> str:
        """5.0: any KILLED, else FAILED, else WARNING of the main tasks; a failing `finally` task counts too (1.8)."""
        main = {run.state for run in self._phase(run_id, "main")}
        last = {run.state for run in self._phase(run_id, "finally")}
        for state, found in (("KILLED", main), ("FAILED", main | last), ("CANCELLED", main), ("RETRIED", main), ("WARNING", main | last)):
            if state in found:
                return state
        return "SUCCESS"

    def _scope(self, run: Run, task: Mapping[str, Any]) -> None:
        main = self._phase(run.id, "main")
        self._handlers(run.task_id, run, task)
        if any(child.marked or child.copied or child.again for child in main) or run.again:
            return
        tasks = enabled(self._main(task))
        match kind(task):
            case "Sequential" | "AllowFailure" | "If" | "Switch" | "LoopUntil" | "WorkingDirectory" | "Pause":
                self._sequence(run.task_id, main, tasks)
            case "Approval":
                self._sequence(run.task_id, main, self._of_decision(run, task))
            case "ForEach" | "EachSequential" | "EachParallel":
                self._loop(run, task, main, tasks)
            case "Parallel" | "Dag":
                self._side_by_side(run, task, main, len(tasks))
        if kind(task) == "Dag":
            self._graph(task, main)
        if kind(task) == "LoopUntil" and not BROKEN & {child.state for child in main}:
            self._must(run.outputs.get("iterationCount") == 2, f"{run.task_id} ended after {run.outputs.get('iterationCount')} rounds, not 2")

    @staticmethod
    def _of_decision(run: Run, task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """flow-language-2 4: onWait unless it approves itself, then the branch of the decision."""
        branch = {"APPROVED": "onApprove", "DENIED": "onDeny"}.get(run.outputs.get("decision", ""), "")
        return enabled([*([] if task.get("autoApprove") else task.get("onWait", ())), *task.get(branch, ())])

    def _launched(self, run: Run, task: Mapping[str, Any]) -> None:
        """flow-language-2 3: each item once, never more at once than the limit, all over before the Loop is; it ends as they did."""
        found = self.iterations(run.id)
        for index, books in found.items():
            self._must(all(book.closed or book.number > 1 for book in books), f"{run.task_id} ended and its iteration {index} did not")
        if run.marked or run.copied or run.again or not run.attempts:
            return
        whole_ones = {index: [book for book in books if book.made.parent_id is None] for index, books in found.items()}
        for index, books in whole_ones.items():
            self._must(len(books) <= len(run.attempts), f"{run.task_id} started iteration {index} {len(books)} times in {len(run.attempts)} attempts")
        everyone = [book for books in found.values() for book in books]
        if any(book.number > 1 for book in everyone):
            return
        if limit := task["concurrencyLimit"]:
            for book in everyone:
                at_once = sum(1 for other in everyone if other is not book and other.born < book.born < other.died)
                self._must(at_once < limit, f"{run.task_id} ran {at_once + 1} iterations at once, its limit is {limit}")
        if run.cut or self.book.stopped:
            return
        last = {index: books[-1].state for index, books in found.items()}
        bad = next((state for state in ("FAILED", "KILLED", "CANCELLED") if state in last.values()), None)
        if task.get("transmitFailed", True):
            self._must(run.attempts[-1].state == (bad or "SUCCESS"), f"{run.task_id} is {run.attempts[-1].state}, its iterations are {last}")
        if "breakWhen" not in task and (bad is None or not task.get("transmitFailed", True)):
            self._must(sorted(found) == list(range(len(task["values"]))), f"{run.task_id} ended with the iterations {sorted(found)}")
        if run.attempts[-1].state == "SUCCESS" and "outputs" in task and "breakWhen" not in task:
            given = {each["item"]["value"]: each["outputs"] for each in run.outputs.get("outputs", ())}
            wanted = {value: {"o": value} for index, value in enumerate(task["values"]) if last.get(index) in ("SUCCESS", "WARNING", "FAILED")}
            self._must(given == wanted, f"{run.task_id} gave {given}, not {wanted}")

    def _main(self, task: Mapping[str, Any]) -> Any:
        if kind(task) == "If":
            return task["then" if "true" in task["condition"] else "else"]
        if kind(task) == "Switch":
            return task["cases"].get(task["value"], task["defaults"])
        return task.get("tasks")

    def _sequence(self, name: str, children: list[Run], tasks: list[Mapping[str, Any]]) -> None:
        """5.0: one after the other, in order, until one breaks."""
        ran = sorted(children, key=lambda run: run.born)
        if any(run.marked or run.copied or run.again for run in ran):
            return
        self._must([run.task_id for run in ran] == [task["id"] for task in tasks[: len(ran)]], f"{name} ran {[run.task_id for run in ran]}")
        for before, after in pairwise(ran):
            self._must(before.state not in BROKEN, f"{after.task_id} began although {before.task_id} is {before.state}")
            self._must(0 < before.died < after.born, f"{after.task_id} began before {before.task_id} ended")
        if not ran or ran[-1].state not in BROKEN:
            self._must(len(ran) == len(tasks), f"{name} ended with {len(ran)} of {len(tasks)} tasks")

    def _loop(self, run: Run, task: Mapping[str, Any], main: list[Run], tasks: list[Mapping[str, Any]]) -> None:
        values = task.get("values") or task.get("value") or []
        groups: dict[str | None, list[Run]] = {}
        for child in main:
            groups.setdefault(child.value, []).append(child)
        self._must(set(groups) <= set(values), f"{run.task_id} has values {set(groups)}")
        good = not any(child.state in BROKEN for child in main)
        if good:
            self._must(len(main) == len(values) * len(tasks), f"{run.task_id} ended with {len(main)} of {len(values) * len(tasks)} tasks")
        if kind(task) == "EachParallel":
            self._at_most(run, main, task.get("concurrent", 0))
            return
        for group in groups.values():
            if good:
                self._sequence(run.task_id, group, tasks)
        limit = 1 if kind(task) == "EachSequential" else task.get("concurrencyLimit", 1)
        if limit == 1 and tasks:
            ran = [child.value for child in sorted(main, key=lambda each: each.born)]
            self._must(list(dict.fromkeys(ran)) == values[: len(set(ran))], f"{run.task_id} took its values in the order {ran}")
        self._at_most(run, main, limit)

    def _side_by_side(self, run: Run, task: Mapping[str, Any], main: list[Run], expected: int) -> None:
        if not any(child.state in BROKEN for child in main):
            self._must(len(main) == expected, f"{run.task_id} ended with {len(main)} of {expected} tasks")
        self._at_most(run, main, task.get("concurrent", 0))

    def _at_most(self, run: Run, children: list[Run], limit: int) -> None:
        """Never more than that many at once (5.2, 5.6); and none is begun once one has broken."""
        broken = min((child.died for child in children if child.state in BROKEN), default=None)
        for child in children:
            at_once = sum(1 for other in children if other is not child and other.born < child.born < other.died)
            self._must(not limit or at_once < limit, f"{run.task_id} ran {at_once + 1} at once, its limit is {limit}")
            self._must(broken is None or child.born < broken, f"{child.task_id} began after a sibling had broken")

    def _graph(self, task: Mapping[str, Any], main: list[Run]) -> None:
        runs = {run.task_id: run for run in main}
        for each in task["tasks"]:
            run = runs.get(each["task"]["id"])
            for need in each.get("dependsOn", ()) if run else ():
                if need in runs:
                    self._must(0 < runs[need].died < run.born, f"{run.task_id} began before {need} ended")  # type: ignore[union-attr]

    def _handlers(self, name: str, run: Run | None, task: Mapping[str, Any]) -> None:
        """1.8: errors after a failed main task, once no main task runs; finally after both, whatever came before."""
        run_id = run.id if run else None
        main, errors, last = (self._phase(run_id, phase) for phase in ("main", "errors", "finally"))
        end = max((child.died for child in main), default=0)
        failed = any(child.state == "FAILED" for child in main)
        has_errors, has_last = enabled(task.get("errors")), enabled(task.get("finally"))
        fresh = not any(child.marked or child.again or child.copied for child in main) and not (run and (run.again or run.id in self.spoilt))
        own_end = run is not None and (run.notes.get("over") or run.notes.get("outcome") or not main)
        if fresh and not own_end:
            self._must(bool(errors) == (failed and bool(has_errors)), f"{name}: {len(errors)} errors tasks, main tasks {[c.state for c in main]}")
            self._must(bool(last) == bool(has_last), f"{name}: {len(last)} finally tasks, there are {len(has_last)}")
            self._sequence(f"errors of {name}", errors, has_errors if errors else [])
            self._sequence(f"finally of {name}", last, has_last if last else [])
        for handler in (*errors, *last):
            self._must(handler.born > end, f"{name}: the handler {handler.task_id} began before the main tasks had ended")
        if last:
            self._must(min(child.born for child in last) > max((child.died for child in errors), default=0), f"{name}: finally began before errors ended")

    # ---- attempts and time
    def _attempts(self, run: Run, task: Mapping[str, Any]) -> None:
        """4.2: as many as declared, not one fewer; each as late as declared."""
        policy = self.facts.retry(run.task_id)
        most = policy["maxAttempts"] if policy else 1
        anew = policy is not None and whole(policy)
        if anew:
            most = 1
        count, last = len(run.attempts), run.attempts[-1]
        if not run.again:
            self._must(count <= max(most, 1), f"{run.task_id} has {count} attempts, {most} are allowed")
            if last.state == "FAILED" and not anew and "maxDuration" not in (policy or {}):
                self._must(count == most, f"{run.task_id} gave up after {count} attempts, {most} are allowed")
        for before, after in pairwise(run.attempts):
            self._must(before.state == "FAILED" or run.again, f"{run.task_id} was tried again after {before.state}")
            if policy and before.state == "FAILED" and not run.again and before.closed is not None:
                self._delay(run, policy, before.number, after.opened - before.closed)
        if kind(task) == "Sleep":
            for attempt in run.attempts:
                if attempt.state == "SUCCESS" and attempt.started and attempt.closed:
                    self._took(run, attempt.started, attempt.closed, seconds(task["duration"]))

    def _delay(self, run: Run, policy: Mapping[str, Any], number: int, took: timedelta) -> None:
        if policy["type"] == "random":
            low, high = seconds(policy["minInterval"]), seconds(policy["maxInterval"])
        else:
            low = high = seconds(policy["interval"])
            if policy["type"] == "exponential":
                low = high = min(seconds(policy["maxInterval"]), low * (policy.get("delayFactor", 2) ** (number - 1)))
        tolerance = timedelta(milliseconds=2)
        self._must(took >= low - tolerance, f"attempt {number + 1} of {run.task_id} came after {took}, not {low}")
        if self.calm and not self.book.disturbed:
            self._must(took <= high + SLACK, f"attempt {number + 1} of {run.task_id} came after {took}, not {high}")

    def _took(self, run: Run, began: datetime, ended: datetime, length: timedelta) -> None:
        self._must(ended - began >= length - timedelta(milliseconds=2), f"{run.task_id} waited {ended - began}, not {length}")
        if self.calm and not self.book.disturbed:
            self._must(ended - began <= length + SLACK, f"{run.task_id} waited {ended - began}, not {length}")

    def _sla(self) -> None:
        """1.7: what lasts longer than its MAX_DURATION is labelled, and ended if it says so."""
        for sla in self.facts.flow.get("sla", ()):
            if sla["type"] != "MAX_DURATION" or self.book.given or self.book.state == "KILLED":
                continue
            limit = self.book.made.at + seconds(sla["duration"])
            late = next(at for state, at in self.book.history if state in TERMINAL) > limit + SLACK
            if late:
                self._must(self.book.labels.get("late") == "yes", f"it lasted longer than {sla['duration']} and is not labelled")
            if late and sla["behavior"] != "NONE" and not self.book.disturbed:
                wanted = "FAILED" if sla["behavior"] == "FAIL" else "CANCELLED"
                self._must(self.book.state in (wanted, "KILLED", "RETRIED", *TERMINAL) if self.book.stopped else False, "an SLA did not end it")

    # ---- helpers
    def _must(self, holds: bool, what: str) -> None:
        if not holds:
            raise Violation(f"execution {self.stream} ({self.facts.flow['id']}): {what}")

    def _equal(self, name: str, state: str, wanted: set[str], children: list[Run]) -> None:
        if state not in wanted:
            told = ", ".join(f"{run.task_id}{'' if run.phase == 'main' else ' of ' + run.phase} {run.state}" for run in children)
            raise Violation(f"execution {self.stream} ({self.facts.flow['id']}): {name} is {state}, not {' or '.join(sorted(wanted))}; inside: {told}")


def results(books: Mapping[str, Book]) -> Iterator[tuple[str, str, str, tuple[tuple[str, str], ...]]]:
    """(start, flow, state, task runs) of every execution, for comparing two worlds. How many iterations began is no part of what was asked."""
    for book in books.values():
        runs = sorted((f"{run.task_id}[{run.value}]", run.state) for run in book.runs.values())
        yield str(book.labels.get("start", "-") if book.made.loop is None else "-"), book.made.flow_id, book.state, tuple(runs)
