"""Fault tests: real daemons as processes, judged by an outside auditor. CI size by default; FAULTS_NIGHTLY=1 is the long run.

FAULTS_SEED repeats the choices of a run (not its timing). Tests marked `nightly` are left out unless it is the long run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "acceptance"))
NIGHTLY = os.environ.get("FAULTS_NIGHTLY") == "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here is a fault test; the nightly ones are only for the long run."""
    left_out = []
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker("faults")
        item.add_marker("slow")
        if not NIGHTLY and item.get_closest_marker("nightly"):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def seed() -> int:
    """What chance begins with; shown when a test fails."""
    chosen = int(os.environ.get("FAULTS_SEED") or int.from_bytes(os.urandom(4), "big"))
    sys.stdout.write(f"FAULTS_SEED={chosen}\n")
    return chosen


@pytest.fixture
def rounds() -> int:
    """How often the daemon is killed."""
    return int(os.environ.get("FAULTS_ROUNDS") or (200 if NIGHTLY else 20))
