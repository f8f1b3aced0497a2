"""Text, delimiters, literals and operators as the language reference defines them."""

from __future__ import annotations

import pytest

from podium.base.errors import ExpressionError


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("just text with { and } and }} and ${x}", "just text with { and } and }} and ${x}"),
        ("{{ 'a' }}{{ 'b' }}", "ab"),
        ("{{ {'a': {'b': 1}} }}", '{"a":{"b":1}}'),
        ("a {# hidden {{ nothing }} #}b", "a b"),
        ("a \n {#- x -#} \n b", "ab"),
        ("a   {{- 1 -}}   b", "a1b"),
        ("{{-5}}", "-5"),
        ("{% set x = 1 %}\n{{ x }}\n", "\n1\n"),
        ("{% verbatim %}  {{ x }} {%- endverbatim -%}  z", "{{ x }}z"),
        ("{% raw %}{{ x }} {% if %}{% endraw %}", "{{ x }} {% if %}"),
        ("{{ '{% raw %}{{ x }}{% endraw %}' ~ '!' }}", "{{ x }}!"),
        (r"{{ 'it\'s' }} {{ 'a\nb' }} {{ 'c\\' }}", r"it's a\nb c\\"),
        ('{{ "a #{1 + 1} b" }} {{ "lone # stays" }} {{ \'#{1}\' }}', "a 2 b lone # stays #{1}"),
        ("{{ 007 }} {{ 5L }} {{ 1.50 }} {{ 100000000.0 }}", "7 5 1.5 1.0E8"),
        ("{{ TRUE }} {{ false }} {{ NULL }}{{ none }}", "true false "),
        ("{{ [] }} {{ [1, 'x', null, [2.5]] }} {{ {} }}", '[] [1,"x",null,[2.5]] {}'),
        ("{{ ([1, 2])[1] }} {{ ({'a-b': 3})['a-b'] }} {{ ({1: 'x'})[1] }}", "2 3 x"),
        ("{{ 1..4 }} {{ 'a'..'c' }} {{ 3..1 }}", '[1,2,3,4] ["a","b","c"] []'),
        ("{{ true ? false ? 1 : 2 : 3 }}", "2"),
    ],
)
def test_templates_print(render, template, expected):
    assert render(template) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ }}", "{{ a b }}", "{{ 'open }}", "{{ (1 }}", "{{ 1) }}", "{{ [1, 2,] }}", "{{ {'a': 1,} }}", "{{ [1][0] }}", "{{ 1e3 }}", "{{ .5 }}",
        "{{ 1. }}", "{{ 1_000 }}", "{{ 9223372036854775808 }}", "{{ a && b }}", "{{ !a }}", "{{ a ?: b }}", "{{ a.1 }}", "{{ f(a=1, 2) }}",
        "{{ x", "{# open", "{% verbatim %} open", "{% nosuch %}", "{% endif %}", "{% if true %}", "{% if true %}{% else if true %}{% endif %}",
        "{% for a, b in c %}{% endfor %}", "{% set a %}x{% endset %}", "{% set null = 1 %}", "{% raw %}two\nlines{% endraw %}",
        "{% block a %}{% endblock b %}", "{% macro f() %}{% endmacro %}{% macro f() %}{% endmacro %}", "{{ a ? b }}", "{% include 'x' %}",
        "{{ x\u00a0}}", "{% if true %}{% else %}{% else %}{% endif %}",
    ],
)  # fmt: skip
def test_bad_syntax_is_an_error_with_its_place(render, template):
    with pytest.raises(ExpressionError) as caught:
        render(template, {"a": 1, "b": 2, "c": [], "x": 1})
    assert caught.value.facts["line"] >= 1
    assert caught.value.facts["column"] >= 1
    assert caught.value.facts["template"] == template


def test_an_error_names_line_and_column_of_its_place(render):
    with pytest.raises(ExpressionError) as caught:
        render("first\n  {{ 1 + 'x' * 2 }}")
    assert (caught.value.facts["line"], caught.value.facts["column"]) == (2, 14)
    assert "line 2, column 14" in caught.value.what


