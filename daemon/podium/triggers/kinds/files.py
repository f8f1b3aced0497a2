"""podium.files.Trigger: one execution for each file that appears or changes in a directory. Made by board.

watchdog's events are only a hint to look now; what counts is the scan, which also finds what no event told. A file fires when it is
complete: closed by its writer, moved into place, or unchanged for `settleTime`. What always holds: each state of a file fires
once, also over restarts (the start's key is the file's path and stamp; the ledger remembers what has been dealt with); a copy is in
storage before the execution starts; the file is moved or deleted only after the execution is durable, and only if unchanged.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from podium.base.errors import FlowError, PodiumError, StorageError
from podium.base.limits import UPLOAD_BYTES_MAX
from podium.base.moments import to_text
from podium.base.system.log import get_logger
from podium.base.system.threads import in_own_thread
from podium.conductor.port import View
from podium.flows.triggers import FileTrigger
from podium.triggers.firing import Armed, Event
from podium.triggers.kinds import scan
from podium.triggers.kinds.scan import Ledger, Stamp
from podium.triggers.runner import Runner, Tools
from podium.triggers.state import TriggerState

log = get_logger(__name__)
FILES_AT_ONCE = 16
"""Starts under way at one time."""
_STORE_EVERY = 256
"""After how many fired files of one burst the ledger is stored."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A file that is not known to be complete. since: when it was first seen with this stamp."""

    stamp: Stamp
    since: datetime


