"""Who is next: groups that wait, turn by turn, those of a higher priority first. Every step costs the same however many wait."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
OTHERS_EVERY = 8
"""Every eighth turn goes to whoever has waited longest, whatever its priority: nothing waits for ever."""


class Ring(Generic[K]):
    """Used by slots and admission. A group is in it once."""

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[K, int]] = {}
        self._places: dict[K, int] = {}
        self._turns = 0
        self._entered = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, group: K) -> bool:
        return group in self._places

    def push(self, group: K, priority: int = 0) -> None:
        """Stand behind those of the same priority. One that stands there already keeps its place."""
        if group in self._places:
            return
        self._entered += 1
        self._places[group] = priority
        self._levels.setdefault(priority, OrderedDict())[group] = self._entered

    def pop(self) -> K | None:
        """Whose turn it is; it leaves the ring. None when nobody waits."""
        if not self._levels:
            return None
        self._turns += 1
        others = self._turns % OTHERS_EVERY == 0
        priority = min(self._levels, key=lambda each: next(iter(self._levels[each].values()))) if others else max(self._levels)
        group = next(iter(self._levels[priority]))
        self.discard(group)
        return group

    def discard(self, group: K) -> None:
        """Leave the ring."""
        priority = self._places.pop(group, None)
        if priority is None:
            return
        level = self._levels[priority]
        del level[group]
        if not level:
            del self._levels[priority]
