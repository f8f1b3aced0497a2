"""The http.Trigger of the core plug-in on a board: a real server is asked, and its answer starts the flow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fake_orchestrator import Log
from podium.base.system.clock import SystemClock
from podium.flows.types import Types
from podium.plugins.core.http.tasks import HttpTrigger
from podium.storage.crypto import Cipher
from podium.triggers.board import TriggerBoard
from trigger_house import House, flow_with, until

CIPHER = Cipher(b"k" * 32)


class Server:
    """Answers with `status` and `body`, and counts."""

    def __init__(self) -> None:
        self.status, self.body, self.asked, self.url = 200, '{"ready": false}', 0, ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(status=self.status, text=self.body, content_type="application/json", headers={"X-Seen": request.headers.get("X-Ask", "")})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_get("/state", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    made.url = f"http://127.0.0.1:{port}/state"
    yield made
    await runner.cleanup()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path, SystemClock(), types=Types.build(tasks=[Log], triggers=[HttpTrigger]))
    board = TriggerBoard(
        orchestrator=made.orchestrator, renderer=made.renderer, types=made.types, clock=made.clock, zone=made.zone, home=tmp_path,
        seal=CIPHER.seal,
    )
    running = asyncio.create_task(board.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def trigger(server: Server, extra: str = "") -> str:
    return flow_with(
        f"type: io.kestra.plugin.core.http.Trigger\nuri: \"{server.url}\"\nmethod: GET\nheaders:\n  X-Ask: \"{{{{ flow.id }}}}\"\ninterval: PT1S\n"
        f"responseCondition: \"{{{{ fromJson(response.body).ready and response.statusCode == 200 }}}}\"\n{extra}"
    )


async def test_the_answer_starts_the_flow_once_its_condition_holds(house: House, server: Server) -> None:
    house.orchestrator.install(house.flow(trigger(server)))
    await until(lambda: server.asked >= 2, "two polls")
    assert house.started == []
    server.body = '{"ready": true}'
    await until(lambda: house.started, "the execution")
    variables: dict[str, Any] = (house.started[0].trigger or {})["variables"]
    assert variables["code"] == 200
    assert variables["body"] == '{"ready": true}'
    assert variables["uri"] == server.url
    seen = {name.lower(): values for name, values in variables["headers"].items()}
    assert seen["x-seen"] == ["f"]


async def test_an_encrypted_body_is_recorded_encrypted_and_seen_by_inputs(house: House, server: Server) -> None:
    server.body = '{"ready": true}'
    more = "encryptBody: true\ninputs: {got: '{{ trigger.encryptedBody }}'}\n"
    house.orchestrator.install(house.flow(trigger(server, more)))
    await until(lambda: house.started, "the execution")
    variables: dict[str, Any] = (house.started[0].trigger or {})["variables"]
    assert "body" not in variables
    assert "ready" not in str(variables["encryptedBody"])
    assert CIPHER.unseal(variables["encryptedBody"]) == server.body
    assert house.started[0].inputs == {"got": server.body}


async def test_a_server_that_is_away_is_shown_and_asked_again(house: House, server: Server) -> None:
    server.status = 503
    house.orchestrator.install(house.flow(trigger(server).replace(server.url, "http://127.0.0.1:9/none")))
    await until(lambda: "error" in house.state(), "the error")
    assert house.started == []
