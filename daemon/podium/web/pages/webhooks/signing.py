"""A line for a shell that calls a webhook, with its signature where it wants one. Secrets are variables of that shell, never values."""

from __future__ import annotations

import re
import shlex

from podium.flows.triggers import Verify

_BODY = '{"hello": "world"}'
_HEX = "openssl dgst -{algorithm} -hmac \"$SECRET\" | sed 's/^.* //'"
_BASE64 = 'openssl dgst -{algorithm} -hmac "$SECRET" -binary | base64'
_HUB = {"github": "X-Hub-Signature-256", "bitbucket": "X-Hub-Signature", "gitea": "X-Gitea-Signature", "forgejo": "X-Forgejo-Signature"}
_PLAIN = frozenset({"gitea", "forgejo"})
"""Presets whose signature stands alone in its header."""


def signed_curl(address: str, verify: Verify | None) -> str:
    """The lines. address: where $KEY stands for a key that is not shown."""
    preset = verify.preset if verify is not None else "none"
    before, headers = _proof(preset, verify)
    body = ["BODY=" + shlex.quote(_BODY), *before] if before or headers else []
    quoted = '"' + re.sub(r'[`"\\]', r"\\\g<0>", address) + '"' if "$KEY" in address else shlex.quote(address)
    lines = [f"curl -X POST {quoted}", "  -H 'Content-Type: application/json'", *(f"  -H {each}" for each in headers)]
    lines.append('  --data-binary "$BODY"' if body else f"  --data-binary {shlex.quote(_BODY)}")
    return "\n".join([*body, " \\\n".join(lines)])


def _proof(preset: str, verify: Verify | None) -> tuple[list[str], list[str]]:
    """Lines that make the signature, and the headers that carry it."""
    if preset in _HUB:
        prefix = "" if preset in _PLAIN else "sha256="
        return [f"SIGNATURE=$(printf %s \"$BODY\" | {_HEX.format(algorithm='sha256')})"], [f'"{_HUB[preset]}: {prefix}$SIGNATURE"']
    if preset == "gitlab":
        return [], ['"X-Gitlab-Token: $SECRET"']
    if preset == "slack":
        lines = ["NOW=$(date +%s)", f"SIGNATURE=$(printf %s \"v0:$NOW:$BODY\" | {_HEX.format(algorithm='sha256')})"]
        return lines, ['"X-Slack-Request-Timestamp: $NOW"', '"X-Slack-Signature: v0=$SIGNATURE"']
    if preset == "stripe":
        lines = ["NOW=$(date +%s)", f"SIGNATURE=$(printf %s \"$NOW.$BODY\" | {_HEX.format(algorithm='sha256')})"]
        return lines, ['"Stripe-Signature: t=$NOW,v1=$SIGNATURE"']
    if preset == "standard":
        lines = [
            "NOW=$(date +%s); ID=msg_$NOW", "KEY_HEX=$(printf %s \"${SECRET#whsec_}\" | base64 -d | od -An -v -tx1 | tr -d ' \\n')",
            "SIGNATURE=$(printf %s \"$ID.$NOW.$BODY\" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY_HEX -binary | base64)",
        ]
        return lines, ['"webhook-id: $ID"', '"webhook-timestamp: $NOW"', '"webhook-signature: v1,$SIGNATURE"']
    if preset == "hmac" and verify is not None:
        made = (_BASE64 if verify.encoding == "base64" else _HEX).format(algorithm=verify.algorithm or "sha256")
        name, prefix = (re.sub(r'[`"$\\]', r"\\\g<0>", text) for text in (verify.header or "X-Signature", verify.prefix or ""))
        return [f'SIGNATURE=$(printf %s "$BODY" | {made})'], [f'"{name}: {prefix}$SIGNATURE"']
    return [], []
