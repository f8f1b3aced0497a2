"""People in Git, a real daemon and a browser: they log in, see their namespaces, do what their role allows, and are gone with a push."""

from __future__ import annotations

import base64
import contextlib
import os
import sys
import urllib.error
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import DaemonHouse, wait_for

from browser_house import chromium, violations
from podium.base.access.people import digest_of
from podium.web.people.passwords import hash_password
from tools.harness import free_port

pytestmark = pytest.mark.slow
SHOTS = Path(os.environ["PODIUM_SHOTS"]) if os.environ.get("PODIUM_SHOTS") else None
SETTINGS = '[security]\naccess_source = "main"\nlocal_login = true\n'
PASSWORDS = {"ann": "ann has a long password", "vic": "vic only looks at things", "oz": "oz starts and stops"}
FLOW = "id: {name}\nnamespace: {namespace}\ntasks:\n  - {{id: say, type: io.kestra.plugin.core.log.Log, message: Hello}}\n"
REFUSED = "users:\n  - {name: '!'}\n"


def rules(*names: str) -> str:
    users = "".join(f'  - {{name: {name}, email: {name}@example.org, password: "{HASHES[name]}"}}\n' for name in names)
    return (
        f"users:\n{users}roles:\n  admin: [ann]\n  viewer:\n    company.team: [vic]\n  operator:\n    company.team: [oz]\n"
        f"tokens:\n  - {{name: ci, hash: \"{digest_of('podium_ci')}\", role: operator, namespaces: [company.team], user: oz}}\n"
    )


HASHES = {name: hash_password(text) for name, text in PASSWORDS.items()}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DaemonHouse]:
    made = DaemonHouse(tmp_path, free_port(), SETTINGS)
    yield made
    made.close()


def basic(name: str, password: str | None = None) -> dict[str, str]:
    text = f"{name}:{password if password is not None else PASSWORDS[name]}"
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def status(house: DaemonHouse, method: str, path: str, headers: Mapping[str, str]) -> int:
    """What comes back."""
    try:
        house.call(method, path, {} if method == "POST" else None, headers)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def begin(house: DaemonHouse) -> None:
    house.start()
    house.push({
        "podium.yaml": rules("ann", "vic", "oz"), "team/hello.yaml": FLOW.format(name="hello", namespace="company.team"),
        "other/hidden.yaml": FLOW.format(name="hidden", namespace="company.other"),
    })
    wait_for(lambda: status(house, "GET", "/api/v1/flows/company.team/hello", basic("ann")) == 200, "the people to be deployed")


START, FLOWS = "/api/v1/executions/company.team/hello", "/api/v1/flows/search"


def test_people_in_git_may_what_their_role_says_until_a_push_takes_it(house: DaemonHouse) -> None:
    begin(house)
    assert status(house, "GET", FLOWS, {}) == 401, "local_login"
    assert [each["id"] for each in house.call("GET", FLOWS, headers=basic("vic"))["results"]] == ["hello"]
    assert {each["id"] for each in house.call("GET", FLOWS, headers=basic("ann"))["results"]} == {"hello", "hidden"}
    assert (status(house, "POST", START, basic("vic")), status(house, "POST", START, basic("oz"))) == (403, 200)
    started = house.call("POST", START + "?wait=true", {}, {"Authorization": "Bearer podium_ci"})
    assert {"key": "system.username", "value": "ci"} in started["labels"]
    hidden = house.call("POST", "/api/v1/executions/company.other/hidden", {}, basic("ann"))["id"]
    assert status(house, "GET", f"/api/v1/executions/{hidden}", basic("vic")) == 404
    assert house.call("GET", "/api/v1/executions/search", headers=basic("vic"))["total"] == 2
    # The commands of the machine's owner need no login: the socket of the home is theirs.
    listed = house.podium("flows", "list", "--output", "json", env={**os.environ, "PODIUM_HOME": str(house.home)})
    assert "hidden" in listed.stdout
    audit = house.log.read_text("utf-8", "replace")
    assert "audit" in audit
    assert not any(text in audit for text in (*PASSWORDS.values(), "podium_ci"))
    assert house.push({"podium.yaml": REFUSED}, check=False).returncode != 0, "our own hook refuses it"
    (house.bare / "hooks/pre-receive").unlink()  # as at a forge
    house.git("push", "origin", "main")
    wait_for(lambda: house.call("GET", "/api/v1/people", headers=basic("ann"))["problems"], "the mistake to be told")
    told = house.call("GET", "/api/v1/people", headers=basic("ann"))["problems"][0]
    assert (told["file"], told["line"], told["column"]) == ("podium.yaml", 2, 12)
    refused = house.call("GET", "/api/v1/sources/rejected", headers=basic("ann"))
    assert refused[0]["path"] == "podium.yaml"
    house.stop()
    house.start()
    assert status(house, "GET", FLOWS, basic("ann")) == 200, "what was last good outlives a restart"
    house.push({"podium.yaml": rules("ann", "oz")})
    wait_for(lambda: status(house, "GET", FLOWS, basic("vic")) == 401, "vic to be gone")
    house.push({"podium.yaml": rules("ann")})
    wait_for(lambda: status(house, "POST", START, {"Authorization": "Bearer podium_ci"}) == 401, "the token of who is gone to end")


