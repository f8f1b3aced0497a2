"""The pages as HTML: what each shows, what its forms do, and that nothing foreign gets in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest

from podium.conductor.port import StartRequest
from web_client import Client, serving
from web_demo import EVIL, HELLO, World

FLOW = "/flows/company.analytics/daily-sales"


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill()) as made:
        yield made


@pytest.fixture
async def empty(clock: Any) -> AsyncIterator[Client]:
    async with serving(World(clock)) as made:
        yield made


class Tags(HTMLParser):
    """Collects tags and what would be a script."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []
        self.handlers: list[str] = []
        self.styles: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "script":
            self.scripts.append(found)
        self.handlers += [name for name in found if name.startswith("on")]
        if tag == "style" or "style" in found:
            self.styles.append(tag)
        self.links += [str(found[name]) for name in ("href", "src", "action") if found.get(name)]
        if "id" in found:
            self.ids.append(str(found["id"]))
        if tag not in {"meta", "link", "input", "img", "br", "wbr", "hr", "col"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"{tag} closes {self.open[-1:]}")
        else:
            self.open.pop()


def checked(text: str) -> Tags:
    """The tags of a page that holds no script of its own, no inline style, no unsafe link, and is well nested."""
    tags = Tags()
    tags.feed(text)
    assert all(str(each.get("src", "")).startswith("/assets/") or each.get("type") == "application/json" for each in tags.scripts), tags.scripts
    assert tags.handlers == []
    assert tags.styles == []
    assert not [each for each in tags.links if re.match(r"\s*(javascript|data|vbscript):", each, re.IGNORECASE)]
    assert tags.wrong == []
    assert [each for each in tags.open if each not in {"rect", "path", "circle"}] == []
    assert len(tags.ids) == len(set(tags.ids)), sorted(each for each in tags.ids if tags.ids.count(each) > 1)
    return tags


