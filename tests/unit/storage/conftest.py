"""A repository with namespace files, and what reads them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from podium.git.repo import Repository
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceFiles

FIRST = {
    "README.md": b"# readme", "flows/a.yaml": b"id: a", "flows/scripts/run.py": b"print(1)", "flows/scripts/util/x.py": b"x = 1",
    "flows/data.bin": b"\xff\x00", "flows/_files/company.team/only-here.txt": b"team", "flows/_files/company.team/scripts/run.py": b"print('team')",
    "flows/_files/company/other.txt": b"company", "flows/.podium/secrets.age": b"secret",
}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with Repository.init_bare(tmp_path / "repo.git") as made:
        yield made


@pytest.fixture
def first(repository: Repository) -> str:
    """The first commit."""
    return repository.commit(ref="refs/heads/main", parent=None, changes=FIRST, message="one", at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def second(repository: Repository, first: str) -> str:
    """A later commit that changes and removes files."""
    return repository.commit(
        ref="refs/heads/main", parent=first, changes={"flows/scripts/run.py": b"print(2)", "flows/data.bin": None}, message="two",
        at=datetime(2026, 1, 2, tzinfo=UTC),
    )


@pytest.fixture
def namespace_files(repository: Repository) -> NamespaceFiles:
    return NamespaceFiles({"main": (repository, "flows")})


@pytest.fixture
def files(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path / "store")
