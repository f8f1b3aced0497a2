"""Which files of a commit are flow files. Called by loader, the work tree, hooks and `podium plan`, so that all agree.

A flow file is `*.yaml` or `*.yml` under the source's folder, except: `podium.yaml`, flow tests, anything in a folder whose
name begins with `_` or `.`, and `dashboards/`. A YAML document with none of the keys id, namespace and tasks at its top is
data of somebody else (a compose file, a chart) and is ignored. Flow tests are `*.test.yaml`, and files with `testCases` in a folder
named `tests`. Source: ruling 12.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from podium.base.errors import LimitError
from podium.base.limits import FLOW_BYTES_MAX, SOURCE_FLOW_FILES_MAX
from podium.git.repo import Repository

PROJECT_FILE = "podium.yaml"
_SUFFIXES = (".yaml", ".yml")
_OTHER_FOLDERS = ("dashboards",)
_FLOW_KEY = re.compile(r"""^(?:["']?(?:id|namespace|tasks)["']?\s*:|\{.*["']?(?:id|namespace|tasks)["']?\s*:)""", re.MULTILINE)
_IDENTITY = re.compile(r"""^(id|namespace)\s*:\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s#"'][^#\n]*?))\s*(?:#.*)?$""", re.MULTILINE)
_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_TESTS_FOLDER = "tests"
_CASES_KEY = re.compile(r"""^(?:["']?testCases["']?\s*:|\{.*["']?testCases["']?\s*:)""", re.MULTILINE)
_LFS_HEAD = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Something in a tree that is not even looked into. path: as it may be shown, if need be with escapes."""

    path: str
    blob: str
    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The flow files of a commit: path in the repository → blob id; and what cannot be read as a flow file."""

    files: Mapping[str, str]
    refused: tuple[Refused, ...] = ()


def is_flow_path(path: str, folder: str = ".") -> bool:
    """Whether `path` (in the repository) names a flow file of a source whose folder is `folder`."""
    inside = relative_to(path, folder)
    if inside is None:
        return False
    *folders, name = PurePosixPath(inside).parts
    if not name.lower().endswith(_SUFFIXES) or name.startswith(".") or name == PROJECT_FILE:
        return False
    if _is_named_test(name):
        return False
    if folders and folders[0] in _OTHER_FOLDERS:
        return False
    return not any(part.startswith(("_", ".")) for part in folders)


def _is_named_test(name: str) -> bool:
    return name.lower().rpartition(".")[0].endswith(".test")


def may_be_test(path: str) -> bool:
    """Whether a file of this path may hold flow tests: it is named so, or it lies in a folder named `tests`."""
    *folders, name = PurePosixPath(path).parts
    if not name.lower().endswith(_SUFFIXES) or name.startswith(".") or any(part.startswith(("_", ".")) for part in folders if part != ".."):
        return False
    return _is_named_test(name) or _TESTS_FOLDER in folders


def is_test(path: str, text: str) -> bool:
    """Whether a file holds flow tests and no flows."""
    return may_be_test(path) and holds_tests(path, text)


def inside_of(folder: Path, file: Path) -> str:
    """How the rules about paths see a file on disk below `folder`: that the folder itself lies in one named `tests` counts."""
    inside = file.relative_to(folder).as_posix()
    return f"{_TESTS_FOLDER}/{inside}" if _TESTS_FOLDER in folder.resolve().parts else inside


def misplaced_test(path: str) -> tuple[str, str]:
    """What is said, and the hint, of a file of flow tests that lies where flows are."""
    name = PurePosixPath(path)
    hint = f"name the file {name.stem}.test{name.suffix}, or move it into a folder named {_TESTS_FOLDER}"
    return "these are flow tests, where a flow is expected", hint


def holds_tests(path: str, text: str) -> bool:
    """The same of a file that somebody named, wherever it lies."""
    return _is_named_test(PurePosixPath(path).name) or _CASES_KEY.search(text) is not None


def yaml_files(folder: Path) -> Iterator[Path]:
    """The YAML files on disk under `folder`, sorted; not those in folders whose name begins with `_` or `.`, nor what is no ordinary file."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(("_", ".")))
        for name in sorted(names):
            path = Path(here, name)
            if name.lower().endswith(_SUFFIXES) and path.is_file():
                yield path


def relative_to(path: str, folder: str) -> str | None:
    """`path` seen from `folder`, or None when it is not inside."""
    if folder == ".":
        return path
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else None


def is_yaml_in(path: str, folder: str, name: str, *, anywhere: bool, hidden: tuple[str, ...] = (".",)) -> bool:
    """Whether `path` is a YAML file in the folder `name` of a source whose folder is `folder`. anywhere: or of whatever folder below.

    hidden: what names of files and folders must not begin with.
    """
    inside = relative_to(path, folder)
    if inside is None:
        return False
    parts = PurePosixPath(inside).parts
    if name not in parts[: -1 if anywhere else 1]:
        return False
    rest = parts[parts.index(name) + 1 :]
    return bool(rest) and rest[-1].lower().endswith(_SUFFIXES) and not any(part.startswith(hidden) for part in rest)


def project_path(folder: str) -> str:
    """Where podium.yaml of a source with this folder is."""
    return PROJECT_FILE if folder == "." else f"{folder}/{PROJECT_FILE}"


def looks_like_flow(text: str) -> bool:
    """Whether a YAML document is meant as a flow: it has one of the keys id, namespace, tasks at its top."""
    return _FLOW_KEY.search(text) is not None


def is_lfs_pointer(body: bytes) -> bool:
    """Whether Git holds only a pointer to Git LFS instead of the file."""
    return body.startswith(_LFS_HEAD)


def documents(text: str) -> list[str]:
    """The YAML documents of a file as text, those without content left out."""
    parts = _DOCUMENT.split(text)
    return [part for part in parts if any(line.strip() and not line.lstrip().startswith(("#", "%", "...")) for line in part.splitlines())]


def identities(text: str) -> list[tuple[str, str]]:
    """(namespace, id) of the flows in a file, read without parsing it: for files that are known to be good."""
    found = []
    for document in documents(text):
        values = {name: next(filter(None, rest), "") for name, *rest in _IDENTITY.findall(document)}
        if values.get("id") and values.get("namespace"):
            found.append((values["namespace"], values["id"]))
    return found


def list_flow_files(repository: Repository, commit: str, folder: str) -> Listing:
    """The flow files of `commit` under `folder`. Raises GitError, LimitError when there are too many."""
    entries = repository.tree(commit, folder)
    sizes = {entry.blob: entry.size for entry in entries}
    files: dict[str, str] = {}
    refused = [_submodule(entry.path) for entry in entries if entry.kind == "submodule"]
    for path, blob in repository.files(commit, folder).items():
        if not is_flow_path(path, folder):
            continue
        if not is_text_name(path):
            refused.append(_misnamed(path, blob))
        elif sizes.get(blob, 0) > FLOW_BYTES_MAX:
            refused.append(_oversized(path, blob, sizes[blob]))
        else:
            files[path] = blob
    if len(files) > SOURCE_FLOW_FILES_MAX:
        raise LimitError(
            f"{len(files)} flow files in one source, more than {SOURCE_FLOW_FILES_MAX}",
            hint="split the repository, or set `path` of the source to the folder with the flows", limit="SOURCE_FLOW_FILES_MAX",
        )
    return Listing(files=files, refused=tuple(refused))


def is_text_name(path: str) -> bool:
    """Whether a name in Git is UTF-8 text without control characters."""
    return path.isprintable() and not any("\ud800" <= char <= "\udfff" for char in path)


def _shown(path: str) -> str:
    return path.encode("unicode_escape").decode("ascii")


def _submodule(path: str) -> Refused:
    hint = "put the flow files themselves into this repository, or make the other repository a source of its own"
    return Refused(path=path if is_text_name(path) else _shown(path), blob="", code="submodule", hint=hint,
                   message="this is a Git submodule; its files are not read")


def _misnamed(path: str, blob: str) -> Refused:
    return Refused(path=_shown(path), blob=blob, code="file-name", hint="rename it", message="the name of the file is not printable UTF-8 text")


def _oversized(path: str, blob: str, size: int) -> Refused:
    return Refused(
        path=path, blob=blob, code="limit-reached", hint="split it into several files",
        message=f"the file has {size} bytes, more than FLOW_BYTES_MAX ({FLOW_BYTES_MAX})",
    )


def decode(body: bytes) -> str:
    """The text of a flow file. Raises ValueError that says why it is none."""
    if is_lfs_pointer(body):
        raise ValueError("this is a pointer of Git LFS, not the file; flow files must be ordinary files in Git")
    if len(body) > FLOW_BYTES_MAX:
        raise ValueError(f"the file has {len(body)} bytes, more than {FLOW_BYTES_MAX}")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8 text (byte {error.start})") from None
