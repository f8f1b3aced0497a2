"""Names of stored files: made, taken apart, and never pointing outside the storage."""

from __future__ import annotations

import pytest

from podium.base.errors import StorageError
from podium.storage import uris

HOSTILE = [
    "kestra:///a/../b", "kestra:///../etc/passwd", "kestra:///a/./b", "kestra:///a//b", "kestra:///", "kestra:////", "kestra://host/a",
    "kestra:///a/%2e%2e/b", "kestra:///a/%2E%2E%2Fb", "kestra:///a%2f..%2fb", "kestra:///a\x00b", "kestra:///a/b\n", "kestra:///a\\..\\b",
    "kestra:///a/%00", "kestra:///" + "x" * 300, "kestra:///" + "x/" * 3000 + "y", "file:///etc/passwd", "/etc/passwd", "", "KESTRA:///a",
    "kestra:/a", "kestra:///a/%ff",
]


@pytest.mark.parametrize("uri", HOSTILE)
def test_a_uri_that_could_point_elsewhere_is_refused(uri: str) -> None:
    with pytest.raises(StorageError):
        uris.parse(uri)


@pytest.mark.parametrize("path", ["a/b", "a b/c d.txt", "é/ü.csv", "100%/x", "a/b?c#d", "a/..b", "a/.hidden", "a/...", "a/'\"`$;&"])
def test_a_path_survives_being_a_uri(path: str) -> None:
    uri = uris.uri_of(path)
    assert uri.startswith("kestra:///")
    assert " " not in uri
    assert uris.parse(uri) == path


def test_a_uri_written_with_plain_spaces_is_understood() -> None:
    assert uris.parse("kestra:///a/my file.txt") == "a/my file.txt"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "a.txt"), ("/etc/passwd", "passwd"), ("..\\..\\evil.exe", "evil.exe"), ("..", "file"), ("", "file"), ("a/b/", "b"),
        ("tab\tname", "tab_name"), ("nul\x00", "nul_"), ("é" * 300, None), ("x" * 400 + ".tar.gz", None),
    ],
)
def test_a_file_name_is_made_safe(name: str, expected: str | None) -> None:
    made = uris.file_name(name)
    if expected is not None:
        assert made == expected
    assert uris.check_path(made) == made
    assert len(made.encode()) <= 240


def test_a_long_file_name_keeps_its_extension() -> None:
    assert uris.file_name("x" * 400 + ".csv").endswith(".csv")


@pytest.mark.parametrize(
    ("text", "expected"), [("My_Flow", "my-flow"), ("a.b", "ab"), ("hello  world", "hello-world"), ("é_à", "e-a"), ("--x--", "x"), ("...", "-")]
)
def test_ids_are_slugs_in_paths(text: str, expected: str) -> None:
    assert uris.slug(text) == expected


def test_files_of_tasks_inputs_and_triggers_lie_below_their_execution() -> None:
    prefix = "kestra:///company/team/my-flow/executions/EXEC/"
    assert uris.task_file_uri("company.team", "my_flow", "EXEC", task_id="Task_1", task_run_id="RUN", path="out/a.csv") == (
        prefix + "tasks/task-1/RUN/out/a.csv"
    )
    assert uris.input_file_uri("company.team", "my_flow", "EXEC", input_id="data", name="dir/a b.csv") == prefix + "inputs/data/a%20b.csv"
    assert uris.trigger_file_uri("company.team", "my_flow", "EXEC", trigger_id="t", path="x") == prefix + "trigger/t/x"
    assert uris.execution_prefix("company.team", "my_flow", "EXEC") == "company/team/my-flow/executions/EXEC/"


def test_a_cache_has_a_level_for_the_value_of_an_iteration() -> None:
    assert uris.cache_uri("a.b", "f", "wd") == "kestra:///a/b/f/wd/cache/cache.zip"
    assert uris.cache_uri("a.b", "f", "wd", value_hash="abc") == "kestra:///a/b/f/wd/abc/cache/cache.zip"


def test_namespace_files_are_told_from_files_of_executions() -> None:
    uri = uris.namespace_file_uri("a.b", "/sql/x.sql")
    assert uri == "kestra:///a/b/_files/sql/x.sql"
    assert uris.as_namespace_file(uris.parse(uri)) == ("a.b", "sql/x.sql")
    assert uris.as_namespace_file("a/b/flow/executions/E/tasks/t/r/x") is None
    with pytest.raises(StorageError):
        uris.namespace_file_uri("a.b", "../c/x")


def test_an_upload_is_kept_where_no_flow_of_any_namespace_stores() -> None:
    assert uris.overlay_path("a.b", "x.txt") == "_files/a.b/x.txt"
    assert uris.overlay_path("a.b") == "_files/a.b/"
