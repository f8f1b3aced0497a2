"""One attempt of a task of kind command: from the task to a Job, through a runner, to outputs.

Called by `worker`. What always holds: what is needed to take the attempt up again after a crash is on disk (`launch.json`, no secret in
it) before the command starts; an attempt that was started is never started again.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from podium.base.durations import format_duration, parse_duration
from podium.base.errors import LimitError, RunnerRefused
from podium.base.limits import ENDED_OUTPUT_S_MAX
from podium.base.ports import LogSink
from podium.base.system.clock import Clock
from podium.plugin import Commanding, CommandSpec, Metric, Request, Task, TaskFailed
from podium.rendering.renderer import Renderer
from podium.runners.port import Finished, Job, Runner
from podium.storage.reader import FileScope
from podium.storage.task_files import TaskFiles
from podium.workers.commands.output import CommandOutput
from podium.workers.context import RunnerContext
from podium.workers.logs import AttemptLog
from podium.workers.values import plain
from podium.workers.work import Work
from podium.workers.workspace import Folders, copy_namespace_files, store_results, write_files

_CACHES_KEPT = 32
_SECRET_OPTIONS = ("credentials", "config")


@dataclass(slots=True)
class Running:
    """An attempt that is being carried out here. end: ends what runs, once there is something."""

    killed: bool = False
    end: Callable[[], Awaitable[None]] | None = None

    async def kill(self) -> None:
        """End it, or see to it that it never begins."""
        self.killed = True
        if self.end is not None:
            await self.end()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended, before it becomes an Ended."""

    state: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    secret_vars: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()
    requests: Sequence[Request] = ()
    too_large: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where commands run on this daemon. runners: by their full type. images: pattern → image, the first match counts."""

    runners: Mapping[str, Runner]
    default_runner: str
    images: Mapping[str, str]
    pass_env: Mapping[str, str]
    folders: Folders
    renderer: Renderer
    clock: Clock
    full_name: Callable[[str], str]
    """The full type of a runner from any name it may have."""

    def runner(self, name: str | None) -> Runner:
        """The runner of that name, or the default one. Raises RunnerRefused."""
        wanted = self.full_name(name or self.default_runner)
        found = self.runners.get(wanted)
        if found is None:
            raise RunnerRefused(
                f"there is no task runner '{name or self.default_runner}' here", hint=f"known: {', '.join(sorted(self.runners))}"
            )
        return found

    def image(self, asked: str | None) -> str | None:
        """The image to use instead of the one asked for, or that one."""
        if asked is None:
            return None
        names = [asked] if "@" in asked or ":" in asked.rpartition("/")[2] else [asked, f"{asked}:latest"]
        return next((image for pattern, image in self.images.items() if any(fnmatchcase(name, pattern) for name in names)), asked)


class Command:
    """One attempt. prepared: the task with its properties rendered."""

    def __init__(self, place: Place, work: Work, *, files: TaskFiles, scope: FileScope, log: AttemptLog, sink: LogSink, running: Running) -> None:
        self._place, self._work, self._files, self._scope = place, work, files, scope
        self._log, self._running = log, running
        self._home = place.folders.attempt(work.attempt_id)
        self._directory = place.folders.working(work.attempt_id, work.shared_directory)
        self._private = self._home / "private"
        self._launch = self._home / "launch.json"
        self._output = CommandOutput(sink, log, self._home / "messages")

    def extra_variables(self, task: Task) -> dict[str, Any]:
        """What the task's expressions see beside the execution's variables. Raises RunnerRefused."""
        places = self._runner_of(task).places(self._directory, self._private)
        return {"workingDir": places.working, "outputDir": places.outputs}

    async def run(self, task: Task, context: Callable[..., RunnerContext]) -> Outcome:
        """Start the command and see it to its end. Raises RunnerError, TaskFailed and what preparing raises."""
        runner = self._runner_of(task)
        places = runner.places(self._directory, self._private)
        made = context(places=places, runner_type=runner.TYPE, private=self._private)
        spec, job = await asyncio.to_thread(self._prepare, task, runner, made)
        await self._log.flush()
        launch = {
            "runner": runner.TYPE, "image": job.image, "patterns": list(job.output_patterns), "output_directory": job.output_directory,
            "unwanted": list(job.unwanted), "write_back": job.write_back, "caches": {each.name: each.key for each in spec.cached},
            "options": plain({key: value for key, value in job.options.items() if key not in _SECRET_OPTIONS}),
            "started_at": self._place.clock.now().isoformat(), "timeout_s": task.timeout.total_seconds() if task.timeout else None,
        }
        await asyncio.to_thread(self._keep, launch)
        outcome = await self._follow(runner, job, launch, runner.run(job, self._output))
        assert outcome is not None
        return outcome

    async def attach(self) -> Outcome | None:
        """The rest of an attempt that may have been started before a crash; None when it was not."""
        if not self._launch.exists():
            return None
        launch = json.loads(self._launch.read_text())
        runner = self._place.runner(launch["runner"])
        job = Job(
            attempt_id=self._work.attempt_id, argv=[], directory=self._directory, results=self._home / "results", private=self._private,
            image=launch["image"], output_patterns=launch["patterns"], output_directory=launch["output_directory"],
            unwanted=launch["unwanted"], caches=self._caches(launch["caches"]), write_back=launch["write_back"], labels=self._labels(),
            options=launch["options"],
        )
        return await self._follow(runner, job, launch, runner.attach(job, self._output))

    # ---- before

    def _keep(self, launch: Mapping[str, Any]) -> None:
        """On disk as a whole or not at all: that it is there means that the command may have been started."""
        draft = self._launch.with_suffix(".draft")
        with draft.open("w") as file:
            json.dump(launch, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._launch)
        descriptor = os.open(self._home, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def _runner_of(self, task: Task) -> Runner:
        assert isinstance(task, Commanding)
        options = task.runner_options()
        return self._place.runner(options["type"] if options else None)

    def _prepare(self, task: Task, runner: Runner, context: RunnerContext) -> tuple[CommandSpec, Job]:
        """Everything up to the start: the command is asked for and its files are laid out. Blocks."""
        assert isinstance(task, Commanding)
        for folder in (self._directory, self._private):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        spec = task.command(context)
        if not spec.argv:
            raise TaskFailed("the task has no command to run")
        if spec.namespace_files is not None:
            reader = self._place.renderer.file_reader
            for warning in copy_namespace_files(self._directory, spec.namespace_files, reader, self._scope):
                self._log.log("WARN", warning)
        write_files(self._directory, spec.input_files, self._files.fetch)
        write_files(self._directory, spec.script_files, self._files.fetch)
        write_files(self._private, spec.private_files, self._files.fetch)
        env = {**self._place.pass_env, **spec.env, "WORKING_DIR": context.places.working}
        if spec.output_directory:
            env["OUTPUT_DIR"] = context.places.outputs
        return spec, Job(
            attempt_id=self._work.attempt_id, argv=spec.argv, directory=self._directory, results=self._home / "results",
            private=self._private, env=env, image=self._place.image(spec.image), output_patterns=spec.output_patterns,
            output_directory=spec.output_directory, unwanted=list(spec.script_files),
            caches=self._caches({each.name: each.key for each in spec.cached}), write_back=self._work.shared_directory is not None,
            labels=self._labels(), options=plain(dict(spec.runner)),
        )

    def _caches(self, keys: Mapping[str, str]) -> dict[str, Path]:
        found = {name: self._place.folders.cache(key) for name, key in keys.items()}
        for path in found.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                path.touch()
        return found

    def _labels(self) -> dict[str, str]:
        work = self._work
        kestra = {
            "namespace": work.namespace, "flow-id": work.flow_id, "task-id": work.task.id, "execution-id": work.execution_id,
            "taskrun-id": work.task_run_id, "taskrun-attempt": str(work.attempt),
        }
        ours = {"namespace": work.namespace, "flow": work.flow_id, "task": work.task.id, "execution": work.execution_id, "taskrun": work.task_run_id}
        return {f"kestra.io/{key}": value[:63] for key, value in kestra.items()} | {f"podium.{key}": value for key, value in ours.items()}

    # ---- meanwhile and after

    async def _follow(
        self, runner: Runner, job: Job, launch: Mapping[str, Any], carry_out: Awaitable[Finished | None]
    ) -> Outcome | None:
        grace_s = parse_duration(job.options.get("killGracePeriod") or 0).total_seconds()

        async def end() -> None:
            self._output.cut_in(grace_s + ENDED_OUTPUT_S_MAX)
            await runner.kill(job.attempt_id, grace_s=grace_s)

        self._running.end = end
        if self._running.killed:
            await runner.kill(job.attempt_id)
        doing = asyncio.ensure_future(carry_out)
        timed_out = await self._until(doing, self._seconds_left(launch))
        try:
            finished = await doing
        except LimitError:
            await runner.kill(job.attempt_id)
            if timed_out:
                return Outcome(state="FAILED", error=_timed_out(launch["timeout_s"]))
            raise
        if finished is None:
            return None
        return await self._conclude(job, finished, timeout_s=launch["timeout_s"] if timed_out else None)

    async def _until(self, doing: asyncio.Future[Any], seconds: float | None) -> bool:
        """Wait for the command; end it when its time is up. Whether it was."""
        assert self._running.end is not None
        try:
            await asyncio.wait({doing}, timeout=seconds)
        except asyncio.CancelledError:
            doing.cancel()
            raise
        if doing.done():
            return False
        await self._running.end()
        return True

    def _seconds_left(self, launch: Mapping[str, Any]) -> float | None:
        if launch["timeout_s"] is None:
            return None
        passed = self._place.clock.now() - datetime.fromisoformat(launch["started_at"])
        return max(float(launch["timeout_s"]) - max(passed.total_seconds(), 0.0), 0.0)

    async def _conclude(self, job: Job, finished: Finished, *, timeout_s: float | None) -> Outcome:
        said = self._output.said
        outputs: dict[str, Any] = {"exitCode": finished.exit_code, "vars": said.vars}
        outputs["outputFiles"] = await asyncio.to_thread(store_results, job.results, self._files)
        if "containerId" in finished.facts:
            outputs["taskRunner"] = {"containerId": finished.facts["containerId"]}
        if self._work.shared_directory is not None:
            await asyncio.to_thread(self._tidy_shared, job)
        await asyncio.to_thread(_prune_caches, job)
        state, error = self._verdict(finished, timeout_s)
        if finished.oom_killed:
            self._log.log("ERROR", "The command ran out of memory; taskRunner.memory.memory or the setting runner.memory limits it")
        return Outcome(
            state=state, outputs=outputs, secret_vars=said.secret_vars, metrics=said.metrics, too_large=said.too_large,
            facts={**finished.facts, "exitCode": finished.exit_code}, error=error,
        )

    def _verdict(self, finished: Finished, timeout_s: float | None) -> tuple[str, str | None]:
        if self._running.killed:
            return "KILLED", None
        if timeout_s is not None:
            return "FAILED", _timed_out(timeout_s)
        if finished.exit_code != 0:
            return "FAILED", f"Command failed with exit code {finished.exit_code}"
        return "SUCCESS", None

    def _tidy_shared(self, job: Job) -> None:
        for name in job.unwanted:
            (self._directory / name).unlink(missing_ok=True)


def _timed_out(seconds: float) -> str:
    return f"Timeout after {format_duration(timedelta(seconds=seconds))}"


def _prune_caches(job: Job) -> None:
    """Keep the caches used last, so that their folder is bounded."""
    for folder in {path.parent for path in job.caches.values()}:
        import shutil

        found = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in found[_CACHES_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
