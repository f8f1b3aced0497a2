"""Flow triggers in a daemon that users have: A starts B with its outputs, two upstreams, windows that are shown, and kill -9 in between."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import DaemonHouse, daemon_house, wait_for

FLOW = "io.kestra.plugin.core.trigger.Flow"
CONDITION = "io.kestra.plugin.core.condition."
LOAD = """\
id: load
namespace: demo
inputs: [{id: rows, type: INT, defaults: 3}]
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.3S}
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.rows }}"}
outputs: [{id: rows, type: INT, value: "{{ outputs.say.value }}"}]
"""
PREPARE = """\
id: prepare
namespace: demo
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: ready}
sla:
  - {id: late, type: EXECUTION_ASSERTION, assert: "{{ false }}", behavior: NONE, labels: {sla: missed}}
"""
REPORT = f"""\
id: report
namespace: demo
inputs: [{{id: rows, type: INT}}]
tasks:
  - {{id: show, type: io.kestra.plugin.core.log.Log, message: "{{{{ inputs.rows }}}} rows of {{{{ trigger.executionId }}}}"}}
triggers:
  - id: loaded
    type: {FLOW}
    inputs: {{rows: "{{{{ trigger.outputs.rows }}}}"}}
    states: [SUCCESS]
    preconditions:
      id: p
      flows: [{{namespace: demo, flowId: load}}]
"""
BOTH = f"""\
id: both
namespace: demo
tasks:
  - {{id: show, type: io.kestra.plugin.core.log.Log, message: both}}
triggers:
  - id: t
    type: {FLOW}
    preconditions:
      id: p
      resetOnSuccess: false
      flows:
        - {{namespace: demo, flowId: load, states: [SUCCESS]}}
        - {{namespace: demo, flowId: prepare, labels: {{sla: missed}}}}
"""
LEGACY = f"""\
id: legacy
namespace: demo
tasks:
  - {{id: show, type: io.kestra.plugin.core.log.Log, message: legacy}}
triggers:
  - id: t
    type: {FLOW}
    conditions:
      - {{type: {CONDITION}ExecutionStatus, in: [SUCCESS]}}
      - id: m
        type: {CONDITION}MultipleCondition
        window: P1D
        conditions:
          load: {{type: {CONDITION}ExecutionFlow, namespace: demo, flowId: load}}
          prepare: {{type: {CONDITION}ExecutionFlow, namespace: demo, flowId: prepare}}
"""


WRITE = """\
id: write
namespace: files
tasks:
  - {id: w, type: io.kestra.plugin.core.storage.Write, content: "some text", extension: .txt}
outputs: [{id: myFile, type: FILE, value: "{{ outputs.w.uri }}"}]
"""
READ = f"""\
id: read
namespace: other.files
inputs: [{{id: testFile, type: FILE}}]
tasks:
  - id: test
    type: io.kestra.plugin.core.flow.If
    condition: "{{{{ isFileEmpty(inputs.testFile) }}}}"
    then: [{{id: empty, type: io.kestra.plugin.core.log.Log, message: empty}}]
    else: [{{id: full, type: io.kestra.plugin.core.log.Log, message: "{{{{ read(inputs.testFile) }}}}"}}]
triggers:
  - id: t
    type: {FLOW}
    inputs: {{testFile: "{{{{ trigger.outputs.myFile }}}}"}}
    preconditions: {{id: p, flows: [{{namespace: files, flowId: write, states: [SUCCESS]}}]}}
