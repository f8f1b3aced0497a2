"""The pages in a real browser: each is whole at 1280 and 400 pixels, light and dark, axe finds nothing grave, live parts move, the console stays silent."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from browser_house import Chromium, chromium, violations
from podium.base.system.clock import SystemClock
from podium.conductor.port import StartRequest
from podium.web.api.commands.bulk import STATES_FOR
from podium.web.server import serve
from web_client import streaming
from web_demo import EVIL, HELLO, World
from web_tour import ELSEWHERE, patterns, stops, tour

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
BACKGROUND = {"light": "rgb(248, 249, 251)", "dark": "rgb(14, 16, 20)"}


class MovingClock:
    """The machine's clock, moved by what the demo needs."""

    shift = timedelta(0)

    def now(self) -> datetime:
        return SystemClock().now() + self.shift

    def advance(self, seconds: float) -> None:
        self.shift += timedelta(seconds=seconds)


class Browser:
    """Opens pages of one server."""

    def __init__(self, house: Chromium, url: str, world: World, app: Any) -> None:
        self.house, self.url, self.world, self.app = house, url, world, app

    @property
    def said(self) -> list[str]:
        """What the consoles said."""
        return self.house.said

    async def open(self, path: str, **more: Any) -> Any:
        page = await self.house.page(**more)
        await page.goto(self.url + path)
        return page


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    world = await World(MovingClock()).fill()
    app = world.app()
    async with serve(app, port=0) as listening, chromium() as house:
        made = Browser(house, str(listening.url), world, app)
        yield made
    assert made.said == []


async def test_the_tour_visits_every_page_there_is() -> None:
    assert patterns() == set(tour((await World(MovingClock()).fill()).ids)), "name the page in tests/web_tour.py"
    assert [file for file in ELSEWHERE.values() if not (ROOT / file).exists()] == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
async def test_every_page_is_whole(browser: Browser, width: int, scheme: str) -> None:
    """Content, no sideways scrolling, the colours of the scheme, nothing that axe calls serious by WCAG 2.2 AA, a silent console."""
    page = await browser.house.page(width=width, scheme=scheme)
    wrong: list[str] = []
    for path, wanted in stops(browser.world.ids):
        answer = await page.goto(browser.url + path)
        if answer.status != 200 or wanted not in await page.inner_text("body"):
            wrong.append(f"{path}: {answer.status}, without '{wanted}'")
        wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wider > 0:
            wrong.append(f"{path} is {wider} pixels wider than {width}")
        if await page.evaluate("getComputedStyle(document.body).backgroundColor") != BACKGROUND[scheme]:
            wrong.append(f"{path} has other colours than those of {scheme}")
        wrong += [f"{path}: {each}" for each in await violations(page)]
    assert wrong == []


async def test_open_menus_and_dialogs_are_whole_too(browser: Browser) -> None:
    page = await browser.open("/executions", scheme="dark")
    await page.click("#account > summary")
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await page.wait_for_selector("dialog#keys[open]")
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("hello")
    await page.wait_for_selector("#palette-list [role=option] >> text=company.team")
    assert await violations(page) == []


async def test_a_list_shows_what_starts_meanwhile(browser: Browser) -> None:
    page = await browser.open("/executions")
    before = await page.inner_text("h1")
    await streaming(browser.app)
    view = await browser.world.orchestrator.start(StartRequest(namespace="company.team", flow_id="hello"))
    await page.wait_for_selector(f"text={view['id']}")
    assert before.startswith("Executions")


async def test_a_held_deployment_is_confirmed_and_a_trigger_switched(browser: Browser) -> None:
    page = await browser.open("/syncs")
    await page.click("summary:has-text('Confirm the removal')")
    await page.click("button:has-text('Remove them')")
    await page.wait_for_selector("text=Up to date >> nth=1")
    assert browser.world.sources.confirmed[0][0] == "team"
    page = await browser.open("/triggers")
    await page.click("button[role=switch] >> nth=0")
    await page.wait_for_selector("button[role=switch][aria-checked=false]")


async def test_reading_needs_no_javascript(browser: Browser) -> None:
    page = await browser.open(f"/executions/{browser.world.ids['failed']}", javascript=False)
    assert "duplicate key value" in await page.inner_text("main")
    await page.click("summary:has-text('Restart')")
    await page.click(".panel button:has-text('Restart') >> visible=true")
    assert browser.world.orchestrator.views[browser.world.ids["failed"]]["state"]["current"] == "RESTARTED"


async def test_what_is_wrong_with_an_input_is_said_while_it_is_filled_in(browser: Browser) -> None:
    page = await browser.open("/flows/company.team/everything?tab=run")
    await page.fill("#in-count", "99")
    await page.press("#in-count", "Tab")
    await page.wait_for_selector("[data-input=count] .errors p")
    await page.fill("#in-count", "5")
    await page.press("#in-count", "Tab")
    await page.wait_for_selector("[data-input=count]:not(.wrong)")
    await page.fill("#in-name", "Ada")
    await page.click("form.run button.primary:has-text('Run') >> nth=0")
    await page.wait_for_url("**/executions/*")
    assert browser.world.orchestrator.requests[-1].inputs["name"] == "Ada"


