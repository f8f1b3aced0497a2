"""A bare copy of a source's branch under `<home>/mirrors/<name>`: fetch → one commit. Called by watch; blocking, one caller at a time.

What always holds: the repository exists from the moment of opening, whether or not the remote can be reached; a branch that was
forced elsewhere is followed, and commits in use stay (they are pinned); a damaged copy is put aside and cloned again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from podium.base.errors import GitError
from podium.base.system.log import get_logger
from podium.git.repo import Repository
from podium.sources.editing.state import EDITS
from podium.sources.source import Source

log = get_logger(__name__)
_DAMAGE = frozenset({"corrupt", "missing-object"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a source holds at this moment. dirty: made from files on disk that are in no commit of the user's."""

    commit: str
    dirty: bool = False


class Mirror:
    """The local copy of one source."""

    def __init__(self, source: Source, home: Path) -> None:
        self._source = source
        self.repository = Repository.init_bare(home / "mirrors" / source.name)
        for ref in self.repository.refs(EDITS):  # commits that a crash left before they were pushed: nobody was told of them
            self.repository.update_ref(ref, None)

    def read(self) -> Snapshot:
        """Fetch the branch; the commit it is at. Raises GitError: unreachable, no access, no such branch."""
        spec = f"+refs/heads/{self._source.branch}:refs/heads/{self._source.branch}"
        try:
            self._fetch(spec)
        except GitError as error:
            if error.facts.get("reason") not in _DAMAGE:
                raise
            self.repair()
            self._fetch(spec)
        commit = self.repository.resolve(f"refs/heads/{self._source.branch}")
        if commit is None:
            raise GitError(
                f"branch '{self._source.branch}' of {self._source.shown_url()} has no commit", hint="push a first commit to it",
                reason="branch-gone",
            )
        return Snapshot(commit=commit)

    def repair(self) -> None:
        """Begin a new copy; the next read fills it."""
        self.repository = begin_again(self.repository)

    def close(self) -> None:
        """Let go of the repository."""
        self.repository.close()

    def _fetch(self, spec: str) -> None:
        self.repository.fetch(
            self._source.url, refspecs=[spec], credentials=self._source.credentials, timeout_s=self._source.fetch_timeout_s
        )


def begin_again(repository: Repository) -> Repository:
    """An empty repository of our own in the place of a damaged one, which is removed."""
    path = repository.git_dir
    log.warning("repository_damaged", path=str(path))
    repository.close()
    aside = path.with_name(f".{path.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    fresh = Repository.init_bare(path)
    shutil.rmtree(aside, ignore_errors=True)
    return fresh


def is_damage(error: GitError) -> bool:
    """Whether the error means that our copy is broken, so that a new clone helps."""
    return error.facts.get("reason") in _DAMAGE
