"""A clock that jumps, both ways, under load: every schedule date fires once, sleeping executions wake, and all records verify."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from fault_audit import audit
from fault_house import fault_house

PROCESS = '[runner]\ntype = "process"\n'
NAP = """\
id: nap
namespace: load
tasks: [{id: sleep, type: core.flow.Sleep, duration: PT5M}]
"""


@pytest.mark.parametrize("jumps", [(15.0, 0.0), (-15.0, 0.0)], ids=["on and back", "back and on"])
def test_a_clock_jumps_under_load(jumps: tuple[float, ...], tmp_path: Path, free_port: int, seed: int) -> None:
    """Fifteen seconds on (or back) for a while, then right again."""
    rng = random.Random(seed)
    wrong = tmp_path / "clock"
    with fault_house(tmp_path / "house", free_port, PROCESS, kinds={"one": 2, "shell": 1, "retried": 1}) as house:
        house.environ["FAULT_CLOCK"] = str(wrong)
        house.begin()
        with house.load(rng):
            time.sleep(2.5)
            for jump in jumps:
                draft = wrong.with_suffix(".draft")
                draft.write_text(str(jump))
                draft.replace(wrong)
                time.sleep(4)
        house.settle(90)
        found = audit(house)
        assert found.figures["schedule dates"] >= 3
        assert not found.wrong, "\n".join(found.wrong[:20])


def test_who_sleeps_wakes_when_the_clock_passes_its_time(tmp_path: Path, free_port: int) -> None:
    wrong = tmp_path / "clock"
    with fault_house(tmp_path / "house", free_port, PROCESS) as house:
        house.environ["FAULT_CLOCK"] = str(wrong)
        house.push({"nap.yaml": NAP})
        house.again()
        house.deployed("load", "nap")
        execution_id = house.execute("load", "nap")
        wrong.write_text("-86400")
        time.sleep(1)
        assert house.execution_or_none(execution_id) == "RUNNING"
        wrong.write_text("400")
        assert house.ended(execution_id, 60)["state"]["current"] == "SUCCESS"
