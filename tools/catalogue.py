"""The page docs/types.md: every type with its properties, defaults and an example, from the JSON Schema of the language. Used by tools/docs.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from podium.app.plugins import load_types, load_vocabulary
from podium.flows.schema import example_of, json_schema, short_name
from podium.web.pages.plugins.catalogue import KINDS, names_of, resolved, value_words, written_types

_HEAD = """# Every type

All types that this version knows, with their properties. The prefix `io.kestra.plugin.` may be left out. **Bold** properties are
required; a property marked `{{ }}` takes an expression in place of its value, and texts take expressions as well. The same is in the
[JSON Schema](editors.md), which your editor can read.
"""
_ABOUT = {
    "task": "What every task has:", "trigger": "What every trigger has:", "input": "What every input has:",
    "condition": "Conditions stand in `conditions` of a trigger.", "runner": "Task runners stand in `taskRunner` of a script task.",
}


def types_page() -> str:
    """docs/types.md."""
    schema = json_schema(load_types(), load_vocabulary())
    parts = [_HEAD]
    for kind, title in KINDS.items():
        parts += [f"\n## {title}\n\n{_ABOUT[kind]}\n", *_kind(schema, kind)]
    parts += ["\n## Parts\n\nWhat stands inside other things.\n", *_parts(schema)]
    return "".join(parts)


def _kind(schema: Mapping[str, Any], kind: str) -> Iterator[str]:
    known = schema["definitions"]
    names = names_of(schema, kind)
    rows = {name: dict(_rows(schema, known[name])) for name in names}
    common = {key: row for key, row in rows[names[0]].items() if all(each.get(key) == row for each in rows.values())}
    if common:
        yield "\n" + _table(common)
    groups: dict[str, list[str]] = {}
    for name in names:
        own = {key: row for key, row in rows[name].items() if key not in common and key not in ("id", "type")}
        groups.setdefault(_table(own) if own else "", []).append(name)
    for table, members in groups.items():
        yield f"\n### {', '.join(f'`{_title(known[each], kind)}`' for each in members)}\n\n"
        yield f"{known[members[0]].get('description', '')}\n" + (f"\n{table}" if table else "")
        yield _example(known[members[0]])


def _title(definition: Mapping[str, Any], kind: str) -> str:
    if kind != "input":
        return short_name(definition["title"])
    return ", ".join(written_types(definition))


def _parts(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, definition in schema["definitions"].items():
        if "." in name or "defaultSnippets" in definition or not definition.get("properties") or name.endswith("Input"):
            continue
        yield f"\n### {name}\n\n{definition.get('description', '')}\n\n{_table(dict(_rows(schema, definition)))}" + _example(definition)


def _table(rows: Mapping[str, str]) -> str:
    return "| property | value | default | meaning |\n|---|---|---|---|\n" + "".join(rows.values())


def _rows(schema: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, given in definition["properties"].items():
        found = resolved(schema, given)
        default = f"`{json.dumps(found['default'], ensure_ascii=False)}`" if found.get("default") not in (None, [], {}, "") else ""
        shown = f"**{name}**" if name in definition.get("required", []) else name
        yield name, f"| {shown} | {value_words(found)} | {default} | {found.get('description', '')} |\n".replace("{{ … }}", "`{{ … }}`")


def _example(definition: Mapping[str, Any]) -> str:
    text = example_of(definition)
    return f"\n```yaml\n{text}```\n" if text else ""
