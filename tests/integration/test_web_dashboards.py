"""Dashboards over HTTP: API and pages, over a real index."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from podium.store.charts.reads import Charts
from podium.store.db import Database
from podium.store.journal import Document, ExecutionRow, enter_document
from podium.store.views import Views
from web_client import Client, serving
from web_demo import World

TEXT = """\
title: <b>Team</b> & co
description: What **we** run
charts:
  - id: states
    type: Pie
    data: {type: Executions, columns: {state: {field: STATE}, n: {agg: COUNT, displayName: "=1+1"}}}
  - id: days
    type: TimeSeries
    chartOptions: {column: day, colorByColumn: state}
    data: {type: Executions, columns: {day: {field: START_DATE}, state: {field: STATE}, n: {agg: COUNT}}}
  - id: rows
    type: Table
    data: {type: Executions, columns: {id: {field: ID}, ns: {field: NAMESPACE}, flow: {field: FLOW_ID}, labels: {field: LABELS}}}
  - {id: flows, type: KPI, data: {type: FlowsKPI, columns: {agg: COUNT}}}
  - id: share
    type: KPI
    chartOptions: {numberType: PERCENTAGE}
    data: {type: ExecutionsKPI, columns: {agg: COUNT}, numerator: [{type: EQUAL_TO, field: STATE, value: FAILED}]}
  - {id: triggers, type: Table, data: {type: Triggers, columns: {t: {field: TRIGGER_ID}}}}
  - {id: text, type: Markdown, content: "# <script>alert(1)</script> hi"}
