"""What a query says, and what is refused of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from podium.web.errors import BadRequest, Refused
from podium.web.params import Query, label_list, moment, parse_json, parse_labels


def query(text: str) -> Query:
    return Query(make_mocked_request("GET", f"/x?{text}"))


def test_numbers_have_bounds() -> None:
    assert query("page=3&size=1000").page().number == 3
    for wrong in ("page=0", "page=-1", "page=x", "page=1.5", "size=0", "size=1001", "page=99999999999999999999", "page=٣"):
        with pytest.raises(Refused):
            query(wrong).page()


def test_sorting_knows_its_fields() -> None:
    assert query("sort=state.startDate:desc").page().sort == "startDate:desc"
    assert query("sort=id").page().sort == "id:asc"
    for wrong in ("sort=password:asc", "sort=id:sideways", "sort=id;drop"):
        with pytest.raises(Refused):
            query(wrong).page()


def test_states_in_both_spellings() -> None:
    assert query("state=failed&state=RUNNING,PAUSED").states() == ["FAILED", "RUNNING", "PAUSED"]
    with pytest.raises(Refused, match="no state"):
        query("state=BROKEN").states()


def test_filters_of_newer_clients() -> None:
    found = query("filters[namespace][PREFIX]=company&filters[labels][EQUALS][team]=data&filters[state][IN]=FAILED,KILLED&filters[startDate][GREATER_THAN]=2026-01-01")
    assert found.text("namespace") == "company"
    assert found.labels() == {"team": "data"}
    assert found.states() == ["FAILED", "KILLED"]
    assert found.moment("startDate") == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(Refused, match="not supported"):
        query("filters[namespace][REGEX]=.*")


def test_times() -> None:
    assert moment("2026-01-05T09:00:00+01:00", path="x") == datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert moment("2026-01-05T09:00:00 01:00", path="x") == datetime(2026, 1, 5, 8, tzinfo=UTC), "a plus that was not escaped"
    assert moment("2026-01-05", path="x") == datetime(2026, 1, 5, tzinfo=UTC)
    for wrong in ("yesterday", "", "2026-13-01", "0001-01-01T00:00:00+23:59"):
        with pytest.raises(Refused):
            moment(wrong, path="x")


def test_a_time_range_or_a_start() -> None:
    now = datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert query("timeRange=PT24H").window(now) == (datetime(2026, 1, 4, 8, tzinfo=UTC), None)
    for wrong in ("timeRange=PT24H&startDate=2026-01-01", "timeRange=P999999999D", "timeRange=P9999999999999999D", "timeRange=soon"):
        with pytest.raises(Refused):
            query(wrong).window(now)


def test_labels() -> None:
    assert parse_labels(["team:data", "url: http://x"]) == {"team": "data", "url": "http://x"}
    assert label_list([{"key": "a", "value": 1}, {"key": "b", "value": True}]) == {"a": "1", "b": "true"}
    assert label_list({"a": "x"}) == {"a": "x"}
    for wrong in ("team", ":x", "team:", " : "):
        with pytest.raises(Refused):
            parse_labels([wrong])
    shapes: list[Any] = ["x", [1], [{"key": "a"}], [{"key": "", "value": "x"}], [{"key": "a", "value": {}}], None]
    for shape in shapes:
        with pytest.raises(Refused):
            label_list(shape)


def test_flags() -> None:
    assert query("wait").flag("wait")
    assert query("wait=TRUE").flag("wait")
    assert not query("wait=false").flag("wait", default=True)
    assert query("").flag("wait", default=True)
    with pytest.raises(Refused):
        query("wait=maybe").flag("wait")


def test_json_is_json() -> None:
    assert parse_json('{"a": [1, null]}') == {"a": [1, None]}
    for wrong in ("", "{", "NaN", "[Infinity]", "{'a': 1}", "[" * 100_000):
        with pytest.raises(BadRequest):
            parse_json(wrong)


def test_half_a_surrogate_pair_in_a_body_becomes_a_question_mark() -> None:
    assert parse_json(r'{"a\ud800": ["\udc00", "\ud83d\ude00"]}') == {"a?": ["?", "\U0001f600"]}
