"""Periods of a results branch that rotates: a branch becomes the first of them, old ones are forgotten. Blocking. For `podium results`.

What always holds: only a person's explicit command gets here; nothing is forced; what is deleted at the remote is exactly what is here,
and the newest closed period always stays, because the next one begins with its keys and trigger states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podium.base.errors import GitError, GitMoved
from podium.git.credentials import Credentials
from podium.git.remote import NETWORK_TIMEOUT_S, remove_branch
from podium.git.repo import Repository

_ROOTS = ("refs/heads", "refs/podium/remote", "refs/podium/pushed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where the branch is pushed to. url None: nowhere."""

    url: str | None
    credentials: Credentials | None

    def refs(self, repository: Repository, *patterns: str) -> dict[str, str]:
        """Ref → commit there. Raises GitError."""
        return dict(repository.remote_heads(self.url, *patterns, credentials=self.credentials)) if self.url is not None else {}

    def remove(self, repository: Repository, ref: str, expected: str) -> None:
        """Delete a ref there that is at `expected`. Raises GitMoved, GitRefused, GitError."""
        assert self.url is not None
        remove_branch(repository.git_dir, self.url, ref, expected, credentials=self.credentials, timeout_s=NETWORK_TIMEOUT_S)


def closed_periods(repository: Repository, branch: str, remote: Remote, *, current: str) -> list[str]:
    """The branches of periods before the current one, here or at the remote, oldest first. Raises GitError when the remote is away."""
    refs = [*repository.refs("refs/heads/"), *remote.refs(repository, "refs/heads/*")]
    names = {ref.removeprefix("refs/heads/") for ref in refs}
    return sorted(name for name in names if name.startswith(branch + "/") and name < current)


def forget(repository: Repository, branch: str, names: Sequence[str], remote: Remote) -> None:
    """Delete these periods, oldest first: at the remote, then here. Again after a failure in between goes on where it stopped.

    Raises GitMoved when the remote has another commit than this repository, or records here were not pushed: nothing of that period
    is deleted then. GitRefused when the remote forbids deleting. Space is given back by `Repository.reclaim`.
    """
    for name in sorted(names):
        period = name.removeprefix(branch + "/")
        there = remote.refs(repository, f"refs/heads/{name}", f"refs/podium/closed/{period}")
        here, theirs = repository.resolve(f"refs/heads/{name}"), there.get(f"refs/heads/{name}")
        if remote.url is not None and here is not None:
            if theirs is not None and theirs != here:
                raise GitMoved(f"{name} is at {theirs} on the remote and at {here} here", hint="nothing of it was deleted; look who pushed there")
            if theirs is None and repository.resolve(f"refs/podium/pushed/{name}") != here:
                raise GitMoved(f"{name} has records that were never pushed", hint="start the daemon, so that it pushes them")
        for ref, commit in there.items():
            remote.remove(repository, ref, commit)
        for ref in (*(f"{root}/{name}" for root in _ROOTS), f"refs/podium/closed/{period}"):
            if found := repository.resolve(ref):
                repository.update_ref(ref, None, found)


def close_branch(repository: Repository, branch: str, period: str, *, url: str | None, credentials: Credentials | None) -> str:
    """Make the branch a period of itself: `results` becomes `results/<period>`, here and at the remote; its new name.

    For a person who begins to rotate. Raises GitMoved when the remote has other commits: the daemon has to push or pull first.
    """
    name = f"{branch}/{period}"
    tip = repository.resolve(f"refs/heads/{branch}")
    if tip is None:
        raise GitError(f"there is no branch {branch}", hint="nothing to do: periods begin by themselves", reason="branch-gone")
    if url is not None:
        theirs = repository.remote_heads(url, f"refs/heads/{branch}", credentials=credentials).get(f"refs/heads/{branch}")
        if theirs is not None:
            if theirs != tip:
                raise GitMoved(f"{branch} is at {theirs} on the remote and at {tip} here", hint="start the daemon once, so that both agree")
            # First kept under another name: nothing is lost in between, and a hook that guards the branch lets it go.
            repository.push(url, f"{tip}:refs/podium/closed/{period}", credentials=credentials)
            remove_branch(repository.git_dir, url, f"refs/heads/{branch}", tip, credentials=credentials, timeout_s=NETWORK_TIMEOUT_S)
    for root in _ROOTS:
        if found := repository.resolve(f"{root}/{branch}"):
            repository.update_ref(f"refs/podium/closed/{period}", tip)
            repository.update_ref(f"{root}/{branch}", None, found)
    repository.update_ref(f"refs/heads/{name}", tip, "")
    if url is not None:
        repository.push(url, f"{tip}:refs/heads/{name}", credentials=credentials)
        repository.update_ref(f"refs/podium/pushed/{name}", tip)
    return name
