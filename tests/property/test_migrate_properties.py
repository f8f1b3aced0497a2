"""What holds for every flow that is migrated: twice is once, comments stay, the result is valid or something is said."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from podium.app.plugins import load_types
from podium.flows.load import parse_flows
from podium.flows.migrate.driver import Migrated, migrate
from podium.flows.migrate.text.source import Source, documents

TYPES = load_types()
CORE = "io.kestra.plugin.core"
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "flows" / "valids"

EXPRESSIONS = [
    "{{ taskrun.value }}", "{{ parent.taskrun.value }}", "{{ parents[1].taskrun.value }}", "{{ parents[0].taskrun.value ?? 'x' | upper }}",
    "{{ outputs.a[taskrun.value].value }}", "{{ outputs['b'][parent.taskrun.value][taskrun.value] }}", "{{ currentEachOutput(outputs.a).value }}", "{{ json('{}') | json }}",
    "{{ schedule.date ?? 'no' ~ 'ne' }}", "it's \"{{ read('a', version=1) }}\" #no", "{% for item in [1] %}{{ item.value }}{% endfor %}", "{{ broken", "plain", "",
    "{{ tasks.a[taskrun.value].state }}", "{{ taskrun.iteration }}", "{{ parentOutput() }}", "{% raw %}{{ json(x) }}{% endraw %}", "a\n  b {{ json(x) }}\n\nc\n",
    "{{ 1 + x ?? (2 ?? 3) * not y | f('}}') }}", "{{ outputs.a }}", "{{ x isIn ['a'] ~ 'b' }}",
]
texts = st.sampled_from(EXPRESSIONS)
names = st.sampled_from(["a", "b", "c", "d", "e-f", "g"])


def leaf(kind: str, **properties: Any) -> st.SearchStrategy[dict[str, Any]]:
    fixed = {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in properties.items()}
    return st.fixed_dictionaries({"id": names, "type": st.just(kind if "." in kind[:3] else f"{CORE}.{kind}"), **fixed})


leaves = st.one_of(
    leaf("log.Log", message=texts), leaf("debug.Return", format=texts), leaf("debug.Echo", format=texts), leaf("io.kestra.core.tasks.log.Log", message=texts),
    leaf("debug.Return", format=texts, retry={"type": "constant", "interval": "PT1S", "maxAttempt": 2}), leaf("execution.Labels", labels={"a": "b"}),
    leaf("state.Set", data={"a": 1}), leaf("state.Get", name="n"), leaf("kv.PurgeKV", namespaces=["a"], expiredOnly=True), leaf("execution.Resume"),
    leaf("http.Request", uri="http://x.y", options={"basicAuthUser": "a", "basicAuthPassword": "b"}, sslOptions={"insecureTrustAllCertificates": True}),
    leaf("io.kestra.plugin.scripts.shell.Commands", commands=st.lists(texts, min_size=1, max_size=2), runner=st.sampled_from(["DOCKER", "PROCESS"]), docker={"image": "a", "user": "b"}),
    leaf("flow.ForEachItem", items="{{ inputs.f }}", namespace="a", flowId="b", inputs=st.fixed_dictionaries({"x": texts, "y": st.just("{{ taskrun.items }}")})),
    leaf("flow.Subflow", namespace="a", flowId="b", outputs={"x": "{{ outputs.x }}"}), leaf("flow.Template", namespace="a", templateId="b", args={"x": "y"}),
    leaf("execution.Exit", state="CANCELED"),
)


def holders(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        leaf("flow.ForEach", values=st.sampled_from([["x", 1], "{{ taskrun.value }}"]), tasks=lists), leaf("flow.EachSequential", value="[1]", tasks=lists),
        leaf("flow.EachParallel", value=["a"], concurrent=2, tasks=lists), leaf("flow.ForEach", values=["x"], concurrencyLimit=0, tasks=lists, errors=lists),
        leaf("flow.Sequential", tasks=lists), leaf("flow.Parallel", tasks=lists), leaf("flow.If", condition=texts, then=lists), leaf("flow.Pause", delay="PT1S", tasks=lists),
        leaf("flow.WaitFor", condition=texts, tasks=lists), leaf("flow.Switch", value=texts, cases=st.dictionaries(names, lists, min_size=1, max_size=2)),
        leaf("flow.Dag", tasks=st.lists(st.fixed_dictionaries({"task": inner}), min_size=1, max_size=2)),
    )


tasks = st.lists(st.recursive(leaves, holders, max_leaves=6), min_size=1, max_size=4)
conditions = st.recursive(
    st.sampled_from([
        {"type": f"{CORE}.condition.Weekend"}, {"type": f"{CORE}.condition.DayWeek", "dayOfWeek": "MONDAY"}, {"type": f"{CORE}.condition.Expression", "expression": "{{ a == 'b' }}"},
        {"type": f"{CORE}.condition.Expression", "expression": "x{{ a }}"}, {"type": f"{CORE}.condition.TimeBetween", "after": "08:00:00Z"},
        {"type": f"{CORE}.condition.ExecutionFlow", "namespace": "a", "flowId": "b"}, {"type": f"{CORE}.condition.ExecutionStatus", "in": ["SUCCESS"]},
        {"type": f"{CORE}.condition.ExecutionNamespace", "namespace": "a", "comparison": "PREFIX"}, {"type": f"{CORE}.condition.HasRetryAttempt", "in": ["FAILED"]},
        {"type": f"{CORE}.condition.ExecutionOutputs", "expression": "{{ trigger.outputs.x }}"}, {"type": f"{CORE}.condition.FlowCondition", "namespace": "a", "flowId": "b"},
    ]),
    lambda inner: st.builds(lambda kind, found: {"type": f"{CORE}.condition.{kind}", "conditions": found}, st.sampled_from(["Not", "Or"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=4,
)
triggers = st.one_of(
    st.fixed_dictionaries({"id": names, "type": st.just(f"{CORE}.trigger.Schedule"), "cron": st.just("@daily"), "minLogLevel": st.just("INFO"), "conditions": st.lists(conditions, max_size=3)}),
    st.fixed_dictionaries({"id": names, "type": st.just(f"{CORE}.trigger.Flow"), "conditions": st.lists(conditions, max_size=3)}),
    st.fixed_dictionaries({"id": names, "type": st.just(f"{CORE}.trigger.Flow"), "preconditions": st.fixed_dictionaries({
        "id": st.just("p"), "flows": st.lists(st.fixed_dictionaries({"namespace": names, "flowId": names}), max_size=2),
        "timeWindow": st.sampled_from([{"type": "SLIDING_WINDOW", "window": "PT1H"}, {"window": "PT1H", "windowAdvance": "PT1M"}, {"type": "DAILY_TIME_DEADLINE", "deadline": "10:00:00Z"}]),
    })}),
)
flows = st.fixed_dictionaries(
    {"id": st.sampled_from(["f", "pause"]), "namespace": st.just("a.b"), "tasks": tasks},
    optional={
        "inputs": st.lists(st.sampled_from([
            {"name": "x", "type": "BOOLEAN"}, {"id": "y", "type": "ENUM", "values": ["a"], "required": False, "defaults": "a"}, {"id": "z", "type": "MULTISELECT", "options": ["a"]},
            {"id": "f", "type": "FILE", "extension": ".csv"},
        ]), max_size=3, unique_by=lambda each: str(each)),
        "pluginDefaults": st.lists(st.sampled_from([
            {"type": f"{CORE}.log", "values": {"level": "WARN"}}, {"type": f"{CORE}.debug", "forced": True, "values": {"format": "{{ json('1') }}"}},
            {"type": f"{CORE}.flow.ForEach", "values": {"concurrencyLimit": 4}}, {"type": f"{CORE}.http", "values": {"options": {"readTimeout": "PT1S"}}},
        ]), max_size=2),
        "triggers": st.lists(triggers, max_size=2), "errors": tasks, "labels": st.just({"a": "b"}), "listeners": st.just([]), "outputs": st.lists(
            st.fixed_dictionaries({"id": names, "type": st.sampled_from(["BOOLEAN", "STRING"]), "value": texts}), max_size=2),
    },
)


class _Indented(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A flow as text in some style, and the comments in it."""
    flow = draw(flows)
    style = draw(st.sampled_from(["flat", "indented", "flow", "json", "quoted"]))
    if style == "json":
        return json.dumps(flow, indent=draw(st.sampled_from([None, 2]))), []
    dumper = _Indented if style == "indented" else yaml.SafeDumper
    text = yaml.dump(
        flow, Dumper=dumper, sort_keys=False, default_flow_style=style == "flow", width=draw(st.sampled_from([40, 10_000])),
        default_style='"' if style == "quoted" else None, indent=draw(st.sampled_from([2, 4])),
    )
    lines = re.sub(r'!!\w+ "([^"]*)"', r"\1", text).split("\n")
    added: list[str] = []
    if style in ("flat", "indented"):
        for index in sorted(draw(st.sets(st.integers(0, max(len(lines) - 2, 0)), max_size=4)), reverse=True):
            if _begins_with_a_key(lines, index):
                comment = f"# note {index}"
                added.append(comment)
                lines.insert(index, " " * (len(lines[index]) - len(lines[index].lstrip(" -"))) + comment)
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return newline.join(lines), added


