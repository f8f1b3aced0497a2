"""Calls the daemon's API: over the Unix socket in its home, or with --url and a token over HTTP. Used by every command that needs a daemon.

What always holds: an answer that is an error becomes a DaemonError with the daemon's own message and hint and the exit code of
design 9 (1 the thing asked about failed, 3 no daemon, 4 refused); text from the daemon loses control characters before a
terminal sees it; the token is read from a file, an option or the settings and is never printed.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import click

from podium.base.errors import PodiumError, SettingsError
from podium.cli.main import EXIT_FAILED, EXIT_NO_DAEMON, EXIT_REFUSED

if TYPE_CHECKING:
    from rich.text import Text

SOCKET = "podium.sock"
_TIMEOUT_S = 60.0
_STREAM_TIMEOUT_S = 60.0
"""The daemon sends a heartbeat every 15 s; silence for longer means that the connection is dead."""
_RETRIES = 10
_REFUSED = frozenset({401, 403, 405, 409, 422, 429})
_COLOURS = {
    "SUCCESS": "green", "WARNING": "yellow", "RETRYING": "yellow", "FAILED": "red", "KILLED": "red", "RUNNING": "blue", "KILLING": "blue",
    "RESTARTED": "blue", "PAUSED": "magenta", "QUEUED": "magenta", "ERROR": "red", "WARN": "yellow", "INFO": "blue",
}


class DaemonError(PodiumError):
    """The daemon does not answer, or answers that it will not or cannot. `exit_code` is among the facts."""

    code = "daemon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a stream. data: the JSON value."""

    id: str
    name: str
    data: Any


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        # The system allows 107 bytes for the path of a socket; through its open folder any home is short enough.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


class Daemon:
    """One daemon. Either home or url says where it is."""

    def __init__(self, *, home: Path | None = None, url: str | None = None, token: str | None = None) -> None:
        self._home, self._url, self._token = home, url, token
        if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise SettingsError(f"'{url}' is no address of a daemon", hint="write http://host:8080", exit_code=2)

    @property
    def home(self) -> Path | None:
        """Its home, when that is on this machine."""
        return self._home if self._url is None else None

    @property
    def place(self) -> str:
        """Where the daemon is looked for."""
        return self._url or str((self._home or Path()) / SOCKET)

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._url is None:
            return _SocketConnection((self._home or Path()) / SOCKET, timeout_s)
        parts = urlsplit(self._url)
        assert parts.hostname is not None
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context())
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)

    def _open(
        self, method: str, path: str, query: Mapping[str, Any], *, body: bytes | None, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        kept = {name: value for name, value in query.items() if value not in (None, "", [], ())}
        target = urlsplit(self._url or "").path.rstrip("/") + path + (f"?{urlencode(kept, doseq=True)}" if kept else "")
        connection = self._connection(timeout_s)
        try:
            connection.request(method, target, body=body, headers={**headers, **({"Authorization": f"Bearer {self._token}"} if self._token else {})})
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._absent(error) from error

    def _absent(self, error: Exception) -> DaemonError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        hint = "start one with: podium serve" if self._url is None else "is the address right, and does it run?"
        return DaemonError(f"no daemon answers at {self.place} ({reason})", hint=hint, exit_code=EXIT_NO_DAEMON)

    def call(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None, timeout_s: float = _TIMEOUT_S, **query: Any
    ) -> Any:
        """The JSON answer (None without one). body: bytes as they are, anything else as JSON. Raises DaemonError."""
        sent = dict(headers or {})
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if raw is not body:
            sent["Content-Type"] = "application/json"
        connection, answer = self._open(method, path, query, body=raw, headers=sent, timeout_s=timeout_s)
        try:
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._absent(error) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _refusal(answer.status, text)
        try:
            return json.loads(text) if text.strip() else None
        except ValueError as error:
            raise DaemonError(f"what answers at {self.place} is no Podium", hint="check --url", exit_code=EXIT_NO_DAEMON) from error

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at `path`."""
        return self.call("GET", path, **query)

    def events(self, path: str, **query: Any) -> Iterator[Event]:
        """The events of a stream until its `end`. A connection that breaks is taken up where it was; after some tries it is an error."""
        last, failures = "", 0
        while True:
            try:
                for event in self._events_once(path, query, last):
                    failures = 0
                    last = event.id or last
                    if event.name == "end":
                        return
                    yield event
            except DaemonError as error:
                if error.facts.get("exit_code") != EXIT_NO_DAEMON or (failures == 0 and not last):
                    raise
            failures += 1
            if failures > _RETRIES:
                raise DaemonError(f"the connection to {self.place} broke and does not come back", hint="ask again later", exit_code=EXIT_NO_DAEMON)
            time.sleep(min(0.2 * failures, 2.0))

    def _events_once(self, path: str, query: Mapping[str, Any], last: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        connection, answer = self._open("GET", path, query, body=None, headers=headers, timeout_s=_STREAM_TIMEOUT_S)
        try:
            if answer.status >= 400:
                raise _refusal(answer.status, answer.read())
            found: dict[str, str] = {}
            for raw in answer:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    found[name] = value
                elif not line and found:
                    yield Event(id=found.get("id", ""), name=found.get("event", ""), data=json.loads(found.get("data") or "null"))
                    found = {}
        except (OSError, http.client.HTTPException, ValueError):
            return
        finally:
            connection.close()


def _refusal(status: int, text: bytes) -> DaemonError:
    try:
        body = json.loads(text)
        message, hint = str(body["message"]), str(body.get("hint") or "")
        errors = [each for each in body["_embedded"]["errors"] if str(each["message"]) not in message]
        details = [f"{each['path']}: {each['message']}" if each.get("path") else str(each["message"]) for each in errors]
    except (ValueError, KeyError, TypeError):
        message, hint, details = f"the daemon answered {status}", "", []
    return DaemonError(
        clean("\n  ".join([message, *details])), hint=clean(hint), status=status, exit_code=EXIT_REFUSED if status in _REFUSED else EXIT_FAILED
    )


def clean(text: Any) -> str:
    """`text` without what would move or colour a terminal."""
    from podium.web.pages.text import plain

    return plain(str(text))


def segment(text: str) -> str:
    """`text` as one part of a path."""
    return quote(text, safe="")


def daemon_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command --home, --url, --token, --token-file and --output; calls it with `daemon` and `output`."""

    @click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="The daemon's home; default that of the settings.")
    @click.option("--url", help="Address of a daemon elsewhere, such as https://podium.example.org.")
    @click.option("--token", help="Token for --url. Others on this machine can see it; better is --token-file.")
    @click.option("--token-file", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="File whose first line is the token.")
    @click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
    @functools.wraps(command)
    def wrapped(*, home: Path | None, url: str | None, token: str | None, token_file: Path | None, **more: Any) -> Any:
        if token_file is not None:
            token = token_file.read_text("utf-8").partition("\n")[0].strip()
        return command(daemon=_find(home, url, token), **more)

    return wrapped


