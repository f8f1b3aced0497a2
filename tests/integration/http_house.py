"""A web server, and the context of one task, for the tests of HTTP tasks."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import hashlib
import json
import re
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from podium.base.errors import StorageError
from podium.plugin import Result
from podium.plugins.core.http.tasks import Download, Request
from podium.storage import uris
from podium.storage.files import FileStorage


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def log(self, level: str, message: str) -> None:
        self.lines.append((level, message))

    @property
    def text(self) -> str:
        return "\n".join(message for _, message in self.lines)


class Files:
    """The store of one task; only its own files can be fetched."""

    def __init__(self, root: Path) -> None:
        self.store = FileStorage(root)

    def put(self, source: Path, name: str) -> str:
        return self.store.put(uris.uri_of(f"ns/flow/executions/E/tasks/t/r/{uris.file_name(name)}"), source)

    def fetch(self, uri: str, target: Path) -> None:
        if "/executions/E/" not in uri:
            raise StorageError(f"{uri} may not be read")
        self.store.copy_to(uri, target)


class Context:
    """What HTTP tasks use of a RunContext and a PollContext."""

    namespace, flow_id = "ns", "flow"

    def __init__(self, root: Path) -> None:
        self.log = Log()
        self.files = Files(root / "store")
        self.working_dir = root / "work"
        self.working_dir.mkdir()
        self.state: dict[str, Any] = {}

    def render(self, template: Any, extra: Any = None) -> Any:
        from podium.expressions.compile import render_value

        world: Any = SimpleNamespace(zone=dt.UTC)
        return render_value(template, extra or {}, world)


# ---- the server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        self.server.seen.append((self.command, self.path, list(self.headers.items()), self.body))  # type: ignore[attr-defined]
        path = urlsplit(self.path).path.strip("/").replace("-", "_").split("/")[0] or "echo"
        getattr(self, f"say_{path}", self.say_missing)()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_PURGE = handle_any  # noqa: N815 (names the server calls)

    def reply(self, status: int, body: bytes = b"", *headers: tuple[str, str], length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def say_echo(self) -> None:
        told = {"method": self.command, "path": self.path, "headers": dict(self.headers.items()), "body": self.body.decode("utf-8", "replace")}
        self.reply(200, json.dumps(told).encode(), ("Content-Type", "application/json"), ("X-CamelCase", "One"), ("X-CamelCase", "Two"))

    def say_missing(self) -> None:
        self.reply(404, b"no such page", ("Content-Type", "text/plain"))

    def say_error(self) -> None:
        self.reply(500, b'{"error": "it broke"}')

    def say_empty(self) -> None:
        self.reply(200)

    def say_latin(self) -> None:
        self.reply(200, "é".encode("latin-1"), ("Content-Type", "text/plain; charset=ISO-8859-1"))

    def say_bytes(self) -> None:
        self.reply(200, b"\xff\xfe\x00", ("Content-Type", "application/octet-stream"))

    def say_gzip(self) -> None:
        self.reply(200, gzip.compress(b"compressed " * 100), ("Content-Encoding", "gzip"), ("Content-Type", "text/plain"))

    def say_large(self) -> None:
        self.reply(200, b"x" * 1_000_000)

    def say_named(self) -> None:
        self.reply(200, b"data", ("Content-Disposition", parse_qs(urlsplit(self.path).query)["d"][0]))

    def say_files(self) -> None:
        self.reply(200, b"file data")

    def say_short(self) -> None:
        self.close_connection = True
        self.reply(200, b"only this", length=100)

    def say_chunked(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (b"one ", b"two"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def say_slow(self) -> None:
        time.sleep(0.5)
        self.reply(200, b"late")

    def say_redirect(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.reply(int(query["code"][0]), b"moved", ("Location", query["to"][0]))

    def say_loop(self) -> None:
        self.reply(302, b"", ("Location", "/loop"))

    def say_basic(self) -> None:
        wanted = "Basic " + base64.b64encode("usér:pa:ss".encode()).decode()
        if self.headers.get("Authorization") == wanted:
            self.reply(200, b"welcome")
        else:
            self.reply(401, b"who are you", ("WWW-Authenticate", 'Basic realm="r"'))

    def say_digest(self) -> None:
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', self.headers.get("Authorization", "")))
        algorithm = parse_qs(urlsplit(self.path).query).get("a", ["MD5"])[0]
        hashed = lambda text: hashlib.new("md5" if algorithm.startswith("MD5") else "sha256", text.encode()).hexdigest()  # noqa: E731
        if given:
            secret = hashed("user:realm:pass")
            if algorithm.endswith("-sess"):
                secret = hashed(f"{secret}:abc:{given['cnonce']}")
            proof = hashed(f"{secret}:abc:{given['nc']}:{given['cnonce']}:auth:" + hashed(f"{self.command}:{self.path}"))
            if given["response"] == proof and given["opaque"] == "op":
                return self.reply(200, b"digested")
        return self.reply(401, b"", ("WWW-Authenticate", f'Digest realm="realm", nonce="abc", qop="auth,auth-int", algorithm={algorithm}, opaque="op"'))

    def say_events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        for piece in ('id: 1\nevent: count\ndata: {"count": 1}\n\n', ": ping\n\n", "data: first\ndata: second\nretry: 10\n\n", 'data: {"count": 2}\r\n\r\n', "data: tail"):
            self.wfile.write(piece.encode())
            self.wfile.flush()

    def say_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        try:
            for number in range(100_000):
                self.wfile.write(f"data: {number}\n\n".encode())
        except OSError:
            pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, list[tuple[str, str]], bytes]] = []

    def handle_error(self, request: Any, client_address: Any) -> None: ...  # clients that go away are part of the tests


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def request(ctx: Context, uri: str, **properties: Any) -> Result:
    return Request.model_validate({"id": "t", "type": Request.TYPE, "uri": uri, **properties}).run(ctx)  # type: ignore[arg-type]


def download(ctx: Context, uri: str, **properties: Any) -> Result:
    return Download.model_validate({"id": "t", "type": Download.TYPE, "uri": uri, **properties}).run(ctx)  # type: ignore[arg-type]


def told(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.outputs["body"])
    return answer
