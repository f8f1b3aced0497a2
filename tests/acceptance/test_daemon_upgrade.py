"""The home of an earlier release is opened by this one: its database is upgraded, and what was open goes on.

tests/golden/homes/<script>/ is a home as the release with that newest script of store/sql left it at a kill -9: `journal.sql` is its
database as text (its dates set back, so that all timers are over), `attempts` its attempts, `executions.json` says which execution is
which, and the key is that of the test. A release that adds a script adds such a home (tests/golden/make_home.py); none is ever changed.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import DaemonHouse, daemon_house, wait_for

GOLDEN = Path(__file__).parents[1] / "golden" / "homes"
PROCESS = '[runner]\ntype = "process"\n'


def golden_home(house: DaemonHouse, name: str) -> dict[str, str]:
    """Lay out a home; which execution is which."""
    house.home.mkdir()
    for each in ("instance", "instance.key"):
        shutil.copy(GOLDEN / name / each, house.home / each)
    shutil.copytree(GOLDEN / name / "attempts", house.home / "attempts")
    connection = sqlite3.connect(house.home / "journal.db")
    connection.executescript((GOLDEN / name / "journal.sql").read_text("utf-8"))
    connection.close()
    found: dict[str, str] = json.loads((GOLDEN / name / "executions.json").read_text("utf-8"))
    return found


def test_every_script_has_its_home() -> None:
    scripts = resources.files("podium.store").joinpath("sql").iterdir()
    assert {each.name[:4] for each in scripts if each.name[:4].isdigit()} == {each.name for each in GOLDEN.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("release", sorted(each.name for each in GOLDEN.iterdir()))
def test_a_home_of_an_earlier_release_goes_on(release: str, tmp_path: Path, free_port: int) -> None:
    """Paused, queued, sleeping, repeating, iterating and waiting executions end as they would have; a command that is gone is told so."""
    with daemon_house(tmp_path, free_port, PROCESS, start=False) as house:
        ids = golden_home(house, release)
        house.start()
        assert house.call("GET", "/api/v1/flows/old/paused")["revision"] == 1
        assert "42" in house.podium("kv", "get", "old", "k", "--home", str(house.home)).stdout
        for name in ("done", "unpushed"):
            assert house.execution(ids[name])["state"]["current"] == "SUCCESS"

        def resume(execution_id: str) -> None:
            wait_for(lambda: house.execution(execution_id)["state"]["current"] == "PAUSED", f"{execution_id} to be paused")
            house.call("POST", f"/api/v1/executions/{execution_id}/resume")

        def ended(name: str) -> dict[str, Any]:
            return house.ended(ids[name])

        for name in ("paused", "limited"):
            resume(ids[name])
            assert ended(name)["state"]["current"] == "SUCCESS", house.messages(ids[name])
        assert house.messages(ids["paused"]) == ["before ann after"]
        resume(ids["queued"])
        assert ended("queued")["state"]["current"] == "SUCCESS"
        child = next(run["outputs"]["executionId"] for run in house.execution(ids["parent"])["taskRunList"] if run["taskId"] == "down")
        resume(child)
        assert ended("parent")["state"]["current"] == "SUCCESS"
        assert ended("sleeping")["state"]["current"] == "SUCCESS"
        assert house.messages(ids["sleeping"])[-1] == "awake"
        if "review" in ids:
            house.call("POST", f"/api/v1/executions/{ids['review']}/review", {"decision": "APPROVED", "by": "ann"})
            assert ended("review")["state"]["current"] == "SUCCESS"
        if "loop" in ids:
            assert ended("loop")["state"]["current"] == "SUCCESS"
        assert ended("retrying")["state"]["current"] in ("SUCCESS", "FAILED")
        lost = ended("running")
        assert lost["state"]["current"] == "FAILED"
        assert any("lost" in message.lower() for message in house.messages(ids["running"]))
        assert "value a" in wait_for(lambda: house.messages(ids["each"]), "the first round of the loop")
        expected = {*ids.values(), child} - {ids["each"], ids["done"]}  # one goes round for ten minutes more, one was pushed by its release
        wait_for(lambda: expected <= set(house.records()), "their records")
        assert house.podium("results", "--repo", str(house.bare), "verify").returncode == 0
