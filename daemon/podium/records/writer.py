"""Brings queued files to the results branch: commits them in groups, pushes, and tells the queue.

Started by app/wiring, woken by the conductor.

What always holds: a file leaves the queue only when it is on the remote; a commit or a push that fails is tried again, later and
later; nothing waits for the network but the push. After a crash every file that is not known to be pushed is looked at again,
and those that the branch has already are not committed twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from podium.base.errors import GitMoved, GitRefused, PodiumError
from podium.base.ports import QueuedFile, RecordQueue
from podium.base.system.clock import Clock, monotonic_s
from podium.base.system.ids import jitter
from podium.base.system.log import get_logger
from podium.git.remote import is_local
from podium.git.repo import Credentials, Repository
from podium.records.branch import Branch
from podium.records.layout import Rotation
from podium.records.upkeep.folding import Folding

log = get_logger(__name__)
T = TypeVar("T")

NETWORK_PUSH_INTERVAL_S = 15.0
"""At most 4 pushes a minute to a forge (GitHub asks for at most 6)."""
_LOOK_AGAIN_S = 30.0
_RETRY_S, _REFUSED_RETRY_S, _RETRY_MAX_S = 1.0, 15.0, 300.0
_PUSH_ATTEMPTS = 5

OnCommitted = Callable[[Sequence[QueuedFile], str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """For health, metrics and the banner. oldest_s: how long the oldest file waits for the remote. error: why the last try failed."""

    unpushed: int
    oldest_s: float | None
    error: str | None
    hint: str | None
    commits: int
    files: int
    pushes: int
    pushed_at: datetime | None


@dataclass(slots=True)
class _Waiting:
    """Committed files that are not on the remote yet, in order."""

    name: str
    commit: str
    seqs: list[int]


class ResultsWriter:
    """repository: a bare one of our own. remote_url None: results stay in it.

    on_committed: called with each batch (its files, with their final paths) and its commit.  batch_wait_s: shortest time between
    two commits that are not full.  push_interval_s: shortest time between two pushes; by default that of a forge, or none for a path.
    """

    def __init__(
        self,
        *,
        queue: RecordQueue,
        repository: Repository,
        instance: str,
        clock: Clock,
        branch: str = "results",
        remote_url: str | None = None,
        credentials: Credentials | None = None,
        rotate: Rotation = "never",
        signing_key: Path | None = None,
        on_committed: OnCommitted | None = None,
        batch_files_max: int = 1_000,
        batch_wait_s: float = 0.05,
        push_interval_s: float | None = None,
    ) -> None:
        self._queue = queue
        self._repository = repository
        self._clock = clock
        self._local_only = remote_url is None
        self._branch = Branch(
            repository, branch=branch, url=remote_url, credentials=credentials, instance=instance, rotate=rotate, signing_key=signing_key
        )
        self._on_committed = on_committed
        self._batch_files_max = batch_files_max
        self._batch_wait_s = batch_wait_s
        local = remote_url is None or is_local(remote_url)
        self._push_interval_s = push_interval_s if push_interval_s is not None else 0.0 if local else NETWORK_PUSH_INTERVAL_S
        self._push_rest = 3.0 if local else 0.0
        self._draining, self._at_once = asyncio.Event(), asyncio.Event()
        self._wake = asyncio.Event()
        self._push_due = asyncio.Event()
        self._waiting: deque[_Waiting] = deque()
        self._marking = asyncio.Lock()
        self._threads = ThreadPoolExecutor(max_workers=3, thread_name_prefix="results")
        self._status = Status(unpushed=0, oldest_s=None, error=None, hint=None, commits=0, files=0, pushes=0, pushed_at=None)
        self._errors: dict[str, PodiumError] = {}
        self._folding = Folding(repository, lambda step: self._step("tidy", step))

    def wake(self) -> None:
        """Something was queued."""
        self._wake.set()

    def push_soon(self) -> None:
        """Somebody wants it now: commit what is queued and push, also when the pause after a failure is not over."""
        self._wake.set()
        self._at_once.set()
        self._push_due.set()

    async def run(self) -> None:
        """Work until cancelled. A step that is under way then is finished first, so that repository and queue agree."""
        try:
            await self._reopen()
            await self._step("start", lambda: self._branch.adopt(self._clock.now()))
            self._wake.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._commit_for_ever())
                group.create_task(self._push_for_ever())
                group.create_task(self._folding.run())
        finally:
            self._threads.shutdown(wait=True)

    async def _reopen(self) -> None:
        """Take up what a former life left. A journal that cannot be written yet (a full disk) is waited for."""
        failures = 0
        while True:
            try:
                self._branch.continue_after(await self._queue.reopen())
            except PodiumError as error:
                failures += 1
                self._failed("reopen", error)
                await asyncio.sleep(_pause(failures, _RETRY_S))
            else:
                self._errors.pop("reopen", None)
                return

    async def adopt(self) -> None:
        """Bring the remote's branch here before `run`, for a home that is new. Raises GitError."""
        await self._thread(lambda: self._branch.adopt(self._clock.now()))

    async def drain(self, *, timeout_s: float) -> bool:
        """At shutdown, while `run` works: commit and push what is queued, without the usual pause; whether all of it is on the remote."""
        self._draining.set()
        give_up_at = monotonic_s() + timeout_s
        while monotonic_s() < give_up_at:
            if (await self._queue.unpushed())[0] == 0:
                return True
            self._wake.set()
            self._push_due.set()
            await asyncio.sleep(0.02)
        return (await self._queue.unpushed())[0] == 0

    async def status(self) -> Status:
        """How far it is behind, and why."""
        count, since = await self._queue.unpushed()
        error = next(iter(self._errors.values()), None)
        return replace(
            self._status,
            unpushed=count,
            oldest_s=(self._clock.now() - since).total_seconds() if since else None,
            error=error.what if error else None,
            hint=error.hint if error else None,
        )

    # ---- committing

    async def _commit_for_ever(self) -> None:
        failures = 0
        while True:
            await _set_within(self._wake, _LOOK_AGAIN_S)
            self._wake.clear()
            try:
                while await self._commit_batch():
                    failures = 0
                self._errors.pop("commit", None)
            except PodiumError as error:
                failures += 1
                self._failed("commit", error)
                await asyncio.sleep(_pause(failures, _RETRY_S))
                self._wake.set()

    async def _commit_batch(self) -> bool:
        """Commit what is queued; whether there may be more."""
        await self._folding.room()
        started = monotonic_s()
        files = await self._queue.pending(after_seq=0, limit=self._batch_files_max)
        if not files:
            return False
        async with self._marking:
            done = await self._thread(lambda: self._branch.commit(files, self._clock.now()))
            try:
                await self._queue.committed([file.seq for file in files], done.commit)
            except BaseException:
                self._branch.forget()
                raise
            self._waiting.append(_Waiting(done.branch, done.commit, [file.seq for file in files]))
        self._status = replace(self._status, commits=self._status.commits + done.made, files=self._status.files + len(files))
        if done.made:
            self._folding.committed()
        if self._local_only:
            await self._forget_pushed(len(self._waiting))
        else:
            self._push_due.set()
        if self._on_committed is not None:
            placed = [replace(file, path=path) for file, path in zip(files, done.paths, strict=True)]
            await self._on_committed(placed, done.commit)
        if len(files) < self._batch_files_max:
            # Self-clocking: under load the next group gathers while this one is written, but for no shorter than batch_wait_s.
            await asyncio.sleep(max(0.0, started + self._batch_wait_s - monotonic_s()))
        return True

    # ---- pushing

    async def _push_for_ever(self) -> None:
        if self._local_only:
            return
        failures, allowed_at = 0, 0.0
        while True:
            await _set_within(self._push_due, _LOOK_AGAIN_S)
            await self._rest_until(allowed_at, cut_short=failures == 0)
            self._push_due.clear()
            started = monotonic_s()
            try:
                await self._push_all()
                failures = 0
                allowed_at = max(started + self._push_interval_s, monotonic_s() + self._push_rest * (monotonic_s() - started))
            except PodiumError as error:
                failures += 1
                self._failed("push", error)
                allowed_at = monotonic_s() + _pause(failures, _REFUSED_RETRY_S if isinstance(error, GitRefused) else _RETRY_S)
                self._push_due.set()

    async def _rest_until(self, allowed_at: float, *, cut_short: bool) -> None:
        """Wait out the pause; a drain ends the usual one, not that of a failure; who wants a push now ends both."""
        left = allowed_at - monotonic_s()
        if left > 0:
            either = {asyncio.create_task(each.wait()) for each in (self._at_once, *([self._draining] if cut_short else []))}
            try:
                await asyncio.wait(either, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in either:
                    each.cancel()
        self._at_once.clear()

    async def _push_all(self) -> None:
        names = await self._thread(self._branch.unpushed)
        for name in names:
            await self._push(name)
        async with self._marking:
            behind = set(await self._thread(self._branch.unpushed))
            count = 0
            for item in self._waiting:
                if item.name in behind:
                    break
                count += 1
            await self._forget_pushed(count)

    async def _push(self, name: str) -> None:
        for attempt in range(_PUSH_ATTEMPTS):
            async with self._marking:
                commit = await self._thread(lambda: self._branch.tip(name))
                covered = [item for item in self._waiting if item.name == name]
            files = sum(len(item.seqs) for item in covered)
            assert commit is not None
            try:
                await self._thread(lambda: self._branch.push(name, commit, files=files))  # noqa: B023 - run before the next round
            except GitMoved:
                if attempt == _PUSH_ATTEMPTS - 1:
                    raise
                await self._pull(name)
                continue
            self._errors.pop("push", None)
            self._errors.pop("start", None)
            self._status = replace(self._status, pushes=self._status.pushes + 1, pushed_at=self._clock.now())
            async with self._marking:
                count = 0
                for item in self._waiting:
                    if item not in covered:
                        break
                    count += 1
                await self._forget_pushed(count)
            return

    async def _pull(self, name: str) -> None:
        await self._thread(lambda: self._branch.fetch(name))
        async with self._marking:
            tip = await self._thread(lambda: self._branch.join(name))
            if tip is not None:
                moved = [item for item in self._waiting if item.name == name]
                for item in moved:
                    item.commit = tip
                await self._queue.committed([seq for item in moved for seq in item.seqs], tip)

    async def _forget_pushed(self, count: int) -> None:
        """The first `count` batches are on the remote."""
        if count:
            await self._queue.pushed(self._waiting[count - 1].commit)
            for _ in range(count):
                self._waiting.popleft()

    # ---- helpers

    async def _step(self, what: str, step: Callable[[], object]) -> bool:
        """A step that may fail without harm (it is shown and comes again); whether it worked."""
        try:
            await self._thread(step)
        except PodiumError as error:
            self._failed(what, error)
            return False
        self._errors.pop(what, None)
        return True

    async def _thread(self, step: Callable[[], T]) -> T:
        """Run blocking work. When cancelled, wait for its end all the same: git must not be left half way."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, step)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await future
            raise

    def _failed(self, what: str, error: PodiumError) -> None:
        log.warning("results_failed", step=what, error=error.what, hint=error.hint)
        self._errors[what] = error


async def _set_within(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for an event or that long. Not `wait_for`: before Python 3.12 it can swallow a cancellation."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


def _pause(failures: int, base_s: float) -> float:
    """Seconds to wait after that many failures in a row: doubling, with a little chance so that instances do not go in step."""
    pause: float = min(_RETRY_MAX_S, base_s * 2.0 ** min(failures - 1, 16)) * jitter(0.8, 1.2)
    return pause
