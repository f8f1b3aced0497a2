"""Who may call: names, origins, tokens, sessions, and what counts as this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from podium.base.errors import SettingsError
from podium.web.errors import NotAllowedHere
from podium.web.people.access import Access, host_name, is_loopback, require_safe, safe_next
from podium.web.people.identify import COOKIE, Door

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
TOKEN = "a-token-that-is-long-enough"


def asked(method: str = "GET", *, host: str = "127.0.0.1:8080", peer: str = "127.0.0.1", **headers: str) -> Any:
    """A request over TCP. Header names are written with underscores."""
    transport = Mock()
    sock = SimpleNamespace(family=2)
    transport.get_extra_info.side_effect = lambda name, default=None: {"socket": sock, "peername": (peer, 40000)}.get(name, default)
    named = CIMultiDict({"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}})
    return make_mocked_request(method, "/x", headers=named, transport=transport)


def door_of(token: str | None, hosts: tuple[str, ...] = ()) -> Door:
    return Door(access=Access.of(hosts), token=token)


async def via(door: Door, request: Any, now: datetime = NOW) -> str | None:
    """How the caller is trusted."""
    who = await door.who(request, now)
    return who.via if who is not None else None


async def cookie(door: Door) -> str:
    """A session of who has the token."""
    made = await door.login(asked("POST"), "", TOKEN, NOW)
    assert made is not None
    return made


@pytest.fixture
def access() -> Door:
    return door_of(TOKEN, ("podium.example.org",))


async def test_a_program_of_this_machine_needs_no_token(access: Door) -> None:
    assert await via(access, asked("POST")) == "loopback"
    assert await via(door_of(None), asked("POST", host="localhost:8080")) == "loopback"


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "X_Real_IP", "Via", "X_Forwarded_Host", "X_Forwarded_Proto", "CF_Connecting_IP"])
async def test_what_comes_through_a_proxy_on_this_machine_is_a_stranger(access: Door, header: str) -> None:
    assert await via(access, asked(**{header: "203.0.113.9"})) is None


def test_a_token_of_odd_bytes_is_just_wrong(access: Door) -> None:
    assert not access.is_root_token("\udce9")


async def test_a_public_name_from_this_machine_is_a_stranger(access: Door) -> None:
    """A proxy that passes the Host header on and adds none of its own."""
    assert await via(access, asked(host="podium.example.org")) is None


@pytest.mark.parametrize(
    ("header", "trust"),
    [
        (f"Bearer {TOKEN}", "token"), (f"bearer {TOKEN}", "token"), ("Bearer wrong", None), ("Bearer ", None), ("Basic !!", None), ("Digest x", None),
        ("Basic YWRtaW46YS10b2tlbi10aGF0LWlzLWxvbmctZW5vdWdo", "token"), ("Bearer \u00e9", None),
    ],
)
async def test_tokens_of_a_remote_caller(access: Door, header: str, trust: str | None) -> None:
    assert await via(access, asked("POST", peer="203.0.113.9", host="podium.example.org", Authorization=header)) == trust


async def test_where_no_token_is_set_a_header_says_nothing() -> None:
    """Clients of other tools always send one."""
    assert await via(door_of(None), asked("POST", Authorization="Basic eDp5")) == "loopback"
    assert await via(door_of(None), asked(peer="203.0.113.9", Authorization="Bearer ")) is None


async def test_a_wrong_token_is_not_saved_by_being_local(access: Door) -> None:
    assert await via(access, asked(Authorization="Bearer wrong")) is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", "", "xlocalhost"])
async def test_a_foreign_host_name_is_refused(access: Door, host: str) -> None:
    """Else a page of evil.example, whose name was made to point here, reads everything."""
    with pytest.raises(NotAllowedHere):
        await via(access, asked(host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]:8080", "localhost", "LOCALHOST:80", "podium.example.org.", "Podium.Example.org:443", "192.0.2.7:8080"])
def test_our_own_names_and_addresses_are_answered(access: Door, host: str) -> None:
    access.access.check(asked(host=host))


async def test_a_star_allows_every_name() -> None:
    assert await via(door_of(TOKEN, ("*",)), asked(host="whatever", peer="203.0.113.9")) is None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8080.evil.example", "file://", "http://", "javascript:alert(1)", "http://[::1"],
)
async def test_a_page_of_another_site_changes_nothing(access: Door, origin: str) -> None:
    with pytest.raises(NotAllowedHere):
        await via(access, asked("POST", Origin=origin))


async def test_a_page_of_another_site_with_the_token_changes_nothing(access: Door) -> None:
    with pytest.raises(NotAllowedHere):
        await via(access, asked("POST", Origin="http://evil.example", Authorization=f"Bearer {TOKEN}"))


async def test_our_own_page_may_change_things(access: Door) -> None:
    assert await via(access, asked("POST", Origin="http://127.0.0.1:8080")) == "loopback"
    behind_proxy = asked("POST", host="podium.example.org", Origin="https://podium.example.org", Authorization=f"Bearer {TOKEN}")
    assert await via(access, behind_proxy) == "token"


async def test_a_browser_that_hides_the_origin_is_refused(access: Door) -> None:
    with pytest.raises(NotAllowedHere):
        await via(access, asked("POST", Sec_Fetch_Site="cross-site"))


def session(value: str, method: str = "GET", **more: str) -> Any:
    return asked(method, host="podium.example.org", peer="203.0.113.9", Cookie=f"{COOKIE}={value}", **more)


async def test_a_session_reads_and_from_our_page_writes(access: Door) -> None:
    value = await cookie(access)
    assert await via(access, session(value)) == "session"
    assert await via(access, session(value, "POST", Origin="https://podium.example.org")) == "session"
    assert await via(access, session(value, "POST")) is None, "without an origin nobody knows which page asked"


async def test_a_session_ends(access: Door) -> None:
    assert await via(access, session(await cookie(access)), NOW + timedelta(days=15)) is None


@pytest.mark.parametrize("change", [lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"), lambda text: "9" + text, lambda _: "", lambda _: "a.b.c", lambda text: text.rpartition(".")[0]])
async def test_a_forged_session_is_worth_nothing(access: Door, change: Any) -> None:
    assert await via(access, session(change(await cookie(access)))) is None


async def test_a_session_of_another_token_is_worth_nothing(access: Door) -> None:
    assert await via(access, session(door_of(TOKEN).sessions.issue(kind="root", name="", secret=TOKEN, now=NOW))) is None


async def test_the_session_does_not_hold_the_token(access: Door) -> None:
    assert TOKEN not in (await cookie(access))
    assert TOKEN not in repr(access)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.7", "podium.example.org"])
def test_beyond_this_machine_a_token_is_a_must(host: str) -> None:
    with pytest.raises(SettingsError, match="without a token"):
        require_safe(host, token=None, accounts=False)
    with pytest.raises(SettingsError, match="shorter"):
        require_safe(host, token="short", accounts=False)
    require_safe(host, token=TOKEN, accounts=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "::ffff:127.0.0.1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    require_safe(host, token=None, accounts=False)


def test_host_names() -> None:
    assert [host_name(text) for text in ("A.b:80", "[::1]:80", "::1", "x.", "")] == ["a.b", "::1", "::1", "x", ""]


@pytest.mark.parametrize("target", [None, "", "//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\r\nSet-Cookie: x=1", "/\t/evil.example"])
def test_after_login_nobody_is_sent_away(target: str | None) -> None:
    assert safe_next(target) == "/"


def test_after_login_the_page_asked_for_comes() -> None:
    assert safe_next("/executions?state=FAILED") == "/executions?state=FAILED"
