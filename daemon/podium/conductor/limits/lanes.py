"""The commands that wait to be decided: two lanes that take turns, so that neither holds up the other.

`requests` come from outside: bounded in number and age, refused beyond that before anything was acknowledged. `outcomes` are what became of
work that is open in the journal: never refused, and no more than there is work.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from podium.base.errors import LimitError

T = TypeVar("T")
MANY = 200
"""Commands that one transaction takes: when fewer wait, a slow disk is no reason to refuse any."""


class Lanes(Generic[T]):
    """Used by the conductor. clock_s: of the event loop, seconds. requests_max, wait_s_max: see the settings of the same names."""

    def __init__(self, clock_s: Callable[[], float], *, requests_max: int, wait_s_max: float) -> None:
        self._clock_s = clock_s
        self._requests_max = requests_max
        self._wait_s_max = wait_s_max
        self._requests: deque[tuple[float, T]] = deque()
        self._outcomes: deque[tuple[float, T]] = deque()
        self._outcome_next = True
        self._there = asyncio.Event()

    def __len__(self) -> int:
        return len(self._requests) + len(self._outcomes)

    @property
    def oldest_s(self) -> float:
        """Seconds that the command waits which has waited longest."""
        first = [lane[0][0] for lane in (self._requests, self._outcomes) if lane]
        return self._clock_s() - min(first) if first else 0.0

    def behind(self) -> LimitError | None:
        """Why nothing more can be accepted just now, or None."""
        if len(self._requests) >= self._requests_max:
            what = f"{len(self._requests)} commands wait to be decided (limits.queued_commands_max)"
        elif len(self._requests) >= MANY and self._clock_s() - self._requests[0][0] > self._wait_s_max:
            what = f"commands wait longer than {self._wait_s_max:g} s to be decided (limits.command_wait_s_max)"
        else:
            return None
        return LimitError(what, hint="try again in a moment", limit=what.rpartition("(")[2].rstrip(")"), retry_after_s=1)

    def request(self, item: T) -> None:
        """Enter what somebody asks for. Raises LimitError when the daemon is behind."""
        refusal = self.behind()
        if refusal is not None:
            raise refusal
        self._requests.append((self._clock_s(), item))
        self._there.set()

    def outcome(self, item: T) -> None:
        """Enter what must be taken."""
        self._outcomes.append((self._clock_s(), item))
        self._there.set()

    async def wait(self) -> None:
        """Until there is a command."""
        await self._there.wait()

    def take(self) -> T | None:
        """The next command, or None."""
        first, second = (self._outcomes, self._requests) if self._outcome_next else (self._requests, self._outcomes)
        lane = first or second
        if not lane:
            return None
        self._outcome_next = lane is self._requests
        _, item = lane.popleft()
        if not self._requests and not self._outcomes:
            self._there.clear()
        return item
