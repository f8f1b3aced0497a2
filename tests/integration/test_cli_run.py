"""`podium run` as a person calls it: its inputs, the defaults of podium.yaml, and `podium validate` on a file with many mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FLOW = """\
id: f
namespace: n
inputs:
  - {id: data, type: FILE}
  - {id: text, type: STRING, defaults: none}
tasks:
  - {id: l, type: io.kestra.plugin.core.debug.Return, format: "{{ read(inputs.data) }} {{ inputs.text }}"}
"""
MISTAKES = """\
id: five mistakes
namespace: n
inputs:
  - {id: n, type: INTEGER}
tasks:
  - {id: a, type: io.kestra.plugin.core.log.Lag, message: x}
  - {id: b, type: io.kestra.plugin.core.log.Log, message: x, mesage: y}
triggers:
  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: 99 9 * *}
"""


def podium(cwd: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "podium", *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def run(cwd: Path, *arguments: str) -> dict[str, Any]:
    code, out, said = podium(cwd, "run", "f.yaml", "--output", "json", *arguments)
    assert code == 0, said
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_file_is_given_with_or_without_an_at_sign_and_a_text_is_read_from_one(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(FLOW)
    (tmp_path / "d.txt").write_text("hi")
    for data in ("data=d.txt", "data=@d.txt"):
        found = run(tmp_path, "-i", data, "-i", "text=@d.txt", "--label", "a:b", "--label", "c=d")
        assert found["taskRunList"][0]["outputs"] == {"value": "hi hi"}
        assert {"key": "a", "value": "b"} in found["labels"]
        assert {"key": "c", "value": "d"} in found["labels"]
    code, out, said = podium(tmp_path, "run", "f.yaml", "--output", "json", "-i", "data=@gone.txt")
    assert (code, out) == (2, "")
    assert "gone.txt" in said
    (tmp_path / "binary").write_bytes(b"\xff")
    code, out, said = podium(tmp_path, "run", "f.yaml", "-i", "data=d.txt", "-i", "text=@binary")
    assert (code, out) == (2, "")
    assert "cannot be read as text" in said
    assert podium(tmp_path, "run", "f.yaml", "-i", "data=d.txt", "--timeout", "nan")[0] == 2


def test_control_characters_of_a_log_do_not_reach_the_terminal(tmp_path: Path) -> None:
    message = '"\\e[31mred\\e[2J\\r"'
    (tmp_path / "f.yaml").write_text(f"id: f\nnamespace: n\ntasks:\n  - {{id: l, type: io.kestra.plugin.core.log.Log, message: {message}}}\n")
    _, _, said = podium(tmp_path, "run", "f.yaml")
    assert "\x1b[31mred\\x1b[2J\\r" in said


def test_a_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone} && rmdir {gone} && {sys.executable} -m podium run x.yaml"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.splitlines()[-2:]) == (1, ["error: the directory you are in is gone", "hint: change to another one"])


def test_of_many_task_runs_the_first_are_shown(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(
        "id: f\nnamespace: n\ntasks:\n  - {id: l, type: io.kestra.plugin.core.flow.ForEach, values: '{{ range(1, 700) }}', concurrencyLimit: 0, "
        "tasks: [{id: r, type: io.kestra.plugin.core.debug.Return}]}\n"
    )
    code, _, said = podium(tmp_path, "run", "f.yaml")
    assert code == 0
    assert "more task runs: --output json tells of all" in said


def test_the_defaults_of_podium_yaml_hold(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("id: f\nnamespace: a.b\ntasks:\n  - {id: l, type: io.kestra.plugin.core.debug.Return}\n")
    (tmp_path / "podium.yaml").write_text(
        "namespaces:\n  a:\n    pluginDefaults:\n      - {type: io.kestra.plugin.core.debug.Return, values: {format: from podium.yaml}}\n"
    )
    assert run(tmp_path)["taskRunList"][0]["outputs"] == {"value": "from podium.yaml"}
    (tmp_path / "podium.yaml").write_text("odd: 1\n")
    code, _, said = podium(tmp_path, "run", "f.yaml")
    assert code == 1
    assert "podium.yaml:1:1" in said


def test_five_different_mistakes_are_all_named_with_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(MISTAKES)
    code, out, said = podium(tmp_path, "validate", "f.yaml")
    places = [line.partition(": ")[0] for line in out.splitlines() if line.startswith("f.yaml:")]
    assert code == 1
    assert places == ["f.yaml:1:5", "f.yaml:4:19", "f.yaml:6:19", "f.yaml:7:62", "f.yaml:9:65"]
    assert said.endswith("5 mistakes\n")
    code, out, _ = podium(tmp_path, "validate", "--output", "json", "f.yaml")
    found = json.loads(out)
    assert code == 1
    assert [f"{each['file']}:{each['line']}:{each['column']}" for each in found] == places
    assert [each["code"] for each in found] == ["pattern", "unknown-type", "unknown-type", "unknown-property", "cron"]


def test_the_lines_of_iterations_and_subflows_are_shown_under_their_names(tmp_path: Path) -> None:
    flow = tmp_path / "outer.yaml"
    flow.write_text(
        "id: outer\nnamespace: n\ntasks:\n"
        "  - {id: each, type: core.flow.Loop, values: [a], tasks: [{id: tell, type: core.log.Log, message: 'sees {{ item.value }}'}]}\n"
        "  - {id: sub, type: core.flow.Subflow, namespace: n, flowId: inner}\n"
        "---\nid: inner\nnamespace: n\ntasks: [{id: tell, type: core.log.Log, message: inside}]\n"
    )
    done = subprocess.run([sys.executable, "-m", "podium", "run", str(flow)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "each[0]/tell sees a" in done.stderr
    assert "inner/tell inside" in done.stderr
