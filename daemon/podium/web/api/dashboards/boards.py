"""The dashboards that there are: those of the sources, and ours when there are none. Called by the handlers and pages of dashboards.

What always holds: the text was found good when it was deployed; one that is no longer (an upgrade) is left out of lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from aiohttp import web

from podium.base.errors import NotFound
from podium.flows.dashboards.load import parse_dashboard
from podium.flows.dashboards.model import Dashboard
from podium.web.context import context

DEFAULT = "podium"
"""The id of the dashboard that is there when no source has one."""
_KEPT = 512
_EXECUTIONS = "io.kestra.plugin.core.dashboard.data.Executions"
_CHART = "io.kestra.plugin.core.dashboard.chart"
DEFAULT_TEXT = f"""\
title: All executions
description: What every Podium has. Put a file of your own into `dashboards/` of a flow repository, and it takes this one's place.
timeWindow: {{default: P7D, max: P366D}}
charts:
  - id: ratio
    type: {_CHART}.KPI
    chartOptions: {{displayName: Ended well, numberType: PERCENTAGE, width: 3}}
    data:
      type: {_EXECUTIONS}KPI
      columns: {{agg: COUNT}}
      numerator: [{{type: IN, field: STATE, values: [SUCCESS, WARNING]}}]
      where: [{{type: IN, field: STATE, values: [SUCCESS, WARNING, FAILED, KILLED, CANCELLED]}}]
  - id: all
    type: {_CHART}.KPI
    chartOptions: {{displayName: Executions, width: 3}}
    data: {{type: {_EXECUTIONS}KPI, columns: {{agg: COUNT}}}}
  - id: failed
    type: {_CHART}.KPI
    chartOptions: {{displayName: Failed, width: 3}}
    data: {{type: {_EXECUTIONS}KPI, columns: {{agg: COUNT}}, where: [{{type: EQUAL_TO, field: STATE, value: FAILED}}]}}
  - id: flows
    type: {_CHART}.KPI
    chartOptions: {{displayName: Flows, width: 3}}
    data: {{type: io.kestra.plugin.core.dashboard.data.FlowsKPI, columns: {{agg: COUNT}}}}
  - id: over_time
    type: {_CHART}.TimeSeries
    chartOptions: {{displayName: Executions over time, column: date, colorByColumn: state, width: 12}}
    data:
      type: {_EXECUTIONS}
      columns:
        date: {{field: START_DATE, displayName: Date}}
        state: {{field: STATE, displayName: State}}
        executions: {{agg: COUNT, displayName: Executions, graphStyle: BARS}}
        seconds: {{field: DURATION, agg: AVG, displayName: Seconds on average, graphStyle: LINES}}
  - id: namespaces
    type: {_CHART}.Bar
    chartOptions: {{displayName: Executions by namespace, column: namespace, colorByColumn: state, width: 8}}
    data:
      type: {_EXECUTIONS}
      columns:
        namespace: {{field: NAMESPACE, displayName: Namespace}}
        state: {{field: STATE, displayName: State}}
        executions: {{agg: COUNT, displayName: Executions}}
  - id: states
    type: {_CHART}.Pie
    chartOptions: {{displayName: States, colorByColumn: state, width: 4}}
    data:
      type: {_EXECUTIONS}
      columns: {{state: {{field: STATE, displayName: State}}, executions: {{agg: COUNT, displayName: Executions}}}}
  - id: failing
    type: {_CHART}.Table
    chartOptions: {{displayName: What fails most, width: 12}}
    data:
      type: {_EXECUTIONS}
      columns:
        namespace: {{field: NAMESPACE, displayName: Namespace}}
        flow: {{field: FLOW_ID, displayName: Flow}}
        failures: {{agg: COUNT, displayName: Failures, columnAlignment: RIGHT}}
        last: {{field: START_DATE, agg: MAX, displayName: Last}}
      where: [{{type: EQUAL_TO, field: STATE, value: FAILED}}]
      orderBy: [{{column: failures, order: DESC}}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard and where it comes from; source "" for ours."""

    dashboard: Dashboard
    text: str
    source: str = ""
    path: str = ""
    blob: str = ""
    commit: str = ""


@lru_cache(maxsize=_KEPT)
def read(text: str, path: str, name: str) -> Dashboard | None:
    """The dashboard of a text that was good once."""
    return parse_dashboard(text, file=path, name=name).dashboard


def default_board() -> Board:
    """Ours."""
    found = read(DEFAULT_TEXT, "", DEFAULT)
    assert found is not None
    return Board(dashboard=found, text=DEFAULT_TEXT)


def boards(request: web.Request) -> list[Board]:
    """All of them, by title; ours alone when there are no others."""
    charts = context(request).charts
    found = [_board(each) for each in (charts.stored() if charts is not None else ())]
    good = sorted((each for each in found if each is not None), key=lambda each: (each.dashboard.title.lower(), each.dashboard.id))
    return good or [default_board()]


def _board(stored: Mapping[str, str]) -> Board | None:
    dashboard = read(stored["text"], stored["path"], stored["id"])
    if dashboard is None:
        return None
    return Board(
        dashboard=dashboard, text=stored["text"], source=stored["source"], path=stored["path"], blob=stored["blob"], commit=stored["commit"],
    )


def board(request: web.Request, name: str) -> Board:
    """The dashboard of that id. Raises NotFound."""
    found = next((each for each in boards(request) if each.dashboard.id == name), None)
    if found is None and name == DEFAULT:
        return default_board()
    if found is None:
        raise NotFound(f"there is no dashboard '{name[:100]}'", hint="list them: GET /api/v1/dashboards", dashboard=name[:100])
    return found
