"""Keeps secret values out of everything that is shown or stored (invariant I7)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MASK = "********"
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+(?=@)", re.IGNORECASE)


def redact_url(text: str) -> str:
    """`text` with the password of every URL in it replaced by the mask."""
    return _URL_PASSWORD.sub(rf"\g<head>{MASK}", text)


class Redactor:
    """Replaces known secret values by the mask. Values under 3 characters are not masked: they would hide all text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Take more values, and each line of a value of several lines. May be called from any thread."""
        more = {part for secret in secrets for part in (secret, *secret.splitlines()) if len(part) >= 3}
        if more <= self._values:
            return
        self._values = self._values | more
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

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
