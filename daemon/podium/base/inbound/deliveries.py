"""A delivery to a webhook and what became of it, and the log of them. Made by web, kept by store, shown by web.

What always holds: what is noted costs its caller nothing but memory that is bounded; what cannot be kept is counted, never waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

VERDICTS = ("ACCEPTED", "FILTERED", "DUPLICATE", "TEST_CALL", "WRONG_KEY", "BAD_SIGNATURE", "TOO_LARGE", "BUSY", "DISABLED", "FAILED")
"""What became of a delivery. TEST_CALL: a sender's greeting, which is no event. FAILED: nothing could be stored."""
REFUSED = ("WRONG_KEY", "BAD_SIGNATURE", "TOO_LARGE", "BUSY", "DISABLED", "FAILED")
"""Those after which nothing was started and the sender was told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What triggers found out about a delivery. verified: key and signature hold. masks: secrets that the delivery may hold.

    hidden: further headers, in lower case, whose values prove who sent it.
    """

    verdict: str
    trigger_id: str = ""
    reason: str = ""
    verified: bool = False
    masks: Sequence[str] = field(default=(), repr=False)
    hidden: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A delivery and its answer. body: what is kept of it. body_bytes: how long it was. whole: whether what is kept stands there as it came.

    took_ms: until it was answered. resent_of: the delivery that it repeats. by: the person who sent it from here; "" for a program outside.
    """

    id: str
    at: datetime
    namespace: str
    flow_id: str
    judged: Judged
    status: int
    execution_id: str = ""
    method: str = "POST"
    path: str = ""
    query: Sequence[tuple[str, str]] = ()
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = field(default=b"", repr=False)
    body_bytes: int = 0
    whole: bool = True
    remote: str = ""
    took_ms: float = 0.0
    resent_of: str = ""
    by: str = ""

    @property
    def cannot_resend(self) -> str:
        """Why it cannot be sent again, as a key of strings.json below `webhooks`; "" when it can."""
        if not self.judged.verified:
            return "not_again_unproved"
        if not self.whole:
            return "not_again_masked"
        return "not_again_cut" if self.body_bytes > len(self.body) else ""


class DeliveryLog(Protocol):
    """Every delivery, the newest for as long as there is room. Implemented by store/deliveries."""

    def note(self, delivered: Delivered) -> None:
        """Keep it soon. Never blocks or fails: what comes faster than it can be written is only counted."""
        ...

    async def find(
        self, *, namespaces: Collection[str] | None = None, namespace: str | None = None, flow_id: str | None = None, trigger_id: str | None = None,
        verdicts: Sequence[str] = (), execution_id: str | None = None, after: datetime | None = None, before: datetime | None = None,
        page: int = 1, size: int = 25,
    ) -> tuple[list[Delivered], int]:
        """A page of deliveries without bodies, newest first, and how many match. namespaces: only in these and below them; None: all."""
        ...

    async def one(self, identifier: str) -> Delivered | None:
        """The delivery with what is kept of its body, or None."""
        ...

    def facts(self) -> dict[str, Any]:
        """{rows, bytes, dropped: how many could not be kept since the start, days: how long they stay}."""
        ...
