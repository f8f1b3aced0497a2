"""`podium serve`: runs the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from podium.app.trust import late_trust
from podium.base.system.memory import loading

if TYPE_CHECKING:
    from podium.app.wiring.daemon import Daemon
    from podium.app.wiring.home import Owner


@click.command()
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file, default podium.toml where it is found.")
@click.option(
    "--dir", "work_tree", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Deploy the flows of this directory as they change."
)
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="Where the daemon keeps its journal, mirrors and socket.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="TCP port, 0 for a free one.")
@click.option("--runner", type=click.Choice(["docker", "process", "swarm", "kubernetes"]), help="Where the commands of tasks run.")
@click.option("--standby", is_flag=True, help="While another daemon has the home, wait, and take over when it ends, dies or hangs.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), help="Least level of the daemon's own log.")
def serve(
    *, config: Path | None, work_tree: Path | None, home: Path | None, host: str | None, port: int | None, runner: str | None, standby: bool,
    log_level: str | None
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C. Running containers go on meanwhile and are taken up at the next start."""
    with loading(), late_trust():
        from podium.app.settings import load_with_origins
        from podium.app.wiring.daemon import run_daemon
        from podium.base.system.log import configure_logging

    overrides: dict[str, Any] = {
        "home": home, "server.host": host, "server.port": port, "runner.type": runner, "telemetry.log_level": log_level,
    }
    settings, origins = load_with_origins(config, overrides=overrides)
    configure_logging(level=settings.telemetry.log_level, json_lines=settings.telemetry.log_json)

    def ready(daemon: Daemon) -> None:
        click.echo(f"Podium serves at {daemon.url or daemon.socket}")

    def waits(owner: Owner) -> None:
        click.echo(f"Podium stands by: process {owner.pid} serves from {settings.home}")

    tree = work_tree.resolve() if work_tree else None
    asyncio.run(run_daemon(settings, work_tree=tree, ready=ready, standby=waits if standby else None, origins=origins))
