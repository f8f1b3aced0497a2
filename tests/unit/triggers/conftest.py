"""A house around a board of triggers; see tests/trigger_house.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from trigger_house import House


@pytest.fixture
async def house(tmp_path: Path, clock: Any) -> AsyncIterator[House]:
    made = House(tmp_path, clock, secrets={"KEY": "open-sesame", "HOOK": "hook secret", "OLD": "old secret"})
    await made.open()
    yield made
    await made.close()
