"""Carries out attempts of runnable tasks and keeps the directories they work in: the face of this room.

Called by the conductor, once for each attempt and again after a crash. What always holds: `run` never raises for a task's failure;
what a task left behind is there until `release`; an attempt that may have begun before a crash is taken up or declared lost, and
begins again only if its type says that this does no harm (ruling 5).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from podium.base.ports import LogSink, Reads
from podium.base.redact import Redactor
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.flows.types import PREFIX, Types
from podium.plugin import Task
from podium.rendering.renderer import Renderer, Scope
from podium.runners.port import Runner
from podium.storage.crypto import Cipher
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceSource
from podium.storage.task_files import TaskFiles
from podium.workers.attempt import Attempt, Tools
from podium.workers.children.parent import Forkery
from podium.workers.commands.command import Place, Running
from podium.workers.shared import Workspace
from podium.workers.work import Ended, Work, WorkspaceWork
from podium.workers.workspace import Folders, keep_only, remove

__all__ = ["Worker", "WorkspaceWork"]

log = get_logger(__name__)
SHORT_NAMES = {
    "docker": f"{PREFIX}scripts.runner.docker.Docker", "process": f"{PREFIX}core.runner.Process", "swarm": "podium.swarm.Swarm",
    "kubernetes": f"{PREFIX}ee.kubernetes.runner.Kubernetes",
}
"""What the settings call the built-in runners."""
_CLOSED_KEPT = timedelta(hours=1)
"""How long the outputs of a closed workspace stay, in case the conductor asks again."""
_KILLED_MAX = 10_000


class Worker:
    """See the module's docstring.

    runners: by their full type. default_runner: any name of the one for tasks that name none. images: pattern → image to use instead.
    pass_env: variables of the daemon that commands get too; their values are masked. environ: what tasks in child processes see of the
    daemon's environment, without what is its own. cipher: for outputs that are kept encrypted.
    """

    def __init__(
        self, *, renderer: Renderer, files: FileStorage, runners: Mapping[str, Runner], default_runner: str, reads: Reads, clock: Clock,
        home: Path, instance: str, images: Mapping[str, str] | None = None, pass_env: Mapping[str, str] | None = None,
        cipher: Cipher | None = None, types: Types | None = None, environ: Mapping[str, str] | None = None,
        namespace_files: NamespaceSource | None = None,
    ) -> None:
        self._storage = files
        self._clock = clock
        self._types = types
        self._folders = Folders(home.resolve())
        self._runners = dict(runners)
        self._forkery = Forkery(os.environ if environ is None else environ)
        place = Place(
            runners=self._runners, default_runner=default_runner, images=dict(images or {}), pass_env=dict(pass_env or {}),
            folders=self._folders, renderer=renderer, clock=clock, full_name=self._full_name,
        )
        self._tools = Tools(
            renderer=renderer, reads=reads, clock=clock, folders=self._folders, place=place, forkery=self._forkery, cipher=cipher
        )
        self._running: dict[str, Running] = {}
        self._killed: set[str] = set()
        self._held: set[str] = set()
        self._closed: deque[tuple[datetime, str]] = deque()

    # ---- attempts

    @property
    def warm(self) -> int:
        """How many containers wait started for their task."""
        return sum(int(getattr(runner, "warm", 0)) for runner in self._runners.values())

    async def run(self, work: Work, sink: LogSink) -> Ended:
        """Carry out an attempt. Never raises for a task's failure. work.started: take up what a crash has interrupted."""
        self._held.add(work.attempt_id)
        running = self._running[work.attempt_id] = Running(killed=work.attempt_id in self._killed)
        try:
            return await Attempt(self._tools, work, sink, running).carry_out()
        finally:
            self._running.pop(work.attempt_id, None)

    async def kill(self, attempt_id: str) -> None:
        """End an attempt that runs; one that is about to begin never will."""
        running = self._running.get(attempt_id)
        if running is None:
            if len(self._killed) >= _KILLED_MAX:
                self._killed.clear()
            self._killed.add(attempt_id)
            return
        await running.kill()

    async def release(self, attempt_id: str) -> None:
        """Its end is in the journal: remove everything it left."""
        self._killed.discard(attempt_id)
        self._held.discard(attempt_id)
        home = self._folders.attempt(attempt_id)
        for runner in await asyncio.to_thread(self._runners_of, home / "launch.json"):
            await runner.release(attempt_id)
        await asyncio.to_thread(remove, home)

    def _runners_of(self, launch: Path) -> list[Runner]:
        """Which runner carried the attempt (another one's service may be away for good); all when a crash cut the note short."""
        try:
            named = self._runners.get(json.loads(launch.read_text())["runner"])
        except FileNotFoundError:
            return []
        except (ValueError, KeyError):
            return list(self._runners.values())
        return [named] if named is not None else []

    async def reap(self, live: set[str]) -> None:
        """Remove what belongs to no live attempt or task run (`live` has the ids of both): after a start, before anything begins.

        A home in which nothing ever ran costs nothing.
        """
        if not self._folders.attempts.is_dir() and not self._folders.workspaces.is_dir():
            return
        live = live | self._held
        for runner in self._runners.values():
            removed = await runner.reap(live)
            if removed:
                log.info("reaped", runner=runner.TYPE, removed=removed)
        await asyncio.to_thread(self._reap_folders, live)

    async def close(self, *, abandon: bool = False) -> None:
        """End the fork server. Commands of runners go on and are taken up again; the runners are closed by whoever made them.

        abandon: nobody will take them up (a throw-away home): end and remove everything of this instance.
        """
        await self._forkery.close()
        if abandon:
            self._held.clear()
            await self.reap(set())

    def may_start_twice(self, task: Task) -> bool:
        """Whether an attempt of it that a crash interrupted may simply be run again."""
        return task.KIND != "process" or task.IDEMPOTENT

    # ---- shared directories

    async def open_workspace(self, work: WorkspaceWork) -> None:
        """Make the directory that the children of a WorkingDirectory share. May be repeated. Raises PodiumError."""
        await asyncio.to_thread(self._workspace(work).open)

    async def close_workspace(self, work: WorkspaceWork, *, collect: bool = True) -> dict[str, Any]:
        """Keep its output files and cache if `collect`, and remove it; the outputs. May be repeated. Raises PodiumError."""
        outputs = await asyncio.to_thread(self._workspace(work).close, collect=collect)
        self._closed.append((self._clock.now(), work.task_run_id))
        while self._closed and self._clock.now() - self._closed[0][0] > _CLOSED_KEPT:
            await asyncio.to_thread(remove, self._folders.shared(self._closed.popleft()[1]).parent)
        return outputs

    def _workspace(self, work: WorkspaceWork) -> Workspace:
        redactor = work.redactor or Redactor()
        redactor.add(work.secret_values)
        scope = Scope(
            namespace=work.namespace, flow_id=work.flow_id, execution_id=work.execution_id, task_run_id=work.task_run_id,
            source=work.source, commit=work.commit, dialect=work.dialect, redactor=redactor,
        )
        renderer = self._tools.renderer
        task_files = TaskFiles(
            renderer.file_reader, renderer.file_scope(scope, work.variables), task_id=work.task.id, task_run_id=work.task_run_id
        )
        return Workspace(
            work=work, folders=self._folders, renderer=renderer, scope=scope, task_files=task_files, storage=self._storage, clock=self._clock
        )

    # ---- helpers

    def _full_name(self, name: str) -> str:
        if name in SHORT_NAMES:
            return SHORT_NAMES[name]
        if self._types is not None:
            return self._types.canonical(name)
        return name if name in self._runners else f"{PREFIX}{name}"

    def _reap_folders(self, live: set[str]) -> None:
        for folder in self._folders.attempts.glob("*"):
            if folder.name not in live:
                remove(folder)
        for workspace in self._folders.workspaces.glob("*"):
            outputs = workspace / "outputs.json"
            if not outputs.exists():
                gone = workspace.name not in live
            else:
                gone = self._clock.now().timestamp() - outputs.stat().st_mtime > _CLOSED_KEPT.total_seconds()
            if gone:
                remove(workspace)
            elif outputs.exists():
                keep_only(outputs)
