"""YAML as the language reads it: a tree of values that know their line and column. Called by flows/load; nothing else reads flow text.

The C parser's events are walked with limits on size, depth and (expanded) number of nodes, so that no text can exhaust the process.
Keys stay text. Scalars mean what Jackson over YAML 1.1 makes of them: only `true` and `false` are booleans, `on`, `yes`, `12:30` and
dates are text, `010` is eight where a number is wanted and `010` where text is wanted. Tags are refused; duplicate keys are mistakes.
Trees are never changed once made, as an alias shares its anchor's node. Source: flow-language 0.1, bets 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from podium.base.limits import FLOW_BYTES_MAX, FLOW_DOCUMENTS_MAX, YAML_DEPTH_MAX, YAML_NODES_MAX

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DIGITS_MAX = 100
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)")
_WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with the text itself. line and column count from 1."""

    line: int
    column: int
    code: str
    message: str
    hint: str = ""


class Node:
    """A value and where it stands. size: how many nodes it is, aliases expanded. given: by a plug-in default, not written here."""

    __slots__ = ("column", "given", "line", "size")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.size = 1
        self.given = False


class Scalar(Node):
    """Text, a number, a boolean or null. text: as written; block: style `|` or `>`."""

    __slots__ = ("block", "plain", "text", "value")

    def __init__(self, line: int, column: int, text: str, value: Any, *, plain: bool = True, block: bool = False) -> None:
        super().__init__(line, column)
        self.text = text
        self.value = value
        self.plain = plain
        self.block = block


class Items(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, line: int, column: int, items: list[Node] | None = None) -> None:
        super().__init__(line, column)
        self.items: list[Node] = items if items is not None else []


@dataclass(slots=True)
class Entry:
    """A key of a map, where it stands, and its value."""

    line: int
    column: int
    node: Node


class Fields(Node):
    """A map, in the order written."""

    __slots__ = ("entries",)

    def __init__(self, line: int, column: int, entries: dict[str, Entry] | None = None) -> None:
        super().__init__(line, column)
        self.entries: dict[str, Entry] = entries if entries is not None else {}

    def get(self, key: str) -> Node | None:
        """The value at `key`, or None."""
        entry = self.entries.get(key)
        return entry.node if entry is not None else None

    def text(self, key: str) -> str | None:
        """The text at `key`; None when there is none or it is no scalar."""
        node = self.get(key)
        return node.text if isinstance(node, Scalar) and node.value is not None else None


@dataclass(slots=True)
class Document:
    """One document of a file. root is None when its text could not be read to the end."""

    root: Node | None
    mistakes: list[Mistake] = field(default_factory=list)


def plain(node: Node) -> Any:
    """The node as dicts, lists, text, numbers, booleans and None."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [plain(each) for each in node.items]
    assert isinstance(node, Fields)
    return {key: plain(entry.node) for key, entry in node.entries.items()}


def node_of(value: Any, line: int, column: int) -> Node:
    """A tree for plain data that was not written in this file; every node stands at the given place and is marked `given`."""
    node: Node
    if isinstance(value, dict):
        node = Fields(line, column, {str(key): Entry(line, column, node_of(each, line, column)) for key, each in value.items()})
    elif isinstance(value, (list, tuple)):
        node = Items(line, column, [node_of(each, line, column) for each in value])
    elif isinstance(value, (bool, type(None))):
        node = Scalar(line, column, "null" if value is None else str(value).lower(), value)
    else:
        node = Scalar(line, column, str(value), value, plain=not isinstance(value, str))
    node.given = True
    return node


def scalar_value(text: str) -> Any:
    """What a plain scalar means where no particular type is wanted."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if not (first.isdigit() or first in "+-."):
        return text
    if _INT.fullmatch(text):
        return _int(text)
    if _FLOAT.fullmatch(text):
        value = float(text.replace("_", ""))
        return value if abs(value) != float("inf") else text
    return text