async def test_keys_and_theme(browser: Browser) -> None:
    page = await browser.open("/")
    await page.keyboard.press("/")
    assert await page.evaluate("document.activeElement.id") == "find"
    await page.keyboard.type("hello")
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("f")
    await page.wait_for_url("**/flows")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/flows/company.analytics/daily-sales")
    await page.keyboard.press("g")
    await page.keyboard.press("e")
    await page.wait_for_url("**/executions")
    await page.click("#account > summary")
    await page.click("#theme span:has-text('Dark')")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await page.reload()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == BACKGROUND["dark"]
    await page.click("#fold")
    await page.reload()
    assert await page.evaluate("document.querySelector('#side').offsetWidth") < 80


async def test_times_are_as_the_reader_wants_them(browser: Browser) -> None:
    page = await browser.open(f"/executions?q={browser.world.ids['failed']}", timezone_id="Asia/Tokyo")
    time = page.locator("#list time >> visible=true").first
    assert re.fullmatch(r"\d+ (s|min) ago", await time.inner_text())
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Asia/Tokyo · \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", await time.get_attribute("title"))
    await page.click("#account > summary")
    await page.click("#times span:has-text('UTC')")
    utc = await time.inner_text()
    assert utc in await time.get_attribute("title")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", utc)


async def test_the_palette_goes_to_flows_executions_and_pages_and_acts(browser: Browser) -> None:
    page = await browser.open("/")

    async def command(text: str, wanted: str) -> None:
        await page.keyboard.press("Control+k")
        await page.keyboard.type(text)
        await page.wait_for_selector(f"#palette-list [aria-selected=true]:has-text('{wanted}')")
        await page.keyboard.press("Enter")

    await command("dlysls", "daily-sales")
    await page.wait_for_url("**/flows/company.analytics/daily-sales")
    await command(browser.world.ids["failed"], browser.world.ids["failed"])
    await page.wait_for_url(f"**/executions/{browser.world.ids['failed']}")
    await command("trigg", "Triggers")
    await page.wait_for_url("**/triggers")
    await command("colours dark", "Dark")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await page.keyboard.press("Control+k")
    await page.keyboard.type("run hello")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Escape")
    assert not await page.is_visible("#palette")


async def test_on_a_phone_the_navigation_is_a_drawer(browser: Browser) -> None:
    for javascript in (True, False):
        page = await browser.open("/flows", width=400, javascript=javascript)
        assert not await page.is_visible("#side")
        await page.click("[popovertarget=side] >> nth=1" if await page.locator(".side-head [popovertarget]").count() else "[popovertarget=side]")
        await page.wait_for_selector("#side:popover-open")
        if javascript:
            assert await violations(page) == []
            await page.keyboard.press("Escape")
            assert not await page.is_visible("#side")
            await page.click("header [popovertarget=side]")
        await page.click("#side a:has-text('Triggers')")
        await page.wait_for_url("**/triggers")


async def test_filters_live_in_the_address_without_loading_the_page(browser: Browser) -> None:
    page = await browser.open("/executions")
    await page.evaluate("window.stayed = true")
    await page.click(".states-menu > summary")
    await page.check("input[name=state][value=FAILED]")
    await page.wait_for_url("**/executions?state=FAILED")
    await page.wait_for_selector("#list table:not(:has(.badge:not(.s-FAILED)))")
    await page.fill("[data-search]", "daily")
    await page.wait_for_url("**/executions?q=daily&state=FAILED")
    await page.wait_for_selector("#list table:not(:has(.flow[href*='/hello']))")
    assert await page.evaluate("window.stayed && document.activeElement.matches('[data-search]')")
    await page.click("#views > summary")
    await page.fill("#view-name", "My failures")
    await page.keyboard.press("Enter")
    await page.goto(f"{browser.url}/executions")
    await page.click("#views > summary")
    await page.click("text=My failures")
    await page.wait_for_url("**/executions?q=daily&state=FAILED")
    await page.click("#columns > summary")
    await page.uncheck("#columns [value=labels]")
    assert not await page.is_visible("#list .c-labels >> nth=0")


async def test_many_executions_at_a_time_after_a_question_that_says_how_many(browser: Browser) -> None:
    page, views = await browser.open("/executions?state=RUNNING,PAUSED"), browser.world.orchestrator.views
    await page.check("[data-mark-all]")
    assert await page.inner_text("#bulk [data-count]") == "2 marked"
    await page.click("#bulk button:has-text('Kill')")
    assert await page.inner_text("#confirm-text") == "Kill 2 executions? Their running tasks are interrupted."
    await page.click("#confirm button:has-text('Cancel')")
    assert views[browser.world.ids["running"]]["state"]["current"] == "RUNNING"
    await page.click("#bulk button:has-text('Kill')")
    await page.click("#confirm-yes")
    await page.wait_for_selector(".toast:has-text('Done for 2')")
    assert {views[browser.world.ids[name]]["state"]["current"] for name in ("running", "paused")} == {"KILLED"}
    await page.goto(f"{browser.url}/executions")
    await page.check("[data-mark-all]")
    await page.click("#bulk [data-all]")
    await page.wait_for_selector("#bulk :text('34 marked')")
    able = sum(each["state"]["current"] in STATES_FOR["restart"] for each in views.values())
    await page.click("#bulk button:has-text('Restart')")
    assert f"Restart {able} executions?" in await page.inner_text("#confirm-text")
    await page.click("#confirm-yes")
    await page.wait_for_selector(f".toast:has-text('Done for {able}')")
    assert sum(each["state"]["current"] == "RESTARTED" for each in views.values()) == able


