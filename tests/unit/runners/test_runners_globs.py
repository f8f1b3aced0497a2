"""File patterns decide which files of a task are kept; a wrong match loses a person's results."""

from __future__ import annotations

import pytest

from podium.base.errors import FlowError, LimitError
from podium.base.globs import compile_globs, fixed_prefix, normalise, search_roots
from podium.base.patterns import RegexBudget


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a.txt", "a.txt", True),
        ("a.txt", "b/a.txt", False),
        ("*.txt", "a.txt", True),
        ("*.txt", "sub/a.txt", False),
        ("**.txt", "sub/a.txt", True),
        ("**/*.txt", "sub/deep/a.txt", True),
        ("**/*.txt", "a.txt", True),
        ("**", "any/thing", True),
        ("out/*", "out/stay.txt", True),
        ("out/**", "out/a/b", True),
        ("out/**", "outer/a", False),
        ("?.csv", "a.csv", True),
        ("?.csv", "ab.csv", False),
        ("[a-c].csv", "b.csv", True),
        ("[!a-c].csv", "b.csv", False),
        ("[!a-c].csv", "z.csv", True),
        ("[^a].csv", "b.csv", True),
        ("{a,b}.{csv,txt}", "b.txt", True),
        ("{a,b}.csv", "c.csv", False),
        ("a,b}.txt", "a,b}.txt", True),
        (r"\*.txt", "*.txt", True),
        (r"\*.txt", "a.txt", False),
        ("a+b(1).txt", "a+b(1).txt", True),
        ("./a.txt", "a.txt", True),
        ("/a.txt", "a.txt", True),
        ("glob:*.md", "x.md", True),
        (r"regex:\d+\.log", "12.log", True),
        (r"regex:\d+\.log", "x12.log", False),
        ("[.txt", "[.txt", True),
        ("[a&&b]", "&", True),
    ],
)
def test_patterns_match_as_java_globs_do(pattern: str, path: str, matches: bool) -> None:
    assert compile_globs([pattern])(path) is matches


def test_no_pattern_matches_nothing() -> None:
    assert not compile_globs([])("a")
    assert not compile_globs(["", "  "])("a")


def test_a_pattern_that_is_none_is_named() -> None:
    for wrong in ("{a,b", "regex:(", "[z-a]"):
        with pytest.raises(FlowError, match="is not a file pattern") as caught:
            compile_globs([wrong])
        assert caught.value.hint


def test_a_pattern_that_explodes_is_stopped() -> None:
    """Without a time limit one hostile pattern would hold the whole daemon."""
    with pytest.raises(LimitError) as caught:
        compile_globs([r"regex:(a|aa)+\d"], budget=RegexBudget(0.05))("a" * 60)
    assert caught.value.facts["limit"] == "REGEX_TIMEOUT_S"


def test_only_the_needed_folders_are_read() -> None:
    assert fixed_prefix("out/**/*.csv") == "out"
    assert fixed_prefix("a.txt") == "a.txt"
    assert fixed_prefix("*.csv") == ""
    assert fixed_prefix("regex:out/.*") == ""
    assert normalise(".//out/x") == "out/x"
    assert search_roots(["out/*.csv", "out/sub/*.txt", "a.txt", "out"]) == ["a.txt", "out"]
    assert search_roots(["*.csv", "out/x"]) == [""]
    assert search_roots(["outer/*", "out/*"]) == ["out", "outer"]
