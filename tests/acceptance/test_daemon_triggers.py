"""Triggers in a daemon that users have: schedules, backfills, webhooks that wait, polls, switches; all of it over a kill -9."""

from __future__ import annotations

import sys
import urllib.error
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import DaemonHouse, daemon_house, wait_for

from podium.base.system.clock import SystemClock

LOG = "tasks:\n  - {id: say, type: core.log.Log, message: hi}\n"
FLOWS = {
    "tick.yaml": "id: tick\nnamespace: demo\n" + LOG + """\
triggers:
  - {id: t, type: core.trigger.Schedule, cron: "* * * * * *", withSeconds: true, stopAfter: [SUCCESS]}
""",
    "hourly.yaml": "id: hourly\nnamespace: demo\nlabels: {team: blue}\ninputs: [{id: day, type: STRING, defaults: none}]\n" + """\
tasks:
  - {id: wait, type: core.flow.Sleep, duration: PT1S}
triggers:
  - id: t
    type: core.trigger.Schedule
    cron: "MINUTE * * * *"
    timezone: UTC
    inputs: {day: "{{ trigger.date | date('HH') }}"}
    labels: {kind: scheduled}
""",
    "hook.yaml": "id: hook\nnamespace: demo\ninputs: [{id: n, type: INT}]\n" + LOG + """\
outputs: [{id: twice, type: INT, value: "{{ inputs.n * 2 }}"}]
triggers:
  - id: t
    type: core.trigger.Webhook
    key: sesame
    wait: true
    returnOutputs: true
    inputs: {n: "{{ trigger.body.n }}"}
    conditions: [{type: io.kestra.plugin.core.condition.Expression, expression: "{{ trigger.body.n != 0 }}"}]
""",
    "after.yaml": "id: after\nnamespace: demo\n" + LOG + """\
triggers:
  - {id: t, type: core.trigger.Flow, preconditions: {id: p, flows: [{namespace: demo, flowId: hook}]}, stopAfter: [SUCCESS]}
""",
    "toggle.yaml": "id: toggle\nnamespace: demo\ninputs: [{id: enable, type: BOOL}]\n" + """\
tasks:
  - {id: switch, type: core.trigger.Toggle, flowId: after, trigger: t, enabled: "{{ inputs.enable }}"}
""",
}


def state(house: DaemonHouse, flow_id: str) -> dict[str, Any]:
    (found,) = house.call("GET", f"/api/v1/triggers/demo/{flow_id}")["results"]
    return dict(found)


def executions(house: DaemonHouse, flow_id: str) -> list[dict[str, Any]]:
    """Oldest first."""
    found = house.call("GET", f"/api/v1/executions/search?namespace=demo&flowId={flow_id}&sort=state.startDate:asc&size=100")["results"]
    return list(found)


def switch(house: DaemonHouse, *, on: bool) -> None:
    started = house.call("POST", "/api/v1/executions/demo/toggle", {"enable": on})
    assert house.ended(str(started["id"]))["state"]["current"] == "SUCCESS"