def pages(world: World) -> dict[str, list[str]]:
    ids = world.ids
    return {
        "/": ["in progress", "succeeded", "Failed lately", "duplicate key value", "Running now", "Source main", "f-FAILED"],
        "/?range=7d&namespace=company.team": ["In progress".lower(), "checked"],
        "/flows": ["daily-sales", "company.analytics", "Disabled", "never ran", "Loads yesterday&#39;s sales", "s-SUCCESS"],
        "/flows?namespace=company.team&q=hello": ["hello", 'value="hello"'],
        FLOW: ["<strong>yesterday's sales</strong>", "per_region", "ForEach", "then", "tier", "gold", "Last executions", "analytics/daily-sales.yaml", "02c0ffee"],
        f"{FLOW}?revision=1": ["silver", "the newest is 2"],
        f"{FLOW}?tab=run": ["The day to load.", 'name="regions" value="north" checked', "Labels and start time"],
        f"{FLOW}?tab=source": ['class="y-key">namespace', "{{ inputs.day }}", 'id="L12"'],
        f"{FLOW}?tab=revisions": ["tier: silver", "tier: gold", "d-added", "d-removed"],
        f"{FLOW}?tab=revisions&left=2&right=2": ["nothing to compare"],
        f"{FLOW}?tab=triggers": ["every_morning", "0 6 * * * (Europe/Paris)", "in 21 h", "/api/v1/executions/webhook/company.analytics/daily-sales/s3cret", 'role="switch"'],
        "/flows/company.team/hello?tab=triggers": ["Nothing starts this flow by itself"],
        "/executions": ["34", "s-FAILED", "Page 1 of 2", "by hand"],
        "/executions?page=2": ["Page 2 of 2"],
        "/executions?state=FAILED&flowId=daily-sales&labels=run:manual": [ids["failed"], 'value="run:manual"'],
        "/executions?q=nothing-like-this": ["No execution matches"],
        f"/executions/{ids['failed']}": ["s-FAILED", "Restart", "Replay", "Why it failed", "exit code 1", "f-FAILED", "Started by", "tab=logs&amp;taskRunId="],
        f"/executions/{ids['failed']}?tab=gantt": ["exit code 1", "alpine:3", "load", "south", "f-FAILED", "Replay from here", "2 attempts"],
        f"/executions/{ids['failed']}?tab=logs": ["duplicate key value", "l-ERROR", "Download"],
        f"/executions/{ids['failed']}?tab=logs&minLevel=ERROR": ["duplicate key value"],
        f"/executions/{ids['failed']}?tab=logs&q=1240": ["1240 rows fetched"],
        f"/executions/{ids['failed']}?tab=topology": ["topology-graph", "extract"],
        f"/executions/{ids['failed']}/replay": ['name="day"', "2026-01-04", "the beginning"],
        f"/executions/{ids['success']}": ["took", "every_morning", "https://git.example.org/company/flows/commit/02c0ffee", "Executions it started", "Variables", "system.correlationId", "2026-01-04"],
        f"/executions/{ids['success']}?tab=gantt": ["6 task runs"],
        f"/executions/{ids['success']}?tab=outputs": ["1240", "orders.csv", "Try an expression", "{{ outputs.", "outputs.extract"],
        f"/executions/{ids['success']}?tab=files": ["orders.csv", "outputs.extract"],
        f"/executions/{ids['success']}?tab=trigger": ["every_morning", "2026-01-05T06:00:00+01:00"],
        f"/executions/{ids['success']}?tab=metrics": ["rows", "counter", "1240", "3.2 s", "table"],
        f"/executions/{ids['success']}?tab=record": ["executions/2026/01/05/07/", "ab54a98c", "&#34;schema&#34;: 1"],
        f"/executions/{ids['running']}": ["s-RUNNING", "Kill", "Pause", "data-since="],
        f"/executions/{ids['running']}?tab=logs": ["data-log=", "Hello"],
        f"/executions/{ids['running']}?tab=record": ["Not committed yet"],
        f"/executions/{ids['running']}?tab=metrics": ["No task published a metric"],
        f"/executions/{ids['paused']}": ["It is paused", "approved", "Ship it?", "Resume"],
        "/triggers": ["every_morning", "on_order", "Backfill"],
        "/triggers?q=nope": ["No trigger matches"],
        "/syncs": ["https://git.example.org/company/flows.git", "7 of 9 flows vanished", "Confirm the removal", "team/broken.yaml:6:11", "did you mean io.kestra.plugin.core.log.Log?", "1 accepted", "1 refused"],
        "/flows?label=team:data&sort=last:desc": ["daily-sales", "1</small>"],
        "/flows?q=no-such-flow": ["No flow matches"],
        "/executions?kind=main&triggerId=every_morning&range=24h&sort=duration:desc": ["every_morning", "aria-sort=\"descending\""],
        "/logs": ["duplicate key value", "row 17: &lt;script&gt;", "l-WARN", "tab=logs"],
        "/logs?q=1240&minLevel=INFO&namespace=company.analytics": ["1240 rows fetched", "50,000"],
        "/logs?q=nothing-like-this": ["No line matches"],
        "/search?q=hello": ["hello", "company.team"],
        "/search": ["What are you looking for?"],
    }


async def test_every_page_shows_what_it_is_for(client: Client) -> None:
    for path, wanted in pages(client.world).items():
        answered = await client.page(path)
        assert answered.status == 200, (path, answered.text)
        assert answered.headers["Content-Type"] == "text/html; charset=utf-8"
        missing = [text for text in wanted if text not in answered.text]
        assert missing == [], (path, missing)
        checked(answered.text)
        assert EVIL not in answered.text, path


async def test_pages_are_quick_and_small(client: Client) -> None:
    loop = asyncio_time()
    started = loop()
    for path in ("/", "/executions", f"/executions/{client.world.ids['success']}"):
        assert len((await client.page(path)).body) < 60_000
    assert loop() - started < 1.5


def asyncio_time() -> Any:
    import asyncio

    return asyncio.get_running_loop().time


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", "podium init"), ("/flows", "No source is connected"), ("/executions", "Nothing has run yet"), ("/logs", "There are no logs yet"), ("/triggers", "No flow has a trigger"),
        ("/syncs", "podium.toml"), ("/search?q=x", "Nothing matches"),
    ],
)
async def test_an_empty_daemon_says_what_to_do_next(empty: Client, path: str, wanted: str) -> None:
    answered = await empty.page(path)
    assert answered.status == 200
    assert wanted in answered.text
    checked(answered.text)


