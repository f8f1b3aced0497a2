"""A `jdbc:postgresql:` URL, and what stands beside it in a task, as the parameters of a connection. Pure but for certificate files.

Called by `session`. What always holds: a password is in no error; certificates and keys lie in files only while the block lasts, readable
by nobody else.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, unquote

from podium.base.errors import SettingsError

_PREFIX = "jdbc:postgresql:"
_PORT = 5432
_SAME = {
    "user": "user", "password": "password", "sslmode": "sslmode", "sslpassword": "sslpassword", "sslrootcert": "sslrootcert",
    "sslcert": "sslcert", "sslkey": "sslkey", "ApplicationName": "application_name", "connectTimeout": "connect_timeout",
    "loginTimeout": "connect_timeout", "options": "options", "gssEncMode": "gssencmode", "channelBinding": "channel_binding",
    "kerberosServerName": "krbsrvname", "sslNegotiation": "sslnegotiation", "requireAuth": "require_auth",
}
"""A parameter of the URL → that of the connection."""
_TARGETS = {
    "any": "any", "primary": "primary", "master": "primary", "secondary": "standby", "slave": "standby", "preferPrimary": "prefer-primary",
    "preferSecondary": "prefer-standby", "preferSlave": "prefer-standby",
}
_CLIENT_ONLY = frozenset({
    "adaptiveFetch", "adaptiveFetchMaximum", "adaptiveFetchMinimum", "allowEncodingChanges", "assumeMinServerVersion", "autosave",
    "binaryTransfer", "binaryTransferDisable", "binaryTransferEnable", "cancelSignalTimeout", "cleanupSavepoints", "databaseMetadataCacheFields",
    "databaseMetadataCacheFieldsMiB", "defaultRowFetchSize", "disableColumnSanitiser", "escapeSyntaxCallMode", "groupStartupParameters",
    "hideUnprivilegedObjects", "hostRecheckSeconds", "logServerErrorDetail", "logUnclosedConnections", "loggerFile", "loggerLevel",
    "maxResultBuffer", "maxSendBufferSize", "preferQueryMode", "preparedStatementCacheQueries", "preparedStatementCacheSizeMiB",
    "quoteReturningIdentifiers", "reWriteBatchedInserts", "receiveBufferSize", "replication", "sendBufferSize", "socketFactory",
    "socketFactoryArg", "sslResponseTimeout", "sslfactory", "sslfactoryarg", "sslhostnameverifier", "stringtype", "tcpNoDelay",
    "unknownLength", "xmlFactoryFactory", "allowMultiQueries",
})
"""Parameters that tune the Java driver, and have no meaning here."""
_HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:,/\[\]]*)(?::(?P<port>\d{1,5}))?")
_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Address:
    """Where to connect and as whom. parameters: for libpq. session: settings of the session. unknown: URL parameters nobody knows."""

    def __init__(self, url: str) -> None:
        """Raises SettingsError for what is no such URL."""
        self.parameters: dict[str, Any] = {}
        self.session: dict[str, str] = {}
        self.prepare_threshold: int | None = 5
        self.ssl = False
        self.unknown: list[str] = []
        rest = url.strip()
        if not rest.startswith(_PREFIX):
            raise SettingsError("url: a URL like jdbc:postgresql://host:5432/database is expected", hint="is it for another database?")
        place, _, query = rest.removeprefix(_PREFIX).partition("?")
        self._take_place(place)
        for name, value in parse_qsl(query, keep_blank_values=True):
            self._take_parameter(name, value)

    @property
    def shown(self) -> str:
        """The address for messages: hosts, ports and database."""
        hosts, ports = str(self.parameters.get("host", "")).split(","), str(self.parameters.get("port", "")).split(",")
        named = self.parameters.get("dbname")
        return ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False)) + (f"/{named}" if named else "")

    def _take_place(self, place: str) -> None:
        hosts: list[tuple[str, str]] = []
        database = place
        if place.startswith("//"):
            listed, _, database = place[2:].partition("/")
            userinfo, _, listed = listed.rpartition("@")
            for name, value in zip(("user", "password"), userinfo.split(":", 1), strict=False):
                if value:
                    self.parameters[name] = unquote(value)
            for each in listed.split(","):
                match = _HOST.fullmatch(each)
                if match is None or int(match["port"] or _PORT) > 65535:
                    raise SettingsError("url: jdbc:postgresql://host:port/database is expected, several hosts separated by commas")
                hosts.append((unquote(match["host"].strip("[]")) or "localhost", match["port"] or str(_PORT)))
        hosts = hosts or [("localhost", str(_PORT))]
        self.parameters["host"] = ",".join(host for host, _ in hosts)
        self.parameters["port"] = ",".join(port for _, port in hosts)
        if database.strip("/"):
            self.parameters["dbname"] = unquote(database.strip("/"))

    def _take_parameter(self, name: str, value: str) -> None:
        if name in _SAME:
            self.parameters[_SAME[name]] = value
        elif name == "ssl":
            self.ssl = value.lower() not in ("false", "0")
        elif name == "currentSchema":
            self.session["search_path"] = value
        elif name == "readOnly":
            self.session["default_transaction_read_only"] = "on" if value.lower() == "true" else "off"
        elif name == "targetServerType" and value in _TARGETS:
            self.parameters["target_session_attrs"] = _TARGETS[value]
        elif name == "loadBalanceHosts":
            self.parameters["load_balance_hosts"] = "random" if value.lower() == "true" else "disable"
        elif name == "tcpKeepAlive":
            self.parameters["keepalives"] = "1" if value.lower() == "true" else "0"
        elif name == "socketTimeout":
            self.limit_silence(value)
        elif name == "prepareThreshold" and value.lstrip("-").isdigit():
            self.prepare_threshold = int(value) if int(value) > 0 else None
        elif name not in _CLIENT_ONLY:
            self.unknown.append(name)

    def limit_silence(self, seconds: Any) -> None:
        """End the connection when the network takes nothing that is sent for so many seconds; 0 for no limit."""
        if str(seconds).isdigit() and int(seconds):
            self.parameters["tcp_user_timeout"] = str(int(seconds) * 1000)


@contextmanager
def with_certificates(
    address: Address, *, ssl_on: bool, mode: str | None, pems: Mapping[str, str | None], key_password: str | None
) -> Iterator[None]:
    """Put the TLS properties of a task into `address` for the length of the block. pems: sslrootcert, sslcert, sslkey → PEM text."""
    parameters = address.parameters
    with TemporaryDirectory(prefix="podium-ssl-") as folder:
        for name, text in pems.items():
            if text:
                path = Path(folder) / name
                path.touch(mode=0o600)
                path.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
                parameters[name] = str(path)
        if key_password:
            parameters["sslpassword"] = key_password
        if mode:
            parameters["sslmode"] = mode.lower().replace("_", "-")
        elif "sslmode" not in parameters and (ssl_on or address.ssl):
            parameters["sslmode"] = "verify-full"
        if str(parameters.get("sslmode", "")).startswith("verify") and "sslrootcert" not in parameters:
            parameters["sslrootcert"] = _trusted()
        yield


def _trusted() -> str:
    """The certificates that this machine trusts."""
    paths = ssl.get_default_verify_paths()
    found = (each for each in (str(Path.home() / ".postgresql" / "root.crt"), paths.cafile, *_CA_FILES) if each and Path(each).is_file())
    return next(found, "system")
