"""Edits of a flow's text, and what is said about them. A rule changes a `Draft` only through this.

A step is one change: its edits are made together or not at all. Steps that touch the same place wait for the next round, as the text is
read anew after each. Comments in what a step removes are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from podium.flows.migrate.text.source import Edit, Pair, Part, Source

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")
_WIDE = 1_000_000
_DEEP = 40
"""How far lines between brackets are indented where they cannot be joined: farther than any block around them."""


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be rewritten, or has to be looked at: line of the original file, why, and what to do."""

    line: int
    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class Step:
    """A change that is wanted. line: of the original file. left: what the change does not bring along."""

    line: int
    what: str
    edits: tuple[Edit, ...]
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Lines of the text as they are, without their indentation: a value, or a pair with its key."""

    lines: tuple[str, ...]


@dataclass(slots=True)
class Draft:
    """One round over a text: what the rules want to change, and what they cannot."""

    source: Source
    steps: list[Step] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def change(self, at: Part, what: str, *edits: Edit, but: Sequence[tuple[str, str]] = ()) -> None:
        """Want a change that belongs to the place `at`. but: what the change does not bring along, and what to do about it."""
        line = self.source.line(at.start)
        self.steps.append(Step(line, what, edits, tuple(Left(line, *each) for each in but)))

    def cannot(self, at: Part, what: str, todo: str) -> None:
        """Say what stays as it is."""
        self.left.append(Left(self.source.line(at.start), what, todo))

    # ---- edits

    def rename(self, pair: Pair, name: str) -> Edit:
        """Another key, quoted as it was."""
        return Edit(pair.key.start, pair.key.end, _quoted_as(pair.key, name))

    def write(self, part: Part, text: str) -> Edit:
        """Another text for a scalar (or for whatever stands there), quoted as it was."""
        if part.start == part.end:
            return Edit(part.start, part.end, " " + _quoted_as(part, text))
        return Edit(part.start, part.end, _quoted_as(part, text))

    def remove(self, parent: Part, pair: Pair, moved: Sequence[tuple[str, Any] | Verbatim] = ()) -> Edit:
        """Without the pair. Its comments stay where it was, but for those that go with what is `moved`."""
        index = next((index for index, each in enumerate(parent.pairs) if each is pair), -1)
        if index < 0:  # it came by `<<` from elsewhere
            return Edit(pair.start, pair.start, "")
        following = parent.pairs[index + 1] if index + 1 < len(parent.pairs) else None
        if parent.flow:
            if following is not None:
                return Edit(pair.start, following.start, "")
            return Edit(parent.pairs[index - 1].end if index else pair.start, pair.end, "")
        source = self.source
        end = source.line_end(pair.end)
        comments = self._comments(pair, moved)
        indent = " " * source.column(pair.start)
        if source.leads(pair.start):
            after = end + len(source.newline) if end < len(source.text) else end
            kept = "".join(f"{indent}{each}{source.newline}" for each in comments)
            return Edit(source.line_start(pair.start), after, kept)
        if following is None:
            return Edit(pair.start, pair.end, "{}")
        between = comments + source.comments(end, following.start)
        return Edit(pair.start, following.start, "".join(f"{each}{source.newline}{indent}" for each in between))

    def add(self, parent: Part, after: Pair, entries: Sequence[tuple[str, Any] | Verbatim]) -> Edit:
        """More pairs after one of the map's own."""
        source = self.source
        if parent.flow:
            written = "".join(f", {_flow_pair(each)}" for each in entries)
            return Edit(after.end, after.end, written)
        indent = " " * source.column(parent.pairs[0].start)
        lines = block_lines(entries)
        at = source.line_end(after.end)
        return Edit(at, at, "".join(f"{source.newline}{indent}{line}" if line else source.newline for line in lines))

    def put(self, parent: Part, pair: Pair, entries: Sequence[tuple[str, Any] | Verbatim]) -> Edit:
        """Other pairs instead of this one. Its comments stay above them."""
        source = self.source
        if parent.flow:
            written = ", ".join(map(_flow_pair, entries))
            return Edit(pair.start, pair.end, written)
        indent = source.newline + " " * source.column(pair.start)
        end = source.line_end(pair.end)
        lines = [*self._comments(pair, entries), *block_lines(entries)]
        return Edit(pair.start, end, indent.join(lines).replace(indent + source.newline, source.newline * 2))

    def _comments(self, pair: Pair, moved: Sequence[tuple[str, Any] | Verbatim]) -> list[str]:
        """The comments of a pair, without those that stand in what is moved."""
        end = self.source.line_end(pair.end)
        lines = [line for each in moved for line in _verbatim_lines(each)]
        found = self.source.comments(pair.start, end, Part("map", pair.start, end, pairs=[pair]))
        return [each for each in found if not any(line.endswith(each) for line in lines)]

    def cut(self, start: int, end: int, new: str = "") -> Edit:
        """Whatever stands there, replaced."""
        return Edit(start, end, new)

    # ---- parts as they are

    def verbatim(self, part: Part | Pair, *, key: str = "", above: int | None = None, flow: bool = False) -> Verbatim:
        """The lines of a block list or map, or of a pair, with what stands behind it in its last line.

        key: another key for a pair. above: from where comment lines before it belong to it. flow: it stands between brackets.
        """
        source = self.source
        column = source.column(part.start)
        lines = source.text[part.start : part.end if flow else source.line_end(part.end)].replace("\r\n", "\n").split("\n")
        lines = [lines[0], *(_cut(line, column) for line in lines[1:])]
        if key and isinstance(part, Pair):
            lines[0] = key + lines[0][part.key.end - part.key.start :]
        head = [] if above is None else source.comments(above, part.start)
        return Verbatim((*head, *lines))


