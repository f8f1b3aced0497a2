"""The parts list: builds every room from the settings and connects them. No business here.

`open_core` is the middle of the house (journal, conductor, worker), shared by the daemon and by `podium run`;
`open_daemon` adds what comes in and goes out. Closing goes in reverse: inbound, attempts, records, store.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import tzinfo
from importlib.metadata import version
from pathlib import Path
from typing import Any

from podium.app.layers import first_line
from podium.app.plugins import load_types, load_vocabulary, reader
from podium.app.settings import Retention as RetentionSettings
from podium.app.settings import Settings
from podium.app.testing.mocks import Mocks
from podium.app.wiring.results import NoBranch, ResultsBranch, open_branch
from podium.app.wiring.runners import open_runners
from podium.base.errors import StoreError
from podium.base.ports import CopilotControls
from podium.base.system.clock import Clock, SystemClock
from podium.base.system.disk import Room
from podium.base.system.log import get_logger
from podium.base.system.memory import settle
from podium.base.system.zone import zone_of
from podium.conductor.chains.chains import Chains
from podium.conductor.closing import Branch, Closer
from podium.conductor.core.conductor import Conductor
from podium.conductor.core.evaluate import Evaluator
from podium.conductor.core.performing import Performer
from podium.conductor.core.requests import Requests
from podium.conductor.forms.evaluating import Evaluating
from podium.conductor.library import Library
from podium.conductor.limits.bounds import Bounds
from podium.conductor.limits.shares import Pool
from podium.conductor.orchestrator import Podium
from podium.conductor.reads import StoreReads
from podium.conductor.starting import Starter
from podium.conductor.upkeep import Terms, Upkeep
from podium.engine.tree import FlowTree
from podium.flows.types import Types
from podium.rendering.renderer import Renderer
from podium.runners.remote.desk import Desk
from podium.storage.crypto import Cipher, load_or_make_key
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceSource
from podium.storage.secrets import Secrets
from podium.store.catalog import Catalog
from podium.store.db import Database
from podium.store.documents import Documents
from podium.store.journal import Journal
from podium.store.logs import Logs
from podium.store.queue import Queue
from podium.store.retention import Retention
from podium.store.views import Views
from podium.workers.worker import Worker

BranchMaker = Callable[[Queue], Awaitable[Branch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The middle of the house, started."""

    podium: Podium
    conductor: Conductor
    closer: Closer
    renderer: Renderer
    queue: Queue
    branch: ResultsBranch | NoBranch
    clock: Clock
    zone: tzinfo
    instance: str
    cipher: Cipher
    journal: Journal
    views: Views
    catalog: Catalog
    database: Database
    worker: Worker


def env_variables(environ: Mapping[str, str], prefixes: Sequence[str]) -> dict[str, str]:
    """What expressions see as `envs`: variables with one of these prefixes, which is cut off, in lower case. The first prefix wins."""
    found: dict[str, str] = {}
    for prefix in reversed(prefixes):
        found.update({name.removeprefix(prefix).lower(): value for name, value in environ.items() if name.startswith(prefix)})
    return found


