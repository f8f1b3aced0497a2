"""The only source of chance: ids that sort by time, tokens, jitter."""

from __future__ import annotations

import random
import secrets
import threading
import time
from datetime import UTC, datetime

from podium.base.system import base62

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """22 base-62 characters: 48 bits of milliseconds since 1970, then 80 random bits. Within a process ids only grow."""
    global _last
    with _lock:
        number = (time.time_ns() // 1_000_000 << base62.TAIL_BITS) | secrets.randbits(base62.TAIL_BITS)
        if number <= _last:
            number = _last + 1 + secrets.randbits(32)
        _last = number
    return base62.encode(number)


def id_created_at(identifier: str) -> datetime:
    """The moment, UTC, at which `identifier` was made. Raises ValueError for text that is no id of ours."""
    return datetime.fromtimestamp((base62.decode(identifier) >> base62.TAIL_BITS) / 1000, UTC)


def new_token(bytes_count: int = 32) -> str:
    """A URL-safe secret."""
    return secrets.token_urlsafe(bytes_count)


def random_bytes(count: int) -> bytes:
    """`count` bytes fit for keys."""
    return secrets.token_bytes(count)


def random_int(low: int, high: int) -> int:
    """A number with low <= n < high, fit for keys; `low` when high is not above it."""
    return low + secrets.randbelow(high - low) if high > low else low


def jitter(low: float, high: float) -> float:
    """A number between low and high, for spreading load."""
    return random.uniform(low, high)
