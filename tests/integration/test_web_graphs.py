"""Graphs over the API: of a flow, a text, an execution, and what flows have to do with each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from web_client import Client, serving
from web_demo import ETL, World

YAML = {"Content-Type": "application/x-yaml"}


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill()) as made:
        yield made


async def test_a_flow_and_its_text_give_the_same_graph(client: Client) -> None:
    deployed = (await client.get("/api/v1/flows/company.analytics/daily-sales/graph")).json
    text = (await client.post("/api/v1/main/flows/graph", data=ETL, headers=YAML)).json
    uids = [each["uid"] for each in deployed["nodes"]]
    assert "root.per_region.transform" in uids
    assert uids == [each["uid"] for each in text["nodes"]]
    assert (await client.get("/api/v1/flows/company.analytics/nope/graph")).status == 404
    for bad in ("id: x", "", "a: [", "id: x\nnamespace: y\ntasks: [{id: a, type: nope}]"):
        answer = await client.post("/api/v1/flows/graph", data=bad, headers=YAML)
        assert answer.status == 422, bad
        assert answer.json["message"]


async def test_an_execution_has_the_states_of_its_tasks(client: Client) -> None:
    graph = (await client.get(f"/api/v1/executions/{client.world.ids['failed']}/graph")).json
    assert "FAILED" in {each["state"] for each in graph["states"].values()}
    assert (await client.get("/api/v1/executions/nope/graph")).status == 404


async def test_dependencies_are_those_of_deployed_flows(client: Client) -> None:
    found = (await client.get("/api/v1/flows/company.analytics/daily-sales/dependencies?expandAll=true")).json
    assert {"uid": "company.analytics_daily-sales", "namespace": "company.analytics", "id": "daily-sales", "deployed": True} in found["nodes"]
    assert (await client.get("/api/v1/flows/a/b/dependencies")).status == 404
    assert (await client.get("/api/v1/namespaces/company.analytics/dependencies")).status == 200
