"""The rules of access over real sockets: tokens, login, the Unix socket, listening beyond this machine."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from podium.base.errors import SettingsError
from podium.web.server import serve
from web_client import serving
from web_demo import World

TOKEN = "a-token-that-is-long-enough"
FORWARDED = {"X-Forwarded-For": "203.0.113.9"}
"""Makes the caller a stranger: a proxy stands between."""
ORIGIN = {"Origin": "http://evil.example"}


@pytest.mark.parametrize(
    ("headers", "read", "write"),
    [
        ({}, 200, 200),
        (FORWARDED, 401, 401),
        ({**FORWARDED, "Authorization": f"Bearer {TOKEN}"}, 200, 200),
        ({**FORWARDED, "Authorization": "Bearer wrong"}, 401, 401),
        ({"Authorization": "Bearer wrong"}, 401, 401),
        (ORIGIN, 200, 403),
        ({**ORIGIN, "Authorization": f"Bearer {TOKEN}"}, 200, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 200, 403),
        ({"Host": "evil.example"}, 403, 403),
        ({"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}, 403, 403),
        ({"Host": "podium.example.org"}, 401, 401),
        ({"Host": "podium.example.org", "Authorization": f"Bearer {TOKEN}", "Origin": "https://podium.example.org"}, 200, 200),
    ],
)
async def test_who_may_read_and_write(clock: Any, headers: dict[str, str], read: int, write: int) -> None:
    async with serving(await World(clock).fill(), token=TOKEN, allowed_hosts=["podium.example.org"]) as client:
        for path in ("/api/v1/flows/search", "/metrics", "/api/v1/openapi.json", "/api/v1/events" if read != 200 else "/api/v1/sources"):
            assert (await client.get(path, headers=headers)).status == read, path
        answered = await client.post("/api/v1/executions/company.team/hello", headers=headers)
        assert answered.status == write
        if write != 200:
            assert {"message", "code", "hint", "_links", "_embedded"} <= answered.json.keys()
        if write == 401:
            assert answered.headers["WWW-Authenticate"].startswith("Bearer")


async def test_open_doors_need_no_token_and_tell_no_secrets(clock: Any) -> None:
    async with serving(await World(clock).fill(), token=TOKEN) as client:
        health = await client.get("/health", headers=FORWARDED)
        assert (health.status, health.json) == (200, {"status": "UP"})
        assert (await client.get("/ping", headers={"Host": "evil.example"})).status == 200
        assert (await client.post("/api/v1/executions/webhook/company.team/hello/s3cret", headers={**FORWARDED, **ORIGIN, "Host": "public.example"})).status == 200
        assert (await client.post("/api/v1/hooks/main", headers=FORWARDED)).status == 202
        assert client.world.sources.notified[-1][2] is False, "a stranger's hook must bring a signature"
        await client.post("/api/v1/hooks/main", headers={**FORWARDED, "Authorization": f"Bearer {TOKEN}"})
        assert client.world.sources.notified[-1][2] is True
        await client.post("/api/v1/hooks/main", headers=ORIGIN)
        assert client.world.sources.notified[-1][2] is False, "a page of another site is no trusted caller"


async def test_our_own_token_never_becomes_a_trigger_variable(clock: Any) -> None:
    async with serving(await World(clock).fill(), token=TOKEN) as client:
        await client.post("/api/v1/executions/webhook/company.team/hello/s3cret", headers={"Authorization": f"Bearer {TOKEN}", "X-Own": "1"})
        names = {name.lower() for name, _ in client.world.webhooks.deliveries[-1].headers}
        assert "x-own" in names
        assert "authorization" not in names


async def test_without_a_token_strangers_are_told_what_to_set(clock: Any) -> None:
    async with serving(await World(clock).fill()) as client:
        answered = await client.get("/api/v1/flows/search", headers=FORWARDED)
        assert answered.status == 401
        assert "server.token" in answered.json["hint"]
        page = await client.page("/flows", data=None)
        assert page.status == 200
        stranger = await client("GET", "/flows", headers={**FORWARDED, "Accept": "text/html"})
        assert stranger.status == 401
        assert "server.token" in stranger.text
        assert "daily-sales" not in stranger.text


async def test_logging_in_and_out(clock: Any) -> None:
    async with serving(await World(clock).fill(), token=TOKEN) as client:
        as_page = {**FORWARDED, "Accept": "text/html"}
        asked = await client("GET", "/executions?state=FAILED", headers=as_page)
        assert (asked.status, asked.headers["Location"]) == (303, "/login?next=/executions?state%3DFAILED")
        form = await client("GET", asked.headers["Location"], headers=as_page)
        assert 'type="password"' in form.text
        assert "Executions</span>" not in form.text, "no navigation for strangers"
        origin = {"Origin": client.url, **as_page}
        wrong = await client.post("/login", data={"token": "nope", "next": "/x"}, headers=origin)
        assert (wrong.status, "Set-Cookie" in wrong.headers) == (401, False)
        assert "not the token" in wrong.text
        right = await client.post("/login", data={"token": TOKEN, "next": "/executions?state=FAILED"}, headers=origin)
        assert (right.status, right.headers["Location"]) == (303, "/executions?state=FAILED")
        cookie = right.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.replace("; ", ";").split(";"))
        assert TOKEN not in cookie
        inside = await client("GET", "/executions", headers=as_page)
        assert inside.status == 200
        assert "Log out" in inside.text
        assert (await client.get("/api/v1/flows/search", headers=FORWARDED)).status == 200
        run = f"/executions/{client.world.ids['running']}/kill"
        assert (await client.post(run, headers=as_page)).status == 401, "a session alone changes nothing: the page must be ours"
        assert (await client.post(run, headers={**as_page, **ORIGIN})).status == 403
        assert (await client.post(run, headers=origin)).status == 303
        assert (await client.post("/logout", headers=origin)).status == 303
        assert (await client("GET", "/executions", headers=as_page)).status == 303


async def test_the_cookie_is_for_https_only_where_the_public_address_is(clock: Any) -> None:
    async with serving(await World(clock).fill(), token=TOKEN, public_url="https://podium.example.org/") as client:
        right = await client.post("/login", data={"token": TOKEN}, headers={"Origin": client.url, **FORWARDED})
        assert "Secure" in right.headers["Set-Cookie"]


async def test_login_sends_nobody_away_and_answers_no_foreign_page(clock: Any) -> None:
    async with serving(await World(clock).fill(), token=TOKEN) as client:
        sent = await client.post("/login", data={"token": TOKEN, "next": "//evil.example"}, headers={"Origin": client.url, **FORWARDED})
        assert sent.headers["Location"] == "/"
        assert (await client.post("/login", data={"token": TOKEN}, headers={**ORIGIN, **FORWARDED})).status == 403
        assert (await client.get("/login", headers={"Host": "evil.example"})).status == 403


async def test_the_unix_socket_is_trusted_and_for_its_owner_only(clock: Any, tmp_path: Path) -> None:
    path = tmp_path / "podium.sock"
    world = await World(clock).fill()
    async with serve(world.app(token=TOKEN), host=None, unix_socket=path) as listening:
        assert listening.url is None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
            async with session.post("http://whatever/api/v1/executions/company.team/hello", headers={"Origin": "http://x"}) as answered:
                assert answered.status == 200
            async with session.post("http://podium/api/v1/hooks/main") as answered:
                assert answered.status == 202
        assert world.sources.notified[-1][2] is True
    assert not path.exists()


async def test_a_socket_that_a_dead_daemon_left_is_replaced(clock: Any, tmp_path: Path) -> None:
    path = tmp_path / "podium.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    async with serve(World(clock).app(), host=None, unix_socket=path):
        assert path.is_socket()


async def test_a_second_daemon_in_one_home_is_refused(clock: Any, tmp_path: Path) -> None:
    path = tmp_path / "podium.sock"
    async with serve(World(clock).app(), host=None, unix_socket=path):
        with pytest.raises(SettingsError, match="already serves"):
            async with serve(World(clock).app(), host=None, unix_socket=path):
                pass
        assert path.is_socket(), "the first one's socket stays"


async def test_a_file_in_the_way_is_not_removed(clock: Any, tmp_path: Path) -> None:
    path = tmp_path / "podium.sock"
    path.write_text("mine")
    with pytest.raises(SettingsError, match="in the way"):
        async with serve(World(clock).app(), host=None, unix_socket=path):
            pass
    assert path.read_text() == "mine"


async def test_a_deep_home_is_no_problem_for_the_socket(clock: Any, tmp_path: Path) -> None:
    """The system allows 107 bytes for a socket's path."""
    deep = tmp_path / ("d" * 80) / ("e" * 80)
    deep.mkdir(parents=True)
    async with serve(World(clock).app(), host=None, unix_socket=deep / "podium.sock"):
        assert (deep / "podium.sock").is_socket()


