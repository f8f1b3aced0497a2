"""An event of an old shape is read as what it means today."""

from __future__ import annotations

from typing import Any

import pytest

from podium.engine import codec
from podium.engine import events as ev


def test_an_old_event_is_upcast_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(raw: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "execution_moved", "at": raw["at"], "state": raw["status"].upper()}

    monkeypatch.setitem(codec.UPCASTS, "execution_status", moved)
    fact = codec.decode(b'{"kind":"execution_status","at":"2026-01-05T08:00:00Z","status":"running"}')
    assert fact == ev.ExecutionMoved(at=fact.at, state="RUNNING")
    today = codec.encode(ev.ExecutionClosed(at=fact.at))
    assert codec.decode(today) == ev.ExecutionClosed(at=fact.at)