"""


def stored(name: str, text: str = TEXT) -> dict[str, Any]:
    return {"id": name, "source": "main", "path": f"dashboards/{name}.yaml", "blob": "b" * 40, "commit": "c" * 40, "text": text}


@pytest.fixture
async def database(tmp_path: Path, clock: Any) -> AsyncIterator[Database]:
    found = Database.open(tmp_path / "journal.sqlite")
    now = clock.now()
    rows = [
        ExecutionRow(
            id=f"{number:022}", namespace="company.team" if number % 2 else "other", flow_id="<i>x</i>", revision=1,
            state="FAILED" if number % 4 == 0 else "SUCCESS", created_at=now - timedelta(hours=number + 1), ended_at=now - timedelta(hours=number),
            trigger_id=None, trigger_execution_id=None, parent_id=None, open=False, summary={}, labels={"team": "<x>", "system.a": "b"},
        ) for number in range(40)
    ]
    await Views(found).enter(rows)
    yield found
    found.close()


async def put(database: Database, *documents: dict[str, Any]) -> None:
    def enter(connection: Any) -> None:
        for each in documents:
            enter_document(connection, Document(kind="dashboard", namespace=each["source"], key=each["path"], value=each), "2026-01-01T00:00:00.000Z")

    await database.write(enter)


@pytest.fixture
async def client(clock: Any, database: Database) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill(), charts=Charts(database)) as found:
        yield found


async def test_without_files_there_is_one_of_ours_that_teaches(client: Client) -> None:
    listed = await client.get("/api/v1/dashboards")
    assert [(each["id"], each["builtIn"]) for each in listed.json["results"]] == [("podium", True)]
    page = await client.page("/dashboards")
    assert "Dashboards are files, like flows" in page.text
    one = await client.page("/dashboards/podium")
    assert one.status == 200
    assert "Executions over time" in one.text
    assert (await client.get("/api/v1/main/dashboards/podium")).json["sourceCode"].startswith("title: All executions")


async def test_a_dashboard_is_listed_read_and_drawn(client: Client, database: Database) -> None:
    await put(database, stored("team"))
    assert [each["id"] for each in (await client.get("/api/v1/dashboards?q=TEAM")).json["results"]] == ["team"]
    found = (await client.get("/api/v1/dashboards/team")).json
    assert (found["timeWindow"], found["path"], len(found["charts"])) == ({"default": "P30D", "max": "P366D"}, "dashboards/team.yaml", 7)
    states = await client.post("/api/v1/dashboards/team/charts/states", json={})
    assert states.json == {"results": [{"state": "SUCCESS", "n": 30}, {"state": "FAILED", "n": 10}], "total": 2, "truncated": False, "bucket": "day"}
    share = await client.post("/api/v1/dashboards/team/charts/share", json={"timeRange": "P7D"})
    assert share.json["results"] == [{"value": 25.0}]
    team = {"filters": [{"field": "namespace", "operation": "EQUALS", "value": "company"}]}
    assert (await client.post("/api/v1/dashboards/team/charts/states", json=team)).json["results"] == [{"state": "SUCCESS", "n": 20}]
    text = await client.post("/api/v1/dashboards/team/charts/text", json={})
    assert text.json["results"][0]["content"].startswith("# <script>")
    assert (await client.post("/api/v1/dashboards/team/charts/rows", json={"pageSize": 3, "pageNumber": 14})).json["total"] == 40


async def test_days_without_executions_are_zeros(client: Client, database: Database) -> None:
    await put(database, stored("team"))
    rows = (await client.post("/api/v1/dashboards/team/charts/days", json={"timeRange": "P10D"})).json["results"]
    assert sum(row["n"] for row in rows) == 40
    assert [row["n"] for row in rows[:3]] == [0, 0, 0]
    assert [row["day"] for row in rows] == sorted(row["day"] for row in rows)


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"startDate": "x"}, 422, "startDate"), ({"timeRange": "P400D"}, 422, "startDate"), ({"timeRange": "soon"}, 422, "timeRange"),
        ({"startDate": "2026-01-02", "endDate": "2026-01-01"}, 422, "endDate"), ({"filters": 7}, 422, "filters"),
        ({"filters": [{"field": "x", "operation": "IN", "value": 1}]}, 422, "filters[0]"), ({"namespace": 7}, 422, "namespace"),
        ({"pageSize": 0}, 422, "pageSize"), ({"timeRange": "P99999999999D"}, 422, "timeRange"),
    ],
)
async def test_what_is_asked_wrongly_is_refused_with_its_place(client: Client, body: Any, status: int, path: str) -> None:
    found = await client.post("/api/v1/dashboards/podium/charts/states", json=body)
    assert (found.status, found.json["_embedded"]["errors"][0]["path"]) == (status, path)


async def test_what_is_not_there_is_404(client: Client) -> None:
    assert (await client.get("/api/v1/dashboards/none")).status == 404
    assert (await client.post("/api/v1/dashboards/podium/charts/none", json={})).status == 404
    assert (await client.page("/dashboards/none")).status == 404
    assert (await client.page("/dashboards/podium/charts/none")).status == 404


async def test_csv_has_a_head_and_no_formulas(client: Client, database: Database) -> None:
    await put(database, stored("team"))
    found = await client.get("/api/v1/dashboards/team/charts/states/export/to-csv")
    assert found.headers["Content-Type"].startswith("text/csv")
    assert found.headers["Content-Disposition"] == 'attachment; filename="team-states.csv"'
    assert found.text == "state,'=1+1\r\nSUCCESS,30\r\nFAILED,10\r\n"
    posted = await client.post("/api/v1/dashboards/team/charts/share/export/to-csv", json={})
    assert posted.text == "share\r\n25.0\r\n"
    assert (await client.get("/api/v1/dashboards/team/charts/text/export/to-csv")).status == 422


async def test_texts_are_checked_and_charts_previewed(client: Client) -> None:
    verdict = (await client.post("/api/v1/dashboards/validate", data="title: x\ncharts: [{id: a, type: Pi}]", headers={"Content-Type": "text/plain"})).json
    assert "did you mean" in verdict["problems"][0]["hint"]
    assert "charts[0].type: Invalid type: Pi" in verdict["constraints"]
    chart = "id: c\ntype: KPI\ndata: {type: ExecutionsKPI, columns: {agg: COUNT}}"
    found = await client.post("/api/v1/dashboards/charts/preview", json={"chart": chart, "globalFilter": {"filters": []}})
    assert found.json["results"] == [{"value": 40}]
    assert (await client.post("/api/v1/dashboards/charts/export/to-csv", json={"chart": chart})).text == "c\r\n40\r\n"
    assert (await client.post("/api/v1/dashboards/charts/preview", json={"chart": "id: c"})).status == 422
    assert (await client.post("/api/v1/dashboards/charts/preview", json={})).status == 400


async def test_the_page_reads_without_scripts_and_escapes_all_it_prints(client: Client, database: Database) -> None:
    await put(database, stored("team"))
    page = await client.page("/dashboards/team?whole=true&timeRange=P7D")
    assert page.status == 200
    assert "&lt;b&gt;Team&lt;/b&gt; &amp; co" in page.text
    assert "<script>alert" not in page.text
    assert "<i>x</i>" not in page.text
    assert "&lt;x&gt;" in page.text
    assert "system.a" not in page.text
    assert "25.0<small>%</small>" in page.text
    assert 'href="/api/v1/dashboards/team/charts/states/export/to-csv?' in page.text
    assert '"kind": "Pie"' in page.text
    part = await client.page("/dashboards/team/charts/states?part=true")
    assert part.text.strip().startswith('<section class="card chart')
    assert "<html" in (await client.page("/dashboards/team/charts/states")).text


async def test_a_bad_time_in_the_address_is_told_and_the_page_is_there(client: Client) -> None:
    page = await client.page("/dashboards/podium?timeRange=P9999D")
    assert page.status == 200
    assert "at most 366 days" in page.text


async def test_a_dashboard_that_can_no_longer_be_read_is_left_out(client: Client, database: Database) -> None:
    await put(database, stored("team"), stored("broken", "title: x"))
    assert [each["id"] for each in (await client.get("/api/v1/dashboards")).json["results"]] == ["team"]
    assert (await client.get("/api/v1/dashboards/broken")).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"namespace": "\ud800"}, {"namespace": "a\x00b"}, {"flowId": "'; DROP TABLE executions; --"}, {"endDate": "0001-01-01"}, {"startDate": "9999-12-31"},
        {"endDate": "9999-12-31T23:59:59Z", "timeRange": "P1D"}, {"startDate": "0001-01-01", "endDate": "0001-01-02"}, {"filters": [{"field": "namespace", "value": "\udfff"}]},
        {"timeRange": "-P1D"}, {"timeRange": "PT0S"}, {"pageSize": True}, {"namespace": "x" * 100_000},
    ],
)
async def test_odd_requests_never_break_it(client: Client, database: Database, body: Any) -> None:
    await put(database, stored("team"))
    for chart in ("states", "days", "rows", "flows", "triggers"):
        assert (await client.post(f"/api/v1/dashboards/team/charts/{chart}", data=json.dumps(body), headers={"Content-Type": "application/json"})).status < 500
    query = {key: str(value).encode("utf-8", "replace").decode() for key, value in body.items() if key != "filters"}
    assert (await client.page("/dashboards/team", params=query)).status < 500
    assert (await client.page("/dashboards/team/charts/days", params=query)).status < 500


@pytest.mark.parametrize(
    "where",
    [
        '{type: EQUAL_TO, field: STATE, value: "\\ud800"}', "{type: GREATER_THAN, field: DURATION, value: x}", '{type: CONTAINS, field: FLOW_ID, value: "\\0"}',
        "{type: REGEX, field: FLOW_ID, value: '(a+)+$'}", "{type: IN, field: STATE, values: [1, true, 2.5, 2026-01-01]}", "{type: EQUAL_TO, field: DURATION, value: 1e999}",
        "{type: OR, values: [{type: OR, values: [{type: OR, values: [{type: IS_NULL, field: ID}]}]}]}", "{type: EQUAL_TO, field: FLOW_REVISION, value: 99999999999999999999999}",
    ],
)
async def test_odd_filters_never_break_it(client: Client, where: str) -> None:
    chart = f"id: c\ntype: Table\ndata: {{type: Executions, columns: {{i: {{field: ID}}}}, where: [{where}]}}"
    assert (await client.post("/api/v1/dashboards/charts/preview", json={"chart": chart})).status < 500
