"""The `podium` command: a lazy group, so that `podium --help` and each command import only what they need."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import click

from podium.base.errors import PodiumError
from podium.cli.shown import printable

COMMANDS: dict[str, tuple[str, str]] = {
    "config": ("podium.cli.config:config", "Show the settings in force and where each comes from."),
    "doctor": ("podium.cli.doctor:doctor", "Check this machine: what is wrong and what to do."),
    "drain": ("podium.cli.remote.pausing:drain", "Let nothing new begin and wait until nothing runs."),
    "executions": ("podium.cli.remote.executions:executions", "List, follow, kill and restart executions."),
    "expr": ("podium.cli.local.expr:expr", "Render an expression."),
    "flows": ("podium.cli.remote.flows:flows", "List flows, their revisions and refused files."),
    "gc": ("podium.cli.remote.gc:gc", "Remove what is past its time, and say how much."),
    "hook": ("podium.cli.hook:hook", "What the Git hooks call."),
    "images": ("podium.cli.images:images", "Make container images from Debian packages."),
    "init": ("podium.cli.init:init", "Make a flows repository with hooks."),
    "kv": ("podium.cli.remote.kv:kv", "Read and write the key-value store."),
    "mcp": ("podium.cli.remote.mcp:mcp", "Serve tools for assistants (Model Context Protocol)."),
    "migrate": ("podium.cli.local.migrate:migrate", "Rewrite flows of language 1.x as 2.0."),
    "pause": ("podium.cli.remote.pausing:pause", "Pause an execution, or let nothing new begin."),
    "plan": ("podium.cli.local.plan:plan", "Show what a push would change."),
    "results": ("podium.cli.results:results", "Read and check the results branch."),
    "resume": ("podium.cli.remote.pausing:resume", "Go on with a paused execution, or let begin what waits."),
    "run": ("podium.cli.local.run:run", "Run one flow in the foreground, without a daemon."),
    "schema": ("podium.cli.local.schema:schema", "Print the JSON Schema of the flow language."),
    "serve": ("podium.cli.serve:serve", "Run the daemon."),
    "test": ("podium.cli.testing.test:test", "Run flow tests."),
    "tokens": ("podium.cli.people:tokens", "Make API tokens for programs."),
    "triggers": ("podium.cli.remote.triggers:triggers", "List triggers, pause them, backfill schedules."),
    "users": ("podium.cli.people:users", "Make entries for people who log in."),
    "validate": ("podium.cli.local.validate:validate", "Check flow files."),
}
"""Command → where it is and its line in the help."""

EXIT_FAILED, EXIT_USAGE, EXIT_NO_DAEMON, EXIT_REFUSED = 1, 2, 3, 4
EXIT_INTERRUPTED = 130
"""After Ctrl-C, as shells have it."""


class Seconds(click.FloatRange):
    """A length of time on the command line: more than nothing, and no more than a machine can wait."""

    def __init__(self) -> None:
        super().__init__(0.001, 1e9)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click.ParamType."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):  # click does not notice that it is in no range
            self.fail("it is no number", param, ctx)
        return seconds


class LazyGroup(click.Group):
    """Imports a command's module when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> object:
        try:
            Path.cwd()
        except FileNotFoundError:
            click.echo("error: the directory you are in is gone\nhint: change to another one", err=True)
            sys.exit(EXIT_FAILED)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)
        except PodiumError as error:
            click.echo(printable(f"error: {error.what}"), err=True)
            if error.hint:
                click.echo(printable(f"hint: {error.hint}"), err=True)
            code = error.facts.get("exit_code")
            sys.exit(code if isinstance(code, int) else EXIT_FAILED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="podium", prog_name="podium")
def cli() -> None:
    """Podium: a Git-native workflow orchestrator. Push flows, run containers, read the results in Git."""
