"""What a child may ask of the daemon: variables, rendering, the time zone, files. Called by attempts and polls, in threads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any, Protocol

from podium.plugin import FileStore, TaskFailed
from podium.workers.values import plain

_FILE_METHODS = frozenset({"size", "exists", "delete", "own_files", "namespace_delete"})


class Served(Protocol):
    """On whose behalf a child asks."""

    @property
    def variables(self) -> Mapping[str, Any]: ...
    @property
    def zone(self) -> tzinfo: ...
    @property
    def files(self) -> FileStore: ...
    def render(self, template: Any, extra: Mapping[str, Any] | None = None) -> Any: ...


def served(context: Served, method: str, arguments: Any) -> Any:
    """The answer, as plain data. Raises what the thing asked for raises."""
    if method == "variables":
        return plain(context.variables)
    if method == "zone":
        return getattr(context.zone, "key", "UTC")
    if method == "render":
        return plain(context.render(*arguments))
    files = context.files
    if method == "put":
        return files.put(Path(arguments[0]), *arguments[1:])
    if method == "namespace_put":
        namespace, path, source = arguments
        return files.namespace_put(namespace, path, Path(source))
    if method == "fetch":
        files.fetch(arguments[0], Path(arguments[1]))
        return None
    if method == "namespace_list":
        return [{"path": each.path, "uri": each.uri, "in_git": each.in_git} for each in files.namespace_list(*arguments)]
    if method in _FILE_METHODS:
        return getattr(files, method)(*arguments)
    raise TaskFailed(f"there is no '{method}'")