async def test_pages_of_what_is_not_there(client: Client) -> None:
    for path in ("/nope", "/flows/a/b", "/executions/nope", f"{FLOW}?tab=nope", f"/executions/{client.world.ids['failed']}?tab=nope", "/assets/../server.py", "/assets/nope.css", "/assets/%2e%2e%2fauth.py", f"/flows/{EVIL.replace('/', '%2F')}/x"):
        answered = await client.page(path)
        assert answered.status == 404, path
        if not path.startswith("/assets"):
            assert "There is nothing here" in answered.text
            checked(answered.text)
            assert EVIL not in answered.text
    assert (await client.page("/executions?page=x")).status == 422
    assert (await client.get("/nope")).headers["Content-Type"].startswith("application/json")
    assert (await client("PUT", "/flows", headers={"Accept": "text/html"})).status == 405


async def test_assets_are_kept_by_browsers_while_they_are_the_same(client: Client) -> None:
    page = (await client.page("/")).text
    (address,) = set(re.findall(r"/assets/podium\.css\?v=\w+", page))
    kept = await client.get(address)
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert kept.headers["Content-Type"].startswith("text/css")
    assert (await client.get("/assets/podium.css")).headers["Cache-Control"] == "no-cache"


async def test_nothing_foreign_becomes_markup(client: Client) -> None:
    """Attacks in every text a flow's author or a caller controls."""
    orchestrator = client.world.orchestrator
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    text = HELLO.replace("description: Says hello.", f"description: |\n  {evil}\n  [x](javascript:alert(1))\nlabels:\n  evil: '{evil}'\ninputs:\n  - id: who\n    type: SELECT\n    displayName: '{evil[:60]}'\n    description: '{evil}'\n    values: ['{evil}']\n    defaults: '{evil}'\ntriggers:\n  - id: hook\n    type: io.kestra.plugin.core.trigger.Webhook\n    key: 'k{evil}'")
    made = orchestrator.install(text.replace("id: hello", "id: evil"), path=f"a/{evil}.yaml")
    key = ("company.team", "evil")
    orchestrator.current[key] = orchestrator.history[key][-1] = replace(made, flow_id="evil", commit=evil)
    view = await orchestrator.start(StartRequest(namespace="company.team", flow_id="evil", labels={evil: evil}, trigger={"id": evil, "type": evil, "variables": {evil: evil}}))
    identifier = view["id"]
    run = orchestrator.task_run(identifier, evil, ("CREATED", 0), ("RUNNING", 1), ("FAILED", 2), value=evil, outputs={evil: evil, "uri": f"kestra:///a/executions/{identifier}/{evil}"})
    run["attempts"][0]["error"] = evil
    orchestrator.log(identifier, evil, task=evil)
    orchestrator.move(identifier, "FAILED")
    orchestrator.views[identifier] |= {"outputs": {evil: [evil]}, "variables": {"v": evil}}
    orchestrator.numbers[identifier] = [{"taskId": evil, "name": evil, "type": evil, "value": 1, "tags": {evil: evil}}]
    orchestrator.records[identifier] = {"path": evil, "commit": evil, "body": evil}
    orchestrator.states["company.team", "evil", "hook"] = {"nextExecutionDate": evil, "date": evil}
    orchestrator.refused[0]["path"] = evil
    client.world.sources.sources[0] |= {"name": evil, "url": f"javascript:{evil}", "branch": evil, "error": evil, "hint": evil, "held": evil}
    orchestrator.sync_records[0] |= {"commit": evil, "source": evil, "url": "javascript:alert(1)"}
    paths = [
        "/", "/flows", f"/flows?q={evil}&namespace={evil}", "/flows/company.team/evil", "/flows/company.team/evil?tab=run", "/flows/company.team/evil?tab=source",
        "/flows/company.team/evil?tab=revisions", "/flows/company.team/evil?tab=triggers", "/executions", f"/executions?labels=x:{evil.replace(' ', '')}&flowId={evil}&q={evil}", f"/executions/{identifier}",
        f"/executions/{identifier}?q={evil}&taskRunId={evil}", *(f"/executions/{identifier}?tab={tab}" for tab in ("gantt", "logs", "topology", "outputs", "files", "metrics", "trigger")), f"/executions/{identifier}?tab=record", "/triggers", "/syncs",
        f"/search?q={evil}", f"/{evil}",
    ]
    for path in paths:
        answered = await client.page(path.replace("<", "%3C").replace(">", "%3E").replace('"', "%22").replace(" ", "%20"))
        assert answered.status in {200, 404}, (path, answered.text)
        checked(answered.text)
        assert "<script>alert" not in answered.text
        assert "<img src=x" not in answered.text


