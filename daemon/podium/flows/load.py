"""From the text of a file to flows, with every mistake at once: parse, apply plug-in defaults, check, make models.

Called by sources, cli, web and hooks. Never raises for what is in the text. Source: flow-language 0.1 and 1.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from podium.flows.checks import dialect_rules, input_rules, rules, task_rules, trigger_rules
from podium.flows.checks.rules import Checked, Rule, static_text
from podium.flows.model import AnyTask, Flow, Model, Task, TaskTemplate, Template
from podium.flows.reading.defaults import NAMES, inject
from podium.flows.reading.dialect import detect
from podium.flows.reading.errors import report_errors
from podium.flows.reading.problems import Place, Problem, Report, join, key_of
from podium.flows.reading.shape import Shaping, shape_map
from podium.flows.reading.templates import check_templates, texts
from podium.flows.reading.yaml import Document, Fields, Node, Scalar, parse_documents
from podium.flows.types import Types

_TASK: TypeAdapter[Task] = TypeAdapter(AnyTask)
_RULES: tuple[Rule, ...] = (*rules.RULES, *task_rules.RULES, *input_rules.RULES, *trigger_rules.RULES, *dialect_rules.RULES)
_TEMPLATE_RULES = tuple(each for each in _RULES if each not in rules.ABOUT_THE_FLOW)
Key = tuple[str, str]
"""Namespace and id, of a flow or a template."""

__all__ = ["Parsed", "ParsedTemplate", "Problem", "StoredTemplate", "as_stored", "parse_flows", "parse_templates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTemplate:
    """A template as stored: tasks that flows have put in the place of a `Template` task. text: that of the file `path`.

    trouble: not empty when it has mistakes: the first of them, with its place.
    """

    namespace: str
    id: str
    path: str
    blob: str = ""
    text: str = ""
    trouble: str = ""


def as_stored(template: StoredTemplate) -> dict[str, str]:
    """A template as it is kept with the revision of a flow, and given to `StoredTemplate` again."""
    return {"namespace": template.namespace, "id": template.id, "path": template.path, "blob": template.blob, "text": template.text}


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
    templates: tuple[StoredTemplate, ...] = ()
    """Those that stand in the flow, also by way of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedTemplate:
    """What one YAML document of a template file gave. namespace and id: as written, None when they are not."""

    namespace: str | None
    id: str | None
    line: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def parse_flows(
    text: str, *, file: str, types: Types, defaults: Sequence[Mapping[str, Any]] = (), templates: Iterable[StoredTemplate] | None = None,
    dialect: str | None = None,
) -> list[Parsed]:
    """One result for each YAML document of `text` that is not empty.

    file: the name that problems carry. defaults: plug-in defaults of the instance and namespace, most important first, each
    `{type, forced?, values}`; the flow's own come before them. `{variables}` and `{labels}` of podium.yaml may be among them.
    templates: those that a `Template` task may name; None: not looked for.
    dialect: to read every flow in, `1.x` or `2.0`; None: each as its text says.
    """
    known = {(each.namespace, each.id): each for each in templates} if templates is not None else None
    found = []
    for document in parse_documents(text):
        report = Report(file)
        root = _root(document, report, "a flow is a map with id, namespace and tasks")
        inlining = _Inlining(types, known, defaults, {name: root.entries[name] for name in NAMES if name in root.entries} if root is not None else {})
        found.append(_document(root, report, text, inlining, dialect))
    return found


def parse_templates(text: str, *, file: str, types: Types, defaults: Sequence[Mapping[str, Any]] = ()) -> list[ParsedTemplate]:
    """One result for each YAML document of a file of templates. What they say of other templates is checked where a flow uses them."""
    found = []
    for document in parse_documents(text):
        report = Report(file)
        root = _root(document, report, "a template is a map with id, namespace and tasks")
        if root is not None:
            _check(
                root, text, TaskTemplate, _TEMPLATE_RULES, report=report, inlining=_Inlining(types, None, defaults), dialect="1.x"
            )
        found.append(ParsedTemplate(
            namespace=root.text("namespace") if root is not None else None, id=root.text("id") if root is not None else None,
            line=key_of(root, "id").line if root is not None else 1, problems=report.sorted_problems(), warnings=report.sorted_warnings(),
        ))
    return found


