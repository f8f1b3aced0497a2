"""Namespace files of a commit and of a work tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from podium.base.errors import FlowError, NotFound, StorageError
from podium.git.repo import Repository
from podium.storage.namespace import NamespaceFiles, WorkTreeFiles, selection, write_below


def test_files_are_those_of_the_commit_asked_for(namespace_files: NamespaceFiles, first: str, second: str) -> None:
    assert namespace_files.read("main", first, "scripts/run.py") == b"print(1)"
    assert namespace_files.read("main", second, "scripts/run.py") == b"print(2)"
    assert namespace_files.size("main", first, "data.bin") == 2
    with pytest.raises(NotFound, match=r"data\.bin"):
        namespace_files.read("main", second, "data.bin")


def test_paths_count_from_the_folder_of_the_source(namespace_files: NamespaceFiles, first: str) -> None:
    assert namespace_files.list("main", first) == ["a.yaml", "data.bin", "scripts/run.py", "scripts/util/x.py"]
    with pytest.raises(NotFound):
        namespace_files.read("main", first, "README.md")


def test_the_folder_of_a_namespace_lies_over_the_rest(namespace_files: NamespaceFiles, first: str) -> None:
    """Ruling 12: `_files/<namespace>/` overlays the root for that namespace alone."""
    assert namespace_files.read("main", first, "scripts/run.py", namespace="company.team") == b"print('team')"
    assert namespace_files.read("main", first, "scripts/run.py", namespace="company") == b"print(1)"
    assert "only-here.txt" in namespace_files.paths("main", first, namespace="company.team")
    assert "only-here.txt" not in namespace_files.paths("main", first, namespace="company")
    assert "other.txt" not in namespace_files.paths("main", first, namespace="company.team")


@pytest.mark.parametrize("path", ["_files/company.team/only-here.txt", ".podium/secrets.age"])
def test_what_is_not_for_tasks_is_not_there(namespace_files: NamespaceFiles, first: str, path: str) -> None:
    with pytest.raises(NotFound):
        namespace_files.read("main", first, path, namespace="company.team")


@pytest.mark.parametrize("path", ["../README.md", "scripts/../../README.md", "", "/", "a\x00b"])
def test_a_path_that_leads_out_is_refused(namespace_files: NamespaceFiles, first: str, path: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        namespace_files.read("main", first, path)
    with pytest.raises(StorageError):
        WorkTreeFiles(tmp_path).read("", "", path)


def test_copying_takes_what_is_included_and_not_excluded(namespace_files: NamespaceFiles, first: str, tmp_path: Path) -> None:
    target = tmp_path / "work"
    assert namespace_files.copy_to("main", first, target, ["**/*.py"], ["util/**"]) == ["scripts/run.py"]
    assert (target / "scripts" / "run.py").read_bytes() == b"print(1)"
    assert not (target / "scripts" / "util").exists()
    everything = namespace_files.copy_to("main", first, tmp_path / "all", namespace="company.team")
    assert everything == namespace_files.paths("main", first, namespace="company.team")
    assert (tmp_path / "all" / "scripts" / "run.py").read_bytes() == b"print('team')"


@pytest.mark.parametrize(
    ("include", "path", "wanted"),
    [
        ([], "a/b", True), (["b.py"], "a/b.py", True), (["b.py"], "b.py", True), (["/b.py"], "a/b.py", False), (["/b.py"], "b.py", True),
        (["a/*.py"], "x/a/b.py", True), (["*.py"], "a/b.py", False), (["**/*.py"], "a/b.py", True), (["dir/**"], "dir/x/y", True),
    ],
)
def test_a_pattern_that_begins_with_a_letter_matches_in_any_folder(include: list[str], path: str, wanted: bool) -> None:
    assert selection(include, [])(path) is wanted


def test_a_broken_pattern_is_an_error() -> None:
    with pytest.raises(FlowError):
        selection(["{a,b"], [])


def test_an_unknown_source_is_named_and_holds_nothing(namespace_files: NamespaceFiles, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="gone"):
        namespace_files.read("gone", "0" * 40, "x")
    assert namespace_files.paths("gone", "0" * 40) == []
    assert namespace_files.copy_to("gone", "0" * 40, tmp_path) == []


def test_a_source_may_be_the_whole_repository(repository: Repository, first: str) -> None:
    files = NamespaceFiles({"main": (repository, ".")})
    assert files.read("main", first, "README.md") == b"# readme"
    assert files.read("main", first, "flows/a.yaml") == b"id: a"


def test_a_work_tree_shows_its_files_as_they_are(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "scripts").mkdir(parents=True)
    (tree / ".git").mkdir()
    (tree / ".git" / "config").write_text("x")
    (tree / "_files" / "a.b").mkdir(parents=True)
    (tree / "_files" / "a.b" / "own.txt").write_text("own")
    (tree / "scripts" / "x.py").write_text("1")
    files = WorkTreeFiles(tree)
    assert files.paths("", "") == ["scripts/x.py"]
    assert files.list("", "", namespace="a.b") == ["own.txt", "scripts/x.py"]
    (tree / "scripts" / "x.py").write_text("22")
    assert files.read("", "", "scripts/x.py") == b"22"
    assert files.size("", "", "scripts/x.py") == 2
    assert files.read("", "", "own.txt", namespace="a.b") == b"own"
    assert files.copy_to("", "", tmp_path / "out", namespace="a.b") == ["own.txt", "scripts/x.py"]
    for hidden in (".git/config", "_files/a.b/own.txt"):
        with pytest.raises(NotFound):
            files.read("", "", hidden, namespace="a.b")


def test_links_of_a_work_tree_do_not_lead_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "secret").write_text("s")
    (tree / "link").symlink_to(tmp_path / "secret")
    (tree / "real").write_text("r")
    (tree / "inner").symlink_to(tree / "real")
    files = WorkTreeFiles(tree)
    assert files.paths("", "") == ["inner", "real"]
    assert files.read("", "", "inner") == b"r"
    with pytest.raises(NotFound):
        files.read("", "", "link")


def test_writing_below_a_folder_cannot_leave_it(tmp_path: Path) -> None:
    target = tmp_path / "work"
    target.mkdir()
    (target / "out").symlink_to(tmp_path)
    (target / "passwd").symlink_to(tmp_path / "passwd")
    for path in ("../x", "out/x", "passwd"):
        with pytest.raises(StorageError):
            write_below(target, path, b"x")
    write_below(target, "a", b"x")
    with pytest.raises(StorageError):
        write_below(target, "a/b", b"x")
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "passwd").exists()
