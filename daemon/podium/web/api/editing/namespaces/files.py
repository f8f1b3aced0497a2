"""Where the files of a namespace are, and changing them: a commit for those in Git, the storage for what a task uploaded over them (ruling 14).

Called by the API of namespace files and the pages of namespaces. What always holds: a file is changed where it is; a new one goes to
`_files/<namespace>/`, which only that namespace sees; what is read is the deployed commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from podium.base.errors import ConflictError, NotFound, StorageError
from podium.base.limits import UPLOAD_BYTES_MAX
from podium.base.ports import FileChange
from podium.storage import uris
from podium.storage.reader import FileReader, FileScope
from podium.web.api.editing.edits import WAIT_S, edits_of
from podium.web.api.editing.rights import WHOLE, Rights, check_names, rights
from podium.web.api.editing.writing import refusal
from podium.web.context import context, everything
from podium.web.errors import Refused
from podium.web.people.roles import Role, caller, require

_HIDDEN = ("_files", ".git", ".podium")


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a namespace lives. commit: the deployed one, "" before the first. folder: of the source, "." for all of the repository."""

    namespace: str
    source: str
    commit: str
    folder: str

    def shared(self, path: str) -> str:
        """The path in the repository of a file that all namespaces of the source see."""
        return path if self.folder == "." else f"{self.folder}/{path}"

    def own(self, path: str) -> str:
        """The path in the repository of a file that only this namespace sees."""
        return self.shared(f"_files/{self.namespace}/{path}")


def home(request: web.Request, namespace: str) -> Home:
    """Raises NotFound when there is no source, Refused for what is no name of a namespace."""
    check_names(namespace)
    here = everything(request)
    name = edits_of(request).home(namespace)
    if name is None:
        raise NotFound("there is no source that a namespace could belong to", hint="add one to the settings: [sources.main] url = …")
    status: Mapping[str, Any] = next((each for each in here.sources.status() if each.get("name") == name), {})
    return Home(namespace=namespace, source=name, commit=str(status.get("commit") or ""), folder=str(status.get("path") or ".").strip("/") or ".")


