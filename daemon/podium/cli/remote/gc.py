"""`podium gc`: remove what is past its time now, through the daemon if one runs, else on its home."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from podium.base.system.disk import readable
from podium.cli.main import EXIT_NO_DAEMON
from podium.cli.remote.client import Daemon, DaemonError, daemon_options, show

_TIMEOUT_S = 24 * 3600.0
_WORDS: Mapping[str, tuple[str, str]] = {
    "executions": ("execution in the index", "executions in the index"), "logs": ("log line", "log lines"), "metrics": ("metric", "metrics"),
    "keys": ("key against repetition", "keys against repetition"), "documents": ("small document", "small documents"),
    "caches": ("cache", "caches"), "folders": ("execution with files", "executions with files"),
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file, for a home without a daemon.")
@daemon_options
def gc(daemon: Daemon, output: str, *, dry_run: bool, config: Path | None) -> None:
    """Remove what is past its time.

    The daemon does so every hour by itself, after the days of [retention]. This does it now, and looks through the whole storage for files that
    belong to no execution, too. Without a daemon it works on the home, and then writes the database anew, as small as it can be. Records stay in
    Git.
    """
    try:
        freed = daemon.call("POST", "/api/v1/gc", timeout_s=_TIMEOUT_S, dryRun="true" if dry_run else "false")
    except DaemonError as error:
        if error.facts.get("exit_code") != EXIT_NO_DAEMON or daemon.home is None:
            raise
        freed = _here(daemon.home, config, dry_run=dry_run)
    show(freed, output, lambda: click.echo(_told(freed, dry_run=dry_run)))


def _here(home: Path, config: Path | None, *, dry_run: bool) -> dict[str, Any]:
    """Do it on a home that no daemon has."""
    from dataclasses import asdict

    from podium.app.settings import load_settings
    from podium.app.wiring.core import terms_of
    from podium.app.wiring.home import home_lock
    from podium.base.errors import NotFound
    from podium.base.system.clock import SystemClock
    from podium.conductor.upkeep import Freed, Upkeep
    from podium.storage.files import FileStorage
    from podium.store.db import Database, vacuum
    from podium.store.retention import Retention

    settings = load_settings(config)
    path = home / "journal.db"
    if not path.is_file():
        raise NotFound(f"there is no home at {home}", hint="give --home, or start a daemon: podium serve")

    async def work() -> Freed:
        database = Database.open(path)
        try:
            upkeep = Upkeep(
                retention=Retention(database), files=FileStorage(settings.storage.url or home / "storage"), clock=SystemClock(),
                terms=terms_of(settings.retention),
            )
            return await upkeep.once(dry=dry_run, sweep=True)
        finally:
            database.close()

    with home_lock(home):
        freed = asdict(asyncio.run(work()))
        return freed if dry_run else {**freed, "databaseBytes": vacuum(path)}


def _told(freed: Mapping[str, Any], *, dry_run: bool) -> str:
    """What went, in one line."""
    parts = [f"{freed[name]:,} {words[freed[name] != 1]}" for name, words in _WORDS.items() if freed[name]]
    if freed["files"]:
        parts.append(f"{freed['files']:,} stored {'file' if freed['files'] == 1 else 'files'} of {readable(freed['bytes'])}")
    smaller = f"; the database is {readable(freed['databaseBytes'])} smaller" if freed.get("databaseBytes", 0) > 0 else ""
    if not parts:
        return f"nothing is past its time{smaller}"
    return f"{'would remove' if dry_run else 'removed'} {', '.join(parts)}{smaller}"
