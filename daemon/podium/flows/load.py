"""From the text of a file to flows, with every mistake at once: parse, apply plug-in defaults, check, make models.

Called by sources, cli, web and hooks. Never raises for what is in the text. Source: flow-language 0.1 and 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from podium.flows.checks import input_rules, rules, task_rules, trigger_rules
from podium.flows.checks.rules import Checked
from podium.flows.model import AnyTask, Flow, Task
from podium.flows.reading.defaults import inject
from podium.flows.reading.dialect import detect
from podium.flows.reading.errors import report_errors
from podium.flows.reading.problems import Place, Problem, Report, key_of
from podium.flows.reading.shape import Shaping, shape_map
from podium.flows.reading.templates import check_templates, texts
from podium.flows.reading.yaml import Document, Fields, Node, parse_documents
from podium.flows.types import Types

_TASK: TypeAdapter[Task] = TypeAdapter(AnyTask)
_RULES = (*rules.RULES, *task_rules.RULES, *input_rules.RULES, *trigger_rules.RULES)

__all__ = ["Parsed", "Problem", "parse_flows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What one YAML document gave. flow: None when there are problems. namespace and flow_id: as written, also of a refused flow."""

    flow: Flow | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    namespace: str | None
    flow_id: str | None
    dialect: str
    file: str = ""
    line: int = 1
    column: int = 1
    """Where the flow's id stands, or where its text begins."""


def parse_flows(text: str, *, file: str, types: Types, defaults: Sequence[Mapping[str, Any]] = ()) -> list[Parsed]:
    """One result for each YAML document of `text` that is not empty.

    file: the name that problems carry. defaults: plug-in defaults of the instance and namespace, most important first, each
    `{type, forced?, values}`; the flow's own come before them.
    """
    return [_document(document, Report(file), text, types, defaults) for document in parse_documents(text)]


def _document(document: Document, report: Report, text: str, types: Types, defaults: Sequence[Mapping[str, Any]]) -> Parsed:
    for mistake in document.mistakes:
        report.mistake(mistake)
    root: Node | None = document.root
    if root is None:
        return _parsed(None, report, None, "1.x")
    if not isinstance(root, Fields):
        what = "Illegal flow yaml: a flow is a map with id, namespace and tasks"
        report.problem(root, "", "wrong-type", what, "write id: … in the first line")
        return _parsed(None, report, None, "1.x")
    root = inject(root, defaults, types, report)
    found = texts(root, text)
    dialect = detect(root, found, report)
    shaping = Shaping(types, report, dialect)
    data = shape_map(Flow, root, "", shaping)
    flow: Flow | None = None
    try:
        flow = Flow.model_validate({**data, "dialect": dialect}, context={"types": types})
    except ValidationError as error:
        report_errors(error, root, types, report)
    for orphan in shaping.orphans:
        try:
            _TASK.validate_python(orphan.data, context={"types": types})
        except ValidationError as error:
            report_errors(error, orphan.node, types, report, cls=Task, path=orphan.path)
    checked = Checked(root, shaping, report, types, dialect)
    for rule in _RULES:
        rule(checked)
    check_templates(found, text.splitlines(), dialect, report)
    return _parsed(flow, report, root, dialect)


def _parsed(flow: Flow | None, report: Report, root: Fields | None, dialect: str) -> Parsed:
    problems = report.sorted_problems()
    at = key_of(root, "id") if root is not None else Place(1, 1)
    return Parsed(
        file=report.file, line=at.line, column=at.column, flow=flow if not problems else None, problems=problems, warnings=report.sorted_warnings(),
        namespace=root.text("namespace") if root is not None else None, flow_id=root.text("id") if root is not None else None,
        dialect=dialect,
    )
