"""Webhooks: who may start, what is answered, what is recorded."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from podium.base.errors import LimitError
from podium.base.ports import Answer, Delivery
from trigger_house import House, flow_with, until

HOOK = "type: io.kestra.plugin.core.trigger.Webhook\nkey: abc\n"
JSON = ("Content-Type", "application/json")


def delivery(body: bytes | str | dict[str, Any] = b"", *, key: str = "abc", headers: Any = (JSON,), **options: Any) -> Delivery:
    raw = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    return Delivery(**{"namespace": "team", "flow_id": "f", "key": key, "headers": headers, "body": raw, **options})


async def send(house: House, *args: Any, **options: Any) -> Answer:
    answer = await house.board.accept(delivery(*args, **options))
    await house.settle()
    return answer


def variables(house: House) -> Any:
    return (house.started[-1].trigger or {})["variables"]


async def test_a_delivery_starts_an_execution_and_is_answered_with_it(house: House) -> None:
    await house.install(flow_with(HOOK))
    answer = await send(house, {"a": [1]}, query=[("x", "1"), ("x", "2")], headers=[JSON, ("X-One", "a"), ("X-One", "b")], path="sub/path")
    assert answer.status == 200
    assert answer.body["id"] == answer.headers["Podium-Execution"]
    assert "duplicate" not in answer.body
    assert variables(house) == {
        "body": {"a": [1]}, "headers": {"Content-Type": ["application/json"], "X-One": ["a", "b"]}, "parameters": {"x": ["1", "2"]},
        "path": "sub/path",
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [("[1]", [1]), ("text", "text"), ("5", "5"), ("{broken", "{broken"), ("{\"a\": NaN}", "{\"a\": NaN}"), ("\ufeff", "\ufeff"), ("[" * 50_000, "[" * 50_000), (r'["\ud800"]', ["?"])],
)
async def test_a_body_is_json_when_it_is_an_object_or_a_list_else_text(house: House, body: str, expected: Any) -> None:
    await house.install(flow_with(HOOK))
    assert (await send(house, body)).status == 200
    assert variables(house)["body"] == expected


async def test_without_a_body_there_is_none(house: House) -> None:
    await house.install(flow_with(HOOK))
    await send(house, method="GET")
    assert "body" not in variables(house)


async def test_the_key_may_be_a_secret(house: House) -> None:
    await house.install(flow_with("type: io.kestra.plugin.core.trigger.Webhook\nkey: \"{{ secret('KEY') }}\"\n"))
    assert (await send(house, key="open-sesame")).status == 200
    assert (await send(house, key="{{ secret('KEY') }}")).status == 404


async def test_what_is_not_there_is_answered_alike(house: House) -> None:
    await house.install(flow_with(HOOK), flow_with("type: io.kestra.plugin.core.trigger.Webhook\nkey: \"{{ secret('NONE') }}\"\n", flow_id="g"))
    wrong = [delivery(key="abd"), delivery(key=""), delivery(flow_id="x"), delivery(namespace="x"), delivery(flow_id="g", key=""), delivery(key="\udcff")]
    answers = [await house.board.accept(each) for each in wrong]
    assert {(answer.status, str(answer.body)) for answer in answers} == {(404, str(answers[0].body))}
    assert house.started == []


async def test_a_disabled_flow_or_trigger_is_a_conflict(house: House) -> None:
    await house.install(flow_with(HOOK, extra="disabled: true\n"))
    assert (await send(house)).status == 409
    await house.install(flow_with(HOOK + "disabled: true\n"))
    assert (await send(house)).status == 409
    await house.install(flow_with(HOOK))
    await house.board.set_disabled("team", "f", "t", disabled=True)
    assert (await send(house)).status == 409
    await house.board.set_disabled("team", "f", "t", disabled=False)
    assert (await send(house)).status == 200


async def test_conditions_filter_deliveries(house: House) -> None:
    condition = "conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: \"{{ trigger.body.go == 'yes' }}\"\n"
    await house.install(flow_with(HOOK + condition))
    assert (await send(house, {"go": "no"})).status == 204
    assert house.started == []
    assert (await send(house, {"go": "yes"})).status == 200
    assert (await send(house, "[1]")).status == 200
    assert "conditions" in (house.started[-1].failed_because or "")


async def test_when_filters_too(house: House) -> None:
    await house.install(flow_with(HOOK + "when: \"{{ trigger.parameters.go is defined }}\"\n"))
    assert (await send(house)).status == 204
    assert (await send(house, query=[("go", "1")])).status == 200


async def test_inputs_are_rendered_from_the_body_and_a_failure_is_a_failed_execution(house: House) -> None:
    await house.install(flow_with(HOOK + "inputs:\n  who: \"{{ trigger.body.name }}\"\n", extra="inputs:\n  - id: who\n    type: STRING\n"))
    await send(house, {"name": "Ada"})
    assert house.started[-1].inputs == {"who": "Ada"}
    assert house.started[-1].fail_on_bad_inputs
    answer = await send(house, "no json")
    assert answer.status == 200
    assert answer.body["state"]["current"] == "FAILED"


async def test_secret_headers_are_seen_by_conditions_and_not_recorded(house: House) -> None:
    await house.install(flow_with(HOOK + "when: \"{{ trigger.headers.Authorization | first == 'Bearer x' }}\"\n"))
    assert (await send(house, headers=[("Authorization", "Bearer y")])).status == 204
    assert (await send(house, headers=[("Authorization", "Bearer x"), ("X-Gitlab-Token", "s")])).status == 200
    assert variables(house)["headers"] == {"Authorization": ["********"], "X-Gitlab-Token": ["********"]}


async def test_too_large_a_body_is_refused(house: House) -> None:
    await house.install(flow_with(HOOK))
    await house.restart(body_bytes_max=10)
    assert (await send(house, b"x" * 11)).status == 413
    assert (await send(house, b"x" * 10)).status == 200


async def test_a_full_queue_is_429(house: House) -> None:
    await house.install(flow_with(HOOK))
    house.orchestrator.refuse = LimitError("full", limit="QUEUED_COMMANDS_MAX")
    answer = await send(house)
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "1"


class TestWaiting:
    """Answers when the execution is over."""

    async def answer(self, house: House, options: str, state: str = "SUCCESS", outputs: Any = None) -> Answer:
        await house.install(flow_with(HOOK + "wait: true\n" + options))
        waiting = asyncio.create_task(house.board.accept(delivery({"x": 1})))
        await until(lambda: house.orchestrator.views, "the execution")
        await house.settle()
        assert not waiting.done()
        house.orchestrator.finish(list(house.orchestrator.views)[-1], state, outputs or {"a": "b"})
        return await waiting

    async def test_the_final_execution(self, house: House) -> None:
        answer = await self.answer(house, "")
        assert (answer.status, answer.body["state"]["current"]) == (200, "SUCCESS")

    async def test_a_failed_execution_is_500(self, house: House) -> None:
        assert (await self.answer(house, "", "FAILED")).status == 500

    async def test_outputs(self, house: House) -> None:
        assert (await self.answer(house, "returnOutputs: true\n")).body == {"a": "b"}

    async def test_text(self, house: House) -> None:
        answer = await self.answer(house, "returnOutputs: true\nresponseContentType: text/plain\n")
        assert (answer.body, answer.content_type) == ("b", "text/plain")

    @pytest.mark.parametrize(("code", "expected"), [("418", 418), ("\"{{ outputs.a == 'b' ? 201 : 500 }}\"", 201), ("\"{{ trigger.body.x }}\"", 500)])
    async def test_a_code_of_its_own(self, house: House, code: str, expected: int) -> None:
        assert (await self.answer(house, f"responseCode: {code}\n")).status == expected

    async def test_waiting_is_bounded(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        from podium.triggers.kinds import webhook

        monkeypatch.setattr(webhook, "WEBHOOK_WAIT_S_MAX", 0.01)
        await house.install(flow_with(HOOK + "wait: true\n"))
        assert (await send(house)).status == 202


class TestPayloads:
    """fetchType and forms."""

    async def test_store_keeps_the_body_as_a_file(self, house: House) -> None:
        await house.install(flow_with(HOOK + "fetchType: STORE\n"))
        await send(house, b'{"a": 1}')
        assert house.orchestrator.uploads[variables(house)["uri"]] == b'{"a": 1}'
        assert "body" not in variables(house)

    async def test_none_drops_it(self, house: House) -> None:
        await house.install(flow_with(HOOK + "fetchType: NONE\n"))
        await send(house, b"x")
        assert {"body", "uri"}.isdisjoint(variables(house))

    async def test_a_form_gives_its_fields(self, house: House) -> None:
        await house.install(flow_with(HOOK))
        await send(house, "a=1&a=2&b=%C3%A9", headers=[("Content-Type", "application/x-www-form-urlencoded")])
        assert variables(house)["formFields"] == {"a": ["1", "2"], "b": ["é"]}
        many = "&".join(f"f{number}=1" for number in range(1_500))
        assert (await send(house, many, headers=[("content-type", "application/x-www-form-urlencoded")])).status == 413

    async def test_uploads_are_stored_byte_for_byte(self, house: House) -> None:
        await house.install(flow_with(HOOK))
        content = bytes(range(256)) * 20 + b"\r\n\r\n--x\r\n\n\r"
        body = (
            b'--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
            b'--XX\r\nContent-Disposition: form-data; name="file"; filename="../../a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'
            + content + b"\r\n--XX--\r\n"
        )
        assert (await send(house, body, headers=[("Content-Type", "multipart/form-data; boundary=XX")])).status == 200
        seen = variables(house)
        assert seen["formFields"] == {"note": ["hello"]}
        (part,) = seen["parts"]
        assert (part["name"], part["filename"], part["size"]) == ("file", "a.bin", len(content))
        assert house.orchestrator.uploads[part["uri"]] == content


class TestVerifying:
    """`verify:`; the schemes themselves are tested in test_base_signatures."""

    GITHUB = HOOK + "verify:\n  preset: github\n  secret: \"{{ secret('HOOK') }}\"\n  previousSecret: \"{{ secret('OLD') }}\"\n"

    @staticmethod
    def signed(body: bytes, secret: str = "hook secret", event: str = "push", identifier: str = "d-1") -> list[tuple[str, str]]:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return [("X-Hub-Signature-256", f"sha256={digest}"), ("X-GitHub-Event", event), ("X-GitHub-Delivery", identifier)]

    async def test_only_signed_deliveries_start(self, house: House) -> None:
        await house.install(flow_with(self.GITHUB))
        body = b'{"a": 1}'
        assert (await send(house, body, headers=self.signed(body))).status == 200
        assert (await send(house, body, headers=self.signed(body, "old secret", identifier="d-2"))).status == 200
        for headers in (self.signed(body, "wrong"), self.signed(b"other"), [JSON], [("X-Hub-Signature-256", "sha256=zz")]):
            assert (await send(house, body, headers=headers)).status == 401
        assert len(house.started) == 2

    async def test_a_delivery_sent_again_starts_nothing(self, house: House) -> None:
        await house.install(flow_with(self.GITHUB))
        body = b"{}"
        first = await send(house, body, headers=self.signed(body))
        second = await send(house, body, headers=self.signed(body))
        assert second.status == 204
        assert second.headers["Podium-Execution"] == first.body["id"]
        await house.restart()
        assert (await send(house, body, headers=self.signed(body))).status == 204
        assert len(house.started) == 1

    async def test_two_at_once_are_one(self, house: House) -> None:
        await house.install(flow_with(self.GITHUB))
        answers = await asyncio.gather(*(house.board.accept(delivery(b"{}", headers=self.signed(b"{}"))) for _ in range(10)))
        assert sorted(answer.status for answer in answers) == [200] + [204] * 9
        assert len(house.started) == 1

    async def test_dedupe_may_be_off_or_a_header(self, house: House) -> None:
        await house.install(flow_with(self.GITHUB + "  dedupe: false\n"))
        for _ in range(2):
            assert (await send(house, b"{}", headers=self.signed(b"{}"))).status == 200
        await house.install(flow_with(HOOK + "verify:\n  dedupe: X-My-Id\n"))
        headers = [("x-my-id", "7")]
        assert [(await send(house, headers=headers)).status for _ in range(2)] == [200, 204]
        assert (await send(house, headers=[])).status == 200

    async def test_a_ping_is_answered_and_starts_nothing(self, house: House) -> None:
        await house.install(flow_with(self.GITHUB))
        assert (await send(house, b"{}", headers=self.signed(b"{}", event="ping"))).body == {"message": "pong"}
        assert (await send(house, b"{}", headers=self.signed(b"{}", "wrong", event="ping"))).status == 401
        assert house.started == []

    async def test_slacks_challenge_is_answered(self, house: House) -> None:
        await house.install(flow_with(HOOK + "verify:\n  preset: slack\n  secret: s\n"))
        body = b'{"type": "url_verification", "challenge": "c-1"}'
        timestamp = str(int(house.clock.now().timestamp()))
        digest = hmac.new(b"s", b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        answer = await send(house, body, headers=[("X-Slack-Signature", f"v0={digest}"), ("X-Slack-Request-Timestamp", timestamp)])
        assert (answer.status, answer.body, answer.content_type) == (200, "c-1", "text/plain")

    async def test_a_secret_that_is_not_there_lets_nobody_in_and_is_not_explained_to_callers(self, house: House) -> None:
        await house.install(flow_with(HOOK + "verify:\n  preset: github\n  secret: \"{{ secret('NONE') }}\"\n"))
        answer = await send(house, b"{}", headers=self.signed(b"{}", ""))
        assert answer.status == 401
        assert "NONE" not in str(answer.body)

    async def test_hmac_takes_header_algorithm_encoding_and_prefix(self, house: House) -> None:
        await house.install(flow_with(
            HOOK + "verify:\n  preset: hmac\n  secret: s\n  header: X-Sign\n  algorithm: sha512\n  encoding: base64\n  prefix: \"v=\"\n  dedupe: X-Id\n"
        ))
        signature = "v=" + base64.b64encode(hmac.new(b"s", b"body", hashlib.sha512).digest()).decode()
        headers = [("X-Sign", signature), ("X-Id", "1")]
        assert [(await send(house, b"body", headers=headers)).status for _ in range(2)] == [200, 204]
        assert (await send(house, b"body", headers=[("X-Sign", signature[2:])])).status == 401


async def test_stop_after_holds_for_webhooks(house: House) -> None:
    await house.install(flow_with(HOOK + "stopAfter: [FAILED]\n"))
    await send(house)
    await house.finish("FAILED")
    assert (await send(house)).status == 409
