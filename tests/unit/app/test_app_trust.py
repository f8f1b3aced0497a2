"""A TLS context that reads the system's certificates late is otherwise the one that Python makes."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from podium.app.trust import LateTrust, client_context, late_trust


def test_it_checks_what_pythons_own_checks() -> None:
    ours, theirs = client_context(), ssl.create_default_context()
    for fact in ("protocol", "verify_mode", "check_hostname", "verify_flags", "options", "minimum_version", "maximum_version", "keylog_filename"):
        assert getattr(ours, fact) == getattr(theirs, fact), fact
    assert [each["name"] for each in ours.get_ciphers()] == [each["name"] for each in theirs.get_ciphers()]


def test_certificates_are_read_when_a_connection_is_made() -> None:
    context = client_context()
    assert context.cert_store_stats()["x509"] == 0
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="example.org")
    assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()


def test_a_socket_is_trusted_as_a_stream_of_bytes_is() -> None:
    context = client_context()
    with socket.socket() as plain, context.wrap_socket(plain, server_hostname="example.org"):
        assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()


def test_only_the_clients_default_is_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ssl.create_default_context
    with late_trust():
        assert isinstance(ssl.create_default_context(), LateTrust)
        assert not isinstance(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), LateTrust)
        assert not isinstance(ssl.create_default_context(capath=str(tmp_path)), LateTrust)
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        assert ssl.create_default_context().keylog_filename == str(tmp_path / "keys")
    assert ssl.create_default_context is real
