"""The vocabulary that editors get."""

from __future__ import annotations

from podium.expressions.filters.table import FILTERS
from podium.expressions.functions.table import FUNCTIONS
from podium.expressions.words.about import FILTER_WORDS, FUNCTION_WORDS, vocabulary


def test_every_function_and_filter_is_described_and_nothing_else() -> None:
    assert set(FUNCTION_WORDS) == {name for table in FUNCTIONS.values() for name in table}
    assert set(FILTER_WORDS) == {name for table in FILTERS.values() for name in table}


def test_the_vocabulary_names_parameters_and_dialects() -> None:
    found = vocabulary()
    date = next(each for each in found["filters"] if each["name"] == "date")
    assert date["parameters"][0] == "format"
    assert next(each for each in found["functions"] if each["name"] == "max")["parameters"] == ["…"]
    assert next(each for each in found["functions"] if each["name"] == "env")["dialects"] == ["2.0"]
    assert "attemptsCount" in next(each for each in found["variables"] if each["name"] == "taskrun")["members"]
