"""The pages in a real browser: they work, look whole at 1280 and 400 pixels, live parts move, and the console stays silent."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from conftest import absent
from podium.base.system.clock import SystemClock
from podium.conductor.port import StartRequest
from podium.web.server import serve
from web_client import streaming
from web_demo import World

pytestmark = pytest.mark.slow
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


class MovingClock:
    """The machine's clock, moved by what the demo needs."""

    shift = timedelta(0)

    def now(self) -> datetime:
        return SystemClock().now() + self.shift

    def advance(self, seconds: float) -> None:
        self.shift += timedelta(seconds=seconds)


class Browser:
    """Opens pages of one server and remembers what their consoles said."""

    def __init__(self, chromium: Any, url: str, world: World, app: Any) -> None:
        self.chromium, self.url, self.world, self.app = chromium, url, world, app
        self.said: list[str] = []

    async def open(self, path: str, *, width: int = 1280, scheme: Any = "light", javascript: bool = True) -> Any:
        context = await self.chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=javascript, reduced_motion="reduce")
        context.set_default_timeout(90_000)
        page = await context.new_page()
        page.on("console", lambda message: self.said.append(f"{path}: {message.text}") if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.said.append(f"{path}: {error}"))
        await page.goto(self.url + path)
        return page


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        absent("Chromium is not installed")
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        absent("playwright is not installed")
    world = await World(MovingClock()).fill()
    app = world.app()
    async with serve(app, port=0) as listening, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=90_000)
        made = Browser(chromium, str(listening.url), world, app)
        yield made
        await chromium.close()
    assert made.said == []


async def test_every_page_is_whole_at_every_width_and_in_both_colours(browser: Browser) -> None:
    ids = browser.world.ids
    pages = {
        "/": "Last executions", "/flows": "daily-sales", "/flows/company.analytics/daily-sales": "per_region", "/flows/company.analytics/daily-sales?tab=source": "namespace:",
        "/flows/company.analytics/daily-sales?tab=revisions": "silver", "/flows/company.analytics/daily-sales?tab=triggers": "every_morning",
        "/flows/company.team/everything?tab=run": "Your name", "/executions": "Failed", f"/executions/{ids['failed']}": "duplicate key value",
        f"/executions/{ids['success']}?tab=data": "orders.csv", f"/executions/{ids['success']}?tab=metrics": "rows", f"/executions/{ids['success']}?tab=record": "schema",
        f"/executions/{ids['paused']}": "Ship it?", "/triggers": "on_order", "/syncs": "team/broken.yaml", "/search?q=hello": "company.team",
    }
    for width, scheme in ((1280, "light"), (400, "dark")):
        for path, wanted in pages.items():
            page = await browser.open(path, width=width, scheme=scheme)
            assert wanted in await page.inner_text("body"), path
            wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wider <= 0, f"{path} is {wider} pixels wider than {width}"
            background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == ("rgb(248, 249, 251)" if scheme == "light" else "rgb(14, 16, 20)")
            await page.context.close()


async def test_reading_needs_no_javascript(browser: Browser) -> None:
    page = await browser.open(f"/executions/{browser.world.ids['failed']}", javascript=False)
    assert "duplicate key value" in await page.inner_text("#log-lines")
    await page.click("summary:has-text('load') >> nth=1")
    assert "exit code 1" in await page.inner_text("#runs")
    await page.click("summary:has-text('Restart')")
    await page.click(".panel button:has-text('Restart')")
    assert browser.world.orchestrator.views[browser.world.ids["failed"]]["state"]["current"] == "RESTARTED"


async def test_keys_and_theme(browser: Browser) -> None:
    page = await browser.open("/")
    await page.keyboard.press("/")
    assert await page.evaluate("document.activeElement.id") == "find"
    await page.keyboard.type("hello")
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("f")
    await page.wait_for_url("**/flows")
    await page.keyboard.press("g")
    await page.keyboard.press("e")
    await page.wait_for_url("**/executions")
    await page.click("#account > summary")
    await page.click("#theme span:has-text('Dark')")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await page.reload()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 16, 20)"


