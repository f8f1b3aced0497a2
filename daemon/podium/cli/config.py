"""`podium config`: which settings are in force, and where each was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.group()
def config() -> None:
    """Show the settings in force and where each comes from."""


@config.command()
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Settings file instead of the one found.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--changed", is_flag=True, help="Only what differs from the defaults.")
def show(path: Path | None, output: str, changed: bool) -> None:
    """Print every setting, its value and its origin. Secrets are masked."""
    from podium.app.layers import leaves, origin_of, shown
    from podium.app.settings import load_with_origins

    settings, stack = load_with_origins(path)
    rows: list[dict[str, Any]] = []
    for key, value in leaves(shown(settings)):
        origin = origin_of(key, stack)
        if not changed or origin != "default":
            rows.append({"key": ".".join(key), "value": value, "origin": origin})
    if output == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max((len(row["key"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['key']:<{width}} = {json.dumps(row['value'], ensure_ascii=False)}    # {row['origin']}")


@config.command()
@click.argument("path", required=False, type=click.Path(dir_okay=False, path_type=Path))
def check(path: Path | None) -> None:
    """Check a settings file (default: the one found) and name every mistake."""
    from podium.app.settings import load_settings

    load_settings(path)
    click.echo("settings are valid")
