"""The pages Settings, System, Account and People, and the same over the API."""

from __future__ import annotations

from typing import Any

from people_house import FAR, PASSWORDS, FakeAbout, basic, bearer, door, world
from podium.base.access.people import digest_of
from web_client import serving


async def test_settings_show_value_origin_and_meaning(clock: Any) -> None:
    async with serving(await world(clock), door=door(), about=FakeAbout()) as client:
        page = (await client.page("/settings")).text
        assert all(text in page for text in ("[server]", "9090", "podium.toml:3", "TCP port", "/etc/podium/podium.toml", "Token &lt;b&gt;"))
        changed = (await client.page("/settings?changed=true")).text
        assert "Name of this daemon" not in changed
        assert "Token &lt;b&gt;" not in (await client.page("/settings?q=port")).text
        assert "Everything is as it comes" in (await client.page("/settings?q=zzz")).text
        assert (await client.get("/api/v1/instance/settings")).json[0]["origin"] == "podium.toml:3"
        assert (await client.get("/settings", headers={**bearer("editor"), "Accept": "text/html"})).status == 403


async def test_the_system_page_pauses_resumes_and_collects(clock: Any) -> None:
    made = await world(clock)
    async with serving(made, door=door(), about=FakeAbout()) as client:
        page = (await client.page("/system")).text
        assert not [text for text in ("4711", "80.0 MB", "3 / 64", "everything is paused", "12.0 MB", "3.11.7") if text not in page]
        assert "start it" in (await client.page("/system?check=true")).text
        assert (await client.post("/system/pause", data={"reason": "new <disk>"}, headers={"Origin": client.url})).status == 303
        assert (made.orchestrator.paused or {})["reason"] == "new <disk>"
        assert "new &lt;disk&gt;" in (await client.page("/system")).text
        assert (await client.post("/system/resume", headers={"Origin": client.url})).status == 303
        assert made.orchestrator.paused is None
        assert "2.5 MB" in (await client.page("/system?gc=true")).text
        assert (await client.post("/system/gc", headers={"Origin": client.url})).status == 303
        assert made.orchestrator.collected == [True, False]
        assert (await client.get("/api/v1/instance")).json["process"]["pid"] == 4711
        assert (await client.get("/api/v1/instance/doctor")).json[1]["todo"] == "start it"
        assert (await client.post("/system/pause", headers={**bearer("editor"), "Origin": client.url})).status == 403


async def test_without_a_daemon_there_are_no_facts(clock: Any) -> None:
    async with serving(await world(clock), door=door()) as client:
        assert (await client.page("/settings")).status == 200
        assert (await client.page("/system")).status == 200
        assert (await client.get("/api/v1/instance")).status == 404


async def test_my_account_shows_who_i_am_and_makes_tokens_no_stronger_than_me(clock: Any) -> None:
    opened = door()
    async with serving(await world(clock), door=opened) as client:
        bob = basic("bob", PASSWORDS["bob"])
        me = (await client.get("/api/v1/account", headers=bob)).json
        assert (me["account"], me["kind"], me["roles"]) == ("bob", "user", [{"namespace": "company.team", "role": "viewer"}])
        assert (await client.get("/api/v1/main/me", headers=bob)).json == me
        page = await client.get("/account", headers={**bob, "Accept": "text/html"})
        assert (page.status, "company" in page.text, "name and password" in page.text) == (200, True, True)
        made = (await client.post("/api/v1/account/token", json={"name": "mine", "namespaces": ["company.team"]}, headers=bob)).json
        assert made["entry"] == {"name": "mine", "hash": digest_of(made["token"]), "role": "viewer", "namespaces": ["company.team"], "user": "bob"}
        for wanted in (
            {"name": "x", "role": "editor"}, {"name": "x", "namespaces": ["company"]}, {"name": "x", "namespaces": ["company.tea"]}, {"name": "a b"},
            {"name": "x", "expires": "soon"}, {"name": "x", "role": "boss"}, {"name": "x", "namespaces": "company.team"},
        ):
            assert (await client.post("/api/v1/account/token", json=wanted, headers=bob)).status == 422, wanted
        assert (await client.post("/api/v1/account/token", json={"name": "x"}, headers=bearer("viewer"))).status == 422
        shown = await client.post("/account/token", data={"name": "mine", "role": "viewer", "namespaces": "company.team"}, headers={**bob, "Origin": client.url})
        assert (shown.status, shown.text.count("podium_") >= 1, "sha256:" in shown.text) == (200, True, True)
        refused = await client.post("/account/token", data={"name": "<b>", "role": "viewer"}, headers={**bob, "Origin": client.url})
        assert (refused.status, "<b>&" in refused.text, "&lt;b&gt;" in refused.text) == (422, False, True)


