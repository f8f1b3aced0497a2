"""`podium results`: read and check the results branch, rebuild the index from it, begin to rotate.

Works on the daemon's own repository (`<home>/results.git`), on the settings' results repository if that is a path, or on `--repo`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from podium.base.errors import NotFound, SettingsError
from podium.cli.main import EXIT_FAILED

if TYPE_CHECKING:
    from podium.app.settings import Settings
    from podium.git.repo import Repository
    from podium.records.read import Found
    from podium.records.upkeep.verify import Report

_SHOWN_EVERY = 500


class _Where:
    """What the options say: settings (read when needed), repository and branch."""

    def __init__(self, repo: Path | None, branch: str | None, config: Path | None) -> None:
        self.repo = repo
        self._branch = branch
        self._config = config

    def settings(self) -> Settings:
        from podium.app.settings import load_settings

        return load_settings(self._config)

    def branch(self) -> str:
        return self._branch or ("results" if self.repo else self.settings().results.branch)

    def open(self) -> Repository:
        from podium.app.wiring.results import results_url
        from podium.git.remote import is_local
        from podium.git.repo import Repository

        if self.repo:
            return Repository.open(self.repo)
        settings = self.settings()
        own = settings.home / "results.git"
        if (own / "HEAD").is_file():
            return Repository.open(own)
        url = results_url(settings)
        if url and is_local(url):
            return Repository.open(Path(url.removeprefix("file://")).expanduser())
        raise NotFound(
            f"no copy of the results branch is here ({own} is not there)",
            hint="give a clone with --repo, or run this on the daemon's machine",
        )


@click.group()
@click.option("--repo", type=click.Path(file_okay=False, path_type=Path), help="A repository with the branch, instead of the daemon's.")
@click.option("--branch", help="Name of the branch, or of what is before the period [default: from the settings, else results].")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file instead of the one found.")
@click.pass_context
def results(ctx: click.Context, repo: Path | None, branch: str | None, config: Path | None) -> None:
    """Read and check the results branch."""
    ctx.obj = _Where(repo, branch, config)


@results.command()
@click.option("--day", help="Only of that day, UTC (2026-01-31).")
@click.option("--namespace", help="Only of that namespace.")
@click.option("--flow", "flow_id", help="Only of that flow.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def log(where: _Where, *, day: str | None, namespace: str | None, flow_id: str | None, limit: int, output: str) -> None:
    """List the newest records."""
    from podium.records.read import ResultsReader

    if day is not None:
        _check_day(day)
    with where.open() as repository:
        reader = ResultsReader(repository, branch=where.branch())
        found = reader.newest(limit=limit, namespace=namespace, flow_id=flow_id, day=day)
        rows = [_row(item) for item in found]
    if output == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['date']:<24}  {row['state']:<9}  {row['id']}  {row['namespace']}.{row['flowId']}")


@results.command()
@click.argument("execution_id", metavar="ID")
@click.option("--logs", is_flag=True, help="The task logs instead of the record.")
@click.option("--commit", is_flag=True, help="Also which commit brought it (walks the history).")
@click.pass_obj
def show(where: _Where, execution_id: str, logs: bool, commit: bool) -> None:
    """Print a record as it is in the branch, or its logs."""
    from podium.records.read import ResultsReader

    with where.open() as repository:
        reader = ResultsReader(repository, branch=where.branch())
        found = reader.record(execution_id)
        if found is None:
            raise NotFound(f"the branch has no record of {execution_id}", hint="list them: podium results log", execution_id=execution_id)
        click.echo(f"{found.branch}:{found.path}", err=True)
        if commit:
            info = reader.commit_of(found)
            click.echo(f"{info.id} {info.at:%Y-%m-%d %H:%M:%S} {info.subject}", err=True)
        body = reader.log(execution_id, namespace=found.place.namespace, flow_id=found.place.flow_id) or b"" if logs else found.body
    click.echo(body.decode("utf-8", "replace"), nl=False)


@results.command()
@click.option("--allowed-signers", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Demand a signature of these keys.")
@click.option("--objects/--no-objects", default=True, help="Also check every object (git fsck).")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def verify(where: _Where, allowed_signers: Path | None, objects: bool, output: str) -> None:
    """Check that the branch is whole and that nobody changed a record afterwards. Exit 1 if not."""
    from podium.records.upkeep.verify import verify as check

    with where.open() as repository, _counting() as tell:
        report = check(repository, branch=where.branch(), allowed_signers=allowed_signers, objects=objects, on_step=tell)
    if output == "json":
        click.echo(json.dumps(_as_dict(report), indent=2, ensure_ascii=False))
    else:
        for finding in report.findings:
            click.echo(f"{finding.where}: {finding.what}")
        foreign = f", {len(report.foreign)} commits of others" if report.foreign else ""
        click.echo(
            f"{len(report.findings)} findings in {report.records} records, {report.commits} commits{foreign}: {', '.join(report.branches)}"
        )
    if not report.ok:
        sys.exit(EXIT_FAILED)


@results.command()
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.pass_obj
def rebuild(where: _Where, dry_run: bool) -> None:
    """Enter all records of the branch into the index that lists and pages read. The daemon must be stopped."""
    from podium.records.read import ResultsReader

    with where.open() as repository, _counting() as tell:
        every = _told(ResultsReader(repository, branch=where.branch()).every(), tell)
        count = sum(1 for _ in every) if dry_run else _enter(where.settings(), every)
    click.echo(f"{count} records {'in the branch' if dry_run else 'entered'}")


@results.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rotate(where: _Where, yes: bool) -> None:
    """Turn the branch into a closed period, so that results.rotate can begin. The daemon must be stopped.

    `results` becomes `results/<its last month or week>`, here and on the remote. Later periods begin by themselves.
    """
    from podium.app.wiring.home import home_lock
    from podium.app.wiring.results import results_credentials, results_url
    from podium.records.layout import branch_at
    from podium.records.upkeep.periods import close_branch

    settings = where.settings()
    if settings.results.rotate == "never":
        raise SettingsError("results.rotate is never", hint='first set rotate = "monthly" (or "weekly") in [results]')
    branch = where.branch()
    with home_lock(settings.home), where.open() as repository:
        newest = repository.log(f"refs/heads/{branch}", limit=1)
        if not newest:
            click.echo(f"nothing to do: there is no branch {branch}; periods begin by themselves")
            return
        name = branch_at(branch, settings.results.rotate, newest[0].at)
        if not yes:
            click.confirm(f"{branch} becomes {name}, and is deleted under its old name at the remote. Go on?", abort=True)
        url = None if where.repo else results_url(settings)
        period = name.removeprefix(branch + "/")
        click.echo(close_branch(repository, branch, period, url=url, credentials=results_credentials(settings)))


@results.command()
@click.option("--keep", type=click.IntRange(1, 10_000), help="How many closed periods stay [default: results.keep_periods].")
@click.option("--dry-run", is_flag=True, help="Only say which.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(where: _Where, keep: int | None, dry_run: bool, yes: bool) -> None:
    """Delete the branches of old periods, here and on the remote, with all their records. The daemon may run.

    Only periods that are closed and whole on the remote, never by force. Lists keep the executions until `podium gc`.
    """
    from podium.app.wiring.results import results_credentials, results_url
    from podium.base.system.clock import SystemClock
    from podium.git.repo import Repository
    from podium.records.layout import branch_at
    from podium.records.upkeep import periods

    settings = where.settings()
    keep = keep or settings.results.keep_periods
    if settings.results.rotate == "never":
        raise SettingsError("results.rotate is never: there are no periods", hint='first set rotate = "monthly" (or "weekly") in [results]')
    if keep is None:
        raise SettingsError("how many periods stay?", hint="give --keep, or set results.keep_periods")
    branch = where.branch()
    remote = periods.Remote(url=None if where.repo else results_url(settings), credentials=results_credentials(settings))
    with where.open() as repository:
        current = branch_at(branch, settings.results.rotate, SystemClock().now())
        names = periods.closed_periods(repository, branch, remote, current=current)[:-keep]
        click.echo("\n".join(names) or f"nothing to do: no more than {keep} closed periods")
        if dry_run or not names:
            return
        if not yes:
            click.confirm(f"These {len(names)} branches and all their records are deleted, here and on the remote. Go on?", abort=True)
        periods.forget(repository, branch, names, remote)
    own = settings.home / "results.git"
    if not where.repo and own.is_dir():
        with Repository.init_bare(own) as repository:
            repository.reclaim()


@contextlib.contextmanager
def _counting() -> Iterator[Callable[[str, int], None]]:
    """On a terminal: lines that say what is under way, how many so far, and for how long. Elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _what, _count: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f}"), TimeElapsedColumn(), transient=True) as shown:
        steps: dict[str, Any] = {}

        def tell(what: str, count: int) -> None:
            if what not in steps:
                steps[what] = shown.add_task(what)
            if count % _SHOWN_EVERY == 0:
                shown.update(steps[what], completed=count)

        yield tell


