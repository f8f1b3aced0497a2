"""A daemon whose tasks run on the nodes of a Docker Swarm is killed: each task starts once, every line and file is there once, nothing is left."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import daemon_house, wait_for

FLOW = (Path(__file__).resolve().parents[2] / "flows/swarm.yaml").read_text()


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", ["container-started", "mid-task"])
def test_a_task_on_another_node_survives_a_kill_of_the_daemon(point: str, tmp_path: Path, free_port: int, images: Mapping[str, str], swarm: Any) -> None:
    settings = (
        f'[runner]\ntype = "process"\nremote_url = "http://{swarm.host_address}:{free_port}"\nswarm_host = "{swarm.manager.url}"\n'
        f'[runner.images]\n"busybox*" = "{images["busybox"]}"\n'
    )
    beyond = {"PODIUM_SERVER__HOST": "0.0.0.0", "PODIUM_SERVER__TOKEN": "a-token-of-some-length"}
    with daemon_house(tmp_path, free_port, settings, start=False) as house:
        house.push({"swarm.yaml": FLOW})
        house.start(**beyond, **({} if point == "mid-task" else {"KILL_PODIUM_AT": point}))
        house.deployed("examples", "swarm")
        execution_id = house.execute("examples", "swarm")
        assert house.process is not None
        if point == "mid-task":
            wait_for(lambda: "step 2" in house.messages(execution_id), "the task's second line")
            house.kill()
        else:
            assert house.process.wait(60) == -9, "the fault point was not reached"
        house.start(**beyond)
        ended = house.ended(execution_id)
        assert ended["state"]["current"] == "SUCCESS", house.messages(execution_id)
        assert house.messages(execution_id)[1:] == ["step 1", "step 2", "step 3", "step 4", "no newline at the end"]
        (first,) = ended["taskRunList"]
        assert len(first["attempts"]) == 1
        assert ended["outputs"]["counted"] == "apple=2\npear=1\nplum=1\n"
        found = {"label": [f"podium.attempt={first['id']}-1"]}
        api = swarm.manager.client.api
        wait_for(
            lambda: not api.services(filters=found) and not api.secrets(filters=found) and not swarm.worker.containers(f"{first['id']}-1"),
            "everything of the attempt to be gone",
        )
