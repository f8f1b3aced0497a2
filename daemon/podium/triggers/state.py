"""The state of a trigger as it is stored: the document that base/ports.TriggerControls describes, as typed data. Called by the runners.

What always holds: what is written never says `disabled` unless a person or a task switched it, so that a switch made while a
trigger fires is not undone (states are merged, see conductor/port.StartRequest.cursor).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from podium.base.moments import from_text, to_text
from podium.flows.model import Trigger

_DEFINING = frozenset({"type", "cron", "with_seconds", "timezone", "dates", "interval", "path", "glob", "recursive"})
"""Properties that decide when a trigger fires: changing one of them makes the next date be looked for anew."""


@dataclass(slots=True, kw_only=True)
class Backfill:
    """Past dates that are being run. current: the date that is next, or None when all are done. Dates are UTC."""

    id: str
    start: datetime
    end: datetime
    current: datetime | None
    paused: bool = False
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    previous_next: datetime | None = None
    """When the schedule itself goes on after it."""

    def as_dict(self) -> dict[str, Any]:
        """The form that is stored and shown."""
        return {
            "id": self.id, "start": to_text(self.start), "end": to_text(self.end), "currentDate": _text(self.current), "paused": self.paused,
            "inputs": self.inputs, "labels": self.labels, "previousNextExecutionDate": _text(self.previous_next),
        }


@dataclass(slots=True, kw_only=True)
class TriggerState:
    """What is remembered of a trigger. Dates are UTC.

    date: the one fired last. next: the one that comes. execution_id: of the execution that must end before the next may begin.
    definition: fingerprint of the properties that `next` was found with. removed: the trigger was taken out of its flow.
    """

    date: datetime | None = None
    next: datetime | None = None
    execution_id: str | None = None
    disabled: bool = False
    enabled_at: datetime | None = None
    definition: str | None = None
    removed: bool = False
    error: str | None = None
    backfill: Backfill | None = None
    poll: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> TriggerState:
        """The stored document, typed. What cannot be read counts as not there."""
        stored = document or {}
        return cls(
            date=_moment(stored.get("date")), next=_moment(stored.get("nextExecutionDate")), execution_id=stored.get("executionId") or None,
            disabled=bool(stored.get("disabled")), enabled_at=_moment(stored.get("enabledDate")), definition=stored.get("definition"),
            removed=bool(stored.get("removed")), error=stored.get("error"), backfill=_backfill(stored.get("backfill")),
            poll=dict(stored.get("poll") or {}),
        )

    def as_cursor(self, now: datetime) -> dict[str, Any]:
        """What to store with a start, or by itself: everything but what only a person switches. None removes a key."""
        return {
            "date": _text(self.date), "nextExecutionDate": _text(self.next), "executionId": self.execution_id, "definition": self.definition,
            "removed": None, "error": self.error, "backfill": self.backfill.as_dict() if self.backfill else None, "poll": self.poll or None,
            "updatedDate": to_text(now),
        }


def removal(now: datetime) -> dict[str, Any]:
    """What is stored when a trigger is taken out of its flow: should it come back, it begins anew."""
    gone = ("date", "nextExecutionDate", "executionId", "definition", "error", "backfill", "poll", "disabled", "enabledDate", "files", "directory")
    return {**dict.fromkeys(gone), "removed": True, "updatedDate": to_text(now)}


def definition_of(trigger: Trigger) -> str:
    """A fingerprint of what decides when the trigger fires."""
    facts = trigger.model_dump(mode="json", include=set(_DEFINING))
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _backfill(stored: Any) -> Backfill | None:
    if not isinstance(stored, Mapping):
        return None
    start, end = _moment(stored.get("start")), _moment(stored.get("end"))
    if start is None or end is None:
        return None
    return Backfill(
        id=str(stored.get("id") or to_text(start)), start=start, end=end, current=_moment(stored.get("currentDate")),
        paused=bool(stored.get("paused")), inputs=dict(stored.get("inputs") or {}), labels=dict(stored.get("labels") or {}),
        previous_next=_moment(stored.get("previousNextExecutionDate")),
    )


def _moment(value: Any) -> datetime | None:
    try:
        return from_text(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(moment: datetime | None) -> str | None:
    return to_text(moment) if moment is not None else None
