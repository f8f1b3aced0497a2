"""The daemon: opens the house in order, tells systemd, waits for a signal, closes in reverse order.

Order of opening: home lock (a standby waits for it), store, recovery, records, web, sources, triggers. Of closing: triggers and
sources, web, attempts (what runs in a container goes on and is taken up again), records, store, lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from podium.app.layers import Layer
from podium.app.plugins import load_types, load_vocabulary
from podium.app.sdnotify import Notifier, listen_sockets
from podium.app.settings import Settings
from podium.app.wiring.about import About
from podium.app.wiring.core import DRAIN_S, Core, copilot_of, ended, open_core
from podium.app.wiring.home import BEAT_S, Heart, Hold, Owner, disk_trouble_told, end_fenced, home_lock, stand_by, take_descriptors
from podium.app.wiring.people import PeopleKeeper, calls_of, door_of
from podium.app.wiring.rebuild import restore_home, until_free
from podium.app.wiring.results import ResultsBranch
from podium.base.errors import GitError, PodiumError, StoreError
from podium.base.system import faults
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.flows.load import parse_flows
from podium.flows.schema import json_schema
from podium.flows.types import Types
from podium.git import process
from podium.git.credentials import Credentials
from podium.git.remote import is_local
from podium.git.repo import Repository
from podium.runners.remote.desk import Desk
from podium.sources.publish import Publisher
from podium.sources.source import Source
from podium.sources.watch import SourceWatcher
from podium.storage.namespace import NamespaceFiles
from podium.store.charts.reads import Charts
from podium.store.db import upgrade_due, upgrade_s
from podium.store.deliveries.log import StoredDeliveries
from podium.triggers.board import TriggerBoard
from podium.web.server import make_app, serve
from podium.workers.children.tables import Tables
from podium.workers.polls import Polls

log = get_logger(__name__)
RELEASE_EVERY_S = 3_600.0
HOME_LOOK_S = 1.0
BLOCKED = GitError("this home is empty and waits for the results repository", hint="see `results` in /health; results.first_wait_s says how long")
FIRST_LOOK_S = 5.0
"""Seconds that the start waits for the results branch, for an empty home; after that the pages say what it waits for."""
PUSH_AT_CLOSE_S, PUSH_BEFORE_STANDBY_S = 10.0, 1.0
"""Seconds that records get to reach the remote at shutdown, and when a standby waits to go on with it; the rest goes with the next start."""


class _Repositories(Mapping[str, tuple[Repository, str]]):
    """The mirrors of the sources, which are opened after what reads from them."""

    def __init__(self) -> None:
        self.opened: Mapping[str, tuple[Repository, str]] = {}

    def __getitem__(self, name: str) -> tuple[Repository, str]:
        return self.opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.opened)

    def __len__(self) -> int:
        return len(self.opened)

    def text(self, source: str, blob: str) -> str | None:
        """The text of a blob of a source, or None when it is not there (yet)."""
        try:
            return self.opened[source][0].read(blob).decode("utf-8")
        except (PodiumError, KeyError, UnicodeDecodeError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A daemon that serves. url: None when it listens on its Unix socket only."""

    core: Core
    sources: SourceWatcher
    triggers: TriggerBoard
    url: str | None
    socket: Path
    vital: Sequence[asyncio.Task[None]]
    """If one of these broke, it would only seem to work."""


def sources_of(settings: Settings, work_tree: Path | None) -> list[Source]:
    """The sources to follow: those of the settings, and a work tree given by flag."""
    found = [
        Source(
            name=name, url=each.url, branch=each.branch, path=each.path, poll_interval_s=each.poll_interval_s,
            credentials=Credentials(ssh_key=each.ssh_key, token_file=each.token_file, username=each.username)
            if each.ssh_key or each.token_file or each.username else None,
            hook_secrets=(each.webhook_secret.get_secret_value(),) if each.webhook_secret else (), forge=each.forge,
            defines_access=name == settings.security.access_source,
        )
        for name, each in settings.sources.items()
    ]
    if work_tree is not None:
        found.append(Source(name="worktree", directory=work_tree, poll_interval_s=5))
    return found


