"""What the documentation shows works: settings, flows, Compose file, commands."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

from podium.app.plugins import load_types
from podium.app.settings import load_settings
from podium.cli.main import cli
from podium.flows.load import parse_flows
from podium.flows.suites.load import parse_suites

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])


def blocks(kind: str) -> list[object]:
    """Every fenced block of that kind, with the page as its id."""
    found = []
    for page in PAGES:
        for number, text in enumerate(re.findall(rf"^ *```{kind}\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL), 1):
            found.append(pytest.param(text, id=f"{page.name}-{number}"))
    return found


@pytest.mark.parametrize("text", blocks("toml"))
def test_settings_in_the_documentation_are_settings(text: str, tmp_path: Path) -> None:
    path = tmp_path / "podium.toml"
    path.write_text(text)
    load_settings(path, {})


@pytest.mark.parametrize("text", blocks("ya?ml"))
def test_flows_in_the_documentation_are_flows(text: str) -> None:
    """A whole flow must be valid; a part of one must at least be YAML."""
    content = yaml.safe_load(text)
    if isinstance(content, dict) and "testCases" in content:
        assert [str(problem) for parsed in parse_suites(text, file="page", types=load_types()) for problem in parsed.problems] == []
    if not isinstance(content, dict) or not {"id", "namespace", "tasks"} <= set(content):
        return
    for parsed in parse_flows(text, file="page", types=load_types()):
        assert [str(problem) for problem in parsed.problems] == []


def words_of(command: click.Command, context: click.Context, words: list[str]) -> str | None:
    """The first word of a command line that is no command, or an option that the command does not know; None when all is well."""
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        inner = command.get_command(context, words[0])
        if inner is None:
            return words[0]
        command, words = inner, words[1:]
    known = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts} | {"--help", "-h", "--version"}
    return next((word for word in words if re.fullmatch(r"--[a-z-]+", word.split("=")[0]) and word.split("=")[0] not in known), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_documentation_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    lines = [line.split(" #")[0] for block in re.findall(r"```(?:sh|console)?\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    lines += re.findall(r"`(podium [a-z][^`]*)`", text)
    commands = [(line, found) for line in lines for found in re.findall(r"(?:^|[/ ;&$(])podium ((?:[a-z]+ ?)[^|;&)]*)", line)]
    wrong = {line.strip(): words_of(cli, click.Context(cli), command.split()) for line, command in commands}
    assert {line: word for line, word in wrong.items() if word} == {}


def test_a_wrong_command_would_be_found() -> None:
    assert words_of(cli, click.Context(cli), ["executions", "lst"]) == "lst"
    assert words_of(cli, click.Context(cli), ["serve", "--prt", "1"]) == "--prt"
    assert words_of(cli, click.Context(cli), ["run", "flows/hello.yaml", "--input", "a=b"]) is None


def test_the_compose_file_sets_only_what_is_a_setting(tmp_path: Path) -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    environ = compose["services"]["podium"]["environment"]
    settings = load_settings(None, {**environ, "XDG_CONFIG_HOME": str(tmp_path)})
    assert str(settings.home) in [volume.split(":")[1] for volume in compose["services"]["podium"]["volumes"]]
    assert str(settings.server.token_file) == f"/run/secrets/{compose['services']['podium']['secrets'][0]}"
