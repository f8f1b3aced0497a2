"""Keeps the number of packs of the results repository bounded. Owned by writer.py.

Each commit is a pack; many packs make git slow to read, to push and to clone. They are folded together beside the writing, at low
priority. What always holds: at most PACKS_MAX packs and one a commit of the batch under way, unless folding fails (a full disk): then
writing goes on, because records matter more than speed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from podium.base.errors import GitError
from podium.git.repo import Repository

PACKS_FOLD, PACKS_URGENT, PACKS_MAX = 200, 400, 1_000
"""From how many packs on they are folded; folded fast, without deltas and with the priority of the daemon; waited for before another commit."""
_LOOK_AGAIN_S = 60.0
_ASK_AGAIN_S = 0.5


class Folding:
    """step: runs blocking work and tells of its failure, without raising; whether it worked."""

    def __init__(self, repository: Repository, step: Callable[[Callable[[], object]], Awaitable[bool]]) -> None:
        self._repository = repository
        self._step = step
        self._due = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._packs = 0
        self._polite = False
        self._hurry = False
        """A polite folding was ended because writing waits for it."""

    @property
    def packs(self) -> int:
        """How many there are, about."""
        return self._packs

    def committed(self) -> None:
        """There is another pack."""
        self._packs += 1
        if self._packs >= PACKS_FOLD:
            self._due.set()

    async def room(self) -> None:
        """Wait before a commit while folding is far behind: a polite one is ended, an urgent one waited for, one that fails is not."""
        while self._packs >= PACKS_MAX and not self._settled.is_set():
            if self._polite:
                self._hurry = True
                self._repository.stop_tidying()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASK_AGAIN_S):
                    await self._settled.wait()

    async def run(self) -> None:
        """Fold when it is due, until cancelled."""
        await self._step(self._count)
        while True:
            if self._packs >= PACKS_FOLD:
                self._settled.clear()
                try:
                    worked = await self._step(self._fold)
                    if self._hurry:
                        self._hurry = False
                        worked = await self._step(self._fold)
                    if not worked:
                        self._settled.set()
                        await asyncio.sleep(_LOOK_AGAIN_S)
                finally:
                    self._settled.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._due.wait()
            self._due.clear()

    def _count(self) -> None:
        self._packs = self._repository.packs()

    def _fold(self) -> None:
        urgent = self._packs >= PACKS_URGENT
        self._polite = not urgent
        try:
            self._repository.tidy(packs_max=PACKS_FOLD - 1, urgent=urgent)
        except GitError:
            if not self._hurry:
                raise
        finally:
            self._polite = False
        self._count()
