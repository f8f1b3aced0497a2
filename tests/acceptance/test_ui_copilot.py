"""The copilot and dashboards in a real browser over a real daemon: asked, looked at, accepted, in the text; a dashboard is pushed and drawn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from daemon_house import DaemonHouse, daemon_house, wait_for

from browser_house import Chromium, chromium, violations
from copilot_house import BROKEN, GOOD, Script, scripted

pytestmark = pytest.mark.slow
FLOW = "# says hello\nid: hello\nnamespace: company.team\ntasks:\n  - id: hello\n    type: io.kestra.plugin.core.log.Log\n    message: Hello\n"
EVIL = GOOD.replace("Good morning", "<img src=x onerror=alert(1)>").replace("Says hello", "<b>Says</b> hello")
SHOTS = Path("/tmp/shots/copilot")


@dataclass
class Desk:
    """A daemon, a model that answers from a script, and a browser."""

    house: DaemonHouse
    script: Script
    browser: Chromium

    async def open(self, path: str, **more: Any) -> Any:
        page = await self.browser.page(**more)
        await page.goto(f"http://127.0.0.1:{self.house.port}{path}")
        return page

    async def editor(self, path: str, **more: Any) -> Any:
        page = await self.open(path, **more)
        await page.wait_for_selector("#editor[data-ready]")
        return page


@pytest.fixture
async def desk(tmp_path: Path, free_port: int) -> AsyncIterator[Desk]:
    async with scripted(GOOD) as script:
        settings = f'[ai]\nurl = "{script.url}"\nmodel = "tiny"\nkey = "sk-test-0123456789abcdefghij"\ntimeout_s = 30\n'
        with daemon_house(tmp_path, free_port, settings) as house:
            overview = Path("flows/dashboards/overview.yaml").read_text("utf-8")
            house.push({"flows/hello.yaml": FLOW, "dashboards/overview.yaml": overview})
            house.deployed("company.team", "hello")
            async with chromium() as browser:
                yield Desk(house, script, browser)
                said = [each for each in browser.said if "status of 422" not in each]
    assert said == []


async def text_of(page: Any) -> str:
    return str(await page.evaluate("document.querySelector('.ed-view').shadowRoot.querySelector('.cm-content').cmTile.view.state.doc.toString()"))


async def ask(page: Any, prompt: str) -> None:
    await page.fill(".copilot textarea", prompt)
    await page.click(".copilot button[type=submit]")


async def test_a_change_is_asked_for_looked_at_and_accepted(desk: Desk) -> None:
    desk.script.entries = [BROKEN, EVIL]
    page = await desk.editor("/flows/company.team/hello/edit")
    await page.click(".ed-bar button:has-text('Copilot')")
    # what looks like a secret is not sent, unless somebody lets it be masked
    await ask(page, "use the password hunter22!")
    await page.wait_for_selector(".copilot-result [role=alert]")
    assert "line 1 of the request holds a password or key" in await page.inner_text(".copilot-result")
    assert "hunter22" not in await page.inner_text(".copilot-result")
    assert desk.script.asked == []
    # a good change, after one repair, is shown as a difference; what it says is text, whatever it is
    await ask(page, "say it every morning at 8")
    await page.wait_for_selector(".copilot-diff")
    assert len(desk.script.asked) == 2
    result = await page.inner_text(".copilot-result")
    assert "The validator accepts it, after 2 rounds." in result
    assert "<b>Says</b> hello every morning." in result
    assert await page.evaluate("document.querySelectorAll('.copilot-result img, .copilot-result b').length") == 0
    assert await text_of(page) == FLOW
    assert await violations(page) == []
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / "diff.png")
    await page.click(".copilot-result button:has-text('Leave it')")
    assert await text_of(page) == FLOW
    await ask(page, "say it every morning at 8")
    await page.click(".copilot-result button:has-text('Accept the change')")
    await page.wait_for_selector("text=The change is in the text")
    assert "cron: \"0 8 * * *\"" in await text_of(page)
    assert await page.is_visible(".ed-dirty")
    await page.wait_for_selector(".ed-status[data-kind=ok]")
    # one step back takes the whole change back
    await page.click(".ed-bar button:has-text('Undo')")
    assert await text_of(page) == FLOW


async def test_what_goes_wrong_is_said_and_a_slow_model_can_be_stopped(desk: Desk) -> None:
    desk.script.entries = [429, "slow"]
    page = await desk.editor("/flows/company.team/hello/edit?copilot=make%20it%20nicer", width=400, scheme="dark")
    await page.wait_for_selector(".copilot textarea")
    assert await page.input_value(".copilot textarea") == "make it nicer"
    assert desk.script.asked == []
    await page.click(".copilot button[type=submit]")
    await page.wait_for_selector("text=It can be tried again in 7 seconds.")
    await page.screenshot(path=SHOTS / "narrow-dark.png")
    assert await violations(page) == []
    await page.click(".copilot button[type=submit]")
    await page.click(".copilot button:has-text('Stop')")
    await page.wait_for_selector("text=Stopped.")
    assert await text_of(page) == FLOW


async def test_a_dashboard_is_deployed_with_the_flows_and_drawn(desk: Desk) -> None:
    for _ in range(3):
        desk.house.ended(desk.house.execute("company.team", "hello"))
    shots = SHOTS.parent / "dashboards"
    shots.mkdir(parents=True, exist_ok=True)
    syncs = desk.house.call("GET", "/api/v1/dashboards")
    assert [each["id"] for each in syncs["results"]] == ["overview"]
    refused = desk.house.push({"dashboards/bad.yaml": "title: x\ncharts: [{id: a, type: Pi}]\n"}, check=False)
    assert "dashboards/bad.yaml:2:24: charts[0].type: Invalid type: Pi" in refused.stderr
    (desk.house.bare / "hooks" / "pre-receive").unlink()  # a forge without our hook
    desk.house.git("push", "--quiet", "origin", "HEAD:main")
    wait_for(lambda: "did you mean io.kestra.plugin.core.dashboard.chart.Pie" in str(desk.house.call("GET", "/api/v1/syncs")) or None, "the refusal")
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 400)):
        page = await desk.open("/dashboards/overview?timeRange=P7D", scheme=scheme, width=width)
        await page.wait_for_selector("#chart-over_time canvas")
        await page.wait_for_selector("#chart-levels canvas")
        assert await page.inner_text("#chart-success .kpi") == "100.0%"
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.screenshot(path=shots / f"overview-{scheme}-{width}.png", full_page=True)
    # the keyboard goes through a chart, the table below has the same
    await page.focus("#chart-namespaces canvas")
    await page.keyboard.press("ArrowRight")
    assert "company.team: Success 3" in await page.text_content("#chart-namespaces [aria-live]")
    await page.click("#chart-namespaces details.rows summary")
    assert "company.team" in await page.inner_text("#chart-namespaces table")
    async with page.expect_download() as download:
        await page.click("#chart-namespaces a[download]")
    assert Path(await (await download.value).path()).read_text("utf-8").splitlines()[1] == "company.team,SUCCESS,3"
    # the time stands in the address
    await page.select_option("select[name=timeRange]", "PT1H")
    await page.wait_for_url("**timeRange=PT1H**")
    page = await desk.open("/dashboards", scheme="dark")
    await page.screenshot(path=shots / "list-dark.png")
    assert await violations(page) == []
    page = await desk.open("/dashboards/podium")
    await page.wait_for_selector("#chart-over_time canvas")
    await page.screenshot(path=shots / "built-in.png", full_page=True)
    # a restart has it, a deletion takes it away
    desk.house.stop()
    desk.house.start()
    assert desk.house.call("GET", "/api/v1/dashboards/overview")["title"] == "How the flows are doing"
    desk.house.push({"dashboards/overview.yaml": None})
    wait_for(lambda: desk.house.call("GET", "/api/v1/dashboards")["results"][0]["id"] == "podium" or None, "the built-in dashboard")
