"""`podium flows`: what is deployed, its revisions and texts, and which files were refused."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from podium.cli.main import EXIT_FAILED
from podium.cli.remote.client import Daemon, clean, daemon_options, flow_name, print_table, segment, show


@click.group()
def flows() -> None:
    """List flows, their revisions and refused files."""


def _path(flow: str, more: str = "") -> str:
    namespace, flow_id = flow_name(flow)
    return f"/api/v1/flows/{segment(namespace)}/{segment(flow_id)}{more}"


@flows.command("list")
@click.option("--namespace", help="Only this namespace and those below it.")
@click.option("--query", help="Part of id, namespace or description.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=1_000, show_default=True)
@daemon_options
def list_flows(daemon: Daemon, output: str, *, namespace: str | None, query: str | None, limit: int) -> None:
    """List the flows that are deployed."""
    found = daemon.get("/api/v1/flows/search", namespace=namespace, q=query, size=limit)

    def table() -> None:
        print_table(
            ("flow", "revision", "commit", "file", "triggers"),
            (
                (
                    f"{each['namespace']}.{each['id']}" + (" (disabled)" if each.get("disabled") else ""), each["revision"],
                    each["git"]["commit"][:8], each["git"]["path"], len(each.get("triggers") or ()),
                )
                for each in found["results"]
            ),
            empty="no flow is deployed; `podium flows rejected` names refused files",
        )
        if found["total"] > len(found["results"]):
            click.echo(f"{len(found['results'])} of {found['total']}; see more with --limit", err=True)

    show(found, output, table)


@flows.command("show")
@click.argument("flow")
@click.option("--revision", type=click.IntRange(1), help="This revision; default the newest.")
@daemon_options
def show_flow(daemon: Daemon, output: str, *, flow: str, revision: int | None) -> None:
    """Show one flow (namespace.flow): where it is from, its inputs, tasks and triggers."""
    found = daemon.get(_path(flow), revision=revision)
    show(found, output, lambda: _print_flow(found))


def _print_flow(found: dict[str, Any]) -> None:
    git = found["git"]
    click.echo(clean(f"{found['namespace']}.{found['id']} revision {found['revision']}{' (disabled)' if found.get('disabled') else ''}"))
    click.echo(clean(f"from {git['path']} at commit {git['commit']} of source {git['source']}"))
    if found.get("description"):
        click.echo(clean(str(found["description"]).strip()))
    for name, columns in (("inputs", ("id", "type", "required", "defaults")), ("tasks", ("id", "type")), ("triggers", ("id", "type", "cron"))):
        if found.get(name):
            click.echo(f"\n{name}:")
            print_table(columns, ([_cell(each.get(column)) for column in columns] for each in found[name]), empty="")


def _cell(value: Any) -> str | None:
    """Texts as they are, everything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@flows.command()
@click.argument("flow")
@daemon_options
def revisions(daemon: Daemon, output: str, *, flow: str) -> None:
    """List the revisions of a flow, newest first."""
    found = sorted(daemon.get(_path(flow, "/revisions")), key=lambda each: -int(each["revision"]))
    show(
        found, output,
        lambda: print_table(
            ("revision", "commit", "file", "blob"),
            ((each["revision"], each["git"]["commit"], each["git"]["path"], each["git"]["blob"][:8]) for each in found),
            empty="no revision",
        ),
    )


@flows.command()
@click.argument("flow")
@click.option("--revision", type=click.IntRange(1), help="This revision; default the newest.")
@daemon_options
def source(daemon: Daemon, output: str, *, flow: str, revision: int | None) -> None:
    """Print the text of a flow as it was committed."""
    found = daemon.get(_path(flow), revision=revision, source="true")
    show({"source": found["source"], "revision": found["revision"]}, output, lambda: click.echo(found["source"], nl=False))


@flows.command()
@daemon_options
def rejected(daemon: Daemon, output: str) -> None:
    """Name the files that the newest deployments refused, and why. Exit 1 when there are any."""
    found = daemon.get("/api/v1/sources/rejected")
    show(found, output, lambda: _print_rejected(found))
    if found:
        sys.exit(EXIT_FAILED)


def _print_rejected(found: list[dict[str, Any]]) -> None:
    for file in found:
        for problem in file.get("problems") or ():
            place = f"{problem.get('file') or file.get('path')}:{problem.get('line') or 1}:{problem.get('column') or 1}"
            click.echo(clean(f"{place}: {problem.get('message')}"))
            if problem.get("hint"):
                click.echo(clean(f"    {problem['hint']}"))
    if not found:
        click.echo("every file of the newest deployments was accepted", err=True)
