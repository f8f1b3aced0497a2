"""Values, conditions and the dynamic properties of tasks."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from podium.app.plugins import load_types
from podium.base.errors import ExpressionError, TakesLong
from podium.flows.load import parse_flows
from podium.plugin import Duration, Dyn, Model, Task
from podium.rendering.renderer import Renderer, Scope, has_template


class Auth(Model):
    user: Dyn[str] | None = None
    retries: Dyn[int] = 3


class Options(Model):
    auth: Auth | None = None
    plain: str = "{{ untouched }}"


class Example(Task):
    TYPE = "test.Example"
    uri: Dyn[str] = ""
    count: Dyn[int] = 1
    ratio: Dyn[float] | None = None
    on: Dyn[bool] = False
    wait: Dyn[Duration] | None = None
    mode: Dyn[Literal["A", "B"]] = "A"
    names: Dyn[list[str]] = Field(default_factory=list)
    numbers: Dyn[list[Dyn[int]]] = Field(default_factory=list)
    headers: Dyn[dict[str, str]] = Field(default_factory=dict)
    body: Dyn[dict[str, Any]] | None = None
    anything: Dyn[Any] = None
    either: Dyn[str | list[str]] = ""
    each: list[Dyn[int]] = Field(default_factory=list)
    source: Dyn[str] | None = Field(default=None, alias="from")
    options: Options = Options()
    several: list[Auth] = Field(default_factory=list)
    dynamic_several: Dyn[list[Auth]] = Field(default_factory=list)
    short: Dyn[Annotated[str, Field(max_length=3)]] = ""
    raw: str = ""
    inner: list[Task] = Field(default_factory=list)


def example(**properties: Any) -> Example:
    return Example.model_validate({"id": "x", "type": "test.Example", **properties})


@pytest.fixture
def render(renderer: Renderer, scope: Scope) -> Any:
    def _render(variables: Mapping[str, Any] | None = None, **properties: Any) -> Example:
        rendered = renderer.task(example(**properties), variables or {}, scope)
        assert isinstance(rendered, Example)
        return rendered

    return _render


def test_a_task_without_templates_is_given_back_as_it_is(renderer: Renderer, scope: Scope) -> None:
    task = example(uri="plain {x}", names=["a"], body={"k": 1}, options={"auth": {"user": "me"}}, raw="{{ not rendered }}")
    assert renderer.task(task, {}, scope) is task


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("uri", "a/{{ n }}", "a/5"), ("uri", "{{ m }}", '{"k":[1]}'), ("uri", "{{ nothing }}", ""), ("uri", "x{# note #}", "x"), ("count", "{{ n }}", 5),
        ("count", "{{ '7' }}", 7), ("count", "{{ ' 7 ' }}", 7), ("count", "{{ nothing }}", 1), ("count", "{{ '' }}", 1), ("ratio", "{{ n }}", 5.0),
        ("ratio", "{{ nothing }}", None), ("ratio", "1{{ '.5' }}", 1.5), ("on", "{{ true }}", True), ("on", "{{ 'false' }}", False),
        ("wait", "PT{{ n }}S", timedelta(seconds=5)), ("wait", "{{ n }}", timedelta(seconds=5)), ("mode", "{{ 'B' }}", "B"),
        ("names", "{{ l }}", ["a", "2", "true"]), ("names", ["x{{ n }}", "y"], ["x5", "y"]), ("names", '["{{ n }}"]', ["5"]),
        ("numbers", ["{{ n }}", 6], [5, 6]), ("numbers", "[{{ n }}, 6]", [5, 6]), ("headers", {"a{{ n }}": "{{ n }}"}, {"a5": "5"}),
        ("headers", "{{ {'a': 5} }}", {"a": "5"}), ("body", {"a": ["{{ m }}", 1, None]}, {"a": ['{"k":[1]}', 1, None]}), ("body", "{{ m }}", {"k": [1]}),
        ("body", '{"a": "{{ n }}"}', {"a": "5"}), ("anything", "{{ m }}", {"k": [1]}), ("anything", "{{ n }}", 5), ("anything", "{{ n }}!", "5!"),
        ("anything", {"a": "{{ n }}"}, {"a": "5"}), ("either", "{{ l }}", '["a",2,true]'), ("either", ["{{ n }}"], ["5"]), ("each", ["{{ n }}", 2], [5, 2]),
        ("from", "{{ n }}", "5"),
    ],
)
def test_a_property_becomes_its_type(render: Any, name: str, written: Any, expected: Any) -> None:
    variables = {"n": 5, "m": {"k": [1]}, "l": ["a", 2, True], "nothing": None}
    value = getattr(render(variables, **{name: written}), {"from": "source"}.get(name, name))
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "written", "why"),
    [
        ("count", "{{ 'many' }}", "valid integer"), ("count", "{{ 1.5 }}", "integer"), ("on", "{{ 'maybe' }}", "boolean"), ("wait", "{{ 'soon' }}", "duration"),
        ("mode", "{{ 'C' }}", "'A' or 'B'"), ("names", "{{ 5 }}", "list"), ("names", "[{{ 'x' }}", "not JSON"), ("headers", "{{ [1] }}", "dictionary"),
        ("numbers", ["{{ 'x' }}"], "valid integer"), ("uri", "{{ missing }}", "Unable to find `missing`"), ("uri", "{{ a b }}", "tasks.x.uri"),
        ("names", ["a", "{{ missing.x }}"], "Unable to find `missing`"), ("short", "{{ 'abcd' }}", "at most 3"),
    ],
)
def test_a_wrong_value_names_the_property(render: Any, name: str, written: Any, why: str) -> None:
    with pytest.raises(ExpressionError, match=why) as found:
        render({}, **{name: written})
    assert found.value.what.startswith(f"tasks.x.{name}")
    assert str(found.value.facts["property"]).startswith(f"tasks.x.{name}")


def test_nested_models_are_rendered_and_named(render: Any) -> None:
    variables = {"u": "me", "n": 5}
    done = render(variables, options={"auth": {"user": "{{ u }}", "retries": "{{ n }}"}}, several=[{"user": "a"}, {"user": "{{ u }}"}])
    assert (done.options.auth.user, done.options.auth.retries, done.options.plain) == ("me", 5, "{{ untouched }}")
    assert [each.user for each in done.several] == ["a", "me"]
    done = render(variables, dynamicSeveral=[{"user": "{{ u }}", "retries": "{{ n }}"}])
    assert done.dynamic_several == [Auth(user="me", retries=5)]
    assert render({"l": [{"user": "z", "retries": 1}]}, dynamicSeveral="{{ l }}").dynamic_several == [Auth(user="z", retries=1)]
    with pytest.raises(ExpressionError, match=r"^tasks\.x\.options\.auth\.retries: "):
        render(variables, options={"auth": {"retries": "{{ u }}"}})
    with pytest.raises(ExpressionError, match=r"^tasks\.x\.several\[1\]\.user: "):
        render(variables, several=[{}, {"user": "{{ gone }}"}])


def test_the_options_of_a_task_runner_are_rendered(renderer: Renderer, scope: Scope) -> None:
    runner = "{type: scripts.runner.docker.Docker, memory: {memory: '{{ inputs.size }}MB'}, user: '{{ inputs.who }}'}"
    text = f"id: f\nnamespace: n\ntasks:\n  - {{id: t, type: scripts.shell.Commands, commands: [x], taskRunner: {runner}}}\n"
    (parsed,) = parse_flows(text, file="f.yaml", types=load_types())
    assert parsed.flow is not None
    options = renderer.task(parsed.flow.tasks[0], {"inputs": {"size": 64, "who": "me"}}, scope).runner_options()  # type: ignore[attr-defined]
    assert (options["memory"]["memory"], options["user"]) == ("64MB", "me")


def test_tasks_inside_a_task_are_left_alone(render: Any) -> None:
    inner = example(uri="{{ later }}")
    assert render({"n": 1}, uri="{{ n }}", inner=[inner]).inner == [inner]


def test_any_model_can_be_rendered(renderer: Renderer, scope: Scope) -> None:
    assert renderer.model(Auth(user="{{ u }}"), {"u": "x"}, scope).user == "x"
    with pytest.raises(ExpressionError, match=r"^somewhere\.user: "):
        renderer.model(Auth(user="{{ gone }}"), {}, scope, path="somewhere")


def test_values_keep_or_lose_their_type(renderer: Renderer, scope: Scope) -> None:
    assert renderer.value("{{ x }}", {"x": 5}, scope) == "5"
    assert renderer.value("{{ x }}", {"x": 5}, scope, typed=True) == 5
    assert renderer.value({"{{ x }}": ["{{ x }}", 1]}, {"x": 5}, scope) == {"5": ["5", 1]}
    assert renderer.value(7, {}, scope) == 7
    assert renderer.value(None, {}, scope) is None


def test_layers_of_variables(renderer: Renderer, scope: Scope) -> None:
    template = "{{ envs.host }} {{ globals.team }} {{ x }} {{ y }}"
    assert renderer.value(template, {"x": 1, "y": 1}, scope, extra={"y": 2}) == "h1 t1 1 2"
    assert renderer.value("{{ envs.host }}", {"envs": {"host": "own"}}, scope) == "own"


class Lazy(Mapping[str, Any]):
    """Counts what is looked up."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.read: list[str] = []

    def __getitem__(self, key: str) -> Any:
        self.read.append(key)
        return self.data[key]

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


