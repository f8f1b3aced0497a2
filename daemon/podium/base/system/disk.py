"""How much room a disk has left. Called by app/wiring; the conductor refuses new executions before none is left."""

from __future__ import annotations

import os
from pathlib import Path

from podium.base.errors import StoreError
from podium.base.system.clock import monotonic_s

PART = 20
"""Of a disk that is small, one part in so many is kept instead."""
FULL = 1024 * 1024
"""Bytes below which a disk is as good as full."""
LOOK_S = 0.5
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Room:
    """The room of the file system that holds a folder. least: bytes below which nothing new is begun; 0 never refuses."""

    def __init__(self, folder: Path, least: int) -> None:
        self._folder = folder
        self._least = least
        self._seen = (0, 0)
        self._seen_at_s = float("-inf")

    def look(self) -> tuple[int, int]:
        """(bytes free, bytes below which nothing new is begun), not older than LOOK_S."""
        if monotonic_s() - self._seen_at_s >= LOOK_S:
            try:
                found = os.statvfs(self._folder)
            except OSError:  # who writes there next says what is wrong with it
                return self._seen
            self._seen = (found.f_bavail * found.f_frsize, min(self._least, found.f_blocks * found.f_frsize // PART))
            self._seen_at_s = monotonic_s()
        return self._seen

    @property
    def low(self) -> bool:
        """Whether nothing new may begin."""
        free, least = self.look()
        return free < least

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing new may begin, or None."""
        free, least = self.look()
        if free >= least:
            return None
        how = "full" if self.full else "nearly full"
        return StoreError(
            f"the disk of {self._folder} is {how}: {readable(free)} left, nothing new begins below {readable(least)}",
            hint="free some space (podium gc helps), or set limits.disk_free_min; what runs goes on", free=free, least=least,
        )

    @property
    def full(self) -> bool:
        """Whether there is hardly room for what runs already."""
        return self.low and self.look()[0] < FULL

    def check(self) -> None:
        """Raises StoreError when there is too little left for something new."""
        if (trouble := self.trouble) is not None:
            raise trouble


def readable(size: float) -> str:
    """Bytes for people: 1.5 GB."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 100 else f"{size:.1f} {_UNITS[unit]}"