async def test_secrets_stay_hidden_on_pages(client: Client) -> None:
    view = (await client.post("/api/v1/executions/company.team/everything", json={"name": "Ada", "password": "hunter2"})).json
    page = "".join([(await client.page(f"/executions/{view['id']}?tab={tab}")).text for tab in ("overview", "outputs")])
    assert "********" in page
    assert "hunter2" not in page
    assert "c2VhbGVk" not in page
    client.world.sources.sources[0]["url"] = "https://user:hunter2@git.example.org/x"
    assert "hunter2" not in (await client.page("/syncs")).text


async def test_the_run_form_starts_an_execution(client: Client) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in (("name", "Ada"), ("code", ""), ("count", "5"), ("loud", "true"), ("tags", "red"), ("tags", "blue"), ("numbers", "[1]"), ("_moment", "at"), ("at", "2026-02-01T08:00"), ("_labels", "team:x\r\nrun:y"), ("_scheduleDate", "2026-03-01T00:00:00")):
        form.add_field(name, value)
    form.add_field("file", b"abc", filename="a.txt")
    answered = await client.post("/flows/company.team/everything/run", data=form, headers={"Origin": client.url})
    assert answered.status == 303, answered.text
    request = client.world.orchestrator.requests[-1]
    assert answered.headers["Location"] == f"/executions/{list(client.world.orchestrator.views)[-1]}"
    assert request.inputs["tags"] == ["red", "blue"]
    assert request.inputs["at"] == "2026-02-01T08:00:00Z"
    assert "code" not in request.inputs
    assert request.inputs["file"].startswith("kestra://")
    assert request.labels == {"team": "x", "run": "y"}
    assert request.schedule_date is not None


async def test_mistakes_are_shown_at_their_field_and_nothing_starts(client: Client) -> None:
    before = len(client.world.orchestrator.requests)
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in (("name", ""), ("count", "99"), ("mail", EVIL), ("password", "hunter2")):
        form.add_field(name, value)
    answered = await client.post("/flows/company.team/everything/run", data=form)
    assert answered.status == 422
    tags = checked(answered.text)
    assert "missing required input" in answered.text
    assert 'name="count" aria-invalid="true"' in answered.text
    assert 'value="99"' in answered.text
    assert "hunter2" not in answered.text
    assert EVIL not in answered.text
    assert "error-count" in tags.ids
    wrong_label = aiohttp.FormData(default_to_multipart=True)
    wrong_label.add_field("_labels", "nonsense")
    answered = await client.post("/flows/company.team/hello/run", data=wrong_label)
    assert answered.status == 422
    assert "is no label" in answered.text
    assert (await client.post("/flows/company.team/retired/run", data={"x": "y"})).status == 422
    assert (await client.post("/flows/a/b/run", data={"x": "y"}, headers={"Accept": "text/html"})).status == 404
    assert len(client.world.orchestrator.requests) == before


