"""HTTP tasks over TLS and through proxies."""

from __future__ import annotations

import base64
import datetime as dt
import select
import socket
import socketserver
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from http_house import Context, Server, request, served, told

from podium.plugin import TaskFailed


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    with served(Server()) as running:
        yield running


@pytest.fixture
def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for 127.0.0.1."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC)).not_valid_after(dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure_url(certificate: Path) -> Iterator[str]:
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with served(server):
        yield f"https://127.0.0.1:{server.server_port}"


def test_an_unknown_certificate_is_refused_unless_told_otherwise(ctx: Context, secure_url: str) -> None:
    with pytest.raises(TaskFailed, match=r"(?i)certificate"):
        request(ctx, secure_url)
    for properties in ({"sslOptions": {"insecureTrustAllCertificates": True}}, {"options": {"ssl": {"insecureTrustAllCertificates": True}}}):
        assert request(ctx, secure_url, **properties).outputs["code"] == 200


def test_a_certificate_authority_of_the_machine_is_trusted(ctx: Context, secure_url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert request(ctx, secure_url).outputs["code"] == 200


class _Proxy(BaseHTTPRequestHandler):
    """An HTTP proxy that answers everything itself and checks who asks."""

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Proxy-Authorization")))  # type: ignore[attr-defined]
        body = b"through the proxy"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def proxy() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    server.seen = []  # type: ignore[attr-defined]
    with served(server) as running:
        yield running


@pytest.mark.parametrize("old", [True, False])
def test_an_http_proxy_in_the_old_and_the_new_shape(ctx: Context, proxy: Any, old: bool) -> None:
    parts = {"type": "HTTP", "address": "127.0.0.1", "port": proxy.server_port, "username": "u", "password": "p"}
    options = {f"proxy{key.capitalize()}": value for key, value in parts.items()} if old else {"proxy": parts}
    assert request(ctx, "http://example.invalid/x", options=options).outputs["body"] == "through the proxy"
    assert proxy.seen == [("http://example.invalid/x", "Basic " + base64.b64encode(b"u:p").decode())]


def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(
    ctx: Context, proxy: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
    assert request(ctx, "http://example.invalid/x").outputs["body"] == "through the proxy"
    assert told(request(ctx, url))["method"] == "GET"
    with pytest.raises(TaskFailed, match="name is unknown"):
        request(ctx, "http://example.invalid/x", options={"proxyType": "DIRECT"})
    assert len(proxy.seen) == 1


class _Socks(socketserver.BaseRequestHandler):
    """SOCKS5 without authentication; host names are answered by this machine."""

    def handle(self) -> None:
        wanted = self.request.recv(2)[1]
        self.request.recv(wanted)
        self.request.sendall(b"\x05\x00")
        kind = self.request.recv(4)[3]
        size = 4 if kind == 1 else self.request.recv(1)[0]
        host = self.request.recv(size)
        port = int.from_bytes(self.request.recv(2), "big")
        self.server.seen.append((kind, host))  # type: ignore[attr-defined]
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            self.request.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            while True:
                ready, _, _ = select.select([self.request, upstream], [], [], 5)
                for each in ready:
                    data = each.recv(65536)
                    if not data:
                        return
                    (upstream if each is self.request else self.request).sendall(data)


def test_a_socks_proxy_resolves_names_itself(ctx: Context, server: Server) -> None:
    socks = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Socks)
    socks.daemon_threads = True
    socks.seen = []  # type: ignore[attr-defined]
    with served(socks):
        proxy = {"type": "SOCKS", "address": "127.0.0.1", "port": socks.server_address[1]}
        answer = told(request(ctx, f"http://example.invalid:{server.server_port}/echo?via=socks", options={"proxy": proxy}))
    assert answer["path"] == "/echo?via=socks"
    assert socks.seen == [(3, b"example.invalid")]  # type: ignore[attr-defined]


def test_a_proxy_without_an_address_is_refused(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match="needs an address and a port"):
        request(ctx, url, options={"proxy": {"type": "HTTP"}})


