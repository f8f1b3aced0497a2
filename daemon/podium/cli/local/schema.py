"""`podium schema`: the JSON Schema of the flow language with every installed type, for editors. Needs no daemon."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--type", "name", metavar="TYPE", help="Only the definition of one plug-in type.")
@click.option("--tests", is_flag=True, help="The schema of flow tests instead.")
def schema(name: str | None, tests: bool) -> None:
    """Print the JSON Schema of the flow language."""
    from podium.app.plugins import load_types, load_vocabulary
    from podium.base.errors import NotFound
    from podium.flows.schema import json_schema, of_type, suite_schema

    if tests:
        click.echo(json.dumps(suite_schema(), indent=2, ensure_ascii=False))
        return
    types = load_types()
    for plugin, reason in types.broken:
        click.echo(f"warning: the plug-in '{plugin}' cannot be loaded: {reason}", err=True)
    made = json_schema(types, load_vocabulary())
    if name is not None:
        found = of_type(made, types.canonical(name))
        if found is None:
            suggestion = types.suggest(name)
            raise NotFound(f"there is no type '{name}'", hint=f"did you mean '{suggestion}'?" if suggestion else "list them: podium schema")
        made = found
    click.echo(json.dumps(made, indent=2, ensure_ascii=False))
