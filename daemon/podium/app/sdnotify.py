"""Talking to systemd: readiness, watchdog, reload, stop, and the sockets it hands over.

Called by the daemon's life cycle. Protocol: sd_notify(3) and sd_listen_fds(3), of which this is all that a daemon needs. What always
holds: without systemd every call does nothing, and a message that cannot be delivered never stops the daemon.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from podium.base.errors import SettingsError

FIRST_FD = 3


class Notifier:
    """Sends the daemon's state to the service manager.

    environ: where `NOTIFY_SOCKET` and `WATCHDOG_USEC` are; they are removed, so that children of the daemon do not speak for it.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        mine = not pid or pid == str(os.getpid())
        self._watchdog_s = int(usec) / 1_000_000 if usec.isdecimal() and mine and int(usec) > 0 else None

    @property
    def present(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address)

    @property
    def beat_s(self) -> float | None:
        """Seconds between two calls of alive(): a third of what systemd allows. None when no watchdog runs."""
        return self._watchdog_s / 3 if self._watchdog_s and self.present else None

    def ready(self, status: str) -> bool:
        """The daemon serves. Also ends a reload."""
        return self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def alive(self) -> bool:
        """The loop turns."""
        return self._send("WATCHDOG=1")

    def reloading(self, *, monotonic_usec: int) -> bool:
        """Settings are being read again; ready() follows. monotonic_usec: CLOCK_MONOTONIC now."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_usec}")

    def stopping(self, status: str) -> bool:
        """The daemon ends its work."""
        return self._send(f"STOPPING=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(f"STATUS={_one_line(text)}")

    def more_time(self, seconds: float) -> bool:
        """Starting or stopping takes up to `seconds` more."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), self._address)
        except OSError:
            return False
        return True


def _one_line(text: str) -> str:
    return " ".join(text.split())


def listen_sockets(environ: MutableMapping[str, str], *, first_fd: int = FIRST_FD) -> list[socket.socket]:
    """The listening sockets systemd handed over, in the order of the unit; empty when there are none.

    The variables are removed and the sockets are not inherited by children. Raises SettingsError when one is no listening stream socket.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    sockets = []
    for fd in range(first_fd, first_fd + int(count)):
        try:
            os.set_inheritable(fd, False)
            received = socket.socket(fileno=fd)
            listening = received.type == socket.SOCK_STREAM and received.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as exc:
            raise SettingsError(f"file descriptor {fd} from systemd is no socket", hint="check podium.socket") from exc
        if not listening:
            received.close()
            raise SettingsError(f"file descriptor {fd} from systemd does not listen", hint="use ListenStream= in podium.socket")
        received.setblocking(False)
        sockets.append(received)
    return sockets