async def test_namespaces_of_flows_are_a_tree(browser: Browser) -> None:
    page = await browser.open("/flows")
    await page.click(".tree a:has-text('analytics')")
    await page.wait_for_url("**/flows?namespace=company.analytics")
    assert await page.locator("#list tbody tr").count() == 1
    assert await page.get_attribute(".tree a:has-text('analytics')", "aria-current") == "true"
    await page.fill("[data-search]", "nothing like it")
    await page.wait_for_selector("text=No flow matches")


async def test_tabs_of_one_browser_share_a_stream(browser: Browser) -> None:
    context = (await browser.open("/executions")).context
    pages = [await context.new_page() for _ in range(5)]
    for page in pages:
        await page.goto(f"{browser.url}/executions")
    await streaming(browser.app)
    assert browser.app is not None
    view = await browser.world.orchestrator.start(StartRequest(namespace="company.team", flow_id="hello"))
    await pages[-1].bring_to_front()
    await pages[-1].wait_for_selector(f"tr.new:has-text('{view['id']}')")
    await streaming(browser.app)


async def test_an_open_menu_a_mark_and_the_focus_survive_what_changes(browser: Browser) -> None:
    orchestrator = browser.world.orchestrator
    page = await browser.open("/executions")
    row = f"#row-{browser.world.ids['failed']}"
    await page.check(f"{row} [data-mark]")
    await page.focus(f"{row} a.mono")
    await streaming(browser.app)
    view = await orchestrator.start(StartRequest(namespace="company.team", flow_id="hello"))
    await page.wait_for_selector(f"#row-{view['id']}")
    assert await page.is_checked(f"{row} [data-mark]")
    assert await page.evaluate("document.activeElement.textContent") == browser.world.ids["failed"]
    assert await page.inner_text("#bulk [data-count]") == "1 marked"


async def test_hostile_names_and_lines_are_only_text(browser: Browser) -> None:
    orchestrator = browser.world.orchestrator
    orchestrator.install(HELLO.replace("id: hello", "id: evil").replace("Says hello.", f'"{EVIL} **bold** <img src=x onerror=alert(1)>"'))
    view = await orchestrator.start(StartRequest(namespace="company.team", flow_id="evil", labels={"x": EVIL}))
    orchestrator.move(view["id"], "RUNNING")
    orchestrator.task_run(view["id"], "say", ("CREATED", 0), ("FAILED", 1))
    orchestrator.log(view["id"], f"\x1b[31m{EVIL}\x1b[0m\x1b]0;title\x07 {'x' * 5000}", level="ERROR")
    orchestrator.move(view["id"], "FAILED")
    page = await browser.house.page(width=400)
    page.on("dialog", lambda dialog: browser.said.append(f"a script ran: {dialog.message}"))
    for path in ("/", "/flows?q=evil", "/executions", "/logs", f"/search?q={EVIL}", f"/logs?q={EVIL}", f"/executions?q={EVIL}"):
        await page.goto(browser.url + path)
        assert await page.evaluate("document.querySelectorAll('main script:not([type]), main img').length") == 0, path
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
    await page.goto(f"{browser.url}/logs")
    assert EVIL in await page.inner_text("#list")
    assert "\x1b" not in await page.inner_text("#list")
    await page.set_viewport_size({"width": 1280, "height": 900})
    await page.keyboard.press("Control+k")
    await page.keyboard.type(EVIL)
    await page.wait_for_selector("#palette-list .none")


async def test_everything_can_be_reached_by_keyboard(browser: Browser) -> None:
    """The first stop leads past the navigation; every control has a name."""
    page = await browser.open("/executions")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.closest('main') !== null")


async def test_the_first_page_works_without_javascript(browser: Browser) -> None:
    page = await browser.open("/", javascript=False)
    await page.click("#failed button:has-text('Restart') >> nth=0")
    await page.wait_for_url(f"**/executions/{browser.world.ids['failed']}")
    assert browser.world.orchestrator.views[browser.world.ids["failed"]]["state"]["current"] == "RESTARTED"
    await page.goto(f"{browser.url}/executions")
    await page.click(".states-menu > summary")
    await page.check("input[name=state][value=PAUSED]")
    await page.click("#filters button:has-text('Filter')")
    assert await page.locator("#list tbody tr").count() == 1
