"""A slot: a container whose entry point is podium-supervise (runners/native/supervise), waiting for one job on a socket of ours.

Called by `pool` and `attempts`. What always holds: a slot takes one job at most; one whose daemon dies before it has a job ends by itself;
once it is connected, nothing of ours is left in the directory that it sees. The empty directory stays as long as the container: the engine
wants it back before it gives files out of a container that has ended.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from podium.base.errors import RunnerError
from podium.base.limits import COMMAND_OUTPUT_BYTES_MAX
from podium.runners.docker import archive
from podium.runners.docker.engine import Engine, EngineAnswer
from podium.runners.port import Job

PLACE, PROGRAM, SOCKET = "/.podium", "podium-supervise", "s"
LABEL_SUPERVISED = "podium.supervised"
CONNECT_S_MAX = 30.0
_LOOK_S = 0.5


class CannotSupervise(RunnerError):
    """The supervisor does not run there or does not reach us; the task has not begun."""

    code = "runner-unsupervised"


@dataclass(slots=True)
class Slot:
    """A container that waits. name: ours. container: its id. forget: called with the name once it is removed."""

    engine: Engine
    name: str
    container: str
    connection: socket.socket
    forget: Callable[[str], None]

    def alive(self) -> bool:
        """Whether its supervisor still waits."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def hand_over(self, outputs: Sequence[int], files: IO[bytes]) -> None:
        """Give it its job. outputs: descriptors of stdout, stderr, result and order. Raises OSError when it is gone. Blocks."""
        descriptor = _descriptor(files)
        try:
            socket.send_fds(self.connection, [b"j"], [*outputs, descriptor])
        finally:
            os.close(descriptor)

    async def remove(self) -> None:
        """End it. Waits for an engine that is away."""
        self.connection.close()
        await remove(self.engine, self.container)
        self.forget(self.name)


async def remove(engine: Engine, container: str) -> None:
    """Remove a container, by name or id, if it is there."""
    try:
        await engine.patiently(lambda api: api.remove_container(container, v=True, force=True))
    except EngineAnswer as answer:
        if answer.status not in (404, 409):
            raise


async def make(
    engine: Engine, *, root: Path, name: str, program: Path, container: Mapping[str, Any], host: Mapping[str, Any], user: str,
    forget: Callable[[str], None],
) -> Slot:
    """Create and start a slot. container, host: as `container_request` has them. Raises CannotSupervise, EngineAway, EngineAnswer."""
    directory = root / name
    listener, connection, made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), None, ""
    try:
        await asyncio.to_thread(_prepare, directory, program, listener)

        def create(api: Any) -> str:
            from docker.types import Mount

            mounts = [Mount(PLACE, str(directory), type="bind", read_only=True)]
            given = {**host, "mounts": mounts, "init": False, "log_config": {"type": "none"}}
            unwatched = {"test": ["NONE"]}  # a health check of the image would run while it waits, in what becomes a task's container
            entry = [f"{PLACE}/{PROGRAM}", f"{PLACE}/{SOCKET}", str(COMMAND_OUTPUT_BYTES_MAX)]
            asked = {**container, "entrypoint": entry, "command": None, "environment": None, "healthcheck": unwatched}
            return str(api.create_container(host_config=api.create_host_config(**given), **asked)["Id"])

        made = await engine.call(create)
        if user.partition(":")[0] not in ("", "0", "root"):  # root makes the folders itself, which saves 40 ms
            bare = Job(attempt_id="", argv=(), directory=directory / "none", results=directory / "none")
            with await asyncio.to_thread(archive.pack, bare, user=user) as skeleton:
                await engine.call(lambda api: (skeleton.seek(0), api.put_archive(made, "/", skeleton)))
        await engine.call(lambda api: api.start(made))
        connection = await _connected(engine, made, listener)
        await asyncio.to_thread(_empty, directory)
        return Slot(engine, name, made, connection, forget)
    except BaseException as error:
        if made:
            await asyncio.shield(asyncio.ensure_future(remove(engine, made)))
        if connection is not None:
            connection.close()
        await asyncio.to_thread(shutil.rmtree, directory, True)
        if isinstance(error, EngineAnswer) and (str(directory) in error.text or PLACE in error.text):
            raise CannotSupervise(f"the engine cannot use the daemon's home: {error.text}", hint="tasks run without a supervisor") from error
        raise
    finally:
        listener.close()


def _prepare(directory: Path, program: Path, listener: socket.socket) -> None:
    with archive.local_disk("a container cannot be prepared"):
        directory.mkdir(parents=True)
        directory.chmod(0o755)
        shutil.copy(program, directory / PROGRAM)
        (directory / PROGRAM).chmod(0o555)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            listener.bind(f"/proc/self/fd/{folder}/{SOCKET}")  # a path of any length
        finally:
            os.close(folder)
        (directory / SOCKET).chmod(0o666)
        listener.listen(1)
        listener.setblocking(False)


def _empty(directory: Path) -> None:
    for name in (PROGRAM, SOCKET):
        (directory / name).unlink()


async def _connected(engine: Engine, container: str, listener: socket.socket) -> socket.socket:
    loop = asyncio.get_running_loop()
    until = loop.time() + CONNECT_S_MAX
    while loop.time() < until:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                connection, _ = await loop.sock_accept(listener)
                if await loop.sock_recv(connection, 1) == b"+":
                    return connection
                connection.close()
                break
        seen = await engine.inspect(container)
        if seen is None or not seen["State"].get("Running"):
            break
    raise CannotSupervise("the supervisor of a container does not reach the daemon", hint="tasks of this image run without it")


def _descriptor(files: IO[bytes]) -> int:
    """A descriptor of a file that may only be in memory; whoever gets it closes it."""
    if getattr(files, "_rolled", True):
        files.flush()
        descriptor = os.dup(files.fileno())
    else:
        descriptor = os.memfd_create("podium-files", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(descriptor), "wb") as target:
            shutil.copyfileobj(files, target)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