class Files:
    """The files of one namespace as its flows see them."""

    def __init__(self, request: web.Request, place: Home, paths: Mapping[str, bool], reader: FileReader, allowed: Rights) -> None:
        self.home = place
        self.paths = paths
        """Path → whether it is in Git."""
        self._request, self._reader, self._rights = request, reader, allowed

    @property
    def _scope(self) -> FileScope:
        return FileScope(namespace=self.home.namespace, source=self.home.source, commit=self.home.commit)

    async def read(self, path: str) -> bytes:
        """The content of a file. Raises NotFound."""
        inner = clean(path)
        if inner not in self.paths:
            raise missing(inner, self.home.namespace)
        uri = uris.namespace_file_uri(self.home.namespace, inner)
        return await asyncio.to_thread(self._reader.read, uri, self._scope, bytes_max=UPLOAD_BYTES_MAX)

    async def sizes(self, paths: Sequence[str]) -> dict[str, int]:
        """Path → bytes."""
        tree = await edits_of(self._request).tree(self.home.source, self.home.commit) if self.home.commit else []
        known = {each["path"]: int(each["size"]) for each in tree}
        found = {}
        for path in paths:
            if self.paths.get(path):
                found[path] = known.get(self.home.own(path), known.get(self.home.shared(path), 0))
            else:
                uri = uris.namespace_file_uri(self.home.namespace, path)
                found[path] = await asyncio.to_thread(self._reader.size, uri, self._scope)
        return found

    async def place(self, path: str) -> str:
        """The path in the repository of a file."""
        tree = await edits_of(self._request).tree(self.home.source, self.home.commit)
        return self._where(path, {each["path"]: each for each in tree})

    def below(self, folder: str) -> list[str]:
        """The files in a folder and below it."""
        prefix = f"{folder}/" if folder else ""
        return [path for path in self.paths if path.startswith(prefix)]

    def children(self, folder: str) -> tuple[list[str], list[str]]:
        """(names of folders, names of files) directly in a folder."""
        prefix = f"{folder}/" if folder else ""
        folders, files = set(), []
        for path in self.below(folder):
            first, slash, _ = path.removeprefix(prefix).partition("/")
            if slash:
                folders.add(first)
            else:
                files.append(first)
        return sorted(folders), sorted(files)

    async def write(self, files: Mapping[str, bytes | None], *, message: str, moves: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Commit these files (None removes one) and wait until they are deployed; {commit?, deployed}. moves: new path → the old one of it.

        Raises FlowError when one of them is a flow with mistakes, EditConflict, RoleNeeded.
        """
        edits, place = edits_of(self._request), self.home
        require(self._request, Role.EDITOR, place.namespace)
        head = await edits.head(place.source)
        there = {each["path"]: each for each in await edits.tree(place.source, head)} if head else {}
        changes, uploaded = [], []
        for path, data in files.items():
            inner = clean(path)
            if data is not None:
                self._fits(inner)
            if self.paths.get(inner) is False:
                uploaded.append(inner)
            came_from = (moves or {}).get(path)
            stays_shared = came_from is not None and self._where(came_from, there) == place.shared(came_from) and place.shared(came_from) in there
            shared = place.own(inner) not in there and (place.shared(inner) in there or stays_shared)
            at = place.shared(inner) if shared else place.own(inner)
            if data is None and at not in there:
                continue
            old = there.get(self._where((moves or {}).get(path, path), there))
            bit = bool(old.get("executable")) if old is not None and data is not None and moves else None
            changes.append(FileChange(path=at, data=data, blob=str(there[at]["blob"]) if at in there else "", executable=bit))
        told: dict[str, Any] = {"deployed": True}
        if changes:
            await self._rights.require_write(changes)
            if problems := await edits.check(place.source, changes, head or None):
                raise refusal(problems)
            made = await edits.publish(place.source, changes, base=head, message=message, author=caller(self._request).author)
            told = {**await edits.deployed(place.source, made.commit, timeout_s=WAIT_S), "commit": made.commit}
        elif not uploaded:
            raise missing(next(iter(files), ""), place.namespace)
        for inner in uploaded:  # what a person says counts more than what a task left
            await asyncio.to_thread(self._reader.namespace_delete, place.namespace, inner)
        return told

    def _fits(self, path: str) -> None:
        """Raises Refused where a file stands in the place of a folder of that path, or a folder in its own."""
        parts = path.split("/")
        above = next((part for end in range(1, len(parts)) if (part := "/".join(parts[:end])) in self.paths), None)
        if above is not None or any(each.startswith(f"{path}/") for each in self.paths):
            what = f"'{above}' is a file" if above is not None else "a folder is there"
            raise Refused(f"'{path}' cannot be written: {what}", hint="give another name", path="path")

    def _where(self, path: str, there: Mapping[str, Any]) -> str:
        return self.home.own(path) if self.home.own(path) in there else self.home.shared(path)


async def files_of(request: web.Request, namespace: str) -> Files:
    """The files of a namespace that the caller may see."""
    reader = context(request).files
    if reader is None:
        raise ConflictError("this server has no namespace files", hint="add a source to the settings")
    place = home(request, namespace)
    scope = FileScope(namespace=namespace, source=place.source, commit=place.commit)
    paths = await asyncio.to_thread(reader.namespace_paths, namespace, scope) if place.commit else {}
    allowed, seen = rights(request, place.source), dict(paths)
    if not caller(request).may(Role.VIEWER, WHOLE):
        tree = await edits_of(request).tree(place.source, place.commit) if place.commit else []
        own = {each["path"] for each in tree if each["path"].startswith(place.own(""))}
        seen = {path: in_git for path, in_git in paths.items() if not in_git or place.own(path) in own or allowed.may_read(place.shared(path))}
    return Files(request, place, seen, reader, allowed)


def clean(path: str) -> str:
    """A path of a namespace file without slashes around it. Raises Refused for one that no file may have."""
    try:
        inner = uris.check_path(path)
    except StorageError as error:
        raise Refused(f"'{path[:200]}' is no path of a file", hint=error.hint, path="path") from error
    if inner.split("/", 1)[0].lower() in _HIDDEN:
        raise Refused(f"'{inner[:200]}' is no namespace file", hint="choose another folder", path="path")
    return inner


def missing(path: str, namespace: str) -> NotFound:
    """There is no such file."""
    return NotFound(f"namespace '{namespace}' has no file '{path[:200]}'", hint="list them: GET /namespaces/…/files/directory", path=path[:200])
