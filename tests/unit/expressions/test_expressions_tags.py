"""Tags, scopes, macros, typed rendering and rendering of structures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from podium.base.errors import ExpressionError
from podium.expressions.compile import compile_template, is_pure, render_value, truthy


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{% set a = 1 %}{% set a = a + 1 %}{{ a }}", "2"),
        ("{% if true %}{% set z = 9 %}{% endif %}{{ z }}", "9"),
        ("{% for i in [1, 2] %}{% set z = i %}{% endfor %}{{ z ?? 'gone' }}", "gone"),
        ("{% set z = 0 %}{% for i in [1, 2] %}{% set z = z + i %}{% endfor %}{{ z }}", "3"),
        ("{% for i in [1, 2] %}{% set who = i %}{% endfor %}{{ who }}", "2"),
        ("{% if es %}a{% elseif 0 %}b{% elseif 's' %}c{% else %}d{% endif %}", "c"),
        ("{% for x in l %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}", "0a,1b"),
        ("{% for x in l %}{{ loop.length }}{{ loop.first }}{{ loop.revindex }};{% endfor %}", "2true1;2false0;"),
        ("{% for kv in m %}{{ kv.key }}={{ kv.value }};{{ kv }}{% endfor %}", "k=1;k=1"),
        ("{% for x in [] %}x{% else %}none{% endfor %}{% for x in null %}x{% else %}none{% endfor %}", "none"),
        ("{% for l in l %}{{ l }}{% endfor %}{{ l | length }}", "ab2"),
        ("{{ f('x') }}{% macro f(a, b='B') %}{{ a }}{{ b }}{{ who ?? '-' }}{% endmacro %}{{ f(b=1) }}", "xB-1-"),
        ("{% macro c(n) %}{{ n }}{% if n > 0 %}{{ c(n - 1) }}{% endif %}{% endmacro %}{{ c(3) }}", "3210"),
        ("{% block a %}A{{ who }}{% endblock a %}{{ block('a') }}{{ block('b') }}", "AgAg"),
        ("{% filter upper | abbreviate(5) %}hello {{ who }}{% endfilter %}", "HE..."),
        ("{{ l | sort | reverse }}{{ l }}", '["b","a"]["b","a"]'),
    ],
)
def test_tags(render, template, expected):
    assert render(template, {"who": "g", "es": "", "l": ["a", "b"], "m": {"k": 1}}) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{% set a = gone %}", "{% if null %}{% endif %}", "{% if [] %}{% endif %}", "{% if gone %}{% endif %}", "{% for x in 5 %}{% endfor %}",
        "{% for x in 'abc' %}{% endfor %}", "{% for x in gone %}{% endfor %}", "{% macro f(a) %}{{ who }}{% endmacro %}{{ f(1) }}",
        "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{% endmacro %}{{ f(z=1) }}",
        "{% macro f(_context) %}{{ _context.who }}{% endmacro %}{{ f(_context) }}", "{% for i in [1] %}{% endfor %}{{ loop }}",
    ],
)  # fmt: skip
def test_tags_refuse(render, template):
    with pytest.raises(ExpressionError):
        render(template, {"who": "g"})


def test_sorting_in_a_template_never_touches_the_callers_list(render):
    context = {"l": [3, 1, 2], "m": {"l": [2, 1]}}
    assert render("{{ l | sort }}{{ l }}{{ m.l | sort }}{{ m.l }}{{ l + [9] }}", context) == "[1,2,3][1,2,3][1,2][1,2][1,2,3,9]"
    assert context == {"l": [3, 1, 2], "m": {"l": [2, 1]}}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("12", "12"),
        ("{{ 12 }}", 12),
        ("{% if true %}{{ [1] }}{% endif %}", [1]),
        ("{# c #}{{ {'a': 1} }}{{ null }}", {"a": 1}),
        ("{{ null }}", None),
        ("{{ 1 }} ", "1 "),
        ("{{ 1 }}{{ 2.0 }}", "12.0"),
        ("", ""),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ],
)
def test_a_single_output_keeps_its_type(evaluate, template, expected):
    found = evaluate(template)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("template", ["{{ [1] }} ", "a{{ {} }}", "{{ [1] }}{{ [2] }}"])
def test_lists_and_maps_cannot_be_joined_with_anything(evaluate, template):
    with pytest.raises(ExpressionError, match="cannot concat"):
        evaluate(template)


class Lazy(Mapping[str, Any]):
    """A Mapping that computes a value when asked, and remembers which ones were."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values_by_key = values
        self.touched: list[str] = []

    def __getitem__(self, key: str) -> Any:
        value = self.values_by_key[key]
        self.touched.append(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_key)

    def __len__(self) -> int:
        return len(self.values_by_key)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ o.a.b }} {{ o['a'].b }} {{ o.z ?? 'd' }}", "1 1 d"),
        ("{{ o }} {{ o | toJson }} {{ o ~ '' }}", '{"a":{"b":1}} {"a":{"b":1}} {a={b=1}}'),
        ("{{ o | keys }} {{ o | values }} {{ o | length }} {{ o is map }} {{ o is empty }}", '["a"] [{"b":1}] 1 true false'),
        ("{{ o contains 'a' }} {{ {'c': 2} | merge(o) | length }} {{ o == {'a': {'b': 1}} }}", "true 2 true"),
        ("{% for kv in o %}{{ kv.key }}{{ kv.value.b }}{% endfor %}", "a1"),
        ("{{ o | jq('.a.b') | first }} {{ o | yaml }} {{ o | toIon }}", "1 a:\n  b: 1\n {a:{b:1}}"),
        ("{{ o | replace({'1': '2'}) }} {{ render(o) }} {{ 1 isIn o.a }}", '{"a":{"b":"2"}} {"a":{"b":1}} true'),
        ("{{ printContext().o.a.b }}", "1"),
    ],
)
def test_lazy_mappings_work_like_dicts(render, template, expected):
    assert render(template, Lazy({"o": Lazy({"a": Lazy({"b": 1})})})) == expected


