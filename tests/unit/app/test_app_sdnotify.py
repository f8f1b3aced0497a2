"""The protocol towards systemd, against a real datagram socket and real handed-over sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.app.sdnotify import Notifier, listen_sockets
from podium.base.errors import SettingsError


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(2)
        yield channel


def test_each_state_is_told_as_the_manual_says(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})
    for tell, want in [
        (lambda: notifier.ready("serving\n12 flows"), "READY=1\nSTATUS=serving 12 flows"),
        (notifier.alive, "WATCHDOG=1"),
        (lambda: notifier.reloading(monotonic_usec=7), "RELOADING=1\nMONOTONIC_USEC=7"),
        (lambda: notifier.status("busy"), "STATUS=busy"),
        (lambda: notifier.more_time(1.5), "EXTEND_TIMEOUT_USEC=1500000"),
        (lambda: notifier.stopping("bye"), "STOPPING=1\nSTATUS=bye"),
    ]:
        assert tell() is True
        assert manager.recv(4096).decode() == want


def test_an_abstract_socket_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0podium-test-{os.getpid()}")
        channel.settimeout(2)
        assert Notifier({"NOTIFY_SOCKET": f"@podium-test-{os.getpid()}"}).alive()
        assert channel.recv(100) == b"WATCHDOG=1"


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    assert Notifier({}).ready("x") is False
    assert Notifier({}).beat_s is None
    assert Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive() is False


def test_children_do_not_inherit_the_right_to_speak(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "PATH": "/bin"}
    assert Notifier(environ).beat_s == 10
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize("usec", ["", "0", "soon"])
def test_no_beat_without_a_watchdog(manager: socket.socket, usec: str) -> None:
    assert Notifier({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": usec}).beat_s is None


def test_the_watchdog_of_another_process_is_not_ours(manager: socket.socket) -> None:
    assert Notifier({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).beat_s is None


def _handed_over(sock: socket.socket) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "podium.socket"}


def test_a_handed_over_socket_takes_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        environ = _handed_over(server)
        (received,) = listen_sockets(environ, first_fd=os.dup(server.fileno()))
        with received, socket.create_connection(server.getsockname(), timeout=2):
            received.setblocking(True)
            connection, _ = received.accept()
            connection.close()
            assert not os.get_inheritable(received.fileno())
        assert environ == {}


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    assert listen_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert listen_sockets({}) == []


def test_a_socket_that_does_not_listen_is_refused() -> None:
    with socket.socket() as plain, pytest.raises(SettingsError, match="does not listen"):
        listen_sockets(_handed_over(plain), first_fd=os.dup(plain.fileno()))
    read, write = os.pipe()
    try:
        with pytest.raises(SettingsError, match="is no socket"):
            listen_sockets(_handed_over(plain), first_fd=read)
    finally:
        os.close(read)
        os.close(write)
