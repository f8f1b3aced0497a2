"""Where the file of a flow is or would be: in the source that its namespace belongs to, beside the namespace's other flows. Called by publish; pure.

A namespace whose flows are not there yet gets a folder like those of the others: named with dots, or a folder in a folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from podium.base.ports import KnownFlow

Key = tuple[str, str]


def home_of(namespace: str, flow_id: str, known: Mapping[Key, KnownFlow], sources: Sequence[str], writable: Callable[[str], bool]) -> str | None:
    """The source that a flow belongs to: its own, its namespace's, that of the nearest namespace above or below, else the first that takes edits."""
    mine = known.get((namespace, flow_id))
    if mine is not None and not mine.deleted and mine.source in sources:
        return mine.source
    here = [each for each in known.values() if not each.deleted and each.source in sources]
    parts = namespace.split(".")
    for end in range(len(parts), 0, -1):
        above = ".".join(parts[:end])
        found = Counter(each.source for each in here if each.namespace == above or each.namespace.startswith(f"{above}."))
        if found:
            return found.most_common(1)[0][0]
    return next((each for each in sources if writable(each)), sources[0] if sources else None)


def find_place(taken: Callable[[str], bool], folder: str, namespace: str, flow_id: str, flows: Iterable[KnownFlow]) -> tuple[str, bool]:
    """(path, whether it is there) of a flow's file. flows: those of its source. taken: whether a file of that path is there."""
    flows = [each for each in flows if not each.deleted]
    for each in flows:
        if (each.namespace, each.flow_id) == (namespace, flow_id) and taken(each.path):
            return each.path, True
    beside = [each for each in flows if each.namespace == namespace]
    place = Counter(str(PurePosixPath(each.path).parent) for each in beside).most_common(1)
    where = place[0][0] if place else _new_folder(folder, namespace, flows)
    endings = Counter(PurePosixPath(each.path).suffix for each in beside or flows if each.path.endswith((".yaml", ".yml")))
    ending = endings.most_common(1)[0][0] if endings else ".yaml"
    names = (flow_id, f"{namespace}.{flow_id}", *(f"{flow_id}-{number}" for number in range(2, 1_000)))
    paths = (f"{name}{ending}" if where == "." else f"{where}/{name}{ending}" for name in names)
    return next(path for path in paths if not taken(path)), False


def _new_folder(folder: str, namespace: str, flows: Sequence[KnownFlow]) -> str:
    """The folder of a namespace without flows: as most others of its source have theirs."""
    votes: Counter[str] = Counter()
    tops: Counter[str] = Counter()
    for name, path in {(each.namespace, str(PurePosixPath(each.path).parent)) for each in flows}:
        kinds = {"dotted": name, "nested": name.replace(".", "/")}
        for kind, tail in kinds.items():
            if path == tail or path.endswith(f"/{tail}"):
                votes[kind] += 1
                tops[path[: -len(tail)].rstrip("/") or "."] += 1
                break
    top = tops.most_common(1)[0][0] if tops else folder
    tail = namespace if votes["dotted"] > votes["nested"] else "/".join(part for part in namespace.split(".") if part)
    return tail if top == "." else f"{top}/{tail}"
