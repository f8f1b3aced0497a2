"""Expressions under arbitrary input: nothing but ExpressionError comes out, and it comes soon."""

from __future__ import annotations

import contextlib
import json
import string
from datetime import UTC
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.base.errors import ExpressionError
from podium.cli.local.expr import LocalWorld
from podium.expressions.compile import compile_template, is_pure, render_value
from podium.expressions.filters.table import FILTERS
from podium.expressions.functions.table import FUNCTIONS
from podium.expressions.jq.program import run_jq
from podium.expressions.runtime import Meter
from podium.expressions.text import java_text, to_json

WORLD = LocalWorld({})
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
PIECES = [
    "{{", "}}", "{%", "%}", "{#", "#}", "{{-", "-}}", "-%}", "'", '"', "#{", "}", "(", ")", "[", "]", "{", ":", ",", ".", "..", "=", "|", "?", "??", "???",
    "~", "+", "-", "*", "/", "%", "==", "!=", "<", ">", " is ", " is not ", " not ", " and ", " or ", " contains ", " isIn ", " in ", " if ", " else ",
    "endif", "for ", "endfor", "set ", "macro ", "endmacro", "block ", "endblock", "filter ", "endfilter", "verbatim", "endverbatim", "raw", "endraw", "a", "b",
    "loop", "_context", "1", "2.5", "0", "null", "true", "'x'", "\\", "\n", " ", "\u00e9", "\U0001f389", "defined", "empty", "upper", "default", "range", "render",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
VALUES = ["null", "true", "-3", "2.5", "''", "'ab1'", "[]", "[3, 1, 2]", "['b', 'a']", "{}", "{'k': 'v'}", "a", "b", "gone", "'2024-03-05'", "(1..3)", "[[1], [2]]"]
CONTEXT: dict[str, Any] = {"a": {"x": [1, None, "s"]}, "b": "text 1", "render": "{{ a }}"}


def outcome(template: str, dialect: str = "1.x") -> str | None:
    """What a template renders to; None when it fails as it should."""
    try:
        return compile_template(template, dialect=dialect).render(CONTEXT, WORLD)
    except ExpressionError:
        return None


@SLOW
@given(st.text(alphabet=string.printable + "é🎉\u2028", max_size=60), st.sampled_from(["1.x", "2.0"]))
def test_any_text_parses_or_fails_as_an_expression(text, dialect):
    outcome(text, dialect)
    outcome("{{" + text + "}}", dialect)
    is_pure({text: [text]}, dialect=dialect)


@SLOW
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(["1.x", "2.0"]))
def test_any_mixture_of_tokens_parses_or_fails_as_an_expression(text, dialect):
    outcome(text, dialect)
    outcome("{{ " + text, dialect)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """The text of a well-formed expression, often a meaningless one."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(VALUES))
    inner = expressions(depth - 1)
    kind = draw(st.sampled_from(["binary", "filter", "function", "test", "ternary", "attribute", "unary", "list", "map"]))
    one = draw(inner)
    if kind == "binary":
        operator = draw(st.sampled_from(["+", "-", "*", "/", "%", "~", "==", "!=", "<", ">=", "and", "or", "contains", "isIn", "??", "???", ".."]))
        return f"({one} {operator} {draw(inner)})"
    if kind == "filter":
        arguments = ", ".join(draw(st.lists(inner, max_size=2)))
        return f"({one} | {draw(st.sampled_from(sorted(FILTERS['2.0'])))}({arguments}))"
    if kind == "function":
        arguments = ", ".join(draw(st.lists(inner, max_size=3)))
        return f"{draw(st.sampled_from(sorted(FUNCTIONS['2.0'])))}({arguments})"
    if kind == "test":
        return f"({one} is {draw(st.sampled_from(['defined', 'null', 'empty', 'even', 'odd', 'iterable', 'map', 'json']))})"
    if kind == "ternary":
        return f"({one} ? {draw(inner)} : {draw(inner)})"
    if kind == "attribute":
        return f"({one})[{draw(inner)}]"
    if kind == "unary":
        return f"({draw(st.sampled_from(['-', '+', 'not ']))}{one})"
    return f"[{one}, {draw(inner)}]" if kind == "list" else f"{{'k': {one}, {draw(inner)}: 1}}"


@SLOW
@given(expressions(), st.sampled_from(["1.x", "2.0"]))
def test_well_formed_expressions_give_a_value_or_an_expression_error(text, dialect):
    rendered = outcome("{{ " + text + " }}", dialect)
    if rendered is None:
        return
    typed = compile_template("{{ " + text + " }}", dialect=dialect)
    try:
        typed.evaluate(CONTEXT, WORLD)
    except ExpressionError:
        raise AssertionError("renders as text but has no value") from None


@SLOW
@given(JSON)
def test_json_survives_the_way_through_a_template(value):
    def without_nulls(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: without_nulls(inner) for key, inner in item.items() if inner is not None}
        return [without_nulls(inner) for inner in item] if isinstance(item, list) else item

    text = to_json(value)
    assert json.loads(text) == without_nulls(value)
    back = compile_template("{{ fromJson(t) }}").evaluate({"t": text}, WORLD)
    assert back == without_nulls(value)
    assert compile_template("{{ v | toJson }}").render({"v": value}, WORLD) == text
    java_text(value)


@SLOW
@given(JSON)
def test_rendering_a_structure_without_templates_gives_it_back(value):
    def plain(item: Any) -> bool:
        if isinstance(item, dict):
            return all(plain(key) and plain(inner) for key, inner in item.items())
        return all(map(plain, item)) if isinstance(item, list) else not (isinstance(item, str) and "{" in item)

    if plain(value):
        assert render_value(value, {}, WORLD) == value


@SLOW
@given(JSON, st.lists(st.sampled_from([".", ".[]", ".a", "[", "]", "{", "}", "|", ",", "//", "+", "map(", ")", "..", "?", "1", '"x"', "if ", " then ", " else ", " end", " as $x ", "$x", "path(", "del(", "=", "|=", "reduce ", "keys", "length", "tojson"]), max_size=10).map("".join))
def test_any_jq_program_gives_results_or_an_expression_error(value, program):
    with contextlib.suppress(ExpressionError):
        run_jq(program, value, Meter(), zone=UTC, dialect="1.x")


@SLOW
@given(st.text(max_size=20), st.text(alphabet="yMdHmsSEaXxZzVGQquLDwWekKhAnNFcBpO'[]{}# -:.T", max_size=12))
def test_any_date_and_pattern_give_text_or_an_expression_error(text, pattern):
    template = compile_template("{{ d | date(p) }}{{ t | date(existingFormat=p) }}{{ t | date(p) }}")
    with contextlib.suppress(ExpressionError):
        template.render({"d": "2024-03-05T14:07:09Z", "p": pattern, "t": text}, WORLD)


@SLOW
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), st.text(alphabet="#0,.;%E'-a", max_size=10))
def test_any_number_pattern_gives_text_or_an_expression_error(number, pattern):
    with contextlib.suppress(ExpressionError):
        compile_template("{{ n | numberFormat(p) }}{{ p | format(n) }}", dialect="2.0").render({"n": number, "p": pattern}, WORLD)


@SLOW
@given(st.text(max_size=40))
def test_any_text_reads_as_yaml_ion_and_json_or_fails_as_an_expression(text):
    for template in ("{{ yaml(t) }}", "{{ fromIon(t, true) }}", "{{ fromJson(t) }}", "{{ t | number }}", "{{ yaml(t | yaml) == t }}"):
        with contextlib.suppress(ExpressionError):
            compile_template(template).render({"t": text}, WORLD)
