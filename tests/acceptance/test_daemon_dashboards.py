"""Dashboards written over the API of a real daemon: each change is a commit, deployed when it is answered."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_house import DaemonHouse, daemon_house

BOARD = "title: My board\ncharts:\n  - {id: n, type: KPI, data: {type: ExecutionsKPI, columns: {agg: COUNT}}}\n"
FLOW = "id: hello\nnamespace: company.team\ntasks:\n  - {id: hello, type: io.kestra.plugin.core.log.Log, message: Hello}\n"


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[DaemonHouse]:
    with daemon_house(tmp_path, free_port) as found:
        found.push({"flows/hello.yaml": FLOW})
        found.deployed("company.team", "hello")
        yield found


def send(house: DaemonHouse, method: str, path: str, text: str | None = None, **headers: str) -> tuple[int, Any]:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{house.port}/api/v1{path}", method=method, data=text.encode() if text is not None else None,
        headers={"Content-Type": "application/x-yaml", "Podium-Client": "test", **headers},
    )
    try:
        with urllib.request.urlopen(asked, timeout=120) as answer:
            raw = answer.read()
            return answer.status, json.loads(raw) if raw else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_dashboard_is_added_changed_and_removed_as_commits(house: DaemonHouse) -> None:
    status, made = send(house, "POST", "/dashboards", BOARD)
    assert (status, made["id"], made["path"]) == (200, "my-board", "dashboards/my-board.yaml"), made
    assert made["deployment"]["deployed"]
    house.git("pull", "--quiet", "origin", "main")
    assert (house.work / "dashboards" / "my-board.yaml").read_text("utf-8") == BOARD
    assert send(house, "POST", "/dashboards/my-board/charts/n", "{}", **{"Content-Type": "application/json"})[1]["results"] == [{"value": 0}]
    assert send(house, "POST", "/dashboards", BOARD)[0] == 422
    assert send(house, "POST", "/dashboards", BOARD, Origin="http://evil.example")[0] == 403
    status, refused = send(house, "PUT", "/dashboards/my-board", BOARD.replace("KPI,", "KPJ,"))
    assert (status, refused["_embedded"]["errors"][0]["path"]) == (422, "charts[0].type")
    assert send(house, "PUT", "/dashboards/my-board", f"id: other\n{BOARD}")[0] == 422
    status, changed = send(house, "PUT", "/dashboards/my-board", BOARD.replace("My board", "Ours"))
    assert (status, changed["title"]) == (200, "Ours"), changed
    assert send(house, "GET", "/dashboards/my-board")[1]["title"] == "Ours"
    house.stop()
    house.start()
    assert send(house, "GET", "/dashboards/my-board")[1]["title"] == "Ours"
    assert send(house, "DELETE", "/dashboards/my-board")[0] == 204
    assert send(house, "GET", "/dashboards/my-board")[0] == 404
    assert send(house, "DELETE", "/dashboards/podium")[0] == 409
    assert send(house, "POST", "/dashboards", "title: [")[0] == 422
