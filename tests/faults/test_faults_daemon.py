"""Signals and crowds: SIGTERM hands over, SIGSTOP is a machine that slept, 10,000 executions wait in line and all of them end."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from daemon_house import wait_for
from fault_audit import audit
from fault_house import fault_house

PROCESS = '[runner]\ntype = "process"\n'
LONG = """\
id: long
namespace: load
tasks:
  - id: slow
    type: scripts.shell.Commands
    commands: ["for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; echo $i >> %s; sleep 0.3; done"]
"""
CROWD = """\
id: crowd
namespace: load
concurrency: {limit: 20, behavior: QUEUE}
tasks: [{id: say, type: core.debug.Return, format: "{{ execution.id }}"}]
"""


def test_sigterm_hands_running_tasks_over(tmp_path: Path, free_port: int, seed: int) -> None:
    """Stopped in order five times under load: tasks go on meanwhile and are taken up, none is run again."""
    rng = random.Random(seed)
    steps = tmp_path / "steps"
    with fault_house(tmp_path / "house", free_port, PROCESS, kinds={"one": 2, "shell": 4, "parent": 1, "loop": 1, "shared": 1}) as house:
        house.begin()
        house.push({"long.yaml": LONG % steps})
        house.deployed("load", "long")
        long = str(house.call("POST", "/api/v1/executions/load/long")["id"])
        with house.load(rng):
            for _ in range(3):
                time.sleep(rng.uniform(0.2, 0.8))
                began = time.monotonic()
                assert house.stop() == 0
                assert time.monotonic() - began < 25
                house.again()
        assert house.ended(long)["state"]["current"] == "SUCCESS"
        assert steps.read_text().split() == [str(number) for number in range(1, 11)]
        assert house.messages(long) == [f"line {number}" for number in range(1, 11)]
        house.settle()
        house.push({"long.yaml": None})
        found = audit(house)
        wrong = [each for each in found.wrong if long not in each]
        assert not wrong, "\n".join(wrong[:20])


def test_a_machine_that_slept_goes_on(tmp_path: Path, free_port: int, seed: int) -> None:
    """SIGSTOP and SIGCONT of the daemon: no schedule date is left out or doubled, nothing is lost."""
    rng = random.Random(seed)
    with fault_house(tmp_path, free_port, PROCESS, kinds={"one": 2, "shell": 2, "loop": 1}) as house:
        house.begin()
        assert house.process is not None
        with house.load(rng):
            for _ in range(2):
                time.sleep(rng.uniform(0.5, 1.5))
                os.kill(house.process.pid, signal.SIGSTOP)
                time.sleep(3.0)
                os.kill(house.process.pid, signal.SIGCONT)
            time.sleep(2.5)
        house.settle()
        found = audit(house)
        assert found.figures["schedule dates"] >= 4
        assert not found.wrong, "\n".join(found.wrong[:20])


@pytest.mark.timeout(600)
def test_ten_thousand_executions_wait_in_line_over_kill_9(tmp_path: Path, free_port: int) -> None:
    """Each has one record, in the end, and the queue was not lost with the daemon."""
    count = int(os.environ.get("FAULTS_CROWD") or 10_000)
    with fault_house(tmp_path, free_port, PROCESS, kinds={"one": 1}) as house:
        house.begin()
        house.push({"gate.yaml": f"""\
id: gate
namespace: load
tasks:
  - id: all
    type: core.flow.ForEach
    values: "{{{{ range(1, {count}) }}}}"
    concurrencyLimit: 0
    tasks:
      - {{id: go, type: core.flow.Subflow, namespace: load, flowId: crowd, wait: false, transmitFailed: false}}
""", "crowd.yaml": CROWD})
        house.deployed("load", "crowd")
        house.deployed("load", "gate")
        gate = str(house.call("POST", "/api/v1/executions/load/gate")["id"])

        def made() -> int:
            return int(house.call("GET", "/api/v1/executions/search?namespace=load&flowId=crowd&size=1")["total"])

        wait_for(lambda: made() >= count // 3, "a third of them to be made", 200)
        house.crash()
        house.again()
        wait_for(lambda: house.execution_or_none(gate) == "SUCCESS", "all of them to be made", 300)
        wait_for(lambda: made() == count, "all of them to be there", 30)
        house.settle(300)
        records = [path for path in house.records().values() if "/crowd/" in path]
        assert len(records) == count
        assert house.git("fsck", "--strict", cwd=house.bare, check=False).returncode == 0
