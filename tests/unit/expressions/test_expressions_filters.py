"""Filters: texts, collections, numbers, data formats."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from zoneinfo import ZoneInfo

import pytest

from podium.base.errors import ExpressionError
from podium.expressions.text import java_text, output_text, to_json


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 'abcdef' | abbreviate(5) }} {{ 'exact' | abbreviate(5) }} {{ 'abc' | abbreviate(1) }} {{ 'abcd' | abbreviate(2) }}", "ab... ex... abc ab"),
        ("{{ 'é' | base64encode }} {{ 'w6k' | base64decode }} {{ true | base64encode }} {{ '' | base64decode }}|", "w6k= é dHJ1ZQ== |"),
        ("{{ ' élan' | capitalize }}|{{ 'the-quick fox' | title }}|{{ 'ß' | upper }}|{{ [1, 'A'] | lower }}", " Élan|The-quick Fox|SS|[1, a]"),
        ("[{{ '\t a \u00a0' | trim }}]", "[a \u00a0]"),
        ("{{ 'a b*~/é' | urlencode }} {{ 'a+b%2F%C3%A9' | urldecode }}", "a+b*%7E%2F%C3%A9 a b/é"),
        ("{{ 'a\r\nb\rc\nd' | nl2br }}", "a<br />b<br />c<br />d"),
        ("{{ 'hello' | md5 }} {{ 'hello' | sha1 }}", "5d41402abc4b2a76b9719d911017c592 aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
        ("{{ '' | sha256 }}", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("{{ 'a.b' | replace({'.': '-', 'a': 'x'}) }} {{ 'ab' | replace({'(a)(b)': '$2$1'}, true) }} {{ 'ab' | replace({'': '-'}) }}", "x-b ba -a-b-"),
        ("{{ ['cat', 1, null, {'k': 'cat'}] | replace({'cat': 'cow'}) }}", '["cow","1",null,{"k":"cow"}]'),
        ("{{ \"it's\" | escapeChar('single') }} {{ \"it's\" | escapeChar('SHELL') }} {{ ['\"'] | escapeChar('double') }}", "it\\'s it'\\''s [\"\\\\\\\"\"]"),
        ("{{ 'a,b,,' | split(',') }} {{ 'a,b,,' | split(',', -1) }} {{ 'a,b,c' | split(',', 2) }} {{ 'abc' | split('') }} {{ 'a.b' | split('.') }}",
         '["a","b"] ["a","b","",""] ["a","b,c"] ["a","b","c"] []'),
        ("{{ 123 | startsWith(1) }} {{ 'Abc' | startsWith('a') }} {{ 'abc' | endsWith('') }}", "true false true"),
        ("{{ 'a\r\nb' | indent(2) }}|{{ 'a\nb' | nindent(1, 'xy') }}|{{ '' | nindent(2) }}|{{ 5 | indent(2) }}", "a\r\n  b|\nxya\nxyb||5"),
        ("{{ 'Crème Brûlée_ß & Co.' | slugify }} {{ 12.5 | slugify }}", "creme-brulee-co 125"),
        ("{{ 'a.b.c' | substringBefore('.') }} {{ 'a.b.c' | substringAfterLast('.') }} {{ 'abc' | substringAfter('.') }}|{{ 'abc' | substringBeforeLast('') }}",
         "a c |abc"),
        ("{{ [1.0, {'k': 'v'}] | string }} {{ null | string }}|", "[1.0, {k=v}] |"),
        ("{{ 'héllo🎉' | length }} {{ 'a🎉b' | slice(1, 3) }} {{ {'a': 1} | length }} {{ 5 | length }}", "7 🎉 1 0"),
    ],
)  # fmt: skip
def test_text_filters(render, template, expected):
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 's' | regexMatch('x') }} {{ 'ab12' | regexMatch('[0-9]+$') }} {{ null | regexMatch('a') }}", "false true false"),
        ("{{ 'ab12' | regexExtract('([a-z]+)([0-9]+)', 2) }} {{ 'a' | regexExtract('b') }}|", "12 |"),
        ("{{ 'ab12' | regexReplace('(?<n>[0-9])', '<${n}>') }} {{ null | regexReplace('a', 'b') }}|", "ab<1><2> |"),
        ("{{ '%05.2f|%-5s|%+d|%x|%,d|%2$s|%%|%n|%b|%c|%S' | format(3.14159, 'a', 5, 255, 1234567, true, 'q', 'up') }}",
         "03.14|a    |+5|ff|1,234,567|a|%|\n|true|q|UP"),
        ("{{ '%e %g %.0f %10.3e' | format(12345.678, 0.00001, 2.5, 1.0) }}", "1.234568e+04 1.00000e-05 3  1.000e+00"),
        ("{{ '%s %d %(d %08.3f' | format(null, -5, -5, -3.14159) }}", "null -5 (5) -003.142"),
    ],
)  # fmt: skip
def test_text_filters_of_the_new_dialect(render, template, expected):
    assert render(template, dialect="2.0") == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ [5, 6] | first }} {{ 'xy' | last }} {{ [] | first }}| {{ [null, 1] | first }}|", "5 y | |"),
        ("{{ ['x', 1, 2.0, null, [1, 2], {'k': 'v'}] | join('-') }} {{ [1, 2] | join }}", "x-1-2.0-null-[1, 2]-{k=v} 12"),
        ("{{ [1] | merge([1]) }} {{ {'a': 1} | merge({'a': 2}) }} {{ {'a': 1} | merge(['b']) }} {{ null | merge([1]) }}", '[1,1] {"a":2} {"a":1,"b":"b"} [1]'),
        ("{{ ['b', 'A', 'a'] | sort }} {{ [3, 1, 2] | rsort }} {{ [1, 2] | reverse }} {{ 'b,a' | split(',') | sort }}",
         '["A","a","b"] [3,2,1] [2,1] ["a","b"]'),
        ("{{ [1, 2, 3] | slice(1) }} {{ 'abc' | slice(3) }}| {{ [1, 2, 3] | slice(toIndex=2) }} {{ [] | slice }}", "[2,3] | [1,2] []"),
        ("{{ [1, 2, 3] | chunk(2) }} {{ [1, [2, [3]]] | flatten }}", "[[1,2],[3]] [1,2,[3]]"),
        ("{{ [1, 1.0, '1', 1, [1], [1], null, null] | distinct }} {{ null | distinct }}", '[1,1.0,"1",[1],null] null'),
        ("{{ {'a': 1} | keys }} {{ ['x', 'y'] | keys }} {{ {'a': 1} | values }}", '["a"] [0,1] [1]'),
        ("{{ ' ' | default('d') }} {{ 0 | default('d') }} {{ [] | default('d') }} {{ null | default }}|", "d 0 d |"),
        ("{{ -5 | abs }} {{ -2.5 | abs }}", "5 2.5"),
        ("{{ 'a' | upper(1) }} {{ null | upper }}|{{ null | sort }}|{{ null | chunk(1) }}|", "A |||"),
    ],
)  # fmt: skip
def test_collection_filters(render, template, expected):
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 1234567.891 | numberFormat }} {{ 3.14159 | numberFormat('#.##') }} {{ 42 | numberFormat('000000') }}", "1,234,567.891 3.14 000042"),
        ("{{ 0.5 | numberFormat('0') }} {{ 1.5 | numberFormat('0') }} {{ 0.125 | numberFormat('#.##') }} {{ 0.5 | numberFormat('.##') }}", "0 2 0.12 .5"),
        ("{{ 0.256 | numberFormat('#.#%') }} {{ -1234.5 | numberFormat('#,##0.0;(#,##0.0)') }} {{ 5 | numberFormat(\"'#'0\") }}", "25.6% (1,234.5) #5"),
        ("{{ 12345.678 | numberFormat('0.###E0') }} {{ 12345 | numberFormat('##0.##E0') }} {{ 0.00012 | numberFormat('0.0E00') }}", "1.235E4 12.3E3 1.2E-04"),
        ("{{ '12' | number + 1 }} {{ '0x1F' | number }} {{ '012' | number }} {{ '1e3' | number }} {{ '12L' | number }}", "13 31 10 1000.0 12"),
        ("{{ '99999999999999999999' | number }} {{ '12.30' | number }} {{ '1.10' | number('BIGDECIMAL') }} {{ '7' | number('nosuch') }}",
         "99999999999999999999 12.3 1.10 7"),
        ("{{ 1 | className }} {{ 3000000000 | className }} {{ 1.5 | className }} {{ 'x' | className }}",
         "java.lang.Integer java.lang.Long java.lang.Double java.lang.String"),
    ],
)  # fmt: skip
def test_number_filters(render, template, expected):
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ [1, 'é\"\n', null, 2.0, {'a': null, 'b': '/<'}] | toJson }}", '[1,"é\\"\\n",null,2.0,{"b":"/<"}]'),
        ("{{ null | toJson }} {{ 'x' | toJson }} {{ 100000000.0 | toJson }}", 'null "x" 1.0E8'),
        ("{{ {'a': 1, 'my key': [2.5, 2.0, null, true, 'x\ty']} | toIon }}", "{a:1,'my key':[2.5e0,2e0,null,true,\"x\\ty\"]}"),
        ("{{ {'k': {'z': [1, {'q': 'w'}]}} | yaml }}", "k:\n  z:\n   - 1\n   -\n    q: w\n"),
        ("{{ ['no', '123', ' lead', 'a: b', '', 'x\ny\n', '~', '*x'] | yaml }}",
         " - \"no\"\n - 123\n - ' lead'\n - \"a: b\"\n - \"\"\n - |\n  x\n  y\n - \"~\"\n - '*x'\n"),
        ("{{ '' | yaml }}{{ null | yaml }} {{ [] | yaml }}{{ {'a': {}} | yaml }}", '--- ""\nnull []\na: {}\n'),
    ],
)  # fmt: skip
def test_data_filters(render, template, expected):
    assert render(template) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ 5 | trim }}", "{{ 5 | title }}", "{{ 'a' | abbreviate(-1) }}", "{{ 'a' | abbreviate }}", "{{ '*' | base64decode }}", "{{ 'a' | base64decode }}",
        "{{ '%zz' | urldecode }}", "{{ 5 | md5 }}", "{{ 'a' | replace }}", "{{ 'a' | replace('x') }}", "{{ 'a' | replace({'(': 'x'}, true) }}",
        "{{ 'a' | escapeChar('x') }}", "{{ 'a' | split }}", "{{ 5 | split(',') }}", "{{ 'a' | startsWith(null) }}", "{{ null | startsWith('a') }}",
        "{{ 'a' | indent }}", "{{ 'a' | indent(-1) }}", "{{ 'a' | substringBefore }}", "{{ '' | first }}", "{{ {} | first }}", "{{ 5 | join }}",
        "{{ [1] | join(5) }}", "{{ 'a' | merge([1]) }}", "{{ null | merge(null) }}", "{{ [1, 'a'] | sort }}", "{{ [1, null] | sort }}", "{{ [[1], [2]] | sort }}",
        "{{ 'abc' | reverse }}", "{{ 'a,b' | split(',') | reverse }}", "{{ 'abc' | slice(4) }}", "{{ 'abc' | slice(-1) }}", "{{ 'abc' | slice(1, 1) }}",
        "{{ [1] | chunk(0) }}", "{{ 'a' | chunk(1) }}", "{{ 'a' | distinct }}", "{{ 'a' | flatten }}", "{{ 'a' | keys }}", "{{ [1] | values }}",
        "{{ null | abs }}", "{{ '1' | abs }}", "{{ '12' | numberFormat('#') }}", "{{ 1 | numberFormat('0.0.0') }}", "{{ '' | number }}", "{{ '1,0' | number }}",
        "{{ '08' | number }}", "{{ '3000000000' | number('INT') }}", "{{ 'x' | jq('.') }}", "{{ 'x' | nofilter }}", "{{ 'x' | escape }}", "{{ 'x' | raw }}",
        "{{ 'a' | slice(1, 2, 3) }}", "{{ 'a' | slice(bogus=1) }}", "{{ 'a' | upper(bogus=1) }}",
    ],
)  # fmt: skip
def test_filters_refuse(render, template):
    with pytest.raises(ExpressionError):
        render(template)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (True, "true"), (1.0, "1.0"), (1e7, "1.0E7"), (0.0001, "1.0E-4"), (1234567.0, "1234567.0"), (float("inf"), "Infinity"),
        (float("nan"), "NaN"), (Decimal("1.10"), "1.10"), ([1, None], "[1,null]"), ({"a": None, "b": 1}, '{"b":1}'), ((1, 2), "[1,2]"),
        (datetime(2024, 3, 5, 14, 7, tzinfo=UTC), "2024-03-05T14:07:00Z"), (datetime(2024, 3, 5, 14, 7, 9, 120000, tzinfo=UTC), "2024-03-05T14:07:09.120Z"),
        (datetime(2024, 3, 5, 14, 7, tzinfo=timezone(timedelta(hours=2))), "2024-03-05T14:07+02:00"),
        (datetime(2024, 3, 5, 14, 7, 1, tzinfo=ZoneInfo("Europe/Paris")), "2024-03-05T14:07:01+01:00[Europe/Paris]"),
        (datetime.fromisoformat("2024-03-05T14:07"), "2024-03-05T14:07"), (date(2024, 3, 5), "2024-03-05"), (timedelta(hours=25, minutes=30), "PT25H30M"),
    ],
)  # fmt: skip
def test_values_print(value, text):
    assert output_text(value) == text


def test_dates_inside_json():
    values = [datetime(2024, 3, 5, 14, 7, 9, tzinfo=ZoneInfo("Europe/Paris")), datetime(2024, 3, 5, 14, 7, tzinfo=UTC), timedelta(minutes=90)]
    assert to_json(values) == '["2024-03-05T13:07:09Z","2024-03-05T14:07:00Z",5400.000000000]'
    assert to_json(values[:2], dialect="2.0") == '["2024-03-05T13:07:09.000000Z","2024-03-05T14:07:00.000000Z"]'
    assert to_json(values[:1], zone=ZoneInfo("Asia/Tokyo")) == '["2024-03-05T22:07:09+09:00"]'


def test_java_text_of_structures():
    assert java_text({"a": [1, None, "b"], "c": {}}) == "{a=[1, null, b], c={}}"


def test_maps_made_by_an_expression_have_the_order_of_the_reference(render):
    assert render("{{ {'name': 1, 'age': 2, 'k': 3, 'z': 4} }}") == '{"name":1,"z":4,"k":3,"age":2}'
    assert render("{{ m | replace({'x': 'y'}) }}", {"m": {"k": "x", "z": "x"}}) == '{"z":"y","k":"y"}'
    assert render("{{ m }}", {"m": {"k": 1, "a": 2}}) == '{"k":1,"a":2}'


def test_dates_as_ion(render):
    context = {"z": datetime(2024, 3, 5, 14, 7, tzinfo=ZoneInfo("Europe/Paris")), "i": datetime(2024, 3, 5, 14, 7, tzinfo=UTC), "d": date(2024, 3, 5)}
    assert render("{{ [z, i, d] | toIon }}", context) == '[ZonedDateTime::"2024-03-05T14:07:00+01:00[Europe/Paris]",2024-03-05T14:07:00.000Z,2024-03-05]'
    assert render("{{ fromIon([z, i, d] | toIon)[0] }}", context) == "2024-03-05T14:07+01:00[Europe/Paris]"


def test_an_enum_of_strings_is_its_text(render):
    class State(str, Enum):  # noqa: UP042  the older form prints its name
        FAILED = "FAILED"

    context = {"s": State.FAILED}
    assert render("{{ s }} {{ [s] }} {{ s ~ '!' }} {{ s | lower }} {{ s == 'FAILED' }} {{ [s] | jq('.[0]') }}", context) == (
        'FAILED ["FAILED"] FAILED! failed true ["FAILED"]'
    )
