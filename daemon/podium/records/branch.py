"""The Git side of the results branch: commits batches of files, brings the remote's commits here, pushes ours.

Blocking; called by writer.py in threads.

Three refs a branch: `refs/heads/<branch>` is ours, `refs/podium/remote/<branch>` what the remote had when last seen, and
`refs/podium/pushed/<branch>` the newest commit of ours that is known to be there. What always holds: nothing is ever forced; a
commit of ours that is not pushed is put on top of what others pushed (paths never collide); a file that is already there with the
same bytes is not committed again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from podium.base.errors import GitError, GitMoved, GitRefused
from podium.base.ports import QueuedFile
from podium.base.system.ids import new_id
from podium.base.system.log import get_logger
from podium.git.commits import Blob, check_path
from podium.git.objects import object_id
from podium.git.remote import NETWORK_TIMEOUT_S
from podium.git.repo import Credentials, Repository
from podium.records.layout import STATE, Rotation, branch_at, parse
from podium.records.message import commit_message, root_message
from podium.records.places import Places

log = get_logger(__name__)
_ATTEMPTS = 5
_FILES_A_SECOND = 500
"""What a push sends at the least: one of a million files that waited for a remote must not be ended for ever by the time of a small one."""
_README = b"""# Results

Written by Podium, one commit for each batch of finished executions. Do not edit the files in `executions/`: they are the record.

- `executions/<year>/<month>/<day>/<hour>/<namespace>/<flow>/` one JSON file an execution, and its task log
- `syncs/` what each deployed commit changed, accepted and refused
- `state/` the key-value store and where triggers stand

