"""What differs between two runs of a flow: revision, inputs, labels, outputs, how long each task took. Pure.

Called by the record tab of an execution. What always holds: values of what is encrypted are never compared in the open, only named; at most
CHANGES_MAX differences are given, each text cut to a bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from podium.storage.crypto import masked
from podium.web.pages.timeline import length_of_time, took
from podium.web.wire import encode

CHANGES_MAX = 500
TEXT_CHARS = 400
_OWN = frozenset({"system.correlationId"})
_NOTABLE = 1.5, timedelta(seconds=1)
"""A task's time differs if it is so many times as long, and by so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field. kind: added, removed or changed. before, after: as text; None where it is not there."""

    group: str
    name: str
    kind: str
    before: str | None
    after: str | None


def difference(before: Mapping[str, Any], after: Mapping[str, Any], now: datetime) -> list[Change]:
    """The fields that differ from one execution to the other, in groups: run, inputs, labels, variables, outputs, tasks."""
    found: list[Change] = []
    for group, old, new in (
        ("run", _run(before), _run(after)), ("inputs", before.get("inputs"), after.get("inputs")), ("labels", _labels(before), _labels(after)),
        ("variables", before.get("variables"), after.get("variables")), ("outputs", before.get("outputs"), after.get("outputs")),
    ):
        found += _between(group, dict(_flat("", masked(old or {}))), dict(_flat("", masked(new or {}))))
    runs_before, runs_after = _runs(before), _runs(after)
    found += _between("tasks", {name: run["state"]["current"] for name, run in runs_before.items()},
                      {name: run["state"]["current"] for name, run in runs_after.items()})
    for name in runs_after.keys() & runs_before.keys():
        found += _times(name, runs_before[name], runs_after[name], now)
        old, new = (dict(_flat("", masked(run.get("outputs") or {}))) for run in (runs_before[name], runs_after[name]))
        found += _between("task outputs", {f"{name}{key}": value for key, value in old.items()},
                          {f"{name}{key}": value for key, value in new.items()})
    return found[:CHANGES_MAX]


def _run(execution: Mapping[str, Any]) -> dict[str, Any]:
    git, trigger = execution.get("git") or {}, execution.get("trigger") or {}
    return {
        "state": execution["state"]["current"], "revision": execution.get("flowRevision"), "commit": str(git.get("commit") or "")[:12] or None,
        "trigger": trigger.get("id"), "duration": length_of_time(execution["state"].get("duration")),
    }


def _labels(execution: Mapping[str, Any]) -> dict[str, Any]:
    return {each["key"]: each["value"] for each in execution.get("labels") or () if each["key"] not in _OWN}


def _runs(execution: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Task runs by what they are the run of: task, value, iteration."""
    found: dict[str, Mapping[str, Any]] = {}
    for run in execution.get("taskRunList") or ():
        value, iteration = run.get("value"), run.get("iteration")
        mark = f"[{value}]" if value is not None else f"[#{iteration}]" if iteration is not None else ""
        found[run["taskId"] + mark] = run
    return found


def _times(name: str, before: Mapping[str, Any], after: Mapping[str, Any], now: datetime) -> Iterator[Change]:
    old, new = took(before["state"], now), took(after["state"], now)
    if old is None or new is None:
        return
    ratio, least = _NOTABLE
    if abs(new - old) >= least and max(old, new) >= ratio * min(old, new):
        yield Change(group="durations", name=name, kind="changed", before=length_of_time(old), after=length_of_time(new))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(f"{path}.{key}", item)
    else:
        yield path, value


def _between(group: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    found = []
    for name in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(name), after.get(name)
        if old == new and (name in before) == (name in after):
            continue
        if not name.strip("."):
            continue
        kind = "added" if name not in before else "removed" if name not in after else "changed"
        found.append(Change(group=group, name=name.removeprefix("."), kind=kind, before=_text(before, name), after=_text(after, name)))
    return found


def _text(values: Mapping[str, Any], name: str) -> str | None:
    if name not in values or values[name] is None:
        return None
    value = values[name]
    return (value if isinstance(value, str) else encode(value).decode("utf-8", "replace"))[:TEXT_CHARS]
