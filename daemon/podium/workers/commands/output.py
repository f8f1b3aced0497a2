"""Takes what a command prints: log entries go to the log, messages of the protocol are collected; both survive a crash together.

What always holds: the journal's cursor says how far the output was read and how many messages were kept by then. Messages are on disk
before the cursor that counts them, so that after a crash none is lost and none is taken twice.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

from podium.base.errors import LimitError
from podium.base.limits import COMMAND_OUTPUT_BYTES_MAX, LOG_LINE_COSTS_BYTES
from podium.base.ports import LogSink
from podium.runners.port import Line, too_much
from podium.workers.commands.protocol import Said
from podium.workers.logs import AttemptLog

_LEVELS = {"stdout": "INFO", "stderr": "ERROR", "runner": "WARN"}


class CommandOutput:
    """An OutputSink. Raises LimitError for a command that prints more than the limit, or still prints when it has been ended."""

    def __init__(self, sink: LogSink, log: AttemptLog, messages: Path, *, bytes_max: int = COMMAND_OUTPUT_BYTES_MAX) -> None:
        self._sink = sink
        self._log = log
        self._file = messages
        self._bytes_max = bytes_max
        self._kept = 0
        self._bytes = 0
        self._cursor: str | None = None
        self._cut_at: float | None = None
        self.said = Said()

    def cut_in(self, seconds: float) -> None:
        """The command is being ended: take what it has said for so long and no longer, as a flood would hold up its end."""
        if self._cut_at is None:
            self._cut_at = asyncio.get_running_loop().time() + seconds

    async def lines(self, lines: Sequence[Line], *, cursor: str | None) -> None:
        """See OutputSink."""
        if self._cut_at is not None and asyncio.get_running_loop().time() > self._cut_at:
            await self._log.flush()
            raise LimitError("what the command had still said when it was ended is left out", hint="print less", limit="ENDED_OUTPUT_S_MAX")
        messages: list[str] = []
        for line in lines:
            self._bytes += len(line.text) + LOG_LINE_COSTS_BYTES
            if self._bytes > self._bytes_max:
                await self._log.flush()
                raise too_much(self._bytes_max)
            entries = self.said.take(line.text) if line.stream != "runner" else None
            if entries is None:
                self._log.at(line.at, _LEVELS.get(line.stream, "INFO"), line.text)
                continue
            messages.append(line.text)
            for level, text in entries:
                self._log.at(line.at, level, text)
        if messages:
            await asyncio.to_thread(self._keep, messages)
        self._cursor = cursor or self._cursor
        await self._log.flush(cursor=json.dumps({"at": self._cursor, "kept": self._kept, "bytes": self._bytes}))

    async def cursor(self) -> str | None:
        """See OutputSink. Takes up the messages that the cursor counts."""
        stored = await self._sink.cursor()
        if stored is not None:
            state = json.loads(stored)
            self._cursor, self._kept, self._bytes = state["at"], state["kept"], state["bytes"]
            self.said = await asyncio.to_thread(self._again)
        return self._cursor

    def _keep(self, messages: Sequence[str]) -> None:
        with self._file.open("ab") as file:
            for message in messages:
                file.write(json.dumps(message).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._kept += len(messages)

    def _again(self) -> Said:
        said = Said()
        if self._kept:
            with self._file.open("r+b") as file:
                for _ in range(self._kept):
                    said.take(json.loads(file.readline()))
                file.truncate(file.tell())
        elif self._file.exists():
            self._file.unlink()
        return said
