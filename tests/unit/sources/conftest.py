"""A repository with flows, and the types that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fake_orchestrator import Log
from podium.flows.types import Types
from podium.git.repo import Repository


@pytest.fixture(scope="session")
def types() -> Types:
    return Types.build(tasks=[Log])


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with Repository.init_bare(tmp_path / "remote.git") as made:
        yield made


@pytest.fixture
def commit(repository: Repository) -> Callable[[Mapping[str, str | bytes | None]], str]:
    """Commit changes to `main` of the repository; the commit id."""

    def make(changes: Mapping[str, str | bytes | None]) -> str:
        return repository.commit(
            ref="refs/heads/main", parent=repository.resolve("refs/heads/main"), message="change",
            changes={path: body.encode() if isinstance(body, str) else body for path, body in changes.items()},
            at=datetime(2026, 1, 5, tzinfo=UTC),
        )

    return make
