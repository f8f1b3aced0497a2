"""Who made a commit, when and why: what pages say of the commits that revisions and syncs come from.

Called by SourceWatcher. What always holds: a commit never changes, so what was read once is kept (the newest few thousand); one that is no
longer in the mirror is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from podium.base.ports import CommitFacts
from podium.git.repo import Repository

_KEPT = 4_096
_PERSON = re.compile(r"(?P<name>.*?) ?<(?P<email>[^>]*)> (?P<at>-?\d+) [+-]\d{4}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class CommitReader:
    """The commits of one repository."""

    def __init__(self) -> None:
        self._known: dict[str, CommitFacts] = {}

    def read(self, repository: Repository, commits: Iterable[str]) -> dict[str, CommitFacts]:
        """Those of `commits` that are there."""
        found: dict[str, CommitFacts] = {}
        for commit in commits:
            if not _COMMIT.fullmatch(commit):
                continue
            if commit not in self._known and repository.has(commit):
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[commit] = facts_of(repository.read(commit))
            if commit in self._known:
                found[commit] = self._known[commit]
        return found


def facts_of(body: bytes) -> CommitFacts:
    """A commit object as Git stores it. What cannot be read is empty text: commits of other programs may hold anything."""
    head, _, message = body.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    encoding = next((line.removeprefix("encoding ") for line in lines if line.startswith("encoding ")), "utf-8")
    author, email, at = _person(next((line.removeprefix("author ") for line in lines if line.startswith("author ")), ""))
    committer = _person(next((line.removeprefix("committer ") for line in lines if line.startswith("committer ")), ""))[0]
    text = _decode(message, encoding).strip()
    return CommitFacts(
        author=author, email=email, at=at, committer=committer, subject=text.partition("\n")[0], message=text,
        parents=tuple(line.removeprefix("parent ") for line in lines if line.startswith("parent ")),
    )


@lru_cache(maxsize=256)
def _person(text: str) -> tuple[str, str, datetime]:
    match = _PERSON.fullmatch(text)
    if match is None:
        return text, "", datetime.fromtimestamp(0, UTC)
    try:
        at = datetime.fromtimestamp(int(match["at"]), UTC)
    except (OverflowError, ValueError, OSError):
        at = datetime.fromtimestamp(0, UTC)
    return match["name"], match["email"], at


def _decode(message: bytes, encoding: str) -> str:
    try:
        return message.decode(encoding, "replace")
    except LookupError:
        return message.decode("utf-8", "replace")
