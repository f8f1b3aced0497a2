"""The jq of our own. Expected results are those of jq 1.6."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from podium.base.errors import ExpressionError
from podium.expressions import runtime
from podium.expressions.jq.program import run_jq
from podium.expressions.runtime import Meter

DATA = {
    "a": {"b": [10, 20, {"c": "d"}]},
    "s": "str",
    "n": [3, 1, 2],
    "o": {"x": 1, "y": 2},
    "people": [{"name": "Al", "age": 30}, {"name": "Bo", "age": 20}, {"name": "Cy", "age": 30}],
    "text": "foo bar foo",
}


def jq(program: str, data: Any = DATA) -> list[Any]:
    return run_jq(program, data, Meter(), zone=UTC, dialect="1.x")


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (".a.b[0], .a[\"b\"][-1].c, .n[1:], .s[:1]", '[10, "d", [1, 2], "s"]'),
        (".zz.y.z, .n[9], .s.x?", "[null, null]"),
        (".people[] | select(.age > 25) | .name", '["Al", "Cy"]'),
        ("[.people[] | {name, older: (.age + 1), \"k\\(.name)\": 1}] | .[0]", '[{"name": "Al", "older": 31, "kAl": 1}]'),
        ("[{a: (1, 2), b: (3, 4)}] | length, .[1]", '[4, {"a": 1, "b": 4}]'),
        ("[(1, 2) + (10, 20)]", "[[11, 12, 21, 22]]"),
        (".gone // \"d\", (empty // 3), ((null, 1) // 2)", '["d", 3, 1]'),
        ("reduce .n[] as $x (0; . + $x), [foreach .n[] as $x (0; . + $x; [$x, .])]", "[6, [[3, 3], [1, 4], [2, 6]]]"),
        (". as {a: {b: [$x, $y]}, $s} | [$x, $y, $s]", '[[10, 20, "str"]]'),
        (".people | group_by(.age) | map(length)", "[[1, 2]]"),
        (".people | sort_by(.age, .name) | map(.name), (map(.age) | add, unique, min, max)", '[["Bo", "Al", "Cy"], 80, [20, 30], 20, 30]'),
        ("([paths] | length), [path(.a.b[0, 1])]", '[25, [["a", "b", 0], ["a", "b", 1]]]'),
        ("del(.a, .people, .text, .n[0])", '[{"s": "str", "n": [1, 2], "o": {"x": 1, "y": 2}}]'),
        (".o | .x += 5 | .z.w = 1 | .y |= . * 3 | .q //= 7", '[{"x": 6, "y": 6, "z": {"w": 1}, "q": 7}]'),
        (".n | .[0] |= empty, .[1:] = [9], (.[] += 1)", "[[1, 2], [3, 9], [4, 2, 3]]"),
        (".o | to_entries, with_entries(.value += 1), map_values(. * 2), keys", '[[{"key": "x", "value": 1}, {"key": "y", "value": 2}], {"x": 2, "y": 3}, {"x": 2, "y": 4}, ["x", "y"]]'),
        (".text | split(\" \"), test(\"BAR\"; \"i\"), [scan(\"o+\")], sub(\"foo\"; \"X\"), gsub(\"(?<l>[a-z])o\"; \"<\\(.l)>\")",
         '[["foo", "bar", "foo"], true, ["oo", "oo"], "X bar foo", "<f>o bar <f>o"]'),
        (".text | [match(\"foo\"; \"g\").offset], capture(\"(?<x>b.)\"), index(\"foo\"), rindex(\"foo\"), indices(\"o\")",
         '[[0, 8], {"x": "ba"}, 0, 8, [1, 2, 9, 10]]'),
        ("[range(3)], [range(0; 10; 4)], [limit(2; range(9))], first(range(9)), [.n[] | until(. > 9; . * 2)]", "[[0, 1, 2], [0, 4, 8], [0, 1], 0, [12, 16, 16]]"),
        ("[1 | while(. < 9; . * 2)], [limit(3; 1 | repeat(. * 2))], [2 | recurse(if . < 4 then . + 1 else empty end)]", "[[1, 2, 4, 8], [1, 2, 4], [2, 3, 4]]"),
        (".n | any(. > 2), all(. > 2), contains([1]), inside([1, 2, 3, 4]), flatten, reverse, join(\"-\")", '[true, false, true, true, [3, 1, 2], [2, 1, 3], "3-1-2"]'),
        ("def fac: if . <= 1 then 1 else . * (. - 1 | fac) end; def f($x; g): $x + g; [.n[] | fac], f(1; 2)", "[[6, 1, 2], 3]"),
        ("try error(\"x\") catch ., (try (1 + \"a\") catch \"c\"), [.n[] | try (if . == 1 then error else . end) catch 0]", '["x", "c", [3, 0, 2]]'),
        ("label $out | foreach .n[] as $i (0; . + $i; if . > 3 then ., break $out else . end)", "[3, 4]"),
        ("@csv \"\\(.n)\", @html \"\\(\"<&\")\", @uri \"\\(\"a b\")\", @sh \"\\(.s)\", (.s | @base64 | ., @base64d), (.n | @json)",
         '["3,1,2", "&lt;&amp;", "a%20b", "\'str\'", "c3Ry", "str", "[3,1,2]"]'),
        ("4 / 2, 3 / 2, 7 % 3, -7 % 3, 5 - 8, \"a,b\" / \",\", ([1, 2, 1] - [1]), ({a: {b: 1}} * {a: {c: 2}})", '[2, 1.5, 1, -1, -3, ["a", "b"], [2], {"a": {"b": 1, "c": 2}}]'),
        ("null < false, 1 < \"a\", [] < {}, ({a: 1} == {a: 1.0})", "[true, true, true, true]"),
        ("(.f, 2.7 | values | floor), (2 | pow(.; 10), sqrt * 0), (\"12\", \"1.5\" | tonumber), (.n | tostring, tojson)", '[2, 1024, 0, 12, 1.5, "[3,1,2]", "[3,1,2]"]'),
        ("1700000000 | todate, (gmtime | mktime), strftime(\"%Y\"), (\"2023-11-14T22:13:20Z\" | fromdate)", '["2023-11-14T22:13:20Z", 1700000000, "2023", 1700000000]'),
        ("fromstream(.o | tostream), [.o | tostream] | length", "[2, 3]"),
        ("walk(if type == \"number\" then . + 1 else . end) | .n, (.o | add)", "[[4, 2, 3], 5]"),
        ("env, $ENV, ($__loc__ | .line)", "[{}, {}, 1]"),
        ("[splits(\"a\")?], [.[]?] | length", "[0, 6]"),
        ("\"é\\n\\u00e9\\t\" | explode, length, utf8bytelength, ascii_upcase", '[[233, 10, 233, 9], 4, 6, "é\\né\\t"]'),
        ("[.people[] | (.name | ascii_downcase) as $n | \"\\($n)-\\(.age)\"]", '[["al-30", "bo-20", "cy-30"]]'),
    ],
)  # fmt: skip
def test_programs(program, expected):
    assert jq(program) == json.loads(expected)


@pytest.mark.parametrize(
    "program",
    [".[", "nofun", "nofun(1)", "$gone", ".a | error", "1 + \"a\"", ".s.x", "{(1): 2}", "import \"x\" as x; .", "include \"x\"; .", "now", "input",
     "path(1)", ". as [$a] | $a", "\"open", "if 1 then 2", "reduce . as $x", "break $x", ".n | implode | implode", "{a: 1} | .[0]", "@nope", "test(\"(\")"],
)  # fmt: skip
def test_bad_programs_and_uncaught_errors_raise(program):
    with pytest.raises(ExpressionError):
        jq(program)


@pytest.mark.parametrize(
    "program",
    ["[range(1e12)]", "last(range(1e12))", "def f: f; f", "[recurse(.)]", "until(false; .)", "[repeat(1)]", "reduce range(1e9) as $x (\"a\"; . + .)",
     "\"a\" * 1e10", ".n | .[1e9] = 1", "[range(99999)] | map(. as $x | [range($x)])", "while(true; .)", "def f(x): x | f(x | x); f(1)",
     "[limit(1e9; repeat(\"x\"))] | add"],
)  # fmt: skip
def test_programs_that_never_end_are_stopped(program, monkeypatch):
    monkeypatch.setattr(runtime, "TEMPLATE_FUEL_MAX", 100_000)
    with pytest.raises(ExpressionError):
        jq(program)


def test_templates_use_it_on_values_and_json_text(render):
    assert render("{{ js | jq('.k[0]') }} {{ m | jq('.a | .b, .c') | first }} {{ null | jq('.') }}|", {"js": '{"k":[1.0]}', "m": {"a": {"b": 5}}}) == "[1.0] 5 |"
    assert render("{{ [1, null] | jq('.') }} {{ m | jq('keys') | first }}", {"m": {"a": 1, "nul": None}}) == '[[1,null]] ["a"]'
    assert render("{{ d | jq('.') | first }}", {"d": datetime(2024, 3, 5, tzinfo=UTC)}) == "2024-03-05T00:00:00Z"


def test_a_program_cannot_change_what_it_is_given():
    data = {"l": [1, {"x": 1}]}
    jq(".l[1].x = 2 | del(.l[0]) | .l += [3]", data)
    assert data == {"l": [1, {"x": 1}]}
