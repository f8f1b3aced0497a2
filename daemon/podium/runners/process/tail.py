"""Reads the output files of a command as they grow. Called by the process runner.

What always holds: the cursor stands after the last line that was handed on, so reading on from it neither loses nor doubles one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from podium.base.limits import COMMAND_LINE_BYTES_MAX, COMMAND_OUTPUT_BYTES_MAX
from podium.base.system.clock import Clock
from podium.runners.port import Line, too_much

STREAMS = ("stdout", "stderr")
LINES_AT_ONCE_MAX = 5_000
"""Lines handed on together: more would hold up the loop and the journal for everybody else."""
_READ_BYTES = 512 * 1024


class Tail:
    """Both output files of one attempt."""

    def __init__(self, directory: Path, cursor: str | None, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._offsets: dict[str, int] = dict.fromkeys(STREAMS, 0) | (json.loads(cursor) if cursor else {})

    def read(self, *, final: bool = False) -> tuple[list[Line], str]:
        """The next whole lines, and the cursor behind them. final: the writer is gone, so a last line may lack its end."""
        lines = [line for stream in STREAMS for line in self._read(stream, final=final)]
        return lines, json.dumps(self._offsets)

    def _read(self, stream: str, *, final: bool) -> list[Line]:
        path, offset = self._directory / stream, self._offsets[stream]
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(_READ_BYTES)
                while b"\n" not in data and len(data) < COMMAND_LINE_BYTES_MAX and (more := file.read(_READ_BYTES)):
                    data += more
                size = os.fstat(file.fileno()).st_size
                at_end = file.tell() == size
        except FileNotFoundError:
            return []
        if size > COMMAND_OUTPUT_BYTES_MAX:
            raise too_much(COMMAND_OUTPUT_BYTES_MAX)
        taken = data.rfind(b"\n") + 1
        if (final and at_end) or (not taken and len(data) >= COMMAND_LINE_BYTES_MAX):
            taken = len(data)
        if data.count(b"\n", 0, taken) >= LINES_AT_ONCE_MAX:
            taken -= len(data[:taken].split(b"\n", LINES_AT_ONCE_MAX)[-1])
        self._offsets[stream] = offset + taken
        now = self._clock.now()
        return [Line(stream, now, text) for text in _split(data[:taken])]


def _split(data: bytes) -> list[str]:
    if not data:
        return []
    pieces = data.removesuffix(b"\n").split(b"\n")
    return [piece.removesuffix(b"\r").decode(errors="replace") for piece in pieces]
