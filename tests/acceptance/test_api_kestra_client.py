"""Kestra's own Python SDK (`kestra` on PyPI) against a daemon: starts, waits, states, logs, files, labels; outputs and metrics inside of a task.

What would break if it failed: scripts that people wrote for Kestra.
"""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import DaemonHouse, daemon_house, wait_for

pytestmark = pytest.mark.slow

HELLO = """id: hello
namespace: company.team
inputs:
  - {id: name, type: STRING, defaults: nobody}
  - {id: table, type: FILE, required: false}
  - {id: count, type: INT, required: false}
tasks:
  - {id: greet, type: io.kestra.plugin.core.log.Log, message: "Hello {{ inputs.name }}"}
  - {id: back, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.name }}"}
  - id: read
    type: io.kestra.plugin.core.log.Log
    runIf: "{{ inputs.table is defined and inputs.table is not null }}"
    message: "{{ read(inputs.table) }}"
"""
FAILS = """id: fails
namespace: company.team
tasks:
  - {id: words, type: io.kestra.plugin.core.log.Log, message: before}
  - {id: fail, type: io.kestra.plugin.core.execution.Fail, errorMessage: no luck}
"""
SCRIPT = """id: script
namespace: company.team
tasks:
  - id: python
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {type: io.kestra.plugin.core.runner.Process}
    commands:
      - cat sdk.jsonl
    inputFiles:
      sdk.jsonl: |
%s
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonHouse]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with daemon_house(tmp_path_factory.mktemp("sdk"), port) as made:
        made.push({"hello.yaml": HELLO, "fails.yaml": FAILS})
        wait_for(lambda: len(made.call("GET", "/api/v1/flows/search")["results"]) == 2, "the flows to be deployed")
        yield made


@pytest.fixture(params=[None, "main"], ids=["plain addresses", "addresses with a tenant"])
def sdk(request: pytest.FixtureRequest, house: DaemonHouse, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A `Flow` of the SDK that knows the daemon."""
    kestra = pytest.importorskip("kestra")
    monkeypatch.setenv("KESTRA_HOSTNAME", f"http://127.0.0.1:{house.port}")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    flow = kestra.Flow(tenant=request.param, poll_interval=0)
    flow.password = None
    return flow


def test_a_flow_is_started_waited_for_and_its_log_read(sdk: Any) -> None:
    result = sdk.execute("company.team", "hello", {"name": "Ada", "count": 3})
    assert (result.status, result.error) == ("SUCCESS", None)
    assert "Hello Ada" in result.log
    found = sdk.check_status(result.execution_id).json()
    assert {name: found["inputs"][name] for name in ("name", "count")} == {"name": "Ada", "count": 3}
    assert {run["taskId"]: run.get("outputs") for run in found["taskRunList"]}["back"] == {"value": "Ada"}
    assert "Hello Ada" in sdk.get_logs(result.execution_id).text


def test_without_inputs_and_without_waiting(sdk: Any, house: DaemonHouse) -> None:
    sdk.wait_for_completion = False
    result = sdk.execute("company.team", "hello")
    assert result.status == "STARTED"
    assert house.ended(result.execution_id)["state"]["current"] == "SUCCESS"


def test_a_failure_is_told(sdk: Any) -> None:
    result = sdk.execute("company.team", "fails")
    assert result.status == "FAILED"
    assert "before" in result.log


def test_labels_from_inputs_and_a_file(sdk: Any, house: DaemonHouse) -> None:
    sdk.labels_from_inputs = True
    result = sdk.execute("company.team", "hello", {"name": "Ada"})
    labels = {each["key"]: each["value"] for each in house.execution(result.execution_id)["labels"]}
    assert labels["name"] == "Ada"
    sdk.labels_from_inputs = False
    result = sdk.execute("company.team", "hello", {"table": ("orders.csv", io.BytesIO(b"a,b\n1,2\n"), "text/csv")})
    assert result.status == "SUCCESS"
    assert "a,b" in result.log
    # The older way, which the SDK's own words show: the part is called `files`, the file by its input.
    result = sdk.execute("company.team", "hello", {"files": ("table", io.BytesIO(b"c,d\n3,4\n"), "text/plain")})
    assert "c,d" in result.log


