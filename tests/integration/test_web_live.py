"""Event streams: following an execution, its log, and all changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from podium.base import limits
from podium.conductor.port import StartRequest
from podium.web import live, server
from podium.web.context import CONTEXT
from podium.web.live import Hub, Subscription
from podium.web.server import serve
from web_client import Client, events, serving, streaming
from web_demo import World
from web_fake import FakeOrchestrator


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill()) as made:
        yield made


async def start(client: Client) -> str:
    view = await client.world.orchestrator.start(StartRequest(namespace="company.team", flow_id="hello"))
    return str(view["id"])


async def test_an_execution_is_followed_to_its_end(client: Client) -> None:
    identifier, orchestrator = await start(client), client.world.orchestrator

    def next_state(event: dict[str, str]) -> bool:
        if event["id"] != "end":
            orchestrator.move(identifier, "RUNNING" if event["id"] == "start" else "SUCCESS")
        return False

    found = await events(client, f"/api/v1/executions/{identifier}/follow", until=next_state)
    assert [each["id"] for each in found] == ["start", "progress", "end"]
    assert [json.loads(each["data"])["state"]["current"] for each in found] == ["CREATED", "RUNNING", "SUCCESS"]


async def test_an_ended_execution_is_shown_once(client: Client) -> None:
    found = await events(client, f"/api/v1/executions/{client.world.ids['success']}/follow", until=lambda _: False)
    assert [each["id"] for each in found] == ["start", "end"]


async def test_a_log_is_followed_and_taken_up_again(client: Client) -> None:
    identifier, orchestrator = await start(client), client.world.orchestrator
    for number in range(3):
        orchestrator.log(identifier, f"line {number}")
    path = f"/api/v1/logs/{identifier}/follow"
    first = await events(client, path, until=lambda event: event["id"] == "2")
    assert [json.loads(each["data"])["message"] for each in first] == ["line 0", "line 1"]

    async def more() -> None:
        await streaming(client.app, identifier)
        await asyncio.sleep(0.1)
        orchestrator.log(identifier, "line 3\nwith a second one")
        orchestrator.move(identifier, "SUCCESS")
        orchestrator.log(identifier, "after the end")

    task = asyncio.create_task(more())
    rest = await events(client, path, until=lambda _: False, headers={"Last-Event-ID": "2"})
    await task
    assert [each["id"] for each in rest if "id" in each] == ["3", "4", "5"]
    assert json.loads(rest[1]["data"])["message"] == "line 3\nwith a second one"
    assert rest[-1]["event"] == "end"


async def test_a_log_is_followed_from_a_level_and_a_place(client: Client) -> None:
    identifier = client.world.ids["failed"]
    found = await events(client, f"/api/v1/logs/{identifier}/follow?minLevel=WARN&afterSeq=3", until=lambda _: False)
    assert [each.get("id") for each in found] == ["5", None]


async def test_changes_are_told(client: Client) -> None:
    identifier, orchestrator = await start(client), client.world.orchestrator

    async def change() -> None:
        await streaming(client.app, identifier)
        orchestrator.move(client.world.ids["running"], "SUCCESS")
        orchestrator.move(identifier, "RUNNING")

    task = asyncio.create_task(change())
    found = await events(client, f"/api/v1/events?executionId={identifier}", until=lambda _: True)
    await task
    assert json.loads(found[0]["data"])["executionId"] == identifier


async def test_streams_are_bounded_in_number(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(FakeOrchestrator(None), streams_max=1)
    async with hub.subscription():
        with pytest.raises(live.LimitError):
            async with hub.subscription():
                pass
    assert hub.open_streams == 0


async def test_a_slow_reader_loses_details_not_memory() -> None:
    subscription = Subscription(None)
    for number in range(limits.STREAM_QUEUE_MAX * 3):
        subscription.offer({"seq": number})
    assert subscription.lagged
    waiting = 0
    while await subscription.next(0.001) is not None:
        waiting += 1
    assert waiting <= limits.STREAM_QUEUE_MAX


async def test_a_reader_is_told_that_it_lost_some(client: Client) -> None:
    async def flood() -> None:
        await streaming(client.app)
        for _ in range(limits.STREAM_QUEUE_MAX * 2):
            client.world.orchestrator.tell(kind="flows")

    task = asyncio.create_task(flood())
    found = await events(client, "/api/v1/events", until=lambda event: event.get("event") == "reset")
    await task
    assert found[-1]["event"] == "reset"


async def test_streams_end_when_the_server_stops(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLOSING_S", 60.0)
    world = await World(clock).fill()
    async with aiohttp.ClientSession() as session:
        app = world.app()
        async with serve(app, port=0) as listening:
            client, begun = Client(session, str(listening.url), world, app), asyncio.Event()
            path = f"/api/v1/executions/{world.ids['running']}/follow"
            reading = asyncio.create_task(events(client, path, until=lambda _: begun.set()))
            await asyncio.wait_for(begun.wait(), 60)
            stopped = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - stopped < 20, "it waited for a stream that never ends"
        assert [each["id"] for each in await reading] == ["start"]


async def test_a_broken_subscription_is_taken_up_again() -> None:
    class Breaking(FakeOrchestrator):
        asked: list[int | None]

        async def subscribe(self, *, after_seq: int | None = None) -> AsyncIterator[dict[str, Any]]:
            self.asked.append(after_seq)
            yield {"seq": len(self.asked), "kind": "flows"}
            raise RuntimeError("gone")

    orchestrator = Breaking(None)
    orchestrator.asked = []
    hub = Hub(orchestrator)
    seen: list[int] = []
    hub.listen(lambda change: seen.append(change["seq"]))
    task = asyncio.create_task(hub.run())
    async with asyncio.timeout(60):
        while len(seen) < 2:
            await asyncio.sleep(0.05)
    task.cancel()
    assert orchestrator.asked[:2] == [None, 1]


async def test_a_paced_stream_says_what_changed_as_one_list(client: Client) -> None:
    orchestrator = client.world.orchestrator
    ids = [client.world.ids[name] for name in ("running", "paused")]

    async def change() -> None:
        await streaming(client.app)
        for _ in range(3):
            for identifier in ids:
                orchestrator.tell(kind="execution", executionId=identifier, namespace="company.team", flowId="hello", state="RUNNING")

    task = asyncio.create_task(change())
    (event,) = await events(client, "/api/v1/events?paceMs=200", until=lambda each: True)
    await task
    assert [each["executionId"] for each in json.loads(event["data"])] == ids
    assert int(event["id"]) == json.loads(event["data"])[-1]["seq"]


async def test_a_paced_stream_does_not_name_very_many(client: Client) -> None:
    async def change() -> None:
        await streaming(client.app)
        for number in range(200):
            client.world.orchestrator.tell(kind="execution", executionId=f"{number:022}", namespace="company.team", flowId="hello", state="RUNNING")

    task = asyncio.create_task(change())
    (event,) = await events(client, "/api/v1/events?paceMs=200", until=lambda each: True)
    await task
    assert event["event"] == "reset"


async def test_many_followers_are_read_for_once(client: Client) -> None:
    """Fifty clients follow state and log; each gets every line once, and the orchestrator is asked as for one."""
    identifier, orchestrator = await start(client), client.world.orchestrator
    asked = {"execution": 0, "logs": 0}
    for name in asked:
        plain = getattr(orchestrator, name)

        async def counted(*given: Any, _name: str = name, _plain: Any = plain, **more: Any) -> Any:
            asked[_name] += 1
            return await _plain(*given, **more)

        setattr(orchestrator, name, counted)
    orchestrator.move(identifier, "RUNNING")
    for number in range(700):
        orchestrator.log(identifier, f"line {number}")
    last = asyncio.Event()
    reached = 0

    def seen(event: dict[str, str]) -> bool:
        nonlocal reached
        reached += event.get("id") == "700"
        if reached == 50:
            last.set()
        return False

    logs = [asyncio.create_task(events(client, f"/api/v1/logs/{identifier}/follow", until=seen)) for _ in range(50)]
    states = [asyncio.create_task(events(client, f"/api/v1/executions/{identifier}/follow", until=lambda _: False)) for _ in range(50)]
    await asyncio.wait_for(last.wait(), 60)
    assert asked["logs"] <= 20, "the past is read once, too"
    for number in range(700, 720):
        orchestrator.log(identifier, f"line {number}")
        orchestrator.tell(kind="logs", executionId=identifier)
        await asyncio.sleep(0.01)
    orchestrator.move(identifier, "SUCCESS")
    for found in await asyncio.gather(*logs):
        assert [each["id"] for each in found if "id" in each] == [str(number) for number in range(1, 721)]
    for found in await asyncio.gather(*states):
        assert found[0]["id"] == "start"
        assert found[-1]["id"] == "end"
    assert asked["logs"] <= 60
    assert asked["execution"] <= 40
    assert client.app[CONTEXT].hub.feeds.open == 0
    assert client.app[CONTEXT].hub.open_streams == 0


async def test_a_reader_that_stops_reading_keeps_nobody_up(client: Client) -> None:
    """What it lacks is read for it when it comes back; nothing is kept for it meanwhile."""
    identifier, orchestrator = await start(client), client.world.orchestrator
    orchestrator.move(identifier, "RUNNING")
    path = f"/api/v1/logs/{identifier}/follow"
    async with client.session.get(client.url + path, read_bufsize=1_024) as slow:
        quick = asyncio.create_task(events(client, path, until=lambda event: event.get("id") == "3000"))
        for number in range(3_000):
            orchestrator.log(identifier, f"line {number} " + "x" * 2_000)
        orchestrator.tell(kind="logs", executionId=identifier)
        assert len(await asyncio.wait_for(quick, 60)) == 3_000
        orchestrator.move(identifier, "SUCCESS")
        got = (await asyncio.wait_for(slow.read(), 60)).count(b"\nid: ")
        assert got == 2_999, "the first has no line before it"


async def test_who_comes_to_a_restarted_execution_gets_no_old_end(client: Client) -> None:
    identifier, orchestrator = await start(client), client.world.orchestrator
    orchestrator.move(identifier, "SUCCESS")
    path = f"/api/v1/executions/{identifier}/follow"
    assert [each["id"] for each in await events(client, path, until=lambda _: False)] == ["start", "end"]
    orchestrator.move(identifier, "RESTARTED")
    again = await events(client, path, until=lambda event: event["id"] == "start")
    assert json.loads(again[0]["data"])["state"]["current"] == "RESTARTED"
