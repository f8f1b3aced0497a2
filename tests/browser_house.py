"""A real Chromium for tests of pages: what its consoles say is remembered, and axe judges what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import absent
from tools.ui import shots

AXE = Path(__file__).parents[1] / ".podium/islands/web/islands/node_modules/axe-core/axe.min.js"
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@dataclass
class Chromium:
    """One browser. said: errors and warnings of every page's console, and exceptions."""

    browser: Any
    said: list[str] = field(default_factory=list)

    async def page(self, *, width: int = 1280, height: int = 900, scheme: str = "light", javascript: bool = True, **more: Any) -> Any:
        """A page in a context of its own: cookies and storage are empty."""
        more.setdefault("reduced_motion", "reduce")
        context = await self.browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=javascript, **more)
        context.set_default_timeout(60_000)
        page = await context.new_page()
        page.on("console", lambda message: self.said.append(f"{page.url}: {message.text}") if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.said.append(f"{page.url}: {error}"))
        return page


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """A browser for as long as the context is open. At home a test is skipped without one."""
    program = shots.chromium()
    if program is None:
        absent("Chromium is not installed")
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        absent("playwright is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=shots.FLAGS, timeout=90_000)
        try:
            yield Chromium(browser)
        finally:
            await browser.close()


async def violations(page: Any) -> list[str]:
    """What axe calls serious or critical on the page as it is now, by WCAG 2.2 AA: rule, and the elements."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text("utf-8"))  # not a script of the page: its policy allows only its own
    found = await page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", AXE_RULES)
    return [
        f"{each['id']}: {each['help']}: {[node['target'] for node in each['nodes'][:5]]}"
        for each in found["violations"] if each["impact"] in {"serious", "critical"}
    ]
