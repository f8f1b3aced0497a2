"""log, debug, output, metric, trigger, flow.Sleep and templating tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from podium.app.plugins import load_types
from podium.base.errors import ExpressionError
from podium.plugin import TaskFailed
from podium.plugins import core

Run = Callable[..., Any]


def test_every_task_has_a_kind_a_type_and_a_docstring() -> None:
    kinds = {"inline": "run", "process": "run", "timer": "duration", "delegate": "becomes", "flowable": "main_lists"}
    for each in core.TASKS:
        assert each.TYPE.startswith("io.kestra.plugin.core."), each
        assert each.__doc__, each
        assert hasattr(each, kinds[each.KIND]) or kinds[each.KIND] in each.model_fields, each
    assert len({each.TYPE for each in core.TASKS}) == len(core.TASKS)


def test_every_task_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text()
    names = [each.TYPE.removeprefix("io.kestra.plugin.core.") for each in (*core.TASKS, *core.TRIGGERS)]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_core_plug_in_loads_and_knows_the_old_names() -> None:
    types = load_types()
    assert "core" not in dict(types.broken)
    old = {
        "io.kestra.core.tasks.log.Log": "log.Log", "io.kestra.core.tasks.debugs.Return": "debug.Return",
        "io.kestra.core.tasks.executions.Counts": "execution.Count", "io.kestra.core.tasks.storages.Purge": "execution.PurgeExecutions",
        "io.kestra.plugin.core.storage.PurgeExecution": "storage.PurgeCurrentExecutionFiles", "io.kestra.core.tasks.states.Set": "state.Set",
        "io.kestra.plugin.fs.http.Request": "http.Request", "io.kestra.core.tasks.trigger.Toggle": "trigger.Toggle",
        "core.storage.Split": "storage.Split", "io.kestra.core.tasks.templating.TemplatedTask": "templating.TemplatedTask",
    }
    for name, current in old.items():
        found = types.task(name)
        assert found is not None, name
        assert found.TYPE.removeprefix("io.kestra.plugin.core.") == current
    assert types.trigger("io.kestra.plugin.fs.http.Trigger") is types.trigger("io.kestra.plugin.core.http.Trigger")


def test_a_log_entry_for_each_text(run: Run) -> None:
    done = run("log.Log", {"x": "world"}, message="hello {{ x }}")
    assert done.log.lines == [("INFO", "hello world")]
    assert done.outputs == {}
    done = run("log.Log", {"x": 1}, message=["one {{ x }}", "two", 3], level="{{ 'WARN' }}")
    assert done.log.lines == [("WARN", "one 1"), ("WARN", "two"), ("WARN", "3")]
    assert run("log.Log", {"l": [1, 2]}, message="{{ l }}").log.lines == [("INFO", "[1,2]")]


def test_a_level_that_is_none_is_refused(run: Run) -> None:
    with pytest.raises(ValidationError):
        run("log.Log", message="x", level="LOUD")
    with pytest.raises(ExpressionError, match=r"tasks\.t\.level"):
        run("log.Log", message="x", level="{{ 'LOUD' }}")


def test_return_gives_its_text_and_metrics(run: Run) -> None:
    done = run("debug.Return", {"x": 5}, format="{{ x }} é")
    assert done.outputs == {"value": "5 é"}
    assert [(each.name, each.type) for each in done.result.metrics] == [("length", "counter"), ("duration", "timer")]
    assert done.result.metrics[0].value == 3
    assert run("debug.Return").outputs == {"value": None}
    assert run("debug.Return", format="{{ null }}").outputs == {"value": ""}
    assert run("debug.Return", format=True).outputs == {"value": "true"}
    assert run("debug.Return", format=1.0).outputs == {"value": "1.0"}


def test_a_missing_variable_names_the_property(run: Run) -> None:
    with pytest.raises(ExpressionError, match=r"^tasks\.t\.format: .*Unable to find `missing`"):
        run("debug.Return", format="{{ missing }}")


def test_echo_writes_to_the_log(run: Run) -> None:
    done = run("debug.Echo", format="hi", level="DEBUG")
    assert done.log.lines == [("DEBUG", "hi")]
    assert done.outputs == {}


def test_output_values_keep_their_structure(run: Run) -> None:
    done = run("output.OutputValues", {"x": 1}, values={"a": "{{ x + 1 }}", "b": [1, "{{ x }}"], "c": {"{{ 'k' }}": True}, "d": 1})
    assert done.outputs == {"values": {"a": "2", "b": [1, "1"], "c": {"k": True}, "d": 1}}


def test_metrics_are_published(run: Run) -> None:
    done = run(
        "metric.Publish", {"n": 3},
        metrics=[
            {"type": "counter", "name": "rows", "value": "{{ n }}", "tags": {"table": "{{ 't' ~ n }}"}},
            {"type": "timer", "name": "took", "value": "PT1M30S"}, {"type": "gauge", "name": "g", "value": 1.5},
        ],
    )
    assert done.outputs == {"metrics": 3}
    assert [(each.type, each.name, each.value, dict(each.tags)) for each in done.result.metrics] == [
        ("counter", "rows", 3.0, {"table": "t3"}), ("timer", "took", 90.0, {}), ("gauge", "g", 1.5, {}),
    ]


def test_metrics_may_come_from_one_expression(run: Run) -> None:
    written = json.dumps([{"type": "counter", "name": "a", "value": 2}])
    done = run("metric.Publish", {"m": written}, metrics="{{ m }}")
    assert done.result.metrics[0].value == 2


def test_a_metric_that_is_no_number_fails(run: Run) -> None:
    with pytest.raises(TaskFailed, match="metric 'a' is not a number"):
        run("metric.Publish", metrics=[{"type": "counter", "name": "a", "value": "many"}])


def test_sleep_is_a_timer_of_the_engine(bench: Any) -> None:
    task = bench.task("flow.Sleep", duration="PT1.5S")
    assert task.KIND == "timer"
    assert task.duration == timedelta(seconds=1.5)
    rendered = bench.renderer.task(bench.task("flow.Sleep", duration="{{ s }}"), {"s": "PT2S"}, bench.context().scope)
    assert rendered.duration == timedelta(seconds=2)
    with pytest.raises(ExpressionError, match=r"tasks\.t\.duration"):
        bench.renderer.task(bench.task("flow.Sleep", duration="{{ s }}"), {"s": "soon"}, bench.context().scope)


def test_toggle_asks_for_its_own_flow_unless_told_otherwise(run: Run) -> None:
    assert run("trigger.Toggle", trigger="every").request() == (
        "toggle_trigger", {"namespace": "company.team", "flowId": "etl", "triggerId": "every", "enabled": False},
    )
    kind, body = run("trigger.Toggle", {"on": True}, trigger="every", namespace="a", flowId="b", enabled="{{ on }}").request()
    assert (kind, body["namespace"], body["flowId"], body["enabled"]) == ("toggle_trigger", "a", "b", True)


def _become(bench: Any, spec: str, **variables: Any) -> Any:
    context = bench.context(**variables)
    return bench.renderer.task(bench.task("templating.TemplatedTask", spec=spec), context.variables, context.scope).becomes(context)


def test_a_templated_task_becomes_the_task_it_describes(bench: Any) -> None:
    became = _become(bench, "id: inner\ntype: {{ kind }}\nmessage: 'hello {{ who }}'\n", kind="io.kestra.core.tasks.log.Log", who="you")
    assert became.TYPE == "io.kestra.plugin.core.log.Log"
    assert became.message == "hello you"
    assert _become(bench, "type: io.kestra.plugin.core.debug.Return\nformat: x").id == "t"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("type: io.kestra.plugin.core.templating.TemplatedTask\nid: x\nspec: y", "only runnable"),
        ("type: io.kestra.plugin.core.flow.Sequential\nid: x\ntasks: []", "only runnable"),
        ("type: no.such.Type\nid: x", "no known type"), ("id: x", "no known type"), ("- a", "must be a map"), ("a: [", "not valid YAML"),
        ("", "must be a map"), ("a: 1\n---\na: 2", "must be a map"), ("type: x\ntype: y", "not valid YAML: line 2"), ("id: !!python/name:os.system x", "tags are not allowed"),
        ("a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)), "YAML_NODES_MAX"),
        ("type: io.kestra.plugin.core.log.Log\nid: x\nmesage: y", "not a valid"),
    ],
)
def test_a_templated_task_that_describes_none_fails(bench: Any, spec: str, why: str) -> None:
    with pytest.raises(TaskFailed, match=why):
        _become(bench, spec)
