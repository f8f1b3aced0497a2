"""`podium migrate` as it is called: output, exit codes, files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FLOW = "id: demo\nnamespace: a.b\ninputs:\n  - name: x # c\n    type: BOOLEAN\ntasks:\n  - id: t\n    type: io.kestra.plugin.core.log.Log\n    message: hi\n"
NEW = FLOW.replace("name: x", "id: x").replace("BOOLEAN", "BOOL")
BAD = FLOW.replace("tasks:", "labels: {Owner: me}\ntasks:")


def podium(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "podium", "migrate", *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False)


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    folder = tmp_path / "flows"
    (folder / "_files").mkdir(parents=True)
    (folder / "a.yaml").write_text(FLOW)
    (folder / "b.yml").write_bytes(b"\xef\xbb\xbf" + FLOW.replace("\n", "\r\n").encode())
    (folder / "same.yaml").write_text(NEW.replace("demo", "same"))
    (folder / "compose.yaml").write_text("services: {a: {image: b}}\n")
    (folder / "_files" / "data.yaml").write_text(FLOW)
    (folder / "podium.yaml").write_text("{}\n")
    return folder


def test_a_file_is_printed(flows: Path) -> None:
    done = podium(flows / "a.yaml")
    assert (done.returncode, done.stdout) == (0, NEW)
    assert f"{flows / 'a.yaml'}:4: input: name → id" in done.stderr
    assert done.stderr.endswith("2 changes in 1 of 1 file\n")
    assert (flows / "a.yaml").read_text() == FLOW


def test_standard_input(flows: Path) -> None:
    done = podium("-", stdin=FLOW)
    assert (done.returncode, done.stdout) == (0, NEW)
    assert "<stdin>:5: input type BOOLEAN → BOOL" in done.stderr


def test_a_folder_is_written_and_then_has_nothing_to_do(flows: Path) -> None:
    (flows / "a.yaml").chmod(0o640)
    before = {path: path.stat().st_mtime_ns for path in flows.rglob("*.yaml")}
    assert podium("--check", flows).returncode == 1
    assert (flows / "a.yaml").read_text() == FLOW
    done = podium("--write", flows)
    assert (done.returncode, done.stdout) == (0, "")
    assert (flows / "a.yaml").read_text() == NEW
    assert (flows / "a.yaml").stat().st_mode & 0o777 == 0o640
    assert (flows / "b.yml").read_bytes() == b"\xef\xbb\xbf" + NEW.replace("\n", "\r\n").encode()
    assert [path for path, time in before.items() if path.stat().st_mtime_ns != time] == [flows / "a.yaml"]
    assert sorted(each.name for each in flows.iterdir()) == ["_files", "a.yaml", "b.yml", "compose.yaml", "podium.yaml", "same.yaml"]
    assert podium("--check", flows).returncode == 0


def test_several_files_and_their_difference(flows: Path) -> None:
    done = podium("--diff", flows / "a.yaml", flows / "same.yaml")
    assert "-    type: BOOLEAN\n+  - id: x # c\n+    type: BOOL\n" in done.stdout
    assert "same.yaml" not in done.stdout
    printed = podium(flows / "a.yaml", flows / "same.yaml").stdout
    assert printed == f"# {flows / 'a.yaml'}\n---\n{NEW}# {flows / 'same.yaml'}\n---\n{NEW.replace('demo', 'same')}"


def test_a_result_that_2_0_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    done = podium("--quiet", tmp_path / "bad.yaml")
    assert done.returncode == 1
    assert "bad.yaml:6: not rewritten: the label key 'Owner' is refused by 2.0\n    to do: " in done.stderr
    assert "bad.yaml:6:10: the result is refused: labels.Owner: Invalid label key." in done.stderr
    assert "→" not in done.stderr


@pytest.mark.parametrize(("body", "words"), [(b"id: [\n", "Illegal flow yaml"), (b"\xff\xfe", "UTF-8"), (b"a: 1\na: 2\nid: x\n", "Duplicate field 'a'")])
def test_what_cannot_be_read_is_told_and_kept(tmp_path: Path, body: bytes, words: str) -> None:
    (tmp_path / "bad.yaml").write_bytes(body)
    done = podium("--write", tmp_path / "bad.yaml")
    assert done.returncode == 1
    assert words in done.stderr
    assert (tmp_path / "bad.yaml").read_bytes() == body


def test_options_that_exclude_each_other(flows: Path) -> None:
    assert podium("--write", "--check", flows).returncode == 2
    assert podium("--write", "-", stdin=FLOW).returncode == 2


def test_defaults_of_podium_yaml_hold_for_the_result(flows: Path) -> None:
    (flows / "podium.yaml").write_text("pluginDefaults:\n  - type: io.kestra.plugin.core.log.Log\n    values: {message: hi}\n")
    (flows / "a.yaml").write_text(FLOW.replace("    message: hi\n", ""))
    done = podium(flows / "a.yaml")
    assert (done.returncode, "message" in done.stdout) == (0, False)


def test_a_link_is_followed(flows: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(flows / "a.yaml")
    assert podium("--write", link).returncode == 0
    assert link.is_symlink()
    assert (flows / "a.yaml").read_text() == NEW
