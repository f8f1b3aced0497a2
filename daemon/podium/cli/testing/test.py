"""`podium test`: runs flow tests. Each case is an execution in a throw-away home, with the tasks it mocks left out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, Seconds
from podium.cli.shown import json_text, printable

if TYPE_CHECKING:
    from podium.app.settings import Settings
    from podium.app.testing.found import Found
    from podium.app.testing.results import Report
    from podium.cli.testing.text import Text
    from podium.flows.load import Problem

JOBS_MAX = 64
_LEFT_OUT_SHOWN_MAX = 5


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option("--flows", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Where the flows are, and the namespace's files.")
@click.option("--filter", "pattern", metavar="GLOB", help="Only the suites and cases whose name fits: a suite, a case, or namespace.suite/case.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Also write the results as JUnit XML.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How results are printed.")
@click.option("--runner", type=click.Choice(["docker", "process"]), help="Where the commands of tasks run that are not mocked.")
@click.option("--jobs", "-j", type=click.IntRange(1, JOBS_MAX), help="Cases at the same time; default: one a processor, up to 4.")
@click.option("--timeout", "timeout_s", type=Seconds(), default=300.0, show_default=True, help="Seconds that a case may take.")
@click.option(
    "--secrets", "secrets_file", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="File of NAME=value lines for secret()."
)
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file, default podium.toml where it is found.")
@click.option("--verbose", "-v", is_flag=True, help="Show the assertions and logs of cases that pass, too.")
def test(
    *, paths: tuple[Path, ...], flows: Path | None, pattern: str | None, junit: Path | None, output: str, runner: str | None, jobs: int | None,
    timeout_s: float, secrets_file: Path | None, config: Path | None, verbose: bool,
) -> None:
    """Run flow tests: *.test.yaml, and files with `testCases` in folders named tests, below each PATH (default: here).

    Exit code 0 when all cases pass, 1 when one does not, 2 when a test file or a tested flow is wrong or nothing was found, 130 after Ctrl-C.
    """
    from podium.app.plugins import load_types
    from podium.app.settings import load_settings
    from podium.app.testing.found import Finder
    from podium.base.system.log import configure_logging
    from podium.cli.testing.text import Text

    configure_logging(level="ERROR")
    settings = load_settings(config, overrides={"runner.type": runner})
    for name, reason in load_types().broken:
        click.echo(f"warning: the plug-in '{name}' cannot be loaded: {reason}", err=True)
    finder = Finder(flows)
    found, problems = finder.find(paths or (Path(),))
    left_out = [file for file in finder.left_out() if not any(problem.file == file for problem in problems)]
    if left_out:
        listed = ", ".join(left_out[:_LEFT_OUT_SHOWN_MAX]) + (", …" if len(left_out) > _LEFT_OUT_SHOWN_MAX else "")
        click.echo(printable(f"warning: flows with mistakes are left out, look at them with podium validate: {listed}"), err=True)
    text = Text(verbose=verbose) if output == "text" else None
    if text is not None:
        text.problems(problems)
    jobs = jobs or min(os.cpu_count() or 1, 4)
    report = asyncio.run(_run(settings, found, problems, pattern=pattern, jobs=jobs, timeout_s=timeout_s, secrets_file=secrets_file, text=text))
    if text is not None:
        text.summary(report)
    else:
        click.echo(json_text(report.as_dict(), indent=2))
    if junit is not None:
        _write_junit(junit, report)
    if not report.suites and not problems:
        what = "no case fits the filter" if found else "there are no flow tests here"
        hint = "name files *.test.yaml, or put them into a folder named tests" if not found else "its forms: suite, case, namespace.suite/case"
        click.echo(f"error: {what}\nhint: {hint}", err=True)
    sys.exit(_exit_code(report))


def _exit_code(report: Report) -> int:
    if report.interrupted:
        return EXIT_INTERRUPTED
    if report.problems or not report.suites:
        return EXIT_USAGE
    counts = report.counts()
    return EXIT_FAILED if counts["failed"] or counts["error"] else 0


async def _run(
    settings: Settings, found: list[Found], problems: list[Problem], *, pattern: str | None, jobs: int, timeout_s: float,
    secrets_file: Path | None, text: Text | None,
) -> Report:
    from podium.app.testing.case import Runner
    from podium.app.testing.session import name_filter, run_all

    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        """End in order at the first signal, at once at the second."""
        interrupted.set()
        click.echo("interrupted: ending what runs; once more ends at once", err=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    runner = Runner(settings, secrets_file=secrets_file, timeout_s=timeout_s)
    return await run_all(
        runner, found, problems, jobs=jobs, interrupted=interrupted, wanted=name_filter(pattern),
        told=text.case if text is not None else lambda _suite, _case: None,
    )


def _write_junit(path: Path, report: Report) -> None:
    from podium.base.errors import SettingsError
    from podium.cli.testing.junit import junit_xml

    try:
        if path.exists() and not path.is_file():  # a pipe or a terminal
            path.write_bytes(junit_xml(report))
            return
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_bytes(junit_xml(report))
        draft.replace(path)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror or error}", hint="give --junit a file that can be written", exit_code=2) from error
