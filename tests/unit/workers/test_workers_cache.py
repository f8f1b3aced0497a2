"""taskCache: which runs are the same, and what of an earlier one may stand for a new one. Source: flow-language 4."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podium.app.plugins import load_types
from podium.flows.model import Task, TaskCache
from podium.workers.reuse import cache
from podium.workers.work import Work

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)


def task(kind: str = "core.debug.Return", **more: Any) -> Task:
    types = load_types()
    found = types.task(kind)
    assert found is not None
    data = {"id": "t", "type": kind, "taskCache": {"enabled": True, "ttl": "PT1H"}, **({"format": "x"} if kind == "core.debug.Return" else {}), **more}
    return found.model_validate(data, context={"types": types})


def work(value: str | None = None, **more: Any) -> Work:
    given: dict[str, Any] = {
        "attempt_id": "a-1", "execution_id": "e" * 22, "task_run_id": "r", "attempt": 1, "namespace": "n", "flow_id": "f", "revision": 1,
        "source": "main", "commit": "c" * 40, "task": task(), "variables": {"taskrun": {"value": value} if value else {}}, **more,
    }
    return Work(**given)


def test_the_same_properties_in_the_same_place_are_one_key() -> None:
    key = cache.key_of(work(), task())
    assert cache.key_of(work(execution_id="x" * 22, commit="d" * 40, revision=2), task(description="other", retry={"type": "constant", "interval": 1})) == key
    others = [
        cache.key_of(work(), task(format="y")), cache.key_of(work(), task(id="u")), cache.key_of(work("a"), task()), cache.key_of(work("b"), task()),
        cache.key_of(work(namespace="m"), task()), cache.key_of(work(flow_id="g"), task()),
    ]
    assert len({key, *others}) == 7


def test_a_task_with_namespace_files_is_another_in_another_commit() -> None:
    """The script that it runs may have changed."""
    shell = task("scripts.shell.Commands", commands=["sh x.sh"], namespaceFiles={"enabled": True})
    assert cache.key_of(work(), shell) != cache.key_of(work(commit="d" * 40), shell)
    plain = task("scripts.shell.Commands", commands=["sh x.sh"])
    assert cache.key_of(work(), plain) == cache.key_of(work(commit="d" * 40), plain)


def test_a_task_that_renders_a_property_by_itself_is_not_compared() -> None:
    """Its condition may hold now and not the next time."""
    assert cache.is_open(task("core.execution.Assert", conditions=["{{ vars.x }}"]))
    assert not cache.is_open(task())


@pytest.mark.parametrize(("written", "found"), [(None, False), ({"enabled": False}, False), ({"enabled": True}, True), ({"enabled": True, "ttl": 5}, True)])
def test_a_cache_is_wanted_when_it_is_switched_on(written: Any, found: bool) -> None:
    assert (cache.wanted(task(taskCache=written)) is not None) is found


def test_what_is_kept_can_be_used_until_it_is_too_old() -> None:
    hour = TaskCache(enabled=True, ttl=timedelta(hours=1))
    request = cache.keeping(work(), "key", {"value": 1}, hour, NOW)
    assert (request.kind, request.body["ttl_s"]) == (cache.PUT, 3600.0)
    kept = cache.usable(request.body["value"], hour, NOW + timedelta(minutes=60))
    assert kept is not None
    assert (kept.execution_id, kept.outputs, kept.at) == ("e" * 22, {"value": 1}, NOW)
    assert cache.usable(request.body["value"], hour, NOW + timedelta(minutes=61)) is None
    assert cache.usable(request.body["value"], TaskCache(enabled=True), NOW + timedelta(days=400)) is not None
    assert cache.usable(None, hour, NOW) is None


def test_only_uris_of_the_earlier_execution_are_replaced() -> None:
    own = "kestra:///n/f/executions/eeeeeeeeeeeeeeeeeeeeee/tasks/t/r/a.txt"
    outputs = {"uri": own, "list": [own, "kestra:///n/_files/b", "text"], "map": {"log": f"wrote {own}"}}
    request = cache.keeping(work(), "key", outputs, TaskCache(enabled=True), NOW)
    kept = cache.usable(request.body["value"], TaskCache(enabled=True), NOW)
    assert kept is not None
    assert cache.has_files(kept)
    taken = cache.with_own_files(kept, lambda uri: f"copy of {uri.rpartition('/')[2]}")
    assert taken == {"uri": "copy of a.txt", "list": ["copy of a.txt", "kestra:///n/_files/b", "text"], "map": {"log": f"wrote {own}"}}
