"""Follows the log of a container (driver json-file) so that no line is lost or doubled, whatever crashes (bets 2).

How: the engine gives entries of each stream in the order of its file, from a second on. The cursor says from which second, and how
many entries of each stream and second were handed on; those are skipped after a crash. No clock of ours is compared with the engine's.
What always holds: the cursor counts an entry only once its whole line was handed on.
"""

from __future__ import annotations

import asyncio
import json
import threading
from calendar import timegm
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from time import strptime

from podium.base.errors import RunnerError
from podium.base.limits import COMMAND_LINE_BYTES_MAX
from podium.runners.docker.engine import EngineAway, LogStream
from podium.runners.port import Line

STREAMS = ("stdout", "stderr")
_OVERLAP_S = 60
_BUCKETS_MAX = 3_600
_WAITING_LINES_MAX = 5_000
"""Lines handed on together, and one read more: a greater batch would hold up the loop and the journal for everybody else."""
_HEADER = 8


class LogReader:
    """Turns the bytes of log requests into lines. One for a container; a new request begins with `begin`."""

    def __init__(self, cursor: str | None) -> None:
        stored = json.loads(cursor) if cursor else {"seen": {}}
        self._seen: dict[int, list[int]] = {int(second): counts for second, counts in stored["seen"].items()}
        self._newest = self._highest = max(self._seen, default=0)
        self._skip = [0, 0]
        self._raw = bytearray()
        self._parts: tuple[_Parts, _Parts] = (_Parts(), _Parts())
        self._second = (b"", 0)

    def begin(self) -> int:
        """A new request is made: from which second on. Forgets what was not handed on."""
        since = self._since()
        self._skip = [sum(counts[stream] for _, counts in self._counted(since)) for stream in (0, 1)]
        self._raw.clear()
        for parts in self._parts:
            parts.clear()
        return since

    def feed(self, data: bytes) -> list[Line]:
        """The whole lines that `data` completes, in order."""
        self._raw += data
        return list(self._lines())

    def rest(self) -> list[Line]:
        """After the last request: lines that never got their end."""
        lines = []
        for stream, parts in enumerate(self._parts):
            if parts.size:
                self._count(stream, parts)
                lines.append(Line(STREAMS[stream], datetime.fromtimestamp(parts.seconds[-1], UTC), parts.take()))
        return lines

    def cursor(self) -> str:
        """Where to read on after a crash."""
        return json.dumps({"seen": dict(self._counted(self._since()))})

    def _since(self) -> int:
        return max(self._newest - _OVERLAP_S, 0)

    def _counted(self, since: int) -> Iterator[tuple[int, list[int]]]:
        """The seconds from `since` on in which entries were handed on, and how many of each stream."""
        if self._highest - since > len(self._seen):
            return ((second, counts) for second, counts in sorted(self._seen.items()) if second >= since)
        return ((second, self._seen[second]) for second in range(since, self._highest + 1) if second in self._seen)

    def _lines(self) -> Iterator[Line]:
        start, raw = 0, self._raw
        while len(raw) - start >= _HEADER:
            end = start + _HEADER + int.from_bytes(raw[start + 4 : start + _HEADER], "big")
            if len(raw) < end:
                break
            stream = 1 if raw[start] == 2 else 0
            line = self._entry(stream, bytes(raw[start + _HEADER : end]))
            if line is not None:
                yield line
            start = end
        del raw[:start]

    def _entry(self, stream: int, entry: bytes) -> Line | None:
        if self._skip[stream] > 0:
            self._skip[stream] -= 1
            return None
        stamp, _, text = entry.partition(b" ")
        second = self._parse_second(stamp)
        parts = self._parts[stream]
        parts.add(second, text)
        if not text.endswith(b"\n") and parts.size < COMMAND_LINE_BYTES_MAX:
            return None
        self._count(stream, parts)
        at = datetime.fromtimestamp(second, UTC).replace(microsecond=int(stamp[20:23] or b"0") * 1000)
        return Line(STREAMS[stream], at, parts.take())

    def _count(self, stream: int, parts: _Parts) -> None:
        for second in parts.seconds:
            self._seen.setdefault(second, [0, 0])[stream] += 1
            self._highest = max(self._highest, second)
            if second > self._newest or second < self._newest - _OVERLAP_S:
                self._newest = second
        while len(self._seen) > _BUCKETS_MAX:
            del self._seen[min(self._seen)]

    def _parse_second(self, stamp: bytes) -> int:
        if stamp[:19] != self._second[0]:
            self._second = (stamp[:19], timegm(strptime(stamp[:19].decode(), "%Y-%m-%dT%H:%M:%S")))
        return self._second[1]


class _Parts:
    """The entries of a line that Docker has cut into several."""

    def __init__(self) -> None:
        self.seconds: list[int] = []
        self.size = 0
        self._texts: list[bytes] = []

    def add(self, second: int, text: bytes) -> None:
        self.seconds.append(second)
        self._texts.append(text)
        self.size += len(text)

    def take(self) -> str:
        text = b"".join(self._texts).removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")
        self.clear()
        return text

    def clear(self) -> None:
        self.seconds.clear()
        self._texts.clear()
        self.size = 0


class Pump:
    """Reads a LogStream in a thread of its own and hands batches to the loop. The thread waits when the loop is behind."""

    def __init__(self, stream: LogStream, reader: LogReader) -> None:
        self._stream = stream
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._room = threading.Condition()
        self._lines: list[Line] = []
        self._ended = False
        self._error: RunnerError | None = None
        self._thread = threading.Thread(target=self._read, name="docker-logs", daemon=True)

    async def __aenter__(self) -> Pump:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._room:
            self._ended = True
            self._room.notify()
        self._stream.close()

    async def batch(self) -> tuple[list[Line], str] | None:
        """The next lines and the cursor behind them; None at the end of the stream. Raises EngineAway when the connection broke."""
        await self._ready.wait()
        with self._room:
            self._ready.clear()
            lines, self._lines = self._lines, []
            ended, error, cursor = self._ended, self._error, self._reader.cursor() if lines else ""
            self._room.notify()
        if lines:
            if ended:
                self._ready.set()
            return lines, cursor
        if error is not None:
            raise error
        return None if ended else ([], "")

    def _read(self) -> None:
        try:
            while data := self._stream.read():
                with self._room:
                    self._room.wait_for(lambda: self._ended or len(self._lines) < _WAITING_LINES_MAX)
                    if self._ended:
                        return
                    lines = self._reader.feed(data)
                    self._lines += lines
                if lines:
                    self._wake()
        except EngineAway as away:
            self._error = away
        with self._room:
            self._ended = True
        self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(self._ready.set)
