"""Patterns in Java's dialect, with a limit on time."""

from __future__ import annotations

import pytest

from podium.base.errors import LimitError
from podium.base.patterns import RegexBudget, compile_java, find_all, matches, replace, search, split


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\Qa.b\E+", "xa.bb", "a.bb"),
        (r"\Qa.b", "xa.b", "a.b"),
        (r"\d+", "x٣12", "12"),
        (r"\w+", "é_a1", "_a1"),
        (r"[\d-]+", "a1-2", "1-2"),
        (r"\p{Alpha}+\p{Digit}", "a1", "a1"),
        (r"\p{L}+", "éa", "éa"),
        (r"\P{Lower}", "aB", "B"),
        (r"\pL\P{IsGreek}[\p{Lu}\d]", "xéa9", "éa9"),
        (r"[a-z&&[^b]]+", "bac", "ac"),
        (r"(?<n>a)\k<n>", "baa", "aa"),
        (r"\x{41}\0101\u0041", "AAA", "AAA"),
        (r"a.b", "a\rb a b", "a b"),
        (r"(?s)a.b", "a\nb", "a\nb"),
        (r"a\z", "ba", "a"),
        (r"[--~~||]+", "a-~|", "-~|"),
        (r"a{2}b{1,}", "aabb", "aabb"),
    ],
)
def test_java_syntax(pattern, text, found):
    match = search(pattern, text)
    assert match is not None
    assert match.group() == found


@pytest.mark.parametrize("pattern", ["(", "a{", "x{e}", "\\", "[" * 3000, "(" * 3000, "*", "(?P<a", "x" * 20_000, "a{1"])
def test_mistakes_are_value_errors(pattern):
    with pytest.raises(ValueError, match=r"."):
        compile_java(pattern)


def test_replacements():
    assert replace("(a)(b)", "ab", "$2$1\\$") == "ba$"
    assert replace("(?<n>a)", "a", "${n}${n}") == "aa"
    assert replace("(a)", "a", "$10") == "a0"
    assert replace("(a)|b", "b", "[$1]") == "[]"
    for bad in ("$", "$2", "${x}", "\\"):
        with pytest.raises(ValueError, match=r"."):
            replace("(a)", "a", bad)


def test_split_drops_what_java_drops():
    assert split(",", "a,b,,") == ["a", "b"]
    assert split(",", "a,b,,", -1) == ["a", "b", "", ""]
    assert split(",", "a,b,c", 2) == ["a", "b,c"]
    assert split("", "abc") == ["a", "b", "c"]
    assert split(",", "") == [""]
    assert split(",", ",a") == ["", "a"]
    assert split(",", ",,") == []


def test_find_all_and_matches():
    assert [match.group() for match in find_all("a.", "ab ac ad", limit=2)] == ["ab", "ac"]
    assert matches("a+", "aa")
    assert not matches("a", "aa")


def test_a_pattern_that_takes_too_long_is_stopped():
    budget = RegexBudget(0.2)
    with pytest.raises(LimitError) as caught:
        search("^(a|aa)+$", "a" * 200_000 + "!", budget)
    assert caught.value.facts["limit"] == "REGEX_TIMEOUT_S"
    with pytest.raises(LimitError):
        search("a", "a", budget)


def test_a_replacement_that_grows_too_long_is_stopped():
    with pytest.raises(LimitError):
        replace("a", "a" * 10_000, "b" * 10_000)