class FileRunner(Runner):
    """One watched directory."""

    WAITS = False

    def __init__(self, armed: Armed, tools: Tools) -> None:
        super().__init__(armed, tools)
        self._directory: Path | None = None
        self._move_to: Path | None = None
        self._meant: Callable[[str], bool] = lambda _: False
        self._ledger = Ledger()
        self._pending: dict[str, _Pending] = {}
        self._complete: set[str] = set()
        self._watch: Any = None
        self._watched_inode = 0
        self._next_scan: datetime | None = None

    @property
    def _trigger(self) -> FileTrigger:
        assert isinstance(self.armed.trigger, FileTrigger)
        return self.armed.trigger

    # ---- beginning and ending

    async def begin(self, *, changed: bool) -> None:
        """See Runner."""
        self.end()
        self._next_scan = self._directory = None
        trigger = self._trigger
        self._directory = self._allowed(await self.tools.firing.value(self.armed, trigger.path, {}), "path")
        self._move_to = None
        if trigger.action == "MOVE":
            if not trigger.move_to:
                raise FlowError(f"trigger '{trigger.id}' moves files but has no moveTo", hint="set moveTo to a directory")
            self._move_to = self._allowed(await self.tools.firing.value(self.armed, trigger.move_to, {}), "moveTo")
        self._meant = scan.name_matcher(await self.tools.firing.value(self.armed, trigger.glob, {}))
        document = await self._stored() or {}
        same_directory = document.get("directory") == str(self._directory)
        self._ledger = Ledger(document.get("files") if same_directory else None)
        self._pending.clear()
        if not same_directory or self.state.definition != document.get("definition"):
            await self._store()
        self._next_scan = self.tools.clock.now()

    def end(self) -> None:
        """See Runner."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def is_due(self, now: datetime) -> bool:
        """See Runner."""
        return self._next_scan is not None and self._next_scan <= now

    def _allowed(self, text: Any, name: str) -> Path:
        path = Path(str(text).strip()).expanduser()
        if not path.is_absolute():
            raise FlowError(f"{name} of trigger '{self._trigger.id}' is not absolute: {text}", hint="write the whole path of the directory")
        resolved = path.resolve()
        if not any(resolved.is_relative_to(allowed.resolve()) for allowed in self.tools.allowed_paths):
            raise FlowError(
                f"{name} of trigger '{self._trigger.id}' is not among the directories that flows may touch: {resolved}",
                hint=f'allow it in the settings: [security] allowed_paths = ["{resolved}"]',
            )
        return resolved

    # ---- hints

    def _hint(self, path: str, complete: bool) -> None:
        """Something happened to a file. Called in the loop."""
        if self._directory is None or self.stopped:
            return
        try:
            inside = Path(path).relative_to(self._directory).as_posix()
        except ValueError:
            return
        if not self._meant(inside):
            return
        now = self.tools.clock.now()
        if complete:
            self._complete.add(inside)
            self._soon(now)
        else:
            self._soon(now + self._trigger.settle_time)

    def _soon(self, when: datetime) -> None:
        if self._next_scan is None or when < self._next_scan:
            self._next_scan = when
            self.tools.bell.ring_at(self.armed.name, when, self.ring)

    async def _watch_directory(self, directory: Path) -> None:
        """Listen to the directory, anew when another has taken its name."""
        inode = (await in_own_thread(directory.stat)).st_ino
        if self._watch is not None and self._watched_inode == inode and self._watch.is_alive():
            return
        self.end()
        loop = asyncio.get_running_loop()

        def hint(path: str, complete: bool) -> None:
            loop.call_soon_threadsafe(self._hint, path, complete)

        self._watch = await in_own_thread(Watch.start, directory, recursive=self._trigger.recursive, hint=hint)
        self._watched_inode = inode

    # ---- looking

    async def work(self) -> None:
        """See Runner: scan the directory and fire what is complete."""
        directory = self._directory
        if directory is None:
            return
        now = self.tools.clock.now()
        # The next scan is set first, so that hints which come during this one bring it forward.
        self._next_scan = now + timedelta(seconds=self.tools.scan_s)
        complete, self._complete = self._complete, set()
        await _stays_put(directory)
        try:
            await self._watch_directory(directory)
            present = await in_own_thread(
                scan.scan, directory, self._meant, recursive=self._trigger.recursive, without=self._move_to,
            )
        except OSError as error:
            raise StorageError(
                f"directory {directory} cannot be read: {error.strerror or error}", hint="it is looked at again; make it, or mount it",
            ) from error
        ready = self._ready(present, complete, now)
        self._ledger.prune(present, now)
        try:
            await self._fire_all(directory, ready)
        finally:
            if self._ledger.changed:
                await self._store()
        if self._pending:
            self._soon(now + self._trigger.settle_time)
        self.tools.bell.ring_at(self.armed.name, self._next_scan, self.ring)

    def _ready(self, present: dict[str, Stamp], complete: set[str], now: datetime) -> list[tuple[str, Stamp]]:
        """The files to deal with: complete and not dealt with, or still lying there with an action to do."""
        ready: list[tuple[str, Stamp]] = []
        for path in self._pending.keys() - present.keys():
            del self._pending[path]
        for path, stamp in present.items():
            fired = self._ledger.files.get(path)
            if fired is not None and fired.stamp == stamp:
                self._pending.pop(path, None)
                if self._trigger.action != "NONE" and fired.owes:
                    ready.append((path, stamp))
                continue
            pending = self._pending.get(path)
            if pending is None or pending.stamp != stamp or pending.since > now:
                pending = self._pending[path] = _Pending(stamp, now)
            if path in complete or now - pending.since >= self._trigger.settle_time:
                ready.append((path, stamp))
        return ready

    async def _fire_all(self, directory: Path, ready: list[tuple[str, Stamp]]) -> None:
        """Fire files, some at a time. The first trouble ends the round; what was not dealt with comes again."""
        for start in range(0, len(ready), FILES_AT_ONCE):
            batch = ready[start : start + FILES_AT_ONCE]
            results = await asyncio.gather(*(self._fire(directory, path, stamp) for path, stamp in batch), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            if start and start % _STORE_EVERY == 0:
                await self._store()
            if self.stopped or self.state.disabled:
                return

    # ---- one file

    async def _fire(self, directory: Path, path: str, stamp: Stamp) -> None:
        file, now = directory / path, self.tools.clock.now()
        fired = self._ledger.files.get(path)
        if fired is not None and fired.stamp == stamp:
            await self._act(file, path, stamp)
            return
        kind = "CREATED" if fired is None else "MODIFIED"
        digest = await in_own_thread(scan.digest_of, file)
        if fired is not None and self._is_same_content(fired, stamp, digest):
            self._done(path, stamp, digest, now, owes=fired.owes)
            return
        if kind not in self._trigger.events:
            self._done(path, stamp, digest, now)
            return
        variables = self._variables(file, stamp, kind)
        event = Event(variables=variables, key=f"file:{self.armed.name}:{path}:{stamp.key()}")
        if stamp.size > UPLOAD_BYTES_MAX:
            reason = f"file {file} has {stamp.size} bytes, more than UPLOAD_BYTES_MAX ({UPLOAD_BYTES_MAX})"
            await self.tools.firing.fail(self.armed, event, reason)
            self._done(path, stamp, digest, now)
            return
        try:
            holds = await self.tools.firing.holds(self.armed, variables)
        except PodiumError as error:
            reason = f"the conditions of trigger '{self._trigger.id}' cannot be evaluated: {error.what}"
            await self.tools.firing.fail(self.armed, event, reason)
            self._done(path, stamp, digest, now)
            return
        if not holds:
            self._done(path, stamp, digest, now)
        elif await self._start(file, stamp, event) is not None:
            self._done(path, stamp, digest, now, owes=True)
            await self._act(file, path, stamp)

    async def _start(self, file: Path, stamp: Stamp, event: Event) -> View | None:
        """Copy the file to storage and start; None when it changed meanwhile. Storage follows no link that took the file's name."""
        namespace, flow_id, trigger_id = self.armed.place
        try:
            uri = await self.tools.orchestrator.store_upload(namespace, flow_id, trigger_id, file.name, file)
        except StorageError:
            if await in_own_thread(scan.stamp_of, file) != stamp:
                return None
            raise
        if await in_own_thread(scan.stamp_of, file) != stamp:
            return None
        with_uri = Event(variables={**event.variables, "uri": uri}, key=event.key)
        return await self.tools.firing.start(self.armed, with_uri)

    async def _act(self, file: Path, path: str, stamp: Stamp) -> None:
        """Move or delete a file whose execution is durable."""
        action = self._trigger.action
        if action == "NONE":
            return
        try:
            if action == "DELETE":
                gone = await in_own_thread(scan.remove, file, stamp)
            else:
                assert self._move_to is not None
                await _stays_put(self._move_to)
                gone = await in_own_thread(scan.move, file, stamp, self._move_to)
        except OSError as error:
            raise StorageError(
                f"file {file} has started its execution but cannot be {'deleted' if action == 'DELETE' else 'moved'}: {error.strerror}",
                hint="check the permissions of the directory; it is tried again",
            ) from error
        if gone:
            self._ledger.forget(path)

    def _done(self, path: str, stamp: Stamp, digest: str, now: datetime, *, owes: bool = False) -> None:
        self._pending.pop(path, None)
        self._ledger.add(path, stamp, digest, now, owes=owes)

    def _is_same_content(self, fired: scan.Fired, stamp: Stamp, digest: str) -> bool:
        before = fired.stamp
        return (before.size, before.mtime_ns) == (stamp.size, stamp.mtime_ns) and bool(digest) and fired.digest == digest

    def _variables(self, file: Path, stamp: Stamp, kind: str) -> dict[str, Any]:
        modified = datetime.fromtimestamp(stamp.mtime_ns / 1e9, UTC)
        return {"path": str(file), "name": file.name, "size": stamp.size, "modifiedAt": to_text(modified), "event": kind}

    async def _store(self) -> None:
        now = self.tools.clock.now()
        state = self.state.as_cursor(now) | {"files": self._ledger.as_dict() or None, "directory": str(self._directory)}
        await self.tools.orchestrator.remember_trigger(*self.armed.place, state)
        self._ledger.changed = False

    async def refresh(self) -> None:
        """See Runner: only the switch can be changed by others."""
        async with self.busy:
            stored = TriggerState.of(await self._stored())
            switched = stored.disabled != self.state.disabled
            self.state.disabled = stored.disabled
            if switched and not stored.disabled:
                await self._guarded(self._begin)
        if switched:
            self.ring_soon()


