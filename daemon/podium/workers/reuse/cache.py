"""Whether an earlier run of a task may stand for a new one, and what is kept of a run for that. Decisions only: nothing is read or written here.

Two runs are the same when the rendered properties of the task are, in the same flow, task and loop value; a task that takes namespace
files also in the same commit. Only SUCCESS is kept. Source: flow-language 4 (taskCache).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from podium.base.moments import from_text, to_text
from podium.flows.models.base import TaskCache
from podium.plugin import Request, Task
from podium.rendering.renderer import has_template
from podium.storage.uris import execution_prefix, uri_of
from podium.workers.work import Work

DOCUMENT = "taskCache"
"""The kind of document that keeps a run; its key is `key_of`."""
PUT = "task_cache_put"
"""The request that stores it: {key, value, ttl_s}."""
SAME_PLACES = {"workingDir": "workingDir", "outputDir": "outputDir"}
"""What expressions see of directories while the key is made: the real ones differ from run to run."""
_NOT_COMPARED = frozenset(set(Task.model_fields) - {"type"})
"""How a task is run says nothing about what it gives."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An earlier run that may be reused."""

    execution_id: str
    at: datetime
    outputs: Mapping[str, Any]
    prefix: str
    """How the URIs of that execution's files begin."""


def wanted(task: Task) -> TaskCache | None:
    """The task's cache, if it has one that is switched on."""
    if task.task_cache is None:
        return None
    cache = TaskCache.model_validate(task.task_cache)
    return cache if cache.enabled else None


def key_of(work: Work, task: Task) -> str:
    """The name of what the run gives. task: rendered, with SAME_PLACES."""
    value = (work.variables.get("taskrun") or {}).get("value")
    compared: dict[str, Any] = {
        "namespace": work.namespace, "flow": work.flow_id, "task": task.id, "value": value,
        "properties": task.model_dump(mode="json", by_alias=True, exclude=set(_NOT_COMPARED)),
    }
    if getattr(task, "namespace_files", None) is not None:
        compared["commit"] = [work.source, work.commit]
    return hashlib.sha256(json.dumps(compared, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).hexdigest()


def is_open(task: Task) -> bool:
    """Whether expressions are left in the rendered task: what it gives may then depend on more than its properties."""
    return has_template(task.model_dump(mode="json", exclude=set(_NOT_COMPARED)))


def usable(document: Any, cache: TaskCache, now: datetime) -> Kept | None:
    """What is kept in the document, unless it is older than the cache allows."""
    if not isinstance(document, Mapping):
        return None
    at = from_text(document["at"])
    if cache.ttl is not None and now - at > cache.ttl:
        return None
    return Kept(document["executionId"], at, document["outputs"], document["prefix"])


def keeping(work: Work, key: str, outputs: Mapping[str, Any], cache: TaskCache, now: datetime) -> Request:
    """The request that keeps a run which ended well."""
    prefix = uri_of(execution_prefix(work.namespace, work.flow_id, work.execution_id)) + "/"
    value = {"executionId": work.execution_id, "at": to_text(now), "outputs": dict(outputs), "prefix": prefix}
    ttl: timedelta | None = cache.ttl
    return Request(kind=PUT, body={"key": key, "value": value, "ttl_s": ttl.total_seconds() if ttl is not None else None})


def has_files(kept: Kept) -> bool:
    """Whether some output is the URI of a file of the earlier execution."""
    return kept.prefix in json.dumps(kept.outputs, ensure_ascii=False)


def with_own_files(kept: Kept, take: Callable[[str], str]) -> dict[str, Any]:
    """The outputs with `take(uri)` in the place of every text that is the URI of a file of the earlier execution."""
    return {key: _replaced(each, kept.prefix, take) for key, each in kept.outputs.items()}


def _replaced(value: Any, prefix: str, take: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return take(value) if value.startswith(prefix) and "\n" not in value else value
    if isinstance(value, Mapping):
        return {key: _replaced(each, prefix, take) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, prefix, take) for each in value]
    return value
