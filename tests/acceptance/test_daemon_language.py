"""Tasks of the language that need the whole daemon: batches and loops that outlive kill -9, decisions of reviewers."""

from __future__ import annotations

import collections
import json
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import DaemonHouse, daemon_house, wait_for

PROCESS = '[runner]\ntype = "process"\n'
BATCHES = """\
id: batches
namespace: demo
tasks:
  - id: lines
    type: core.storage.Write
    content: "{% for n in range(1, 40) %}line {{ n }}\\n{% endfor %}"
  - id: each
    type: core.flow.ForEachItem
    items: "{{ outputs.lines.uri }}"
    batch: {rows: 2}
    namespace: demo
    flowId: batch
    inputs: {file: "{{ taskrun.items }}", number: "{{ taskrun.iteration }}"}
outputs:
  - {id: all, type: STRING, value: "{{ read(outputs.each_merge.subflowOutputs) }}"}
"""
BATCH = """\
id: batch
namespace: demo
inputs: [{id: file, type: FILE}, {id: number, type: INT}]
tasks:
  - id: note
    type: scripts.shell.Commands
    commands: ["echo {{ inputs.number }} >> %s", "sleep 0.1"]
outputs:
  - {id: text, type: STRING, value: "{{ inputs.number }}:{{ read(inputs.file) | trim | replace({'\\n': '+'}) }}"}
"""
LOOPS = """\
id: loops
namespace: demo
tasks:
  - id: each
    type: core.flow.Loop
    values: "{{ range(0, 29) }}"
    concurrencyLimit: 5
    outputs: [{id: twice, type: INT, value: "{{ item.index * 2 }}"}]
    tasks:
      - id: note
        type: scripts.shell.Commands
        commands: ["echo {{ item.value }} >> %s", "sleep 0.1"]
"""
APPROVAL = """\
id: release
namespace: demo
tasks:
  - id: ask
    type: core.flow.Approval
    commentRequired: ON_DENY
    inputs: [{id: ticket, type: STRING}]
    decisions: {approve: Ship it}
    onApprove: [{id: ship, type: core.log.Log, message: "shipped {{ outputs.ask.inputs.ticket }}"}]
    onDeny: [{id: drop, type: core.log.Log, message: "dropped: {{ outputs.ask.comment }}"}]
"""


def run_of(view: dict[str, Any], task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(run for run in view["taskRunList"] if run["taskId"] == task_id)
    return found


def killed_in_the_middle(house: DaemonHouse, ledger: Path, flow_id: str, after: tuple[int, ...]) -> dict[str, Any]:
    """Run a flow; kill -9 each time so many lines are in the ledger."""
    house.deployed("demo", flow_id)
    execution_id = house.execute("demo", flow_id)
    for count in after:
        wait_for(lambda at=count: ledger.exists() and len(ledger.read_text().splitlines()) >= at, f"{count} items")
        house.kill()
        house.start()
    return house.ended(execution_id, 120)


@pytest.mark.slow
def test_batches_outlive_kill_9_and_each_is_run_once(tmp_path: Path, free_port: int) -> None:
    ledger = tmp_path / "ledger"
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"batches.yaml": BATCHES, "batch.yaml": BATCH % ledger})
        ended = killed_in_the_middle(house, ledger, "batches", (3, 12))
        assert ended["state"]["current"] == "SUCCESS", house.messages(ended["id"])
        assert collections.Counter(ledger.read_text().split()) == {str(number): 1 for number in range(20)}
        assert run_of(ended, "each_items")["outputs"]["iterations"] == {"CREATED": 0, "RUNNING": 0, "SUCCESS": 20}
        lines = [json.loads(line)["text"] for line in ended["outputs"]["all"].splitlines()]
        assert lines == [f"{number}:line {2 * number + 1}+line {2 * number + 2}" for number in range(20)]
        wait_for(lambda: len(house.records()) == 21, "21 records")


@pytest.mark.slow
def test_iterations_outlive_kill_9_and_each_is_run_once(tmp_path: Path, free_port: int) -> None:
    ledger = tmp_path / "ledger"
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"loops.yaml": LOOPS % ledger})
        ended = killed_in_the_middle(house, ledger, "loops", (4, 17))
        assert ended["state"]["current"] == "SUCCESS", house.messages(ended["id"])
        assert collections.Counter(ledger.read_text().split()) == {str(number): 1 for number in range(30)}
        outputs = run_of(ended, "each")["outputs"]
        assert outputs["terminatedIterations"] == {"SUCCESS": 30}
        assert sorted(each["outputs"]["twice"] for each in outputs["outputs"]) == [2 * number for number in range(30)]
        wait_for(lambda: len(house.records()) == 31, "31 records")
        listed = house.call("GET", "/api/v1/executions/search?namespace=demo")
        assert [each["id"] for each in listed["results"]] == [ended["id"]]


def test_a_reviewer_decides_by_command_line_by_api_and_on_the_page(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"release.yaml": APPROVAL})
        house.deployed("demo", "release")

        def waiting() -> str:
            execution_id = house.execute("demo", "release")
            wait_for(lambda: house.execution(execution_id)["state"]["current"] == "PAUSED", "the pause")
            return execution_id

        by_cli = waiting()
        refused = house.podium("executions", "review", by_cli, "approve", "--home", str(house.home), check=False)
        assert refused.returncode != 0
        assert "ticket" in refused.stderr
        house.podium("executions", "review", by_cli, "approve", "--input", "ticket=T1", "--home", str(house.home))
        assert house.ended(by_cli)["state"]["current"] == "SUCCESS"
        assert "shipped T1" in house.messages(by_cli)

        by_api = waiting()
        with pytest.raises(Exception, match="409"):
            house.call("POST", f"/api/v1/executions/{by_api}/actions/review", {"decision": "DENIED"})
        house.call("POST", f"/api/v1/main/executions/{by_api}/actions/review", {"decision": "DENIED", "comment": "no", "by": "ann"})
        ended = house.ended(by_api)
        assert (ended["state"]["current"], run_of(ended, "ask")["outputs"]["by"]) == ("CANCELLED", "ann")
        assert "dropped: no" in house.messages(by_api)

        on_page = waiting()
        page = house.call("GET", f"/executions/{on_page}", headers={"Accept": "text/html"})
        assert "It waits for your decision" in page
        assert "Ship it" in page
        asked = run_of(house.execution(on_page), "ask")["id"]
        assert f'name="_run" value="{asked}"' in page
        form = urllib.parse.urlencode({"ticket": "T2", "_run": asked, "_comment": "fine", "_decision": "APPROVED"}).encode()
        house.call("POST", f"/executions/{on_page}/review", form, {
            "Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html", "Origin": f"http://127.0.0.1:{free_port}",
        })
        ended = house.ended(on_page)
        assert (ended["state"]["current"], run_of(ended, "ask")["outputs"]["comment"]) == ("SUCCESS", "fine")
