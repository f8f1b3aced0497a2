"""Rows of charts over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import LimitError
from podium.flows.dashboards.load import parse_chart
from podium.flows.dashboards.model import Data
from podium.flows.dashboards.scope import Scope
from podium.store.charts import reads
from podium.store.charts.reads import Charts
from podium.store.charts.sql import build
from podium.store.db import Database
from podium.store.journal import ExecutionRow
from podium.store.views import Views

START = datetime(2026, 3, 1, tzinfo=UTC)


def row(number: int, **more: Any) -> ExecutionRow:
    at = START + timedelta(hours=number)
    facts: dict[str, Any] = {
        "id": f"{number:022}", "namespace": "a.b" if number % 2 else "ab", "flow_id": f"f{number % 3}", "revision": 1,
        "state": "FAILED" if number % 4 == 0 else "SUCCESS", "created_at": at, "ended_at": at + timedelta(seconds=10 + number), "trigger_id": None,
        "trigger_execution_id": None, "parent_id": None, "open": False, "summary": {}, "labels": {"team": f"t{number % 2}"},
    }
    return ExecutionRow(**(facts | more))


@pytest.fixture
async def charts(tmp_path: Path) -> AsyncIterator[Charts]:
    database = Database.open(tmp_path / "journal.sqlite")
    rows = [row(number) for number in range(48)]
    rows[47] = row(47, open=True, state="RUNNING", ended_at=None)
    await Views(database).enter([*rows, row(48, loop=True)])
    yield Charts(database)
    database.close()


def data(text: str) -> Data:
    kind = "KPI" if "numerator" in text or "columns: {agg" in text or "columns: {field: DURATION" in text else "Table"
    chart, problems = parse_chart(f"id: c\ntype: {kind}\ndata: {text}\n")
    assert not problems, problems
    assert chart is not None
    assert chart.data is not None
    return chart.data


def scope(**more: Any) -> Scope:
    return Scope(**({"start": START, "end": START + timedelta(days=30), "now": START + timedelta(days=2)} | more))


async def rows_of(charts: Charts, text: str, **more: Any) -> list[list[Any]]:
    return [list(each.values()) for each in (await charts.rows(data(text), scope(**more))).rows]


async def counted(charts: Charts, where: str, **more: Any) -> int:
    ((number,),) = await rows_of(charts, f"{{type: Executions, columns: {{n: {{agg: COUNT}}}}, where: [{where}]}}", **more)
    return int(number)


async def test_rows_are_grouped_and_open_executions_count_iterations_do_not(charts: Charts) -> None:
    found = await rows_of(charts, "{type: Executions, columns: {s: {field: STATE}, n: {agg: COUNT}}}")
    assert found == [["SUCCESS", 35], ["FAILED", 12], ["RUNNING", 1]]


@pytest.mark.parametrize(("days", "first", "count"), [(2, "2026-03-01T00:00:00Z", 48), (30, "2026-03-01", 2), (200, "2026-02-23", 2), (400, "2026-03-01", 1)])
async def test_time_is_divided_as_finely_as_the_window_allows(charts: Charts, days: int, first: str, count: int) -> None:
    found = await rows_of(charts, "{type: Executions, columns: {d: {field: START_DATE}, n: {agg: COUNT}}}", end=START + timedelta(days=days))
    assert (found[0][0], len(found)) == (first, count)


async def test_durations_are_seconds_and_what_runs_lasts_until_now(charts: Charts) -> None:
    ((shortest, longest),) = await rows_of(charts, "{type: Executions, columns: {a: {field: DURATION, agg: MIN}, b: {field: DURATION, agg: MAX}}}")
    assert shortest == pytest.approx(10, abs=0.01)
    assert longest == pytest.approx(3600, abs=0.01)


@pytest.mark.parametrize(
    ("where", "number"),
    [
        ("{type: EQUAL_TO, field: STATE, value: FAILED}", 12), ("{type: NOT_EQUAL_TO, field: STATE, value: FAILED}", 36),
        ("{type: IN, field: STATE, values: [FAILED, RUNNING]}", 13), ("{type: NOT_IN, field: STATE, values: [FAILED, RUNNING]}", 35),
        ("{type: IS_NULL, field: END_DATE}", 1), ("{type: IS_NOT_NULL, field: END_DATE}", 47),
        ("{type: CONTAINS, field: NAMESPACE, value: .b}", 24), ("{type: STARTS_WITH, field: NAMESPACE, value: a}", 48),
        ("{type: ENDS_WITH, field: FLOW_ID, value: '1'}", 16), ("{type: ENDS_WITH, field: FLOW_ID, value: ''}", 48),
        ("{type: REGEX, field: FLOW_ID, value: 'f[01]$'}", 32), ("{type: GREATER_THAN, field: DURATION, value: 55}", 2),
        ("{type: LESS_THAN_OR_EQUAL_TO, field: DURATION, value: '10.5'}", 1), ("{type: EQUAL_TO, field: LABELS, labelKey: team, value: t1}", 24),
        ("{type: GREATER_THAN_OR_EQUAL_TO, field: START_DATE, value: '2026-03-02'}", 24), ("{type: IS_TRUE, field: FLOW_ID}", 0),
        ("{type: OR, values: [{type: EQUAL_TO, field: STATE, value: FAILED}, {type: EQUAL_TO, field: STATE, value: RUNNING}]}", 13),
        ("{type: EQUAL_TO, field: STATE, value: \"'; DROP TABLE executions; --\"}", 0),
    ],
)
async def test_filters_mean_what_they_say(charts: Charts, where: str, number: int) -> None:
    assert await counted(charts, where) == number


async def test_readers_see_their_namespaces_only_and_what_they_asked_for(charts: Charts) -> None:
    assert await counted(charts, "", visible=frozenset({"a"})) == 24
    assert await counted(charts, "", visible=frozenset()) == 0
    assert await counted(charts, "", namespace="a") == 24
    assert await counted(charts, "", namespace="a.b", visible=frozenset({"ab"})) == 0
    assert await counted(charts, "", flow_id="f1") == 16


async def test_a_share_is_of_what_matches_the_other_filters(charts: Charts) -> None:
    text = "{type: ExecutionsKPI, columns: {agg: COUNT}, numerator: [{type: EQUAL_TO, field: STATE, value: FAILED}],"
    assert await rows_of(charts, text + " where: [{type: EQUAL_TO, field: FLOW_ID, value: f0}]}") == [[4, 16]]


async def test_rows_without_groups_are_newest_first_with_labels_as_a_map(charts: Charts) -> None:
    found = await rows_of(charts, "{type: Executions, columns: {d: {field: START_DATE}, l: {field: LABELS}}}")
    assert found[0] == ["2026-03-02T23:00:00.000Z", {"team": "t1"}]


async def test_flows_are_counted_by_the_same_rules(charts: Charts) -> None:
    given = [{"ID": "x", "NAMESPACE": "a.b", "REVISION": 3}, {"ID": "y", "NAMESPACE": "ab", "REVISION": 1}]
    asked = data("{type: Flows, columns: {n: {field: NAMESPACE}, r: {field: REVISION, agg: SUM}}}")
    assert (await charts.rows_of(asked, given, scope())).rows == [{"n": "a.b", "r": 3}, {"n": "ab", "r": 1}]
    assert (await charts.rows_of(asked, given, scope(visible=frozenset({"a"})))).rows == [{"n": "a.b", "r": 3}]


async def test_a_chart_that_takes_too_long_is_given_up(charts: Charts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "CHART_S_MAX", -1.0)
    monkeypatch.setattr(reads, "_STEPS", 10)
    with pytest.raises(LimitError, match="the chart took longer"):
        await counted(charts, "")
    monkeypatch.undo()
    assert await counted(charts, "") == 48


async def test_a_pattern_that_never_ends_is_given_up(charts: Charts) -> None:
    await Views(charts._db).enter([row(60, flow_id="a" * 60)])
    with pytest.raises(LimitError):
        await counted(charts, "{type: REGEX, field: FLOW_ID, value: '(a|aa)+$b'}")


async def test_rows_are_bounded(charts: Charts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "CHART_ROWS_MAX", 5)
    found = await charts.rows(data("{type: Executions, columns: {i: {field: ID}}}"), scope())
    assert (len(found.rows), found.cut) == (5, True)


async def test_closed_executions_are_counted_along_one_index_alone(charts: Charts) -> None:
    query = build(data("{type: Executions, columns: {s: {field: STATE}, n: {field: DURATION, agg: AVG}}}"), scope(), limit=10)
    plan = charts._db.read_now(lambda c: [each[3] for each in c.execute(f"EXPLAIN QUERY PLAN {query.text}", query.values)])
    assert any("COVERING INDEX executions_closed" in each for each in plan)
