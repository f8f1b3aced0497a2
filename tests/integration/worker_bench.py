"""A worker with everything real around it (storage, namespace files, secrets, runners) and a journal of lines in memory, for tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from podium.base.ports import LogLine
from podium.base.redact import Redactor
from podium.base.system.clock import SystemClock
from podium.base.system.ids import new_id
from podium.flows.model import Task, WorkingDirectory
from podium.flows.types import Types
from podium.plugins import core, scripts, sql
from podium.rendering.renderer import Renderer
from podium.runners.port import Runner
from podium.runners.process.runner import ProcessRunner
from podium.storage.crypto import Cipher
from podium.storage.files import FileStorage
from podium.storage.namespace import WorkTreeFiles
from podium.storage.secrets import Secrets
from podium.workers.work import Ended, Work, WorkspaceWork
from podium.workers.worker import Worker

TYPES = Types.build([*core.TASKS, *scripts.TASKS, *sql.TASKS], [*core.TRIGGERS, *sql.TRIGGERS], [], scripts.RUNNERS)
INSTANCE = os.environ.get("WORKER_BENCH") or f"worker-bench-{os.getpid()}"
os.environ["WORKER_BENCH"] = INSTANCE  # the daemons that tests start and kill share it
NAMESPACE, FLOW = "company.team", "flow_one"


class Journal:
    """A LogSink that keeps lines and the cursor together."""

    def __init__(self) -> None:
        self.kept: list[LogLine] = []
        self.at: str | None = None

    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        self.kept += lines
        self.at = cursor if cursor is not None else self.at

    async def cursor(self) -> str | None:
        return self.at

    def texts(self, level: str | None = None) -> list[str]:
        return [line.message for line in self.kept if level in (None, line.level)]

    async def until(self, text: str, *, timeout_s: float = 60) -> None:
        async with asyncio.timeout(timeout_s):
            while not any(text in line.message for line in self.kept):
                await asyncio.sleep(0.02)


class NoReads:
    """Reads of an orchestrator that knows nothing but one key."""

    def kv(self, namespace: str, key: str) -> Mapping[str, Any] | None:
        return {"key": key, "value": f"{namespace}/{key}", "type": "STRING"} if key == "known" else None

    def document(self, kind: str, namespace: str, key: str) -> Any:
        return None


class Bench:
    """Makes works, runs them and remembers nothing else."""

    def __init__(self, home: Path, *, runners: Sequence[Runner] | None = None, default: str = "process", **options: Any) -> None:
        self.home = home
        self.repository = home / "repository"
        self.repository.mkdir(parents=True, exist_ok=True)
        self.clock = SystemClock()
        self.storage = FileStorage(home / "storage")
        secrets = Secrets({"SECRET_TOKEN": "czNjcjN0LXRva2Vu"})
        self.renderer = Renderer(
            files=self.storage, namespace_files=WorkTreeFiles(self.repository), secrets=secrets, reads=NoReads(),  # type: ignore[arg-type]
            clock=self.clock, zone=UTC, envs={"stage": "test"},
        )
        process = ProcessRunner(home=home, instance=INSTANCE, clock=self.clock, environ=dict(os.environ))
        self.runners = [process, *(runners or ())]
        self.worker = Worker(
            renderer=self.renderer, files=self.storage, runners={each.TYPE: each for each in self.runners}, default_runner=default,
            reads=NoReads(), clock=self.clock, home=home, instance=INSTANCE, types=TYPES, cipher=Cipher(b"k" * 32),  # type: ignore[arg-type]
            environ=dict(os.environ), **options,
        )

    def task(self, kind: str, **properties: Any) -> Task:
        """A task as a flow has it; `kind` without the prefix."""
        found = TYPES.task(kind)
        assert found is not None, kind
        data = {"id": "task1", "type": f"io.kestra.plugin.{kind}", **properties}
        return found.model_validate(data, context={"types": TYPES})

    def work(self, task: Task, *, variables: Mapping[str, Any] | None = None, **extra: Any) -> Work:
        values: dict[str, Any] = {
            "flow": {"id": FLOW, "namespace": NAMESPACE}, "inputs": {}, "outputs": {}, "taskrun": {"id": "run1"}, **(variables or {}),
        }
        given: dict[str, Any] = {
            "attempt_id": f"{new_id()}-1", "execution_id": new_id(), "task_run_id": new_id(), "attempt": 1, "namespace": NAMESPACE,
            "flow_id": FLOW, "revision": 1, "source": "main", "commit": "c" * 40, "task": task, "variables": values, "redactor": Redactor(),
        }
        return Work(**{**given, **extra})

    async def run(self, task: Task, **extra: Any) -> tuple[Ended, Journal]:
        """One attempt from start to release."""
        journal, work = Journal(), self.work(task, **extra)
        ended = await self.worker.run(work, journal)
        await self.worker.release(work.attempt_id)
        return ended, journal

    async def go(self, kind: str, **properties: Any) -> tuple[Ended, Journal]:
        """The same for a task made here."""
        variables = properties.pop("variables", None)
        return await self.run(self.task(kind, **properties), variables=variables)

    def workspace(self, *, run_id: str | None = None, variables: Mapping[str, Any] | None = None, **properties: Any) -> WorkspaceWork:
        task = WorkingDirectory.model_validate(
            {"id": "dir", "type": WorkingDirectory.TYPE, "tasks": [], **properties}, context={"types": TYPES}
        )
        return WorkspaceWork(
            task_run_id=run_id or new_id(), execution_id=new_id(), namespace=NAMESPACE, flow_id=FLOW, revision=1, source="main",
            commit="c" * 40, task=task, variables=dict(variables or {}), redactor=Redactor(),
        )

    def stored(self, uri: str) -> bytes:
        return self.storage.get(uri)

    async def close(self) -> None:
        await self.worker.reap(set())
        await self.worker.close()
        for runner in self.runners:
            await runner.close()
