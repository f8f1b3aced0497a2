"""Starts a Podium daemon of one's own and talks to it. Used by the demo and the benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PODIUM = (sys.executable, "-m", "podium")
TERMINAL = {"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED"}


class Stopped(RuntimeError):
    """Something that must work did not; the text says what."""


def run(*argv: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run a command; its output, standard error included. Raises Stopped when it fails."""
    done = subprocess.run(
        [str(part) for part in argv], cwd=cwd, env=None if env is None else {**os.environ, **env}, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if check and done.returncode:
        raise Stopped(f"{' '.join(str(part) for part in argv)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout.rstrip()


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there on this machine, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise Stopped("no free port")


class Daemon:
    """`podium serve` as a child of this process. It is stopped by its own id, and only it."""

    def __init__(self, config: Path, *, port: int, log: Path) -> None:
        self.config, self.port, self.log = config, port, log
        self.url = f"http://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start_s = 0.0
        """Seconds from starting the process until it served."""

    def start(self, *, timeout_s: float = 60) -> None:
        """Start it and wait until it serves."""
        started = time.monotonic()
        # PYTHONDONTWRITEBYTECODE would have every start compile all modules again, which no installation does.
        env = {key: value for key, value in os.environ.items() if not key.startswith("PODIUM_") and key != "PYTHONDONTWRITEBYTECODE"}
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches us, and we stop it in order.
            self.process = subprocess.Popen(
                [*PODIUM, "serve", "--config", str(self.config)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=env,
            )
        self.wait(lambda: self.get("/health") is not None, what="the daemon to serve", timeout_s=timeout_s, every_s=0.02)
        self.start_s = time.monotonic() - started

    def wait(self, ready: Callable[[], Any], *, what: str, timeout_s: float, every_s: float = 0.2) -> Any:
        """What `ready` gives once that is truthy. Raises Stopped with the end of the daemon's log."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            with contextlib.suppress(OSError, urllib.error.URLError):
                if found := ready():
                    return found
            if self.process is not None and self.process.poll() is not None:
                raise Stopped(f"the daemon ended with {self.process.returncode}:\n{self.tail()}")
            time.sleep(every_s)
        raise Stopped(f"waited {timeout_s:.0f} s for {what}; the daemon's log ends:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        """The end of the daemon's log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        return self.call("GET", path)

    def call(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
        """One HTTP call; its JSON, or text where there is none."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=sent)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            text = answer.read().decode()
        try:
            return json.loads(text)
        except ValueError:
            return text

    def ended(self, execution_id: str, *, timeout_s: float) -> dict[str, Any]:
        """The execution once it has ended."""

        def look() -> Any:
            found = self.get(f"/api/v1/executions/{execution_id}")
            return found if found["state"]["current"] in TERMINAL else None

        found: dict[str, Any] = self.wait(look, what=f"execution {execution_id} to end", timeout_s=timeout_s)
        return found

    def stop(self, *, timeout_s: float = 60) -> None:
        """End it in order; by force when it does not end in time."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running(config: Path, *, port: int, log: Path) -> Iterator[Daemon]:
    """A daemon that serves, stopped at the end whatever happens."""
    daemon = Daemon(config, port=port, log=log)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