def _int(text: str) -> int | str:
    digits = text.lstrip("+-").replace("_", "")
    if len(digits) > _DIGITS_MAX:
        return text
    try:
        if digits[:2] in {"0b", "0x"}:
            number = int(digits[2:], 2 if digits[1] == "b" else 16)
        else:
            number = int(digits, 8) if digits[0] == "0" and len(digits) > 1 else int(digits)
    except ValueError:  # only underscores after the prefix
        return text
    return -number if text[0] == "-" else number


def parse_documents(text: str) -> list[Document]:
    """The documents of `text`; empty ones are left out. Never raises: what is wrong is in `mistakes`."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > FLOW_BYTES_MAX:
        what = f"the text has {size} bytes, more than FLOW_BYTES_MAX ({FLOW_BYTES_MAX})"
        return [Document(None, [Mistake(1, 1, "limit-reached", what, "split it into several files")])]
    documents: list[Document] = []
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentEndEvent):
                root = builder.root
                if root is not None and not (isinstance(root, Scalar) and root.value is None):
                    if len(documents) == FLOW_DOCUMENTS_MAX:
                        what = f"more than FLOW_DOCUMENTS_MAX ({FLOW_DOCUMENTS_MAX}) documents in one file"
                        raise _TooMuch(Mistake(root.line, root.column, "limit-reached", what, "split it into several files"))
                    documents.append(Document(root, builder.mistakes))
                builder = _Builder()
            else:
                builder.take(event)
    except _TooMuch as limit:
        documents.append(Document(None, [*builder.mistakes, limit.mistake]))
    except yaml.reader.ReaderError as error:
        documents.append(Document(None, [_unreadable(text, str(error.reason))]))
    except yaml.MarkedYAMLError as error:
        documents.append(Document(None, [*builder.mistakes, _syntax(error)]))
    except UnicodeEncodeError:
        documents.append(Document(None, [_unreadable(text, "lone surrogates are not allowed")]))
    return documents


def _syntax(error: yaml.MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    what = " ".join(part for part in (error.context, error.problem) if part) or "not YAML"
    hint = "check the indentation, and quote text that holds ': ', ' #', or begins with one of {[*&!|>%@`"
    if "tab" in what or "cannot start any token" in what:
        hint = "indent with spaces, not tabs; quote text that begins with @ or `"
    return Mistake(line, column, "yaml-syntax", f"Illegal flow yaml: {what}", hint)


def _unreadable(text: str, reason: str) -> Mistake:
    bad = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]", text)
    at = bad.start() if bad else 0
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return Mistake(line, column, "yaml-syntax", f"Illegal flow yaml: {reason}", 'write such characters as "\\u0007" in double quotes')


class _TooMuch(Exception):
    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.message)
        self.mistake = mistake


class _Open:
    """A container that is not closed yet. In a map, `key` is the one whose value comes next; merges are the values of `<<`."""

    __slots__ = ("anchor", "key", "merges", "node")

    def __init__(self, node: Items | Fields, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: tuple[str, int, int] | None = None
        self.merges: list[Node] = []


class _Builder:
    """Builds one document from events."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.mistakes: list[Mistake] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        """None while the anchored container is still open."""
        self._nodes = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event)
            self._place(self._scalar(event), event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._refuse_tag(event)
            self._start(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)

    def _mistake(self, event: Any, code: str, message: str, hint: str = "") -> Mistake:
        mistake = Mistake(event.start_mark.line + 1, event.start_mark.column + 1, code, message, hint)
        self.mistakes.append(mistake)
        return mistake

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            hint = "leave the tag out; quote the value to make it text"
            self._mistake(event, "yaml-tag", f"Illegal flow yaml: tags are not allowed: {tag}", hint)

    def _scalar(self, event: Any) -> Scalar:
        mark, text = event.start_mark, event.value
        if event.implicit[0] and event.tag is None:
            return Scalar(mark.line + 1, mark.column + 1, text, scalar_value(text))
        return Scalar(mark.line + 1, mark.column + 1, text, text, plain=False, block=event.style in ("|", ">"))

    def _start(self, event: Any) -> None:
        mark = event.start_mark
        if len(self._stack) >= YAML_DEPTH_MAX:
            what = f"nested deeper than YAML_DEPTH_MAX ({YAML_DEPTH_MAX})"
            raise _TooMuch(Mistake(mark.line + 1, mark.column + 1, "limit-reached", what, "move inner parts into a subflow"))
        kind = Fields if isinstance(event, yaml.MappingStartEvent) else Items
        node = kind(mark.line + 1, mark.column + 1)
        opened = _Open(node, event.anchor)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(opened)

    def _end(self) -> None:
        opened = self._stack.pop()
        if opened.merges:
            self._merge(opened)
        node = opened.node
        children: Iterator[Node]
        children = iter(node.items) if isinstance(node, Items) else (entry.node for entry in node.entries.values())
        node.size = 1 + sum(each.size for each in children)
        if opened.anchor:
            self._anchors[opened.anchor] = node
        self._attach(node)

    def _alias(self, event: Any) -> None:
        node = self._anchors.get(event.anchor)
        if node is None:
            what = f"alias '*{event.anchor}' {'contains itself' if event.anchor in self._anchors else 'is not defined'}"
            self._mistake(event, "yaml-alias", f"Illegal flow yaml: {what}", "define the anchor before it with &name")
            node = Scalar(event.start_mark.line + 1, event.start_mark.column + 1, "", None)
        self._count(node.size - 1, event)
        self._place(node, event)

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > YAML_NODES_MAX:
            mark = event.start_mark
            what = f"more than YAML_NODES_MAX ({YAML_NODES_MAX}) values, aliases expanded"
            raise _TooMuch(Mistake(mark.line + 1, mark.column + 1, "limit-reached", what, "use fewer aliases, or split the flow"))

    def _place(self, node: Node, event: Any) -> None:
        """A scalar or alias: a key, or a value of the open container."""
        self._count(1, event)
        anchor = getattr(event, "anchor", None)
        if anchor and isinstance(event, yaml.ScalarEvent):
            self._anchors[anchor] = node
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.node, Fields) and top.key is None:
            mark = event.start_mark
            text = node.text if isinstance(node, Scalar) else "?"
            top.key = (text, mark.line + 1, mark.column + 1)
            if not isinstance(node, Scalar):
                self._mistake(event, "yaml-key", "Illegal flow yaml: a key must be text")
            return
        self._attach(node)

    def _attach(self, node: Node) -> None:
        """Put a finished value where it belongs."""
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        if isinstance(top.node, Items):
            top.node.items.append(node)
            return
        if top.key is None:  # a list or map as a key
            what = "Illegal flow yaml: a key must be text"
            self.mistakes.append(Mistake(node.line, node.column, "yaml-key", what, "quote it if text is meant"))
            top.key = ("?", node.line, node.column)
            return
        (key, line, column), top.key = top.key, None
        if key == "<<":
            top.merges.append(node)
            return
        if key in top.node.entries:
            hint = f"'{key}' is already set in line {top.node.entries[key].line}; remove one of them"
            self.mistakes.append(Mistake(line, column, "duplicate-key", f"Illegal flow yaml: Duplicate field '{key}'", hint))
        top.node.entries[key] = Entry(line, column, node)

    def _merge(self, opened: _Open) -> None:
        """`<<: *anchor` or a list of such: their entries, for keys that the map itself does not have; earlier ones win."""
        assert isinstance(opened.node, Fields)
        for merge in opened.merges:
            for source in merge.items if isinstance(merge, Items) else [merge]:
                if not isinstance(source, Fields):
                    what = "Illegal flow yaml: what is merged by '<<' must be a map"
                    self.mistakes.append(Mistake(source.line, source.column, "yaml-key", what, "write <<: *anchor, where &anchor is a map"))
                    continue
                for key, entry in source.entries.items():
                    opened.node.entries.setdefault(key, entry)
