"""World: everything an expression may ask of the outside. `rendering` implements it for the daemon, `cli/expr` for the command line.

Functions and filters reach time, chance, secrets, values and files only through it, so this room stays pure. A method that cannot
answer raises a PodiumError; its text becomes the ExpressionError of the template. A World belongs to one rendering scope (one
namespace, flow, execution); `namespace=None` always means the namespace of that scope.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Protocol


class World(Protocol):
    """See the module's docstring."""

    @property
    def zone(self) -> tzinfo:
        """The server's time zone: dates without one of their own are shown and read in it."""
        ...

    def now(self) -> datetime:
        """The current moment, aware."""
        ...

    def new_id(self) -> str:
        """A new short id (base 62, about 22 characters)."""
        ...

    def uuid(self) -> str:
        """A new UUID in its text form."""
        ...

    def random_int(self, low: int, high: int) -> int:
        """A number with low <= n < high; `low` when both are equal."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """`count` bytes fit for keys."""
        ...

    def random_port(self) -> int:
        """A TCP port that is free on this machine right now."""
        ...

    def secret(self, key: str, *, namespace: str | None = None, subkey: str | None = None, full: bool = False) -> Any:
        """The secret's text; with `subkey` a field of its JSON; with `full` {value, metadata?}. A missing one raises."""
        ...

    def kv(self, key: str, *, namespace: str | None = None, error_on_missing: bool = True) -> Any:
        """The typed value stored under `key`. A missing one raises, or is None without `error_on_missing`."""
        ...

    def read(self, path: str, *, namespace: str | None = None) -> str | bytes:
        """The content of a namespace file (or `nsfile://`, `kestra://` URI); bytes when it is no UTF-8 text."""
        ...

    def file_uri(self, path: str, *, namespace: str | None = None) -> str:
        """The `kestra://` URI of a namespace file, existing or not. A path with `..` raises."""
        ...

    def file_size(self, path: str, *, namespace: str | None = None) -> int:
        """The size in bytes of a file as `read` finds it. A missing one raises."""
        ...

    def file_exists(self, path: str, *, namespace: str | None = None) -> bool:
        """Whether `read` would find it. A forbidden path raises."""
        ...

    def http(self, uri: str, **options: Any) -> Any:
        """The answer of an HTTP call, JSON and YAML bodies parsed. Options: method, query, body, content_type, headers, options, accept."""
        ...

    def error_logs(self) -> list[dict[str, Any]]:
        """The log entries of level ERROR of this execution, oldest first."""
        ...

    def subflow(self, **options: Any) -> Any:
        """Runs a subflow now: {id, state, outputs, labels}. Options: namespace, id, inputs, revision, labels, timeout (ISO duration)."""
        ...
