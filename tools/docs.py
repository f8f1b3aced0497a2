"""Writes the pages of docs/ that are made from the code: settings.md, cli.md, types.md, dependencies.md. Run by `make docs`; a test compares."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr

from podium.app.layers import shown
from podium.app.settings import Settings
from podium.app.wiring.about import meanings_of
from podium.cli.main import cli
from tools.catalogue import types_page

ROOT = Path(__file__).resolve().parent.parent
MADE = "<!-- Made by `make docs` from the code; change it there. -->\n"

SETTINGS_HEAD = """# Settings

Every setting has a default that works on a laptop, so none is needed to begin. They are read from, strongest first:

1. flags of a command (`podium serve --port 9090`);
2. environment variables: `PODIUM_SERVER__PORT=9090`, with two underscores between section and key. Lists may be written `a,b`, tables
   `name=value,name=value`, or either as JSON;
3. one file: the one named by `--config` or `PODIUM_CONFIG`, else the first that exists of `./podium.toml`, `./.podium/podium.toml`,
   `~/.config/podium/podium.toml`, `/etc/podium/podium.toml`;
4. the defaults below.

`podium config show` prints what is in force and where each value was written, secrets masked; `podium config check FILE` names
every mistake of a file with its line. Sizes are bytes or carry a unit (`64k`, `512m`, `2g`, powers of 1024). Relative paths start at the
working directory.

```toml
home = "/var/lib/podium"
timezone = "Europe/Paris"

[server]
host = "0.0.0.0"
token_file = "/etc/podium/token"
allowed_hosts = ["podium.example.org"]

[sources.main]
url = "git@git.example.org:data/flows.git"
branch = "main"
ssh_key = "/etc/podium/deploy_key"
poll_interval_s = 60

[results]
rotate = "monthly"

[runner.images]
"python:*" = "podium.local/python:bookworm"
```
"""


def settings_page() -> str:
    """docs/settings.md."""
    parts = [MADE, SETTINGS_HEAD, "\n## Outside sections\n\n", *_table(Settings, "")]
    for name, field in Settings.model_fields.items():
        model = _section(field.annotation)
        if model is None:
            continue
        parts += _section_page(f"{name}.<name>" if name in ("sources", "pools") else name, model)
    return "".join(parts)


def _section_page(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield from (f"\n## [{title}]\n\n{(model.__doc__ or '').strip()}\n\n", *_table(model, f"{title}."))
    for name, field in model.model_fields.items():
        if (inner := _section(field.annotation)) is not None:
            yield from _section_page(f"{title}.{name}", inner)


def _section(annotation: Any) -> type[BaseModel] | None:
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def _table(model: type[BaseModel], prefix: str) -> Iterator[str]:
    yield "| setting | type | default | meaning |\n|---|---|---|---|\n"
    meanings = meanings_of(model)
    for name, field in model.model_fields.items():
        if _section(field.annotation) is not None:
            continue
        default = "required" if field.is_required() else "see meaning" if field.default_factory else _literal(field.default)
        yield f"| `{prefix}{name}` | {_type(field.annotation)} | {default} | {meanings[name]} |\n"


def _literal(value: Any) -> str:
    value = shown(value)
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "list of texts"
    if get_origin(annotation) is dict:
        return "table"
    names = {bool: "true or false", str: "text", int: "whole number", float: "number", Path: "path", SecretStr: "secret text"}
    return names.get(annotation) or next(filter(None, map(_type, get_args(annotation))), "")


def cli_page() -> str:
    """docs/cli.md: the help of every command."""
    parts = [MADE, "# Command line\n\nExit codes: 0 done, 1 the thing asked about failed, 2 wrong usage, 3 no daemon answers, 4 refused.\n"]
    parts += [f"\n## {each.command_path}\n\n```text\n{each.command.get_help(each)}\n```\n" for each in _commands(cli, "podium", None)]
    return "".join(parts)


def _commands(command: click.Command, name: str, parent: click.Context | None) -> Iterator[click.Context]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True, terminal_width=100, max_content_width=100)
    yield context
    if isinstance(command, click.Group):
        for inner_name in command.list_commands(context):
            inner = command.get_command(context, inner_name)
            if inner is not None and not inner.hidden:
                yield from _commands(inner, inner_name, context)


DEPENDENCIES_HEAD = """# Dependencies

What Podium is installed with, and why each is there. A library is imported in one room only (ARCHITECTURE.md), most of them when they are
first used, so that `podium validate` does not pay for Docker. Versions are pinned with hashes in `requirements/runtime.txt` and
`requirements/dev.txt`, which name no index; `make lock` writes them anew. To add one: `pyproject.toml` with its reason, `make lock`,
`make docs`, and an ADR when it shapes the code.

| package | why |
|---|---|
"""
_DEPENDENCY = re.compile(r'^  "(?P<name>[a-z0-9-]+)(?:\[[a-z,]+\])?[<>=][^"]*",? *(?:# *(?P<why>.+))?$', re.MULTILINE | re.IGNORECASE)


def dependencies_page() -> str:
    """docs/dependencies.md."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = text[text.index("\ndependencies = [") :].partition("\n]")[0]
    rows = [f"| `{match['name']}` | {match['why']} |\n" for match in _DEPENDENCY.finditer(listed)]
    tail = "\nOn the machine: git; Docker where tasks run in containers. Not needed: a database server, a message broker, Node.\n"
    return "".join([MADE, DEPENDENCIES_HEAD, *rows, tail])


def catalogue_page() -> str:
    """docs/types.md."""
    return MADE + types_page()


PAGES = {
    "docs/settings.md": settings_page, "docs/cli.md": cli_page, "docs/types.md": catalogue_page, "docs/dependencies.md": dependencies_page,
}


def main() -> None:
    """Write the pages that differ."""
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            sys.stdout.write(f"· {name}\n")


if __name__ == "__main__":
    main()
