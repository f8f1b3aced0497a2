"""The page of one execution over real HTTP: what its tabs show, the buttons that are possible, the expression box, previews, the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from podium.conductor.port import StartRequest
from podium.web.context import CONTEXT
from web_client import Client, events, serving
from web_demo import World

HOSTILE = b'n,name\n1,"<script>alert(1)</script>"\n2,"\x1b[31mred\x1b[0m"\n'


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill()) as made:
        yield made


async def start(client: Client, flow: str = "hello") -> str:
    view = await client.world.orchestrator.start(StartRequest(namespace="company.team", flow_id=flow))
    return str(view["id"])


def with_file(client: Client, name: str, data: bytes) -> tuple[str, str]:
    """An ended execution with a file of that name among its outputs; its id and the file's URI."""
    identifier = client.world.ids["success"]
    uri = f"kestra:///company/analytics/daily-sales/executions/{identifier}/tasks/extract/{name}"
    client.world.orchestrator.files[uri] = data
    client.world.orchestrator.views[identifier]["taskRunList"][0]["outputs"] = {"file": uri}
    return identifier, uri


@pytest.mark.parametrize(("state", "there", "absent"), [
    ("RUNNING", ["Pause", "Kill"], ["Restart<", "Replay<", "Delete", "Run now"]), ("QUEUED", ["Run now", "Unqueue", "Kill"], ["Pause<", "Replay<"]),
    ("FAILED", ["Restart", "Replay", "Change state", "Delete", "Add labels"], ["Pause<", "Kill<", "Run now"]),
    ("SUCCESS", ["Replay", "Change state", "Delete"], ["Restart<", "Kill<"]), ("KILLING", [], ["Kill<", "Pause<", "Replay<"]),
])
async def test_only_what_is_possible_now_has_a_button(client: Client, state: str, there: list[str], absent: list[str]) -> None:
    identifier = await start(client)
    client.world.orchestrator.move(identifier, state)
    head = (await client.page(f"/executions/{identifier}")).text.split('id="head">')[1].split('id="asks"')[0]
    assert [each for each in there if each not in head] == []
    assert [each for each in absent if each in head] == []


async def test_buttons_work_without_scripts(client: Client) -> None:
    ids, orchestrator = client.world.ids, client.world.orchestrator

    async def press(identifier: str, verb: str, **fields: str) -> Any:
        return await client.post(f"/executions/{identifier}/{verb}", data=fields, headers={"Origin": client.url, "Accept": "text/html"})

    running = await start(client)
    orchestrator.move(running, "RUNNING")
    back = await press(running, "kill", _asked="1", _tab="gantt")
    assert back.headers["Location"] == f"/executions/{running}?tab=gantt"
    again = await press(ids["success"], "replay", _inputs="1", _revision="2", _taskRunId="", day="2026-02-01")
    made = again.headers["Location"].rsplit("/", 1)[1]
    assert orchestrator.views[made]["inputs"]["day"] == "2026-02-01"
    assert orchestrator.views[made]["parentId"] == ids["success"]
    wrong = await press(ids["success"], "replay", _inputs="1", day="no day")
    assert wrong.status == 422
    assert 'value="no day"' in wrong.text
    run = orchestrator.views[ids["failed"]]["taskRunList"][0]["id"]
    assert (await press(ids["failed"], "state", _taskRunId=run, _state="SUCCESS")).status == 303
    gone = await start(client)
    assert (await press(gone, "delete")).status == 409
    orchestrator.move(gone, "SUCCESS")
    assert "/executions?" in (await press(gone, "delete")).headers["Location"]
    assert gone not in orchestrator.views


async def test_an_expression_is_tried_by_the_api_and_by_the_page(client: Client) -> None:
    identifier = client.world.ids["success"]
    run = client.world.orchestrator.views[identifier]["taskRunList"][0]["id"]
    text = {"Content-Type": "text/plain", "Origin": client.url}
    for path in (f"/api/v1/executions/{identifier}/eval", f"/api/v1/main/executions/{identifier}/eval/{run}"):
        answered = await client.post(path, data="{{ execution.id }}", headers=text)
        assert answered.json == {"result": identifier}
    assert (await client.post(f"/api/v1/executions/{identifier}/eval", data="{{ broken }}", headers=text)).json["stackTrace"]
    assert (await client.post(f"/api/v1/executions/{identifier}/eval/nope", data="x", headers=text)).status == 404
    assert (await client.post(f"/api/v1/executions/{identifier}/eval", data=" ", headers=text)).status == 400
    assert (await client.post(f"/api/v1/executions/{identifier}/eval", data="x" * 300_000, headers=text)).status == 413
    page = await client.post(f"/executions/{identifier}/try", data={"_expression": "{{ execution.id }} <b>"}, headers={"Origin": client.url, "Accept": "text/html"})
    assert f"{identifier} &lt;b&gt;</pre>" in page.text


async def test_files_are_shown_for_what_they_are(client: Client) -> None:
    async def shown(name: str, data: bytes, **query: str) -> str:
        identifier, uri = with_file(client, name, data)
        page = await client.page(f"/executions/{identifier}", params={"tab": "files", "path": uri, **query})
        assert page.status == 200, page.text
        assert "<script>alert" not in page.text
        return page.text.split('id="preview"')[1]

    table = await shown("orders.csv", HOSTILE)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in table
    assert "2 rows" in table
    assert "<th>deep</th>" in await shown("rows.jsonl", b'{"n": 1, "deep": {"x": 1}}\n')
    assert "<strong>bold</strong>" in await shown("note.md", b"**bold** <script>alert(1)</script>")
    assert "gr\u00f6\u00dfe" in await shown("text.txt", "größe".encode("latin-1"), encoding="latin-1")
    assert "Part 2 of 3" in await shown("long.txt", b"x" * 300_000, page="2")
    assert "[3]" in await shown("tree.json", b'{"a": [1, 2, 3]}')
    assert "no preview" in await shown("data.bin", bytes(range(256)))
    assert "cannot be shown as a table" in await shown("table.parquet", b"PAR1")


