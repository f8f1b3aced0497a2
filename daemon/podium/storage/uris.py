"""Names of stored files: `kestra:///<path>` URIs, made and taken apart. Source: flow-language 0.4.

Called by everything that stores or reads a file. What always holds: a path that comes out of `parse` has no empty, `.` or `..`
segment and no control character, so joined to a root it cannot leave it. Namespace segments never begin with `_`, so `_files`
tells a namespace file from a file of an execution.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from podium.base.errors import StorageError
from podium.base.system import base62

SCHEME = "kestra://"
_NAME_BYTES_MAX = 240
_PATH_CHARS_MAX = 4096
EXECUTIONS = "executions"
CACHE = PurePosixPath("cache/cache.zip")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
_NAMESPACE_FILES = "_files"
_URI_SAFE = "/!$&'()*+,;=:@~-._"
_PATH_HINT = "no '..', no empty or over-long part, no control characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceFile:
    """A file of a namespace. in_git: it comes from the repository, so only a commit changes it; False: a task uploaded it."""

    path: str
    uri: str
    in_git: bool


def parse(uri: str) -> str:
    """The path of a `kestra://` URI, without a leading slash, checked. Raises StorageError for anything else."""
    if not uri.startswith("kestra:///"):
        raise StorageError(f"not an internal storage URI: {uri[:200]!r}", hint="such a URI begins with kestra:///", uri=uri[:200])
    try:
        return check_path(unquote(uri[len(SCHEME) :], errors="strict"))
    except UnicodeDecodeError as error:
        raise StorageError(f"not an internal storage URI: {uri[:200]!r}", hint="its % escapes are no UTF-8", uri=uri[:200]) from error


def check_path(path: str) -> str:
    """`path` without slashes around it. Raises StorageError when a segment of it could point elsewhere or cannot be a file name."""
    inner = path.strip("/")
    segments = inner.split("/")
    bad = not inner or len(inner) > _PATH_CHARS_MAX or _UNSAFE.search(inner) or "\\" in inner
    if bad or any(part in ("", ".", "..") or len(part.encode("utf-8", "surrogatepass")) > _NAME_BYTES_MAX for part in segments):
        raise StorageError(f"not a path of a stored file: {path[:200]!r}", hint=_PATH_HINT)
    return inner


def uri_of(path: str) -> str:
    """The URI of a checked path; characters that a URI cannot hold are percent-encoded."""
    return f"{SCHEME}/{quote(check_path(path), safe=_URI_SAFE)}"


def file_name(name: str) -> str:
    """`name` as the last part of a path: directories dropped, odd characters replaced, cut to a length that every file system takes."""
    last = _UNSAFE.sub("_", name.replace("\\", "/").rstrip("/").rpartition("/")[2])
    if last in ("", ".", ".."):
        return "file"
    raw = last.encode("utf-8", "replace")
    if len(raw) <= _NAME_BYTES_MAX:
        return raw.decode("utf-8")
    stem, dot, extension = last.rpartition(".")
    if dot and len(extension) <= 16:
        return stem.encode("utf-8", "replace")[: _NAME_BYTES_MAX - 20].decode("utf-8", "ignore") + "." + extension
    return raw[:_NAME_BYTES_MAX].decode("utf-8", "ignore")


def slug(text: str) -> str:
    """`text` as ids appear in paths: lower case, accents stripped, `_` and spaces to `-`, other signs dropped."""
    plain = unicodedata.normalize("NFD", re.sub(r"[\s_]+", "-", text))
    kept = "".join(char for char in plain if char == "-" or (char.isascii() and char.isalnum()))
    return re.sub(r"-+", "-", kept).strip("-").lower() or "-"


def execution_prefix(namespace: str, flow_id: str, execution_id: str) -> str:
    """The path under which all files of an execution lie, with a slash at its end."""
    return check_path(f"{namespace.replace('.', '/')}/{slug(flow_id)}/{EXECUTIONS}/{execution_id}") + "/"


def execution_folder(path: str) -> str | None:
    """The folder of the execution that a path lies in, without a slash at its end; None when it lies in none."""
    parts = path.split("/")
    for at, part in enumerate(parts[:-1]):
        if part == EXECUTIONS and is_id(parts[at + 1]):
            return "/".join(parts[: at + 2])
    return None


def is_id(name: str) -> bool:
    """Whether it is the id of an execution."""
    try:
        base62.decode(name)
    except ValueError:
        return False
    return True


def task_file_uri(namespace: str, flow_id: str, execution_id: str, *, task_id: str, task_run_id: str, path: str) -> str:
    """Where a task run stores the file `path` (a name, or a relative path)."""
    return uri_of(f"{execution_prefix(namespace, flow_id, execution_id)}tasks/{slug(task_id)}/{task_run_id}/{check_path(path)}")


def input_file_uri(namespace: str, flow_id: str, execution_id: str, *, input_id: str, name: str) -> str:
    """Where an input of type FILE is stored."""
    return uri_of(f"{execution_prefix(namespace, flow_id, execution_id)}inputs/{slug(input_id)}/{file_name(name)}")


def trigger_file_uri(namespace: str, flow_id: str, execution_id: str, *, trigger_id: str, path: str) -> str:
    """Where a trigger stores a file for the execution that it starts."""
    return uri_of(f"{execution_prefix(namespace, flow_id, execution_id)}trigger/{slug(trigger_id)}/{check_path(path)}")


def cache_uri(namespace: str, flow_id: str, task_id: str, *, value_hash: str = "") -> str:
    """Where a WorkingDirectory task keeps its cache between executions."""
    middle = f"{value_hash}/" if value_hash else ""
    return uri_of(f"{namespace.replace('.', '/')}/{slug(flow_id)}/{slug(task_id)}/{middle}{CACHE.as_posix()}")


def namespace_file_uri(namespace: str, path: str) -> str:
    """The URI by which expressions name a namespace file, existing or not. A path with `..` raises StorageError."""
    return uri_of(f"{namespace.replace('.', '/')}/{_NAMESPACE_FILES}/{check_path(path)}")


def as_namespace_file(path: str) -> tuple[str, str] | None:
    """(namespace, path in it) when a checked path names a namespace file, else None."""
    head, found, tail = path.partition(f"/{_NAMESPACE_FILES}/")
    return (head.replace("/", "."), tail) if found else None


def overlay_path(namespace: str, path: str = "") -> str:
    """The path in storage of a file that a task uploaded to a namespace; of the folder of all of them without `path`."""
    folder = check_path(f"{_NAMESPACE_FILES}/{namespace}")
    return f"{folder}/{check_path(path)}" if path else f"{folder}/"
