"""One flow of a file that may hold several: where its text stands, and the file with it replaced, removed or switched; and one more entry in a list.
Called by web and by `podium users`.

What always holds: the text of the other documents, and comments, stay as they are to the byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from podium.flows.reading.yaml import Fields, Items, Scalar, parse_documents

_MARK = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One document of a file: text[start:end], without its `---` line. namespace, id: as written, None where they are not."""

    start: int
    end: int
    namespace: str | None
    id: str | None


class NoSuchFlow(LookupError):
    """The flow is not in the text, or the text cannot be changed without a person."""


def parts(text: str) -> Iterator[Part]:
    """The documents of a file that have content, in order."""
    marks = [match.start() for match in _MARK.finditer(text)]
    bounds = [0, *marks, len(text)]
    for begin, end in pairwise(bounds):
        start = begin
        if text.startswith("---", begin) and begin in marks:
            line = text.find("\n", begin, end)
            start = end if line < 0 else line + 1
            if text[begin + 3 : start].strip() and not text[begin + 3 : start].lstrip().startswith("#"):
                start = begin + 3  # content on the line of the mark
        body = text[start:end]
        if any(line.strip() and not line.lstrip().startswith(("#", "%", "...")) for line in body.splitlines()):
            root = next(iter(parse_documents(body)), None)
            fields = root.root if root is not None and isinstance(root.root, Fields) else Fields(1, 1)
            yield Part(start=start, end=end, namespace=fields.text("namespace"), id=fields.text("id"))


def find(text: str, namespace: str, flow_id: str) -> Part:
    """The document of a flow. Raises NoSuchFlow."""
    for part in parts(text):
        if (part.namespace, part.id) == (namespace, flow_id):
            return part
    raise NoSuchFlow(f"{namespace}.{flow_id}")


def replaced(text: str, namespace: str, flow_id: str, new: str) -> str:
    """The file with another text for that flow. Raises NoSuchFlow."""
    part, all_of_it = find(text, namespace, flow_id), list(parts(text))
    if len(all_of_it) == 1:
        return new
    inner = next(iter(parts(new)), None)
    body = new[inner.start : inner.end] if inner is not None else new
    return text[: part.start] + (body if body.endswith("\n") else f"{body}\n") + text[part.end :]


def removed(text: str, namespace: str, flow_id: str) -> str | None:
    """The file without that flow; None when nothing else is in it. Raises NoSuchFlow."""
    part, all_of_it = find(text, namespace, flow_id), list(parts(text))
    if len(all_of_it) == 1:
        return None
    mark = text.rfind("---", 0, part.start)
    before = text[:mark] if mark >= 0 and not text[mark + 3 : part.start].strip().strip("#") else text[: part.start]
    after = text[part.end :]
    if not before.strip():
        after = _MARK.sub("", after, count=1).lstrip("\n")
    return before + after


def switched(text: str, namespace: str, flow_id: str, *, disabled: bool) -> str:
    """The file with that flow disabled or enabled; the same text if it is. Raises NoSuchFlow for one written in a way that we do not change."""
    part = find(text, namespace, flow_id)
    body = text[part.start : part.end]
    root = next(iter(parse_documents(body))).root
    assert isinstance(root, Fields)
    lines = body.splitlines(keepends=True)
    entry = root.entries.get(_DISABLED)
    if entry is not None:
        if not isinstance(entry.node, Scalar) or entry.node.block:
            raise NoSuchFlow(f"{namespace}.{flow_id}: 'disabled' is no plain value")
        if (str(entry.node.text).lower() == "true") == disabled:
            return text
        line = lines[entry.line - 1]
        changed = re.sub(r"^(\s*['\"]?disabled['\"]?\s*:\s*)\S+", rf"\g<1>{str(disabled).lower()}", line, count=1)
        lines[entry.line - 1] = changed
    elif disabled:
        after = root.entries.get("namespace") or root.entries["id"]
        if after.column != 1 or body.lstrip().startswith("{"):
            raise NoSuchFlow(f"{namespace}.{flow_id} is written in one line")
        end = after.node.line
        if not lines[end - 1].endswith("\n"):
            lines[end - 1] += "\n"
        lines.insert(end, f"{_DISABLED}: true\n")
    else:
        return text
    made = text[: part.start] + "".join(lines) + text[part.end :]
    now = next((each for each in parts(made) if (each.namespace, each.id) == (namespace, flow_id)), None)
    after_root = next(iter(parse_documents(made[now.start : now.end]))).root if now is not None else None
    if not isinstance(after_root, Fields) or after_root.text(_DISABLED) != str(disabled).lower():
        raise NoSuchFlow(f"{namespace}.{flow_id} is written in a way that is not changed by itself")
    return made


def one_line(value: Any) -> str:
    """A value as YAML on one line; texts as JSON, which is YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {one_line(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def with_entry(text: str, key: str, entry: Mapping[str, Any]) -> str | None:
    """The text with one more entry at the end of its top-level list `key`, which is made when it is not there.

    None for a list that is not written with one entry a line, and for a text that is no map.
    """
    documents = parse_documents(text)
    root = documents[0].root if documents else None
    if any(document.mistakes for document in documents) or (root is not None and not isinstance(root, Fields)):
        return None
    known = root.entries.get(key) if isinstance(root, Fields) else None
    if known is None or not isinstance(root, Fields):
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{key}:\n  - {one_line(entry)}\n"
    lines = text.splitlines(keepends=True)
    node = known.node
    if not isinstance(node, Items) or not node.items or not lines[node.items[0].line - 1].lstrip().startswith("-"):
        return None
    after = min((each.line for each in root.entries.values() if each.line > known.line), default=len(lines) + 1) - 1
    while after > node.items[-1].line and (not lines[after - 1].strip() or lines[after - 1].lstrip().startswith("#")):
        after -= 1
    first = lines[node.items[0].line - 1]
    if not lines[after - 1].endswith("\n"):
        lines[after - 1] += "\n"
    return "".join([*lines[:after], f"{first[: len(first) - len(first.lstrip())]}- {one_line(entry)}\n", *lines[after:]])