@asynccontextmanager
async def open_core(
    settings: Settings, *, namespace_files: NamespaceSource, secrets: Secrets | None = None, results: bool = True, clock: Clock | None = None,
    environ: Mapping[str, str] | None = None, text_of: Callable[[str, str], str | None] | None = None, mocks: Mocks | None = None,
    on_lost: Callable[[], None] | None = None, desk: Desk | None = None,
) -> AsyncIterator[Core]:
    """Everything but what comes in. results: whether records go to a branch (else they stay in the journal). text_of: see Library.

    on_lost: see Database.open. desk: where containers on other machines come to, if there is a server for them.
    """
    env = os.environ if environ is None else environ
    clock = clock or SystemClock()
    (home := settings.home).mkdir(parents=True, exist_ok=True)
    zone = zone_of(settings.timezone)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        database = Database.open(home / "journal.db", on_lost=on_lost)
        stack.callback(database.close)
        journal, logs, views, catalog, queue = Journal(database), Logs(database), Views(database), Catalog(database), Queue(database)
        documents = Documents(database, clock)
        reads = StoreReads(documents=documents, logs=logs, views=views, clock=clock)
        cipher = Cipher(load_or_make_key(home / "instance.key"))
        files = FileStorage(settings.storage.url or home / "storage")
        allowed_paths = [Path(each) for each in settings.security.allowed_paths]
        library = Library(catalog, load_types(), text_of, mocks.tree if mocks else FlowTree, reader() if results else "")
        renderer = Renderer(
            files=files, namespace_files=namespace_files, secrets=secrets or secrets_of(settings, env), reads=reads, clock=clock, zone=zone,
            envs=env_variables(env, settings.env_prefixes), globals_=settings.globals, allowed_paths=allowed_paths,
            locate=library.locate, subflow=lambda **options: starter.call(loop, **options),
        )
        instance = settings.instance or instance_name(home)
        worker = await _open_worker(
            stack, settings, renderer=renderer, files=files, reads=reads, clock=clock, instance=instance, cipher=cipher, environ=env,
            abandon=not results, mocks=mocks, desk=desk,
        )
        branch = open_branch(settings, queue=queue, home=home, instance=instance, clock=clock) if results else NoBranch()
        closer = Closer(
            journal=journal, documents=documents, queue=queue, views=views, logs=logs, clock=clock, branch=branch, instance=instance,
            version=version("podium"), log_cap_bytes=settings.results.log_cap_bytes,
        )
        upkeep = Upkeep(retention=Retention(database), files=files, clock=clock, terms=terms_of(settings.retention))
        requests = Requests(documents, upkeep)
        conductor = Conductor(
            journal=journal, library=library, reads=reads, closer=closer, cipher=cipher, clock=clock,
            bounds=bounds_of(settings),
            performer=lambda owner: Performer(owner, worker=worker, evaluator=Evaluator(renderer), logs=logs, requests=requests, files=files),
        )
        podium = Podium(
            conductor=conductor, closer=closer, reads=reads, documents=documents, catalog=catalog, views=views, logs=logs, files=files, clock=clock,
            version=version("podium"), runner=settings.runner.type,
        )
        starter = Starter(
            conductor=conductor, journal=journal, documents=documents, renderer=renderer, files=files, cipher=cipher, clock=clock,
            existing=conductor.view, allowed_paths=allowed_paths if results else None,
        )
        podium.starter, podium.upkeep, podium.evaluating = starter, upkeep, Evaluating(conductor, closer, renderer)
        podium.room = Room(home, settings.limits.disk_free_min)
        starter.admit = podium.room.check
        conductor.performer.starter = starter
        requests.orchestrator = podium
        reads.in_flight = conductor.summary
        chains = Chains(
            conductor=conductor, library=library, starter=starter, documents=documents, renderer=renderer, clock=clock, zone=zone,
        ) if results else None
        library.load({each["key"]: each["value"]["commit"] for each in documents.entries("source")})
        await _begin(conductor, podium, chains, closer.run(), upkeep.run(), _read_flows(library, catalog, clock))
        stack.push_async_callback(conductor.close, drain_s=DRAIN_S if results else 0.0)
        yield Core(
            podium=podium, conductor=conductor, closer=closer, renderer=renderer, queue=queue, branch=branch, clock=clock, zone=zone,
            instance=instance, cipher=cipher, journal=journal, views=views, catalog=catalog, database=database, worker=worker,
        )


async def _begin(conductor: Conductor, podium: Podium, chains: Chains | None, *beside: Coroutine[Any, Any, None]) -> None:
    """Take up what was open, then work. beside: what goes on meanwhile."""
    await conductor.start()
    if chains is not None:
        podium.shown = chains.shown
        chains.recover()
    for work in beside:
        conductor.spawn(work, "beside")
    settle()


