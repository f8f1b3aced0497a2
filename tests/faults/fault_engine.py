"""A Docker Engine of the test's own, in its own network namespace: it may be killed without harm to anybody else's."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import absent


class OwnEngine:
    """live_restore: containers go on while it is away."""

    def __init__(self, root: Path, *, live_restore: bool) -> None:
        self.root = root
        self.socket = f"unix://{root}/d.sock"
        self._live_restore = live_restore
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; a busy machine gets three tries."""
        if not any(self._started() for _ in range(3)):
            absent(f"a Docker Engine of our own does not start here: {(self.root / 'log').read_text(errors='replace')[-400:]}")

    def _started(self) -> bool:
        """Whether it answers. Never on the host's network: a second engine there would take the first one's bridge away."""
        import docker

        arguments = [
            "unshare", "--net", "dockerd", "--host", self.socket, "--data-root", str(self.root / "data"), "--exec-root", str(self.root / "exec"),
            "--pidfile", str(self.root / "pid"), "--bridge=none", "--iptables=false", "--ip-masq=false",
            *(["--live-restore"] if self._live_restore else []),
        ]
        (self.root / "pid").unlink(missing_ok=True)
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        for _ in range(150):
            with contextlib.suppress(Exception):
                client = docker.DockerClient(base_url=self.socket, timeout=5)
                client.ping()
                client.close()
                return True
            if self._process.poll() is not None:
                return False
            time.sleep(0.2)
        return False

    def client(self) -> Any:
        import docker

        return docker.DockerClient(base_url=self.socket, timeout=60)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it: in order, or by SIGKILL."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)
        self._process = None

    def close(self) -> None:
        """End it and everything it runs."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(Exception):
                client = self.client()
                for each in client.containers.list(all=True, ignore_removed=True):
                    each.remove(force=True)
                client.close()
            self.stop()
        for entry in Path("/proc").iterdir():  # what an engine that was killed and did not start again left: they name our folder
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and f"{self.root}/".encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
        for mount in reversed([line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[1].startswith(str(self.root))]):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)


@contextlib.contextmanager
def own_engine(root: Path, image: str, *, live_restore: bool) -> Iterator[OwnEngine]:
    """An engine that has this one image."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("unshare") is None:
        absent("a Docker Engine of our own needs root and dockerd")
    root.mkdir(parents=True)
    engine = OwnEngine(root, live_restore=live_restore)
    try:
        engine.start()
        saved = subprocess.run(["docker", "save", image], capture_output=True, check=True).stdout
        subprocess.run(["docker", "--host", engine.socket, "load"], input=saved, check=True, capture_output=True)
        yield engine
    finally:
        engine.close()
