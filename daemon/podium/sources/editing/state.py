"""What stands in a commit where somebody wants to write, and whether their changes may go there. Called by publish; blocking.

What always holds: a path stays inside the repository and out of Git's own names, nothing is written through a link or into a submodule, and a
file that is not what the person saw is a conflict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from podium.base.errors import ConflictError, LimitError
from podium.base.limits import EDIT_BYTES_MAX, EDIT_FILE_BYTES_MAX, EDIT_FILES_MAX, EDIT_TEXT_SHOWN_MAX
from podium.base.ports import FileChange
from podium.git.objects import object_id
from podium.git.repo import Repository, TreeEntry
from podium.sources.reading.templates import is_template_path
from podium.sources.reading.tree import is_flow_path, is_text_name, may_be_test, project_path, relative_to

HEADS = "refs/podium/heads/"
"""Where branches of the remote are fetched to for reading; the deployed one has its own place."""
EDITS = "refs/podium/edits/"
"""Where a commit is kept until the remote has it."""
_GIT_NAMES = re.compile(r"\.git[\s.]*|git~\d+", re.IGNORECASE)
"""Names that some file systems take for `.git`."""
_PATH_CHARS_MAX = 1_024
_NAME_BYTES_MAX = 255


class PathRefused(ConflictError):
    """A path that no file of a repository may have, or one where something else stands in the way."""

    code = "path-refused"


def check_path(path: str) -> None:
    """Raises PathRefused for a path that leads out of the repository, into `.git`, or that not every file system can hold."""
    parts = path.split("/")
    reason = None
    if not path or any(part in ("", ".", "..") for part in parts):
        reason = "it must be relative, without empty, '.' and '..' parts"
    elif "\\" in path or not is_text_name(path) or any(part != part.strip() for part in parts):
        reason = "it has characters that a file name should not have"
    elif any(_GIT_NAMES.fullmatch(part) for part in parts):
        reason = "Git keeps its own files there"
    elif len(path) > _PATH_CHARS_MAX or any(len(part.encode()) > _NAME_BYTES_MAX for part in parts):
        reason = "it is too long"
    if reason:
        raise PathRefused(f"'{path[:200]}' is no path for a file: {reason}", hint="write it like scripts/load.py", path=path[:200])


def check_changes_fit(changes: Sequence[FileChange]) -> None:
    """Raises PathRefused, LimitError, ConflictError (nothing to do, a path twice)."""
    if not changes:
        raise ConflictError("there is nothing to commit", hint="change a file first")
    if len(changes) > EDIT_FILES_MAX:
        raise LimitError(f"{len(changes)} files in one commit, more than {EDIT_FILES_MAX}", hint="push them with git", limit="EDIT_FILES_MAX")
    total = 0
    for each in changes:
        check_path(each.path)
        size = len(each.data or b"")
        total += size
        if size > EDIT_FILE_BYTES_MAX or total > EDIT_BYTES_MAX:
            raise LimitError(
                f"'{each.path}' makes the commit too large: a file may have {EDIT_FILE_BYTES_MAX} bytes, all together {EDIT_BYTES_MAX}",
                hint="keep large files in storage outside Git", limit="EDIT_FILE_BYTES_MAX" if size > EDIT_FILE_BYTES_MAX else "EDIT_BYTES_MAX",
            )
    paths = [each.path for each in changes]
    if len(set(paths)) != len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ConflictError(f"'{twice}' is changed twice in one commit", hint="name each file once", path=twice)


def kind_of(path: str, folder: str) -> str:
    """What a file is for Podium: flow, test, dashboard, settings, template or file."""
    inside = relative_to(path, folder)
    if path == project_path(folder):
        return "settings"
    if inside is not None and inside.startswith("dashboards/") and inside.lower().endswith((".yaml", ".yml")):
        return "dashboard"
    if is_template_path(path, folder):
        return "template"
    if may_be_test(path):
        return "test"
    return "flow" if is_flow_path(path, folder) else "file"


class Tree:
    """The files of a commit; "" has none."""

    def __init__(self, repository: Repository, commit: str) -> None:
        self._repository = repository
        self.commit = commit

    @cached_property
    def entries(self) -> Mapping[str, TreeEntry]:
        """Path → entry of everything."""
        return {each.path: each for each in self._repository.tree(self.commit)} if self.commit else {}

    def body(self, blob: str) -> bytes | None:
        """The content of a blob, or None where it is not here."""
        return self._repository.read(blob) if blob and self._repository.has(blob) else None

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder, without the root."""
        return frozenset(str(parent) for path in self.entries for parent in PurePosixPath(path).parents if str(parent) != ".")

    def missing(self, changes: Sequence[FileChange]) -> list[FileChange]:
        """The changes that are not there yet. Raises PathRefused where something stands in the way."""
        return [each for each in changes if self._is_missing(each)]

    def _is_missing(self, change: FileChange) -> bool:
        there = self.entries.get(change.path)
        if change.data is None:
            return there is not None
        for parent in PurePosixPath(change.path).parents:
            above = self.entries.get(str(parent))
            if above is not None:
                what = {"link": "a link", "submodule": "a submodule"}.get(above.kind, "a file")
                raise PathRefused(f"'{change.path}' cannot be written: '{parent}' is {what}", hint="choose another folder", path=change.path)
        if change.path in self.folders:
            raise PathRefused(f"'{change.path}' cannot be written: it is a folder", hint="choose another name", path=change.path)
        if there is not None and there.kind != "file":
            raise PathRefused(f"'{change.path}' cannot be written: it is a {there.kind}", hint="change the file it leads to", path=change.path)
        if there is None or there.blob != object_id("blob", change.data):
            return True
        return change.executable is not None and change.executable != there.executable


def conflicts_of(changes: Sequence[FileChange], *, base: Tree, head: Tree) -> list[dict[str, Any]]:
    """[{path, base, theirs, ours}] of the files that are neither what the person saw nor what they want; texts, None for a file that is not there."""
    found = []
    for each in changes:
        if each.blob is None:
            continue
        there = head.entries.get(each.path)
        theirs = there.blob if there is not None else ""
        wanted = object_id("blob", each.data) if each.data is not None else ""
        if theirs in (each.blob, wanted):
            continue
        old = each.blob or (base.entries[each.path].blob if each.path in base.entries else "")
        found.append(sides(each, base=head.body(old), theirs=head.body(theirs), blob=theirs))
    return found


def sides(change: FileChange, *, base: bytes | None, theirs: bytes | None, blob: str) -> dict[str, Any]:
    """A conflict as it is told. blob: of theirs."""
    bodies = {"base": base, "theirs": theirs, "ours": change.data}
    shown = {side: _text(body) for side, body in bodies.items()}
    binary = any(body is not None and shown[side] is None for side, body in bodies.items())
    return {"path": change.path, **shown, "blob": blob, **({"binary": True} if binary else {})}


def _text(body: bytes | None) -> str | None:
    if body is None or len(body) > EDIT_TEXT_SHOWN_MAX or b"\0" in body:
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
