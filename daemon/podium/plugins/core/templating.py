"""templating.TemplatedTask: a task whose definition is itself rendered. Source: flow-language 6.2."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from podium.plugin import Dyn, RunContext, Task, TaskFailed

if TYPE_CHECKING:
    from podium.flows.types import Types


class TemplatedTask(Task):
    """Runs the task that a rendered YAML text describes, in its own place: state, outputs and metrics are that task's."""

    TYPE = "io.kestra.plugin.core.templating.TemplatedTask"
    ALIASES = ("io.kestra.core.tasks.templating.TemplatedTask",)
    KIND = "delegate"
    spec: Dyn[str]

    def becomes(self, ctx: RunContext) -> Task:
        """The task described. Raises TaskFailed for text that describes none, for flowable tasks and for another TemplatedTask."""
        described = _mapping(self.spec)
        types = _installed_types()
        name = described.get("type")
        found = types.task(name) if isinstance(name, str) else None
        if found is None:
            raise TaskFailed(f"The templated task has no known type: {name!r}")
        if found.KIND in ("flowable", "timer") or issubclass(found, TemplatedTask):
            raise TaskFailed(f"The templated task cannot be of type {name}: only runnable tasks are possible")
        try:
            return found.model_validate({"id": self.id, **described}, context={"types": types})
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False))
            raise TaskFailed(f"The templated task is not a valid {name}: {problems}") from error


def _mapping(spec: str) -> Mapping[str, Any]:
    """The one YAML document in the text, read with the limits of flows."""
    from podium.flows.reading.yaml import parse_documents, plain

    documents = parse_documents(spec)
    mistakes = [each for document in documents for each in document.mistakes]
    if mistakes:
        raise TaskFailed("The templated task is not valid YAML: " + "; ".join(f"line {each.line}: {each.message}" for each in mistakes))
    described = plain(documents[0].root) if len(documents) == 1 and documents[0].root is not None else None
    if not isinstance(described, dict):
        raise TaskFailed("The templated task must be a map with `id` and `type`")
    return described


@cache
def _installed_types() -> Types:
    """The task types of all plug-ins that load; app/plugins has named the others."""
    from podium.flows.types import Types

    tasks: list[type[Task]] = []
    for point in entry_points(group="podium.plugins"):
        try:
            tasks += getattr(point.load(), "TASKS", ())
        except Exception:  # noqa: BLE001, S112 (a plug-in may fail in any way; the others must go on)
            continue
    return Types.build(tasks)
