"""kill -9 of the daemon at five points of a container task: it starts once, every line is there once, the record is there once."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import daemon_house, wait_for

from podium.base.system.clock import SystemClock

FLOW = """\
id: once
namespace: demo
tasks:
  - id: say
    type: scripts.shell.Commands
    containerImage: busybox:latest
    commands: ["cat /proc/sys/kernel/random/uuid", "for i in 1 2 3; do echo line $i; sleep 0.3; done", "printf 'no newline'"]
  - {id: after, type: core.debug.Return, format: done}
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("point", ["attempt-began", "container-created", "container-started", "container-exited", "execution-closed"])
def test_a_crash_at_any_point_starts_the_container_once(
    point: str, tmp_path: Path, free_port: int, images: Mapping[str, str], docker_engine: Any
) -> None:
    """The auditor is the engine itself: its events say how often the attempt's container was started."""
    settings = f'[runner]\ntype = "docker"\n[runner.images]\n"busybox*" = "{images["busybox"]}"\n'
    with daemon_house(tmp_path, free_port, settings) as house:
        house.push({"once.yaml": FLOW})
        house.deployed("demo", "once")
        house.stop()
        began = int(SystemClock().now().timestamp()) - 1
        house.start(KILL_PODIUM_AT=point)
        execution_id = house.execute("demo", "once")
        assert house.process is not None
        assert house.process.wait(60) == -9, "the fault point was not reached"
        house.start()
        ended = house.ended(execution_id)
        assert ended["state"]["current"] == "SUCCESS", house.messages(execution_id)
        lines = house.messages(execution_id)
        assert lines[1:] == ["line 1", "line 2", "line 3", "no newline"]
        attempts = ended["taskRunList"][0]["attempts"]
        assert len(attempts) == 1
        name = f"podium-{ended['taskRunList'][0]['id']}-1"
        starts = [
            event for event in docker_engine.events(since=began, until=int(SystemClock().now().timestamp()) + 1, decode=True, filters={"event": "start"})
            if event["Actor"]["Attributes"]["name"] == name
        ]
        assert len(starts) == 1
        path = wait_for(lambda: house.records().get(execution_id), "the record")
        assert len(house.records()) == 1
        record = json.loads(house.git("show", f"results:{path}", cwd=house.bare).stdout)
        assert record["execution"]["state"]["current"] == "SUCCESS"
        wait_for(lambda: name not in [each.name for each in docker_engine.containers.list(all=True, ignore_removed=True)], "the container to be gone")
        assert "error" not in house.git("fsck", cwd=house.bare).stderr