def _document(root: Fields | None, report: Report, text: str, inlining: _Inlining, dialect: str | None) -> Parsed:
    if root is None:
        return _parsed(None, report, None, dialect or "1.x")
    flow, dialect = _check(root, text, Flow, _RULES, report=report, inlining=inlining, dialect=dialect)
    return _parsed(flow, report, root, dialect, inlining.used())


def _root(document: Document, report: Report, what: str) -> Fields | None:
    for mistake in document.mistakes:
        report.mistake(mistake)
    root: Node | None = document.root
    if root is not None and not isinstance(root, Fields):
        report.problem(root, "", "wrong-type", f"Illegal flow yaml: {what}", "write id: … in the first line")
    return root if isinstance(root, Fields) else None


def _check(
    root: Fields, text: str, cls: type[Model], checks: Sequence[Rule], *, report: Report, inlining: _Inlining, dialect: str | None
) -> tuple[Any, str]:
    """The model of a flow or a template, None where it cannot be made, and its dialect. dialect None: as the text says."""
    types = inlining.types
    root = inject(root, inlining.defaults, types, report)
    found = texts(root, text)
    dialect = dialect or detect(root, found, report)
    shaping = Shaping(types, report, dialect)
    data = shape_map(cls, root, "", shaping)
    inlining.look_up(shaping, report)
    context = {"types": types, "templates": inlining}
    model = None
    try:
        model = cls.model_validate({**data, **({"dialect": dialect} if cls is Flow else {})}, context=context)
        if isinstance(model, Flow):
            model = _with_given(model, inlining.defaults)
    except ValidationError as error:
        report_errors(error, root, types, report, cls=cls)
    for orphan in shaping.orphans:
        try:
            _TASK.validate_python(orphan.data, context=context)
        except ValidationError as error:
            report_errors(error, orphan.node, types, report, cls=Task, path=orphan.path)
    checked = Checked(root, shaping, report, types, dialect)
    for rule in checks:
        rule(checked)
    if found:
        check_templates(found, text.splitlines(), dialect, report)
    return model, dialect


def _with_given(flow: Flow, defaults: Sequence[Mapping[str, Any]]) -> Flow:
    """The flow with the variables and labels that stand among the defaults of its namespace; its own labels win."""
    variables, labels = _given(defaults, "variables"), _given(defaults, "labels")
    if not variables and not labels:
        return flow
    return flow.model_copy(update={
        "given_variables": variables, **({"labels": {**{key: str(value) for key, value in labels.items()}, **flow.labels}} if labels else {}),
    })


