"""From a script task to the command that a runner starts. Source: flow-language 8.1."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from podium.flows.types import Types
from podium.plugin import CommandSpec
from podium.plugins import scripts
from podium.plugins.scripts.python import with_json_names
from podium.runners.port import Places

DOCKER, PROCESS, *_ = (each.TYPE for each in scripts.RUNNERS)
TYPES = Types.build(scripts.TASKS, [], [], scripts.RUNNERS)
IMAGES = {
    "python": "python:3.13-slim", "shell": "ubuntu", "node": "node", "r": "r-base", "julia": "julia", "ruby": "ruby", "perl": "perl",
    "php": "php", "go": "golang", "bun": "oven/bun", "deno": "denoland/deno", "lua": "nickblah/lua", "groovy": "groovy",
    "jbang": "jbangdev/jbang-action",
}
CALLS = {
    "python": ("python", ".py"), "node": ("node", ".js"), "r": ("Rscript", ".R"), "julia": ("julia", ".jl"), "ruby": ("ruby", ".rb"),
    "perl": ("perl", ".pl"), "php": ("php", ".php"), "lua": ("lua", ".lua"), "groovy": ("groovy", ".groovy"), "go": ("go run", ".go"),
    "bun": ("bun run", ".ts"), "deno": ("deno run", ".ts"), "dotnet": ("dotnet-script", ".csx"), "jbang": ("jbang --quiet", ".java"),
}


def context(runner_type: str = DOCKER) -> Any:
    places = Places(working="/podium/work", outputs="/podium/out", private="/podium/private")
    copies = lambda text: text.replace("kestra:///x", "/podium/private/files/0/x")  # noqa: E731 -- a stand-in of one line
    return SimpleNamespace(places=places, runner_type=runner_type, local_copies=copies, task_run_id="0123456789abcdefghijkl", attempt=2)


def spec(kind: str, *, runner_type: str = DOCKER, **properties: Any) -> CommandSpec:
    found = TYPES.task(f"scripts.{kind}")
    assert found is not None
    task: Any = found.model_validate({"id": "t", "type": found.TYPE, **properties}, context={"types": TYPES})
    made = task.command(context(runner_type))
    assert isinstance(made, CommandSpec)
    return made


@pytest.mark.parametrize("language", [*CALLS, "shell", "powershell"])
def test_every_language_has_both_tasks(language: str) -> None:
    commands = spec(f"{language}.Commands", commands=["a", "b"])
    script = spec(f"{language}.Script", script="the script")
    if language in IMAGES:
        assert commands.image == script.image == IMAGES[language]
    assert ":" in str(commands.image) or "/" in str(commands.image) or commands.image in IMAGES.values()
    (text,) = commands.private_files.values()
    assert text.endswith("a\nb\n")


@pytest.mark.parametrize("language", CALLS)
def test_a_script_is_given_to_its_program(language: str) -> None:
    program, extension = CALLS[language]
    made = spec(f"{language}.Script", script="body of it")
    ((name, body),) = made.script_files.items()
    assert name == f"script-efghijkl-2{extension}"
    assert body.endswith("body of it")
    assert made.argv == ["/bin/sh", "-c", ". /podium/private/commands"]
    assert made.private_files["commands"] == f"set -e\n{program} /podium/work/{name}\n"


def test_a_shell_script_goes_straight_to_the_shell() -> None:
    made = spec("shell.Script", script="echo 1\necho 2", before_commands=["cd /tmp"], fail_fast=False)
    assert made.private_files == {"commands": "cd /tmp\necho 1\necho 2\n"}
    assert made.script_files == {}


def test_powershell_has_its_own_ways() -> None:
    made = spec("powershell.Script", script="Write-Output 1", before_commands=["$x = 1"])
    assert made.argv == ["pwsh", "-NoProfile", "-NonInteractive", "-Command", ". '/podium/private/commands.ps1'"]
    text = made.private_files["commands.ps1"]
    assert text == "$ErrorActionPreference = 'Stop'\n$x = 1\n& '/podium/work/script-efghijkl-2.ps1'\n"


@pytest.mark.parametrize(
    ("interpreter", "flag", "by_file"),
    [(["/bin/bash", "-c"], "set -e", True), (["bash", "-euxc"], "set -e", True), (["python3", "-c"], "", False), (["node", "-e"], "", False),
     (["/bin/bash"], "set -e", False)],
)
def test_interpreters(interpreter: list[str], flag: str, by_file: bool) -> None:
    made = spec("shell.Commands", commands=["one"], interpreter=interpreter)
    assert made.argv[: len(interpreter)] == interpreter
    text = made.private_files["commands"] if by_file else made.argv[-1]
    assert text.strip() == "\n".join(filter(None, [flag, "one"]))


def test_a_windows_target_has_no_set_e() -> None:
    assert spec("shell.Commands", commands=["one"], targetOS="WINDOWS").private_files["commands"] == "one\n"


def test_literal_uris_become_copies_in_commands_and_scripts() -> None:
    made = spec("shell.Commands", commands=["cat kestra:///x"], before_commands=["ls kestra:///x"])
    assert made.private_files["commands"] == "set -e\nls /podium/private/files/0/x\ncat /podium/private/files/0/x\n"
    made = spec("node.Script", script="open('kestra:///x')")
    assert list(made.script_files.values()) == ["open('/podium/private/files/0/x')"]


def test_everything_else_is_passed_on() -> None:
    made = spec(
        "shell.Commands", commands=["x"], env={"A": "b"}, containerImage="my/image", inputFiles={"a": "b"}, outputFiles=["*.x"],
        namespaceFiles={"include": ["a"]}, outputDirectory=True, warningOnStdErr=False,
    )
    assert (made.env, made.image, made.input_files, made.output_patterns) == ({"A": "b"}, "my/image", {"a": "b"}, ["*.x"])
    assert made.namespace_files is not None
    assert made.namespace_files.include == ["a"]
    assert made.output_directory


class TestRunner:
    """Which runner, and with what."""

    def options(self, **properties: Any) -> Any:
        found = TYPES.task("scripts.shell.Commands")
        assert found is not None
        task: Any = found.model_validate({"id": "t", "type": found.TYPE, "commands": ["x"], **properties}, context={"types": TYPES})
        return task.runner_options()

    def test_none_means_the_setting(self) -> None:
        assert self.options() is None

    def test_as_written(self) -> None:
        found = self.options(taskRunner={"type": DOCKER, "memory": {"memory": "1g"}, "cpu": {"cpus": 2}, "user": "1", "killGracePeriod": "PT5S"})
        assert found["type"] == DOCKER
        assert (found["memory"], found["cpu"], found["user"]) == ({"memory": "1g"}, {"cpus": 2.0}, "1")
        assert self.options(taskRunner={"type": "core.runner.Process"}) == {"type": PROCESS}

    def test_a_short_name_and_an_old_one_are_the_same(self) -> None:
        assert self.options(taskRunner={"type": "scripts.runner.docker.Docker"})["type"] == DOCKER
        assert self.options(taskRunner={"type": "io.kestra.plugin.scripts.runner.docker.DockerTaskRunner"})["type"] == DOCKER

    def test_the_deprecated_ways(self) -> None:
        assert self.options(runner="PROCESS", taskRunner={"type": DOCKER}) == {"type": PROCESS}
        assert self.options(runner="DOCKER", docker={"image": "i", "user": "2"}) == {"type": DOCKER, "user": "2"}
        assert self.options(docker={"networkMode": "none"}) == {"type": DOCKER, "networkMode": "none"}
        both = self.options(docker={"user": "1", "networkMode": "none"}, taskRunner={"type": DOCKER, "user": "2"})
        assert (both["user"], both["networkMode"]) == ("2", "none")
        assert spec("shell.Commands", commands=["x"], docker={"image": "old"}).image == "old"
        assert spec("shell.Commands", commands=["x"], docker={"image": "old"}, containerImage="new").image == "new"
        assert spec("shell.Commands", commands=["x"], runner="PROCESS").output_directory

    def test_mistakes_are_found(self) -> None:
        for wrong in (
            {"taskRunner": {"type": "no.such.Runner"}}, {"taskRunner": {"type": DOCKER, "unknown": 1}}, {"taskRunner": {"type": PROCESS, "user": "1"}},
            {"taskRunner": {"type": DOCKER, "pullPolicy": "SOMETIMES"}}, {"runner": "KUBERNETES"}, {"unknown": 1}, {"commands": None},
        ):
            with pytest.raises(ValidationError):
                self.options(**wrong)


class TestPython:
    """What only Python has."""

    def test_its_environment_can_be_overridden(self) -> None:
        assert spec("python.Script", script="x").env["PYTHONUNBUFFERED"] == "true"
        assert spec("python.Commands", commands=["x"], env={"PYTHONUNBUFFERED": "no"}).env["PYTHONUNBUFFERED"] == "no"

    def test_packages_are_installed_first_and_kept_by_what_they_are(self) -> None:
        one = spec("python.Script", script="x", dependencies=["b>=1", "a b"], before_commands=["first"])
        text = one.private_files["commands"]
        assert text.index("pip install") < text.index("first")
        assert shlex.quote("b>=1") in text
        assert shlex.quote("a b") in text
        assert "uv pip install" in text
        assert "uv" not in spec("python.Script", script="x", dependencies=["a"], packageManager="PIP").private_files["commands"]
        keys = [
            spec("python.Script", script="x", **more).cached[0].key
            for more in (
                {"dependencies": ["a", "b"]}, {"dependencies": ["b", "a"]}, {"dependencies": ["a"]},
                {"dependencies": ["a", "b"], "pythonVersion": "3.12"}, {"dependencies": ["a", "b"], "containerImage": "other"},
            )
        ]
        assert keys[0] == keys[1]
        assert len(set(keys)) == 4
        assert spec("python.Script", script="x", dependencies=["a"], dependencyCacheEnabled=False).cached == ()
        assert spec("python.Script", script="x").cached == ()

    def test_on_a_machine_with_python3_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda name: "/bin/python3" if name == "python3" else None)
        assert "python3 /podium" in spec("python.Script", script="x", runner_type=PROCESS).private_files["commands"]
        assert "python /podium" in spec("python.Script", script="x").private_files["commands"]

    @pytest.mark.parametrize(
        ("script", "line"),
        [
            ("print(true, false, null)", 1),
            ("'''doc\nstring'''\nfrom __future__ import annotations  # why\nprint(null)", 4),
            ("# comment\n\ndef f():\n    return true\nprint(f())", 5),
            ("import os; print(true)\n", 1),
            ("'é'; print(true)", 1),
            ("\n\nfor x in [null]: print(x)", 3),
        ],
    )
    def test_names_of_json_are_known_and_line_numbers_stay(self, script: str, line: int) -> None:
        done: list[Any] = []
        exec(compile(with_json_names(script), "s", "exec"), {"print": lambda *a: done.append(_line())})
        assert done == [line]

    def test_a_script_that_does_not_parse_is_left_alone(self) -> None:
        for script in ("x = (", "", "print 1", "# only a comment"):
            assert with_json_names(script) == script


def _line() -> int:
    import sys

    return sys._getframe(2).f_lineno


def test_jbang_has_its_own_properties() -> None:
    made = spec("jbang.Script", script="x", extension="kt", quiet=False)
    ((name, _),) = made.script_files.items()
    assert name.endswith(".kt")
    assert f"jbang {Path('/podium/work') / name}" in made.private_files["commands"]
