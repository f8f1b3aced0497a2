"""Hostile templates end within the limits, with an ExpressionError, and leave the process well."""

from __future__ import annotations

from decimal import Decimal

import pytest

from podium.base.errors import ExpressionError
from podium.base.patterns import RegexBudget
from podium.expressions import runtime
from podium.expressions.compile import compile_template, render_value

GROW = "{% set s = [1] %}{% for i in range(1, 60) %}{% set s = [s, s] %}{% endfor %}"
DEEP = "{% set s = [1] %}{% for i in range(1, 20000) %}{% set s = [s] %}{% endfor %}"
LONG = "a" * 1_000_000


@pytest.fixture
def tight(monkeypatch):
    """A twentieth of the fuel and of the time for patterns, so that the tests are quick."""
    monkeypatch.setattr(runtime, "TEMPLATE_FUEL_MAX", 100_000)
    monkeypatch.setattr(runtime, "RegexBudget", lambda: RegexBudget(0.1))


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in 1..100000 %}{% for j in 1..100000 %}{% endfor %}{% endfor %}",
        "{% for i in 1..100000 %}{{ i | string | upper | lower | md5 | sha1 | sha256 | md5 | md5 | md5 | md5 | md5 | md5 | md5 | md5 | md5 | md5 | md5 | md5 | md5 | md5 }}{% endfor %}",
        "{% set s = 'aaaaaaaaaa' %}{% for i in 1..99 %}{% set s = s ~ s %}{% endfor %}",
        "{% set s = 'aaaaaaaaaa' %}{% for i in 1..99 %}{% set s = s + s %}{% endfor %}",
        "{% set s = [1] %}{% for i in 1..99 %}{% set s = s + s %}{% endfor %}",
        "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
        "{% macro f(x) %}{% if x > 0 %}{{ f(x - 1) }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(50) }}",
        "{% block a %}{{ block('a') }}{% endblock %}",
        "{{ render(self) }}",
        "{{ render(twice) }}",
        "{{ 1..100000000 }}",
        "{{ range(0, 9223372036854775807) }}",
        "{{ 'x' | indent(1000000000) }}{{ 'x\n' | indent(1000000000) }}",
        "{{ long | replace({'a': long}) }}",
        "{{ long | replace({'': long}) }}",
        "{{ long | replace({'a': long}, true) }}",
        "{{ many | join(long) }}",
        "{{ long" + " ~ long" * 2000 + " }}",
        "{{ ('1e999999999' | number('BIGDECIMAL')) + 1 }}",
        "{{ ('1e999999999' | number('BIGDECIMAL')) | numberFormat('0') }}",
        "{{ range(0, '1e999999999' | number('BIGDECIMAL')) }}",
        "{{ huge * huge }}",
        "{{ nanoId(100000) }}",
        "{{ fromJson(open) }}",
        "{{ fromIon(open) }}",
        "{{ yaml(open) }}",
        "{{ (long ~ '!') | replace({'^(a|aa)+$': 'b'}, true) }}",
        "{% for i in 1..1000 %}{{ (long ~ '!') | replace({'^(a|aa)+$': 'b'}, true) }}{% endfor %}",
        *(GROW + tail for tail in (
            "{{ s }}", "{{ s ~ '' }}", "{{ s | yaml }}", "{{ s | toIon }}", "{{ s | jq('.') }}", "{{ s == [s] }}{{ [s] | distinct }}",
            "{{ s | replace({'a': 'b'}) }}", "{{ s | escapeChar('single') }}", "{{ render(s) }}", "{{ ['1'] contains s }}{{ s isIn [s] }}",
        )),
        *(DEEP + tail for tail in ("{{ s }}", "{{ s ~ '' }}", "{{ s | yaml }}", "{{ s | toIon }}", "{{ s | jq('.') }}", "{{ [s] | distinct }}", "{{ render(s) }}")),
    ],
)  # fmt: skip
def test_hostile_rendering_ends_with_an_error(render, tight, template):
    context = {
        "self": "{{ render(self) }}", "twice": "{{ render(twice) }}{{ render(twice) }}", "long": LONG, "many": list(range(1000)),
        "huge": Decimal("1e999999"), "open": "[" * 50_000,
    }  # fmt: skip
    with pytest.raises(ExpressionError):
        render(template, context)


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}", "{{ " + "-" * 20_000 + "1 }}", "{{ " + "not " * 20_000 + "x }}", "{{ 1" + " + 1" * 20_000 + " }}",
        "{{ a" + ".b" * 20_000 + " }}", "{{ a" + "[a" * 20_000 + "]" * 20_000 + " }}", "{{ 1" + " | upper" * 20_000 + " }}", "{{ x " + "?? x " * 20_000 + "}}",
        "{{ true " + "? true " * 5_000 + ": 1" * 5_000 + "}}", "{{ " + "[" * 20_000, "{{ " + "{" * 20_000, "{% if true %}" * 20_000, "{% for a in b %}" * 5_000,
        '{{ "' + '#{"' * 2_000 + '" }}', "{{" * 20_000, "{%" * 20_000, "{#" * 20_000, "{{ 'a" + "\\" * 20_000, "{% verbatim %}" * 5_000,
        "{% raw %}" * 20_000 + "\n{% endraw %}", "{{ 'x' | date('" + "y" * 5_000 + "') }}", "{{ x }}" + "a" * 2_000_000,
    ],
)  # fmt: skip
def test_hostile_syntax_ends_with_an_error(render, template):
    with pytest.raises(ExpressionError):
        render(template, {"a": 1, "x": 1})


