"""Executions that wait to begin and are not in memory: the journal has them, and a timer or their turn brings them back.

Used by the conductor. What always holds: one that rests has nothing to do but to wait; of it is known what others must know without reading it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from podium.engine import effects as fx
from podium.engine.decide.entry import pending
from podium.engine.state import Execution
from podium.engine.tree import FlowTree

WAITING_IN_MEMORY_MAX = 1_000
"""Waiting executions that are kept in memory, so that a short queue need not be read again."""


class Resting(NamedTuple):
    """parent: the execution that it is part of."""

    parent: str | None
    source: str
    commit: str


class Rest:
    """The executions that rest, by id. in_memory_max: of those that wait, how many are spared."""

    def __init__(self, in_memory_max: int = WAITING_IN_MEMORY_MAX) -> None:
        self._in_memory_max = in_memory_max
        self._resting: dict[str, Resting] = {}
        self._shared: dict[Resting, Resting] = {}
        self._waiting: dict[str, None] = {}
        """Those in memory that wait."""

    def __len__(self) -> int:
        return len(self._resting)

    def __contains__(self, execution_id: str) -> bool:
        return execution_id in self._resting

    def __iter__(self) -> Iterator[str]:
        return iter(self._resting)

    def commits(self) -> Iterator[tuple[str, str]]:
        """(source, commit) of all that rest, each once."""
        return iter({(each.source, each.commit) for each in self._shared})

    def children(self, execution_id: str) -> list[str]:
        """Those that are part of an execution."""
        return [name for name, each in self._resting.items() if each.parent == execution_id]

    def lay(self, tree: FlowTree, state: Execution, now: datetime) -> bool:
        """Whether this execution rests from now on and need not be kept in memory. Asked after each of its changes."""
        if state.state not in ("CREATED", "QUEUED") or not state.id or (state.state == "CREATED" and state.schedule_date is None):
            self.wake(state.id)
            return False
        if state.id not in self._waiting and len(self._waiting) < self._in_memory_max:
            self._waiting[state.id] = None
        if state.id in self._waiting or any(not isinstance(effect, fx.SetTimer) for effect in pending(tree, state, now)):
            return False
        seen = Resting(started_by(state.trigger), sys.intern(state.source), sys.intern(state.commit))
        self._resting[state.id] = self._shared.setdefault(seen, seen)
        return True

    def wake(self, execution_id: str) -> None:
        """It is in memory again, or gone."""
        self._waiting.pop(execution_id, None)
        if self._resting.pop(execution_id, None) is not None and not self._resting:
            self._shared.clear()


def started_by(trigger: Mapping[str, Any] | None) -> str | None:
    """The execution of which one with this trigger is a subflow or an iteration; what a flow trigger started stands by itself."""
    trigger = trigger or {}
    return (trigger.get("variables") or {}).get("executionId") if "taskRunId" in trigger else None