def _begins_with_a_key(lines: list[str], index: int) -> bool:
    """Whether a comment may stand above a line: it is no part of a text."""
    before, after = "\n".join(lines[:index]), "\n".join(lines[index:])
    with_comment = f"{before}\n{' ' * (len(lines[index]) - len(lines[index].lstrip(' -')))}# c\n{after}"
    try:
        return bool(yaml.load(with_comment, Loader=yaml.CSafeLoader) == yaml.load("\n".join(lines), Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        return False


def twice(text: str) -> Migrated:
    result = migrate(text, file="f", types=TYPES)
    again = migrate(result.text, file="f", types=TYPES)
    assert again.text == result.text
    assert again.changes == ()
    return result


@given(written())
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_migrating_twice_is_migrating_once_and_comments_stay(made: tuple[str, list[str]]) -> None:
    text, comments = made
    result = twice(text)
    assert result.unreadable == ()
    found = Counter(comment for comment in comments for line in result.text.splitlines() if line.strip().endswith(comment))
    assert found == Counter(comments), result.text
    (before,) = parse_flows(text, file="f", types=TYPES)
    if before.problems == ():
        assert result.problems == () or result.left
    assert all(1 <= each.line <= text.count("\n") + 1 for each in (*result.changes, *result.left))


texts_of_any_kind = st.text(st.sampled_from("ab:-{}[]#&*!|>'\"\n ?,%<0"), max_size=60)


@given(texts_of_any_kind)
@example("id: &a b\nnamespace: *a\ntasks: [*a]\n")
@example("id: x\ntasks:\n- &t\n  id: a\n  type: core.debug.Echo\n  format: x\n- *t\n")
@example("id: x\n? [a]\n: b\n")
@example("id: x\n? a\n: b\ninputs:\n- ? name\n  : c\n  type: BOOLEAN\n")
@example("{id: x, inputs: [{name: a,\n type: BOOLEAN,\n}]}")
@settings(deadline=None, max_examples=150)
def test_no_text_makes_it_raise(text: str) -> None:
    result = migrate(text, file="f", types=TYPES)
    again = migrate(result.text, file="f", types=TYPES)
    assert again.text == result.text


@given(written())
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_parts_stand_where_they_say(made: tuple[str, list[str]]) -> None:
    text, _ = made
    source = Source(text)
    (root,) = documents(text)
    for scalar in root.scalars():
        piece = text[scalar.start : scalar.end]
        if scalar.style in ("'", '"'):
            assert piece[0] == piece[-1] == scalar.style
        elif not scalar.style and "\n" not in piece:
            assert piece == scalar.text
        assert source.line(scalar.start) == text.count("\n", 0, scalar.start) + 1


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the conformance corpus is not here")
@pytest.mark.parametrize("file", sorted(each.name for each in CORPUS.glob("*.y*ml")) if CORPUS.is_dir() else ())
def test_the_corpus_becomes_2_0_or_something_is_said(file: str) -> None:
    text = (CORPUS / file).read_bytes().decode()
    result = twice(text)
    known = all(each.problems == () for each in parse_flows(text, file="f", types=TYPES))
    assert result.problems == () or result.left or not known
    assert [each for each in result.problems if each.code != "unknown-type" and not result.left] == []
