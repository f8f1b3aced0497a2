"""Tasks about executions and logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from podium.plugin import TaskFailed

Run = Callable[..., Any]


@pytest.mark.parametrize("condition", ["true", "1", "no", "{{ 1 == 1 }}", "{{ 'False' }}"])
def test_fail_fails_when_its_condition_holds(run: Run, condition: str) -> None:
    with pytest.raises(TaskFailed, match=r"^Fail on a condition$"):
        run("execution.Fail", condition=condition)


@pytest.mark.parametrize("condition", ["false", "0", "-0", "", "{{ null }}", "{{ 1 == 2 }}", False])
def test_fail_lets_pass_when_its_condition_does_not_hold(run: Run, condition: Any) -> None:
    done = run("execution.Fail", condition=condition, errorMessage="no")
    assert done.outputs == {}
    assert done.log.lines == []


def test_fail_without_a_condition_always_fails_and_logs_why(bench: Any) -> None:
    context = bench.context(x="boom")
    task = bench.renderer.task(bench.task("execution.Fail", errorMessage="because {{ x }}"), context.variables, context.scope)
    with pytest.raises(TaskFailed):
        task.run(context)
    assert context.log.lines == [("ERROR", "because boom")]


@pytest.mark.parametrize(
    "labels",
    [
        {"a": "{{ x }}", "b": 2, "c": True}, [{"key": "a", "value": "{{ x }}"}, {"key": "b", "value": 2}, {"key": "c", "value": True}],
        '{"a": "{{ x }}", "b": 2, "c": true}', "{{ m }}",
    ],
)
def test_labels_in_every_shape(run: Run, labels: Any) -> None:
    done = run("execution.Labels", {"x": "one", "m": {"a": "one", "b": 2, "c": True}}, labels=labels)
    assert done.request() == ("set_labels", {"labels": {"a": "one", "b": "2", "c": "true"}})
    assert done.outputs == {}


@pytest.mark.parametrize("labels", [{"system.username": "x"}, [{"key": "system.x", "value": "y"}], '{"system.correlationId": "z"}'])
def test_system_labels_are_refused(run: Run, labels: Any) -> None:
    with pytest.raises(TaskFailed, match=r"System labels can only be set by Kestra itself, offending label: system\."):
        run("execution.Labels", labels=labels)


@pytest.mark.parametrize("labels", ["not json", "[1]", '"text"', {"a": {"b": 1}}, {"a": None}, [{"k": "v"}]])
def test_labels_that_are_none_are_refused(run: Run, labels: Any) -> None:
    with pytest.raises(TaskFailed, match="labels"):
        run("execution.Labels", labels=labels)


def test_count_keeps_what_its_expression_says(bench: Any, run: Run) -> None:
    bench.reads.counts = {("a", "f"): 3, ("a", "g"): 0, ("b", None): 7}
    done = run(
        "execution.Count", {"d": "2026-01-01T00:00:00Z"}, flows=[{"namespace": "a", "flowId": "f"}, {"namespace": "a", "flowId": "g"}],
        namespaces=["{{ 'b' }}"], states=["FAILED"], startDate="{{ d }}", endDate="2026-01-02T00:00:00+01:00", expression="{{ count > 0 }}",
    )
    assert done.outputs == {
        "results": [{"namespace": "a", "flowId": "f", "count": 3}, {"namespace": "b", "count": 7}], "total": 10,
    }
    asked = bench.reads.asked[0][1]
    assert asked["states"] == ["FAILED"]
    assert asked["start"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert asked["end"].isoformat() == "2026-01-02T00:00:00+01:00"


@pytest.mark.parametrize("expression", ["TRUE", "{{ 1 }}", " true", "{{ null }}"])
def test_count_keeps_only_exactly_true(bench: Any, run: Run, expression: str) -> None:
    bench.reads.counts = {("a", None): 3}
    done = run("execution.Count", namespaces=["a"], startDate="2026-01-01T00:00:00Z", expression=expression)
    assert done.outputs == {"results": [], "total": 0}


def test_count_needs_flows_or_namespaces_and_a_real_date(run: Run) -> None:
    with pytest.raises(TaskFailed, match="Either `flows` or `namespaces`"):
        run("execution.Count", startDate="2026-01-01T00:00:00Z", expression="true")
    with pytest.raises(TaskFailed, match="startDate: 'yesterday' is not a date"):
        run("execution.Count", namespaces=["a"], startDate="yesterday", expression="true")


def test_resume_of_its_own_and_of_another_execution(bench: Any, run: Run) -> None:
    assert run("execution.Resume").request() == ("resume", {"executionId": "EXEC1", "inputs": {}})
    bench.reads.executions["E2"] = {"id": "E2", "namespace": "o", "flowId": "f", "state": {"current": "PAUSED"}}
    done = run("execution.Resume", {"x": 1}, executionId="E2", namespace="o", flowId="f", inputs={"a": "{{ x }}"})
    assert done.request() == ("resume", {"executionId": "E2", "inputs": {"a": "1"}})


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"namespace": "o"}, "`executionId` must be set"), ({"flowId": "f"}, "`executionId` must be set"),
        ({"executionId": "E2", "flowId": "f"}, "Both `namespace` and `flowId`"), ({"executionId": "E2"}, "is not of flow 'company.team.etl'"),
        ({"executionId": "E2", "namespace": "x", "flowId": "f"}, r"is not of flow 'x\.f'"),
        ({"executionId": "E2", "namespace": "o", "flowId": "f"}, "it is not paused"),
        ({"executionId": "NONE", "namespace": "o", "flowId": "f"}, "there is no execution 'NONE'"),
    ],
)
def test_resume_says_what_is_wrong(bench: Any, run: Run, properties: dict[str, str], why: str) -> None:
    bench.reads.executions["E2"] = {"id": "E2", "namespace": "o", "flowId": "f", "state": {"current": "RUNNING"}}
    with pytest.raises(TaskFailed, match=why):
        run("execution.Resume", **properties)


@pytest.mark.parametrize(("state", "asked"), [(None, "SUCCESS"), ("CANCELED", "CANCELLED"), ("{{ 'KILLED' }}", "KILLED"), ("WARNING", "WARNING")])
def test_exit_asks_for_a_state(run: Run, state: str | None, asked: str) -> None:
    done = run("execution.Exit", **({"state": state} if state else {}))
    assert done.request() == ("exit", {"state": asked})


def test_assert_passes_when_all_hold(run: Run) -> None:
    done = run("execution.Assert", {"x": 2}, conditions=["{{ x == 2 }}", "true", True])
    assert [(each.name, each.value) for each in done.result.metrics] == [("success", 3), ("failed", 0)]


def test_assert_names_everything_that_does_not_hold(bench: Any) -> None:
    context = bench.context(x=2)
    task = bench.task("execution.Assert", conditions=["{{ x == 3 }}", "{{ missing }}", "true"], errorMessage="x is {{ x }}")
    with pytest.raises(TaskFailed) as found:
        bench.renderer.task(task, context.variables, context.scope).run(context)
    assert str(found.value) == "2 assertion(s) failed!\nx is 2"
    assert [(each.name, each.value) for each in found.value.metrics] == [("success", 1), ("failed", 2)]
    assert "{{ x == 3 }}" in context.log
    assert "Unable to find `missing`" in context.log


def test_variables_are_set_and_removed(run: Run) -> None:
    seen = {"vars": {"a": 1, "m": {"b": 2}}}
    assert run("execution.SetVariables", seen, variables={"a": "{{ vars.a + 1 }}", "c": {"d": [1]}}).request() == (
        "set_variables", {"variables": {"a": "2", "c": {"d": [1]}}, "overwrite": True},
    )
    with pytest.raises(TaskFailed, match="The variable 'a' exists already"):
        run("execution.SetVariables", seen, variables={"a": 1}, overwrite=False)
    assert run("execution.SetVariables", seen, variables={"z": 1}, overwrite=False).request()[1]["variables"] == {"z": 1}
    assert run("execution.UnsetVariables", seen, variables=["a", "m.b"]).request() == (
        "unset_variables", {"names": ["a", "m.b"], "ignoreMissing": False},
    )
    with pytest.raises(TaskFailed, match=r"There is no variable 'm\.x'"):
        run("execution.UnsetVariables", seen, variables=["m.x"])
    assert run("execution.UnsetVariables", seen, variables=["m.x"], ignoreMissing=True).request()[1]["names"] == ["m.x"]


def test_kill_asks_for_its_own_execution(run: Run) -> None:
    assert run("execution.Kill").request() == ("kill", {"executionId": "EXEC1", "propagateKill": False})
    assert run("execution.Kill", propagateKill="{{ true }}").request()[1]["propagateKill"] is True


def test_purging_counts_and_asks(bench: Any, run: Run) -> None:
    bench.reads.to_purge = {"executions": 2, "logs": 30, "metrics": 4, "files": 5}
    done = run("execution.PurgeExecutions", namespace="a", endDate="2026-01-01T00:00:00+01:00", states=["SUCCESS"], purgeLog=False)
    assert done.outputs == {"executionsCount": 2, "logsCount": 0, "storagesCount": 5, "metricsCount": 4}
    kind, body = done.request()
    assert kind == "purge_executions"
    assert body == {
        "namespace": "a", "flowId": None, "states": ["SUCCESS"], "executions": True, "logs": False, "metrics": True, "files": True,
        "startDate": None, "endDate": "2025-12-31T23:00:00.000Z",
    }
    with pytest.raises(TaskFailed, match="`namespace` must be set"):
        run("execution.PurgeExecutions", flowId="f", endDate="2026-01-01T00:00:00Z")
    with pytest.raises(TaskFailed, match="endDate"):
        run("execution.PurgeExecutions", endDate="x")


def test_purging_logs(bench: Any, run: Run) -> None:
    bench.reads.to_purge = {"executions": 0, "logs": 30, "metrics": 0, "files": 0}
    done = run("log.PurgeLogs", namespace="a", logLevels=["INFO", "DEBUG"], endDate="2026-01-01T00:00:00Z", startDate="2025-01-01T00:00:00Z")
    assert done.outputs == {"count": 30}
    assert done.request() == (
        "purge_logs",
        {"namespace": "a", "flowId": None, "levels": ["INFO", "DEBUG"], "startDate": "2025-01-01T00:00:00.000Z", "endDate": "2026-01-01T00:00:00.000Z"},
    )


def _entry(execution: str, task: str, level: str) -> dict[str, Any]:
    return {"executionId": execution, "taskId": task, "level": level, "message": f"{task} {level}", "timestamp": "2026-01-05T08:00:00.000Z"}


def test_fetch_writes_the_log_of_its_execution(bench: Any, run: Run) -> None:
    bench.reads.entries = [
        _entry("EXEC1", "a", "INFO"), _entry("EXEC1", "b", "ERROR"), _entry("EXEC1", "a", "DEBUG"), _entry("OTHER", "a", "INFO")
    ]
    done = run("log.Fetch")
    assert done.outputs["size"] == 2
    assert [json.loads(line)["taskId"] for line in bench.text(done.outputs["uri"]).splitlines()] == ["a", "b"]
    assert run("log.Fetch", level="TRACE", tasksId=["{{ 'a' }}"]).outputs["size"] == 2
    bench.reads.executions["OTHER"] = {"id": "OTHER", "namespace": "x", "flowId": "y"}
    assert run("log.Fetch", executionId="OTHER", namespace="x", flowId="y").outputs["size"] == 1
    with pytest.raises(TaskFailed, match="is not of flow"):
        run("log.Fetch", executionId="OTHER")
    assert list(bench.work.iterdir()) == []
