"""The suite bites: each planted bug is found by the auditor. Two in CI, all of them in the long run."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fault_audit import Findings, audit
from fault_house import FaultHouse, fault_house
from fault_power import cut_power

PROCESS = '[runner]\ntype = "process"\n'
NIGHTLY = pytest.mark.nightly
KINDS = {"one": 4, "shell": 6}


def judged(house: FaultHouse, docker: Any = None, *, lost_allowed: bool = False, settle_s: float = 120) -> Findings:
    """What the auditor says, a house that does not come to rest included."""
    try:
        house.settle(settle_s)
    except AssertionError as error:
        found = Findings()
        found.wrong.append(str(error))
        return found
    return audit(house, lost_allowed=lost_allowed, docker=docker)


def disturbed(house: FaultHouse, seed: int, how: str) -> None:
    """Some load and some crashes."""
    rng = random.Random(seed)
    house.begin()
    with house.load(rng, pause_s=0.04):
        for _ in range(3):
            time.sleep(1.0)
            if how == "kill":
                house.start_one("one")  # what is lost when it was acknowledged too early is lost now
                house.crash()
                house.again()
            elif how == "power":
                cut_power(house, rng)
                house.again()


@pytest.mark.parametrize(("plant", "how", "says"), [
    ("acknowledged-early", "kill", ("acknowledged and lost",)),
    ("lost-last-line", "calm", ("lines [",)),
    pytest.param("no-wait-for-disk", "power", ("acknowledged and lost", "nobody asked for", "no record has"), marks=NIGHTLY),
    pytest.param("dropped-effect", "calm", ("every execution to end",), marks=NIGHTLY),
    pytest.param("dispatched-twice", "kill", ("effects of",), marks=NIGHTLY),
    pytest.param("forgotten-unpushed", "calm", ("acknowledged and lost",), marks=NIGHTLY),
])
def test_a_planted_bug_is_found(plant: str, how: str, says: tuple[str, ...], tmp_path: Path, free_port: int, seed: int) -> None:
    with fault_house(tmp_path, free_port, PROCESS, plant=plant, kinds=KINDS) as house:
        disturbed(house, seed, how)
        found = judged(house, lost_allowed=how == "power", settle_s=20 if plant == "dropped-effect" else 120)
        assert any(part in wrong for wrong in found.wrong for part in says), found


@NIGHTLY
def test_a_record_that_is_skipped_after_a_restart_is_found(tmp_path: Path, free_port: int) -> None:
    with fault_house(tmp_path, free_port, PROCESS, plant="skipped-amend", kinds={"flaky": 1}) as house:
        house.begin()
        made = house.start_one("flaky")
        assert made is not None
        house.ended(made)
        assert house.restart_failed(made)
        time.sleep(2)
        found = judged(house)
        assert any("acknowledged restart has no record" in wrong for wrong in found.wrong), found


@NIGHTLY
@pytest.mark.docker
def test_a_container_that_stays_is_found(tmp_path: Path, free_port: int, docker_engine: Any, images: Mapping[str, str]) -> None:
    settings = f'{PROCESS}[runner.images]\n"busybox*" = "{images["busybox"]}"\n'
    with fault_house(tmp_path, free_port, settings, plant="leaked-container", kinds={"container": 1}) as house:
        house.begin()
        house.start_one("container")
        found = judged(house, docker_engine)
        left = docker_engine.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.instance={house.instance}"})
        for each in left:
            each.remove(force=True)
        assert any("containers left behind" in wrong for wrong in found.wrong), found