def _find(home: Path | None, url: str | None, token: str | None) -> Daemon:
    """The daemon meant. The settings are read only for what no option says."""
    if home is not None and url is None:
        return Daemon(home=home, token=token)
    if url is not None and token is not None:
        return Daemon(url=url, token=token)
    from podium.app.settings import load_settings

    settings = load_settings()
    return Daemon(home=None if url else settings.home, url=url, token=token or (settings.token() if url else None))


# ---- printing


def show(value: Any, output: str, table: Callable[[], None]) -> None:
    """`value` as JSON, or what `table` prints."""
    if output == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        table()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """A table, as wide as its content where nobody looks at a terminal. empty: said when there are no rows."""
    from rich.console import Console
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(column.upper(), overflow="fold")
    count = 0
    for row in rows:
        made.add_row(*(coloured(cell) for cell in row))
        count += 1
    if not count:
        click.echo(empty, err=True)
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)
    console.print(made)


def coloured(cell: Any) -> Text:
    """A cell: states and levels in their colour, None as a dash, everything as plain text."""
    from rich.text import Text

    text = "–" if cell is None or cell == "" else clean(cell)
    return Text(text, style=_COLOURS.get(text, ""))


def pairs(values: Sequence[str], what: str) -> list[tuple[str, str]]:
    """`name=value` options as pairs."""
    found = []
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"'{value}' is not name=value", param_hint=what)
        found.append((name, text))
    return found


def label_pairs(values: Sequence[str]) -> list[tuple[str, str]]:
    """`key=value` labels as pairs; `key:value`, as the API writes them, will do too."""
    return pairs([value if "=" in value.partition(":")[0] else value.replace(":", "=", 1) for value in values], "--label")


def flow_name(text: str) -> tuple[str, str]:
    """`namespace.flow` (cut at the last dot) or `namespace/flow`."""
    namespace, _, flow_id = text.rpartition("/") if "/" in text else text.rpartition(".")
    if not namespace or not flow_id:
        raise click.BadParameter(f"'{text}' names no flow; write namespace.flow, or namespace/flow when the id has dots", param_hint="FLOW")
    return namespace, flow_id
