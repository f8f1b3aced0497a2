"""A served application and a client for it, over real HTTP, for tests of web/."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from podium.web.context import CONTEXT
from podium.web.server import serve
from web_demo import World


@dataclass
class Answered:
    """An answer, read whole."""

    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def streaming(app: web.Application, execution_id: str | None = None, count: int = 1) -> None:
    """Until so many streams of an execution (none: of all changes) are open: what happens from then on reaches them."""
    async with asyncio.timeout(60):
        while sum(each.execution_id == execution_id for each in app[CONTEXT].hub._open) < count:
            await asyncio.sleep(0.01)


class Client:
    """Calls one server."""

    def __init__(self, session: aiohttp.ClientSession, url: str, world: World, app: web.Application) -> None:
        self.session, self.url, self.world, self.app = session, url, world, app

    async def __call__(self, method: str, path: str, **more: Any) -> Answered:
        more.setdefault("allow_redirects", False)
        async with self.session.request(method, self.url + path, **more) as answer:
            return Answered(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **more: Any) -> Answered:
        return await self("GET", path, **more)

    async def page(self, path: str, **more: Any) -> Answered:
        return await self("GET", path, headers={"Accept": "text/html"}, **more)

    async def post(self, path: str, **more: Any) -> Answered:
        return await self("POST", path, **more)


@asynccontextmanager
async def serving(world: World, **settings: Any) -> AsyncIterator[Client]:
    """The world's application on a free port."""
    app = world.app(**settings)
    async with serve(app, port=0) as listening:
        assert listening.url is not None
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield Client(session, listening.url, world, app)


async def events(client: Client, path: str, *, until: Any, headers: dict[str, str] | None = None, seconds: float = 60) -> list[dict[str, str]]:
    """The events of a stream, up to the one that `until` is true for or the stream's end."""
    found: list[dict[str, str]] = []
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with client.session.get(client.url + path, headers=headers, timeout=timeout) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "text/event-stream"
        event: dict[str, str] = {}
        async for line in answer.content:
            text = line.decode().rstrip("\n")
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                event[name] = value
            elif not text and event:
                found.append(event)
                if until(event):
                    break
                event = {}
    return found
