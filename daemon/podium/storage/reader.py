"""Who may read which file, and reading it: `kestra://`, `nsfile://` and `file://` URIs and paths of namespace files.

Called by rendering (`read()`, `fileURI()` …), by `task_files` and by the conductor. An execution may read its own files, those of
the execution that started it, namespace files, and any file whose URI it was handed in its inputs, outputs or trigger: ids in
URIs cannot be guessed, so whoever knows one got it from its owner. Calls block: use a thread.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from podium.base.errors import NotFound, StorageError
from podium.storage import uris
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceSource, selection, write_below

_HANDED_OVER = ("inputs", "outputs", "trigger", "taskrun", "item", "parents", "parent", "labels", "vars", "files")
_VALUES_SEARCHED_MAX = 200_000
Locate = Callable[[str], tuple[str, str] | None]
"""namespace → (source, commit) where its files are now, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileScope:
    """On whose behalf files are read. variables: what expressions of the execution see."""

    namespace: str
    flow_id: str = ""
    execution_id: str = ""
    source: str = ""
    commit: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own_prefix(self) -> str | None:
        """The path under which this execution's files lie, or None outside an execution."""
        return uris.execution_prefix(self.namespace, self.flow_id, self.execution_id) if self.execution_id and self.flow_id else None


class FileReader:
    """See the module's docstring."""

    def __init__(
        self, files: FileStorage, namespace_files: NamespaceSource, *, locate: Locate | None = None, allowed_paths: Sequence[Path] = ()
    ) -> None:
        """locate: where the files of another namespace are. allowed_paths: directories of this machine that `file://` may read."""
        self.files = files
        self._namespaces = namespace_files
        self._locate = locate
        self._allowed = tuple(each.resolve() for each in allowed_paths)

    # ---- by URI or path

    def open(self, uri: str, scope: FileScope) -> BinaryIO:
        """The file, open for reading. Raises NotFound, StorageError when it may not be read."""
        target = self._target(uri, scope)
        if isinstance(target, Path):
            with _translated(uri):
                return target.open("rb")
        if isinstance(target, str):
            return self.files.open(target)
        namespace, path = target
        uploaded = uris.uri_of(uris.overlay_path(namespace, path))
        if self.files.exists(uploaded):
            return self.files.open(uploaded)
        source, commit = self._where(namespace, scope)
        return io.BytesIO(self._namespaces.read(source, commit, path, namespace=namespace))

    def read(self, uri: str, scope: FileScope, *, bytes_max: int) -> bytes:
        """Its bytes. Raises as `open`, and StorageError for a larger file."""
        with self.open(uri, scope) as source, _translated(uri):
            data = source.read(bytes_max + 1)
        if len(data) > bytes_max:
            raise StorageError(f"{uri} has over {bytes_max} bytes", hint="give the file to a task as input file instead", limit=bytes_max)
        return data

    def copy_to(self, uri: str, scope: FileScope, target: Path) -> None:
        """Copy it to `target`, whose directories are made. Raises as `open`."""
        with self.open(uri, scope) as source, _translated(uri):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(source, out, 1024 * 1024)

    def size(self, uri: str, scope: FileScope) -> int:
        """Its bytes. Raises as `open`."""
        target = self._target(uri, scope)
        if isinstance(target, Path):
            with _translated(uri):
                return target.stat().st_size
        if isinstance(target, str):
            return self.files.size(target)
        namespace, path = target
        uploaded = uris.uri_of(uris.overlay_path(namespace, path))
        if self.files.exists(uploaded):
            return self.files.size(uploaded)
        source, commit = self._where(namespace, scope)
        return self._namespaces.size(source, commit, path, namespace=namespace)

    def exists(self, uri: str, scope: FileScope) -> bool:
        """Whether it is there. Raises StorageError when it may not be read."""
        try:
            self.size(uri, scope)
        except NotFound:
            return False
        return True

    # ---- namespaces

    def namespace_paths(self, namespace: str, scope: FileScope) -> dict[str, bool]:
        """Path of every file of the namespace → whether it comes from Git (an upload lies over it otherwise), sorted."""
        source, commit = self._where(namespace, scope)
        found = dict.fromkeys(self._namespaces.paths(source, commit, namespace=namespace), True)
        found.update(dict.fromkeys(self._uploads(namespace), False))
        return dict(sorted(found.items()))

    def namespace_copy(
        self, namespace: str, scope: FileScope, target: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> list[str]:
        """Write the wanted files of a namespace, uploads over the repository's, into `target`; their paths."""
        source, commit = self._where(namespace, scope)
        written = set(self._namespaces.copy_to(source, commit, target, include, exclude, namespace=namespace))
        wanted = selection(include, exclude)
        for path in filter(wanted, self._uploads(namespace)):
            write_below(target, path, self.files.get(uris.uri_of(uris.overlay_path(namespace, path))))
            written.add(path)
        return sorted(written)

    def namespace_put(self, namespace: str, path: str, source: Path | bytes) -> str:
        """Upload a file to a namespace; the URI by which it is read. It is not in Git and lies over a file of the same path there."""
        self.files.put(uris.uri_of(uris.overlay_path(namespace, path)), source)
        return uris.namespace_file_uri(namespace, path)

    def namespace_delete(self, namespace: str, path: str) -> bool:
        """Remove an uploaded file; whether there was one."""
        return self.files.delete(uris.uri_of(uris.overlay_path(namespace, path)))

    def _uploads(self, namespace: str) -> list[str]:
        folder = uris.overlay_path(namespace)
        return [uris.parse(uri)[len(folder) :] for uri in self.files.list(uris.uri_of(folder))]

    def _where(self, namespace: str, scope: FileScope) -> tuple[str, str]:
        """(source, commit) of a namespace: the pinned ones for the scope's own, the newest for others."""
        if namespace != scope.namespace and self._locate is not None:
            found = self._locate(namespace)
            if found is not None and found[0] != scope.source:
                return found
        return scope.source, scope.commit

    # ---- what a URI means

    def _target(self, uri: str, scope: FileScope) -> str | Path | tuple[str, str]:
        """A storage URI that may be read, a path of this machine that may be read, or (namespace, path)."""
        scheme = uri.partition("://")[0] if "://" in uri else ""
        if scheme == "kestra":
            return self._stored(uri, scope)
        if scheme == "nsfile":
            parts = urlsplit(uri)
            return parts.netloc or scope.namespace, uris.check_path(unquote(parts.path))
        if scheme == "file":
            return self._local(uri)
        if scheme:
            raise StorageError(f"cannot read {uri[:200]!r}", hint="give a kestra://, nsfile:// or file:// URI, or a namespace file's path")
        return scope.namespace, uris.check_path(uri)

    def _stored(self, uri: str, scope: FileScope) -> str | tuple[str, str]:
        path = uris.parse(uri)
        own = scope.own_prefix
        if own and path.startswith(own):
            return uri
        named = uris.as_namespace_file(path)
        if named:
            return named
        if not (self._of_starter(path, scope) or _was_handed(uri, path, scope.variables)):
            raise StorageError(
                f"the file {uri} may not be read by this execution", uri=uri,
                hint="an execution reads its own files, those of the execution that started it, and files passed to it",
            )
        return uri

    @staticmethod
    def _of_starter(path: str, scope: FileScope) -> bool:
        trigger = scope.variables.get("trigger")
        if not isinstance(trigger, Mapping):
            return False
        namespace, flow_id, execution_id = (str(trigger.get(key) or "") for key in ("namespace", "flowId", "executionId"))
        known = namespace and flow_id and execution_id
        return bool(known) and path.startswith(uris.execution_prefix(namespace, flow_id, execution_id))

    def _local(self, uri: str) -> Path:
        parts = urlsplit(uri)
        place = Path(unquote(parts.path)).resolve()
        if parts.netloc or not any(place.is_relative_to(each) for each in self._allowed):
            raise StorageError(f"{uri} may not be read", hint="list its directory in the setting security.allowed_paths", uri=uri)
        if not place.is_file():
            raise NotFound(f"there is no file {uri}", hint="check the path", uri=uri)
        return place


def _was_handed(uri: str, path: str, variables: Mapping[str, Any]) -> bool:
    """Whether the URI stands in a value that the execution was given."""
    wanted = {uri, uris.uri_of(path)}
    todo = [variables[key] for key in _HANDED_OVER if key in variables]
    for _ in range(_VALUES_SEARCHED_MAX):
        if not todo:
            return False
        value = todo.pop()
        if isinstance(value, str):
            if "kestra://" in value and any(each in value for each in wanted):
                return True
        elif isinstance(value, Mapping):
            todo.extend(value.values())
        elif isinstance(value, (list, tuple)):
            todo.extend(value)
    return False


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{uri}: {error.strerror or error}", hint="check its permissions and the disk", uri=uri) from error
