"""A renderer over real storage, a repository and a few values."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from podium.git.repo import Repository
from podium.rendering.renderer import Renderer, Scope
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceFiles
from podium.storage.secrets import Secrets


class Values:
    """base/ports.Reads as far as expressions use it."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], dict[str, Any]] = {}

    def kv(self, namespace: str, key: str) -> Mapping[str, Any] | None:
        return self.values.get((namespace, key))

    def logs(
        self, execution_id: str, *, min_level: str = "TRACE", task_ids: Sequence[str] = (), attempt: int | None = None, limit: int = 10_000
    ) -> list[dict[str, Any]]:
        assert min_level == "ERROR"
        return [{"executionId": execution_id, "message": "boom", "level": "ERROR"}]


@pytest.fixture
def values() -> Values:
    return Values()


@pytest.fixture
def files(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path / "store")


@pytest.fixture(scope="session")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repository, str]]:
    """A repository that no test changes, and its commit."""
    with Repository.init_bare(tmp_path_factory.mktemp("namespace") / "repo.git") as repository:
        yield repository, repository.commit(
            ref="refs/heads/main", parent=None, message="one", at=datetime(2026, 1, 1, tzinfo=UTC),
            changes={"sql/a.sql": b"select {{ 1 }}", "bin": b"\xff\x00"},
        )


@pytest.fixture
def scope(pinned: tuple[Repository, str]) -> Scope:
    return Scope(namespace="company.team", flow_id="etl", execution_id="EXEC1", source="main", commit=pinned[1])


@pytest.fixture
def renderer(files: FileStorage, pinned: tuple[Repository, str], values: Values, clock: Any) -> Renderer:
    secrets = Secrets({
        "SECRET_TOKEN": base64.b64encode(b"hunter2").decode(), "SECRET_JSON": base64.b64encode(b'{"user": "me", "n": 12345}').decode()
    })
    return Renderer(
        files=files, namespace_files=NamespaceFiles({"main": (pinned[0], ".")}), secrets=secrets, reads=values,  # type: ignore[arg-type]
        clock=clock, zone=ZoneInfo("Europe/Paris"), envs={"host": "h1"}, globals_={"team": "t1"},
    )
