"""The models of dashboards: what a good file says. Made by load.py only, which also checks what the parts say of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from podium.flows.models.base import Duration, Model

CHARTS_MAX = 50
COLUMNS_MAX = 20
DAYS_MAX = 3_660
Aggregation = Literal["AVG", "MAX", "MIN", "SUM", "COUNT"]
Width = Annotated[int, Field(ge=1, le=12)]
Title = Annotated[str, Field(min_length=1, max_length=500)]


class TimeWindow(Model):
    """The time that a dashboard looks back."""

    default: Duration = Field(default=timedelta(days=30), description="How far back it looks when it is opened.")
    max: Duration = Field(default=timedelta(days=366), description="How far back it may be made to look.")


class Filter(Model):
    """A condition on the rows of a chart."""

    type: str = Field(description="How the field is compared: EQUAL_TO, IN, OR …")
    field: str | None = Field(default=None, description="The field that is looked at.")
    label_key: str | None = Field(default=None, description="With the field LABELS: which label.")
    value: Any = Field(default=None, description="What it is compared with.")
    values: list[Any] = Field(default=[], description="With IN and NOT_IN: what it is compared with; with OR: filters, one of which must hold.")


class Column(Model):
    """A column of a chart: a field, or what comes of it for all rows of a group."""

    field: str | None = Field(default=None, description="The field; not needed to COUNT rows.")
    agg: Aggregation | None = Field(default=None, description="How the rows of a group become one value.")
    label_key: str | None = Field(default=None, description="With the field LABELS: which label.")
    display_name: str | None = Field(default=None, max_length=200, description="The name of the column; default its key.")
    column_alignment: Literal["LEFT", "RIGHT", "CENTER"] | None = Field(default=None, description="In a table.")
    graph_style: Literal["LINES", "BARS", "POINTS"] | None = Field(default=None, description="In a time series.")


class OrderBy(Model):
    """The order of rows."""

    column: str = Field(description="A key of `columns`.")
    order: Literal["ASC", "DESC"] = Field(default="ASC", description="Smallest or greatest first.")


class Enabled(Model):
    """A part of a chart that is there or not."""

    enabled: bool = True


class ChartOptions(Model):
    """How a chart looks."""

    display_name: str | None = Field(default=None, max_length=500, description="The title of the chart.")
    description: str | None = Field(default=None, max_length=5_000, description="What it shows.")
    width: Width = Field(default=6, description="Twelfths of the page.")
    column: str | None = Field(default=None, description="The column along the axis.")
    color_by_column: str | None = Field(default=None, description="The column whose values become series.")
    legend: Enabled = Enabled()
    header: Enabled = Enabled()
    pagination: Enabled = Enabled()
    tooltip: Literal["NONE", "ALL", "SINGLE"] = Field(default="ALL", description="What is said of a point.")
    graph_style: Literal["PIE", "DONUT"] = Field(default="DONUT", description="Of a pie.")
    number_type: Literal["FLAT", "PERCENTAGE"] = Field(default="FLAT", description="Of a KPI: the number, or `numerator` as a share of all.")


class TableData(Model):
    """What a chart is made of."""

    type: str = Field(description="The kind of data: io.kestra.plugin.core.dashboard.data.Executions, Logs, Metrics, Flows, Triggers.")
    columns: Annotated[dict[str, Column], Field(min_length=1, max_length=COLUMNS_MAX)] = Field(description="Key → column.")
    where: list[Any] = Field(default=[], description="Filters; all must hold.")
    order_by: list[OrderBy] = Field(default=[], description="The order of rows.")


class KpiData(Model):
    """What a KPI is made of."""

    type: str = Field(description="The kind of data: io.kestra.plugin.core.dashboard.data.ExecutionsKPI and the like.")
    columns: Column = Field(description="The one value.")
    where: list[Any] = Field(default=[], description="Filters; all must hold.")
    numerator: list[Any] = Field(default=[], description="Filters for the share that PERCENTAGE shows.")


class MarkdownSource(Model):
    """Where the text of a Markdown chart comes from."""

    type: str = Field(description="Text, or FlowDescription.")
    content: str | None = None
    namespace: str | None = None
    flow_id: str | None = None


class _Chart(Model):
    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", max_length=256, description="The name of the chart; one of its kind here.")
    type: str = Field(description="The kind of chart.")
    chart_options: ChartOptions = ChartOptions()


class TableChart(_Chart):
    """TimeSeries, Bar, Pie and Table."""

    data: TableData


class KpiChart(_Chart):
    """One number."""

    data: KpiData


class MarkdownChart(_Chart):
    """A text."""

    content: str | None = Field(default=None, max_length=100_000, description="The text, as Markdown.")
    source: MarkdownSource | None = None


class DashboardFile(Model):
    """A file of `dashboards/`."""

    id: str | None = Field(
        default=None, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", max_length=100, description="The name in addresses; default that of the file.",
    )
    title: Title = Field(description="The title.")
    description: str | None = Field(default=None, max_length=5_000, description="What it shows.")
    time_window: TimeWindow = TimeWindow()
    charts: Annotated[list[Any], Field(min_length=1, max_length=CHARTS_MAX)] = Field(description="The charts, in order.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A filter, checked. any_of: of an OR. values: one for what has one."""

    type: str
    field: str = ""
    label_key: str | None = None
    values: tuple[Any, ...] = ()
    any_of: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What a chart asks for, checked. kind: a key of fields.FIELDS. kpi: `columns` has the one column "value"."""

    kind: str
    columns: Mapping[str, Column]
    where: tuple[Condition, ...] = ()
    order_by: tuple[OrderBy, ...] = ()
    numerator: tuple[Condition, ...] = ()
    kpi: bool = False

    @property
    def aggregated(self) -> bool:
        """Whether rows are put together in groups."""
        return any(each.agg for each in self.columns.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart, checked. kind: of fields.CHARTS. data: None for Markdown. spec: as written, for the API."""

    id: str
    kind: str
    options: ChartOptions
    data: Data | None
    text: str = ""
    flow: tuple[str, str] | None = None
    """Whose description is the text of a Markdown chart."""
    spec: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What stands above it."""
        return self.options.display_name or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A good dashboard."""

    id: str
    title: str
    description: str
    default_window: timedelta
    max_window: timedelta
    charts: Sequence[Chart]

    def chart(self, chart_id: str) -> Chart | None:
        """The chart of that id."""
        return next((each for each in self.charts if each.id == chart_id), None)
