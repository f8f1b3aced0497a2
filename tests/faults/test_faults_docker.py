"""The engine comes and goes, a container runs out of memory, an image is missing: one start an attempt, and a state that says what was."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from daemon_house import wait_for
from fault_engine import own_engine
from fault_house import fault_house

pytestmark = pytest.mark.docker
STEPS = """\
id: steps
namespace: load
tasks:
  - id: work
    type: scripts.shell.Commands
    containerImage: busybox:latest
    taskRunner: {type: scripts.runner.docker.Docker, networkMode: none}
    commands: ["for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; sleep 0.5; done"]
"""
HUNGRY = """\
id: hungry
namespace: load
tasks:
  - id: work
    type: scripts.shell.Commands
    containerImage: busybox:latest
    taskRunner: {type: scripts.runner.docker.Docker, memory: {memory: 16MB}}
    commands: ["echo before", "tail -c 200m /dev/zero | tail -c 100m | wc -c", "x=$(head -c 200000000 /dev/zero | tr '\\\\0' x); echo after"]
"""
MISSING = """\
id: missing
namespace: load
tasks:
  - id: work
    type: scripts.shell.Commands
    containerImage: podium.local/no-such-image:never
    taskRunner: {type: scripts.runner.docker.Docker, pullPolicy: NEVER}
    commands: ["true"]
"""


def settings(images: Mapping[str, str]) -> str:
    return f'[runner]\ntype = "docker"\n[runner.images]\n"busybox*" = "{images["busybox"]}"\n'


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: that of a socket may have 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="pf"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(("live_restore", "how", "state"), [
    (True, signal.SIGKILL, "SUCCESS"),
    pytest.param(True, signal.SIGTERM, "SUCCESS", marks=pytest.mark.nightly),
    (False, signal.SIGTERM, "FAILED"),
])
def test_the_engine_is_stopped_and_started_while_a_task_runs(
    live_restore: bool, how: int, state: str, tmp_path: Path, short: Path, free_port: int, docker_engine: Any, images: Mapping[str, str]
) -> None:
    """With live-restore the task goes on and no line is doubled, nor lost but by a killed engine itself; without it the engine ends it."""
    with own_engine(short / "e", images["busybox"], live_restore=live_restore) as engine, fault_house(tmp_path, free_port, settings(images)) as house:
        house.environ["DOCKER_HOST"] = engine.socket
        house.push({"steps.yaml": STEPS})
        house.again()
        house.deployed("load", "steps")
        execution_id = house.execute("load", "steps")
        wait_for(lambda: "line 3" in house.messages(execution_id), "the third line", 60)
        engine.stop(how)
        time.sleep(1.5)
        assert house.process is not None
        assert house.process.poll() is None
        engine.start()
        ended = house.ended(execution_id, 90)
        lines = [line for line in house.messages(execution_id) if line.startswith("line")]
        assert ended["state"]["current"] == state, house.messages(execution_id)
        whole = [f"line {number}" for number in range(1, 13)]
        if how == signal.SIGKILL:  # an engine that was killed has at times lost what was written meanwhile: `docker logs` has no more either
            assert lines == [line for line in whole if line in lines], lines
            assert lines[:3] == whole[:3]
        else:
            assert lines == (whole if state == "SUCCESS" else whole[: len(lines)])
        assert len(ended["taskRunList"][0]["attempts"]) == 1
        client = engine.client()
        wait_for(lambda: not client.containers.list(all=True, ignore_removed=True), "the container to be gone", 30)
        client.close()


def test_a_container_out_of_memory_fails_and_says_so(
    tmp_path: Path, free_port: int, docker_engine: Any, images: Mapping[str, str]
) -> None:
    with fault_house(tmp_path, free_port, settings(images)) as house:
        house.push({"hungry.yaml": HUNGRY})
        house.again()
        house.deployed("load", "hungry")
        ended = house.ended(house.execute("load", "hungry"), 60)
        assert ended["state"]["current"] == "FAILED"
        messages = house.messages(ended["id"])
        assert "before" in messages
        assert any("ran out of memory" in message for message in messages), messages
        wait_for(lambda: ended["id"] in house.records(), "the record")


def test_a_missing_image_fails_the_task_alone(tmp_path: Path, free_port: int, docker_engine: Any, images: Mapping[str, str]) -> None:
    with fault_house(tmp_path, free_port, settings(images)) as house:
        house.push({"missing.yaml": MISSING, "fine.yaml": "id: fine\nnamespace: load\ntasks: [{id: say, type: core.log.Log, message: fine}]\n"})
        house.again()
        house.deployed("load", "missing")
        ended = house.ended(house.execute("load", "missing"), 60)
        assert ended["state"]["current"] == "FAILED"
        assert any("no-such-image" in message for message in house.messages(ended["id"])), house.messages(ended["id"])
        assert house.ended(house.execute("load", "fine"))["state"]["current"] == "SUCCESS"


def test_an_engine_that_is_not_there_fails_the_task_plainly_and_is_used_once_it_is(
    tmp_path: Path, short: Path, free_port: int, docker_engine: Any, images: Mapping[str, str]
) -> None:
    with fault_house(tmp_path, free_port, settings(images)) as house:
        house.environ["DOCKER_HOST"] = f"unix://{short}/later.sock"
        house.push({"steps.yaml": STEPS.replace("sleep 0.5", "true")})
        house.again()
        house.deployed("load", "steps")
        ended = house.ended(house.execute("load", "steps"), 60)
        assert ended["state"]["current"] == "FAILED"
        assert any("the Docker Engine" in message and "cannot be reached" in message for message in house.messages(ended["id"]))
        (short / "later.sock").symlink_to("/var/run/docker.sock")
        assert house.ended(house.execute("load", "steps"), 60)["state"]["current"] == "SUCCESS"
