"""The main story in a real browser over a real daemon: write a flow, it is a commit, run it, follow its log, it fails, mend it, replay it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from daemon_house import daemon_house, wait_for
from test_ui_editor import save, typed

from browser_house import chromium

pytestmark = pytest.mark.slow

FLOW = """id: totals
namespace: company.team
tasks:
  - id: count
    type: core.log.Log
    message: "counting"
  - id: wait
    type: io.kestra.plugin.core.flow.Sleep
    duration: PT1S
  - id: divide
    type: core.debug.Return
    format: "{{ 1 / VALUE }}"
"""


async def test_a_flow_from_its_first_line_to_a_replay_that_succeeds(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port) as house:
        house.push({"flows/other.yaml": FLOW.replace("totals", "other").replace("VALUE", "1")})
        await asyncio.to_thread(house.deployed, "company.team", "other")
        address = f"http://127.0.0.1:{house.port}"
        async with chromium() as browser:
            page = await browser.page()
            # from the list of flows to the editor, by keyboard and mouse
            await page.goto(address)
            await page.keyboard.press("g")
            await page.keyboard.press("f")
            await page.wait_for_url("**/flows")
            await page.click("a:has-text('New flow')")
            await page.fill("input[name=namespace]", "company.team")
            await page.fill("input[name=id]", "totals")
            await page.click("button[value=empty]")
            await page.wait_for_selector("#editor[data-ready]")
            await typed(page, FLOW.replace("VALUE", "0"))
            await page.wait_for_selector(".ed-status[data-kind=ok]")
            await save(page, "Totals, first try")
            await page.wait_for_selector(".ed-saved.ok")
            assert (await asyncio.to_thread(house.git, "log", "-1", "--format=%s", "main", cwd=house.bare)).stdout.strip() == "Totals, first try"
            first = await asyncio.to_thread(house.deployed, "company.team", "totals")
            # run it, and follow its log while it goes
            await page.click(".ed-bar button:has-text('Run')")
            await page.wait_for_url("**/flows/company.team/totals?tab=run")
            await page.click("form.run button:has-text('Run') >> visible=true")
            await page.wait_for_url("**/executions/*")
            failed = page.url.rsplit("/", 1)[1].split("?")[0]
            await page.click("nav.tabs a:has-text('Logs')")
            await page.wait_for_selector("#log-lines :text('counting')")
            await page.wait_for_selector("#head .badge.s-FAILED")
            await page.click("nav.tabs a:has-text('Overview')")
            assert "divide" in await page.inner_text("#tab")
            # mend it where it is written
            await page.goto(f"{address}/flows/company.team/totals/edit")
            await page.wait_for_selector("#editor[data-ready]")
            await typed(page, FLOW.replace("VALUE", "2"))
            await page.wait_for_selector(".ed-status[data-kind=ok]")
            await save(page, "Totals: no division by zero")
            await page.wait_for_selector(".ed-saved.ok")
            await asyncio.to_thread(house.deployed, "company.team", "totals", first["revision"] + 1)
            # replay the failed execution with what was mended
            await page.goto(f"{address}/executions/{failed}/replay?revision={first['revision'] + 1}")
            await page.click("form.run button:has-text('Replay')")
            await page.wait_for_url(lambda url: "/executions/" in url and failed not in url)
            await page.wait_for_selector("#head .badge.s-SUCCESS")
            again = page.url.rsplit("/", 1)[1].split("?")[0]
            ended = await asyncio.to_thread(house.ended, again)
            assert ended["flowRevision"] == first["revision"] + 1
            await asyncio.to_thread(wait_for, lambda: {failed, again} <= set(house.records()), "both records to be on the results branch")
            assert browser.said == []
