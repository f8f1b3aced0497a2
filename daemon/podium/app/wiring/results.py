"""The results branch of this daemon: which repository it is in, and the two ways to go without one."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from podium.app.settings import Settings
from podium.base.errors import PodiumError
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.git.credentials import Credentials
from podium.git.repo import Repository
from podium.records.browsing.browser import ResultsBrowser
from podium.records.layout import parse
from podium.records.read import ResultsReader
from podium.records.writer import ResultsWriter
from podium.store.queue import Queue

log = get_logger(__name__)


class NoBranch:
    """For `podium run`: records stay in the journal of a throw-away home."""

    def wake(self) -> None:
        """Nothing takes them."""

    async def status(self) -> Mapping[str, Any]:
        return {}

    async def body(self, execution_id: str, path: str) -> tuple[str, str, bytes] | None:
        return None

    async def log(self, execution_id: str, path: str) -> bytes | None:
        return None


class ResultsBranch:
    """conductor.closing.Branch over records."""

    def __init__(self, writer: ResultsWriter, reader: ResultsReader, *, home: Path, remote_names: Callable[[], list[str]]) -> None:
        self.writer = writer
        self.reader = reader
        self.home = home
        self.remote_names = remote_names
        """Names of the branches of results that the remote has. Blocking. Raises GitError."""
        self.browser: ResultsBrowser | None = None
        """For pages; set once it is opened."""
        self.trouble: PodiumError | None = None
        """Why nothing is written to the branch yet (rebuild.py)."""

    def wake(self) -> None:
        self.writer.wake()

    async def status(self) -> Mapping[str, Any]:
        found = dataclasses.asdict(await self.writer.status())
        if self.trouble is not None:
            found |= {"error": self.trouble.what, "hint": self.trouble.hint}
        return {**found, "held": self.trouble is not None}

    async def body(self, execution_id: str, path: str) -> tuple[str, str, bytes] | None:
        try:
            place = parse(path)
            assert place is not None, "records are queued under paths of layout"
            found = await asyncio.to_thread(self.reader.record, execution_id, namespace=place.namespace, flow_id=place.flow_id)
        except PodiumError as error:
            log.info("record_not_read", execution_id=execution_id, path=path, error=error.what)
            return None
        return (found.path, found.commit, found.body) if found is not None else None

    async def log(self, execution_id: str, path: str) -> bytes | None:
        place = parse(path)
        assert place is not None, "as above"
        try:
            return await asyncio.to_thread(self.reader.log, execution_id, namespace=place.namespace, flow_id=place.flow_id)
        except PodiumError as error:
            log.info("log_not_read", execution_id=execution_id, path=path, error=error.what)
            return None


def results_url(settings: Settings) -> str | None:
    """Where the branch is pushed to: its own setting, else the first source's repository, else nowhere."""
    if settings.results.url:
        return settings.results.url
    first = next(iter(settings.sources.values()), None)
    return first.url if first is not None else None


def results_credentials(settings: Settings) -> Credentials | None:
    """Those of the branch, else those of the first source."""
    first = next(iter(settings.sources.values()), None)
    results = settings.results
    key = results.ssh_key or (first.ssh_key if first else None)
    token = results.token_file or (first.token_file if first else None)
    username = results.username or (first.username if first else None)
    return Credentials(ssh_key=key, token_file=token, username=username) if key or token or username else None


def open_branch(settings: Settings, *, queue: Queue, home: Path, instance: str, clock: Clock) -> ResultsBranch:
    """The branch in a bare repository of our own below `home`, pushed to the remote."""
    repository = Repository.init_bare(home / "results.git")
    writer = ResultsWriter(
        queue=queue, repository=repository, instance=instance, clock=clock, branch=settings.results.branch, remote_url=results_url(settings),
        credentials=results_credentials(settings), rotate=settings.results.rotate, signing_key=settings.results.sign_key,
    )
    reader = ResultsReader(repository, branch=settings.results.branch)
    made = ResultsBranch(writer, reader, home=home, remote_names=lambda: _remote_names(settings, repository))
    made.browser = ResultsBrowser(
        repository, reader, branch=settings.results.branch, remote=results_url(settings), rotate=settings.results.rotate,
        sign_key=settings.results.sign_key, home=home, clock=clock, status=made.status, push=writer.push_soon,
    )
    return made


def _remote_names(settings: Settings, repository: Repository) -> list[str]:
    url, branch = results_url(settings), settings.results.branch
    if url is None:
        return []
    there = repository.remote_heads(url, "refs/heads/*", credentials=results_credentials(settings))
    names = sorted(ref.removeprefix("refs/heads/") for ref in there)
    return [name for name in names if name == branch or name.startswith(branch + "/")]
