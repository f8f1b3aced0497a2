"""What a request may come from: host names, pages of origin, addresses, proxies. Who makes it is the business of identify.

What always holds (ruling 19): a page of another site can neither read nor change anything, unless the settings name its origin; a caller counts as
local only when nothing says that a proxy stands between.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

from aiohttp import web

from podium.base.errors import SettingsError
from podium.web.errors import NotAllowedHere

TOKEN_CHARS_MIN = 16
"""Shorter tokens are refused beyond loopback."""
SAFE_METHODS = frozenset({"GET", "HEAD"})
_FORWARDED = frozenset({"forwarded", "x-real-ip", "via", "true-client-ip", "cf-connecting-ip"})
_FORWARDED_PREFIX = "x-forwarded-"
_LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
ANY = "*"


class Page(Enum):
    """What page, if any, a request comes from."""

    NONE = "none"
    """No browser says so: a program, or a link that was followed."""
    OURS = "ours"
    NAMED = "named"
    """Of an origin that the settings name."""
    ANY = "any"
    """Of an origin that the settings let in only because they let in all: nothing that a browser sends by itself counts."""
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of one server. allowed_hosts: names, or "*". cors_origins: as browsers write them, or "*"."""

    allowed_hosts: frozenset[str] = frozenset()
    cors_origins: frozenset[str] = frozenset()
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = field(default=())

    @classmethod
    def of(cls, allowed_hosts: Iterable[str] = (), *, cors_origins: Iterable[str] = (), trusted_proxies: Iterable[str] = ()) -> Access:
        """Rules from settings; host names are compared without case, port and final dot."""
        return cls(
            allowed_hosts=frozenset(host_name(name) if name != ANY else name for name in allowed_hosts),
            cors_origins=frozenset(each.strip().lower().rstrip("/") for each in cors_origins),
            proxies=tuple(ipaddress.ip_network(each, strict=False) for each in trusted_proxies),
        )

    def check(self, request: web.Request) -> Page:
        """The page a request comes from. Raises NotAllowedHere for a host name that is not ours, and for a foreign page that changes a thing."""
        if is_unix(request):
            return Page.NONE
        self._check_host(request)
        page = self.page_of(request)
        if page is Page.FOREIGN and request.method not in SAFE_METHODS:
            said = request.headers.get("Origin") or request.headers.get("Sec-Fetch-Site") or ""
            raise NotAllowedHere(
                f"a page of another site asked for this ({said[:100]})",
                hint="behind a proxy: let it pass the Host header on, or add the public name to server.allowed_hosts; "
                "for a page of your own: server.cors_origins",
            )
        return page

    def page_of(self, request: web.Request) -> Page:
        """By what browsers send and pages cannot forge: Origin, else Sec-Fetch-Site."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if origin is None:
            return Page.NONE if site in {None, "none"} else Page.OURS if site == "same-origin" else Page.FOREIGN
        if self._same_origin(origin, request.headers.get("Host", "")):
            return Page.OURS
        if origin.lower() in self.cors_origins:
            return Page.NAMED
        return Page.ANY if ANY in self.cors_origins else Page.FOREIGN

    def address_of(self, request: web.Request) -> str:
        """The caller's address, for counting: what the nearest proxy says it is, if that proxy is of this machine or named by the settings."""
        peer = request.remote or "unix"
        if not (is_loopback(peer) or self._is_proxy(peer)):
            return peer
        for said in reversed(",".join(request.headers.getall("X-Forwarded-For", [])).split(",")):
            address = said.strip().strip("[]")
            if not _is_address(address):
                break
            peer = address
            if not self._is_proxy(address):
                break
        return peer

    def _is_proxy(self, address: str) -> bool:
        return _is_address(address) and any(ipaddress.ip_address(address) in each for each in self.proxies)

    def _check_host(self, request: web.Request) -> None:
        name = host_name(request.headers.get("Host", ""))
        if ANY in self.allowed_hosts or name in self.allowed_hosts or name in _LOOPBACK_NAMES or _is_address(name):
            return
        raise NotAllowedHere(f"this server does not answer to the name '{name[:100]}'", hint=f'add "{name[:100]}" to server.allowed_hosts')

    def _same_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin.lower())
            port = parts.port
            ours = urlsplit(f"//{host.lower()}")
            our_port = ours.port
        except ValueError:
            return False
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            return False
        # Behind a proxy: our public name, which it may not pass on. A server at another port of it is another site.
        if port is None and parts.hostname in self.allowed_hosts and not is_loopback(parts.hostname):
            return True
        default = _DEFAULT_PORTS[parts.scheme]
        return (parts.hostname, port or default) == (ours.hostname, our_port or default)


def require_safe(host: str, *, token: str | None, accounts: bool) -> None:
    """Raises SettingsError when listening on `host` would let strangers in. accounts: whether people are defined somewhere."""
    if is_loopback(host):
        return
    if token is None and not accounts:
        raise SettingsError(
            f"refusing to listen on {host or 'every address'} without a token", path="server.token",
            hint="set server.token or server.token_file, or define people (docs/access.md), or listen on 127.0.0.1",
        )
    if token is not None and len(token) < TOKEN_CHARS_MIN:
        raise SettingsError(
            f"the token is shorter than {TOKEN_CHARS_MIN} characters", path="server.token", hint="make one with: openssl rand -hex 32"
        )


def is_unix(request: web.Request) -> bool:
    """Whether the request came over a Unix socket."""
    sock = request.transport.get_extra_info("socket") if request.transport else None
    return sock is not None and sock.family == socket.AF_UNIX


def is_local(request: web.Request) -> bool:
    """Whether the caller is a program of this machine that speaks to us directly: loopback peer, loopback name, no proxy's headers."""
    if any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in map(str.lower, request.headers)):
        return False
    return is_loopback(request.remote or "") and is_loopback(host_name(request.headers.get("Host", "")))


def is_https(request: web.Request, public_url: str = "") -> bool:
    """Whether the caller's browser speaks TLS, with us or with the proxy before us. Only used where believing a lie does no harm."""
    said = (request.headers.get("Origin", ""), request.headers.get("X-Forwarded-Proto", ""), public_url)
    return request.secure or any(each.strip().lower().startswith("https") for each in said)


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
