"""`podium pause`, `podium resume`, `podium drain`: let nothing new begin while a machine is worked on."""

from __future__ import annotations

import getpass
import sys
import time
from typing import Any

import click

from podium.base.system.clock import monotonic_s
from podium.cli.main import EXIT_FAILED, Seconds
from podium.cli.remote.client import Daemon, clean, daemon_options, print_table, segment, show

_LOOK_S = 0.5


@click.command()
@click.argument("execution", required=False)
@click.option("--all", "everything", is_flag=True, help="Let no new execution begin; those that run go on.")
@click.option("--reason", default="", help="Shown to everybody while it lasts.")
@daemon_options
def pause(daemon: Daemon, output: str, *, execution: str | None, everything: bool, reason: str) -> None:
    """Pause one execution, or with --all the beginning of any: new ones are accepted and wait."""
    if everything == (execution is not None):
        raise click.UsageError("name an execution, or say --all")
    if execution is not None:
        found = daemon.call("POST", f"/api/v1/executions/{segment(execution)}/pause")
        show(found, output, lambda: click.echo(f"execution {execution} is paused"))
        return
    _pause_all(daemon, reason)
    found = daemon.get("/api/v1/executions/queue")
    show(found, output, lambda: _say(found))


@click.command()
@click.argument("execution", required=False)
@click.option("--all", "everything", is_flag=True, help="Let begin what waits.")
@daemon_options
def resume(daemon: Daemon, output: str, *, execution: str | None, everything: bool) -> None:
    """Go on with one execution that is paused, or with --all end a pause of everything."""
    if everything == (execution is not None):
        raise click.UsageError("name an execution, or say --all")
    if execution is not None:
        daemon.call("POST", f"/api/v1/executions/{segment(execution)}/resume")
        found = daemon.get(f"/api/v1/executions/{segment(execution)}")
        show(found, output, lambda: click.echo(f"execution {execution} is {found['state']['current']}"))
        return
    found = daemon.call("POST", "/api/v1/system/resume")
    show(found, output, lambda: _say(found))


@click.command()
@click.option("--timeout", type=Seconds(), help="Seconds to wait; then exit 1. Default: as long as it takes.")
@click.option("--reason", default="draining", help="Shown to everybody while it lasts.", show_default=True)
@daemon_options
def drain(daemon: Daemon, output: str, *, timeout: float | None, reason: str) -> None:
    """Let no new execution begin and wait until none runs. Ends with `podium resume --all`; a restart of the daemon does not end it."""
    _pause_all(daemon, reason)
    began = monotonic_s()
    while True:
        found = daemon.get("/api/v1/executions/queue")
        running = found["executions"]["running"]
        if not running or (timeout is not None and monotonic_s() - began >= timeout):
            break
        time.sleep(_LOOK_S)
    show(found, output, lambda: _say(found))
    if running:
        sys.exit(EXIT_FAILED)


def _pause_all(daemon: Daemon, reason: str) -> None:
    daemon.call("POST", "/api/v1/system/pause", reason=reason or None, by=getpass.getuser())


def _say(found: dict[str, Any]) -> None:
    paused, executions = found["paused"], found["executions"]
    if paused:
        why = f": {paused['reason']}" if paused.get("reason") else ""
        click.echo(clean(f"everything is paused since {paused['at']} by {paused.get('by') or 'somebody'}{why}"))
    else:
        click.echo("executions begin as they come")
    click.echo(f"{executions['running']} run, {executions['queued']} wait to begin")


def print_queue(found: dict[str, Any]) -> None:
    """What waits and why, as tables."""
    _say(found)
    runs, commands = found["taskRuns"], found["commands"]
    click.echo(f"{runs['running']} of {runs['slots']} slots are taken, {runs['waiting']} task runs wait, the oldest {runs['oldestSeconds']:.1f} s")
    click.echo(f"{commands['waiting']} commands wait to be decided, the oldest {commands['oldestSeconds']:.2f} s\n")
    rows = [("executions", each) for each in found["executions"]["flows"]] + [("task runs", each) for each in runs["flows"]]
    print_table(
        ("waiting", "flow", "how many", "oldest", "why"),
        (
            (what, f"{each['namespace']}.{each['flowId']}", each["count"],
             f"{each['oldestSeconds']:.0f} s" if each.get("oldest") else "", each["why"])
            for what, each in rows
        ),
        empty="nothing waits",
    )