async def test_a_flow_is_run_and_its_execution_watched_live(browser: Browser) -> None:
    orchestrator = browser.world.orchestrator
    page = await browser.open("/flows/company.team/everything?tab=run")
    await page.fill("#in-count", "99")
    await page.press("#in-count", "Tab")
    await page.wait_for_selector("[data-input=count] .errors p")
    await page.click("form.run button:has-text('Run')")
    await page.wait_for_selector(".banner.bad")
    browser.said.clear()  # the browser itself reports the 422 that was wanted
    assert "missing required input" in await page.inner_text("[data-input=name]")
    await page.fill("#in-name", "Ada")
    await page.fill("#in-count", "5")
    await page.fill("#in-at", "2026-02-01T08:00:00")
    await page.set_input_files("#in-file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"abc"})
    await page.click("form.run button:has-text('Run')")
    await page.wait_for_url("**/executions/*")
    identifier = page.url.rsplit("/", 1)[1]
    assert orchestrator.requests[-1].inputs["at"] == "2026-02-01T08:00:00Z"
    assert orchestrator.requests[-1].inputs["tags"] == ["green"]
    assert await page.inner_text("#head .badge") == "Created"
    await streaming(browser.app)
    await streaming(browser.app, identifier)  # its log
    orchestrator.move(identifier, "RUNNING")
    orchestrator.task_run(identifier, "say", ("CREATED", 0), ("RUNNING", 0.1))
    await page.wait_for_selector("#head .s-RUNNING")
    await page.wait_for_selector(".gantt >> text=say")
    orchestrator.log(identifier, "<b>live</b> \x1b[31mline\x1b[0m", level="WARN")
    await page.wait_for_selector("#log-lines li.l-WARN")
    assert await page.inner_text("#log-lines code") == "<b>live</b> line"
    await page.fill("[data-filter]", "nothing like it")
    assert await page.is_hidden("#log-lines li")
    await page.fill("[data-filter]", "live")
    assert await page.is_visible("#log-lines li")
    orchestrator.move(identifier, "SUCCESS")
    await page.wait_for_selector("#head .s-SUCCESS")
    assert await page.title() == "Success · everything · Podium · test-1"


async def test_a_list_shows_what_starts_meanwhile(browser: Browser) -> None:
    page = await browser.open("/executions")
    before = await page.inner_text("h1")
    await streaming(browser.app)
    view = await browser.world.orchestrator.start(StartRequest(namespace="company.team", flow_id="hello"))
    await page.wait_for_selector(f"text={view['id']}")
    assert before.startswith("Executions")


async def test_a_button_asks_before_it_acts(browser: Browser) -> None:
    page = await browser.open(f"/executions/{browser.world.ids['running']}")
    await page.click("summary:has-text('Kill')")
    assert "Interrupt the running tasks" in await page.inner_text(".panel >> visible=true")
    assert browser.world.orchestrator.views[browser.world.ids["running"]]["state"]["current"] == "RUNNING"
    await page.click(".panel button:has-text('Kill')")
    await page.wait_for_selector("#head .s-KILLED")


async def test_what_somebody_types_is_not_lost_when_things_change(browser: Browser) -> None:
    orchestrator, identifier = browser.world.orchestrator, browser.world.ids["paused"]
    page = await browser.open(f"/executions/{identifier}")
    await page.fill("#in-reason", "because")
    await streaming(browser.app)
    orchestrator.task_run(identifier, "late", ("CREATED", 0), ("RUNNING", 1))
    orchestrator.tell(kind="execution", executionId=identifier, state="PAUSED")
    await page.wait_for_selector(".gantt >> text=late")
    assert await page.input_value("#in-reason") == "because"
    await page.select_option("#in-approved", "true")
    await page.click("button:has-text('Resume')")
    await page.wait_for_selector("#head .s-RUNNING")
    assert orchestrator.views[identifier]["resumed"] == {"approved": "true", "reason": "because"}
    assert await page.locator("form.run").count() == 0


async def test_a_held_deployment_is_confirmed_and_a_trigger_switched(browser: Browser) -> None:
    page = await browser.open("/syncs")
    await page.click("summary:has-text('Confirm the removal')")
    await page.click("button:has-text('Remove them')")
    await page.wait_for_selector("text=Up to date >> nth=1")
    assert browser.world.sources.confirmed[0][0] == "team"
    page = await browser.open("/triggers")
    await page.click("button[role=switch] >> nth=0")
    await page.wait_for_selector("button[role=switch][aria-checked=false]")


async def test_everything_can_be_reached_by_keyboard(browser: Browser) -> None:
    """The first stop leads past the navigation; every control has a name."""
    page = await browser.open(f"/executions/{browser.world.ids['failed']}")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
    for path in ("/", "/executions", "/flows/company.team/everything?tab=run", "/triggers", f"/executions/{browser.world.ids['failed']}"):
        page = await browser.open(path)
        nameless = await page.evaluate("""() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea')]
            .filter((each) => !(each.getAttribute('aria-label') || each.textContent.trim() || (each.labels && each.labels.length) || each.querySelector('title')))
            .map((each) => each.outerHTML)""")
        assert nameless == [], path
    await asyncio.sleep(0)
