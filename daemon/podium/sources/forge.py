"""Push webhooks of forges (`/api/v1/hooks/<source>`): recognises who sent one and whether it may cause a fetch.

Called by watch.SourceWatcher.notify. What always holds: nothing in a payload is trusted or used; the most that a request can
do is to make the daemon look at the repository that the settings name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from podium.base.errors import AuthError, SettingsError
from podium.base.signatures import verify

_MARKS = (
    ("forgejo", "x-forgejo-event"),
    ("gitea", "x-gitea-event"),
    ("gitlab", "x-gitlab-event"),
    ("bitbucket", "x-event-key"),
    ("github", "x-github-event"),
    ("standard", "webhook-signature"),
)
"""Forge and the header that tells it. Order counts: Forgejo also sends the headers of Gitea and GitHub, Gitea those of GitHub."""


def forge_of(headers: Sequence[tuple[str, str]]) -> str | None:
    """The preset of the forge that sent these headers, or None."""
    names = {name.lower() for name, _ in headers}
    return next((preset for preset, mark in _MARKS if mark in names), None)


def is_ping(headers: Sequence[tuple[str, str]]) -> bool:
    """Whether this is the forge's test call, made when the webhook is set up."""
    return any(name.lower() in {"x-github-event", "x-gitea-event", "x-forgejo-event"} and value == "ping" for name, value in headers)


def check_push(headers: Sequence[tuple[str, str]], body: bytes, *, source: str, secrets: Sequence[str], now: datetime) -> str:
    """The forge that signed this call with one of `secrets`. Raises AuthError otherwise, also when no secret is set."""
    if not any(secrets):
        raise AuthError(
            f"source '{source}' has no webhook secret, so an unsigned call is not accepted",
            hint=f"set sources.{source}.webhook_secret, or call with the API token",
        )
    preset = forge_of(headers)
    if preset is None:
        raise AuthError(
            "the call names no forge: none of the headers of GitHub, GitLab, Gitea, Forgejo or Bitbucket is there",
            hint="let the forge itself call this address, or call with the API token",
        )
    lowered = {name.lower(): value for name, value in headers}
    try:
        verify(preset, lowered, body, secrets, now=now)
    except SettingsError as error:
        raise AuthError(error.what, hint=error.hint) from error
    return preset
