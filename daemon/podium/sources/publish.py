"""Writes what a person changed to the repository of a source: a commit in their name, pushed (ruling 14). Implements base/ports.EditControls.

Made by app/wiring, called by web. What always holds: nothing is forced or overwritten: a push names the commit it goes on top of, and changes
go onto a branch that moved only if nobody else touched their files; until the remote has the commit nothing of it is to be seen; what a
path may be is checked before anything is written; who asked is the author, Podium the committer.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from podium.base.errors import ConflictError, GitError, GitMoved, GitRefused, NotFound
from podium.base.limits import MESSAGE_CHARS_MAX
from podium.base.ports import Author, FileChange, Published
from podium.base.system.clock import Clock
from podium.base.system.ids import new_token
from podium.base.system.log import get_logger
from podium.base.system.threads import in_own_thread
from podium.conductor.port import Orchestrator
from podium.flows.types import Types
from podium.git.remote import is_branch_name
from podium.git.repo import PODIUM, Content, Identity, Repository
from podium.sources.editing.checking import check_changes
from podium.sources.editing.directory import conflicts_on_disk, why_not_writable, write_files
from podium.sources.editing.edit import Edit, PushRefused, conflict, kept_ref, message_for
from podium.sources.editing.in_force import in_force
from podium.sources.editing.places import find_place, home_of
from podium.sources.editing.state import EDITS, HEADS, Tree, check_changes_fit, conflicts_of, kind_of
from podium.sources.links import Forge, forge_at
from podium.sources.mirror import Mirror
from podium.sources.reading.tree import project_path
from podium.sources.source import Source
from podium.sources.watch import SourceWatcher
from podium.sources.worktree import TREE_REF

__all__ = ["Publisher", "PushRefused"]
log = get_logger(__name__)
T = TypeVar("T")
_AT_ONCE, _TREES_KEPT = 16, 16
_TRIES = 5
_READ_S = 20.0
"""How long a remote may take for what a page waits for; then the newest that is here is shown."""
_LOOK_S = 20.0
"""How long a save into a directory waits until it is looked at."""
_UNSURE = frozenset({"unreachable", "timeout", "failed"})
"""Reasons after which the remote may have taken the push all the same."""


class Publisher:
    """See EditControls. signing_key: signs the commits, as those of the results branch."""

    def __init__(
        self, watcher: SourceWatcher, orchestrator: Orchestrator, types: Types, clock: Clock, *, signing_key: Path | None = None,
        committer: Identity = PODIUM, records_branch: str = "results",
    ) -> None:
        """records_branch: with those below it, where records go: nobody reads or writes it here (I6)."""
        self._watcher = watcher
        self._orchestrator = orchestrator
        self._types = types
        self._clock = clock
        self._signing_key = signing_key
        self._committer = committer
        self._records_branch = records_branch
        self._one_by_one: dict[str, asyncio.Lock] = {}
        self._fetching: dict[str, threading.Lock] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._trees: OrderedDict[tuple[str, str], Tree] = OrderedDict()
        self._remembering = threading.Lock()

    async def _apart(self, work: Callable[..., T], *given: Any) -> T:
        """What blocking work gives. A remote may hang, so that it needs a thread of its own."""
        async with self._slots:
            return await in_own_thread(work, *given)

    # ---- what there is

    def editable(self, source: str) -> str | None:
        """See EditControls."""
        directory = self._watcher.source(source).directory
        return why_not_writable(directory) if directory is not None else None

    def forge(self, source: str) -> Forge | None:
        """The forge that the repository of a source is at, if it is a known one. Raises NotFound."""
        found = self._watcher.source(source)
        return forge_at(found.url, found.forge) if found.directory is None else None

    async def branches(self, source: str) -> dict[str, str]:
        """See EditControls."""
        found = self._watcher.source(source)
        if found.directory is not None:
            return {found.branch: await self.head(source)}
        return await self._apart(self._branches, found)

    def _branches(self, source: Source) -> dict[str, str]:
        repository = self._repository(source)
        heads = repository.remote_heads(source.url, "refs/heads/*", credentials=source.credentials, timeout_s=_READ_S)
        names = {ref.removeprefix("refs/heads/"): commit for ref, commit in heads.items()}
        found = {name: commit for name, commit in names.items() if not self._is_closed(name)}
        for ref in repository.refs(HEADS):
            if unquote(ref.removeprefix(HEADS)) not in found:
                with suppress(GitMoved):
                    repository.update_ref(ref, None)
        return dict(sorted(found.items(), key=lambda each: (each[0] != source.branch, each[0])))

    async def head(self, source: str, ref: str | None = None) -> str:
        """See EditControls."""
        return await self._apart(self._resolve, self._watcher.source(source), ref)

    async def tree(self, source: str, ref: str | None = None) -> list[dict[str, Any]]:
        """See EditControls."""
        return await self._apart(self._tree, self._watcher.source(source), ref)

    def _tree(self, source: Source, ref: str | None) -> list[dict[str, Any]]:
        commit = self._resolve(source, ref)
        if not commit:
            return []
        return [
            {
                "path": each.path, "blob": each.blob, "size": each.size,
                "kind": kind_of(each.path, source.folder) if each.kind == "file" else each.kind,
                **({"executable": True} if each.executable else {}),
            }
            for each in self._tree_at(source, commit).entries.values() if each.path.isprintable()
        ]

    async def read(self, source: str, path: str, ref: str | None = None) -> dict[str, Any]:
        """See EditControls."""
        return await self._apart(self._read, self._watcher.source(source), path, ref)

    def _read(self, source: Source, path: str, ref: str | None) -> dict[str, Any]:
        commit = self._resolve(source, ref)
        where = f"source '{source.name}' at commit {commit[:12]}" if commit else f"source '{source.name}'"
        entry = self._tree_at(source, commit).entries.get(path)
        if entry is None:
            raise NotFound(f"there is no file '{path[:200]}' in {where}", hint="see the tree of the source for what is there", path=path[:200])
        if entry.kind == "link":
            target = self._repository(source).read(entry.blob).decode("utf-8", "replace")
            raise NotFound(f"'{path}' is a link to '{target[:200]}'", hint="open the file it leads to", path=path)
        if entry.kind != "file":
            raise NotFound(f"'{path}' is no file in {where}", hint="name a file", path=path)
        data = self._repository(source).read(entry.blob)
        branch = source.branch if ref is None or ref == commit else ref
        return {"path": path, "blob": entry.blob, "commit": commit, "branch": branch, "data": data, "size": len(data)}

    async def check(self, source: str, changes: Sequence[FileChange], ref: str | None = None) -> list[dict[str, Any]]:
        """See EditControls."""
        found = self._watcher.source(source)

        def look() -> list[dict[str, Any]]:
            commit, known = self._resolve(found, ref), self._orchestrator.known_flows()
            return check_changes(self._repository(found), commit, found.folder, changes, self._types, source=source, known=known)

        return await self._apart(look)

    def home(self, namespace: str) -> str | None:
        """See EditControls."""
        return home_of(namespace, "", self._orchestrator.known_flows(), self._watcher.names(), lambda name: self.editable(name) is None)

    async def place(self, namespace: str, flow_id: str) -> dict[str, Any]:
        """See EditControls."""
        return (await self.places([(namespace, flow_id)]))[0]

    async def places(self, flows: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """See EditControls."""
        known, names = self._orchestrator.known_flows(), self._watcher.names()
        homes = [home_of(*each, known, names, lambda name: self.editable(name) is None) for each in flows]
        if None in homes:
            raise NotFound("there is no source that a flow could be written to", hint="add one to the settings: [sources.main] url = …")
        heads = {name: await self.head(name) for name in dict.fromkeys(homes) if name is not None}
        for name, commit in heads.items():
            if commit and commit != self._watcher.state(name).commit:  # somebody pushed: flows may be elsewhere by now
                await self._watcher.looked(name, timeout_s=_LOOK_S, commit=commit)
        known = self._orchestrator.known_flows()

        def look() -> list[dict[str, Any]]:
            trees = {name: self._tree_at(self._watcher.source(name), commit) for name, commit in heads.items()}
            given: set[tuple[str, str]] = set()
            mine = {name: [each for each in known.values() if each.source == name] for name in heads}
            found = []
            for (namespace, flow_id), name in zip(flows, homes, strict=True):
                assert name is not None
                entries = trees[name].entries
                path, there = find_place(
                    lambda each, name=name, entries=entries: each in entries or (name, each) in given,  # type: ignore[misc]  # bound per turn
                    self._watcher.source(name).folder, namespace, flow_id, mine[name],
                )
                given.add((name, path))
                found.append({"source": name, "path": path, "commit": heads[name], **({"blob": entries[path].blob} if there else {})})
            return found

        return await self._apart(look)

    async def in_force(self, source: str, namespace: str) -> list[dict[str, Any]]:
        """See EditControls."""
        found = self._watcher.source(source)
        commit = self._watcher.state(source).commit

        def look() -> list[dict[str, Any]]:
            path = project_path(found.folder)
            body = self._repository(found).read_path(commit, path) if commit else None
            return in_force(body, path=path, namespace=namespace) if body is not None else []

        return await self._apart(look)

    # ---- writing

    async def publish(
        self, source: str, changes: Sequence[FileChange], *, base: str, message: str, author: Author, branch: str | None = None,
        new_branch: bool = False,
    ) -> Published:
        """See EditControls."""
        found = self._watcher.source(source)
        if (why := await self._apart(self.editable, source)) is not None:
            raise ConflictError(f"source '{source}' cannot be written to: {why}", hint="change the files there", source=source)
        check_changes_fit(changes)
        edit = Edit(
            changes=changes, base=base, author=author, branch=branch or found.branch, new_branch=new_branch,
            message=(message.strip() or message_for(changes))[:MESSAGE_CHARS_MAX],
        )
        async with self._one_by_one.setdefault(source, asyncio.Lock()):
            if found.directory is not None:
                await self._apart(self._save, found, found.directory, edit)
                state = await self._watcher.looked(source, timeout_s=_LOOK_S)
                return Published(commit=state.commit or "", branch=edit.branch)
            commit = await self._apart(self._publish, found, edit)
        log.info("source_edited", source=source, commit=commit, branch=edit.branch, files=len(changes), author=author.email)
        forge = self.forge(source)
        if edit.branch == found.branch:
            self._watcher.wake(source)
        return Published(
            commit=commit, branch=edit.branch, url=forge.commit(commit) if forge else None,
            review=forge.review(edit.branch, found.branch) if forge and edit.branch != found.branch else None,
        )

    def _save(self, source: Source, directory: Path, edit: Edit) -> None:
        """Into a directory: no commit is made, that is the person's."""
        if edit.new_branch or edit.branch != source.branch:
            raise ConflictError(f"source '{source.name}' is a directory, which has no branches", hint="save without a branch", path="branch")
        if conflicts := conflicts_on_disk(directory, self._repository(source), edit.changes):
            raise conflict(conflicts, self._resolve(source, None), edit.branch)
        write_files(directory, edit.changes)

    def _publish(self, source: Source, edit: Edit) -> str:
        repository, branch = self._repository(source), edit.branch
        if self._is_closed(branch):
            raise ConflictError(f"branch '{branch}' belongs to the records of executions", hint="choose another name", path="branch")
        if not is_branch_name(branch):
            raise ConflictError(f"'{branch[:100]}' is no name for a branch", hint="use letters, digits, -, _ and /", path="branch")
        if edit.base and repository.resolve(edit.base) is None:
            for name in self._branches(source):
                self._head(source, name)
            if repository.resolve(edit.base) is None:
                raise NotFound(f"commit {edit.base[:40]} is not in source '{source.name}'", hint="load the file again, then repeat the change")
        for _ in range(_TRIES):
            head = edit.base if edit.new_branch else self._head(source, branch)
            if conflicts := conflicts_of(edit.changes, base=self._tree_at(source, edit.base), head=self._tree_at(source, head)):
                raise conflict(conflicts, head, branch)
            wanted = self._tree_at(source, head).missing(edit.changes)
            if not wanted:
                if edit.new_branch:
                    raise ConflictError("there is nothing to commit: the files are as they were", hint="change something first")
                return head
            try:
                return self._commit_and_push(source, repository, edit, wanted, head)
            except GitMoved as moved:
                if edit.new_branch:
                    raise ConflictError(f"branch '{branch}' is there already", hint="give the new branch another name", path="branch") from moved
        raise ConflictError(f"branch '{branch}' of source '{source.name}' moves all the time", hint="try again in a moment")

    def _commit_and_push(self, source: Source, repository: Repository, edit: Edit, wanted: Sequence[FileChange], head: str) -> str:
        ref = EDITS + new_token(12)
        if head:
            repository.update_ref(ref, head, "")
        try:
            commit = repository.commit(
                ref=ref, parent=head or None, message=edit.message, at=self._clock.now(),
                author=Identity(name=edit.author.name, email=edit.author.email), committer=self._committer, signing_key=self._signing_key,
                changes={
                    each.path: each.data if each.data is None or each.executable is None else Content(each.data, each.executable) for each in wanted
                },
            )
            self._push(source, repository, f"{ref}:refs/heads/{edit.branch}", commit, "" if edit.new_branch else head)
        finally:
            with suppress(GitError):
                repository.update_ref(ref, None)
        return commit

    def _push(self, source: Source, repository: Repository, spec: str, commit: str, lease: str) -> None:
        target = spec.partition(":")[2]
        try:
            repository.push(source.url, spec, credentials=source.credentials, timeout_s=source.fetch_timeout_s, expected=lease)
        except GitRefused as error:
            if error.facts.get("reason") in {"hook", "refused"}:
                raise PushRefused(error.what, hint=error.hint, **error.facts) from error
            raise
        except GitMoved:
            raise
        except GitError as error:
            # The answer may have been lost after the remote took the commit.
            if error.facts.get("reason") in _UNSURE:
                with suppress(GitError):
                    if repository.remote_heads(source.url, target, credentials=source.credentials).get(target) == commit:
                        return
            raise

    async def deployed(self, source: str, commit: str, *, timeout_s: float) -> dict[str, Any]:
        """See EditControls."""
        state = await self._watcher.looked(source, timeout_s=timeout_s, commit=commit)
        there = state.commit is not None and await self._apart(self._contains, source, state.commit, commit)
        facts = {"held": state.held, "error": state.error, "hint": state.hint}
        return {
            "deployed": there, "commit": state.commit, "rejected": [dict(each) for each in state.rejected] if there else [],
            **{key: value for key, value in facts.items() if value},
        }

    def _contains(self, source: str, deployed: str, commit: str) -> bool:
        repository = self._watcher.origin(source).repository
        return deployed == commit or repository.is_ancestor(commit, deployed)

    # ---- the repository

    def _repository(self, source: Source) -> Repository:
        return self._watcher.origin(source.name).repository

    def _tree_at(self, source: Source, commit: str) -> Tree:
        """The files of a commit, which never change: those asked for last are remembered."""
        key = (source.name, commit)
        with self._remembering:
            found = self._trees.pop(key, None) or Tree(self._repository(source), commit)
            self._trees[key] = found
            while len(self._trees) > _TREES_KEPT:
                self._trees.popitem(last=False)
        return found

    def _resolve(self, source: Source, ref: str | None) -> str:
        """The commit of an id or a branch. For the deployed branch what is here if the remote does not answer; "" if it has no commit."""
        repository, origin = self._repository(source), self._watcher.origin(source.name)
        if ref is not None and len(ref) >= 40 and (commit := repository.resolve(ref)) is not None:
            return commit
        if not isinstance(origin, Mirror):
            if ref is not None and ref != source.branch:
                raise NotFound(f"source '{source.name}' has no branch or commit '{ref[:100]}'", hint="it is a directory", path="ref")
            return repository.resolve(TREE_REF) or ""
        branch = ref or source.branch
        try:
            head = self._head(source, branch, timeout_s=_READ_S)
        except GitError as error:
            here = repository.resolve(f"refs/heads/{source.branch}")
            if branch != source.branch or here is None:
                raise
            log.info("edit_reads_what_is_here", source=source.name, error=error.what)
            return here
        if not head and ref is not None and branch != source.branch:
            raise NotFound(f"source '{source.name}' has no branch or commit '{branch[:100]}'", hint="see the source's branches", path="ref")
        return head

    def _head(self, source: Source, branch: str, *, timeout_s: float | None = None) -> str:
        """The commit that a branch is at, at the remote; fetched. "" when it is not there."""
        repository = self._repository(source)
        if not is_branch_name(branch) or self._is_closed(branch):
            raise NotFound(f"'{branch[:100]}' is no branch of source '{source.name}'", hint="see the source's branches", path="branch")
        try:
            self._fetch(source, f"+refs/heads/{branch}:{kept_ref(branch)}", timeout_s or source.fetch_timeout_s)
        except GitRefused as error:
            if error.facts.get("reason") != "branch-gone":
                raise
            return ""
        return repository.resolve(kept_ref(branch)) or ""

    def _is_closed(self, branch: str) -> bool:
        return branch == self._records_branch or branch.startswith(f"{self._records_branch}/")

    def _fetch(self, source: Source, spec: str, timeout_s: float) -> None:
        turn = self._fetching.setdefault(source.name, threading.Lock())  # two at once would lock each other's refs out
        if not turn.acquire(timeout=timeout_s):
            raise GitError(f"cannot reach {source.shown_url()}: others wait for it too", hint="try again in a moment", reason="unreachable")
        try:
            self._repository(source).fetch(source.url, refspecs=[spec], credentials=source.credentials, timeout_s=timeout_s)
        finally:
            turn.release()
