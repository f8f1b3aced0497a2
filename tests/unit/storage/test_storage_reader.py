"""Who may read which file, by whatever URI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import NotFound, StorageError
from podium.storage import uris
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceFiles
from podium.storage.reader import FileReader, FileScope
from podium.storage.task_files import TaskFiles

OWN = "kestra:///company/team/etl/executions/EXEC1/tasks/t/r/x.txt"
OTHER = "kestra:///company/team/etl/executions/EXEC2/tasks/t/r/x.txt"
PARENT = "kestra:///company/main/parent/executions/PARENT/tasks/t/r/x.txt"


@pytest.fixture
def reader(files: FileStorage, namespace_files: NamespaceFiles, tmp_path: Path) -> FileReader:
    for uri in (OWN, OTHER, PARENT):
        files.put(uri, uri.encode())
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "x.txt").write_text("local")
    (tmp_path / "forbidden.txt").write_text("secret")
    (tmp_path / "allowed" / "link").symlink_to(tmp_path / "forbidden.txt")
    return FileReader(files, namespace_files, allowed_paths=[tmp_path / "allowed"])


@pytest.fixture
def scope(first: str) -> FileScope:
    return _scope(first)


def _scope(commit: str, **variables: Any) -> FileScope:
    return FileScope(namespace="company.team", flow_id="etl", execution_id="EXEC1", source="main", commit=commit, variables=variables)


def _text(reader: FileReader, uri: str, scope: FileScope) -> str:
    return reader.read(uri, scope, bytes_max=10_000).decode()


def test_an_execution_reads_its_own_files(reader: FileReader, scope: FileScope) -> None:
    assert _text(reader, OWN, scope) == OWN
    assert reader.size(OWN, scope) == len(OWN)
    assert reader.exists(OWN, scope)
    assert not reader.exists(OWN + "-missing", scope)


@pytest.mark.parametrize("uri", [OTHER, PARENT, OTHER.replace("EXEC2", "EXEC1x"), OWN.replace("team", "other")])
def test_files_of_other_executions_are_refused(reader: FileReader, scope: FileScope, uri: str, tmp_path: Path) -> None:
    for call in (reader.open, reader.size, reader.exists):
        with pytest.raises(StorageError, match="may not be read"):
            call(uri, scope)
    with pytest.raises(StorageError):
        reader.copy_to(uri, scope, tmp_path / "x")


@pytest.mark.parametrize(
    "uri", ["kestra:///company/team/etl/executions/EXEC1/../EXEC2/tasks/t/r/x.txt", OWN.replace("/tasks", "/%2e%2e/EXEC2/tasks")]
)
def test_a_way_around_the_prefix_is_refused(reader: FileReader, scope: FileScope, uri: str) -> None:
    with pytest.raises(StorageError):
        reader.open(uri, scope)


def test_files_of_the_execution_that_started_it_are_readable(reader: FileReader, first: str) -> None:
    scope = _scope(first, trigger={"executionId": "PARENT", "namespace": "company.main", "flowId": "parent"})
    assert _text(reader, PARENT, scope) == PARENT
    with pytest.raises(StorageError):
        reader.open(OTHER, scope)


@pytest.mark.parametrize("trigger", [{}, {"executionId": "PARENT"}, {"executionId": "", "namespace": "", "flowId": ""}, "text", None])
def test_a_trigger_without_an_execution_opens_nothing(reader: FileReader, first: str, trigger: Any) -> None:
    with pytest.raises(StorageError):
        reader.open(PARENT, _scope(first, trigger=trigger))


@pytest.mark.parametrize(
    "variables",
    [
        {"inputs": {"f": OTHER}}, {"outputs": {"sub": {"outputs": {"files": [OTHER]}}}}, {"taskrun": {"value": '["' + OTHER + '"]'}},
        {"trigger": {"uri": OTHER}}, {"item": {"value": OTHER}},
    ],
)
def test_a_file_that_was_passed_on_is_readable(reader: FileReader, first: str, variables: dict[str, Any]) -> None:
    """A subflow's output, an uploaded input, a loop's item: whoever passes a URI on gives access to that file."""
    assert _text(reader, OTHER, _scope(first, **variables)) == OTHER


def test_namespace_files_by_path_and_by_uri(reader: FileReader, scope: FileScope) -> None:
    for uri in ("scripts/run.py", "/scripts/run.py", "nsfile:///scripts/run.py", "nsfile://company.team/scripts/run.py"):
        assert _text(reader, uri, scope) == "print('team')"
    assert _text(reader, uris.namespace_file_uri("company.team", "scripts/run.py"), scope) == "print('team')"
    assert _text(reader, "nsfile://company/scripts/run.py", scope) == "print(1)"
    with pytest.raises(NotFound):
        reader.open("nsfile:///nothing", scope)


def test_files_of_a_namespace_of_another_source_are_its_newest(files: FileStorage, namespace_files: NamespaceFiles, first: str, second: str) -> None:
    places = {"elsewhere": ("main", second)}
    reader = FileReader(files, namespace_files, locate=places.get)
    scope = FileScope(namespace="here", flow_id="f", execution_id="E", source="own", commit=first)
    assert _text(reader, "nsfile://elsewhere/scripts/run.py", scope) == "print(2)"


def test_an_upload_lies_over_the_file_in_git(reader: FileReader, scope: FileScope, tmp_path: Path) -> None:
    uri = reader.namespace_put("company.team", "scripts/run.py", b"uploaded")
    assert _text(reader, uri, scope) == "uploaded"
    assert _text(reader, "scripts/run.py", scope) == "uploaded"
    assert reader.size("scripts/run.py", scope) == 8
    assert reader.namespace_paths("company.team", scope)["scripts/run.py"] is False
    assert reader.namespace_paths("company.team", scope)["a.yaml"] is True
    assert reader.namespace_copy("company.team", scope, tmp_path / "w", include=["run.py"]) == ["scripts/run.py"]
    assert (tmp_path / "w" / "scripts" / "run.py").read_text() == "uploaded"
    assert reader.namespace_delete("company.team", "scripts/run.py") is True
    assert _text(reader, "scripts/run.py", scope) == "print('team')"
    assert reader.namespace_delete("company.team", "scripts/run.py") is False


def test_files_of_this_machine_only_from_allowed_directories(reader: FileReader, scope: FileScope, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    assert _text(reader, (allowed / "x.txt").as_uri(), scope) == "local"
    assert reader.size((allowed / "x.txt").as_uri(), scope) == 5
    for uri in (
        (tmp_path / "forbidden.txt").as_uri(), f"file://{allowed}/../forbidden.txt", (allowed / "link").as_uri(), "file:///etc/passwd",
        f"file://host{allowed}/x.txt",
    ):
        with pytest.raises(StorageError):
            reader.open(uri, scope)
    with pytest.raises(NotFound):
        reader.open((allowed / "missing").as_uri(), scope)


@pytest.mark.parametrize("uri", ["http://127.0.0.1/x", "s3://bucket/x", "ftp://x/y"])
def test_other_schemes_are_refused(reader: FileReader, scope: FileScope, uri: str) -> None:
    with pytest.raises(StorageError):
        reader.open(uri, scope)


def test_a_read_stops_at_its_limit(reader: FileReader, scope: FileScope) -> None:
    with pytest.raises(StorageError, match="over 3 bytes"):
        reader.read(OWN, scope, bytes_max=3)


@pytest.fixture
def task(reader: FileReader, scope: FileScope) -> TaskFiles:
    return TaskFiles(reader, scope, task_id="My_Task", task_run_id="RUN")


def test_a_task_stores_below_its_own_run(task: TaskFiles, tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.write_text("x")
    prefix = "kestra:///company/team/etl/executions/EXEC1/tasks/my-task/RUN/"
    assert task.put(source, "out/a.txt") == prefix + "out/a.txt"
    assert task.put(source, "../../../evil") == prefix + "evil"
    assert task.put(source, "/") == prefix + "file"
    assert task.size(prefix + "evil") == 1
    assert task.exists(prefix + "evil")
    task.fetch(prefix + "evil", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "x"
    assert task.own_files() == [prefix + "evil", prefix + "file", prefix + "out/a.txt", OWN]


def test_a_task_removes_only_files_of_its_execution(task: TaskFiles) -> None:
    for uri in (OTHER, PARENT, uris.namespace_file_uri("company.team", "a.yaml")):
        with pytest.raises(StorageError):
            task.delete(uri)
    assert task.delete(OWN) is True
    assert task.delete(OWN) is False


def test_a_task_sees_which_namespace_files_are_in_git(task: TaskFiles, tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.write_text("x")
    task.namespace_put("company.team", "new.txt", source)
    listed = {each.path: each for each in task.namespace_list("company.team")}
    assert listed["new.txt"].in_git is False
    assert listed["a.yaml"].in_git is True
    task.fetch(listed["new.txt"].uri, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "x"
    assert task.namespace_delete("company.team", "new.txt") is True
    with pytest.raises(StorageError):
        task.namespace_put("company.team", "../x", source)
