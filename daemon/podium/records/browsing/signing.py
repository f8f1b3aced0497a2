"""Who signed a commit of the results branch: our own key, another one, nobody. Blocking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from podium.base.errors import PodiumError
from podium.git.credentials import public_key
from podium.git.repo import Repository

_PRINCIPAL = "podium"


class Signers:
    """Our own key as a file of allowed signers, made when first needed."""

    def __init__(self, key: Path, target: Path) -> None:
        self._key, self._target = key, target
        self._made = False

    def file(self) -> Path:
        """The file. Raises GitError when the key cannot be read."""
        if not self._made:
            self._target.write_text(f'{_PRINCIPAL} namespaces="git" {public_key(self._key)}\n', "utf-8")
            self._made = True
        return self._target


def is_signed(repository: Repository, commit: str) -> bool:
    """Whether the commit has a signature, valid or not."""
    return b"\ngpgsig" in repository.read(commit).partition(b"\n\n")[0]


def signature_of(repository: Repository, commit: str, signers: Signers | None) -> dict[str, Any]:
    """{state, by}: good (by our key), bad (a signature that is not valid, or of another key), unknown (signed; we have no key to compare), none."""
    if not is_signed(repository, commit):
        return {"state": "none", "by": ""}
    if signers is None:
        return {"state": "unknown", "by": ""}
    try:
        good = repository.check_signature(commit, signers.file())
    except PodiumError as error:
        return {"state": "unknown", "by": error.what[:200]}
    return {"state": "good" if good else "bad", "by": "this daemon's key" if good else ""}
