"""Reads the output files of a command as they grow. Called by the runners.

What always holds: the cursor stands after the last line that was handed on, so reading on from it neither loses nor doubles one; lines come in
the order of the file `order`, where there is one (podium-supervise makes it), else those of stdout first.
"""

from __future__ import annotations

import json
import math
import os
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

from podium.base.limits import COMMAND_LINE_BYTES_MAX, COMMAND_OUTPUT_BYTES_MAX
from podium.base.system.clock import Clock
from podium.runners.port import Line, too_much

STREAMS = ("stdout", "stderr")
ORDER = "order"
"""8 bytes, little-endian, for each change from one stream to the other: how much the former has printed × 2, plus 1 for stderr."""
LINES_AT_ONCE_MAX = 5_000
"""Lines handed on together: more would hold up the loop and the journal for everybody else."""
_READ_BYTES = 512 * 1024


class Tail:
    """Both output files of one attempt."""

    def __init__(self, directory: Path, cursor: str | None, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._order = _Order(directory / ORDER)
        self._offsets: dict[str, int] = dict.fromkeys(STREAMS, 0) | (json.loads(cursor) if cursor else {})

    def read(self, *, final: bool = False) -> tuple[list[Line], str]:
        """The next whole lines, and the cursor behind them. final: the writer is gone, so a last line may lack its end."""
        pieces = [self._read(stream, final=final) for stream in STREAMS]
        self._order.read()
        keyed: list[tuple[float, Line]] = []
        barrier = min(self._order.barrier(which, piece) for which, piece in enumerate(pieces))
        now = self._clock.now()
        for which, (stream, piece) in enumerate(zip(STREAMS, pieces, strict=True)):
            end = self._offsets[stream]
            for text in piece.lines:
                end += len(text)
                turn = self._order.turn(which, end)
                if turn > barrier:
                    break  # what comes before it in the other stream was not read yet
                self._offsets[stream] = end
                keyed.append((turn, Line(stream, now, _decode(text))))
        keyed.sort(key=lambda each: each[0])
        return [line for _, line in keyed], json.dumps(self._offsets)

    def _read(self, stream: str, *, final: bool) -> _Piece:
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
            return _Piece([], 0, at_end=True)
        if size > COMMAND_OUTPUT_BYTES_MAX:
            raise too_much(COMMAND_OUTPUT_BYTES_MAX)
        taken = data.rfind(b"\n") + 1
        if (final and at_end) or (not taken and len(data) >= COMMAND_LINE_BYTES_MAX):
            taken = len(data)
        read_to = offset + len(data)
        if data.count(b"\n", 0, taken) >= LINES_AT_ONCE_MAX:
            taken -= len(data[:taken].split(b"\n", LINES_AT_ONCE_MAX)[-1])
            read_to, at_end = offset + taken, offset + taken == size
        return _Piece(_split(data[:taken]), read_to, at_end=final and at_end)


@dataclass(frozen=True, slots=True)
class _Piece:
    """lines: whole, with their ends. read_to: everything before it is in them or is the beginning of the next. at_end: there is no more, ever."""

    lines: list[bytes]
    read_to: int
    at_end: bool


class _Order:
    """What the file says of whose turn it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to = self._turns = 0
        self._sums = (array("Q"), array("Q"))
        """How much a stream had printed at the end of each of its turns."""
        self._numbers = (array("Q"), array("Q"))

    def read(self) -> None:
        """Take in what is new."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                data = file.read()
        except FileNotFoundError:
            return
        for at in range(0, len(data) - len(data) % 8, 8):
            note = int.from_bytes(data[at : at + 8], "little")
            self._sums[note & 1].append(note >> 1)
            self._numbers[note & 1].append(self._turns)
            self._turns += 1
        self._read_to += len(data) - len(data) % 8

    def turn(self, which: int, end: int) -> float:
        """The turn in which the byte before `end` was printed; infinity for the one that goes on."""
        found = bisect_left(self._sums[which], end)
        return self._numbers[which][found] if found < len(self._numbers[which]) else math.inf

    def barrier(self, which: int, piece: _Piece) -> float:
        """The turn of which, in this stream, something was not read yet: nothing of a later one may be handed on."""
        return math.inf if piece.at_end else self.turn(which, piece.read_to + 1)


def _split(data: bytes) -> list[bytes]:
    return [piece + b"\n" for piece in data.split(b"\n")[:-1]] + ([rest] if (rest := data[data.rfind(b"\n") + 1 :]) else [])


def _decode(line: bytes) -> str:
    return line.removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")
