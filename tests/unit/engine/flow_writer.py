"""Writes random flows, as plain data: every flowable nested in every other, retries of all kinds, everything that can end a task early.

Used by the property tests of the engine and by the simulation. What always holds: the flow is valid, and it can come to its end by itself
but for a Pause without a duration, which somebody has to resume, and an Approval, about which somebody has to decide.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

GROUPS = ("Sequential", "Parallel", "If", "Switch", "ForEach", "EachParallel", "EachSequential", "LoopUntil", "AllowFailure", "Dag",
          "WorkingDirectory", "Pause")
LAUNCHING = ("Loop", "Approval")
"""Of language 2.0: what needs other executions or a reviewer."""


class Writer:
    """outside: with tasks that a runner would carry out, and all that goes with them. targets: flows that Subflow tasks start.

    orderly: nothing whose outcome hangs on which of two independent things comes first (kills, limits of time, retries as a new execution).
    """

    def __init__(self, rng: random.Random, *, outside: bool = False, orderly: bool = False, targets: Sequence[str] = ("o",)) -> None:
        self.rng = rng
        self.outside = outside
        self.orderly = orderly
        self.targets = targets
        self.count = 0
        self.iterated = 0

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    # ---- flows
    def flow(self, flow_id: str = "f") -> dict[str, Any]:
        flow = {"id": flow_id, "namespace": "n", "tasks": self.tasks(3)}
        for name in ("errors", "finally", "afterExecution"):
            if self.chance(0.3):
                flow[name] = self.tasks(1)
        if self.chance(0.3):
            flow["outputs"] = [{"id": "o", "type": "STRING", "value": "x"}]
        if not self.orderly:
            self._limits(flow)
        if self.outside and self.chance(0.15):
            flow["retry"] = self.retry()
        return flow

    def _limits(self, flow: dict[str, Any]) -> None:
        rng = self.rng
        if self.chance(0.15):
            behavior = rng.choice(["FAIL", "CANCEL", "NONE"])
            flow["sla"] = [{"id": "m", "type": "MAX_DURATION", "duration": f"PT{rng.randint(2, 10)}S", "behavior": behavior, "labels": {"late": "yes"}}]
        elif self.outside and self.chance(0.1):
            condition = rng.choice(["{{ true }}", "{{ tasks is defined }}", "{{ nope.x }}", "{{ false }}"])
            flow["sla"] = [{"id": "a", "type": "EXECUTION_ASSERTION", "assert": condition, "behavior": rng.choice(["FAIL", "CANCEL", "NONE"])}]
        if self.outside and self.chance(0.4):
            flow["concurrency"] = {"limit": rng.randint(1, 2), "behavior": rng.choice(["QUEUE", "QUEUE", "QUEUE", "CANCEL", "FAIL"])}
        if self.outside and self.chance(0.1):
            behavior = rng.choice(["BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"])
            flow["checks"] = [{"condition": rng.choice(["{{ true }}", "{{ false }}"]), "message": "m", "behavior": behavior}]

    # ---- tasks
    def tasks(self, depth: int) -> list[dict[str, Any]]:
        return [self.task(depth) for _ in range(self.rng.randint(1, 3))]

    def task(self, depth: int) -> dict[str, Any]:
        task = self._leaf() if depth <= 0 or self.chance(0.4) else self._group(depth - 1)
        for name, share in (("allowFailure", 0.15), ("allowWarning", 0.1), ("disabled", 0.05)):
            if self.chance(share):
                task[name] = True
        if self.chance(0.1):
            task["runIf"] = self.rng.choice(["{{ false }}", "{{ true }}", "{{ nope.x }}"])
        return task

    def _new(self, kind: str, **more: Any) -> dict[str, Any]:
        self.count += 1
        name = kind if kind.startswith("scripts.") else f"core.{kind}"
        return {"id": f"t{self.count}", "type": name, **more}

    def _leaf(self) -> dict[str, Any]:
        weights = {"return": 45, "sleep": 15, "subflow": 10, "pause": 10, "exit": 5, "fail": 15}
        if self.outside:
            weights.update({"return": 15, "command": 45, "labels": 3, "variables": 3, "subflow": 10 if self.targets else 0})
        if self.orderly:
            weights["exit"] = 0
        task = self._leaf_of(self.rng.choices(list(weights), list(weights.values()))[0])
        if self.chance(0.3 if self.outside else 0.2):
            task["retry"] = self.retry()
        return task

    def _leaf_of(self, kind: str) -> dict[str, Any]:
        rng = self.rng
        match kind:
            case "sleep":
                return self._new("flow.Sleep", duration=f"PT{rng.randint(1, 5)}S")
            case "subflow":
                more = {"restartBehavior": "NEW_EXECUTION"} if self.chance(0.3) else {}
                if self.chance(0.2):
                    more["transmitFailed"] = False  # type: ignore[assignment]
                return self._new("flow.Subflow", namespace="n", flowId=rng.choice(self.targets), wait=self.chance(0.7), **more)
            case "pause":
                return self._pause()
            case "exit":
                # Not CANCELED: 2.0 calls it CANCELLED, and a Loop makes a flow one of 2.0.
                return self._new("execution.Exit", state=rng.choice(["SUCCESS", "WARNING", "KILLED", "FAILED"]))
            case "fail":
                return self._new("execution.Fail")
            case "command":
                task = self._new("scripts.shell.Commands", commands=["echo"])
                if self.chance(0.2):
                    task["timeout"] = "PT2S"
                return task
            case "labels":
                return self._new("execution.Labels", labels={"set": f"t{self.count + 1}"})
            case "variables":
                return self._new("execution.SetVariables", variables={"v": self.count})
            case _:
                return self._new("debug.Return", format="x")

    def _pause(self) -> dict[str, Any]:
        task = self._new("flow.Pause")
        if self.chance(0.5):
            task.update(pauseDuration="PT3S", behavior=self.rng.choice(["RESUME", "WARN", "FAIL", *([] if self.orderly else ["CANCEL"])]))
        elif self.outside and self.chance(0.3):
            task["timeout"] = "PT4S"
        if self.chance(0.4):
            task["onPause"] = self._new("debug.Return", format="p")
        return task

    def retry(self) -> dict[str, Any]:
        rng = self.rng
        if not self.outside:
            behavior = "CREATE_NEW_EXECUTION" if self.chance(0.1) else "RETRY_FAILED_TASK"
            return {"type": "constant", "interval": "PT1S", "maxAttempts": 2, "behavior": behavior}
        retry: dict[str, Any] = {"type": rng.choice(["constant", "exponential", "random"]), "maxAttempts": rng.randint(1, 4)}
        if retry["type"] == "random":
            retry.update(minInterval="PT1S", maxInterval="PT3S")
        else:
            retry["interval"] = f"PT{rng.randint(1, 2)}S"
        if retry["type"] == "exponential":
            retry["maxInterval"] = f"PT{rng.randint(3, 6)}S"
            if self.chance(0.5):
                retry["delayFactor"] = rng.choice([1.5, 3])
        if not self.orderly and self.chance(0.2):
            retry["maxDuration"] = "PT7S"
        if self.chance(0.2):
            retry["warningOnRetry"] = True
        if not self.orderly and self.chance(0.15):
            retry["behavior"] = "CREATE_NEW_EXECUTION"
        return retry

    # ---- flowables
    def _group(self, depth: int) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choice((*GROUPS, *LAUNCHING))
        task = self._new(f"flow.{kind}")
        match kind:
            case "If":
                task.update({"condition": rng.choice(["{{ true }}", "{{ false }}", "{{ nope.x }}"]), "then": self.tasks(depth), "else": self.tasks(depth)})
            case "Switch":
                task.update(value=rng.choice("abc"), cases={"a": self.tasks(depth)}, defaults=self.tasks(depth) if self.chance(0.7) else [])
            case "Dag":
                self._dag(task, depth)
            case "WorkingDirectory":
                self._directory(task)
            case "Approval":
                self._approval(task, depth)
            case "ForEach" | "EachParallel" | "EachSequential" | "LoopUntil" | "Loop":
                self._repeated(task, kind, depth)
            case _:
                task["tasks"] = self.tasks(depth)
        if kind == "Parallel":
            task["concurrent"] = rng.randint(0, 2)
        for name in ("errors", "finally"):
            if self.chance(0.2):
                task[name] = self.tasks(depth)
        if self.outside and self.chance(0.1):
            task["retry"] = self.retry()
        return task

    def _repeated(self, task: dict[str, Any], kind: str, depth: int) -> None:
        rng = self.rng
        match kind:
            case "ForEach":
                task.update(values=["1", "2", "3"], concurrencyLimit=rng.randint(0, 2), tasks=self._iterated(depth))
            case "EachParallel" | "EachSequential":
                task.update(value=["1", "2"], tasks=self._iterated(depth))
                if kind == "EachParallel":
                    task["concurrent"] = rng.randint(0, 2)
            case "LoopUntil":
                counted = not self.iterated and self.chance(0.5)
                condition = f"{{{{ outputs.{task['id']}.iterationCount >= 2 }}}}" if counted else "{{ false }}"
                often = {"interval": "PT1S", "maxIterations": 3 if counted else 2}
                task.update(condition=condition, checkFrequency=often, tasks=self.tasks(depth))
            case "Loop":
                task.update(values=["1", "2", "3"], concurrencyLimit=rng.randint(0, 2), tasks=self._iterated(depth))
                if self.chance(0.2):
                    task["transmitFailed"] = False
                if not self.orderly and self.chance(0.2):
                    task["breakWhen"] = rng.choice(["{{ item.index >= 1 }}", "{{ iteration.state == 'WARNING' }}", "{{ nope.x }}"])
                if self.chance(0.3):
                    task["outputs"] = [{"id": "o", "type": "STRING", "value": "{{ item.value }}"}]

    def _approval(self, task: dict[str, Any], depth: int) -> None:
        whole = [] if self.orderly else ["SUCCEED", "CANCEL", "KILL"]
        for name in ("approveBehavior", "denyBehavior", "expireBehavior"):
            task[name] = self.rng.choice(["CONTINUE", "CONTINUE", "WARN", "FAIL", *whole])
        for name in ("onWait", "onApprove", "onDeny"):
            if self.chance(0.4):
                task[name] = self.tasks(depth)
        if self.chance(0.1):
            task["autoApprove"] = True
        elif not self.orderly and self.chance(0.3):
            task["timeout"] = "PT4S"

    def _iterated(self, depth: int) -> list[dict[str, Any]]:
        self.iterated += 1
        tasks = self.tasks(depth)
        self.iterated -= 1
        return tasks

    def _dag(self, task: dict[str, Any], depth: int) -> None:
        tasks = self.tasks(depth)
        task["tasks"] = [
            {"task": each, **({"dependsOn": [tasks[index - 1]["id"]]} if index and self.chance(0.6) else {})} for index, each in enumerate(tasks)
        ]
        if self.outside:
            task["concurrent"] = self.rng.randint(0, 2)

    def _directory(self, task: dict[str, Any]) -> None:
        if self.outside:
            task["tasks"] = [self._leaf_of(self.rng.choice(["command", "command", "return", "fail"])) for _ in range(self.rng.randint(1, 3))]
        else:
            task["tasks"] = [self._new("debug.Return", format="x"), self._new("execution.Fail") if self.chance(0.3) else self._new("debug.Return")]