def test_a_source_that_the_settings_do_not_trust_gives_nobody_anything(tmp_path: Path) -> None:
    house = DaemonHouse(tmp_path, free_port(), '[security]\naccess_source = ""\n')
    try:
        house.start()
        house.push({"podium.yaml": rules("ann"), "team/hello.yaml": FLOW.format(name="hello", namespace="company.team")})
        house.deployed("company.team", "hello")
        assert house.call("GET", "/api/v1/people")["users"] == []
        (sync, *_) = house.call("GET", "/api/v1/syncs")
        assert [each["code"] for each in sync["warnings"]] == ["access-ignored"]
    finally:
        house.close()


async def test_the_story_in_a_browser(house: DaemonHouse) -> None:
    begin(house)
    url = f"http://127.0.0.1:{house.port}"
    async with chromium() as browser:
        page = await browser.page()
        await page.goto(f"{url}/flows")
        assert "/login?next=" in page.url
        await _enter(page, "vic", "wrong password")
        assert "name and its password" in await page.inner_text("#error-login")
        browser.said.clear()  # the console says that the answer was a 401
        await _enter(page, "vic")
        await page.wait_for_url("**/flows")
        text = await page.inner_text("main")
        assert "hello" in text
        assert "hidden" not in text
        await page.goto(f"{url}/account")
        assert "viewer" in await page.inner_text("main")
        assert await violations(page) == []
        await _shoot(page, "account-viewer")
        refused = await page.goto(f"{url}/settings")
        assert refused is not None
        assert refused.status == 403
        browser.said.clear()
        house.push({"podium.yaml": rules("ann", "oz")})
        wait_for(lambda: status(house, "GET", FLOWS, basic("vic")) == 401, "vic to be gone")
        await page.goto(f"{url}/flows")
        assert "/login" in page.url, "the session ended with the account"
        await _enter(page, "oz")
        await page.goto(f"{url}/flows/company.team/hello?tab=run")
        await page.click("form[action$='/run'] button:not([type=button])")
        await page.wait_for_url("**/executions/*")
        started = house.call("GET", "/api/v1/executions/" + page.url.split("/executions/")[1].partition("?")[0], headers=basic("ann"))
        assert {"key": "system.username", "value": "oz"} in started["labels"]
        await page.goto(f"{url}/account")
        await page.fill("#token-name", "mine")
        await page.select_option("#token-role", "operator")
        await page.click("text=Make a token")
        assert "podium_" in await page.inner_text("#made")
        await _shoot(page, "account-token")
        await page.click("text=Log out everywhere")
        await page.wait_for_url("**/login")
        assert await violations(page) == []
        await _enter(page, "ann@example.org", PASSWORDS["ann"])
        for name in ("settings", "system", "people", "account"):
            await page.goto(f"{url}/{name}")
            assert await violations(page) == [], name
            await _shoot(page, name)
            for scheme, width in (("dark", 1280), ("light", 400), ("dark", 400)):
                other = await browser.page(scheme=scheme, width=width)
                await other.context.add_cookies(await page.context.cookies())
                await other.goto(f"{url}/{name}")
                assert await other.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
                assert await violations(other) == [], (name, scheme, width)
                await _shoot(other, f"{name}-{scheme}-{width}")
                await other.context.close()
        await page.goto(f"{url}/account")
        await page.fill("#token-name", "robot")
        await page.check("input[name=commit]")
        await page.click("text=Make a token")
        token = await page.inner_text("#made code >> nth=0")
        assert "committed" in await page.inner_text("#made")
        wait_for(lambda: status(house, "GET", FLOWS, {"Authorization": f"Bearer {token}"}) == 200, "the token to be deployed")
        house.git("pull", "--quiet", "origin", "main")
        author = house.git("log", "-1", "--format=%an <%ae> %s").stdout.strip()
        assert author == "ann <ann@example.org> Add API token robot"
        assert (house.work / "podium.yaml").read_text().startswith(rules("ann", "oz"))
        await page.goto(f"{url}/system?check=true")
        assert "git" in await page.inner_text("#doctor")
        await page.fill("input[name=reason]", "new disk")
        await page.click("#pausing button")
        await page.wait_for_selector("text=Resume everything")
        await page.click("text=Resume everything")
        await page.wait_for_selector("#pausing input[name=reason]")
        assert browser.said == []


async def _enter(page: Any, user: str, password: str | None = None) -> None:
    await page.fill("#user", user)
    await page.fill("#password", password or PASSWORDS[user])
    await page.click("form.login button")


async def _shoot(page: Any, name: str) -> None:
    if SHOTS is not None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            await page.screenshot(path=SHOTS / f"{name}.png", full_page=not name.startswith("settings"))