async def test_buttons_of_an_execution(client: Client) -> None:
    ids = client.world.ids

    async def press(name: str, verb: str, **fields: str) -> Any:
        return await client.post(f"/executions/{ids[name]}/{verb}", data=fields, headers={"Origin": client.url, "Accept": "text/html"})

    assert (await press("running", "pause")).headers["Location"] == f"/executions/{ids['running']}"
    assert (await press("running", "resume")).status == 303
    assert (await press("running", "kill")).status == 303
    refused = await press("running", "pause")
    assert refused.status == 409
    assert 'role="alert"' in refused.text
    checked(refused.text)
    assert (await press("failed", "change-status", _state="SUCCESS")).status == 303
    assert (await press("failed", "change-status", _state="odd")).status == 400
    assert (await press("failed", "labels", _labels="seen:yes")).status == 303
    assert (await press("failed", "restart")).status == 303
    replayed = await press("success", "replay", _taskRunId="x")
    assert replayed.headers["Location"] != f"/executions/{ids['success']}"
    assert (await press("success", "explode")).status == 404
    answered = await press("paused", "resume", approved="true")
    assert answered.status == 303
    assert client.world.orchestrator.views[ids["paused"]]["resumed"] == {"approved": "true"}
    assert (await client.post("/executions/nope/kill", headers={"Accept": "text/html"})).status == 404


async def test_buttons_of_triggers_and_sources(client: Client) -> None:
    base = "/triggers/company.analytics/daily-sales/every_morning"
    off = await client.post(f"{base}/disable", data={"_next": f"{FLOW}?tab=triggers"})
    assert off.headers["Location"] == f"{FLOW}?tab=triggers"
    assert 'aria-checked="false"' in (await client.page(f"{FLOW}?tab=triggers")).text
    assert (await client.post(f"{base}/enable", data={"_next": "//evil.example"})).headers["Location"] == "/"
    assert (await client.post(f"{base}/backfill", data={"_start": "2026-01-01T00:00"})).status == 303
    assert "of 2026-01-01 00:00:00 to" in (await client.page("/triggers")).text
    assert (await client.post(f"{base}/pause")).status == 303
    assert (await client.post(f"{base}/end-backfill")).status == 303
    for verb, status in (("backfill", 422), ("explode", 400), ("pause", 409)):
        assert (await client.post(f"{base}/{verb}", headers={"Accept": "text/html"})).status == status
    assert (await client.post("/triggers/a/b/c/enable", headers={"Accept": "text/html"})).status == 404
    assert (await client.post("/syncs/team/confirm", data={"_commit": "0b50"})).status == 303
    assert client.world.sources.confirmed == [("team", "0b50")]
    assert (await client.post("/syncs/team/confirm", headers={"Accept": "text/html"})).status == 409


async def test_search_goes_straight_to_an_execution(client: Client) -> None:
    identifier = client.world.ids["failed"]
    assert (await client.page(f"/search?q={identifier}")).headers["Location"] == f"/executions/{identifier}"


async def test_addresses_of_other_tools_lead_to_our_pages(client: Client) -> None:
    for path, wanted in (("/ui/executions/a/b/xyz", "/executions/xyz"), ("/ui/main/flows/edit/a/b", "/flows/a/b"), ("/ui", "/"), ("/ui/", "/"), ("/ui/main/triggers", "/triggers"), ("/ui//evil.example", "/")):
        assert (await client.get(path)).headers["Location"] == wanted


async def test_the_addresses_of_forms_lead_to_the_page_with_the_form(client: Client) -> None:
    for address, place in ((f"{FLOW}/run", f"{FLOW}?tab=run"), ("/executions/0000000000000000000000/resume", "/executions/0000000000000000000000")):
        answer = await client.get(address, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, place)


async def test_a_huge_execution_is_paged(client: Client) -> None:
    orchestrator = client.world.orchestrator
    view = await orchestrator.start(StartRequest(namespace="company.team", flow_id="hello"))
    for _ in range(1_200):
        orchestrator.task_run(view["id"], "say", ("CREATED", 0), ("SUCCESS", 1), outputs={"x": 1})
    for number in range(900):
        orchestrator.log(view["id"], f"line {number}")
    page = (await client.page(f"/executions/{view['id']}?tab=gantt")).text
    assert page.count('id="run-') == 200
    assert f"/executions/{view['id']}?tab=gantt&amp;runs=2" in page
    assert "The last 300 of 900 lines" in (await client.page(f"/executions/{view['id']}?tab=logs")).text
    assert (await client.page(f"/executions/{view['id']}?tab=gantt&runs=7")).text.count('id="run-') == 0
    assert (await client.page(f"/executions/{view['id']}?tab=gantt&runs=6")).text.count('id="run-') == 200