def test_columns_stay_right_behind_raw_text(render):
    with pytest.raises(ExpressionError) as caught:
        render("{% raw %}{{ x }}{% endraw %} {{ gone }}")
    assert caught.value.facts["column"] == 33


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 7 / 2 }} {{ -7 / 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7.0 / 2 }}", "3 -3 1 -1 3.5"),
        ("{{ 1.0 / 0 }} {{ -1.0 / 0 }} {{ 0.0 / 0 }}", "Infinity -Infinity NaN"),
        ("{{ 9223372036854775807 + 1 }} {{ -(-9223372036854775807 - 1) }}", "-9223372036854775808 -9223372036854775808"),
        ("{{ big + 1 }}", "12345678901234567891"),
        ("{{ dec + 1 }} {{ dec * 2 }} {{ dec / 3 }}", "2.10 2.20 0.3666666666666666666666666666666667"),
        ("{{ '5' + 3 }} {{ 5 + '3' }} {{ null + 'x' }} {{ [1] + 'x' }}", "53 53 nullx [1]x"),
        ("{{ [1, 2, 1] - 1 }} {{ [1, 2] + 3 }} {{ [1] + [2] }}", "[2] [1,2,3] [1,2]"),
        ("{{ 'a' ~ 1 + 2 ~ 'b' | upper }}", "a12B"),
        ("{{ 1 == 1.0 }} {{ '1' == 1 }} {{ true == 'true' }} {{ null == null }} {{ 'a' equals 'a' }}", "true false false true true"),
        ("{{ [1] == [1.0] }} {{ {'a': [1]} == {'a': [1]} }} {{ true == 1 }}", "false true false"),
        ("{{ 1 < null }} {{ 2 >= 2 }} {{ 1.5 < 2 }}", "false true true"),
        ("{{ not false and true }} {{ true or gone }} {{ false and gone }}", "true true false"),
        ("{{ [1, 2] contains 2 }} {{ [1, 2] contains [2, 3] }} {{ {'k': 1} contains 'k' }} {{ 'abc' contains 'bc' }}", "true false true true"),
        ("{{ null contains 1 }} {{ 1 isIn ['1'] }} {{ 1 isIn [1.0] }} {{ 'v' isIn {'k': 'v'} }} {{ 'a' isIn 'abc' }}", "false true false true false"),
        ("{{ 'a' ~ null ~ [1, 'b'] ~ {'k': 'v'} }}", "a[1, b]{k=v}"),
        ("{{ '' ? 1 : 2 }} {{ 'false' ? 1 : 2 }} {{ 0 ? 1 : 2 }} {{ null ? 1 : 2 }}", "2 1 2 2"),
        ("{{ not 1 == 2 }} {{ 2 * -3 }} {{ 1 - 5 | abs }}", "false -6 -4"),
    ],
)  # fmt: skip
def test_operators(render, template, expected):
    from decimal import Decimal

    assert render(template, {"big": 12345678901234567890, "dec": Decimal("1.10")}) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 / 0 }}", "{{ 1 % 0 }}", "{{ null + 1 }}", "{{ true + 1 }}", "{{ {} + 1 }}", "{{ 'x' - 1 }}", "{{ 'a' < 'b' }}", "{{ true > false }}",
        "{{ not null }}", "{{ [] and true }}", "{{ [] ? 1 : 2 }}", "{{ 5 contains 1 }}", "{{ -'x' }}", "{{ gone == null }}", "{{ 'ab'..'c' }}",
    ],
)  # fmt: skip
def test_operands_that_do_not_fit_are_errors(render, template):
    with pytest.raises(ExpressionError):
        render(template)


@pytest.mark.parametrize(
    ("template", "old", "new"),
    [
        ("{{ s ?? 'd' | upper }}", "V", "v"),
        ("{{ s ?? 'a' ~ 'b' }}", "vb", "v"),
        ("{{ 1 + gone ?? 2 }}", "3", None),
        ("{{ gone ?? 1 + 2 }}", "3", "3"),
        ("{{ i + 1 isIn [2] }}", None, "true"),
        ("{{ '10' - 1 }}", None, "9"),
        ("{{ '7' / '2' }} {{ '1e1' * 2 }}", None, "3 20.0"),
        ("{{ 'b' > 'a' }}", None, "true"),
        ("{{ (gone > 1) ?? 'd' }}", None, "d"),
        ("{{ null | startsWith('a') }}", None, "false"),
        ("{{ fromJson('1') }}{{ json('1') }}", "11", None),
        ("{{ [1] | json }}", "[1]", None),
        ("{{ 'a1' | regexExtract('[0-9]') }}", None, "1"),
        ("{% set a = [1] %}{% set b = a + [2] %}{{ a }}", "[1,2]", "[1]"),
    ],
)
def test_dialects_differ(render, template, old, new):
    for dialect, expected in (("1.x", old), ("2.0", new)):
        if expected is None:
            with pytest.raises(ExpressionError):
                render(template, {"s": "v", "i": 1}, dialect)
        else:
            assert render(template, {"s": "v", "i": 1}, dialect) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ m.x.y ?? 'd' }}", "d"),
        ("{{ nul ?? 'd' }}|{{ nul ??? 'd' }}|{{ m.x ??? 'd' }}", "d||d"),
        ("{{ (gone | upper) ?? 'd' }} {{ [gone] ?? 'd' }} {{ max(gone, 1) ?? 'd' }} {{ -gone ?? 'd' }}", "d d d d"),
        ("{{ e ?? 'd' }}|{{ 0 ?? 'd' }}|{{ [] ?? 'd' }}", "|0|[]"),
        ("{{ gone | default('d') }} {{ m.x.y | default('d') }} {{ nul | default('d') }}", "d d d"),
        ("{{ gone is defined }} {{ m.x is not defined }} {{ nul is defined }} {{ e is defined }}", "false true false true"),
    ],
)
def test_missing_names_have_defaults(render, template, expected):
    assert render(template, {"m": {}, "nul": None, "e": ""}) == expected


