"""`podium validate` and `podium schema` as commands: what they read, print and exit with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podium.cli.main import cli

GOOD = "id: good\nnamespace: a\ntasks:\n  - id: x\n    type: io.kestra.plugin.core.log.Log\n    message: hi\n"
BAD = GOOD.replace("good", "bad").replace("message: hi", "mesage: hi")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".yaml").write_text(text, "utf-8")


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin)


def test_a_valid_file_exits_zero(folder: Path) -> None:
    write(folder, good=GOOD)
    result = run("validate", "good.yaml")
    assert (result.exit_code, result.stdout) == (0, "valid: 1 flow in 1 file\n")


def test_mistakes_are_lines_with_hints_and_exit_one(folder: Path) -> None:
    write(folder, bad=BAD)
    result = run("validate", "bad.yaml")
    assert result.exit_code == 1
    first, second, *rest = result.stdout.splitlines()
    assert first.startswith("bad.yaml:4:5: tasks[0].message: must not be null")
    assert second == "    hint: add message:"
    assert rest[0].startswith('bad.yaml:6:5: tasks[0].mesage: Unrecognized field "mesage"')
    assert rest[1] == "    hint: did you mean 'message'?"


def test_json_is_a_list_of_the_seven_facts(folder: Path) -> None:
    write(folder, bad=BAD, good=GOOD)
    result = run("validate", "good.yaml", "bad.yaml", "--output", "json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [(each["file"], each["line"], each["code"]) for each in found] == [("bad.yaml", 4, "missing"), ("bad.yaml", 6, "unknown-property")]
    assert json.loads(run("validate", "good.yaml", "--output", "json").stdout) == []


def test_warnings_do_not_fail_and_are_in_json_on_request(folder: Path) -> None:
    write(folder, old=GOOD.replace("io.kestra.plugin.core.log.Log", "io.kestra.core.tasks.log.Log"))
    result = run("validate", "old.yaml")
    assert result.exit_code == 0
    assert "old.yaml:5:11: warning: tasks[0]: io.kestra.core.tasks.log.Log is replaced by io.kestra.plugin.core.log.Log" in result.stderr
    assert json.loads(run("validate", "old.yaml", "--output", "json").stdout) == []
    (warning,) = json.loads(run("validate", "old.yaml", "--output", "json", "--warnings").stdout)
    assert warning["severity"] == "warning"


def test_a_directory_is_searched_for_what_is_meant_as_a_flow(folder: Path) -> None:
    write(
        folder, flows__good=GOOD, flows__deep__bad=BAD, flows___drafts__skipped=BAD, flows__dashboards__board="panels: []\n",
        flows__compose="services:\n  web: {}\n", flows__podium="pluginDefaults: []\n",
    )
    (folder / "flows" / "good.test.yaml").write_text("id: t\nnamespace: a\nflowId: good\ntestCases: [{id: c}]\n", "utf-8")
    (folder / "flows" / "notes.txt").write_text("id: x", "utf-8")
    result = run("validate", "flows", "--output", "json")
    assert {each["file"] for each in json.loads(result.stdout)} == {"flows/deep/bad.yaml"}
    (folder / "flows" / "deep" / "bad.yaml").unlink()
    assert run("validate", "flows").stdout == "valid: 1 flow in 1 file, 1 test suite\n"
    (folder / "flows" / "good.test.yaml").write_text(BAD, "utf-8")
    result = run("validate", "flows", "--output", "json")
    assert {each["file"] for each in json.loads(result.stdout)} == {"flows/good.test.yaml"}


def test_a_flow_defined_twice_in_a_directory_is_a_mistake(folder: Path) -> None:
    write(folder, flows__one=GOOD, flows__two=GOOD)
    result = run("validate", "flows")
    assert result.exit_code == 1
    assert "flows/two.yaml:1:1: id: the flow 'a.good' is also defined in flows/one.yaml:1" in result.stdout
    assert run("validate", "flows/one.yaml", "flows/two.yaml").exit_code == 0


def test_a_directory_without_flows_is_an_error(folder: Path) -> None:
    (folder / "empty").mkdir()
    result = run("validate", "empty")
    assert result.exit_code == 1
    assert "there are no flow files under empty" in result.stderr


def test_a_missing_path_is_a_usage_error(folder: Path) -> None:
    assert run("validate", "gone.yaml").exit_code == 2
    assert run("validate").exit_code == 2


def test_standard_input_may_be_checked(folder: Path) -> None:
    assert run("validate", "-", stdin=GOOD).exit_code == 0
    assert run("validate", "-", stdin=BAD).stdout.startswith("<stdin>:4:5: ")


@pytest.mark.parametrize(("body", "message"), [(b"", "the file is empty"), (b"# only a comment\n", "the file is empty"), (b"id: \xff\n", "the file is not UTF-8 text")])
def test_files_that_hold_no_flow(folder: Path, body: bytes, message: str) -> None:
    (folder / "x.yaml").write_bytes(body)
    result = run("validate", "x.yaml")
    assert result.exit_code == 1
    assert message in result.stdout


def test_every_document_of_a_file_is_checked(folder: Path) -> None:
    write(folder, many=f"{GOOD}---\n{BAD}")
    result = run("validate", "many.yaml", "--output", "json")
    assert [each["line"] for each in json.loads(result.stdout)] == [11, 13]


def test_defaults_of_the_project_hold(folder: Path) -> None:
    needs_message = GOOD.replace("    message: hi\n", "")
    write(folder, flows__x=needs_message, podium="namespaces:\n  a:\n    pluginDefaults:\n      - {type: io.kestra.plugin.core.log, values: {message: given}}\n")
    assert run("validate", "flows/x.yaml").exit_code == 0
    write(folder, podium="pluginDefaults: 5\n")
    result = run("validate", "flows/x.yaml")
    assert result.exit_code == 1
    assert "podium.yaml:1:17" in result.stdout
    (folder / ".git").mkdir()
    (folder / "flows" / ".git").mkdir()
    assert "podium.yaml" not in run("validate", "flows/x.yaml").stdout


def test_the_schema_is_printed_whole_or_for_one_type(folder: Path) -> None:
    whole: Any = json.loads(run("schema").stdout)
    assert whole["title"] == "Flow"
    one: Any = json.loads(run("schema", "--type", "core.flow.Parallel").stdout)
    assert one["title"] == "io.kestra.plugin.core.flow.Parallel"
    result = run("schema", "--type", "core.flow.Paralel")
    assert result.exit_code == 1
    assert "did you mean 'io.kestra.plugin.core.flow.Parallel'?" in result.stderr
