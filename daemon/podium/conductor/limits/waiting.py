"""What waits and why, for people; and the switch that lets nothing new begin. A half of conductor/orchestrator."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from podium.base.errors import LimitError
from podium.base.moments import to_text
from podium.base.system.clock import Clock
from podium.base.system.ids import id_created_at
from podium.conductor.limits.admission import Admission
from podium.conductor.limits.intake import Item
from podium.conductor.limits.lanes import Lanes
from podium.conductor.limits.slots import Slots
from podium.engine.decide.decision import attempt_id

FLOWS_SHOWN_MAX = 1_000
RUNS_SHOWN_MAX = 100


class _Owner(Protocol):
    """What is asked of the conductor."""

    lanes: Lanes[Item]
    limits: Admission
    slots: Slots

    async def pause_all(self, note: Mapping[str, Any] | None) -> None: ...


class Waiting:
    """Part of the orchestrator's face, see conductor/port."""

    def __init__(self, owner: _Owner, clock: Clock) -> None:
        self._owner = owner
        self._moments = clock

    async def pause_all(self, *, by: str = "", reason: str = "") -> dict[str, Any]:
        if self._owner.limits.paused is None:
            await self._owner.pause_all({"at": to_text(self._moments.now()), "by": by, "reason": reason})
        return self.queue()

    async def resume_all(self) -> dict[str, Any]:
        if self._owner.limits.paused is not None:
            await self._owner.pause_all(None)
        return self.queue()

    def behind(self) -> LimitError | None:
        return self._owner.lanes.behind()

    def queue(self) -> dict[str, Any]:
        limits, slots, now = self._owner.limits, self._owner.slots, self._moments.now()
        executions: list[dict[str, Any]] = [
            {"namespace": key[0], "flowId": key[1], "count": count, "oldest": oldest, "oldestSeconds": _age(oldest, now), "why": why}
            for key, count, oldest, why in limits.queues()
        ]
        runs: list[dict[str, Any]] = [{"namespace": key[0], "flowId": key[1], "count": count, "why": why} for key, count, why in slots.by_flow()]
        return {
            "paused": dict(limits.paused) if limits.paused is not None else None,
            "executions": {
                "running": limits.busy, "queued": limits.queued,
                "oldestSeconds": max((each["oldestSeconds"] for each in executions), default=0.0),
                "flows": sorted(executions, key=lambda each: -each["oldestSeconds"])[:FLOWS_SHOWN_MAX],
            },
            "taskRuns": {
                "running": len(slots.running), "slots": slots.limit, "waiting": slots.waiting, "oldestSeconds": round(slots.oldest_s(), 3),
                "flows": sorted(runs, key=lambda each: -each["count"])[:FLOWS_SHOWN_MAX],
            },
            "commands": {"waiting": len(self._owner.lanes), "oldestSeconds": round(self._owner.lanes.oldest_s, 3)},
        }

    def with_reasons(self, view: dict[str, Any]) -> dict[str, Any]:
        """The view of an execution, with `waiting` where something of it waits: why it does not begin, or its task runs do not."""
        why = self._owner.limits.why(view["id"])
        if why is not None:
            return {**view, "waiting": {"why": why, "taskRuns": []}}
        runs = []
        for run in view.get("taskRunList") or () if self._owner.slots.waiting else ():
            attempts = len(run.get("attempts") or ())
            if attempts and run["state"]["current"] == "CREATED" and (reason := self._owner.slots.waits(attempt_id(run["id"], attempts))):
                runs.append({"id": run["id"], "taskId": run["taskId"], "why": reason})
        return {**view, "waiting": {"why": runs[0]["why"], "taskRuns": runs[:RUNS_SHOWN_MAX]}} if runs else view


def _age(execution_id: str | None, now: datetime) -> float:
    """Seconds since an execution was made."""
    if execution_id is None:
        return 0.0
    try:
        return round(max((now - id_created_at(execution_id)).total_seconds(), 0.0), 3)
    except ValueError:  # an id that was given from outside
        return 0.0
