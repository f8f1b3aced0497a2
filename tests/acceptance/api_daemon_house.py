"""A real daemon with what the seeds of the API (tests/api_seeds.py) name: flows, executions in every state, files, keys, a dashboard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon_house import DaemonHouse, daemon_house, wait_for

ETL = """id: daily-sales
namespace: company.analytics
labels: {team: data}
inputs:
  - {id: day, type: STRING, defaults: "2026-01-04"}
  - {id: table, type: FILE, required: false}
tasks:
  - id: extract
    type: io.kestra.plugin.core.debug.Return
    format: "{{ inputs.day }}"
  - id: measure
    type: io.kestra.plugin.core.metric.Publish
    metrics:
      - {name: rows, type: counter, value: 1240, tags: {table: orders}}
  - id: report
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.extract.value }} is done"
triggers:
  - {id: every_morning, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 6 * * *"}
  - {id: on_order, type: io.kestra.plugin.core.trigger.Webhook, key: s3cret}
outputs:
  - {id: day, type: STRING, value: "{{ outputs.extract.value }}"}
"""
LOG = "tasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: Hello}\n"
FLOWS = {
    "daily-sales": ETL, "hello": f"id: hello\nnamespace: company.team\n{LOG}",
    "broken": "id: broken\nnamespace: company.team\ninputs:\n  - {id: day, type: STRING, required: false}\n"
              "tasks:\n  - {id: fail, type: io.kestra.plugin.core.execution.Fail}\n",
    "release": "id: release\nnamespace: company.team\ntasks:\n  - id: approve\n    type: io.kestra.plugin.core.flow.Pause\n"
               "    onResume:\n      - {id: approved, type: BOOLEAN, required: false}\n",
    "review": "id: review\nnamespace: company.team\ntasks:\n  - {id: decide, type: io.kestra.plugin.core.flow.Approval}\n",
    "long": "id: long\nnamespace: company.team\ntasks:\n  - {id: sleep, type: io.kestra.plugin.core.flow.Sleep, duration: PT1H}\n",
    "single": "id: single\nnamespace: company.queues\nconcurrency: {limit: 1}\n"
              "tasks:\n  - {id: sleep, type: io.kestra.plugin.core.flow.Sleep, duration: PT1H}\n",
    "spare": f"id: spare\nnamespace: company.spare\n{LOG}", "spare2": f"id: spare2\nnamespace: company.spare\n{LOG}",
    "spare3": f"id: spare3\nnamespace: company.spare\n{LOG}",
}
DASHBOARD = """title: Overview
charts:
  - id: over_time
    type: io.kestra.plugin.core.dashboard.chart.TimeSeries
    chartOptions: {column: date}
    data:
      type: io.kestra.plugin.core.dashboard.data.Executions
      columns:
        date: {field: START_DATE}
        total: {agg: COUNT}
"""
_STATES = {"success": "SUCCESS", "failed": "FAILED", "paused": "PAUSED", "review": "PAUSED", "running": "RUNNING", "queued": "QUEUED"}
_FLOWS = {
    "success": "company.analytics/daily-sales", "failed": "company.team/broken", "paused": "company.team/release", "review": "company.team/review",
    "running": "company.team/long", "queued": "company.queues/single",
}


class Fresh(Mapping[str, str]):
    """Name of a state → the id of an execution in it, which is started when it is asked for. `success` stays the same."""

    def __init__(self, house: DaemonHouse) -> None:
        self._house = house
        self._kept: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name in self._kept:
            return self._kept[name]
        path = f"/api/v1/executions/{_FLOWS[name]}"
        for _ in range(3 if name == "queued" else 1):
            identifier = str(self._house.call("POST", path)["id"])
            wait_for(lambda: self._house.execution(identifier)["state"]["current"] in {"RUNNING", _STATES[name]}, f"an execution to begin: {name}")  # noqa: B023
            if name == "queued" and self._house.execution(identifier)["state"]["current"] == "QUEUED":
                return identifier
        wait_for(lambda: self._house.execution(identifier)["state"]["current"] == _STATES[name], f"an execution to be {_STATES[name]}")
        if name == "success":
            self._kept[name] = identifier
        return identifier

    def __iter__(self) -> Iterator[str]:
        return iter(_FLOWS)

    def __len__(self) -> int:
        return len(_FLOWS)


@contextmanager
def api_daemon(root: Path, port: int, settings: str = "") -> Iterator[DaemonHouse]:
    """The daemon, with all of it deployed."""
    with daemon_house(root, port, settings) as house:
        files = {f"{name}.yaml": text for name, text in FLOWS.items()}
        house.push({**files, "dashboards/overview.yaml": DASHBOARD, "scripts/a.sql": "select 1\n", "_files/company.analytics/notes.txt": "hello\n"})
        wait_for(lambda: len(house.call("GET", "/api/v1/flows/search?size=100")["results"]) == len(FLOWS), "the flows to be deployed")
        time.sleep(0.2)
        yield house


def upload(house: DaemonHouse) -> Any:
    """An execution of daily-sales with a file as its input: (id, URI)."""
    boundary = "x" * 20
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="table"; filename="orders.csv"\r\nContent-Type: text/csv\r\n\r\n'
        f"day,total\n2026-01-04,10\n\r\n--{boundary}--\r\n"
    ).encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    made = house.call("POST", "/api/v1/executions/company.analytics/daily-sales?wait=true", body, headers)
    return made["id"], made["inputs"]["table"]
