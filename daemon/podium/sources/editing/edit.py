"""One commit that somebody wants to make, and how it is refused. Called by publish; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from podium.base.errors import EditConflict, GitRefused
from podium.base.ports import Author, FileChange
from podium.sources.editing.state import HEADS


class PushRefused(GitRefused):
    """The remote's hook or a protection of the branch does not let the commit in."""

    code = "push-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What somebody wants to commit. base: what they saw. branch: the one it goes to, made from base when new_branch."""

    changes: Sequence[FileChange]
    base: str
    message: str
    author: Author
    branch: str
    new_branch: bool


def message_for(changes: Sequence[FileChange]) -> str:
    """The message of a commit whose author gave none."""
    if len(changes) == 1:
        return f"{'Remove' if changes[0].data is None else 'Update'} {changes[0].path}"
    return f"Change {len(changes)} files"


def conflict(conflicts: list[dict[str, Any]], head: str, branch: str) -> EditConflict:
    """The refusal of changes to files that somebody else changed."""
    names = ", ".join(str(each["path"]) for each in conflicts[:3]) + (" and others" if len(conflicts) > 3 else "")
    return EditConflict(
        f"somebody else changed {names} on branch '{branch}' meanwhile", hint="look at both, put your change on top, and save again",
        conflicts=conflicts, head=head,
    )


def kept_ref(branch: str) -> str:
    """Where a branch of the remote is kept here: flat, as `a` may go and `a/b` come."""
    return HEADS + quote(branch, safe="")
