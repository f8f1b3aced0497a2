"""Loss of power, as far as one can without a switch: all processes end at one moment, and files keep what was flushed and little more.

The write-ahead log of the journal is cut somewhere behind the newest commit that is known to be flushed (shims/sitecustomize.py notes
it from within COMMIT), with garbage in the place of what was cut now and then. So a daemon that acknowledges what is not flushed is caught.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import struct
from pathlib import Path

from fault_house import FaultHouse

HEADER, FRAME = 32, 24


def cut_power(house: FaultHouse, rng: random.Random) -> str:
    """Stop everything at one moment and cut what may be lost; what was done, in words."""
    assert house.process is not None
    os.kill(house.process.pid, signal.SIGSTOP)
    _end(house)
    house.crash()
    _end(house)
    return _cut_log(house.home / "journal.db-wal", house.root / "durable", rng)


def _end(house: FaultHouse) -> None:
    for pid in house.marked_processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _cut_log(log: Path, note: Path, rng: random.Random) -> str:
    (log.parent / "journal.db-shm").unlink(missing_ok=True)
    body = log.read_bytes()
    if len(body) < HEADER:
        return "nothing to cut"
    page = struct.unpack_from(">I", body, 8)[0]
    salts = struct.unpack_from(">II", body, 16)
    flushed = 0
    if note.exists():
        salt1, salt2, frames = struct.unpack(">III", note.read_bytes())
        flushed = frames if (salt1, salt2) == salts else 0
    safe = HEADER + flushed * (FRAME + page)
    end = HEADER
    while end + FRAME + page <= len(body) and struct.unpack_from(">II", body, end + 8) == salts:
        end += FRAME + page
    at = safe if rng.random() < 0.5 else rng.randint(min(safe, end), end)
    rest = rng.randbytes(len(body) - at) if rng.random() < 0.3 else b""
    log.write_bytes(body[:at] + rest)
    return f"{end - at} of {end} bytes of the log cut, {flushed} frames flushed"
