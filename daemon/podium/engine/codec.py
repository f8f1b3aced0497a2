"""Events as bytes and back. Versioned: an old shape is upcast before it is decoded, so that an old journal opens for ever.

How an event changes: a new field gets a default, and a sample with it in tests/golden/events (nothing else: what is not there reads as
its default). Anything more (a field renamed or removed, another meaning) gets a new class whose tag ends in `_2`, `_3` …; the old
class goes, and UPCASTS maps the old tag to a function of its JSON that gives the JSON of the new one. Samples and upcasts are never
removed: a journal may be opened by any later release (docs/reliability.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from podium.engine.events import Event
from podium.expressions.text import encodable

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)

UPCASTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""kind of an old event → how it reads today. Golden samples of every shape ever written: tests/golden/events."""


def encode(fact: Event) -> bytes:
    """One event as JSON. Half of a surrogate pair, which no encoding holds, becomes a question mark."""
    try:
        return _encoder.encode(fact)
    except UnicodeEncodeError:
        return _encoder.encode(encodable(msgspec.to_builtins(fact)))


def decode(body: bytes) -> Event:
    """The event of `body`. Raises msgspec.ValidationError for what is none."""
    if UPCASTS:
        raw = msgspec.json.decode(body)
        if raw.get("kind") in UPCASTS:
            body = msgspec.json.encode(UPCASTS[raw["kind"]](raw))
    return _decoder.decode(body)
