"""Makes commits without a work tree or an index: old tree + changed paths → new objects in one pack. Called by repo.py.

Only the folders on the way to a changed path are read and written again; those written last are remembered, so that a writer that
keeps adding to the same folders reads nothing. The cost of a commit is that of the folders it touches: keep hot folders small.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from podium.base.errors import GitError
from podium.git.credentials import sign
from podium.git.objects import Identity, PackWriter, commit_body

FILE, EXECUTABLE, LINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "40000", "160000"
Entries = dict[bytes, bytes]
"""One folder, in git's order: key (a folder's name ends in a slash) → the entry as it stands in the tree object."""
_REMEMBERED_ENTRIES_MAX = 250_000
"""Some 45 MB at most: the hot folders of 500 flows that each ran 2,000 times in one hour. One that is forgotten is read again for every commit."""


def parse_tree(body: bytes) -> Entries:
    """The entries of a tree object."""
    entries: Entries = {}
    at = 0
    while at < len(body):
        end = body.index(b"\0", at) + 21
        mode, _, name = body[at : end - 21].partition(b" ")
        entries[name + b"/" if mode == FOLDER.encode() else name] = body[at:end]
        at = end
    return entries


def check_path(path: str) -> list[str]:
    """The parts of a path inside a repository. Raises GitError for one that git or a checkout would refuse."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" or "\0" in part for part in parts):
        raise GitError(f"not a path inside a repository: {path!r}", hint="use a relative path without . or .. parts", reason="bad-path")
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a commit says, beside its tree and parent. at: aware."""

    message: str
    at: datetime
    author: Identity
    committer: Identity
    signing_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """A file's content by its id, when the repository has it already."""

    id: str


@dataclass(frozen=True, slots=True)
class Content:
    """A file's new content, and whether it is executable: of bytes alone that stays as it was."""

    body: bytes
    executable: bool


Changes = Mapping[str, bytes | Blob | Content | None]
"""Path → new content; None removes the file."""


def write_commit(
    editor: TreeEditor, pack: PackWriter, *, base: str | None, parents: Iterable[str], changes: Changes, draft: Draft
) -> tuple[str, str]:
    """(commit, tree) ids of `changes` on top of the tree `base`; the objects go to `pack`."""
    assert draft.at.tzinfo is not None
    tree = editor.apply(base, changes, pack)
    unsigned = commit_body(
        tree=tree,
        parents=list(parents),
        author=draft.author,
        committer=draft.committer,
        at=draft.at,
        message=draft.message,
    )
    if draft.signing_key is None:
        return pack.add("commit", unsigned), tree
    return pack.add("commit", _signed(unsigned, draft.signing_key)), tree


def moved(commit: bytes, *, tree: str, parent: str, signing_key: Path | None) -> bytes:
    """The same commit (people, dates, message) with another tree and parent. Its signature is made anew, or dropped without a key."""
    head, _, message = commit.partition(b"\n\n")
    people = [line for line in head.split(b"\n") if line.startswith((b"author ", b"committer ", b"encoding "))]
    unsigned = b"\n".join([f"tree {tree}\nparent {parent}".encode(), *people]) + b"\n\n" + message
    return _signed(unsigned, signing_key) if signing_key else unsigned


def _signed(commit: bytes, key: Path) -> bytes:
    head, _, message = commit.partition(b"\n\n")
    signature = sign(commit, key).strip().replace("\n", "\n ")
    return head + f"\ngpgsig {signature}\n\n".encode() + message


class TreeEditor:
    """Makes new trees. read: gives the body of a tree object, raises GitError when it is missing."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._remembered: OrderedDict[str, Entries] = OrderedDict()
        self._count = 0

    def apply(self, tree: str | None, changes: Changes, pack: PackWriter) -> str:
        """The id of `tree` with each path written (or removed, for None); new objects go to `pack`.

        Folders that become empty vanish; a file keeps its mode. An empty result is the empty tree.
        """
        nested: dict[str, object] = {}
        levels: dict[str, dict[str, object]] = {}
        for path, body in changes.items():
            folder, _, name = path.rpartition("/")
            level = levels.get(folder)
            if level is None:
                level = levels[folder] = _level(nested, path)
            else:
                check_path(name)
            if isinstance(level.get(name), dict):
                raise _both(path)
            level[name] = _written(body, pack)
        return self._edit(tree, nested, pack) or pack.add("tree", b"")

    def _edit(self, tree: str | None, changes: Mapping[str, object], pack: PackWriter) -> str | None:
        entries = self._take(tree, pack) if tree else {}
        ordered = True
        for text, change in changes.items():
            name = text.encode("utf-8", "surrogateescape")
            if isinstance(change, dict):
                old = entries.get(name + b"/")
                below = self._edit(old[-20:].hex() if old else None, change, pack)
                if below is not None:
                    entries.pop(name, None)
                    ordered &= _put(entries, name + b"/", _entry(FOLDER, name, below))
                else:
                    entries.pop(name + b"/", None)
            elif change is None:
                entries.pop(name, None)
            else:
                made, executable = change if isinstance(change, tuple) else (change, None)
                assert isinstance(made, str)
                entries.pop(name + b"/", None)
                if executable is None:
                    executable = entries.get(name, b"").startswith(EXECUTABLE.encode())
                ordered &= _put(entries, name, _entry(EXECUTABLE if executable else FILE, name, made))
        if not entries:
            return None
        if not ordered:
            entries = dict(sorted(entries.items()))
        made = pack.add("tree", b"".join(entries.values()))
        self._remember(made, entries)
        return made

    def _take(self, name: str, pack: PackWriter) -> Entries:
        """The entries of a tree, for changing: it is forgotten, because its successor takes them over."""
        entries = self._remembered.pop(name, None)
        if entries is None:
            written = pack.tree(name)
            return parse_tree(written if written is not None else self._read(name))
        self._count -= len(entries)
        return entries

    def _remember(self, name: str, entries: Entries) -> None:
        replaced = self._remembered.pop(name, None)
        self._count += len(entries) - len(replaced or ())
        self._remembered[name] = entries
        while self._count > _REMEMBERED_ENTRIES_MAX:
            self._count -= len(self._remembered.popitem(last=False)[1])


def _written(body: bytes | Blob | Content | None, pack: PackWriter) -> str | tuple[str, bool] | None:
    """The id of a file's content, with whether it is executable where that is said."""
    if isinstance(body, bytes):
        return pack.add("blob", body)
    if isinstance(body, Content):
        return pack.add("blob", body.body), body.executable
    return body.id if body is not None else None


def _put(entries: Entries, key: bytes, entry: bytes) -> bool:
    """Set an entry of a folder that is in order; whether it still is. Ids sort by time, so it nearly always is, and sorting is saved."""
    ordered = key in entries or not entries or key > next(reversed(entries))
    entries[key] = entry
    return ordered


def _entry(mode: str, name: bytes, object_id: str) -> bytes:
    return b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(object_id))


def _level(nested: dict[str, object], path: str) -> dict[str, object]:
    """The changes in the folder of that path, made if there are none yet."""
    level = nested
    for folder in check_path(path)[:-1]:
        below = level.setdefault(folder, {})
        if not isinstance(below, dict):
            raise _both(path)
        level = below
    return level


def _both(path: str) -> GitError:
    return GitError(f"{path!r} would be a file and a folder at once", hint="choose another name", reason="bad-path")
