"""pluginDefaults, which 2.0 does not have: their values are written into what they were for. Source: flow-language 1.4, flow-language-2 1.

What is merged is decided by flows/reading/defaults, so that the flow means the same afterwards.
"""

from __future__ import annotations

from typing import Any

from podium.flows.migrate.text.editing import AsWritten, Draft
from podium.flows.migrate.text.source import Edit, Part
from podium.flows.reading.defaults import NAMES, inject
from podium.flows.reading.problems import Report
from podium.flows.reading.shape import properties
from podium.flows.reading.yaml import Fields, Items, Node, Scalar, plain
from podium.flows.types import Types


def rewrite_defaults(draft: Draft, root: Part, tree: Fields, types: Types) -> None:
    """Write the flow's own defaults out. tree: the same document as flows/reading sees it."""
    pairs = [pair for name in NAMES if (pair := root.pair(name)) is not None]
    if not pairs:
        return
    report = Report("")
    merged = inject(tree, (), types, report)
    if report.problems:
        draft.cannot(pairs[0].key, f"these defaults cannot be applied: {report.problems[0].message}", "write the values into the tasks")
        return
    walk = _Walk(draft, types)
    for key, entry in tree.entries.items():
        part = root.get(key)
        if key not in NAMES and part is not None:
            walk.into(part, entry.node, merged.entries[key].node)
    if walk.unsure is not None:
        what = "the values of pluginDefaults cannot be written into this, which is shared by an alias or has brackets around lists"
        draft.cannot(walk.unsure, what, "write it out, or write the values into the tasks by hand")
        return
    edits = [*walk.edits, *(draft.remove(root, pair) for pair in pairs)]
    draft.change(pairs[0].key, f"{pairs[0].key.text} written into the {walk.count} plug-ins they were for", *edits)


class _Walk:
    """Goes through a document as written and as merged, side by side."""

    def __init__(self, draft: Draft, types: Types) -> None:
        self.edits: list[Edit] = []
        self.count = 0
        self.unsure: Part | None = None
        self._draft = draft
        self._types = types

    def into(self, part: Part, before: Node, after: Node) -> None:
        """Want what the merged node has beyond the written one."""
        if isinstance(before, Items) and isinstance(after, Items) and len(before.items) == len(after.items) == len(part.items):
            for item, old, new in zip(part.items, before.items, after.items, strict=True):
                self.into(item, old, new)
        elif isinstance(before, Fields) and isinstance(after, Fields):
            self._fields(part, before, after)

    def _fields(self, part: Part, before: Fields, after: Fields) -> None:
        kind = after.text("type")
        cls = self._types.any(kind) if kind is not None else None
        known = properties(cls) if cls is not None else None
        new: list[tuple[str, Any]] = []
        for key, entry in after.entries.items():
            old = before.get(key)
            pair = part.pair(key)
            if old is None:
                if known is None or key in known:
                    new.append((key, _data(entry.node)))
            elif pair is not None and _differs(old, entry.node):
                self._pair(part, pair.value, key, old, entry.node)
        reference = part.pair("pluginDefaultsRef")
        if reference is not None and reference in part.pairs:
            self.edits.append(self._draft.remove(part, reference))
        if new:
            at = part.pair("type")
            if at is None or at not in part.pairs:
                at = part.pairs[-1] if part.pairs else None
            if at is None or part.alias:
                self.unsure = part
                return
            self.count += 1
            self.edits.append(self._draft.add(part, at, new))

    def _pair(self, parent: Part, value: Part, key: str, before: Node, after: Node) -> None:
        maps = isinstance(before, Fields) and isinstance(after, Fields) and not value.alias and bool(value.pairs)
        if maps or (isinstance(before, Items) and isinstance(after, Items) and len(before.items) == len(after.items)):
            self.into(value, before, after)
        else:
            pair = parent.pair(key)
            if pair is None or pair not in parent.pairs:
                self.unsure = value
                return
            self.count += 1
            self.edits.append(self._draft.put(parent, pair, [(key, _data(after))]))


def _data(node: Node) -> Any:
    """As it is written: text stays text."""
    if isinstance(node, Fields):
        return {key: _data(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Items):
        return [_data(each) for each in node.items]
    assert isinstance(node, Scalar)
    return AsWritten(node.text) if node.plain and node.value is not None and not isinstance(node.value, str) else node.value


def _differs(before: Node, after: Node) -> bool:
    if type(before) is not type(after):
        return True
    if isinstance(before, Scalar) and isinstance(after, Scalar):
        return before is not after and (before.text, before.value) != (after.text, after.value)
    return bool(plain(before) != plain(after))
