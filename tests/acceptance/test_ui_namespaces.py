"""The pages of a namespace in a real browser over a real daemon: files go into Git, keys into the store, with a script and without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_house import DaemonHouse, daemon_house

from browser_house import chromium, violations

pytestmark = pytest.mark.slow
SHOTS = os.environ.get("PODIUM_SHOTS")
PROJECT = """variables: {region: eu}
namespaces:
  company.team:
    variables: {bucket: team-data, database: {host: db.example.org, port: 5432}}
    labels: {team: data}
    pluginDefaults:
      - type: io.kestra.plugin.core.log.Log
        values: {level: INFO}
"""


def flow(namespace: str, flow_id: str) -> str:
    return (
        f"id: {flow_id}\nnamespace: {namespace}\ndescription: Says **hello** to {flow_id}.\ntasks:\n"
        "  - {id: say, type: io.kestra.plugin.core.log.Log, message: hello}\n"
    )


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[DaemonHouse]:
    with daemon_house(tmp_path, free_port, start=False) as made:
        made.push({
            "podium.yaml": PROJECT, "company/team/hello.yaml": flow("company.team", "hello"), "company/team/bye.yaml": flow("company.team", "bye"),
            "company/data/load.yaml": flow("company.data", "load"), "ops.yaml": flow("ops", "clean"), "company/team/web/site.yaml": flow("company.team.web", "site"),
            "scripts/load.py": "def load():\n    \"\"\"Read <b>all</b> rows.\"\"\"\n    return [1, 2, 3]  # enough\n", "scripts/sql/totals.sql": "select 1;\n",
        })
        made.start(SECRET_DB_PASSWORD="aHVzaA==", SECRET_API_TOKEN="aHVzaA==")
        made.deployed("company.team", "hello")
        yield made


async def _shoot(page: Any, name: str) -> None:
    if SHOTS:
        folder = Path(SHOTS) / "namespaces"
        folder.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=str(folder / f"{name}.png"), full_page=True)


async def test_a_namespace_is_looked_at_and_changed(house: DaemonHouse, tmp_path: Path) -> None:
    for _ in range(3):
        house.ended(house.execute("company.team", "hello"))
    base = f"http://127.0.0.1:{house.port}"
    local = tmp_path / "new job.py"
    local.write_text("print('new')\n")
    async with chromium() as browser:
        page = await browser.page()
        await page.goto(f"{base}/namespaces")
        assert await page.locator("#namespaces tbody tr").count() == 5
        await _shoot(page, "list")
        await page.click("#namespaces a:has-text('team') >> nth=0")
        await page.wait_for_url("**/namespaces/company.team")
        assert await page.inner_text("h1") == "company.team"
        # ---- a file
        await page.click(".tabs a:has-text('Files')")
        await page.set_input_files("#up-files", str(local))
        await page.fill("#up-path", "jobs")
        await page.fill("#up-message", "A new job")
        await page.click("button:has-text('Upload')")
        await page.wait_for_selector("#flash")
        assert "Uploaded" in await page.inner_text("#flash")
        assert house.git("log", "-1", "--format=%s", "main", cwd=house.bare).stdout.strip() == "A new job"
        await page.click("a:has-text('new job.py')")
        assert "print('new')" in await page.inner_text(".code")
        await page.fill("#change input[name=to]", "jobs/renamed.py")
        await page.click("#change button:has-text('Move')")
        await page.wait_for_selector("a:has-text('renamed.py')")
        await page.click("a:has-text('renamed.py')")
        await page.click("#change button:has-text('Remove')")
        await page.click("#confirm-yes")
        await page.wait_for_selector("#flash")
        assert "_files" not in house.git("ls-tree", "-r", "--name-only", "main", cwd=house.bare).stdout
        # ---- a key
        await page.goto(f"{base}/namespaces/company.team?tab=kv")
        await page.fill("#kv-key", "last_import")
        await page.select_option("#kv-type", "NUMBER")
        await page.fill("#kv-value", "many")
        await page.click("button:has-text('Save')")
        assert "no NUMBER" in await page.inner_text(".banner.bad")
        assert await page.input_value("#kv-value") == "many"
        await page.fill("#kv-value", "42")
        await page.fill("#kv-ttl", "P1D")
        await page.click("button:has-text('Save')")
        await page.wait_for_selector("#key-last_import")
        assert house.call("GET", "/api/v1/namespaces/company.team/kv/last_import") == {"type": "NUMBER", "value": 42}
        await page.click("#key-last_import button")
        await page.click("#confirm-yes")
        await page.wait_for_selector("text=No keys here")
        house.call("PUT", "/api/v1/namespaces/company.team/kv/cursor", {"day": "2026-01-05", "rows": [1, 2]})
        # ---- all of it, wide and narrow, light and dark
        for width, scheme in ((1280, "light"), (1280, "dark"), (400, "dark"), (400, "light")):
            shown = await browser.page(width=width, scheme=scheme)
            await shown.goto(f"{base}/namespaces")
            await _whole(shown, f"list-{width}-{scheme}")
            for tab in ("overview", "flows", "files", "kv", "secrets", "variables", "files&path=scripts/load.py"):
                await shown.goto(f"{base}/namespaces/company.team?tab={tab}")
                assert "hush" not in await shown.content()
                await _whole(shown, f"{tab.replace('&path=scripts/', '-').replace('.', '-')}-{width}-{scheme}")
        # the form that was refused; and the shell looks at a page again whose file has just been moved or removed
        assert [each for each in browser.said if "422" not in each and "job.py: " not in each and "renamed.py: " not in each] == []


async def _whole(page: Any, name: str) -> None:
    await _shoot(page, name)
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    assert await violations(page) == [], name


async def test_the_forms_work_without_a_script(house: DaemonHouse, tmp_path: Path) -> None:
    local = tmp_path / "a.csv"
    local.write_text("a,b\n")
    async with chromium() as browser:
        page = await browser.page(javascript=False)
        base = f"http://127.0.0.1:{house.port}"
        await page.goto(f"{base}/namespaces/company.team?tab=files")
        await page.set_input_files("#up-files", str(local))
        await page.click("button:has-text('Upload')")
        await page.wait_for_selector("a:has-text('a.csv')")
        assert house.git("show", "main:_files/company.team/a.csv", cwd=house.bare).stdout == "a,b\n"
        await page.goto(f"{base}/namespaces/company.team?tab=kv")
        await page.fill("#kv-key", "k")
        await page.fill("#kv-value", "v")
        await page.click("button:has-text('Save')")
        await page.wait_for_selector("#key-k")
