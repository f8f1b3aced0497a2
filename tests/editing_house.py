"""A served application over real repositories: what is saved through it becomes a commit there and is deployed. For tests of web/."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podium.base.ports import Deployment, FlowRevision, KnownFlow
from podium.git.repo import Repository
from podium.sources.publish import Publisher
from podium.sources.source import Source
from podium.sources.watch import SourceWatcher
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceFiles
from podium.storage.reader import FileReader
from web_client import Client, serving
from web_demo import World
from web_fake import TYPES, FakeOrchestrator


def flow(flow_id: str, *, namespace: str = "company.team", message: str = "hi", extra: str = "") -> str:
    return f"id: {flow_id}\nnamespace: {namespace}\n{extra}tasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: {message}\n"


class Deploying(FakeOrchestrator):
    """With flows as the sources deploy them."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.known: dict[tuple[str, str], KnownFlow] = {}
        self.pausing = asyncio.Event()
        self.pausing.set()

    async def deploy(self, deployment: Deployment) -> None:
        await self.pausing.wait()
        for each in deployment.accepted:
            self._put(each)
        for each in deployment.moved:
            self._put(each)
        for gone in deployment.removed:
            key = (gone.namespace, gone.flow_id)
            self.current.pop(key, None)
            self.known[key] = replace(gone, deleted=True, revision=gone.revision + 1)
        self.refused = [dict(each) | {"source": deployment.source, "commit": deployment.commit} for each in deployment.rejected]
        self.sync_records.insert(0, {"source": deployment.source, "commit": deployment.commit, "held": deployment.held})
        self.tell(kind="flows")

    def _put(self, revision: FlowRevision) -> None:
        key = (revision.namespace, revision.flow_id)
        self.current[key] = revision
        self.history.setdefault(key, []).append(revision)
        self.known[key] = KnownFlow(
            namespace=key[0], flow_id=key[1], revision=revision.revision, source=revision.source, commit=revision.commit, path=revision.path,
            blob=revision.blob,
        )

    def known_flows(self) -> Mapping[tuple[str, str], KnownFlow]:
        return self.known


class Bare:
    """A bare repository that others push to as well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repository = Repository.init_bare(path)

    def push(self, changes: Mapping[str, str | bytes | None], branch: str = "main") -> str:
        ref = f"refs/heads/{branch}"
        return self.repository.commit(
            ref=ref, parent=self.repository.resolve(ref), message="change", at=datetime(2026, 1, 5, tzinfo=UTC),
            changes={path: body.encode() if isinstance(body, str) else body for path, body in changes.items()},
        )

    def text(self, path: str, branch: str = "main") -> str | None:
        commit = self.repository.resolve(f"refs/heads/{branch}")
        body = self.repository.read_path(commit, path) if commit else None
        return body.decode() if body is not None else None

    def head(self, branch: str = "main") -> str:
        return self.repository.resolve(f"refs/heads/{branch}") or ""

    def files(self) -> list[str]:
        return sorted(self.repository.files(self.head()))

    def subjects(self) -> list[str]:
        return [each.subject for each in self.repository.log("refs/heads/main", limit=100)]


@dataclass
class House:
    client: Client
    bare: Bare
    orchestrator: Deploying
    watcher: SourceWatcher
    publisher: Publisher
    reader: FileReader


@asynccontextmanager
async def editing_house(
    tmp_path: Path, clock: Any, files: Mapping[str, str | bytes | None], *, others: tuple[Source, ...] = (), path: str = ".", **settings: Any
) -> AsyncIterator[House]:
    """Served, with these files deployed from a bare repository as source `main`."""
    bare = Bare(tmp_path / "flows.git")
    if files:
        bare.push(files)
    world = World(clock)
    orchestrator = world.orchestrator = Deploying(clock)
    sources = [Source(name="main", url=str(bare.path), path=path, poll_interval_s=0), *others]
    watcher = world.sources = SourceWatcher(sources, orchestrator, tmp_path / "home", TYPES, clock)  # type: ignore[assignment]  # the real one
    publisher = Publisher(watcher, orchestrator, TYPES, clock)  # type: ignore[arg-type]  # as above
    task = asyncio.create_task(watcher.run())  # type: ignore[attr-defined]  # as above
    try:
        async with asyncio.timeout(60):
            while not all(each.get("fetchedAt") or each.get("error") for each in watcher.status()):
                await asyncio.sleep(0.01)
        reader = FileReader(FileStorage(tmp_path / "storage"), NamespaceFiles(watcher.repositories()))  # type: ignore[attr-defined]  # as above
        async with serving(world, edits=publisher, files=reader, **settings) as client:
            yield House(client, bare, orchestrator, watcher, publisher, reader)  # type: ignore[arg-type]  # as above
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await watcher.close()  # type: ignore[attr-defined]  # as above
        bare.repository.close()
