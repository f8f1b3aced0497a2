"""`podium executions`: start, list, follow, kill, restart executions of a running daemon."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Any

import click

from podium.base.system.clock import SystemClock
from podium.base.system.ids import new_token
from podium.cli.main import EXIT_FAILED
from podium.cli.remote.client import Daemon, clean, daemon_options, flow_name, label_pairs, pairs, print_table, segment, show

_WELL = frozenset({"SUCCESS", "WARNING"})
_LEVELS = click.Choice(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], case_sensitive=False)
_WAIT_S = 3_600


@click.group()
def executions() -> None:
    """List, follow, kill and restart executions."""


def _labels(values: tuple[str, ...]) -> list[str]:
    return [f"{key}:{value}" for key, value in label_pairs(values)]


def _path(execution: str, more: str = "") -> str:
    return f"/api/v1/executions/{segment(execution)}{more}"


@executions.command("list")
@click.option("--state", "states", multiple=True, metavar="STATE", help="Only this state; may repeat.")
@click.option("--namespace", help="Only this namespace and those below it.")
@click.option("--flow", help="Only this flow id.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Only with this label; may repeat.")
@click.option("--query", help="Part of id, namespace or flow id.")
@click.option("--since", help="Started at or after: a date, or a length of time back from now such as PT24H.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=25, show_default=True)
@daemon_options
def list_executions(
    daemon: Daemon, output: str, *, states: tuple[str, ...], namespace: str | None, flow: str | None, labels: tuple[str, ...], query: str | None,
    since: str | None, limit: int,
) -> None:
    """List executions, newest first."""
    back = since is not None and since.upper().lstrip("-+").startswith("P")
    found = daemon.get(
        "/api/v1/executions/search", state=list(states), namespace=namespace, flowId=flow, labels=_labels(labels), q=query, size=limit,
        sort="startDate:desc", **({"timeRange": since} if back else {"startDate": since}),
    )
    show(found, output, lambda: _print_list(found))


def _print_list(found: dict[str, Any]) -> None:
    from podium.web.pages.timeline import clock_text, length_of_time, took

    now = SystemClock().now()
    print_table(
        ("execution", "state", "flow", "started (UTC)", "took", "started by"),
        (
            (
                each["id"], each["state"]["current"], f"{each['namespace']}.{each['flowId']}", clock_text(each["state"].get("startDate")),
                length_of_time(took(each["state"], now)), (each.get("trigger") or {}).get("id"),
            )
            for each in found["results"]
        ),
        empty="no execution matches",
    )
    if found["total"] > len(found["results"]):
        click.echo(f"{len(found['results'])} of {found['total']}; see more with --limit", err=True)


@executions.command("queue")
@daemon_options
def show_queue(daemon: Daemon, output: str) -> None:
    """Show what waits and why: executions to begin, task runs for a slot."""
    from podium.cli.remote.pausing import print_queue

    found = daemon.get("/api/v1/executions/queue")
    show(found, output, lambda: print_queue(found))


@executions.command("show")
@click.argument("execution")
@daemon_options
def show_execution(daemon: Daemon, output: str, *, execution: str) -> None:
    """Show one execution: its task runs, inputs and outputs."""
    found = daemon.get(_path(execution))
    show(found, output, lambda: _print_one(found))


def _print_one(found: dict[str, Any]) -> None:
    from podium.web.pages.timeline import clock_text, length_of_time, timeline, took

    now = SystemClock().now()
    state, trigger = found["state"], found.get("trigger") or {}
    git = found.get("git") or {}
    pinned = f", {git.get('path')} at commit {git['commit'][:8]}" if git.get("commit") else ""
    click.echo(clean(f"{found['id']}  {state['current']}  {found['namespace']}.{found['flowId']} revision {found.get('flowRevision')}{pinned}"))
    click.echo(clean(f"started {clock_text(state.get('startDate'))} UTC, took {length_of_time(took(state, now))}, by {trigger.get('id') or 'hand'}"))
    if found.get("waiting"):
        click.echo(clean(f"waits: {found['waiting']['why']}"))
    for name in ("labels", "inputs", "outputs"):
        if found.get(name):
            value = {each["key"]: each["value"] for each in found[name]} if name == "labels" else found[name]
            click.echo(f"{name}: " + clean(json.dumps(value, ensure_ascii=False)))
    click.echo()
    print_table(
        ("task", "value", "state", "attempts", "took", "error"),
        (
            (
                "  " * row.depth + str(row.run["taskId"]), row.run.get("value"), row.state, len(row.run.get("attempts") or ()),
                length_of_time(row.took),
                ((row.run.get("attempts") or [{}])[-1].get("error") or "").partition("\n")[0],
            )
            for row in timeline(found, now).rows
        ),
        empty="no task has started",
    )


@executions.command("start")
@click.argument("flow")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input; may repeat. NAME=@path sends a file.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may repeat.")
@click.option("--revision", type=click.IntRange(1), help="This revision of the flow; default the newest.")
@click.option("--follow", is_flag=True, help="Show the log until it ends; exit 1 unless it ended well.")
@click.option("--wait", is_flag=True, help="Wait until it ends; exit 1 unless it ended well.")
@daemon_options
def start_execution(
    daemon: Daemon, output: str, *, flow: str, inputs: tuple[str, ...], labels: tuple[str, ...], revision: int | None, follow: bool, wait: bool
) -> None:
    """Start an execution of a flow (namespace.flow)."""
    namespace, flow_id = flow_name(flow)
    body, kind = _multipart(pairs(inputs, "--input"))
    path = f"/api/v1/executions/{segment(namespace)}/{segment(flow_id)}"
    found = daemon.call("POST", path, body=body, headers={"Content-Type": kind}, labels=_labels(labels), revision=revision)
    if follow:
        _follow(daemon, found["id"], output, "TRACE")
    if wait:
        found = _until_ended(daemon, found["id"])
    show(found, output, lambda: _print_state(found))
    if wait and found["state"]["current"] not in _WELL:
        sys.exit(EXIT_FAILED)


def _multipart(inputs: list[tuple[str, str]]) -> tuple[bytes, str]:
    """The inputs as a multipart form and its content type."""
    edge = f"podium-{new_token(16)}"
    parts = []
    for name, value in inputs:
        head, data = f'form-data; name="{_quoted(name)}"', value.encode()
        if value.startswith("@"):
            path = Path(value[1:])
            if not path.is_file():
                raise click.BadParameter(f"there is no file {path}", param_hint="--input")
            head, data = f'{head}; filename="{_quoted(path.name)}"', path.read_bytes()
        parts.append(f"--{edge}\r\nContent-Disposition: {head}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


def _quoted(name: str) -> str:
    return name.replace("%", "%25").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _until_ended(daemon: Daemon, execution: str) -> dict[str, Any]:
    """The execution once it has ended."""
    found: dict[str, Any] = {}
    for event in daemon.events(_path(execution, "/follow")):
        found = event.data
        if event.id == "end":
            break
    return found


@executions.command()
@click.argument("execution")
@click.option("--level", type=_LEVELS, default="TRACE", help="Least level.")
@click.option("--task", help="Only this task id.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the execution ends.")
@daemon_options
def logs(daemon: Daemon, output: str, *, execution: str, level: str, task: str | None, follow: bool) -> None:
    """Print the log of an execution. As JSON: one entry a line."""
    path, only = f"/api/v1/logs/{segment(execution)}", {"minLevel": level.upper(), "taskId": task}
    if follow:
        for event in daemon.events(f"{path}/follow", **only):
            _print_entry(event.data, output)
        return
    seen = 0
    while entries := daemon.get(path, **only, afterSeq=seen):
        for entry in entries:
            _print_entry(entry, output)
        newest = max(int(entry.get("seq") or 0) for entry in entries)
        if newest <= seen:
            break
        seen = newest


def _print_entry(entry: dict[str, Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(entry, ensure_ascii=False))
        return
    level = str(entry.get("level") or "")
    colour = {"ERROR": "red", "WARN": "yellow", "INFO": "blue"}.get(level)
    head = f"{str(entry.get('timestamp') or '')[11:23]} {click.style(f'{level:<5}', fg=colour)} {clean(entry.get('taskId') or '-')}"
    click.echo(f"{head}  {clean(entry.get('message') or '')}")


@executions.command()
@click.argument("execution")
@click.option("--level", type=_LEVELS, default="TRACE", help="Least level of the log lines shown.")
@daemon_options
def follow(daemon: Daemon, output: str, *, execution: str, level: str) -> None:
    """Show the log as it grows, then how it ended. Exit 0 when it ended well (SUCCESS, WARNING), else 1."""
    _follow(daemon, execution, output, level.upper())


def _follow(daemon: Daemon, execution: str, output: str, level: str) -> None:
    for event in daemon.events(f"/api/v1/logs/{segment(execution)}/follow", minLevel=level):
        _print_entry(event.data, output)
    found = _until_ended(daemon, execution)
    if output == "json":
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        _print_state(found)
    sys.exit(0 if found["state"]["current"] in _WELL else EXIT_FAILED)


def _print_state(found: dict[str, Any]) -> None:
    from podium.web.pages.timeline import length_of_time, took

    state = found["state"]
    passed = f" after {length_of_time(took(state, SystemClock().now()))}" if state.get("endDate") else ""
    click.echo(clean(f"{found['id']} {state['current']}{passed}"))


def _done(found: Any, output: str) -> None:
    show(found, output, lambda: _print_state(found))


@executions.command()
@click.argument("execution")
@click.option("--only", is_flag=True, help="Leave the executions that it started alone.")
@daemon_options
def kill(daemon: Daemon, output: str, *, execution: str, only: bool) -> None:
    """Interrupt an execution, and those it started."""
    _done(daemon.call("DELETE", _path(execution, "/kill"), isOnKillCascade="false" if only else "true"), output)


@executions.command()
@click.argument("execution")
@click.option("--revision", type=click.IntRange(1), help="Run this revision of the flow, as a new execution.")
@daemon_options
def restart(daemon: Daemon, output: str, *, execution: str, revision: int | None) -> None:
    """Run the failed tasks of an execution again."""
    _done(daemon.call("POST", _path(execution, "/restart"), revision=revision), output)


@executions.command()
@click.argument("execution")
@click.option("--task-run", help="Begin with this task run; what came before is kept.")
@click.option("--revision", type=click.IntRange(1), help="Run this revision of the flow; default that of the execution.")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="Another value for an input, NAME=@path for a file; may repeat.")
@daemon_options
def replay(daemon: Daemon, output: str, *, execution: str, task_run: str | None, revision: int | None, inputs: tuple[str, ...]) -> None:
    """Start a new execution with the inputs of this one."""
    if not inputs:
        _done(daemon.call("POST", _path(execution, "/replay"), taskRunId=task_run, revision=revision), output)
        return
    body, kind = _multipart(pairs(inputs, "--input"))
    path = _path(execution, "/replay-with-inputs")
    _done(daemon.call("POST", path, body=body, headers={"Content-Type": kind}, taskRunId=task_run, revision=revision), output)


@executions.command()
@click.argument("execution")
@daemon_options
def pause(daemon: Daemon, output: str, *, execution: str) -> None:
    """Start no further task until it is resumed."""
    _done(daemon.call("POST", _path(execution, "/pause")), output)


@executions.command()
@click.argument("execution")
@click.argument("decision", type=click.Choice(["approve", "deny"]))
@click.option("--comment", help="Why; some approvals want one.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="What the review form asks for; may repeat.")
@daemon_options
def review(daemon: Daemon, output: str, *, execution: str, decision: str, comment: str | None, inputs: tuple[str, ...]) -> None:
    """Decide about the approval that an execution waits for."""
    body = {"decision": "APPROVED" if decision == "approve" else "DENIED", "comment": comment, "inputs": dict(pairs(inputs, "--input")),
            "by": getpass.getuser()}
    _done(daemon.call("POST", _path(execution, "/review"), body=json.dumps(body).encode(), headers={"Content-Type": "application/json"}), output)


@executions.command()
@click.argument("execution")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="What the pause asks for; may repeat. NAME=@path sends a file.")
@daemon_options
def resume(daemon: Daemon, output: str, *, execution: str, inputs: tuple[str, ...]) -> None:
    """Go on after a pause."""
    body, kind = _multipart(pairs(inputs, "--input"))
    daemon.call("POST", _path(execution, "/resume"), body=body, headers={"Content-Type": kind})
    _done(daemon.get(_path(execution)), output)
