"""kv and state tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podium.plugin import TaskFailed

Run = Callable[..., Any]


def test_get_keeps_the_type_and_looks_in_parents(bench: Any, run: Run) -> None:
    bench.reads.values = {("company.team", "n"): {"value": 5}, ("company", "m"): {"value": {"a": [1]}}, ("other", "o"): {"value": "x"}}
    assert run("kv.Get", key="n").outputs == {"value": 5}
    assert run("kv.Get", {"k": "m"}, key="{{ k }}").outputs == {"value": {"a": [1]}}
    assert run("kv.Get", key="o", namespace="other").outputs == {"value": "x"}
    assert run("kv.Get", key="m", namespace="other").outputs == {"value": None}


def test_a_missing_or_expired_key(bench: Any, run: Run) -> None:
    bench.reads.values = {("company.team", "old"): {"value": 5, "expired": True}}
    assert run("kv.Get", key="old").outputs == {"value": None}
    with pytest.raises(TaskFailed, match=r"No value found for key 'old' in namespace 'company\.team' and `errorOnMissing` is set to true"):
        run("kv.Get", key="old", errorOnMissing=True)


@pytest.mark.parametrize("key", ["", "-a", "a b", "a/b", ".a", "{{ '../x' }}"])
def test_a_key_that_is_none_is_refused(run: Run, key: str) -> None:
    for task, more in (("kv.Get", {}), ("kv.Set", {"value": 1}), ("kv.Delete", {})):
        with pytest.raises(TaskFailed, match="is not a key"):
            run(task, key=key, **more)


@pytest.mark.parametrize(
    ("value", "kv_type", "stored", "kind"),
    [
        ("text", None, "text", "STRING"), (5, None, 5, "NUMBER"), (1.5, None, 1.5, "NUMBER"), (True, None, True, "BOOLEAN"),
        ({"a": [1, "{{ x }}"]}, None, {"a": [1, "7"]}, "JSON"), ([1], None, [1], "JSON"), ("{{ x }}", None, 7, "NUMBER"),
        ("{{ m }}", None, {"k": None}, "JSON"), ("{{ x }}!", None, "7!", "STRING"), ("5", None, "5", "STRING"), ("5", "NUMBER", 5, "NUMBER"),
        ("5.5", "NUMBER", 5.5, "NUMBER"), ("True", "BOOLEAN", True, "BOOLEAN"), ("yes", "BOOLEAN", False, "BOOLEAN"),
        ("2026-01-01T00:00:00+01:00", "DATETIME", "2025-12-31T23:00:00Z", "DATETIME"), ("2026-01-01", "DATE", "2026-01-01", "DATE"),
        ("PT90S", "DURATION", "PT1M30S", "DURATION"), ('{"a": 1}', "JSON", {"a": 1}, "JSON"), ("x", "STRING", "x", "STRING"), (5, "STRING", 5, "NUMBER"),
    ],
)
def test_set_stores_the_value_with_its_type(run: Run, value: Any, kv_type: str | None, stored: Any, kind: str) -> None:
    more = {"kvType": kv_type} if kv_type else {}
    asked, body = run("kv.Set", {"x": 7, "m": {"k": None}}, key="k", value=value, **more).request()
    assert asked == "kv_put"
    assert body == {"namespace": "company.team", "key": "k", "value": stored, "type": kind, "ttl_s": None}
    assert type(body["value"]) is type(stored)


@pytest.mark.parametrize(
    ("value", "kv_type"), [("x", "NUMBER"), ("x", "DATETIME"), ("2026-13-01", "DATE"), ("1 day", "DURATION"), ("{", "JSON")]
)
def test_a_value_that_is_not_of_its_type_is_refused(run: Run, value: str, kv_type: str) -> None:
    with pytest.raises(TaskFailed, match=f"is not of kvType {kv_type}"):
        run("kv.Set", key="k", value=value, kvType=kv_type)


def test_set_with_ttl_namespace_and_without_overwrite(bench: Any, run: Run) -> None:
    body = run("kv.Set", key="k", value="v", namespace="{{ 'a.b' }}", ttl="PT1H", kvDescription="why").request()[1]
    assert (body["namespace"], body["ttl_s"], body["description"]) == ("a.b", 3600.0, "why")
    bench.reads.values = {("company.team", "k"): {"value": 1}}
    with pytest.raises(TaskFailed, match=r"Cannot set value for key 'k'\. Key already exists and `overwrite` is set to `false`\."):
        run("kv.Set", key="k", value=1, overwrite=False)
    assert run("kv.Set", key="new", value=1, overwrite=False).request()[0] == "kv_put"


def test_delete_and_keys(bench: Any, run: Run) -> None:
    bench.reads.values = {("company.team", key): {"value": 1} for key in ("b1", "a1", "a2")}
    done = run("kv.Delete", key="a1")
    assert done.outputs == {"deleted": True}
    assert done.request() == ("kv_delete", {"namespace": "company.team", "key": "a1"})
    missing = run("kv.Delete", key="zz")
    assert missing.outputs == {"deleted": False}
    assert missing.result.requests == []
    with pytest.raises(TaskFailed, match="No value found for key 'zz'"):
        run("kv.Delete", key="zz", errorOnMissing=True)
    assert run("kv.GetKeys").outputs == {"keys": ["a1", "a2", "b1"]}
    assert run("kv.GetKeys", prefix="{{ 'a' }}").outputs == {"keys": ["a1", "a2"]}
    assert run("kv.GetKeys", namespace="none").outputs == {"keys": []}


PAST, FUTURE = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("properties", "gone"),
    [
        ({"namespaces": ["a"]}, {"a/old", "a.b/old"}), ({"namespaces": ["a"], "includeChildNamespaces": False}, {"a/old"}),
        ({"namespacePattern": "a*", "includeChildNamespaces": False}, {"a/old", "a.b/old", "ax/old"}),
        ({"namespacePattern": "a"}, {"a/old", "a.b/old"}), ({"namespaces": ["a", "a.b"], "keyPattern": "n*"}, set()),
        ({"namespaces": ["a.b"], "behavior": {"type": "key", "expiredOnly": False}}, {"a.b/old", "a.b/new"}),
        ({"namespaces": ["a.b"], "expiredOnly": False, "keyPattern": "n*"}, {"a.b/new"}),
        ({"namespaces": ["a"], "behavior": {"type": "version", "keepAmount": 1}}, set()),
    ],
)
def test_purging_keys(bench: Any, run: Run, properties: dict[str, Any], gone: set[str]) -> None:
    for namespace in ("a", "a.b", "ax"):
        bench.reads.values[namespace, "old"] = {"value": 1, "expirationDate": PAST}
        bench.reads.values[namespace, "new"] = {"value": 1, "expirationDate": FUTURE}
    done = run("kv.PurgeKV", **properties)
    assert {f"{each.body['namespace']}/{each.body['key']}" for each in done.result.requests} == gone
    assert {each.kind for each in done.result.requests} <= {"kv_delete"}
    assert done.outputs == {"size": len(gone)}


def test_purging_keys_needs_to_know_where(run: Run) -> None:
    for properties in ({}, {"namespaces": ["a"], "namespacePattern": "b"}):
        with pytest.raises(TaskFailed, match="Exactly one of"):
            run("kv.PurgeKV", **properties)


def _after(bench: Any, done: Any) -> None:
    """Carry out what a state task asked for."""
    for request in done.result.requests:
        place = ("state", "company.team", request.body["key"])
        if request.kind == "state_put":
            bench.reads.documents[place] = request.body["value"]
        else:
            del bench.reads.documents[place]


def test_a_state_lives_until_it_is_deleted(bench: Any, run: Run) -> None:
    assert run("state.Get").outputs == {"count": 0, "data": {}}
    done = run("state.Set", {"x": 1}, data={"a": 1, "m": {"x": "{{ x }}"}, "l": [1]})
    assert done.outputs == {"count": 3, "key": "etl_states_tasks-states_default"}
    _after(bench, done)
    _after(bench, run("state.Set", data={"m": {"y": 2}, "l": [2], "b": None}))
    assert run("state.Get").outputs == {"count": 4, "data": {"a": 1, "m": {"x": "1", "y": 2}, "l": [1, 2], "b": None}}
    done = run("state.Delete")
    assert done.outputs == {"deleted": True}
    _after(bench, done)
    assert run("state.Get").outputs["count"] == 0
    assert run("state.Delete").outputs == {"deleted": False}


def test_states_are_apart_by_name_flow_and_iteration(bench: Any, run: Run) -> None:
    def key(variables: dict[str, Any] | None = None, **properties: Any) -> str:
        return str(run("state.Set", variables, data={}, **properties).outputs["key"])

    in_loop = {"taskrun": {"value": "a b"}}
    keys = [
        key(), key(name="{{ 'other' }}"), key(namespace=True), key(in_loop), key(in_loop, taskrunValue=False), key({"taskrun": {"value": "a-b"}})
    ]
    assert keys[0] == keys[4]
    assert len(set(keys)) == 5


def test_a_missing_state_may_be_an_error(run: Run) -> None:
    for task in ("state.Get", "state.Delete"):
        with pytest.raises(TaskFailed, match="There is no state 'default'"):
            run(task, errorOnMissing=True)