def test_lazy_variables_stay_lazy(renderer: Renderer, scope: Scope) -> None:
    """Outputs of a thousand task runs are not copied for every expression (ruling 20)."""
    lazy = Lazy({"a": 1, "b": 2})
    assert renderer.value("{{ a }} {{ envs.host }} {{ z }}", lazy, scope, extra={"z": 3}) == "1 h1 3"
    assert set(lazy.read) == {"a"}
    with pytest.raises(ExpressionError, match="Unable to find `gone`"):
        renderer.value("{{ gone }}", lazy, scope)


@pytest.mark.parametrize(("text", "holds"), [("true", True), ("{{ 0 }}", False), ("{{ 'no' }}", True), ("", False), ("-0", False), (None, False), ("{{ null }}", False)])
def test_conditions(renderer: Renderer, scope: Scope, text: str | None, holds: bool) -> None:
    assert renderer.truthy(text, {}, scope) is holds


def test_a_secret_is_told_to_the_redactor_and_kept_out_of_errors(renderer: Renderer, scope: Scope) -> None:
    assert renderer.value("{{ secret('TOKEN') }}", {}, scope) == "hunter2"
    assert scope.redactor.text("it is hunter2") == "it is ********"
    for task in (example(count="{{ secret('TOKEN') }}"), example(names="[{{ secret('TOKEN') }}")):
        with pytest.raises(ExpressionError) as found:
            renderer.task(task, {}, scope)
        shown = "".join(traceback.format_exception(found.value)) + repr(found.value.facts) + found.value.hint
        assert "hunter2" not in shown


