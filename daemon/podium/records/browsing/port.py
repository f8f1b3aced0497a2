"""What pages ask of the results branch. Implemented by browser.py, wired by app, called by web. Each call reads a bounded part of it."""

from __future__ import annotations

from typing import Any, Protocol


class ResultsControls(Protocol):
    """See the module's docstring."""

    async def overview(self) -> dict[str, Any]:
        """{branches: [{name, commit, at, subject}], remote (no password) | None, branch, rotate, signs: whether commits are signed, bytes: of the
        repository, unpushed: {count, oldestSeconds, error, hint, pushedAt}}, the newest branch first."""
        ...

    async def commits(self, branch: str, *, limit: int, start: str | None = None) -> list[dict[str, Any]]:
        """The newest commits of a branch, or those from commit `start` on: {commit, parent, at, author, subject, executions, lines, signature}.

        signature: {state: good|bad|unknown|none|later, by}; `later`: it is being looked at. Raises NotFound.
        """
        ...

    async def folder(self, branch: str, path: str, *, skip: int = 0, limit: int = 500) -> dict[str, Any]:
        """{commit, folders: [name], files: [name], total: of files} of a folder at the tip of a branch. Raises NotFound."""
        ...

    async def read(self, branch: str, path: str) -> bytes:
        """A file at the tip of a branch. Raises NotFound."""
        ...

    async def origin(self, path: str, tip: str) -> dict[str, Any] | None:
        """The commit that brought the file at `path` of the branch whose newest commit is `tip`, as in `commits`, with its signature looked at,
        and `remote`."""
        ...

    async def push_now(self) -> None:
        """Try again to push what waits."""
        ...

    def verification(self) -> dict[str, Any]:
        """{state: never|running|done|failed, startedAt?, endedAt?, what?, count?, error?, report?:
        {ok, branches, commits, records, foreign, findings}}."""
        ...

    async def verify(self) -> None:
        """Begin to check the branch, unless that is under way."""
        ...
