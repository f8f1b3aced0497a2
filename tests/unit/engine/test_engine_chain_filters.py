"""One comparison of a precondition's filter. Source: flow-language 7.3."""

from __future__ import annotations

from typing import Any

import pytest

from podium.engine.chain.filters import passes
from podium.flows.triggers import Filter


@pytest.mark.parametrize(("kind", "more", "left", "holds"), [
    ("EQUAL_TO", {"value": "a"}, "a", True), ("EQUAL_TO", {"value": "a"}, "b", False),
    ("NOT_EQUAL_TO", {"value": "a"}, "b", True), ("NOT_EQUAL_TO", {"value": "a"}, "a", False),
    ("IN", {"values": ["a", "b"]}, "b", True), ("IN", {"values": ["a", "b"]}, "c", False), ("IN", {}, "a", False),
    ("NOT_IN", {"values": ["a", "b"]}, "c", True), ("NOT_IN", {"values": ["a", "b"]}, "a", False), ("NOT_IN", {}, "a", True),
    ("IS_TRUE", {}, "true", True), ("IS_TRUE", {}, "false", False), ("IS_FALSE", {}, "false", True), ("IS_FALSE", {}, "1", False),
    ("IS_NULL", {}, None, True), ("IS_NULL", {}, "x", False), ("IS_NOT_NULL", {}, "x", True), ("IS_NOT_NULL", {}, None, False),
    ("STARTS_WITH", {"value": "ab"}, "abc", True), ("STARTS_WITH", {"value": "bc"}, "abc", False),
    ("ENDS_WITH", {"value": "bc"}, "abc", True), ("ENDS_WITH", {"value": "ab"}, "abc", False),
    ("CONTAINS", {"value": "b"}, "abc", True), ("CONTAINS", {"value": "x"}, "abc", False),
    ("REGEX", {"value": "a.c"}, "abc", True), ("REGEX", {"value": "a.d"}, "abc", False),
    ("EQUAL_TO", {"value": "7"}, 7, True),
])
def test_a_filter_passes_what_it_says(kind: str, more: dict[str, Any], left: Any, holds: bool) -> None:
    assert passes(Filter(field="EXPRESSION", type=kind, **more), left) is holds  # type: ignore[arg-type]
