"""`podium images`: container images where no registry answers."""

from __future__ import annotations

import os
from pathlib import Path

import click

_CACHE = click.option(
    "--cache", type=click.Path(file_okay=False, path_type=Path), help="Where root file systems are kept.  [default: ~/.cache/podium/images]"
)


def _cache(given: Path | None) -> Path:
    from podium.app.layers import cache_directory

    return given or cache_directory(os.environ) / "images"


@click.group()
def images() -> None:
    """Make container images from Debian packages."""


@images.command("list")
def list_() -> None:
    """Show the images and which are here. Ends with the [runner.images] table that makes flows use them."""
    from podium.app import images as make

    client = make.connect()
    for recipe in make.RECIPES.values():
        state = "here" if make.is_made(client, recipe) else "not made"
        click.echo(f"{recipe.name:<8} {recipe.tag:<32} {state:<9} for {', '.join(recipe.stands_for)}")
    made = make.table(recipe for recipe in make.RECIPES.values() if make.is_made(client, recipe))
    if made:
        click.echo("\n[runner.images]")
    for pattern, tag in made.items():
        click.echo(f'"{pattern}" = "{tag}"')


@images.command()
@click.argument("names", nargs=-1)
@_CACHE
def build(names: tuple[str, ...], cache: Path | None) -> None:
    """Make the images NAMES (default: all) from Debian packages. Nothing is done for those that are there."""
    from podium.app import images as make

    make.build_all(make.connect(), make.recipes(names), cache=_cache(cache), say=click.echo)


@images.command()
@click.argument("names", nargs=-1)
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Keep the [runner.images] table in this settings file.")
@_CACHE
def get(names: tuple[str, ...], write: Path | None, cache: Path | None) -> None:
    """Get the images NAMES (default: all): pulled where a registry answers, else made here."""
    from podium.app import images as make

    table = make.get(make.connect(), make.recipes(names), cache=_cache(cache), say=click.echo)
    if write is not None:
        make.write_settings(write, table)
