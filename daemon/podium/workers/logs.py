"""From what a task says to the entries of its log: level, masking, splitting of long messages, and where they are kept.

What always holds: an entry is masked before it is cut, so that no half of a secret is left standing at a seam.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.base.limits import COMMAND_OUTPUT_BYTES_MAX, LOG_LINE_CHARS_MAX, LOG_LINE_COSTS_BYTES
from podium.base.moments import to_text
from podium.base.ports import LogLine, LogSink
from podium.base.redact import Redactor
from podium.base.system.clock import Clock

_RANKS = {"ERROR": 0, "WARN": 1, "INFO": 2, "DEBUG": 3, "TRACE": 4}


class AttemptLog:
    """The log of one attempt. `log` keeps entries until the next `flush`, which stores them with a cursor if one is given."""

    def __init__(self, sink: LogSink, redactor: Redactor, clock: Clock, *, min_level: str | None = None) -> None:
        self._sink = sink
        self._redactor = redactor
        self._clock = clock
        self._least = _RANKS[min_level or "TRACE"]
        self._waiting: list[LogLine] = []
        self._storing = asyncio.Lock()
        self._bytes_left = COMMAND_OUTPUT_BYTES_MAX
        self.full = asyncio.Event()
        """Set when the attempt has said more than the limit; the rest is dropped."""

    def log(self, level: str, message: str) -> None:
        """See plugin.Logger. An unknown level counts as INFO."""
        self.at(self._clock.now(), level, message)

    def at(self, moment: datetime, level: str, message: str) -> None:
        """The same, for something said at `moment`."""
        self._bytes_left -= len(message) + LOG_LINE_COSTS_BYTES
        if self._bytes_left < 0:
            self.full.set()
            return
        known = level if level in _RANKS else "INFO"
        if _RANKS[known] > self._least:
            return
        text = self._redactor.text(message)
        self._waiting.extend(LogLine(at=moment, level=known, message=part) for part in _parts(text))

    @property
    def waiting(self) -> int:
        """How many entries are not stored yet."""
        return len(self._waiting)

    async def flush(self, *, cursor: str | None = None) -> None:
        """Store what is kept. Durable when it returns."""
        async with self._storing:
            lines, self._waiting = self._waiting, []
            if lines or cursor is not None:
                await self._sink.append(lines, cursor=cursor)


def _parts(text: str) -> Iterable[str]:
    if len(text) <= LOG_LINE_CHARS_MAX:
        return (text,)
    return (text[start : start + LOG_LINE_CHARS_MAX] for start in range(0, len(text), LOG_LINE_CHARS_MAX))


class FileLog:
    """A LogSink for `logToFile`: entries go to a file, and only the cursor to the journal. A crash leaves no entry twice."""

    def __init__(self, path: Path, inner: LogSink) -> None:
        self._path = path
        self._inner = inner
        self._size: int | None = None

    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        """See LogSink."""
        if self._size is None:
            await self.cursor()
        with self._path.open("ab") as file:
            for line in lines:
                file.write(f"{to_text(line.at)} {line.level} {line.message}\n".encode(errors="replace"))
            self._size = file.tell()
        if cursor is not None:
            await self._inner.append([], cursor=json.dumps({"cursor": cursor, "size": self._size}))

    async def cursor(self) -> str | None:
        """See LogSink. What was written after it is cut off: it comes again."""
        stored = await self._inner.cursor()
        found: dict[str, Any] = json.loads(stored) if stored else {"cursor": None, "size": 0}
        self._path.touch()
        with self._path.open("r+b") as file:
            file.truncate(found["size"])
        self._size = found["size"]
        return None if found["cursor"] is None else str(found["cursor"])
