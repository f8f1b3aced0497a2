"""Graphs over HTTP: of a flow, of a text, of an execution with states; which flows start which."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from web_client import Client, serving
from web_demo import ETL, HELLO, World

YAML = {"Content-Type": "application/x-yaml"}


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill()) as made:
        yield made


def tasks(graph: dict[str, Any]) -> set[str]:
    return {each["task"]["id"] for each in graph["nodes"] if "task" in each}


async def test_a_flow_and_its_text_have_the_same_graph(client: Client) -> None:
    flow = (await client.get("/api/v1/main/flows/company.analytics/daily-sales/graph")).json
    assert tasks(flow) == {"extract", "per_region", "transform", "load", "decide", "report", "nothing", "alert"}
    assert {each["triggerDeclaration"]["id"] for each in flow["nodes"] if "triggerDeclaration" in each} == {"every_morning", "on_order"}
    uids = {each["uid"] for each in flow["nodes"]}
    assert {each[end] for each in flow["edges"] for end in ("source", "target")} <= uids
    assert {uid for each in flow["clusters"] for uid in (each["start"], each["end"])} <= uids
    assert {"then", "else"} <= {(each.get("relation") or {}).get("value") for each in flow["edges"]}
    text = await client.post("/api/v1/flows/graph", data=ETL.encode(), headers=YAML)
    assert text.json == flow


async def test_a_text_that_is_no_flow_is_refused_with_its_mistakes(client: Client) -> None:
    for wrong in ("", "id: x\nnamespace: a\ntasks: []\n", "[", "id: x\nnamespace: a\ntasks:\n  - {id: t, type: no.such.Type}\n"):
        answer = await client.post("/api/v1/flows/graph", data=wrong.encode(), headers=YAML)
        assert answer.status in {400, 422}, wrong
        assert answer.json["message"]
    assert (await client.get("/api/v1/flows/company.team/none/graph")).status == 404


async def test_an_execution_has_the_states_of_its_tasks(client: Client) -> None:
    graph = (await client.get(f"/api/v1/executions/{client.world.ids['failed']}/graph")).json
    assert graph["states"]["load"]["state"] == "FAILED"
    assert graph["states"]["transform"]["counts"] == {"SUCCESS": 2}
    assert "report" not in graph["states"]
    assert (await client.get("/api/v1/executions/none/graph")).status == 404


async def test_a_subflow_is_opened_when_asked_for(client: Client) -> None:
    client.world.orchestrator.install(
        HELLO.replace("id: hello", "id: parent") + "  - {id: next, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: hello}\n"
    )
    closed = (await client.get("/api/v1/flows/company.team/parent/graph")).json
    uid = next(each["uid"] for each in closed["nodes"] if each.get("task", {}).get("id") == "next")
    opened = (await client.get("/api/v1/flows/company.team/parent/graph", params={"subflows": uid})).json
    assert len(opened["nodes"]) > len(closed["nodes"])
    found = (await client.get("/api/v1/flows/company.team/hello/dependencies")).json
    assert [(each["source"], each["target"], each["relation"]) for each in found["edges"]] == [("company.team_parent", "company.team_hello", "FLOW_TASK")]
    assert (await client.get("/api/v1/flows/company.team/hello/dependencies?destinationOnly=true")).json["edges"] == []
    assert (await client.get("/api/v1/namespaces/company/dependencies")).json["edges"] == found["edges"]
