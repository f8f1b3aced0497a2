"""Objects, packs and trees made by hand are what git itself would make."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from podium.base.errors import GitError
from podium.git.commits import check_path, parse_tree
from podium.git.objects import Identity, PackWriter, object_id
from podium.git.repo import Repository

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def repository(tmp_path: Path):
    with Repository.init_bare(tmp_path / "r.git") as made:
        yield made


def git(repository: Repository, *args: str) -> str:
    return subprocess.run(["git", "--git-dir", str(repository.git_dir), *args], check=True, capture_output=True, text=True).stdout


def test_object_ids_are_those_of_git() -> None:
    assert object_id("blob", b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert object_id("tree", b"") == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_a_pack_is_accepted_by_git_and_holds_every_object(repository: Repository) -> None:
    pack = PackWriter()
    names = [pack.add("blob", b"x" * size) for size in (0, 1, 15, 16, 2_047, 2_048, 300_000)]
    names.append(pack.add("blob", b"x"))
    with pack.kept(repository.git_dir):
        (index,) = (repository.git_dir / "objects" / "pack").glob("*.idx")
        assert index.with_suffix(".keep").exists()
    assert not index.with_suffix(".keep").exists()
    git(repository, "verify-pack", str(index))
    assert [len(body) for _, body in repository.read_many(names)] == [0, 1, 15, 16, 2_047, 2_048, 300_000, 1]
    assert len(pack) == 7


def test_trees_have_the_order_of_git(repository: Repository) -> None:
    """A folder `a` sorts as `a/`, after `a-b` and `a.txt`; fsck would report the wrong order."""
    names = ["a/x", "a.txt", "a-b", "a0", "é/ü", "Z", "a b/c d"]
    commit = repository.commit(ref="refs/heads/main", parent=None, changes=dict.fromkeys(names, b"1"), message="m", at=AT)
    repository.fsck()
    assert sorted(git(repository, "ls-tree", "-r", "-z", "--name-only", commit).split("\0")[:-1]) == sorted(names)


def test_parsing_a_tree_and_writing_it_again_changes_nothing(repository: Repository) -> None:
    commit = repository.commit(ref="refs/heads/main", parent=None, changes={"a/b": b"1", "a.b": b"2", "c": b"3"}, message="m", at=AT)
    body = repository.read(repository.tree_of(commit))
    assert b"".join(parse_tree(body).values()) == body


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/../b", "./a", "a/.git/config", "a/.GIT/x", "a\0b", "a/"])
def test_paths_that_a_checkout_would_refuse_are_refused(path: str) -> None:
    with pytest.raises(GitError) as caught:
        check_path(path)
    assert caught.value.facts["reason"] == "bad-path"


def test_identities_lose_what_git_cannot_hold() -> None:
    line = Identity(name=" Ada\n<Love> lace. ", email="a@b>\n").line(AT.astimezone(timezone(-timedelta(hours=3, minutes=30))))
    assert line == "AdaLove lace <a@b> 1767323045 -0330"


def test_a_full_disk_is_told_and_leaves_no_half_pack(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack that is not whole must never be visible."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("podium.git.objects.os.fsync", full)
    with pytest.raises(GitError) as caught:
        repository.commit(ref="refs/heads/main", parent=None, changes={"a": b"1"}, message="m", at=AT)
    assert caught.value.facts["reason"] == "disk-full"
    assert list((repository.git_dir / "objects" / "pack").iterdir()) == []
    assert repository.resolve("main") is None