def _told(every: Iterator[Found], tell: Callable[[str, int], None]) -> Iterator[Found]:
    for count, found in enumerate(every, 1):
        tell("records", count)
        yield found


def _check_day(day: str) -> None:
    try:
        datetime.strptime(day, "%Y-%m-%d")  # noqa: DTZ007 - only whether it is a date
    except ValueError as exc:
        raise click.BadParameter("write it as 2026-01-31", param_hint="--day") from exc


def _row(found: Found) -> dict[str, Any]:
    execution = found.data()["execution"]
    state = execution["state"]
    dates = [moment["date"] for moment in state["histories"]]
    return {
        "id": execution["id"],
        "namespace": execution["namespace"],
        "flowId": execution["flowId"],
        "state": state["current"],
        "date": dates[-1] if dates else "",
        "branch": found.branch,
        "path": found.path,
        "commit": found.commit,
    }


def _as_dict(report: Report) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "branches": report.branches,
        "commits": report.commits,
        "records": report.records,
        "foreign": report.foreign,
        "findings": [{"where": finding.where, "what": finding.what} for finding in report.findings],
    }


def _enter(settings: Settings, every: Iterator[Found]) -> int:
    """Write the index rows of all records; how many."""
    from podium.app.wiring.home import home_lock
    from podium.app.wiring.rebuild import enter_records
    from podium.store.db import Database
    from podium.store.views import Views

    async def work() -> int:
        database = Database.open(settings.home / "journal.db")
        try:
            return await enter_records(Views(database), every)
        finally:
            database.close()

    with home_lock(settings.home):
        return asyncio.run(work())
