"""Signature schemes of webhooks, against values made by hand from each sender's documentation."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podium.base.errors import AuthError, SettingsError
from podium.base.signatures import PRESETS, HmacOptions, delivery_id, verify

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
TS = str(int(NOW.timestamp()))
BODY = b'{"id": "evt_1", "event_id": "Ev1"}'
KEY = "a secret"


def mac(message: bytes, key: bytes = KEY.encode(), algorithm: str = "sha256") -> bytes:
    return hmac.new(key, message, algorithm).digest()


SIGNED: dict[str, dict[str, str]] = {
    "github": {"x-hub-signature-256": "sha256=" + mac(BODY).hex()},
    "gitlab": {"x-gitlab-token": KEY},
    "gitea": {"x-gitea-signature": mac(BODY).hex()},
    "forgejo": {"x-forgejo-signature": mac(BODY).hex()},
    "bitbucket": {"x-hub-signature": "sha256=" + mac(BODY).hex()},
    "slack": {"x-slack-signature": "v0=" + mac(b"v0:" + TS.encode() + b":" + BODY).hex(), "x-slack-request-timestamp": TS},
    "stripe": {"stripe-signature": f"t={TS},v0=11,v1=00,v1={mac(TS.encode() + b'.' + BODY).hex()}"},
    "standard": {
        "webhook-id": "m1", "webhook-timestamp": TS,
        "webhook-signature": "v1,AAAA v1," + base64.b64encode(mac(b"m1." + TS.encode() + b"." + BODY)).decode(),
    },
    "hmac": {"x-signature": mac(BODY).hex()},
}
TIMED = ("slack", "stripe", "standard")


def test_every_preset_has_a_case() -> None:
    assert set(SIGNED) == set(PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_good_signature_passes_with_the_current_or_the_previous_secret(preset: str) -> None:
    verify(preset, SIGNED[preset], BODY, [KEY], now=NOW)
    verify(preset, SIGNED[preset], BODY, ["new", KEY], now=NOW)
    verify(preset, SIGNED[preset], BODY, ["", KEY], now=NOW)


@pytest.mark.parametrize("preset", PRESETS)
def test_everything_else_is_refused(preset: str) -> None:
    good = SIGNED[preset]
    with pytest.raises(AuthError):
        verify(preset, good, BODY, ["other"], now=NOW)
    with pytest.raises(AuthError):
        verify(preset, {}, BODY, [KEY], now=NOW)
    if preset != "gitlab":
        with pytest.raises(AuthError):
            verify(preset, good, BODY + b" ", [KEY], now=NOW)
    for name in good:
        for value in ("", "garbage", "sha256=", "sha256=é", "\udcff", "t=,v1=", "v1,", "9" * 5_000, good[name][:-1]):
            with pytest.raises(AuthError):
                verify(preset, {**good, name: value}, BODY, [KEY], now=NOW)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
def test_no_secret_is_a_mistake_of_the_settings_and_never_a_pass(preset: str, secrets: list[str]) -> None:
    with pytest.raises(SettingsError):
        verify(preset, SIGNED[preset], BODY, secrets, now=NOW)


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(SettingsError, match="nobody"):
        verify("nobody", {}, BODY, [KEY], now=NOW)


@pytest.mark.parametrize("preset", TIMED)
@pytest.mark.parametrize("seconds", [-301, 301])
def test_old_and_future_timestamps_are_refused(preset: str, seconds: int) -> None:
    with pytest.raises(AuthError, match="clock"):
        verify(preset, SIGNED[preset], BODY, [KEY], now=NOW + timedelta(seconds=seconds))
    verify(preset, SIGNED[preset], BODY, [KEY], now=NOW + timedelta(seconds=seconds), tolerance_s=400)


def test_standard_webhooks_secrets_are_base64_behind_a_prefix() -> None:
    secret = "whsec_" + base64.b64encode(b"raw key").decode()
    signature = base64.b64encode(mac(b"m1." + TS.encode() + b"." + BODY, b"raw key")).decode()
    for names in (("webhook-id", "webhook-timestamp", "webhook-signature"), ("svix-id", "svix-timestamp", "svix-signature")):
        verify("standard", dict(zip(names, ("m1", TS, f"v1,{signature}"), strict=True)), BODY, [secret], now=NOW)


def test_gitlab_may_sign_too() -> None:
    verify("gitlab", SIGNED["standard"], BODY, [KEY], now=NOW)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_hmac_in_all_its_forms(algorithm: str) -> None:
    options = HmacOptions(header="X-S", algorithm=algorithm, encoding="base64", prefix="p=", timestamp_header="X-T")
    signature = base64.b64encode(hmac.new(KEY.encode(), TS.encode() + b"." + BODY, algorithm).digest()).decode()
    verify("hmac", {"x-s": f"p={signature}", "x-t": TS}, BODY, [KEY], now=NOW, options=options)
    with pytest.raises(AuthError):
        verify("hmac", {"x-s": signature, "x-t": TS}, BODY, [KEY], now=NOW, options=options)


@pytest.mark.parametrize("wrong", [{"algorithm": "md5"}, {"encoding": "hexx"}])
def test_hmac_options_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        HmacOptions(**wrong)


@pytest.mark.parametrize(
    ("preset", "headers", "expected"),
    [
        ("github", {"x-github-delivery": "1"}, "1"), ("gitlab", {"idempotency-key": "2", "x-gitlab-event-uuid": "3"}, "2"),
        ("gitea", {"x-gitea-delivery": "4"}, "4"), ("forgejo", {"x-forgejo-delivery": "5"}, "5"), ("bitbucket", {"x-request-uuid": "6"}, "6"),
        ("standard", {"webhook-id": "7"}, "7"), ("slack", {}, "Ev1"), ("stripe", {}, "evt_1"), ("hmac", {"x-id": "8"}, None), (None, {}, None),
    ],
)
def test_what_names_a_delivery(preset: str | None, headers: dict[str, str], expected: str | None) -> None:
    assert delivery_id(preset, headers, BODY) == expected


def test_sha1_is_there_for_senders_that_know_nothing_better() -> None:
    options = HmacOptions(algorithm="sha1")
    verify("hmac", {"x-signature": hmac.new(KEY.encode(), BODY, hashlib.sha1).hexdigest()}, BODY, [KEY], now=NOW, options=options)
