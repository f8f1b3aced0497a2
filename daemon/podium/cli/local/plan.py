"""`podium plan`: what pushing a commit would change: flows, what differs inside them, when their schedules fire next. Needs no daemon."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from podium.cli.main import EXIT_FAILED

if TYPE_CHECKING:
    from podium.flows.load import Problem
    from podium.flows.model import Flow
    from podium.flows.plan import Change
    from podium.sources.reading.compare import Comparison

DATES_SHOWN = 3
DIFFERENCES_SHOWN = 8
LINES_MAX = 300
_MARKS = {"added": "+", "changed": "~", "removed": "-", "moved": ">"}


@click.command()
@click.argument("ref", default="HEAD")
@click.option("--repo", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", help="The repository, default: here.")
@click.option("--base", help="What is deployed now; default: the branch at `origin`, else nothing.")
@click.option("--branch", help="Branch whose flows are deployed; default: git config podium.branch, else main.")
@click.option("--path", "folder", help="Folder of the flow files; default: git config podium.path, else the whole repository.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def plan(*, ref: str, repo: Path, base: str | None, branch: str | None, folder: str | None, output: str) -> None:
    """Show what pushing REF (default HEAD) would change. Exits 1 when a flow in it is wrong."""
    comparison, old, new = compared(repo, ref, base=base, branch=branch, folder=folder)
    if output == "json":
        click.echo(json.dumps(_data(comparison, old, new), indent=2, ensure_ascii=False, default=str))
    else:
        now, zone = _now()
        since = f"{base or f'origin/{_branch(repo, branch)}'} ({old[:10]})" if old else "nothing (no such branch at origin yet)"
        click.echo(f"{ref} ({new[:10]}) against {since}:")
        for line in [*describe(comparison, now, zone), *complain(comparison.problems)]:
            click.echo(line)
    if comparison.problems:
        sys.exit(EXIT_FAILED)


def planned(repo: Path, ref: str, *, base: str | None = None) -> dict[str, Any]:
    """What the command prints as JSON. Raises GitError."""
    found: dict[str, Any] = json.loads(json.dumps(_data(*compared(repo, ref, base=base)), default=str))
    return found


def _data(comparison: Comparison, old: str | None, new: str) -> dict[str, Any]:
    return as_data(comparison, *_now()) | {"base": old, "commit": new}


def _now() -> tuple[datetime, tzinfo]:
    from podium.app.settings import load_settings
    from podium.base.system.clock import SystemClock
    from podium.base.system.zone import zone_of

    return SystemClock().now(), zone_of(load_settings().timezone)


def _branch(repo: Path, branch: str | None) -> str:
    from podium.git.repo import Repository

    with Repository.open(repo.resolve()) as repository:
        return branch or repository.config("podium.branch") or "main"


def compared(
    repo: Path, ref: str, *, base: str | None = None, branch: str | None = None, folder: str | None = None
) -> tuple[Comparison, str | None, str]:
    """What differs, the commit that is deployed (None: nothing is) and the one that is looked at. Raises GitError."""
    from podium.app.plugins import load_types
    from podium.base.errors import GitError
    from podium.git.repo import Repository
    from podium.sources.reading.compare import compare_commits

    with Repository.open(repo.resolve()) as repository:
        new = repository.resolve(ref)
        if new is None:
            raise GitError(f"there is no commit '{ref}' in {repo}", hint="commit your flows first, or name another commit")
        branch = branch or repository.config("podium.branch") or "main"
        old = repository.resolve(base or f"refs/remotes/origin/{branch}")
        if base is not None and old is None:
            raise GitError(f"there is no commit '{base}' in {repo}", hint="name a branch, tag or commit that is here")
        place = (folder or repository.config("podium.path") or ".").strip("/") or "."
        return compare_commits(repository, old, new, folder=place, types=load_types()), old, new


def describe(comparison: Comparison, now: datetime, zone: tzinfo) -> list[str]:
    """The changes as lines for people, at most LINES_MAX of them."""
    lines: list[str] = []
    inner = _differences(comparison)
    for change in comparison.changes:
        namespace, flow_id = change.key
        lines.append(f"{_MARKS[change.kind]} {namespace}.{flow_id}  {change.path}{_remark(change.kind, change.key in inner)}")
        if change.kind == "changed" and change.key in inner:
            shown = [f"{each.kind} {each.path}" for each in inner[change.key].differences]
            more = [f"… {len(shown) - DIFFERENCES_SHOWN} more"] if len(shown) > DIFFERENCES_SHOWN else []
            lines += [f"    {each}" for each in [*shown[:DIFFERENCES_SHOWN], *more]]
        if change.after is not None and change.kind != "moved":
            lines += [f"    {each}" for each in _triggers(change.after, now, zone)]
        if change.kind == "removed" and change.before is not None and change.before.triggers:
            lines.append(f"    no longer triggered by {', '.join(each.id for each in change.before.triggers)}")
    if not comparison.changes:
        lines.append("no flow changes")
    lines += [f"  {path} is no flow and is left alone" for path in comparison.ignored]
    if len(lines) > LINES_MAX:
        lines = [*lines[:LINES_MAX], f"… {len(lines) - LINES_MAX} more lines"]
    return lines


def complain(problems: Iterable[Problem]) -> Iterator[str]:
    """The mistakes as lines for people."""
    for problem in problems:
        yield str(problem)
        if problem.hint:
            yield f"    hint: {problem.hint}"


def as_data(comparison: Comparison, now: datetime, zone: tzinfo) -> dict[str, Any]:
    """The comparison for machines."""
    inner = _differences(comparison)
    changes = []
    for change in comparison.changes:
        entry: dict[str, Any] = {"kind": change.kind, "namespace": change.key[0], "id": change.key[1], "path": change.path}
        if change.kind == "changed" and change.key in inner:
            entry["differences"] = [
                {"path": each.path, "kind": each.kind, "before": each.before, "after": each.after} for each in inner[change.key].differences
            ]
        if change.after is not None:
            entry["triggers"] = [
                {"id": trigger.id, "type": trigger.type, "next": _next_dates(trigger, now, zone)} for trigger in change.after.triggers
            ]
        changes.append(entry)
    return {"changes": changes, "problems": [each.as_dict() for each in comparison.problems], "ignored": list(comparison.ignored)}


def _differences(comparison: Comparison) -> dict[tuple[str, str], Change]:
    from podium.flows.plan import diff_flows

    before = {change.key: change.before for change in comparison.changes if change.kind == "changed" and change.before is not None}
    after = {change.key: change.after for change in comparison.changes if change.kind == "changed" and change.after is not None}
    return {change.key: change for change in diff_flows(before, after)}


def _remark(kind: str, differs: bool) -> str:
    if kind == "moved":
        return " (moved here, same revision)"
    return " (only comments or layout)" if kind == "changed" and not differs else ""


def _triggers(flow: Flow, now: datetime, zone: tzinfo) -> Iterator[str]:
    """What starts the flow, and when."""
    from podium.flows.types import short_type

    if flow.disabled:
        yield "disabled: nothing starts it"
        return
    for trigger in flow.triggers:
        kind = short_type(trigger.type)
        if trigger.disabled:
            yield f"trigger {trigger.id} ({kind}): disabled"
            continue
        dates = _next_dates(trigger, now, zone)
        conditional = " if its conditions hold" if dates and (trigger.conditions or trigger.when is not None) else ""
        yield f"trigger {trigger.id} ({kind}){': next ' + ', '.join(dates) + conditional if dates else ''}"


def _next_dates(trigger: Any, now: datetime, zone: tzinfo) -> list[str]:
    from podium.base.errors import FlowError
    from podium.flows.triggers import Schedule, ScheduleOnDates
    from podium.triggers.kinds.dates import dates_of, shown

    if not isinstance(trigger, (Schedule, ScheduleOnDates)):
        return []
    listed = trigger.dates if isinstance(trigger, ScheduleOnDates) and isinstance(trigger.dates, list) else []
    try:
        dates = dates_of(trigger, zone, listed=listed)
    except FlowError:  # dates that are expressions are known only to the daemon
        return []
    found: list[str] = []
    at: datetime | None = now - timedelta(microseconds=1)
    while at is not None and len(found) < DATES_SHOWN:
        at = dates.next(at)
        if at is not None:
            found.append(shown(at, dates.zone))
    return found