@asynccontextmanager
async def open_daemon(
    settings: Settings, *, work_tree: Path | None = None, hold: Hold | None = None, origins: tuple[Layer, ...] = ()
) -> AsyncIterator[Daemon]:
    """Everything, serving while the context is open. hold: the lock of the home if we have it already; closed at the end. origins: of settings."""
    repositories = _Repositories()
    types = load_types()
    for name, reason in types.broken:
        log.error("plugin_disabled", plugin=name, reason=reason)
    async with AsyncExitStack() as stack:
        stack.enter_context(disk_trouble_told(settings.home))
        hold = stack.enter_context(home_lock(settings.home) if hold is None else contextlib.closing(hold))
        heart = stack.enter_context(Heart(hold))
        desk = Desk(settings.home)
        core = await stack.enter_async_context(
            open_core(settings, namespace_files=NamespaceFiles(repositories), text_of=repositories.text, on_lost=end_fenced, desk=desk)
        )
        core.podium.standby = lambda: heart.standby
        vital = [asyncio.create_task(_home_gone(settings.home, core, hold), name="home")]
        stack.push_async_callback(ended, list(vital))
        restoring: asyncio.Task[bool] | None = None
        if isinstance(core.branch, ResultsBranch):
            restoring = asyncio.create_task(restore_home(core, core.branch, wait_s=settings.results.first_wait_s), name="restore")
            writing = asyncio.create_task(_write_results(core, core.branch, restoring), name="results")
            stack.push_async_callback(ended, [restoring, writing])
            vital.append(writing)
            stack.callback(process.interrupt, settings.home)  # a remote that hangs must not hang our end
            stack.push_async_callback(_push_records, core, core.branch, heart, restoring)
            await asyncio.wait({restoring}, timeout=FIRST_LOOK_S)
        stack.push_async_callback(core.conductor.close, drain_s=DRAIN_S)
        watcher = SourceWatcher(sources_of(settings, work_tree), core.podium, settings.home, types, core.clock)
        stack.push_async_callback(watcher.close)
        watcher.blocked = lambda: None if restoring is None or restoring.done() else BLOCKED
        repositories.opened = watcher.repositories()
        core.podium.source_status = watcher.status
        board = TriggerBoard(
            orchestrator=core.podium, renderer=core.renderer, types=types, clock=core.clock, zone=core.zone, home=settings.home,
            allowed_paths=[Path(each) for each in settings.security.allowed_paths], body_bytes_max=settings.limits.body_bytes_max,
            polls=Polls(os.environ, core.clock), seal=core.cipher.seal,
        )
        people = PeopleKeeper(settings)
        watcher.access_read = people.taken
        app = await _open_app(stack, settings, core, watcher, board, people=people, types=types, desk=desk, origins=origins)
        handed = listen_sockets(os.environ)
        socket_path = settings.home / "podium.sock"
        listening = await stack.enter_async_context(serve(
            app, host=settings.server.host, port=settings.server.port, unix_socket=socket_path, sock=handed[0] if handed else None,
        ))
        await asyncio.to_thread(_tell_hooks, settings, socket_path)
        core.conductor.spawn(_release_commits(core, watcher), "release commits")
        inbound = [
            asyncio.create_task(_once(restoring, watcher.run), name="sources"), asyncio.create_task(_once(restoring, board.run), name="triggers"),
            asyncio.create_task(people.run(), name="people"),
        ]
        stack.push_async_callback(ended, inbound)
        turning = asyncio.create_task(_turn(heart), name="heart")
        stack.callback(heart.rest)
        stack.push_async_callback(ended, [turning])
        yield Daemon(core=core, sources=watcher, triggers=board, url=listening.url, socket=socket_path, vital=[*vital, *inbound])


