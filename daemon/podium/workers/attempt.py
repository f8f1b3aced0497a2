"""One attempt from its Work to its Ended: runIf, rendering, the kind's own way of running, outputs.

Called by `worker`. What always holds: `carry_out` gives an Ended for whatever a task does, or raises TakesLong (Work.at_once); no
secret is in its error.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from podium.base.durations import format_duration
from podium.base.errors import AttemptLost, NotFound, PodiumError, TakesLong
from podium.base.limits import COMMAND_OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX
from podium.base.moments import to_text
from podium.base.ports import LogSink, Reads
from podium.base.redact import Redactor
from podium.base.system.clock import Clock
from podium.expressions.compile import is_pure
from podium.flows.model import TaskCache
from podium.plugin import Delegating, Late, Metric, Request, Runnable, Task, TaskFailed
from podium.rendering.renderer import Renderer, Scope, has_template
from podium.storage.crypto import Cipher
from podium.storage.task_files import TaskFiles
from podium.workers.children import child as messages
from podium.workers.children.parent import Forkery
from podium.workers.children.serving import served
from podium.workers.commands.command import Command, Outcome, Place, Running
from podium.workers.context import Context, RunnerContext
from podium.workers.logs import AttemptLog, FileLog
from podium.workers.reuse import cache
from podium.workers.values import plain
from podium.workers.work import Ended, Work
from podium.workers.workspace import Folders

T = TypeVar("T")
_REMEMBERED_MAX = 10_000
_LOST = "Attempt lost: the daemon stopped while it ran, and nobody saw how it ended"


@dataclass(slots=True)
class Tools:
    """What all attempts of a worker share."""

    renderer: Renderer
    reads: Reads
    clock: Clock
    folders: Folders
    place: Place
    forkery: Forkery
    cipher: Cipher | None
    _at_once: dict[int, tuple[Task, bool]] = field(default_factory=dict)

    def renders_at_once(self, task: Task, dialect: str) -> bool:
        """Whether rendering a task waits for nothing, so that it may be done in the loop."""
        known = self._at_once.get(id(task))
        if known is None:
            if len(self._at_once) >= _REMEMBERED_MAX:
                self._at_once.clear()
            body = task.model_dump()
            known = self._at_once[id(task)] = (task, not has_template(body) or is_pure(body, dialect=dialect))
        return known[1]


class Attempt:
    """See the module's docstring."""

    def __init__(self, tools: Tools, work: Work, sink: LogSink, running: Running) -> None:
        self._tools, self._work, self._running = tools, work, running
        self._redactor = work.redactor or Redactor()
        self._redactor.add([*work.secret_values, *tools.place.pass_env.values()])
        self._scope = Scope(
            namespace=work.namespace, flow_id=work.flow_id, execution_id=work.execution_id, task_run_id=work.task_run_id,
            source=work.source, commit=work.commit, dialect=work.dialect, redactor=self._redactor, brisk=work.at_once,
        )
        if work.task.log_to_file:
            self._home.mkdir(parents=True, exist_ok=True)
            sink = FileLog(self._home / "log.txt", sink)
        self._log = AttemptLog(sink, self._redactor, tools.clock, min_level=work.task.log_level)
        reader = tools.renderer.file_reader
        self._file_scope = tools.renderer.file_scope(self._scope, work.variables)
        self._files = TaskFiles(reader, self._file_scope, task_id=work.task.id, task_run_id=work.task_run_id)
        self._sink = sink
        self._kept_as: tuple[str, TaskCache] | None = None
        """The key under which the outputs are to be kept for later runs."""

    @cached_property
    def _command(self) -> Command:
        return Command(
            self._tools.place, self._work, files=self._files, scope=self._file_scope, log=self._log, sink=self._sink, running=self._running
        )

    async def carry_out(self) -> Ended:
        """Run it, or what is left of it after a crash."""
        began = self._tools.clock.now()
        lost = False
        try:
            outcome = await self._outcome()
        except TakesLong:
            raise
        except AttemptLost as error:
            lost = True
            outcome = Outcome(state="FAILED", error=f"{_LOST} ({error.what})" if error.what != _LOST else _LOST)
        except Exception as error:  # noqa: BLE001 -- a task may fail in any way, and its failure is its end
            outcome = self._failed(error)
        if self._running.killed and outcome.state == "FAILED":
            outcome = Outcome(state="KILLED", outputs=outcome.outputs, metrics=outcome.metrics, facts=outcome.facts)
        return await self._ended(began, outcome, lost=lost)

    # ---- running

    async def _outcome(self) -> Outcome:
        task = self._work.task
        if self._work.started:
            taken_up = await self._take_up(task)
            if taken_up is not None:
                return taken_up
        if task.run_if != "true" and not await self._wanted(task):
            return Outcome(state="SKIPPED")
        rendered = await self._rendered(task)
        return await self._reused(task, rendered) or await self._by_kind(rendered)

    async def _reused(self, task: Task, rendered: Task) -> Outcome | None:
        """What an earlier run with the same properties gave; None when this one has to be made."""
        wanted = cache.wanted(task)
        if wanted is None:
            return None
        if task.KIND == "command":
            rendered = await asyncio.to_thread(self._tools.renderer.task, task, self._work.variables, self._scope, cache.SAME_PLACES)
        elif isinstance(rendered, Late):
            rendered = await asyncio.to_thread(self._with_late, rendered)
        elif cache.is_open(rendered):
            self._log.log("WARN", "taskCache: the task renders a property by itself while it runs, so nothing is reused")
            return None
        key = cache.key_of(self._work, rendered)
        self._kept_as = key, wanted
        kept = cache.usable(self._tools.reads.document(cache.DOCUMENT, self._work.namespace, key), wanted, self._tools.clock.now())
        if kept is None:
            return None
        try:
            outputs = await self._inherited(kept)
        except NotFound as error:
            self._log.log("INFO", f"taskCache: the earlier run's files are gone, so the task runs again ({error.what})")
            return None
        self._kept_as = None
        self._log.log("INFO", f"taskCache: the task did not run; its outputs are those of execution {kept.execution_id} at {to_text(kept.at)}")
        return Outcome(state="SUCCESS", outputs=outputs, facts={"reusedFrom": kept.execution_id})

    def _with_late(self, task: Any) -> Task:
        """The task with what it renders itself, as far as it can be compared. Blocks."""
        late: Late = task
        given = {name: getattr(task, name) for name in late.LATE}
        found = {name: self._tools.renderer.value(text, self._work.variables, self._scope, extra=late.same_places()) for name, text in given.items()}
        same: Task = task.model_copy(update=found)
        return same

    async def _inherited(self, kept: cache.Kept) -> dict[str, Any]:
        """The outputs of an earlier run, with copies of its files. Raises NotFound when one is gone."""
        if self._work.at_once and cache.has_files(kept):
            raise TakesLong("files are copied", hint="run it in a thread")
        return await asyncio.to_thread(cache.with_own_files, kept, self._files.inherit) if cache.has_files(kept) else dict(kept.outputs)

    async def _take_up(self, task: Task) -> Outcome | None:
        """What became of an attempt that may have been started before a crash; None when it was not."""
        if task.KIND in {"command", "delegate"}:
            if (self._home / "launch.json").exists():
                with suppress(PodiumError):
                    await self._rendered(task)  # so that the secrets it uses are masked in the rest of its output too
            outcome = await self._command.attach()
            if outcome is not None or task.KIND == "command":
                return outcome
        if self._marker.exists() and not task.IDEMPOTENT:
            raise AttemptLost(_LOST, hint="look at what the task did, then restart the execution")
        return None

    async def _wanted(self, task: Task) -> bool:
        condition = task.run_if
        pure = not has_template(condition) or is_pure(condition, dialect=self._work.dialect)
        return await self._evaluated(pure, lambda scope: self._tools.renderer.truthy(condition, self._work.variables, scope))

    async def _rendered(self, task: Task) -> Task:
        render = self._tools.renderer.task
        extra = self._command.extra_variables(task) if task.KIND == "command" else None
        pure = self._tools.renders_at_once(task, self._work.dialect)
        return await self._evaluated(pure, lambda scope: render(task, self._work.variables, scope, extra))

    async def _evaluated(self, pure: bool, evaluate: Callable[[Scope], T]) -> T:
        """Evaluate on the loop what only takes a moment, else in a thread."""
        if pure:
            try:
                return evaluate(replace(self._scope, brisk=True))
            except TakesLong:
                if self._work.at_once:
                    raise
        return await asyncio.to_thread(evaluate, self._scope)

    async def _by_kind(self, task: Task) -> Outcome:
        if task.KIND == "command":
            return await self._command.run(task, self._runner_context)
        if task.KIND == "delegate":
            assert isinstance(task, Delegating)
            inner = await asyncio.to_thread(task.becomes, self._context())
            return await self._by_kind(inner.model_copy(update={"timeout": inner.timeout or task.timeout}))
        if task.KIND == "process":
            return await self._in_child(task)
        runnable = cast("Runnable", task)
        result = runnable.run(self._context()) if self._work.at_once else await asyncio.to_thread(runnable.run, self._context())
        return Outcome(
            state=result.state, outputs=self._with_secrets(dict(result.outputs), result.secret_outputs), metrics=result.metrics,
            requests=[Request(kind=each.kind, body=plain(each.body)) for each in result.requests], facts=result.facts,
        )

    async def _in_child(self, task: Task) -> Outcome:
        modules = [type(task).__module__, *getattr(task, "PRELOAD", ())]
        child = await self._tools.forkery.child(modules)
        self._running.end = _async(child.kill)
        await asyncio.to_thread(self._mark)
        if self._running.killed:
            child.kill()
        work = self._work
        facts = {
            "execution_id": work.execution_id, "task_run_id": work.task_run_id, "attempt": work.attempt, "namespace": work.namespace,
            "flow_id": work.flow_id, "working_dir": str(self._directory),
        }
        doing = asyncio.ensure_future(child.run(task, facts, self._serve, self._log))
        full = asyncio.ensure_future(self._log.full.wait())
        timeout_s = task.timeout.total_seconds() if task.timeout else None
        try:
            await asyncio.wait({doing, full}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            cut_short = not doing.done()
            if cut_short:
                child.kill()
            message = await doing
        except asyncio.CancelledError:
            child.kill()
            raise
        finally:
            full.cancel()
        if cut_short and self._log.full.is_set():
            what = f"The task wrote more than {COMMAND_OUTPUT_BYTES_MAX} bytes to its log and was ended (COMMAND_OUTPUT_BYTES_MAX)"
            return Outcome(state="FAILED", error=what)
        if cut_short:
            return Outcome(state="FAILED", error=f"Timeout after {format_duration(task.timeout or timedelta())}")
        return self._outcome_of(message)

    def _serve(self, method: str, arguments: Any) -> Any:
        """Do what a child asks for. Runs in a thread."""
        return served(self._context(), method, arguments)

    # ---- helpers

    @cached_property
    def _home(self) -> Path:
        return self._tools.folders.attempt(self._work.attempt_id)

    @cached_property
    def _directory(self) -> Path:
        return self._tools.folders.working(self._work.attempt_id, self._work.shared_directory)

    @property
    def _marker(self) -> Path:
        return self._home / "began"

    def _mark(self) -> None:
        """Leave a trace, before a child may have any effect, that this attempt was begun."""
        self._home.mkdir(parents=True, exist_ok=True)
        with self._marker.open("w") as file:
            os.fsync(file.fileno())
        for folder in (self._home, self._home.parent):
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def _context(self) -> Context:
        return Context(self._work, **self._parts())

    def _runner_context(self, **named: Any) -> RunnerContext:
        return RunnerContext(self._work, **named, **self._parts())

    def _parts(self) -> dict[str, Any]:
        return {
            "renderer": self._tools.renderer, "scope": self._scope, "log": self._log, "files": self._files, "directory": lambda: self._directory,
            "reads": self._tools.reads,
        }

    def _outcome_of(self, message: Mapping[str, Any]) -> Outcome:
        if message.get("trace"):
            self._log.log("DEBUG", message["trace"])
        outputs = self._with_secrets(dict(message["outputs"]), message.get("secret_outputs", ()))
        return Outcome(
            state=message["state"], outputs=outputs, error=message.get("error"), facts=message.get("facts") or {},
            metrics=[Metric(**each) for each in message.get("metrics", ())], requests=[Request(**each) for each in message.get("requests", ())],
        )

    def _failed(self, error: Exception) -> Outcome:
        return self._outcome_of(messages.failure(error))

    def _with_secrets(self, outputs: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """The outputs with those named encrypted."""
        return outputs | {name: self._sealed(plain(outputs[name])) for name in names if name in outputs}

    def _sealed(self, value: Any) -> Any:
        if self._tools.cipher is None:
            raise TaskFailed("a secret output cannot be kept: this instance has no encryption key")
        self._redactor.add([value if isinstance(value, str) else msgspec.json.encode(value).decode()])
        return self._tools.cipher.seal(value)

    async def _ended(self, began: datetime, outcome: Outcome, *, lost: bool) -> Ended:
        outputs = plain(outcome.outputs)
        if outcome.secret_vars:
            outputs["vars"] = {**outputs.get("vars", {}), **{name: self._sealed(value) for name, value in outcome.secret_vars.items()}}
        state, error = outcome.state, outcome.error
        size = len(msgspec.json.encode(outputs))
        if size > OUTPUT_BYTES_MAX or outcome.too_large:
            state, outputs = "FAILED", {}
            error = f"The task's outputs are larger than {OUTPUT_BYTES_MAX} bytes (OUTPUT_BYTES_MAX): store them as a file instead"
        facts = plain(outcome.facts)
        requests = list(outcome.requests)
        if self._kept_as is not None and state == "SUCCESS":
            requests.append(cache.keeping(self._work, self._kept_as[0], outputs, self._kept_as[1], self._tools.clock.now()))
        if error is not None:
            error = self._redactor.text(error)
            self._log.log("ERROR", error)
        await self._log.flush()
        if self._work.task.log_to_file:
            facts["logFile"] = await asyncio.to_thread(self._files.put, self._home / "log.txt", f"log-{self._work.attempt}.txt")
        return Ended(
            state=state, started_at=began, ended_at=self._tools.clock.now(), outputs=outputs, metrics=outcome.metrics,
            requests=requests, facts=facts, error=error, lost=lost,
        )


def _async(call: Any) -> Any:
    async def run() -> None:
        call()

    return run
