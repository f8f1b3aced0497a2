"""The daemon's side of tasks of kind process: the fork server, started with the first such task, and one Child for each attempt.

What always holds: when `Child.run` has returned, the child and all its descendants are gone.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from podium.base.errors import PodiumError, RunnerError
from podium.base.limits import COMMAND_LINE_BYTES_MAX
from podium.base.system.log import get_logger
from podium.runners.process import spawn
from podium.workers.children.wire import encode, read_message
from podium.workers.logs import AttemptLog

log = get_logger(__name__)
_FLUSH_LINES = 1_000
_FLUSH_EVERY_S = 0.1
_LEVELS = {"stdout": "INFO", "stderr": "WARN"}


class Forkery:
    """The fork server. environ: what tasks see of the daemon's environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = spawn.foreign_environment(environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lock = asyncio.Lock()

    async def child(self, modules: list[str]) -> Child:
        """A fresh child, waiting for its task. modules: what the fork server loads before it forks. Raises RunnerError."""
        work, their_work = socket.socketpair()
        watch, their_watch = socket.socketpair()
        try:
            async with self._lock:
                await asyncio.to_thread(self._order, modules, [their_work.fileno(), their_watch.fileno()])
        except OSError as exc:
            work.close()
            watch.close()
            raise RunnerError(f"a task's process cannot be started: {exc}", hint="is the machine out of processes or memory?") from exc
        finally:
            their_work.close()
            their_watch.close()
        return Child(work, watch)

    async def close(self) -> None:
        """End the fork server. Children end with their daemon's connections."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
        self._process = self._control = None

    def _order(self, modules: list[str], descriptors: list[int]) -> None:
        order = json.dumps({"modules": modules}).encode()
        if self._process is not None and self._process.poll() is None:
            assert self._control is not None
            try:
                socket.send_fds(self._control, [order], descriptors)
                return
            except OSError:
                log.warning("fork_server_lost", status=self._process.poll())
        self._start()
        assert self._control is not None
        socket.send_fds(self._control, [order], descriptors)

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, "-m", "podium.workers.children.server", str(theirs.fileno())]
            self._process = spawn.start(argv, environ=self._environ, pass_fds=[theirs.fileno()])


class Child:
    """One child. `serve` answers what it asks for: method name and arguments → answer; it runs in a thread."""

    def __init__(self, work: socket.socket, watch: socket.socket) -> None:
        self._work = work
        self._watch = watch

    async def run(self, task: object, facts: Mapping[str, Any], serve: Callable[[str, Any], Any], attempt_log: AttemptLog) -> dict[str, Any]:
        """Have it run `task`, whose `run(ctx)` gives a Result; the message with which it ended, or one that says how it died."""
        work_reader, work_writer = await asyncio.open_connection(sock=self._work)
        watch_reader, watch_writer = await asyncio.open_connection(sock=self._watch)
        work_writer.write(encode({"task": pickle.dumps(task), "facts": dict(facts)}))
        over = asyncio.Event()
        flushing = asyncio.ensure_future(_flush_until(over, attempt_log))
        talk = asyncio.ensure_future(self._talk(work_reader, work_writer, serve, attempt_log))
        try:
            status = await self._output(watch_reader, attempt_log)
            end = await talk
            over.set()
            await flushing
        finally:
            flushing.cancel()
            talk.cancel()
            work_writer.close()
            watch_writer.close()
        return end or {"state": "FAILED", "error": _death(status), "outputs": {}}

    def kill(self) -> None:
        """End it and all its descendants."""
        try:
            self._watch.send(b"K")
        except OSError:
            log.debug("child_gone_before")

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, serve: Callable[[str, Any], Any], attempt_log: AttemptLog
    ) -> dict[str, Any] | None:
        end: dict[str, Any] | None = None
        while (message := await read_message(reader)) is not None:
            if "log" in message:
                attempt_log.log(message["log"], message["message"])
                if attempt_log.waiting >= _FLUSH_LINES:
                    await attempt_log.flush()
            elif "ask" in message:
                await attempt_log.flush()
                writer.write(encode(await asyncio.to_thread(_answer, serve, message)))
                await writer.drain()
            else:
                end = msgspec.json.decode(message["end"])
        return end

    async def _output(self, reader: asyncio.StreamReader, attempt_log: AttemptLog) -> int | None:
        """Pass on what it prints; its exit code, negative for a signal, None when nobody can tell."""
        rest = {"stdout": b"", "stderr": b""}
        while (message := await read_message(reader)) is not None and "ended" not in message:
            name = message["stream"]
            *lines, rest[name] = (rest[name] + message["data"]).split(b"\n")
            if len(rest[name]) > COMMAND_LINE_BYTES_MAX:
                lines, rest[name] = [*lines, rest[name]], b""
            for line in lines:
                attempt_log.log(_LEVELS[name], line.decode(errors="replace"))
            if attempt_log.waiting >= _FLUSH_LINES:
                await attempt_log.flush()
        for name, line in rest.items():
            if line:
                attempt_log.log(_LEVELS[name], line.decode(errors="replace"))
        return None if message is None else message["ended"]


async def _flush_until(over: asyncio.Event, attempt_log: AttemptLog) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_EVERY_S):
                await over.wait()
        await attempt_log.flush()


def _answer(serve: Callable[[str, Any], Any], message: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": msgspec.json.encode(serve(message["ask"], msgspec.json.decode(message["with"])))}
    except PodiumError as error:
        return {"error": type(error).__name__, "what": error.what, "hint": error.hint}
    except Exception as error:  # noqa: BLE001 -- the child is told; it decides
        return {"error": type(error).__name__, "what": f"{type(error).__name__}: {error}"}


def _death(status: int | None) -> str:
    if status is None:
        return "The task's process is gone, and nobody knows why"
    if status < 0:
        name = signal.Signals(-status).name if -status in {each.value for each in signal.Signals} else str(-status)
        return f"The task's process was ended by signal {name}"
    return f"The task's process ended with status {status} and without a result"