def test_many_raw_tags_are_no_burden(render):
    assert render("{% raw %}{{ x }}{% endraw %}," * 5_000) == "{{ x }}," * 5_000
    assert render("{% endraw %}{% raw %}"[12:] + "{{ 1 }}{% raw %}x{% endraw %}" * 2)


def test_a_limit_is_named_in_the_error(render):
    with pytest.raises(ExpressionError) as caught:
        render("{% for i in 1..100000 %}{% for j in 1..100000 %}{% endfor %}{% endfor %}")
    assert caught.value.facts["limit"] == "TEMPLATE_FUEL_MAX"
    assert "1500000" in caught.value.hint


def test_an_error_inside_a_nested_value_is_an_expression_error(world):
    value: object = "x"
    for _ in range(5_000):
        value = [value]
    with pytest.raises(ExpressionError):
        render_value(value, {}, world)


def test_ordinary_work_stays_within_the_limits(render):
    assert render("{% for i in 1..100000 %}{{ i % 10 }}{% endfor %}") == "1234567890" * 10_000
    assert len(render("{{ l | toJson }}", {"l": list(range(200_000))})) > 1_000_000
    assert len(render("{{ l | join(',') | split(',') | length }}", {"l": list(range(200_000))})) == 6
    assert len(render("{% for i in range(1, 1000000) %}x{% endfor %}")) == 1_000_000
    assert len(render("{{ range(1, 1000000) }}")) == 6_888_897
    assert render("{{ '' " + "~ 'a'" * 5_000 + " }}") == "a" * 5_000
    assert render("{{ 1" + " + 1" * 100 + " }}") == "101"


def test_a_compiled_name_renders_in_microseconds(world):
    import timeit

    template = compile_template("{{ inputs.name }}")
    variables = {"inputs": {"name": "Ada"}}
    best = min(timeit.repeat(lambda: template.render(variables, world), number=1000, repeat=5)) / 1000
    assert best < 10e-6


def test_half_a_surrogate_pair_never_leaves_a_template(render):
    cut = "{{ '\U0001f600x' | slice(0, 1) }}"
    assert render(cut) == "?"
    assert render("{{ ('\U0001f600x' | slice(0, 1)) ~ ('\U0001f600x' | slice(1, 3)) }}") == "\U0001f600x"
