"""Stored files on any file system or object store that fsspec reaches (s3://, gs://, az://, sftp://, memory:// …). Called by `files`.

What always holds: a file is there whole or not at all. Object stores give that by themselves; on file systems a file is written
aside and then moved.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

from podium.base.system.ids import new_id
from podium.storage.uris import CACHE, execution_folder

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"})


class RemoteBackend:
    """See the module's docstring. Paths are checked by `uris.check_path` before they come here."""

    def __init__(self, root_url: str, options: Mapping[str, Any]) -> None:
        import fsspec.core

        resolve: Any = fsspec.core.url_to_fs
        self._fs, root = resolve(root_url, **options)
        self._root = root.rstrip("/")
        protocols = self._fs.protocol if isinstance(self._fs.protocol, (tuple, list)) else (self._fs.protocol,)
        self._whole_objects = any(each in _OBJECT_STORES for each in protocols)

    def _place(self, path: str) -> str:
        return f"{self._root}/{path}"

    def write(self, path: str, source: BinaryIO) -> None:
        """Make `path` hold what `source` gives. Raises OSError."""
        place = self._place(path)
        target = place if self._whole_objects else f"{self._root}/.drafts/{new_id()}"
        self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
        with self._fs.open(target, "wb") as out:
            shutil.copyfileobj(source, out, 4 * 1024 * 1024)
        if target != place:
            self._fs.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._fs.mv(target, place)

    def open(self, path: str) -> BinaryIO:
        """The file, open for reading. Raises FileNotFoundError."""
        return cast("BinaryIO", self._fs.open(self._place(path), "rb"))

    def size(self, path: str) -> int:
        """Its bytes. Raises FileNotFoundError."""
        info = self._fs.info(self._place(path))
        if info["type"] != "file":
            raise FileNotFoundError(path)
        return int(info["size"])

    def modified_at(self, path: str) -> datetime:
        """When it was written. Raises FileNotFoundError."""
        moment: datetime = self._fs.modified(self._place(path))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def delete(self, path: str) -> bool:
        """Remove it; whether it was there."""
        if not self._fs.isfile(self._place(path)):
            return False
        self._fs.rm_file(self._place(path))
        return True

    def list(self, folder: str) -> Iterator[str]:
        """The paths of all files below `folder` (which ends in a slash), in no order."""
        start = self._fs._strip_protocol(self._root).rstrip("/") + "/"  # noqa: SLF001 (the way fsspec itself names results)
        for found in self._fs.find(self._place(folder.rstrip("/"))):
            yield str(found).removeprefix(start)

    def usage(self, folder: str) -> tuple[int, int]:
        """How many files there are below `folder`, and their bytes."""
        sizes = [self.size(path) for path in self.list(folder)]
        return len(sizes), sum(sizes)

    def execution_folders(self) -> Iterator[str]:
        """The paths of all folders of executions. Lists the whole storage."""
        yield from {found for path in self.list("") if (found := execution_folder(path)) is not None}

    def caches(self) -> Iterator[str]:
        """The paths of the caches of working directories. Lists the whole storage."""
        yield from (path for path in self.list("") if execution_folder(path) is None and path.endswith(f"/{CACHE.as_posix()}"))

    def delete_folder(self, folder: str) -> int:
        """Remove everything below `folder`; how many files there were."""
        paths = list(self.list(folder))
        if paths:
            self._fs.rm(self._place(folder.rstrip("/")), recursive=True)
        return len(paths)