async def _open_app(
    stack: AsyncExitStack, settings: Settings, core: Core, watcher: SourceWatcher, board: TriggerBoard, *, people: PeopleKeeper, types: Types,
    desk: Desk, origins: tuple[Layer, ...],
) -> web.Application:
    """The application with what its handlers need, closed with the stack."""
    await asyncio.to_thread(people.open)
    door = await asyncio.to_thread(door_of, settings, people, instance=core.instance)
    charts = Charts(core.database)
    watcher.dashboards = charts.stored
    browser = core.branch.browser if isinstance(core.branch, ResultsBranch) else None
    if browser is not None:
        stack.push_async_callback(browser.close)
    tables = Tables(os.environ, core.clock)
    stack.push_async_callback(tables.close)
    deliveries = StoredDeliveries(settings.home / "deliveries.db", core.clock, days=settings.retention.deliveries_days).open()
    stack.callback(deliveries.close)
    return make_app(
        core.podium, accept_webhook=board.accept, sources=watcher, triggers=board,
        check_flow=lambda text, file: parse_flows(text, file=file, types=types), clock=core.clock,
        flow_schema=lambda: json_schema(types, load_vocabulary()), instance=core.instance, version=_version(), door=door, calls=calls_of(settings),
        about=About(core, settings, origins), public_url=settings.server.public_url, body_limit=settings.limits.body_bytes_max,
        upload_limit=settings.limits.upload_bytes_max, desk=desk, types=types, charts=charts, deliveries=deliveries, results=browser, tables=tables,
        edits=Publisher(watcher, core.podium, types, core.clock, signing_key=settings.results.sign_key, records_branch=settings.results.branch),
        files=core.renderer.file_reader, secrets=core.renderer.secrets, copilot=copilot_of(settings, core, types),
    )


async def _turn(heart: Heart) -> None:
    """The loop turns as long as this does."""
    while True:
        heart.tick()
        await asyncio.sleep(BEAT_S)


async def _home_gone(home: Path, core: Core, hold: Hold) -> None:
    """Ends when the journal is no longer where it was: what is acknowledged from then on would be lost. Raises StoreError.

    The same for the lock, which keeps nobody out any more. When another daemon has the home already, the process ends here.
    """
    journal = home / "journal.db"
    ours = journal.stat().st_ino
    while True:
        await asyncio.sleep(HOME_LOOK_S)
        try:
            found = journal.stat().st_ino
        except FileNotFoundError:
            found = None
        except OSError:  # the file system does not answer: every write will say so
            continue
        if found != ours:
            log.error("home_gone", home=str(home), hint="somebody deleted or replaced it while the daemon ran")
            raise StoreError(f"the home {home} was deleted or replaced while the daemon ran", hint="start again: the records are in Git")
        if core.database.lost:
            end_fenced()
        if hold.lost:
            log.error("home_gone", home=str(home), hint="somebody deleted or replaced its lock while the daemon ran")
            raise StoreError(f"the lock of the home {home} was deleted or replaced while the daemon ran", hint="start again, and leave it alone")


def _tell_hooks(settings: Settings, socket: Path) -> None:
    """Repositories of this machine that `podium init` made: their hooks learn where this daemon listens, and what it calls them."""
    for name, source in settings.sources.items():
        if not is_local(source.url):
            continue
        try:
            with Repository.open(Path(source.url.removeprefix("file://"))) as repository:
                if repository.config("podium.command") is None:
                    continue
                for key, value in (("podium.socket", str(socket)), ("podium.source", name)):
                    if repository.config(key) != value:
                        repository.set_config(key, value)
        except PodiumError as error:
            log.info("hooks_not_told", source=name, error=error.what)


async def _release_commits(core: Core, watcher: SourceWatcher) -> None:
    """Once an hour: let go of commits that nothing runs any more."""
    while True:
        await asyncio.sleep(RELEASE_EVERY_S)
        try:
            await watcher.release(core.conductor.commits_in_use())
        except PodiumError as error:
            log.warning("commits_not_released", error=error.what)


async def _once(restored: asyncio.Task[bool] | None, work: Callable[[], Awaitable[None]]) -> None:
    """Work, but not before a new home is filled: flows must not begin without their revisions, keys and trigger positions."""
    if restored is not None:
        await asyncio.shield(restored)
    await work()


async def _write_results(core: Core, branch: ResultsBranch, restored: asyncio.Task[bool]) -> None:
    """Bring records to the branch, once this home knows what is on it."""
    if not await asyncio.shield(restored):
        await until_free(core, branch)
    await branch.writer.run()


