"""What must not leave is found, named and never repeated."""

from __future__ import annotations

from base64 import b64encode

import pytest

from podium.copilot.guard import Mask, find_secrets

KNOWN = {"team: DB": "s3cr3t-value", "SHORT": "abc", "MANY": "first line here\nsecond-line-value"}


def kinds(text: str) -> list[str]:
    return [each.kind for each in find_secrets(text, place="flow", known=KNOWN)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("use s3cr3t-value", "the value of the secret 'team: DB'"), (f"x: {b64encode(b's3cr3t-value').decode()}", "the value of the secret 'team: DB'"),
        ("then second-line-value", "the value of the secret 'MANY'"), ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "a private key"),
        ("AKIAIOSFODNN7EXAMPLE", "an AWS access key"), ("ghp_" + "a1B2" * 9, "a GitHub token"), ("glpat-abcdefghij1234567890", "a GitLab token"),
        ("xoxb-1234567890-abc", "a Slack token"), ("https://hooks.slack.com/services/T000/B000/abcdefghijklmnop", "a Slack webhook"),
        ("sk-proj-abcdefghijklmnopqrstuv", "an API key"), ("AIza" + "b" * 35, "a Google API key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.dBjftJeZ4CVP", "a JSON web token"),
        ("postgresql://me:hunter22@db/x", "the password of an address"), ("Authorization: Bearer abcdef1234567890", "a token of an Authorization header"),
        ("password: hunter22!", "a password or key"), ("DB_PASSWORD=hunter22", "a password or key"), ("my password is hunter22!", "a password or key"), ("use the password hunter22!", "a password or key"),
        ("apiKey: 'a b c 1 2 3'", "a password or key"), ("x: Zx9Kq2Lm4Np6Rs8Tv0Wy1Ab3Cd5Ef7Gh9J", "what looks like a key"),
    ],
)
def test_a_secret_is_named(text: str, kind: str) -> None:
    found = find_secrets(f"line one\n{text}\n", place="flow", known=KNOWN)
    assert [each.kind for each in found] == [kind]
    assert found[0].message == f"line 2 of the flow holds {kind}"


@pytest.mark.parametrize(
    "text",
    [
        "password: \"{{ secret('DB_PASSWORD') }}\"", "token: ${TOKEN}", "password: your-password", "secret: NAME", "type: io.kestra.plugin.core.http.Request",
        "key: my-key-name", "image: python@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "abc is short", "token: string",
        "commit: 0123456789abcdef0123456789abcdef01234567", "uri: https://api.example.org/v1/things?page=2", "ask for the password of the user",
        "the-quick-brown-fox-jumps-over-the-lazy-dog-again", "tokens: 4096", "fetch the token every hour", "a password of 12 characters", "rotate the token 2026-01-01", "password: <password>", "secretKeyRef: my_database",
    ],
)
def test_what_is_no_secret_may_be_sent(text: str) -> None:
    assert kinds(text) == []


def test_a_mask_hides_and_shows_again() -> None:
    text = "a: s3cr3t-value\nb: AKIAIOSFODNN7EXAMPLE\nc: s3cr3t-value\n"
    mask = Mask()
    hidden = mask.hide(text, find_secrets(text, place="flow", known=KNOWN))
    assert hidden == "a: PODIUM_MASKED_1\nb: PODIUM_MASKED_2\nc: PODIUM_MASKED_1\n" or hidden == "a: PODIUM_MASKED_2\nb: PODIUM_MASKED_1\nc: PODIUM_MASKED_2\n"
    assert mask.show(hidden) == text
    assert find_secrets(hidden, place="flow", known=KNOWN) == []


def test_ten_masks_are_told_apart() -> None:
    text = "\n".join(f"AKIA{number:016}" for number in range(12))
    mask = Mask()
    hidden = mask.hide(text, find_secrets(text, place="flow", known={}))
    assert "AKIA" not in hidden
    assert mask.show(hidden) == text


def test_a_long_text_is_searched_quickly() -> None:
    text = ("password: " + "a" * 5_000 + "\n") * 40
    assert len(find_secrets(text, place="flow", known=KNOWN)) == 0