@pytest.mark.parametrize(("value", "has"), [("a", False), ("{ {", False), ("{{", True), ({"a": ["{% x"]}, True), ({"{{ a }}": 1}, True), (5, False), (["{# #}"], True)])
def test_what_holds_a_template(value: Any, has: bool) -> None:
    assert has_template(value) is has


HEAVY = "{% for i in range(1, 60000) %}{% endfor %}done"
SLOW_PATTERN = "{{ ('a' ~ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!') | replace({'(a|aa)+$': 'x'}, regexp=true) }}"


def test_what_would_hold_up_the_loop_is_left_to_a_thread(renderer: Renderer, scope: Scope) -> None:
    brisk = replace(scope, brisk=True)
    assert renderer.value("{{ a + 1 }}", {"a": 1}, brisk) == "2"
    for value in (HEAVY, ["{% for i in range(1, 12000) %}{% endfor %}"] * 2, {"k": HEAVY}):
        with pytest.raises(TakesLong):
            renderer.value(value, {}, brisk)
    with pytest.raises(TakesLong):
        renderer.task(example(uri=HEAVY), {}, brisk)
    assert renderer.value(HEAVY, {}, scope) == "done"


def test_a_pattern_that_takes_long_is_left_to_a_thread_and_ends_there(renderer: Renderer, scope: Scope) -> None:
    with pytest.raises(TakesLong):
        renderer.value(SLOW_PATTERN, {}, replace(scope, brisk=True))
    with pytest.raises(ExpressionError, match="takes too long"):
        renderer.value(SLOW_PATTERN, {}, scope)


def test_all_templates_of_a_value_share_what_they_may_use(renderer: Renderer, scope: Scope) -> None:
    with pytest.raises(ExpressionError, match="too many steps"):
        renderer.value(["{% for i in range(1, 600000) %}{% endfor %}"] * 3, {}, scope)