def test_only_what_is_read_of_a_lazy_mapping_is_computed(render):
    variables = Lazy({"a": 1, "costly": 2})
    assert render("{% set x = 5 %}{{ a }}{{ x }}{{ render('{{ a }}') }}", variables) == "151"
    assert set(variables.touched) == {"a"}


def test_structures_are_rendered_leaf_by_leaf(world):
    value = {"{{ k }}": "{{ n }}", "key": ["{{ n }}", 5, None, {"x": "{{ l }}"}], "k1": "second"}
    variables = {"k": "k1", "n": 3, "l": [1]}
    assert render_value(value, variables, world) == {"k1": "3", "key": ["3", 5, None, {"x": "[1]"}]}
    assert render_value(value, variables, world, typed=True)["key"] == [3, 5, None, {"x": [1]}]


def test_a_null_leaf_is_empty_text_and_null_in_the_new_dialect(world):
    assert render_value({"a": "{{ null }}"}, {}, world) == {"a": ""}
    assert render_value({"a": "{{ null }}", "b": "{{ '' }}"}, {}, world, dialect="2.0") == {"a": None, "b": ""}


def test_recursive_rendering_goes_on_until_the_text_is_stable(world):
    variables = {"a": "{{ b }}", "b": "{{ c }}", "c": 1, "loop1": "{{ loop2 }}", "loop2": "{{ loop1 }}"}
    assert render_value("{{ a }}", variables, world, recursive=True) == "1"
    with pytest.raises(ExpressionError, match="Too many rendering attempts"):
        render_value("{{ loop1 }}", variables, world, recursive=True)
    with pytest.raises(ExpressionError, match="render"):
        render_value("{{ render(a) }}", variables, world, recursive=True)


def test_a_template_knows_what_it_needs():
    template = compile_template("{{ now() }}{{ x | date }}{{ f(secret('K')) }}{% macro f(a) %}{{ uuid() }}{% endmacro %}")
    assert template.functions == {"now", "secret", "uuid"}
    assert not template.pure
    assert compile_template("{{ x | date }}{{ range(1, 2) }}").pure


@pytest.mark.parametrize(
    ("value", "pure"),
    [("{{ a }}", True), ("{{ kv('x') }}", False), ({"a": ["{{ read('f') }}"]}, False), ({"{{ uuid() }}": 1}, False), ("{{ broken", True), (5, True)],
)
def test_purity_of_structures(value, pure):
    assert is_pure(value) is pure


def test_a_pure_template_asks_only_for_the_zone():
    class ZoneOnly:
        from datetime import UTC as zone  # noqa: N811

    text = "{{ '2024-03-05' | date('yyyy') }}{{ 'a1' | replace({'[0-9]': 'x'}, true) }}{{ [1] | jq('.[0]') }}{{ {'a': 1} | toJson }}"
    template = compile_template(text)
    assert template.pure
    assert template.render({}, ZoneOnly()) == '2024ax[1]{"a":1}'


@pytest.mark.parametrize(("text", "holds"), [(None, False), ("", False), ("0", False), ("-0", False), ("false", False), ("False", True), (" ", True), ("null", True)])
def test_truthy(text, holds):
    assert truthy(text) is holds


def test_an_error_of_a_lazy_mapping_is_an_expression_error(render):
    from podium.base.errors import StorageError

    class Broken(Lazy):
        def __getitem__(self, key: str) -> Any:
            raise StorageError("the outputs are gone")

    with pytest.raises(ExpressionError, match="the outputs are gone"):
        render("{{ outputs.a }}", Broken({"outputs": 1}))