async def test_beyond_this_machine_it_does_not_start_without_a_token(clock: Any) -> None:
    for host in ("0.0.0.0", "::", ""):
        with pytest.raises(SettingsError, match="without a token"):
            async with serve(World(clock).app(), host=host, port=0):
                pass
    with pytest.raises(SettingsError, match="shorter"):
        async with serve(World(clock).app(token="short"), host="0.0.0.0", port=0):
            pass
    async with serve(World(clock).app(token=TOKEN), host="0.0.0.0", port=0) as listening:
        assert listening.url is not None
        assert listening.url.startswith("http://localhost:")


async def test_a_port_in_use_is_named(clock: Any) -> None:
    async with serve(World(clock).app(), port=0) as listening:
        assert listening.url is not None
        with pytest.raises(SettingsError, match=r"cannot listen on 127\.0\.0\.1"):
            async with serve(World(clock).app(), port=int(listening.url.rsplit(":", 1)[1])):
                pass


async def test_a_socket_from_systemd_is_used_and_held_to_the_same_rules(clock: Any) -> None:
    given = socket.socket()
    given.bind(("127.0.0.1", 0))
    given.listen()
    port = given.getsockname()[1]
    async with serve(World(clock).app(), port=1, sock=given) as listening:
        assert listening.url == f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session, session.get(f"{listening.url}/ping") as answered:
            assert await answered.text() == "pong"
    open_to_all = socket.socket()
    open_to_all.bind(("0.0.0.0", 0))
    with pytest.raises(SettingsError, match="without a token"):
        async with serve(World(clock).app(), sock=open_to_all):
            pass
    open_to_all.close()


async def test_nothing_is_left_open(clock: Any, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        async with serve(World(clock).app(), port=0, unix_socket=tmp_path / "podium.sock"):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