def bounds_of(settings: Settings) -> Bounds:
    """What the settings say about how much there may be of what waits and runs."""
    said = settings.limits
    return Bounds(
        attempts_max=settings.runner.concurrency,
        queued_commands_max=said.queued_commands_max, command_wait_s_max=said.command_wait_s_max, open_executions_max=said.open_executions_max,
        running_executions_max=said.running_executions_max, queued_per_flow_max=said.queued_per_flow_max,
        task_runs_per_flow_max=said.task_runs_per_flow_max,
        pools={name: Pool(flows=pool.flows, slots=pool.slots, priority=pool.priority) for name, pool in settings.pools.items()},
    )


async def _open_worker(
    stack: AsyncExitStack, settings: Settings, *, renderer: Renderer, files: FileStorage, reads: StoreReads, clock: Clock, instance: str,
    cipher: Cipher, environ: Mapping[str, str], abandon: bool, mocks: Mocks | None, desk: Desk | None,
) -> Worker:
    """The worker and the runners under it, closed with the stack. abandon: nobody will take up what still runs then."""
    runners = await open_runners(settings, home=settings.home, instance=instance, clock=clock, environ=environ, desk=desk)
    for runner in runners.values():
        stack.push_async_callback(runner.close)
    worker = (mocks.worker if mocks else Worker)(
        renderer=renderer, files=files, runners=runners, default_runner=settings.runner.type, reads=reads,
        clock=clock, home=settings.home, instance=instance, images=settings.runner.images,
        pass_env={name: environ[name] for name in settings.runner.pass_env if name in environ}, cipher=cipher, types=load_types(),
        environ=environ,
    )
    stack.push_async_callback(worker.close, abandon=abandon)
    return worker


def terms_of(settings: RetentionSettings) -> Terms:
    """How long things stay."""
    return Terms(
        executions=settings.executions_days, files=settings.storage_days, logs=settings.logs_days, metrics=settings.metrics_days,
        keys=settings.dedupe_days, caches=settings.caches_days,
    )


log = get_logger(__name__)
DRAIN_S = 5.0
"""Seconds that running attempts get at shutdown; commands that last longer go on by themselves and are taken up again."""


def secrets_of(settings: Settings, environ: Mapping[str, str], file: Path | None = None) -> Secrets:
    """Where `secret()` looks."""
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    return Secrets(environ, credentials_directory=Path(credentials) if credentials else None, file=file or settings.secrets.file)


def instance_name(home: Path) -> str:
    """The name of this daemon, made once and kept in its home."""
    from podium.base.system.ids import new_id

    path = home / "instance"
    name = path.read_text("utf-8").strip() if path.exists() else ""
    if not name:
        name = new_id()[-12:].lower()
        draft = path.with_suffix(".draft")
        draft.write_text(name + "\n", "utf-8")
        draft.replace(path)
    return name


async def _read_flows(library: Library, catalog: Catalog, clock: Clock) -> None:
    """See Library.read_all."""
    try:
        if await library.read_all():
            await catalog.mark_read(library.reader, clock.now())
    except StoreError as error:  # the next start reads them again
        log.info("flows_read_not_noted", error=error.what)


async def ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel and await."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def copilot_of(settings: Settings, core: Core, types: Types) -> CopilotControls | None:
    """The copilot, if there is a server for it."""
    ai, secrets = settings.ai, core.renderer.secrets
    if not ai.url:
        return None
    from podium.copilot.made import make_copilot
    from podium.copilot.provider import ProviderSettings
    from podium.flows.schema import json_schema

    key = ai.key.get_secret_value() if ai.key else first_line(ai.key_file, key="ai.key_file") if ai.key_file else ""
    provider = ProviderSettings(
        url=ai.url, model=ai.model, key=secrets.get("", ai.secret) if ai.secret else key, timeout_s=ai.timeout_s, max_tokens=ai.max_tokens,
        headers=ai.headers,
    )
    return make_copilot(provider, types=types, schema=lambda: json_schema(types, load_vocabulary()), secrets=lambda _: secrets.every())
