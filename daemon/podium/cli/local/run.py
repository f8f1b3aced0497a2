"""`podium run`: one execution in the foreground, with live progress on a terminal and JSON when asked."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from podium.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, Seconds
from podium.cli.remote.client import label_pairs, pairs
from podium.cli.shown import json_text, printable

if TYPE_CHECKING:
    from podium.app.settings import Settings
    from podium.app.wiring.core import Core
    from podium.app.wiring.foreground import Chosen

GOOD = ("SUCCESS", "WARNING")
EXIT_TIMEOUT = 124


def _inputs(values: Sequence[str], chosen: Chosen) -> dict[str, str]:
    """`name=value` inputs as a map. `@path` stands for the text of that file; for a FILE input a path is meant, with or without the @."""
    from podium.flows.inputs import flatten

    flow = chosen.flow.flow
    files = {name for name, declared in flatten(flow.inputs if flow else ()) if declared.type == "FILE"}
    found = dict(pairs(values, "--input"))
    for name, value in found.items():
        path = Path(value[1:])
        if value.startswith("@") and path.is_file():
            found[name] = str(path) if name in files else _text_of(path, name)
    return found


def _text_of(path: Path, name: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"the file {path} for '{name}' cannot be read as text: {error}", param_hint="--input") from None


@click.command()
@click.argument("target")
@click.option(
    "--flows", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Other flows to deploy beside it, and the namespace's files."
)
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="An input; may repeat. NAME=@path gives the file, or its text.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may repeat.")
@click.option("--timeout", "timeout_s", type=Seconds(), help="Seconds after which the execution is killed.")
@click.option(
    "--secrets", "secrets_file", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="File of NAME=value lines for secret()."
)
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file, default podium.toml where it is found.")
@click.option("--runner", type=click.Choice(["docker", "process"]), help="Where the commands of tasks run.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="json prints the finished execution and nothing else.")
def run(
    *, target: str, flows: Path | None, inputs: tuple[str, ...], labels: tuple[str, ...], timeout_s: float | None, secrets_file: Path | None,
    config: Path | None, runner: str | None, output: str,
) -> None:
    """Run one flow without a daemon: TARGET is a file, or namespace.flow of a file in --flows. Nothing is kept.

    Exit code 0 for SUCCESS and WARNING, 1 otherwise, 2 for a wrong input, 124 after --timeout, 130 after Ctrl-C.
    """
    from podium.app.settings import load_settings
    from podium.app.wiring.foreground import choose
    from podium.base.system.log import configure_logging

    configure_logging(level="WARNING")
    settings = load_settings(config, overrides={"runner.type": runner})
    chosen = choose(target, flows)
    for problem in chosen.problems:
        click.echo(printable(f"left out: {problem}"), err=True)
    code = asyncio.run(_run(
        settings, chosen, inputs=_inputs(inputs, chosen), labels=dict(label_pairs(labels)), timeout_s=timeout_s, secrets_file=secrets_file,
        output=output,
    ))
    sys.exit(code)


async def _run(
    settings: Settings, chosen: Chosen, *, inputs: dict[str, str], labels: dict[str, str], timeout_s: float | None, secrets_file: Path | None,
    output: str,
) -> int:
    from podium.app.wiring.foreground import open_foreground, start
    from podium.base.errors import InputError

    async with open_foreground(settings, chosen, secrets_file=secrets_file) as core:
        try:
            view = await start(core, chosen, inputs, labels)
        except InputError as error:
            click.echo(printable(f"error: {error.what}\nhint: {error.hint}"), err=True)
            return EXIT_USAGE
        interrupted = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, interrupted.set)
        shown = asyncio.create_task(_show(core, view["id"])) if output == "text" else None
        ended, code = await _until_ended(core, view["id"], timeout_s, interrupted)
        if shown is not None:
            await asyncio.wait({shown}, timeout=2)
            shown.cancel()
        if output == "json":
            click.echo(json_text(ended))
        else:
            _summary(ended)
        return code or (0 if ended["state"]["current"] in GOOD else EXIT_FAILED)


async def _until_ended(core: Core, execution_id: str, timeout_s: float | None, interrupted: asyncio.Event) -> tuple[dict[str, Any], int]:
    """Wait for the end; kill at the time limit or at Ctrl-C."""
    waiting = asyncio.create_task(core.podium.wait(execution_id))
    asked = asyncio.create_task(interrupted.wait())
    await asyncio.wait({waiting, asked}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    code = 0
    if not waiting.done():
        code = EXIT_INTERRUPTED if interrupted.is_set() else EXIT_TIMEOUT
        from podium.base.errors import ConflictError

        try:
            await core.podium.kill(execution_id)
        except ConflictError:
            code = 0
        await asyncio.wait({waiting}, timeout=30)
    asked.cancel()
    return (await waiting if waiting.done() else await core.podium.execution(execution_id)), code


async def _show(core: Core, execution_id: str) -> None:
    """Live logs and task states on the terminal; of subflows and iterations, the logs."""
    from podium.cli.local.progress import Progress

    progress = Progress()
    seen: dict[str, int] = {execution_id: 0}
    names: dict[str, str] = {execution_id: ""}

    async def log_of(each: str) -> None:
        if each not in names:
            names[each] = _name(await core.conductor.view(each))
        for entry in await core.podium.logs(each, after_seq=seen.setdefault(each, 0)):
            seen[each] = entry["seq"]
            progress.log(entry, names[each])

    changed: dict[str, None] = {}
    news = asyncio.Event()
    news.set()

    async def listen() -> None:
        async for event in core.podium.subscribe(after_seq=0):
            changed[event.get("executionId") or execution_id] = None
            news.set()

    listening = asyncio.create_task(listen())
    try:
        while await news.wait():
            news.clear()
            began = asyncio.get_running_loop().time()
            heard, changed = changed, {}
            for each in dict.fromkeys((execution_id, *heard)):
                await log_of(each)
            view = await core.conductor.view(execution_id)
            progress.update(view)
            if view.get("closed"):
                for each in list(seen):
                    await log_of(each)
                return
            # Many changes are shown together, so that looking on never takes more time than doing.
            await asyncio.sleep(3 * (asyncio.get_running_loop().time() - began))
    finally:
        listening.cancel()


def _name(view: Mapping[str, Any]) -> str:
    """What tells the lines of an execution that another one started from those of others."""
    loop = view.get("loopRun")
    return f"{loop['taskId']}[{loop['index']}]" if loop else str(view["flowId"])


def _summary(view: dict[str, Any]) -> None:
    from podium.cli.local.progress import Progress

    Progress().summary(view)
