"""Who may call: a Unix socket is trusted by its file mode; over TCP the host name, the page of origin and a token are checked.

Called by the server's middleware for every route that is not open. What always holds (ruling 19): a page of another site
can neither read nor change anything; tokens are compared in constant time; the cookie holds no token, only a signed expiry;
a caller counts as local only when nothing says that a proxy stands between.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from aiohttp import web

from podium.base.errors import AuthError, SettingsError
from podium.base.system.ids import new_token
from podium.web.errors import NotAllowedHere

COOKIE = "podium_session"
SESSION_S = 14 * 24 * 3600
TOKEN_CHARS_MIN = 16
"""Shorter tokens are refused beyond loopback: nothing else slows down who guesses."""
SAFE_METHODS = frozenset({"GET", "HEAD"})
_FORWARDED = frozenset({"forwarded", "x-real-ip", "via", "true-client-ip", "cf-connecting-ip"})
_FORWARDED_PREFIX = "x-forwarded-"
_LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of one server. token: None is possible on loopback only. allowed_hosts: names, or "*"."""

    token: str | None = field(default=None, repr=False)
    allowed_hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, token: str | None, allowed_hosts: tuple[str, ...] | list[str] = ()) -> Access:
        """Rules from settings; host names are compared without case, port and final dot."""
        return cls(token=token or None, allowed_hosts=frozenset(host_name(name) if name != "*" else name for name in allowed_hosts))

    def require_safe(self, host: str) -> None:
        """Raises SettingsError when listening on `host` would let strangers in."""
        if is_loopback(host):
            return
        if self.token is None:
            raise SettingsError(
                f"refusing to listen on {host or 'every address'} without a token", path="server.token",
                hint="set server.token or server.token_file, or listen on 127.0.0.1",
            )
        if len(self.token) < TOKEN_CHARS_MIN:
            raise SettingsError(
                f"the token is shorter than {TOKEN_CHARS_MIN} characters", path="server.token", hint="make one with: openssl rand -hex 32"
            )

    def caller(self, request: web.Request, now: datetime) -> str | None:
        """How the caller is trusted: socket, token, session or loopback; None when it is not. Raises NotAllowedHere for a foreign page."""
        if is_unix(request):
            return "socket"
        self._check_host(request)
        came_from_page = self._check_origin(request)
        # Where no token is set, a header that other tools send anyway says nothing.
        given = given_token(request) if self.token is not None else None
        if given is not None:
            return "token" if self.is_token(given) else None
        if self._has_session(request, now) and (came_from_page or request.method in SAFE_METHODS):
            return "session"
        return "loopback" if is_local(request) else None

    def is_token(self, given: str) -> bool:
        """Whether `given` is the token; in constant time."""
        if self.token is None:
            return False
        # Headers hold bytes that are no UTF-8 as half surrogates.
        given_digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(given_digest, hashlib.sha256(self.token.encode()).digest())

    def new_session(self, now: datetime) -> str:
        """The value of the cookie: expiry, salt, signature."""
        body = f"{int(now.timestamp()) + SESSION_S}.{new_token(12)}"
        return f"{body}.{self._sign(body)}"

    def check_host(self, request: web.Request) -> None:
        """Raises NotAllowedHere when the request names a host that is not ours. For pages that need no token."""
        if not is_unix(request):
            self._check_host(request)
            self._check_origin(request)

    def _sign(self, body: str) -> str:
        key = hashlib.sha256(b"podium session\0" + (self.token or "").encode()).digest()
        return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()

    def _has_session(self, request: web.Request, now: datetime) -> bool:
        body, _, signature = request.cookies.get(COOKIE, "").rpartition(".")
        if self.token is None or not body or not signature.isascii() or not body.isascii():
            return False
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return False
        expires = body.partition(".")[0]
        return expires.isdigit() and int(expires) > now.timestamp()

    def _check_host(self, request: web.Request) -> None:
        name = host_name(request.headers.get("Host", ""))
        if "*" in self.allowed_hosts or name in self.allowed_hosts or name in _LOOPBACK_NAMES or _is_address(name):
            return
        raise NotAllowedHere(f"this server does not answer to the name '{name[:100]}'", hint=f'add "{name[:100]}" to server.allowed_hosts')

    def _check_origin(self, request: web.Request) -> bool:
        """Whether a page of ours made the request. Raises when a page of another site did."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if request.method in SAFE_METHODS:
            return False
        if origin is None:
            if site not in {None, "same-origin", "none"}:
                raise self._foreign(site or "")
            return site == "same-origin"
        if not self._same_origin(origin, request.headers.get("Host", "")):
            raise self._foreign(origin)
        return True

    def _foreign(self, origin: str) -> NotAllowedHere:
        return NotAllowedHere(
            f"a page of another site asked for this ({origin[:100]})",
            hint="behind a proxy: let it pass the Host header on, or add the public name to server.allowed_hosts",
        )

    def _same_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin.lower())
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return False
        if parts.hostname in self.allowed_hosts:
            return True
        ours = urlsplit(f"//{host.lower()}")
        try:
            our_port = ours.port or {"http": 80, "https": 443}[parts.scheme]
        except ValueError:
            return False
        return (parts.hostname, port) == (ours.hostname, our_port)


def given_token(request: web.Request) -> str | None:
    """The token in the Authorization header: Bearer, or the password of Basic. None when there is no such header."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return None


def unauthorised(access: Access) -> AuthError:
    """The error for a caller that is not trusted."""
    if access.token is None:
        return AuthError("this server takes calls of this machine only", hint="set server.token to allow others, and send it as a Bearer token")
    return AuthError("a token is needed", hint="send the header Authorization: Bearer <server.token>, or log in at /login")


def is_unix(request: web.Request) -> bool:
    """Whether the request came over a Unix socket."""
    sock = request.transport.get_extra_info("socket") if request.transport else None
    return sock is not None and sock.family == socket.AF_UNIX


def is_local(request: web.Request) -> bool:
    """Whether the caller is a program of this machine that speaks to us directly: loopback peer, loopback name, no proxy's headers."""
    if any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in map(str.lower, request.headers)):
        return False
    return is_loopback(request.remote or "") and is_loopback(host_name(request.headers.get("Host", "")))


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) means this machine only."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def host_name(header: str) -> str:
    """The name in a Host header: lower case, without port, brackets and final dot."""
    header = header.strip().lower()
    name = header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0] if header.count(":") < 2 else header
    return name.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def safe_next(target: str | None) -> str:
    """A path of ours to go to after login; "/" for anything else."""
    if not target or not target.startswith("/") or target[1:2] in {"/", "\\"} or any(ord(char) < 32 or char == "\\" for char in target):
        return "/"
    return target
