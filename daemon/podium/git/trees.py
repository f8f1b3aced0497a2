"""Changes a tree without a work tree or an index: old tree + changed paths → new tree objects. Called by repo.py.

Only the folders on the way to a changed path are read and written again. Trees written last are remembered, so that a writer
that keeps adding to the same folders reads nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from podium.base.errors import GitError
from podium.git.objects import PackWriter

FILE, EXECUTABLE, LINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "40000", "160000"
Entries = dict[str, tuple[str, str]]
"""name → (mode, object id) of one folder."""
_REMEMBERED_BYTES_MAX = 16 * 1024 * 1024


def parse_tree(body: bytes) -> Entries:
    """The entries of a tree object. Names that are not UTF-8 survive by surrogates."""
    entries: Entries = {}
    at = 0
    while at < len(body):
        space = body.index(b" ", at)
        end = body.index(b"\0", space)
        entries[body[space + 1 : end].decode("utf-8", "surrogateescape")] = (body[at:space].decode(), body[end + 1 : end + 21].hex())
        at = end + 21
    return entries


def tree_body(entries: Entries) -> bytes:
    """The tree object of these entries, in git's order (folders sort as if their name ended in a slash)."""
    named = [(name.encode("utf-8", "surrogateescape"), mode, object_id) for name, (mode, object_id) in entries.items()]
    named.sort(key=lambda item: item[0] + b"/" if item[1] == FOLDER else item[0])
    return b"".join([b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(object_id)) for name, mode, object_id in named])


def check_path(path: str) -> list[str]:
    """The parts of a path inside a repository. Raises GitError for one that git or a checkout would refuse."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" or "\0" in part for part in parts):
        raise GitError(f"not a path inside a repository: {path!r}", hint="use a relative path without . or .. parts", reason="bad-path")
    return parts


class TreeEditor:
    """Makes new trees. read: gives the body of a tree object, raises GitError when it is missing."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._remembered: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def apply(self, tree: str | None, changes: Mapping[str, bytes | None], pack: PackWriter) -> str:
        """The id of `tree` with each path written (or removed, for None); new objects go to `pack`.

        Folders that become empty vanish; a file keeps its mode. An empty result is the empty tree.
        """
        nested: dict[str, object] = {}
        for path, body in changes.items():
            *folders, name = check_path(path)
            level = nested
            for folder in folders:
                below = level.setdefault(folder, {})
                if not isinstance(below, dict):
                    raise _both(path)
                level = below
            if isinstance(level.get(name), dict):
                raise _both(path)
            level[name] = pack.add("blob", body) if body is not None else None
        return self._edit(tree, nested, pack) or pack.add("tree", b"")

    def _edit(self, tree: str | None, changes: Mapping[str, object], pack: PackWriter) -> str | None:
        entries = parse_tree(self._tree(tree)) if tree else {}
        for name, change in changes.items():
            mode, object_id = entries.get(name, ("", ""))
            if isinstance(change, dict):
                below = self._edit(object_id if mode == FOLDER else None, change, pack)
                if below is not None:
                    entries[name] = (FOLDER, below)
                elif mode == FOLDER:
                    del entries[name]
            elif change is None:
                if mode != FOLDER:
                    entries.pop(name, None)
            else:
                assert isinstance(change, str)
                entries[name] = (mode if mode in (FILE, EXECUTABLE) else FILE, change)
        if not entries:
            return None
        body = tree_body(entries)
        name = pack.add("tree", body)
        self._remember(name, body)
        return name

    def _tree(self, name: str) -> bytes:
        known = self._remembered.get(name)
        return known if known is not None else self._read(name)

    def _remember(self, name: str, body: bytes) -> None:
        if name in self._remembered:
            self._remembered.move_to_end(name)
            return
        self._remembered[name] = body
        self._bytes += len(body)
        while self._bytes > _REMEMBERED_BYTES_MAX:
            _, dropped = self._remembered.popitem(last=False)
            self._bytes -= len(dropped)


def _both(path: str) -> GitError:
    return GitError(f"{path!r} would be a file and a folder at once", hint="choose another name", reason="bad-path")
