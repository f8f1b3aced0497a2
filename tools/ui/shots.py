"""A picture of every page, dark and light, from Chromium over a daemon with real data: `make ui-shots`.

Pictures go to .podium/shots/<light|dark|phone>/<page>.png. Fails when a route of the pages has no picture, a page answers with an error
that was not asked for, or its console says something.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools.harness import ROOT
from tools.ui.world import SALES, World, world

SHOTS = ROOT / ".podium" / "shots"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]
WAYS: dict[str, tuple[int, int, str]] = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (400, 800, "light")}
FLOW = "/flows/company.analytics/daily_sales"
NOT_PAGES = {
    "/ui{rest}", "/assets/{name}", "/executions/{execution}/live", "/executions/{execution}/lines", "/executions/{execution}/lines/index",
    "/executions/{execution}/lines/found", "/flows/{namespace}/{flow}/edit", "/dashboards/{dashboard}/charts/{chart}", "/login",
}
"""Routes of the pages that show nothing of their own, and what only strangers see."""


def chromium() -> str | None:
    """The browser of this machine, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pages(ids: dict[str, str]) -> dict[str, str]:
    """Name of the picture → address."""
    found = {
        "home": "/", "search": "/search?q=sales", "flows": "/flows", "flows-namespace": "/flows?namespace=company.ml",
        "executions": "/executions", "executions-failed": "/executions?state=FAILED", "logs": "/logs", "logs-errors": "/logs?minLevel=ERROR",
        "triggers": "/triggers", "webhooks": "/webhooks", "namespaces": "/namespaces", "dashboards": "/dashboards",
        "dashboard": "/dashboards/operations", "plugins": "/plugins", "plugin": "/plugins/io.kestra.plugin.scripts.shell.Commands",
        "results": "/results", "results-browse": "/results/browse?branch=results", "syncs": "/syncs", "settings": "/settings", "system": "/system",
        "account": "/account", "people": "/people", "editor-sources": "/editor",
        "editor": f"/editor/main?path={quote(SALES)}", "editor-new": "/editor/new?namespace=company.ml",
        "editor-script": "/editor/main?path=scripts/transform.py",
        "not-found": "/nothing-here",
    }
    found |= {f"flow-{tab}": f"{FLOW}?tab={tab}" for tab in (
        "overview", "topology", "source", "revisions", "executions", "triggers", "dependencies", "metrics", "logs", "run")}
    found["delivery"] = f"/webhooks/deliveries/{ids['delivery']}"
    found["webhook"] = "/webhooks/company.analytics/daily_sales/on_order"
    found["sync"] = f"/syncs/main/{ids['commit']}"
    found["execution-replay"] = f"/executions/{ids['failed']}/replay"
    found["flow-dag"] = "/flows/company.ml/features?tab=topology"
    found |= {f"namespace-{tab}": f"/namespaces/company.analytics?tab={tab}" for tab in ("overview", "flows", "files", "kv", "secrets", "variables")}
    for tab in ("overview", "gantt", "logs", "topology", "outputs", "files", "metrics", "trigger", "record"):
        found[f"execution-{tab}"] = f"/executions/{ids['success']}?tab={tab}"
    for name in ("failed", "paused", "running", "queued", "killed", "warning"):
        found[f"execution-{name}"] = f"/executions/{ids[name]}"
    found["execution-many"] = f"/executions/{ids['many']}?tab=gantt"
    found["execution-running-logs"] = f"/executions/{ids['running']}?tab=logs"
    return found


def without_picture(addresses: list[str]) -> list[str]:
    """Routes of pages that none of the addresses is of."""
    from podium.web.pages.render import form_page
    from podium.web.pages.routes import ROUTES

    paths = {address.partition("?")[0] for address in addresses}
    missing = []
    for route in ROUTES:
        shape = re.sub(r"\{(\w+):[^}]*\}+", r"{\1}", route.path)
        if route.method != "GET" or shape in NOT_PAGES or route.handler is form_page:
            continue
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", shape))
        if not any(pattern.fullmatch(path) for path in paths):
            missing.append(shape)
    return missing


def shoot(found: World, only: str, ways: list[str]) -> list[str]:
    """Make the pictures; what was wrong."""
    from playwright.sync_api import sync_playwright

    program = chromium()
    wrong: list[str] = []
    wanted = {name: path for name, path in pages(found.ids).items() if re.search(only, name)}
    if not only:
        wrong += [f"no picture of {each}" for each in without_picture(list(wanted.values()))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        for way in ways:
            wrong += _pictures(browser, found.daemon.url, wanted, way)
        if re.search(only, "login"):
            _ask_for_logins(found)
            for way in ways:
                wrong += _pictures(browser, found.daemon.url, {"login": "/login"}, way)
        browser.close()
    return wrong


def _ask_for_logins(found: World) -> None:
    """From now on the daemon asks who it is."""
    text = found.place.config.read_text("utf-8").replace("[server]\n", '[server]\ntoken = "a-token-for-a-picture"\n')
    found.place.config.write_text(f"{text}\n[security]\nlocal_login = true\n", "utf-8")
    found.daemon.stop()
    found.daemon.start()


def _pictures(browser: Any, url: str, wanted: dict[str, str], way: str) -> list[str]:
    width, height, scheme = WAYS[way]
    (SHOTS / way).mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
    page, said, wrong = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    for name, path in wanted.items():
        said.clear()
        wrong += [f"{way} {name} ({path}): {what}" for what in _picture(page, url + path, SHOTS / way / f"{name}.png", name)]
        wrong += [f"{way} {name} ({path}): the console says: {what[:300]}" for what in said if name != "not-found"]
    context.close()
    return wrong


def _picture(page: Any, url: str, target: Path, name: str) -> list[str]:
    answer = page.goto(url, wait_until="load")
    page.wait_for_timeout(700)  # islands draw
    page.screenshot(path=str(target), full_page=True)
    status = answer.status if answer else 0
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    wrong = [] if status == (404 if name == "not-found" else 200) else [f"status {status}"]
    return wrong + ([f"{wide} pixels wider than the window"] if wide > 0 else [])


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a pattern for names of pages")
    parser.add_argument("--ways", default=",".join(WAYS), help="of light, dark, phone")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="podium-shots-") as folder, world(Path(folder)) as found:
        wrong = shoot(found, asked.only, asked.ways.split(","))
    sys.stdout.write("\n".join([*wrong, f"pictures are in {SHOTS.relative_to(ROOT)}"]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
