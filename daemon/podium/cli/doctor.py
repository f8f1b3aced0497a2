"""`podium doctor`: what is wrong with this machine and what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from podium.cli.main import EXIT_FAILED

_MARKS = {"ok": "✓", "warning": "!", "error": "✗"}


@click.command()
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Settings file instead of the one found.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(path: Path | None, output: str) -> None:
    """Check this machine: what is wrong and what to do. Exit 1 when something that is needed is missing."""
    from podium.app.doctor import examine
    from podium.app.settings import load_settings
    from podium.base.system.clock import SystemClock

    findings = examine(load_settings(path), SystemClock())
    healthy = all(finding.status != "error" for finding in findings)
    if output == "json":
        click.echo(json.dumps({"healthy": healthy, "findings": [finding.as_dict() for finding in findings]}, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.status]} {finding.check:<10} {finding.found}")
            if finding.todo:
                click.echo(f"  {'':<10} → {finding.todo}")
    if not healthy:
        sys.exit(EXIT_FAILED)
