"""The only place that reads the time. Everything else is handed a Clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Gives the current moment. Tests pass one that they move by hand."""

    def now(self) -> datetime:
        """The current moment, aware, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current moment, aware, UTC, cut to milliseconds (the precision of records)."""
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def monotonic_s() -> float:
    """Seconds of a clock that never steps back, for measuring how long something took."""
    return time.monotonic()
