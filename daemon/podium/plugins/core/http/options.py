"""The `options` of HTTP tasks as people write them, in the older flat shape and the newer nested one. Source: flow-language 6.4."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from podium.plugin import Duration, Dyn, Model

_READ_IDLE = timedelta(minutes=5)


def _kind(value: Any) -> Any:
    """`type` is written as BASIC, BEARER or DIGEST, in any case and with the vendor's suffixes."""
    if not isinstance(value, dict) or not isinstance(value.get("type", "BASIC"), str):
        return value
    name = value.get("type", "BASIC").upper().rpartition(".")[2]
    known = next((kind for kind in ("BASIC", "BEARER", "DIGEST") if name.startswith(kind)), name)
    return {**value, "type": known}


class Auth(Model):
    """How the caller proves who it is."""

    type: Literal["BASIC", "BEARER", "DIGEST"] = "BASIC"
    username: Dyn[str] | None = None
    password: Dyn[str] | None = None
    token: Dyn[str] | None = None


class Proxy(Model):
    """A proxy to go through. DIRECT: none, whatever the environment says."""

    type: Dyn[Literal["DIRECT", "HTTP", "SOCKS"]] = "DIRECT"
    address: Dyn[str] | None = None
    port: Dyn[int] | None = None
    username: Dyn[str] | None = None
    password: Dyn[str] | None = None


class Timeouts(Model):
    """connect_timeout: to reach the server. read_idle_timeout: the longest wait for the next byte."""

    connect_timeout: Dyn[Duration] | None = None
    read_idle_timeout: Dyn[Duration] = _READ_IDLE


class Ssl(Model):
    """Trust in the server's certificate."""

    insecure_trust_all_certificates: Dyn[bool] = False


class HttpOptions(Model):
    """See the module's docstring. Flat properties are the older names of the nested ones; the nested one wins."""

    timeout: Timeouts | None = None
    proxy: Proxy | None = None
    auth: Annotated[Auth | None, BeforeValidator(_kind)] = None
    ssl: Ssl | None = None
    follow_redirects: Dyn[bool] = True
    allow_failed: Dyn[bool] = False
    allowed_response_codes: Dyn[list[Dyn[int]]] = []
    default_charset: Dyn[str] = "UTF-8"
    logs: list[Literal["REQUEST_HEADERS", "REQUEST_BODY", "RESPONSE_HEADERS", "RESPONSE_BODY"]] = []
    max_content_length: Dyn[int] | None = None
    headers: Dyn[dict[str, str]] = {}

    connect_timeout: Dyn[Duration] | None = None
    read_timeout: Dyn[Duration] | None = None
    read_idle_timeout: Dyn[Duration] | None = None
    connection_pool_idle_timeout: Dyn[Duration] | None = None
    proxy_type: Dyn[Literal["DIRECT", "HTTP", "SOCKS"]] | None = None
    proxy_address: Dyn[str] | None = None
    proxy_port: Dyn[int] | None = None
    proxy_username: Dyn[str] | None = None
    proxy_password: Dyn[str] | None = None
    basic_auth_user: Dyn[str] | None = None
    basic_auth_password: Dyn[str] | None = None
    log_level: str | None = None

    def connect_s(self) -> float | None:
        """Seconds to reach the server, or None for as long as it takes."""
        given = self.timeout.connect_timeout if self.timeout else None
        given = given if given is not None else self.connect_timeout
        return given.total_seconds() if given is not None else None

    def read_s(self) -> float:
        """The longest wait for the next byte, in seconds."""
        given = self.timeout.read_idle_timeout if self.timeout else self.read_timeout or self.read_idle_timeout or _READ_IDLE
        return max(given.total_seconds(), 0.001)

    def via(self) -> Proxy | None:
        """The proxy to use; None when nothing is said (the environment decides then)."""
        if self.proxy is not None or self.proxy_type is None:
            return self.proxy
        return Proxy(
            type=self.proxy_type, address=self.proxy_address, port=self.proxy_port,
            username=self.proxy_username, password=self.proxy_password,
        )

    def credentials(self) -> Auth | None:
        """How to authenticate, or None."""
        if self.auth is not None or self.basic_auth_user is None:
            return self.auth
        return Auth(type="BASIC", username=self.basic_auth_user, password=self.basic_auth_password)

    def insecure(self) -> bool:
        """Whether any certificate is taken."""
        return bool(self.ssl and self.ssl.insecure_trust_all_certificates)
