"""Starts processes and waits for processes that may not be children of ours. The only module of Podium (beside git/) that starts one.

Called by the process runner (supervisors) and by `workers` (the fork server of tasks of kind process).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from podium.runners.process.supervisor import boot_id, started_at

OURS = ("PODIUM_", "SECRET_", "LISTEN_", "WATCHDOG_")
OURS_ALONE = frozenset({"NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID", "SYSTEMD_EXEC_PID"})


def foreign_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without what is the daemon's own: secrets, settings, systemd's sockets."""
    return {name: value for name, value in environ.items() if not name.startswith(OURS) and name not in OURS_ALONE}


def scope_prefix(environ: Mapping[str, str], *, attempt_id: str) -> list[str]:
    """A command prefix that moves a process out of the daemon's own systemd unit, so that it survives the unit's stop; else empty.

    A system service of an ordinary user may not make scopes: our unit has KillMode=process instead (ADR-0011).
    """
    if "INVOCATION_ID" not in environ or not Path("/run/systemd/system").is_dir():
        return []
    scope = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit=podium-{attempt_id}"]
    if os.geteuid() == 0:
        return [*scope, "--"]
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if not runtime or not Path(runtime, "systemd", "private").exists():
        return []
    return ["env", f"XDG_RUNTIME_DIR={runtime}", *scope, "--user", "--"]


def start(
    argv: Sequence[str], *, stdin: bytes | None = None, environ: Mapping[str, str], pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, deaf and mute but for `stdin`. Blocks until `stdin` is written. Raises OSError."""
    process = subprocess.Popen(
        list(argv), stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=dict(environ), cwd="/", start_new_session=True, pass_fds=tuple(pass_fds),
    )
    if stdin is not None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin)
    return process


def open_process(pid: int, at: str, boot: str) -> int | None:
    """A descriptor (pidfd) of the process that `pid` meant when it was written down, or None when that process is gone."""
    if boot != boot_id() or started_at(pid) != at:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if started_at(pid) != at:
        os.close(descriptor)
        return None
    return descriptor


def send(descriptor: int, number: int) -> None:
    """Signal the process of a pidfd; nothing happens when it is gone."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


class Exit:
    """Tells when the process of a pidfd has ended. Use as a context manager on the loop; closes the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._event = asyncio.Event()

    def __enter__(self) -> Exit:
        asyncio.get_running_loop().add_reader(self._descriptor, self._ended)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._event.set()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._event.is_set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` seconds; whether it has ended."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


def processes_with(name: str) -> Iterator[tuple[int, str]]:
    """Processes of this user that have the environment variable `name`, and its value."""
    prefix = name.encode() + b"="
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            variables = Path(entry.path, "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for variable in variables:
            if variable.startswith(prefix):
                yield int(entry.name), variable.removeprefix(prefix).decode(errors="replace")
                break
