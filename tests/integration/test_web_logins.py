"""Logging in over HTTP: passwords, tokens and sessions, what ends them, guesses, limits, other origins, forgeries."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest

from people_house import FAR, PASSWORDS, basic, bearer, door, hash_of, people, world
from podium.base.access.people import Person
from podium.web.people.identify import COOKIE
from podium.web.people.throttle import Buckets
from web_client import Client, serving

FLOWS, START = "/api/v1/flows/search", "/api/v1/executions/company.team/hello"


async def test_people_with_their_password_and_tokens_as_basic(clock: Any) -> None:
    async with serving(await world(clock), door=door(token="the-token-of-the-instance")) as client:
        for headers, status in (
            (basic("ann", PASSWORDS["ann"]), 200), (basic("ANN@example.org", PASSWORDS["ann"]), 200), (basic("ann", PASSWORDS["bob"]), 401),
            (basic("nobody", PASSWORDS["ann"]), 401), (basic("ann", ""), 401), (basic("", PASSWORDS["ann"]), 401), (basic("x", "podium_viewer"), 200),
            (basic("x", "the-token-of-the-instance"), 200), (basic("bob", hash_of("bob")), 401), (basic("data", PASSWORDS["bob"]), 401),
        ):
            assert (await client.get(FLOWS, headers=headers)).status == status, headers


async def test_a_password_sent_with_each_call_is_checked_once(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def is_right(hashed: str, password: str) -> bool:
        checked.append(hashed)
        return password == PASSWORDS["bob"]

    monkeypatch.setattr("podium.web.people.passwords.is_right", is_right)
    opened = door()
    async with serving(await world(clock), door=opened) as client:
        for _ in range(5):
            assert (await client.get(FLOWS, headers=basic("bob", PASSWORDS["bob"]))).status == 200
        assert len(checked) == 1
        opened.roster.change(replace(people(), persons={"bob": Person(name="bob", password=hash_of("ann"))}))
        await client.get(FLOWS, headers=basic("bob", PASSWORDS["bob"]))
        assert len(checked) == 2, "another hash ends what is remembered"


async def login(client: Client, user: str, password: str, **more: str) -> Any:
    headers = {**FAR, "Origin": client.url, **more}
    return await client.post("/login", data={"user": user, "password": password, "next": "/flows"}, headers=headers)


def cookie_of(answered: Any) -> dict[str, str]:
    value = answered.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    return {**FAR, "Cookie": f"{COOKIE}={value}"}


async def test_login_and_what_a_session_may(clock: Any) -> None:
    async with serving(await world(clock), door=door()) as client:
        assert (await client.page("/login")).status == 303, "a program of this machine is in already"
        assert (await client.get("/flows", headers={**FAR, "Accept": "text/html"})).headers["Location"].startswith("/login?next=")
        form = await client.get("/login?next=//evil.example", headers={**FAR, "Accept": "text/html"})
        assert (form.status, "evil" in form.text, 'name="user"' in form.text) == (200, False, True)
        assert 'name="token"' in (await client.get("/login?token", headers={**FAR, "Accept": "text/html"})).text
        assert (await login(client, "ann", "wrong")).status == 401
        assert (await login(client, "<b>x</b>", "wrong")).text.count("<b>x</b>") == 0
        entered = await login(client, "Ann", PASSWORDS["ann"])
        assert (entered.status, entered.headers["Location"]) == (303, "/flows")
        said = entered.headers["Set-Cookie"]
        assert all(word in said for word in ("HttpOnly", "SameSite=Lax", "Path=/"))
        assert "Secure" not in said
        client.session.cookie_jar.clear()
        sent = cookie_of(entered)
        assert (await client.get(FLOWS, headers=sent)).status == 200
        assert (await client.get("/flows", headers={**sent, "Sec-Fetch-Site": "cross-site"})).status == 200, "a link in a mail was followed"
        assert (await client.post(START, headers=sent)).status == 401, "no page of ours asked"
        assert (await client.post(START, headers={**sent, "Origin": client.url})).status == 200
        out = await client.post("/logout", headers={**sent, "Origin": client.url})
        assert (out.status, 'Max-Age=0' in out.headers["Set-Cookie"]) == (303, True)


async def test_what_ends_a_session(clock: Any) -> None:
    opened = door()
    async with serving(await world(clock), door=opened) as client:
        sent = cookie_of(await login(client, "ann", PASSWORDS["ann"]))
        client.session.cookie_jar.clear()
        opened.roster.change(replace(people(), grants=()))
        assert (await client.get(FLOWS, headers=sent)).status == 403, "no role any more"
        opened.roster.change(people())
        assert (await client.get(FLOWS, headers=sent)).status == 200
        opened.roster.change(replace(people(), persons={"ann": replace(people().persons["ann"], password=hash_of("bob"))}))
        assert (await client.get(FLOWS, headers=sent)).status == 401, "another password"
        opened.roster.change(people())
        clock.advance(1)
        opened.sessions.end_all(kind="user", name="ann", now=clock.now())
        assert (await client.get(FLOWS, headers=sent)).status == 401, "logged out everywhere"
        clock.advance(1)
        sent = cookie_of(await login(client, "ann", PASSWORDS["ann"]))
        client.session.cookie_jar.clear()
        assert (await client.get(FLOWS, headers=sent)).status == 200
        opened.roster.change(replace(people(), persons={"ann": replace(people().persons["ann"], disabled=True)}))
        assert (await client.get(FLOWS, headers=sent)).status == 401, "disabled"
        opened.roster.change(replace(people(), persons={}))
        assert (await client.get(FLOWS, headers=sent)).status == 401, "removed"
        opened.roster.change(people())
        clock.advance(15 * 24 * 3600)
        assert (await client.get(FLOWS, headers=sent)).status == 401, "its time is up"


async def test_a_token_logs_in_too_and_ends_the_session_with_it(clock: Any) -> None:
    opened = door()
    async with serving(await world(clock), door=opened) as client:
        entered = await client.post("/login", data={"token": "podium_viewer"}, headers={**FAR, "Origin": client.url})
        sent = cookie_of(entered)
        client.session.cookie_jar.clear()
        assert (await client.get(FLOWS, headers=sent)).status == 200
        assert (await client.post(START, headers={**sent, "Origin": client.url})).status == 403
        opened.roster.change(replace(people(), tokens=()))
        assert (await client.get(FLOWS, headers=sent)).status == 401


async def test_behind_https_the_cookie_is_for_https_and_browsers_are_told_to_stay(clock: Any) -> None:
    async with serving(await world(clock), door=door()) as client:
        headers = {**FAR, "Host": "podium.example.org", "Origin": "https://podium.example.org"}
        entered = await client.post("/login", data={"user": "ann", "password": PASSWORDS["ann"]}, headers=headers)
        assert (entered.status, "Secure" in entered.headers["Set-Cookie"]) == (303, True)
        assert "max-age" in entered.headers["Strict-Transport-Security"]
        assert "Strict-Transport-Security" not in (await client.get("/login", headers=FAR)).headers


@pytest.mark.parametrize("foreign", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}])
async def test_another_site_cannot_log_anybody_in_or_out(clock: Any, foreign: dict[str, str]) -> None:
    async with serving(await world(clock), door=door()) as client:
        for path in ("/login", "/logout"):
            answered = await client.post(path, data={"user": "ann", "password": PASSWORDS["ann"]}, headers={**FAR, **foreign})
            assert (answered.status, "Set-Cookie" in answered.headers) == (403, False)


async def test_guesses_are_slowed_down_and_others_are_not(clock: Any) -> None:
    async with serving(await world(clock), door=door()) as client:
        statuses = [(await login(client, "ann", f"guess {number}")).status for number in range(6)]
        assert statuses == [401] * 5 + [429]
        held = await login(client, "ann", PASSWORDS["ann"])
        assert (held.status, int(held.headers["Retry-After"]) >= 1) == (429, True)
        assert (await client.get(FLOWS, headers=basic("ann", PASSWORDS["ann"]))).status == 429
        assert (await client.get(FLOWS, headers=bearer("admin"))).status == 200, "a token is no guess"
        assert (await login(client, "ann", PASSWORDS["ann"], **{"X-Forwarded-For": "198.51.100.7"})).status == 303, "from elsewhere she gets in"


async def test_guesses_at_once_are_counted_too_and_calls_with_the_right_password_are_one(clock: Any) -> None:
    async with serving(await world(clock), door=door()) as client:
        right = await asyncio.gather(*(client.get(FLOWS, headers=basic("bob", PASSWORDS["bob"])) for _ in range(30)))
        assert {each.status for each in right} == {200}
        many = await asyncio.gather(*(client.get(FLOWS, headers=basic("ann", f"guess {number}")) for number in range(30)))
        statuses = [each.status for each in many]
        assert (statuses.count(401) <= 5, statuses.count(429) >= 25) == (True, True), statuses


async def test_a_name_cannot_write_lines_into_the_log(clock: Any, capfd: pytest.CaptureFixture[str]) -> None:
    async with serving(await world(clock), door=door()) as client:
        await login(client, "ann\n2026-01-01 [info] audit who=root\x1b[2J", "wrong")
    said = "".join(capfd.readouterr())
    assert "login_refused" in said
    assert "\n2026-01-01 [info]" not in said
    assert "\x1b[2J" not in said


async def test_forged_addresses_before_the_proxys_own_do_not_help_who_guesses(clock: Any) -> None:
    async with serving(await world(clock), door=door()) as client:
        forged = [{"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.9"} for number in range(6)]
        assert [(await login(client, "ann", "guess", **each)).status for each in forged][-1] == 429


async def test_who_changes_too_much_is_held_up(clock: Any) -> None:
    async with serving(await world(clock), door=door(), calls=Buckets(0.01, 3.0)) as client:
        assert [(await client.post(START, headers=bearer("operator"))).status for _ in range(4)] == [200, 200, 200, 429]
        assert (await client.get(FLOWS, headers=bearer("operator"))).status == 200
        assert (await client.post(START, headers=bearer("editor"))).status == 200
        refused = await client.post(START, headers=bearer("operator"))
        assert (refused.json["code"], "Retry-After" in refused.headers) == ("too-many-calls", True)
        assert [(await client.post(START)).status for _ in range(5)] == [200] * 5, "programs of this machine are not counted"


async def test_pages_of_named_origins_may_call_the_api(clock: Any) -> None:
    portal = "https://portal.example.org"
    async with serving(await world(clock), door=door(cors=[portal])) as client:
        asks = {"Origin": portal, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        before = await client("OPTIONS", START, headers={**FAR, **asks})
        assert (before.status, before.headers["Access-Control-Allow-Origin"]) == (204, portal)
        assert "Authorization" in before.headers["Access-Control-Allow-Headers"]
        assert before.headers["Access-Control-Allow-Credentials"] == "true"
        done = await client.post(START, headers={**bearer("operator"), "Origin": portal})
        assert (done.status, done.headers["Access-Control-Allow-Origin"], "Origin" in done.headers["Vary"]) == (200, portal, True)
        evil = {"Origin": "https://evil.example"}
        assert "Access-Control-Allow-Origin" not in (await client("OPTIONS", START, headers={**FAR, **asks, **evil})).headers
        assert (await client.post(START, headers={**bearer("operator"), **evil})).status == 403
        assert "Access-Control-Allow-Origin" not in (await client.get("/flows", headers={**bearer("viewer"), "Origin": portal})).headers


async def test_a_star_lets_in_only_who_sends_a_token(clock: Any) -> None:
    """Else any page that somebody of this machine looks at could read and do everything here."""
    opened = door(cors=["*"])
    async with serving(await world(clock), door=opened) as client:
        origin = {"Origin": "https://any.example"}
        assert (await client.get(FLOWS, headers=origin)).status == 401
        assert (await client.post(START, headers=origin)).status == 401
        session = opened.sessions.issue(kind="user", name="ann", secret=hash_of("ann"), now=clock.now())
        assert (await client.get(FLOWS, headers={**origin, "Cookie": f"{COOKIE}={session}"})).status == 401
        done = await client.post(START, headers={**bearer("operator"), **origin})
        assert (done.status, done.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert "Access-Control-Allow-Credentials" not in done.headers


async def test_local_login_asks_programs_of_this_machine_too(clock: Any) -> None:
    async with serving(await world(clock), door=door(local_login=True)) as client:
        assert (await client.get(FLOWS)).status == 401
        assert (await client.get(FLOWS, headers={"Authorization": "Bearer podium_viewer"})).status == 200


async def test_forged_cookies_are_worth_nothing(clock: Any) -> None:
    opened = door()
    async with serving(await world(clock), door=opened) as client:
        good = opened.sessions.issue(kind="user", name="bob", secret=hash_of("bob"), now=clock.now())
        text, _, signature = good.partition(".")
        forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).replace(b'"bob"', b'"ann"')).decode().rstrip("=")
        for cookie in (f"{forged}.{signature}", f"{text}.", f"{text}.{'0' * 64}", f".{signature}", good + "x", "x" * 3_000, f"{text}=.{signature}", "."):
            assert (await client.get(FLOWS, headers={**FAR, "Cookie": f"{COOKIE}={cookie}"})).status == 401, cookie
        assert (await client.get(FLOWS, headers={**FAR, "Cookie": f"{COOKIE}={good}"})).status == 200
        of_root = opened.sessions.issue(kind="root", name="", secret="", now=clock.now())
        assert (await client.get(FLOWS, headers={**FAR, "Cookie": f"{COOKIE}={of_root}"})).status == 401, "there is no token"


async def test_a_token_in_the_address_lets_nobody_in(clock: Any) -> None:
    """It would be in logs and histories."""
    async with serving(await world(clock), door=door()) as client:
        for query in ("token=podium_admin", "access_token=podium_admin", "Authorization=Bearer%20podium_admin"):
            assert (await client.get(f"{FLOWS}?{query}", headers=FAR)).status == 401


async def test_credentials_at_an_open_door_are_no_guesses(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a webhook's sender sends may be meant for the flow: it costs no hash, and nobody is held up for it."""
    monkeypatch.setattr("podium.web.people.passwords.is_right", lambda hashed, password: pytest.fail("a password was checked"))
    async with serving(await world(clock), door=door()) as client:
        for _ in range(30):
            sent = await client.post("/api/v1/executions/webhook/company.team/hello/s3cret", headers=basic("ann", "for the flow"))
            assert sent.status == 200
        assert ("Authorization", "Basic " + base64.b64encode(b"ann:for the flow").decode()) in client.world.webhooks.deliveries[-1].headers
        assert (await client.get(FLOWS, headers=bearer("viewer"))).status == 200
        await client.post("/api/v1/executions/webhook/company.team/hello/s3cret", headers=bearer("viewer"))
        assert "Authorization" not in dict(client.world.webhooks.deliveries[-1].headers), "a token of ours is not for the flow"