async def _stays_put(directory: Path) -> None:
    """Raises StorageError when a link has taken the place of a directory that was allowed, so that it would lead elsewhere."""
    leads_to = await in_own_thread(directory.resolve)
    if leads_to != directory:
        raise StorageError(f"{directory} leads to {leads_to} by now, which was not checked", hint="put a directory there instead of a link")


class Watch:
    """Events of one directory. Where the system cannot tell (limits, network file systems), it is silent and the scan does the work."""

    def __init__(self, observer: Any) -> None:
        self._observer = observer

    @classmethod
    def start(cls, directory: Path, *, recursive: bool, hint: Callable[[str, bool], None]) -> Watch:
        """Begin to listen. hint(path, complete) is called in another thread."""
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                if event.is_directory:
                    return
                if event.event_type in {"closed", "moved"}:
                    hint(os.fsdecode(event.dest_path or event.src_path), True)
                elif event.event_type in {"created", "modified"}:
                    hint(os.fsdecode(event.src_path), False)

        observer = Observer()
        try:
            observer.schedule(Handler(), str(directory), recursive=recursive)
            observer.start()
        except OSError as error:
            log.warning("directory_not_watched", directory=str(directory), reason=str(error))
            return cls(None)
        return cls(observer)

    def is_alive(self) -> bool:
        """Whether there is nothing to gain from listening anew."""
        return self._observer is None or self._observer.is_alive()

    def stop(self) -> None:
        """Listen no more. Does not wait."""
        if self._observer is not None:
            self._observer.stop()
            self._observer = None
