"""Whose namespaces a file of a repository touches, so that who may write one namespace cannot change another, or who may do what.

Called by the handlers of this room and the pages of namespaces. What always holds: podium.yaml and `.podium/` are an admin's; a file with flows
belongs to the namespaces of its flows, before and after; any other to those of the flows in the nearest folder above it that has some.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from aiohttp import web

from podium.base.errors import NotFound
from podium.base.ports import FileChange
from podium.flows.model import FLOW_ID_PATTERN, NAMESPACE_PATTERN
from podium.web.context import context, everything
from podium.web.errors import Refused
from podium.web.people.roles import Role, caller, require

WHOLE = ""
"""In place of a namespace: the whole instance."""
_OVERLAY = "_files"
_NAMESPACE_CHARS_MAX, _ID_CHARS_MAX = 150, 100


class Rights:
    """The namespaces of the files of one source. folder: its folder in the repository."""

    def __init__(self, request: web.Request, source: str, folder: str) -> None:
        self._request = request
        self._source = source
        self._folder = folder.strip("/") or "."
        self._by_path: dict[str, set[str]] = {}
        self._by_folder: dict[str, set[str]] = {}
        for flow in everything(request).orchestrator.known_flows().values():
            if flow.source == source and not flow.deleted:
                self._by_path.setdefault(flow.path, set()).add(flow.namespace)
                for parent in PurePosixPath(flow.path).parents:
                    self._by_folder.setdefault(str(parent), set()).add(flow.namespace)

    def namespaces(self, path: str) -> frozenset[str]:
        """The namespaces that a file is part of; WHOLE among them when it concerns all."""
        inside = path if self._folder == "." else path.removeprefix(f"{self._folder}/")
        parts = inside.split("/")
        if self.admins(path):
            return frozenset({WHOLE})
        if parts[0] == _OVERLAY and len(parts) > 2:
            return frozenset({parts[1]})
        if path in self._by_path:
            return frozenset(self._by_path[path])
        for parent in PurePosixPath(path).parents:
            if str(parent) in self._by_folder:
                return frozenset(self._by_folder[str(parent)])
        return frozenset({WHOLE})

    def admins(self, path: str) -> bool:
        """Whether the file says who may do what."""
        name = PurePosixPath(path).name.lower()
        return name == "podium.yaml" or ".podium" in path.lower().split("/")

    def may_read(self, path: str) -> bool:
        """Whether the caller may see the file: it is part of a namespace of theirs. That with hashes of passwords is shown to admins only."""
        who = caller(self._request)
        if self.admins(path) and everything(self._request).door.roster.people.source == self._source:
            return who.may(Role.ADMIN, WHOLE)
        return who.may(Role.VIEWER, WHOLE) or any(who.may(Role.VIEWER, each) for each in self.namespaces(path))

    async def require_write(self, changes: Sequence[FileChange]) -> None:
        """Raises RoleNeeded for the first change that the caller may not make."""
        who = caller(self._request)
        if who.may(Role.ADMIN, WHOLE):
            return
        for each in changes:
            if self.admins(each.path):
                require(self._request, Role.ADMIN, WHOLE)
            for namespace in await self.touched(each):
                require(self._request, Role.EDITOR, namespace)

    async def touched(self, change: FileChange) -> Iterable[str]:
        """The namespaces that a change concerns: of the flows in the file, before and after, or of its folder."""
        written: set[str] = set()
        if change.data is not None and change.path.lower().endswith((".yaml", ".yml")):
            text = change.data.decode("utf-8", "replace")
            parsed = await asyncio.to_thread(context(self._request).check_flow, text, change.path)
            written = {each.namespace for each in parsed if each.namespace}
            if written and all(each.namespace for each in parsed):
                return written | self._by_path.get(change.path, set())
        return written | self.namespaces(change.path)


def check_names(namespace: str, flow_id: str | None = None) -> None:
    """Raises Refused for a namespace or id that no flow can have: paths are made of them."""
    if len(namespace) > _NAMESPACE_CHARS_MAX or not re.fullmatch(NAMESPACE_PATTERN, namespace):
        hint = "use lower-case letters, digits, '.', '-' and '_' only, beginning with a letter or digit"
        raise Refused(f"'{namespace[:100]}' is no name for a namespace", hint=hint, path="namespace")
    if flow_id is not None and (len(flow_id) > _ID_CHARS_MAX or not re.fullmatch(FLOW_ID_PATTERN, flow_id)):
        hint = "use letters, digits, '.', '-' and '_' only, beginning with a letter or digit"
        raise Refused(f"'{flow_id[:100]}' is no id for a flow", hint=hint, path="id")


def rights(request: web.Request, source: str) -> Rights:
    """The rights in the repository of a source. Raises NotFound."""
    return Rights(request, source, folder_of(request, source))


def folder_of(request: web.Request, source: str) -> str:
    """The folder of a source. Raises NotFound."""
    return str(status_of(request, source).get("path") or ".")


def status_of(request: web.Request, source: str) -> dict[str, object]:
    """What is known of a source. Raises NotFound."""
    known = everything(request).sources.status()
    found = next((each for each in known if each.get("name") == source), None)
    if found is None:
        names = ", ".join(str(each.get("name")) for each in known) or "none"
        raise NotFound(f"there is no source '{source[:80]}'", hint=f"sources here: {names}")
    return found
