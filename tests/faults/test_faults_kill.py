"""kill -9 at random moments under mixed load: nothing acknowledged is lost, nothing runs twice, nothing stays behind."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fault_audit import audit
from fault_house import Rounds, fault_house


@pytest.mark.docker
@pytest.mark.timeout(3_000)
def test_kill_9_at_random_moments_under_load(
    tmp_path: Path, free_port: int, docker_engine: Any, images: Mapping[str, str], seed: int, rounds: int
) -> None:
    rng = random.Random(seed)
    settings = f'[runner]\ntype = "process"\n[runner.images]\n"busybox*" = "{images["busybox"]}"\n'
    with fault_house(tmp_path, free_port, settings) as house:
        house.watch(docker_engine)
        house.begin()
        began = time.monotonic()
        with house.load(rng):
            budget = Rounds(rounds, least=20)
            while budget.more():
                time.sleep(rng.choice([rng.uniform(0.05, 0.6), rng.uniform(0.3, 2.5)]))
                house.crash()
                if rng.random() < 0.2:
                    house.killed_at_start(rng.uniform(0.3, 2.0))
                house.again()
        house.settle(300)
        found = audit(house, docker=docker_engine)
        house.say(f"kill -9: {house.kills} rounds in {time.monotonic() - began:.0f} s: {dict(found.figures)}")
        assert not found.wrong, "\n".join(found.wrong[:40])
