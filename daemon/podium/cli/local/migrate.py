"""`podium migrate`: flows of language 1.x rewritten as 2.0, in their own text. Needs no daemon."""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from podium.cli.local.validate import Checker
    from podium.flows.migrate.driver import Migrated
    from podium.flows.types import Types

_FAILED = 1
_STDIN = "-"
_BOM = "\ufeff"


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True), metavar="PATH...")
@click.option("--write", is_flag=True, help="Change the files, instead of printing the result.")
@click.option("--check", is_flag=True, help="Change and print nothing but the report; exit 1 when something would change or cannot be rewritten.")
@click.option("--diff", is_flag=True, help="Print what would change, instead of the whole result.")
@click.option("--quiet", is_flag=True, help="Report only what could not be rewritten.")
def migrate(paths: tuple[str, ...], write: bool, check: bool, diff: bool, quiet: bool) -> None:
    """Rewrite flows of language 1.x as 2.0; of files, of directories, or - for standard input.

    Comments, order and quoting stay. The report on standard error names each change, and each thing that could not be rewritten, with its line.
    Exits 0, or 1 when a file cannot be read or its result is no valid flow of 2.0.
    """
    from podium.app.plugins import load_types
    from podium.cli.local.validate import Checker

    if write + check + diff > 1:
        raise click.UsageError("--write, --check and --diff exclude each other")
    if write and _STDIN in paths:
        raise click.UsageError("--write needs files; standard input is printed")
    types = load_types()
    job = _Job(types, Checker(types, "2.0"), quiet=quiet)
    found = list(dict.fromkeys(file for path in paths for file in _files(path)))
    if not found:
        click.echo("error: there are no flow files here", err=True)
        sys.exit(_FAILED)
    for file in found:
        done = job.one(file)
        if done is None or check:
            continue
        before, result = done
        if diff:
            click.echo("".join(difflib.unified_diff(_lines(before), _lines(result.text), file, file)), nl=False)
        elif not write:
            if len(found) > 1:
                click.echo(f"# {file}\n---")
            sys.stdout.buffer.write(result.text.encode())
            sys.stdout.buffer.flush()
        elif result.text != before:
            _replace(Path(file), result.text)
    job.sum_up(len(found), written=write)
    sys.exit(_FAILED if job.bad or (check and (job.changes or job.left)) else 0)


def _lines(text: str) -> list[str]:
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return lines


class _Job:
    """Migrates files one by one and counts."""

    def __init__(self, types: Types, checker: Checker, *, quiet: bool) -> None:
        self._types = types
        self._checker = checker
        self._quiet = quiet
        self.changes = self.left = self.bad = self.changed_files = 0

    def one(self, file: str) -> tuple[str, Migrated] | None:
        """The text of a file and what becomes of it; None when it cannot be read."""
        from podium.flows.migrate.driver import migrate as migrate_text
        from podium.sources.reading.tree import decode

        shown = "<stdin>" if file == _STDIN else file
        try:
            body = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
            text = decode(body)
        except (OSError, ValueError) as error:
            click.echo(f"{shown}:1: error: {error}", err=True)
            self.bad += 1
            return None
        result = migrate_text(text, file=shown, types=self._types, check=lambda new: self._checker.text(file, new))
        if result.unreadable:
            for problem in result.unreadable:
                click.echo(f"{problem}\n    hint: {problem.hint}", err=True)
            self.bad += 1
            return None
        self._report(shown, result)
        if body.startswith(_BOM.encode()):
            from dataclasses import replace

            text, result = _BOM + text, replace(result, text=_BOM + result.text)
        return text, result

    def _report(self, file: str, result: Migrated) -> None:
        for change in () if self._quiet else result.changes:
            click.echo(f"{file}:{change.line}: {change.what}", err=True)
        for left in result.left:
            click.echo(f"{file}:{left.line}: not rewritten: {left.what}\n    to do: {left.todo}", err=True)
        for problem in result.problems:
            place = f"{file}:{problem.line}:{problem.column}"
            click.echo(f"{place}: the result is refused: {problem.path}: {problem.message}\n    hint: {problem.hint}", err=True)
        self.changes += len(result.changes)
        self.changed_files += bool(result.changes)
        self.left += len(result.left)
        self.bad += bool(result.problems)

    def sum_up(self, files: int, *, written: bool) -> None:
        """The last line of the report."""
        what = f"{self.changes} change{'s' if self.changes != 1 else ''} in {self.changed_files} of {files} file{'s' if files != 1 else ''}"
        rest = f", {self.left} thing{'s' if self.left != 1 else ''} to do by hand" if self.left else ""
        bad = f", {self.bad} file{'s' if self.bad != 1 else ''} not valid as 2.0" if self.bad else ""
        click.echo(f"{what}{' written' if written and self.changes else ''}{rest}{bad}", err=True)


def _files(path: str) -> Iterator[str]:
    """The flow files of a path."""
    from podium.sources.reading.tree import is_flow_path, is_test, looks_like_flow, yaml_files

    if path == _STDIN or not Path(path).is_dir():
        yield path
        return
    for file in yaml_files(Path(path)):
        inside = file.relative_to(path).as_posix()
        if is_flow_path(inside):
            text = file.read_bytes().decode("utf-8-sig", "replace")
            if looks_like_flow(text) and not is_test(inside, text):
                yield str(file)


def _replace(file: Path, text: str) -> None:
    """Write the file as a whole or not at all, with the rights it had."""
    target = file.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(text.encode())
        temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise click.ClickException(f"{file} cannot be written: {error}") from error
