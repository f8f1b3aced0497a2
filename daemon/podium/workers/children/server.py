"""The fork server: a small Python process with the tasks' modules loaded, which forks a child for each task in a millisecond or two.

Started by `parent.Forkery` as `python -m podium.workers.children.server <fd>`. For each order it forks a guard, which forks the child
that runs the task, takes its standard output and error, and ends the child and all its descendants when the daemon says so, when the
daemon dies, or when the child has ended. Single-threaded, as what forks must be.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from podium.runners.process.supervisor import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, end_descendants, signal_all
from podium.workers.children.wire import encode

_prctl = ctypes.CDLL(None).prctl
_READ_BYTES = 64 * 1024


def main() -> None:
    """Take orders until the daemon is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    known: set[str] = set()
    _load(["podium.workers.children.child"], known)
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, _READ_BYTES, 2)
        if not data:
            return
        _load(json.loads(data)["modules"], known)
        if os.fork() == 0:
            control.close()
            _guard(*descriptors)
        for each in descriptors:
            os.close(each)


def _load(modules: list[str], known: set[str]) -> None:
    fresh = [name for name in modules if name not in known]
    for name in fresh:
        known.add(name)
        with suppress(Exception):  # the child meets the same error when it needs the module, and reports it
            importlib.import_module(name)
    if fresh:
        gc.collect()
        gc.freeze()


def _guard(work: int, watch: int) -> NoReturn:
    """The process between daemon and task."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pipes = (os.pipe(), os.pipe())
    guard = os.getpid()
    child = os.fork()
    if child == 0:
        _become_child(work, watch, pipes, guard)
    os.close(work)
    for _, end in pipes:
        os.close(end)
    with suppress(OSError):  # the daemon is gone: nobody listens any more
        _watch(child, socket.socket(fileno=watch), {pipes[0][0]: "stdout", pipes[1][0]: "stderr"})
    signal_all(signal.SIGKILL)
    os._exit(0)


def _become_child(work: int, watch: int, pipes: tuple[tuple[int, int], tuple[int, int]], guard: int) -> NoReturn:
    code = 1
    try:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(137)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.close(watch)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, (reading, writing) in enumerate(pipes, start=1):
            os.close(reading)
            os.dup2(writing, number)
            os.close(writing)
        from podium.workers.children.child import run

        run(socket.socket(fileno=work))
        code = 0
    finally:
        os._exit(code)


def _watch(child: int, daemon: socket.socket, streams: dict[int, str]) -> None:
    """Pass output on, and see to the end."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    for descriptor in (daemon.fileno(), ended, *streams):
        poll.register(descriptor, select.POLLIN)
    over = False
    while not over:
        for descriptor, _ in poll.poll():
            if descriptor == daemon.fileno():
                poll.unregister(descriptor)
                signal_all(signal.SIGKILL)
            elif descriptor == ended:
                over = True
            elif not _pass_on(descriptor, streams[descriptor], daemon):
                poll.unregister(descriptor)
    _, status = os.waitpid(child, 0)
    end_descendants()
    for descriptor, name in streams.items():
        while _pass_on(descriptor, name, daemon):
            continue
    daemon.sendall(encode({"ended": os.waitstatus_to_exitcode(status)}))


def _pass_on(descriptor: int, name: str, daemon: socket.socket) -> bool:
    data = os.read(descriptor, _READ_BYTES)
    if data:
        daemon.sendall(encode({"stream": name, "data": data}))
    return bool(data)


if __name__ == "__main__":
    main()
