"""The text of a file as a tree of parts that know where they stand, so that an edit touches what it changes and nothing else.

Only for texts that flows/reading/yaml has read without mistakes in the text itself. Offsets count characters.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ANCHOR = re.compile(r"&\S+\s*")
_BREAK = re.compile("\n")
_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\r\n]*")


@dataclass(slots=True, eq=False)
class Part:
    """A value as written. start, end: of its token, without anchor; of a block list or map, of its first and last token.

    flow: written with brackets. text: of a scalar, decoded. style: of a scalar, its first sign (' " | >), or empty. alias: `*name`, which
    shares items and pairs with its anchor.
    """

    kind: Literal["scalar", "list", "map"]
    start: int
    end: int
    flow: bool = False
    text: str = ""
    style: str = ""
    alias: bool = False
    items: list[Part] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    merged: list[Pair] = field(default_factory=list)

    def pair(self, key: str) -> Pair | None:
        """The pair of a map with that key, also one that `<<` brings."""
        return next((each for each in (*self.pairs, *self.merged) if each.key.text == key), None)

    def get(self, key: str) -> Part | None:
        """The value at `key`."""
        found = self.pair(key)
        return found.value if found is not None else None

    def string(self, key: str) -> str | None:
        """The text of the scalar at `key`; None when there is none, or it is null or no scalar."""
        found = self.get(key)
        return found.text if found is not None and found.is_set else None

    @property
    def is_set(self) -> bool:
        """Whether this is a scalar that is not null."""
        return self.kind == "scalar" and (self.style != "" or self.text not in ("", "~", "null", "Null", "NULL"))

    def maps(self) -> list[Part]:
        """The maps among the items of a list."""
        return [each for each in self.items if each.kind == "map"]

    def scalars(self) -> Iterator[Part]:
        """Every scalar in it that is a value."""
        if self.kind == "scalar":
            yield self
        for each in self.items:
            yield from each.scalars()
        for pair in self.pairs:
            yield from pair.value.scalars()


@dataclass(slots=True, eq=False)
class Pair:
    """A key of a map and its value."""

    key: Part
    value: Part

    @property
    def start(self) -> int:
        return self.key.start

    @property
    def end(self) -> int:
        return max(self.value.end, self.key.end)


@dataclass(frozen=True, slots=True)
class Edit:
    """Put `new` where text[start:end] stands."""

    start: int
    end: int
    new: str


class Source:
    """A text, and for each of its lines the line of the original file that it came from (from 1)."""

    def __init__(self, text: str, origins: list[int] | None = None) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self._starts = [0, *(each.end() for each in _BREAK.finditer(text))]
        self.origins = origins if origins is not None else list(range(1, len(self._starts) + 1))

    def line(self, at: int) -> int:
        """The line of the original file."""
        return self.origins[self._index(at)]

    def _index(self, at: int) -> int:
        return bisect_right(self._starts, at) - 1

    def line_start(self, at: int) -> int:
        """Where the line of `at` begins."""
        return self.text.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        """Where the line of `at` ends, before its line break."""
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text[at:end].endswith("\r") else end

    def column(self, at: int) -> int:
        """How many characters stand before `at` in its line."""
        return at - self.line_start(at)

    def leads(self, at: int) -> bool:
        """Whether only white space stands before `at` in its line."""
        return not self.text[self.line_start(at) : at].strip()

    def comments(self, start: int, end: int, inside: Part | None = None) -> list[str]:
        """The comments in a stretch. inside: what stands there, so that a `#` of its scalars is no comment."""
        found: list[str] = []
        at = start
        for scalar in sorted(_tokens(inside), key=lambda each: each.start) if inside is not None else ():
            if at <= scalar.start and scalar.end <= end:
                found += _COMMENT.findall(self.text[at : scalar.start])
                at = scalar.end
        return found + _COMMENT.findall(self.text[at:end])

    def edited(self, edits: list[Edit]) -> Source:
        """A copy with the edits made. They must not overlap."""
        pieces: list[str] = []
        origins: list[int] = [self.origins[0]]
        at = 0
        for edit in sorted(edits, key=lambda each: (each.start, each.end)):
            kept = self.text[at : edit.start]
            first = self._index(at)
            origins += self.origins[first + 1 : first + 1 + kept.count("\n")]
            origins += [self.line(edit.start)] * edit.new.count("\n")
            pieces += [kept, edit.new]
            at = edit.end
        origins += self.origins[self._index(at) + 1 :]
        return Source("".join([*pieces, self.text[at:]]), origins)


def _tokens(part: Part) -> Iterator[Part]:
    if part.kind == "scalar" or part.alias:
        yield part
        return
    for item in part.items:
        yield from _tokens(item)
    for pair in part.pairs:
        yield pair.key
        yield from _tokens(pair.value)


def documents(text: str) -> list[Part]:
    """The roots of the documents of a text that can be read; those without content are left out, as flows/reading does."""
    roots: list[Part] = []
    reader = _Reader(text)
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            reader = _Reader(text)
        elif isinstance(event, yaml.DocumentEndEvent):
            if reader.root is not None and (reader.root.kind != "scalar" or reader.root.is_set):
                roots.append(reader.root)
        else:
            reader.take(event)
    return roots


def _at(mark: Any) -> int:
    return int(mark.index)


class _Reader:
    """Builds the parts of one document from events."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root: Part | None = None
        self._stack: list[tuple[Part, str | None, list[Part]]] = []
        """Lists and maps that are open, their anchor, and a key that waits for its value."""
        self._anchors: dict[str, Part] = {}

    def take(self, event: Any) -> None:
        """One event of the document."""
        if isinstance(event, yaml.ScalarEvent):
            self._place(self._scalar(event), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            known = self._anchors.get(str(event.anchor), Part("scalar", 0, 0))
            copy = Part(known.kind, _at(event.start_mark), _at(event.end_mark), known.flow, known.text, known.style, True)
            copy.items, copy.pairs, copy.merged = known.items, known.pairs, known.merged
            self._place(copy, None)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            kind: Literal["list", "map"] = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
            start = self._after_anchor(_at(event.start_mark), event.anchor)
            self._stack.append((Part(kind, start, start, bool(event.flow_style)), event.anchor, []))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            part, anchor, _ = self._stack.pop()
            inner = [each.end for each in part.items] + [each.end for each in part.pairs]
            part.end = _at(event.end_mark) if part.flow else max(inner, default=part.start)
            self._place(part, anchor)

    def _after_anchor(self, at: int, anchor: str | None) -> int:
        found = _ANCHOR.match(self.text, at) if anchor else None
        return found.end() if found else at

    def _scalar(self, event: Any) -> Part:
        start, end = self._after_anchor(event.start_mark.index, event.anchor), event.end_mark.index
        style = event.style or ""
        if style in ("|", ">"):
            end = start + len(self.text[start:end].rstrip(" \t\r\n"))
        return Part("scalar", start, max(start, end), text=event.value, style=style)

    def _place(self, part: Part, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = part
        if not self._stack:
            self.root = part
            return
        outer, _, waiting = self._stack[-1]
        if outer.kind == "list":
            outer.items.append(part)
        elif not waiting:
            waiting.append(part)
        else:
            key = waiting.pop()
            outer.pairs.append(Pair(key, part))
            if key.text == "<<" and not key.style:
                for source in part.items if part.kind == "list" else [part]:
                    outer.merged += [each for each in (*source.pairs, *source.merged) if outer.pair(each.key.text) is None]
