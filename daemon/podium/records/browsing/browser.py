"""The results branch as people look at it: newest commits, folders, who signed what, checking all of it (port.ResultsControls).

Called by web, wired by app. What always holds: reading is done in threads and is bounded; one check at a time; whether a commit is signed is looked
at once, as a commit never changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from podium.base.errors import NotFound, PodiumError
from podium.base.moments import to_text
from podium.base.redact import redact_url
from podium.base.system.clock import Clock
from podium.base.system.ids import id_created_at
from podium.base.system.log import get_logger
from podium.git.history import CommitInfo, commit_before
from podium.git.repo import Repository
from podium.records.browsing.signing import Signers, is_signed, signature_of
from podium.records.layout import Rotation, parse
from podium.records.message import EXECUTIONS_TRAILER, INSTANCE_TRAILER
from podium.records.read import ResultsReader
from podium.records.upkeep.verify import verify

log = get_logger(__name__)
COMMITS_MAX, LINES_SHOWN, FINDINGS_SHOWN = 200, 8, 500
_KNOWN_MAX, _PATH_CHARS_MAX = 10_000, 1_000
_BYTES_EVERY_S = 60.0
_LATER = timedelta(minutes=15)
"""A record is looked for first among the commits up to so long after it was created."""


class ResultsBrowser:
    """See the module's docstring. sign_key: of our own commits; status: of the writer; push: wakes it."""

    def __init__(
        self, repository: Repository, reader: ResultsReader, *, branch: str, remote: str | None, rotate: Rotation, sign_key: Path | None,
        home: Path, clock: Clock, status: Callable[[], Awaitable[Mapping[str, Any]]], push: Callable[[], None],
    ) -> None:
        self._repository, self._reader, self._branch, self._remote, self._rotate = repository, reader, branch, remote, rotate
        self._clock, self._status, self._push = clock, status, push
        self._signers = Signers(sign_key, home / "allowed_signers") if sign_key is not None else None
        self._signed: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._looking: set[asyncio.Task[None]] = set()
        self._bytes: tuple[datetime, int] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._check: dict[str, Any] = {"state": "never"}
        self._checked_repository: Callable[[], Repository] = lambda: Repository.open(repository.git_dir)

    # ---- what is there
    async def overview(self) -> dict[str, Any]:
        """See ResultsControls."""
        status = await self._status()
        branches = await asyncio.to_thread(self._tips)
        return {
            "branches": branches, "branch": self._branch, "remote": redact_url(self._remote) if self._remote else None, "rotate": self._rotate,
            "signs": self._signers is not None, "bytes": await self._size(),
            "unpushed": {
                "count": status.get("unpushed") or 0, "oldestSeconds": status.get("oldest_s"), "error": status.get("error"),
                "hint": status.get("hint"),
                "pushedAt": to_text(status["pushed_at"]) if status.get("pushed_at") else None,
            },
        }

    def _tips(self) -> list[dict[str, Any]]:
        found = []
        for name, tip in self._reader.tips():
            newest = self._repository.log(tip, limit=1)[0]
            found.append({"name": name, "commit": tip, "at": to_text(newest.at), "subject": newest.subject})
        return found

    async def _size(self) -> int:
        """Bytes of the repository; looked at once a minute, as it has many files."""
        now = self._clock.now()
        if self._bytes is None or (now - self._bytes[0]).total_seconds() > _BYTES_EVERY_S:
            self._bytes = (now, await asyncio.to_thread(_bytes_below, self._repository.git_dir))
        return self._bytes[1]

    def _tip(self, branch: str) -> str:
        for name, tip in self._reader.tips():
            if name == branch:
                return tip
        raise NotFound(f"there is no branch of results '{branch[:100]}'", hint="see /results for those there are", branch=branch[:100])

    async def commits(self, branch: str, *, limit: int, start: str | None = None) -> list[dict[str, Any]]:
        """See ResultsControls."""
        found = await asyncio.to_thread(self._log, branch, min(limit, COMMITS_MAX), start)
        missing = [each.id for each in found if each.id not in self._signed]
        if missing:
            task = asyncio.create_task(asyncio.to_thread(self._look_at, missing), name="signatures")
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)
        return [self._shown(each) for each in found]

    def _log(self, branch: str, limit: int, start: str | None) -> list[CommitInfo]:
        tip = self._tip(branch)
        if start is not None:
            found = self._repository.resolve(start)
            if found is None or not self._repository.is_ancestor(found, tip):
                raise NotFound(f"commit {start[:40]} is not on {branch}", hint="begin at the newest", branch=branch)
            tip = found
        commits = self._repository.log(tip, limit=limit)
        for each in commits:  # what takes no process is known at once
            if each.id not in self._signed and (self._signers is None or not is_signed(self._repository, each.id)):
                self._signed[each.id] = signature_of(self._repository, each.id, None)
        return commits

    def _shown(self, commit: CommitInfo) -> dict[str, Any]:
        body = commit.message.split("\n\n")[1:-1]
        lines = body[0].splitlines() if body else []
        return {
            "commit": commit.id, "parent": commit.parents[0] if commit.parents else None, "at": to_text(commit.at), "author": commit.author,
            "subject": commit.subject, "executions": commit.trailers.get(EXECUTIONS_TRAILER), "instance": commit.trailers.get(INSTANCE_TRAILER),
            "lines": lines[:LINES_SHOWN], "more": max(0, len(lines) - LINES_SHOWN),
            "signature": self._signed.get(commit.id) or {"state": "later", "by": ""},
        }

    def _look_at(self, commits: list[str]) -> None:
        """See who signed these. In a thread."""
        for each in commits:
            if each not in self._signed:
                self._signed[each] = signature_of(self._repository, each, self._signers)
            while len(self._signed) > _KNOWN_MAX:
                self._signed.popitem(last=False)

    async def folder(self, branch: str, path: str, *, skip: int = 0, limit: int = 500) -> dict[str, Any]:
        """See ResultsControls."""
        return await asyncio.to_thread(self._folder, branch, path.strip("/"), skip, limit)

    def _folder(self, branch: str, path: str, skip: int, limit: int) -> dict[str, Any]:
        tip = self._tip(branch)
        if path:
            _check(path)
        entries = self._repository.folder(tip, path or ".")
        if not entries:
            raise NotFound(f"{branch} has no folder '{path[:200]}'", hint="go up", path=path[:200])
        dated = path.startswith(("executions", "syncs"))
        files = sorted((name for name, (kind, _) in entries.items() if kind == "file"), reverse=dated)
        folders = sorted((name for name, (kind, _) in entries.items() if kind == "folder"), reverse=dated and path.count("/") < 4)
        return {"commit": tip, "folders": folders, "files": files[skip : skip + limit], "total": len(files)}

    async def read(self, branch: str, path: str) -> bytes:
        """See ResultsControls."""

        def read() -> bytes:
            _check(path)
            body = self._repository.read_path(self._tip(branch), path)
            if body is None:
                raise NotFound(f"{branch} has no file '{path[:200]}'", hint="go up", path=path[:200])
            return body

        return await asyncio.to_thread(read)

    async def origin(self, path: str, tip: str) -> dict[str, Any] | None:
        """See ResultsControls."""

        def find() -> CommitInfo | None:
            place, start = parse(path), None
            if place is not None and not place.amend:
                start = commit_before(self._repository.git_dir, tip, id_created_at(place.execution_id) + _LATER)
            found = self._repository.log(start, limit=1, path=path) if start else []
            found = found or self._repository.log(tip, limit=1, path=path)
            if found:
                self._look_at([found[0].id])
            return found[0] if found else None

        commit = await asyncio.to_thread(find)
        return {**self._shown(commit), "remote": redact_url(self._remote) if self._remote else None} if commit is not None else None

    # ---- what can be done
    async def push_now(self) -> None:
        """See ResultsControls."""
        self._push()

    def verification(self) -> dict[str, Any]:
        """See ResultsControls."""
        return dict(self._check)

    async def verify(self) -> None:
        """See ResultsControls."""
        if self._checking is not None and not self._checking.done():
            return
        self._check = {"state": "running", "startedAt": to_text(self._clock.now()), "what": "", "count": 0}
        self._checking = asyncio.create_task(self._run_check(), name="verify results")

    async def _run_check(self) -> None:
        def tell(what: str, count: int) -> None:
            self._check |= {"what": what, "count": count}

        def work() -> dict[str, Any]:
            allowed = self._signers.file() if self._signers is not None else None
            with self._checked_repository() as repository:
                report = verify(repository, branch=self._branch, allowed_signers=allowed, on_step=tell)
            findings = [asdict(each) for each in report.findings[:FINDINGS_SHOWN]]
            return {
                "ok": report.ok, "branches": report.branches, "commits": report.commits, "records": report.records, "foreign": report.foreign[:100],
                "findings": findings, "problems": len(report.findings), "signatures": allowed is not None,
            }

        try:
            self._check |= {"report": await asyncio.to_thread(work), "state": "done"}
        except PodiumError as error:
            self._check |= {"state": "failed", "error": error.what, "hint": error.hint}
        except Exception as error:
            log.exception("verify_broke")
            self._check |= {"state": "failed", "error": str(error)[:300], "hint": "the daemon's log has the details"}
        self._check["endedAt"] = to_text(self._clock.now())

    async def close(self) -> None:
        """Stop waiting for what is looked at."""
        for task in [*self._looking, *([self._checking] if self._checking is not None else [])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _check(path: str) -> None:
    """Raises NotFound for what is no path in a repository."""
    if not path.isprintable() or len(path) > _PATH_CHARS_MAX or any(each in {"", ".", ".."} for each in path.split("/")):
        raise NotFound(f"there is no '{path[:200]!a}' on the branch", hint="go up")


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                total += path.stat().st_size
    return total