def _given(defaults: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in defaults:
        values = each.get(kind)
        if isinstance(values, Mapping) and "type" not in each:
            found = {**values, **found}
    return found


def _parsed(flow: Flow | None, report: Report, root: Fields | None, dialect: str, templates: tuple[StoredTemplate, ...] = ()) -> Parsed:
    problems = report.sorted_problems()
    at = key_of(root, "id") if root is not None else Place(1, 1)
    return Parsed(
        file=report.file, line=at.line, column=at.column, flow=flow if not problems else None, problems=problems, warnings=report.sorted_warnings(),
        namespace=root.text("namespace") if root is not None else None, flow_id=root.text("id") if root is not None else None,
        dialect=dialect, templates=templates,
    )


@dataclass(slots=True)
class _Inlined:
    """A template made into tasks for one flow. wrong: why it cannot be, as (code, message, hint). ids: of all its tasks."""

    stored: StoredTemplate | None = None
    tasks: list[Task] = field(default_factory=list)
    errors: list[Task] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    wrong: tuple[str, str, str] | None = None


class _Inlining:
    """Puts templates in the place of `Template` tasks of one flow, with that flow's plug-in defaults. The model asks it for the tasks.

    own: the flow's own plug-in defaults, as written. known None: templates are not looked for.
    """

    def __init__(
        self, types: Types, known: Mapping[Key, StoredTemplate] | None, defaults: Sequence[Mapping[str, Any]] = (),
        own: Mapping[str, Any] | None = None,
    ) -> None:
        self.types = types
        self.defaults = defaults
        self._known = known
        self._own = own or {}
        self._made: dict[Key, _Inlined] = {}
        self._open: list[Key] = []

    def used(self) -> tuple[StoredTemplate, ...]:
        """The templates that were found, sorted."""
        return tuple(each.stored for _, each in sorted(self._made.items()) if each.stored is not None)

    def tasks_of(self, namespace: Any, template_id: Any) -> tuple[list[Task], list[Task]]:
        """Tasks and errors for a `Template` task."""
        made = self._made.get((namespace, template_id), _Inlined())
        return made.tasks, made.errors

    def look_up(self, shaping: Shaping, report: Report) -> list[str]:
        """Make the templates that tasks name, and report what is wrong with them. The ids of all tasks, those of templates included."""
        seen = shaping.of("task")
        ids = [name for each in seen if (name := each.node.text("id")) is not None]
        for each in seen if self._known is not None else ():
            if each.cls is None or not issubclass(each.cls, Template):
                continue
            at, path = key_of(each.node, "templateId"), join(each.path, "templateId")
            names = [static_text(each.node.get(key)) for key in ("namespace", "templateId")]
            if None in names:
                if all(isinstance(each.node.get(key), Scalar) for key in ("namespace", "templateId")):
                    hint = "write the name itself: a template is put in place when the flow is deployed"
                    report.problem(at, path, "template", "The namespace and id of a template cannot be expressions", hint)
                continue
            made = self._make((str(names[0]), str(names[1])))
            if made.wrong is not None:
                report.problem(at, path, *made.wrong)
            again = [name for name in dict.fromkeys(made.ids) if name in ids]
            if again:
                what = f"Invalid Flow: Duplicate task id with name [{', '.join(again)}]"
                hint = f"template '{names[0]}.{names[1]}' brings tasks of that name; a template can stand in a flow once"
                report.problem(at, path, "duplicate-id", what, hint)
            ids += made.ids
        return ids

    def _make(self, key: Key) -> _Inlined:
        name = ".".join(key)
        if key in self._open:
            what = f"Recursive call to template [{' > '.join('.'.join(each) for each in (*self._open[self._open.index(key):], key))}]"
            return _Inlined(wrong=("recursion", what, "a template cannot stand in itself"))
        if key in self._made:
            return self._made[key]
        assert self._known is not None
        stored = self._known.get(key)
        if stored is None:
            close = get_close_matches(name, [".".join(each) for each in self._known], n=1, cutoff=0.7)
            hint = f"did you mean '{close[0]}'?" if close else "templates are files in `_templates/` of the source, with id, namespace and tasks"
            return _Inlined(wrong=("template", f"Unable to find template '{key[0]}'.'{key[1]}'", hint))
        if stored.trouble:
            return _Inlined(wrong=("template", f"The template '{name}' is refused: {stored.trouble}", "mend the template"))
        report = Report(stored.path)
        root = next(filter(None, (_root(each, report, "") for each in parse_documents(stored.text) if _is(each, key))), None)
        made = _Inlined(stored, wrong=None if root is not None else ("template", f"The template '{name}' is not in {stored.path}", ""))
        if root is not None:
            self._open.append(key)
            with_defaults = Fields(root.line, root.column, {**root.entries, **self._own})
            model, _ = _check(with_defaults, stored.text, _InFlow, _TEMPLATE_RULES, report=report, inlining=self, dialect="1.x")
            self._open.pop()
            if model is not None:
                made.tasks, made.errors, made.ids = model.tasks, model.errors, _ids([*model.tasks, *model.errors])
        for each in [each for each in report.sorted_problems() if not each.path.startswith(NAMES)][:1]:
            made.wrong = (each.code if each.code == "recursion" else "template", f"In the template '{name}': {each}", each.hint)
        self._made[key] = made
        return made


def _is(document: Document, key: Key) -> bool:
    """Whether a document is the template of that namespace and id."""
    return isinstance(document.root, Fields) and (document.root.text("namespace"), document.root.text("id")) == key


class _InFlow(TaskTemplate):
    """A template with the plug-in defaults of the flow in which it stands."""

    plugin_defaults: list[Any] = Field(default=[])
    task_defaults: list[Any] = Field(default=[])


def _ids(tasks: Sequence[Task]) -> list[str]:
    found: list[str] = []
    for each in tasks:
        found += [each.id, *(name for inner in each.lists_of_tasks().values() for name in _ids(inner))]
    return found
