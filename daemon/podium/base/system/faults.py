"""Points at which a test ends this process as a power cut would (`kill -9` by itself). Nothing happens unless one is armed.

The daemon arms the one that the environment variable KILL_PODIUM_AT names. Source: ruling 24.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "attempt-began", "container-created", "container-started", "container-exited", "execution-closed", "flow-trigger-noted",
    "flow-trigger-started",
)
VARIABLE = "KILL_PODIUM_AT"
_armed: set[str] = set()


def arm(name: str) -> None:
    """Have the process end at that point. Raises ValueError for a name that is none."""
    if name not in POINTS:
        raise ValueError(f"'{name}' is no fault point: {', '.join(POINTS)}")
    _armed.add(name)


def point(name: str) -> None:
    """Here the process ends if this point is armed."""
    if name in _armed:
        os.kill(os.getpid(), signal.SIGKILL)
