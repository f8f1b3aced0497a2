"""The sections of the settings that say how the daemon is reached and by whom. A part of settings, which says the rest."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from podium.app import layers
from podium.app.layers import ItemsText, TableText

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], BeforeValidator(ItemsText)]
Table = Annotated[dict[str, str], BeforeValidator(TableText)]
Directory = Annotated[Path, BeforeValidator(layers.user_path)]


def _address(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise ValueError("must be an address such as https://podium.example.org")
    return value.rstrip("/")


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = urlsplit(value)
        if value != "*" and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query or "@" in value):
            raise ValueError(f"'{value}' is no origin: write https://portal.example.org, or *")
    return values


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"'{value}' is no address or network: write 10.0.0.7 or 10.0.0.0/24") from None
    return values


class Section(BaseModel):
    """Base of the sections. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(Section):
    """The API and the pages."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything beyond loopback needs a token, or people with accounts (`security.access_source`)."""
    port: Port = 8080
    """TCP port; 0 takes a free one. A socket handed over by systemd wins over host and port."""
    token: SecretStr | None = None
    """Token that callers send as `Authorization: Bearer …`. Better in `token_file`."""
    token_file: Directory | None = None
    """File whose first line is the token."""
    allowed_hosts: Names = ()
    """Names accepted in the `Host` header beside localhost and `host`, such as `podium.example.org`; `*` accepts any."""
    public_url: Annotated[str, AfterValidator(_address)] = ""
    """Where people reach this daemon, such as `https://podium.example.org`; empty means the name they use. With https, cookies are for https only."""
    cors_origins: Annotated[Names, AfterValidator(_origins)] = ()
    """Origins whose pages may call the API from a browser, such as `https://portal.example.org`; `*` lets in any that sends a token."""
    trusted_proxies: Annotated[Names, AfterValidator(_networks)] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` is believed, for counting; one on this machine always is."""
    rate_limit: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 200
    """Calls a second that may change something, for each caller from elsewhere; at most five times as many at once. 0 is no limit."""
    takeover_s: Annotated[float, Field(ge=5, allow_inf_nan=False)] = 15
    """Seconds without a sign of life after which a standby (`serve --standby`) ends the daemon that has the home and takes its place."""


class Security(Section):
    """Who may log in, and what flows may reach."""

    allowed_paths: Names = ()
    """Directories of this machine that `file://` addresses and the file trigger may touch; none by default."""
    access_source: str = ""
    """The source whose `podium.yaml` says who may do what: users, groups, roles and tokens. Of other sources these are not used."""
    access_file: Directory | None = None
    """A file of this machine that says it instead."""
    local_login: bool = False
    """Whether callers of this machine must log in too; without, they are admins. The daemon's Unix socket is always the admins'."""
    session_hours: Annotated[float, Field(gt=0, le=8760, allow_inf_nan=False)] = 336
    """Hours after which somebody who logged in on the pages logs in again."""

    @model_validator(mode="after")
    def _one_place(self) -> Security:
        if self.access_source and self.access_file is not None:
            raise ValueError("access_source and access_file are both set: access is defined in one place")
        return self

    @property
    def accounts(self) -> bool:
        """Whether the settings say where people are defined."""
        return bool(self.access_source) or self.access_file is not None


class Ai(Section):
    """The copilot: a server with OpenAI's chat API, one's own (Ollama, llama.cpp, vLLM) or a company's. Off until url and model are set."""

    url: Annotated[str, AfterValidator(_address)] = ""
    """Address of the API with its version, such as `http://localhost:11434/v1`; empty means there is no copilot."""
    model: str = ""
    """Name of the model, as that server calls it."""
    key: SecretStr | None = None
    """Key that is sent as `Authorization: Bearer …`. Better in `key_file` or `secret`."""
    key_file: Directory | None = None
    """File whose first line is the key."""
    secret: str = ""
    """Name of the secret (as flows see secrets) that is the key."""
    timeout_s: Seconds = 120
    """Seconds one answer may take."""
    max_tokens: Annotated[int, Field(ge=256, le=200_000)] = 4_096
    """Tokens one answer may have."""
    headers: Table = {}
    """More headers for that server: `{"X-Team" = "data"}`."""

    @model_validator(mode="after")
    def _whole(self) -> Ai:
        if bool(self.url) != bool(self.model):
            raise ValueError("needs both url and model")
        if sum(each not in (None, "") for each in (self.key, self.key_file, self.secret)) > 1:
            raise ValueError("takes one of key, key_file and secret")
        return self
