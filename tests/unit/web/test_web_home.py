"""The chart of the first page counts everything once, and the palette finds flows by letters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from podium.flows.model import STATES
from podium.web.pages.home.chart import HEIGHT, ORDER, RANGES, chart, window
from podium.web.pages.home.palette import best, score

NOW = datetime(2026, 1, 5, 7, 13, 21, tzinfo=UTC)


@given(st.lists(st.dictionaries(st.sampled_from(STATES), st.integers(1, 10**6)), min_size=1, max_size=60))
def test_each_execution_is_in_one_segment_and_none_leaves_the_drawing(parts: list[dict[str, int]]) -> None:
    drawn = chart(parts, NOW, NOW + timedelta(hours=1))
    assert [bar.total for bar in drawn.bars] == [sum(part.values()) for part in parts]
    assert [{each.state: each.count for each in bar.segments} for bar in drawn.bars] == parts
    assert all(each.y >= 0 and each.height > 0 and each.y < HEIGHT for bar in drawn.bars for each in bar.segments)
    assert sum(drawn.totals.values()) == sum(sum(part.values()) for part in parts)
    assert drawn.top >= max(bar.total for bar in drawn.bars)


def test_every_state_has_its_place_in_a_bar() -> None:
    assert sorted(ORDER) == sorted(STATES)


def test_parts_begin_at_whole_steps_of_the_clock_and_now_is_in_the_last() -> None:
    for span, steps in RANGES.values():
        start, end = window(NOW, span, steps)
        assert end - start == span
        assert end - span / steps <= NOW < end
    assert window(NOW, *RANGES["24h"])[1] == datetime(2026, 1, 5, 7, 30, tzinfo=UTC)


def test_letters_in_order_find_and_near_each_other_is_better() -> None:
    assert score("dsl", "daily-sales") is not None
    assert score("lsd", "daily-sales") is None
    assert (score("sales", "daily-sales") or 0) > (score("sales", "s-a-l-e-s") or 0)


def test_a_flow_that_begins_so_comes_before_one_of_a_namespace_that_does() -> None:
    flows: list[Any] = [SimpleNamespace(namespace=namespace, flow_id=name) for namespace, name in (("etl", "zebra"), ("company", "etl"), ("company", "other"))]
    assert [each.flow_id for each in best(flows, "etl")] == ["etl", "zebra"]