Read with `podium results log`, check with `podium results verify`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A batch is in `commit` of the local `branch`. paths: of each file, in order. made: False when everything was there already."""

    branch: str
    commit: str
    paths: tuple[str, ...]
    made: bool


class Branch:
    """branch: its name, or with rotation the prefix of its periods. url: the remote, None to keep everything here."""

    def __init__(
        self,
        repository: Repository,
        *,
        branch: str,
        url: str | None,
        credentials: Credentials | None,
        instance: str,
        rotate: Rotation = "never",
        signing_key: Path | None = None,
    ) -> None:
        self._repository = repository
        self._branch = branch
        self._url = url
        self._credentials = credentials
        self._instance = instance
        self._rotate: Rotation = rotate
        self._signing_key = signing_key
        self._lock = threading.RLock()
        self._tips: dict[str, str] = {}
        self._places = Places(self._folder)
        self._current = ""
        self._first_id = new_id()
        self._tried_to: int | None = None
        self._newest_seq = 0

    # ---- committing

    def continue_after(self, seq: int) -> None:
        """What was queued up to there a former life may have committed. Until this is told, that is so of every file."""
        with self._lock:
            self._tried_to = seq

    def commit(self, files: Sequence[QueuedFile], at: datetime) -> Committed:
        """Commit the files to the branch of that moment. Durable when it returns. Raises GitError; nothing is lost then."""
        with self._lock:
            self._newest_seq = max((file.seq for file in files), default=self._newest_seq)
            try:
                for _ in range(_ATTEMPTS - 1):
                    try:
                        return self._commit(files, at)
                    except GitMoved:
                        self._doubt()
                return self._commit(files, at)
            except BaseException:
                self._doubt()
                raise

    def _commit(self, files: Sequence[QueuedFile], at: datetime) -> Committed:
        name = branch_at(self._branch, self._rotate, at)
        if name != self._current:
            self._forget()
            self._current = name
        tip = self._tip(name) or self._begin(name, at)
        placed = [self._places.place(_safe(file.path), tried=self._tried(file)) for file in files]
        paths = tuple(path for path, _ in placed)
        doubtful = {path for path, tried in placed if tried}
        changes = {path: file.body for path, file in zip(paths, files, strict=True)}
        new = {path: body for path, body in changes.items() if path not in doubtful or not self._has(tip, path, body)}
        if not doubtful:
            self._places.settled()
        if not new:
            return Committed(branch=name, commit=tip, paths=paths, made=False)
        made = [file for path, file in zip(paths, files, strict=True) if path in new]
        commit = self._repository.commit(
            ref=f"refs/heads/{name}",
            parent=tip,
            changes=new,
            message=commit_message(made, instance=self._instance),
            at=at,
            signing_key=self._signing_key,
        )
        self._tips[name] = commit
        return Committed(branch=name, commit=commit, paths=paths, made=True)

    def _tried(self, file: QueuedFile) -> bool:
        """Whether the branch may have it: given to a commit before, or of an execution older than this process.

        The latter for a home that was put back from a backup: it queues again what the branch has.
        """
        name = file.path.rpartition("/")[2]
        return self._tried_to is None or file.seq <= self._tried_to or name < self._first_id

    def _has(self, tip: str, path: str, body: bytes) -> bool:
        folder, _, name = path.rpartition("/")
        return self._repository.folder(tip, folder).get(name) == ("file", object_id("blob", body))

    def _begin(self, name: str, at: datetime) -> str:
        """The first commit of a branch: a README, and what `state/` held in the one before."""
        changes: dict[str, bytes | Blob | None] = {"README.md": _README}
        previous = self._previous(name)
        tip = self._tip(previous) if previous else None
        count = None
        if tip:
            changes |= {path: Blob(blob) for path, blob in self._repository.files(tip, STATE).items()}
            count = len({place.execution_id for path, _ in self._repository.paths(tip, "executions") if (place := parse(path))})
        message = root_message(name, instance=self._instance, previous=previous, previous_tip=tip, previous_count=count)
        commit = self._repository.commit(
            ref=f"refs/heads/{name}", parent=None, changes=changes, message=message, at=at, signing_key=self._signing_key
        )
        self._tips[name] = commit
        log.info("results_branch_begun", branch=name, previous=previous)
        return commit

    def _previous(self, name: str) -> str | None:
        earlier = sorted(known for known in self.names() if known < name)
        return earlier[-1] if earlier else None

    # ---- the remote

    def names(self) -> list[str]:
        """The local branches: the one, or one a period."""
        return sorted(ref.removeprefix("refs/heads/") for ref in self._repository.refs("refs/heads/") if self._ours(ref))

    def unpushed(self) -> list[str]:
        """Names of branches whose tip is not known to be on the remote, oldest period first."""
        heads, pushed = self._repository.refs("refs/heads/"), self._repository.refs("refs/podium/pushed/")
        names = sorted(ref.removeprefix("refs/heads/") for ref in heads if self._ours(ref))
        return [name for name in names if pushed.get(f"refs/podium/pushed/{name}") != heads[f"refs/heads/{name}"]]

    def tip(self, name: str) -> str | None:
        """The newest local commit of that branch."""
        return self._repository.resolve(f"refs/heads/{name}")

    def fetch(self, name: str) -> None:
        """Bring the remote's commits here. Raises GitError when it is away."""
        assert self._url is not None
        refspec = f"+refs/heads/{name}:refs/podium/remote/{name}"
        try:
            self._repository.fetch(self._url, refspecs=[refspec], credentials=self._credentials)
        except GitRefused as error:
            if error.facts.get("reason") != "branch-gone":
                raise
            self._repository.update_ref(f"refs/podium/remote/{name}", None)

    def join(self, name: str) -> str | None:
        """Continue from what was fetched: ours goes on top of it. The new tip if commits of ours had to be made again, else None."""
        known = f"refs/podium/pushed/{name}"
        with self._lock:
            theirs, ours, pushed = (self._repository.resolve(ref) for ref in (f"refs/podium/remote/{name}", f"refs/heads/{name}", known))
            if theirs is None:
                return None
            if ours is None or (ours != theirs and self._repository.is_ancestor(ours, theirs)):
                self._repository.update_refs([(f"refs/heads/{name}", theirs, ours or ""), (known, theirs, pushed or "")])
                self._forget()
                return None
            if self._repository.is_ancestor(theirs, ours):
                self._repository.update_ref(known, theirs)
                return None
            tip = self._repository.replay(
                ref=f"refs/heads/{name}", old=ours, onto=theirs, done=[pushed] if pushed else [], signing_key=self._signing_key
            )
            self._repository.update_ref(known, theirs)
            self._forget()
            log.info("results_put_on_new_tip", branch=name, theirs=theirs, tip=tip)
            return tip

    def push(self, name: str, commit: str, *, files: int) -> None:
        """Send that commit to the remote branch. files: how many it has not yet, about: many have longer.

        Raises GitMoved (pull, then again), GitRefused, GitError.
        """
        assert self._url is not None
        timeout_s = NETWORK_TIMEOUT_S + files / _FILES_A_SECOND
        self._repository.push(self._url, f"{commit}:refs/heads/{name}", credentials=self._credentials, timeout_s=timeout_s)
        self._repository.update_ref(f"refs/podium/pushed/{name}", commit)

    def adopt(self, at: datetime) -> None:
        """At start: mend what is damaged here, then continue what the remote has.

        Raises GitError when it is away: the branch then begins here, and is joined later.
        """
        with self._lock:
            if self._repository.mend():
                self._forget()
        if self._url is None:
            return
        current = branch_at(self._branch, self._rotate, at)
        there = self._repository.remote_heads(self._url, "refs/heads/*", credentials=self._credentials)
        earlier = sorted(name for ref in there if self._ours(ref) and (name := ref.removeprefix("refs/heads/")) < current)
        self._refuse_clash(current, there)
        for name in [*earlier[-1:], *([current] if f"refs/heads/{current}" in there else [])]:
            self.fetch(name)
            self.join(name)

    def _refuse_clash(self, current: str, there: Iterable[str]) -> None:
        """Git cannot have both `results` and `results/2026-01`."""
        for ref in there:
            name = ref.removeprefix("refs/heads/")
            if current.startswith(name + "/") or name.startswith(current + "/"):
                raise GitRefused(
                    f"the results branch {current!r} cannot be made: the remote has a branch {name!r}",
                    reason="branch-clash",
                    hint="turn it into a period with `podium results rotate`, or choose another results.branch",
                    branch=current,
                )

    # ---- helpers

    def _ours(self, ref: str) -> bool:
        name = ref.removeprefix("refs/heads/")
        return name == self._branch if self._rotate == "never" else name.startswith(self._branch + "/")

    def _tip(self, name: str) -> str | None:
        known = self._tips.get(name)
        if known is None:
            known = self.tip(name)
            if known is not None:
                self._tips[name] = known
        return known

    def _folder(self, path: str) -> dict[str, tuple[str, str]]:
        tip = self._tips.get(self._current)
        return self._repository.folder(tip, path) if tip else {}

    def forget(self) -> None:
        """Read everything from the repository again: a batch was committed but could not be marked so."""
        with self._lock:
            self._doubt()

    def _doubt(self) -> None:
        """The last batch may be in the branch or not."""
        if self._tried_to is not None:
            self._tried_to = max(self._tried_to, self._newest_seq)
        self._forget()

    def _forget(self) -> None:
        self._tips.clear()
        self._places.clear()


def _safe(path: str) -> str:
    """The path, or for one that Git cannot hold another place: one file must not stop all."""
    try:
        check_path(path)
    except GitError as error:
        log.error("results_path_impossible", path=path, error=error.what)
        return f"misplaced/{object_id('blob', path.encode('utf-8', 'surrogateescape'))}"
    return path
