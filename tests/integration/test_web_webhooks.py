"""Webhooks over HTTP with the real acceptance: each verdict in the log, masked; the pages; sending again; the form to try one."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from podium.base import limits
from podium.base.errors import LimitError
from podium.rendering.renderer import Renderer
from podium.storage.files import FileStorage
from podium.storage.namespace import WorkTreeFiles
from podium.storage.secrets import Secrets
from podium.store.deliveries.log import StoredDeliveries
from podium.triggers.board import TriggerBoard
from trigger_house import NoReads
from web_client import Answered, Client, serving
from web_demo import EVIL, World
from web_fake import TYPES

HOOKED = """id: hooked
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: hi}
triggers:
  - id: plain
    type: io.kestra.plugin.core.trigger.Webhook
    key: abcdef
    when: "{{ trigger.body.go != 'no' }}"
  - id: signed
    type: io.kestra.plugin.core.trigger.Webhook
    key: "{{ secret('KEY') }}"
    verify: {preset: github, secret: "{{ secret('SHARED') }}"}
"""
ADDRESS = "/api/v1/executions/webhook/company.team/hooked"
JSON = {"Content-Type": "application/json"}


class House:
    """A served world whose webhooks are judged by a real board."""

    def __init__(self, client: Client, board: TriggerBoard) -> None:
        self.client, self.board = client, board

    async def send(self, body: bytes = b'{"a": 1}', key: str = "abcdef", headers: dict[str, str] | None = None, query: str = "") -> Answered:
        return await self.client.post(f"{ADDRESS}/{key}{query}", data=body, headers={**JSON, **(headers or {})})

    async def signed(self, body: bytes, secret: str = "shared-secret", **more: str) -> Answered:
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return await self.send(body, "key-of-github", {"X-Hub-Signature-256": signature, "X-GitHub-Event": "push", **more})

    async def newest(self, **query: Any) -> dict[str, Any]:
        found = (await self.client.get("/api/v1/deliveries", params=query)).json["results"]
        return (await self.client.get(f"/api/v1/deliveries/{found[0]['id']}")).json

    async def verdicts(self) -> list[str]:
        return [each["verdict"] for each in (await self.client.get("/api/v1/deliveries?size=100")).json["results"]]


@pytest.fixture
async def house(clock: Any, tmp_path: Path) -> AsyncIterator[House]:
    world = World(clock)
    world.orchestrator.install(HOOKED)
    secrets = Secrets({"SECRET_KEY": "a2V5LW9mLWdpdGh1Yg==", "SECRET_SHARED": "c2hhcmVkLXNlY3JldA=="})
    renderer = Renderer(files=FileStorage(tmp_path / "storage"), namespace_files=WorkTreeFiles(tmp_path), secrets=secrets, reads=NoReads(), clock=clock, zone=UTC, envs={})
    board = TriggerBoard(orchestrator=world.orchestrator, renderer=renderer, types=TYPES, clock=clock, zone=UTC, home=tmp_path)
    world.webhooks = board  # type: ignore[assignment]  # it accepts as the fake does
    kept = StoredDeliveries(tmp_path / "deliveries.db", clock, days=30).open()
    try:
        async with serving(world, deliveries=kept) as client:
            yield House(client, board)
    finally:
        kept.close()


async def test_every_verdict_is_noted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    orchestrator = house.client.world.orchestrator
    assert (await house.send()).status == 200
    assert (await house.send(b'{"go": "no"}')).status == 204
    assert (await house.send(key="wrong")).status == 404
    assert (await house.signed(b'{"a": 1}', "other-secret")).status == 401
    assert (await house.signed(b'{"a": 1}', **{"X-GitHub-Delivery": "d1"})).status == 200
    assert (await house.signed(b'{"a": 1}', **{"X-GitHub-Delivery": "d1"})).status == 204
    assert (await house.signed(b'{"zen": "."}', **{"X-GitHub-Event": "ping"})).status == 200
    await orchestrator.remember_trigger("company.team", "hooked", "plain", {"disabled": True})
    assert (await house.send()).status == 409
    await orchestrator.remember_trigger("company.team", "hooked", "plain", {"disabled": None})
    monkeypatch.setattr(orchestrator, "behind", lambda: LimitError("too much waits", limit="QUEUED_COMMANDS_MAX"))
    assert (await house.send()).status == 429
    monkeypatch.undo()
    assert (await house.send(b"x" * (limits.BODY_BYTES_MAX + 1))).status == 413
    assert (await house.verdicts())[::-1] == [
        "ACCEPTED", "FILTERED", "WRONG_KEY", "BAD_SIGNATURE", "ACCEPTED", "DUPLICATE", "TEST_CALL", "DISABLED", "BUSY", "TOO_LARGE",
    ]
    pages = await house.client.page("/webhooks")
    assert pages.status == 200
    for word in ("Accepted", "Filtered", "Wrong key", "Bad signature", "Duplicate", "Test call", "Disabled", "Too busy", "Too large"):
        assert word in pages.text


async def test_a_delivery_shows_what_came_without_what_proves_who_sent_it(house: House) -> None:
    body = b'{"user": {"password": "hunter2"}, "note": "key-of-github", "text": "' + EVIL.encode() + b'"}'
    await house.signed(body, Authorization="Basic aGk6aG8=", **{"X-Evil": EVIL})
    found = await house.newest()
    assert (found["verdict"], found["status"], found["triggerId"], found["method"]) == ("ACCEPTED", 200, "signed", "POST")
    assert found["headers"]["X-Hub-Signature-256"] == ["********"]
    assert found["headers"]["Authorization"] == ["********"]
    assert "hunter2" not in str(found)
    assert "key-of-github" not in str(found)
    assert found["executionId"] in house.client.world.orchestrator.views
    shown = await house.client.page(f"/webhooks/deliveries/{found['id']}")
    assert shown.status == 200
    assert EVIL not in shown.text
    assert "hunter2" not in shown.text
    assert "cannot be sent again" in shown.text
    assert (await house.client.post(f"/api/v1/deliveries/{found['id']}/resend")).status == 409


async def test_of_who_has_no_key_no_body_is_kept(house: House) -> None:
    await house.send(b'{"fill": "me"}', key="wrong-key", headers={"X-Long": "y" * 1_000}, query="?a=b")
    found = await house.newest()
    assert (found["verdict"], found["body"], found["bodyKeptBytes"], found["parameters"]) == ("WRONG_KEY", "", 0, {})
    assert "X-Long" not in found["headers"]
    assert "wrong-key" not in str(found)
    assert not found["resendable"]


async def test_a_delivery_is_sent_again_and_counts_anew(house: House) -> None:
    await house.signed(b'{"a": 1}', **{"X-GitHub-Delivery": "d1"})
    first = await house.newest()
    again = await house.client.post(f"/api/v1/deliveries/{first['id']}/resend")
    assert again.status == 200
    assert (again.json["verdict"], again.json["resentOf"]) == ("ACCEPTED", first["id"])
    assert again.json["by"]
    assert again.json["executionId"] not in (None, first["executionId"])
    views = house.client.world.orchestrator.views
    assert views[again.json["executionId"]]["trigger"]["variables"]["body"] == {"a": 1}
    page = await house.client.post(f"/webhooks/deliveries/{again.json['id']}/resend", headers={"Origin": house.client.url})
    assert page.status == 303
    shown = await house.client.page(page.headers["Location"])
    assert "Repeats" in shown.text
    assert again.json["id"] in shown.text


async def test_what_is_sent_again_meets_the_conditions_of_today(house: House) -> None:
    await house.send(b'{"go": "no"}')
    first = await house.newest()
    house.client.world.orchestrator.install(HOOKED.replace("!= 'no'", "!= 'never'"))
    assert (await house.client.post(f"/api/v1/deliveries/{first['id']}/resend")).json["verdict"] == "ACCEPTED"
    house.client.world.orchestrator.install(HOOKED.replace("id: plain", "id: other"))
    gone = (await house.client.post(f"/api/v1/deliveries/{first['id']}/resend")).json
    assert (gone["verdict"], gone["status"]) == ("WRONG_KEY", 404)


async def test_what_nobody_proved_or_nobody_kept_whole_is_not_sent_again(house: House) -> None:
    await house.signed(b'{"a": 1}', "other-secret")
    await house.send(b'"' + b"x" * limits.DELIVERY_BODY_BYTES_MAX + b'"')
    found = (await house.client.get("/api/v1/deliveries")).json["results"]
    started = len(house.client.world.orchestrator.views)
    for each in found:
        answer = await house.client.post(f"/api/v1/deliveries/{each['id']}/resend")
        assert answer.status == 409
        page = await house.client.page(f"/webhooks/deliveries/{each['id']}")
        assert "cannot be sent again" in page.text
        assert "/resend" not in page.text
    assert len(house.client.world.orchestrator.views) == started


async def test_a_webhook_has_a_page_with_its_address_and_a_form_to_try_it(house: House) -> None:
    plain = await house.client.page("/webhooks/company.team/hooked/plain")
    assert f"{ADDRESS}/abcdef" in plain.text
    signed = await house.client.page("/webhooks/company.team/hooked/signed")
    assert "key-of-github" not in signed.text
    assert "X-Hub-Signature-256: sha256=$SIGNATURE" in signed.text
    sent = await house.client.post(
        "/webhooks/company.team/hooked/signed/test", data={"_body": '{"b": 2}', "_type": "application/json", "_headers": "X-Event: a\nno header\nX-Two: b: c"},
        headers={"Origin": house.client.url},
    )
    assert sent.status == 303
    found = await house.newest()
    assert (found["verdict"], found["triggerId"], found["resendable"]) == ("ACCEPTED", "signed", True)
    assert (found["headers"]["X-Event"], found["headers"]["X-Two"]) == (["a"], ["b: c"])
    assert sent.headers["Location"] == f"/webhooks/deliveries/{found['id']}"
    assert (await house.client.page("/webhooks/company.team/hooked/none")).status == 404


async def test_filters_live_in_the_address(house: House) -> None:
    await house.send()
    await house.send(key="wrong")
    assert "Wrong key" not in re.sub(r"<select.*?</select>", "", (await house.client.page("/webhooks?verdict=ACCEPTED")).text, flags=re.DOTALL)
    refused = await house.client.page("/webhooks?verdict=WRONG_KEY,BAD_SIGNATURE&namespace=company&flowId=hooked")
    assert refused.text.count("data-row=") == 1
    assert "Nothing matches" in (await house.client.page("/webhooks?flowId=other")).text
    assert (await house.client.get("/api/v1/deliveries?verdict=NO")).status == 422
    assert (await house.client.get("/api/v1/deliveries/none")).status == 404
    addresses = await house.client.page("/webhooks?tab=addresses")
    assert "hooked · plain" in addresses.text
    assert "hooked · signed" in addresses.text


async def test_without_a_log_webhooks_work_and_the_page_says_so(clock: Any) -> None:
    async with serving(await World(clock).fill()) as client:
        assert (await client.post("/api/v1/executions/webhook/company.team/hello/s3cret")).status == 200
        assert "No log is kept here" in (await client.page("/webhooks")).text
        assert (await client.get("/api/v1/deliveries")).status == 404
    async with serving(World(clock)) as client:
        assert "No flow has a webhook" in (await client.page("/webhooks?tab=addresses")).text
