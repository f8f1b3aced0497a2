"""The remote refuses, hangs, or is rewritten by force: executions run on, records wait, and all of them arrive; nothing is ever forced by us."""

from __future__ import annotations

import http.server
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemon_house import wait_for
from fault_audit import audit
from fault_house import FaultHouse, fault_house

PROCESS = '[runner]\ntype = "process"\n'


class GitServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """`git http-backend` over one repository, with a mood: fine, refuses (403), or hangs until told otherwise."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        self.root, self.mood = root, "fine"
        self.hung = 0
        super().__init__(("127.0.0.1", 0), _GitHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _GitHandler(http.server.BaseHTTPRequestHandler):
    server: GitServer

    def _serve(self) -> None:
        if self.server.mood == "hangs":
            self.server.hung += 1
            while self.server.mood == "hangs":
                time.sleep(0.1)
            self.close_connection = True
            return
        if self.server.mood == "refuses":
            self.send_error(403)
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path, _, query = self.path.partition("?")
        done = subprocess.run(["git", "-c", "http.receivepack=true", "http-backend"], input=body, capture_output=True, check=False, env={
            "PATH": "/usr/bin:/bin", "GIT_PROJECT_ROOT": str(self.server.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "test", "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        })
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    do_GET = do_POST = _serve  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@contextmanager
def house_with_remote(root: Path, port: int) -> Iterator[tuple[FaultHouse, GitServer]]:
    """The records go to a Git server over HTTP, which may be in a mood; flows come from the local repository."""
    served = root / "served"
    served.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--bare", str(served / "records.git")], check=True)
    server = GitServer(served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = f'[results]\nurl = "{server.url}/records.git"\n{PROCESS}'
    try:
        with fault_house(root / "house", port, settings, kinds={"one": 1}) as house:
            house.push({"one.yaml": "id: one\nnamespace: load\ntasks: [{id: say, type: core.log.Log, message: hello}]\n"})
            house.again()
            house.deployed("load", "one")
            flows, house.bare = house.bare, served / "records.git"
            yield house, server
            house.bare = flows
    finally:
        server.mood = "fine"
        server.shutdown()
        server.server_close()


def arrived(house: FaultHouse, timeout_s: float = 60) -> None:
    ids = set(house.ledger.acknowledged)
    wait_for(lambda: ids <= set(house.records()), f"{len(ids)} records", timeout_s)
    assert house.stop() == 0
    assert house.git("fsck", "--strict", cwd=house.bare, check=False).returncode == 0
    assert house.podium("results", "--repo", str(house.bare), "verify", check=False).returncode == 0


def test_a_remote_that_refuses(tmp_path: Path, free_port: int) -> None:
    with house_with_remote(tmp_path, free_port) as (house, server):
        house.start_one("one")
        wait_for(lambda: len(house.records()) == 1, "the first record", 60)
        server.mood = "refuses"
        for _ in range(10):
            house.ended(str(house.start_one("one")))
        wait_for(lambda: "403" in str(house.call("GET", "/health")), "the health to say why", 60)
        assert house.call("GET", "/health")["unpushed"]["count"] >= 10
        house.crash()
        house.again()
        server.mood = "fine"
        arrived(house, 120)


@pytest.mark.nightly
def test_a_remote_that_hangs_holds_up_nothing_else(tmp_path: Path, free_port: int) -> None:
    with house_with_remote(tmp_path, free_port) as (house, server):
        house.start_one("one")
        wait_for(lambda: len(house.records()) == 1, "the first record", 60)
        server.mood = "hangs"
        for _ in range(10):
            house.ended(str(house.start_one("one")), 10)
        wait_for(lambda: server.hung, "a push that hangs", 30)
        began = time.monotonic()
        assert house.stop() == 0
        assert time.monotonic() - began < 30, "a remote that hangs held up the end"
        house.again()
        house.ended(str(house.start_one("one")), 10)
        server.mood = "fine"
        arrived(house, 120)


def test_a_remote_rewritten_by_force(tmp_path: Path, free_port: int) -> None:
    """Somebody sets the results branch back by force: what is known here is put there again, on top of theirs."""
    with fault_house(tmp_path, free_port, PROCESS, kinds={"one": 1}) as house:
        house.begin()
        for _ in range(5):
            house.start_one("one")
        house.settle()
        tip = house.git("rev-parse", "results", cwd=house.bare).stdout.strip()
        tree = house.git("rev-parse", f"{tip}~1^{{tree}}", cwd=house.bare).stdout.strip()
        other = house.git("commit-tree", tree, "-m", "rewritten", cwd=house.bare).stdout.strip()
        house.git("update-ref", "refs/heads/results", other, cwd=house.bare)
        for _ in range(5):
            house.start_one("one")
        house.settle()
        log = house.git("log", "--format=%H", "results", cwd=house.bare).stdout.split()
        assert other in log, "their commit was overwritten"
        later = list(house.ledger.acknowledged)[5:]
        assert set(later) <= set(house.records())


def test_the_flow_branch_rewritten_by_force(tmp_path: Path, free_port: int) -> None:
    """Running executions keep their commit; the rewritten branch is deployed."""
    with fault_house(tmp_path, free_port, PROCESS, kinds={"shell": 1}) as house:
        house.begin()
        running = [house.start_one("shell") for _ in range(3)]
        house.git("commit", "--quiet", "--amend", "--no-verify", "--message", "rewritten")
        house.push({"extra.yaml": "id: extra\nnamespace: load\ntasks: [{id: say, type: core.log.Log, message: extra}]\n"}, force=True)
        house.deployed("load", "extra")
        for each in running:
            assert house.ended(str(each))["state"]["current"] == "SUCCESS"
        house.settle()
        found = audit(house)
        assert not found.wrong, "\n".join(found.wrong[:20])


@pytest.mark.nightly
def test_a_port_that_nobody_answers(tmp_path: Path, free_port: int) -> None:
    """A remote that takes connections and says nothing: a home that was there before serves within its usual time, and ends in time."""
    with socket.socket() as mute, fault_house(tmp_path, free_port, PROCESS, kinds={"one": 1}) as house:
        mute.bind(("127.0.0.1", 0))
        mute.listen(16)
        house.begin()
        house.ended(str(house.start_one("one")))
        assert house.stop() == 0
        text = house.config.read_text()
        house.config.write_text(text.replace(f'url = "{house.bare}"', f'url = "http://127.0.0.1:{mute.getsockname()[1]}/x.git"'))
        began = time.monotonic()
        house.again()
        assert time.monotonic() - began < 30
        house.ended(str(house.start_one("one")))
        began = time.monotonic()
        assert house.stop() == 0
        assert time.monotonic() - began < 30
