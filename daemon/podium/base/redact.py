"""Keeps secret values out of everything that is shown or stored (invariant I7)."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+(?=@)", re.IGNORECASE)


def redact_url(text: str) -> str:
    """`text` with the password of every URL in it replaced by the mask."""
    return _URL_PASSWORD.sub(rf"\g<head>{MASK}", text)


class Redactor:
    """Replaces known secret values by the mask. Values under 3 characters are not masked: they would hide all text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._given: dict[str, None] = {}
        self._adding = threading.Lock()
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Take more values, each line of a value of several lines, and each value in base64, in a URL and in JSON. From any thread."""
        with self._adding:
            new = [secret for secret in secrets if secret not in self._given]
            self._mask(new)
            self._given = {**self._given, **dict.fromkeys(new)}

    def _mask(self, secrets: list[str]) -> None:
        more = {part for secret in secrets for part in (secret, *secret.splitlines(), *_written_otherwise(secret)) if len(part) >= 3}
        if more <= self._values:
            return
        self._values = self._values | more
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    @property
    def given(self) -> tuple[str, ...]:
        """What `add` was told, in that order."""
        return tuple(self._given)

    @property
    def values(self) -> frozenset[str]:
        """The values known so far."""
        return frozenset(self._values)

    def text(self, text: str) -> str:
        """`text` with every known value masked."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def value(self, value: Any) -> Any:
        """`value` (JSON-like) with every known value masked in its strings and keys."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value


def _written_otherwise(secret: str) -> tuple[str, ...]:
    raw = secret.encode("utf-8", "replace")
    if len(raw) < 6:
        return ()
    in_base64 = b64encode(raw[: len(raw) // 3 * 3]).decode()  # whole groups only: what comes after the value changes the last one
    return in_base64, in_base64.translate({43: "-", 47: "_"}), quote(raw, safe=""), quote(raw), quote_plus(raw), json.dumps(secret)[1:-1]