async def _push_records(core: Core, branch: ResultsBranch, heart: Heart, restored: asyncio.Task[bool]) -> None:
    await core.closer.flush_state()
    if not restored.done() or branch.trouble is not None:
        return  # nothing may be written to the branch yet
    if not await branch.writer.drain(timeout_s=PUSH_BEFORE_STANDBY_S if heart.standby else PUSH_AT_CLOSE_S):
        log.warning("records_not_pushed", hint="they are kept and go with the next start")


def _version() -> str:
    from importlib.metadata import version

    return version("podium")


async def run_daemon(
    settings: Settings, *, work_tree: Path | None = None, ready: Any = None, standby: Callable[[Owner], None] | None = None,
    origins: tuple[Layer, ...] = (),
) -> None:
    """Serve until SIGTERM or SIGINT. SIGHUP looks at all sources at once. ready: called with the Daemon once it serves.

    standby: if given, a home that another daemon has is waited for; called once when that is so.
    """
    settings = settings.model_copy(update={"home": settings.home.absolute()})
    if os.environ.get(faults.VARIABLE):
        faults.arm(os.environ[faults.VARIABLE])
    take_descriptors()
    notifier = Notifier(os.environ)
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    beside = [asyncio.create_task(_beat(notifier), name="watchdog")]
    hold = await _our_turn(settings, notifier, stop, standby) if standby is not None else None
    if standby is not None and hold is None:
        await ended(beside)
        log.info("stopped")
        return
    started = monotonic_s()
    if (rows := upgrade_due(settings.home / "journal.db")) is not None:
        notifier.more_time(upgrade_s(rows))
        notifier.status("upgrading the database")
    async with open_daemon(settings, work_tree=work_tree, hold=hold, origins=origins) as daemon:
        took = monotonic_s() - started
        log.info("serving", url=daemon.url, socket=str(daemon.socket), home=str(settings.home), took_s=round(took, 3))
        notifier.ready(f"serves at {daemon.url}")
        if ready is not None:
            ready(daemon)
        told = asyncio.create_task(stop.wait(), name="told to stop")
        beside.append(asyncio.create_task(_reload(again, daemon, notifier)))
        broken = await _until_over(told, daemon.vital)
        notifier.stopping("handing over running tasks")
        log.info("stopping")
        await ended([*beside, told])
        if broken is not None:
            raise broken
    log.info("stopped")


async def _our_turn(settings: Settings, notifier: Notifier, stop: asyncio.Event, told: Callable[[Owner], None]) -> Hold | None:
    """Wait until the home is ours, with everything loaded that a daemon needs; None when we are told to stop before."""
    load_types()
    load_vocabulary()

    def waits(owner: Owner) -> None:
        log.info("standing_by", home=str(settings.home), process=owner.pid, silent_s=settings.server.takeover_s)
        notifier.ready(f"stands by: process {owner.pid} serves")
        told(owner)

    waiting = asyncio.create_task(stand_by(settings.home, silent_s=settings.server.takeover_s, waits=waits), name="standby")
    stopped = asyncio.create_task(stop.wait(), name="told to stop")
    try:
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            return None
        notifier.status("takes the home")
        return waiting.result()
    finally:
        await ended([waiting, stopped])


async def _until_over(told: asyncio.Task[Any], vital: Sequence[asyncio.Task[None]]) -> BaseException | None:
    """Wait until we are told to stop, or a vital part broke: why it did."""
    waiting: set[asyncio.Task[Any]] = {told, *vital}
    while told in waiting:
        over, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in over:
            error = each.exception()
            if error is not None:
                log.error("vital_part_broke", part=each.get_name(), exc_info=None if isinstance(error, PodiumError) else error)
                return error
    return None


async def _beat(notifier: Notifier) -> None:
    """Tell the watchdog that the loop turns."""
    if notifier.beat_s is None:
        return
    while True:
        notifier.alive()
        await asyncio.sleep(notifier.beat_s)


async def _reload(again: asyncio.Event, daemon: Daemon, notifier: Notifier) -> None:
    """At SIGHUP: look at every source now."""
    while True:
        await again.wait()
        again.clear()
        notifier.reloading(monotonic_usec=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
        for each in daemon.sources.status():
            if each.get("url"):
                await daemon.sources.look(each["name"])
        notifier.ready(f"serves at {daemon.url}")
        sys.stderr.flush()
