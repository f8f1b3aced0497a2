"""From the text of a dashboard to its model, with every mistake at once and its place; the same reader as for flows.

Called by sources, the command line and the web. Never raises for what is in the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from podium.base.errors import PodiumError
from podium.base.patterns import compile_java
from podium.flows.dashboards.fields import (
    CHART_PREFIX,
    CHARTS,
    DATA_PREFIX,
    FIELDS,
    FILTERS,
    KPI_SUFFIX,
    MANY_VALUES,
    NO_VALUE,
    chart_kind,
    data_kind,
)
from podium.flows.dashboards.model import (
    DAYS_MAX,
    Chart,
    Condition,
    Dashboard,
    DashboardFile,
    Data,
    Filter,
    KpiChart,
    MarkdownChart,
    TableChart,
)
from podium.flows.dashboards.rules import check_columns, check_options
from podium.flows.models.base import Model
from podium.flows.reading.errors import report_errors
from podium.flows.reading.problems import Problem, Report, key_of
from podium.flows.reading.shape import Shaping, shape_map
from podium.flows.reading.yaml import Document, Fields, Items, Node, Scalar, parse_documents, plain
from podium.flows.types import Types

__all__ = ["ParsedDashboard", "parse_chart", "parse_dashboard"]
_NO_TYPES = Types.build()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDashboard:
    """What a file gave. dashboard: None when there are problems. id: as it would be, also of a broken one. line: where that stands."""

    file: str
    id: str
    line: int
    dashboard: Dashboard | None
    problems: tuple[Problem, ...]

    def problem(self, code: str, message: str, hint: str = "") -> Problem:
        """A mistake of the dashboard as a whole."""
        return Problem(file=self.file, line=self.line, column=1, path="id", code=code, message=message, hint=hint)


def parse_dashboard(text: str, *, file: str, name: str) -> ParsedDashboard:
    """The one dashboard of a file. name: its id when the text gives none."""
    report = Report(file)
    documents = _documents(text, report)
    root = documents[0].root if documents else None
    if len(documents) > 1 and documents[1].root is not None:
        hint = "put each dashboard in a file of its own"
        report.problem(documents[1].root, "", "one-dashboard", "a file holds one dashboard", hint)
    if not isinstance(root, Fields):
        if not report.problems:
            at = root if root is not None else Fields(1, 1)
            report.problem(at, "", "wrong-type", "a dashboard is a map with title and charts", "write title: … in the first line")
        return ParsedDashboard(file=file, id=name, line=1, dashboard=None, problems=report.sorted_problems())
    found = _dashboard(root, name, report)
    line = root.entries["id"].line if "id" in root.entries else 1
    return ParsedDashboard(
        file=file, id=root.text("id") or name, line=line, dashboard=found if not report.problems else None, problems=report.sorted_problems(),
    )


def _documents(text: str, report: Report) -> list[Document]:
    """The YAML documents of a text; what is wrong with their YAML is reported."""
    documents = parse_documents(text)
    for document in documents:
        for mistake in document.mistakes:
            report.mistake(mistake)
    return documents


def parse_chart(text: str, *, file: str = "chart") -> tuple[Chart | None, tuple[Problem, ...]]:
    """A chart by itself, for previews: the chart, or what is wrong with it."""
    report = Report(file)
    documents = _documents(text, report)
    root = documents[0].root if documents else None
    if not isinstance(root, Fields):
        report.problem(root or Fields(1, 1), "", "wrong-type", "a chart is a map with id, type and data", "write id: … in the first line")
        return None, report.sorted_problems()
    chart = _chart(root, "", report)
    return (None if report.problems else chart), report.sorted_problems()


def _read(cls: type[Model], node: Fields, path: str, report: Report) -> Any:
    """The model of a map, or None with its problems reported."""
    before = len(report.problems)
    data = shape_map(cls, node, path, Shaping(_NO_TYPES, report, "1.x"))
    try:
        found = cls.model_validate(data)
    except ValidationError as error:
        report_errors(error, node, _NO_TYPES, report, cls=cls, path=path)
        return None
    return found if len(report.problems) == before else None


def _dashboard(root: Fields, name: str, report: Report) -> Dashboard | None:
    read: DashboardFile | None = _read(DashboardFile, root, "", report)
    charts = list(_charts(root, report))
    if read is None:
        return None
    window = read.time_window
    at = key_of(root, "timeWindow")
    if not timedelta(0) < window.default <= window.max:
        report.problem(at, "timeWindow", "invalid-value", "`default` must be longer than nothing and no longer than `max`", "write default: P7D")
    elif window.max > timedelta(days=DAYS_MAX):
        report.problem(at, "timeWindow.max", "out-of-bounds", f"a dashboard looks back {DAYS_MAX} days at most", "write max: P366D")
    return Dashboard(
        id=read.id or name, title=read.title, description=read.description or "", default_window=window.default, max_window=window.max,
        charts=tuple(each for each in charts if each is not None),
    )


def _charts(root: Fields, report: Report) -> Iterator[Chart | None]:
    listed = root.get("charts")
    seen: dict[str, int] = {}
    for index, node in enumerate(listed.items if isinstance(listed, Items) else ()):
        path = f"charts[{index}]"
        if not isinstance(node, Fields):
            report.problem(node, path, "wrong-type", "a chart is a map with id, type and data")
            continue
        name = node.text("id")
        if name is not None and name in seen:
            hint = f"it is taken in line {seen[name]}; rename one of them"
            report.problem(key_of(node, "id"), f"{path}.id", "duplicate-id", f"Duplicate id: {name}", hint)
        elif name is not None:
            seen[name] = key_of(node, "id").line
        yield _chart(node, path, report)


def _join(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part


def _type_of(node: Fields, path: str, report: Report, *, prefix: str, known: tuple[str, ...]) -> str | None:
    """What the map calls its type, if it is written; a missing one is reported."""
    name = node.text("type")
    if name is None:
        hint = f"write type: {prefix}{known[0]}; there are {', '.join(known)}"
        report.problem(key_of(node, "type"), _join(path, "type"), "missing", "must not be null: missing type id property 'type'", hint)
    return name


def _unknown_type(node: Fields, path: str, report: Report, name: str, *, prefix: str, known: tuple[str, ...]) -> None:
    close = get_close_matches(name.rpartition(".")[2], known, n=1, cutoff=0.5)
    hint = f"did you mean {prefix}{close[0]}?" if close else f"there are {', '.join(known)}"
    report.problem(node.entries["type"].node, _join(path, "type"), "unknown-type", f"Invalid type: {name[:200]}", hint)


def _chart(node: Fields, path: str, report: Report) -> Chart | None:
    name = _type_of(node, path, report, prefix=CHART_PREFIX, known=CHARTS)
    kind = chart_kind(name) if name is not None else None
    if kind is None:
        if name is not None:
            _unknown_type(node, path, report, name, prefix=CHART_PREFIX, known=CHARTS)
        return None
    cls: type[Model] = MarkdownChart if kind == "Markdown" else KpiChart if kind == "KPI" else TableChart
    read = _read(cls, node, path, report)
    data_node = node.get("data")
    data = _data(data_node, _join(path, "data"), kind, read, report) if isinstance(data_node, Fields) and kind != "Markdown" else None
    if read is None:
        return None
    if data is not None:
        check_options(kind, read.chart_options, data, node=node, path=path, report=report)
    text, flow = _markdown(read, node, path, report) if isinstance(read, MarkdownChart) else ("", None)
    return Chart(id=read.id, kind=kind, options=read.chart_options, data=data, text=text, flow=flow, spec=plain(node))


def _markdown(read: MarkdownChart, node: Fields, path: str, report: Report) -> tuple[str, tuple[str, str] | None]:
    source = read.source
    if source is not None and source.type.rpartition(".")[2] == "FlowDescription":
        if source.namespace and source.flow_id:
            return "", (source.namespace, source.flow_id)
        report.problem(key_of(node, "source"), _join(path, "source"), "missing", "FlowDescription needs namespace and flowId")
    text = read.content if read.content is not None else source.content if source is not None else None
    if text is None and (source is None or source.type.rpartition(".")[2] != "FlowDescription"):
        report.problem(node, _join(path, "content"), "missing", "must not be null: the chart has no content", "write content: | and the text below")
    return text or "", None


def _data(node: Fields, path: str, chart: str, read: Any, report: Report) -> Data | None:
    known = tuple(f"{each}{KPI_SUFFIX}" for each in FIELDS) if chart == "KPI" else tuple(FIELDS)
    name = node.text("type")
    if name is None:
        return None  # told by the model
    found = data_kind(name)
    if found is None or (found[1] and chart != "KPI"):
        _unknown_type(node, path, report, name, prefix=DATA_PREFIX, known=known)
        return None
    kind = found[0]
    where = _filters(node.get("where"), f"{path}.where", kind, report)
    numerator = _filters(node.get("numerator"), f"{path}.numerator", kind, report) if chart == "KPI" else ()
    if read is None:
        return None
    data = Data(
        kind=kind, columns={"value": read.data.columns} if chart == "KPI" else read.data.columns, where=where, numerator=numerator,
        order_by=tuple(() if chart == "KPI" else read.data.order_by), kpi=chart == "KPI",
    )
    check_columns(data, node, path, report)
    return data


# ---- filters


def _filters(node: Node | None, path: str, kind: str, report: Report) -> tuple[Condition, ...]:
    found: list[Condition] = []
    for index, each in enumerate(node.items if isinstance(node, Items) else ()):
        condition = _filter(each, f"{path}[{index}]", kind, report)
        if condition is not None:
            found.append(condition)
    return tuple(found)


def _filter(node: Node, path: str, kind: str, report: Report) -> Condition | None:
    if not isinstance(node, Fields):
        report.problem(node, path, "wrong-type", "a filter is a map with type, field and value")
        return None
    read: Filter | None = _read(Filter, node, path, report)
    if read is None:
        return None
    name = read.type.rpartition(".")[2]
    if name not in FILTERS:
        _unknown_type(node, path, report, read.type, prefix="", known=FILTERS)
        return None
    if name == "OR":
        inner = _filters(node.get("values"), f"{path}.values", kind, report)
        if not inner and not report.problems:
            report.problem(node, f"{path}.values", "missing", "OR needs 'values', a list of filters", "write each below `values:`")
        return Condition(type="OR", any_of=inner)
    if not _check_field(read, node, path, kind, report):
        return None
    values = tuple(read.values) if name in MANY_VALUES else () if name in NO_VALUE else (read.value,)
    if not values and name in MANY_VALUES:
        report.problem(node, f"{path}.values", "missing", f"{name} needs 'values', a list", "write values: [SUCCESS, WARNING]")
    elif None in values or any(isinstance(each, (dict, list)) for each in values):
        report.problem(node, f"{path}.value", "missing", f"{name} needs 'value': a text, number or boolean", "write value: …")
    if name == "REGEX":
        _check_pattern(key_of(node, "value"), f"{path}.value", str(read.value), report)
    return Condition(type=name, field=str(read.field), label_key=read.label_key, values=values)


def _check_field(read: Filter, node: Fields, path: str, kind: str, report: Report) -> bool:
    known = FIELDS[kind]
    if read.field is None:
        report.problem(node, f"{path}.field", "missing", "must not be null: the filter has no 'field'", f"fields: {', '.join(known)}")
        return False
    if read.field not in known:
        close = get_close_matches(read.field.upper(), known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"fields: {', '.join(known)}"
        report.problem(key_of(node, "field"), f"{path}.field", "unknown-field", f"{kind} have no field '{read.field[:80]}'", hint)
        return False
    if known[read.field] == "labels" and read.label_key is None:
        report.problem(node, f"{path}.labelKey", "missing", "the field LABELS needs 'labelKey'", "say which label: labelKey: team")
        return False
    return True


def _check_pattern(at: Any, path: str, pattern: str, report: Report) -> None:
    try:
        compile_java(pattern)
    except (PodiumError, ValueError) as error:
        what = error.what if isinstance(error, PodiumError) else str(error)
        place = at.node if hasattr(at, "node") and isinstance(at.node, Scalar) else at
        report.problem(place, path, "invalid-value", f"the regular expression cannot be read: {what}")