def _flow_pair(entry: tuple[str, Any] | Verbatim) -> str:
    """A pair between brackets. What is verbatim was between brackets before."""
    if not isinstance(entry, Verbatim):
        return f"{scalar_text(entry[0])}: {_flow(entry[1])}"
    if any("#" in line for line in entry.lines):
        return ("\n" + " " * _DEEP).join(entry.lines)
    return " ".join(line.strip() for line in entry.lines)


def _verbatim_lines(entry: tuple[str, Any] | Verbatim) -> Sequence[str]:
    value = entry if isinstance(entry, Verbatim) else entry[1]
    if isinstance(value, Verbatim):
        return value.lines
    if isinstance(value, list):
        return [line for each in value for line in _verbatim_lines(("", each))]
    return [line for each in value for line in _verbatim_lines(each)] if isinstance(value, Entries) else ()


class AsWritten(str):
    """A scalar that is written without quotes as it is, like `010`."""

    __slots__ = ()


class Entries(tuple[Any, ...]):
    """A map that is written from pairs, some of them verbatim."""

    __slots__ = ()


def _cut(line: str, columns: int) -> str:
    space = len(line) - len(line.lstrip(" "))
    return line[min(columns, space) :]


def _quoted_as(part: Part, text: str) -> str:
    if part.kind == "scalar" and part.style == "'" and "\n" not in text:
        return "'" + text.replace("'", "''") + "'"
    if part.kind == "scalar" and part.style == '"':
        return json.dumps(text, ensure_ascii=False)
    return scalar_text(text)


def scalar_text(value: Any) -> str:
    """A scalar as YAML of one line."""
    if isinstance(value, AsWritten):
        return str(value)
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
            return value
        if "\n" in value or "{{" in value or '"' not in value:
            return json.dumps(value, ensure_ascii=False) if '"' not in value or "'" in value or "\n" in value else f"'{value}'"
        return "'" + value.replace("'", "''") + "'"
    return str(yaml.safe_dump(value, width=_WIDE, allow_unicode=True)).removesuffix("\n").removesuffix("\n...")


def _flow(value: Any) -> str:
    if isinstance(value, Entries):
        return "{" + ", ".join(map(_flow_pair, value)) + "}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, AsWritten):
        return str(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and not re.fullmatch(r"[\w.-]+", value) else scalar_text(value)


def block_lines(entries: Sequence[tuple[str, Any] | Verbatim]) -> list[str]:
    """The lines of a map in block style."""
    lines: list[str] = []
    for entry in entries:
        if isinstance(entry, Verbatim):
            lines += entry.lines
            continue
        key, value = entry
        written = _value_lines(value)
        if written is None:
            lines.append(f"{scalar_text(key)}: {_one_line(value)}")
        elif isinstance(value, str):
            lines += [f"{scalar_text(key)}: {written[0]}", *(f"  {line}" if line else "" for line in written[1:])]
        else:
            lines += [f"{scalar_text(key)}:", *(f"  {line}" if line else "" for line in written)]
    return lines


def _one_line(value: Any) -> str:
    if isinstance(value, Verbatim):
        return "\n".join(value.lines)
    return _flow(value) if isinstance(value, (Mapping, list, tuple)) else scalar_text(value)


def _value_lines(value: Any) -> list[str] | None:
    """The lines below a key; None when the value stands in its line."""
    if isinstance(value, Verbatim):
        return list(value.lines)
    if isinstance(value, str):
        if "\n" not in value or value != value.rstrip("\n") + "\n" or value[0] in " \n" or "\t" in value:
            return None
        return ["|", *value.removesuffix("\n").split("\n")]
    if isinstance(value, Entries):
        return block_lines(value) if value else None
    if isinstance(value, Mapping):
        return block_lines(list(value.items())) if value else None
    if isinstance(value, (list, tuple)):
        lines: list[str] = []
        for each in value:
            inner = _value_lines(each)
            if inner is None or isinstance(each, str):
                lines.append(f"- {_one_line(each)}")
            else:
                lines += [f"- {inner[0]}", *(f"  {line}" if line else "" for line in inner[1:])]
        return lines or None
    return None