@pytest.mark.parametrize(
    "template",
    ["{{ (gone == 1) ?? 'd' }}", "{{ (1 + gone) ?? 'd' }}", "{{ gone ?? gone2 }}", "{{ nofun() ?? 'd' }}", "{{ fromJson('{') ?? 'd' }}",
     "{{ render('{{ gone }}') ?? 'd' }}", "{{ gone is empty }}", "{{ gone is null }}", "{{ (gone == 1) is defined }}"],
)  # fmt: skip
def test_other_errors_have_no_default(render, template):
    with pytest.raises(ExpressionError):
        render(template)


@pytest.mark.parametrize(
    ("template", "name", "line"),
    [("{{ gone }}", "gone", 1), ("{{ m.gone }}", "gone", 1), ("\n\n{{ n.a }}", "n", 3), ("{{ m.nul.x }}", "x", 1), ("{{ l[9] }}", "9", 1), ("{{ s.x }}", "x", 1)],
)  # fmt: skip
def test_a_missing_name_is_named(render, template, name, line):
    with pytest.raises(ExpressionError) as caught:
        render(template, {"m": {"nul": None}, "n": None, "l": [], "s": "x"})
    assert caught.value.what == f"Unable to find `{name}` used in the expression `{template}` at line {line}"
    assert caught.value.facts["name"] == name


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ m.a.b }}{{ m['a']['b'] }}{{ m[k].b }}{{ m.a[j] }}", "1111"),
        ("{{ l[0] }}{{ l['1'] }}{{ l[n - 1] }}", "xyy"),
        ("{{ m.size }} {{ m['is'] }} {{ m.is }}", "mine 5 5"),
        ("{{ s.length }} {{ s.length() }} {{ l.size() }} {{ s.toUpperCase() }} {{ m.a.size() }}", "3 3 2 ABC 1"),
        ("{{ d.year }} {{ d.dayOfWeek }} {{ d.getDayOfMonth() }}", "2024 TUESDAY 5"),
    ],
)
def test_attributes(render, template, expected):
    from datetime import date

    context = {"m": {"a": {"b": 1}, "size": "mine", "is": 5}, "k": "a", "j": "b", "l": ["x", "y"], "n": 2, "s": "abc", "d": date(2024, 3, 5)}
    assert render(template, context) == expected


@pytest.mark.parametrize("template", ["{{ m[1] }}", "{{ l[-1] }}", "{{ s[0] }}", "{{ m.a() }}", "{{ s.__class__ }}", "{{ s.getClass() }}", "{{ l.append }}"])
def test_no_attribute_of_python_is_reachable(render, template):
    with pytest.raises(ExpressionError):
        render(template, {"m": {"a": 1}, "l": [1], "s": "x"})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 4 is even }} {{ 3 is odd }} {{ -3 is not even }}", "true true true"),
        ("{{ ' ' is empty }} {{ [] is empty }} {{ 0 is empty }} {{ null is empty }}", "true true false true"),
        ("{{ [] is iterable }} {{ {} is iterable }} {{ {} is map }} {{ 'x' is map }}", "true false true false"),
        ("{{ '{\"a\": 1} rest' is json }} {{ '' is json }} {{ '{' is json }} {{ '01' is json }}", "true true false false"),
    ],
)
def test_tests(render, template, expected):
    assert render(template) == expected


@pytest.mark.parametrize("template", ["{{ 1.0 is even }}", "{{ null is odd }}", "{{ 5 is json }}", "{{ 5 is prime }}"])
def test_tests_refuse_other_types(render, template):
    with pytest.raises(ExpressionError):
        render(template)


def test_an_error_is_never_its_own_cause(render):
    for template in ("{{ [gone] | join }}", "{% for i in [1] %}{{ 1 / 0 }}{% endfor %}", "{{ render('{{ gone }}') }}", "{% macro f() %}{{ gone }}{% endmacro %}{{ f() }}"):
        with pytest.raises(ExpressionError) as caught:
            render(template)
        seen = []
        error: BaseException | None = caught.value
        while error is not None:
            assert error not in seen
            seen.append(error)
            error = error.__cause__
