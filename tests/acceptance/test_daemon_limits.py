"""A real daemon is led into each limit: what it refuses names the limit, what it accepted is never lost, everything can be paused."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from daemon_house import DaemonHouse, daemon_house, wait_for

SETTINGS = """
[runner]
type = "process"
concurrency = 2
[limits]
queued_commands_max = 4
running_executions_max = 3
queued_per_flow_max = 2
open_executions_max = 8
[pools.held]
flows = ["team.pooled"]
slots = 1
"""
HOOK = """id: hook
namespace: team
tasks: [{id: say, type: io.kestra.plugin.core.log.Log, message: "{{ trigger.body.n }}"}]
triggers: [{id: web, type: io.kestra.plugin.core.trigger.Webhook, key: k}]
"""
WAITS = """id: {id}
namespace: team
{more}
tasks:
  - id: wait
    type: io.kestra.plugin.scripts.shell.Commands
    commands: ["while [ ! -e {gate} ]; do sleep 0.05; done"]
"""


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[DaemonHouse]:
    gate = tmp_path / "gate"
    with daemon_house(tmp_path, free_port, SETTINGS) as opened:
        opened.push({
            "hook.yaml": HOOK, "limited.yaml": WAITS.format(id="limited", more="concurrency: {limit: 1}", gate=gate),
            "pooled.yaml": WAITS.format(id="pooled", more="", gate=gate), "free.yaml": WAITS.format(id="free", more="", gate=gate),
        })
        opened.deployed("team", "pooled")
        yield opened


def refused(h: DaemonHouse, flow: str) -> tuple[int, str, dict[str, Any]]:
    with pytest.raises(urllib.error.HTTPError) as error:
        h.execute("team", flow)
    return error.value.code, str(error.value.headers["Retry-After"]), json.loads(error.value.read())


def queue(h: DaemonHouse) -> dict[str, Any]:
    found: dict[str, Any] = h.call("GET", "/api/v1/executions/queue")
    return found


def test_each_limit_queues_or_refuses_by_its_name(house: DaemonHouse, tmp_path: Path) -> None:
    ids = [house.execute("team", "limited") for _ in range(3)]
    code, after, body = refused(house, "limited")
    assert (code, body["limit"], int(after) >= 1) == (429, "limits.queued_per_flow_max", True)
    ids += [house.execute("team", "pooled") for _ in range(2)]  # one waits for its pool
    wait_for(lambda: queue(house)["taskRuns"]["waiting"] == 1, "a task run that waits")
    assert queue(house)["taskRuns"]["flows"][0]["why"] == "all 1 of pools.held.slots are taken"
    waits = house.execute("team", "free")
    ids.append(waits)
    assert house.execution(waits)["waiting"]["why"] == "3 executions run at one time (limits.running_executions_max)"
    ids += [house.execute("team", "free"), house.execute("team", "pooled")]
    code, after, body = refused(house, "hook")
    assert (code, body["limit"]) == (429, "limits.open_executions_max")
    text = house.podium("executions", "queue", "--url", f"http://127.0.0.1:{house.port}").stdout
    assert "its flow runs 1 at one time" in text
    assert "limits.running_executions_max" in text
    house.kill()
    house.start()
    assert {house.execution(each)["state"]["current"] for each in ids} <= {"RUNNING", "QUEUED"}
    (tmp_path / "gate").touch()
    assert [house.ended(each)["state"]["current"] for each in ids] == ["SUCCESS"] * len(ids)


def test_webhooks_beyond_what_can_be_taken_are_told_to_come_back_and_none_is_lost(house: DaemonHouse) -> None:
    def deliver(number: int) -> tuple[int, str]:
        try:
            return 200, house.call("POST", "/api/v1/executions/webhook/team/hook/k", {"n": number})["id"]
        except urllib.error.HTTPError as error:
            return error.code, str(error.headers["Retry-After"])

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(deliver, range(600)))
    accepted = [identifier for status, identifier in answers if status == 200]
    assert {status for status, _ in answers} <= {200, 429}
    assert all(after.isdigit() for status, after in answers if status == 429)
    assert len(accepted) >= 20
    assert {house.ended(each)["state"]["current"] for each in accepted} == {"SUCCESS"}
    assert house.call("GET", "/api/v1/executions/search?flowId=hook&size=1")["total"] == len(accepted)


def test_everything_is_paused_drained_and_goes_on(house: DaemonHouse, tmp_path: Path) -> None:
    url = ("--url", f"http://127.0.0.1:{house.port}")
    running = house.execute("team", "free")
    wait_for(lambda: house.execution(running)["state"]["current"] == "RUNNING", "it to run")
    assert "everything is paused" in house.podium("pause", "--all", "--reason", "new disk", *url).stdout
    waiting = house.execute("team", "free")
    assert house.execution(waiting)["state"]["current"] == "QUEUED"
    assert house.podium("drain", "--timeout", "0.5", *url, check=False).returncode == 1
    house.kill()
    house.start()
    assert queue(house)["paused"]["reason"] == "new disk"
    (tmp_path / "gate").touch()
    assert house.podium("drain", "--timeout", "60", *url).returncode == 0
    assert house.execution(running)["state"]["current"] == "SUCCESS"
    assert house.execution(waiting)["state"]["current"] == "QUEUED"
    assert "podium_paused 1.0" in house.call("GET", "/metrics")
    assert house.podium("resume", *url, check=False).returncode == 2
    house.podium("resume", "--all", *url)
    assert house.ended(waiting)["state"]["current"] == "SUCCESS"
