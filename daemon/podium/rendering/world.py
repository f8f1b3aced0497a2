"""What expressions may ask of the outside, answered for one scope: `expressions.world.World` for the daemon and `podium run`."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from podium.base.durations import parse_duration
from podium.base.errors import ExpressionError, NotFound
from podium.base.limits import STRING_CHARS_MAX
from podium.base.moments import from_text
from podium.base.ports import Reads
from podium.base.redact import MASK
from podium.base.system import ids
from podium.base.system.clock import Clock
from podium.rendering.scope import Scope
from podium.storage import uris
from podium.storage.reader import FileReader, FileScope
from podium.storage.secrets import Secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldParts:
    """What all worlds of one daemon share."""

    reader: FileReader
    secrets: Secrets
    reads: Reads
    clock: Clock
    zone: tzinfo
    subflow: Callable[..., Any] | None = None


class RenderWorld:
    """See `podium.expressions.world.World` for what each method means."""

    __slots__ = ("_parts", "_scope", "_variables")

    def __init__(self, parts: WorldParts, scope: Scope, variables: Mapping[str, Any]) -> None:
        self._parts = parts
        self._scope = scope
        self._variables = variables

    # ---- time and chance

    @property
    def zone(self) -> tzinfo:
        """The server's time zone."""
        return self._parts.zone

    def now(self) -> datetime:
        """The current moment."""
        return self._parts.clock.now()

    def new_id(self) -> str:
        """A new short id."""
        return ids.new_id()

    def uuid(self) -> str:
        """A new UUID, version 4."""
        return str(uuid.UUID(bytes=ids.random_bytes(16), version=4))

    def random_int(self, low: int, high: int) -> int:
        """A number with low <= n < high."""
        return ids.random_int(low, high)

    def random_bytes(self, count: int) -> bytes:
        """Bytes fit for keys."""
        return ids.random_bytes(count)

    def random_port(self) -> int:
        """A free TCP port of this machine."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    # ---- secrets and values

    def secret(self, key: str, *, namespace: str | None = None, subkey: str | None = None, full: bool = False) -> Any:
        """The secret's text, a field of its JSON, or {value}. The redactor learns each."""
        value = self._parts.secrets.get(namespace or self._scope.namespace, key)
        self._scope.redactor.add([value])
        if subkey is None:
            return {"value": value} if full else value
        try:
            fields = json.loads(value)
        except ValueError:
            raise ExpressionError(f"the secret '{key}' is not JSON, so it has no subkey", hint="leave subkey out") from None
        if not isinstance(fields, dict) or subkey not in fields:
            raise NotFound(f"Cannot find the subkey '{subkey}' in the secret '{key}'.", hint="check the secret's JSON", key=key)
        field = fields[subkey]
        self._scope.redactor.add([field if isinstance(field, str) else json.dumps(field)])
        return field

    def kv(self, key: str, *, namespace: str | None = None, error_on_missing: bool = True) -> Any:
        """The typed value; a key that the scope's own namespace lacks is looked for in its parents."""
        asked = namespace or self._scope.namespace
        parts = asked.split(".")
        own = asked == self._scope.namespace
        for place in [".".join(parts[:count]) for count in range(len(parts), 0, -1)] if own else [asked]:
            found = self._parts.reads.kv(place, key)
            if found is not None:
                return _typed(found.get("value"), found.get("type"))
        if error_on_missing:
            hint = "set it, or ask with errorOnMissing=false"
            raise NotFound(f"The key '{key}' does not exist in the namespace '{asked}'.", hint=hint, key=key, namespace=asked)
        return None

    # ---- files

    def read(self, path: str, *, namespace: str | None = None) -> str | bytes:
        """A file's text, or its bytes when it is no UTF-8."""
        data = self._parts.reader.read(self._address(path, namespace), self._files(), bytes_max=STRING_CHARS_MAX)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data

    def file_uri(self, path: str, *, namespace: str | None = None) -> str:
        """The URI of a namespace file."""
        return uris.namespace_file_uri(namespace or self._scope.namespace, path)

    def file_size(self, path: str, *, namespace: str | None = None) -> int:
        """A file's bytes."""
        return self._parts.reader.size(self._address(path, namespace), self._files())

    def file_exists(self, path: str, *, namespace: str | None = None) -> bool:
        """Whether `read` would find it."""
        return self._parts.reader.exists(self._address(path, namespace), self._files())

    def _address(self, path: str, namespace: str | None) -> str:
        return path if "://" in path or not namespace else uris.namespace_file_uri(namespace, path)

    def _files(self) -> FileScope:
        scope = self._scope
        return FileScope(
            namespace=scope.namespace, flow_id=scope.flow_id, execution_id=scope.execution_id, source=scope.source, commit=scope.commit,
            variables=self._variables,
        )

    # ---- others

    def http(self, uri: str, **options: Any) -> Any:
        """The answer of an HTTP call."""
        from podium.rendering.http import fetch

        return fetch(uri, **options)

    def error_logs(self) -> list[dict[str, Any]]:
        """The execution's log entries of level ERROR."""
        return self._parts.reads.logs(self._scope.execution_id, min_level="ERROR")

    def subflow(self, **options: Any) -> Any:
        """{id, state, outputs, labels} of a subflow that was run to its end, where one can be."""
        if self._parts.subflow is None:
            raise ExpressionError("subflow() is not possible here", hint="use it in the defaults or values of a flow's inputs")
        return self._parts.subflow(**options, masks=self._scope.redactor.given)


class LookingWorld(RenderWorld):
    """For a person who tries an expression: secrets are masks, and nothing is called or started."""

    __slots__ = ()

    def secret(self, key: str, *, namespace: str | None = None, subkey: str | None = None, full: bool = False) -> Any:
        """A mask, whether there is such a secret or not."""
        return {"value": MASK} if full and subkey is None else MASK

    def http(self, uri: str, **options: Any) -> Any:
        """Refused."""
        raise ExpressionError("http() calls nothing while an expression is only looked at", hint="run the flow to have it called")

    def subflow(self, **options: Any) -> Any:
        """Refused."""
        raise ExpressionError("subflow() starts nothing while an expression is only looked at", hint="run the flow to have it started")


def _typed(value: Any, kind: Any) -> Any:
    """A stored value as an expression sees it: dates and durations as such."""
    if not isinstance(value, str):
        return value
    match kind:
        case "DATETIME":
            return from_text(value)
        case "DATE":
            return date.fromisoformat(value)
        case "DURATION":
            return parse_duration(value)
        case _:
            return value
