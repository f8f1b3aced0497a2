"""Internal storage: files named by `kestra://` URIs, in a directory or on any store that fsspec reaches.

Called by workers, rendering, web and tasks. What always holds: a URI cannot name anything outside the storage; a file is
there whole or not at all; who may read what is not decided here (`access`). Calls block: use a thread.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from podium.base.errors import LimitError, NotFound, StorageError
from podium.base.redact import redact_url
from podium.storage import uris
from podium.storage.uris import (  # the names by which other rooms know them
    cache_uri,
    execution_prefix,
    input_file_uri,
    namespace_file_uri,
    task_file_uri,
    trigger_file_uri,
)

__all__ = [
    "FileStorage", "cache_uri", "execution_prefix", "input_file_uri", "namespace_file_uri", "task_file_uri", "trigger_file_uri",
]


class _Backend(Protocol):
    def write(self, path: str, source: BinaryIO) -> None: ...
    def open(self, path: str) -> BinaryIO: ...
    def size(self, path: str) -> int: ...
    def modified_at(self, path: str) -> datetime: ...
    def delete(self, path: str) -> bool: ...
    def list(self, folder: str) -> Iterator[str]: ...
    def delete_folder(self, folder: str) -> int: ...
    def usage(self, folder: str) -> tuple[int, int]: ...
    def execution_folders(self) -> Iterator[str]: ...
    def caches(self) -> Iterator[str]: ...


class FileStorage:
    """See the module's docstring."""

    def __init__(self, root_url: str | Path, *, options: Mapping[str, Any] | None = None) -> None:
        """root_url: a directory, or a URL of a file system that fsspec knows. options: what fsspec wants to know (keys, endpoint).

        Raises StorageError when the storage cannot be reached.
        """
        self.root_url = str(root_url)
        self.options = dict(options or {})
        with _translated(redact_url(self.root_url)):
            self._backend = _open_backend(self.root_url, self.options)

    def put(self, uri: str, source: Path | bytes) -> str:
        """Store a file (replacing one of that name); its URI. A source that is no regular file, a link say, is refused."""
        path = uris.parse(uri)
        with _translated(uri):
            if isinstance(source, bytes):
                self._backend.write(path, io.BytesIO(source))
            else:
                with _regular_file(source) as handle:
                    self._backend.write(path, handle)
        return uris.uri_of(path)

    def open(self, uri: str) -> BinaryIO:
        """The file, open for reading in binary. Raises NotFound."""
        with _translated(uri):
            return self._backend.open(uris.parse(uri))

    def get(self, uri: str, *, bytes_max: int | None = None) -> bytes:
        """Its bytes. Raises NotFound, and LimitError for a file of over `bytes_max` bytes."""
        with self.open(uri) as source, _translated(uri):
            data = source.read() if bytes_max is None else source.read(bytes_max + 1)
        if bytes_max is not None and len(data) > bytes_max:
            raise LimitError(f"{uri} has over {bytes_max} bytes", hint="take a smaller file, or give the task the URI", limit=bytes_max)
        return data

    def copy_to(self, uri: str, target: Path) -> None:
        """Copy the file to `target`, whose directories are made. Raises NotFound."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.open(uri) as source, _translated(uri), target.open("wb") as out:
            shutil.copyfileobj(source, out, 1024 * 1024)

    def copy(self, uri: str, target: str) -> str:
        """Copy a stored file to another URI; that URI. Raises NotFound."""
        path = uris.parse(target)
        with self.open(uri) as source, _translated(target):
            self._backend.write(path, source)
        return uris.uri_of(path)

    def exists(self, uri: str) -> bool:
        """Whether there is such a file."""
        try:
            self.size(uri)
        except NotFound:
            return False
        return True

    def size(self, uri: str) -> int:
        """Its bytes. Raises NotFound."""
        with _translated(uri):
            return self._backend.size(uris.parse(uri))

    def modified_at(self, uri: str) -> datetime:
        """When it was stored, UTC. Raises NotFound."""
        with _translated(uri):
            return self._backend.modified_at(uris.parse(uri))

    def delete(self, uri: str) -> bool:
        """Remove it; whether it was there."""
        with _translated(uri):
            return self._backend.delete(uris.parse(uri))

    def list(self, prefix: str) -> list[str]:
        """The URIs of all files below a folder (a URI; a slash at its end or not), sorted."""
        with _translated(prefix):
            return sorted(uris.uri_of(path) for path in self._backend.list(uris.parse(prefix) + "/"))

    def delete_prefix(self, prefix: str) -> int:
        """Remove all files below a folder (a URI; a slash at its end or not); how many there were."""
        with _translated(prefix):
            return self._backend.delete_folder(uris.parse(prefix) + "/")

    def usage(self, prefix: str) -> tuple[int, int]:
        """How many files there are below a folder (a URI; a slash at its end or not), and their bytes."""
        with _translated(prefix):
            return self._backend.usage(uris.parse(prefix) + "/")

    def execution_folders(self) -> Iterator[str]:
        """The folder of each execution that has files (a URI), in no order. Looks at the whole storage."""
        with _translated("storage"):
            for path in self._backend.execution_folders():
                yield uris.uri_of(path)

    def old_caches(self, before: datetime) -> Iterator[str]:
        """The URIs of caches of working directories that were stored before a moment."""
        with _translated("storage"):
            for path in self._backend.caches():
                if self._backend.modified_at(path) < before:
                    yield uris.uri_of(path)


def _open_backend(root_url: str, options: Mapping[str, Any]) -> _Backend:
    scheme = urlsplit(root_url).scheme
    if scheme in ("", "file", "local"):
        from podium.storage.local import LocalBackend

        return LocalBackend(Path(unquote(urlsplit(root_url).path) if scheme else root_url))
    from podium.storage.remote import RemoteBackend

    return RemoteBackend(root_url, options)


@contextmanager
def _regular_file(path: Path) -> Iterator[BinaryIO]:
    """Open without following a link and without waiting on a pipe: what a task left behind is not trusted."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as source:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise StorageError(f"{path.name} is not a regular file", hint="only plain files can be stored")
        yield source


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Errors of the file system and of client libraries as ours."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise NotFound(f"there is no file {what}", hint="was it removed, or kept shorter than needed ([retention])?", uri=what) from error
    except OSError as error:
        raise StorageError(f"{what}: {_reason(error)}", hint=_HINTS.get(error.errno or 0, "is the storage reachable?"), uri=what) from error
    except ImportError as error:
        raise StorageError(f"{what}: {error}", hint="install the fsspec driver of this kind of storage", uri=what) from error
    except ValueError as error:
        raise StorageError(f"{what}: {error}", hint="is the storage URL right?", uri=what) from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


_HINTS: Mapping[int, str] = {
    errno.ENOSPC: "the disk of the storage is full: free space or move the storage",
    errno.EDQUOT: "the quota of the storage is used up",
    errno.ELOOP: "a symbolic link cannot be stored",
    errno.EACCES: "the daemon may not read or write there: check the owner of the directory",
}
