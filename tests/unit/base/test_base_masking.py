"""What of a request must not be kept or shown."""

from __future__ import annotations

import json
import time

import pytest

from podium.base.inbound.masking import is_secret_name, mask_pairs, mask_values, shown_body
from podium.base.redact import MASK


@pytest.mark.parametrize(
    "name",
    ["Authorization", "Proxy-Authorization", "authorisation", "Cookie", "X-Gitlab-Token", "X-Hub-Signature-256", "Stripe-Signature", "oauth",
     "X-Slack-Signature", "webhook-signature", "X-Api-Key", "apikey", "password", "DB_PASSWD", "client_secret", "access_token", "key", "X-Shopify-Hmac-Sha256", "session_id", "privateKey", "aws_access_key_id"],
)
def test_a_telling_name_is_one(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["Content-Type", "author", "authors", "authored_by", "User-Agent", "ref", "X-GitHub-Event", "webhook-id", "monkey", "keyboard", "code", "name"])
def test_other_names_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_headers_and_parameters_keep_their_order_and_lose_their_secrets() -> None:
    pairs = [("X-A", "1"), ("X-A", "2"), ("Authorization", "Bearer x"), ("X-Proof", "y"), ("Cookie", "")]
    assert mask_pairs(pairs, {"x-proof"}) == [("X-A", "1"), ("X-A", "2"), ("Authorization", MASK), ("X-Proof", MASK), ("Cookie", "")]


def test_known_secrets_are_masked_in_a_body_and_other_bytes_stay() -> None:
    assert mask_values(b'{"a": "open-sesame", "b": "b3Blbi1zZXNhbWU"}', ["open-sesame"]) == b'{"a": "********", "b": "********bWU"}'
    assert mask_values(bytes(range(256)), ["open-sesame"]) == bytes(range(256))
    assert mask_values(b"\xff open-sesame \xfe", ["open-sesame"]) == b"\xff ******** \xfe"
    assert mask_values(b"", ["x"]) == b""


def test_a_shown_body_hides_the_fields_that_sound_secret() -> None:
    body = {"user": {"password": "p", "name": "Ada", "tokens": ["t"]}, "list": [{"api_key": 5, "author": "B"}], "secret": {"a": "b"}}
    shown = json.loads(shown_body(json.dumps(body).encode(), "application/json"))
    assert shown == {
        "user": {"password": MASK, "name": "Ada", "tokens": ["t"]}, "list": [{"api_key": MASK, "author": "B"}], "secret": {"a": "b"},
    }
    assert shown_body(b"a=1&password=x%20y&b=", "application/x-www-form-urlencoded; charset=utf-8") == f"a=1&password={MASK}&b="


def test_a_body_that_was_cut_hides_them_too() -> None:
    assert shown_body(b'{"name": "Ada", "client_secret": "abc def", "x": [1, 2', "") == f'{{"name": "Ada", "client_secret": {MASK}, "x": [1, 2'
    assert "hunter2" not in shown_body(b"user: x\npassword: hunter2\n", "text/plain")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe\x00", b"{" * 70_000 + b'"token": "', b'"token' * 20_000, b"{" + b"x" * 65_000, b"token" * 13_000])
def test_hostile_bodies_are_shown_quickly(body: bytes) -> None:
    started = time.perf_counter()
    assert shown_body(body, "application/json") is not None
    assert time.perf_counter() - started < 5
