"""Runs a command on this machine, without isolation, under a supervisor that outlives the daemon (ruling 22).

Who calls: `workers`. What always holds: the supervisor's files `<home>/attempts/<attempt>/process/{started,stdout,stderr,exit}` are the
truth; after kill -9 of the daemon the command runs on, and `attach` reads the rest of its output and its exit code from them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from podium.base.errors import AttemptLost, RunnerError
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.runners.collect import Budget, copy_matching
from podium.runners.port import Finished, Job, Line, OutputSink, Places
from podium.runners.process import spawn, supervisor
from podium.runners.process.tail import Tail

log = get_logger(__name__)
MARK = "PODIUM_ATTEMPT"
"""Environment variable that names instance and attempt in every process of ours, so that the reaper finds what escaped."""
_QUIET_S, _BUSY_S = 0.2, 0.02


class ProcessRunner:
    """See the module's docstring. environ: what commands get of the daemon's environment (its own secrets are taken out)."""

    TYPE = "io.kestra.plugin.core.runner.Process"

    def __init__(self, *, home: Path, instance: str, clock: Clock, environ: Mapping[str, str], in_scope: bool = True) -> None:
        self._attempts = home.resolve() / "attempts"
        self._instance = instance
        self._clock = clock
        self._daemon_environ = dict(environ)
        self._environ = spawn.foreign_environment(environ)
        self._in_scope = in_scope
        self._killed: set[str] = set()

    def places(self, directory: Path, private: Path) -> Places:
        """The host's own paths: nothing is copied."""
        return Places(working=str(directory), outputs=str(private / "outputs"), private=str(private))

    async def run(self, job: Job, sink: OutputSink) -> Finished:
        """See Runner."""
        found = await self.attach(job, sink)
        if found is not None:
            return found
        return await self._follow(job, sink, await asyncio.to_thread(self._start, job))

    async def attach(self, job: Job, sink: OutputSink) -> Finished | None:
        """See Runner."""
        if not (self._files(job.attempt_id) / "started").exists():
            return None
        return await self._follow(job, sink)

    async def kill(self, attempt_id: str, *, grace_s: float = 0.0) -> None:
        """See Runner."""
        self._killed.add(attempt_id)
        directory = self._files(attempt_id)
        if not directory.parent.is_dir():
            return
        directory.mkdir(exist_ok=True)
        (directory / "killed").touch()
        descriptor = self._supervisor(attempt_id)
        if descriptor is None:
            return
        with spawn.Exit(descriptor) as end:
            if grace_s > 0:
                spawn.send(descriptor, signal.SIGUSR2)
                if await end.wait(grace_s):
                    return
            spawn.send(descriptor, signal.SIGUSR1)
            await end.wait(10.0)

    async def release(self, attempt_id: str) -> None:
        """See Runner."""
        directory = self._files(attempt_id)
        if (directory / "started").exists() and not (directory / "exit").exists():
            await self.kill(attempt_id)
            await asyncio.to_thread(self._end_strays, lambda found: found == attempt_id)
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        self._killed.discard(attempt_id)

    async def reap(self, live_attempts: set[str]) -> int:
        """See Runner."""
        removed = 0
        for directory in await asyncio.to_thread(lambda: list(self._attempts.glob("*/process"))):
            if directory.parent.name not in live_attempts:
                await self.release(directory.parent.name)
                removed += 1
        return removed + await asyncio.to_thread(self._end_strays, lambda found: found not in live_attempts)

    async def close(self) -> None:
        """Nothing to close: commands go on without us."""

    def _files(self, attempt_id: str) -> Path:
        return self._attempts / attempt_id / "process"

    def _start(self, job: Job) -> subprocess.Popen[bytes]:
        directory = self._files(job.attempt_id)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if job.attempt_id in self._killed:
            (directory / "killed").touch()
        if job.output_directory:
            self._outputs(job).mkdir(parents=True, exist_ok=True)
        self._lay_out_caches(job)
        env = self._environ | dict(job.env) | {MARK: f"{self._instance}:{job.attempt_id}"}
        order = json.dumps({"argv": list(job.argv), "cwd": str(job.directory), "env": env})
        prefix = spawn.scope_prefix(self._daemon_environ, attempt_id=job.attempt_id) if self._in_scope else []
        command = [*prefix, sys.executable, "-I", "-S", supervisor.__file__, str(directory)]
        try:
            return spawn.start(command, stdin=order.encode(), environ={"PATH": self._environ.get("PATH", os.defpath)})
        except OSError as exc:
            raise RunnerError(
                f"the supervisor of a command cannot be started: {exc}", hint="is the machine out of processes or memory?"
            ) from exc

    def _lay_out_caches(self, job: Job) -> None:
        for name, source in job.caches.items():
            place = self._private(job) / name
            if source.is_dir() and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(source)

    def _keep_caches(self, job: Job) -> None:
        for name, target in job.caches.items():
            place = self._private(job) / name
            if place.is_dir() and not place.is_symlink() and not target.exists():
                fresh = target.with_name(f"{target.name}.{job.attempt_id}")
                shutil.copytree(place, fresh, symlinks=True, dirs_exist_ok=True)
                if target.exists():
                    shutil.rmtree(fresh)
                else:
                    fresh.rename(target)

    def _private(self, job: Job) -> Path:
        return job.private or self._files(job.attempt_id)

    def _outputs(self, job: Job) -> Path:
        return Path(self.places(job.directory, self._private(job)).outputs)

    def _supervisor(self, attempt_id: str) -> int | None:
        who = self._who(attempt_id)
        return spawn.open_process(who["pid"], who["at"], who["boot"]) if who else None

    def _who(self, attempt_id: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self._files(attempt_id) / "started").read_text())
        except FileNotFoundError:
            return None
        return found

    async def _follow(self, job: Job, sink: OutputSink, process: subprocess.Popen[bytes] | None = None) -> Finished:
        tail = Tail(self._files(job.attempt_id), await sink.cursor(), self._clock)
        descriptor = os.pidfd_open(process.pid) if process else self._supervisor(job.attempt_id)
        if descriptor is not None:
            with spawn.Exit(descriptor) as end:
                while not end.done:
                    busy = await self._hand_on(tail, sink, final=False)
                    await end.wait(_BUSY_S if busy else _QUIET_S)
        if process is not None and process.wait() != 0:
            return await self._not_by_us(job, sink, process.returncode)
        while await self._hand_on(tail, sink, final=True):
            pass
        code, killed = await asyncio.to_thread(self._end_of, job.attempt_id)
        await self._collect(job, sink)
        if code == 0:
            await asyncio.to_thread(self._keep_caches, job)
        return Finished(exit_code=code, killed=killed or job.attempt_id in self._killed, facts={"runner": self.TYPE})

    async def _not_by_us(self, job: Job, sink: OutputSink, status: int) -> Finished:
        """The supervisor ended without running the command: another one has it, or it could not begin."""
        found = await self.attach(job, sink)
        if found is None:
            raise RunnerError(
                f"the supervisor of a command ended with status {status} before it began", attempt=job.attempt_id,
                hint="is the disk full, or is the task's environment larger than the system allows?",
            )
        return found

    async def _hand_on(self, tail: Tail, sink: OutputSink, *, final: bool) -> bool:
        lines, cursor = await asyncio.to_thread(tail.read, final=final)
        if lines:
            await sink.lines(lines, cursor=cursor)
        return bool(lines)

    def _end_of(self, attempt_id: str) -> tuple[int, bool]:
        try:
            end = json.loads((self._files(attempt_id) / "exit").read_text())
        except FileNotFoundError:
            self._end_strays(lambda found: found == attempt_id)
            raise AttemptLost(
                "the command's supervisor is gone and left no exit code", attempt=attempt_id,
                hint="the machine was restarted, or somebody killed the supervisor: look at what the task did, then restart the execution",
            ) from None
        return end["code"], end["killed"]

    async def _collect(self, job: Job, sink: OutputSink) -> None:
        budget = Budget()
        left_out = await asyncio.to_thread(
            copy_matching, job.directory, job.results, job.output_patterns, unwanted=job.unwanted, budget=budget
        )
        if job.output_directory:
            left_out += await asyncio.to_thread(copy_matching, self._outputs(job), job.results, ["**"], budget=budget)
        if left_out:
            text = f"not kept, because they are links that lead out of the working directory: {', '.join(sorted(left_out)[:20])}"
            await sink.lines([Line("runner", self._clock.now(), text)], cursor=None)

    def _end_strays(self, doomed: Callable[[str], bool]) -> int:
        """Kill processes marked as ours whose attempt is doomed: those that outlived their supervisor."""
        ended = 0
        for pid, mark in spawn.processes_with(MARK):
            instance, _, attempt_id = mark.partition(":")
            if instance == self._instance and doomed(attempt_id) and pid != os.getpid():
                try:
                    os.kill(pid, signal.SIGKILL)
                    ended += 1
                except (ProcessLookupError, PermissionError):
                    continue
        return ended