async def test_a_picture_cannot_do_anything(client: Client) -> None:
    identifier, uri = with_file(client, "pic.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    answered = await client.get(f"/executions/{identifier}/picture", params={"path": uri})
    assert answered.headers["Content-Type"] == "image/svg+xml"
    assert "sandbox" in answered.headers["Content-Security-Policy"]
    assert "script-src" not in answered.headers["Content-Security-Policy"]
    assert answered.headers["X-Content-Type-Options"] == "nosniff"
    other = client.world.ids["failed"]
    assert (await client.get(f"/executions/{other}/picture", params={"path": "kestra:///a/b/executions/nope/x.png"})).status == 404
    identifier, page = with_file(client, "page.html", b"<script>alert(1)</script>")
    assert (await client.get(f"/executions/{identifier}/picture", params={"path": page})).status == 404


async def test_lines_come_by_pages_and_are_found(client: Client) -> None:
    identifier, orchestrator = await start(client), client.world.orchestrator
    for number in range(2_500):
        orchestrator.log(identifier, f"line {number}", level="ERROR" if number % 100 == 0 else "INFO")
    index = (await client.get(f"/executions/{identifier}/lines/index")).json
    assert index == {"total": 2_500, "every": 1_000, "after": [0, 1_000, 2_000]}
    page = (await client.get(f"/executions/{identifier}/lines?after={index['after'][2]}")).json
    assert [page[0][6], page[-1][6], len(page)] == ["line 2000", "line 2499", 500]
    found = (await client.get(f"/executions/{identifier}/lines/found?q=LINE 1200")).json
    assert found == {"found": [[1_200, 1_201]], "more": False}
    assert (await client.get(f"/executions/{identifier}/lines/index?minLevel=ERROR")).json["total"] == 25
    assert 'id="L1300"' in (await client.page(f"/executions/{identifier}?tab=logs&line=1300")).text
    assert (await client.get("/executions/nope/lines")).status == 404


async def test_the_page_is_followed_by_one_stream(client: Client) -> None:
    """Pieces of the page once, then only those that changed; task runs whole, then those that changed; lines after the last one known."""
    identifier, orchestrator = await start(client), client.world.orchestrator
    orchestrator.move(identifier, "RUNNING")
    orchestrator.task_run(identifier, "first", ("CREATED", 0), ("RUNNING", 1))
    told: list[dict[str, Any]] = []

    def step(event: dict[str, str]) -> bool:
        told.append({**event, "data": json.loads(event["data"])})
        if event.get("event") == "runs" and told[-1]["data"]["all"]:
            orchestrator.task_run(identifier, "second", ("CREATED", 1))
            orchestrator.move(identifier, "SUCCESS")
        return event.get("event") == "end"

    await events(client, f"/executions/{identifier}/live?tab=gantt", until=step)
    parts = [each["data"]["id"] for each in told if each.get("event") == "part"]
    assert parts[:2] == ["head", "asks"]
    assert parts[2:] == ["head"], "what did not change is not sent again"
    rows = [[row[1] for row in each["data"]["rows"]] for each in told if each.get("event") == "runs"]
    assert rows[0] == ["first"]
    assert rows[-1] == ["second"]
    last = [each for each in told if each.get("event") == "part" and each["data"]["id"] == "head"][-1]
    assert "s-SUCCESS" in last["data"]["html"]
    for number in range(3):
        orchestrator.log(identifier, f"line {number}")
    lines = await events(client, f"/executions/{identifier}/live?tab=logs&afterSeq=1", until=lambda event: event.get("event") == "end")
    assert [json.loads(each["data"])[6] for each in lines if each.get("event") == "line"] == ["line 1", "line 2"]
    resumed = await events(client, f"/executions/{identifier}/live?tab=logs", until=lambda event: event.get("event") == "end", headers={"Last-Event-ID": "2"})
    assert [each["id"] for each in resumed if each.get("event") == "line"] == ["3"]


async def test_many_followers_of_one_page_cost_one_rendering(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium.web.pages.executions import live, page

    identifier, orchestrator = await start(client), client.world.orchestrator
    orchestrator.move(identifier, "RUNNING")
    drawn = 0

    async def counted(*given: Any) -> Any:
        nonlocal drawn
        drawn += 1
        return await page.parts_of(*given)

    monkeypatch.setattr(live, "parts_of", counted)
    ready = 0

    async def follow() -> None:
        def step(event: dict[str, str]) -> bool:
            nonlocal ready
            ready += event.get("event") == "part" and '"id":"tab"' in event["data"] and "Running" in event["data"]
            return event.get("event") == "end"

        await events(client, f"/executions/{identifier}/live?tab=overview", until=step)

    tasks = [asyncio.create_task(follow()) for _ in range(20)]
    async with asyncio.timeout(60):
        while ready < 20:
            await asyncio.sleep(0.01)
    assert client.app[CONTEXT].hub.feeds.open == 2, "the state and the pieces, once for all"
    orchestrator.move(identifier, "SUCCESS")
    await asyncio.gather(*tasks)
    assert drawn <= 4
    assert client.app[CONTEXT].hub.feeds.open == 0