@pytest.mark.slow
def test_triggers_do_what_they_say_over_a_crash(tmp_path: Path, free_port: int) -> None:
    poller = "id: poller\nnamespace: demo\n" + LOG + f"""\
triggers:
  - id: t
    type: core.http.Trigger
    uri: http://127.0.0.1:{free_port}/health
    interval: PT1S
    responseCondition: "{{{{ fromJson(response.body).status == 'UP' and response.statusCode == 200 }}}}"
    stopAfter: [SUCCESS]
"""
    minute = (SystemClock().now().minute + 30) % 60  # half an hour from any date that would come by itself
    with daemon_house(tmp_path, free_port) as house:
        house.push({name: text.replace("MINUTE", str(minute)) for name, text in {**FLOWS, "poller.yaml": poller}.items()})
        house.deployed("demo", "toggle")

        # stopAfter: each fires once
        for flow_id in ("tick", "poller"):
            wait_for(lambda flow_id=flow_id: state(house, flow_id)["disabled"], f"{flow_id} to stop")  # type: ignore[misc]
            (only,) = executions(house, flow_id)
            assert only["trigger"]["id"] == "t"
        assert executions(house, "poller")[0]["trigger"]["variables"]["code"] == 200

        # a webhook that waits; what fails its condition; what it starts in turn, once
        assert house.call("POST", "/api/v1/executions/webhook/demo/hook/sesame", {"n": 21}) == {"twice": 42}
        assert house.call("POST", "/api/v1/executions/webhook/demo/hook/sesame", {"n": 0}) == ""
        with pytest.raises(urllib.error.HTTPError, match="404"):
            house.call("POST", "/api/v1/executions/webhook/demo/hook/wrong", {"n": 1})
        wait_for(lambda: state(house, "after")["disabled"], "after to stop")
        before = len(executions(house, "after"))
        assert before == 1
        with pytest.raises(urllib.error.HTTPError, match="500"):
            house.call("POST", "/api/v1/executions/webhook/demo/hook/sesame", {"n": "word"})

        # a backfill: its dates, inputs and labels, how far it is, a pause, a crash, the rest
        name = {"namespace": "demo", "flowId": "hourly", "triggerId": "t"}
        now = SystemClock().now().astimezone(UTC).replace(minute=minute, second=0, microsecond=0)
        now -= timedelta(hours=1) if now > SystemClock().now() else timedelta()
        span = {"start": (now - timedelta(hours=3)).isoformat(), "end": now.isoformat(), "labels": [{"key": "kind", "value": "backfill"}]}
        made = house.call("PUT", "/api/v1/triggers/backfill/create", {**name, "backfill": span})
        assert made["backfill"]["paused"] is False
        wait_for(lambda: executions(house, "hourly"), "the first date")
        house.call("PUT", "/api/v1/triggers/backfill/pause", name)
        paused = len(executions(house, "hourly"))
        assert state(house, "hourly")["backfill"]["paused"] is True
        assert datetime.fromisoformat(state(house, "hourly")["nextExecutionDate"]) == now + timedelta(hours=1)
        house.kill()
        house.start()
        assert state(house, "hourly")["backfill"]["paused"] is True
        assert len(executions(house, "hourly")) == paused
        house.call("PUT", "/api/v1/triggers/backfill/unpause", name)
        wait_for(lambda: "backfill" not in state(house, "hourly"), "the backfill to end")
        found = wait_for(lambda: len(executions(house, "hourly")) == 4 and [house.ended(each["id"]) for each in executions(house, "hourly")], "all")
        assert [each["inputs"]["day"] for each in found] == [f"{(now - timedelta(hours=back)).hour:02d}" for back in (3, 2, 1, 0)]
        assert all({"key": "kind", "value": "backfill"} in each["labels"] and {"key": "team", "value": "blue"} in each["labels"] for each in found)
        ends = [(each["state"]["startDate"], each["state"]["endDate"]) for each in found]
        assert all(end <= start for (_, end), (start, _) in pairwise(ends))

        # switched off and on by a task
        house.call("POST", "/api/v1/executions/webhook/demo/hook/sesame", {"n": 1})
        switch(house, on=True)
        assert not state(house, "after")["disabled"]
        house.call("POST", "/api/v1/executions/webhook/demo/hook/sesame", {"n": 2})
        wait_for(lambda: len(executions(house, "after")) == before + 1, "after to start")
        wait_for(lambda: state(house, "after")["disabled"], "after to stop again")
        switch(house, on=True)
        switch(house, on=False)
        house.call("POST", "/api/v1/executions/webhook/demo/hook/sesame", {"n": 3})
        house.kill()
        house.start()
        assert state(house, "after")["disabled"]
        assert [len(executions(house, flow_id)) for flow_id in ("tick", "poller", "after")] == [1, 1, before + 1]
