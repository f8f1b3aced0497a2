"""Keeps the deployed flows equal to what the sources hold. Made by app/wiring; web calls it through base/ports.SourceControls.

A source is looked at when it is told of a push, every `poll_interval_s`, and again with growing pauses while it cannot be read.
What always holds: one look at a source at a time, a hint during a look causes one more; deployments follow each other, so that
two sources never claim one namespace together; whatever goes wrong with a source, its flows run on and `status` says what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from podium.base.errors import ConflictError, GitError, NotFound, PodiumError
from podium.base.ports import Answer, CommitFacts, KnownFlow
from podium.base.system.clock import Clock
from podium.base.system.ids import jitter
from podium.base.system.log import get_logger
from podium.base.system.threads import in_own_thread
from podium.conductor.port import Orchestrator
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.commits import CommitReader
from podium.sources.forge import check_push, is_ping
from podium.sources.mirror import Mirror, Snapshot, is_damage
from podium.sources.reading.access import ReadAccess
from podium.sources.reading.loader import Known, Reading, read_commit, remove_source
from podium.sources.reading.sync import sync_path
from podium.sources.source import Source, SourceState
from podium.sources.worktree import WorkTree

log = get_logger(__name__)
_SYNCS_READ = 200
_IGNORED_SHOWN = 20
_PUSH_WAITS_S = 1.5
"""How long a push waits to be told what came of it; the hook gives up after 2 s."""


class _Follower:
    """One source and what is under way with it."""

    def __init__(self, source: Source, origin: Mirror | WorkTree) -> None:
        self.source = source
        self.origin = origin
        self.state = SourceState()
        self.commits = CommitReader()
        self.wake = asyncio.Event()
        self.busy = asyncio.Lock()
        self.read_once = False
        self.begun = 0
        self.ended = asyncio.Condition()
        self.done = 0
        """begun, done: numbers of the newest look that has begun, and of the newest that is over."""


class Repositories(Mapping[str, tuple[Repository, str]]):
    """Name of a source → its repository and folder, as they are now: a damaged repository is replaced while the daemon runs."""

    def __init__(self, followers: Mapping[str, _Follower]) -> None:
        self._followers = followers

    def __getitem__(self, name: str) -> tuple[Repository, str]:
        follower = self._followers[name]
        return follower.origin.repository, follower.source.folder

    def __iter__(self) -> Iterator[str]:
        return iter(self._followers)

    def __len__(self) -> int:
        return len(self._followers)


class SourceWatcher:
    """All sources of the daemon.

    debounce_s: how long a work tree must be quiet before it is read. retry_s, retry_max_s: pauses after the first and after many
    failed looks, in seconds.
    """

    def __init__(
        self, sources: Sequence[Source], orchestrator: Orchestrator, home: Path, types: Types, clock: Clock, *, debounce_s: float = 0.2,
        retry_s: float = 5.0, retry_max_s: float = 300.0,
    ) -> None:
        self._orchestrator = orchestrator
        self._types = types
        self._clock = clock
        self._debounce_s = debounce_s
        self._retry_s = retry_s
        self._retry_max_s = retry_max_s
        self._deploying = asyncio.Lock()
        self._followers = {source.name: _Follower(source, self._origin(source, home)) for source in sources}
        self._orphans: dict[str, int] = {}
        self.blocked: Callable[[], PodiumError | None] = lambda: None
        """Set by wiring: why nothing may be deployed at present."""
        self.dashboards: Callable[[], Sequence[Mapping[str, Any]]] = list
        """Set by wiring: the dashboards as deployed."""
        self.access_read: Callable[[str, ReadAccess], None] = lambda commit, access: None
        """Set by wiring: takes what a commit of the source that defines access says about people and roles. Must be quick."""

    def _origin(self, source: Source, home: Path) -> Mirror | WorkTree:
        return WorkTree(source, home, self._clock) if source.directory is not None else Mirror(source, home)

    def repositories(self) -> Mapping[str, tuple[Repository, str]]:
        """Where the namespace files of each source are: for storage.namespace. A live view."""
        return Repositories(self._followers)

    # ---- running

    async def run(self) -> None:
        """Follow all sources until cancelled."""
        while True:
            try:
                await self._remember()
                break
            except PodiumError as error:
                log.warning("sources_wait", error=error.what, hint=error.hint)
                await asyncio.sleep(self._retry_s)
        watchers = [asyncio.create_task(self._follow(each), name=f"source {name}") for name, each in self._followers.items()]
        try:
            await asyncio.gather(*watchers)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def close(self) -> None:
        """Let go of every repository. Call it after `run` has ended."""
        for follower in self._followers.values():
            await asyncio.to_thread(follower.origin.close)

    async def look(self, name: str) -> dict[str, Any]:
        """Read the source now and deploy what is new; its status afterwards. Raises NotFound; a failure is in the status."""
        follower = self._find(name)
        await self._look(follower)
        return follower.state.as_dict(follower.source)

    async def _remember(self) -> None:
        """What the last syncs said of our sources."""
        for sync in reversed(await self._orchestrator.syncs(limit=_SYNCS_READ)):
            follower = self._followers.get(str(sync.get("source")))
            if follower is not None:
                follower.state.commit = sync.get("commit")
                follower.state.held = sync.get("held")
        self._count_orphans()

    async def _follow(self, follower: _Follower) -> None:
        if isinstance(follower.origin, WorkTree):
            loop = asyncio.get_running_loop()

            def changed() -> None:
                loop.call_soon_threadsafe(follower.wake.set)

            await asyncio.to_thread(follower.origin.watch, changed)
        while True:
            follower.wake.clear()
            await self._look(follower)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s(follower)):
                    await follower.wake.wait()
            if isinstance(follower.origin, WorkTree):
                await self._until_quiet(follower)

    def _pause_s(self, follower: _Follower) -> float | None:
        """Seconds until the next look when nobody calls; None waits for a call."""
        failures, poll = follower.state.failures, follower.source.poll_interval_s
        if failures == 0:
            return jitter(poll * 0.9, poll * 1.1) if poll else None
        pause = min(self._retry_s * 2 ** min(failures - 1, 16), self._retry_max_s)
        return jitter(pause * 0.8, pause * 1.2)

    async def _until_quiet(self, follower: _Follower) -> None:
        """Wait out a burst of changes, at most ten times the debounce."""
        for _ in range(10):
            follower.wake.clear()
            await asyncio.sleep(self._debounce_s)
            if not follower.wake.is_set():
                return

    async def _look(self, follower: _Follower) -> None:
        """Read and deploy once. Never raises but for cancellation: the source's state says what went wrong."""
        async with follower.busy:
            state = follower.state
            follower.begun += 1
            try:
                if (reason := self.blocked()) is not None:
                    raise reason
                snapshot = await in_own_thread(follower.origin.read)
                await self._deploy(follower, snapshot)
            except PodiumError as error:
                await self._failed(follower, error)
            except Exception as error:  # a mistake of ours with one source must not end the others
                log.exception("source_crashed", source=follower.source.name)
                await self._failed(follower, PodiumError(f"unexpected: {type(error).__name__}: {error}", hint="see the daemon's log"))
            else:
                state.fetched_at, state.error, state.hint, state.failures = self._clock.now(), None, None, 0
            async with follower.ended:
                follower.done = follower.begun
                follower.ended.notify_all()

    async def _failed(self, follower: _Follower, error: PodiumError) -> None:
        state = follower.state
        if state.error != error.what:
            log.warning("source_unreadable", source=follower.source.name, error=error.what, hint=error.hint)
        state.error, state.hint, state.failures = error.what, error.hint or None, state.failures + 1
        if isinstance(error, GitError) and is_damage(error):
            await asyncio.to_thread(follower.origin.repair)
            follower.read_once = False

    # ---- deploying

    async def _deploy(self, follower: _Follower, snapshot: Snapshot, *, confirmed: bool = False) -> None:
        state, source = follower.state, follower.source
        if follower.read_once and snapshot.commit == state.commit and not confirmed:
            return
        async with self._deploying:
            reading = await asyncio.to_thread(
                read_commit, source, follower.origin.repository, snapshot.commit, known=self._known(source, held=bool(state.held)),
                types=self._types, at=self._clock.now(), previous_commit=state.commit, dirty=snapshot.dirty, confirmed=confirmed,
            )
            if reading.changed or snapshot.commit != state.commit:
                await self._submit(follower, reading)
        follower.read_once = True
        if source.defines_access:
            await asyncio.to_thread(self.access_read, snapshot.commit, reading.access)
        state.commit, state.held, state.dirty = snapshot.commit, reading.deployment.held, snapshot.dirty
        state.flows, state.ignored = reading.flows, list(reading.ignored[:_IGNORED_SHOWN])
        state.rejected = [dict(each) for each in reading.deployment.rejected]

    async def _submit(self, follower: _Follower, reading: Reading) -> None:
        deployment = reading.deployment
        await asyncio.to_thread(follower.origin.repository.pin, deployment.commit)
        recent = {sync.get("commit") for sync in await self._orchestrator.syncs(limit=_SYNCS_READ)}
        if deployment.commit in recent:
            deployment = replace(deployment, sync_path=sync_path(deployment.commit, deployment.at, again=True))
        await self._orchestrator.deploy(deployment)
        log.info(
            "source_deployed", source=deployment.source, commit=deployment.commit, accepted=len(deployment.accepted),
            moved=len(deployment.moved), removed=len(deployment.removed), rejected=len(deployment.rejected), held=deployment.held,
        )

    def _known(self, source: Source, *, held: bool) -> Known:
        return Known(
            flows=dict(self._orchestrator.known_flows()),
            current={(each.namespace, each.flow_id): each for each in self._orchestrator.flows()},
            sources=frozenset(self._followers),
            rejected=frozenset(str(each["path"]) for each in self._orchestrator.rejected() if each.get("source") == source.name),
            held=held, dashboards=self.dashboards(),
        )

    # ---- what others may ask: base/ports.SourceControls

    async def notify(self, name: str, headers: Sequence[tuple[str, str]], body: bytes, *, trusted: bool = False) -> Answer:
        """See SourceControls. A forge is answered at once; a trusted caller is told what came of the look if that is quick."""
        follower = self._find(name)
        if not trusted:
            forge = check_push(headers, body, source=name, secrets=follower.source.hook_secrets, now=self._clock.now())
            log.info("source_notified", source=name, forge=forge)
        if is_ping(headers):
            return Answer(status=200, body={"source": name, "message": "pong"})
        wanted = follower.begun + 1
        follower.wake.set()
        if trusted:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PUSH_WAITS_S), follower.ended:
                    await follower.ended.wait_for(lambda: follower.done >= wanted)
                return Answer(status=200, body=follower.state.as_dict(follower.source) | {"message": "looked for new commits"})
        return Answer(status=202, body={"source": name, "message": "looking for new commits"})

    def source(self, name: str) -> Source:
        """The source of that name. Raises NotFound."""
        return self._find(name).source

    def state(self, name: str) -> SourceState:
        """What is known of a source. Raises NotFound."""
        return self._find(name).state

    def names(self) -> list[str]:
        """The sources of the settings, in their order."""
        return list(self._followers)

    def origin(self, name: str) -> Mirror | WorkTree:
        """Where the files of a source come from. Raises NotFound."""
        return self._find(name).origin

    def wake(self, name: str) -> None:
        """Look at a source soon."""
        self._find(name).wake.set()

    async def looked(self, name: str, *, timeout_s: float, commit: str = "") -> SourceState:
        """What is known of a source after a look that begins from now on, when `commit` is deployed, or when the time is up. Raises NotFound."""
        follower = self._find(name)
        state = follower.state
        if commit and state.commit == commit:
            return state
        wanted = follower.begun + 1
        follower.wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), follower.ended:
                await follower.ended.wait_for(lambda: follower.done >= wanted or (commit != "" and state.commit == commit))
        return state

    async def confirm(self, name: str, *, commit: str | None = None) -> dict[str, Any]:
        """See SourceControls. For a source that is no longer in the settings: remove its flows."""
        if name not in self._followers and self._orphaned(name):
            await self._remove_orphan(name)
            return {"name": name, "flows": 0}
        follower = self._find(name)
        async with follower.busy:
            state = follower.state
            if state.held is None or state.commit is None:
                raise ConflictError(f"source '{name}' holds nothing back", hint="its newest deployment has been applied in full")
            if commit is not None and commit != state.commit:
                raise ConflictError(
                    f"source '{name}' is at commit {state.commit} by now, not {commit}",
                    hint="look at what is held back, then confirm again",
                )
            await self._deploy(follower, Snapshot(commit=state.commit, dirty=state.dirty), confirmed=True)
        return follower.state.as_dict(follower.source)

    async def commits(self, name: str, commits: Sequence[str]) -> dict[str, CommitFacts]:
        """See SourceControls."""
        follower = self._followers.get(name)
        if follower is None:
            return {}
        return await asyncio.to_thread(follower.commits.read, follower.origin.repository, commits)

    def status(self) -> list[dict[str, Any]]:
        """See SourceControls; also sources that are gone from the settings while their flows run on."""
        self._count_orphans()
        orphans = [
            {
                "name": name, "url": "", "branch": "", "path": "", "pollIntervalS": 0, "flows": flows, "rejected": 0, "dirty": False,
                "error": f"source '{name}' is no longer in the settings; its {flows} flows run on",
                "held": f"{flows} flows of a source that is gone would be removed; they run on until this is confirmed",
            }
            for name, flows in sorted(self._orphans.items())
        ]
        return [each.state.as_dict(each.source) for each in self._followers.values()] + orphans

    async def release(self, in_use: Mapping[str, set[str]]) -> int:
        """Unpin commits that neither run nor are deployed; how many. in_use: per source the commits of executions in flight."""
        released = 0
        for name, follower in self._followers.items():
            async with follower.busy:
                keep = in_use.get(name, set()) | {follower.state.commit}
                for commit in await asyncio.to_thread(follower.origin.repository.pins) - keep:
                    await asyncio.to_thread(follower.origin.repository.unpin, commit)
                    released += 1
        return released

    def _find(self, name: str) -> _Follower:
        follower = self._followers.get(name)
        if follower is None:
            known = ", ".join(sorted(self._followers)) or "none"
            raise NotFound(f"there is no source '{name}'", hint=f"sources in the settings: {known}")
        return follower

    def _orphaned(self, name: str) -> list[KnownFlow]:
        return [flow for flow in self._orchestrator.known_flows().values() if flow.source == name and not flow.deleted]

    def _count_orphans(self) -> None:
        self._orphans = {}
        for flow in self._orchestrator.known_flows().values():
            if not flow.deleted and flow.source not in self._followers:
                self._orphans[flow.source] = self._orphans.get(flow.source, 0) + 1
        for dashboard in self.dashboards():
            if dashboard["source"] not in self._followers:
                self._orphans.setdefault(str(dashboard["source"]), 0)

    async def _remove_orphan(self, name: str) -> None:
        async with self._deploying:
            known = Known(flows=dict(self._orchestrator.known_flows()), current={}, sources=frozenset(self._followers))
            await self._orchestrator.deploy(remove_source(name, known=known, at=self._clock.now()))

