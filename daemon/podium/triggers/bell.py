"""Rings at a moment, or again and again: the one home of APScheduler. Called by board and its runners.

It only rings; what fired is remembered in the journal, so the scheduler keeps no store of its own. A bell that comes too early or
too late (the clock was moved, the machine slept) does no harm: whoever is rung looks at the clock again.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol

Ring = Callable[[], Coroutine[Any, Any, None]]


class Bells(Protocol):
    """What runners need of a bell. Names are theirs; setting one again replaces it."""

    def ring_at(self, name: str, when: datetime, ring: Ring) -> None:
        """Call `ring` once at `when` (aware), at once when that is past."""
        ...

    def ring_every(self, name: str, seconds: float, ring: Ring) -> None:
        """Call `ring` every so many seconds; a ring that is still at work is not called a second time."""
        ...

    def silence(self, name: str) -> None:
        """Forget this bell. Nothing happens when there is none."""
        ...


class Bell:
    """Bells of the machine's clock, on the running asyncio loop. spawn: carries out what is rung; the bell itself never waits for it."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._spawn = spawn
        self._scheduler: Any = None

    def start(self) -> None:
        """Begin to ring. Call it in the loop."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        make: Any = AsyncIOScheduler  # the package has no types
        self._scheduler = make(timezone=UTC, job_defaults=defaults)
        self._scheduler.start()

    def stop(self) -> None:
        """Ring no more."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def ring_at(self, name: str, when: datetime, ring: Ring) -> None:
        """See Bells."""
        if self._scheduler is not None:
            from apscheduler.triggers.date import DateTrigger

            async def now() -> None:
                self._spawn(ring())

            at: Any = DateTrigger
            self._scheduler.add_job(now, at(when.astimezone(UTC)), id=name, replace_existing=True)

    def ring_every(self, name: str, seconds: float, ring: Ring) -> None:
        """See Bells."""
        if self._scheduler is not None:
            from apscheduler.triggers.interval import IntervalTrigger

            every: Any = IntervalTrigger
            self._scheduler.add_job(ring, every(seconds=max(seconds, 0.05), timezone=UTC), id=name, replace_existing=True)

    def silence(self, name: str) -> None:
        """See Bells."""
        if self._scheduler is not None and self._scheduler.get_job(name) is not None:
            self._scheduler.remove_job(name)
