"""`podium triggers`: what starts flows by itself; switch it on and off, backfill schedules."""

from __future__ import annotations

import json
from typing import Any

import click

from podium.cli.remote.client import Daemon, clean, daemon_options, flow_name, label_pairs, pairs, print_table, show


@click.group()
def triggers() -> None:
    """List triggers, switch them on and off, backfill schedules."""


@triggers.command("list")
@click.option("--namespace", help="Only this namespace and those below it.")
@click.option("--query", help="Part of trigger id, flow, namespace or type.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=1_000, show_default=True)
@daemon_options
def list_triggers(daemon: Daemon, output: str, *, namespace: str | None, query: str | None, limit: int) -> None:
    """List the triggers of the flows that are deployed."""
    from podium.flows.types import short_type
    from podium.web.pages.timeline import clock_text

    found = daemon.get("/api/v1/triggers/search", namespace=namespace, q=query, size=limit)
    show(
        found, output,
        lambda: print_table(
            ("flow", "trigger", "type", "on", "last (UTC)", "next (UTC)", "backfill"),
            (
                (
                    f"{state['namespace']}.{state['flowId']}", state["triggerId"], short_type(str(each["abstractTrigger"]["type"])),
                    "off" if state["disabled"] else "on", clock_text(state.get("date")), clock_text(state.get("nextExecutionDate")), _backfill(state),
                )
                for each in found["results"]
                for state in [each["triggerContext"]]
            ),
            empty="no flow has a trigger",
        ),
    )


def _backfill(state: dict[str, Any]) -> str:
    from podium.web.pages.timeline import clock_text

    backfill = state.get("backfill")
    return f"at {clock_text(backfill.get('currentDate'))}{', paused' if backfill.get('paused') else ''}" if backfill else ""


def _named(flow: str, trigger: str, **more: Any) -> dict[str, Any]:
    namespace, flow_id = flow_name(flow)
    return {"namespace": namespace, "flowId": flow_id, "triggerId": trigger, **more}


def _done(found: dict[str, Any], output: str) -> None:
    def table() -> None:
        backfill = _backfill(found)
        state = "off" if found.get("disabled") else "on"
        click.echo(clean(f"{found['namespace']}.{found['flowId']} {found['triggerId']} is {state}{f', backfill {backfill}' if backfill else ''}"))

    show(found, output, table)


@triggers.command()
@click.argument("flow")
@click.argument("trigger")
@daemon_options
def enable(daemon: Daemon, output: str, *, flow: str, trigger: str) -> None:
    """Switch a trigger on. FLOW is namespace.flow."""
    _done(daemon.call("PUT", "/api/v1/triggers/set-disabled", body=_named(flow, trigger, disabled=False)), output)


@triggers.command()
@click.argument("flow")
@click.argument("trigger")
@daemon_options
def disable(daemon: Daemon, output: str, *, flow: str, trigger: str) -> None:
    """Switch a trigger off until it is switched on again."""
    _done(daemon.call("PUT", "/api/v1/triggers/set-disabled", body=_named(flow, trigger, disabled=True)), output)


@triggers.command()
@click.argument("flow")
@click.argument("trigger")
@click.option("--start", required=True, help="From this date on: 2026-01-01 or 2026-01-01T08:00:00Z.")
@click.option("--end", help="Up to this date; default now.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input of these executions; may repeat.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of these executions; may repeat.")
@daemon_options
def backfill(
    daemon: Daemon, output: str, *, flow: str, trigger: str, start: str, end: str | None, inputs: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    """Run the dates of a schedule that are over, one at a time."""
    wanted = {
        "start": start, "end": end, "inputs": {name: _value(text) for name, text in pairs(inputs, "--input")},
        "labels": [{"key": key, "value": value} for key, value in label_pairs(labels)],
    }
    _done(daemon.call("PUT", "/api/v1/triggers/backfill/create", body=_named(flow, trigger, backfill=wanted)), output)


def _value(text: str) -> Any:
    """Lists and maps as JSON; everything else stays text, as in a form."""
    if text[:1] in {"[", "{"}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


@triggers.command()
@click.argument("flow")
@click.argument("trigger")
@click.option("--end", is_flag=True, help="End the backfill instead; the schedule goes on as before.")
@daemon_options
def pause(daemon: Daemon, output: str, *, flow: str, trigger: str, end: bool) -> None:
    """Pause the backfill of a trigger."""
    method, verb = ("POST", "delete") if end else ("PUT", "pause")
    _done(daemon.call(method, f"/api/v1/triggers/backfill/{verb}", body=_named(flow, trigger)), output)


@triggers.command()
@click.argument("flow")
@click.argument("trigger")
@daemon_options
def resume(daemon: Daemon, output: str, *, flow: str, trigger: str) -> None:
    """Go on with a backfill that was paused."""
    _done(daemon.call("PUT", "/api/v1/triggers/backfill/unpause", body=_named(flow, trigger)), output)
