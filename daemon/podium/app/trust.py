"""Certificates that a start need not read: aiohttp makes a TLS context for its client when it is imported, and the daemon never uses that client.

Called by `podium serve` around its imports. What always holds: such a context refuses and accepts what that of `ssl.create_default_context()` would;
it only reads the system's certificates (20 ms) when the first connection is made with it.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LateTrust(ssl.SSLContext):
    """The default context of a client, whose certificates are read when they are first needed."""

    _read = False

    def _trust(self) -> None:
        if not self._read:
            self.load_default_certs()
            self._read = True

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """See ssl.SSLContext."""
        self._trust()
        return super().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """See ssl.SSLContext."""
        self._trust()
        return super().wrap_socket(*args, **kwargs)


def client_context() -> LateTrust:
    """What `ssl.create_default_context()` gives, but for the certificates."""
    context = LateTrust(ssl.PROTOCOL_TLS_CLIENT)  # which wants a certificate, and for that name
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context


@contextmanager
def late_trust() -> Iterator[None]:
    """Around imports: who asks for a client's default context without naming certificates gets one that reads them late."""
    real = ssl.create_default_context

    def create(purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH, **named: Any) -> ssl.SSLContext:
        # A log of keys is asked for by a variable; who debugs waits.
        if purpose is not ssl.Purpose.SERVER_AUTH or any(named.values()) or "SSLKEYLOGFILE" in os.environ:
            return real(purpose, **named)
        return client_context()

    ssl.create_default_context = create
    try:
        yield
    finally:
        ssl.create_default_context = real