"""


def executions(house: DaemonHouse, flow_id: str, count: int) -> list[dict[str, Any]]:
    """The executions of a flow once there are that many, all ended; oldest first."""
    def look() -> Any:
        found = house.call("GET", f"/api/v1/executions/search?namespace=demo&flowId={flow_id}&sort=state.startDate:asc")["results"]
        return found if len(found) >= count and all(each["state"]["current"] in ("SUCCESS", "FAILED") for each in found) else None

    found: list[dict[str, Any]] = wait_for(look, f"{count} executions of {flow_id}")
    assert len(found) == count
    return [house.execution(each["id"]) for each in found]


def trigger_state(house: DaemonHouse, flow_id: str) -> dict[str, Any]:
    (found,) = house.call("GET", f"/api/v1/triggers/demo/{flow_id}")["results"]
    return dict(found)


@pytest.mark.slow
def test_flows_start_one_another(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port) as house:
        pushed = house.push({"load.yaml": LOAD, "prepare.yaml": PREPARE, "report.yaml": REPORT, "both.yaml": BOTH, "legacy.yaml": LEGACY})
        assert "not carried out" not in pushed.stderr
        house.deployed("demo", "legacy")
        load = house.execute("demo", "load")
        (report,) = executions(house, "report", 1)
        assert report["inputs"] == {"rows": 3}
        assert report["trigger"]["variables"]["executionId"] == load
        assert {"key": "system.correlationId", "value": load} in report["labels"]
        assert house.messages(report["id"]) == [f"3 rows of {load}"]
        window = wait_for(lambda: next((each for each in trigger_state(house, "both")["windows"] if each["met"]), None), "the window")
        assert (window["needed"], window["missing"], window["met"][0]["executionId"]) == (2, ["demo.prepare"], load)
        house.execute("demo", "prepare")
        executions(house, "both", 1)
        executions(house, "legacy", 1)
        house.ended(house.execute("demo", "load"))
        executions(house, "both", 2)
        executions(house, "report", 2)
        executions(house, "legacy", 1)
        listed = house.podium("triggers", "list", "--url", f"http://127.0.0.1:{free_port}").stdout
        assert "demo.report  loaded   Flow  on" in listed
        house.call("PUT", "/api/v1/triggers/set-disabled", {"namespace": "demo", "flowId": "report", "triggerId": "loaded", "disabled": True})
        house.ended(house.execute("demo", "load"))
        executions(house, "both", 3)
        executions(house, "report", 2)
        house.push({"both.yaml": None})
        wait_for(lambda: not [each for each in house.call("GET", "/api/v1/flows/demo") if each["id"] == "both"], "the flow to go")
        house.ended(house.execute("demo", "load"))
        executions(house, "both", 3)


@pytest.mark.slow
def test_files_are_handed_on(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port) as house:
        house.push({"write.yaml": WRITE, "read.yaml": READ})
        house.deployed("other.files", "read")
        house.execute("files", "write")

        def look() -> Any:
            found = house.call("GET", "/api/v1/executions/search?namespace=other.files&flowId=read")["results"]
            return house.execution(found[0]["id"]) if found and found[0]["state"]["current"] in ("SUCCESS", "FAILED") else None

        ended = wait_for(look, "the file to be read")
        assert house.messages(ended["id"]) == ["some text"], ended


@pytest.mark.slow
def test_a_new_machine_knows_who_listens_and_what_is_met(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port) as house:
        house.push({"load.yaml": LOAD, "prepare.yaml": PREPARE, "report.yaml": REPORT, "both.yaml": BOTH})
        house.deployed("demo", "both")
        load = house.execute("demo", "load")
        (report,) = executions(house, "report", 1)
        wait_for(lambda: {load, report["id"]} <= house.records().keys(), "the records")
        wait_for(lambda: load in house.git("show", "results:state/triggers.json", cwd=house.bare, check=False).stdout, "the windows on the branch")
        house.stop()
        key = (house.home / "instance.key").read_bytes()
        shutil.rmtree(house.home)
        house.home.mkdir()
        (house.home / "instance.key").write_bytes(key)
        house.start()
        house.deployed("demo", "both")
        house.execute("demo", "prepare")
        executions(house, "both", 1)
        house.execute("demo", "load")
        executions(house, "report", 2)
        house.kill()
        house.start()
        house.execute("demo", "load")
        executions(house, "report", 3)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["flow-trigger-noted", "flow-trigger-started", "execution-closed"])
def test_a_crash_between_the_two_neither_loses_nor_doubles(point: str, tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port) as house:
        house.push({"load.yaml": LOAD, "report.yaml": REPORT, "prepare.yaml": PREPARE, "both.yaml": BOTH})
        house.deployed("demo", "both")
        house.stop()
        house.start(KILL_PODIUM_AT=point)
        load = house.execute("demo", "load")
        assert house.process is not None
        assert house.process.wait(60) == -9, "the fault point was not reached"
        house.start()
        (report,) = executions(house, "report", 1)
        assert report["inputs"] == {"rows": 3}
        assert report["trigger"]["variables"]["executionId"] == load
        house.kill()
        house.start()
        executions(house, "report", 1)
        house.execute("demo", "prepare")
        executions(house, "both", 1)
        wait_for(lambda: {load, report["id"]} <= house.records().keys(), "the records")
