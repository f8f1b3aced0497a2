"""`podium serve` as a child process over a bare repository with our hooks: what a user has. Everything goes through git, CLI and HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

PODIUM = [sys.executable, "-m", "podium"]
TERMINAL = {"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED"}


def wait_for(look: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if found := look():
                return found
        time.sleep(0.05)
    raise AssertionError(f"waited {timeout_s:g} s for {what}")


class DaemonHouse:
    """A folder with `flows.git` (bare, hooks), `work` (a clone) and a daemon's home."""

    def __init__(self, root: Path, port: int, settings: str = "") -> None:
        self.root, self.port = root, port
        self.bare, self.work, self.home = root / "flows.git", root / "work", root / "home"
        self.config, self.log = root / "podium.toml", root / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.config.write_text(
            f'home = "{self.home}"\n[server]\nport = {port}\n[sources.main]\nurl = "{self.bare}"\npoll_interval_s = 1\n{settings}', "utf-8"
        )
        self.podium("init", "--bare", str(self.bare))
        self.git("config", "gc.autoDetach", "false", cwd=self.bare)  # none is under way when a test looks at the objects
        self.git("clone", "--quiet", str(self.bare), str(self.work), cwd=root)
        self.git("checkout", "--quiet", "-B", "main")

    # ---- commands
    def podium(self, *arguments: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*PODIUM, *arguments], capture_output=True, text=True, check=False, timeout=120, **more)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def git(self, *arguments: str, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(["git", *arguments], cwd=cwd or self.work, capture_output=True, text=True, check=False, timeout=120)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def push(self, files: Mapping[str, str | None], *, check: bool = True, force: bool = False) -> subprocess.CompletedProcess[str]:
        """Commit these files (None removes one) and push them."""
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", "--message", "change")
        return self.git("push", *(["--force"] if force else []), "origin", "main", check=check)

    # ---- the daemon
    def start(self, **environ: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PODIUM, "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **environ},
            )
        wait_for(self._serving, "the daemon to serve", 90)

    def _serving(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text("utf-8", "replace")[-4000:]
        return self.call("GET", "/health") is not None

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # ---- HTTP
    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method)
        for name, value in {"Content-Type": "application/json", "X-Podium-Client": "test", **(headers or {})}.items():
            request.add_header(name, value)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            text = answer.read().decode()
        try:
            return json.loads(text)
        except ValueError:
            return text

    def deployed(self, namespace: str, flow_id: str, revision: int | None = None) -> Any:
        def look() -> Any:
            with contextlib.suppress(urllib.error.HTTPError):
                found = self.call("GET", f"/api/v1/flows/{namespace}/{flow_id}")
                return found if revision is None or found["revision"] == revision else None
            return None

        return wait_for(look, f"{namespace}.{flow_id} to be deployed")

    def execute(self, namespace: str, flow_id: str) -> str:
        return str(self.call("POST", f"/api/v1/executions/{namespace}/{flow_id}")["id"])

    def execution(self, execution_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/api/v1/executions/{execution_id}")
        return found

    def ended(self, execution_id: str, timeout_s: float = 90) -> dict[str, Any]:
        def look() -> Any:
            found = self.execution(execution_id)
            return found if found["state"]["current"] in TERMINAL else None

        found: dict[str, Any] = wait_for(look, f"execution {execution_id} to end", timeout_s)
        return found

    def messages(self, execution_id: str) -> list[str]:
        return [entry["message"] for entry in self.call("GET", f"/api/v1/logs/{execution_id}")]

    # ---- the branch
    def records(self) -> dict[str, str]:
        """Execution id → path of its record on the results branch of the bare repository."""
        listed = self.git("ls-tree", "-r", "--name-only", "results", cwd=self.bare, check=False).stdout.split()
        return {path.rsplit("/", 1)[1].removesuffix(".json"): path for path in listed if path.startswith("executions/") and path.endswith(".json")}


@contextlib.contextmanager
def daemon_house(root: Path, port: int, settings: str = "", *, start: bool = True) -> Iterator[DaemonHouse]:
    house = DaemonHouse(root, port, settings)
    try:
        if start:
            house.start()
        yield house
    finally:
        house.close()
        if os.environ.get("PODIUM_TEST_LOG"):
            sys.stderr.write(house.log.read_text("utf-8", "replace"))
