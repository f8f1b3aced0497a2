"""Signatures of webhooks: is a request from who shares a secret with us, and which delivery is it?

Called by `triggers.webhook` (deliveries that start executions) and `sources.forge` (pushes that cause a fetch).
What always holds: a signature is over the raw bytes of the body; values are compared in constant time; every secret is
tried, so that a secret can be replaced without a gap; nothing is read from a body before its signature holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from podium.base.errors import AuthError, SettingsError

PRESETS = ("github", "gitlab", "gitea", "forgejo", "bitbucket", "slack", "stripe", "standard", "hmac")
TOLERANCE_S = 300.0
"""How far a signed timestamp may be from now, either way, unless the user says otherwise."""
SIGNATURES_MAX = 16
"""Signatures read from one header; senders list more than one while they rotate secrets."""
SIGNATURE_CHARS_MAX = 4096
_ALGORITHMS = ("sha1", "sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacOptions:
    """How the `hmac` preset finds and reads a signature.

    prefix: text before the signature in the header. timestamp_header: if set, what is signed is `<timestamp>.<body>` and the
    timestamp (seconds since 1970) must be within the tolerance. delivery_header: names the header that identifies a delivery.
    """

    header: str = "X-Signature"
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    timestamp_header: str | None = None
    delivery_header: str | None = None

    def __post_init__(self) -> None:
        if self.algorithm not in _ALGORITHMS:
            raise SettingsError(f"unknown signature algorithm '{self.algorithm}'", hint=f"use one of: {', '.join(_ALGORITHMS)}")
        if self.encoding not in {"hex", "base64"}:
            raise SettingsError(f"unknown signature encoding '{self.encoding}'", hint="use hex or base64")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    headers: Mapping[str, str]
    body: bytes
    secrets: Sequence[str]
    now: datetime
    tolerance_s: float
    options: HmacOptions

    def header(self, *names: str) -> str:
        """The first of these headers that is there. Raises AuthError when none is."""
        for name in names:
            value = self.headers.get(name.lower())
            if value:
                return value[:SIGNATURE_CHARS_MAX].strip()
        raise AuthError(f"the request has no header {names[0]}", hint="is a secret set at the sender?")

    def check_age(self, timestamp: str) -> None:
        """Raises AuthError unless `timestamp` (seconds since 1970) is near now."""
        try:
            age_s = abs(self.now.timestamp() - int(timestamp))
        except (ValueError, OverflowError):
            raise AuthError("the signed timestamp is no number", hint="it must be seconds since 1970") from None
        if age_s > self.tolerance_s:
            raise AuthError(
                f"the signed timestamp is {age_s:.0f} s away from this machine's clock, more than {self.tolerance_s:.0f} s",
                hint="check both clocks, or raise `verify.tolerance`",
            )


def verify(
    preset: str,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance_s: float = TOLERANCE_S,
    options: HmacOptions | None = None,
) -> None:
    """Return when `body` is signed with one of `secrets` as `preset` does it; raise AuthError otherwise.

    headers: names in lower case.  secrets: current and previous; empty ones are ignored; none at all is a SettingsError,
    never a pass.  now: aware.
    """
    usable = [secret for secret in secrets if secret]
    if preset not in _CHECKS:
        raise SettingsError(f"unknown webhook preset '{preset}'", hint=f"use one of: {', '.join(PRESETS)}")
    if not usable:
        raise SettingsError("no secret to verify the webhook with", hint="set `secret`, e.g. {{ secret('HOOK') }}")
    _CHECKS[preset](
        _Request(headers=headers, body=body, secrets=usable, now=now, tolerance_s=tolerance_s, options=options or HmacOptions())
    )


def delivery_id(preset: str | None, headers: Mapping[str, str], body: bytes, options: HmacOptions | None = None) -> str | None:
    """What the sender calls this delivery (the same when it sends it again), or None. Call it after `verify`."""
    names = _DELIVERY_HEADERS.get(preset or "", ())
    if preset == "hmac" and options is not None and options.delivery_header:
        names = (options.delivery_header,)
    for name in names:
        value = headers.get(name.lower(), "").strip()
        if value:
            return value[:256]
    member = _DELIVERY_MEMBERS.get(preset or "")
    return _member(body, member) if member else None


_DELIVERY_HEADERS: dict[str, tuple[str, ...]] = {
    "github": ("X-GitHub-Delivery",),
    "gitlab": ("Idempotency-Key", "webhook-id", "X-Gitlab-Event-UUID"),
    "gitea": ("X-Gitea-Delivery",),
    "forgejo": ("X-Forgejo-Delivery", "X-Gitea-Delivery"),
    "bitbucket": ("X-Request-UUID", "X-Request-Id"),
    "standard": ("webhook-id", "svix-id"),
}
_DELIVERY_MEMBERS = {"slack": "event_id", "stripe": "id"}


def _member(body: bytes, name: str) -> str | None:
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = data.get(name) if isinstance(data, dict) else None
    return value[:256] if isinstance(value, str) and value else None


def _mac(secret: bytes, message: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret, message, getattr(hashlib, algorithm)).digest()


def _check(expected: Iterable[bytes], given: Iterable[bytes]) -> None:
    candidates = list(expected)
    good = False
    for signature in list(given)[:SIGNATURES_MAX]:
        for candidate in candidates:
            good |= hmac.compare_digest(candidate, signature)
    if not good:
        raise AuthError("the signature does not match", hint="is the secret the same on both sides, and the body unchanged on its way?")


def _raw(text: str) -> bytes:
    """Text of a header as the bytes that came."""
    return text.encode("utf-8", "surrogateescape")


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _hex_body(*names: str, prefix: str = "") -> Callable[[_Request], None]:
    def check(request: _Request) -> None:
        value = request.header(*names)
        if not value.startswith(prefix):
            raise AuthError(f"the signature does not begin with '{prefix}'", hint="is it the right preset for this sender?")
        _check((_mac(secret.encode(), request.body) for secret in request.secrets), [_hex(value.removeprefix(prefix))])

    return check


def _check_gitlab(request: _Request) -> None:
    if "webhook-signature" in request.headers:
        _check_standard(request)
        return
    token = request.header("X-Gitlab-Token")
    _check((hashlib.sha256(secret.encode()).digest() for secret in request.secrets), [hashlib.sha256(_raw(token)).digest()])


def _check_slack(request: _Request) -> None:
    timestamp = request.header("X-Slack-Request-Timestamp")
    request.check_age(timestamp)
    message = b"v0:" + _raw(timestamp) + b":" + request.body
    given = request.header("X-Slack-Signature").removeprefix("v0=")
    _check((_mac(secret.encode(), message) for secret in request.secrets), [_hex(given)])


def _check_stripe(request: _Request) -> None:
    fields = [part.strip().partition("=") for part in request.header("Stripe-Signature").split(",")]
    timestamp = next((value for name, _, value in fields if name == "t"), "")
    request.check_age(timestamp)
    message = _raw(timestamp) + b"." + request.body
    _check((_mac(secret.encode(), message) for secret in request.secrets), [_hex(value) for name, _, value in fields if name == "v1"])


def _check_standard(request: _Request) -> None:
    """Standard Webhooks: `v1,<base64>` over `<id>.<timestamp>.<body>`; a secret is base64 behind `whsec_`, or plain text."""
    timestamp = request.header("webhook-timestamp", "svix-timestamp")
    request.check_age(timestamp)
    message = _raw(request.header("webhook-id", "svix-id")) + b"." + _raw(timestamp) + b"." + request.body
    signatures = [part.partition(",") for part in request.header("webhook-signature", "svix-signature").split()]
    keys: list[bytes] = []
    for secret in request.secrets:
        decoded = _base64(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else b""
        keys.append(decoded or secret.encode())
    _check((_mac(key, message) for key in keys), [_base64(value) for version, _, value in signatures if version == "v1"])


def _check_hmac(request: _Request) -> None:
    options = request.options
    value = request.header(options.header)
    if not value.startswith(options.prefix):
        raise AuthError(f"the signature does not begin with '{options.prefix}'", hint="check `verify.prefix`")
    message = request.body
    if options.timestamp_header:
        timestamp = request.header(options.timestamp_header)
        request.check_age(timestamp)
        message = _raw(timestamp) + b"." + request.body
    decode = _hex if options.encoding == "hex" else _base64
    expected = (_mac(secret.encode(), message, options.algorithm) for secret in request.secrets)
    _check(expected, [decode(value.removeprefix(options.prefix))])


_CHECKS: dict[str, Callable[[_Request], None]] = {
    "github": _hex_body("X-Hub-Signature-256", prefix="sha256="),
    "gitlab": _check_gitlab,
    "gitea": _hex_body("X-Gitea-Signature"),
    "forgejo": _hex_body("X-Forgejo-Signature", "X-Gitea-Signature"),
    "bitbucket": _hex_body("X-Hub-Signature", prefix="sha256="),
    "slack": _check_slack,
    "stripe": _check_stripe,
    "standard": _check_standard,
    "hmac": _check_hmac,
}
