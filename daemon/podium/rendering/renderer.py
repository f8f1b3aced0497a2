"""Evaluates what people write: the templates of a value, a condition, or all dynamic properties of a task. Ruling 3.

Called by the conductor, workers and triggers. What always holds: every failure is an ExpressionError (with the property's name if
there is one) in which no secret stands; secrets that are used are known to the scope's redactor before the value is given.
Calls may block when an expression reads files or calls out; a pure one (`expressions.is_pure`) never does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from podium.base.errors import ExpressionError, PodiumError, TakesLong
from podium.base.limits import LOOK_FUEL_MAX, LOOP_FUEL_MAX, LOOP_REGEX_S, REGEX_TIMEOUT_S, UPLOAD_BYTES_MAX
from podium.base.ports import Reads
from podium.base.system.clock import Clock
from podium.expressions.compile import render_value, truthy
from podium.expressions.runtime import Meter
from podium.expressions.world import World
from podium.flows.model import Task, Trigger
from podium.rendering.fields import FieldPlan, plan
from podium.rendering.layers import layered
from podium.rendering.scope import Scope
from podium.rendering.world import LookingWorld, RenderWorld, WorldParts
from podium.storage.files import FileStorage
from podium.storage.namespace import NamespaceSource
from podium.storage.reader import FileReader, FileScope, Locate
from podium.storage.secrets import Secrets

__all__ = ["Renderer", "Scope", "has_template"]

M = TypeVar("M", bound=BaseModel)
_OF_TIME = ("TEMPLATE_FUEL_MAX", "REGEX_TIMEOUT_S")
"""Limits that are lower while the loop waits."""


class Renderer:
    """See the module's docstring. Safe to use from several threads."""

    def __init__(
        self, *, files: FileStorage, namespace_files: NamespaceSource, secrets: Secrets, reads: Reads, clock: Clock, zone: tzinfo,
        envs: Mapping[str, str] | None = None, globals_: Mapping[str, Any] | None = None, locate: Locate | None = None,
        allowed_paths: Sequence[Path] = (), subflow: Callable[..., Any] | None = None, recursive: bool = False,
    ) -> None:
        """envs: variables as `envs.*` shows them (prefix cut, lower case). subflow: runs a flow for the function of that name.

        locate: where the files of a namespace of another source are. recursive: render results again (`recursive-rendering`).
        """
        self.file_reader = FileReader(files, namespace_files, locate=locate, allowed_paths=allowed_paths)
        self._parts = WorldParts(reader=self.file_reader, secrets=secrets, reads=reads, clock=clock, zone=zone, subflow=subflow)
        self.secrets = secrets
        self._base: dict[str, Any] = {"envs": dict(envs or {}), "globals": dict(globals_ or {})}
        self._recursive = recursive

    @property
    def zone(self) -> tzinfo:
        """The instance's time zone."""
        return self._parts.zone

    def world(self, scope: Scope, variables: Mapping[str, Any] | None = None) -> World:
        """What expressions of this scope may ask. variables: those of the execution; they name files that it was handed."""
        return RenderWorld(self._parts, scope, variables or {})

    def file_scope(self, scope: Scope, variables: Mapping[str, Any] | None = None) -> FileScope:
        """On whose behalf `file_reader` reads for this scope."""
        return FileScope(
            namespace=scope.namespace, flow_id=scope.flow_id, execution_id=scope.execution_id, source=scope.source, commit=scope.commit,
            variables=variables or {},
        )

    def value(
        self, template: Any, variables: Mapping[str, Any], scope: Scope, *, typed: bool = False, extra: Mapping[str, Any] | None = None
    ) -> Any:
        """Text, list or map with its templates rendered. typed: a template of one output keeps its type. Raises ExpressionError."""
        if not has_template(template):
            return template
        world = self.world(scope, variables)
        try:
            return render_value(
                template, layered(self._base, variables, extra), world, dialect=scope.dialect, typed=typed, recursive=self._recursive,
                meter=Meter(LOOP_FUEL_MAX, LOOP_REGEX_S) if scope.brisk else None,
            )
        except PodiumError as error:
            if scope.brisk and error.facts.get("limit") in _OF_TIME:
                raise TakesLong(f"it takes more than {LOOP_FUEL_MAX} steps", hint="render it in a thread") from None
            raise _without_secrets(error, scope) from None  # the cause may show a secret

    def look(self, template: str, variables: Mapping[str, Any], scope: Scope) -> str:
        """The text of a template for a person who tries it: no secret is read and nothing is called. variables: without secrets.

        Raises ExpressionError, also for what takes more than LOOK_FUEL_MAX steps.
        """
        try:
            text = render_value(
                template, layered(self._base, variables, None), LookingWorld(self._parts, scope, variables), dialect=scope.dialect,
                recursive=self._recursive, meter=Meter(LOOK_FUEL_MAX, REGEX_TIMEOUT_S),
            )
        except PodiumError as error:
            raise _without_secrets(error, scope) from None
        return scope.redactor.text(str(text))

    def truthy(self, template: str | None, variables: Mapping[str, Any], scope: Scope, *, extra: Mapping[str, Any] | None = None) -> bool:
        """Whether a condition holds: not null, empty, `0`, `-0` or `false` once rendered. Raises ExpressionError."""
        return truthy(self.value(template, variables, scope, extra=extra))

    def task(self, task: Task, variables: Mapping[str, Any], scope: Scope, extra: Mapping[str, Any] | None = None) -> Task:
        """The task with every `Dyn` field rendered and of its type; the same task when there is nothing to render.

        Raises ExpressionError naming the property, like `tasks.load.uri`.
        """
        return self._model(task, f"tasks.{task.id}", _Rendering(self, variables, scope, extra))

    def model(
        self, model: M, variables: Mapping[str, Any], scope: Scope, *, path: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> M:
        """The same for any model of the language. path: how errors name it, by default after what it is (`triggers.<id>`)."""
        kind = "triggers." if isinstance(model, Trigger) else "tasks." if isinstance(model, Task) else ""
        named = path if path is not None else f"{kind}{getattr(model, 'id', type(model).__name__)}"
        return self._model(model, named, _Rendering(self, variables, scope, extra))

    def namespace_file(self, scope: Scope, path: str) -> bytes:
        """The content of a namespace file, uploads before the repository's. Raises NotFound, StorageError."""
        return self.file_reader.read(path, self.file_scope(scope), bytes_max=UPLOAD_BYTES_MAX)

    def _model(self, model: M, path: str, rendering: _Rendering) -> M:
        changed: dict[str, Any] = {}
        for each in plan(type(model)):
            value = getattr(model, each.name)
            rendered = self._field(each, model, value, f"{path}.{each.path}", rendering)
            if rendered is not value:
                changed[each.name] = rendered
        return model.model_copy(update=changed) if changed else model

    def _field(self, each: FieldPlan, model: BaseModel, value: Any, path: str, rendering: _Rendering) -> Any:
        if isinstance(value, BaseModel):
            return self._model(value, path, rendering)
        if _holds_models(value):
            return self._inside(value, path, rendering)
        if each.wanted is None or not has_template(value):
            return value
        rendered = rendering.of(value, path, typed=isinstance(value, str) and (each.anything_wanted or not each.text_wanted))
        if each.anything_wanted:
            return rendered
        if rendered is None or (isinstance(rendered, str) and not each.text_wanted and not rendered.strip()):
            return _empty(each, model, path)
        try:
            return each.coerced(rendered)
        except ValueError as error:
            what = rendering.scope.redactor.text(f"{path}: {error}")
            raise ExpressionError(what, hint="look at what the expression gives", property=path) from None  # the cause may show a secret

    def _inside(self, value: Any, path: str, rendering: _Rendering) -> Any:
        """A list or map that holds models."""
        if isinstance(value, BaseModel):
            return self._model(value, path, rendering)
        if isinstance(value, list):
            items = [self._inside(item, f"{path}[{number}]", rendering) for number, item in enumerate(value)]
            return value if all(one is other for one, other in zip(items, value, strict=True)) else items
        if isinstance(value, dict):
            entries = {key: self._inside(item, f"{path}.{key}", rendering) for key, item in value.items()}
            return value if all(entries[key] is item for key, item in value.items()) else entries
        return rendering.of(value, path, typed=False) if has_template(value) else value


@dataclass(frozen=True, slots=True)
class _Rendering:
    """One call: the variables and the scope that all its fields share."""

    renderer: Renderer
    variables: Mapping[str, Any]
    scope: Scope
    extra: Mapping[str, Any] | None

    def of(self, value: Any, path: str, *, typed: bool) -> Any:
        """A value rendered; an error names `path`."""
        try:
            return self.renderer.value(value, self.variables, self.scope, typed=typed, extra=self.extra)
        except TakesLong:
            raise
        except PodiumError as error:
            facts = {key: fact for key, fact in error.facts.items() if key != "property"}
            raise ExpressionError(f"{path}: {error.what}", hint=error.hint, property=path, **facts) from None  # as above


def has_template(value: Any) -> bool:
    """Whether there is anything to render in a text, list or map."""
    if isinstance(value, str):
        return "{" in value and ("{{" in value or "{%" in value or "{#" in value)
    if isinstance(value, Mapping):
        return any(has_template(key) or has_template(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return any(has_template(item) for item in value)
    return False


def _holds_models(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, BaseModel) or _holds_models(item) for item in value)
    if isinstance(value, dict):
        return any(isinstance(item, BaseModel) or _holds_models(item) for item in value.values())
    return False


def _empty(each: FieldPlan, model: BaseModel, path: str) -> Any:
    """What a field is whose expression gives nothing: null if it may be, else its default."""
    if each.nullable:
        return None
    info = type(model).model_fields[each.name]
    if info.is_required():
        raise ExpressionError(f"{path}: the expression gives nothing", hint="give it a default: {{ … ?? 'value' }}", property=path)
    return cast("Any", info.get_default(call_default_factory=True))


def _without_secrets(error: PodiumError, scope: Scope) -> ExpressionError:
    text = scope.redactor.text
    facts = {key: text(fact) if isinstance(fact, str) else fact for key, fact in error.facts.items()}
    return ExpressionError(text(error.what), hint=text(error.hint), **facts)
