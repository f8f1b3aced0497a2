"""What podium.yaml gives a namespace, each with the line it stands in: for pages that show where a value comes from. Called by publish; blocking.

The nearest comes first: of the namespace itself, of those above it, of the whole source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from podium.flows.reading.yaml import Fields, Items, Node, parse_documents, plain
from podium.sources.reading.tree import decode

_MAPS = ("variables", "labels")


def in_force(body: bytes, *, path: str, namespace: str) -> list[dict[str, Any]]:
    """[{kind: pluginDefaults|variables|labels, name, value, forced?, namespace (that says so, "" for all), path, line}]."""
    try:
        documents = parse_documents(decode(body))
    except ValueError:
        return []
    root = documents[0].root if documents else None
    if not isinstance(root, Fields):
        return []
    namespaces = root.get("namespaces")
    found: list[dict[str, Any]] = []
    parts = namespace.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        own = namespaces.get(name) if isinstance(namespaces, Fields) else None
        found += _of(own, name)
    found += _of(root, "")
    return [{**each, "path": path} for each in found]


def _of(node: Node | None, namespace: str) -> Iterator[dict[str, Any]]:
    if not isinstance(node, Fields):
        return
    for item in _items(node.get("pluginDefaults")):
        forced = item.get("forced")
        yield {
            "kind": "pluginDefaults", "name": item.text("type") or "", "value": plain(item.get("values") or item), "namespace": namespace,
            "line": item.line, **({"forced": True} if forced is not None and plain(forced) is True else {}),
        }
    for kind in _MAPS:
        entries = node.get(kind)
        for name, entry in entries.entries.items() if isinstance(entries, Fields) else ():
            yield {"kind": kind, "name": name, "value": plain(entry.node), "namespace": namespace, "line": entry.line}


def _items(node: Node | None) -> list[Fields]:
    return [each for each in node.items if isinstance(each, Fields)] if isinstance(node, Items) else []
