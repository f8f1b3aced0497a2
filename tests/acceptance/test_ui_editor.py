"""The editor in a real browser over a real daemon: a flow is written, becomes a commit, runs; the form keeps comments; nobody's push is overwritten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from daemon_house import DaemonHouse, daemon_house

from browser_house import Chromium, chromium, violations

pytestmark = pytest.mark.slow

FLOW = """# greets people
id: greet
namespace: company.team

tasks:
  # says it
  - id: say
    type: core.log.Log   # the type
    message: "Hello"

  - id: last
    type: core.log.Log
    message: 'Bye'  # the end
"""


class Desk:
    """A daemon, a browser, and who sits before them."""

    def __init__(self, house: DaemonHouse, browser: Chromium) -> None:
        self.house, self.browser = house, browser

    async def open(self, path: str, **more: Any) -> Any:
        page = await self.browser.page(**more)
        await page.goto(f"http://127.0.0.1:{self.house.port}{path}")
        await page.wait_for_selector("#editor[data-ready]")
        return page

    async def push(self, files: dict[str, str | None]) -> None:
        await asyncio.to_thread(self.house.git, "pull", "--quiet", "--rebase", "origin", "main")
        await asyncio.to_thread(self.house.push, files)

    async def show(self, path: str, ref: str = "main") -> str:
        return (await asyncio.to_thread(self.house.git, "show", f"{ref}:{path}", cwd=self.house.bare)).stdout

    async def commit(self, form: str, ref: str = "main") -> str:
        return (await asyncio.to_thread(self.house.git, "log", "-1", f"--format={form}", ref, cwd=self.house.bare)).stdout.strip()


@pytest.fixture
async def desk(tmp_path: Path, free_port: int) -> AsyncIterator[Desk]:
    with daemon_house(tmp_path, free_port) as house:
        house.push({"flows/greet.yaml": FLOW, "scripts/load.py": "print('hi')\n"})
        house.deployed("company.team", "greet")
        async with chromium() as browser:
            yield Desk(house, browser)
            # a refusal of the server is in the console, too: the browser writes it there
            said = [each for each in browser.said if "status of 409" not in each and "status of 422" not in each]
    assert said == []


async def typed(page: Any, text: str) -> None:
    """Replace the whole text, as who pastes does."""
    await page.click(".cm-content")
    await page.keyboard.press("Control+a")
    await page.keyboard.press("Delete")
    await page.keyboard.insert_text(text)


async def accept(page: Any, label: str) -> None:
    """Take what is offered; the editor takes no key for it in the first moment, so that a blind Enter is a new line."""
    await page.wait_for_selector(f".cm-tooltip-autocomplete li[aria-selected]:has-text('{label}')")
    await page.wait_for_timeout(200)
    await page.keyboard.press("Enter")


async def text_of(page: Any) -> str:
    await page.click("[data-tab=text]")
    return str(await page.evaluate("document.querySelector('.ed-view').shadowRoot.querySelector('.cm-content').cmTile.view.state.doc.toString()"))


async def save(page: Any, message: str | None = None) -> None:
    await page.keyboard.press("Control+s")
    await page.wait_for_selector(".save-dialog")
    if message is not None:
        await page.fill("#save-message", message)
    await page.click(".save-dialog button.primary")


async def test_a_flow_is_written_checked_committed_and_run(desk: Desk) -> None:
    page = await desk.open("/editor/new?template=hello&namespace=company.team&id=welcome")
    await page.wait_for_selector(".ed-status[data-kind=ok]")
    # what is wrong is said where it is, in the words of the command line, and a click goes there
    await typed(page, "id: welcome\nnamespace: company.team\ntasks:\n  - id: say\n    type: core.log.Log\n    mesage: Hello, 😀\n")
    await page.wait_for_selector(".ed-status[data-kind=bad]")
    said = await page.inner_text(".ed-problems")
    (desk.house.root / "bad.yaml").write_text("id: welcome\nnamespace: company.team\ntasks:\n  - id: say\n    type: core.log.Log\n    mesage: Hello, 😀\n", "utf-8")
    told = desk.house.podium("validate", "bad.yaml", check=False, cwd=desk.house.root)
    assert "'message'" in said, said
    assert "6:5" in said, said
    assert "mesage" in told.stdout + told.stderr
    assert "6:5" in told.stdout + told.stderr
    await page.click(".ed-problems .problem >> nth=0")
    first = await page.inner_text(".ed-problems .problem b >> nth=0")
    assert (await page.inner_text(".ed-place")).split(":")[0] == first.split(":")[0]
    # completion: keys of the task's type, then names inside of an expression
    await typed(page, "id: welcome\nnamespace: company.team\ninputs:\n  - id: name\n    type: STRING\n    defaults: world\ntasks:\n  - id: say\n    type: core.log.Log\n    mess")
    await page.keyboard.press("Control+Space")
    await accept(page, "message")
    await page.keyboard.type('"Welcome, {{ inputs.')
    await accept(page, "name")
    await page.wait_for_selector(".ed-status[data-kind=ok]")
    assert 'message: "Welcome, {{ inputs.name}}"' in await text_of(page)
    assert await violations(page) == []
    await page.click(".cm-content")
    await save(page, "A flow that welcomes people")
    await page.wait_for_selector(".ed-saved.ok")
    assert await desk.commit("%s") == "A flow that welcomes people"
    assert await desk.commit("%cn") != ""
    assert "@" in await desk.commit("%ae")
    path = (await asyncio.to_thread(desk.house.deployed, "company.team", "welcome"))["git"]["path"]
    assert 'message: "Welcome' in await desk.show(path)
    await page.click(".ed-bar button:has-text('Run')")
    await page.wait_for_url("**/flows/company.team/welcome?tab=run")
    await page.fill("#in-name", "Ada")
    await page.click("form.run button:has-text('Run') >> visible=true")
    await page.wait_for_url("**/executions/*")
    execution = page.url.rsplit("/", 1)[1].split("?")[0]
    await asyncio.to_thread(desk.house.ended, execution)
    assert "Welcome, Ada" in await asyncio.to_thread(desk.house.messages, execution)


async def test_the_form_changes_only_what_it_is_about_and_undo_takes_it_back(desk: Desk) -> None:
    page = await desk.open("/flows/company.team/greet/edit", width=1500)
    await page.click("[data-tab=form]")
    await page.click(".nc-entry:has-text('say')")
    await page.fill(".nc-form [data-path='[\"tasks\",0,\"message\"]']", "{{ flow.id }} says \"hi\"")
    await page.press(".nc-form [data-path='[\"tasks\",0,\"message\"]']", "Tab")
    assert await text_of(page) == FLOW.replace('"Hello"', '"{{ flow.id }} says \\"hi\\""')
    await page.click("[data-tab=form]")
    await page.click(".nc-entry:has-text('say')")
    await page.click("#nc-act-down")
    await page.wait_for_selector(".nc-entry[aria-current]:has-text('say')")
    moved = await text_of(page)
    assert moved.index("id: last") < moved.index("# says it") < moved.index("id: say")
    for comment in ("# greets people", "# says it", "# the type", "# the end", "'Bye'"):
        assert comment in moved
    await page.click("[data-tab=form]")
    await page.click("button[aria-label='Add to Tasks']")
    await page.fill(".nc-catalogue input[type=search]", "core.debug.Return")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".nc-form h2:has-text('value')")
    assert await violations(page) == []
    added = await text_of(page)
    assert "type: core.debug.Return" in added
    assert "# the end" in added
    for _ in range(3):
        await page.click(".ed-bar button:has-text('Undo')")
    assert await text_of(page) == FLOW
    await page.click("[data-tab=form]")
    await page.click(".nc-entry:has-text('last')")
    await page.click("#nc-act-off")
    await page.click("#nc-act-copy")
    await page.wait_for_selector(".nc-entry:has-text('last_2')")
    await page.keyboard.press("Control+s")
    await page.click(".save-dialog button.primary")
    await page.wait_for_selector(".ed-saved.ok")
    saved = await desk.show("flows/greet.yaml")
    assert saved.startswith(FLOW.rstrip("\n"))
    assert "disabled: true" in saved
    assert "id: last_2" in saved


async def test_a_push_meanwhile_is_shown_and_not_overwritten(desk: Desk) -> None:
    page = await desk.open("/flows/company.team/greet/edit")
    await typed(page, FLOW.replace('"Hello"', '"Mine"').replace("# greets people", "# my words"))
    await desk.push({"flows/greet.yaml": FLOW.replace('"Hello"', '"Theirs"').replace("'Bye'", "'See you'")})
    await page.click(".cm-content >> nth=0")
    await save(page, "My change")
    await page.wait_for_selector(".ed-conflict-head")
    assert '"Theirs"' in await desk.show("flows/greet.yaml")
    assert "Nothing was overwritten" in await page.inner_text(".ed-conflict-head")
    assert await violations(page) == []
    merged = await page.inner_text(".ed-merge .cm-merge-b .cm-content")
    assert '"Mine"' in merged
    assert "'See you'" in merged
    assert "# my words" in merged
    assert '"Theirs"' in await page.inner_text(".ed-merge .cm-merge-a .cm-content")
    await page.click(".ed-conflict button:has-text('Save this')")
    await page.wait_for_selector(".save-dialog")
    assert await page.input_value("#save-message") == "My change"
    await page.click(".save-dialog button.primary")
    await page.wait_for_selector(".ed-saved.ok")
    saved = await desk.show("flows/greet.yaml")
    assert '"Mine"' in saved
    assert "'See you'" in saved
    assert "# my words" in saved
    assert "change" in await desk.commit("%s", "main~1")


async def test_what_was_not_saved_survives_a_reload_and_a_branch_is_for_review(desk: Desk) -> None:
    page = await desk.open("/editor/main?path=scripts/load.py")
    await typed(page, "print('😀 <b>not markup</b>')\n")
    async with asyncio.timeout(60):
        while not await page.evaluate("Object.keys(localStorage).some((key) => key.startsWith('podium-draft:'))"):
            await asyncio.sleep(0.05)
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.reload()
    await page.wait_for_selector("[data-notice=draft]")
    assert "not markup" in await text_of(page)
    await page.keyboard.press("Control+s")
    await page.check(".save-dialog input[value=review]")
    await page.fill("#save-branch", "try/load")
    await page.click(".save-dialog button.primary")
    await page.wait_for_selector(".ed-saved.ok")
    assert await desk.show("scripts/load.py", "try/load") == "print('😀 <b>not markup</b>')\n"
    assert await desk.show("scripts/load.py") == "print('hi')\n"
    assert "branch=try" in page.url


async def test_without_scripts_a_form_saves_and_shows_a_conflict(desk: Desk) -> None:
    page = await desk.browser.page(javascript=False)
    url = f"http://127.0.0.1:{desk.house.port}/editor/main?path=flows/greet.yaml"
    await page.goto(url)
    await page.fill("#plain-text", FLOW.replace('"Hello"', '"Plain"'))
    await page.fill("[name=message]", "By hand")
    await page.click("button:has-text('Save')")
    await page.wait_for_selector("#saved")
    assert await desk.show("flows/greet.yaml") == FLOW.replace('"Hello"', '"Plain"')
    await desk.push({"flows/greet.yaml": FLOW.replace('"Hello"', '"Theirs"')})
    await page.fill("#plain-text", FLOW.replace('"Hello"', '"Plain again"'))
    await page.click("button:has-text('Save')")
    await page.wait_for_selector("#refused .diff")
    assert '"Theirs"' in await desk.show("flows/greet.yaml")
    assert '"Plain again"' in await page.input_value("#plain-text")
    await page.click("button:has-text('Save')")
    await page.wait_for_selector("#saved")
    assert '"Plain again"' in await desk.show("flows/greet.yaml")


async def test_a_file_is_renamed_and_removed_and_a_task_is_found_from_the_picture(desk: Desk) -> None:
    page = await desk.open("/flows/company.team/greet/edit")
    await page.click(".topo-node[data-id=last]")
    await page.wait_for_selector(".ed-place:has-text('11:')")
    await page.click(".ed-bar summary:has-text('More')")
    await page.click("button:has-text('Rename the file')")
    await page.fill("#save-path", "flows/renamed.yaml")
    await page.click(".save-dialog button.primary")
    await page.wait_for_url("**/editor/main?path=flows/renamed.yaml")
    await page.wait_for_selector("#editor[data-ready]")
    assert await desk.show("flows/renamed.yaml") == FLOW
    await page.click(".ed-bar summary:has-text('More')")
    await page.click("button:has-text('Remove the file')")
    await page.click(".save-dialog button.primary")
    await page.wait_for_url("**/editor/main")
    names = (await asyncio.to_thread(desk.house.git, "ls-tree", "-r", "--name-only", "main", cwd=desk.house.bare)).stdout
    assert "greet" not in names
    assert "renamed" not in names


async def test_the_keyboard_is_the_editors_while_somebody_types_and_lets_them_out(desk: Desk) -> None:
    page = await desk.open("/flows/company.team/greet/edit")
    await page.click(".cm-content")
    await page.keyboard.press("Control+Home")
    await page.keyboard.type("#ge/?jx ")
    assert (await text_of(page)).startswith("#ge/?jx # greets people\n")
    await page.click(".cm-content")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "ed-view"
    await page.keyboard.press("Escape")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") != "ed-view"
    await page.locator(".cm-line:has-text('message') >> nth=0").hover(position={"x": 50, "y": 8})
    await page.wait_for_selector(".cm-about:has-text('Text to write')")
    assert await violations(page) == []


async def test_what_the_repository_refuses_is_said_in_its_words(desk: Desk) -> None:
    page = await desk.open("/flows/company.team/greet/edit")
    await typed(page, FLOW.replace("core.log.Log   #", "core.log.Lag   #"))
    await page.wait_for_selector(".ed-status[data-kind=bad]")
    await save(page)
    await page.wait_for_selector(".save-said .error-text, .ed-saved.bad")
    assert "core.log.Lag" in await page.inner_text("body")
    assert "Lag" not in await desk.show("flows/greet.yaml")
