"""Flows written over the API: each change finds the file of its flow, is checked as the deployment will, becomes part of one commit for its source,
and is answered when it is deployed. Called by the handlers of flows in this room and by pages.

What always holds: nothing is committed if anything of it is refused; other flows of the same file and comments stay; the caller is an editor of
every namespace that is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from podium.base.errors import FlowError, FlowNotFound
from podium.base.ports import EditControls, FileChange
from podium.flows.reading.documents import NoSuchFlow, removed, replaced
from podium.web.api.editing.edits import WAIT_S, edits_of
from podium.web.api.editing.rights import WHOLE, Rights, rights
from podium.web.context import everything
from podium.web.errors import Refused
from podium.web.people.roles import Role, caller, require

Key = tuple[str, str]
Rewrite = Callable[[str], str | None]
"""The text of a flow's file → the text it shall have; None removes the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One flow as it shall be. text: its new text; rewrite: or what is made of its file. seen: the blob its writer saw, if they say."""

    namespace: str
    id: str
    text: str | None = None
    rewrite: Rewrite | None = None
    seen: str | None = None


@dataclass(slots=True)
class Saved:
    """What became of it. deployed: whether all is deployed by now; told: why not, by source."""

    commits: dict[str, str] = field(default_factory=dict)
    told: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def deployed(self) -> bool:
        """Whether every commit is deployed, and nothing of it is held back."""
        return all(each.get("deployed") and not each.get("held") for each in self.told.values())


def deletion(namespace: str, flow_id: str, *, seen: str | None = None) -> Wanted:
    """The removal of a flow."""
    return Wanted(namespace=namespace, id=flow_id, rewrite=lambda text: removed(text, namespace, flow_id), seen=seen)


class PlannedFiles:
    """The files of one source that a commit will change."""

    def __init__(self, edits: EditControls, source: str, commit: str) -> None:
        self._edits, self.source, self.commit = edits, source, commit
        self._before: dict[str, tuple[str, str, bool]] = {}
        self._after: dict[str, str | None] = {}
        self._seen: dict[str, str] = {}

    async def apply(self, wanted: Wanted, path: str, *, there: bool) -> None:
        """Make one flow what it shall be."""
        if path not in self._after:
            found = await self._edits.read(self.source, path, self.commit) if there else None
            self._after[path] = _text(found["data"], path) if found else ""
            self._seen[path] = str(found["blob"]) if found else ""
        if wanted.seen is not None:
            self._seen[path] = wanted.seen
        before = self._after[path] or ""
        try:
            if wanted.rewrite is not None:
                self._after[path] = wanted.rewrite(before)
            else:
                assert wanted.text is not None
                self._after[path] = replaced(before, wanted.namespace, wanted.id, wanted.text) if before else wanted.text
        except NoSuchFlow as error:
            what = f"flow '{wanted.namespace}.{wanted.id}' cannot be changed in {path} by itself: {error}"
            raise Refused(what, hint="change the file in the editor", path=path) from error

    def changes(self) -> list[FileChange]:
        """Of the files."""
        return [
            FileChange(path=path, data=text.encode() if text is not None else None, blob=self._seen[path]) for path, text in self._after.items()
        ]


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 text", hint="mend it with git", path=path) from error


async def plan(request: web.Request, wanted: Sequence[Wanted]) -> dict[str, PlannedFiles]:
    """Source → the files that these flows change. Raises NotFound, RoleNeeded, Refused."""
    edits = edits_of(request)
    files: dict[str, PlannedFiles] = {}
    for each in wanted:
        require(request, Role.EDITOR, each.namespace)
    for each, place in zip(wanted, await edits.places([(each.namespace, each.id) for each in wanted]), strict=True):
        if each.rewrite is not None and "blob" not in place:
            raise FlowNotFound(f"no flow '{each.namespace}.{each.id}'", hint="list what is deployed: podium flows list")
        planned = files.setdefault(place["source"], PlannedFiles(edits, place["source"], place["commit"]))
        await planned.apply(each, place["path"], there="blob" in place)
    return files


async def save(request: web.Request, wanted: Sequence[Wanted], *, message: str, wait_s: float = WAIT_S) -> Saved:
    """Check, commit, push and wait for the deployment. Raises FlowError (with all mistakes), EditConflict, RoleNeeded, GitError."""
    edits, saved = edits_of(request), Saved()
    files = await plan(request, wanted)
    problems: list[dict[str, Any]] = []
    for source, planned in files.items():
        await _allowed(rights(request, source), planned.changes(), {each.namespace for each in wanted}, request)
        problems += await edits.check(source, planned.changes(), planned.commit or None)
    if problems:
        raise refusal(problems)
    calm = {source for source, planned in files.items() if _is_calm(request, source, planned.commit)}
    for source, planned in files.items():
        made = await edits.publish(source, planned.changes(), base=planned.commit, message=message, author=caller(request).author)
        saved.commits[source] = made.commit
    paths = {each.path for planned in files.values() for each in planned.changes() if each.data is not None}
    for source, commit in saved.commits.items():
        told = saved.told[source] = await edits.deployed(source, commit, timeout_s=wait_s)
        if told.get("held") and told.get("commit") == commit and source in calm:
            # What is held back is what was asked for here, by name: nobody else's removals are in it.
            await everything(request).sources.confirm(source, commit=commit)
            told = saved.told[source] = {key: value for key, value in told.items() if key != "held"}
        refused = [problem for each in told.get("rejected", ()) if each.get("path") in paths for problem in each.get("problems", ())]
        if refused:
            raise refusal(refused)
    return saved


def _is_calm(request: web.Request, source: str, commit: str) -> bool:
    """Whether all of the branch is deployed and nothing is held back."""
    status = next((each for each in everything(request).sources.status() if each.get("name") == source), {})
    return status.get("commit") == commit and not status.get("held")


async def _allowed(allowed: Rights, changes: Sequence[FileChange], namespaces: set[str], request: web.Request) -> None:
    """A file that other namespaces have flows in is theirs as well."""
    for each in changes:
        for namespace in await allowed.touched(each):
            if namespace not in namespaces and (namespace != WHOLE or each.data is None):
                require(request, Role.EDITOR, namespace)


def refusal(problems: Sequence[Mapping[str, Any]]) -> FlowError:
    """The error for flows with mistakes; each with its place."""
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return FlowError(
        f"{first['file']}:{first['line']}:{first['column']}: {first['message']}{more}", problems=list(problems),
        hint=str(first.get("hint") or "correct the flow, then send it again"),
    )
