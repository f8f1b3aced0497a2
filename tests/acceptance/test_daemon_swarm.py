"""A daemon whose tasks run on the nodes of a Docker Swarm is killed: each task starts once, every line and file is there once, nothing is left."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import daemon_house, wait_for

FLOW = """\
id: far
namespace: demo
tasks:
  - id: say
    type: scripts.shell.Commands
    taskRunner: {type: podium.swarm.Swarm, constraints: [node.hostname==node2], memory: {memory: 64MB}}
    containerImage: busybox:latest
    inputFiles: {in.txt: "from the daemon"}
    outputFiles: [out.txt]
    commands: ["cat /proc/sys/kernel/random/uuid", "for i in 1 2 3 4; do echo line $i; sleep 0.4; done", "cat in.txt > out.txt", "printf 'no newline'"]
  - {id: read, type: core.debug.Return, format: "{{ read(outputs.say.outputFiles['out.txt']) }}"}
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", ["container-started", "mid-task"])
def test_a_task_on_another_node_survives_a_kill_of_the_daemon(point: str, tmp_path: Path, free_port: int, images: Mapping[str, str], swarm: Any) -> None:
    settings = (
        f'[runner]\ntype = "process"\nremote_url = "http://{swarm.host_address}:{free_port}"\nswarm_host = "{swarm.manager.url}"\n'
        f'[runner.images]\n"busybox*" = "{images["busybox"]}"\n'
    )
    beyond = {"PODIUM_SERVER__HOST": "0.0.0.0", "PODIUM_SERVER__TOKEN": "a-token-of-some-length"}
    with daemon_house(tmp_path, free_port, settings, start=False) as house:
        house.push({"far.yaml": FLOW})
        house.start(**beyond, **({} if point == "mid-task" else {"KILL_PODIUM_AT": point}))
        house.deployed("demo", "far")
        execution_id = house.execute("demo", "far")
        assert house.process is not None
        if point == "mid-task":
            wait_for(lambda: "line 2" in house.messages(execution_id), "the task's second line")
            house.kill()
        else:
            assert house.process.wait(60) == -9, "the fault point was not reached"
        house.start(**beyond)
        ended = house.ended(execution_id)
        assert ended["state"]["current"] == "SUCCESS", house.messages(execution_id)
        assert house.messages(execution_id)[1:] == ["line 1", "line 2", "line 3", "line 4", "no newline"]
        first, second = ended["taskRunList"]
        assert len(first["attempts"]) == 1
        assert second["outputs"]["value"] == "from the daemon"
        found = {"label": [f"podium.attempt={first['id']}-1"]}
        api = swarm.manager.client.api
        wait_for(
            lambda: not api.services(filters=found) and not api.secrets(filters=found) and not swarm.worker.containers(f"{first['id']}-1"),
            "everything of the attempt to be gone",
        )
