"""What people type and read at the command line: labels, short names of types, refusals of the commands that need no daemon."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from podium.cli.main import COMMANDS, cli
from podium.cli.remote.client import label_pairs
from podium.flows.types import short_type


def test_labels_are_written_with_an_equals_sign_or_a_colon() -> None:
    assert label_pairs(["a=b", "a:b", "site=http://x:1", "a:b=c"]) == [("a", "b"), ("a", "b"), ("site", "http://x:1"), ("a", "b=c")]
    with pytest.raises(click.BadParameter, match="is not name=value"):
        label_pairs(["nonsense"])


def test_a_type_is_shown_by_its_last_name_or_with_its_folder_where_that_says_nothing() -> None:
    assert short_type("io.kestra.plugin.core.log.Log") == "Log"
    assert short_type("io.kestra.plugin.scripts.shell.Commands") == "shell.Commands"
    assert short_type("podium.files.Trigger") == "files.Trigger"
    assert short_type("") == ""


def test_plan_outside_of_a_repository_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["plan", "--repo", str(tmp_path)])
    assert done.exit_code == 1
    assert "there is no Git repository at" in done.output
    assert "podium init" in done.output


@pytest.mark.parametrize("group", ["", *(name for name in COMMANDS if isinstance(cli.get_command(click.Context(cli), name), click.Group))])
def test_every_command_has_a_line_that_is_not_cut_off(group: str) -> None:
    shown = CliRunner().invoke(cli, [*filter(None, [group]), "--help"], terminal_width=100).output
    lines = shown.partition("Commands:\n")[2].splitlines()
    assert lines
    assert all(line.endswith(".") and not line.endswith("...") for line in lines), shown
