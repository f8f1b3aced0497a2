"""Files as one task run sees them: what `podium.plugin.FileStore` asks for. A worker makes one for each attempt. Calls block."""

from __future__ import annotations

from pathlib import Path

from podium.base.errors import StorageError
from podium.storage import uris
from podium.storage.reader import FileReader, FileScope


class TaskFiles:
    """See the module's docstring. Whatever the task stores lies under its own task run's URI."""

    def __init__(self, reader: FileReader, scope: FileScope, *, task_id: str, task_run_id: str) -> None:
        """scope: the execution, with its ids."""
        self._reader = reader
        self._scope = scope
        self._task_id = task_id
        self._task_run_id = task_run_id

    def put(self, source: Path, name: str) -> str:
        """Store a file of this task under `name`, a file name or relative path; its URI. Raises StorageError."""
        path = "/".join(uris.file_name(part) for part in name.split("/") if part not in ("", ".", "..")) or "file"
        uri = uris.task_file_uri(
            self._scope.namespace, self._scope.flow_id, self._scope.execution_id,
            task_id=self._task_id, task_run_id=self._task_run_id, path=path,
        )
        return self._reader.files.put(uri, source)

    def inherit(self, uri: str) -> str:
        """Make a copy of a file of an earlier run of this task, whoever's execution that was; its URI. Raises NotFound, StorageError."""
        path = uris.parse(uri)
        _, _, below = path.partition("/tasks/")
        name = below.split("/", 2)[-1] if below.count("/") >= 2 else path.rpartition("/")[2]
        target = uris.task_file_uri(
            self._scope.namespace, self._scope.flow_id, self._scope.execution_id,
            task_id=self._task_id, task_run_id=self._task_run_id, path=name,
        )
        return self._reader.files.copy(uri, target)

    def fetch(self, uri: str, target: Path) -> None:
        """Copy the file at `uri` to `target`. Raises NotFound, StorageError when it may not be read."""
        self._reader.copy_to(uri, self._scope, target)

    def size(self, uri: str) -> int:
        """Bytes of the file at `uri`. Raises as `fetch`."""
        return self._reader.size(uri, self._scope)

    def exists(self, uri: str) -> bool:
        """Whether there is a file at `uri`. Raises StorageError when it may not be read."""
        return self._reader.exists(uri, self._scope)

    def delete(self, uri: str) -> bool:
        """Remove a file of this execution; whether it was there. Raises StorageError for a file of anybody else."""
        own = self._scope.own_prefix
        if own is None or not uris.parse(uri).startswith(own):
            raise StorageError(f"the file {uri} is not of this execution", hint="a task removes only files of its own execution", uri=uri)
        return self._reader.files.delete(uri)

    def own_files(self) -> list[str]:
        """The URIs of all files of this execution, sorted."""
        own = self._scope.own_prefix
        return self._reader.files.list(uris.uri_of(own)) if own else []

    def namespace_list(self, namespace: str) -> list[uris.NamespaceFile]:
        """The files of a namespace: the repository's at the pinned commit, and what tasks uploaded."""
        found = self._reader.namespace_paths(namespace, self._scope)
        return [
            uris.NamespaceFile(path=path, uri=uris.namespace_file_uri(namespace, path), in_git=in_git) for path, in_git in found.items()
        ]

    def namespace_put(self, namespace: str, path: str, source: Path) -> str:
        """Upload a file over the namespace's files; its URI. It is not in Git."""
        return self._reader.namespace_put(namespace, path, source)

    def namespace_delete(self, namespace: str, path: str) -> bool:
        """Remove an uploaded file; whether there was one. The repository's own files stay."""
        return self._reader.namespace_delete(namespace, path)
