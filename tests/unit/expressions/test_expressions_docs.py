"""Every example of docs/expressions.md gives what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs/expressions.md").read_text("utf-8")
CONTEXT = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
ROWS = re.findall(r"^\| `(\{.*?)` \| (.*?) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("template", "expected"), ROWS)
def test_examples_of_the_page(render, template, expected):
    assert render(template.replace("\\|", "|"), CONTEXT) == expected


def test_the_page_names_every_filter_and_function():
    from podium.expressions.filters.table import FILTERS
    from podium.expressions.functions.table import FUNCTIONS

    words = set(re.findall(r"\w+", PAGE))
    known = {*FILTERS["1.x"], *FILTERS["2.0"], *FUNCTIONS["1.x"], *FUNCTIONS["2.0"]} - {"fileEmpty", "i18n", "parent"}
    assert known - words == set()
    assert len(ROWS) > 30
