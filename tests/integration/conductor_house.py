"""A conductor over a real database, real storage and real expressions; only the worker does as it is told."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

from podium.app.plugins import load_types
from podium.base.ports import Deployment, FlowRevision, LogLine
from podium.base.system.clock import Clock, SystemClock
from podium.conductor.chains.chains import Chains
from podium.conductor.closing import Closer
from podium.conductor.core.conductor import Conductor
from podium.conductor.core.evaluate import Evaluator
from podium.conductor.core.performing import Performer
from podium.conductor.core.requests import Requests
from podium.conductor.forms.evaluating import Evaluating
from podium.conductor.library import Library
from podium.conductor.limits.bounds import Bounds
from podium.conductor.orchestrator import Podium
from podium.conductor.reads import StoreReads
from podium.conductor.starting import Starter
from podium.conductor.upkeep import Terms, Upkeep
from podium.flows.load import parse_flows
from podium.rendering.renderer import Renderer
from podium.storage.crypto import Cipher
from podium.storage.files import FileStorage
from podium.storage.namespace import WorkTreeFiles
from podium.storage.secrets import Secrets
from podium.store.catalog import Catalog
from podium.store.db import Database
from podium.store.documents import Documents
from podium.store.journal import Journal
from podium.store.logs import Logs
from podium.store.queue import Queue
from podium.store.retention import Retention
from podium.store.views import Views
from podium.workers.work import Ended, Work


class ToldWorker:
    """Ends every attempt as `tell` says: an Ended, or None to leave it running until it is killed."""

    def __init__(self, clock: Clock, tell: Callable[[Work], Any] | None = None) -> None:
        self.clock = clock
        self.tell = tell or (lambda work: "SUCCESS")
        self.works: list[Work] = []
        self.killed: dict[str, asyncio.Event] = {}
        self.released: list[str] = []
        self.reaped: list[set[str]] = []

    async def run(self, work: Work, sink: Any) -> Ended:
        self.works.append(work)
        await sink.append([LogLine(at=self.clock.now(), level="INFO", message=f"ran {work.task.id}")])
        told = self.tell(work)
        if told is None:
            event = self.killed.setdefault(work.attempt_id, asyncio.Event())
            await event.wait()
            told = "KILLED"
        if isinstance(told, Ended):
            return told
        now = self.clock.now()
        return Ended(state=told, started_at=now, ended_at=now, error=None if told == "SUCCESS" else f"it was {told}")

    async def kill(self, attempt_id: str) -> None:
        self.killed.setdefault(attempt_id, asyncio.Event()).set()

    async def release(self, attempt_id: str) -> None:
        self.released.append(attempt_id)

    async def reap(self, live: set[str]) -> None:
        self.reaped.append(live)

    async def open_workspace(self, work: Any) -> None:
        pass

    async def close_workspace(self, work: Any, *, collect: bool = True) -> dict[str, Any]:
        return {}


class NoBranch:
    def wake(self) -> None:
        pass

    async def status(self) -> dict[str, Any]:
        return {}

    async def body(self, execution_id: str, path: str) -> None:
        return None

    async def log(self, execution_id: str, path: str) -> None:
        return None


class House:
    """The rooms from storage to conductor."""

    def __init__(
        self, home: Path, clock: Clock, tell: Callable[[Work], Any] | None = None, *, worker: Any = None, database: Database | None = None,
        branch: Any = None, secrets: Mapping[str, str] | None = None, bounds: Bounds | None = None,
    ) -> None:
        """worker, database, branch: others than the told worker, the database of the home, and no branch. secrets: by name."""
        environ = {f"SECRET_{name}": b64encode(value.encode()).decode() for name, value in (secrets or {}).items()}
        self.clock = clock
        self.database = database or Database.open(home / "journal.db")
        self.journal, self.logs, self.views = Journal(self.database), Logs(self.database), Views(self.database)
        self.catalog, self.queue = Catalog(self.database), Queue(self.database)
        self.documents = Documents(self.database, clock)
        self.reads = StoreReads(documents=self.documents, logs=self.logs, views=self.views, clock=clock)
        cipher = Cipher(b"k" * 32)
        files = FileStorage(home / "storage")
        self.renderer = Renderer(files=files, namespace_files=WorkTreeFiles(home), secrets=Secrets(environ), reads=self.reads, clock=clock, zone=UTC)
        self.worker = worker or ToldWorker(clock, tell)
        self.closer = Closer(
            journal=self.journal, documents=self.documents, queue=self.queue, views=self.views, logs=self.logs, clock=clock,
            branch=branch or NoBranch(), instance="test", version="0", log_cap_bytes=65536,
        )
        self.files = files
        self.upkeep = upkeep = Upkeep(retention=Retention(self.database), files=files, clock=clock, terms=Terms())
        requests = Requests(self.documents, upkeep)
        self.library = Library(self.catalog, load_types())
        self.conductor = Conductor(
            journal=self.journal, library=self.library, reads=self.reads, closer=self.closer, cipher=cipher, clock=clock,
            bounds=bounds or Bounds(attempts_max=8),
            performer=lambda owner: Performer(
                owner, worker=self.worker, evaluator=Evaluator(self.renderer), logs=self.logs, requests=requests,  # type: ignore[arg-type]
                files=files,
            ),
        )
        self.podium = Podium(
            conductor=self.conductor, closer=self.closer, reads=self.reads, documents=self.documents, catalog=self.catalog, views=self.views,
            logs=self.logs, files=files, clock=clock, version="0", runner="told",
        )
        self.podium.starter = self.conductor.performer.starter = Starter(
            conductor=self.conductor, journal=self.journal, documents=self.documents, renderer=self.renderer, files=files, cipher=cipher,
            clock=clock, existing=self.conductor.view,
        )
        requests.orchestrator = self.podium
        self.podium.upkeep = upkeep
        self.podium.evaluating = Evaluating(self.conductor, self.closer, self.renderer)
        self.reads.in_flight = self.conductor.summary
        self.chains = Chains(
            conductor=self.conductor, library=self.library, starter=self.podium.starter, documents=self.documents, renderer=self.renderer,
            clock=clock, zone=UTC,
        )
        self.podium.shown = self.chains.shown
        self.library.load({})

    async def deploy(self, *texts: str, revision: int = 1) -> None:
        accepted = []
        for text in texts:
            for parsed in parse_flows(text, file="flow.yaml", types=load_types()):
                assert parsed.flow is not None, [str(each) for each in parsed.problems]
                accepted.append(FlowRevision(
                    namespace=str(parsed.namespace), flow_id=str(parsed.flow_id), revision=revision, source="main", commit="c" * 40,
                    path="flow.yaml", blob="b" * 40, text=text, parse=lambda parsed=parsed: parsed.flow, deployed_at=self.clock.now(),
                ))
        await self.podium.deploy(Deployment(
            source="main", commit="c" * 40, previous_commit=None, accepted=accepted, removed=[], moved=[], rejected=[], held=None,
            sync_path=f"syncs/2026/01/05/{'c' * 40}.json", sync_body=b"{}", at=self.clock.now(),
        ))


@asynccontextmanager
async def house(
    home: Path, *, clock: Clock | None = None, tell: Callable[[Work], Any] | None = None, secrets: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
) -> AsyncIterator[House]:
    """A house that is open; leaving it is as abrupt as the caller makes it: nothing is drained."""
    opened = House(home, clock or SystemClock(), tell, secrets=secrets, bounds=bounds)
    await opened.conductor.start()
    opened.chains.recover()
    try:
        yield opened
    finally:
        await opened.conductor.close(drain_s=0)
        opened.database.close()
