"""How often somebody may guess, and how often somebody may call: both with bounded memory.

Called by identify (guesses) and by the guard (calls). Times are seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

KEYS_MAX = 10_000
FORGOTTEN_S = 900.0
FIRST_WAIT_S, WAIT_S_MAX = 4.0, 300.0


@dataclass(slots=True)
class _Failures:
    count: int
    last_s: float
    until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Limit:
    """After `free` failures each further one doubles the wait, up to `most_s`."""

    free: int
    most_s: float = WAIT_S_MAX


BY_ADDRESS = Limit(20)
BY_BOTH = Limit(5)
BY_USER = Limit(50, 60.0)
"""By user alone it stays short: else anybody could lock anybody out."""


class Throttle:
    """Counts failures by key. What is not repeated within FORGOTTEN_S, or the oldest of very many, is forgotten."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, keys: dict[str, Limit], now_s: float) -> float:
        """Seconds until the next guess is taken; 0 is now."""
        return max([0.0, *(self._failed[key].until_s - now_s for key in keys if key in self._failed)])

    def failed(self, keys: dict[str, Limit], now_s: float, *, counted: bool = False) -> None:
        """A guess was wrong. counted: it was counted already; the wait begins now."""
        for key, limit in keys.items():
            known = self._failed.get(key)
            if known is None or now_s - known.last_s > FORGOTTEN_S:
                known = _Failures(0, now_s)
            known.count, known.last_s = known.count + (not counted), now_s
            if known.count >= limit.free:
                known.until_s = now_s + min(FIRST_WAIT_S * 2.0 ** min(known.count - limit.free, 20), limit.most_s)
            self._failed[key] = known
            self._failed.move_to_end(key)
        while len(self._failed) > KEYS_MAX:
            self._failed.popitem(last=False)

    def right(self, keys: dict[str, Limit]) -> None:
        """A guess was right: forget what was wrong before."""
        for key in keys:
            self._failed.pop(key, None)


class Buckets:
    """A bucket of calls for each caller: `rate` a second, up to `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now_s: float) -> float:
        """0 when the call is taken, else seconds until one is."""
        left, at_s = self._left.get(key, (self._burst, now_s))
        left = min(self._burst, left + (now_s - at_s) * self.rate)
        self._left[key] = (left - 1 if left >= 1 else left, now_s)
        self._left.move_to_end(key)
        while len(self._left) > KEYS_MAX:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self.rate
