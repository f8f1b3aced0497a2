"""The language of dashboards: what is read, and mistakes with their places."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from podium.flows.dashboards.fields import chart_kind, data_kind
from podium.flows.dashboards.load import ParsedDashboard, parse_chart, parse_dashboard

EXAMPLE = Path("flows/dashboards/overview.yaml")
DATA = "data: {type: Executions, columns: {day: {field: START_DATE}, state: {field: STATE}, n: {agg: COUNT}}}"


def board(charts: str, head: str = "title: x\n") -> ParsedDashboard:
    return parse_dashboard(f"{head}charts:\n{charts}", file="dashboards/d.yaml", name="d")


def told(charts: str, head: str = "title: x\n") -> list[str]:
    return [f"{each.line} {each.path} {each.code}" for each in board(charts, head).problems]


def test_the_example_is_read_whole() -> None:
    parsed = parse_dashboard(EXAMPLE.read_text("utf-8"), file="overview.yaml", name="overview")
    assert parsed.problems == ()
    assert parsed.dashboard is not None
    assert (parsed.dashboard.id, parsed.dashboard.default_window) == ("overview", timedelta(days=30))
    assert [each.kind for each in parsed.dashboard.charts] == ["KPI", "KPI", "Markdown", "TimeSeries", "Bar", "Pie", "Table"]


def test_types_are_known_in_full_and_short_and_not_from_other_folders() -> None:
    assert [chart_kind(each) for each in ("io.kestra.plugin.core.dashboard.chart.Bar", "core.dashboard.chart.Bar", "chart.Bar", "Bar")] == ["Bar"] * 4
    assert [chart_kind(each) for each in ("x.Bar", "io.kestra.Bar", "bar", "art.Bar")] == [None] * 4
    assert data_kind("io.kestra.plugin.core.dashboard.data.ExecutionsKPI") == ("Executions", True)
    assert data_kind("Logs") == ("Logs", False)


def test_the_name_is_that_of_the_file_unless_the_text_says_another() -> None:
    chart = f"  - {{id: a, type: Table, {DATA}}}\n"
    assert board(chart).id == "d"
    assert board(chart, "id: other\ntitle: x\n").id == "other"
    assert board("  - {id: a}\n", "id: broken\ntitle: x\n").id == "broken"


@pytest.mark.parametrize(
    ("charts", "expected"),
    [
        ("  - {id: a, type: Bra, data: {}}\n", ["3 charts[0].type unknown-type"]),
        ("  - {id: a}\n", ["3 charts[0].type missing"]),
        ("  - 7\n", ["3 charts[0] wrong-type"]),
        (f"  - {{id: a, type: Table, {DATA}}}\n  - {{id: a, type: Table, {DATA}}}\n", ["4 charts[1].id duplicate-id"]),
        ("  - {id: a, type: Table, data: {type: Logz, columns: {n: {agg: COUNT}}}}\n", ["3 charts[0].data.type unknown-type"]),
        ("  - {id: a, type: Table, data: {type: Logs, columns: {}}}\n", ["3 charts[0].data.columns empty"]),
        ("  - {id: a, type: Table, data: {type: Logs, columns: {n: {field: LEVL}}}}\n", ["3 charts[0].data.columns.n.field unknown-field"]),
        ("  - {id: a, type: Table, data: {type: Logs, columns: {n: {}}}}\n", ["3 charts[0].data.columns.n.field missing"]),
        (
            "  - {id: a, type: Table, data: {type: Logs, columns: {n: {field: LEVEL, agg: AVG}}}}\n",
            ["3 charts[0].data.columns.n.agg wrong-type"],
        ),
        (
            "  - {id: a, type: Pie, data: {type: Executions, columns: {l: {field: LABELS}, n: {agg: COUNT}}}}\n",
            ["3 charts[0].data.columns.l.labelKey missing"],
        ),
        ("  - {id: a, type: Pie, data: {type: Executions, columns: {s: {field: STATE}}}}\n", ["3 charts[0].data.columns missing"]),
        (f"  - {{id: a, type: TimeSeries, {DATA}}}\n", ["3 charts[0].chartOptions.column missing"]),
        (f"  - {{id: a, type: TimeSeries, chartOptions: {{column: state}}, {DATA}}}\n", ["3 charts[0].chartOptions.column wrong-type"]),
        (f"  - {{id: a, type: Bar, chartOptions: {{column: x}}, {DATA}}}\n", ["3 charts[0].chartOptions.column unknown-column"]),
        (f"  - {{id: a, type: Bar, chartOptions: {{colorByColumn: n}}, {DATA}}}\n", ["3 charts[0].chartOptions.colorByColumn invalid-value"]),
        ("  - {id: a, type: KPI, data: {type: LogsKPI, columns: {field: LEVEL}}}\n", ["3 charts[0].data.columns.agg missing"]),
        (
            "  - {id: a, type: KPI, chartOptions: {numberType: PERCENTAGE}, data: {type: LogsKPI, columns: {agg: COUNT}}}\n",
            ["3 charts[0].chartOptions.numberType missing"],
        ),
        ("  - {id: a, type: Markdown}\n", ["3 charts[0].content missing"]),
        ("  - {id: a, type: Table, dta: {}}\n", ["3 charts[0].data missing", "3 charts[0].dta unknown-property"]),
    ],
)
def test_a_mistake_is_told_with_its_place(charts: str, expected: list[str]) -> None:
    assert told(charts) == expected
    assert board(charts).dashboard is None


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("{field: STATE, value: x}", "charts[0].data.where[0].type missing"),
        ("{type: LIKE, field: STATE, value: x}", "charts[0].data.where[0].type unknown-type"),
        ("{type: IN, field: STATE}", "charts[0].data.where[0].values missing"),
        ("{type: EQUAL_TO, field: STATE}", "charts[0].data.where[0].value missing"),
        ("{type: EQUAL_TO, value: x}", "charts[0].data.where[0].field missing"),
        ("{type: EQUAL_TO, field: LABELS, value: x}", "charts[0].data.where[0].labelKey missing"),
        ("{type: REGEX, field: STATE, value: '('}", "charts[0].data.where[0].value invalid-value"),
        ("{type: OR, values: [{type: EQUAL_TO, field: STAT, value: x}]}", "charts[0].data.where[0].values[0].field unknown-field"),
        ("{type: OR}", "charts[0].data.where[0].values missing"),
        ("7", "charts[0].data.where[0] wrong-type"),
    ],
)
def test_a_filter_is_checked(where: str, expected: str) -> None:
    text = f"  - {{id: a, type: Table, data: {{type: Executions, columns: {{s: {{field: STATE}}}}, where: [{where}]}}}}\n"
    assert [line.partition(" ")[2] for line in told(text)] == [expected]


def test_the_window_is_checked() -> None:
    chart = f"  - {{id: a, type: Table, {DATA}}}\n"
    assert told(chart, "title: x\ntimeWindow: {default: P10D, max: P5D}\n") == ["2 timeWindow invalid-value"]
    assert told(chart, "title: x\ntimeWindow: {default: P10D, max: P99999D}\n") == ["2 timeWindow.max out-of-bounds"]
    assert told(chart, "title: x\ntimeWindow: {default: long}\n") == ["2 timeWindow.default wrong-type"]


def test_whatever_is_written_gives_problems_and_never_an_error() -> None:
    for text in ("", "7", "[]", "title: [", "title: x", "charts: 7", "charts: {a: b}", "title: x\ncharts: [[]]\n---\ntitle: y\n", "\t", "a: *b"):
        assert parse_dashboard(text, file="d.yaml", name="d").problems, text


def test_a_mistake_points_at_the_very_value() -> None:
    (problem,) = board("  - id: a\n    type: Table\n    data:\n      type: Executions\n      columns: {s: {field: STAT}}\n").problems
    assert (problem.line, problem.column, problem.hint) == (7, 21, "did you mean STATE?")


def test_a_chart_by_itself_is_read_for_a_preview() -> None:
    chart, problems = parse_chart(f"id: a\ntype: Table\n{DATA}\n")
    assert chart is not None
    assert not problems
    chart, problems = parse_chart("id: a\ntype: Table\n")
    assert chart is None
    assert problems[0].path == "data"
