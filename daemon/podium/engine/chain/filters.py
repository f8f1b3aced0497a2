"""Comparisons of `preconditions.where`: whether what stands on the left passes a filter. Pure. Source: flow-language 7.3."""

from __future__ import annotations

from typing import Any

from podium.base.patterns import matches
from podium.expressions.compile import truthy
from podium.expressions.text import java_text
from podium.flows.triggers import Filter


def passes(each: Filter, left: Any) -> bool:
    """left: the flow's id, namespace or state, or for EXPRESSION what `value` rendered to. Raises ValueError for a bad pattern."""
    text = "" if left is None else java_text(left)
    value = each.value or ""
    match each.type:
        case "EQUAL_TO":
            return text == value
        case "NOT_EQUAL_TO":
            return text != value
        case "IN":
            return text in (each.values or ())
        case "NOT_IN":
            return text not in (each.values or ())
        case "IS_TRUE":
            return truthy(text)
        case "IS_FALSE":
            return not truthy(text)
        case "IS_NULL":
            return text == ""
        case "IS_NOT_NULL":
            return text != ""
        case "STARTS_WITH":
            return text.startswith(value)
        case "ENDS_WITH":
            return text.endswith(value)
        case "CONTAINS":
            return value in text
        case "REGEX":
            return matches(value, text)