def test_what_is_wrong_is_an_error_of_the_sdk(sdk: Any) -> None:
    import requests

    with pytest.raises(requests.HTTPError, match="404"):
        sdk.execute("company.team", "nothing")
    with pytest.raises(requests.HTTPError, match="422"):
        sdk.execute("company.team", "hello", {"count": "many"})
    with pytest.raises(requests.HTTPError, match="404"):
        sdk.check_status("x" * 22)


def test_outputs_metrics_and_logs_of_the_sdk_inside_of_a_task(house: DaemonHouse) -> None:
    """What the SDK prints is what a script would print; here the real SDK wrote it, and a task of a process prints it."""
    said = subprocess.run(
        [sys.executable, "-c", (
            "from kestra import Kestra\n"
            "Kestra.outputs({'rows': 12, 'nested': {'a': [1]}})\n"
            "Kestra.counter('orders', 12, {'table': 'sales'})\n"
            "Kestra.timer('took', 1.5)\n"
            "Kestra.logger().info('from the SDK')\n"
        )], capture_output=True, text=True, check=True,
    ).stdout
    assert said.count("::{") == 4
    house.push({"script.yaml": SCRIPT % "".join(f"        {line}\n" for line in said.splitlines())})
    wait_for(lambda: len(house.call("GET", "/api/v1/flows/search")["results"]) == 3, "the script to be deployed")
    found = house.call("POST", "/api/v1/executions/company.team/script?wait=true&waitSeconds=60")
    assert found["state"]["current"] == "SUCCESS", house.messages(found["id"])
    (run,) = house.execution(found["id"])["taskRunList"]
    assert run["outputs"]["vars"] == {"rows": 12, "nested": {"a": [1]}}
    metrics = {each["name"]: each for each in house.call("GET", f"/api/v1/metrics/{found['id']}?size=100")["results"]}
    assert (metrics["orders"]["value"], metrics["orders"]["tags"]) == (12, {"table": "sales"})
    assert metrics["took"]["type"] == "timer"
    assert any("from the SDK" in message for message in house.messages(found["id"]))
    names = house.call("GET", "/api/v1/metrics/names/company.team/script")
    assert {"orders", "took"} <= set(names)
    total = house.call("GET", "/api/v1/metrics/aggregates/company.team/script/orders?aggregation=sum")
    assert sum(each["value"] for each in total["aggregations"]) == 12


def test_what_a_daemon_removes_and_remembers(house: DaemonHouse) -> None:
    """Beside the SDK, over the same daemon: an execution is removed and its record stays; a flow that is gone can still be read."""
    made = house.call("POST", "/api/v1/executions/company.team/hello?wait=true")["id"]
    wait_for(lambda: made in house.records() and not house.call("GET", "/health")["unpushed"]["count"], "its record")
    assert house.call("POST", "/api/v1/executions/labels/by-query?flowId=hello", [{"key": "seen", "value": "yes"}])["count"] >= 1
    assert house.call("GET", "/api/v1/executions/search?filters[labels][EQUALS][seen]=yes&filters[flowId][STARTS_WITH]=hel")["total"] >= 1
    house.call("DELETE", f"/api/v1/executions/{made}")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        house.execution(made)
    assert made in house.records()
    house.push({"fails.yaml": None})
    wait_for(lambda: all(each["id"] != "fails" for each in house.call("GET", "/api/v1/flows/search")["results"]), "the flow to go")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        house.call("GET", "/api/v1/flows/company.team/fails")
    last = house.call("GET", "/api/v1/flows/company.team/fails?allowDeleted=true&source=true")
    assert (last["deleted"], last["source"]) == (True, FAILS)
