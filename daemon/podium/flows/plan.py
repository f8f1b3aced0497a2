"""What changes between two sets of flows: for `podium plan`, the sync record and the page of a commit. Pure.

A flow is compared by its model, so that comments and layout are no change. Each change lists what is different inside the flow by path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from podium.flows.model import Flow

Key = tuple[str, str]
"""Namespace and id of a flow."""

DETAILS_MAX = 200
_LISTS_WITH_IDS = ("tasks", "errors", "finally", "afterExecution", "triggers", "inputs", "outputs", "sla", "then", "else", "defaults")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is different inside a flow. path: like `tasks.extract.message`; before, after: JSON-ready, None when absent."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one flow. For `changed`, differences are listed (at most DETAILS_MAX); triggers: ids of triggers concerned."""

    key: Key
    kind: Literal["added", "removed", "changed"]
    before: Flow | None = None
    after: Flow | None = None
    differences: tuple[Difference, ...] = ()
    triggers: tuple[str, ...] = ()


def diff_flows(old: Mapping[Key, Flow], new: Mapping[Key, Flow]) -> list[Change]:
    """The flows that differ, sorted by namespace and id."""
    changes: list[Change] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before is None and after is not None:
            changes.append(Change(key=key, kind="added", after=after, triggers=tuple(each.id for each in after.triggers)))
        elif after is None and before is not None:
            changes.append(Change(key=key, kind="removed", before=before, triggers=tuple(each.id for each in before.triggers)))
        elif before is not None and after is not None:
            differences = tuple(_limited(_differences(_plain(before), _plain(after), "")))
            if differences:
                touched = dict.fromkeys(path[1] for each in differences if (path := each.path.split("."))[0] == "triggers" and len(path) > 1)
                changes.append(
                    Change(key=key, kind="changed", before=before, after=after, differences=differences, triggers=tuple(touched))
                )
    return changes


def _plain(flow: Flow) -> dict[str, Any]:
    dumped: dict[str, Any] = flow.model_dump(mode="json", by_alias=True, exclude={"revision", "dialect"})
    return dumped


def _limited(found: Iterator[Difference]) -> Iterator[Difference]:
    for index, each in enumerate(found):
        if index >= DETAILS_MAX:
            return
        yield each


def _differences(before: Any, after: Any, path: str) -> Iterator[Difference]:
    if before == after and type(before) is type(after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(each for each in after if each not in before)]:
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
        return
    if isinstance(before, list) and isinstance(after, list):
        by_id = _by_id(before, after, path)
        if by_id is not None:
            yield from _differences(*by_id, path)
            moved = [each for each in by_id[0] if each in by_id[1]], [each for each in by_id[1] if each in by_id[0]]
            if moved[0] != moved[1]:
                yield Difference(path=path, kind="changed", before=moved[0], after=moved[1])
            return
    kind: Literal["added", "removed", "changed"] = "added" if before is None else "removed" if after is None else "changed"
    yield Difference(path=path, kind=kind, before=before, after=after)


def _by_id(before: Sequence[Any], after: Sequence[Any], path: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Both lists as maps by id, when every item has one."""
    if path.rpartition(".")[2] not in _LISTS_WITH_IDS and ".cases." not in path:
        return None
    items = [*before, *after]
    if not all(isinstance(each, Mapping) and isinstance(each.get("id"), str) for each in items):
        return None
    maps = {each["id"]: each for each in before}, {each["id"]: each for each in after}
    return maps if len(maps[0]) == len(before) and len(maps[1]) == len(after) else None
