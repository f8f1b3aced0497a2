"""The page of a flow, triggers and webhooks in a real browser over a real daemon: a run with a file, a backfill to its end, deliveries, revisions."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import urllib.error
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from daemon_house import DaemonHouse, daemon_house, wait_for

from browser_house import Chromium, chromium, violations

pytestmark = pytest.mark.slow

ASKS = """id: asks
namespace: company.team
inputs:
  - {id: kind, type: SELECT, values: [plain, table], defaults: plain}
  - id: columns
    type: INT
    dependsOn: {inputs: [kind], condition: "{{ inputs.kind == 'table' }}"}
  - {id: data, type: FILE, required: false}
  - {id: password, type: SECRET, required: false}
checks:
  - {condition: "{{ inputs.kind != 'table' }}", message: Tables are slow., style: WARNING, behavior: CREATE_EXECUTION}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ inputs.columns }} columns, {{ read(inputs.data) }}"}
"""
HOURLY = """id: hourly
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ trigger.date }}"}
triggers:
  - {id: every_hour, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 * * * *", timezone: UTC}
"""
HOOKED = """id: hooked
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ trigger.body.n }}"}
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: a-long-key
    verify: {preset: github, secret: shared-secret}
"""


class Desk:
    """A daemon, a browser, and who sits before them."""

    def __init__(self, house: DaemonHouse, browser: Chromium) -> None:
        self.house, self.browser = house, browser

    async def open(self, path: str, **more: Any) -> Any:
        page = await self.browser.page(**more)
        await page.goto(f"http://127.0.0.1:{self.house.port}{path}")
        return page

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return await asyncio.to_thread(self.house.call, method, path, body, headers)


@pytest.fixture
async def desk(tmp_path: Path, free_port: int) -> AsyncIterator[Desk]:
    with daemon_house(tmp_path, free_port) as house:
        house.push({"asks.yaml": ASKS, "hourly.yaml": HOURLY, "hooked.yaml": HOOKED})
        for name in ("asks", "hourly", "hooked"):
            house.deployed("company.team", name)
        async with chromium() as browser:
            yield Desk(house, browser)
            said = [each for each in browser.said if "status of 422" not in each]  # the browser's own words for a refusal
    assert said == []


async def test_a_run_with_inputs_that_depend_and_a_file(desk: Desk, tmp_path: Path) -> None:
    page = await desk.open("/flows/company.team/asks")
    await page.click(".head .buttons a:has-text('Run')")
    columns = page.locator("[data-input=columns]")
    await columns.wait_for(state="hidden")
    await page.select_option("[name=kind]", "table")
    await columns.wait_for(state="visible")
    await page.fill("[name=columns]", "7")
    await page.wait_for_selector("#checks :text('Tables are slow.')")
    await page.fill("[name=password]", "hunter2")
    data = tmp_path / "my data.csv"
    data.write_text("a;b")
    await page.set_input_files("[name=data]", str(data))
    await page.click(".lines summary")
    curl, cli = await page.text_content("#curl"), await page.text_content("#cli")
    for line in (curl, cli):
        assert "columns=7" in line
        assert "hunter2" not in line
        assert "$PASSWORD" in line
    assert "-F 'data=@my data.csv'" in curl
    assert "podium executions start company.team.asks" in cli
    assert await violations(page) == []
    await page.click("form[data-run] button.primary")
    await page.wait_for_url("**/executions/*")
    identifier = page.url.rpartition("/")[2].partition("?")[0]
    wait_for(lambda: desk.house.call("GET", f"/api/v1/executions/{identifier}")["state"]["current"] == "SUCCESS", "the execution")
    assert "7 columns, a;b" in json.dumps(desk.house.call("GET", f"/api/v1/logs/{identifier}"))
    again = await desk.open("/flows/company.team/asks?tab=run")
    await again.click("a:has-text('Fill in the inputs of the last run')")
    assert await again.input_value("[name=columns]") == "7"
    assert await again.input_value("[name=password]") == ""


async def test_a_backfill_with_its_progress_to_its_end(desk: Desk) -> None:
    page = await desk.open("/flows/company.team/hourly?tab=triggers")
    await page.click("button:has-text('Backfill')")
    await page.fill("dialog[open] [name=_start]", "2026-01-01T00:00")
    await page.fill("dialog[open] [name=_end]", "2026-01-01T19:30")
    await page.fill("dialog[open] [name=_labels]", "why:repair")
    await page.click("dialog[open] button.primary")
    await page.wait_for_selector(".backfill:has-text('of 20 dates'), td:has-text('Success')")
    if await page.locator(".backfill").count():
        assert await page.locator(".backfill progress").get_attribute("max") == "20"
    path = "/api/v1/executions/search?namespace=company.team&flowId=hourly&state=SUCCESS&size=50"
    wait_for(lambda: desk.house.call("GET", path)["total"] == 20, "the backfill", 120)
    await page.wait_for_selector(".backfill", state="detached")
    assert [each for each in desk.house.call("GET", path)["results"][0]["labels"] if each["key"] == "why"] == [{"key": "why", "value": "repair"}]
    overview = await desk.open("/flows/company.team/hourly")
    assert await overview.locator(".run-bars rect:not(.catch)").count() == 20
    assert "100 %" in await overview.text_content("#how")
    for width, scheme in ((400, "light"), (1280, "dark")):
        narrow = await desk.open("/triggers?type=io.kestra.plugin.core.trigger.Schedule", width=width, scheme=scheme)
        assert await narrow.locator("[data-row]").count() == 1
        assert await violations(narrow) == []


async def test_a_webhook_is_delivered_refused_and_sent_again(desk: Desk) -> None:
    address, body = "/api/v1/executions/webhook/company.team/hooked/a-long-key", b'{"n": 5, "password": "hunter2"}'
    sign = lambda secret: "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()  # noqa: E731
    await desk.call("POST", address, body, **{"X-Hub-Signature-256": sign("shared-secret"), "X-GitHub-Delivery": "d1"})
    with pytest.raises(urllib.error.HTTPError):
        await desk.call("POST", address, body, **{"X-Hub-Signature-256": sign("wrong")})
    page = await desk.open("/webhooks")
    assert await page.locator("tr[data-row]").count() == 2
    assert await violations(page) == []
    await page.click("a:has-text('Bad signature')")
    await page.wait_for_selector(":text('This delivery cannot be sent again from here.')")
    assert await violations(page) == []
    await page.goto(f"http://127.0.0.1:{desk.house.port}/webhooks?verdict=ACCEPTED")
    await page.click("tr[data-row] a.plain")
    assert "hunter2" not in await page.content()
    await page.click("button:has-text('Send again')")
    await page.click("#confirm-yes")
    await page.wait_for_selector(":text('Repeats')")
    wait_for(lambda: desk.house.call("GET", "/api/v1/executions/search?flowId=hooked&namespace=company.team&state=SUCCESS")["total"] == 2, "both executions")
    await page.goto(f"http://127.0.0.1:{desk.house.port}/webhooks/company.team/hooked/hook")
    assert await violations(page) == []
    await page.fill("[name=_body]", '{"n": 9}')
    await page.click("button:has-text('Send')")
    await page.wait_for_selector(":text('It started an execution')")
    assert b"shared-secret" not in b"".join(each.read_bytes() for each in desk.house.home.glob("deliveries.db*"))


async def test_two_commits_are_compared_and_one_is_restored(desk: Desk) -> None:
    house = desk.house
    house.push({"hourly.yaml": HOURLY.replace("{{ trigger.date }}", "changed <b>text</b>")})
    wait_for(lambda: house.call("GET", "/api/v1/flows/company.team/hourly")["revision"] == 2, "the second revision")
    page = await desk.open("/flows/company.team/hourly?tab=revisions")
    assert await page.locator(".commits li").count() == 2
    assert await page.locator(".commits a:has-text('change')").count() == 2
    assert "changed <b>text</b>" in await page.text_content("td.d-added")
    assert await violations(page) == []
    await page.select_option("[name=view]", "unified")
    await page.wait_for_selector("tr.d-removed")
    await page.click("button:has-text('Restore revision 1')")
    await page.fill("dialog[open] [name=_message]", "Back to the date")
    await page.click("dialog[open] button.primary")
    await page.wait_for_selector(":text('and deployed.')")
    assert (house.git("log", "-1", "--format=%s", "main", cwd=house.bare)).stdout.strip() == "Back to the date"
    assert house.git("show", "main:hourly.yaml", cwd=house.bare).stdout == HOURLY
    assert house.call("GET", "/api/v1/flows/company.team/hourly?source=true")["source"] == HOURLY


async def test_every_tab_is_quiet_in_both_colours_and_narrow(desk: Desk) -> None:
    for tab in ("overview", "topology", "source", "revisions", "executions", "triggers", "dependencies", "metrics", "logs", "run"):
        for width, scheme in ((1280, "light"), (400, "dark")):
            page = await desk.open(f"/flows/company.team/asks?tab={tab}", width=width, scheme=scheme)
            if tab == "topology":
                await page.click(".topo-node:has-text('say')")
                await page.wait_for_selector("#chosen :text('message')")
            assert await violations(page) == [], (tab, scheme)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (tab, width)
            await page.context.close()
