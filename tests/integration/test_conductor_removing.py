"""Executions and logs that a person removes, and figures over time, on a real index: what has ended goes, what runs and what is in Git stays."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import House, house

from podium.base.errors import ConflictError, NotFound
from podium.conductor.port import StartRequest
from podium.engine.shape.view import iso
from podium.store.journal import Batch

FLOW = "id: f\nnamespace: n.team\ntasks:\n  - {id: say, type: io.kestra.plugin.scripts.shell.Commands, commands: [hello]}\n"
WAITS = "id: w\nnamespace: n.team\ntasks:\n  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\n"


@pytest.fixture
async def h(tmp_path: Path, clock: Any) -> AsyncIterator[House]:
    async with house(tmp_path, clock=clock) as opened:
        await opened.deploy(FLOW, WAITS)
        yield opened


async def run(h: House, flow_id: str = "f") -> str:
    view = await h.podium.start(StartRequest(namespace="n.team", flow_id=flow_id))
    if flow_id == "f":
        await h.podium.wait(view["id"], timeout_s=20)
    return str(view["id"])


async def test_an_execution_is_removed_with_what_is_named(h: House) -> None:
    kept, gone = await run(h), await run(h)
    uri = f"kestra:///n/team/f/executions/{gone}/tasks/say/r/x"
    h.files.put(uri, b"1")
    await h.podium.delete_execution(gone, files=False)
    with pytest.raises(NotFound):
        await h.podium.execution(gone)
    assert [each["id"] for each in (await h.podium.list_executions()).found] == [kept]
    assert (await h.podium.search_logs(query="ran say"))[1] == 1
    assert h.files.exists(uri), "files were to stay"
    with pytest.raises(NotFound):
        await h.podium.delete_execution(gone)


async def test_what_has_not_ended_is_not_removed(h: House) -> None:
    waiting = await run(h, "w")
    with pytest.raises(ConflictError, match="has ended"):
        await h.podium.delete_execution(waiting)
    assert (await h.podium.execution(waiting))["id"] == waiting


async def test_logs_are_removed_and_do_not_come_back_from_the_record(h: House) -> None:
    one, other = await run(h), await run(h)
    await h.podium.delete_logs(one)
    assert await h.podium.logs(one) == []
    assert [each["message"] for each in await h.podium.logs(other)] == ["ran say"]
    assert await h.podium.delete_flow_logs("n.team", "f", trigger_id="nope") == 0
    assert await h.podium.delete_flow_logs("n.team", "f") == 1
    assert (await h.podium.search_logs())[1] == 0
    with pytest.raises(NotFound):
        await h.podium.delete_logs("x" * 22)


async def test_figures_over_time(h: House, clock: Any) -> None:
    for _ in range(3):
        await run(h)
    waiting = await run(h, "w")
    start, end = clock.now() - timedelta(days=1), clock.now() + timedelta(minutes=1)
    rows = await h.podium.executions_over_time(start=start, end=end, bucket="day", by=("namespace", "flow_id"))
    assert {(row["flow_id"], row["state"], row["count"]) for row in rows} >= {("f", "SUCCESS", 3)}
    assert sum(row["count"] for row in rows) == 4, waiting
    assert await h.podium.executions_over_time(start=start, end=end, bucket="hour", namespace="other") == []
    assert await h.podium.executions_over_time(start=start, end=end, bucket="hour", namespaces=[]) == []
    (day,) = await h.podium.logs_over_time(start=start, end=end, bucket="day", namespace="n")
    assert (day["level"], day["count"]) == ("INFO", 3)
    metric = {"namespace": "n.team", "flowId": "f", "taskId": "count", "taskRunId": "r", "type": "counter", "name": "rows", "value": 3, "tags": {}}
    measured = [{**metric, "executionId": f"{number:022d}", "timestamp": iso(clock.now())} for number in range(3)]
    await h.journal.commit(Batch(metrics=measured), clock.now())
    assert await h.podium.metric_names("n.team", "f") == ["rows"]
    assert await h.podium.metric_names("n.team", "f", task_id="say") == []
    assert await h.podium.metric_tasks("n.team", "f") == ["count"]
    for aggregate, value in (("sum", 9), ("avg", 3), ("max", 3)):
        found = await h.podium.metric_values("n.team", "f", "rows", start=start, end=end, bucket="day", aggregate=aggregate)
        assert list(found.values()) == [value], aggregate


async def test_keys_are_searched_over_namespaces_and_expire(h: House, clock: Any) -> None:
    for namespace, key in (("n", "a-one"), ("n.team", "a-two"), ("nx", "a-three"), ("n.team", "b")):
        await h.podium.kv_put(namespace, key, 1, kind="NUMBER", ttl_s=60 if key == "b" else None)
    found, total = await h.podium.kv_search(text="A-", namespace="n", size=1)
    assert ([(each["namespace"], each["key"], each["type"]) for each in found], total) == ([("n", "a-one", "NUMBER")], 2)
    assert (await h.podium.kv_search(namespaces=["nx"]))[1] == 1
    assert not await h.podium.kv_expired("n.team", "b")
    clock.advance(120)
    assert await h.podium.kv_expired("n.team", "b")
    assert not await h.podium.kv_expired("n.team", "never")
    assert (await h.podium.kv_search())[1] == 3
