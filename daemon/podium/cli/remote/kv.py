"""`podium kv`: read and write the key-value store of a namespace."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from podium.cli.main import EXIT_FAILED
from podium.cli.remote.client import Daemon, clean, daemon_options, print_table, segment, show

_TYPES = click.Choice(["STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON"], case_sensitive=False)


@click.group()
def kv() -> None:
    """Read and write the key-value store."""


def _path(namespace: str, key: str | None = None) -> str:
    return f"/api/v1/namespaces/{segment(namespace)}/kv" + (f"/{segment(key)}" if key is not None else "")


@kv.command("list")
@click.argument("namespace")
@daemon_options
def list_keys(daemon: Daemon, output: str, *, namespace: str) -> None:
    """List the keys of a namespace."""
    from podium.web.pages.timeline import clock_text

    found = daemon.get(_path(namespace))
    show(
        found, output,
        lambda: print_table(
            ("key", "type", "changed (UTC)", "expires (UTC)"),
            ((each["key"], each.get("type"), clock_text(each.get("updateDate")), clock_text(each.get("expirationDate"))) for each in found),
            empty=f"namespace {namespace} has no keys",
        ),
    )


@kv.command()
@click.argument("namespace")
@click.argument("key")
@daemon_options
def get(daemon: Daemon, output: str, *, namespace: str, key: str) -> None:
    """Print a value: text as it is, everything else as JSON."""
    found = daemon.get(_path(namespace, key))
    show(found, output, lambda: click.echo(_shown(found["value"])))


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return clean(text) if sys.stdout.isatty() else text


@kv.command("set")
@click.argument("namespace")
@click.argument("key")
@click.argument("value")
@click.option("--type", "kind", type=_TYPES, help="Type of the value; default by how it is written.")
@click.option("--ttl", help="How long it lives, such as PT1H; default for ever.")
@daemon_options
def set_value(daemon: Daemon, output: str, *, namespace: str, key: str, value: str, kind: str | None, ttl: str | None) -> None:
    """Set a value. VALUE is a JSON literal, a date, a duration, or else text; `-` reads it from standard input."""
    text = sys.stdin.read() if value == "-" else value
    headers = {"Content-Type": "text/plain; charset=utf-8", **({"ttl": ttl} if ttl else {})}
    daemon.call("PUT", _path(namespace, key), body=text.encode(), headers=headers, type=kind.upper() if kind else None)
    if output == "json":
        click.echo(json.dumps({"key": key}))


@kv.command()
@click.argument("namespace")
@click.argument("key")
@daemon_options
def delete(daemon: Daemon, output: str, *, namespace: str, key: str) -> None:
    """Remove a key. Exit 1 when there is none."""
    gone = daemon.call("DELETE", _path(namespace, key))
    show({"deleted": gone}, output, lambda: None if gone else click.echo(f"namespace {namespace} has no key {key}", err=True))
    if not gone:
        sys.exit(EXIT_FAILED)
