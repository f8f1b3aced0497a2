"""Loss of power under load: what was acknowledged is there; what ran is FAILED or done, and never done twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from fault_audit import audit
from fault_house import Rounds, fault_house
from fault_power import cut_power

KINDS = {"one": 8, "shell": 3, "parent": 2, "each": 1, "loop": 1, "request": 1, "paused": 1, "review": 1}
PROCESS = '[runner]\ntype = "process"\n'


@pytest.mark.timeout(2_400)
def test_power_is_lost_under_load(tmp_path: Path, free_port: int, seed: int, rounds: int) -> None:
    rng = random.Random(seed)
    with fault_house(tmp_path, free_port, PROCESS, kinds=KINDS) as house:
        house.begin()
        with house.load(rng):
            budget = Rounds(max(rounds // 5, 4), least=4)
            while budget.more():
                time.sleep(rng.uniform(0.3, 2.0))
                house.say(cut_power(house, rng))
                house.again()
        house.settle(120)
        found = audit(house, lost_allowed=True)
        house.say(f"power: {budget.done} rounds: {dict(found.figures)}")
        assert not found.wrong, "\n".join(found.wrong[:40])