async def test_logging_out_everywhere_from_the_page(clock: Any) -> None:
    opened = door()
    async with serving(await world(clock), door=opened) as client:
        entered = await client.post("/login", data={"user": "bob", "password": PASSWORDS["bob"]}, headers={**FAR, "Origin": client.url})
        cookie = {**FAR, "Cookie": entered.headers["Set-Cookie"].partition(";")[0], "Origin": client.url}
        client.session.cookie_jar.clear()
        clock.advance(1)
        assert (await client.post("/account/logout-everywhere", headers=cookie)).status == 303
        assert (await client.get("/api/v1/account", headers=cookie)).status == 401


async def test_admins_see_who_has_what_from_which_line(clock: Any) -> None:
    opened = door(token="the-token-of-the-instance")
    async with serving(await world(clock), door=opened) as client:
        page = (await client.page("/people")).text
        assert all(text in page for text in ("Ann Example", "podium.yaml:2", "podium.yaml:8", "through data", "02c0ffee"))
        assert "argon2" not in page
        assert "sha256" not in page
        opened.roster.problems = ({"file": "podium.yaml", "line": 3, "column": 5, "message": "two users <x>", "hint": ""},)
        assert "podium.yaml:3:5</span> two users &lt;x&gt;" in (await client.page("/people")).text
        view = (await client.get("/api/v1/people", headers=bearer("admin"))).json
        assert [each["name"] for each in view["users"]] == ["ann", "bob"]
        assert "argon2" not in str(view)
        assert (await client.get("/api/v1/people", headers=bearer("all-viewer"))).status == 403


async def test_accounts_are_not_made_over_the_api(clock: Any) -> None:
    async with serving(await world(clock), door=door()) as client:
        refused = await client.post("/api/v1/main/basicAuth", json={"username": "x@y", "password": "z"})
        assert (refused.status, refused.json["code"]) == (405, "people-come-from-git")
        assert (await client.get("/api/v1/basicAuthValidationErrors")).json == []
        assert (await client.get("/api/v1/configs")).json["isBasicAuthEnabled"] is True


async def test_who_approves_or_pauses_is_who_is_logged_in_whatever_the_request_claims(clock: Any) -> None:
    made = await world(clock)
    async with serving(made, door=door()) as client:
        await client.post(f"/api/v1/executions/{made.ids['paused']}/review", json={"decision": "APPROVED", "by": "somebody else"}, headers=bearer("operator"))
        assert made.orchestrator.views[made.ids["paused"]]["reviewed"]["by"] == "operator"
        await client.post("/api/v1/system/pause?by=somebody+else", headers=bearer("admin"))
        assert (made.orchestrator.paused or {})["by"] == "admin"
        await client.post("/api/v1/system/pause?by=the+night+shift")
        assert (made.orchestrator.paused or {})["by"] == "the night shift"


async def test_lists_say_who_started_an_execution_by_hand(clock: Any) -> None:
    made = await world(clock)
    made.orchestrator.views[made.ids["paused"]]["labels"].append({"key": "system.username", "value": "oz<b>"})
    async with serving(made, door=door()) as client:
        page = (await client.page("/executions")).text
        assert "oz&lt;b&gt;" in page
        assert "by hand" in page
