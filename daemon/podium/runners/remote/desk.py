"""Where a container on another machine and the daemon meet: gives it the attempt's files, takes what it prints and how it ended.

Called by the runners of this room (`open`, `register`, `kill`, `forget`, …) and, for the other side, by web's transfer routes; what it answers
is the protocol of docs/adr/0014-remote-transfer.md. What always holds: the first container that asks gets an attempt's files, no other ever does,
and that is on disk before it gets them; bytes of output are kept once, by their offset; a result counts only when it is on disk as a whole.

Files of an attempt, in `<home>/attempts/<attempt>/remote`: token (its hash), by (the container), killed, stdout, stderr, listing, result.tar,
failed. They survive the daemon, and are the truth.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from podium.base.errors import PodiumError
from podium.base.limits import COMMAND_OUTPUT_BYTES_MAX, RESULT_BYTES_MAX
from podium.base.ports import Answer
from podium.base.system.clock import monotonic_s
from podium.base.system.ids import new_token
from podium.runners.port import Job
from podium.runners.remote import parcel

OUTPUT_PIECE_BYTES_MAX = 1024 * 1024
FAILURE_BYTES_MAX = 4096
ORDERS_S = 10.0
"""How long a container waits for an order before it asks again: as long may pass without a sign of life of it."""
_PLAIN = "text/plain"
_ATTEMPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(slots=True)
class _Open:
    """What is known of an attempt in this life of the daemon. job: None until a runner takes it up."""

    job: Job | None = None
    heard_s: float = field(default_factory=monotonic_s)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ordered: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Desk:
    """See the module's docstring. home: the daemon's."""

    def __init__(self, home: Path) -> None:
        self._attempts = home.resolve() / "attempts"
        self._opened: dict[str, _Open] = {}
        self._closed = asyncio.Event()

    # ---- for the runners

    def folder(self, attempt_id: str) -> Path:
        """The files of an attempt."""
        return self._attempts / attempt_id / "remote"

    def open(self, job: Job) -> str:
        """Make ready for a container that will run `job`; the token by which it is known. Any earlier token is void."""
        folder, token = self.folder(job.attempt_id), new_token()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(folder / "token", hashlib.sha256(token.encode()).hexdigest().encode())
        self._of(job.attempt_id).job = job
        return token

    def register(self, job: Job) -> None:
        """Take up an attempt of an earlier life of the daemon."""
        self._of(job.attempt_id).job = job

    def began(self, attempt_id: str) -> bool:
        """Whether a container got leave to run this attempt."""
        return (self.folder(attempt_id) / "by").exists()

    def ended(self, attempt_id: str) -> Path | None:
        """What came back at the end, once it is there."""
        found = self.folder(attempt_id) / "result.tar"
        return found if found.exists() else None

    def failed(self, attempt_id: str) -> str | None:
        """Why the container could not run the command, if it said so."""
        with suppress(FileNotFoundError):
            return (self.folder(attempt_id) / "failed").read_text(errors="replace")
        return None

    def listing(self, attempt_id: str) -> bytes:
        """What the command left, as listed; empty when nothing was asked for."""
        with suppress(FileNotFoundError):
            return (self.folder(attempt_id) / "listing").read_bytes()
        return b""

    def killed(self, attempt_id: str) -> bool:
        """Whether it was ordered to end."""
        return (self.folder(attempt_id) / "killed").exists()

    def grace_s(self, attempt_id: str) -> float:
        """Seconds that the command has from the order to end on; 0 when there is none."""
        try:
            return float((self.folder(attempt_id) / "killed").read_text())
        except (FileNotFoundError, ValueError):
            return 0.0

    async def kill(self, attempt_id: str, *, grace_s: float) -> None:
        """Order the container to end the command; one that has not begun never will. Nothing happens where there is no attempt."""
        if not self.folder(attempt_id).parent.is_dir():
            return
        opened = self._of(attempt_id)
        async with opened.lock:
            self.folder(attempt_id).mkdir(exist_ok=True, mode=0o700)
            await asyncio.to_thread(_write, self.folder(attempt_id) / "killed", f"{grace_s:g}".encode())
        opened.ordered.set()
        opened.changed.set()

    async def wait(self, attempt_id: str, seconds: float) -> None:
        """Until something of an attempt changed, at most so long."""
        event = self._of(attempt_id).changed
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        event.clear()

    def silent_s(self, attempt_id: str) -> float:
        """Seconds since the container was heard last, or since this daemon looks after it."""
        return monotonic_s() - self._of(attempt_id).heard_s

    def forget(self, attempt_id: str) -> bool:
        """Remove all of an attempt; whether there was something. A container that still asks is told to end."""
        opened = self._opened.pop(attempt_id, None)
        folder = self.folder(attempt_id)
        there = folder.is_dir()
        shutil.rmtree(folder, ignore_errors=True)
        if opened is not None:
            opened.ordered.set()
            opened.changed.set()
        return there

    def present(self) -> set[str]:
        """The attempts that have files here."""
        return {found.parent.name for found in self._attempts.glob("*/remote")}

    def close(self) -> None:
        """Let go of everybody who waits for an order."""
        self._closed.set()

    # ---- for the other side

    def admit(self, attempt_id: str, token: str) -> Answer | None:
        """None for who may speak for the attempt, else what to answer. Compares in constant time."""
        if not _ATTEMPT.fullmatch(attempt_id) or not (self.folder(attempt_id) / "token").is_file():
            return Answer(status=410, content_type=_PLAIN, body="there is no such attempt any more")
        expected = (self.folder(attempt_id) / "token").read_bytes()
        if not hmac.compare_digest(hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest().encode(), expected):
            return Answer(status=401, content_type=_PLAIN, body="this is not the attempt's token")
        self._of(attempt_id).heard_s = monotonic_s()
        return None

    async def input(self, attempt_id: str, by: str) -> Answer | IO[bytes]:
        """The attempt's files for container `by`; the caller closes the file."""
        opened, folder = self._of(attempt_id), self.folder(attempt_id)
        if opened.job is None:
            return Answer(status=503, content_type=_PLAIN, body="the daemon has just started")
        if not by.isalnum() or len(by) > 64:
            return Answer(status=400, content_type=_PLAIN, body="who asks?")
        async with opened.lock:
            if (folder / "killed").exists():
                return Answer(status=410, content_type=_PLAIN, body="the attempt was ended before it began")
            if not (folder / "by").exists():
                await asyncio.to_thread(_write, folder / "by", by.encode())
            if (folder / "by").read_text() != by:
                return Answer(status=409, content_type=_PLAIN, body="another container runs this attempt")
        try:
            return await asyncio.to_thread(parcel.pack, opened.job)
        except PodiumError as error:
            return Answer(status=503, content_type=_PLAIN, body=error.what)

    async def output(self, attempt_id: str, by: str, stream: str, offset: int, data: bytes) -> Answer:
        """Bytes that the command printed, from `offset` of its stream on. 409 names the offset that is wanted."""
        if (no := self._foreign(attempt_id, by)) is not None:
            return no
        if stream not in ("stdout", "stderr"):
            return Answer(status=400, content_type=_PLAIN, body="which stream?")
        opened = self._of(attempt_id)
        async with opened.lock:
            size = await asyncio.to_thread(_append, self.folder(attempt_id) / stream, offset, data)
        opened.changed.set()
        if size == offset + len(data):
            return Answer(status=200)
        if size > COMMAND_OUTPUT_BYTES_MAX:
            return Answer(status=413, content_type=_PLAIN, body="too much was printed")
        return Answer(status=409, content_type=_PLAIN, body=str(size))

    async def orders(self, attempt_id: str, by: str) -> Answer:
        """`kill <grace in seconds>` once that is ordered, or nothing after a while."""
        if (no := self._foreign(attempt_id, by)) is not None:
            return no
        opened = self._of(attempt_id)
        waiting = [asyncio.ensure_future(event.wait()) for event in (opened.ordered, self._closed)]
        try:
            if not self.killed(attempt_id):
                await asyncio.wait(waiting, timeout=ORDERS_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        if not self.folder(attempt_id).is_dir():
            return Answer(status=410)
        if self._closed.is_set():
            return Answer(status=503)
        with suppress(FileNotFoundError):
            return Answer(status=200, content_type=_PLAIN, body=f"kill {(self.folder(attempt_id) / 'killed').read_text()}")
        return Answer(status=200)

    async def list_files(self, attempt_id: str, by: str, code: int, listing: bytes) -> Answer:
        """What the command left → the files that are wanted of it, each with a NUL behind."""
        if (no := self._foreign(attempt_id, by)) is not None:
            return no
        job = self._of(attempt_id).job
        if job is None:
            return Answer(status=503, content_type=_PLAIN, body="the daemon has just started")
        await asyncio.to_thread(_write, self.folder(attempt_id) / "listing", listing)
        try:
            made = await asyncio.to_thread(lambda: parcel.plan(job, parcel.read_listing(listing), code=code))
        except (PodiumError, ValueError):
            return Answer(status=200)  # the runner meets the same error, and says it
        return Answer(status=200, content_type="application/octet-stream", body=b"".join(os.fsencode(path) + b"\0" for path in made.sources()))

    async def result(self, attempt_id: str, by: str, chunks: AsyncIterator[bytes], size: int | None) -> Answer:
        """The end of the command and its files. size: as announced; one that breaks off does not count."""
        if (no := self._foreign(attempt_id, by)) is not None:
            return no
        folder = self.folder(attempt_id)
        if (folder / "result.tar").exists():
            return Answer(status=200)
        if size is None or size > RESULT_BYTES_MAX * 2:
            return Answer(status=413, content_type=_PLAIN, body="too large, or of no size")
        descriptor, name = await asyncio.to_thread(lambda: tempfile.mkstemp(dir=folder, prefix="result-"))
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
            whole = file.tell() == size
            await asyncio.to_thread(_sync, file)
        try:
            await asyncio.to_thread(parcel.result_of, Path(name))
        except ValueError:
            whole = False
        if not whole:
            await asyncio.to_thread(os.unlink, name)
            return Answer(status=503, content_type=_PLAIN, body="it broke off")
        await asyncio.to_thread(_keep, Path(name), folder)
        self._of(attempt_id).changed.set()
        return Answer(status=200)

    async def failure(self, attempt_id: str, by: str, text: bytes) -> Answer:
        """The container cannot run the command, and why."""
        if self.began(attempt_id) and (no := self._foreign(attempt_id, by)) is not None:
            return no
        await asyncio.to_thread(_write, self.folder(attempt_id) / "failed", text)
        self._of(attempt_id).changed.set()
        return Answer(status=200)

    # ---- helpers

    def _of(self, attempt_id: str) -> _Open:
        return self._opened.setdefault(attempt_id, _Open())

    def _foreign(self, attempt_id: str, by: str) -> Answer | None:
        with suppress(FileNotFoundError):
            if (self.folder(attempt_id) / "by").read_text() == by:
                return None
        return Answer(status=410, content_type=_PLAIN, body="this container does not run the attempt")


def _write(path: Path, data: bytes) -> None:
    """Make a file as a whole, durable when this returns."""
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        file.write(data)
        _sync(file)
    draft.replace(path)
    _sync_folder(path.parent)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _append(path: Path, offset: int, data: bytes) -> int:
    """Add to a file what is new of it; how long it is now."""
    with path.open("ab") as file:
        size = file.tell()
        if size != offset or size > COMMAND_OUTPUT_BYTES_MAX:
            return size if size != offset else size + len(data) + 1
        file.write(data)
        return size + len(data)


def _keep(draft: Path, folder: Path) -> None:
    """The result counts from here on; an end that outlives a loss of power must not stand without the lines before it."""
    for stream in ("stdout", "stderr"):
        with suppress(FileNotFoundError), (folder / stream).open("ab") as file:
            os.fsync(file.fileno())
    draft.rename(folder / "result.tar")
    _sync_folder(folder)
