"""Notices that a case will never end by itself: all that is left of it waits for a person. Called by case."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from podium.app.wiring.core import Core
from podium.engine.state import Execution, TaskRun

STILL_S = 0.3
"""Nothing may have changed for so long: what follows from an event comes at once."""


async def until_stuck(core: Core, *, timed: bool) -> str:
    """Wait until nothing goes on and only a person could go on with it; the task at which it stands.

    timed: a pause that ends by itself counts too.
    """
    async for _ in core.podium.subscribe(after_seq=0):
        task = stands_at(_in_flight(core), timed=timed)
        if task is None:
            continue
        before = _versions(core)
        await asyncio.sleep(STILL_S)
        if _versions(core) == before:
            return task
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return await never


def stands_at(executions: Sequence[Execution], *, timed: bool = False) -> str | None:
    """The paused task at which they all stand for good, None while anything goes on. timed: as of `until_stuck`."""
    if not all(_waits(each, timed=timed) for each in executions):
        return None
    paused = (run for each in executions if each.state == "PAUSED" for run in each.runs.values() if run.state == "PAUSED" and not _has_children(run))
    return next((run.task_id for run in paused), None)


def _waits(state: Execution, *, timed: bool) -> bool:
    """Whether an execution does nothing: it is paused, waits for others that it started, or for its turn."""
    if state.asked or state.state not in ("RUNNING", "PAUSED", "QUEUED"):
        return False
    open_runs = [run for run in state.runs.values() if not run.ended]
    if not timed and any(run.notes.get("until") for run in open_runs):
        return False
    return not any(run.attempts and run.state != "PAUSED" and not _has_children(run) for run in open_runs)


def _has_children(run: TaskRun) -> bool:
    return any(name == "child" or name.startswith("child:") for name in run.notes)


def _in_flight(core: Core) -> list[Execution]:
    return [each.state for each in core.conductor.in_flight.values() if not each.state.closed]


def _versions(core: Core) -> list[tuple[str, int]]:
    return [(each.id, each.version) for each in _in_flight(core)]
