"""Moments as text: ISO-8601, UTC, milliseconds, `2026-01-05T08:00:00.000Z`. The form of records, states of triggers and the API."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """`moment` (aware) as text."""
    assert moment.tzinfo is not None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """The moment meant by ISO-8601 text, in UTC; text without an offset is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
