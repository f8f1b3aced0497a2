"""Runs one task as a worker would: its model validated, rendered, then `run` with a context of real storage and a renderer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from podium.app.plugins import load_types
from podium.git.repo import Repository
from podium.plugin import Result, Task
from podium.rendering.renderer import Renderer, Scope
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceFiles
from podium.storage.secrets import Secrets
from podium.storage.task_files import TaskFiles

CORE = "io.kestra.plugin.core."


class MemoryReads:
    """base/ports.Reads over plain dicts."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], dict[str, Any]] = {}
        self.documents: dict[tuple[str, str, str], Any] = {}
        self.entries: list[dict[str, Any]] = []
        self.executions: dict[str, dict[str, Any]] = {}
        self.counts: dict[tuple[str | None, str | None], int] = {}
        self.to_purge: dict[str, int] = {"executions": 0, "logs": 0, "metrics": 0, "files": 0}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def kv(self, namespace: str, key: str) -> Mapping[str, Any] | None:
        found = self.values.get((namespace, key))
        return None if found is None or found.get("expired") else found

    def kv_keys(self, namespace: str, prefix: str = "") -> list[str]:
        return [key for place, key in self.values if place == namespace and key.startswith(prefix)]

    def kv_entries(self, namespace: str | None, *, children: bool = False, expired: bool = False) -> list[dict[str, Any]]:
        def wanted(place: str) -> bool:
            return namespace is None or place == namespace or (children and place.startswith(f"{namespace}."))

        return [{"namespace": place, "key": key, **value} for (place, key), value in self.values.items() if wanted(place)]

    def document(self, kind: str, namespace: str, key: str) -> Any:
        return self.documents.get((kind, namespace, key))

    def logs(
        self, execution_id: str, *, min_level: str = "TRACE", task_ids: Sequence[str] = (), attempt: int | None = None, limit: int = 10_000
    ) -> list[dict[str, Any]]:
        levels = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
        return [
            each for each in self.entries
            if each["executionId"] == execution_id and levels.index(each["level"]) >= levels.index(min_level)
            and (not task_ids or each["taskId"] in task_ids)
        ][:limit]

    def count_executions(
        self, *, namespace: str | None, flow_id: str | None, states: Sequence[str], start: datetime, end: datetime | None
    ) -> int:
        self.asked.append(("count", {"states": list(states), "start": start, "end": end}))
        return self.counts.get((namespace, flow_id), 0)

    def execution(self, execution_id: str) -> Mapping[str, Any] | None:
        return self.executions.get(execution_id)

    def purgeable(self, **filters: Any) -> Mapping[str, int]:
        self.asked.append(("purgeable", filters))
        return self.to_purge


@dataclass
class Lines:
    """A task's log."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def log(self, level: str, message: str) -> None:
        self.lines.append((level, message))

    def __contains__(self, text: str) -> bool:
        return any(text in message for _, message in self.lines)


class Context:
    """podium.plugin.RunContext for tests."""

    execution_id = "EXEC1"
    task_run_id = "RUN1"
    attempt = 1
    namespace = "company.team"
    flow_id = "etl"
    zone = UTC

    def __init__(self, bench: Bench, variables: Mapping[str, Any]) -> None:
        self.log = Lines()
        self.variables = {"flow": {"id": "etl", "namespace": "company.team"}, "execution": {"id": "EXEC1"}, **variables}
        self.scope = Scope(namespace=self.namespace, flow_id=self.flow_id, execution_id=self.execution_id, source="main", commit=bench.commit)
        self._bench = bench
        self.files = TaskFiles(
            bench.renderer.file_reader, bench.renderer.file_scope(self.scope, self.variables), task_id="t", task_run_id=self.task_run_id
        )

    @property
    def working_dir(self) -> Path:
        self._bench.work.mkdir(exist_ok=True)
        return self._bench.work

    def render(self, template: Any, extra: Mapping[str, Any] | None = None) -> Any:
        return self._bench.renderer.value(template, self.variables, self.scope, extra=extra)

    def query(self, what: str, **arguments: Any) -> Any:
        reads = self._bench.reads
        if what == "state":
            return reads.document("state", **arguments)
        return getattr(reads, {"executions": "count_executions"}.get(what, what))(**arguments)


@dataclass
class Ran:
    """What came of a task."""

    result: Result
    log: Lines
    context: Context

    @property
    def outputs(self) -> Mapping[str, Any]:
        json.dumps(self.result.outputs)  # outputs must be plain JSON
        return self.result.outputs

    def request(self) -> tuple[str, Mapping[str, Any]]:
        """The only request."""
        assert len(self.result.requests) == 1
        json.dumps(dict(self.result.requests[0].body))
        return self.result.requests[0].kind, self.result.requests[0].body


class Bench:
    """The parts that tasks use."""

    def __init__(self, root: Path, clock: Any, repository: Repository, commit: str) -> None:
        self.work = root / "work"
        self.reads = MemoryReads()
        self.files = FileStorage(root / "store")
        self.commit = commit
        self.renderer = Renderer(
            files=self.files, namespace_files=NamespaceFiles({"main": (repository, ".")}), secrets=Secrets({}), reads=self.reads,
            clock=clock, zone=UTC,
        )

    def task(self, name: str, /, **properties: Any) -> Task:
        """The validated model; name without the prefix of core, or from `serdes.` on."""
        types = load_types()
        full = f"io.kestra.plugin.{name}" if name.startswith("serdes.") else CORE + name
        found = types.task(full)
        assert found is not None, name
        return found.model_validate({"id": "t", "type": full, **properties}, context={"types": types})

    def context(self, **variables: Any) -> Context:
        return Context(self, variables)

    def run(self, name: str, variables: Mapping[str, Any] | None = None, /, **properties: Any) -> Ran:
        """Validate, render, run."""
        context = self.context(**(variables or {}))
        rendered = self.renderer.task(self.task(name, **properties), context.variables, context.scope)
        return Ran(rendered.run(context), context.log, context)

    def store(self, content: str | bytes, name: str = "in.ion") -> str:
        """A file of the execution."""
        data = content.encode() if isinstance(content, str) else content
        return self.files.put(f"kestra:///company/team/etl/executions/EXEC1/inputs/x/{name}", data)

    def text(self, uri: str) -> str:
        return self.files.get(uri).decode()


@pytest.fixture(scope="session")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repository, str]]:
    """A repository that no test changes, and its commit."""
    with Repository.init_bare(tmp_path_factory.mktemp("namespace") / "repo.git") as repository:
        yield repository, repository.commit(
            ref="refs/heads/main", parent=None, message="one", at=datetime(2026, 1, 1, tzinfo=UTC),
            changes={"sql/a.sql": b"select 1", "sql/b.sql": b"select 2", "run.py": b"print(1)"},
        )


@pytest.fixture
def bench(tmp_path: Path, clock: Any, pinned: tuple[Repository, str]) -> Bench:
    return Bench(tmp_path, clock, *pinned)


@pytest.fixture
def run(bench: Bench) -> Callable[..., Ran]:
    return bench.run
