"""Messages between the daemon and the child that runs a task: a length, then msgpack. Both ends are ours.

Values of tasks travel as JSON inside of them, as they may hold whole numbers larger than msgpack's.

The daemon's end is asynchronous, the child's blocks. What always holds: the daemon never unpickles what a child sends.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from typing import Any

import msgspec

from podium.base.errors import LimitError

MESSAGE_BYTES_MAX = 256 * 1024 * 1024
_LENGTH = struct.Struct(">I")


def encode(message: Any) -> bytes:
    """A message as it goes over the wire. Raises LimitError for one that is too large."""
    body = msgspec.msgpack.encode(message)
    if len(body) > MESSAGE_BYTES_MAX:
        raise LimitError("a task handed over too much at once", hint="store it as a file instead", limit="MESSAGE_BYTES_MAX")
    return _LENGTH.pack(len(body)) + body


class Channel:
    """The child's end. Several threads may use it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._asking = threading.Lock()

    def send(self, message: Any) -> None:
        """Send a message. Raises OSError when the daemon is gone."""
        data = encode(message)
        with self._sending:
            self._connection.sendall(data)

    def receive(self) -> Any:
        """The next message. Raises EOFError when the daemon is gone."""
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        return msgspec.msgpack.decode(self._exactly(length))

    def ask(self, method: str, *arguments: Any) -> Any:
        """Have the daemon do something and give its answer. Raises RemoteError when it failed."""
        with self._asking:
            self.send({"ask": method, "with": msgspec.json.encode(arguments)})
            answer = self.receive()
        if "error" in answer:
            raise RemoteError(answer["error"], answer["what"], answer.get("hint", ""))
        return msgspec.json.decode(answer["answer"])

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._connection.recv(min(count - len(parts), 1024 * 1024))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)


class RemoteError(Exception):
    """What the daemon could not do for a child. kind: the name of the error's class."""

    def __init__(self, kind: str, what: str, hint: str) -> None:
        super().__init__(what)
        self.kind, self.what, self.hint = kind, what, hint


async def read_message(reader: asyncio.StreamReader) -> Any | None:
    """The next message from a child, or None at the end of the stream."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MESSAGE_BYTES_MAX:
            return None
        return msgspec.msgpack.decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
