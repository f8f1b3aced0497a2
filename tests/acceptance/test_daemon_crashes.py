"""kill -9 of the daemon at five points of a container task: it runs once, every line is there once, the record is there once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import daemon_house, wait_for
from fault_house import Sink

from podium.base.system.clock import SystemClock

FLOW = """\
id: once
namespace: demo
tasks:
  - id: say
    type: scripts.shell.Commands
    containerImage: busybox:latest
    taskRunner: {type: scripts.runner.docker.Docker, networkMode: host}
    commands: ["wget -q -O - --post-data= SERVER/{{ taskrun.id }}", "for i in 1 2 3; do echo line $i; sleep 0.3; done", "printf 'no newline'"]
  - {id: after, type: core.debug.Return, format: done}
"""


@pytest.fixture
def sink() -> Iterator[Sink]:
    """What a task told that it runs: an auditor that stands outside."""
    made = Sink()
    yield made
    made.close()


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "plain"])
@pytest.mark.parametrize("point", ["attempt-began", "container-created", "container-started", "container-exited", "execution-closed"])
def test_a_crash_at_any_point_runs_the_task_once(
    point: str, supervised: bool, sink: Sink, tmp_path: Path, free_port: int, images: Mapping[str, str], docker_engine: Any
) -> None:
    """Of a plain container the engine's own events also say that it was started once; a supervised one may wait in vain for its task."""
    settings = f'[runner]\ntype = "docker"\nsupervise = {str(supervised).lower()}\n[runner.images]\n"busybox*" = "{images["busybox"]}"\n'
    with daemon_house(tmp_path, free_port, settings) as house:
        house.push({"once.yaml": FLOW.replace("SERVER", sink.url)})
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
        assert lines == ["line 1", "line 2", "line 3", "no newline"]
        attempts = ended["taskRunList"][0]["attempts"]
        assert len(attempts) == 1
        run_id = ended["taskRunList"][0]["id"]
        assert dict(sink.taken) == {f"/{run_id}": 1}
        starts = [
            event for event in docker_engine.events(since=began, until=int(SystemClock().now().timestamp()) + 1, decode=True, filters={"event": "start"})
            if event["Actor"]["Attributes"].get("podium.attempt") == f"{run_id}-1"
        ]
        assert len(starts) == 1 or (supervised and starts)
        path = wait_for(lambda: house.records().get(execution_id), "the record")
        assert len(house.records()) == 1
        record = json.loads(house.git("show", f"results:{path}", cwd=house.bare).stdout)
        assert record["execution"]["state"]["current"] == "SUCCESS"
        ours = {"label": f"podium.attempt={run_id}-1"}
        wait_for(lambda: not docker_engine.containers.list(all=True, filters=ours, ignore_removed=True), "the container to be gone")
        assert "error" not in house.git("fsck", cwd=house.bare).stderr
